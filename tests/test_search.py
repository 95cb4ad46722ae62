"""A search over attempts: its tree, its rules, its graph, its journal, and how it goes on after a kill."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentloop import Budget, ScriptedModel, Task, improve
from agentloop.acting import Act
from agentloop.errors import BadInput
from agentloop.journal import read
from agentloop.search import (
    Evaluated,
    Node,
    Search,
    Tree,
    Visit,
    Worth,
    add_up,
    after_finished,
    after_nodes,
    after_visits,
    at_reward,
    best_so_far,
    descend,
    fade,
    highest,
    puct,
    search_agent,
    uct,
)
from agentloop.types import Feedback, Message
from tests.twins import SENTINEL, run

TASK = Task(id="spell", prompt="Spell the word.", hidden={"word": SENTINEL})
WORD = "abba"


def two_levels() -> Tree:
    """A root with two children; the first has two of its own."""
    return Tree().grow(0, ["left", "right"]).grow(1, ["far left", "near left"])


# The tree


def test_new_nodes_get_the_next_ids_and_know_their_place() -> None:
    tree = two_levels()
    assert [(node.id, node.parent, node.depth) for node in tree.nodes[1:]] == [
        (1, 0, 1),
        (2, 0, 1),
        (3, 1, 2),
        (4, 1, 2),
    ]
    assert [node.content for node in tree.path(4)] == ["", "left", "near left"]
    assert [node.id for node in tree.siblings(3)] == [4] and tree.siblings(0) == []


def test_changing_a_node_leaves_the_tree_it_was_changed_in_as_it_was() -> None:
    before = two_levels()
    after = before.change(1, content="other")
    assert (before.node(1).content, after.node(1).content) == ("left", "other")
    assert after.node(1).children == before.node(1).children


def test_a_tree_survives_json_as_it_is() -> None:
    tree = add_up(0.9)(two_levels().change(3, notes={"program": "x = 1"}, reward=0.5), 3, 0.5)
    assert Tree.from_json(tree.to_json()) == tree


def test_a_node_that_is_not_there_is_named() -> None:
    with pytest.raises(BadInput, match="no node 9; its ids are 0 to 4"):
        two_levels().node(9)


def test_nothing_is_added_below_a_closed_node() -> None:
    with pytest.raises(BadInput, match="node 2 is closed"):
        two_levels().change(2, closed=True).grow(2, ["x"])


def test_a_node_keeps_its_id_whatever_is_changed() -> None:
    with pytest.raises(BadInput, match="id cannot be changed"):
        two_levels().change(1, id=7)
    with pytest.raises(ValidationError):
        two_levels().change(1, colour="red")


# Rules


def test_backing_up_counts_every_node_of_the_path_and_no_other() -> None:
    tree = add_up(0.5)(add_up(0.5)(two_levels(), 3, 1.0), 1, 0.2)
    assert [node.visits for node in tree.nodes] == [2, 2, 0, 1, 0]
    assert [node.total for node in tree.nodes] == pytest.approx([0.25 + 0.1, 0.5 + 0.2, 0, 1.0, 0])
    assert [node.own_visits for node in tree.nodes] == [0, 1, 0, 1, 0]
    assert tree.node(1).best == 0.5 and tree.node(1).mean == pytest.approx(0.35)


def test_a_worse_visit_never_lowers_the_best() -> None:
    tree = add_up()(add_up()(two_levels(), 1, 0.7), 1, -1.0)
    assert tree.node(1).best == tree.root.best == 0.7


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-1, 1)), max_size=30))
def test_a_node_was_visited_as_often_as_its_children_and_itself(visits: list[tuple[int, float]]) -> None:
    tree = two_levels()
    for at, value in visits:
        tree = add_up()(tree, at, value)
    for node in tree.nodes:
        below = tree.children(node.id)
        assert node.visits == node.own_visits + sum(child.visits for child in below)
        assert node.total == pytest.approx(node.own_total + sum(child.total for child in below))


def test_fading_weighs_older_visits_less() -> None:
    tree = Tree()
    for value in (1.0, 0.0, 0.0):
        tree = fade(0.5)(tree, 0, value)
    assert (tree.root.total, tree.root.visits) == (0.25, 1.75)
    assert (tree.root.own_total, tree.root.own_visits) == (0.25, 1.75)
    below = fade(0.5)(tree.grow(0, ["a"]), 1, 0.0)
    assert (below.root.own_total, below.root.own_visits, below.root.total) == (0.25, 1.75, 0.125)


def test_uct_is_the_mean_and_the_root_of_the_logarithm_over_the_visits() -> None:
    tree = add_up()(add_up()(add_up()(two_levels(), 1, 0.5), 1, 0.3), 2, 0.9)
    assert uct(2.0)(tree, tree.node(1)) == pytest.approx(0.4 + 2.0 * math.sqrt(math.log(3) / 2))
    assert uct()(tree, tree.node(3)) == math.inf


def test_puct_is_the_score_of_rethink_mcts() -> None:
    tree = add_up(0.9, discounts_here=1)(two_levels().change(2, prior=0.7), 1, 1.0)
    weight = math.log((2 + 10 + 1) / 10) + 4
    score = puct(4.0, base=10.0)
    assert score(tree, tree.node(1)) == pytest.approx(0.9 + weight * 1.0 * math.sqrt(math.log(2)) / 2)
    assert score(tree, tree.node(2)) == pytest.approx(weight * 0.7 * math.sqrt(math.log(2)))


def test_a_descent_follows_the_best_child_down_to_a_leaf() -> None:
    select = descend(lambda tree, node: {"right": 2.0, "near left": 1.0}.get(node.content, 0.0))
    assert select(two_levels()) == 2
    assert select(two_levels().change(2, closed=True)) == 4


def test_of_equal_children_the_first_is_taken() -> None:
    assert descend(lambda tree, node: 1.0)(two_levels()) == 3
    assert highest(lambda tree, node: 1.0)(two_levels()) == 0


def test_a_descent_turns_back_where_all_below_is_closed() -> None:
    tree = two_levels().change(3, closed=True).change(4, closed=True)
    first = descend(lambda tree, node: -float(node.id))
    assert first(tree) == 2
    assert first(tree.change(2, closed=True)) is None


def test_the_best_so_far_is_the_earliest_of_the_highest_rewards() -> None:
    tree = two_levels()
    assert best_so_far(tree) == 0
    tree = tree.change(2, reward=0.5).change(3, reward=0.5).change(4, reward=0.2)
    assert best_so_far(tree) == 2
    assert best_so_far(Tree().change(0, closed=True)) is None


@pytest.mark.parametrize("wrong", [lambda: add_up(0.0), lambda: fade(1.5), lambda: after_visits(0)])
def test_a_rule_out_of_its_range_is_refused(wrong: Any) -> None:
    with pytest.raises(BadInput, match="must be"):
        wrong()


# The graph: a toy that spells a word letter by letter, right when a letter is right


def guess(messages: Sequence[Message], sampling: dict[str, Any]) -> str:
    """Two letters asked for are "a b"; asked for a word it gives the letters it is shown."""
    text = messages[-1]["content"]
    return "a b" if text.startswith("letters after") else text.rsplit(" ", 1)[-1].strip("'")


def spelling(model: ScriptedModel, *, visits: int = 40, ends: Sequence[Any] = (), worth: Any = None) -> Any:
    """A search for WORD: a node adds a letter, its word is the attempt, its worth the right letters."""

    async def expand(visit: Visit) -> Tree:
        if visit.node.reward is None and visit.at:
            return visit.tree
        asked = await visit.ask(model, f"letters after '{word_at(visit.tree, visit.at)}'")
        return visit.tree.grow(visit.at, asked.reply.text.split())

    async def evaluate(visit: Visit) -> Evaluated:
        number = visit.new[0] if visit.new else visit.at
        attempt = await visit.attempt(Saying(model, word_at(visit.tree, number)))
        value = (worth or right_letters)(attempt.text)
        told = Feedback(
            text=f"{value:.2f}", verdict="pass" if value == 1.0 else "fail", score=max(0.0, value)
        )
        visit.keep(visit.told(attempt, told), value)
        tree = visit.tree.change(number, closed=len(attempt.text) >= len(WORD))
        return Evaluated(tree, [Worth(number, value)])

    return search_agent(
        Search(
            select=descend(uct(0.5)),
            expand=expand,
            evaluate=evaluate,
            back_up=add_up(),
            visits=visits,
            ends=ends,
        )
    )


class Saying(Act):
    """Asks the model to say a word."""

    def __init__(self, model: ScriptedModel, word: str) -> None:
        super().__init__(model)
        self.word = word

    def conversation(self, prompt: str, **_: Any) -> list[Message]:
        return [{"role": "user", "content": f"{prompt} Say '{self.word}'"}]


def word_at(tree: Tree, number: int) -> str:
    return "".join(node.content for node in tree.path(number))


def right_letters(word: str) -> float:
    return sum(one == other for one, other in zip(word, WORD, strict=False)) / len(WORD)


def kinds(folder: Path, kind: str) -> list[Any]:
    return [entry["value"] for entry in read(folder / "journal.jsonl") if entry.get("kind") == kind]


def tree_of(folder: Path) -> Tree:
    return Tree.from_dict(kinds(folder, "tree")[-1])


def test_a_search_finds_the_word_and_answers_with_the_best_attempt() -> None:
    state = run(spelling(ScriptedModel(guess), ends=[at_reward(1.0)]), TASK)
    assert (state["best"].text, state["stop_reason"], state["stop_signal"]) == (WORD, "reward", "public")
    assert state["tree"].visits == state["number"] > 4


def test_a_search_ends_after_its_visits_and_keeps_the_best() -> None:
    state = run(spelling(ScriptedModel(guess), visits=3), TASK)
    assert (state["stop_reason"], state["tree"].visits) == ("visits", 3)
    assert state["best"].feedback.score == max(node.reward or 0.0 for node in state["tree"].nodes)


def test_a_search_ends_when_nothing_is_left_to_visit() -> None:
    short = ScriptedModel(lambda messages, _: "abba" if "letters" in messages[-1]["content"] else "abba")
    state = run(spelling(short), TASK)
    assert (state["stop_reason"], state["tree"].visits) == ("exhausted", 1)


@pytest.mark.parametrize(
    ("end", "reason"),
    [(after_nodes(3), "nodes"), (after_finished(1), "finished"), (after_visits(2), "visits")],
)
def test_a_search_names_the_rule_that_ended_it(end: Any, reason: str) -> None:
    assert run(spelling(ScriptedModel(guess), ends=[end]), TASK)["stop_reason"] == reason


def test_a_later_attempt_of_equal_worth_does_not_take_the_place_of_the_best() -> None:
    state = run(spelling(ScriptedModel(guess), visits=6, worth=lambda word: 0.5), TASK)
    assert state["best"].number == 1 and state["attempt"].number == 6


def test_the_same_model_makes_the_same_tree() -> None:
    first, second = (run(spelling(ScriptedModel(guess), visits=12), TASK)["tree"] for _ in range(2))
    assert first == second


def test_every_attempt_of_a_search_is_journaled_with_its_call_and_feedback(tmp_path: Path) -> None:
    done = improve(spelling(ScriptedModel(guess), ends=[at_reward(1.0)]), [TASK], folder=tmp_path)
    (trajectory,) = done.trajectories()
    assert trajectory.passed is True and trajectory.stop_reason == "reward"
    assert [attempt.number for attempt in trajectory.attempts] == list(range(1, len(trajectory.attempts) + 1))
    for attempt in trajectory.attempts:
        assert attempt.feedback is not None and len(attempt.calls) == 1
        assert trajectory.call(attempt.calls[0]).role == "actor"
    assert {call.role for call in trajectory.calls} == {"actor", "expand"}
    assert tree_of(tmp_path).visits == len(kinds(tmp_path, "visit")) == len(trajectory.attempts)


def test_attempts_of_a_search_are_no_retries_of_those_before_them(tmp_path: Path) -> None:
    done = improve(spelling(ScriptedModel(guess), visits=3), [TASK], folder=tmp_path / "run")
    (trajectory,) = done.trajectories()
    assert [attempt.follows for attempt in trajectory.attempts] == [()] * 3
    with pytest.raises(BadInput, match="counts if it was shown the feedback"):
        done.export("ilf", format="trl", to=tmp_path / "rows")


def test_the_attempts_of_a_search_can_be_exported(tmp_path: Path) -> None:
    done = improve(spelling(ScriptedModel(guess), ends=[at_reward(1.0)]), [TASK], folder=tmp_path / "run")
    report = done.export("sft", format="trl", to=tmp_path / "rows")
    assert report.rows == 1


def test_hidden_data_reaches_no_prompt_and_no_tree(tmp_path: Path) -> None:
    model = ScriptedModel(guess)
    improve(spelling(model, visits=8), [TASK], folder=tmp_path)
    assert SENTINEL not in str(model.requests)
    assert SENTINEL not in tree_of(tmp_path).to_json()


def test_several_searches_run_side_by_side_without_sharing(tmp_path: Path) -> None:
    tasks = [Task(id=f"t{number}", prompt="Spell.") for number in range(4)]
    done = improve(spelling(ScriptedModel(guess), visits=6), tasks, folder=tmp_path, samples=2)
    trees = [Tree.from_dict(value) for value in kinds(tmp_path, "tree")]
    assert len(trees) == 8 and len({tree.to_json() for tree in trees}) == 1
    assert done.figures.trajectories == 8


def test_cost_counters_equal_the_number_of_calls(tmp_path: Path) -> None:
    model = ScriptedModel(guess)
    done = improve(spelling(model, visits=9), [TASK], folder=tmp_path)
    assert sum(done.figures.calls.values()) == done.figures.usage.calls == model.calls


def test_a_spent_budget_ends_the_search_with_the_best_so_far_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    whole = ScriptedModel(guess)
    improve(spelling(whole, visits=9), [TASK], folder=tmp_path / "whole")
    spent = 0
    for calls in range(1, whole.calls + 1):
        model = ScriptedModel(guess)
        done = improve(spelling(model, visits=9), [TASK], folder=tmp_path / "bit", budget=Budget(calls=calls))
        spent += model.calls
        (trajectory,) = done.trajectories()
        assert len(trajectory.calls) == calls == spent
        if 1 < calls < whole.calls:
            assert trajectory.stop_reason == "budget" and trajectory.chosen is not None
    assert tree_of(tmp_path / "bit") == tree_of(tmp_path / "whole")


class Killed(BadInput):
    """Stands for the end of the process: no boundary stops it."""


@pytest.mark.parametrize("last", range(1, 14))
def test_a_search_that_was_killed_goes_on_without_repeating_a_call(tmp_path: Path, last: int) -> None:
    whole = ScriptedModel(guess)
    improve(spelling(whole, visits=9), [TASK], folder=tmp_path / "whole")
    cut = ScriptedModel(lambda messages, _: Killed() if cut.calls > last else guess(messages, _))
    with pytest.raises(Killed):
        improve(spelling(cut, visits=9), [TASK], folder=tmp_path / "cut")
    rest = ScriptedModel(guess)
    improve(spelling(rest, visits=9), [TASK], folder=tmp_path / "cut")
    assert last + rest.calls == whole.calls
    assert tree_of(tmp_path / "cut") == tree_of(tmp_path / "whole")
    assert kinds(tmp_path / "cut", "visit") == kinds(tmp_path / "whole", "visit")


def test_what_breaks_ends_the_search_with_the_best_so_far_and_is_kept(tmp_path: Path) -> None:
    def fragile(word: str) -> float:
        if len(word) == 3:
            raise RuntimeError("the judge fell over")
        return right_letters(word)

    done = improve(spelling(ScriptedModel(guess), worth=fragile), [TASK], folder=tmp_path)
    (trajectory,) = done.trajectories()
    assert trajectory.stop_reason == "error"
    last = trajectory.attempts[-1]
    assert last.error == "search: RuntimeError: the judge fell over" and len(last.text) == 3
    chosen = trajectory.attempts[(trajectory.chosen or 0) - 1]
    assert chosen.error is None and right_letters(chosen.text) > 0
    again = improve(spelling(ScriptedModel(guess), ends=[at_reward(1.0)]), [TASK], folder=tmp_path)
    assert next(iter(again.trajectories())).passed is True


def test_a_broken_model_is_the_attempts_error_and_ends_the_search() -> None:
    model = ScriptedModel(
        lambda messages, _: "a b" if "letters" in messages[-1]["content"] else ValueError("no line")
    )
    state = run(spelling(model), TASK)
    assert state["stop_reason"] == "error" and state["best"].error == "model: ValueError: no line"


def test_a_search_without_a_visit_is_refused() -> None:
    with pytest.raises(BadInput, match="visits must be at least 1, got 0"):
        spelling(ScriptedModel(guess), visits=0)


def test_a_node_says_what_a_visit_brought_on_average() -> None:
    assert Node().mean == 0.0
    assert Node(visits=4, total=1.0).mean == 0.25


def test_the_program_of_the_page_runs() -> None:
    page = (Path(__file__).parent.parent / "docs" / "search.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(program, {"__name__": "page"})
