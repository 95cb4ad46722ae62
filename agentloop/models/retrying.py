"""When a provider is asked again, after how long, and when it is given up."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from agentloop.errors import BadInput, ModelRefused, ModelUnavailable

T = TypeVar("T")
logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 120.0
"""A provider that asks for a longer wait than this is given up at once."""
_PASSING = (408, 409, 425, 429)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What went wrong with one request: whether it may pass, and how long the provider asked to wait."""

    told: str
    passing: bool
    wait_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Retries:
    """At most ``times`` further tries, each after twice the time of the one before, give or take half."""

    times: int = 5
    backoff_seconds: float = 1.0
    timeout_seconds: float = 120.0

    def __post_init__(self) -> None:
        if self.times < 0:
            raise BadInput(f"retries must be at least 0, got {self.times}")
        if self.backoff_seconds < 0 or self.timeout_seconds <= 0:
            raise BadInput(
                "backoff_seconds must be at least 0 and timeout_seconds above 0, got "
                f"{self.backoff_seconds} and {self.timeout_seconds}"
            )

    async def ask(
        self,
        request: Callable[[], Awaitable[T]],
        *,
        name: str,
        errors: tuple[type[Exception], ...],
        read: Callable[[Exception], Failure],
    ) -> T:
        """Ask until it answers. Of ``errors``, ``read`` tells which may pass; others fly through."""
        failure = Failure(told="", passing=True)
        for tried in range(self.times + 1):
            if tried:
                await asyncio.sleep(self._wait(failure, tried))
            try:
                # a deadline of our own, since a client's is per read on some transports
                async with asyncio.timeout(self.timeout_seconds):
                    return await request()
            except TimeoutError:
                failure = Failure(told=f"no answer within {self.timeout_seconds:g} seconds", passing=True)
            except errors as error:
                failure = read(error)
                if not failure.passing:
                    raise ModelRefused(f"{name} refused the request: {failure.told}") from error
                if (failure.wait_seconds or 0) > LONGEST_WAIT_SECONDS:
                    raise ModelUnavailable(
                        f"{name} asks to wait {failure.wait_seconds:g} seconds, longer than the "
                        f"{LONGEST_WAIT_SECONDS:g} that a run waits; start again later: {failure.told}"
                    ) from error
            logger.info("%s: try %d of %d failed: %s", name, tried + 1, self.times + 1, failure.told)
        raise ModelUnavailable(
            f"{name} did not answer in {self.times + 1} tries; the last failed with: {failure.told}. "
            "Raise retries or timeout_seconds, or lower the run's concurrency"
        )

    def _wait(self, failure: Failure, tried: int) -> float:
        grown = min(self.backoff_seconds * 2.0 ** (tried - 1), LONGEST_WAIT_SECONDS) * random.uniform(
            0.5, 1.5
        )
        if failure.wait_seconds is None:
            return grown
        # after the time asked for, spread out, so that those who wait do not all come back at once
        return failure.wait_seconds + min(grown, 0.1 * failure.wait_seconds + 0.01)


def passes(status: int | None) -> bool:
    """Whether a failure with this HTTP status may be gone the next time.

    No status means that no answer came, one below 400 an answer that could not be read.
    """
    return status is None or status < 400 or status in _PASSING or status >= 500


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """The seconds that a Retry-After header asks for, in either of its forms; None when there is none."""
    value = (headers or {}).get("retry-after")
    if value is None:
        return None
    with suppress(ValueError):
        return max(0.0, float(value))
    with suppress(ValueError):
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    return None
