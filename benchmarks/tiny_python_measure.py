"""Measure a model on short Python functions: pass rates with each kind of feedback, and with notes.

    python benchmarks/tiny_python_measure.py --model /tmp/tiny_python/joint --split dev --tasks 600

The same conditions as ``measure_tiny.py``, whose player it uses. Answers are judged by reading them;
with ``--sandbox`` first tries and retries after "explained" are run on the hidden tests as well, and
the table says how often the two verdicts differ.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from measure_tiny import Player, aside, readings, rivals

from agentloop.tiny import HELD_OUT
from agentloop.tiny.critic import intended
from agentloop.tiny.python_critic import Speech, python_answers, python_words
from agentloop.tiny.python_program import extract
from agentloop.tiny.python_tasks import python_tasks
from agentloop.types import Message, Task

LEVELS: tuple[Speech, ...] = ("again", "binary", "located", "explained")
LONGEST = 112
"""Tokens of an answer; the longest solutions of held-out families have 90."""
KINDS: dict[str, dict[str, Any]] = {
    "known": {},
    "held-out": {"families": [family.table for family in HELD_OUT]},
    "sparse": {"sparse": True},
}


class PythonPlayer(Player):
    """The checkpoint, asked for functions."""

    def _batch(self, texts: list[str]) -> list[str]:
        import torch

        inputs = self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        inputs.pop("token_type_ids", None)
        sampling = {"do_sample": bool(self.temperature), "temperature": self.temperature or None}
        with torch.inference_mode():
            out = self.model.generate(**inputs, max_new_tokens=LONGEST, **sampling)
        answers = out[:, inputs["input_ids"].shape[1] :]
        return list(self.tokenizer.batch_decode(answers, skip_special_tokens=True))

    def first(self, task: Task, notes: Sequence[str] = ()) -> list[Message]:
        """What the model is shown first."""
        told = "\n".join(f"- {note}" for note in notes)
        shown = self.prompts.render("notes", corrections=told) if notes else ""
        return [{"role": "user", "content": self.prompts.render("task", notes=shown, task=task.prompt)}]


def right(given: Sequence[Task], tried: Sequence[str]) -> list[bool]:
    """Which answers pass."""
    return [python_answers(task, text) for task, text in zip(given, tried, strict=True)]


def told(level: Speech, given: Sequence[Task], tried: Sequence[str]) -> list[str]:
    """What the critic says of each answer."""
    return [
        python_words(level, text, name=task.public["entry_point"], form=intended(task))
        for task, text in zip(given, tried, strict=True)
    ]


def retry(player: Player, given: Sequence[Task], tried: list[str], said: Sequence[str]) -> list[str]:
    """Each failed answer tried once more after what was said of it; passed ones stay."""
    failed = [at for at, passed in enumerate(right(given, tried)) if not passed]
    replies = player.answer([player.again(given[at], tried[at], said[at]) for at in failed])
    now = list(tried)
    for at, reply in zip(failed, replies, strict=True):
        now[at] = reply
    return now


def measure(player: Player, given: Sequence[Task], seed: int) -> dict[str, Any]:
    """Pass rates in per cent by condition, and paired differences in points with 95 % intervals."""
    first = player.answer([player.first(task) for task in given])
    found: dict[str, Any] = {"first": percent(right(given, first))}
    once = {level: retry(player, given, first, told(level, given, first)) for level in LEVELS}
    found |= {level: percent(right(given, tried)) for level, tried in once.items()}
    found["explained - again"] = paired(right(given, once["explained"]), right(given, once["again"]))
    other = retry(player, given, first, _of_another(given, first))
    found["other task"] = percent(right(given, other))
    found |= noted(player, given, seed)
    found["texts"] = {"first": first, "explained": once["explained"]}
    return found


def _of_another(given: Sequence[Task], first: list[str]) -> list[str]:
    """What was said of another failed answer."""
    said = told("explained", given, first)
    failed = [at for at, passed in enumerate(right(given, first)) if not passed]
    others = list(said)
    for place, at in enumerate(failed):
        others[at] = said[failed[(place + len(failed) // 2) % len(failed)]]
    return others


def noted(player: Player, given: Sequence[Task], seed: int) -> dict[str, float]:
    """First tries with notes in random order: those that apply, and also among another house's."""
    draw, found = random.Random(seed), {}
    kinds: dict[str, tuple[Callable[[Task], list[str]], ...]] = {
        "notes": (readings, lambda task: aside(task, draw)),
        "notes and rivals": (readings, lambda task: aside(task, draw), lambda task: rivals(task, draw)),
    }
    for name, makers in kinds.items():
        talks = []
        for task in given:
            notes = [note for make in makers for note in make(task)]
            talks.append(player.first(task, draw.sample(notes, len(notes))))
        found[name] = percent(right(given, player.answer(talks)))
    return found


def percent(passed: Sequence[bool]) -> float:
    """Per cent passed."""
    return round(100 * sum(passed) / len(passed), 1)


def paired(one: Sequence[bool], other: Sequence[bool]) -> list[float]:
    """The difference in points with its 95 % interval over tasks."""
    gains = [a - b for a, b in zip(one, other, strict=True)]
    mean = sum(gains) / len(gains)
    spread = (sum((gain - mean) ** 2 for gain in gains) / len(gains) / len(gains)) ** 0.5
    return [round(100 * each, 1) for each in (mean, mean - 1.96 * spread, mean + 1.96 * spread)]


def run(given: Sequence[Task], tried: Sequence[str]) -> dict[str, Any]:
    """The same answers judged by running their hidden tests in the sandbox."""
    from agentloop.environments.code import Job, Sandbox

    sandbox = Sandbox(workers=1)
    verdicts = [
        sandbox.run(
            Job(program=extract(text), tests=task.hidden["tests"], entry_point=task.public["entry_point"])
        )
        for task, text in zip(given, tried, strict=True)
    ]
    sandbox.close()
    read = right(given, tried)
    passed = [verdict.passed for verdict in verdicts]
    return {
        "passed": percent(passed),
        "passes, read as wrong": sum(a and not b for a, b in zip(passed, read, strict=True)),
        "fails, read as right": sum(b and not a for a, b in zip(passed, read, strict=True)),
        "infra errors": sum(verdict.broken for verdict in verdicts),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--split", choices=("train", "dev", "test"), default="dev")
    parser.add_argument("--tasks", type=int, default=600)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", default="known,held-out,sparse")
    parser.add_argument("--sandbox", action="store_true", help="run the answers as well")
    options = parser.parse_args()
    player = PythonPlayer(options.model, options.temperature, options.seed)
    for name in options.sets.split(","):
        began = time.time()
        given = python_tasks(options.split, options.tasks, options.seed, **KINDS[name])
        found = measure(player, given, options.seed)
        texts = found.pop("texts")
        if options.sandbox:
            found["sandbox"] = {kind: run(given, tried) for kind, tried in texts.items()}
        asked = {"set": name, "split": options.split, "tasks": len(given), "temperature": options.temperature}
        print(json.dumps({**asked, **found, "seconds": round(time.time() - began)}), flush=True)


if __name__ == "__main__":
    main()
