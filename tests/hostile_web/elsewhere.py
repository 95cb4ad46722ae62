"""All attacks in a process of their own: of another user, or with less of a kernel.

    python -m tests.hostile_web.elsewhere

Prints JSON: the layers that were put on, and what came of each attack.
"""

from __future__ import annotations

import asyncio
import json

from agentloop.environments.web.browser import Browser
from tests.hostile_web.attacks import ATTACKS, Attack
from tests.hostile_web.trying import Outcome, World, all_of, attempt
from tests.hostile_web.windows import guarded, next_episode_works


def main() -> None:
    """Carry out the attacks."""
    browser = Browser()

    async def each(world: World, attack: Attack) -> dict[str, object]:
        outcome, works = await one(world, browser, attack)
        return {"name": outcome.name, "harms": outcome.harms, "works": works, "seconds": outcome.seconds}

    outcomes = browser.do(all_of(ATTACKS, each))
    browser.close()
    print(json.dumps({"layers": browser.layers, "outcomes": outcomes}))


async def one(world: World, browser: Browser, attack: Attack) -> tuple[Outcome, bool]:
    """One attack, and whether the next episode works after it."""
    outcome = await attempt(world, attack, lambda: guarded(browser, world.server.origin))
    return outcome, await asyncio.wait_for(next_episode_works(browser), 30)


if __name__ == "__main__":
    main()
