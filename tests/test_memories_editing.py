"""A correction changed by a person: words, scope and status; its id, its counts and its earlier versions."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentloop.errors import BadInput
from agentloop.memories import CorrectionMemory, KnowledgeMemory
from agentloop.memories.caretaking import look_after
from agentloop.memories.erasing import erase
from agentloop.memories.history import History
from agentloop.types import Correction, Task
from tests.test_memories_shared import url as url


def recall(memory: CorrectionMemory, words: str) -> list[str]:
    return [each.id for each in asyncio.run(memory.recall(Task(id="t", prompt=words)))]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[CorrectionMemory]:
    with CorrectionMemory(tmp_path / "notes") as opened:
        for id, text in (("boats", "list boats by length"), ("rows", "a few means 7 rows")):
            asyncio.run(opened.record(Correction(id=id, text=text)))
        yield opened


def test_an_edit_keeps_id_and_counts_and_is_found_by_its_new_words(memory: CorrectionMemory) -> None:
    assert recall(memory, "boats by length") == ["boats"]
    asyncio.run(memory.settle("boats", trajectory="one", helped=True))
    memory.edit("boats", text="sort harbours by depth", applies_when="house=acme", status="candidate")
    held = memory.get("boats")
    assert (held.text, held.applies_when, held.status) == (
        "sort harbours by depth",
        "house=acme",
        "candidate",
    )
    assert (held.recalled, held.helped) == (1, 1)
    memory.edit("boats", status="active", applies_when="")
    assert recall(memory, "harbours and their depth") == ["boats"]
    assert recall(memory, "boats by length") == []


def test_what_was_edited_is_found_by_its_new_words_after_opening_again(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    with CorrectionMemory(folder, exact_below=0) as first:
        for number in range(3):
            asyncio.run(first.record(Correction(id=f"c{number}", text=f"boat {number} is blue")))
        recall(first, "boat")
    with look_after(folder) as unembedded:
        unembedded.edit("c1", text="harbours freeze in winter")
    for exact_below in (0, 20_000):
        with CorrectionMemory(folder, exact_below=exact_below) as again:
            assert recall(again, "harbours in winter") == ["c1"]


def test_a_reader_that_has_the_old_vector_finds_the_new_words(
    memory: CorrectionMemory, tmp_path: Path
) -> None:
    with CorrectionMemory(tmp_path / "notes", read_only=True) as reader:
        assert recall(reader, "boats by length") == ["boats"]
        memory.edit("boats", text="sort harbours by depth")
        assert recall(reader, "harbours and their depth") == ["boats"]
        assert recall(reader, "boats by length") == []


def test_a_key_that_holds_the_text_follows_it_unless_it_is_given(memory: CorrectionMemory) -> None:
    asyncio.run(memory.record(Correction(id="k", text="by size", key="list ships\nby size")))
    assert memory.edit("k", text="by weight").key == "list ships\nby weight"
    assert memory.edit("k", text="by colour", key="own words").key == "own words"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": "  "}, "must hold words"),
        ({"status": "good"}, "cannot be changed so"),
        ({"kind": "edit"}, "kind cannot be edited"),
    ],
)
def test_what_cannot_be_is_refused_before_a_line_is_written(
    memory: CorrectionMemory, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    before = (tmp_path / "notes" / "corrections.jsonl").read_bytes()
    with pytest.raises(BadInput, match=said):
        memory.edit("boats", **changes)
    assert (tmp_path / "notes" / "corrections.jsonl").read_bytes() == before


def test_an_edit_that_changes_nothing_writes_nothing(memory: CorrectionMemory, tmp_path: Path) -> None:
    before = (tmp_path / "notes" / "corrections.jsonl").read_bytes()
    memory.edit("boats", text="list boats by length", status="active")
    assert (tmp_path / "notes" / "corrections.jsonl").read_bytes() == before


def test_the_earlier_versions_stay_in_the_log_and_are_told_in_order(
    memory: CorrectionMemory, tmp_path: Path
) -> None:
    memory.edit("boats", text="second")
    memory.edit("boats", status="retired")
    memory.edit("boats", text="third", applies_when="house=acme")
    versions = History(tmp_path / "notes").versions("boats")
    assert [each.correction.text for each in versions] == ["list boats by length", "second", "third"]
    assert versions[-1].correction.applies_when == "house=acme"


def test_events_written_together_are_there_all_or_none(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    with CorrectionMemory(folder) as memory:
        made = [Correction(id=f"c{number}", text=f"lesson {number}").to_dict() for number in range(3)]
        memory.keeping.write_together([{"event": "recorded", "correction": each} for each in made])
        assert [each.id for each in memory.list()] == ["c0", "c1", "c2"]
    whole = (folder / "corrections.jsonl").read_bytes()
    begins = whole.index(b'{"event":"together"')
    ends = whole.index(b"\n", begins)
    for cut in (begins + 1, ends - 20, ends):
        (folder / "corrections.jsonl").write_bytes(whole[:cut])
        with look_after(folder) as opened:
            assert opened.list() == ()


def test_a_memory_of_knowledge_is_edited_in_the_same_way(tmp_path: Path) -> None:
    with KnowledgeMemory(tmp_path / "known") as known:
        asyncio.run(known.record(Correction(id="s", text="grasp from above", level="skill", key="grasp")))
    with look_after(tmp_path / "known") as opened:
        opened.edit("s", text="grasp from the side")
    with KnowledgeMemory(tmp_path / "known") as known:
        assert known.get("s").correction.text == "grasp from the side"


def test_an_edit_of_a_memory_on_a_server_is_found_by_every_writer(tmp_path: Path, url: str) -> None:
    folder = tmp_path / "notes"
    with CorrectionMemory(folder, url=url) as one, CorrectionMemory(folder, url=url) as other:
        asyncio.run(one.record(Correction(id="boats", text="list boats by length")))
        asyncio.run(other.record(Correction(id="rows", text="a few means 7 rows")))
        assert recall(other, "boats by length") == ["boats"]
        one.edit("boats", text="sort harbours by depth")
        for memory in (one, other):
            assert recall(memory, "harbours and their depth") == ["boats"]
            assert recall(memory, "boats by length") == []
            assert memory.get("boats").text == "sort harbours by depth"
        one.edit("boats", status="quarantined")
        assert recall(other, "harbours and their depth") == []


def test_looking_after_a_memory_asks_for_no_embedder_and_notes_none(tmp_path: Path) -> None:
    async def own(texts: list[str]) -> list[list[float]]:
        return [[1.0, float(len(text))] for text in texts]

    with CorrectionMemory(tmp_path / "notes", embedder=own) as memory:
        asyncio.run(memory.record(Correction(id="a", text="one")))
        recall(memory, "one")
    log = tmp_path / "notes" / "corrections.jsonl"
    noted = [line for line in log.read_text().splitlines() if '"embedder"' in line]
    with look_after(tmp_path / "notes") as opened:
        opened.edit("a", text="two")
        with pytest.raises(BadInput, match="without its embedder"):
            recall(opened, "one")
    assert [line for line in log.read_text().splitlines() if '"embedder"' in line] == noted
    with CorrectionMemory(tmp_path / "notes", embedder=own) as memory:
        assert memory.get("a").text == "two"


def test_what_is_erased_stands_in_no_file_and_readers_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    with CorrectionMemory(folder) as memory:
        for number in range(70):
            asyncio.run(memory.record(Correction(id=f"c{number}", text=f"boat {number} is blue")))
        asyncio.run(
            memory.record(Correction(id="leak", text="the word is xyzzyplugh", key="plain xyzzyplugh"))
        )
        recall(memory, "word")
        memory.edit("leak", text="the word was xyzzyplugh")
    with CorrectionMemory(folder, read_only=True) as reader:
        assert len(reader.list()) == 71
        assert erase(folder, "leak") == 2
        holding = [
            path for path in folder.rglob("*") if path.is_file() and b"xyzzyplugh" in path.read_bytes()
        ]
        assert holding == []
        asyncio.run(_add(folder))
        assert len(reader.list()) == 71, "the erased one went, the new one came"
    with CorrectionMemory(folder) as memory:
        assert "leak" not in {each.id for each in memory.list()}
        asyncio.run(memory.record(Correction(id="leak", text="again")))
        assert "leak" not in {each.id for each in memory.list()}, "what was forgotten never comes back"
    for line in (folder / "corrections.jsonl").read_text().splitlines():
        json.loads(line)


async def _add(folder: Path) -> None:
    with CorrectionMemory(folder) as memory:
        await memory.record(Correction(id="new", text="harbours freeze"))
