"""The act node: one attempt at a task, from what the model is shown to the end state it leaves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.runtime import Runtime

from agentloop.bringing import OpenSession
from agentloop.context import RunContext, Scope
from agentloop.errors import BudgetSpent, EnvironmentFailed
from agentloop.journal import place_of
from agentloop.prompts import Prompts
from agentloop.redact import redact
from agentloop.state import State, better, boundary, budget_spent, trajectory_id
from agentloop.types import (
    Attempt,
    Correction,
    Environment,
    Fact,
    Message,
    Model,
    Reply,
    Step,
    Task,
    Usage,
    digest,
)


class Act:
    """Make one attempt: the model answers, or acts in a session until done, or ``max_steps`` times.

    ``sampling`` goes with every request. A recipe that shows its model something else overrides
    ``conversation``; one whose next answer need not be asked for, or is asked for several times,
    overrides ``reply``; ``action``, ``aside`` and ``ends`` are for episodes with rules of their own.
    """

    def __init__(
        self,
        model: Model,
        environment: Environment | None = None,
        *,
        prompts: Prompts | None = None,
        history: int | None = 1,
        max_steps: int = 1,
        sampling: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.environment = environment
        self.prompts = prompts or getattr(model, "prompts", None) or Prompts()
        self.history = history
        self.max_steps = max_steps
        self.sampling = dict(sampling or {})

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set ``attempt`` and ``number``."""
        if state.get("stop_reason"):
            return {}
        run, number = runtime.context or RunContext(), state.get("number", 0) + 1
        trajectory = trajectory_id(state)
        with run.at(trajectory, number, "act") as scope:
            trial = _Trial(self, state, run, scope)
            try:
                await trial.make()
            except BudgetSpent:
                return budget_spent()
        attempt = trial.attempt(trajectory, number)
        run.keep(attempt)
        noted = {"text": attempt.text, "recalled": list(attempt.recalled), "error": attempt.error}
        run.note(place_of(trajectory, number, "attempt", 0), "attempt", {k: v for k, v in noted.items() if v})
        changed: State = {"attempt": attempt, "number": number}
        if attempt.error:
            changed["best"] = better(state.get("best"), attempt)
        return changed

    def conversation(
        self,
        prompt: str,
        *,
        recalled: Sequence[Correction] = (),
        earlier: Sequence[Attempt] = (),
        instructions: str | None = None,
    ) -> list[Message]:
        """What the model is shown: instructions, notes, the task, and earlier attempts with the feedback."""
        messages: list[Message] = []
        system = self.prompts.render(instructions) if instructions else ""
        if system:
            messages.append({"role": "system", "content": system})
        notes = self.prompts.render("notes", corrections=said(recalled)) if recalled else ""
        messages.append({"role": "user", "content": self.prompts.render("task", notes=notes, task=prompt)})
        for attempt in earlier:
            messages.extend(self._retold(attempt))
        return messages

    async def reply(self, messages: Sequence[Message], earlier: Sequence[Attempt], run: RunContext) -> Reply:
        """The next action or answer: the model's, asked for here."""
        return (await run.ask(self.model, messages, **self.sampling))[0]

    def action(self, reply: Reply) -> str:
        """What of a reply is done in the session: all of it."""
        return reply.text

    def aside(self, action: str) -> str | None:
        """What an action brings that the environment has no part in; None where it is for the environment."""
        return None

    def ends(self, steps: Sequence[Step]) -> bool:
        """Whether the episode is to end here: when the same action brought the same observation."""
        return len(steps) > 1 and _same(steps[-2], steps[-1])

    def observation(self, step: Step) -> Message:
        """An observation as a message."""
        text = self.prompts.render("observation", observation=step.observation)
        return {"role": "user", "content": text}

    def _retold(self, attempt: Attempt) -> list[Message]:
        messages: list[Message] = []
        for step in attempt.steps[:-1]:
            messages += [{"role": "assistant", "content": step.action}, self.observation(step)]
        told = attempt.feedback.text if attempt.feedback else ""
        noted = attempt.reflection.text if attempt.reflection else ""
        name = "retry_reflection" if noted else "retry"
        retry = self.prompts.render(name, feedback=told, reflection=noted)
        observed = attempt.steps[-1].observation if attempt.steps else ""
        seen = self.prompts.render("retry_observation", observation=observed) if observed else ""
        retry = f"{seen}\n\n{retry}" if seen else retry
        return [
            *messages,
            {"role": "assistant", "content": attempt.text},
            {"role": "user", "content": retry},
        ]


class _Trial:
    """One attempt while it is being made."""

    def __init__(self, act: Act, state: State, run: RunContext, scope: Scope) -> None:
        self.act, self.run, self.scope = act, run, scope
        self.task: Task = state["task"]
        self.recalled = state.get("recalled", ())
        earlier = state.get("earlier", ())
        self.earlier = earlier if act.history is None else last(earlier, act.history)
        self.calls: list[str] = []
        self.steps: list[Step] = []
        self.facts: tuple[Fact, ...] = ()
        self.text = ""
        self.usage = Usage()
        self.error: str | None = None
        self.unapplied: list[Step] = []

    def attempt(self, trajectory: str, number: int) -> Attempt:
        """The attempt as a record."""
        return Attempt(
            id=f"{trajectory}/{number}",
            trajectory=trajectory,
            task=self.task,
            number=number,
            text=self.text,
            calls=tuple(self.calls),
            steps=tuple(self.steps),
            facts=self.facts,
            recalled=tuple(correction.id for correction in self.recalled),
            error=self.error,
            usage=self.usage,
        )

    async def make(self) -> None:
        """Answer the task, or act on it in a session."""
        if self.act.environment is None:
            with boundary("model") as caught:
                await self._ask(self._conversation(self.task.prompt))
            self.error = caught.error
            return
        with boundary("environment") as caught:
            session = await OpenSession.open(self.act.environment, self.task)
            try:
                await self._in(session)
            finally:
                await session.close()
        self.error = self.error or caught.error

    async def _in(self, session: OpenSession) -> None:
        instructions = getattr(session.session, "instructions", None)
        messages = self._conversation(await session.prompt(), instructions)
        for _ in range(self.act.max_steps):
            if self.act.ends(self.steps):
                break
            with boundary("model") as caught:
                reply = await self._ask(messages)
            if caught.error:
                self.error = caught.error
                return
            step = await self._step(session, self.act.action(reply))
            self.steps.append(step)
            if step.done:
                break
            messages = [*messages, {"role": "assistant", "content": step.action}, self.act.observation(step)]
        await self._final(session)

    def _conversation(self, prompt: str, instructions: str | None = None) -> list[Message]:
        return self.act.conversation(
            prompt, recalled=self.recalled, earlier=self.earlier, instructions=instructions
        )

    async def _ask(self, messages: list[Message]) -> Reply:
        made = self.scope.made
        reply = await self.act.reply(messages, self.earlier, self.run)
        if self.scope.made != made:
            self.calls.append(self.scope.latest())  # of several, the last is the one that was used
        self.text = reply.text
        self.usage = self.usage + reply.usage
        return reply

    async def _step(self, session: OpenSession, action: str) -> Step:
        place, aside = self.scope.place(), self.act.aside(action)

        async def make() -> Step:
            call = self.calls[-1] if self.calls else None
            if aside is not None:
                return Step(action=action, observation=aside, call=call)
            await self._apply(session)
            began = time.perf_counter()
            step = await session.step(action)
            seconds = step.seconds or round(time.perf_counter() - began, 6)
            return step.replace(seconds=seconds, call=call)

        replayed = self.run.replays(place)
        step = await self.run.once(place, digest(redact(action)), make, kind="step")
        if replayed and aside is None:
            self.unapplied.append(step)
        return step

    async def _final(self, session: OpenSession) -> None:
        async def make() -> tuple[Fact, ...]:
            await self._apply(session)
            return await session.final()

        self.facts = await self.run.once(self.scope.place(), digest(redact(self.text)), make, kind="facts")

    async def _apply(self, session: OpenSession) -> None:
        """Carry out again, in a fresh session, the steps that were recorded before the run was cut off.

        Their results stand in the journal and are not had twice; the session only needs their state.
        """
        while self.unapplied:
            recorded = self.unapplied.pop(0)
            again = await session.step(recorded.action)
            if redact(again.observation) != recorded.observation:
                raise EnvironmentFailed(
                    f"the action {recorded.action!r:.80} brought another observation when the attempt was "
                    "taken up again; this environment cannot be resumed within an attempt"
                )


def last(attempts: tuple[Attempt, ...], count: int) -> tuple[Attempt, ...]:
    """The last ``count`` attempts; none when ``count`` is 0."""
    return attempts[len(attempts) - min(count, len(attempts)) :]


def _same(before: Step, now: Step) -> bool:
    """The same action brought the same observation: going on would only repeat it."""
    return before.action.strip() == now.action.strip() and before.observation == now.observation


def said(corrections: Sequence[Correction]) -> str:
    """Corrections as the lines of a list, with their scope where it is prose.

    A scope such as ``house=acme`` was checked when the correction was recalled.
    """
    lines = []
    for correction in corrections:
        when = f" (when {correction.applies_when})" if is_prose(correction.applies_when) else ""
        unless = f" (not when {correction.not_when})" if is_prose(correction.not_when) else ""
        lines.append(f"- {correction.text}{when}{unless}")
    return "\n".join(lines)


def is_prose(scope: str) -> bool:
    """Whether a scope is for the model to read rather than for the memory to check."""
    return bool(scope) and "=" not in scope
