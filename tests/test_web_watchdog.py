"""The watchdog alone, on pages that are played: when a page counts as endless, and when it is given time."""

import asyncio
import time
from typing import Any

from agentloop.environments.web.watchdog import (
    COMPUTED_SECONDS,
    PATIENCE_SECONDS,
    Watchdog,
    machines_crowding,
)


class PlayedPage:
    """A page that answers after so many seconds, and computes for ``share`` of the time until then."""

    workers: list[Any] = []

    def __init__(self, *, answers_after: float, share: float = 1.0, tells: bool = True) -> None:
        self.began = time.monotonic()
        self.answers_after = answers_after
        self.share = share
        self.tells = tells

    async def send(self, method: str, _: Any = None) -> Any:
        passed = time.monotonic() - self.began
        if method == "Runtime.evaluate":
            await asyncio.sleep(self.answers_after - passed)
            return {}
        if not self.tells:
            await asyncio.sleep(60)
        return {
            "metrics": [
                {"name": "Timestamp", "value": 1},
                {"name": "ThreadTime", "value": passed * self.share},
            ]
        }


def judged(page: PlayedPage, *, crowding: float, watched: float) -> float | None:
    """After how many seconds the page was found endless; None when it was not within ``watched`` seconds."""

    async def whole() -> float | None:
        found = asyncio.get_running_loop().create_future()

        async def endless(_: Any) -> None:
            if not found.done():
                found.set_result(time.monotonic() - page.began)

        dog = Watchdog(lambda: [page], {page: page}, endless, crowding=lambda: crowding)  # type: ignore[dict-item,list-item,return-value]
        watching = asyncio.ensure_future(dog.watch())
        try:
            return await asyncio.wait_for(found, watched)
        except TimeoutError:
            return None
        finally:
            watching.cancel()

    return asyncio.run(whole())


def test_a_page_that_computes_and_does_not_answer_is_endless() -> None:
    seconds = judged(PlayedPage(answers_after=60), crowding=1, watched=10)
    assert seconds is not None and seconds >= PATIENCE_SECONDS


def test_it_is_so_on_a_crowded_machine_too() -> None:
    seconds = judged(PlayedPage(answers_after=60), crowding=4, watched=PATIENCE_SECONDS * 3)
    assert seconds is not None


def test_a_page_that_answers_in_time_is_left_alone() -> None:
    assert judged(PlayedPage(answers_after=1.2), crowding=1, watched=3) is None


def test_a_page_that_gets_no_time_to_compute_on_a_crowded_machine_is_given_more() -> None:
    starved = PlayedPage(answers_after=3.5, share=COMPUTED_SECONDS / 10)
    assert judged(starved, crowding=4, watched=5) is None


def test_what_is_stuck_without_computing_is_endless_in_the_end() -> None:
    seconds = judged(PlayedPage(answers_after=60, share=0), crowding=2, watched=10)
    assert seconds is not None and seconds >= 2 * PATIENCE_SECONDS


def test_a_page_that_tells_nothing_at_all_is_endless_in_the_end() -> None:
    assert judged(PlayedPage(answers_after=60, tells=False), crowding=1, watched=10) is not None


def test_no_machine_is_more_than_four_times_as_slow() -> None:
    assert 1.0 <= machines_crowding() <= 4.0
