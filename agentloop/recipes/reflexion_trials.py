"""The trials that Reflexion's variants share: an episode, whether it succeeded, a note on it, the next one.

The graph goes recall and act -> judge -> reflect -> recall and act, and so on; after a success, or the
last trial, to distil and its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeAlias, cast

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agentloop.acting import said
from agentloop.bringing import bring
from agentloop.context import RunContext
from agentloop.errors import BadInput
from agentloop.graph import InOne
from agentloop.hidden import sees_hidden
from agentloop.learning import Distil
from agentloop.nodes import Recall
from agentloop.prompts import Prompts
from agentloop.state import State
from agentloop.types import Attempt, Correction, Critic, Feedback, Grader, Memory, Trajectory


class TrialState(State, total=False):
    """What the nodes of a trial need besides: the latest episode as a text."""

    log: str


TrialGraph: TypeAlias = StateGraph[TrialState, RunContext, TrialState, TrialState]
TrialAgent: TypeAlias = CompiledStateGraph[TrialState, RunContext, TrialState, TrialState]


class ActsOut(Protocol):
    """The act node of one episode, which knows the episode as a text afterwards."""

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set ``attempt`` and ``number``."""
        ...

    def log(self, attempt: Attempt) -> str:
        """The episode as a text."""
        ...


class Opens(Protocol):
    """Begins an episode: makes the node that acts it out."""

    def __call__(self, state: TrialState) -> ActsOut:
        """The node for the next trial."""
        ...


class ActTrial:
    """Act out one trial by an object of its own, and leave its log in the state."""

    def __init__(self, opens: Opens) -> None:
        self.opens = opens

    async def __call__(self, state: TrialState, runtime: Runtime[RunContext]) -> TrialState:
        """Set ``attempt``, ``number`` and ``log``."""
        episode = self.opens(state)
        changed = cast(TrialState, await episode(state, runtime))
        attempt = changed.get("attempt")
        if attempt is not None:
            changed["log"] = episode.log(attempt)
        return changed


def trial_graph(*, act: Any, judge: Any, reflect: Any, memory: Memory | None, reflections: int) -> TrialGraph:
    """Wire the nodes of a trial. ``judge`` names the next node: ``reflect``, or ``distil`` to end.

    An episodic ``memory`` is asked for as many as ``reflections``, another one for as many as it gives.
    """
    graph: TrialGraph = StateGraph(TrialState, context_schema=RunContext)
    # Named as input, since LangGraph else hands a node only the keys of the state it is annotated with.
    recall = Recall(memory, limit=reflections if is_episodic(memory) else None)
    graph.add_node("act", InOne(recall, act), input_schema=TrialState)
    graph.add_node("judge", judge, input_schema=TrialState, destinations=("reflect", "distil"))
    graph.add_node("reflect", reflect, input_schema=TrialState)
    # What a reflection is about is the trial's own; a memory of corrections keeps what a critic said.
    graph.add_node("distil", Distil(None if is_episodic(memory) else memory))
    graph.add_edge(START, "act")
    graph.add_edge("act", "judge")
    graph.add_conditional_edges("reflect", _after_reflecting, ["act", "distil"])
    graph.add_edge("distil", END)
    return graph


def compile_trials(graph: TrialGraph, *, name: str, attempts: int) -> TrialAgent:
    """Compile with an explicit recursion limit, with room for nodes of one's own."""
    return graph.compile(name=name).with_config(recursion_limit=8 * attempts + 8)


def _after_reflecting(state: TrialState) -> str:
    return "distil" if state.get("stop_reason") else "act"


class ByOracle:
    """The critic that drives the published loop: a grader that knows, told as right or wrong and no more."""

    def __init__(self, grader: Grader, *, prompts: Prompts, right: str, wrong: str) -> None:
        self.grader = grader
        self.right, self.wrong = prompts.render(right), prompts.render(wrong)

    async def __call__(self, attempt: Attempt) -> Feedback:
        """The grader's word: 1.0 is a pass."""
        passed = await bring(self.grader, attempt) >= 1.0
        return Feedback(
            text=self.right if passed else self.wrong,
            verdict="pass" if passed else "fail",
            score=float(passed),
            kind="binary",
            source="oracle",
        )


def who_decides(
    oracle: Grader | None, critic: Critic | None, *, prompts: Prompts, right: str, wrong: str
) -> Critic:
    """The critic that says whether a trial succeeded; BadInput unless exactly one of the two is given."""
    if (oracle is None) == (critic is None):
        given = "neither" if oracle is None else "both"
        raise BadInput(
            f"give oracle= (the published loop, which asks what only a grader knows) or critic=, got {given}"
        )
    if critic is not None:
        return critic
    assert oracle is not None
    return sees_hidden(ByOracle(oracle, prompts=prompts, right=right, wrong=wrong))


def is_episodic(memory: Memory | None) -> bool:
    """Whether a memory keeps the reflections on a task for later trials of it."""
    return bool(getattr(memory, "episodic", False))


def plans(
    recalled: Sequence[Correction], earlier: Sequence[Attempt], *, memory: Memory | None, most: int
) -> list[str]:
    """The last ``most`` reflections on the task, the oldest of them first.

    They are those of an episodic memory, which may come from earlier runs; without one, this trajectory's.
    """
    if is_episodic(memory):
        known = [each.text for each in reversed(recalled)]
    else:
        known = [each.reflection.text for each in earlier if each.reflection]
    return known[max(0, len(known) - most) :]


def numbered(texts: Sequence[str]) -> str:
    """Plans one below the other, as the trials they come from."""
    return "\n".join(f"Trial {number}: {text.strip()}" for number, text in enumerate(texts, start=1))


def noted(recalled: Sequence[Correction], *, memory: Memory | None, prompts: Prompts) -> str:
    """What a memory of corrections recalled, for the top of a prompt; empty for an episodic one."""
    if not recalled or is_episodic(memory):
        return ""
    return prompts.render("notes", corrections=said(recalled))


def solved_by_trial(trajectories: Iterable[Trajectory], trials: int) -> list[int]:
    """How many tasks were solved by each trial, the first one at place 0: Reflexion's success curve."""
    solved = [0] * trials
    for trajectory in trajectories:
        passed = [attempt.number for attempt in trajectory.attempts if attempt.passed]
        for trial in range(min(passed, default=trials + 1), trials + 1):
            solved[trial - 1] += 1
    return solved


def check_counts(**counts: int) -> None:
    """Refuse a number below 1."""
    for name, value in counts.items():
        if value < 1:
            raise BadInput(f"{name} must be at least 1, got {value}")
