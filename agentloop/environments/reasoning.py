"""reasoning-gym's data sets as tasks, and the grader that asks each set's own scorer."""

from __future__ import annotations

import json
import re
from typing import Any

from agentloop.environments.reasoning_process import reasoning_process
from agentloop.errors import BadInput
from agentloop.types import Attempt, Task, digest

LONGEST_ANSWER = 20_000
"""Characters; an answer of more scores 0."""

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def reasoning_tasks(dataset: str, *, count: int, seed: int, **config: Any) -> list[Task]:
    """The first ``count`` items of a data set of reasoning-gym, made with ``seed`` and ``config``.

    The question is the prompt. The answer is hidden, and so is all that the scorer needs: a task can
    be scored from a journal alone. The items are made in a process of their own, in which what the
    package draws from Python's global generator, or from the order of a set of words, is fixed: the
    same arguments give the same tasks on every run. (In one's own process that does not hold for
    isomorphic_strings, knight_swap, list_functions, polynomial_multiplication and ransom_note; an item
    of acre depends on ``count`` as well.) The set composite takes its sets as dictionaries::

        tasks = reasoning_tasks("countdown", count=50, seed=7, max_numbers=4)
        tasks = reasoning_tasks(
            "composite", count=50, seed=7, datasets=[{"name": "gcd", "weight": 1, "config": {}}]
        )
        improve(reflect_and_retry(model=model, critic=critic), tasks, grader=reasoning_score)
    """
    if count < 1:
        raise BadInput(f"count must be at least 1, got {count}")
    settings = _json(config)
    asked = {"dataset": dataset, "seed": seed, "count": count, "config": settings}
    answer = reasoning_process().ask({"op": "tasks", **asked}, seconds=None)
    variant = f"-{digest(settings)[:6]}" if config else ""
    return [
        Task(
            id=f"{dataset}{variant}-{seed}-{index}",
            prompt=item["question"],
            public={"reasoning": {"dataset": dataset}},
            # One text, so that no number or word of it is taken for a secret of its own.
            hidden={"answer": item["answer"], "reasoning": json.dumps({**asked, "entry": item["entry"]})},
        )
        for index, item in enumerate(answer["items"])
    ]


def reasoning_score(attempt: Attempt, *, seconds: float = 10.0) -> float:
    """A grader: what the data set's own ``score_answer`` gives for the answer in the reply, 0 to 1.

    Partial scores are the package's. Where its scorer runs an answer as Python or hands it to sympy,
    only literals and plain formulas are scored and anything else is 0, as is an answer that takes more
    than ``seconds`` of processor time to score. A departure: game_of_life_halting, whose scorer takes
    any words for right, is compared as text. Left as they are, though lenient: puzzle24 does not look
    which numbers were used, coin_flip takes 0, many ignore case. Sets without a single answer
    (graph_color, rubiks_cube, boxnet, rush_hour, propositional_logic) are scored all the same.
    """
    held = attempt.task.hidden.get("reasoning")
    if not isinstance(held, str):
        raise BadInput(f"task {attempt.task.id!r} is not one that reasoning_tasks made")
    asked = json.loads(held)
    answer = answer_in(attempt.text, like=attempt.task.hidden.get("answer"))
    if len(answer) > LONGEST_ANSWER:
        return 0.0
    told = reasoning_process().ask({"op": "score", **asked, "answer": answer}, seconds=seconds)
    return float(told["score"])


def answer_in(reply: str, *, like: str | None = None) -> str:
    """The answer in a reply: what stands in its last ``<answer>`` tags, as reasoning-gym has it.

    Without tags it is the last line, or as many last lines as the answer ``like`` has.
    """
    tagged = _ANSWER.findall(reply)
    if tagged:
        return str(tagged[-1]).strip()
    lines = reply.strip().splitlines()
    return "\n".join(lines[-len((like or "").strip().splitlines()) or -1 :]).strip()


def _json(config: dict[str, Any]) -> str:
    try:
        return json.dumps(config, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(f"config must be made of JSON values, since it is journaled: {error}") from error
