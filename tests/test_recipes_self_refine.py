"""Self-Refine: three prompts of one model, and the form for mathematics in which one call does two things."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Budget, Run, ScriptedModel, Task, improve
from agentloop.errors import BadInput
from agentloop.recipes import RefineSampling, self_refine_agent, self_refine_maths_agent, total
from tests.twins import SENTINEL, Doors, found_the_prize, run

TASK = Task(id="t", prompt="Name a rhyme.", hidden={"answer": SENTINEL})
FEEDBACK, RETRY = "Say what is wrong with the answer", "Improve the answer"
DONE = "It is correct."


def shown(messages: Sequence[Any]) -> str:
    return "\n".join(message["content"] for message in messages)


def kind(messages: Sequence[Any]) -> str:
    return next((name for name in (FEEDBACK, RETRY) if name in messages[-1]["content"]), "first")


def kinds(model: ScriptedModel) -> list[str]:
    return [kind(messages) for messages in model.requests]


def writer(defects: int, *, done: str = DONE) -> ScriptedModel:
    """Answers v1, v2, ...; finds a defect in the first ``defects`` answers and none after that."""
    said = {FEEDBACK: 0, "answer": 0}

    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        name = FEEDBACK if kind(messages) == FEEDBACK else "answer"
        said[name] += 1
        if name == "answer":
            return f"v{said[name]}"
        return f"defect {said[name]}" if said[name] <= defects else done

    return ScriptedModel(script)


@pytest.mark.parametrize("defects", [0, 1, 2, 5])
def test_k_defects_are_followed_by_k_refinements_and_the_stop_phrase(defects: int) -> None:
    model = writer(defects)
    state = run(self_refine_agent(model=model, attempts=9), TASK)
    assert kinds(model) == ["first", FEEDBACK] + [RETRY, FEEDBACK] * defects
    assert (state["stop_reason"], state["stop_signal"]) == ("passed", "self")
    assert (state["best"].text, len(state.get("earlier", ()))) == (f"v{defects + 1}", defects)


def test_a_critic_that_is_never_satisfied_ends_at_the_cap() -> None:
    model = writer(99)
    state = run(self_refine_agent(model=model, attempts=4), TASK)
    assert (state["stop_reason"], state["stop_signal"]) == ("attempts", "none")
    assert (state["best"].text, kinds(model).count(FEEDBACK)) == ("v4", 4)


def test_four_answers_are_the_most_unless_told_otherwise() -> None:
    assert run(self_refine_agent(model=writer(99)), TASK)["attempt"].number == 4


def test_refining_is_shown_every_earlier_answer_with_its_feedback() -> None:
    model = writer(3)
    run(self_refine_agent(model=model), TASK)
    last = [each for each in model.requests if kind(each) == RETRY][-1]
    assert [each["role"] for each in last] == ["user", *["assistant", "user"] * 3]
    for number in (1, 2, 3):
        assert f"v{number}" in shown(last) and f"defect {number}" in shown(last)


def test_refining_is_shown_the_latest_pair_alone_where_told_so() -> None:
    model = writer(3)
    run(self_refine_agent(model=model, history=1), TASK)
    last = [each for each in model.requests if kind(each) == RETRY][-1]
    assert [each["role"] for each in last] == ["user", "assistant", "user"]
    assert "v3" in shown(last) and "defect 3" in shown(last) and "defect 2" not in shown(last)


def test_feedback_is_asked_for_on_the_task_and_the_answer_alone() -> None:
    model = writer(2)
    run(self_refine_agent(model=model), TASK)
    asked = [each for each in model.requests if kind(each) == FEEDBACK][-1]
    assert len(asked) == 1
    assert TASK.prompt in shown(asked) and "v3" in shown(asked) and "defect" not in shown(asked)


@pytest.mark.parametrize(
    ("satisfied", "done"),
    [
        ("this code is not slow", "Well: THIS code is not slow."),
        (lambda text: text.lower().count("none") == 2, "Concepts: None. Sense: None."),
    ],
)
def test_the_stop_rule_is_a_phrase_or_a_function(satisfied: Any, done: str) -> None:
    state = run(self_refine_agent(model=writer(1, done=done), satisfied=satisfied), TASK)
    assert (state["stop_reason"], state["attempt"].number) == ("passed", 2)


def test_without_a_stop_rule_it_makes_a_fixed_number_of_answers() -> None:
    state = run(self_refine_agent(model=writer(0), satisfied=None, attempts=5), TASK)
    assert (state["stop_reason"], state["attempt"].number) == ("attempts", 5)


def test_the_best_scored_answer_counts_where_there_is_a_score() -> None:
    scores = iter(["Total: 12/25", "Total: 20/25", "Total: 19.5/25"])

    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        return next(scores) if kind(messages) == FEEDBACK else f"answer to {len(messages)}"

    agent = self_refine_agent(model=ScriptedModel(script), attempts=3, satisfied=None, score=total(25))
    state = run(agent, TASK)
    assert (state["best"].number, state["best"].feedback.score) == (2, 0.8)


@pytest.mark.parametrize(
    ("feedback", "score"),
    [
        ("4/25, so 21 / 25", 0.84),
        ("none", None),
        ("21/250", None),
        ("30/25", 1.0),
        ("1/1/25", None),
        ("-", None),
    ],
)
def test_a_total_is_the_last_figure_out_of_so_many(feedback: str, score: float | None) -> None:
    assert total(25)(feedback) == score


@given(st.text(max_size=80))
def test_a_total_is_a_share_or_nothing(feedback: str) -> None:
    read = total(5)(feedback)
    assert read is None or 0.0 <= read <= 1.0


def sampled(folder: Path, agent: Any) -> list[tuple[str, Any]]:
    (trajectory,) = improve(agent, [TASK], folder=folder).trajectories()
    return [(call.role, call.sampling["temperature"]) for call in trajectory.calls]


def test_the_first_answer_is_sampled_at_0_and_the_rest_at_seven_tenths(tmp_path: Path) -> None:
    wanted = [("actor", 0.0), ("critic", 0.7), ("actor", 0.7), ("critic", 0.7)]
    assert sampled(tmp_path / "a", self_refine_agent(model=writer(1))) == wanted
    other = RefineSampling(refine={"temperature": 0.1})
    assert sampled(tmp_path / "b", self_refine_agent(model=writer(1), sampling=other))[2] == ("actor", 0.1)


def test_answers_reach_a_grader_through_an_environment(tmp_path: Path) -> None:
    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        return "no" if kind(messages) == FEEDBACK else "3" if kind(messages) == RETRY else "1"

    agent = self_refine_agent(model=ScriptedModel(script), environment=Doors, attempts=2)
    ran = improve(agent, [TASK], folder=tmp_path / "r", grader=found_the_prize)
    (trajectory,) = ran.trajectories()
    assert [attempt.passed for attempt in trajectory.attempts] == [False, True]
    assert SENTINEL not in str([call.messages for call in trajectory.calls])


# The form for mathematics


def solver(defects: int, *, tail: str = "") -> ScriptedModel:
    """Solves as s1; each call finds a defect, or none after ``defects``, and writes the next solution."""
    judged = [0]

    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        if "Fixed:" not in messages[-1]["content"]:
            return "s1"
        judged[0] += 1
        said = f"wrong {judged[0]}" if judged[0] <= defects else DONE
        return f"{said}\n\nFixed:\ns{judged[0] + 1}{tail}"

    return ScriptedModel(script)


@pytest.mark.parametrize("defects", [0, 1, 3])
def test_one_call_brings_the_feedback_and_the_next_solution(defects: int) -> None:
    model = solver(defects)
    state = run(self_refine_maths_agent(model=model, attempts=9), TASK)
    assert model.calls == 1 + defects + 1
    assert (state["stop_reason"], state["best"].text) == ("passed", f"s{defects + 1}")


def test_the_published_way_ends_with_what_the_call_wrote_that_said_correct() -> None:
    model = solver(1)
    state = run(self_refine_maths_agent(model=model, final="rewritten"), TASK)
    assert (state["best"].text, state["best"].number, model.calls) == ("s3", 3, 3)
    assert (state["stop_reason"], state["best"].feedback) == ("passed", None)


def test_the_published_way_ends_with_the_last_rewrite_at_the_cap_too() -> None:
    published, ours = (
        run(self_refine_maths_agent(model=solver(99), attempts=4, final=final), TASK)  # type: ignore[arg-type]
        for final in ("rewritten", "judged")
    )
    assert (published["best"].text, published["stop_reason"]) == ("s5", "attempts")
    assert (ours["best"].text, ours["stop_reason"]) == ("s4", "attempts")


def test_every_triple_of_the_task_stands_in_the_later_calls() -> None:
    model = solver(2)
    run(self_refine_maths_agent(model=model), TASK)
    last = model.requests[-1]
    assert [each["role"] for each in last] == ["user", "assistant", "user", "assistant", "user"]
    assert last[1]["content"] == "wrong 1\n\nFixed:\ns2"
    assert "s1" in last[0]["content"] and "s2" in last[2]["content"] and "s3" in last[4]["content"]


def test_another_task_does_not_see_them(tmp_path: Path) -> None:
    model = solver(1)
    tasks = [TASK, TASK.replace(id="u", prompt="Another one.")]
    improve(self_refine_maths_agent(model=model), tasks, folder=tmp_path / "r", concurrency=1)
    assert all("Name a rhyme." not in shown(each) for each in model.requests if "Another one." in shown(each))


def test_the_next_solution_is_logged_as_a_revision_of_the_one_before(tmp_path: Path) -> None:
    agent = self_refine_maths_agent(model=solver(1, tail="\n```python\nx\n```"))
    (trajectory,) = improve(agent, [TASK], folder=tmp_path / "r").trajectories()
    first, second = trajectory.attempts
    assert first.feedback is not None
    (span,) = first.feedback.spans
    assert (first.feedback.kind, first.feedback.text, span.replacement) == (
        "revision",
        "wrong 1",
        second.text,
    )
    assert (span.start, span.end) == (0, len(first.text))
    assert [call.role for call in trajectory.calls] == ["actor", "critic", "critic"]
    assert [call for call in second.calls if "/act/" in call] == []


def test_a_call_without_the_mark_leaves_the_solution_as_it_is() -> None:
    model = ScriptedModel(["s1", "wrong, but I cannot say", f"{DONE}"])
    state = run(self_refine_maths_agent(model=model), TASK)
    assert (state["best"].text, state["best"].number) == ("s1", 2)


def test_the_stop_phrase_counts_in_the_feedback_and_not_in_the_solution() -> None:
    model = ScriptedModel(["s1", "Step 2 is wrong.\nFixed:\n# it is correct now", f"{DONE}\nFixed:\ns"])
    state = run(self_refine_maths_agent(model=model), TASK)
    assert (state["best"].text, state["best"].number) == ("# it is correct now", 2)


@pytest.mark.parametrize("final", ["judged", "rewritten"])
@pytest.mark.parametrize("calls", range(1, 6))
def test_it_ends_within_its_budget_and_goes_on_with_a_larger_one(
    tmp_path: Path, calls: int, final: Any
) -> None:
    model = solver(99)
    agent = self_refine_maths_agent(model=model, final=final)
    ran = improve(agent, [TASK], folder=tmp_path / "r", budget=Budget(calls=calls))
    (trajectory,) = ran.trajectories()
    assert (model.calls, trajectory.stop_reason) == (calls, "budget" if calls < 5 else "attempts")
    assert calls == 5 or len(trajectory.attempts) == calls
    improve(agent, [TASK], folder=tmp_path / "r", budget=Budget(calls=99))
    (whole,) = Run(tmp_path / "r").trajectories()
    assert (model.calls, whole.chosen) == (5, 4 if final == "judged" else 5)


def test_a_finished_run_costs_nothing_more(tmp_path: Path) -> None:
    for model, build in ((writer(2), self_refine_agent), (solver(2), self_refine_maths_agent)):
        agent: Any = build(model=model)
        improve(agent, [TASK], folder=tmp_path / agent.name)
        asked = model.calls
        improve(agent, [TASK], folder=tmp_path / agent.name)
        assert model.calls == asked


def test_a_critic_that_fails_leaves_the_answer(tmp_path: Path) -> None:
    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> Any:
        return RuntimeError("down") if len(messages) == 1 and TASK.prompt != messages[0]["content"] else "v1"

    for build in (self_refine_agent, self_refine_maths_agent):
        agent: Any = build(model=ScriptedModel(script))
        state = run(agent, TASK)
        assert (state["stop_reason"], state["best"].text) == ("error", "v1")


@pytest.mark.parametrize(
    ("build", "options", "said"),
    [
        (self_refine_agent, {"attempts": 0}, "attempts must be at least 1, got 0"),
        (self_refine_agent, {"history": 0}, "history must be at least 1, or None"),
        (self_refine_agent, {"satisfied": " "}, "satisfied must be a phrase"),
        (self_refine_maths_agent, {"marker": " "}, "marker must be a text"),
    ],
)
def test_a_mistake_of_the_caller_is_raised_at_once(build: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        build(model=writer(0), **options)
    with pytest.raises(BadInput, match="out_of must be more than 0"):
        total(0)
