"""``agentloop memory``: what a person and a program do with a memory at the command line."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from agentloop import Attempt, Feedback, Task, improve, reflect_and_retry
from agentloop.errors import BadInput, MemoryMismatch
from agentloop.memories import CorrectionMemory
from agentloop.models import FaultServer, ScriptedModel
from agentloop.models.embed import LiteLLMEmbedder
from agentloop.types import Correction
from tests.memory_commands import FEW, NASTY, ROOT, done, filled, memory, refused, told


@pytest.fixture
def notes(tmp_path: Path) -> str:
    scoped = Correction(id="nastynasty", text=NASTY, status="candidate", not_when="house=delta")
    return filled(
        tmp_path / "notes", FEW, scoped, FEW.replace(id="fewfewfewold", text="old", status="retired")
    )


# Seen


def test_a_list_has_a_line_for_each_that_fits_the_terminal_whatever_stands_in_it(notes: str) -> None:
    lines = done("list", notes).splitlines()
    assert len(lines) == 1 + 3 + 1
    assert all(cell_len(line) <= 80 for line in lines)
    assert "\x1b" not in "".join(lines)
    assert "\u202e" not in "".join(lines)
    assert "[bold]boats" in lines[2]
    assert lines[1].startswith("fewfewfewf"), "as many letters as tell it from the others"
    assert "3 corrections" in lines[-1]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--status", "candidate"], ["nastynasty"]),
        (["--scope", "ACME"], ["fewfewfewfew", "fewfewfewold"]),
        (["--scope", "delta"], ["nastynasty"]),
        (["--text", "rows"], ["fewfewfewfew"]),
        (["--text", "rows", "--status", "retired"], []),
    ],
)
def test_a_list_is_filtered(notes: str, options: Sequence[str], ids: list[str]) -> None:
    assert [each["id"] for each in told("list", notes, *options)["corrections"]] == ids


def test_one_correction_is_shown_in_full_by_the_beginning_of_its_id(notes: str) -> None:
    said = done("show", notes, "nasty")
    assert all(cell_len(line) <= 80 for line in said.splitlines())
    assert "\x1b" not in said
    assert told("show", notes, "nasty")["text"] == NASTY
    assert isinstance(refused("show", notes, "fewfew"), BadInput)
    assert "2 corrections begin so" in str(refused("show", notes, "fewfew"))


def test_no_command_that_only_looks_needs_the_embedder_or_writes_anything(tmp_path: Path) -> None:
    def own(texts: list[str]) -> list[list[float]]:
        return [[1.0, 2.0] for _ in texts]

    with CorrectionMemory(tmp_path / "notes", embedder=own) as opened:
        asyncio.run(opened.record(FEW))
    before = {path: path.read_bytes() for path in (tmp_path / "notes").glob("*.jsonl")}
    for command in (["list"], ["show", "few"], ["why", "few"], ["export"], ["worth"], ["refused"]):
        done(command[0], str(tmp_path / "notes"), *command[1:])
    assert {path: path.read_bytes() for path in (tmp_path / "notes").glob("*.jsonl")} == before
    done("edit", str(tmp_path / "notes"), "few", "--text", "another")
    with CorrectionMemory(tmp_path / "notes", embedder=own) as opened:
        assert opened.get(FEW.id).text == "another"


# Changed


def test_an_edit_by_options_changes_what_is_named_and_nothing_else(notes: str) -> None:
    said = done("edit", notes, "fewfewfewfew", "--text", "at acme, a few means 8 rows", "--not-when", "")
    assert "at acme, a few means 8 rows" in said
    held = told("show", notes, "fewfewfewfew")
    assert (held["text"], held["applies_when"]) == ("at acme, a few means 8 rows", "house=acme")
    assert "nothing changed" in done("edit", notes, "fewfewfewfew", "--status", "active")


def editor(folder: Path, program: str) -> dict[str, str]:
    """An editor that runs a program over ``text``, what stands in the file."""
    path = folder / "editor.py"
    path.write_text(
        "import sys\nfile = sys.argv[1]\ntext = open(file).read()\n"
        + program
        + "\nopen(file, 'w').write(text)\n"
    )
    return {"EDITOR": f"{sys.executable} {path}", "VISUAL": ""}


def test_an_edit_without_options_opens_the_editor(notes: str, tmp_path: Path) -> None:
    retired = "text = text.replace('[status]\\nactive', '[status]\\nretired')"
    env = editor(tmp_path, f"{retired}.replace('7 rows', '9 rows\\nor more')")
    done("edit", notes, "fewfewfewfew", env=env)
    held = told("show", notes, "fewfewfewfew")
    assert (held["text"], held["status"]) == ("at acme, a few means 9 rows\nor more", "retired")


def test_leaving_the_editor_without_a_change_writes_nothing(notes: str, tmp_path: Path) -> None:
    before = Path(notes, "corrections.jsonl").read_bytes()
    assert "nothing changed" in done("edit", notes, "nasty", env=editor(tmp_path, ""))
    assert Path(notes, "corrections.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("text = ''", r"the line \[status\] is missing"),
        ("text = text.replace('active', 'great')", "cannot be changed so"),
        ("text = text.replace('7 rows', 'sk-abcdefghijklmnopqrstuvwx')", "holds a key or token"),
        ("sys.exit(3)", "ended with 3"),
    ],
)
def test_what_a_person_wrote_is_kept_in_a_file_where_it_cannot_be_taken_over(
    notes: str, tmp_path: Path, program: str, said: str
) -> None:
    before = Path(notes, "corrections.jsonl").read_bytes()
    with pytest.raises(BadInput, match=said) as caught:
        raise refused("edit", notes, "fewfewfewfew", env=editor(tmp_path, program))
    path = Path(str(caught.value).rpartition(" ")[2])
    assert path.is_file()
    path.unlink()
    assert Path(notes, "corrections.jsonl").read_bytes() == before


def test_without_an_editor_the_options_are_told(notes: str) -> None:
    error = refused("edit", notes, "nasty", env={"EDITOR": "", "VISUAL": ""})
    assert "set EDITOR" in str(error)
    assert "--applies-when" in str(error)


def test_an_edit_of_what_was_changed_meanwhile_is_refused(notes: str, tmp_path: Path) -> None:
    meanwhile = (
        "from agentloop.memories.caretaking import look_after\n"
        f"with look_after({notes!r}) as memory: memory.edit('fewfewfewfew', text='by another')\n"
        "text = text.replace('7 rows', '8 rows')"
    )
    error = refused(
        "edit", notes, "fewfewfewfew", env={**editor(tmp_path, meanwhile), "PYTHONPATH": str(ROOT)}
    )
    assert "changed meanwhile" in str(error)
    assert told("show", notes, "fewfewfewfew")["text"] == "by another"


def test_a_correction_is_forgotten_and_its_words_erased_when_that_is_asked(notes: str) -> None:
    done("forget", notes, "fewfewfewold")
    assert '"old"' in Path(notes, "corrections.jsonl").read_text()
    assert told("forget", notes, "fewfewfewold", "--erase")["lines_erased"] == 1
    assert '"old"' not in Path(notes, "corrections.jsonl").read_text()
    assert len(told("list", notes)["corrections"]) == 2


# Asked why


@pytest.fixture
def taught(tmp_path: Path) -> tuple[str, str]:
    """A memory that a real run filled and used, and the folder of its runs."""

    def right(attempt: Attempt) -> Feedback:
        if "7" in attempt.text:
            return Feedback(text="Right.", verdict="pass", score=1.0)
        return Feedback(text="At acme, a few means 7 rows.", verdict="fail", score=0.0)

    def answers(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        return "LIMIT 7" if "7 rows" in messages[-1]["content"] else "LIMIT 3"

    tasks = [
        Task(id=f"boats{n}", prompt="acme: list a few boats", hidden={"rows": "HIDDENROWS"}) for n in (1, 2)
    ]
    with CorrectionMemory(tmp_path / "notes") as opened:
        agent = reflect_and_retry(model=ScriptedModel(answers), critic=right, memory=opened, attempts=3)
        improve(agent, tasks, folder=tmp_path / "runs" / "first", concurrency=1)
    return str(tmp_path / "notes"), str(tmp_path / "runs")


def test_why_shows_the_words_that_taught_and_every_use_since(taught: tuple[str, str]) -> None:
    notes, runs = taught
    (held,) = told("list", notes)["corrections"]
    said = done("why", notes, held["id"], "--runs", runs)
    for words in (
        "At acme, a few means 7 rows.",
        "said by  the critic",
        "failed: LIMIT 3",
        "passed: LIMIT 7",
    ):
        assert words in said
    assert "helped" in said
    assert "boats2" in said
    assert all(cell_len(line) <= 80 for line in said.splitlines())
    as_json = told("why", notes, held["id"], "--runs", runs)
    assert [use["what"] for use in as_json["uses"]] == ["recalled", "helped"]
    assert as_json["taught_by"]["trajectory"]["id"] == held["source"]["trajectory"]
    assert "HIDDENROWS" not in json.dumps(as_json) + said


def test_why_tells_the_versions_and_where_the_run_is_missing(taught: tuple[str, str], tmp_path: Path) -> None:
    notes, _ = taught
    (held,) = told("list", notes)["corrections"]
    done("edit", notes, held["id"], "--text", "at acme, a few means 8 rows")
    said = done("why", notes, held["id"])
    assert "version 1" in said
    assert "At acme, a few means 7 rows." in said
    assert "give --runs FOLDER" in said
    (tmp_path / "empty").mkdir()
    assert "no such run under" in done("why", notes, held["id"], "--runs", str(tmp_path / "empty"))


# Audited


def test_an_audit_ends_with_1_while_something_must_be_done(notes: str, tmp_path: Path) -> None:
    clean = filled(tmp_path / "clean", FEW)
    assert "nothing found" in done("audit", clean)
    double = filled(tmp_path / "double", FEW, FEW.replace(id="twin"))
    result = memory("audit", double)
    assert result.exit_code == 1
    assert "1 duplicate" in result.stdout
    assert "merge ID --into ID" in result.stdout
    assert all(cell_len(line) <= 80 for line in result.stdout.splitlines())
    found = json.loads(memory("audit", double, "--json").stdout)
    assert found["due"] == 1
    assert found["findings"][0]["ids"] == ["fewfewfewfew", "twin"]
    assert "mended: 1 duplicate" in done("audit", double, "--fix")
    assert [each["id"] for each in told("list", double, "--status", "active")["corrections"]] == [
        "fewfewfewfew"
    ]


# Carried


def test_an_export_is_restored_in_another_folder(notes: str, tmp_path: Path) -> None:
    out = tmp_path / "out" / "notes.jsonl"
    done("export", notes, "--out", str(out))
    assert out.read_text().splitlines()[1:] == done("export", notes).splitlines()[1:]
    assert list(out.parent.iterdir()) == [out]
    done("import", str(tmp_path / "other"), str(out), "--as-exported")
    assert told("list", str(tmp_path / "other")) == told("list", notes)


def test_a_dump_is_imported_as_candidates_and_a_damaged_one_not_at_all(notes: str, tmp_path: Path) -> None:
    dump = tmp_path / "mem0.json"
    dump.write_text(json.dumps({"results": [{"id": "1", "memory": "sort by name", "user_id": "ann"}]}))
    said = done("import", notes, str(dump))
    assert "1 corrections added" in said
    assert "are not recalled yet" in said
    assert [
        each["source"]["run"] for each in told("list", notes, "--text", "sort by name")["corrections"]
    ] == ["mem0"]
    dump.write_text(dump.read_text()[:-9])
    assert "Nothing was imported" in str(refused("import", str(tmp_path / "new"), str(dump)))
    assert not (tmp_path / "new").exists()


def test_folders_and_corrections_are_merged(notes: str, tmp_path: Path) -> None:
    other = filled(tmp_path / "other", Correction(id="other", text="sort harbours by depth"))
    assert "1 corrections added" in done("merge", notes, other)
    assert len(told("list", notes)["corrections"]) == 4
    assert told("merge", notes, "other", "--into", "nasty")["id"] == "nastynasty"
    assert "give their ids and --into" in str(refused("merge", notes, "fewfewfewfew"))


# Embedded anew

OWN = """
def size(texts):
    return [[float(len(text)), 1.0] for text in texts]

def broken(texts):
    raise RuntimeError("no network")
"""


def test_a_rebuild_makes_the_vectors_by_another_embedder_and_mixes_none(notes: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    found = told("rebuild", notes, "--embedder", f"{tmp_path / 'own.py'}:size")
    assert found == {"corrections": 3, "embedder": "size", "dimension": 2}
    with pytest.raises(MemoryMismatch, match="holds vectors of size"):
        CorrectionMemory(notes)
    assert told("rebuild", notes, "--embedder", "hashing:64")["dimension"] == 64
    assert told("rebuild", notes)["dimension"] == 1024


def test_an_embedder_that_does_not_answer_leaves_the_memory_as_it_was(notes: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    before = Path(notes, "corrections.jsonl").read_bytes()
    assert "no network" in str(refused("rebuild", notes, "--embedder", f"{tmp_path / 'own.py'}:broken"))
    assert "known: hashing, minilm:FOLDER" in str(refused("rebuild", notes, "--embedder", "word2vec"))
    assert Path(notes, "corrections.jsonl").read_bytes() == before
    with CorrectionMemory(notes) as opened:
        assert len(opened.list()) == 3


@pytest.mark.slow
def test_an_embedder_of_litellm_makes_the_vectors_and_recalls(tmp_path: Path) -> None:
    with FaultServer() as server:
        embedder = LiteLLMEmbedder("openai/some-embedder", api_base=server.address, api_key="x")
        with CorrectionMemory(tmp_path / "notes", embedder=embedder) as opened:
            asyncio.run(opened.record(FEW))
            task = Task(id="t", prompt="acme: list a few boats", public={"house": "acme"})
            assert [each.id for each in asyncio.run(opened.recall(task))] == [FEW.id]
        with CorrectionMemory(tmp_path / "notes", embedder=embedder) as again:
            assert [each.id for each in asyncio.run(again.recall(task))] == [FEW.id]
        other = LiteLLMEmbedder("openai/another", api_base=server.address, api_key="x")
        with pytest.raises(MemoryMismatch, match="openai/some-embedder"):
            CorrectionMemory(tmp_path / "notes", embedder=other)
        asyncio.run(CorrectionMemory.rebuild(tmp_path / "notes", embedder=other))
        with CorrectionMemory(tmp_path / "notes", embedder=other) as rebuilt:
            assert [each.id for each in asyncio.run(rebuilt.recall(task))] == [FEW.id]
