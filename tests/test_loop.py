"""improve(): bounded, journaled, resumable; budget, seeds, grading, hidden data."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentloop import (
    Attempt,
    Budget,
    Feedback,
    Reply,
    Run,
    ScriptedModel,
    Step,
    Task,
    Usage,
    aimprove,
    improve,
    once,
    reflect_and_retry,
    sees_hidden,
)
from agentloop.critics import ModelCritic
from agentloop.errors import BadInput, PlaceTaken
from agentloop.loop import Progress
from tests.twins import SENTINEL, Doors, found_the_prize, knows_the_answer, third_time

TASKS = [Task(id=f"t{i}", prompt=f"Task {i}", hidden={"answer": "3"}) for i in range(6)]


def counting() -> ScriptedModel:
    """A model whose answer depends on what it is shown and on its seed, on nothing else."""
    return ScriptedModel(lambda messages, sampling: f"{len(messages)} {sampling.get('seed')}")


def test_every_task_is_run_and_told_in_a_summary(tmp_path: Path) -> None:
    run = improve(reflect_and_retry(model=counting(), critic=third_time), TASKS, folder=tmp_path / "r")
    assert [each.passed for each in run.trajectories()] == [True] * 6
    said = run.summary()
    assert "6 of 6 passed (100%, 95 % interval 61% to 100%)" in said
    assert "judged by the critic (no grader was given)" in said
    assert "signal: 6 public" in said


def test_a_finished_run_asks_for_nothing_when_started_again(tmp_path: Path) -> None:
    model = counting()
    agent = reflect_and_retry(model=model, critic=third_time)
    improve(agent, TASKS, folder=tmp_path / "r")
    before = (tmp_path / "r" / "journal.jsonl").read_bytes()
    improve(agent, TASKS, folder=tmp_path / "r")
    assert model.calls == 18
    assert (tmp_path / "r" / "journal.jsonl").read_bytes() == before


def test_a_resumed_run_replays_what_is_recorded(tmp_path: Path) -> None:
    model = counting()
    agent = reflect_and_retry(model=model, critic=third_time)
    whole = list(improve(agent, TASKS, folder=tmp_path / "whole").trajectories())
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    settings = (tmp_path / "whole" / "settings.json").read_bytes()
    for cut in range(1, len(lines), 7):
        folder = tmp_path / f"cut {cut}"
        folder.mkdir()
        (folder / "settings.json").write_bytes(settings)
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        stored = sum(b'"kind":"call"' in line for line in lines[:cut])
        model.calls = 0
        again = list(improve(agent, TASKS, folder=folder).trajectories())
        assert model.calls == 18 - stored
        assert sorted(each.to_json() for each in again) == sorted(each.to_json() for each in whole)


def test_the_same_seed_gives_the_same_trajectories_whatever_the_concurrency(tmp_path: Path) -> None:
    def texts(folder: str, seed: int, concurrency: int) -> list[list[str]]:
        agent = reflect_and_retry(model=counting(), critic=third_time)
        run = improve(agent, TASKS, folder=tmp_path / folder, seed=seed, concurrency=concurrency, samples=2)
        found = sorted(run.trajectories(), key=lambda each: each.id)
        return [[attempt.text for attempt in each.attempts] for each in found]

    assert texts("a", 1, 1) == texts("b", 1, 16)
    assert texts("a", 1, 1) != texts("c", 2, 1)


def test_samples_of_a_task_are_a_group_and_no_copies(tmp_path: Path) -> None:
    run = improve(
        reflect_and_retry(model=counting(), critic=third_time), TASKS[:1], folder=tmp_path, samples=4
    )
    found = list(run.trajectories())
    assert {each.group_id for each in found} == {"t0"}
    assert len({each.attempts[0].text for each in found}) == 4


def test_at_most_so_many_trajectories_run_at_once(tmp_path: Path) -> None:
    running, most = 0, 0

    async def slow(messages: Any, sampling: Any) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        return "x"

    improve(
        reflect_and_retry(model=ScriptedModel(slow), critic=third_time), TASKS, folder=tmp_path, concurrency=3
    )
    assert most == 3


def test_a_grader_decides_for_the_record_and_is_named(tmp_path: Path) -> None:
    model = ScriptedModel(lambda messages, sampling: "3")
    agent = reflect_and_retry(model=model, environment=Doors, critic=third_time, stop=[])
    run = improve(agent, TASKS, folder=tmp_path, grader=found_the_prize)
    [first, *_] = run.trajectories()
    assert [attempt.score for attempt in first.attempts] == [1.0, 1.0, 1.0]
    assert "graded by found_the_prize" in run.summary()
    assert run.figures.first_passed == 6


def test_an_agent_never_learns_the_score(tmp_path: Path) -> None:
    states: list[Any] = []

    def watching(attempt: Attempt) -> Feedback:
        states.append(attempt)
        return third_time(attempt)

    agent = reflect_and_retry(model=counting(), environment=Doors, critic=watching)
    improve(agent, TASKS, folder=tmp_path, grader=found_the_prize)
    assert all(attempt.score is None and attempt.passed is None for attempt in states)


@pytest.mark.parametrize("limit", [1, 4, 7, 17])
def test_no_call_is_made_beyond_the_budget_and_the_best_so_far_comes_back(tmp_path: Path, limit: int) -> None:
    model = counting()
    agent = reflect_and_retry(model=model, critic=third_time, reflect=model)
    run = improve(agent, TASKS, folder=tmp_path, budget=Budget(calls=limit))
    assert model.calls == limit
    found = list(run.trajectories())
    assert found
    assert {each.stop_reason for each in found} <= {"budget", "passed"}
    run = improve(agent, TASKS, folder=tmp_path, budget=Budget(calls=1000))
    assert model.calls == 6 * 5
    assert [each.passed for each in run.trajectories()] == [True] * 6


def test_tokens_and_dollars_are_budgeted_too(tmp_path: Path) -> None:
    class Priced(ScriptedModel):
        async def complete(self, messages: Any, /, **sampling: Any) -> Sequence[Reply]:
            return [Reply(text="x", usage=Usage(tokens_in=10, tokens_out=5, dollars=0.01))]

    def calls(folder: str, budget: Budget) -> int:
        agent = reflect_and_retry(model=Priced([]), critic=third_time, stop=[])
        run = improve(agent, TASKS, folder=tmp_path / folder, budget=budget, concurrency=1)
        return sum(run.figures.calls.values())

    assert calls("tokens", Budget(tokens=45)) == 3
    assert calls("dollars", Budget(dollars=0.04)) == 4


def test_a_budget_in_dollars_refuses_a_model_whose_price_is_unknown(tmp_path: Path) -> None:
    class Unpriced(ScriptedModel):
        async def complete(self, messages: Any, /, **sampling: Any) -> Sequence[Reply]:
            return [Reply(text="x", usage=Usage(dollars=None))]

    agent = reflect_and_retry(model=Unpriced([]), critic=third_time)
    with pytest.raises(BadInput, match="price of 'scripted' is unknown"):
        improve(agent, TASKS, folder=tmp_path, budget=Budget(dollars=1.0))


def test_another_agent_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    agent = reflect_and_retry(model=counting(), critic=third_time)
    improve(agent, TASKS, folder=tmp_path, budget=Budget(calls=8))
    with pytest.raises(PlaceTaken, match="start in another folder"):
        improve(
            reflect_and_retry(model=ScriptedModel([], name="another"), critic=third_time),
            TASKS,
            folder=tmp_path,
        )


def test_other_settings_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    agent = reflect_and_retry(model=counting(), critic=third_time)
    improve(agent, TASKS, folder=tmp_path)
    with pytest.raises(BadInput, match="seed=0, now 1"):
        improve(agent, TASKS, folder=tmp_path, seed=1)
    with pytest.raises(BadInput, match="holds a run already"):
        improve(agent, TASKS, folder=tmp_path, resume=False)


def test_tasks_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    agent = reflect_and_retry(model=counting(), critic=third_time)
    for tasks, said in [([], "no tasks"), ([TASKS[0], TASKS[0]], "two tasks have the id 't0'")]:
        with pytest.raises(BadInput, match=said):
            improve(agent, tasks, folder=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_failed_attempt_never_stops_its_neighbours(tmp_path: Path) -> None:
    def fails_for_one(messages: Any, sampling: Any) -> Any:
        return RuntimeError("down") if "Task 2" in messages[0]["content"] else "fine"

    agent = reflect_and_retry(model=ScriptedModel(fails_for_one), critic=third_time, stop=[])
    run = improve(agent, TASKS, folder=tmp_path)
    assert run.figures.passed == 5
    assert "errors: 1 model" in run.summary()


def test_an_error_is_tried_again_when_the_run_is_resumed(tmp_path: Path) -> None:
    broken = True

    def sometimes(messages: Any, sampling: Any) -> Any:
        return RuntimeError("down") if broken else "fine"

    agent = reflect_and_retry(model=ScriptedModel(sometimes), critic=third_time, stop=[])
    assert improve(agent, TASKS, folder=tmp_path).figures.passed == 0
    broken = False
    run = improve(agent, TASKS, folder=tmp_path)
    assert run.figures.passed == 6
    assert not run.figures.errors


def test_hidden_data_never_reaches_a_prompt(tmp_path: Path) -> None:
    tasks = [task.replace(hidden={"answer": "3", "key": [{"deep": SENTINEL}]}) for task in TASKS]
    model = ScriptedModel(lambda messages, sampling: "1")

    def leaky(attempt: Attempt) -> Feedback:
        return Feedback(text=f"It should be {attempt.task.hidden['key'][0]['deep']}", verdict="fail")

    agent = reflect_and_retry(
        model=model, environment=Doors, critic=sees_hidden(leaky), reflect=model, stop=[], max_steps=2
    )
    improve(agent, tasks, folder=tmp_path, grader=found_the_prize)
    assert SENTINEL not in json.dumps(model.requests)


def test_a_model_called_inside_a_users_critic_is_stored_and_budgeted(tmp_path: Path) -> None:
    judge, actor = counting(), counting()

    async def critic(attempt: Attempt) -> Feedback:
        replies = await judge.complete([{"role": "user", "content": f"judge {attempt.text}"}])
        return third_time(attempt).replace(text=replies[0].text)

    agent = reflect_and_retry(model=actor, critic=critic)
    run = improve(agent, TASKS, folder=tmp_path, budget=Budget(calls=20))
    assert actor.calls + judge.calls == 20
    run = improve(agent, TASKS, folder=tmp_path)
    assert run.figures.calls == {"actor": 18, "critic": 18}
    assert judge.calls == 18


def test_a_critic_that_is_a_model_counts_its_cost_once_and_its_signal_is_the_agents_own(
    tmp_path: Path,
) -> None:
    said = '{"verdict": "pass", "score": 1, "feedback": "fine"}'
    judge = ScriptedModel(lambda messages, sampling: said)
    agent = reflect_and_retry(model=counting(), critic=ModelCritic(judge))
    run = improve(agent, TASKS[:1], folder=tmp_path)
    [trajectory] = run.trajectories()
    assert trajectory.stop_signal == "self"
    assert trajectory.attempts[0].usage.calls == 2
    assert trajectory.attempts[0].usage.tokens_out == trajectory.usage.tokens_out
    assert "signal: 1 self" in run.summary()


def test_a_critic_whose_replies_cannot_be_read_is_counted_in_the_summary(tmp_path: Path) -> None:
    judge = ScriptedModel(lambda messages, sampling: "no idea, sorry")
    agent = reflect_and_retry(model=counting(), critic=ModelCritic(judge), attempts=1)
    run = improve(agent, TASKS, folder=tmp_path)
    assert "critic replies that could not be parsed: 6" in run.summary()


def test_a_plain_critic_may_block_without_holding_up_the_others(tmp_path: Path) -> None:
    import threading

    together = threading.Barrier(4, timeout=20)

    def waits(attempt: Attempt) -> Feedback:
        together.wait()
        return Feedback(text="ok", verdict="pass")

    agent = reflect_and_retry(model=counting(), critic=waits)
    assert improve(agent, TASKS[:4], folder=tmp_path, concurrency=4).figures.passed == 4


def test_a_plain_session_keeps_one_thread_for_its_whole_life(tmp_path: Path) -> None:
    import threading

    class Sticky(Doors):
        def __init__(self, task: Task) -> None:
            super().__init__(task)
            self.thread = threading.get_ident()

        def step(self, action: str) -> Step:
            assert threading.get_ident() == self.thread
            return super().step(action)

        def close(self) -> None:
            assert threading.get_ident() == self.thread

    model = ScriptedModel(lambda messages, sampling: str(len(messages)))
    agent = reflect_and_retry(model=model, environment=Sticky, critic=third_time, max_steps=4, stop=[])
    run = improve(agent, TASKS, folder=tmp_path)
    assert run.figures.passed == 6
    assert not run.figures.errors


def test_an_attempt_cut_off_between_its_steps_goes_on_in_the_same_state(tmp_path: Path) -> None:
    actions = ["1", "3", "2", "stop"]

    def acts(messages: Any, sampling: Any) -> str:
        return actions[sum(message["role"] == "assistant" for message in messages)]

    model = ScriptedModel(acts)
    agent = reflect_and_retry(model=model, environment=Doors, critic=third_time, attempts=1, max_steps=4)
    improve(agent, TASKS[:1], folder=tmp_path / "whole", grader=found_the_prize)
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(2, len(lines)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "settings.json").write_bytes((tmp_path / "whole" / "settings.json").read_bytes())
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        Doors.opened = 0
        run = improve(agent, TASKS[:1], folder=folder, grader=found_the_prize)
        [trajectory] = run.trajectories()
        assert [step.action for step in trajectory.attempts[0].steps] == actions
        assert trajectory.attempts[0].score == 1.0
        finished = any(b'"kind":"facts"' in line for line in lines[:cut])
        assert Doors.opened == (0 if finished else 4)


def test_an_effect_of_a_node_of_ones_own_is_had_once(tmp_path: Path) -> None:
    made: list[str] = []

    async def critic(attempt: Attempt) -> Feedback:
        async def make() -> str:
            made.append(attempt.id)
            return "looked up"

        return third_time(attempt).replace(text=await once(f"look up {attempt.text}", make))

    agent = reflect_and_retry(model=counting(), critic=critic)
    improve(agent, TASKS, folder=tmp_path, budget=Budget(calls=9))
    improve(agent, TASKS, folder=tmp_path)
    assert len(made) == len(set(made)) == 18


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[Progress] = []
    improve(
        reflect_and_retry(model=counting(), critic=third_time), TASKS, folder=tmp_path, progress=told.append
    )
    assert (told[0].done, told[-1].done, told[-1].passed, told[-1].total) == (0, 6, 6, 6)


def test_improve_works_where_an_event_loop_already_runs(tmp_path: Path) -> None:
    async def notebook() -> Run:
        return improve(reflect_and_retry(model=counting(), critic=third_time), TASKS, folder=tmp_path)

    assert asyncio.run(notebook()).figures.passed == 6


def test_aimprove_can_be_awaited(tmp_path: Path) -> None:
    agent = reflect_and_retry(model=counting(), critic=third_time)
    assert asyncio.run(aimprove(agent, TASKS, folder=tmp_path)).figures.passed == 6


@pytest.mark.parametrize("history", [1, None])
def test_a_journal_grows_in_line_with_the_work(tmp_path: Path, history: int | None) -> None:
    def size(attempts: int) -> int:
        model = ScriptedModel(lambda messages, sampling: f"an answer of some length {sampling['seed']}")
        never = lambda attempt: Feedback(text=f"No, {attempt.number} is wrong.", verdict="fail")  # noqa: E731
        agent = reflect_and_retry(model=model, critic=never, attempts=attempts, history=history)
        improve(agent, TASKS[:1], folder=tmp_path / f"{attempts}")
        return (tmp_path / f"{attempts}" / "journal.jsonl").stat().st_size

    assert size(200) <= 1.1 * 10 * size(20)


def test_a_secret_in_a_reply_is_not_written_and_the_run_can_still_be_resumed(tmp_path: Path) -> None:
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz012345"
    model = ScriptedModel(lambda messages, sampling: f"key {secret} {len(messages)}")
    agent = reflect_and_retry(model=model, environment=Doors, critic=third_time, stop=[], max_steps=2)
    improve(agent, TASKS, folder=tmp_path, budget=Budget(calls=20))
    run = improve(agent, TASKS, folder=tmp_path)
    assert run.figures.passed == 6
    assert secret not in (tmp_path / "journal.jsonl").read_text()
    assert not any(attempt.trainable for each in run.trajectories() for attempt in each.attempts)


def test_the_summary_says_that_the_critic_knew_hidden_data(tmp_path: Path) -> None:
    agent = reflect_and_retry(model=counting(), critic=sees_hidden(knows_the_answer))
    run = improve(agent, TASKS, folder=tmp_path)
    assert "privileged: the critic knew hidden data" in run.summary()
