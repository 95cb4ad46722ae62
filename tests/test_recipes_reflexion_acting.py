"""Reflexion for environments of many steps: the trials of the published program, offline."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentloop import Budget, Fact, Feedback, Prompts, Run, ScriptedModel, Step, Task, improve
from agentloop.environments import HouseholdEnvironment, household_tasks, reward_passes
from agentloop.errors import BadInput
from agentloop.memories import EpisodicMemory
from agentloop.recipes import (
    ReflexionActing,
    episode_is_done,
    reflexion_acting_agent,
    solved_by_trial,
)
from agentloop.types import Attempt
from tests.code_twins import shown
from tests.reflexion_twins import ACT, CLIMB, PLAN, Ladder, Trials
from tests.twins import SENTINEL, run


def agent(model: Any, **options: Any) -> Any:
    if "critic" not in options:
        options.setdefault("oracle", episode_is_done)
    return reflexion_acting_agent(model=model, **{"environment": Ladder, **options})


def climbs_in(trial: int) -> Trials:
    """Slips until the trial in which it climbs."""
    return Trials(lambda at, step: f"up we go {step}" if at >= trial else f"slip a bit {at}")


def test_a_failed_trial_leaves_a_plan_and_the_task_is_tried_anew() -> None:
    policy = climbs_in(2)
    state = run(agent(policy.model), CLIMB)
    assert policy.kinds() == [ACT, ACT, PLAN, ACT, ACT]
    assert (state["stop_reason"], state["stop_signal"], state["best"].number) == ("passed", "oracle", 2)


def test_every_failed_trial_leaves_exactly_one_plan_the_last_one_too() -> None:
    policy = climbs_in(99)
    state = run(agent(policy.model, attempts=4), CLIMB)
    assert policy.kinds().count(PLAN) == 4
    assert state["stop_reason"] == "attempts"
    assert [each.reflection.text for each in state["earlier"]] == [f"plan {n}" for n in range(1, 5)]


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_trial_t_is_shown_the_last_plans_when_acting_and_when_planning(most: int) -> None:
    policy = climbs_in(99)
    run(agent(policy.model, attempts=7, reflections=most), CLIMB)
    acted = [shown(each) for each in policy.model.requests if "Your new plan:" not in shown(each)][::2]
    planned = [shown(each) for each in policy.model.requests if "Your new plan:" in shown(each)]
    for prompts in (acted, planned):
        assert len(prompts) == 7
        for trial, text in enumerate(prompts, start=1):
            wanted = [f"plan {number}" for number in range(1, trial)][-most:]
            assert re.findall(r"Trial \d: (plan \d)", text) == wanted


@pytest.mark.parametrize("most", [1, 3, 7])
def test_a_memory_shows_the_same_plans_in_the_same_order(most: int) -> None:
    bare, kept = climbs_in(99), climbs_in(99)
    run(agent(bare.model, attempts=9, reflections=most), CLIMB)
    run(agent(kept.model, attempts=9, reflections=most, memory=EpisodicMemory(8)), CLIMB)
    assert kept.model.requests == bare.model.requests


def test_without_reflections_nothing_is_asked_for_and_nothing_shown() -> None:
    policy = Trials(lambda at, step: "slip a bit")
    state = run(agent(policy.model, attempts=3, reflections=0), CLIMB)
    assert policy.kinds() == [ACT] * 6 and state["number"] == 3
    assert not any("planned" in shown(each) for each in policy.model.requests)


def test_the_same_action_twice_in_a_row_ends_the_episode_though_the_observation_differs() -> None:
    policy = Trials(lambda at, step: "up we go")
    state = run(agent(policy.model, attempts=1), CLIMB.replace(public={"rungs": 3}))
    (failed,) = state["earlier"]
    assert [step.observation for step in failed.steps] == ["You are on rung 1.", "You are on rung 2."]
    assert failed.feedback.verdict == "fail"


def test_the_repeated_action_is_executed_and_success_is_looked_at_first() -> None:
    policy = Trials(lambda at, step: "up we go")
    state = run(agent(policy.model, attempts=1), CLIMB)
    assert Ladder.last == ["up we go", "up we go"]
    assert (state["stop_reason"], state["best"].feedback.verdict) == ("passed", "pass")


def test_the_same_action_with_another_between_does_not_end_the_episode() -> None:
    said = ["slip a bit", "up we go", "slip a bit", "up we go"]
    policy = Trials(lambda at, step: said[step - 1])
    state = run(agent(policy.model, attempts=1), CLIMB)
    assert len(state["best"].steps) == 4 and state["stop_reason"] == "passed"


def test_a_thought_is_answered_ok_and_never_reaches_the_environment() -> None:
    said = ["think: a ladder is climbed", "up we go", "think: one more", "up we go on"]
    policy = Trials(lambda at, step: said[step - 1])
    state = run(agent(policy.model, attempts=1), CLIMB)
    assert Ladder.last == ["up we go", "up we go on"]
    assert [step.observation for step in state["best"].steps[::2]] == ["OK.", "OK."]


def test_thoughts_count_as_steps_and_a_repeated_one_ends_the_episode() -> None:
    thinks = Trials(lambda at, step: "think: hm")
    state = run(agent(thinks.model, attempts=1), CLIMB)
    assert len(state["attempt"].steps) == 2 and Ladder.last == []
    varied = Trials(lambda at, step: f"think: {step}")
    state = run(agent(varied.model, attempts=1, max_steps=5), CLIMB)
    assert len(state["attempt"].steps) == 5


def test_an_episode_has_at_most_49_steps() -> None:
    policy = Trials(lambda at, step: f"slip a bit {step}")
    state = run(agent(policy.model, attempts=1), CLIMB)
    assert len(state["attempt"].steps) == 49


@pytest.mark.parametrize("empty", range(7))
def test_an_empty_reply_is_asked_for_again_at_rising_temperatures(empty: int, tmp_path: Path) -> None:
    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        return "  up \n" if round(sampling["temperature"] * 5) < empty else f"up we go {len(messages)}"

    model = ScriptedModel(script)
    ran = improve(agent(model, attempts=1), [CLIMB], folder=tmp_path / "r")
    (trajectory,) = ran.trajectories()
    asked = [call.sampling["temperature"] for call in trajectory.calls if call.role == "actor"]
    each = [round(0.2 * number, 1) for number in range(min(empty + 1, 6))]
    (attempt,) = trajectory.attempts
    assert asked == pytest.approx(each * 2)
    assert [step.action for step in attempt.steps] == (
        ["up we go 2", "up we go 4"] if empty < 6 else ["", ""]
    )
    assert [trajectory.call(step.call).sampling["temperature"] for step in attempt.steps] == pytest.approx(
        [each[-1]] * 2
    )


def test_every_try_of_an_empty_reply_is_paid_for() -> None:
    replies = iter(["", "", "up we go", "", "up we go on"])
    model = ScriptedModel(lambda messages, sampling: next(replies))
    state = run(agent(model, attempts=1), CLIMB)
    assert state["best"].usage.calls == model.calls == 5


def test_short_actions_are_not_empty_where_one_says_so() -> None:
    policy = Trials(lambda at, step: "up" if step == 1 else "up!")
    state = run(agent(policy.model, attempts=1, settings=ReflexionActing(shortest=1)), CLIMB)
    assert [step.action for step in state["best"].steps] == ["up", "up!"] and policy.model.calls == 2


def test_only_the_first_line_of_a_reply_is_done_without_its_mark() -> None:
    policy = Trials(lambda at, step: f"> up we go {step}\nYou are on rung 7.\n> stop")
    run(agent(policy.model, attempts=1), CLIMB)
    assert Ladder.last == ["up we go 1", "up we go 2"]


def test_planning_is_shown_the_whole_episode_from_the_task_on_and_the_verdict() -> None:
    policy = climbs_in(99)
    run(agent(policy.model, attempts=1), CLIMB)
    asked = shown(policy.model.requests[-1])
    log = "Climb. You stand at the foot of a ladder.\n> slip a bit 1\nYou are on rung 0.\n> slip a bit 1"
    assert log in asked and "The goal was not reached" in asked


def test_another_model_may_plan_at_the_published_settings(tmp_path: Path) -> None:
    acts, plans = climbs_in(99), climbs_in(99)
    ran = improve(
        agent(acts.model, reflector=plans.model, attempts=2),
        [CLIMB],
        folder=tmp_path / "r",
        grader=episode_is_done,
    )
    (trajectory,) = ran.trajectories()
    settings = {
        (call.role, call.sampling["temperature"], call.sampling["max_tokens"]) for call in trajectory.calls
    }
    assert settings == {("actor", 0.0, 256), ("reflector", 0.0, 256)}
    assert acts.kinds() == [ACT] * 4 and plans.kinds() == [PLAN] * 2


def test_worked_examples_are_shown_by_task_and_see_nothing_hidden() -> None:
    def examples(task: Task) -> str:
        assert task.hidden == {}
        return f"Example for {task.id}."

    policy = climbs_in(1)
    task = CLIMB.replace(hidden={"way": SENTINEL})
    run(agent(policy.model, settings=ReflexionActing(examples=examples)), task)
    assert policy.model.requests[0][0]["content"].endswith("Example for climb.")


def test_a_critic_may_decide_in_place_of_the_oracle() -> None:
    def content(attempt: Attempt) -> Feedback:
        assert attempt.task.hidden == {}
        return Feedback(text="Fine.", verdict="pass" if attempt.number == 2 else "fail")

    state = run(agent(climbs_in(99).model, critic=content), CLIMB.replace(hidden={"way": SENTINEL}))
    assert (state["number"], state["stop_signal"], state["best"].feedback.privileged) == (2, "public", False)


def test_the_oracles_word_is_marked_as_privileged_and_says_no_more_than_right_or_wrong() -> None:
    class Tells(Ladder):
        def final(self) -> list[Fact]:
            return [Fact(kind="end", data={"way": SENTINEL}, hidden=True)]

    policy = climbs_in(3)
    state = run(agent(policy.model, environment=Tells), CLIMB.replace(hidden={"way": SENTINEL}))
    assert {each.feedback.text for each in state["earlier"]} == {
        "The goal was not reached when the trial ended."
    }
    assert state["best"].feedback.privileged
    assert SENTINEL not in str(policy.model.requests)


def test_a_memory_takes_the_plans_into_a_later_run(tmp_path: Path) -> None:
    memory, first, later = EpisodicMemory(3), climbs_in(99), climbs_in(1)
    improve(agent(first.model, attempts=4, memory=memory), [CLIMB], folder=tmp_path / "a")
    improve(agent(later.model, attempts=4, memory=memory), [CLIMB], folder=tmp_path / "b")
    assert re.findall(r"Trial \d: (plan \d)", shown(later.model.requests[0])) == [
        "plan 2",
        "plan 3",
        "plan 4",
    ]


def test_solved_tasks_cost_no_calls_in_later_trials_and_the_curve_says_when_they_were_solved(
    tmp_path: Path,
) -> None:
    tasks = [CLIMB.replace(id=f"solved in {trial}", prompt=f"Climb in {trial}.") for trial in (1, 2, 4, 9)]

    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        text = shown(messages)
        known = [int(number) for number in re.findall(r"Trial \d: plan (\d)", text)]
        trial = max(known, default=0) + 1
        if "Your new plan:" in text:
            return f"plan {trial}"
        wanted = int(re.findall(r"Climb in (\d)", text)[-1])
        return f"up we go {len(messages)}" if trial >= wanted else "slip a bit"

    model = ScriptedModel(script)
    ran = improve(agent(model, attempts=5), tasks, folder=tmp_path / "r")
    done = list(ran.trajectories())
    assert solved_by_trial(done, 5) == [1, 2, 2, 3, 3]
    trials = {each.task.id: {int(call.place.split("/")[-3]) for call in each.calls} for each in done}
    assert {name: max(made) for name, made in trials.items()} == {
        "solved in 1": 1,
        "solved in 2": 2,
        "solved in 4": 4,
        "solved in 9": 5,
    }
    before = model.calls
    improve(agent(model, attempts=5), tasks, folder=tmp_path / "r")
    assert model.calls == before


class Searches:
    """Looks in three places a trial; a plan names those that were looked into, or where the thing is."""

    def __init__(self) -> None:
        self.model = ScriptedModel(self.say)

    def say(self, messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        text = shown(messages)
        thing, goal = re.findall(r"put (\w+ \d) in/on (\w+ \d)\.", text)[-1]
        known = re.findall(rf"{thing} is at (\w+ \d)", text)
        if "Your new plan:" in text:
            seen = re.findall(r"(?:at|open) (\w+ \d)\. On it you see [^\n]*" + thing, text)
            looked = sorted(
                set(re.findall(r"go to (\w+ \d)", text)) | set(re.findall(r"not in (\w+ \d)", text))
            )
            found = seen or known
            return f"{thing} is at {found[0]}" if found else " ".join(f"not in {place}," for place in looked)
        places = [place for place in re.findall(r"a (\w+ \d)", text.split("you see ")[1].split("\n")[0])]
        left = [place for place in places if f"not in {place}," not in text]
        steps = [message["content"] for message in messages if message["role"] == "assistant"]
        if known:
            way = [f"go to {known[0]}", f"open {known[0]}", f"take {thing} from {known[0]}"]
            way += [f"go to {goal}", f"open {goal}", f"put {thing} in/on {goal}", "look here"]
            return way[min(len(steps), 6)]
        turns = [word.format(place) for place in left[:3] for word in ("go to {}", "open {}")]
        return turns[len(steps)] if len(steps) < len(turns) else "think: enough"


def test_households_are_solved_trial_by_trial_as_plans_rule_places_out(tmp_path: Path) -> None:
    ran = improve(
        agent(Searches().model, environment=HouseholdEnvironment(), attempts=6),
        household_tasks(12, seed=3),
        folder=tmp_path / "r",
        grader=reward_passes,
    )
    solved = solved_by_trial(ran.trajectories(), 6)
    assert solved[0] == 0 and solved[-1] == 12
    assert solved == sorted(solved) and len(set(solved)) >= 3
    alone = improve(
        agent(Searches().model, environment=HouseholdEnvironment(), attempts=6, reflections=0),
        household_tasks(12, seed=3),
        folder=tmp_path / "alone",
        grader=reward_passes,
    )
    assert solved_by_trial(alone.trajectories(), 6)[-1] == 0


def test_a_resumed_run_asks_for_nothing_that_is_stored(tmp_path: Path) -> None:
    def script(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        text = shown(messages)
        if "Your new plan:" in text:
            return f"plan {len(text)}"
        if "up we go 2" not in text and sampling["temperature"] < 0.3:
            return ""
        return ["think: hm", "up we go 2", "slip a bit", "slip a bit"][min(len(messages) // 2 - 1, 3)]

    def go(folder: Path) -> tuple[Run, ScriptedModel]:
        model = ScriptedModel(script)
        task = CLIMB.replace(public={"rungs": 3})
        return improve(agent(model, attempts=3), [task], folder=folder, grader=episode_is_done), model

    whole, model = go(tmp_path / "whole")
    (wanted,) = whole.trajectories()
    assert [step.action for step in wanted.attempts[0].steps][:2] == ["think: hm", "up we go 2"]
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "settings.json").write_bytes((tmp_path / "whole" / "settings.json").read_bytes())
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        again, asked = go(folder)
        (found,) = again.trajectories()
        assert [step.action for each in found.attempts for step in each.steps] == [
            step.action for each in wanted.attempts for step in each.steps
        ]
        assert [each.reflection for each in found.attempts] == [each.reflection for each in wanted.attempts]
        assert asked.calls == model.calls - sum(b'"kind":"call"' in line for line in lines[:cut])


@pytest.mark.parametrize("calls", range(1, 7))
def test_it_ends_within_its_budget(tmp_path: Path, calls: int) -> None:
    policy = climbs_in(99)
    ran = improve(agent(policy.model, attempts=2), [CLIMB], folder=tmp_path / "r", budget=Budget(calls=calls))
    assert policy.model.calls == calls
    reasons = [each.stop_reason for each in ran.trajectories()]
    assert reasons in ([], ["budget"]) if calls < 6 else reasons == ["attempts"]


def test_an_environment_that_breaks_is_an_error_and_no_failure() -> None:
    class Breaks(Ladder):
        def step(self, action: str) -> Step:
            raise RuntimeError("the rung broke")

    policy = climbs_in(99)
    state = run(agent(policy.model, environment=Breaks), CLIMB)
    assert (state["stop_reason"], state["attempt"].feedback) == ("error", None)
    assert policy.kinds() == [ACT]


def test_a_model_brings_its_own_texts() -> None:
    policy = climbs_in(1)
    policy.model.prompts = Prompts({"reflexion_acting": "Act."})
    run(agent(policy.model), CLIMB)
    assert policy.model.requests[0][0]["content"] == "Act."


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attempts": 0}, "attempts must be at least 1, got 0"),
        ({"max_steps": 0}, "max_steps must be at least 1, got 0"),
        ({"reflections": -1}, "reflections must be at least 0, got -1"),
        ({"oracle": None}, "give oracle= .* or critic=, got neither"),
        ({"critic": episode_is_done, "oracle": episode_is_done}, "got both"),
        ({"settings": ReflexionActing(temperatures=())}, "temperatures must not be empty"),
    ],
)
def test_a_mistake_of_the_caller_is_raised_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        agent(climbs_in(1).model, **options)
