"""Self-Refine: one model answers, criticises its own answer and refines it; nothing from outside is asked.

    act -> judge -> reflect -> act ...      judge stops where the feedback is satisfied, or at the cap

``reflect`` only hands the answer on with its feedback. After "Self-Refine: Iterative Refinement with
Self-Feedback" (arXiv 2303.17651); self_refine_maths.py is its form for mathematics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from agentloop.acting import Act
from agentloop.context import RunContext, current
from agentloop.errors import BadInput
from agentloop.graph import Agent, Graph, InOne
from agentloop.nodes import Judge, Reflect
from agentloop.prompts import Prompts
from agentloop.state import State
from agentloop.stopping import Decide
from agentloop.types import (
    Attempt,
    Correction,
    Critic,
    Environment,
    Feedback,
    Message,
    Model,
    Reply,
    StopSignal,
)

Satisfied: TypeAlias = str | Callable[[str], bool] | None
"""A phrase in the feedback, in whatever case, or a function of it, that ends the loop; None: nothing does."""

CORRECT = "it is correct"
"""What satisfied feedback says in the published form for mathematics."""


class RefineSampling(NamedTuple):
    """How each kind of request is sampled: 0 for the first answer, 0.7 for feedback (in mathematics).

    Refining has no published figure of its own; in mathematics it is the same call as the feedback.
    """

    generate: Mapping[str, Any] = {"temperature": 0.0}
    feedback: Mapping[str, Any] = {"temperature": 0.7}
    refine: Mapping[str, Any] = {"temperature": 0.7}


def self_refine_graph(
    *,
    model: Model,
    environment: Environment | None = None,
    attempts: int = 4,
    satisfied: Satisfied = CORRECT,
    history: int | None = None,
    score: Callable[[str], float | None] | None = None,
    sampling: RefineSampling | None = None,
) -> Graph:
    """The StateGraph of ``self_refine_agent``, to be changed before it is compiled."""
    check(attempts, satisfied)
    if history is not None and history < 1:
        raise BadInput(f"history must be at least 1, or None for all, got {history}")
    prompts, asked = getattr(model, "prompts", None) or Prompts(), sampling or RefineSampling()

    def critic_for(earlier: Sequence[Attempt]) -> Critic:
        return OwnFeedback(model, satisfied, score=score, prompts=prompts, sampling=asked.feedback)

    act = Refine(model, environment, prompts=prompts, history=history)
    act.first, act.later = dict(asked.generate), dict(asked.refine)
    return loop(act, JudgeOwn(critic_for, Decide(attempts=attempts)), history=history)


def self_refine_agent(
    *,
    model: Model,
    environment: Environment | None = None,
    attempts: int = 4,
    satisfied: Satisfied = CORRECT,
    history: int | None = None,
    score: Callable[[str], float | None] | None = None,
    sampling: RefineSampling | None = None,
) -> Agent:
    """An agent that answers, gives itself feedback, and refines the answer, by three prompts of one model.

    - ``attempts``: the most answers, each of which is given feedback. Published: 3 for the speed of
      code, 4 in mathematics, 5 for acronyms and constrained generation; for sentiment one more than its
      setting says.
    - ``satisfied`` ends the loop: "it is correct" in mathematics, "this code is not slow" for the speed
      of code, a function where two channels of feedback must both say "none", None for a fixed number.
    - ``history``: how many pairs of answer and feedback refining is shown. None is all (constrained
      generation, acronyms, dialogue, sentiment), 1 the latest (speed and readability of code).
    - ``score`` reads a figure from 0 to 1 out of the feedback (``total(25)``): then the answer that
      counts is the best-scored one, else the last. Published code never rejects a worse one on the way.
    - ``environment`` only carries answers to a grader; what it observes is not shown.

    The stop signal is ``self``.
    """
    graph = self_refine_graph(
        model=model,
        environment=environment,
        attempts=attempts,
        satisfied=satisfied,
        history=history,
        score=score,
        sampling=sampling,
    )
    return compiled(graph, "self_refine", attempts)


def total(out_of: float) -> Callable[[str], float | None]:
    """Reads the last figure written as ``N/out_of`` in feedback, as a share; None where there is none."""
    if out_of <= 0:
        raise BadInput(f"out_of must be more than 0, got {out_of}")
    written = re.compile(rf"(?<![\d./])(\d+(?:\.\d+)?)\s*/\s*{out_of:g}(?![\d/]|\.\d)")

    def score(feedback: str) -> float | None:
        found = written.findall(feedback)
        return min(1.0, float(found[-1]) / out_of) if found else None

    return score


def check(attempts: int, satisfied: Satisfied) -> None:
    """Refuse what cannot be meant; BadInput says why."""
    if attempts < 1:
        raise BadInput(f"attempts must be at least 1, got {attempts}")
    if isinstance(satisfied, str) and not satisfied.strip():
        raise BadInput(f"satisfied must be a phrase, a function or None, got {satisfied!r}")


def loop(act: Act, judge: JudgeOwn, *, history: int | None) -> Graph:
    """The wiring that both forms share."""
    graph: Graph = StateGraph(State, context_schema=RunContext)
    graph.add_node("act", act)
    graph.add_node("judge", judge, destinations=("reflect", judge.end))
    graph.add_node("reflect", Reflect(None, history=history))
    graph.add_edge(START, "act")
    graph.add_edge("act", "judge")
    graph.add_edge("reflect", "act")
    return graph


def compiled(graph: Graph, name: str, attempts: int) -> Agent:
    """Compile with an explicit recursion limit."""
    return graph.compile(name=name).with_config(recursion_limit=8 * attempts + 8)


class Refine(Act):
    """Shows the task, and each earlier answer with the feedback on it."""

    first: Mapping[str, Any] = {}
    later: Mapping[str, Any] = {}

    def conversation(
        self,
        prompt: str,
        *,
        recalled: Sequence[Correction] = (),
        earlier: Sequence[Attempt] = (),
        instructions: str | None = None,
    ) -> list[Message]:
        """What the model is shown."""
        system = self.prompts.render(instructions) if instructions else ""
        messages: list[Message] = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": self.prompts.render("self_refine", task=prompt)})
        for attempt in earlier:
            told = attempt.feedback.text if attempt.feedback else ""
            retry = self.prompts.render("self_refine_retry", feedback=told)
            messages.append({"role": "assistant", "content": attempt.text})
            messages.append({"role": "user", "content": retry})
        return messages

    async def reply(self, messages: Sequence[Message], earlier: Sequence[Attempt], run: RunContext) -> Reply:
        """The first answer, or a refined one, each sampled in its own way."""
        return (await run.ask(self.model, messages, **(self.later if earlier else self.first)))[0]


class OwnFeedback:
    """A critic: what the model says of its own answer."""

    signal: StopSignal = "self"

    def __init__(
        self,
        model: Model,
        satisfied: Satisfied,
        *,
        score: Callable[[str], float | None] | None,
        prompts: Prompts,
        sampling: Mapping[str, Any],
    ) -> None:
        self.model, self.satisfied, self.score = model, satisfied, score
        self.prompts, self.sampling = prompts, sampling

    async def __call__(self, attempt: Attempt) -> Feedback:
        """Ask for feedback on the attempt."""
        run = current.get() or RunContext()
        reply = (await run.ask(self.model, self.shown(attempt), **self.sampling))[0]
        text = reply.text.strip()
        return Feedback(
            text=text,
            verdict="pass" if self.is_satisfied(text) else "fail",
            score=self.score(text) if self.score else None,
            source=self.model.name,
            usage=reply.usage,
        )

    def shown(self, attempt: Attempt) -> list[Message]:
        """What the model is shown of the attempt."""
        task = attempt.task.prompt
        shown = self.prompts.render("self_refine_feedback", task=task, attempt=attempt.text)
        return [{"role": "user", "content": shown}]

    def is_satisfied(self, text: str) -> bool:
        """Whether the feedback says that there is nothing to improve."""
        if callable(self.satisfied):
            return self.satisfied(text)
        return self.satisfied is not None and self.satisfied.lower() in text.lower()


class JudgeOwn:
    """Judge the answer by the model's own words, and go on or to the end."""

    def __init__(
        self,
        critic_for: Callable[[Sequence[Attempt]], Critic],
        decide: Decide,
        *,
        end: Literal["last", "__end__"] = "__end__",
    ) -> None:
        self.critic_for, self.decide = critic_for, decide
        self.end: Literal["last", "__end__"] = end

    async def __call__(
        self, state: State, runtime: Runtime[RunContext]
    ) -> Command[Literal["reflect", "last", "__end__"]]:
        """Update the state with the feedback and name the next node."""
        judge = Judge(self.critic_for(state.get("earlier", ())))
        update = await InOne(judge, self.decide)(state, runtime)
        stops = update.get("stop_reason") or state.get("stop_reason")
        return Command(update=dict(update), goto=self.end if stops else "reflect")
