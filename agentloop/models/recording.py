"""The hook through which a run stores and budgets every model call, wherever it is made.

A run sets ``recorder``; a model's ``complete`` is decorated with ``recorded`` and asks it. Thus a
model called inside a user's critic is journaled too, and no model needs to know of runs.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias

from agentloop.types import Message, Model, Reply

Ask: TypeAlias = Callable[..., Awaitable[Sequence[Reply]]]


class Recorder(Protocol):
    """What a run offers: the replies recorded for this request, or those that ``ask`` brings."""

    async def __call__(
        self, model: Model, messages: Sequence[Message], sampling: dict[str, Any], ask: Ask, /
    ) -> Sequence[Reply]:
        """Answer from the record, or ask and write the answer down before it is used."""
        ...


recorder: ContextVar[Recorder | None] = ContextVar("agentloop_recorder", default=None)


def recorded(complete: Any) -> Any:
    """Decorate a model's ``async complete(self, messages, /, **sampling)``.

    Defaults that the model holds in its attribute ``sampling`` are recorded as if they had been given.
    """

    @functools.wraps(complete)
    async def wrapper(self: Model, messages: Sequence[Message], /, **sampling: Any) -> Sequence[Reply]:
        sampling = {**getattr(self, "sampling", {}), **sampling}
        ask = functools.partial(complete, self)
        record = recorder.get()
        if record is None:
            return await ask(messages, **sampling)  # type: ignore[no-any-return]
        return await record(self, messages, sampling, ask)

    wrapper.is_recorded = True  # type: ignore[attr-defined]
    return wrapper
