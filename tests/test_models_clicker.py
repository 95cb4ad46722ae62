"""The scripted policy on MiniWoB++ pages: what it solves, how it errs, and which words mend it."""

import asyncio
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from agentloop import Attempt, Feedback, improve, reflect_and_retry
from agentloop.environments import miniwob
from agentloop.environments.web import WebEnvironment, web_passes
from agentloop.environments.web.browser import Browser
from agentloop.errors import BadInput
from agentloop.models.clicker import Clicker, Err, knows
from agentloop.models.clicking.conversation import situation
from agentloop.models.clicking.reading import page_in
from agentloop.types import Message, Task

OF_THE_LIST = """
ascending-numbers choose-date circle-center click-collapsible-nodelay click-menu click-scroll-list
click-tab-2-easy click-test-transfer enter-text find-midpoint form-sequence-2 login-user-popup odd-or-even
resize-textarea sign-agreement social-media-some
""".split()  # noqa: SIM905
FURTHER = """
click-test click-test-2 click-button click-button-sequence click-dialog click-dialog-2 click-tab click-tab-2
click-tab-2-medium click-tab-2-hard click-link click-collapsible click-collapsible-2-nodelay navigate-tree
email-inbox email-inbox-delete email-inbox-important email-inbox-reply email-inbox-star-reply
social-media-all enter-text-2 enter-text-dynamic enter-password login-user enter-date choose-date-easy
choose-date-medium focus-text focus-text-2 simple-arithmetic read-table find-word choose-list
click-checkboxes click-checkboxes-transfer click-checkboxes-large click-option grid-coordinate click-color
unicode-test
""".split()  # noqa: SIM905
PAGE = r"""RootWebArea 'A \'page\'', url='http://x.test/'
  StaticText 'Click [9] button'
  [1] textbox 'User name' value='it\'s\nme', focused
  [2] combobox value='Two', options=['One', 'Two, and more'], further=3
    [12] clickable, colour='red', class='a b', at (-4, 61) size 12x13
  row 'Colour' | 'red'
  [3] checkbox, checked
Error: there is no mark '20'; did you mean [3] checkbox?
The task is over."""


@pytest.fixture(scope="module")
def environment(browser: Browser) -> Iterator[WebEnvironment]:
    if importlib.util.find_spec("miniwob") is None:
        pytest.skip("SKIPPED: no MiniWoB++ pages; pip install 'agentloop-toolkit[web]'")
    made = WebEnvironment(browser=browser)
    yield made
    made.close()


def passed(
    environment: WebEnvironment, model: Clicker, tasks: list[Task], folder: Path, **more: Any
) -> list[str]:
    """The ids of the tasks that were passed, in their order."""
    agent = reflect_and_retry(model=model, environment=environment, max_steps=30, **{"attempts": 1, **more})
    run = improve(agent, tasks, folder=folder, grader=web_passes, concurrency=2)
    won = {trajectory.task.id for trajectory in run.trajectories() if trajectory.passed}
    return [task.id for task in tasks if task.id in won]


def fails(attempt: Attempt) -> Feedback:
    """A critic that lets what the site says decide, and has nothing to say."""
    if web_passes(attempt):
        return Feedback(text="Right.", verdict="pass", score=1.0)
    return Feedback(text="Try again.", verdict="fail", score=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OF_THE_LIST, *FURTHER])
def test_twenty_seeds_of_a_page_pass(environment: WebEnvironment, name: str, tmp_path: Path) -> None:
    tasks = miniwob.tasks(name, range(20))
    assert passed(environment, Clicker(), tasks, tmp_path, critic=fails) == [task.id for task in tasks]


def test_a_seed_of_some_pages_of_the_list_passes(environment: WebEnvironment, tmp_path: Path) -> None:
    tasks = [task for name in OF_THE_LIST[::3] for task in miniwob.tasks(name, [100])]
    assert passed(environment, Clicker(), tasks, tmp_path, critic=fails) == [task.id for task in tasks]


ERRING = {
    "wrong_mark": ("click-test-transfer", "click-option", "enter-text"),
    "covered": ("choose-date", "login-user-popup"),
    "misread_goal": ("enter-text", "login-user", "click-option"),
    "stops_early": ("enter-text", "form-sequence-2", "click-test-transfer"),
}
MENDING = {
    "wrong_mark": "You clicked the wrong element.",
    "covered": "The button is covered by what lies over it; deal with that first.",
    "misread_goal": "You misread the goal.",
    "stops_early": "You stopped too early.",
}


@pytest.mark.slow
@pytest.mark.parametrize("err", get_args(Err))
def test_an_error_on_demand_fails_until_words_name_it(
    environment: WebEnvironment, err: Err, tmp_path: Path
) -> None:
    # with these seeds the page login-user-popup has its popup
    tasks = [task for name in ERRING[err] for task in miniwob.tasks(name, [1, 2])]

    def says(words: str) -> Any:
        def critic(attempt: Attempt) -> Feedback:
            own = fails(attempt)
            return own if own.verdict == "pass" else own.replace(text=words)

        return critic

    def won(words: str, attempts: int) -> list[str]:
        folder = tmp_path / f"{len(words)}-{attempts}"
        return passed(environment, Clicker((err,)), tasks, folder, critic=says(words), attempts=attempts)

    first = won("Try again.", 1)
    assert first == []
    assert won("Try again.", 2) == first, "the same error is made again"
    other = next(words for name, words in MENDING.items() if name != err)
    assert won(other, 2) == first, "words on something else do not mend it"
    assert won(MENDING[err], 2) == [task.id for task in tasks]


def test_which_goals_it_errs_at_depends_on_rate_and_seed_alone() -> None:
    goals = [f'Enter "{number}" into the text field and press Submit.' for number in range(200)]
    half = Clicker(("wrong_mark", "stops_early"), rate=0.5, seed=1)
    erring = [half.err(goal) for goal in goals]
    assert erring == [half.err(goal) for goal in goals]
    assert 70 < sum(err is not None for err in erring) < 130
    assert set(erring) == {None, "wrong_mark", "stops_early"}
    assert erring != [Clicker(("wrong_mark", "stops_early"), rate=0.5, seed=2).err(goal) for goal in goals]
    assert not any(Clicker().err(goal) for goal in goals)


def test_a_goal_that_it_does_not_know_is_given_up() -> None:
    assert not knows("Write a poem.")
    messages: list[Message] = [{"role": "user", "content": "Write a poem.\n\n<observation>\n</observation>"}]
    assert "report_infeasible" in asyncio.run(Clicker().complete(messages))[0].text


def test_an_unknown_error_is_refused_in_words() -> None:
    with pytest.raises(BadInput, match="sleeps"):
        Clicker(("sleeps",))  # type: ignore[arg-type]


def test_an_observation_is_read_with_marks_names_values_and_states() -> None:
    page = page_in(PAGE)
    field, listed, box, tick = page.of()
    assert (field.mark, field.role, field.name, field.value) == ("1", "textbox", "User name", "it's\nme")
    assert "focused" in field.states
    assert listed.listed["options"] == ("One", "Two, and more")
    assert (box.place, box.states["colour"], box.states["class"]) == ((-4, 61), "red", "a b")
    assert "checked" in tick.states
    assert page.texts() == ["Click [9] button"]
    assert page.below(listed) == [box]
    assert page.error == "there is no mark '20'; did you mean [3] checkbox?"
    assert [each.name for each in page.elements if each.role == "row"] == ["Colour | red"]


def test_a_conversation_is_read_with_the_attempt_before_and_what_was_said_of_it() -> None:
    def seen(text: str) -> str:
        return f"<observation>\n{text}\n</observation>"

    messages: list[Message] = [
        {"role": "system", "content": "You act."},
        {
            "role": "user",
            "content": f"Notes <corrections>\n- a\n</corrections>\n\nThe goal.\n\n{seen('start')}",
        },
        {"role": "assistant", "content": "```\nclick('1')\n```"},
        {"role": "user", "content": seen("two")},
        {"role": "assistant", "content": "click('2')"},
        {"role": "user", "content": f"{seen('three')}\n\n<feedback>\nNo.\n</feedback>"},
    ]
    told = situation(messages)
    assert (told.goal, told.observation, told.done, told.feedback) == ("The goal.", "start", (), "No.")
    assert told.before == ("```\nclick('1')\n```", "click('2')")
    now = situation(
        [
            *messages,
            {"role": "assistant", "content": "```\nclick('3')\n```"},
            {"role": "user", "content": seen("four")},
        ]
    )
    assert (now.observation, now.done, now.first) == ("four", ("click('3')",), "start")


def test_the_policy_keeps_no_state_between_calls() -> None:
    goal = 'Enter "Ada" into the text field and press Submit.'
    first = f"{goal}\n\n<observation>\n  [1] textbox value=''\n  [2] button 'Submit'\n</observation>"
    filled = "<observation>\n  [1] textbox value='Ada'\n  [2] button 'Submit'\n</observation>"
    model = Clicker()
    messages: list[Message] = [{"role": "user", "content": first}]
    reply = asyncio.run(model.complete(messages))[0].text
    assert reply == "```\nfill('1', 'Ada')\n```"
    more: list[Message] = [
        *messages,
        {"role": "assistant", "content": reply},
        {"role": "user", "content": filled},
    ]
    assert asyncio.run(Clicker().complete(more))[0].text == "```\nclick('2')\n```"
    assert asyncio.run(model.complete(messages))[0].text == reply
