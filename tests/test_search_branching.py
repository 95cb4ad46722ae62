"""Branches of an environment: each has a session of its own, and none touches another's state."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop import Fact, ScriptedModel, Step, Task, improve
from agentloop.errors import BadInput
from agentloop.journal import read
from agentloop.search import (
    Branching,
    Evaluated,
    Search,
    Tree,
    Visit,
    Worth,
    add_up,
    search_agent,
)
from tests.twins import run

TASK = Task(id="shelf", prompt="Fill the shelf.")


class Shelf:
    """A mutable world: words are put on a shelf, or the last one is taken off it.

    Its snapshot is the live list itself, and so is what it restores: the worst that can be handed out.
    """

    opened = closed = 0

    def __init__(self, task: Task) -> None:
        type(self).opened += 1
        self.words: list[str] = []

    def prompt(self) -> str:
        return "An empty shelf."

    def step(self, action: str) -> Step:
        if action == "off":
            self.words[-1:] = []
        else:
            self.words.append(action)
        return Step(action=action, observation=" ".join(self.words))

    def final(self) -> list[Fact]:
        return [Fact(kind="shelf", data={"words": list(self.words)}, hidden=True)]

    def snapshot(self) -> Any:
        return self.words

    def restore(self, state: Any) -> None:
        self.words = state

    def close(self) -> None:
        type(self).closed += 1
        self.words.append("LEFT BEHIND")


class Bare(Shelf):
    """The same without snapshots."""

    snapshot = restore = None  # type: ignore[assignment]


class Given(Shelf):
    """It gives snapshots and cannot take them up."""

    restore = None  # type: ignore[assignment]


class Uncopied(Shelf):
    """Its snapshots hold a generator, which cannot be copied."""

    def snapshot(self) -> Any:
        return (word for word in self.words)


class Changeable(Bare):
    """Brings other observations every time."""

    def step(self, action: str) -> Step:
        return super().step(action).replace(observation=f"{action} {type(self).opened}")


def growing(world: Any, plan: list[tuple[int, str]], *, fails_at: int | None = None) -> Any:
    """A search that takes the planned actions: each is (the node it is taken at, the action)."""
    branching = Branching(world)

    async def expand(visit: Visit) -> Tree:
        parent, action = plan[visit.tree.visits]
        return visit.tree.grow(parent, [action])

    async def evaluate(visit: Visit) -> Evaluated:
        (number,) = visit.new
        if number == fails_at:
            raise BadInput("the plug was pulled")
        parent = visit.tree.node(number).parent
        assert parent is not None
        step, facts, _ = await branching.step(visit, parent, child=number)
        attempt = visit.fresh_attempt(step.action, steps=(step,), facts=facts)
        visit.keep(attempt, 1.0)
        return Evaluated(visit.tree.change(number, observation=step.observation), [Worth(number, 1.0)])

    return search_agent(
        Search(select=lambda tree: 0, expand=expand, evaluate=evaluate, back_up=add_up(), visits=len(plan))
    )


def ways(folder: Path) -> list[str]:
    visits = [entry["value"] for entry in read(folder / "journal.jsonl") if entry.get("kind") == "visit"]
    return [way for visit in visits for way in visit["ways"].values()]


def seen(state: dict[str, Any]) -> list[str]:
    return [node.observation for node in state["tree"].nodes[1:]]


FORKED = [(0, "a"), (1, "b"), (1, "c"), (2, "off"), (1, "d"), (3, "e"), (2, "f")]
WANTED = ["a", "a b", "a c", "a", "a d", "a c e", "a b f"]


@pytest.mark.parametrize("world", [Shelf, Bare, Given, Uncopied])
def test_what_one_branch_does_is_not_seen_in_another(world: Any) -> None:
    assert seen(run(growing(world, FORKED), TASK)) == WANTED


@pytest.mark.parametrize(
    ("world", "way"),
    [(Shelf, "restored"), (Bare, "replayed"), (Given, "replayed"), (Uncopied, "replayed")],
)
def test_it_is_said_how_a_session_came_to_its_state(tmp_path: Path, world: Any, way: str) -> None:
    improve(growing(world, FORKED), [TASK], folder=tmp_path)
    assert ways(tmp_path) == ["fresh", *[way] * 6]


def test_a_snapshot_that_fails_is_an_error_and_not_a_missing_one() -> None:
    class Failing(Shelf):
        def snapshot(self) -> Any:
            raise TypeError("no snapshot today")

    assert "no snapshot today" in run(growing(Failing, FORKED), TASK)["attempt"].error


def test_effects_of_attempts_that_are_done_are_counted_no_more() -> None:
    assert run(growing(Shelf, FORKED), TASK)["had"] == {}


def test_every_session_is_closed(tmp_path: Path) -> None:
    before = Shelf.opened, Shelf.closed
    improve(growing(Shelf, FORKED), [TASK], folder=tmp_path)
    assert (Shelf.opened - before[0], Shelf.closed - before[1]) == (7, 7)


def test_the_end_state_of_a_step_reaches_the_attempt_and_the_journal(tmp_path: Path) -> None:
    done = improve(growing(Shelf, FORKED), [TASK], folder=tmp_path)
    (trajectory,) = done.trajectories()
    assert [attempt.steps[0].observation for attempt in trajectory.attempts] == WANTED
    assert [attempt.facts[0].data["words"] for attempt in trajectory.attempts] == [
        each.split() for each in WANTED
    ]


def test_an_environment_that_is_not_deterministic_is_refused() -> None:
    state = run(growing(Changeable, FORKED), TASK)
    assert state["stop_reason"] == "error"
    assert "brought another observation when it was repeated" in state["attempt"].error


@pytest.mark.parametrize("cut", range(2, 8))
def test_a_search_cut_off_repeats_actions_and_takes_no_recorded_step_again(tmp_path: Path, cut: int) -> None:
    with pytest.raises(BadInput, match="plug"):
        improve(growing(Shelf, FORKED, fails_at=cut), [TASK], folder=tmp_path)
    before = Shelf.opened
    done = improve(growing(Shelf, FORKED), [TASK], folder=tmp_path)
    assert Shelf.opened - before == len(FORKED) - (cut - 1)
    assert "recorded" not in ways(tmp_path), "what was noted before the cut was written over"
    (trajectory,) = done.trajectories()
    assert [attempt.steps[0].observation for attempt in trajectory.attempts] == WANTED


class Dying(Shelf):
    """Its end state can be asked for only once ``alive``."""

    alive = False

    def final(self) -> list[Fact]:
        if not type(self).alive:
            raise BadInput("cut off before the end state")
        return super().final()


def test_an_end_state_lost_with_its_session_is_asked_for_in_a_new_one(tmp_path: Path) -> None:
    Dying.alive = False
    with pytest.raises(BadInput, match="end state"):
        improve(growing(Dying, FORKED[:1]), [TASK], folder=tmp_path)
    Dying.alive = True
    done = improve(growing(Dying, FORKED), [TASK], folder=tmp_path)
    (trajectory,) = done.trajectories()
    assert [attempt.facts[0].data["words"] for attempt in trajectory.attempts] == [
        each.split() for each in WANTED
    ]


PLANS = st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["a", "b", "off"])), min_size=1, max_size=8)


@settings(deadline=None, max_examples=40)
@given(PLANS)
def test_any_tree_of_actions_brings_what_each_path_alone_brings(plan: list[tuple[int, str]]) -> None:
    plan = [(parent % (place + 1), action) for place, (parent, action) in enumerate(plan)]
    for world in (Shelf, Bare):
        state = run(growing(world, plan), TASK)
        for node in state["tree"].nodes[1:]:
            alone = Shelf(TASK)
            for each in state["tree"].path(node.id)[1:]:
                step = alone.step(each.content)
            assert node.observation == step.observation


def test_actions_asked_of_a_model_stand_with_their_step(tmp_path: Path) -> None:
    model, branching = ScriptedModel(["a"]), Branching(Shelf)

    async def expand(visit: Visit) -> Tree:
        asked = await visit.ask(model, "what next?", role="act", attempt=visit.next_number)
        return visit.tree.grow(0, [asked.reply.text]).change(1, notes={"call": asked.place})

    async def evaluate(visit: Visit) -> Evaluated:
        call = visit.tree.node(1).notes["call"]
        step, facts, _ = await branching.step(visit, 0, child=1, call=call)
        visit.keep(visit.fresh_attempt("a", steps=(step,), facts=facts, calls=(call,)), 1.0)
        return Evaluated(visit.tree, [Worth(1, 1.0)])

    agent = search_agent(
        Search(select=lambda _: 0, expand=expand, evaluate=evaluate, back_up=add_up(), visits=1)
    )
    (trajectory,) = improve(agent, [TASK], folder=tmp_path).trajectories()
    (attempt,) = trajectory.attempts
    assert attempt.calls == (attempt.steps[0].call,) and trajectory.call(attempt.calls[0]).role == "actor"
