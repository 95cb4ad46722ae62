"""One budget over every role: calls, tokens, dollars and seconds, whoever spends them."""

from __future__ import annotations

import time
from typing import Annotated

from annotated_types import Gt

from agentloop.errors import BadInput, BudgetSpent
from agentloop.record import Record
from agentloop.types import Usage


class Budget(Record):
    """The most that a run may spend; None is no limit. ``seconds`` is wall-clock time of one start."""

    calls: Annotated[int, Gt(0)] | None = None
    tokens: Annotated[int, Gt(0)] | None = None
    dollars: Annotated[float, Gt(0)] | None = None
    seconds: Annotated[float, Gt(0)] | None = None


class Meter:
    """What has been spent against a budget. A call is counted when it begins, its tokens when it ends."""

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        self.calls = 0
        self.tokens = 0
        self.dollars: float | None = 0.0
        self.started = time.monotonic()

    def add(self, spent: Usage) -> None:
        """Count what was spent before, by the part of the run that is being taken up again."""
        self.calls += spent.calls
        self._count(spent)

    def begin(self) -> None:
        """Count one call about to be made; BudgetSpent when the budget does not allow it."""
        limit = self.limit_reached()
        if limit is not None:
            raise BudgetSpent(limit)
        self.calls += 1

    def end(self, usage: Usage, model: str) -> None:
        """Count what the call cost."""
        if usage.dollars is None and self.budget.dollars is not None:
            raise BadInput(
                f"the budget is in dollars ({self.budget.dollars}), but the price of {model!r} is unknown; "
                "give a budget in calls or tokens, or register the price with litellm.register_model"
            )
        self._count(usage)

    def limit_reached(self) -> str | None:
        """Which limit is reached, in words; None while there is something left."""
        budget, seconds = self.budget, time.monotonic() - self.started
        spent = [
            ("calls", self.calls, budget.calls),
            ("tokens", self.tokens, budget.tokens),
            ("dollars", self.dollars or 0.0, budget.dollars),
            ("seconds", seconds, budget.seconds),
        ]
        for name, used, limit in spent:
            if limit is not None and used >= limit:
                return f"budget spent: {used:.10g} of {limit:.10g} {name}"
        return None

    def _count(self, usage: Usage) -> None:
        self.tokens += usage.tokens_in + usage.tokens_out
        known = self.dollars is not None and usage.dollars is not None
        self.dollars = (self.dollars or 0.0) + (usage.dollars or 0.0) if known else None
