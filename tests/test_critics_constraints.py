"""The critics of constraints and of page changes: what is unmet, what to keep, what was done in vain."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.critics import constraint_critic, page_difference_critic
from agentloop.critics.levels import Detail
from agentloop.errors import BadInput
from agentloop.types import Attempt, Fact, Step, Task

LEVELS = get_args(Detail)
RED, SIZE = {"name": "colour", "wanted": "red"}, {"name": "size", "wanted": "M"}


def constraints(met: list[Any], unmet: list[Any]) -> Fact:
    return Fact(kind="constraints", data={"met": met, "unmet": unmet})


def reward(*, passed: bool, done: bool = True, value: float = 0.0) -> Fact:
    return Fact(kind="reward", data={"reward": value, "passed": passed, "done": done})


def changed(*added: str, removed: tuple[str, ...] = (), **more: Any) -> Fact:
    return Fact(kind="changed", data={"added": list(added), "removed": list(removed), **more})


def step(action: str, *facts: Fact, sees: str = "page") -> Step:
    return Step(action=action, observation=sees, facts=facts)


def attempt(*steps: Step, final: tuple[Fact, ...] = ()) -> Attempt:
    text = steps[-1].action if steps else ""
    task = Task(id="t", prompt="?")
    return Attempt(id="a", trajectory="x", task=task, number=1, text=text, steps=steps, facts=final)


WRONG = constraints([SIZE], [{**RED, "got": "blue"}, {"name": "price", "wanted": "< 30", "got": None}])


def test_unmet_constraints_are_told_at_every_level_of_detail() -> None:
    made = attempt(step("click('1')", WRONG, reward(passed=False)))
    where = "`colour` and `price` are not as wanted."
    assert [constraint_critic(level)(made).text for level in LEVELS] == [
        "Try again.",
        "Your answer is wrong. Answer again.",
        where,
        f"{where} colour: `red` is wanted, got `blue`. price: `< 30` is wanted, got nothing. "
        "Right already, and to be kept: size (`M`).",
    ]
    found = [constraint_critic(level)(made) for level in LEVELS]
    assert {(each.verdict, each.score) for each in found} == {("fail", 1 / 3)}
    assert [each.kind for each in found] == ["unary", "binary", "critique", "critique"]
    assert [bool(each.items) for each in found] == [False, False, True, True]
    assert found[-1].items == {"size": "met", "colour": "unmet", "price": "unmet"}


@pytest.mark.parametrize(
    ("facts", "verdict", "score"),
    [
        ([constraints([RED, SIZE], []), reward(passed=True)], "pass", 1.0),
        ([constraints([RED, SIZE], []), reward(passed=False)], "fail", 0.9),
        ([constraints([RED, SIZE], []), reward(passed=False, done=False)], "unsure", 0.9),
        ([constraints([RED, SIZE], [])], "unsure", 0.9),
        ([WRONG], "fail", 1 / 3),
        ([WRONG, reward(passed=True)], "fail", 1 / 3),
        ([reward(passed=False)], "fail", None),
        ([], "unsure", None),
    ],
)
def test_an_unmet_constraint_fails_and_only_the_site_lets_pass(
    facts: list[Fact], verdict: str, score: float | None
) -> None:
    feedback = constraint_critic()(attempt(step("x", *facts)))
    assert (feedback.verdict, feedback.score) == (verdict, score)


def test_the_latest_constraints_count_wherever_they_stand() -> None:
    early = attempt(step("x", WRONG), step("y"))
    assert "`colour`" in constraint_critic("located")(early).text
    mended = attempt(step("x", WRONG), step("y", constraints([RED], []), reward(passed=True)))
    assert constraint_critic()(mended).text == "Every constraint of the goal is met."
    final = attempt(step("x", constraints([RED], [])), final=(WRONG,))
    assert "`colour`" in constraint_critic("located")(final).text


def test_an_attempt_that_did_not_get_that_far_is_told_so() -> None:
    assert "did not get that far" in constraint_critic()(attempt(step("x"))).text
    assert "did not get that far" in constraint_critic("located")(attempt()).text


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_every_constraint_is_named_once_on_its_own_side(states: list[bool]) -> None:
    each = [{"name": f"part{n}", "wanted": f"w{n}", "got": f"g{n}"} for n in range(len(states))]
    met = [one for one, good in zip(each, states, strict=True) if good]
    unmet = [one for one, good in zip(each, states, strict=True) if not good]
    feedback = constraint_critic()(attempt(step("x", constraints(met, unmet))))
    for one in unmet:
        assert f"{one['name']}: `{one['wanted']}` is wanted, got `{one['got']}`." in feedback.text
    for one in met:
        assert f"{one['got']}" not in feedback.text
        assert not unmet or f"{one['name']} (`{one['wanted']}`)" in feedback.text


IDLE = step("click('1')", changed(), sees="a")
MOVED = step("click('2')", changed("[3] link 'Cart'", removed=("[2] button 'Add'",)), sees="b")


def test_actions_in_vain_are_told_at_every_level_of_detail() -> None:
    made = attempt(IDLE, MOVED, step("click('4')", changed(), reward(passed=False), sees="b"))
    assert [page_difference_critic(level)(made).text for level in LEVELS] == [
        "Try again.",
        "Your answer is wrong. Answer again.",
        "At steps 1 and 3 nothing changed on the page.",
        "Step 1, `click('1')`: nothing changed on the page. "
        "Step 3, `click('4')`: nothing changed on the page. "
        "Step 2, `click('2')`: new is `[3] link 'Cart'`; gone is `[2] button 'Add'`.",
    ]


def test_the_same_action_on_the_same_page_is_a_loop() -> None:
    back = step("click('5')", changed("x"), sees="a")
    made = attempt(IDLE, MOVED, back, MOVED, back)
    text = page_difference_critic("located")(made).text
    assert "Step 4 repeats step 2: the same action on the same page." in text
    assert "Step 5 repeats step 3" in text
    assert "Step 3 repeats" not in text


def test_the_same_action_on_another_page_is_no_loop() -> None:
    turned = [step("click('next')", changed(f"page {n}"), sees=f"page {n}") for n in range(4)]
    assert page_difference_critic("located")(attempt(*turned)).text.startswith(
        "Every action changed the page"
    )


def test_an_action_that_was_not_carried_out_is_told_with_the_reason() -> None:
    covered = {"action": "click('1')", "mark": "1", "why": "covered", "by": "[15] dialog 'Cookies'"}
    made = attempt(step("I try.\nclick('1')", Fact(kind="blocked", data=covered)))
    feedback = page_difference_critic()(made)
    assert "is covered by [15] dialog 'Cookies'" in feedback.text
    (span,) = feedback.spans
    assert made.text[span.start : span.end] == "click('1')"


def test_telling_the_user_something_is_not_held_against_the_agent() -> None:
    made = attempt(step("send_msg_to_user('4')", changed(), Fact(kind="said", data={"text": "4"})))
    assert "nothing changed" not in page_difference_critic()(made).text


def test_only_the_last_steps_are_told() -> None:
    made = attempt(*[step(f"click('{n}')", changed(), sees=str(n)) for n in range(8)])
    assert (
        page_difference_critic("located", last=2)(made).text
        == "At steps 7 and 8 nothing changed on the page."
    )


def test_what_is_not_known_is_said_to_be_not_known() -> None:
    assert page_difference_critic()(attempt(step("x"))).text == "What the actions changed is not known."
    assert page_difference_critic()(attempt()).verdict == "unsure"


def test_the_reward_of_the_site_decides_over_page_changes_too() -> None:
    passed = page_difference_critic()(attempt(step("x", changed("y"), reward(passed=True))))
    assert (passed.verdict, passed.score, passed.text) == ("pass", 1.0, "The goal was reached.")


def test_a_level_or_number_that_there_is_not_is_refused() -> None:
    with pytest.raises(BadInput, match="level must be one of unary, binary, located, explained, got 'loud'"):
        constraint_critic("loud")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="level must be one of"):
        page_difference_critic("loud")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="last must be at least 1, got 0"):
        page_difference_critic(last=0)
