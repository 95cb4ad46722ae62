"""IAD: sample, let a verifier score, sample again in view of the best and the worst answer so far.

    select (the best) -> expand -> evaluate (sample, judge) -> back_up -> select ...

After "Review, Refine, Repeat: Understanding Iterative Decoding of AI Agents with Dynamic Evaluation
and Selection" (arXiv 2504.01931). The search itself is agentloop.search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentloop.acting import Act
from agentloop.errors import BadInput
from agentloop.nodes import Judge
from agentloop.prompts import Prompts
from agentloop.search import Evaluated, Node, Search, Tree, Visit, Worth, add_up, search_graph
from agentloop.search.ending import End
from agentloop.search.graph import SearchAgent, SearchGraph
from agentloop.stopping import Stop
from agentloop.types import (
    Attempt,
    Correction,
    Critic,
    Environment,
    Feedback,
    Memory,
    Message,
    Model,
    StopSignal,
)


def iad_graph(
    *,
    model: Model,
    critic: Critic,
    environment: Environment | None = None,
    memory: Memory | None = None,
    attempts: int = 8,
    width: int = 2,
    history: int | None = 1,
    max_steps: int = 1,
    sampling: Mapping[str, Any] | None = None,
    stop: Sequence[End] = (),
) -> SearchGraph:
    """The StateGraph of ``iad_agent``, to be changed before it is compiled."""
    for name, value in (("attempts", attempts), ("width", width), ("max_steps", max_steps)):
        if value < 1:
            raise BadInput(f"{name} must be at least 1, got {value}")
    if memory is not None:
        raise BadInput("this recipe keeps no memory; leave memory out, or use reflect_and_retry")
    judge = Judge(critic)
    act = _Decode(model, environment, max_steps=max_steps, sampling=sampling)
    method = _Decoding(act, judge, width=width, shows=history != 0)
    search = Search(
        select=method.select,
        expand=method.expand,
        evaluate=method.evaluate,
        back_up=add_up(),
        visits=attempts,
        ends=(_satisfied(judge.signal), *stop),
    )
    return search_graph(search)


def iad_agent(
    *,
    model: Model,
    critic: Critic,
    environment: Environment | None = None,
    memory: Memory | None = None,
    attempts: int = 8,
    width: int = 2,
    history: int | None = 1,
    max_steps: int = 1,
    sampling: Mapping[str, Any] | None = None,
    stop: Sequence[End] = (),
) -> SearchAgent:
    """An agent whose later answers see the best and the worst of the earlier ones, and what was said of them.

    - ``critic`` is the verifier: its score decides; without a score a pass counts 1, a fail 0 and
      "unsure" a half. A pass ends the search, since nothing can be better.
    - ``attempts`` samples in all, ``width`` of them in a round; those of one round see the same answers.
      The first round sees none.
    - ``history=0`` shows nothing at any time: best-of-n, the control at equal calls.
    - ``stop``: further rules that look at the tree. ``memory`` has to be None: the method keeps none.

    The answer is the best by the verifier; a later one takes its place only when it is scored higher.
    The number of samples and rounds and the words of the feedback are left open by the method: these are
    ours, with the contrast of best and worst that it describes.
    """
    graph = iad_graph(
        model=model,
        critic=critic,
        environment=environment,
        memory=memory,
        attempts=attempts,
        width=width,
        history=history,
        max_steps=max_steps,
        sampling=sampling,
        stop=stop,
    )
    return graph.compile(name="iad").with_config(recursion_limit=4 * attempts + 8)


class _Decoding:
    """The method: one sample a visit, in view of the answers of the rounds that are over."""

    def __init__(self, act: _Decode, judge: Judge, *, width: int, shows: bool) -> None:
        self.act, self.judge, self.width, self.shows = act, judge, width, shows

    def select(self, tree: Tree) -> int:
        """The best answer of the rounds that are over; the root before there is one."""
        over = self._over(tree)
        return max(over, key=_reward).id if over else 0

    async def expand(self, visit: Visit) -> Tree:
        """Make room for the next sample."""
        return visit.tree.grow(visit.at, [""])

    async def evaluate(self, visit: Visit) -> Evaluated:
        """Sample an answer and let the verifier score it."""
        (number,) = visit.new
        over = self._over(visit.tree) if self.shows else []
        act = self.act.seeing(over)
        attempt = await visit.attempt(act, follows=act.shown)
        attempt = await visit.judged(self.judge, attempt)
        assert attempt.feedback is not None
        value = worth_of(attempt.feedback)
        visit.keep(attempt, value)
        tree = visit.tree.change(
            number,
            content=attempt.text,
            feedback=attempt.feedback.text,
            closed=attempt.feedback.verdict == "pass" or attempt.feedback.stop,
            notes={"verdict": attempt.feedback.verdict},
        )
        return Evaluated(tree, [Worth(number, value)])

    def _over(self, tree: Tree) -> list[Node]:
        rounds = tree.visits // self.width
        return list(tree.nodes[1 : 1 + rounds * self.width])


class _Decode(Act):
    """Shows the bare task, or the task below the best and the worst answer so far."""

    best: Node | None = None
    worst: Node | None = None

    @property
    def shown(self) -> tuple[int, ...]:
        """The numbers of those answers; each visit adds one node and makes one attempt."""
        return tuple(node.id for node in (self.best, self.worst) if node is not None)

    def seeing(self, nodes: Sequence[Node]) -> _Decode:
        """The same node of the graph, which shows the best and the worst of these answers."""
        act = _Decode(
            self.model,
            self.environment,
            prompts=self.prompts,
            history=0,
            max_steps=self.max_steps,
            sampling=self.sampling,
        )
        if nodes:
            act.best, worst = max(nodes, key=_reward), min(nodes, key=_reward)
            act.worst = worst if _reward(worst) < _reward(act.best) else None
        return act

    def conversation(
        self,
        prompt: str,
        *,
        recalled: Sequence[Correction] = (),
        earlier: Sequence[Attempt] = (),
        instructions: str | None = None,
    ) -> list[Message]:
        """The task, with the answers that the search wants to be seen."""
        messages = super().conversation(prompt, instructions=instructions)
        if self.best is None:
            return messages
        asked = self.prompts.render(
            "iad",
            task=messages[-1]["content"],
            score=f"{_reward(self.best):.2f}",
            best=self.best.content,
            said_of_the_best=self.best.feedback,
            worst=_contrast(self.worst, self.prompts),
        )
        return [*messages[:-1], {"role": "user", "content": asked}]


def worth_of(feedback: Feedback) -> float:
    """A verifier's score; without one 1 for a pass, 0 for a fail, and a half where it is unsure."""
    if feedback.score is not None:
        return feedback.score
    return {"pass": 1.0, "unsure": 0.5, "fail": 0.0}[feedback.verdict]


def _contrast(worst: Node | None, prompts: Prompts) -> str:
    if worst is None:
        return ""
    score = f"{_reward(worst):.2f}"
    return prompts.render("iad_worst", score=score, worst=worst.content, said_of_the_worst=worst.feedback)


def _reward(node: Node) -> float:
    return 0.0 if node.reward is None else node.reward


def _satisfied(signal: StopSignal) -> End:
    """End after an answer that passed, or that the critic said to stop at."""

    def end(tree: Tree) -> Stop | None:
        last = tree.nodes[-1]
        if not last.closed:
            return None
        return Stop("passed" if last.notes.get("verdict") == "pass" else "critic", signal)

    return end
