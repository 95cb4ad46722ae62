"""The shop without a browser shows and tells what the browser does."""

import asyncio

import pytest

from agentloop.environments.shop import tasks
from agentloop.environments.shop.text_shop import TextShop
from agentloop.environments.web import WebEnvironment
from agentloop.environments.web.browser import Browser
from agentloop.types import Fact, Step

TASKS = tasks("train", 3)
WALK = (
    "fill('1', 'made of kitchen')",
    "click('2')",
    "click('13')",
    "go_back()",
    "click('5')",
    "click('99')",
    "I think.\n```\nclick('3')\n```",
    "nothing",
    "click('1')",
    "fill('1', 'zzz')",
    "click('2')",
    "fill('1', 'teapot stackable')",
    "click('2')",
    "click('4')",
    "click('7')",
    "click('3')",
)


def walked(task_at: int, *actions: str) -> list[Step]:
    session = TextShop()(TASKS[task_at])
    return [session.step(action) for action in actions]


async def in_the_browser(browser: Browser, actions: tuple[str, ...]) -> tuple[str, list[Step], list[Fact]]:
    session = WebEnvironment(browser=browser)(TASKS[0])
    try:
        prompt = await session.prompt()
        steps = [await session.step(action) for action in actions]
        return prompt, steps, list(await session.final())
    finally:
        await session.close()


def test_a_walk_through_all_pages_is_told_word_for_word_as_in_the_browser(browser: Browser) -> None:
    session = TextShop()(TASKS[0])
    bought = session.step("fill('1', 'teapot')"), session.step("click('2')"), session.step("click('3')")
    buy = bought[-1].observation.partition("] button 'Buy now'")[0].rpartition("[")[2]
    session = TextShop()(TASKS[0])
    walk = (*WALK, "go_back()", "click('3')", f"click('{buy}')")
    prompt = session.prompt()
    steps = [session.step(action) for action in walk]
    seen, shown, final = asyncio.run(in_the_browser(browser, walk))
    assert prompt == seen
    for ours, theirs in zip(steps, shown, strict=True):
        assert ours.observation == theirs.observation
        assert ours.facts == theirs.facts
        assert (ours.done, ours.reward) == (theirs.done, theirs.reward)
    assert list(session.final()) == final


def test_a_purchase_ends_the_attempt_with_its_facts() -> None:
    steps = walked(0, "fill('1', 'teapot')", "click('2')", "click('3')")
    buy = steps[-1].observation.partition("] button 'Buy now'")[0].rpartition("[")[2]
    step = walked(0, "fill('1', 'teapot')", "click('2')", "click('3')", f"click('{buy}')")[-1]
    assert step.done and step.reward is not None
    assert [fact.kind for fact in step.facts] == ["page", "changed", "reward", "purchase", "constraints"]


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("hover('1')", "without a browser"),
        ("fill('2', 'x')", "takes no text"),
        ("go_back()", "no page to go back to"),
        ("click('77')", "there is no mark"),
        ("click", "no action"),
        ("goto('http://example.org/')", "without a browser"),
    ],
)
def test_an_action_that_cannot_be_carried_out_is_told_and_changes_nothing(action: str, said: str) -> None:
    session = TextShop()(TASKS[0])
    before = session.prompt()
    step = session.step(action)
    assert said in step.observation and not step.done
    assert session.prompt() == before


def test_an_attempt_without_a_purchase_ends_with_a_reward_of_0() -> None:
    session = TextShop()(TASKS[0])
    assert session.step("send_msg_to_user('bought it')").done
    assert session.final()[0].data == {"reward": 0.0, "passed": False, "done": False}
