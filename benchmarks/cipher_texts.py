"""Contexts of five real kinds for CIPHER, read where they lie, and PRELUDE's preferences for them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentloop.people.writing_texts import summary_task
from agentloop.types import Task

KINDS = ("reflection", "dialogue", "puzzle", "program", "critique")
WORDS = 120
"""A text is cut to its first words."""


def real_tasks(data: Path, rounds: int, *, seed: int) -> list[Task]:
    """Summaries of real texts, an equal share of each kind, shuffled."""
    draw = random.Random(f"real {seed}")
    pools = {kind: sorted(set(texts(data, kind))) for kind in KINDS}
    chosen = [
        (kind, text)
        for place, kind in enumerate(KINDS)
        for text in draw.sample(pools[kind], len(range(place, rounds, len(KINDS))))
    ]
    draw.shuffle(chosen)
    return [summary_task(f"{place:03}", text, kind) for place, (kind, text) in enumerate(chosen, 1)]


def preferences(data: Path) -> dict[str, str]:
    """PRELUDE's five preferences, one for each kind."""
    sources = json.loads((data / "prelude" / "preferences.json").read_text(encoding="utf-8"))["sources"]
    return {kind: source["preference"] for kind, source in zip(KINDS, sources, strict=True)}


def texts(data: Path, kind: str) -> Iterator[str]:
    """Every text of a kind, without the marks of its file."""
    for text in _raw(data, kind):
        words = re.sub(r"<(user|system)>|[\"`>#*-]", " ", text).split()[:WORDS]
        yield " ".join(words)


def _raw(data: Path, kind: str) -> Iterator[str]:
    if kind == "reflection":
        for row in _rows(data / "runlogs-alfworld" / "reflexion-trial-14.jsonl"):
            yield from row["memory"]
    elif kind == "dialogue":
        yield from (row["context"] for row in _rows(data / "eurtad" / "plain.jsonl") if row["context"])
    elif kind == "puzzle":
        yield from (row["input"] for row in _rows(data / "bbmistake" / "logical_deduction.jsonl"))
    elif kind == "program":
        found = (re.search(r'("""|\'\'\')(.*?)(>>>|\1)', row["prompt"], re.DOTALL) for row in _programs(data))
        yield from (match[2] for match in found if match)
    else:
        yield from _critiques(data)


def _critiques(data: Path) -> Iterator[str]:
    for path in sorted((data / "mint").glob("*.gpt4-critic.*.jsonl")):
        for row in _rows(path):
            said = [turn["content"] for turn in row["state"]["history"][1:] if turn["role"] == "user"]
            yield from (text.split("Expert feedback:", 1)[1] for text in said if "Expert feedback:" in text)


def _programs(data: Path) -> Iterator[dict[str, Any]]:
    yield from _rows(data / "humaneval" / "problems.jsonl")


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
