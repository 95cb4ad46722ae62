"""Embeddings through LiteLLM, for a memory that finds texts by meaning."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agentloop.errors import TooFewReplies
from agentloop.models.chat import load_litellm
from agentloop.models.retrying import Failure, Retries, passes, retry_after


class LiteLLMEmbedder:
    """Turns texts into vectors with a model such as ``openai/text-embedding-3-small``.

    Call it with texts, or await ``embed(texts)`` where an event loop runs. ``dimension`` is asked of the
    provider when given, and otherwise known after the first call. LiteLLM repeats an embedding request
    up to twice by itself, within each of our tries and its deadline: it reads "no retries" as its default.
    """

    def __init__(
        self,
        name: str,
        *,
        dimension: int | None = None,
        retries: Retries | None = None,
        api_base: str | None = None,
        api_key: str | None = None,
    ) -> None:
        self.name = name
        self.dimension = dimension
        self.retries = retries or Retries()
        self.api_base = api_base
        self._asked = {"dimensions": dimension} if dimension else {}
        self._api_key = api_key

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text."""
        # in a thread of its own, since the caller's may run an event loop already
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self.embed(texts))).result()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector for each text."""
        if not texts:
            return []
        litellm = load_litellm()
        request = functools.partial(
            litellm.aembedding,
            model=self.name,
            input=list(texts),
            api_base=self.api_base,
            api_key=self._api_key,
            timeout=self.retries.timeout_seconds,
            num_retries=0,
            max_retries=0,
            caching=False,
            **self._asked,
        )
        errors = (litellm.exceptions.openai.OpenAIError,)
        answer = await self.retries.ask(request, name=self.name, errors=errors, read=_read)
        vectors = [list(map(float, each["embedding"])) for each in answer.data]
        if len(vectors) != len(texts):
            raise TooFewReplies(f"{self.name}: asked for {len(texts)} vectors, got {len(vectors)}")
        self.dimension = len(vectors[0])
        return vectors


def _read(error: Exception) -> Failure:
    status: Any = getattr(error, "status_code", None)
    told = " ".join(str(error).split())[:500]
    wait = retry_after(getattr(error, "litellm_response_headers", None))
    return Failure(told=told, passing=passes(status) and "Missing credentials" not in told, wait_seconds=wait)
