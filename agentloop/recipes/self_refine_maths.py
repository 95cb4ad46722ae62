"""Self-Refine for mathematics: one call says what is wrong with a solution and writes the next one.

    act -> judge -> reflect -> act ... -> last      ``act`` takes the solution that came with the feedback

``last`` is there only for the published way of ending. After "Self-Refine: Iterative Refinement with
Self-Feedback" (arXiv 2303.17651).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from langgraph.graph import END
from langgraph.runtime import Runtime

from agentloop.acting import Act
from agentloop.context import RunContext
from agentloop.errors import BadInput
from agentloop.graph import Agent, Graph
from agentloop.prompts import Prompts
from agentloop.recipes.self_refine import (
    CORRECT,
    JudgeOwn,
    OwnFeedback,
    Refine,
    RefineSampling,
    Satisfied,
    check,
    compiled,
    loop,
)
from agentloop.state import State
from agentloop.stopping import Decide
from agentloop.types import Attempt, Critic, Environment, Feedback, Message, Model, Reply, Span, Verdict

FIXED = "Fixed:"
"""The line below which the next solution stands."""


def self_refine_maths_graph(
    *,
    model: Model,
    environment: Environment | None = None,
    attempts: int = 4,
    satisfied: Satisfied = CORRECT,
    marker: str = FIXED,
    final: Literal["judged", "rewritten"] = "judged",
    sampling: RefineSampling | None = None,
) -> Graph:
    """The StateGraph of ``self_refine_maths_agent``, to be changed before it is compiled."""
    check(attempts, satisfied)
    if not marker.strip():
        raise BadInput(f"marker must be a text, such as {FIXED!r}, got {marker!r}")
    prompts, asked = getattr(model, "prompts", None) or Prompts(), sampling or RefineSampling()

    def critic_for(earlier: Sequence[Attempt]) -> Critic:
        return _FeedbackAndFixed(
            model, satisfied, earlier=earlier, marker=marker, prompts=prompts, sampling=asked.feedback
        )

    act = _TakeFixed(model, environment, prompts=prompts, history=None, sampling=asked.generate)
    end: Literal["last", "__end__"] = "last" if final == "rewritten" else "__end__"
    graph = loop(act, JudgeOwn(critic_for, Decide(attempts=attempts), end=end), history=None)
    if final == "rewritten":
        graph.add_node("last", _Last(act))
        graph.add_edge("last", END)
    return graph


def self_refine_maths_agent(
    *,
    model: Model,
    environment: Environment | None = None,
    attempts: int = 4,
    satisfied: Satisfied = CORRECT,
    marker: str = FIXED,
    final: Literal["judged", "rewritten"] = "judged",
    sampling: RefineSampling | None = None,
) -> Agent:
    """Self-Refine as published for mathematics: one call gives the feedback and the next solution.

    Each call is shown the task and every earlier (solution, feedback, fixed solution) of it. The words
    before the line ``marker`` are the feedback, what follows is the next attempt, for which no call is
    made; where the line is missing the solution stays as it is. ``attempts`` counts these calls.

    ``final="judged"`` returns the solution that the feedback found correct, or the last one judged.
    ``"rewritten"`` is the published way: the solution that the last call wrote, even where that call
    said that the one before was correct; it is an attempt without feedback.
    """
    graph = self_refine_maths_graph(
        model=model,
        environment=environment,
        attempts=attempts,
        satisfied=satisfied,
        marker=marker,
        final=final,
        sampling=sampling,
    )
    return compiled(graph, "self_refine_maths", attempts)


class _TakeFixed(Refine):
    """Asks for the first solution; the later ones came with the feedback on those before them."""

    async def reply(self, messages: Sequence[Message], earlier: Sequence[Attempt], run: RunContext) -> Reply:
        """The first solution, or the one that the last call wrote, without a call."""
        if earlier:
            return Reply(text=_fixed(earlier[-1]))
        return (await run.ask(self.model, messages, **self.sampling))[0]


class _FeedbackAndFixed(OwnFeedback):
    """A critic whose one reply holds the feedback and the next solution, which becomes a span."""

    def __init__(
        self,
        model: Model,
        satisfied: Satisfied,
        *,
        earlier: Sequence[Attempt],
        marker: str,
        prompts: Prompts,
        sampling: Mapping[str, Any],
    ) -> None:
        super().__init__(model, satisfied, score=None, prompts=prompts, sampling=sampling)
        self.earlier, self.marker = earlier, marker

    async def __call__(self, attempt: Attempt) -> Feedback:
        """Ask for feedback on the attempt and for the next one."""
        said = await super().__call__(attempt)
        text, fixed = _split(said.text, self.marker)
        verdict: Verdict = "pass" if self.is_satisfied(text) else "fail"
        if not fixed:
            return said.replace(text=text, verdict=verdict)
        whole = Span(start=0, end=len(attempt.text), label="fixed", replacement=fixed)
        return said.replace(text=text, verdict=verdict, kind="revision", spans=(whole,))

    def shown(self, attempt: Attempt) -> list[Message]:
        """Every earlier solution with its feedback and what was made of it, then the attempt."""
        messages: list[Message] = []
        for each in (*self.earlier, attempt):
            name = "self_refine_maths_again" if messages else "self_refine_maths"
            values = {"task": each.task.prompt, "attempt": each.text, "marker": self.marker}
            messages.append({"role": "user", "content": self.prompts.render(name, **values)})
            if each is not attempt and each.feedback:
                told = f"{each.feedback.text}\n\n{self.marker}\n{_fixed(each)}"
                messages.append({"role": "assistant", "content": told})
        return messages


class _Last:
    """Take the solution that the last call wrote as the answer, whatever that call said."""

    def __init__(self, act: Act) -> None:
        self.act = act

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set ``attempt``, ``number`` and ``best``; nothing where the loop was cut off."""
        if state.get("stop_reason") not in ("passed", "attempts"):
            return {}
        judged: State = {**state, "earlier": (*state.get("earlier", ()), state["attempt"]), "stop_reason": ""}
        update = await self.act(judged, runtime)
        taken = update["attempt"]
        return {**update, "best": state["best"] if taken.error else taken}


def _split(reply: str, marker: str) -> tuple[str, str]:
    """The feedback before the last line that begins with ``marker``, and what comes after."""
    found = list(
        re.finditer(rf"^[ \t*#]*{re.escape(marker.strip())}[ \t*]*", reply, re.IGNORECASE | re.MULTILINE)
    )
    if not found:
        return reply.strip(), ""
    return reply[: found[-1].start()].strip(), reply[found[-1].end() :].strip()


def _fixed(attempt: Attempt) -> str:
    """The solution that came with the feedback on ``attempt``, or else its own again."""
    spans = attempt.feedback.spans if attempt.feedback else ()
    return next((span.replacement for span in spans if span.replacement), attempt.text)
