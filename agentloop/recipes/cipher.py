"""CIPHER: write to a person's latent preference, inferred from the edits that the person makes.

    retrieve -> aggregate -> act -> edit -> learn      one round, one text

After "Aligning LLM Agents by Learning Latent Preference from User Edits" (arXiv 2404.15269).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agentloop.acting import Act
from agentloop.bringing import bring
from agentloop.context import RunContext, current
from agentloop.errors import BadInput, BudgetSpent
from agentloop.hidden import leaks, mask_hidden, may_see_hidden, public_task
from agentloop.journal import place_of
from agentloop.learning import Distil, keep, logger
from agentloop.nodes import Judge
from agentloop.prompts import Prompts
from agentloop.recipes.measuring_edits import Tokenize, edit_cost, word_tokens
from agentloop.state import MemoryFailed, Node, State, boundary, budget_spent, run_id, trajectory_id
from agentloop.types import (
    Attempt,
    Correction,
    Feedback,
    Memory,
    Message,
    Model,
    Source,
    Span,
    Task,
    correction_id,
    digest,
)

User: TypeAlias = Callable[[Attempt], str | Awaitable[str]]
"""A person, real or simulated: is handed an attempt, and returns its text as they want it."""

Context: TypeAlias = Callable[[Task], str]
"""The words of a task that tell which preference holds: the text to be summarised, not the order to do it."""


class CipherState(State, total=False):
    """What the nodes of this recipe need besides: the preference to write to, empty where there is none."""

    preference: str


CipherGraph: TypeAlias = StateGraph[CipherState, RunContext, CipherState, CipherState]
CipherAgent: TypeAlias = CompiledStateGraph[CipherState, RunContext, CipherState, CipherState]


class CipherSampling(NamedTuple):
    """How each kind of request is sampled; the sheet of the method gives no figures."""

    generate: Mapping[str, Any] = {}
    aggregate: Mapping[str, Any] = {}
    infer: Mapping[str, Any] = {}


def context_of(task: Task) -> str:
    """``public["context"]`` where a task has one, else its prompt."""
    context = task.public.get("context")
    return context if isinstance(context, str) and context.strip() else task.prompt


def cipher_graph(
    *,
    model: Model,
    user: User,
    memory: Memory | None,
    k: int = 5,
    context: Context = context_of,
    tokenize: Tokenize = word_tokens,
    sampling: CipherSampling | None = None,
) -> CipherGraph:
    """The StateGraph of ``cipher_agent``, to be changed before it is compiled."""
    prompts, asked = getattr(model, "prompts", None) or Prompts(), sampling or CipherSampling()
    return wired(
        retrieve=Retrieve(memory, k=k, context=context),
        aggregate=Aggregate(model, k=k, prompts=prompts, sampling=asked.aggregate),
        act=Generate(model, prompts=prompts, sampling=asked.generate),
        edit=Judge(Edited(user, tokenize)),
        learn=Learn(memory, model, context=context, prompts=prompts, sampling=asked.infer),
    )


def cipher_agent(
    *,
    model: Model,
    user: User,
    memory: Memory | None,
    k: int = 5,
    context: Context = context_of,
    tokenize: Tokenize = word_tokens,
    sampling: CipherSampling | None = None,
) -> CipherAgent:
    """An agent that writes one text a task, hands it to ``user``, and learns from what is edited.

    - ``memory`` keeps a phrase for each context (``PreferenceMemory``); without one nothing is learnt.
      It is handed the context as the task's prompt, and no ``public["context"]`` or ``["label"]``.
    - ``k``: how many of the closest contexts count; published: 1 and 5 (3 is the class' own default). With
      1 the phrase is used as it stands; above 1 one call makes one phrase of them, also of a single one.
    - What was edited brings one call that infers a phrase from this edit alone; what was not keeps the
      phrase that was used. An empty phrase, or "none", is never kept. Texts are compared, but for white
      space around them; published: the objects, so that the same words returned cost a call.
    - ``tokenize`` cuts texts for the edit cost (Levenshtein); published: words in code, a language
      model's tokens in the paper.

    The feedback of an attempt is the edit: kind "edit", its text the text as the user wants it, which is
    also the replacement of a span over the whole attempt; ``items["edit_cost"]`` is the cost in tokens,
    and the score the share of tokens that stayed. A text taken as it was is a pass. What was recalled is
    settled by it: helped, or hurt. ``edit_costs(run.folder)`` adds costs, purity and expense up.

    Rounds learn from one another: give ``improve`` the setting ``concurrency=1``, since texts that are
    written at the same time cannot. A round whose run was cut off is resumed with what it had recalled.
    """
    graph = cipher_graph(
        model=model,
        user=user,
        memory=memory,
        k=k,
        context=context,
        tokenize=tokenize,
        sampling=sampling,
    )
    return graph.compile(name="cipher")


def wired(*, retrieve: Any, aggregate: Any, act: Any, edit: Node, learn: Any) -> CipherGraph:
    """The five nodes in a row; controls exchange some of them."""
    graph: CipherGraph = StateGraph(CipherState, context_schema=RunContext)
    nodes = {"retrieve": retrieve, "aggregate": aggregate, "act": act, "edit": edit, "learn": learn}
    for (name, node), before in zip(nodes.items(), [START, *nodes], strict=False):
        graph.add_node(name, node)
        graph.add_edge(before, name)
    graph.add_edge("learn", END)
    return graph


class Retrieve:
    """Recall what was learnt on the ``k`` closest contexts."""

    def __init__(self, memory: Memory | None, *, k: int, context: Context = context_of) -> None:
        if k < 1:
            raise BadInput(f"k must be at least 1 context, got {k}")
        self.memory, self.k, self.context = memory, k, context

    async def __call__(self, state: CipherState, runtime: Runtime[RunContext]) -> CipherState:
        """Set ``recalled``."""
        memory = self.memory
        if memory is None:
            return {}
        run, task, number = runtime.context or RunContext(), public_task(state["task"]), 1
        public = {name: each for name, each in task.public.items() if name not in ("context", "label")}
        asked = task.replace(prompt=self.context(task), public=public)

        async def make() -> tuple[Correction, ...]:
            return tuple(await memory.recall(asked, limit=self.k))

        found: tuple[Correction, ...] = ()
        with run.at(trajectory_id(state), number, "recall") as scope, boundary("memory") as caught:
            found = await run.once(scope.place(), digest(task.id, str(self.k)), make, kind="recall")
        if caught.error:
            raise MemoryFailed(caught.error)
        return {"recalled": found}


class Aggregate:
    """Make one phrase of those recalled: the only one as it stands with k = 1, else by one call."""

    def __init__(
        self, model: Model, *, k: int, prompts: Prompts, sampling: Mapping[str, Any] | None = None
    ) -> None:
        self.model, self.k, self.prompts, self.sampling = model, k, prompts, dict(sampling or {})

    async def __call__(self, state: CipherState, runtime: Runtime[RunContext]) -> CipherState:
        """Set ``preference``."""
        phrases = [each.text for each in state.get("recalled", ()) if each.text.strip()]
        if self.k == 1 or not phrases:
            return {"preference": "".join(phrases[:1])}
        run = runtime.context or RunContext()
        listed = "\n".join(f"- {phrase}" for phrase in phrases)
        shown = self.prompts.render("cipher_aggregate", preferences=listed)
        with run.at(trajectory_id(state), 1, "aggregate"):
            try:
                replies = await run.ask(self.model, [{"role": "user", "content": shown}], **self.sampling)
            except BudgetSpent:
                return {"preference": "", **budget_spent()}
        return {"preference": stated(replies[0].text)}


class Generate:
    """Write the text: to the preference, or by the plain task where there is none."""

    def __init__(self, model: Model, *, prompts: Prompts, sampling: Mapping[str, Any] | None = None) -> None:
        self.model, self.prompts, self.sampling = model, prompts, sampling

    async def __call__(self, state: CipherState, runtime: Runtime[RunContext]) -> State:
        """Set ``attempt`` and ``number``."""
        act = _Write(self.model, prompts=self.prompts, sampling=self.sampling)
        act.preference = state.get("preference", "")
        return await act(state, runtime)


class _Write(Act):
    """Shows the task, and the preference if there is one."""

    preference = ""

    def conversation(
        self,
        prompt: str,
        *,
        recalled: Sequence[Correction] = (),
        earlier: Sequence[Attempt] = (),
        instructions: str | None = None,
    ) -> list[Message]:
        """What the model is shown."""
        if self.preference:
            text = self.prompts.render("cipher", task=prompt, preference=self.preference)
        else:
            text = self.prompts.render("task", notes="", task=prompt)
        return [{"role": "user", "content": text}]


class Edited:
    """A critic: what a person makes of the text, and how many tokens that took."""

    def __init__(self, user: User, tokenize: Tokenize = word_tokens) -> None:
        self.user, self.tokenize = user, tokenize
        self.sees_hidden = may_see_hidden(user)  # type: ignore[arg-type]

    async def __call__(self, attempt: Attempt) -> Feedback:
        """Hand the attempt to the user."""
        run = current.get() or RunContext()
        wanted = await bring(self.user, attempt, executor=run.executor)
        if not isinstance(wanted, str):
            raise BadInput(
                "a user must return the text as they want it, the same text where nothing is to be edited; "
                f"got {type(wanted).__name__}: {wanted!r:.80}"
            )
        edited = was_edited(attempt.text, wanted)
        cost = edit_cost(attempt.text, wanted, self.tokenize)
        longest = max(len(self.tokenize(attempt.text)), len(self.tokenize(wanted)), 1)
        wanted = mask_hidden(wanted, attempt.task)
        whole = Span(start=0, end=len(attempt.text), label="edited", replacement=wanted)
        return Feedback(
            text=wanted,
            verdict="fail" if edited else "pass",
            score=1.0 - cost / longest,
            kind="edit",
            source="user",
            spans=(whole,) if edited else (),
            items={"edit_cost": str(cost)},
        )


class Learn(Distil):
    """Keep what the round taught: a phrase inferred from the edit, or the one that was used and accepted."""

    def __init__(
        self,
        memory: Memory | None,
        model: Model,
        *,
        context: Context = context_of,
        prompts: Prompts,
        sampling: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(memory)
        self.model, self.context, self.prompts = model, context, prompts
        self.sampling = dict(sampling or {})

    async def __call__(self, state: CipherState, runtime: Runtime[RunContext]) -> State:  # type: ignore[override]
        """Write to the memory, and set ``stop_reason``: accepted, edited, or error."""
        attempt, run = state.get("attempt"), runtime.context or RunContext()
        if attempt is None or state.get("stop_reason"):
            return {}
        if attempt.error or attempt.feedback is None:
            return {"stop_reason": "error"}
        edited = attempt.feedback.verdict == "fail"
        ended: State = {"stop_reason": "edited" if edited else "accepted"}
        if self.memory is None:
            return ended
        with run.at(attempt.trajectory, attempt.number, "distil"):
            with boundary("model") as caught:
                try:
                    learnt = await self.lesson(attempt, state, run) if edited else self.used(state)
                except BudgetSpent:
                    return budget_spent()
            if caught.error:
                return self._broken(attempt, caught.error, run)
            with boundary("memory") as caught:
                await self._settle(state, run, helped=not edited)
                await self._record(attempt, learnt, run)
        if caught.error:
            raise MemoryFailed(caught.error)
        return ended

    def used(self, state: CipherState) -> str:
        """What an accepted text teaches: the preference that it was written to."""
        return state.get("preference", "")

    async def lesson(self, attempt: Attempt, state: CipherState, run: RunContext) -> str:
        """What an edit teaches: a preference, inferred from it alone."""
        shown = self.prompts.render("cipher_infer", edits=self.shown(attempt))
        replies = await run.ask(self.model, [{"role": "user", "content": shown}], **self.sampling)
        return stated(replies[0].text)

    def shown(self, attempt: Attempt) -> str:
        """The edit as a model is shown it."""
        after = attempt.feedback.text if attempt.feedback else ""
        return self.prompts.render("cipher_edit", before=attempt.text, after=after)

    async def _record(self, attempt: Attempt, learnt: str, run: RunContext) -> None:
        key, quote = (
            self.context(public_task(attempt.task)),
            attempt.feedback.text if attempt.feedback else "",
        )
        if not learnt.strip():
            return
        if any(leaks(text, attempt.task) for text in (learnt, key, quote)):
            logger.warning("a preference from %s was not kept: it quotes hidden data", attempt.trajectory)
            return
        correction = Correction(
            id=correction_id(run_id(run), attempt.trajectory, learnt),
            text=learnt,
            key=key,
            kind="preference",
            source=Source(
                run=run_id(run), trajectory=attempt.trajectory, attempt=attempt.number, quote=quote
            ),
        )
        place = place_of(attempt.trajectory, attempt.number, "keep", 0)
        await keep(self.memory, correction, run=run, place=place)

    def _broken(self, attempt: Attempt, error: str, run: RunContext) -> State:
        """The round ends with an error, which a resumed run tries again."""
        run.note(place_of(attempt.trajectory, attempt.number, "error", 0), "error", error)
        broken = attempt.replace(error=error)
        run.keep(broken)
        return {"attempt": broken, "best": broken, "stop_reason": "error"}


def was_edited(before: str, after: str) -> bool:
    """Whether two texts differ in more than the white space around them."""
    return before.strip() != after.strip()


def stated(reply: str) -> str:
    """The phrase in a reply, on one line; empty where it says that there is none."""
    phrase = " ".join(reply.split())
    return "" if phrase.strip(" .\"'").lower() == "none" else phrase
