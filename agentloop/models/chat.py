"""The one door to all chat models, and the models behind LiteLLM.

LiteLLM loads on the first request. Its own retries, cache and price download stay off: the retry
policy is ours (retrying.py), and a price it does not know is unknown, never zero.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentloop.errors import BadInput, MissingExtra, ModelRefused, TooFewReplies
from agentloop.models.pictures import with_pictures
from agentloop.models.recording import recorded
from agentloop.models.retrying import Failure, Retries, passes, retry_after
from agentloop.models.sampling import checked
from agentloop.prompts import Prompts
from agentloop.types import Message, Reply, Usage

if TYPE_CHECKING:
    from agentloop.models.local import LocalModel

logger = logging.getLogger(__name__)

_NOT_SAMPLING = {
    "api_key": "set the provider's environment variable, or give api_key to ChatModel: settings are recorded",
    "stream": "whole replies are returned",
    "tools": "replies are texts",
    "functions": "replies are texts",
    "messages": "messages are the first argument of complete",
    "model": "the model is chosen when it is made",
}


def ChatModel(
    name: str,
    *,
    retries: int = 5,
    backoff_seconds: float = 1.0,
    timeout_seconds: float = 120.0,
    n_per_call: int | None = None,
    prompts: Prompts | None = None,
    api_base: str | None = None,
    api_key: str | None = None,
    images: str | Path | None = None,
    sees: bool | None = None,
    **sampling: Any,
) -> LiteLLMModel | LocalModel:
    """A chat model by name: ``local/tiny``, ``local/PATH`` of a checkpoint, or any name LiteLLM knows.

    ``sampling`` (temperature, top_p, max_tokens, seed, stop, n, logprobs) holds for every request
    that does not say otherwise; ``device``, ``dtype`` and what else ``LocalModel`` takes may stand
    among them. Retries and time-outs concern models reached through LiteLLM, whose names carry the
    provider, as in ``openai/gpt-4o-mini``, or ``hosted_vllm/NAME`` with
    ``api_base="http://127.0.0.1:8000/v1"``; keys come from the provider's environment variable.

    ``images`` is a folder of screenshots: a model that sees is sent the picture ``DIGEST.png`` of it
    wherever a message has the line ``[screenshot DIGEST]``. Whether it sees is what LiteLLM knows of it,
    unless ``sees`` says so.
    """
    if name.startswith("local/"):
        from agentloop.models.local import LocalModel

        if api_base or api_key or n_per_call:
            raise BadInput(f"{name} runs in this process; it takes no api_base, api_key or n_per_call")
        if images is not None or sees:
            raise BadInput(f"{name} runs in this process and sees no pictures; leave images and sees out")
        return LocalModel(name.removeprefix("local/"), name=name, prompts=prompts, **sampling)
    return LiteLLMModel(
        name,
        retries=Retries(times=retries, backoff_seconds=backoff_seconds, timeout_seconds=timeout_seconds),
        n_per_call=n_per_call,
        prompts=prompts,
        api_base=api_base,
        api_key=api_key,
        images=images,
        sees=sees,
        **sampling,
    )


class LiteLLMModel:
    """A model behind LiteLLM; usually made by ``ChatModel(name)``.

    Some servers ignore ``n``: asked for three replies they give one, which raises ``TooFewReplies``.
    ``n_per_call=1`` then asks for each reply in a request of its own, with seeds that count up from
    ``seed``. The cost of a request stands on its first reply. ``policy`` is the name by which the
    provider last answered.
    """

    prefix = weights = False

    def __init__(
        self,
        name: str,
        *,
        retries: Retries | None = None,
        n_per_call: int | None = None,
        prompts: Prompts | None = None,
        api_base: str | None = None,
        api_key: str | None = None,
        images: str | Path | None = None,
        sees: bool | None = None,
        **sampling: Any,
    ) -> None:
        if not name:
            raise BadInput("a model needs a name, such as 'local/tiny' or 'openai/gpt-4o-mini'; got ''")
        if n_per_call is not None and n_per_call < 1:
            raise BadInput(f"n_per_call must be at least 1, got {n_per_call}")
        if sees is not None and images is None:
            raise BadInput(
                "sees says that a model sees pictures; give images, the folder they lie in, as well"
            )
        self.name = name
        self.policy: str | None = None
        self.prompts = prompts
        self.retries = retries or Retries()
        self.n_per_call = n_per_call
        self.api_base = api_base
        self.sampling = sampling
        self.images = Path(images) if images is not None else None
        self._api_key = api_key
        self._sees = sees
        _checked(sampling)

    @functools.cached_property
    def logprobs(self) -> bool:
        """Whether LiteLLM passes a wish for log-probabilities on to this provider."""
        return "logprobs" in self._known

    @functools.cached_property
    def sees(self) -> bool:
        """Whether it is sent pictures: it has a folder of them, and sees as far as is known."""
        if self.images is None or self._sees is not None:
            return bool(self._sees)
        sees = bool(load_litellm().supports_vision(model=self.name))
        if not sees:
            _say_once(f"{self.name} is not known to see pictures and is sent none; sees=True sends them")
        return sees

    @functools.cached_property
    def _known(self) -> Sequence[str]:
        """The settings LiteLLM passes on to this provider."""
        litellm = load_litellm()
        try:
            known = litellm.get_supported_openai_params(model=self.name)
        except litellm.exceptions.BadRequestError:
            known = None
        return known or ("n", "seed", "logprobs")

    @recorded
    async def complete(self, messages: Sequence[Message], /, **sampling: Any) -> Sequence[Reply]:
        """Sample ``n`` replies; settings that LiteLLM takes beside ours are passed on."""
        settings = _checked(sampling)
        if not load_litellm.cache_info().currsize:
            await asyncio.to_thread(load_litellm)  # seconds, in which the event loop is not to stand still
        n = settings.pop("n", 1)
        self._drop_seed(settings)
        if n > 1 and self.n_per_call is None and "n" not in self._known:
            raise ModelRefused(
                f"{self.name}: asked for {n} replies, and this provider gives one a request; "
                "use ChatModel(..., n_per_call=1) to send a request for each"
            )
        sizes = _portions(n, self.n_per_call or n)
        sent: Sequence[Any] = messages
        if self.images is not None and self.sees:
            sent = await asyncio.to_thread(with_pictures, messages, self.images)
        asked = [self._ask(sent, {**settings, **_nth(settings, at)}, size) for at, size in enumerate(sizes)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        replies: list[Reply] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            replies.extend(answer)
        return replies

    async def _ask(self, messages: Sequence[Any], settings: dict[str, Any], n: int) -> list[Reply]:
        litellm, began = load_litellm(), time.perf_counter()
        request = functools.partial(
            litellm.acompletion,
            model=self.name,
            messages=list(messages),
            api_base=self.api_base,
            api_key=self._api_key,
            timeout=self.retries.timeout_seconds,
            num_retries=0,
            max_retries=0,
            caching=False,
            **({"n": n} if n > 1 else {}),
            **_with_token_ids(self.name, settings),
        )
        answer = await self.retries.ask(
            request, name=self.name, errors=(litellm.exceptions.openai.OpenAIError,), read=self._read
        )
        self.policy = getattr(answer, "model", None) or self.name
        replies = [_reply(choice, answer) for choice in answer.choices[:n]]
        if len(replies) < n:
            raise TooFewReplies(
                f"{self.name}: asked for {n} replies, got {len(replies)}; a server that ignores n is asked "
                "for each reply by itself with ChatModel(..., n_per_call=1)"
            )
        if settings.get("logprobs") and any(reply.logprobs is None for reply in replies):
            raise ModelRefused(f"{self.name}: asked for log-probabilities, and the server sent none")
        usage = _usage(answer, seconds=time.perf_counter() - began)
        return [replies[0].replace(usage=usage), *replies[1:]]

    def _drop_seed(self, settings: dict[str, Any]) -> None:
        if "seed" in settings and "seed" not in self._known:
            del settings["seed"]
            _say_once(f"{self.name} takes no seed; its replies cannot be had again by asking again")

    def _read(self, error: Exception) -> Failure:
        """What an error of LiteLLM means; a missing key comes as a server error with some providers."""
        status = getattr(error, "status_code", None)
        headers = getattr(error, "litellm_response_headers", None)
        told = " ".join(str(error).split())[:500]
        keyless = status in (401, 403) or "Missing credentials" in told
        if keyless or headers is None:
            told = self._missing_key() + told
        spent = "insufficient_quota" in told or "exceeded your current quota" in told
        passing = passes(status) and not keyless and not spent
        return Failure(told=told, passing=passing, wait_seconds=retry_after(headers))

    def _missing_key(self) -> str:
        if self._api_key is not None or self.api_base is not None:
            return ""
        missing = load_litellm().validate_environment(self.name)["missing_keys"]
        return f"set the environment variable {' and '.join(missing)}. " if missing else ""


@functools.cache
def load_litellm() -> Any:
    """LiteLLM, kept from fetching its price list from the network while it is imported."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_LOG", "ERROR")  # the level of its own handler on standard error
    try:
        import litellm
    except ImportError as error:
        raise MissingExtra("a model reached through LiteLLM", "litellm", "all") from error
    litellm.suppress_debug_info = True  # it prints advice to standard output at every error otherwise
    return litellm


@functools.cache
def _say_once(text: str) -> None:
    logger.warning("%s", text)


def _checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    for name, reason in _NOT_SAMPLING.items():
        if name in settings:
            raise BadInput(f"{name} is not a sampling setting: {reason}")
    return checked(settings)


def _portions(n: int, most: int) -> list[int]:
    """``n`` in portions of at most ``most``."""
    return [min(most, n - start) for start in range(0, n, most)]


def _nth(settings: Mapping[str, Any], at: int) -> dict[str, Any]:
    """The seed of the request number ``at``: the same seed twice would give the same reply twice."""
    return {"seed": settings["seed"] + at} if "seed" in settings else {}


def _with_token_ids(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Ask vLLM for token ids, which it tells only when asked; an ``extra_body`` of the caller's stands."""
    if not settings.get("logprobs") or not name.startswith("hosted_vllm/") or "extra_body" in settings:
        return settings
    return {**settings, "extra_body": {"return_token_ids": True}}


def _reply(choice: Any, answer: Any) -> Reply:
    extra = getattr(choice, "provider_specific_fields", None) or {}
    ids, prompt = extra.get("token_ids"), getattr(answer, "prompt_token_ids", None)
    said = getattr(getattr(choice, "logprobs", None), "content", None)
    return Reply(
        text=choice.message.content or "",
        token_ids=tuple(ids) if ids is not None else None,
        prompt_token_ids=tuple(prompt) if ids is not None and prompt is not None else None,
        logprobs=tuple(token.logprob for token in said) if said is not None else None,
        finish_reason=choice.finish_reason,
    )


def _usage(answer: Any, *, seconds: float) -> Usage:
    counted = getattr(answer, "usage", None)
    return Usage(
        calls=1,
        tokens_in=getattr(counted, "prompt_tokens", None) or 0,
        tokens_out=getattr(counted, "completion_tokens", None) or 0,
        dollars=answer._hidden_params.get("response_cost"),
        seconds=round(seconds, 6),
    )
