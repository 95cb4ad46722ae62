"""evaluate(): the conditions share what they must and differ in words alone; compare()."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agentloop import (
    Attempt,
    Budget,
    Feedback,
    ScriptedModel,
    Task,
    compare,
    evaluate,
    improve,
    reflect_and_retry,
    sees_hidden,
)
from agentloop.errors import BadInput
from agentloop.evaluation import CONDITIONS, Evaluation
from agentloop.run import Run

TASKS = [Task(id=f"t{i}", prompt=f"Task {i}", hidden={"number": i}) for i in range(40)]


def listens(messages: Any, sampling: dict[str, Any]) -> str:
    """Guesses at first; says the word that feedback names, if it names one; guesses otherwise."""
    told = messages[-1]["content"] if len(messages) > 1 else ""
    for piece in told.split():
        if piece.startswith("word"):
            return piece.strip(".")
    lucky = sampling["seed"] % 4 == 0
    return messages[0]["content"].replace("Task ", "word") if lucky else f"guess {sampling['seed']}"


def names_the_word(attempt: Attempt) -> Feedback:
    word = f"word{attempt.task.hidden['number']}"
    if attempt.text == word:
        return Feedback(text="Right.", verdict="pass", score=1.0)
    return Feedback(text=f"Say {word}.", verdict="fail", score=0.0)


def builder(model: ScriptedModel) -> Any:
    return partial(reflect_and_retry, model=model)


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    model = ScriptedModel(listens)
    return evaluate(builder(model), TASKS, critic=sees_hidden(names_the_word), folder=tmp_path)


def test_words_beat_every_control_when_the_agent_listens(evaluation: Evaluation) -> None:
    rates = {name: figures.rate for name, figures in evaluation.conditions.items()}
    assert set(rates) == set(CONDITIONS)
    assert rates["verbal"] == 1.0
    for control in ("first", "blind", "binary", "other_task", "best_of_n"):
        assert rates["verbal"] > rates[control]
        assert evaluation.gains[control].low > 0


def test_the_conditions_share_each_tasks_first_attempt(evaluation: Evaluation) -> None:
    firsts = {
        name: {each.task.id: each.attempts[0].text for each in Run(evaluation.folder / name).trajectories()}
        for name in CONDITIONS
    }
    assert all(texts == firsts["first"] for texts in firsts.values())


def test_shared_attempts_count_in_every_condition_but_are_asked_for_once(tmp_path: Path) -> None:
    model = ScriptedModel(listens)
    found = evaluate(builder(model), TASKS, critic=names_the_word_public, folder=tmp_path)
    counted = sum(sum(figures.calls.values()) for figures in found.conditions.values())
    assert model.calls == counted - 5 * len(TASKS)


def names_the_word_public(attempt: Attempt) -> Feedback:
    number = attempt.task.id.removeprefix("t")
    if attempt.text == f"word{number}":
        return Feedback(text="Right.", verdict="pass")
    return Feedback(text=f"Say word{number}.", verdict="fail")


def test_each_condition_is_told_its_own_words(evaluation: Evaluation) -> None:
    def told(name: str) -> set[str]:
        return {
            attempt.feedback.text
            for each in Run(evaluation.folder / name).trajectories()
            for attempt in each.attempts
            if attempt.feedback is not None and attempt.feedback.verdict != "pass"
        }

    assert told("blind") == {"Try again."}
    assert told("binary") == {"Your answer is wrong. Answer again."}
    assert len(told("verbal")) > 10


def test_another_tasks_words_are_never_this_tasks_and_chance_fits_are_counted(evaluation: Evaluation) -> None:
    for each in Run(evaluation.folder / "other_task").trajectories():
        for attempt in each.attempts:
            if attempt.feedback is not None and attempt.feedback.verdict == "fail":
                assert not attempt.feedback.text.endswith(f"word{each.task.id[1:]}.")
    assert evaluation.other_told > 0
    assert evaluation.fitting == 0


def test_which_other_tasks_words_are_told_does_not_depend_on_who_finished_first(tmp_path: Path) -> None:
    def told(folder: str, sign: int) -> list[str]:
        @sees_hidden
        async def in_its_time(attempt: Attempt) -> Feedback:
            await asyncio.sleep(0.002 * (20 + sign * (attempt.task.hidden["number"] - 20)))
            return names_the_word(attempt)

        agent = builder(ScriptedModel(listens))
        evaluate(agent, TASKS, critic=in_its_time, folder=tmp_path / folder, concurrency=40)
        run = Run(tmp_path / folder / "other_task").trajectories()
        return sorted(f"{a.id} {a.feedback.text}" for each in run for a in each.attempts if a.feedback)

    assert told("forwards", 1) == told("backwards", -1)


def test_best_of_n_shows_no_earlier_attempt_and_stops_by_the_same_signal(evaluation: Evaluation) -> None:
    for each in Run(evaluation.folder / "best_of_n").trajectories():
        assert all(len(call.messages) == 1 for call in each.calls)
        assert all(attempt.passed is False for attempt in each.attempts[:-1])


def test_best_of_n_gets_at_least_the_calls_of_every_role(tmp_path: Path) -> None:
    model = ScriptedModel(listens)
    found = evaluate(
        partial(builder(model), reflect=model), TASKS, critic=names_the_word_public, folder=tmp_path
    )
    most = max(len(each.calls) for each in Run(tmp_path / "verbal").trajectories())
    assert found.best_of >= most
    assert found.conditions["verbal"].calls["reflector"] > 0


def test_figures_of_a_critic_that_knew_the_answer_are_marked(evaluation: Evaluation) -> None:
    assert evaluation.privileged
    assert evaluation.to_dict()["privileged"] is True
    assert all(figures.privileged for figures in evaluation.conditions.values())


def test_the_evaluation_is_kept_in_its_folder(evaluation: Evaluation) -> None:
    kept = json.loads((evaluation.folder / "evaluation.json").read_text())
    assert kept["conditions"]["verbal"]["rate"] == 1.0
    assert {"low", "high", "calls", "tokens_in", "distinct"} <= set(kept["conditions"]["blind"])


def test_blind_retries_are_no_copies(evaluation: Evaluation) -> None:
    assert evaluation.conditions["blind"].distinct == 1.0


def test_an_evaluation_cut_short_by_its_budget_goes_on(tmp_path: Path) -> None:
    model = ScriptedModel(listens)
    whole = evaluate(
        builder(ScriptedModel(listens)), TASKS, critic=names_the_word_public, folder=tmp_path / "whole"
    )
    evaluate(
        builder(model), TASKS, critic=names_the_word_public, folder=tmp_path / "cut", budget=Budget(calls=150)
    )
    assert model.calls == 150
    again = evaluate(builder(model), TASKS, critic=names_the_word_public, folder=tmp_path / "cut")
    assert {n: f.rate for n, f in again.conditions.items()} == {
        n: f.rate for n, f in whole.conditions.items()
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [({"samples": 2}, "one sample a task"), ({"memory": object()}, "no tasks to learn from")],
)
def test_bad_input_is_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        evaluate(builder(ScriptedModel(listens)), TASKS, critic=names_the_word, folder=tmp_path, **given)


def run_of(tmp_path: Path, name: str, right: int, samples: int = 1) -> Run:
    def critic(attempt: Attempt) -> Feedback:
        return Feedback(text=".", verdict="pass" if int(attempt.task.id[1:]) < right else "fail")

    agent = reflect_and_retry(model=ScriptedModel(lambda m, s: "x"), critic=critic, attempts=1)
    return improve(agent, TASKS, folder=tmp_path / name, samples=samples)


def test_compare_says_how_much_better_and_how_sure(tmp_path: Path) -> None:
    comparison = compare(run_of(tmp_path, "a", 10), run_of(tmp_path, "b", 30))
    assert comparison.difference == pytest.approx(0.5)
    assert comparison.clear
    assert comparison.needed is None
    assert comparison.p == pytest.approx(2 / 2**20)
    assert "25.0% -> 75.0% on 40 tasks: +50.0 points" in comparison.summary()


def test_compare_says_how_many_more_tasks_would_tell(tmp_path: Path) -> None:
    comparison = compare(run_of(tmp_path, "a", 10), run_of(tmp_path, "b", 11))
    assert not comparison.clear
    assert comparison.needed is not None
    assert comparison.needed > 40
    assert "more tasks would tell" in comparison.summary()


def test_several_samples_of_a_task_count_as_their_mean(tmp_path: Path) -> None:
    comparison = compare(run_of(tmp_path, "a", 10, samples=3), run_of(tmp_path, "b", 30, samples=3))
    assert comparison.tasks == 40
    assert comparison.p is None


def test_runs_without_a_common_task_cannot_be_compared(tmp_path: Path) -> None:
    agent = reflect_and_retry(model=ScriptedModel(lambda m, s: "x"), critic=names_the_word_public, attempts=1)
    other = improve(agent, [Task(id="another9", prompt="p")], folder=tmp_path / "o")
    with pytest.raises(BadInput, match="share no task"):
        compare(run_of(tmp_path, "a", 10), other)
