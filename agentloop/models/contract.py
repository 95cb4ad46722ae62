"""Whether a model keeps the contract of models: a check to run on one of your own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from agentloop.errors import BadInput, ModelRefused, TooFewReplies
from agentloop.models.recording import Ask, recorder
from agentloop.types import Message, Model, Reply

_MESSAGES: tuple[Message, ...] = (
    {"role": "system", "content": "Answer in one word."},
    {"role": "user", "content": "Name a colour."},
)


async def check_model(model: Model) -> None:
    """Ask ``model`` a few times; BadInput says which part of the contract it breaks.

    It makes about four requests, of at most 16 tokens each.
    """
    _require(model, isinstance(model.name, str) and bool(model.name), "name must be a text that is not empty")
    first = await model.complete(_MESSAGES, max_tokens=16)
    _check_replies(model, first, 1)
    with suppress(TooFewReplies, ModelRefused):  # refusing two is honest; giving one twice would not be
        _check_replies(model, await model.complete(_MESSAGES, n=2, max_tokens=16), 2)
    await _check_refuses(model)
    if getattr(model.complete, "is_recorded", False):
        await _check_recorded(model)


def _check_replies(model: Model, replies: Sequence[Reply], n: int) -> None:
    _require(model, len(replies) == n, f"asked for {n} replies, it gave {len(replies)}")
    _require(model, all(isinstance(reply, Reply) for reply in replies), "complete must return Reply records")
    calls = sum(reply.usage.calls for reply in replies)
    _require(model, 1 <= calls <= n, f"the usage of {n} replies must count 1 to {n} calls, it counts {calls}")
    for reply in replies:
        ids, logprobs = reply.token_ids, reply.logprobs
        _require(
            model, logprobs is None or all(each <= 0 for each in logprobs), "a log-probability is above 0"
        )
        same = ids is None or logprobs is None or len(ids) == len(logprobs)
        _require(model, same, "token_ids and logprobs differ in length")


async def _check_refuses(model: Model) -> None:
    try:
        await model.complete(_MESSAGES, n=0)
    except BadInput:
        return
    _require(model, False, "n=0 must raise BadInput")


async def _check_recorded(model: Model) -> None:
    seen: list[tuple[Sequence[Message], dict[str, Any]]] = []

    async def keep(
        asked: Model, messages: Sequence[Message], sampling: dict[str, Any], ask: Ask, /
    ) -> Sequence[Reply]:
        seen.append((messages, sampling))
        return await ask(messages, **sampling)

    token = recorder.set(keep)
    try:
        await model.complete(_MESSAGES, max_tokens=16)
    finally:
        recorder.reset(token)
    _require(model, len(seen) == 1, f"one request must pass the recorder once, it passed {len(seen)} times")
    _require(model, tuple(seen[0][0]) == _MESSAGES, "the recorder must see the messages as they were given")
    _require(model, seen[0][1].get("max_tokens") == 16, "the recorder must see the sampling settings")


def _require(model: Model, holds: bool, rule: str) -> None:
    if not holds:
        raise BadInput(f"{getattr(model, 'name', model)!r} breaks the contract of models: {rule}")
