"""Reflexion for programming: write tests, write the program, and after a failure reflect and rewrite.

    tests -> act -> judge -> reflect -> act ...    a pass ends when its tests pass, or at its last attempt
      ^---------------|                            a failed pass is followed by the next, if one is left

After "Reflexion: Language Agents with Verbal Reinforcement Learning" (arXiv 2303.11366).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from agentloop.acting import Act
from agentloop.context import RunContext
from agentloop.errors import BadInput, BudgetSpent
from agentloop.graph import InOne
from agentloop.hidden import public_task
from agentloop.nodes import Judge, Reflect
from agentloop.own_tests import ByTests, Writer
from agentloop.prompts import Prompts
from agentloop.state import State, budget_spent, trajectory_id
from agentloop.stopping import Decide
from agentloop.tested import RunTests
from agentloop.types import Attempt, Correction, Environment, Message, Model, Task, Verdict

VisibleTests: TypeAlias = Callable[[Task], Sequence[str]]
"""Reads the tests that anyone may see from a task (its hidden data is taken away before)."""


class ReflexionState(State, total=False):
    """What the nodes of this recipe need besides: the pass' tests, attempts before it, passes begun."""

    tests: tuple[str, ...]
    begun: int
    passes: int


ReflexionGraph: TypeAlias = StateGraph[ReflexionState, RunContext, ReflexionState, ReflexionState]
ReflexionAgent: TypeAlias = CompiledStateGraph[ReflexionState, RunContext, ReflexionState, ReflexionState]


class ReflexionSampling(NamedTuple):
    """How each kind of request is sampled: as published, but for models that go by other names."""

    code: Mapping[str, Any] = {"temperature": 0.0, "max_tokens": 1024}
    reflection: Mapping[str, Any] = {"temperature": 0.2, "max_tokens": 1024}
    tests: Mapping[str, Any] = {"temperature": 0.2, "max_tokens": 1024}


def reflexion_code_graph(
    *,
    model: Model,
    run_tests: RunTests,
    environment: Environment | None = None,
    attempts: int = 2,
    n_tests: int = 1,
    visible: VisibleTests | None = None,
    untested: Verdict = "unsure",
    reflections: int = 1,
    passes: int = 1,
    sampling: ReflexionSampling | None = None,
) -> ReflexionGraph:
    """The StateGraph of ``reflexion_code_agent``, to be changed before it is compiled."""
    for name, value in (("attempts", attempts), ("passes", passes)):
        if value < 1:
            raise BadInput(f"{name} must be at least 1, got {value}")
    if reflections < 0:
        raise BadInput(f"reflections must be at least 0, got {reflections}")
    if untested == "fail":
        raise BadInput("untested must be 'unsure' or 'pass', got 'fail'; nothing was run that could fail")
    prompts, asked = getattr(model, "prompts", None) or Prompts(), sampling or ReflexionSampling()
    writer = Writer(model, n_tests=n_tests, prompts=prompts, sampling=asked.tests)
    judge = _JudgeByTests(
        run_tests, attempts=attempts, passes=passes, prompts=prompts, untested=untested, own=visible is None
    )
    reflect = Reflect(
        model if reflections else None,
        prompts=prompts,
        history=max(reflections, 1),
        text="reflexion_code_reflect",
        sampling=asked.reflection,
    )
    act = _Rewrite(model, environment, prompts=prompts, history=max(reflections, 1), sampling=asked.code)
    graph: ReflexionGraph = StateGraph(ReflexionState, context_schema=RunContext)
    graph.add_node("tests", _WriteTests(writer, visible))
    graph.add_node("act", act)
    graph.add_node("judge", judge, destinations=("reflect", "tests", END))
    graph.add_node("reflect", reflect)
    for start, end in ((START, "tests"), ("tests", "act"), ("act", "judge"), ("reflect", "act")):
        graph.add_edge(start, end)
    return graph


def reflexion_code_agent(
    *,
    model: Model,
    run_tests: RunTests,
    environment: Environment | None = None,
    attempts: int = 2,
    n_tests: int = 1,
    visible: VisibleTests | None = None,
    untested: Verdict = "unsure",
    reflections: int = 1,
    passes: int = 1,
    sampling: ReflexionSampling | None = None,
) -> ReflexionAgent:
    """An agent that writes a program, runs tests of its own on it, reflects on what failed, and rewrites.

    - ``run_tests`` runs each test alone, as ``CodeEnvironment(timeout_seconds=5).run_tests`` does (the
      published limit is 5 s). ``environment`` opens the session of each attempt, which brings a
      grader its hidden facts; nothing of what the session observes is shown.
    - ``attempts`` counts the first one: n attempts, n - 1 reflections. Published: 2 for HumanEval,
      5 for LeetCode, 10 where nothing is said.
    - ``n_tests``: the most tests of one pass, drawn from those that were written and parse. The
      published driver asks for 1, its function's own default is 5; the paper speaks of up to 6.
    - ``visible`` reads the tests from the task, and none are written (the LeetCode form).
    - ``untested``: the verdict where no test could be read. Published: "pass", so that the first
      attempt ends the run; here "unsure", which does not.
    - ``reflections``: how many of the newest are shown when rewriting (the paper's Ω).
    - ``passes``: a pass whose last attempt fails its tests is followed by another, with new tests and
      an empty memory (the published ``pass_at_k``).

    Whoever passes all tests stops, whatever a grader says later: the stop signal is ``self``
    (``public`` with ``visible``), and a run's false positives are counted from its journal by
    ``agentloop.critics.count_self_tests``. The attempt that counts is the one that passed, or else
    the last. Grading is left to the run: every attempt is graded, the last one too, where the
    published program leaves a failed first attempt ungraded when it is the only one.

    Departure: the published program asks the hidden tests whether a pass has failed; here the pass'
    own tests say so, and hidden tests steer nothing.
    """
    graph = reflexion_code_graph(
        model=model,
        run_tests=run_tests,
        environment=environment,
        attempts=attempts,
        n_tests=n_tests,
        visible=visible,
        untested=untested,
        reflections=reflections,
        passes=passes,
        sampling=sampling,
    )
    return graph.compile(name="reflexion_code").with_config(recursion_limit=8 * attempts * passes + 8)


class _WriteTests:
    """Begin a pass: tests written or read anew, and nothing remembered of the pass before."""

    def __init__(self, writer: Writer, visible: VisibleTests | None) -> None:
        self.writer, self.visible = writer, visible

    async def __call__(self, state: ReflexionState, runtime: Runtime[RunContext]) -> ReflexionState:
        """Set ``tests``, and count the pass."""
        begun, task, run = state.get("number", 0), public_task(state["task"]), runtime.context or RunContext()
        pass_begins: ReflexionState = {"begun": begun, "passes": state.get("passes", 0) + 1, "earlier": ()}
        if self.visible is not None:
            return {**pass_begins, "tests": tuple(self.visible(task))}
        name = trajectory_id(state)
        try:
            tests = await self.writer.write(task, trajectory=name, number=begun + 1, run=run)
        except BudgetSpent:
            return {**pass_begins, **budget_spent()}
        return {**pass_begins, "tests": tests}


class _Rewrite(Act):
    """Shows the bare task first, afterwards the last program, what its tests brought, and the reflections."""

    def conversation(
        self,
        prompt: str,
        *,
        recalled: Sequence[Correction] = (),
        earlier: Sequence[Attempt] = (),
        instructions: str | None = None,
    ) -> list[Message]:
        """What the model is shown; an environment's own instructions give way to the recipe's."""
        messages: list[Message] = [
            {"role": "system", "content": self.prompts.render("reflexion_code")},
            {"role": "user", "content": self.prompts.render("task", notes="", task=prompt)},
        ]
        if not earlier:
            return messages
        before = earlier[-1]
        noted = [each.reflection.text for each in earlier if each.reflection]
        retry = self.prompts.render(
            "reflexion_code_retry",
            feedback=before.feedback.text if before.feedback else "",
            reflections="\n\n".join(noted) or "nothing",
            task=prompt,
        )
        return [*messages, {"role": "assistant", "content": before.text}, {"role": "user", "content": retry}]


class _JudgeByTests:
    """Run the pass' tests on the attempt, and say where to go: on, to the next pass, or to the end."""

    def __init__(
        self,
        run_tests: RunTests,
        *,
        attempts: int,
        passes: int,
        prompts: Prompts,
        untested: Verdict,
        own: bool,
    ) -> None:
        self.run_tests, self.prompts = run_tests, prompts
        self.untested: Verdict = untested
        self.attempts, self.passes, self.own = attempts, passes, own

    async def __call__(
        self, state: ReflexionState, runtime: Runtime[RunContext]
    ) -> Command[Literal["reflect", "tests", "__end__"]]:
        """Update the state with the feedback and name the next node."""
        critic = ByTests(
            state.get("tests", ()),
            self.run_tests,
            prompts=self.prompts,
            signal="self" if self.own else "public",
            untested=self.untested,
        )
        decide = Decide(attempts=state.get("begun", 0) + self.attempts)
        update = await InOne(Judge(critic), decide)(state, runtime)
        reason = update.get("stop_reason") or state.get("stop_reason")
        judged = update.get("attempt")
        if judged is not None and judged.error is None:
            update["best"] = judged  # the last one counts, whatever an earlier one scored
        if reason == "attempts" and state["passes"] < self.passes:
            kept = {name: value for name, value in update.items() if not name.startswith("stop_")}
            return Command(update=kept, goto="tests")
        return Command(update=dict(update), goto="__end__" if reason else "reflect")
