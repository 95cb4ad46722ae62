"""What a person's edits cost: of one text, in tokens, and over the rounds of a run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

import numpy as np

from agentloop.reading import corrections, trajectories
from agentloop.record import Record
from agentloop.types import Trajectory

Tokenize: TypeAlias = Callable[[str], Sequence[str]]
"""Cuts a text into the tokens that an edit is counted in."""

_WORD = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


def word_tokens(text: str) -> list[str]:
    """Words, and marks one by one, as they stand; white space counts nothing."""
    return _WORD.findall(text)


def edit_cost(before: str, after: str, tokenize: Tokenize = word_tokens) -> int:
    """Levenshtein distance in tokens: the fewest that are put in, taken out or replaced."""
    old, new = list(tokenize(before)), list(tokenize(after))
    codes = {token: code for code, token in enumerate(dict.fromkeys([*old, *new]))}
    wanted = np.array([codes[token] for token in new], dtype=np.int64)
    places = np.arange(len(new) + 1)
    row = places.copy()
    for count, token in enumerate(old, start=1):
        best = np.concatenate(([count], np.minimum(row[:-1] + (wanted != codes[token]), row[1:] + 1)))
        # What is put in costs one more than the cell to the left, all along the row.
        row = np.minimum.accumulate(best - places) + places
    return int(row[-1])


class EditCosts(Record):
    """The rounds of a run in figures, in the order in which they ended.

    ``purity`` is the share of recalled corrections that were learnt on a text of the same
    ``public["label"]``, over ``recalled`` of them; None where nothing was recalled whose label is known.
    ``tokens`` are those of the agent's calls, in and out; what a critic or grader asked is left out.
    """

    costs: tuple[int, ...]
    accepted: int
    recalled: int
    purity: float | None
    tokens: int
    calls: dict[str, int]

    @property
    def total(self) -> int:
        """The cumulative cost."""
        return sum(self.costs)

    @property
    def running(self) -> tuple[int, ...]:
        """The cumulative cost after every round."""
        return tuple(accumulate(self.costs))


def edit_costs(folder: str | Path) -> EditCosts:
    """Read the costs from the folder of a run; rounds that broke off have none."""
    journal = Path(folder) / "journal.jsonl"
    learnt_in = {each.id: each.source.trajectory for each in corrections(journal)}
    return _figures(trajectories(journal), learnt_in)


def _figures(rounds: Iterable[Trajectory], learnt_in: Mapping[str, str]) -> EditCosts:
    costs: list[int] = []
    labels: dict[str, object] = {}
    same: list[bool] = []
    calls: Counter[str] = Counter()
    tokens = 0
    for each in rounds:
        labels[each.id] = each.task.public.get("label")
        for attempt in each.attempts:
            if attempt.feedback is not None and "edit_cost" in attempt.feedback.items:
                costs.append(int(attempt.feedback.items["edit_cost"]))
            known = [labels.get(learnt_in[id]) for id in attempt.recalled if id in learnt_in]
            same += [label == labels[each.id] for label in known if label is not None]
        own = [call for call in each.calls if call.role not in ("critic", "grader")]
        calls.update(call.role for call in own)
        tokens += sum(call.usage.tokens_in + call.usage.tokens_out for call in own)
    return EditCosts(
        costs=tuple(costs),
        accepted=sum(cost == 0 for cost in costs),
        recalled=len(same),
        purity=sum(same) / len(same) if same else None,
        tokens=tokens,
        calls=dict(calls),
    )
