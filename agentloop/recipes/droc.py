r"""DROC: a person corrects plans and skills in words while they are carried out; what was learnt is kept.

    recall -> plan -> skill -> act -> execute -> watch -> next -> skill ...     no objection: the next step
                        ^       ^                  \-> route -> replan ------->   beyond the step: a new plan
                        |       |                         \-> regenerate -> execute    else: new code
                        ...                        \-> distil -> END             the person says done

After "Distilling and Retrieving Generalizable Knowledge for Robot Manipulation via Language Corrections"
(arXiv 2311.10678). The nodes are in the files droc_*.py, each usable by itself in a graph over DrocState.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agentloop.context import RunContext
from agentloop.errors import BadInput
from agentloop.knowledge import KnowledgeStore
from agentloop.prompts import Prompts
from agentloop.recipes.droc_acting import Execute, Watch, WriteCode
from agentloop.recipes.droc_distilling import DistilKnowledge, Keeper, KeepHistory
from agentloop.recipes.droc_hands import Hands
from agentloop.recipes.droc_memory import as_store
from agentloop.recipes.droc_planning import Advance, Plan, Replan
from agentloop.recipes.droc_retrieving import RecallConstraints, RecallSkill
from agentloop.recipes.droc_routing import Regenerate, Route
from agentloop.recipes.droc_state import DrocState
from agentloop.types import Environment, Memory, Model
from agentloop.watching import Person

DrocGraph: TypeAlias = StateGraph[DrocState, RunContext, DrocState, DrocState]
Keeps: TypeAlias = Literal["distilled", "history"]
DrocAgent: TypeAlias = CompiledStateGraph[DrocState, RunContext, DrocState, DrocState]


def droc_graph(
    *,
    model: Model,
    environment: Environment,
    person: Person,
    memory: Memory | KnowledgeStore | None = None,
    keeps: Keeps = "distilled",
    corrections: int = 40,
    corrections_of_step: int = 15,
    steps: int = 60,
    sampling: Mapping[str, Any] | None = None,
) -> DrocGraph:
    """The StateGraph of ``droc_agent``, to be changed before it is compiled."""
    limits = {"corrections": corrections, "corrections_of_step": corrections_of_step, "steps": steps}
    for name, value in limits.items():
        if value < 1:
            raise BadInput(f"{name} must be at least 1, got {value}")
    if keeps not in get_args(Keeps):
        raise BadInput(f"keeps must be one of {', '.join(get_args(Keeps))}, got {keeps!r}")
    prompts = getattr(model, "prompts", None) or Prompts()
    store, hands, asked = as_store(memory), Hands(environment), dict(sampling or {})
    keeper: Keeper = KeepHistory(store, prompts)
    if keeps == "distilled":
        keeper = DistilKnowledge(model, store, prompts)
    graph: DrocGraph = StateGraph(DrocState, context_schema=RunContext)
    graph.add_node("recall", RecallConstraints(model, store, hands, prompts))
    graph.add_node("plan", Plan(model, prompts))
    graph.add_node("skill", RecallSkill(model, store, hands, prompts))
    graph.add_node("act", WriteCode(model, prompts, asked))
    graph.add_node("execute", Execute(hands))
    graph.add_node("watch", Watch(person, most=corrections, most_of_step=corrections_of_step, steps=steps))
    graph.add_node("next", Advance(model, prompts))
    graph.add_node("route", Route(model, prompts))
    graph.add_node("replan", Replan(model, hands, prompts))
    graph.add_node("regenerate", Regenerate(model, prompts, asked))
    graph.add_node("distil", keeper)
    for start, end in (
        (START, "recall"),
        ("recall", "plan"),
        ("plan", "skill"),
        ("skill", "act"),
        ("act", "execute"),
        ("execute", "watch"),
        ("regenerate", "execute"),
        ("distil", END),
    ):
        graph.add_edge(start, end)
    graph.add_conditional_edges("watch", after_watching, ["route", "next", END])
    graph.add_conditional_edges("next", after_step, ["skill", "distil", END])
    graph.add_conditional_edges("route", by_level, ["replan", "regenerate", END])
    graph.add_conditional_edges("replan", after_replan, ["skill", "watch", END])
    return graph


def droc_agent(
    *,
    model: Model,
    environment: Environment,
    person: Person,
    memory: Memory | KnowledgeStore | None = None,
    keeps: Keeps = "distilled",
    corrections: int = 40,
    corrections_of_step: int = 15,
    steps: int = 60,
    sampling: Mapping[str, Any] | None = None,
) -> DrocAgent:
    """An agent that carries out a plan under a person's eyes, heeds corrections, and keeps what they teach.

    - ``environment``: its action ``find("NAME")`` brings the fact ``found`` with ``objects``, likeliest
      first, each with ``mark``, ``name`` and perhaps a ``photo``; the session's ``instructions`` name the
      text that tells the model what other actions there are. A session is opened for each action: give it
      ``snapshot`` and ``restore``.
    - ``person`` is shown each action when it was carried out (``agentloop.watching.Moment``), and returns
      feedback in words, or None to let the agent go on; None after the last step says that it is done.
    - ``memory``: ``KnowledgeMemory`` for retrieval by words and looks; any other memory keeps and recalls the
      words alone; None is code as policies without memory.
    - ``keeps``: "distilled" knowledge, or, as a baseline, the whole "history", shown in every later prompt.
    - ``corrections`` of a task, ``corrections_of_step``, ``steps``: where it gives up; then nothing is kept.
    - ``sampling`` of the calls that write code. Published: temperature 1, 3,000 tokens.

    Every correction ends an attempt, so corrections of a task are its attempts less one. The stop signal is
    ``oracle`` for a person who sees hidden facts, else ``public``.

    Departures: vectors of words and of looks are both stored, so that the first stage of resolving a name
    can run (the released one cannot); values of every type are kept; what cannot be distilled is said, and
    the rest kept; the model also says, when it replans, whether the step at hand is done; the right code of
    earlier steps of a task is shown for its later ones. Left open by the method, and chosen here: where the
    task failed, the model is shown the first and the last code and writes one of them anew; a router's
    reply that is neither yes nor no counts as no; one constraint replaces a name only where that is bare.
    """
    graph = droc_graph(
        model=model,
        environment=environment,
        person=person,
        memory=memory,
        keeps=keeps,
        corrections=corrections,
        corrections_of_step=corrections_of_step,
        steps=steps,
        sampling=sampling,
    )
    limit = 8 * corrections + 6 * steps + 16
    return graph.compile(name="droc").with_config(recursion_limit=limit)


def after_watching(state: DrocState) -> str:
    """To the router when the person interrupted, else to the next step."""
    if state.get("stop_reason"):
        return END
    return "route" if state.get("correction") else "next"


def after_step(state: DrocState) -> str:
    """To the distiller when the person said done, else to the next step of the plan."""
    if state.get("stop_reason"):
        return END
    return "distil" if state.get("done") else "skill"


def by_level(state: DrocState) -> str:
    """To the planner with what points beyond the step, else to the skill writer."""
    if state.get("stop_reason"):
        return END
    return "replan" if state["level"] == "plan" else "regenerate"


def after_replan(state: DrocState) -> str:
    """To the first step that is left; to the person where none is."""
    if state.get("stop_reason"):
        return END
    return "skill" if state["at"] < len(state["plan"]) else "watch"
