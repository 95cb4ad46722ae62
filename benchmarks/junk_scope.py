"""What a correction does to tasks it is for, to tasks that only sound like it, and to all others.

After RLVF (Stephan et al. 2024): feedback on one topic must not change what it was not about. In scope are
tasks with the lesson's word at its house; near it are tasks with the same word at other houses, which read
it in another way; out of scope are tasks without the word.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from junk_world import Lesson, World

from agentloop import Correction, Task
from agentloop.intervals import paired_difference
from agentloop.memories import CorrectionMemory

Form = Callable[[Lesson, str], Correction]
"""A lesson as it is kept, with its id."""


def bare(lesson: Lesson, id: str) -> Correction:
    """The words alone, as feedback puts them to somebody who knows where he is."""
    return Correction(id=id, text=lesson.text(0).partition(", ")[2])


def prose(lesson: Lesson, id: str) -> Correction:
    """The words, with a scope in prose."""
    others = "at any other house"
    return bare(lesson, id).replace(applies_when=f"the question is asked at {lesson.house}", not_when=others)


def exact(lesson: Lesson, id: str) -> Correction:
    """The words, with a condition on the task's public data."""
    return bare(lesson, id).replace(applies_when=f"house={lesson.house}")


FORMS: Mapping[str, Form] = {"no scope": bare, "scope in prose": prose, "exact scope": exact}


async def passed(world: World, form: Form, tasks: Sequence[Task]) -> Sequence[bool]:
    """What passes with the lessons of the first house in mind, kept in one of the forms."""
    with tempfile.TemporaryDirectory() as folder, CorrectionMemory(Path(folder)) as memory:
        for number, lesson in enumerate(each for each in world.lessons if each.house == world.houses[0]):
            await memory.record(form(lesson, f"lesson-{number}"))
        return [world.passes(task, await memory.preview(task)) for task in tasks]


def groups(world: World) -> Mapping[str, Sequence[Task]]:
    """Tasks in scope, near it and out of it of the lessons of the first house."""
    taught = {lesson.word for lesson in world.lessons if lesson.house == world.houses[0]}
    told: dict[str, list[Task]] = {"in scope": [], "near scope": [], "out of scope": []}
    for task in world.tasks("scope", each=6, pairs=0.0):
        if not set(task.hidden["words"]) & taught:
            told["out of scope"].append(task)
        elif task.public["house"] == world.houses[0]:
            told["in scope"].append(task)
        else:
            told["near scope"].append(task)
    return told


async def measure(seed: int = 0, houses: int = 12) -> Mapping[str, Mapping[str, tuple[float, float, float]]]:
    """By form and group: the change of the pass rate over no memory, with its interval."""
    world = _one_odd_house(houses, seed)
    found: dict[str, dict[str, tuple[float, float, float]]] = {name: {} for name in FORMS}
    for group, tasks in groups(world).items():
        alone = [world.passes(task, ()) for task in tasks]
        for name, form in FORMS.items():
            with_it = await passed(world, form, tasks)
            low, high = paired_difference(alone, with_it)
            found[name][group] = ((sum(with_it) - sum(alone)) / len(tasks), low, high)
    return found


def _one_odd_house(houses: int, seed: int) -> World:
    """A world in which one house is odd, and the others read most words in the usual way."""
    return World(houses, seed=seed, usual=14, odd=1)


async def scope_report(seed: int = 0) -> str:
    """The measurement as a table."""
    found = await measure(seed)
    sizes = {group: len(tasks) for group, tasks in groups(_one_odd_house(12, seed)).items()}
    lines = [
        "The lessons of one house of twelve, kept in three forms; change of the pass rate over no memory, "
        "with 95 % intervals (paired, bootstrap). Near scope is the same word at another house; the others "
        "read three words in four as is usual, which the agent knows. In every form the words alone do not "
        "name the house, and the scripted policy believes what it is shown.",
        "",
        "| kept with | " + " | ".join(f"{group} ({count})" for group, count in sizes.items()) + " |",
        "|---" * (1 + len(sizes)) + "|",
    ]
    for name, row in found.items():
        cells = (f"{change:+.2f} [{low:+.2f}, {high:+.2f}]" for change, low, high in row.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
