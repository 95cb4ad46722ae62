"""The scripted programmer: it errs first, and heeds words that say where."""

import asyncio

import pytest

from agentloop.errors import BadInput
from agentloop.models.programmer import is_located, plant_bug, programmer

TASK = 'def f(x):\n    """Twice x."""\n'
RIGHT = "def f(x):\n    return 2 * x\n"


def says(*contents: str) -> str:
    messages = [{"role": "user", "content": content} for content in contents]
    replies = asyncio.run(programmer({TASK: RIGHT}).complete(messages))  # type: ignore[arg-type]
    return replies[0].text


def test_its_first_program_has_a_bug() -> None:
    assert says(TASK) == "```python\ndef f(x):\n    2 * x\n```"


@pytest.mark.parametrize(
    "feedback", ["The call `f(1)` gives a wrong result.", "It raises KeyError at line 2."]
)
def test_it_mends_its_program_when_it_is_told_where_the_bug_shows(feedback: str) -> None:
    assert (
        says(TASK, f"Judged.\n<feedback>\n{feedback}\n</feedback>\nAnswer again.") == f"```python\n{RIGHT}```"
    )


@pytest.mark.parametrize("feedback", ["Try again.", "Your answer is wrong. Answer again."])
def test_blind_feedback_does_not_help_it(feedback: str) -> None:
    retold = f"<observation>\nassert f(1) == 2\n</observation>\n<feedback>\n{feedback}\n</feedback>"
    assert "return" not in says(TASK, retold)


def test_words_in_the_task_itself_are_no_feedback() -> None:
    task = "Read line 1 and assert it.\ndef g(): ..."
    model = programmer({task: "def g():\n    return 1"})
    (reply,) = asyncio.run(model.complete([{"role": "user", "content": f"Solve it.\n{task}"}]))
    assert "return" not in reply.text


def test_a_task_it_does_not_know_is_an_error() -> None:
    with pytest.raises(BadInput, match="knows none of its 1 tasks"):
        says("something else")


def test_wrong_programs_can_be_given() -> None:
    model = programmer({TASK: RIGHT}, bugs={TASK: "def f(x):\n    return x\n"})
    (reply,) = asyncio.run(model.complete([{"role": "user", "content": TASK}]))
    assert "return x\n" in reply.text


@pytest.mark.parametrize(
    ("program", "planted"),
    [
        ("def f():\n    return (\n        1\n    )\n", "def f():\n    1\n"),
        ("def f(): return 'é' # x\n", "def f(): 'é' # x\n"),
        ("print(1)\nprint(2)\n", "print(1)\npass\n"),
    ],
)
def test_a_planted_bug_loses_the_last_value(program: str, planted: str) -> None:
    assert plant_bug(program) == planted


def test_a_program_without_result_has_no_place_for_a_bug() -> None:
    with pytest.raises(BadInput, match="neither returns nor prints"):
        plant_bug("x = 1\n")


def test_located_words_name_a_place() -> None:
    assert is_located("The program does not define `f`.")
    assert not is_located("2 of 3 public tests passed.")
