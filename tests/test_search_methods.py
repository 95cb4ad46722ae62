"""The search piece carries published methods: SWE-Search's bonuses and hindsight, RMaxTS's new states."""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentloop import Fact, ScriptedModel, Step, Task, improve
from agentloop.journal import read
from agentloop.search import (
    Branching,
    Evaluated,
    Node,
    Search,
    Tree,
    Visit,
    Worth,
    add_up,
    after_finished,
    after_nodes,
    at_reward,
    descend,
    discounted_ucb,
    fade,
    highest,
    search_agent,
    stay,
    uct,
)
from agentloop.types import Message
from tests.twins import run

TASK = Task(id="repo", prompt="Make the test pass.")


# SWE-Search: a repository of two files, a test that needs both changed


class Repository:
    """Two files. ``write NAME TEXT`` changes one, ``test`` runs the test; its snapshot is the live dict."""

    def __init__(self, task: Task) -> None:
        self.files = {"a.py": "x = 1", "b.py": "y = 1"}

    def prompt(self) -> str:
        return "a.py and b.py"

    def step(self, action: str) -> Step:
        done = False
        if action.startswith("write "):
            _, name, text = action.split(" ", 2)
            self.files[name] = text
            observed = f"{name}: {text}"
        else:
            done = self.files == {"a.py": "x = 2", "b.py": "y = 2"}
            observed = "passed" if done else "failed"
        facts = (Fact(kind="files", data=dict(self.files)),)
        return Step(action=action, observation=observed, facts=facts, done=done)

    def snapshot(self) -> Any:
        return self.files

    def restore(self, state: Any) -> None:
        self.files = state

    def close(self) -> None:
        self.files.clear()


def reward_of(node: Node) -> float:
    return node.reward or 0.0


def deep(tree: Tree, node: Node) -> float:
    return -0.8 * math.sqrt(node.depth)


def promising_leaf(tree: Tree, node: Node) -> float:
    return 50.0 if not node.children and reward_of(node) >= 50 else 0.0


def good_with_bad_children(tree: Tree, node: Node) -> float:
    below = [reward_of(child) for child in tree.children(node.id)]
    return 20.0 if below and reward_of(node) >= 50 and max(below) < 50 else 0.0


def same_as_a_sibling(tree: Tree, node: Node) -> float:
    return -50.0 if node.content in [each.content for each in tree.siblings(node.id)] else 0.0


def finished_below(tree: Tree, node: Node) -> float:
    return -50.0 if any(child.closed for child in tree.children(node.id)) else 0.0


BONUSES = (deep, promising_leaf, good_with_bad_children, same_as_a_sibling, finished_below)


def value_of(step: Step) -> tuple[float, str]:
    """The value agent's stub: from -100 to 100, with an explanation."""
    files = step.facts[0].data
    right = (files["a.py"] == "x = 2") + (files["b.py"] == "y = 2")
    if step.observation == "failed":
        return -50.0, "the test fails"
    return {0: -20.0, 1: 55.0, 2: 70.0 if not step.done else 100.0}[right], f"{right} of 2 files are right"


def told_of_siblings(tree: Tree, parent: int) -> str:
    """Hindsight from parallel branches: what was done there, its value and why; none for a first child."""
    tried = [
        f"From a parallel branch: {child.content!r} was worth {child.reward:g}, since {child.feedback}."
        for child in tree.children(parent)
    ]
    return "\n".join(tried)


def swe_search(model: ScriptedModel, ends: Sequence[Any], *, visits: int = 40) -> Any:
    branching = Branching(Repository)

    async def expand(visit: Visit) -> Tree:
        done = " then ".join(node.content for node in visit.tree.path(visit.at)[1:])
        prompt = f"done: {done}\n{told_of_siblings(visit.tree, visit.at)}"
        asked = await visit.ask(model, prompt, role="act", attempt=visit.next_number)
        tree = visit.tree.grow(visit.at, [asked.reply.text])
        return tree.change(len(tree) - 1, notes={"call": asked.place})

    async def evaluate(visit: Visit) -> Evaluated:
        (number,) = visit.new
        node = visit.tree.node(number)
        step, facts, _ = await branching.step(visit, visit.at, child=number, call=node.notes["call"])
        value, why = value_of(step)
        visit.keep(visit.fresh_attempt(step.action, steps=(step,), facts=facts), value)
        tree = visit.tree.change(
            number, feedback=why, observation=step.observation, facts=step.facts, closed=step.done
        )
        return Evaluated(tree, [Worth(number, value)])

    score = uct(1.0, value=reward_of, bonuses=BONUSES)
    return search_agent(
        Search(
            select=highest(score),
            expand=expand,
            evaluate=evaluate,
            back_up=add_up(),
            visits=visits,
            ends=ends,
        )
    )


def programmer(messages: Sequence[Message], _: Any) -> str:
    """Tests first, whatever was done; told of another branch it does what was not done there."""
    done, told = messages[-1]["content"].split("\n", 1)
    wanted = [each for each in ("write a.py x = 2", "write b.py y = 2") if each not in done]
    options = (["test"] if not wanted else []) + wanted + ["write a.py x = 0"]
    return next((each for each in options if f"{each!r} was" not in told), options[0])


def test_swe_search_repairs_both_files_and_ends_at_the_reward() -> None:
    state = run(swe_search(ScriptedModel(programmer), [at_reward(100.0)]), TASK)
    assert state["stop_reason"] == "reward"
    finished = next(node for node in state["tree"].nodes if node.closed)
    path = [node.content for node in state["tree"].path(finished.id)]
    assert path == ["", "write a.py x = 2", "write b.py y = 2", "test"]
    assert state["best"].text == "test"


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ([after_nodes(2)], "nodes"),
        ([after_finished(1)], "finished"),
        ([at_reward(100.0, finished=2), after_nodes(30)], "reward"),
        ([], "visits"),
    ],
)
def test_swe_search_names_what_ended_it(ends: Any, reason: str) -> None:
    assert run(swe_search(ScriptedModel(programmer), ends), TASK)["stop_reason"] == reason


def test_a_sibling_is_told_of_from_the_second_child_on() -> None:
    model = ScriptedModel(programmer)
    tree = run(swe_search(model, [], visits=25), TASK)["tree"]
    assert max(len(node.children) for node in tree.nodes) >= 2
    for node, request in zip(tree.nodes[1:], model.requests, strict=True):
        before = [each for each in tree.siblings(node.id) if each.id < node.id]
        text = request[-1]["content"]
        assert text.count("From a parallel branch") == len(before)
        for each in before:
            assert f"{each.content!r} was worth {each.reward:g}, since {each.feedback}" in text


def test_the_files_of_one_branch_are_not_those_of_another() -> None:
    tree = run(swe_search(ScriptedModel(programmer), [], visits=25), TASK)["tree"]
    for node in tree.nodes[1:]:
        alone = Repository(TASK)
        for each in tree.path(node.id)[1:]:
            alone.step(each.content)
        assert node.facts[0].data == alone.files


def test_bonuses_and_penalties_decide_where_swe_search_goes() -> None:
    tree = Tree().grow(0, ["open", "write", "write"])
    for number, reward in ((1, 20.0), (2, 60.0), (3, 60.0)):
        tree = add_up()(tree.change(number, reward=reward), number, reward)
    tree = add_up()(tree, 0, 0.0)
    plain, full = uct(1.0, value=reward_of), uct(1.0, value=reward_of, bonuses=BONUSES)
    explored = math.sqrt(math.log(4) / 1)
    assert plain(tree, tree.node(2)) == pytest.approx(60 + explored)
    assert full(tree, tree.node(2)) == pytest.approx(60 + explored - 0.8 + 50 - 50)
    assert full(tree, tree.node(1)) == pytest.approx(20 + explored - 0.8)
    tree = tree.grow(2, ["test"])
    tree = add_up()(tree.change(4, reward=-50.0), 4, -50.0)
    weight = math.sqrt(math.log(5) / 2)
    assert full(tree, tree.node(2)) == pytest.approx(60 + weight - 0.8 + 20 - 50)


# RMaxTS: a rewrite system as the prover


def rewritten(goal: str, tactic: str) -> str | None:
    """The goal after a tactic; None where it fails. The left side is a dead end, the right never ends."""
    if goal == "S":
        return {"l": "L", "r": "R"}.get(tactic)
    if goal == "L":
        return "L." if tactic == "a" else None
    return goal + tactic if goal.startswith("R") and tactic in "ab" else None


class Prover:
    """Draws whole proofs of three tactics at random, some of which fail."""

    def __init__(self) -> None:
        self.draw = random.Random(0)

    def __call__(self, messages: Sequence[Message], _: Any) -> str:
        first = self.draw.choice("lr") if messages[-1]["content"] == "S" else self.draw.choice("ab")
        return " ".join([first, *self.draw.choices(["a", "b", "bad"], k=2)])


def rmax_ts(visits: int) -> Any:
    model = ScriptedModel(Prover())

    async def expand(visit: Visit) -> Tree:
        tree, at = visit.tree, visit.at
        goal = visit.node.content or "S"
        asked = await visit.ask(model, goal, role="act", attempt=visit.next_number)
        for tactic in asked.reply.text.split():
            after = rewritten(goal, tactic)
            if after is None:
                break  # the proof is cut at its first error
            known = [child.id for child in tree.children(at) if child.content == after]
            tree = tree if known else tree.grow(at, [after])
            at, goal = (known or [len(tree) - 1])[0], after
        visit.keep(visit.fresh_attempt(asked.reply.text, calls=(asked.place,)), float(len(goal)))
        return tree

    async def evaluate(visit: Visit) -> Evaluated:
        return Evaluated(visit.tree, [Worth(visit.at, 1.0 if visit.new else 0.0)])

    return search_agent(
        Search(
            select=descend(discounted_ucb, here=stay),
            expand=expand,
            evaluate=evaluate,
            back_up=fade(0.99),
            visits=visits,
        )
    )


def nodes_below(tree: Tree, number: int) -> int:
    return 1 + sum(nodes_below(tree, child.id) for child in tree.children(number))


def test_only_a_new_state_is_rewarded(tmp_path: Path) -> None:
    improve(rmax_ts(80), [TASK], folder=tmp_path)
    visits = [entry["value"] for entry in read(tmp_path / "journal.jsonl") if entry.get("kind") == "visit"]
    assert [visit["worths"] for visit in visits] == [
        [[visit["at"], 1.0 if visit["new"] else 0.0]] for visit in visits
    ]
    assert {bool(visit["new"]) for visit in visits} == {True, False}


def test_no_state_stands_twice_below_the_same_one() -> None:
    tree = run(rmax_ts(80), TASK)["tree"]
    edges = [(node.parent, node.content) for node in tree.nodes]
    assert len(edges) == len(set(edges))


def test_the_search_leaves_the_branch_that_is_exhausted() -> None:
    tree = run(rmax_ts(300), TASK)["tree"]
    left, right = (next(node for node in tree.nodes if node.content == name) for name in "LR")
    assert nodes_below(tree, left.id) == 2 and nodes_below(tree, right.id) > 100
    assert left.visits < right.visits / 3
    assert left.mean < 0.1 < right.mean


def test_staying_competes_with_the_children_by_discounted_values() -> None:
    tree = fade(0.5)(fade(0.5)(Tree().grow(0, ["a"]), 1, 1.0), 0, 0.0)
    every = 1.0 + 1.0  # one visit that ended at the root, one below it
    bonus = math.sqrt(2 * math.log(max(every, 2)) / 1.0)
    assert stay(tree, tree.root) == pytest.approx(0.0 + bonus)
    assert discounted_ucb(tree, tree.node(1)) == pytest.approx(1.0 + bonus)
    assert descend(discounted_ucb, here=stay)(tree) == 1
    assert descend(discounted_ucb, here=stay)(Tree().grow(0, ["a"])) == 0, "a tie goes to staying"
