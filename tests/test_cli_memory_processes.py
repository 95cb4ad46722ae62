"""``agentloop memory ...`` while another process holds the folder, and as a program of its own."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentloop import Task
from agentloop.errors import MemoryLocked
from agentloop.memories import CorrectionMemory
from agentloop.types import Correction
from tests.memory_commands import FEW, NASTY, ROOT, done, filled, memory, refused, told


@pytest.fixture
def notes(tmp_path: Path) -> str:
    scoped = Correction(id="nastynasty", text=NASTY, status="candidate", not_when="house=delta")
    return filled(
        tmp_path / "notes", FEW, scoped, FEW.replace(id="fewfewfewold", text="old", status="retired")
    )


HOLDER = """
import asyncio, sys
from agentloop.memories import CorrectionMemory
from agentloop.types import Correction
with CorrectionMemory(sys.argv[1]) as memory:
    for line in sys.stdin:
        asyncio.run(memory.record(Correction(id=line.strip(), text="a lesson of the run: " + line.strip())))
        print(line.strip(), flush=True)
"""


@contextmanager
def held(folder: str) -> Iterator[Any]:
    """A process that has the memory open for writing, and records what it is told."""
    command = [sys.executable, "-c", HOLDER, folder]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def record(id: str) -> None:
            process.stdin.write(f"{id}\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            assert process.stdout.readline().strip() == id  # type: ignore[union-attr]

        record("first")
        record.process = process  # type: ignore[attr-defined]
        yield record
        process.stdin.close()
        process.wait(timeout=60)


@pytest.mark.slow
def test_while_a_run_holds_the_folder_readers_see_what_it_learns_and_writers_are_told_who(notes: str) -> None:
    with held(notes) as record:
        for command in (["show", "nasty"], ["why", "nasty"], ["export"], ["worth"]):
            done(command[0], notes, *command[1:])
        assert memory("audit", notes).exit_code == 0
        assert "lesson of the run: first" in done("show", notes, "first")
        record("second")
        assert [each["id"] for each in told("list", notes, "--text", "lesson")["corrections"]] == [
            "first",
            "second",
        ]
        before = Path(notes, "corrections.jsonl").read_bytes()
        for arguments in (
            ["edit", notes, "nasty", "--text", "x"],
            ["forget", notes, "nasty"],
            ["forget", notes, "nasty", "--erase"],
            ["merge", notes, "fewfewfewold", "--into", "nasty"],
            ["rebuild", notes],
        ):
            error = refused(*arguments)
            assert isinstance(error, MemoryLocked), arguments
            assert f"process {record.process.pid} ({sys.executable}" in str(error)
            assert "Wait until it has ended, or stop it" in str(error)
        assert Path(notes, "corrections.jsonl").read_bytes() == before
    done("edit", notes, "first", "--text", "x")


@pytest.mark.slow
def test_a_reader_recalls_while_a_writer_writes(notes: str) -> None:
    with CorrectionMemory(notes, read_only=True) as reader, held(notes) as record:
        for number in range(5):
            record(f"harbour{number}")
            found = asyncio.run(reader.recall(Task(id="t", prompt=f"the lesson of harbour{number}"), limit=1))
            assert [each.id for each in found] == [f"harbour{number}"]


@pytest.mark.slow
def test_the_program_itself_tells_an_error_in_one_line_and_ends_with_its_code(notes: str) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "agentloop.cli", "memory", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    wrong = run("show", notes, "zz")
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
    assert "no single correction with id 'zz'" in wrong.stderr
    with held(notes):
        locked = run("forget", notes, "nasty")
    assert (locked.returncode, len(locked.stderr.splitlines())) == (1, 1)
    assert "has the memory in" in locked.stderr
