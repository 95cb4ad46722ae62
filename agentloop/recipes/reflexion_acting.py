"""Reflexion for environments of many steps (ALFWorld): trials at one task, with the last plans in mind.

    act (an episode of at most 49 steps) -> judge -> reflect -> act ...     a success ends it

After "Reflexion: Language Agents with Verbal Reinforcement Learning" (arXiv 2303.11366).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from langgraph.runtime import Runtime
from langgraph.types import Command

from agentloop.acting import Act
from agentloop.context import RunContext
from agentloop.errors import BadInput
from agentloop.hidden import public_task
from agentloop.nodes import Judge, Reflect
from agentloop.prompts import Prompts
from agentloop.recipes.reflexion_trials import (
    ActTrial,
    TrialAgent,
    TrialGraph,
    TrialState,
    check_counts,
    compile_trials,
    noted,
    numbered,
    plans,
    trial_graph,
    who_decides,
)
from agentloop.state import State
from agentloop.stopping import Decide
from agentloop.types import (
    Attempt,
    Correction,
    Critic,
    Environment,
    Grader,
    Memory,
    Message,
    Model,
    Reply,
    Step,
    Task,
    Usage,
)

THOUGHT, ANSWER = "think:", "OK."
"""How an action begins that is only a thought, and what it is answered."""


class ReflexionActing(NamedTuple):
    """The numbers of the published program, and the worked examples, of which it shows two a task."""

    temperatures: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    """An empty reply is asked for again, each time at the next of these."""
    shortest: int = 5
    """A reply with fewer characters counts as empty; lower it where actions such as ``look`` are short."""
    sampling: Mapping[str, Any] = {"max_tokens": 256, "stop": ["\n"]}
    reflection: Mapping[str, Any] = {"temperature": 0.0, "max_tokens": 256}
    examples: Callable[[Task], str] | None = None
    """Worked examples for a task, shown before every trial at it."""


def reflexion_acting_graph(
    *,
    model: Model,
    environment: Environment,
    oracle: Grader | None = None,
    critic: Critic | None = None,
    memory: Memory | None = None,
    reflector: Model | None = None,
    attempts: int = 10,
    max_steps: int = 49,
    reflections: int = 3,
    settings: ReflexionActing | None = None,
) -> TrialGraph:
    """The StateGraph of ``reflexion_acting_agent``, to be changed before it is compiled."""
    check_counts(attempts=attempts, max_steps=max_steps)
    if reflections < 0:
        raise BadInput(f"reflections must be at least 0, got {reflections}")
    chosen = settings or ReflexionActing()
    if not chosen.temperatures:
        raise BadInput("temperatures must not be empty; give (0.0,) to ask once")
    prompts = getattr(model, "prompts", None) or Prompts()
    names = {"right": "reflexion_acting_right", "wrong": "reflexion_acting_wrong"}
    decides = who_decides(oracle, critic, prompts=prompts, **names)

    def opens(state: TrialState) -> _Episode:
        episode = _Episode(
            model, environment, prompts=prompts, history=None, max_steps=max_steps, sampling=chosen.sampling
        )
        episode.settings, episode.memory, episode.shown = chosen, memory, reflections
        episode.task = state["task"]
        return episode

    reflect = _Plan(
        (reflector or model) if reflections else None,
        prompts=prompts,
        memory=memory,
        history=max(reflections, 1),
        text="reflexion_acting_reflect",
        sampling=chosen.reflection,
    )
    reflect.recalls, reflect.shown = memory, reflections
    return trial_graph(
        act=ActTrial(opens),
        judge=_JudgeTrial(decides, attempts=attempts, plans=bool(reflections)),
        reflect=reflect,
        memory=memory,
        reflections=reflections,
    )


def reflexion_acting_agent(
    *,
    model: Model,
    environment: Environment,
    oracle: Grader | None = None,
    critic: Critic | None = None,
    memory: Memory | None = None,
    reflector: Model | None = None,
    attempts: int = 10,
    max_steps: int = 49,
    reflections: int = 3,
    settings: ReflexionActing | None = None,
) -> TrialAgent:
    """An agent that acts out an episode, plans anew after a failure, and tries the task again.

    - ``attempts``: trials at a task, the first one included (the published script has 10). A task that is
      solved makes no call in later trials. Every failed trial leaves one reflection, the last one too,
      which only a ``memory`` can bring to a later run.
    - ``max_steps``: published 49, thoughts counted. The same action twice in a row ends the episode: it
      is still executed, and an environment that is done by then counts first.
    - An action that begins with ``think:`` is answered "OK.". An empty reply is asked for again, see
      ``ReflexionActing``; after the last temperature the empty action is taken.
    - ``oracle`` decides whether a trial succeeded, for the loop and the record: ``episode_is_done`` is the
      published rule, right where only a success ends an episode; ``reward_passes`` reads the reward. The
      run then says that the oracle stopped it, and the feedback is marked privileged. ``critic`` takes
      its place where nothing may be known.
    - ``reflections``: how many of the newest are shown when acting and when reflecting; 0 asks for none.
    - ``memory``: an ``EpisodicMemory`` keeps them for later runs; another memory is recalled once, as notes.
      None: they last as long as the trajectory.
    - ``reflector``: the model that plans; published, always the same one, whoever acts. None: ``model``.

    Departures: the published program completes one text, here the episode is a conversation; it hands
    thoughts to its environment too, which does not understand them; it takes an empty first action for
    a repeated one; and it goes through all tasks trial by trial, where here a task's trials follow one
    another, which is the same since no task sees another's memory.
    """
    graph = reflexion_acting_graph(
        model=model,
        environment=environment,
        oracle=oracle,
        critic=critic,
        memory=memory,
        reflector=reflector,
        attempts=attempts,
        max_steps=max_steps,
        reflections=reflections,
        settings=settings,
    )
    return compile_trials(graph, name="reflexion_acting", attempts=attempts)


def episode_is_done(attempt: Attempt) -> float:
    """A grader: 1.0 when the environment ended the episode, as the published program takes it."""
    return float(bool(attempt.steps) and attempt.steps[-1].done)


class _Episode(Act):
    """Acts out one trial; an object of its own for each, since it keeps what the session was opened with."""

    settings: ReflexionActing
    memory: Memory | None
    shown: int
    task: Task
    opening = ""

    def conversation(
        self,
        prompt: str,
        *,
        recalled: Sequence[Correction] = (),
        earlier: Sequence[Attempt] = (),
        instructions: str | None = None,
    ) -> list[Message]:
        """What the model is shown: instructions, examples, notes, the last plans and the task."""
        self.opening = prompt
        known = plans(recalled, earlier, memory=self.memory, most=self.shown)
        told = self.prompts.render("reflexion_acting_plans", plans=numbered(known)) if known else ""
        notes = noted(recalled, memory=self.memory, prompts=self.prompts)
        system = [self.prompts.render("reflexion_acting")]
        if instructions:
            system.append(self.prompts.render(instructions))
        if self.settings.examples is not None:
            system.append(self.settings.examples(public_task(self.task)))
        asked = self.prompts.render("reflexion_acting_task", notes=notes, plans=told, task=prompt)
        return [
            {"role": "system", "content": "\n\n".join(part for part in system if part)},
            {"role": "user", "content": asked},
        ]

    async def reply(self, messages: Sequence[Message], earlier: Sequence[Attempt], run: RunContext) -> Reply:
        """The next action, asked for at rising temperatures until it is not empty."""
        usage = Usage()
        for temperature in self.settings.temperatures:
            sampling = {**self.sampling, "temperature": temperature}
            reply = (await run.ask(self.model, messages, **sampling))[0]
            usage = usage + reply.usage
            if not self._is_empty(reply):
                break
        return reply.replace(usage=usage)

    def action(self, reply: Reply) -> str:
        """The first line of a reply; nothing where it counts as empty."""
        return "" if self._is_empty(reply) else reply.text.strip().splitlines()[0].removeprefix(">").strip()

    def aside(self, action: str) -> str | None:
        """The answer to a thought."""
        return ANSWER if action.startswith(THOUGHT) else None

    def ends(self, steps: Sequence[Step]) -> bool:
        """Whether the same action was taken twice in a row, whatever it brought."""
        return len(steps) > 1 and steps[-1].action == steps[-2].action

    def log(self, attempt: Attempt) -> str:
        """The episode from the task on."""
        lines = [part for step in attempt.steps for part in (f"> {step.action}", step.observation)]
        return "\n".join([self.opening, *lines])

    def _is_empty(self, reply: Reply) -> bool:
        text = reply.text.strip()
        return not text or len(text) < self.settings.shortest


class _Plan(Reflect):
    """Asks for a new plan, with the episode and the plans before it."""

    recalls: Memory | None
    shown: int

    def question(self, attempt: Attempt, state: State) -> str:
        """The episode that failed, and the plans that it was shown."""
        known = plans(
            state.get("recalled", ()), state.get("earlier", ()), memory=self.recalls, most=self.shown
        )
        told = attempt.feedback.text if attempt.feedback else ""
        log = str(state.get("log", ""))
        return self.prompts.render(self.text, log=log, feedback=told, plans=numbered(known) or "none yet")


class _JudgeTrial:
    """Judge the trial and name the next node: a failed one is reflected on, the last one too."""

    def __init__(self, critic: Critic, *, attempts: int, plans: bool) -> None:
        self.judge, self.decide = Judge(critic), Decide(attempts=attempts)
        self.plans = plans

    async def __call__(
        self, state: State, runtime: Runtime[RunContext]
    ) -> Command[Literal["reflect", "distil"]]:
        """Update the state with the feedback and name the next node."""
        judged = await self.judge(state, runtime)
        decided = await self.decide({**state, **judged}, runtime)
        reason = decided.get("stop_reason") or state.get("stop_reason")
        ended = reason is not None and not (reason == "attempts" and self.plans)
        return Command(update={**judged, **decided}, goto="distil" if ended else "reflect")
