r"""The graph of an agent that reflects and retries: its state, its nodes and their wiring.

    act -> judge -> reflect -> act ...          judge alone decides where to go
             \-> distil -> END

``act`` recalls corrections and makes one attempt; ``judge`` asks the critic and decides;
``reflect`` lets the agent write a note to itself; ``distil`` keeps what was learnt. Each part is a
node class of its own (acting.py, nodes.py, stopping.py, learning.py) that fits into any LangGraph
graph with this state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from agentloop.acting import Act
from agentloop.context import RunContext
from agentloop.errors import BadInput
from agentloop.learning import Distil, Distiller, keep_feedback
from agentloop.nodes import Judge, Recall, Reflect, Reflector
from agentloop.prompts import Prompts
from agentloop.state import Node, State
from agentloop.stopping import Decide, StopRule, goes_to, stuck
from agentloop.types import Critic, Environment, Memory, Model

Graph = StateGraph[State, RunContext, State, State]
Agent = CompiledStateGraph[State, RunContext, State, State]


class InOne:
    """Several nodes run one after the other as one node, since LangGraph bills each node some 0.2 ms."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes = nodes

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Run the nodes in order; each sees what those before it changed."""
        changed: State = {}
        for node in self.nodes:
            update = await node({**state, **changed}, runtime)
            changed = {**changed, **update}
        return changed


class JudgeAndDecide:
    """Judge the attempt, then go where the decision says."""

    def __init__(self, judge: Node, decide: Node) -> None:
        self.judge = judge
        self.decide = decide

    async def __call__(
        self, state: State, runtime: Runtime[RunContext]
    ) -> Command[Literal["reflect", "distil"]]:
        """Update the state with the feedback and name the next node."""
        judged = await self.judge(state, runtime)
        decided = await self.decide({**state, **judged}, runtime)
        update: State = {**judged, **decided}
        return Command(update=update, goto=goes_to({**state, **update}))


def reflect_and_retry_graph(
    *,
    model: Model,
    critic: Critic,
    environment: Environment | None = None,
    memory: Memory | None = None,
    reflect: Model | Reflector | None = None,
    distil: Distiller = keep_feedback,
    attempts: int = 3,
    max_steps: int = 1,
    history: int | None = 1,
    stop: Sequence[StopRule] | None = None,
) -> Graph:
    """The StateGraph of ``reflect_and_retry``, to be changed before it is compiled."""
    for name, value in (("attempts", attempts), ("max_steps", max_steps)):
        if value < 1:
            raise BadInput(f"{name} must be at least 1, got {value}")
    rules = (stuck(after=2),) if stop is None else tuple(stop)
    prompts = getattr(model, "prompts", None) or Prompts()
    act = Act(model, environment, prompts=prompts, history=history, max_steps=max_steps)
    judge = JudgeAndDecide(Judge(critic), Decide(attempts=attempts, stop=rules))
    graph: Graph = StateGraph(State, context_schema=RunContext)
    graph.add_node("act", InOne(Recall(memory), act) if memory is not None else act)
    graph.add_node("judge", judge, destinations=("reflect", "distil"))
    graph.add_node("reflect", Reflect(reflect, prompts=prompts, memory=memory, history=history))
    graph.add_node("distil", Distil(memory, distil))
    graph.add_edge(START, "act")
    graph.add_edge("act", "judge")
    graph.add_edge("reflect", "act")
    graph.add_edge("distil", END)
    return graph


def reflect_and_retry(
    *,
    model: Model,
    critic: Critic,
    environment: Environment | None = None,
    memory: Memory | None = None,
    reflect: Model | Reflector | None = None,
    distil: Distiller = keep_feedback,
    attempts: int = 3,
    max_steps: int = 1,
    history: int | None = 1,
    stop: Sequence[StopRule] | None = None,
) -> Agent:
    """An agent that tries, is told in words what was wrong, and tries again.

    - ``attempts``: the most tries at a task; ``max_steps``: the most actions of one try.
    - ``history``: how many earlier tries the next one is shown, with the feedback (None: all; 0: none).
    - ``reflect``: a model, or a function from an Attempt to text, that writes a note after each failure.
    - ``memory``: corrections are recalled from it before the first try, and kept in it after a pass
      that feedback led to; ``distil`` makes them (``keep_feedback``: the critic's own words).
    - ``stop``: further rules, such as ``oracle(grader)``; None means ``[stuck(after=2)]``.
    """
    graph = reflect_and_retry_graph(
        model=model,
        critic=critic,
        environment=environment,
        memory=memory,
        reflect=reflect,
        distil=distil,
        attempts=attempts,
        max_steps=max_steps,
        history=history,
        stop=stop,
    )
    return compile_agent(graph, attempts=attempts)


def compile_agent(graph: Graph, *, attempts: int) -> Agent:
    """Compile with an explicit recursion limit: three nodes an attempt, and room for nodes of one's own."""
    return graph.compile(name="reflect_and_retry").with_config(recursion_limit=8 * attempts + 8)


def insert(graph: Graph, name: str, node: Node, *, after: str, before: str) -> None:
    """Put a node of one's own on the edge between two nodes of a graph not yet compiled."""
    if (after, before) not in graph.edges:
        edges = ", ".join(f"{start} -> {end}" for start, end in sorted(graph.edges))
        raise BadInput(f"no edge {after} -> {before} to put {name!r} on; the graph's edges are {edges}")
    graph.edges.remove((after, before))
    graph.add_node(name, node)
    graph.add_edge(after, name)
    graph.add_edge(name, before)
