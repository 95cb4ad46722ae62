"""Measure ``local/tiny``: pass rates with each kind of feedback, with notes, and against sampling more.

    python benchmarks/measure_tiny.py --split test --tasks 600 --temperature 0

Greedy or sampled, generated in batches by transformers alone: no graph and no journal, so that the
figures are those of the model, its tasks and its critic. Every condition starts from one first try.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentloop.prompts import Prompts
from agentloop.tiny import HELD_OUT, checkpoint, tasks
from agentloop.tiny.critic import Speech, answers, intended, words
from agentloop.tiny.houses import HOUSES, House, meaning
from agentloop.tiny.query import extract
from agentloop.types import Message, Task

BATCH = 64
LEVELS: tuple[Speech, ...] = ("again", "binary", "clause", "verbal")


class Player:
    """The checkpoint, asked many conversations at once."""

    def __init__(self, folder: Path, temperature: float, seed: int) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.prompts = Prompts(folder=folder / "prompts")
        self.temperature = temperature

    def answer(self, talks: Sequence[list[Message]]) -> list[str]:
        """The model's reply to each conversation, in order."""
        texts = [
            self.tokenizer.apply_chat_template(talk, add_generation_prompt=True, tokenize=False)
            for talk in talks
        ]
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        replies = [""] * len(texts)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            for at, reply in zip(chosen, self._batch([texts[at] for at in chosen]), strict=True):
                replies[at] = reply
        return replies

    def _batch(self, texts: list[str]) -> list[str]:
        import torch

        inputs = self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        inputs.pop("token_type_ids", None)
        sampling: dict[str, Any] = (
            {"do_sample": True, "temperature": self.temperature} if self.temperature else {"do_sample": False}
        )
        with torch.inference_mode():
            out = self.model.generate(**inputs, max_new_tokens=80, **sampling)
        return list(
            self.tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        )

    def first(self, task: Task, notes: Sequence[str] = ()) -> list[Message]:
        """What the model is shown first."""
        form = intended(task)
        told = "\n".join(f"- {note}" for note in notes)
        shown = self.prompts.render("notes", corrections=told) if notes else ""
        text = self.prompts.render("task", notes=shown, task=f"{form.schema()}\n{task.prompt}")
        return [{"role": "user", "content": text}]

    def again(self, task: Task, answer: str, feedback: str) -> list[Message]:
        """What the model is shown after a failed attempt."""
        return [
            *self.first(task),
            {"role": "assistant", "content": answer},
            {"role": "user", "content": self.prompts.render("retry", feedback=feedback)},
        ]


def retry(player: Player, given: Sequence[Task], tried: list[str], said: Sequence[str]) -> list[str]:
    """Each failed answer tried once more after what was said of it; passed ones stay."""
    failed = [at for at, task in enumerate(given) if not answers(task, tried[at])]
    replies = player.answer([player.again(given[at], tried[at], said[at]) for at in failed])
    now = list(tried)
    for at, reply in zip(failed, replies, strict=True):
        now[at] = reply
    return now


def told(level: Speech, given: Sequence[Task], tried: Sequence[str]) -> list[str]:
    """What the critic says of each answer."""
    return [words(level, extract(text), intended(task)) for task, text in zip(given, tried, strict=True)]


def readings(task: Task) -> list[str]:
    """The notes that a memory could hold of this task's vague words."""
    form = intended(task)
    mine = next(house for house in HOUSES if house.name == form.house)
    return [note(mine, word) for word in form.words.values()]


def aside(task: Task, draw: random.Random) -> list[str]:
    """Notes on two other words, as the task's own house reads them."""
    form = intended(task)
    mine = next(house for house in HOUSES if house.name == form.house)
    free = draw.sample([word for word in mine.readings if word not in form.words.values()], 2)
    return [note(mine, word) for word in free]


def rivals(task: Task, draw: random.Random) -> list[str]:
    """How another house reads the task's vague words."""
    form = intended(task)
    other = draw.choice([house for house in HOUSES if house.name != form.house])
    return [note(other, word) for word in form.words.values()]


def note(house: House, word: str) -> str:
    """What the critic says of a reading."""
    return f"at {house.name}, {word} means {meaning(word, house.readings[word])}"


def measure(player: Player, given: Sequence[Task], seed: int) -> dict[str, Any]:
    """Pass rates in per cent by condition, and paired differences in points."""
    first = player.answer([player.first(task) for task in given])
    failed = [at for at, task in enumerate(given) if not answers(task, first[at])]
    found: dict[str, Any] = {"first": rate(given, first)}
    once: dict[str, list[str]] = {}
    for level in LEVELS:
        once[level] = retry(player, given, first, told(level, given, first))
        twice = retry(player, given, once[level], told(level, given, once[level]))
        changed = sum(first[at] != once[level][at] for at in failed) / max(1, len(failed))
        found[level] = {"once": rate(given, once[level]), "twice": rate(given, twice)}
        found[level]["replies changed"] = round(100 * changed, 1)
    found["verbal - again"] = paired(given, once["verbal"], once["again"])
    found |= of_another_task(player, given, first, once["again"])
    found |= noted(player, given, seed)
    if player.temperature:
        found |= best_of(player, given, first, twice)
    return found


def of_another_task(
    player: Player, given: Sequence[Task], first: list[str], blind: Sequence[str]
) -> dict[str, Any]:
    """Each failed task is told what was said of another; how often that fits by chance is counted."""
    failed = [at for at, task in enumerate(given) if not answers(task, first[at])]
    own = told("verbal", given, first)
    said = list(own)
    for place, at in enumerate(failed):
        said[at] = own[failed[(place + len(failed) // 2) % len(failed)]]
    other = retry(player, given, first, said)
    fits = sum(bool({*said[at].split("; ")} & {*own[at].split("; ")}) for at in failed)
    return {"other task": rate(given, other), "fits": fits, "other task - again": paired(given, other, blind)}


def noted(player: Player, given: Sequence[Task], seed: int) -> dict[str, float]:
    """First tries with notes in any order: those that apply, among other houses' too, and only others."""
    draw, found = random.Random(seed), {}
    true, other, rival = (
        [make(task) for task in given]
        for make in (readings, lambda task: aside(task, draw), lambda task: rivals(task, draw))
    )
    kinds = {"notes": (true, other), "notes and rivals": (true, other, rival), "rivals": (other, rival)}
    for name, kept in kinds.items():
        mixed: list[list[str]] = [sum(notes, []) for notes in zip(*kept, strict=True)]
        talks = [
            player.first(task, draw.sample(notes, len(notes)))
            for task, notes in zip(given, mixed, strict=True)
        ]
        found[name] = rate(given, player.answer(talks))
    return found


def best_of(
    player: Player, given: Sequence[Task], first: Sequence[str], verbal: Sequence[str]
) -> dict[str, Any]:
    """Any of k independent samples right; how many of eight are distinct; verbal feedback at equal calls."""
    rounds = [list(first), *(player.answer([player.first(task) for task in given]) for _ in range(7))]
    right = [[answers(task, row[at]) for row in rounds] for at, task in enumerate(given)]
    distinct = sum(len({row[at] for row in rounds}) / 8 for at in range(len(given))) / len(given)
    found: dict[str, Any] = {
        f"best of {k}": round(100 * sum(any(row[:k]) for row in right) / len(given), 1) for k in (2, 3, 8)
    }
    best = [next((rounds[k][at] for k in range(3) if row[k]), first[at]) for at, row in enumerate(right)]
    found["verbal twice - best of 3"] = paired(given, verbal, best)
    return {**found, "distinct of 8": round(100 * distinct, 1)}


def rate(given: Sequence[Task], tried: Sequence[str]) -> float:
    """Per cent passed."""
    return round(
        100 * sum(answers(task, text) for task, text in zip(given, tried, strict=True)) / len(given), 1
    )


def paired(given: Sequence[Task], one: Sequence[str], other: Sequence[str]) -> list[float]:
    """The difference in points with its 95 % interval over tasks."""
    gains = [answers(task, a) - answers(task, b) for task, a, b in zip(given, one, other, strict=True)]
    mean = sum(gains) / len(gains)
    spread = (sum((gain - mean) ** 2 for gain in gains) / len(gains) / len(gains)) ** 0.5
    return [round(100 * each, 1) for each in (mean, mean - 1.96 * spread, mean + 1.96 * spread)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=checkpoint())
    parser.add_argument("--split", choices=("train", "dev", "test"), default="dev")
    parser.add_argument("--tasks", type=int, default=600)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", default="known,held-out,sparse")
    options = parser.parse_args()
    player = Player(options.model, options.temperature, options.seed)
    held_out = [family.table for family in HELD_OUT]
    kinds: dict[str, dict[str, Any]] = {
        "known": {},
        "held-out": {"families": held_out},
        "sparse": {"sparse": True},
    }
    for name in options.sets.split(","):
        began = time.time()
        given = tasks(options.split, options.tasks, options.seed, **kinds[name])
        found = measure(player, given, options.seed)
        print(
            json.dumps(
                {
                    "set": name,
                    "split": options.split,
                    "tasks": len(given),
                    "seed": options.seed,
                    "temperature": options.temperature,
                    **found,
                    "seconds": round(time.time() - began),
                }
            )
        )


if __name__ == "__main__":
    main()
