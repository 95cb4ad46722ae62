"""Corrections carried between memories and files: nothing lost, nothing twice, nothing half."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.memories import CorrectionMemory, Rent
from agentloop.memories.caretaking import look_after
from agentloop.memories.carrying import import_into, lines, merge_folder, merge_one
from agentloop.memories.dumps import read_dump
from agentloop.memories.history import History
from agentloop.memories.namespaces import namespace_of, scope_of
from agentloop.types import Correction, Source, Task, correction_id

FEW = Correction(id="few", text="at acme, a few means 7 rows", applies_when="house=acme", helped=2)
MANY = Correction(id="many", text="at acme, many means 70 rows", applies_when="house=acme")


def filled(folder: Path, corrections: Sequence[Correction]) -> Path:
    async def fill() -> None:
        for each in corrections:
            await memory.record(each)

    with CorrectionMemory(folder) as memory:
        asyncio.run(fill())
    return folder


def used(folder: Path, id: str, words: str, *, trajectory: str, helped: bool) -> None:
    with CorrectionMemory(folder) as memory:
        task = Task(id=f"task of {trajectory}", prompt=words, public={"house": "acme"})
        recalled = asyncio.run(memory.recall(task))
        assert id in [each.id for each in recalled]
        asyncio.run(memory.settle(id, trajectory=trajectory, helped=helped))


def written(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def kept(folder: Path) -> dict[str, Correction]:
    return dict(History(folder).ledger.corrections)


# Exports of our own


def test_an_export_comes_back_as_it_was_when_it_is_restored(tmp_path: Path) -> None:
    corrections = [
        FEW,
        MANY.replace(status="retired", key="k\nl", source=Source(run="r", quote='"x"\u2028\ud800')),
    ]
    path = written(tmp_path / "out.jsonl", "".join(f"{line}\n" for line in lines(corrections)))
    with look_after(filled(tmp_path / "notes", [])) as memory:
        import_into(memory, read_dump(path).corrections, status=None)
        assert list(memory.list()) == corrections


def test_what_is_imported_is_a_candidate_without_the_counts_of_elsewhere(tmp_path: Path) -> None:
    with look_after(filled(tmp_path / "notes", [])) as memory:
        brought = import_into(memory, [FEW.replace(created="2026-01-01")])
        assert brought.added == ["few"]
        held = memory.get("few")
        assert (held.status, held.helped, held.created) == ("candidate", 0, "2026-01-01")


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(st.text(min_size=1, max_size=20).filter(str.strip), max_size=6, unique=True),
    scope=st.sampled_from(["", "house=acme", "when it rains; mostly"]),
)
def test_any_texts_survive_an_export(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], scope: str
) -> None:
    corrections = [
        Correction(id=correction_id("", str(number), text), text=text, applies_when=scope)
        for number, text in enumerate(texts)
    ]
    path = tmp_path_factory.mktemp("export") / "out.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines(corrections)), errors="surrogatepass")
    assert read_dump(path).corrections == corrections


def test_an_export_that_was_cut_off_is_refused_at_any_line(tmp_path: Path) -> None:
    whole = [f"{line}\n" for line in lines([FEW, MANY])]
    for end in range(1, len(whole)):
        with pytest.raises(BadInput, match="cut off: 2 corrections announced"):
            read_dump(written(tmp_path / "out.jsonl", "".join(whole[:end])))
    with pytest.raises(BadInput, match=r"line 3 is not JSON|cut off"):
        read_dump(written(tmp_path / "out.jsonl", "".join(whole)[:-20]))


# Other memories' dumps

MEM0 = {
    "results": [
        {
            "id": "892db2ae-06d9-49e5-8b3e-585ef9b85b8e",
            "memory": "Dev wants rows sorted by name",
            "hash": "5f",
            "metadata": {"category": "style"},
            "created_at": "2025-07-10T15:38:00-07:00",
            "updated_at": None,
            "user_id": "dev",
        }
    ],
    "relations": [],
}


def test_a_dump_of_mem0_becomes_scoped_candidates_that_name_their_source(tmp_path: Path) -> None:
    dump = read_dump(written(tmp_path / "mem0.json", MEM0))
    (found,) = dump.corrections
    assert dump.form == "mem0"
    assert found.text == "Dev wants rows sorted by name"
    assert (found.applies_when, found.status) == ("user_id=dev", "candidate")
    assert found.source == Source(run="mem0", trajectory="892db2ae-06d9-49e5-8b3e-585ef9b85b8e")
    assert found.created == "2025-07-10T15:38:00-07:00"


def test_every_form_in_which_mem0_gives_its_memories_is_read(tmp_path: Path) -> None:
    item = {"id": "1", "memory": "sort by name", "agent_id": "sql"}
    row = {"id": "1", "payload": {"data": "sort by name", "agent_id": "sql"}, "vector": [0.1]}
    forms: list[Any] = [
        [item],
        {"results": [item]},
        {"memories": [item]},
        {"count": 1, "results": [item]},
        [row],
    ]
    found = [read_dump(written(tmp_path / "dump.json", form)).corrections for form in forms]
    found.append(
        read_dump(written(tmp_path / "dump.jsonl", f"{json.dumps(item)}\n\n{json.dumps(item)}\n")).corrections
    )
    assert {each.id for some in found for each in some} == {found[0][0].id}
    assert found[0][0].applies_when == "agent_id=sql"


def test_what_mem0_has_let_expire_or_cannot_scope_is_left_out_with_the_reason(tmp_path: Path) -> None:
    items = [
        {"id": "1", "memory": "old", "expiration_date": "2020-01-01"},
        {"id": "2", "memory": "new", "expiration_date": "2999-01-01"},
        {"id": "3", "memory": "of nobody", "user_id": "a=b; c"},
        {"id": "4", "memory": " "},
    ]
    dump = read_dump(written(tmp_path / "dump.json", items))
    assert [each.text for each in dump.corrections] == ["new"]
    assert list(dump.left_out) == ["item 1", "item 3", "item 4"]


def test_items_of_langmem_become_candidates_in_the_scope_of_their_namespace(tmp_path: Path) -> None:
    items = [
        {
            "namespace": ["memories", "ann"],
            "key": "default",
            "value": {"kind": "Memory", "content": {"content": "Ann likes short answers"}},
            "created_at": "2025-04-14T22:20:25.148884+00:00",
            "score": None,
        },
        {"namespace": ["corrections", "house=acme"], "key": "k", "value": {"content": "a few means 7"}},
        {
            "namespace": ["memories", "ann"],
            "key": "e",
            "value": {"kind": "Episode", "content": {"action": "sorted", "result": "right"}},
        },
    ]
    dump = read_dump(written(tmp_path / "dump.json", items))
    assert dump.form == "langmem"
    assert [(each.text, each.applies_when) for each in dump.corrections] == [
        ("Ann likes short answers", "namespace=memories/ann"),
        ("a few means 7", "house=acme"),
        ("action: sorted; result: right", "namespace=memories/ann"),
    ]
    assert dump.corrections[0].source == Source(run="langmem", trajectory="memories/ann/default")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ("", "nothing that is known"),
        ("{not json", "line 1 is not JSON"),
        ('{"a": 1}', "its first item has a; name the form"),
        ("[1, 2]", "name the form"),
        ('[{"memory": "x"}]', "item 1 is none of mem0: KeyError 'id'"),
        ('[{"namespace": ["a"], "key": "k", "value": 3}]', "its value is no object"),
        ('{"agentloop_memory": 99, "corrections": 0}', "not that of an export with version 1"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_place(tmp_path: Path, held: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_dump(written(tmp_path / "dump", held))


def test_a_line_that_is_no_correction_is_named(tmp_path: Path) -> None:
    text = '{"agentloop_memory": 1, "corrections": 1}\n{"id": "a", "words": "b"}\n'
    with pytest.raises(BadInput, match="line 2 is no correction"):
        read_dump(written(tmp_path / "dump", text))


def test_the_same_dump_twice_and_the_same_words_twice_count_once(tmp_path: Path) -> None:
    dump = read_dump(written(tmp_path / "dump.json", MEM0)).corrections
    twin = dump[0].replace(id="twin", text="Dev  wants rows sorted by name.")
    elsewhere = dump[0].replace(id="other", applies_when="user_id=ann")
    with look_after(filled(tmp_path / "notes", [])) as memory:
        first = import_into(memory, [*dump, twin, elsewhere])
        assert first.added == [dump[0].id, "other"]
        assert first.doubles == {"twin": dump[0].id}
        again = import_into(memory, [*dump, twin])
        assert (again.added, again.known) == ([], [dump[0].id])
        assert len(memory.list()) == 2


def test_what_was_forgotten_is_not_imported_again_and_secrets_are_refused(tmp_path: Path) -> None:
    leak = Correction(id="leak", text="the key is sk-abcdefghijklmnopqrstuvwx")
    with look_after(filled(tmp_path / "notes", [FEW])) as memory:
        memory.forget("few")
        brought = import_into(memory, [FEW, leak])
        assert (brought.added, brought.known, list(brought.refused)) == ([], ["few"], ["leak"])
    assert "sk-abc" not in (tmp_path / "notes" / "corrections.jsonl").read_text()


# Merging


def test_a_merged_folder_brings_its_whole_history_once(tmp_path: Path) -> None:
    there, here = filled(tmp_path / "there", [MANY]), filled(tmp_path / "here", [FEW])
    used(there, "many", "many boats", trajectory="t1", helped=True)
    with look_after(there) as memory:
        memory.edit("many", text="at acme, many means 80 rows")
    for _ in range(2):
        with look_after(here) as memory:
            merge_folder(memory, there)
    assert kept(here)["many"] == kept(there)["many"]
    assert set(kept(here)) == {"few", "many"}
    told = [(use.at, use.what) for use in History(here).uses("many")]
    assert told == [(use.at, use.what) for use in History(there).uses("many")]
    with CorrectionMemory(here) as memory:
        asyncio.run(memory.settle("many", trajectory="t1", helped=True))
        assert memory.get("many").helped == 1, "the trajectory was counted there already"
        task = Task(id="t", prompt="many boats", public={"house": "acme"})
        assert [each.id for each in asyncio.run(memory.recall(task))][0] == "many"


def test_of_corrections_kept_in_both_the_uses_are_added_and_the_words_of_here_stay(tmp_path: Path) -> None:
    here = filled(tmp_path / "here", [FEW.replace(helped=0)])
    there = filled(tmp_path / "there", [FEW.replace(id="own id there", helped=0)])
    used(here, "few", "a few boats", trajectory="t1", helped=True)
    used(there, "own id there", "a few boats", trajectory="t2", helped=False)
    for _ in range(2):
        with look_after(here) as memory:
            brought = merge_folder(memory, there)
            assert brought.doubles == {"own id there": "few"}
    held = kept(here)["few"]
    assert (held.recalled, held.helped, held.hurt) == (2, 1, 1)


def test_a_copy_of_the_folder_that_was_used_since_brings_only_what_is_new(tmp_path: Path) -> None:
    here = filled(tmp_path / "here", [FEW.replace(helped=0)])
    used(here, "few", "a few boats", trajectory="t1", helped=True)
    there = tmp_path / "there"
    there.mkdir()
    (there / "corrections.jsonl").write_bytes((here / "corrections.jsonl").read_bytes())
    used(there, "few", "a few boats", trajectory="t2", helped=True)
    with look_after(here) as memory:
        assert merge_folder(memory, there).known == ["few"]
    held = kept(here)["few"]
    assert (held.recalled, held.helped) == (2, 2)


def test_what_was_forgotten_here_is_not_brought_back_by_a_merge(tmp_path: Path) -> None:
    here, there = filled(tmp_path / "here", [FEW]), filled(tmp_path / "there", [FEW, MANY])
    with look_after(here) as memory:
        memory.forget("few")
        brought = merge_folder(memory, there)
    assert (brought.known, brought.added) == (["few"], ["many"])
    assert list(kept(here)) == ["many"]


def test_a_memory_is_not_merged_into_itself(tmp_path: Path) -> None:
    with (
        look_after(filled(tmp_path / "here", [FEW])) as memory,
        pytest.raises(BadInput, match="is the memory itself"),
    ):
        merge_folder(memory, tmp_path / "here" / ".")


def test_of_two_corrections_one_gets_the_uses_of_both_and_the_other_is_gone(tmp_path: Path) -> None:
    folder = filled(tmp_path / "notes", [MANY, MANY.replace(id="much", text="at acme, many means much")])
    used(folder, "many", "many boats", trajectory="t1", helped=True)
    used(folder, "much", "many means much", trajectory="t2", helped=False)
    used(folder, "much", "many means much", trajectory="t1", helped=True)
    recalled = {id: each.recalled for id, each in kept(folder).items()}
    assert recalled == {"many": 3, "much": 3}, "all three recalls gave both"
    with look_after(folder) as memory:
        merge_one(memory, "much", into="many")
        with pytest.raises(BadInput, match="itself"):
            merge_one(memory, "many", into="many")
        merge_one(memory, "much", into="many")
    held = kept(folder)
    assert (held["many"].recalled, held["many"].helped, held["many"].hurt) == (3, 1, 1)
    assert held["much"].status == "retired"


def test_uses_that_were_drawn_are_joined_and_counted_once(tmp_path: Path) -> None:
    folder = filled(tmp_path / "notes", [MANY, MANY.replace(id="much")])

    async def use(memory: CorrectionMemory) -> None:
        for number in range(30):
            for id in ("many", "much"):
                trajectory = f"{id} {number}"
                withheld = await memory.withhold([id], trajectory=trajectory)
                await memory.settle(
                    id, trajectory=trajectory, helped=number % 3 > 0, shown=id not in withheld
                )

    with CorrectionMemory(folder, rent=Rent()) as memory:
        asyncio.run(use(memory))
        before = [memory.worth(id) for id in ("many", "much")]
    for _ in range(2):
        with look_after(folder) as memory:
            merge_one(memory, "much", into="many")
    with CorrectionMemory(folder, rent=Rent()) as memory:
        worth = memory.worth("many")
        assert worth.shown == sum(each.shown for each in before)
        assert worth.withheld == sum(each.withheld for each in before) > 0


# Namespaces


@pytest.mark.parametrize(
    ("scope", "namespace"),
    [
        ("", ("corrections",)),
        ("house=acme, table=boats", ("corrections", "house=acme", "table=boats")),
        ("version=1.2", ("corrections", "version=1%2E2")),
        ("namespace=users/ann", ("users", "ann")),
        ("namespace=a%2Fb/c%2E", ("a/b", "c.")),
    ],
)
def test_a_scope_and_its_namespace_tell_the_same(scope: str, namespace: tuple[str, ...]) -> None:
    assert namespace_of(scope) == namespace
    assert scope_of(namespace) == scope


def test_a_scope_in_prose_stands_at_the_root() -> None:
    assert namespace_of("when the user asks for a chart") == ("corrections",)
