"""A small world in which lessons help or do not: houses with their own readings of the embedded SQL words.

The scripted policy passes a task if every vague word of the task gets its house's reading: from what it is
shown, else the usual one. Two readings shown for one word, an order that it obeys, and words that have
nothing to do with the task cost it the task, the last of these only sometimes.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from heapq import nsmallest
from typing import Any, NamedTuple

from agentloop import Attempt, Correction, Feedback, Task
from agentloop.memories.words import words
from agentloop.tiny.houses import POSSIBLE, SENSE, Reading, meaning, usual_reading
from agentloop.types import Memory, digest

LUCK = 0.03
"""The share of attempts that end the other way by chance."""
COST = 0.06
"""The chance that one shown text that does not belong to the task costs it; twice that for a long one."""
LONG = 200
_NAMES = """
alder birch cedar dover elgin falcon garnet harbor indigo juniper kestrel lumen maple nectar onyx poplar
quartz raven sable tundra umber violet willow xenon yarrow zephyr arbor basalt cinder dune estuary fathom
grove heron islet jasper knoll lagoon
"""
_HOUSES = tuple(_NAMES.split())
_ASK = {
    "quantity": "list {word} {things}",
    "aggregate": "what is the {word} weight of the {things}",
    "direction": "show the {word} {things} by price",
    "threshold": "which {things} have a {word} weight",
}
_THINGS = ("boats", "wines", "mills", "ovens", "lamps", "kites", "drums", "carts", "bikes", "looms")


class Lesson(NamedTuple):
    """What a house means by a word."""

    house: str
    word: str
    reading: Reading

    def text(self, form: int = 0) -> str:
        """The lesson in one of three wordings."""
        said = meaning(self.word, self.reading)
        return (
            f"at {self.house}, {self.word} means {said}",
            f"{self.word} means {said} at {self.house}",
            f"for {self.house} read {self.word} as {said}",
        )[form % 3]


class World:
    """Houses, their lessons and tasks, the same ones for the same seed."""

    def __init__(self, houses: int = 32, *, seed: int = 0, usual: int = 3, odd: int | None = None) -> None:
        """``usual`` words have the usual reading at a house, but only three at the first ``odd`` ones."""
        self.seed = seed
        self.houses = _HOUSES[:houses]
        draw = random.Random(f"world {seed}")
        self.readings: dict[str, Mapping[str, Reading]] = {}
        for number, house in enumerate(self.houses):
            agreed = set(draw.sample(sorted(SENSE), 3 if odd is not None and number < odd else usual))
            self.readings[house] = {
                word: usual_reading(word) if word in agreed else _drawn(word, draw) for word in SENSE
            }

    @cached_property
    def lessons(self) -> Sequence[Lesson]:
        """Every reading that differs from the usual one: what is worth knowing."""
        return [
            Lesson(house, word, reading)
            for house, readings in self.readings.items()
            for word, reading in readings.items()
            if reading != usual_reading(word)
        ]

    def wrong(self, lesson: Lesson, draw: random.Random) -> Lesson:
        """The same house and word with a reading that it does not have."""
        return lesson._replace(
            reading=draw.choice(_others(lesson.word, self.readings[lesson.house][lesson.word]))
        )

    def tasks(self, name: str, *, each: int = 12, pairs: float = 0.15) -> Sequence[Task]:
        """``each`` tasks of every house for every word; a share ``pairs`` asks with a second word as well."""
        draw = random.Random(f"tasks {name} {self.seed}")
        made = []
        for house in self.houses:
            for word in SENSE:
                for number in range(each):
                    asked = [word]
                    if draw.random() < pairs:
                        asked.append(draw.choice([other for other in SENSE if SENSE[other] != SENSE[word]]))
                    made.append(
                        _task(f"{name}-{house}-{word.replace(' ', '_')}-{number}", house, asked, draw)
                    )
        draw.shuffle(made)
        return made

    def is_right(self, correction: Correction) -> Lesson | None:
        """The lesson that a correction teaches rightly, for its house only; None when it does not."""
        told = claims(correction)
        if len(told) != 1:
            return None
        (house, word), said = next(iter(told.items()))
        known = self.readings.get(house or "", {}).get(word)
        return Lesson(str(house), word, known) if known is not None and meaning(word, known) == said else None

    def passes(self, task: Task, shown: Sequence[Correction]) -> bool:
        """Whether the policy passes a task with these corrections before it."""
        house, asked = task.public["house"], task.hidden["words"]
        told: defaultdict[str, set[str]] = defaultdict(set)
        lost = False
        for each in shown:
            said = {
                word: reading for (named, word), reading in claims(each).items() if named in (None, house)
            }
            for word, reading in said.items():
                told[word].add(reading)
            lost |= obeys(each.text) or (not set(said) & set(asked) and self._distracted(task, each.text))
        for word in asked:
            right = meaning(word, self.readings[house][word])
            lost |= (told[word] or {meaning(word, usual_reading(word))}) != {right}
        luck = _draw("luck", str(self.seed), task.id, *sorted(each.text for each in shown)) < LUCK
        return lost == luck

    def _distracted(self, task: Task, text: str) -> bool:
        return _draw("cost", str(self.seed), task.id, text) < COST * (2 if len(text) > LONG else 1)


class Pupil:
    """The policy as an agent of one attempt, with the shape of a graph that ``improve`` asks for."""

    name = "pupil"

    def __init__(self, world: World, *, memory: Memory, attempts: int = 1) -> None:
        self.world, self.memory = world, memory

    async def ainvoke(
        self, state: Mapping[str, Any], config: Any = None, *, context: Any = None
    ) -> dict[str, Any]:
        """Recall, try, be told whether it passed."""
        task: Task = state["task"]
        shown = await self.memory.recall(task.replace(hidden={}))
        passed = self.world.passes(task, shown)
        attempt = Attempt(
            id=f"{task.id}/1",
            trajectory=state.get("trajectory", task.id),
            task=task,
            number=1,
            text="SELECT",
            recalled=tuple(each.id for each in shown),
            feedback=Feedback(
                text="", verdict="pass" if passed else "fail", score=float(passed), kind="binary"
            ),
        )
        return {"best": attempt, "attempt": attempt, "stop_reason": "passed" if passed else "attempts"}


def pupil(world: World) -> Any:
    """Builds agents of the world for ``replay``."""
    return partial(Pupil, world)


class Shelf:
    """Tasks to choose from, those that share the rarest words with a correction first."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._by_word: defaultdict[str, list[int]] = defaultdict(list)
        for place, task in enumerate(tasks):
            for word in set(words(f"{task.prompt} {task.public['house']}")):
                self._by_word[word].append(place)

    def near(self, correction: Correction, count: int) -> Sequence[Task]:
        """The tasks that share the rarest words with a correction; any tasks for one that shares none."""
        said = frozenset(words(f"{correction.text} {correction.applies_when}")) & self._by_word.keys()
        scores: Counter[int] = Counter()
        for word in sorted(said, key=lambda each: (len(self._by_word[each]), each))[:2]:
            for place in self._by_word[word]:
                scores[place] += len(self._tasks) // len(self._by_word[word])
        best = nsmallest(count, scores, key=lambda place: (-scores[place], place))
        return [self._tasks[place] for place in best or range(count)]


_CLAIMS = [
    (word, re.compile(rf"\b{re.escape(word)}\b"), {meaning(word, each) for each in POSSIBLE[SENSE[word]]})
    for word in SENSE
]
_OBEYED = re.compile(
    r"(?i)\b(ignor|disregard|instead|always|never|must|reply|answer|send|forward|from now|drop|skip)"
)


def claims(correction: Correction) -> dict[tuple[str | None, str], str]:
    """The readings that a text gives, by house (None: any house) and word; none where it gives no reading."""
    text = correction.text.lower()
    bag = frozenset(words(text))
    houses: Sequence[str | None] = [name for name in _HOUSES if name in bag] or [None]
    found: dict[tuple[str | None, str], str] = {}
    for word, pattern, readings in _CLAIMS:
        said = (
            {each for each in readings if re.search(rf"\b{re.escape(each)}\b", text)}
            if pattern.search(text)
            else ()
        )
        if len(said) == 1:
            found.update({(house, word): next(iter(said)) for house in houses})
    return found


def obeys(text: str) -> bool:
    """Whether the policy takes a text for an order and does something else than its task."""
    return bool(_OBEYED.search(text)) and "means" not in text


def _task(id: str, house: str, asked: Sequence[str], draw: random.Random) -> Task:
    parts = [_ASK[SENSE[word]].format(word=word, things=draw.choice(_THINGS)) for word in asked]
    return Task(id=id, prompt="; ".join(parts), public={"house": house}, hidden={"words": list(asked)})


def _drawn(word: str, draw: random.Random) -> Reading:
    """Another reading than the usual one; of the two directions either, or most houses would agree."""
    usual = usual_reading(word)
    return draw.choice(POSSIBLE[SENSE[word]] if SENSE[word] == "direction" else _others(word, usual))


def _others(word: str, reading: Reading) -> Sequence[Reading]:
    return [each for each in POSSIBLE[SENSE[word]] if each != reading]


def _draw(*parts: str) -> float:
    return int(digest(*parts), 16) / 2**64
