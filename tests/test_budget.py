"""One budget over every role."""

import pytest
from pydantic import ValidationError

from agentloop import Budget, Usage
from agentloop.budget import Meter
from agentloop.errors import BadInput, BudgetSpent


def test_calls_are_counted_when_they_begin() -> None:
    meter = Meter(Budget(calls=2))
    meter.begin()
    meter.begin()
    with pytest.raises(BudgetSpent, match="2 of 2 calls"):
        meter.begin()
    assert meter.calls == 2


def test_tokens_are_counted_when_a_call_ends() -> None:
    meter = Meter(Budget(tokens=10))
    meter.begin()
    meter.end(Usage(tokens_in=6, tokens_out=4), "m")
    assert meter.limit_reached() == "budget spent: 10 of 10 tokens"


def test_seconds_run_by_themselves() -> None:
    assert "seconds" in str(Meter(Budget(seconds=1e-9)).limit_reached())


def test_what_was_spent_before_counts() -> None:
    meter = Meter(Budget(calls=5, dollars=1.0))
    meter.add(Usage(calls=5, dollars=0.25))
    assert meter.dollars == 0.25
    with pytest.raises(BudgetSpent):
        meter.begin()


def test_without_a_budget_nothing_is_refused_and_an_unknown_price_stays_unknown() -> None:
    meter = Meter()
    meter.begin()
    meter.end(Usage(dollars=None), "m")
    assert meter.limit_reached() is None
    assert meter.dollars is None


def test_a_dollar_budget_refuses_a_model_of_unknown_price() -> None:
    with pytest.raises(BadInput, match="price of 'm' is unknown"):
        Meter(Budget(dollars=1.0)).end(Usage(dollars=None), "m")


@pytest.mark.parametrize("name", ["calls", "tokens", "dollars", "seconds"])
def test_a_limit_must_be_positive(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        Budget(**{name: 0})
