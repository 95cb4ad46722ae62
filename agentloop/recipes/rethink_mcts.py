"""RethinkMCTS: a search over thoughts, each judged by the program that follows from it and its public tests.

    select -> expand (3 thoughts) -> evaluate (write, test, rethink once) -> back_up -> select ...

After "RethinkMCTS: Refining Erroneous Thoughts in Monte Carlo Tree Search for Code Generation"
(arXiv 2409.09584). The search itself is agentloop.search.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentloop.acting import Act
from agentloop.errors import BadInput
from agentloop.json_reply import read_object
from agentloop.prompts import Prompts
from agentloop.recipes.rethink_feedback import Quarters, Tokenizer, Trace, public_tests
from agentloop.recipes.rethink_judging import JudgeProgram, RethinkSettings, TestsOf
from agentloop.search import (
    Evaluated,
    Node,
    Search,
    Tree,
    Visit,
    Worth,
    add_up,
    at_reward,
    descend,
    puct,
    search_graph,
)
from agentloop.search.graph import SearchAgent, SearchGraph
from agentloop.search.rules import best_of
from agentloop.tested import RunTests
from agentloop.types import Attempt, Correction, Environment, Message, Model

_LISTED = re.compile(r"^\s*(?:\d+[.)]|[-*])\s+(\S.*)$", re.MULTILINE)


def rethink_mcts_graph(
    *,
    model: Model,
    run_tests: RunTests,
    tests: TestsOf | None = None,
    trace: Trace | None = None,
    environment: Environment | None = None,
    tokenizer: Tokenizer | None = None,
    settings: RethinkSettings | None = None,
    sampling: Mapping[str, Any] | None = None,
) -> SearchGraph:
    """The StateGraph of ``rethink_mcts_agent``, to be changed before it is compiled."""
    judge = JudgeProgram(
        model,
        run_tests,
        tests=tests or public_tests,
        trace=trace,
        tokenizer=tokenizer or Quarters(),
        settings=settings or RethinkSettings(),
        sampling={"temperature": 0.0, "max_tokens": 1024} if sampling is None else sampling,
    )
    return search_graph(_search(judge.settings, _Rethink(model, environment, judge)))


def rethink_mcts_agent(
    *,
    model: Model,
    run_tests: RunTests,
    tests: TestsOf | None = None,
    trace: Trace | None = None,
    environment: Environment | None = None,
    tokenizer: Tokenizer | None = None,
    settings: RethinkSettings | None = None,
    sampling: Mapping[str, Any] | None = None,
) -> SearchAgent:
    """An agent that searches over thoughts, and replaces a thought whose program fails its tests.

    - ``run_tests`` runs each public test alone on a program (``CodeEnvironment.run_tests``); ``tests``
      reads them from the task (default: ``public.tests``).
    - ``trace`` gives the lines and values of a call (``CodeEnvironment.trace``); without it a failed
      test is told, but not gone through block by block.
    - ``environment`` opens the session of each program, which brings a grader its hidden facts; nothing
      of what the session observes is shown.
    - ``tokenizer``: counts and cuts by it; default: four characters are a token.
    - ``sampling`` of every request: temperature 0 and 1,024 tokens, as published.

    A visit descends to the best-scored thought, writes the program that follows from the thoughts on
    the way to it, and runs the public tests. Its value is the share r that passes; 0.8 r + 0.2 s where
    all pass, s being the model's own score from -1 to 1 (0 where it cannot be read). Where tests fail, the
    thought is replaced in place, once, in view of the failed tests and of the first one's run block
    by block; the node keeps its id, its prior becomes 1, and its program is written anew. The answer
    is the program of the highest value ever, the first of equals: hidden tests steer nothing.

    Left open by the method, and settled as in its program: a node's value is the best discounted value
    below it; the parent of a score counts one visit more than it had; a value is discounted on the edge
    to its node as well; a task without public tests gives every program the value 0.

    Departures. Children are asked for when the search comes to a node again, not when it is evaluated:
    the tree is the same, for fewer calls. Thoughts that cannot be read as JSON are looked for in a list;
    a reply without any gives one child without a thought, where the published program adds as many
    empty ones as the width. A thought replaced by an empty reply stays, and is not evaluated again.
    """
    settings = settings or RethinkSettings()
    graph = rethink_mcts_graph(
        model=model,
        run_tests=run_tests,
        tests=tests,
        trace=trace,
        environment=environment,
        tokenizer=tokenizer,
        settings=settings,
        sampling=sampling,
    )
    return graph.compile(name="rethink_mcts").with_config(recursion_limit=4 * settings.rollouts + 8)


def _search(settings: RethinkSettings, method: _Rethink) -> Search:
    for name, least in (("width", 1), ("rethinks", 0), ("shown_tests", 1), ("blocks", 2)):
        value = getattr(settings, name)
        if value < least:
            raise BadInput(f"{name} must be at least {least}, got {value}")
    return Search(
        select=descend(method.score),
        expand=method.expand,
        evaluate=method.evaluate,
        back_up=add_up(settings.discount, discounts_here=1),
        visits=settings.rollouts,
        ends=() if settings.stop_at is None else (at_reward(settings.stop_at),),
    )


class _Rethink:
    """The method: what is added below a thought, and what a thought is worth."""

    def __init__(self, model: Model, environment: Environment | None, judge: JudgeProgram) -> None:
        self.model, self.environment, self.judge = model, environment, judge
        self.settings, self.prompts, self.sampling = judge.settings, judge.prompts, judge.sampling
        self.score = puct(self.settings.constant, base=self.settings.base)

    async def expand(self, visit: Visit) -> Tree:
        """Ask for the next thoughts below a node that was evaluated before, or below the root."""
        node, count = visit.node, str(self.settings.width)
        if node.id and node.reward is None:
            return visit.tree
        if node.feedback:
            text = self.prompts.render("rethink_thoughts_after", material=node.feedback, count=count)
        else:
            thoughts = told_thoughts(visit.tree, node.id)
            text = self.prompts.render(
                "rethink_thoughts", task=visit.task.prompt, thoughts=thoughts, count=count
            )
        asked = await visit.ask(self.model, text, **self.sampling)
        found = read_thoughts(asked.reply.text, self.settings.width)
        return visit.tree.grow(node.id, [text for text, _ in found], priors=[weight for _, weight in found])

    async def evaluate(self, visit: Visit) -> Evaluated:
        """Write and test the program of one node; where it fails, replace the node's thought, once."""
        tree, number, left = visit.tree, self._chosen(visit), self.settings.rethinks
        while True:
            thoughts = told_thoughts(tree, number)
            attempt = await visit.attempt(
                _Writer(self.model, self.environment, self.prompts, thoughts=thoughts, sampling=self.sampling)
            )
            judged = await self.judge(visit, attempt, thoughts)
            visit.keep(visit.told(attempt, judged.feedback), judged.value)
            tree = tree.change(number, feedback=judged.material)
            thought = await self._rethink(visit, attempt, tree.node(number)) if left else ""
            if not thought:
                return Evaluated(tree, [Worth(number, judged.value)])
            tree, left = tree.change(number, content=thought, prior=1.0), left - 1

    def _chosen(self, visit: Visit) -> int:
        """The node to evaluate: the one selected, or the best-scored of the children it has got."""
        found = best_of(visit.tree, [visit.tree.node(number) for number in visit.new], self.score)
        return visit.at if found is None else found.id

    async def _rethink(self, visit: Visit, attempt: Attempt, node: Node) -> str:
        """A thought to put in the place of the node's; empty when its program failed no test."""
        if not node.feedback:
            return ""
        text = self.prompts.render("rethink_replace", material=node.feedback, thought=node.content)
        asked = await visit.ask(self.model, text, role="reflect", attempt=attempt.number, **self.sampling)
        return asked.reply.text.strip()


class _Writer(Act):
    """Writes the program that follows from a task and the thoughts on the way to a node."""

    def __init__(
        self,
        model: Model,
        environment: Environment | None,
        prompts: Prompts,
        *,
        thoughts: str,
        sampling: Mapping[str, Any],
    ) -> None:
        super().__init__(model, environment, prompts=prompts, history=0, sampling=sampling)
        self.thoughts = thoughts

    def conversation(
        self,
        prompt: str,
        *,
        recalled: Sequence[Correction] = (),
        earlier: Sequence[Attempt] = (),
        instructions: str | None = None,
    ) -> list[Message]:
        """The environment's instructions, and the task with the thoughts."""
        messages = super().conversation(prompt, instructions=instructions)
        asked = self.prompts.render("rethink_code", task=messages[-1]["content"], thoughts=self.thoughts)
        return [*messages[:-1], {"role": "user", "content": asked}]


def told_thoughts(tree: Tree, number: int) -> str:
    """The thoughts on the way to a node, one a line."""
    thoughts = [node.content for node in tree.path(number)[1:] if node.content]
    return "\n".join(f"{place}. {thought}" for place, thought in enumerate(thoughts, start=1))


def read_thoughts(reply: str, width: int) -> list[tuple[str, float]]:
    """Up to ``width`` thoughts of a reply with their weights; one empty thought where there are none.

    A weight that is missing, or no number from 0 to 1, is taken as an equal share.
    """
    found = read_object(reply, key="thoughts")
    entries = found["thoughts"] if found is not None and isinstance(found["thoughts"], list) else None
    if entries is None:
        entries = [{"thought": each} for each in _LISTED.findall(reply)]
    share = 1.0 / width
    thoughts = [_thought(each, share) for each in entries]
    return [each for each in thoughts if each[0]][:width] or [("", 1.0)]


def _thought(entry: Any, share: float) -> tuple[str, float]:
    if not isinstance(entry, Mapping):
        return (entry.strip(), share) if isinstance(entry, str) else ("", share)
    text, weight = entry.get("thought"), entry.get("weight")
    number = float(weight) if isinstance(weight, (int, float)) and not isinstance(weight, bool) else -1.0
    return (text.strip() if isinstance(text, str) else "", number if 0.0 <= number <= 1.0 else share)
