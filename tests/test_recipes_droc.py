"""DROC on the table-top: who is asked what, what is kept and found again, and what a resumed run repeats."""

import asyncio
import json
import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentloop import Budget, Correction, Feedback, ScriptedModel, Step, Task
from agentloop.environments.tabletop import TabletopEnvironment, tabletop_tasks
from agentloop.environments.tabletop.photos import photo_of
from agentloop.errors import BadInput
from agentloop.knowledge import Knowledge
from agentloop.memories import CorrectionMemory, EpisodicMemory, KnowledgeMemory
from agentloop.models.tabletop import tabletop_robot
from agentloop.people.tabletop import TabletopPerson
from agentloop.recipes import droc_agent
from agentloop.recipes.droc_retrieving import picked, vague_name
from agentloop.types import Trajectory
from agentloop.watching import Moment
from tests.droc_twins import asked, carried_out, memory, once, robot, silent

TASKS = tabletop_tasks(0)
INTO_DRAWER, INTO_BOX, MINE = TASKS[0], TASKS[4], TASKS[2]
SLIPPERY = TASKS[1]


def one(task: Task, folder: Path, **settings: Any) -> Trajectory:
    return next(carried_out([task], folder, **settings).trajectories())


def corrections(trajectory: Trajectory) -> list[str]:
    return [each.feedback.text for each in trajectory.attempts if each.feedback and each.feedback.text]


def actions(trajectory: Trajectory) -> list[str]:
    return [step.action for each in trajectory.attempts for step in each.steps]


def constraint(name: str, text: str, about: str = "") -> Knowledge:
    words = Correction(id=name, text=text, level="plan", key=text)
    photo = photo_of(about.split()[0], random.Random(name)) if about else None
    return Knowledge(correction=words, kind="task_constraint", object=about, photo=photo)


def taught(folder: Path, *knowledge: Knowledge) -> KnowledgeMemory:
    held = memory(folder)
    for each in knowledge:
        asyncio.run(held.keep(each))
    return held


def test_every_correction_ends_an_attempt_and_the_last_attempt_ends_without_one(tmp_path: Path) -> None:
    done = one(INTO_DRAWER, tmp_path)
    assert (done.stop_reason, done.stop_signal, done.passed) == ("passed", "oracle", True)
    said = [each.feedback.text if each.feedback else None for each in done.attempts]
    assert len(said) > 5 and all(said[:-1]) and said[-1] == ""
    assert [each.passed for each in done.attempts] == [False] * (len(said) - 1) + [True]
    assert all(each.feedback and each.feedback.privileged for each in done.attempts)


def test_corrections_in_the_second_round_are_at_most_half_of_those_in_the_first(tmp_path: Path) -> None:
    counts = [0, 0]
    for seed in range(2):
        with memory(tmp_path / f"{seed}") as kept:
            for number in range(2):
                tasks = tabletop_tasks(number, seed=seed)
                run = carried_out(tasks, tmp_path / f"{seed}-{number}", memory=kept)
                counts[number] += sum(len(each.attempts) - 1 for each in run.trajectories())
    assert counts[1] <= counts[0] / 2, counts


def test_a_second_task_alike_needs_no_correction(tmp_path: Path) -> None:
    with memory(tmp_path / "memory") as kept:
        one(INTO_DRAWER, tmp_path / "1", memory=kept)
        again = one(INTO_DRAWER.replace(id="again"), tmp_path / "2", memory=kept)
    assert corrections(again) == [] and again.passed


def test_replanning_keeps_the_finished_steps_and_goes_on_from_there(tmp_path: Path) -> None:
    plans: list[tuple[int, tuple[str, ...]]] = []
    person = TabletopPerson(phrasings="known")

    def watcher(moment: Moment) -> Feedback | None:
        plans.append((moment.at, moment.plan))
        return person(moment)

    watcher.sees_hidden = True  # type: ignore[attr-defined]
    done = one(INTO_DRAWER, tmp_path, person=watcher)
    changed = [(old, new) for old, new in zip(plans, plans[1:], strict=False) if old[1] != new[1]]
    assert len(changed) >= 3, "opened, emptied the hand, closed"
    for (at, old), (_, new) in changed:
        assert new[:at] == old[:at]
    assert done.passed and [old[1][0] for old, _ in changed] == ["pick up the cup"] * len(changed)


def test_a_distilled_value_is_the_one_that_was_accepted_last(tmp_path: Path) -> None:
    with memory(tmp_path / "memory") as kept:
        done = one(INTO_DRAWER, tmp_path / "run", memory=kept)
        skills = {each.step.split()[0]: each.values for each in kept.list() if each.values}
    accepted: dict[str, str] = {}
    for action in actions(done):
        accepted[action.split("(")[0]] = action
    for verb in ("pick", "open", "put"):
        given = accepted[verb].split(", ")[1:]
        assert [f"{name}={value:g}" for name, value in skills[verb].items()] == [x.rstrip(")") for x in given]
        assert any(isinstance(value, float) and value % 1 for value in skills[verb].values())


def test_a_movement_on_the_way_is_kept_apart_from_the_final_values(tmp_path: Path) -> None:
    with memory(tmp_path / "memory") as kept:
        done = one(INTO_BOX, tmp_path / "run", memory=kept)
        (put,) = [each for each in kept.list() if each.step.startswith("put")]
    lifted = [action for action in actions(done) if action.startswith("move")]
    assert len(lifted) == 1 and put.code == lifted[0]
    assert set(put.values) == {"x", "y"} and put.photo is not None


def test_every_finished_step_is_kept_corrected_or_not(tmp_path: Path) -> None:
    with memory(tmp_path / "memory") as kept:
        for number in range(2):
            one(INTO_BOX.replace(id=f"{number}"), tmp_path / f"{number}", memory=kept)
        steps = [each.step for each in kept.list() if each.kind == "skill"]
    assert sorted(steps) == sorted(["pick up the spoon", "put the spoon into the box"] * 2)


def test_constraints_are_kept_with_a_photo_where_they_are_about_an_object_and_none_is_no_constraint(
    tmp_path: Path,
) -> None:
    with memory(tmp_path / "memory") as kept:
        one(MINE, tmp_path / "run", memory=kept)
        found = {each.correction.text: each for each in kept.list() if each.kind != "skill"}
    own = found["My spoon is the steel spoon."]
    assert own.photo is not None and own.object == "steel spoon"
    robots = found["The hand must be empty to open a drawer."]
    assert robots.kind == "robot_constraint" and robots.photo is None
    assert "none" not in {text.lower().strip(".") for text in found}
    assert own.correction.source.quote and own.correction.source.trajectory == f"{MINE.id}#0"


def test_a_constraint_of_the_robot_is_about_no_object_whatever_the_model_says(tmp_path: Path) -> None:
    reply = {
        "robot_constraint": "One hand only.",
        "task_constraint": " None. ",
        "about": "red box",
        "replan": [],
    }
    model = robot(route="yes", replan=json.dumps(reply))
    with memory(tmp_path / "memory") as kept:
        one(INTO_BOX, tmp_path / "run", model=model, memory=kept, person=once("You have one hand only."))
        (only,) = [each for each in kept.list() if each.kind != "skill"]
    assert (only.kind, only.object, only.photo) == ("robot_constraint", "", None)


def test_the_router_is_shown_the_step_and_the_correction_and_asked_once_each(tmp_path: Path) -> None:
    model = tabletop_robot()
    done = one(INTO_DRAWER, tmp_path, model=model)
    routed = asked(model, "route")
    assert [each["correction"] for each in routed] == corrections(done)
    assert {each["step"] for each in routed} <= {
        "pick up the cup",
        "open the drawer",
        "put the cup into the drawer",
    }


@pytest.mark.parametrize(("reply", "level"), [("Yes.", "plan"), ("no", "skill"), ("Hard to say", "skill")])
def test_the_routers_word_decides_and_anything_else_counts_as_no(
    tmp_path: Path, reply: str, level: str
) -> None:
    model = robot(route=reply)
    done = one(INTO_BOX, tmp_path, model=model, person=once("Hm, 3 cm more to the left."))
    first = done.attempts[0].feedback
    assert first and first.level == level, "the person gave none, so the router's is written down"
    assert bool(asked(model, "replan")) == (level == "plan")


@pytest.mark.parametrize(
    ("depends", "shown"),
    [
        ("last action", ["response 1"]),
        ("nothing", ["none"]),
        ("task failed", ["response 1", "response 2"]),
        ("gibberish", ["response 1"]),
    ],
)
def test_a_try_is_shown_what_the_correction_depends_on(
    tmp_path: Path, depends: str, shown: list[str]
) -> None:
    def person(moment: Moment) -> Feedback | None:
        return Feedback(text=f"{moment.corrections} cm to the left") if moment.corrections < 3 else None

    code = iter(["pick(1, x=0.1)", "pick(1, x=0.2)", "pick(1, x=0.3)"])
    model = robot(route="no", depends=depends, correct=lambda _: next(code))
    one(INTO_BOX, tmp_path, model=model, person=person)
    history = asked(model, "correct")[-1]["history"]
    assert [
        line.rstrip(":") for line in history.splitlines() if line.startswith(("response", "none"))
    ] == shown
    assert ("x=0.2" in history) == (depends != "nothing"), "the last of three"
    assert ("x=0," in history) == (depends == "task failed"), "the first of three"


def test_now_continue_runs_what_was_interrupted_at_first_without_asking_for_code(tmp_path: Path) -> None:
    model = robot(depends=lambda shown: "initial action" if "continue" in shown["correction"] else "nothing")
    said = iter(["Lift the arm 12 cm.", "Now continue."])
    done = one(
        INTO_BOX,
        tmp_path,
        model=model,
        person=lambda moment: Feedback(text=text) if (text := next(said, "")) else None,
    )
    first, moved, again = [action for action in actions(done) if not action.startswith("find")][:3]
    assert (moved, again) == ("move(up=0.12)", first)
    assert len(asked(model, "correct")) == 1


def test_only_constraints_that_the_model_chose_reach_the_plan(tmp_path: Path) -> None:
    held = [
        constraint("1", "Open the drawer before putting anything into it."),
        constraint("2", "Wear a hat."),
    ]
    model = robot(choose=lambda shown: json.dumps({"relevant": [2, 7, "1", True]}))
    with taught(tmp_path / "memory", *held) as kept:
        one(INTO_DRAWER, tmp_path / "run", model=model, memory=kept)
    newest_first = asked(model, "choose")[0]["constraints"]
    assert newest_first.splitlines() == ["1. Wear a hat.", f"2. {held[0].correction.text}"]
    assert asked(model, "plan")[0]["constraints"].splitlines()[0] == f"- {held[0].correction.text}"
    assert "hat" not in asked(model, "plan")[0]["constraints"]


def drawer_of(task: Task) -> str:
    table = json.loads(task.hidden["table"])
    return next(each["make"] for each in table["things"] if each["kind"] == "drawer")


def test_one_chosen_constraint_names_the_object_without_a_look_and_several_do_by_looks(
    tmp_path: Path,
) -> None:
    makes = ["white", "oak", "blue"]
    there = drawer_of(INTO_DRAWER)
    other = next(make for make in makes if make != there)
    model = tabletop_robot()
    with taught(tmp_path / "1", constraint("1", f"The {other} drawer squeaks.", f"{other} drawer")) as kept:
        first = one(INTO_DRAWER, tmp_path / "run 1", model=model, memory=kept)
    assert f"the {other} drawer" in asked(model, "plan")[0]["task"], "published: no picture is compared"
    assert actions(first)[0] != 'find("drawer")'
    both = [constraint(make, f"The {make} drawer squeaks.", f"{make} drawer") for make in makes]
    with taught(tmp_path / "2", *both) as kept:
        second = one(INTO_DRAWER, tmp_path / "run 2", model=model, memory=kept)
    assert f"the {there} drawer" in asked(model, "plan")[1]["task"]
    assert 'find("drawer")' in actions(second)


def test_a_skill_learnt_on_another_make_is_not_used_where_the_right_one_is_known(tmp_path: Path) -> None:
    tasks = [task for number in range(9) for task in tabletop_tasks(number, families=["drawer"])]
    first = tasks[0]
    other = next(task for task in tasks if drawer_of(task) != drawer_of(first))
    with memory(tmp_path / "memory") as kept:
        one(first, tmp_path / "1", memory=kept)
        one(other, tmp_path / "2", memory=kept)
        again = one(first.replace(id="again"), tmp_path / "3", memory=kept)
    assert not [text for text in corrections(again) if "gripper" in text.lower() or "pull" in text.lower()]


@pytest.mark.parametrize(
    ("instruction", "known", "name"),
    [
        ("Put it into the drawer.", ["oak drawer"], "drawer"),
        ("Put it into the wooden drawer.", ["oak drawer", "white drawer"], "wooden drawer"),
        ("Put it into the oak drawer.", ["oak drawer", "white drawer"], None),
        ("Put my cup away", ["black drawer"], None),
        ("The DRAWER is stuck", ["oak drawer"], "drawer"),
    ],
)
def test_a_name_is_vague_where_it_does_not_say_which_one(
    instruction: str, known: Sequence[str], name: str | None
) -> None:
    assert vague_name(instruction, "drawer", known) == name


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ('{"same": [2, 1, 2]}', ["b", "a"]),
        ('{"same": "all"}', []),
        ("", []),
        ('{"same": [0, 3, -1, 1.0]}', []),
    ],
)
def test_numbers_that_are_none_of_the_list_choose_nothing(reply: str, found: list[str]) -> None:
    assert picked(reply, "same", ["a", "b"]) == found


def test_a_newcomers_person_is_one_function_and_is_shown_nothing_hidden(tmp_path: Path) -> None:
    moments: list[Moment] = []

    def person(moment: Moment) -> Feedback | None:
        moments.append(moment)
        return None

    done = one(INTO_BOX, tmp_path, person=person)
    assert (done.stop_reason, done.stop_signal, done.passed) == ("passed", "public", False)
    assert [(each.at, each.step, each.last) for each in moments] == [
        (0, "pick up the spoon", False),
        (1, "put the spoon into the box", True),
    ]
    assert not [each for each in moments if each.task.hidden or any(fact.hidden for fact in each.facts)]
    assert not done.attempts[0].feedback or not done.attempts[0].feedback.privileged


def test_a_person_may_say_that_it_is_done_before_the_plan_is(tmp_path: Path) -> None:
    done = one(INTO_BOX, tmp_path, person=lambda moment: Feedback(text="Thanks.", verdict="pass"))
    assert done.stop_reason == "passed" and len(actions(done)) == 2


def test_nothing_hidden_reaches_a_prompt_or_the_memory(tmp_path: Path) -> None:
    model = tabletop_robot()
    with memory(tmp_path / "memory") as kept:
        one(INTO_DRAWER, tmp_path / "run", model=model, memory=kept)
        words = " ".join(each.correction.to_json() for each in kept.list())
    prompts = " ".join(message["content"] for request in model.requests for message in request)
    for text in (prompts, words):
        assert INTO_DRAWER.hidden["table"] not in text and '"needs"' not in text and "left_open" not in text


@pytest.mark.parametrize(
    ("limits", "reason", "most"),
    [({"corrections": 3}, "corrections", 3), ({"corrections_of_step": 2}, "corrections", 2)],
)
def test_a_person_who_is_never_content_ends_the_task_at_the_cap_and_nothing_is_kept(
    tmp_path: Path, limits: dict[str, int], reason: str, most: int
) -> None:
    with memory(tmp_path / "memory") as kept:
        grumpy = lambda moment: Feedback(text="A bit more to the left.")  # noqa: E731
        done = one(INTO_BOX, tmp_path / "run", person=grumpy, memory=kept, **limits)
        assert kept.list() == ()
    assert (done.stop_reason, done.stop_signal, len(done.attempts)) == (reason, "none", most)


def test_a_plan_without_an_end_ends_at_the_most_steps(tmp_path: Path) -> None:
    plan = json.dumps({"plan": [{"step": f"close the drawer {n}", "object": "drawer"} for n in range(50)]})
    done = one(INTO_DRAWER, tmp_path, model=robot(plan=plan), person=silent, steps=4)
    assert done.stop_reason == "steps" and sum("close" in action for action in actions(done)) == 4


@pytest.mark.parametrize("reply", ["I would rather not.", '{"plan": []}', '{"plan": [7, {"object": "cup"}]}'])
def test_a_reply_without_a_plan_is_an_attempt_that_failed(tmp_path: Path, reply: str) -> None:
    done = one(INTO_BOX, tmp_path, model=robot(plan=reply))
    assert done.stop_reason == "error"
    assert "no plan can be read" in str(done.attempts[0].error)


def test_a_replan_that_cannot_be_read_leaves_the_old_plan_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = robot(replan="Sure!", route="yes")
    with caplog.at_level(logging.WARNING):
        done = one(INTO_BOX, tmp_path, model=model, person=once("Do it otherwise."))
    assert "no new plan can be read" in caplog.text and done.stop_reason == "passed"


def test_a_person_who_breaks_is_named_and_stops_no_other_task(tmp_path: Path) -> None:
    def person(moment: Moment) -> Feedback | None:
        if moment.task.id == INTO_BOX.id:
            raise RuntimeError("asleep")
        return None

    done = {
        each.task.id: each for each in carried_out([INTO_BOX, MINE], tmp_path, person=person).trajectories()
    }
    box, mine = done[INTO_BOX.id], done[MINE.id]
    assert box.attempts[0].error == "person: RuntimeError: asleep" and mine.stop_reason == "passed"


def test_what_a_person_returns_must_be_feedback(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Feedback or None, got str"):
        one(INTO_BOX, tmp_path, person=lambda moment: "more left")


def kept_after(folder: Path, **answers: Any) -> list[Knowledge]:
    with memory(folder / "memory") as kept:
        done = one(INTO_BOX, folder / "run", model=robot(**answers), memory=kept)
        assert done.stop_reason == "passed"
        return [each for each in kept.list() if each.kind == "skill"]


def test_values_of_every_type_are_kept(tmp_path: Path) -> None:
    mixed = {"a": 0.25, "b": [1, 2.5], "c": True, "d": "left handle", "e": None, "f": {"g": 1}, "h": 3}
    listed = [{"name": name, "value": value, "from": 1} for name, value in mixed.items()]
    found = kept_after(tmp_path, values=json.dumps({"values": listed, "way_points": []}))
    assert [each.values for each in found] == [mixed, mixed]


def test_what_names_no_response_is_left_out_and_said_and_the_rest_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad: list[Any] = [
        {"name": "x", "value": 1, "from": 99},
        {"name": "y", "value": 2},
        "z",
        {"value": 3, "from": 1},
    ]
    reply = {"values": [*bad, {"name": "w", "value": 4, "from": 1}], "way_points": [{"code": "move(up=1)"}]}
    with caplog.at_level(logging.WARNING):
        found = kept_after(tmp_path, values=json.dumps(reply))
    assert [(each.values, each.code) for each in found] == [({"w": 4}, "")] * 2
    assert caplog.text.count("not of any response") == 10
    assert '"kind":"undistilled"' in (tmp_path / "run" / "journal.jsonl").read_text()


def test_a_step_that_cannot_be_distilled_is_said_and_the_others_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def names(shown: Mapping[str, str]) -> str:
        return "?" if shown["step"].startswith("pick") else '{"names": ["x"]}'

    with caplog.at_level(logging.WARNING):
        found = kept_after(tmp_path, names=names)
    assert [each.step for each in found] == ["put the spoon into the box"]
    assert "pick up the spoon: the distiller's reply holds no list of names" in caplog.text


def test_what_slipped_is_tried_again_as_it_was(tmp_path: Path) -> None:
    done = one(SLIPPERY, tmp_path)
    slipped = next(n for n, each in enumerate(done.attempts) if "slipped" in each.steps[-1].observation)
    before, after = (done.attempts[n].steps for n in (slipped, slipped + 1))
    assert after[0].action == before[-1].action and "in the hand" in after[0].observation


def test_what_was_recalled_is_settled_by_whether_its_level_was_corrected(tmp_path: Path) -> None:
    with memory(tmp_path / "memory") as kept:
        one(INTO_BOX, tmp_path / "1", memory=kept)
        one(INTO_BOX.replace(id="2"), tmp_path / "2", memory=kept)
        one(
            INTO_BOX.replace(id="3"),
            tmp_path / "3",
            memory=kept,
            person=once("3 cm more to the left."),
        )
        counts = [(each.step[:3], each.correction.helped, each.correction.hurt) for each in kept.list()]
    assert sum(helped for _, helped, _ in counts) == 3 and sum(hurt for *_, hurt in counts) == 1
    assert [step for step, _, hurt in counts if hurt] == ["pic"]


@pytest.mark.parametrize("kind", ["corrections", "episodic", "history"])
def test_any_memory_serves_by_the_same_argument(tmp_path: Path, kind: str) -> None:
    held: Any = EpisodicMemory()
    keeps: Any = "distilled"
    if kind == "corrections":
        pytest.importorskip("chromadb")
        held = CorrectionMemory(tmp_path / "memory", floor=0.0)
    elif kind == "history":
        held, keeps = KnowledgeMemory(tmp_path / "memory"), "history"
    first = one(INTO_DRAWER, tmp_path / "1", memory=held, keeps=keeps)
    again = one(INTO_DRAWER.replace(id="again"), tmp_path / "2", memory=held, keeps=keeps)
    held.close()
    assert again.passed
    assert len(corrections(again)) < len(corrections(first)) / 2


def test_without_distilling_the_whole_interaction_is_shown_later(tmp_path: Path) -> None:
    model = tabletop_robot()
    with KnowledgeMemory(tmp_path / "memory") as kept:
        first = one(INTO_BOX, tmp_path / "1", memory=kept, keeps="history")
        one(INTO_BOX.replace(id="again"), tmp_path / "2", memory=kept, keeps="history", model=model)
    for shown in (*asked(model, "plan"), *asked(model, "code")):
        assert all(text in shown["notes"] for text in corrections(first))
    assert not asked(model, "names")


class Counted(TabletopEnvironment):
    """Counts the actions that are carried out, over all sessions."""

    def __init__(self) -> None:
        self.carried_out: list[str] = []

    def __call__(self, task: Task) -> Any:
        session, inner = super().__call__(task), TabletopEnvironment.__call__(self, task).step
        inner = session.step

        def step(action: str) -> Step:
            self.carried_out.append(action)
            return inner(action)

        session.step = step  # type: ignore[method-assign]
        return session


@pytest.mark.parametrize("calls", [1, 7, 12, 20, 33])
def test_a_run_cut_off_anywhere_goes_on_and_has_nothing_twice(tmp_path: Path, calls: int) -> None:
    with memory(tmp_path / "whole memory") as kept:
        whole = one(INTO_DRAWER, tmp_path / "whole", memory=kept)
        learnt = [each.correction.text for each in kept.list()]
    environment, model = Counted(), tabletop_robot()
    with memory(tmp_path / "cut memory") as kept:
        agent = droc_agent(
            model=model, environment=environment, person=TabletopPerson(phrasings="known"), memory=kept
        )
        from agentloop import improve

        improve(agent, [INTO_DRAWER], folder=tmp_path / "cut", budget=Budget(calls=calls), concurrency=1)
        assert model.calls == calls
        resumed = improve(agent, [INTO_DRAWER], folder=tmp_path / "cut", concurrency=1)
        done = next(resumed.trajectories())
        assert [each.correction.text for each in kept.list()] == learnt
    assert actions(done) == actions(whole) and corrections(done) == corrections(whole)
    assert environment.carried_out == actions(whole), "no action was carried out twice"
    assert model.calls == len(done.calls)


class Plain:
    """A session without snapshots: it is brought back by its actions."""

    def __init__(self, task: Task) -> None:
        self.inner = TabletopEnvironment()(task)
        self.prompt, self.instructions = self.inner.prompt, self.inner.instructions

    def step(self, action: str) -> Step:
        return self.inner.step(action)

    def close(self) -> None:
        pass


class Fickle(Plain):
    """One that observes something else every time."""

    seen = 0

    def step(self, action: str) -> Step:
        type(self).seen += 1
        step = super().step(action)
        return step.replace(observation=f"{step.observation} {self.seen}")


def test_a_world_without_snapshots_is_brought_back_by_its_actions(tmp_path: Path) -> None:
    with_snapshots, without = (
        one(INTO_DRAWER, tmp_path / "1"),
        one(INTO_DRAWER, tmp_path / "2", environment=Plain),
    )
    assert actions(without) == actions(with_snapshots) and without.passed


def test_a_world_that_cannot_be_brought_back_is_refused_by_name(tmp_path: Path) -> None:
    done = one(INTO_BOX, tmp_path, environment=Fickle)
    assert done.stop_reason == "error" and "give the session snapshot()" in str(done.attempts[-1].error)


def test_the_agent_works_outside_of_a_run(tmp_path: Path) -> None:
    agent = droc_agent(
        model=tabletop_robot(), environment=TabletopEnvironment(), person=TabletopPerson(phrasings="known")
    )
    state = asyncio.run(agent.ainvoke({"task": INTO_BOX}))
    assert state["stop_reason"] == "passed" and state["number"] == len(state["corrections"]) + 1


def test_the_same_run_twice_is_the_same_run(tmp_path: Path) -> None:
    first, second = (one(MINE, tmp_path / name) for name in ("1", "2"))
    assert actions(first) == actions(second) and corrections(first) == corrections(second)


def test_wrong_arguments_are_refused() -> None:
    parts: dict[str, Any] = {
        "model": ScriptedModel([]),
        "environment": TabletopEnvironment(),
        "person": silent,
    }
    with pytest.raises(BadInput, match="corrections must be at least 1"):
        droc_agent(**parts, corrections=0)
    with pytest.raises(BadInput, match="distilled, history"):
        droc_agent(**parts, keeps="all")
