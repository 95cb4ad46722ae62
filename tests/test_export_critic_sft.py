"""Critic rows: the logged critique of an attempt, asked for in the words of the model critic."""

import asyncio
import json

import pytest

from agentloop.critics import ModelCritic
from agentloop.critics.model import read_judgement
from agentloop.export.groups import read_groups
from agentloop.export.methods.critic_sft import DISAGREES, rows
from agentloop.export.methods.words import LEAKING, NO_WORDS
from agentloop.export.rows import CriticRow, LeftOut
from agentloop.models import ScriptedModel
from agentloop.prompts import Prompts
from agentloop.types import Feedback, Task, Trajectory
from tests.export_logs import TASK, Tried, log, worked_example

SECRET = Task(
    id="count", prompt="How many users?", public={"tables": "users(name)"}, hidden={"rows": ["XYZZY-7741"]}
)


def made(*trajectories: Trajectory) -> list[CriticRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def judged(verdict: str, score: float | None, **options: object) -> Trajectory:
    return log("count/0", Tried("three", score, told="Deleted users count.", verdict=verdict), **options)  # type: ignore[arg-type]


def test_the_target_is_the_critique_as_it_was_logged() -> None:
    (row,) = made(judged("fail", 0.0))
    assert [each["loss"] for each in row.messages] == [False, True]
    assert json.loads(row.messages[1]["content"]) == {
        "verdict": "fail",
        "score": None,
        "feedback": "Deleted users count.",
    }


def test_the_model_critic_can_read_the_target() -> None:
    trajectory = judged("fail", 0.25)
    told = Feedback(text='Größe {x}\n"quoted"', verdict="fail", score=0.25)
    attempt = trajectory.attempts[0].replace(feedback=told)
    (row,) = made(trajectory.replace(attempts=(attempt,)))
    judgement = read_judgement(row.messages[1]["content"])
    assert judgement is not None
    assert "Größe" in row.messages[1]["content"]
    assert (judgement.verdict, judgement.score, judgement.text) == (told.verdict, told.score, told.text)


@pytest.mark.parametrize("says", ["three", ["look", "three"]])
def test_the_prompt_is_what_the_model_critic_would_show(says: str | list[str]) -> None:
    trajectory = log("count/0", Tried(says, 0.0, told="No."), task=SECRET)
    model = ScriptedModel(['{"verdict": "fail", "feedback": "No."}'])
    asyncio.run(ModelCritic(model)(trajectory.attempts[0]))
    (row,) = made(trajectory)
    assert "users(name)" in row.messages[0]["content"]
    assert row.messages[0]["content"] == model.requests[0][-1]["content"]


def test_label_and_score_are_the_graders() -> None:
    (row,) = made(judged("fail", 0.25))
    assert (row.label, row.score) == ({"passed": 0}, 0.25)
    (row,) = made(judged("pass", 1.0))
    assert (row.label, row.score) == ({"passed": 1}, 1.0)


def test_without_a_grader_there_is_neither_and_nothing_to_disagree_with() -> None:
    (row,) = made(judged("pass", None))
    assert (row.label, row.score, row.meta.label_source) == (None, None, "feedback")


@pytest.mark.parametrize(("verdict", "score"), [("pass", 0.0), ("pass", 0.99), ("fail", 1.0)])
def test_a_critique_that_the_grader_contradicts_is_left_out(verdict: str, score: float) -> None:
    assert made(judged(verdict, score)) == [LeftOut(DISAGREES, "count/0/1")]


def test_an_unsure_critique_contradicts_nobody() -> None:
    found = made(*worked_example())
    assert len(found) == 6
    assert all(isinstance(row, CriticRow) for row in found)


def test_no_hidden_data_stands_in_a_row() -> None:
    found = made(
        log("count/0", Tried("three", 0.0, told="No.", privileged=True), task=SECRET),
        log("count/1", Tried("three", 0.0, told="It is XYZZY-7741.", privileged=True), task=SECRET),
    )
    assert found[1] == LeftOut(LEAKING, "count/1/1")
    assert isinstance(found[0], CriticRow)
    assert "XYZZY" not in str(found[0].messages)


def test_words_of_a_critic_that_saw_hidden_data_are_marked() -> None:
    seen, blind = made(
        log("count/0", Tried("three", 0.0, told="No.", privileged=True)),
        log("count/1", Tried("three", 0.0, told="No.")),
    )
    assert (seen.meta.privileged, blind.meta.privileged) == (True, False)


def test_feedback_without_words_teaches_nothing() -> None:
    assert made(log("count/0", Tried("three", 0.0))) == [LeftOut(NO_WORDS, "count/0/1")]


def test_what_the_agent_found_out_may_be_talked_about() -> None:
    (row,) = made(log("count/0", Tried("XYZZY-7741", 1.0, told="XYZZY-7741 it is."), task=SECRET))
    assert "XYZZY-7741 it is." in row.messages[1]["content"]


def test_a_critic_row_says_which_method_made_it() -> None:
    (row,) = made(judged("fail", 0.0, task=TASK))
    assert (row.meta.method, row.meta.role) == ("critic-sft", "critic")
