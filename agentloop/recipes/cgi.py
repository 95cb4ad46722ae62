"""CGI: at every step the actor proposes actions, a critic comments on all of them, a refined one is executed.

    act:  propose k -> critique -> refine -> step, and again to the end of the episode

After "The Lighthouse of Language: Enhancing LLM Agents via Critique-Guided Improvement"
(arXiv 2503.16024). Trying an episode again is no part of it; the training of critic and actor is not here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeGuard

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from agentloop.acting import Act
from agentloop.bringing import bring
from agentloop.context import RunContext, here
from agentloop.errors import AgentloopError, BadInput
from agentloop.graph import Agent, Graph
from agentloop.hidden import may_see_hidden, public_attempt
from agentloop.redact import redact
from agentloop.state import State, boundary
from agentloop.types import (
    Attempt,
    Correction,
    Environment,
    Message,
    Model,
    Reply,
    Step,
    Task,
    Usage,
    digest,
)

ROOM = 1000
"""Places that the critic of one step may take in the journal, should it ask models of its own."""


class StepView(NamedTuple):
    """What a critic is shown of one step: nothing hidden, and no action carried out yet.

    ``observation`` is the latest; before the first step it is what the session was opened with.
    """

    task: Task
    steps: tuple[Step, ...]
    observation: str
    candidates: tuple[str, ...]


StepCritic: TypeAlias = Callable[[StepView], str | Awaitable[str]]
"""Comments on all candidates of a step in words: what they contribute, and which action were better."""


class StepCriticFailed(AgentloopError):
    """The function that criticises a step broke; the message says how."""


class CGISampling(NamedTuple):
    """How each kind of request is sampled. The method leaves it open: varied proposals, the rest greedy."""

    propose: Mapping[str, Any] = {"temperature": 1.0}
    critique: Mapping[str, Any] = {"temperature": 0.0}
    refine: Mapping[str, Any] = {"temperature": 0.0}


def cgi_graph(
    *,
    model: Model,
    critic: Model | StepCritic,
    environment: Environment,
    candidates: int = 5,
    max_steps: int = 30,
    critique: str = "cgi_critique",
    sampling: CGISampling | None = None,
) -> Graph:
    """The StateGraph of ``cgi_agent``, to be changed before it is compiled."""
    for name, value in (("candidates", candidates), ("max_steps", max_steps)):
        if value < 1:
            raise BadInput(f"{name} must be at least 1, got {value}")
    if not _is_model(critic) and not callable(critic):
        raise BadInput(f"critic must be a model or a function of a StepView, got {critic!r:.80}")
    if may_see_hidden(critic):  # type: ignore[arg-type]
        raise BadInput("the critic of a step is shown nothing hidden; give it without sees_hidden")
    act = _ActGuided(model, environment, max_steps=max_steps)
    act.guide = _Guide(model, critic, width=candidates, text=critique, sampling=sampling or CGISampling())
    graph: Graph = StateGraph(State, context_schema=RunContext)
    graph.add_node("act", act)
    graph.add_edge(START, "act")
    graph.add_edge("act", END)
    return graph


def cgi_agent(
    *,
    model: Model,
    critic: Model | StepCritic,
    environment: Environment,
    candidates: int = 5,
    max_steps: int = 30,
    critique: str = "cgi_critique",
    sampling: CGISampling | None = None,
) -> Agent:
    """An agent that has a critic comment on its candidate actions before it takes a step.

    - ``critic``: a function of a ``StepView`` that returns its comments in words, plain or async, or a
      model, which is shown the text ``critique``. A model comments in two parts: discrimination
      (contribution to the goal, feasibility, efficiency, a grade) and revision (a better action);
      ``critique="cgi_discrimination"`` is the ablation without the second.
    - ``candidates``: published with 5. They are the replies to one request (``n=candidates``), all of
      which the critic sees, repeated ones too.
    - The refined action may be none of the candidates. It alone is executed, and it alone stays in
      the conversation; candidates and critique of earlier steps are not shown again.
    - ``max_steps`` ends an episode that does not end by itself; the method leaves the number open.

    A step costs three calls (roles ``propose``, ``critic``, ``actor``), two with a function as critic. There
    is no feedback on the whole attempt, and no verdict without a grader; the stop reason is ``episode``.
    """
    graph = cgi_graph(
        model=model,
        critic=critic,
        environment=environment,
        candidates=candidates,
        max_steps=max_steps,
        critique=critique,
        sampling=sampling,
    )
    return graph.compile(name="cgi")


class _Guide(NamedTuple):
    """What the steps of all episodes have in common."""

    model: Model
    critic: Model | StepCritic
    width: int
    text: str
    sampling: CGISampling


class _ActGuided(Act):
    """The node: each episode is acted out by an ``_Episode`` of its own, and is the whole trajectory."""

    guide: _Guide

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set ``attempt``, ``number``, and why it ended."""
        episode = _Episode(self.model, self.environment, prompts=self.prompts, max_steps=self.max_steps)
        episode.guide, episode.task = self.guide, state["task"]
        changed = await episode(state, runtime)
        attempt = changed.get("attempt")
        if attempt is not None:
            changed["best"] = attempt
            changed["stop_reason"] = "error" if attempt.error else "episode"
        return changed


class _Episode(Act):
    """Acts out one episode and remembers what the critic is to be shown of it."""

    guide: _Guide
    task: Task
    seen = ""
    done: tuple[Step, ...] = ()

    def conversation(
        self,
        prompt: str,
        *,
        recalled: Sequence[Correction] = (),
        earlier: Sequence[Attempt] = (),
        instructions: str | None = None,
    ) -> list[Message]:
        """What the model is shown before the first step; nothing of other episodes."""
        self.seen = prompt
        return super().conversation(prompt, recalled=recalled, instructions=instructions)

    def observation(self, step: Step) -> Message:
        """An observation as a message."""
        self.seen, self.done = step.observation, (*self.done, step)
        return super().observation(step)

    async def reply(self, messages: Sequence[Message], earlier: Sequence[Attempt], run: RunContext) -> Reply:
        """Propose, have it criticised, refine: the refined action, with the cost of all three."""
        proposed = await self._propose(messages, run)
        view = self._view(tuple(reply.text for reply in proposed))
        said, usage = await self._critique(view, run)
        asked = self.prompts.render("cgi_refine", candidates=numbered(view.candidates), critique=said)
        told: Message = {"role": "user", "content": asked}
        refined = (await run.ask(self.guide.model, [*messages, told], **self.guide.sampling.refine))[0]
        for each in proposed:
            usage = usage + each.usage
        return refined.replace(usage=usage + refined.usage)

    async def _propose(self, messages: Sequence[Message], run: RunContext) -> Sequence[Reply]:
        """The candidates; a role of their own keeps them out of what is exported as the actor's actions."""
        guide, standing = self.guide, here.get()
        assert standing is not None
        with run.at(standing.trajectory, standing.attempt, "propose") as scope:
            scope.made = len(self.done)
            return await run.ask(guide.model, messages, **{**guide.sampling.propose, "n": guide.width})

    async def _critique(self, view: StepView, run: RunContext) -> tuple[str, Usage]:
        guide, critic, standing = self.guide, self.guide.critic, here.get()
        assert standing is not None
        with run.at(standing.trajectory, standing.attempt, "judge") as scope:
            scope.made = len(self.done) * ROOM
            if _is_model(critic):
                messages: list[Message] = [{"role": "user", "content": self._shown(view)}]
                reply = (await run.ask(critic, messages, **guide.sampling.critique))[0]
                return reply.text.strip(), reply.usage

            # The place is taken first: a model that the function asks is recorded at the next one.
            ask = digest(*map(redact, (view.observation, *view.candidates)))
            made = partial(_words, critic, view, run)  # type: ignore[arg-type]
            return await run.once(scope.place(), ask, made), Usage()

    def _view(self, candidates: tuple[str, ...]) -> StepView:
        attempt = Attempt(id="view", trajectory="view", task=self.task, number=1, steps=self.done)
        seen = public_attempt(attempt)
        return StepView(seen.task, seen.steps, self.seen, candidates)

    def _shown(self, view: StepView) -> str:
        history = [f"{number}. {step.action}" for number, step in enumerate(view.steps, start=1)]
        return self.prompts.render(
            self.guide.text,
            task=view.task.prompt,
            history="\n".join(history) or "Nothing has been done yet.",
            observation=view.observation,
            candidates=numbered(view.candidates),
        )


def _is_model(critic: Model | StepCritic) -> TypeGuard[Model]:
    return hasattr(critic, "complete")


async def _words(critic: StepCritic, view: StepView, run: RunContext) -> str:
    with boundary("critic") as caught:
        said = await bring(critic, view, executor=run.executor)
    if caught.error:
        raise StepCriticFailed(caught.error)
    if not isinstance(said, str):
        raise BadInput(f"the critic of a step must return words, got {type(said).__name__}: {said!r:.80}")
    return said


def numbered(candidates: Sequence[str]) -> str:
    """The candidates one below the other, with their numbers."""
    return "\n".join(f"{number}. {text.strip()}" for number, text in enumerate(candidates, start=1))
