"""A check that any memory keeps the promises of ``agentloop.types.Memory``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from agentloop.errors import AgentloopError
from agentloop.types import Correction, Memory, Task, correction_id


class BrokenContract(AgentloopError, AssertionError):
    """A memory does not keep a promise; the message says which, and what it did instead."""


async def check_memory(factory: Callable[[], Memory]) -> None:
    """Raise BrokenContract unless what ``factory`` makes is a memory; each call must give an empty one.

    The corrections used have the task's id as their ``key``, and the task's prompt is its id, so
    that memories by task and by similarity are both asked fairly.
    """
    checks = [
        _starts_empty,
        _finds_what_was_recorded,
        _counts_once,
        _keeps_to_the_limit,
        _ignores_hidden_data,
    ]
    for check in checks:
        memory = factory()
        try:
            await check(memory)
        finally:
            close = getattr(memory, "close", None)
            if close is not None:
                await _maybe(close())


def _task(name: str = "list the boats of the harbour", **hidden: Any) -> Task:
    return Task(id=name, prompt=name, hidden=hidden)


def _correction(number: int, task: Task) -> Correction:
    text = f"at the harbour, boats are listed by length, rule {number}"
    return Correction(id=correction_id("", f"trajectory {number}", text), text=text, key=task.id)


async def _starts_empty(memory: Memory) -> None:
    found = await _recall(memory, _task())
    _promise(not found, f"a new memory recalls nothing; it recalled {found}")


async def _finds_what_was_recorded(memory: Memory) -> None:
    task = _task()
    wanted = _correction(1, task)
    await _maybe(memory.record(wanted))
    found = await _recall(memory, task)
    _promise([each.id for each in found] == [wanted.id], f"recall returns what was recorded; got {found}")
    _promise(found[0].text == wanted.text, f"the text comes back as it was recorded; got {found[0].text!r}")


async def _counts_once(memory: Memory) -> None:
    task = _task()
    wanted = _correction(1, task)
    for _ in range(2):
        await _maybe(memory.record(wanted))
    found = await _recall(memory, task)
    _promise(len(found) == 1, f"the same id recorded twice counts once; recall returned {len(found)}")
    for trajectory, helped in [("t1", True), ("t1", True), ("t2", False)]:
        await _maybe(memory.settle(wanted.id, trajectory=trajectory, helped=helped))
    (held,) = await _recall(memory, task)
    counts = (held.helped, held.hurt)
    _promise(counts == (1, 1), f"settle counts once for each trajectory: (1, 1) wanted, got {counts}")


async def _keeps_to_the_limit(memory: Memory) -> None:
    task = _task()
    for number in range(4):
        await _maybe(memory.record(_correction(number, task)))
    wide, narrow = await _recall(memory, task, limit=3), await _recall(memory, task, limit=1)
    _promise(len(narrow) == 1 and len(wide) <= 3, f"recall keeps to limit; got {len(narrow)} and {len(wide)}")
    _promise(
        narrow[0].id == wide[0].id, "the best comes first: a smaller limit gives the head of a larger one"
    )
    none = await _recall(memory, task, limit=0)
    _promise(not none, f"a limit of 0 recalls nothing; got {none}")


async def _ignores_hidden_data(memory: Memory) -> None:
    task = _task()
    for number in range(3):
        await _maybe(memory.record(_correction(number, task)))
    with_hidden = await _recall(memory, _task(answer="by length, rule 2", rows="boats of the harbour"))
    without = await _recall(memory, task)
    same = [each.id for each in with_hidden] == [each.id for each in without]
    _promise(same, "hidden data of the task must not change what is recalled")


async def _recall(memory: Memory, task: Task, *, limit: int = 5) -> Sequence[Correction]:
    found: Sequence[Correction] = await _maybe(memory.recall(task, limit=limit))
    return found


async def _maybe(result: Awaitable[Any] | Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def _promise(kept: bool, message: str) -> None:
    if not kept:
        raise BrokenContract(message)
