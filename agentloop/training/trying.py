"""What runs over held-out tasks say of each correction: where it was tried, and what passed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from agentloop.intervals import paired_difference
from agentloop.journal import UNFINISHED, Effect
from agentloop.reading import effects
from agentloop.run import Run
from agentloop.training.graduated import Examined, Words
from agentloop.types import Call

ABSORBED = "its tasks pass as often without it"
NEEDED = "its tasks pass less often without any memory"
NEEDED_BESIDE = "its tasks pass less often when it goes and the rest of the memory stays"
NEVER_PASSED = "none of its tasks passes even with it"


class Tries(NamedTuple):
    """One run: which tasks passed, and what was recalled at each, best first."""

    passed: Mapping[str, bool]
    recalled: Mapping[str, Sequence[str]]
    models: frozenset[str]
    privileged: bool

    def count(self, tasks: Iterable[str]) -> int:
        """How many of the tasks passed."""
        return sum(self.passed[task] for task in tasks)

    def loses(self, other: Tries, tasks: Sequence[str]) -> bool:
        """Whether the tasks pass less often in another run."""
        return other.count(tasks) < self.count(tasks)


class Lesson(NamedTuple):
    """A correction with its twins: the tasks at which one of them was recalled, and recalled first."""

    words: Words
    ids: tuple[str, ...]
    recalled: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()

    def why_beside(self, whole: Tries, rest: Tries) -> str:
        """Why it stays though its tasks pass without any memory."""
        if whole.loses(rest, self.tried):
            return NEEDED_BESIDE
        with_it, without_it = whole.count(self.recalled), rest.count(self.recalled)
        return (
            f"of the {len(self.recalled)} tasks that recalled it at any rank, {with_it} pass with it and "
            f"{without_it} when it goes"
        )

    def beside(self, whole: Tries, other: Tries, why: str) -> Examined:
        """How the tasks it was tried at fared with the whole memory and in another run."""
        pairs = [(whole.passed[task], other.passed[task]) for task in self.tried]
        low, high = paired_difference(*zip(*pairs, strict=True)) if pairs else (-1.0, 1.0)
        return Examined(
            ids=self.ids,
            words=self.words,
            recalled=len(self.recalled),
            tasks=len(self.tried),
            passed_with=whole.count(self.tried),
            passed_without=other.count(self.tried),
            low=low,
            high=high,
            why=why,
        )


def replies(folder: Path) -> Mapping[str, Effect]:
    """The model's replies by place: where it is shown the same again, it is not asked again.

    Steps are no part of them: what an action brings hangs on those before it, which may differ.
    """
    made = effects(folder / "journal.jsonl", attempt=1, node="act")
    return {place: effect for place, effect in made.items() if effect.kind == "call"}


def read(run: Run) -> Tries:
    """What a run gave, of the tasks that came to their end."""
    passed, recalled, models = {}, {}, set()
    for each in run.trajectories():
        if each.stop_reason in UNFINISHED:
            continue
        passed[each.task.id] = each.passed is True
        recalled[each.task.id] = each.attempts[0].recalled if each.attempts else ()
        models |= {_name(call) for call in each.calls if call.role == "actor"}
    return Tries(passed, recalled, frozenset(models), run.figures.privileged)


def _name(call: Call) -> str:
    return f"{call.model} ({call.policy})" if call.policy else call.model


def untested(lesson: Lesson, whole: Tries, minimum: int) -> str:
    """Why nothing can be said of a correction; empty when something can."""
    if len(lesson.tried) < minimum:
        return f"recalled first at {len(lesson.tried)} tasks, fewer than {minimum}"
    return "" if whole.count(lesson.tried) else NEVER_PASSED


def with_tasks(begun: Sequence[Lesson], whole: Tries) -> list[Lesson]:
    """The corrections with the tasks at which they, or a twin, were recalled."""
    recalled: dict[str, list[str]] = {}
    tried: dict[str, list[str]] = {}
    for task, ids in whole.recalled.items():
        for id in ids:
            recalled.setdefault(id, []).append(task)
        for id in ids[:1]:
            tried.setdefault(id, []).append(task)
    return [each._replace(recalled=_of(each.ids, recalled), tried=_of(each.ids, tried)) for each in begun]


def _of(ids: Sequence[str], tasks: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The tasks of several ids, each once."""
    return tuple(dict.fromkeys(task for id in ids for task in tasks.get(id, ())))
