r"""A search over attempts as a LangGraph graph: which node of a tree to visit, what to add, what it is worth.

    select -> expand -> evaluate -> back_up -> select ...      select alone decides when to END

The method is four small functions; the tree is part of the state, apart from what models are shown.
Every effect is journaled, so a search that was killed comes back to the same tree without having
anything twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from agentloop.context import RunContext
from agentloop.errors import BadInput, BudgetSpent
from agentloop.journal import place_of
from agentloop.search.ending import End, after_visits
from agentloop.search.rules import BackUp, Select
from agentloop.search.tree import Tree
from agentloop.search.visit import Broke, Evaluate, Expand, Made, Visit, Worth
from agentloop.state import State, boundary, trajectory_id
from agentloop.stopping import Stop


class SearchState(State, total=False):
    """What a search needs from node to node besides ``State``.

    ``worth`` is that of the best attempt so far, which a later one has to exceed to take its place;
    ``had`` counts effects; ``snapshots`` are states of the environment by node.
    """

    tree: Tree
    at: int
    new: tuple[int, ...]
    worths: tuple[Worth, ...]
    worth: float
    had: dict[str, int]
    snapshots: dict[int, Any]
    ways: dict[int, str]


SearchGraph: TypeAlias = StateGraph[SearchState, RunContext, SearchState, SearchState]
SearchAgent: TypeAlias = CompiledStateGraph[SearchState, RunContext, SearchState, SearchState]


@dataclass(frozen=True, kw_only=True)
class Search:
    """A method of search: where to go, what to add there, what it is worth, what that changes; when to end.

    ``visits`` bounds it in any case; ``ends`` are asked before every visit.
    """

    select: Select
    expand: Expand
    evaluate: Evaluate
    back_up: BackUp
    visits: int
    ends: Sequence[End] = ()

    def __post_init__(self) -> None:
        """Refuse a search without a visit."""
        if self.visits < 1:
            raise BadInput(f"visits must be at least 1, got {self.visits}")

    def stop(self, tree: Tree) -> Stop | None:
        """Why the search ends before its next visit; None when it goes on."""
        stops = (end(tree) for end in (*self.ends, after_visits(self.visits)))
        return next((stop for stop in stops if stop is not None), None)


def search_graph(search: Search) -> SearchGraph:
    """The StateGraph of a search, to be changed before it is compiled."""
    nodes = _Nodes(search)
    graph: SearchGraph = StateGraph(SearchState, context_schema=RunContext)
    graph.add_node("select", nodes.select, destinations=("expand", END))
    graph.add_node("expand", nodes.expand)
    graph.add_node("evaluate", nodes.evaluate)
    graph.add_node("back_up", nodes.back_up)
    for start, end in (
        (START, "select"),
        ("expand", "evaluate"),
        ("evaluate", "back_up"),
        ("back_up", "select"),
    ):
        graph.add_edge(start, end)
    return graph


def search_agent(search: Search, *, name: str = "search") -> SearchAgent:
    """A search as an agent that ``improve`` runs. Its answer is the attempt of the highest worth."""
    limit = 4 * search.visits + 8
    return search_graph(search).compile(name=name).with_config(recursion_limit=limit)


class _Nodes:
    """The four nodes of the graph of one method."""

    def __init__(self, search: Search) -> None:
        self.search = search

    async def select(
        self, state: SearchState, runtime: Runtime[RunContext]
    ) -> Command[Literal["expand", "__end__"]]:
        """Choose the node to visit, or end: the budget, a rule, or nothing left to visit."""
        tree = state.get("tree") or Tree()
        begun: SearchState = {"tree": tree, "new": (), "worths": (), "ways": {}}
        stop = None if state.get("stop_reason") else self.search.stop(tree)
        at = None if stop or state.get("stop_reason") else self.search.select(tree)
        if at is not None:
            return Command(update={**begun, "at": at}, goto="expand")
        if not state.get("stop_reason"):
            reason, signal = stop or Stop("exhausted")
            begun = {**begun, "stop_reason": reason, "stop_signal": signal}
        _note(state, runtime, "tree", 0, tree.to_dict())
        return Command(update=dict(begun), goto="__end__")

    async def expand(self, state: SearchState, runtime: Runtime[RunContext]) -> SearchState:
        """Add nodes below the one that was selected."""
        visit, before = _visit(state, runtime), len(state["tree"])

        async def work() -> SearchState:
            tree = await self.search.expand(visit)
            return {"tree": tree, "new": tuple(range(before, len(tree)))}

        return await _carried_out(work, visit, state)

    async def evaluate(self, state: SearchState, runtime: Runtime[RunContext]) -> SearchState:
        """Find out what the nodes of this visit are worth."""
        if state.get("stop_reason"):
            return {}
        visit = _visit(state, runtime)

        async def work() -> SearchState:
            tree, worths = await self.search.evaluate(visit)
            for worth in worths:
                tree = tree.change(worth.node, reward=worth.value)
            return {"tree": tree, "worths": tuple(worths)}

        return await _carried_out(work, visit, state)

    async def back_up(self, state: SearchState, runtime: Runtime[RunContext]) -> SearchState:
        """Count the visit in the tree, and write down what it was."""
        if state.get("stop_reason"):
            return {}
        tree = state["tree"]
        for worth in state["worths"]:
            tree = self.search.back_up(tree, worth.node, worth.value)
        noted = {
            "at": state["at"],
            "new": list(state["new"]),
            "worths": [[worth.node, worth.value] for worth in state["worths"]],
            "ways": {str(node): way for node, way in state.get("ways", {}).items()},
        }
        _note(state, runtime, "visit", tree.visits, noted)
        return {"tree": tree.replace(visits=tree.visits + 1)}


def _visit(state: SearchState, runtime: Runtime[RunContext]) -> Visit:
    """The visit as its functions see it; what they change in it never reaches the state by itself."""
    return Visit(
        runtime=runtime,
        task=state["task"],
        trajectory=trajectory_id(state),
        tree=state["tree"],
        at=state["at"],
        number=state.get("number", 0),
        new=state.get("new", ()),
        had=dict(state.get("had", {})),
        snapshots=dict(state.get("snapshots", {})),
        ways=dict(state.get("ways", {})),
    )


async def _carried_out(
    work: Callable[[], Awaitable[SearchState]], visit: Visit, state: SearchState
) -> SearchState:
    """What the work changes in the state, or why the search ends; in both cases what was made on the way."""
    changed: SearchState = {}
    with boundary("search") as caught:
        try:
            changed = await work()
        except BudgetSpent:
            changed = {"stop_reason": "budget", "stop_signal": "none"}
        except Broke:
            changed = {"stop_reason": "error", "stop_signal": "none"}
    if caught.error is not None:
        visit.broken(caught.error)
        changed = {"stop_reason": "error", "stop_signal": "none"}
    number = state.get("number", 0) + len(visit.made)
    # Effects of attempts that are done need no counting any more; those of the search as a whole do.
    had = {key: count for key, count in visit.had.items() if not 0 < int(key.split("/")[0]) <= number}
    changed |= {"number": number, "had": had, "snapshots": visit.snapshots, "ways": visit.ways}
    return {**changed, **_best(state, visit.made)}


def _best(state: SearchState, made: Sequence[Made]) -> SearchState:
    """The latest attempt, and the best: a later one takes its place only when it is worth more."""
    if not made:
        return {}
    best, worth = state.get("best"), state.get("worth")
    for attempt, value in made:
        if best is None or (value is not None and (worth is None or value > worth)):
            best, worth = attempt, value
    changed: SearchState = {"attempt": made[-1].attempt}
    if best is not None:
        changed["best"] = best
    return changed if worth is None else {**changed, "worth": worth}


def _note(
    state: SearchState, runtime: Runtime[RunContext], kind: str, ordinal: int, value: dict[str, Any]
) -> None:
    """Write down what a search did; what a visit noted before the search was cut off stays."""
    run, place = runtime.context or RunContext(), place_of(trajectory_id(state), 0, kind, ordinal)
    if kind == "tree" or not run.replays(place):
        run.note(place, kind, value)
