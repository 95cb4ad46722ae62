"""A chat model that says what it was told to say: for tests, demonstrations and dry runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from agentloop.errors import BadInput, TooFewReplies
from agentloop.models.recording import recorded
from agentloop.prompts import Prompts
from agentloop.types import Message, Reply, Usage

Line: TypeAlias = str | Reply | BaseException
"""One thing to say: a text, a whole reply (token ids and log-probs included), or an error to raise."""

Script: TypeAlias = Callable[
    [Sequence[Message], dict[str, Any]], Line | Sequence[Line] | Awaitable[Line | Sequence[Line]]
]
"""Chooses what to say from the messages and the sampling settings."""


class ScriptedModel:
    """Says ``replies`` in order, or what a function of (messages, sampling) chooses.

    A function gives the same replies whatever order concurrent calls come in. Asked for ``n``
    replies, one that gives a list has to give ``n``; one that gives a single text is called ``n``
    times with ``sampling["sample"]`` counting from 0. A list of replies gives the next ``n`` of it,
    and running out is an error; for a run that is to be resumed give a function, since what is
    replayed from the journal does not reach the model.

    ``calls``, ``tokens_in`` and ``tokens_out`` count what was asked, a token being a word between
    blanks; ``requests`` keeps the messages of each call.
    """

    def __init__(
        self,
        replies: Sequence[Line] | Script,
        *,
        name: str = "scripted",
        policy: str | None = None,
        prompts: Prompts | None = None,
        delay_seconds: float = 0.0,
    ) -> None:
        if isinstance(replies, str):
            raise BadInput(f"replies must be a list of texts or a function, got the text {replies!r:.60}")
        self._script: Script | None = replies if callable(replies) else None
        self._lines: list[Line] = [] if callable(replies) else list(replies)
        self._said = 0
        self.name = name
        self.policy = policy
        self.prompts = prompts
        self.delay_seconds = delay_seconds
        self.prefix = self.logprobs = self.weights = False
        self.calls = self.tokens_in = self.tokens_out = 0
        self.requests: list[Sequence[Message]] = []

    @property
    def usage(self) -> Usage:
        """All calls so far, added up; a script costs nothing."""
        return Usage(calls=self.calls, tokens_in=self.tokens_in, tokens_out=self.tokens_out)

    @recorded
    async def complete(self, messages: Sequence[Message], /, **sampling: Any) -> Sequence[Reply]:
        """Say the next ``n`` lines, or raise the error that stands among them."""
        n = sampling.get("n", 1)
        if n < 1:
            raise BadInput(f"n must be at least 1, got {n}")
        self.calls += 1
        self.requests.append(messages)
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        lines = (
            self._next(n) if self._script is None else await self._choose(self._script, messages, sampling, n)
        )
        words = sum(len(message["content"].split()) for message in messages)
        self.tokens_in += words
        # the prompt is counted once for all the replies to it, as providers do
        return [self._reply(line, 0 if at else 1, 0 if at else words) for at, line in enumerate(lines)]

    def _next(self, n: int) -> Sequence[Line]:
        start, self._said = self._said, self._said + n
        if self._said > len(self._lines):
            raise BadInput(
                f"the script is used up: it holds {len(self._lines)} replies, and call {self.calls} asks for "
                f"number {start + 1} to {self._said}; give more, or a function of (messages, sampling)"
            )
        return self._lines[start : self._said]

    async def _choose(
        self, script: Script, messages: Sequence[Message], sampling: dict[str, Any], n: int
    ) -> Sequence[Line]:
        lines: list[Line] = []
        while len(lines) < n:
            chosen = script(messages, {**sampling, "sample": len(lines)})
            if inspect.isawaitable(chosen):
                chosen = await chosen
            if isinstance(chosen, (str, Reply, BaseException)):
                lines.append(chosen)
                continue
            if len(chosen) != n:
                raise TooFewReplies(f"{self.name}: asked for {n} replies, the script gave {len(chosen)}")
            return list(chosen)
        return lines

    def _reply(self, line: Line, calls: int, words: int) -> Reply:
        if isinstance(line, BaseException):
            raise line
        text = line if isinstance(line, str) else line.text
        ids = None if isinstance(line, str) else line.token_ids
        spoken = len(ids or text.split())
        self.tokens_out += spoken
        usage = Usage(calls=calls, tokens_in=words, tokens_out=spoken)
        if isinstance(line, str):
            return Reply(text=line, finish_reason="stop", usage=usage)
        return line.replace(usage=usage)
