import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from agentloop.errors import BadInput, ModelRefused, ModelUnavailable
from agentloop.models.retrying import Failure, Retries, passes, retry_after


class Broken(Exception):
    pass


class Flaky:
    """Fails ``times`` times, then answers."""

    def __init__(self, times):
        self.times = times
        self.asked = []

    async def __call__(self):
        self.asked.append(time.monotonic())
        if len(self.asked) <= self.times:
            raise Broken(f"number {len(self.asked)}")
        return "answer"


def ask(request, *, read=lambda error: Failure(told=str(error), passing=True), **policy):
    retries = Retries(**{"times": 3, "backoff_seconds": 0.01, **policy})
    return asyncio.run(retries.ask(request, name="m", errors=(Broken,), read=read))


def test_a_failure_that_passes_is_asked_again():
    flaky = Flaky(2)
    assert ask(flaky) == "answer"
    assert len(flaky.asked) == 3


def test_after_all_tries_the_last_failure_is_told():
    flaky = Flaky(9)
    with pytest.raises(ModelUnavailable, match="m did not answer in 4 tries; the last failed with: number 4"):
        ask(flaky)
    assert len(flaky.asked) == 4


def test_a_failure_that_stays_is_not_asked_again():
    flaky = Flaky(9)
    with pytest.raises(ModelRefused, match="m refused the request: number 1") as caught:
        ask(flaky, read=lambda error: Failure(told=str(error), passing=False))
    assert len(flaky.asked) == 1
    assert isinstance(caught.value.__cause__, Broken)


def test_an_error_of_another_kind_flies_through():
    async def request():
        raise KeyError("a mistake in the program")

    with pytest.raises(KeyError):
        ask(request)


def test_the_wait_grows_twofold_give_or_take_half():
    flaky = Flaky(3)
    ask(flaky, backoff_seconds=0.1)
    gaps = [after - before for before, after in zip(flaky.asked, flaky.asked[1:], strict=False)]
    for gap, meant in zip(gaps, (0.1, 0.2, 0.4), strict=True):
        assert 0.5 * meant <= gap <= 1.5 * meant + 1.0


def test_the_time_a_provider_asks_for_is_waited():
    flaky = Flaky(1)
    ask(flaky, read=lambda error: Failure(told="", passing=True, wait_seconds=0.3), backoff_seconds=0.0)
    assert flaky.asked[1] - flaky.asked[0] >= 0.3


def test_a_provider_that_asks_for_an_hour_is_given_up_at_once():
    flaky = Flaky(1)
    with pytest.raises(ModelUnavailable, match="asks to wait 3600 seconds"):
        ask(flaky, read=lambda error: Failure(told="", passing=True, wait_seconds=3600))
    assert len(flaky.asked) == 1


def test_a_call_that_hangs_is_cut_at_the_deadline():
    async def hangs():
        await asyncio.sleep(60)

    began = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"no answer within 0\.05 seconds"):
        ask(hangs, times=1, timeout_seconds=0.05)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("status", "again"),
    [(None, True), (200, True), (408, True), (429, True), (500, True), (503, True)]
    + [(status, False) for status in (400, 401, 403, 404, 413, 422)],
)
def test_only_what_may_pass_is_asked_again(status, again):
    assert passes(status) is again


def test_retry_after_is_read_as_seconds_or_as_a_date():
    later = datetime.now(UTC) + timedelta(seconds=60)
    assert retry_after({"retry-after": "1.5"}) == 1.5
    assert 55 <= retry_after({"retry-after": format_datetime(later)}) <= 60
    assert retry_after({"retry-after": format_datetime(later - timedelta(hours=1))}) == 0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None and retry_after(None) is None


@pytest.mark.parametrize("policy", [{"times": -1}, {"backoff_seconds": -1.0}, {"timeout_seconds": 0.0}])
def test_a_policy_that_makes_no_sense_is_refused(policy):
    with pytest.raises(BadInput, match="must be"):
        Retries(**policy)
