"""CRITIC for programs: run the program, criticise it with the report in view, write a better one, run that.

    act -> decide -> critique -> act ...      decide stops at an answer that stayed the same twice

After "CRITIC: Large Language Models Can Self-Correct with Tool-Interactive Critiquing" (arXiv 2305.11738).
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from agentloop.acting import Act
from agentloop.bringing import OpenSession
from agentloop.context import RunContext
from agentloop.errors import BadInput
from agentloop.graph import Agent, Graph
from agentloop.hidden import public_attempt
from agentloop.nodes import Judge
from agentloop.prompts import Prompts
from agentloop.state import State
from agentloop.stopping import Decide, Stop, StopRule
from agentloop.types import Attempt, Correction, Environment, Fact, Feedback, Message, Model, Step, Task

AnswerOf: TypeAlias = Callable[[Attempt], str | None]
"""The answer that an attempt's program gave; None when it gave none."""

FAILURES = frozenset(("load_error", "exception", "timeout", "memory", "output_limit", "signal", "exit"))
"""Facts of a program that did not run to its end, so that what it printed is no answer."""

MARKER = "Here's a better solution"
"""Where a critique ends and a rewritten program begins, should the critic go on to write one."""

_FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def critic_code_graph(
    *,
    model: Model,
    environment: Environment | None,
    iterations: int = 4,
    answer: AnswerOf | None = None,
    marker: str = MARKER,
    sampling: Mapping[str, Any] | None = None,
    stop: Sequence[StopRule] = (),
) -> Graph:
    """The StateGraph of ``critic_code_agent``, to be changed before it is compiled."""
    if iterations < 0:
        raise BadInput(f"iterations must be at least 0, got {iterations}")
    if not marker:
        raise BadInput(f"marker must be a text, such as {MARKER!r}, got an empty one")
    answered = answer or printed_answer
    asked = {"temperature": 0.5} if sampling is None else dict(sampling)
    prompts = getattr(model, "prompts", None) or Prompts()
    rules = (unchanged(answered), *stop)
    graph: Graph = StateGraph(State, context_schema=RunContext)
    graph.add_node("act", _ActOnBase(model, environment, answer=answered, prompts=prompts, sampling=asked))
    graph.add_node(
        "decide",
        _DecideOnAnswer(Decide(attempts=iterations + 1, stop=rules), answered),
        destinations=("critique", "__end__"),
    )
    graph.add_node(
        "critique", _Critique(model, answer=answered, marker=marker, prompts=prompts, sampling=asked)
    )
    graph.add_edge(START, "act")
    graph.add_edge("act", "decide")
    graph.add_edge("critique", "act")
    return graph


def critic_code_agent(
    *,
    model: Model,
    environment: Environment | None,
    iterations: int = 4,
    answer: AnswerOf | None = None,
    marker: str = MARKER,
    sampling: Mapping[str, Any] | None = None,
    stop: Sequence[StopRule] = (),
) -> Agent:
    """An agent that answers a question by a program, and lets a critique that saw it run correct it.

    - ``environment`` runs a program: what its session observes is the report. None is the ablation
      without the tool: nothing is run, and the critique sees the program alone.
    - ``iterations``: corrections after the first program, of two calls each: a critique of (question,
      program without comments, report, printed answer), cut before ``marker``, then a new program,
      which is run unless it is unchanged: then it keeps the report and the answer.
    - ``answer`` reads the answer from an attempt (default: ``printed_answer``). What is criticised and
      rewritten is the latest attempt that has one; the latest of all while none has.
    - ``sampling`` of both calls: temperature 0.5, as published.
    - ``stop``: further rules. ``[oracle(grader)]`` stops at the first right answer (the published
      oracle column), and the run records that the oracle stopped it.

    It stops when an answer has stayed the same twice, at the third attempt at the earliest. An attempt
    without an answer counts with the answer before it; three without any do not stop it, which the
    method leaves open. The published program runs all its iterations and leaves this rule to the
    scorer; the result is the same for fewer calls. The attempt that counts is the latest with an answer.
    """
    graph = critic_code_graph(
        model=model,
        environment=environment,
        iterations=iterations,
        answer=answer,
        marker=marker,
        sampling=sampling,
        stop=stop,
    )
    return graph.compile(name="critic_code").with_config(recursion_limit=8 * iterations + 16)


def printed_answer(attempt: Attempt) -> str | None:
    """What the program of the last step printed; None when it printed nothing or broke off.

    An attempt that ran nothing is answered by its program, which gives the same answer as long as it
    stays the same.
    """
    if not attempt.steps:
        return without_comments(program_of(attempt)) or None
    facts = attempt.steps[-1].facts
    if any(fact.kind in FAILURES for fact in facts):
        return None
    printed = "".join(str(fact.data.get("text", "")) for fact in facts if fact.kind == "output")
    return printed.strip() or None


def program_of(attempt: Attempt) -> str:
    """The program in the attempt's text: its last fenced block, or all of it."""
    blocks = _FENCED.findall(attempt.text)
    return str(blocks[-1] if blocks else attempt.text).strip()


def without_comments(program: str) -> str:
    """``program`` without its comments, and without the lines that held nothing else."""
    lines = program.splitlines()
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(program).readline))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return program
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip() or "\0"
    return "\n".join(line for line in lines if line != "\0").strip()


def base_of(attempts: Sequence[Attempt], answer: AnswerOf) -> Attempt:
    """The attempt to build on: the latest with an answer, or else the latest."""
    return next((each for each in reversed(attempts) if answer(each) is not None), attempts[-1])


def unchanged(answer: AnswerOf) -> StopRule:
    """Stop at an answer that equals the two before it; a missing answer counts as the one before."""

    async def rule(state: State) -> Stop | None:
        answers: list[str | None] = []
        for attempt in (*state.get("earlier", ()), state["attempt"]):
            said = answer(attempt)
            answers.append(said if said is not None or not answers else answers[-1])
        latest = answers[-3:]
        settled = len(latest) == 3 and latest[0] is not None and len(set(latest)) == 1
        return Stop("unchanged", "self") if settled else None

    return rule


class _ActOnBase:
    """Write a program, the first or a better one, and run it if it is new."""

    def __init__(
        self,
        model: Model,
        environment: Environment | None,
        *,
        answer: AnswerOf,
        prompts: Prompts,
        sampling: Mapping[str, Any],
    ) -> None:
        self.model, self.environment, self.answer = model, environment, answer
        self.prompts, self.sampling = prompts, sampling

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set ``attempt`` and ``number``."""
        earlier, environment = state.get("earlier", ()), self.environment
        base = base_of(earlier, self.answer) if earlier else None
        if environment is not None and base is not None:
            environment = _Keeping(environment, base)
        act = _Rewrite(self.model, environment, prompts=self.prompts, sampling=self.sampling)
        act.told = _told(self.prompts, base, self.answer) if base else ""
        return await act(state, runtime)


class _Rewrite(Act):
    """Shows the question, or the criticised program with its report and the critique."""

    told = ""

    def conversation(
        self,
        prompt: str,
        *,
        recalled: Sequence[Correction] = (),
        earlier: Sequence[Attempt] = (),
        instructions: str | None = None,
    ) -> list[Message]:
        """What the model is shown; an environment's own instructions give way to the recipe's."""
        if not earlier:
            return [{"role": "user", "content": self.prompts.render("critic_code", task=prompt)}]
        said = earlier[-1].feedback.text if earlier[-1].feedback else ""
        return [
            {"role": "user", "content": self.told},
            {"role": "assistant", "content": said},
            {"role": "user", "content": self.prompts.render("critic_code_retry")},
        ]


class _Keeping:
    """An environment in which the program of ``base`` is not run again: its report is kept."""

    async_sessions = True

    def __init__(self, environment: Environment, base: Attempt) -> None:
        self.environment, self.base = environment, base

    def __call__(self, task: Task) -> _KeepingSession:
        """Open a session for one attempt."""
        return _KeepingSession(self, task)


class _KeepingSession:
    def __init__(self, keeping: _Keeping, task: Task) -> None:
        self.base, self.kept = keeping.base, False
        self._environment, self._task = keeping.environment, task
        self._inner: OpenSession | None = None

    async def prompt(self) -> str:
        self._inner = await OpenSession.open(self._environment, self._task)
        return await self._inner.prompt()

    async def step(self, action: str, /) -> Step:
        told = self.base.replace(text=action)
        before, now = (without_comments(program_of(each)) for each in (self.base, told))
        self.kept = before == now
        if self.kept:
            return self.base.steps[-1].replace(action=action, seconds=0.0, call=None)
        assert self._inner is not None
        return await self._inner.step(action)

    async def final(self) -> Sequence[Fact]:
        if self.kept:
            return self.base.facts
        assert self._inner is not None
        return await self._inner.final()

    async def close(self) -> None:
        if self._inner is not None:
            await self._inner.close()


class _DecideOnAnswer:
    """Keep the attempt that counts, and stop or let it be criticised."""

    def __init__(self, decide: Decide, answer: AnswerOf) -> None:
        self.decide, self.answer = decide, answer

    async def __call__(
        self, state: State, runtime: Runtime[RunContext]
    ) -> Command[Literal["critique", "__end__"]]:
        """Set ``best`` and, at the end, why it stops."""
        update = await self.decide(state, runtime)
        attempt = state.get("attempt")
        if attempt is not None and attempt.error is None:
            update["best"] = base_of((*state.get("earlier", ()), attempt), self.answer)
        stops = update.get("stop_reason") or state.get("stop_reason")
        return Command(update=dict(update), goto="__end__" if stops else "critique")


class _Critique:
    """Have the model criticise the attempt to build on; the words become feedback on the latest one."""

    def __init__(
        self, model: Model, *, answer: AnswerOf, marker: str, prompts: Prompts, sampling: Mapping[str, Any]
    ) -> None:
        self.model, self.answer, self.prompts, self.sampling = model, answer, prompts, sampling
        self.marker = re.compile(re.escape(marker), re.IGNORECASE)

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set the attempt's ``feedback`` and move it to ``earlier``."""
        run, earlier = runtime.context or RunContext(), state.get("earlier", ())
        base = base_of((*earlier, state["attempt"]), self.answer)
        shown = _told(self.prompts, base, self.answer)

        async def critic(attempt: Attempt) -> Feedback:
            reply = (await run.ask(self.model, [{"role": "user", "content": shown}], **self.sampling))[0]
            text = self.marker.split(reply.text, maxsplit=1)[0].strip()
            items = {"of_attempt": str(base.number)}
            return Feedback(text=text, source=self.model.name, items=items, usage=reply.usage)

        update = await Judge(critic)(state, runtime)
        attempt = update.get("attempt", state["attempt"])
        if attempt.error:
            update["stop_reason"] = "error"
        return {**update, "best": state["best"], "earlier": (*earlier, attempt)}


def _told(prompts: Prompts, base: Attempt, answer: AnswerOf) -> str:
    """The question, the program without comments, and what running it brought where it was run."""
    seen = public_attempt(base)
    task, program = seen.task.prompt, without_comments(program_of(seen))
    if not seen.steps:
        return prompts.render("critic_code_critique_alone", task=task, program=program)
    report, said = seen.steps[-1].observation, answer(seen)
    return prompts.render(
        "critic_code_critique", task=task, program=program, report=report, answer=said or "none"
    )
