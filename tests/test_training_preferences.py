"""Pairs, labelled answers, and what must not change."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.training.preferences import c3po, dpo, kept, kto, kto_baseline
from tests.training_tensors import slopes, some_logits, table, torch, untimed

logprob = st.floats(-200, 0)


def pair(chosen: Any, rejected: Any, reference_chosen: Any, reference_rejected: Any) -> Any:
    return dpo(chosen, rejected, reference_chosen=reference_chosen, reference_rejected=reference_rejected)


@untimed
@given(chosen=logprob, rejected=logprob)
def test_a_policy_that_is_the_reference_loses_the_log_of_two(chosen: float, rejected: float) -> None:
    found = pair(*[table(each) for each in (chosen, rejected, chosen, rejected)])
    assert found.item() == pytest.approx(math.log(2))


def test_a_pair_costs_the_less_the_further_the_chosen_answer_gained_on_the_rejected_one() -> None:
    found = pair(table(-1.0), table(-9.0), table(-5.0), table(-5.0)).item()
    assert found == pytest.approx(-math.log(1 / (1 + math.exp(-0.1 * 8))))
    assert slopes(lambda lp: pair(lp, table(-9.0), table(-5.0), table(-5.0)), table(-1.0)) < 0
    assert slopes(lambda lp: pair(table(-1.0), lp, table(-5.0), table(-5.0)), table(-9.0)) > 0


def test_a_hopeless_pair_still_has_a_finite_loss() -> None:
    assert pair(*[torch.tensor([each]) for each in (-1e6, 0.0, 0.0, 0.0)]).isfinite().all()


def test_labelled_answers_cost_a_half_where_the_policy_is_the_reference() -> None:
    at = table(-3.0, -8.0)
    assert kto(at, at, torch.tensor([True, False]), baseline=0.0).tolist() == [0.5, 0.5]


def test_a_good_answer_is_learnt_a_bad_one_unlearnt_each_by_its_weight() -> None:
    at, label = table(-3.0, -3.0), torch.tensor([True, False])

    def lost(lp: Any) -> Any:
        return kto(lp, at, label, baseline=0.0, desirable_weight=1.0, undesirable_weight=2.0)

    assert slopes(lost, at).tolist() == pytest.approx([-0.1 / 4, 2 * 0.1 / 4])


def test_labelled_answers_are_measured_from_the_baseline() -> None:
    at, label = table(-3.0, -3.0), torch.tensor([True, False])
    good, bad = kto(at, at - 2.0, label, baseline=2.0).tolist()
    assert (good, bad) == (0.5, 0.5)
    good, bad = kto(at, at - 1.0, label, baseline=2.0).tolist()
    assert (good, bad) == (pytest.approx(1 / (1 + math.exp(-0.1))), pytest.approx(1 / (1 + math.exp(0.1))))


def test_the_baseline_of_labelled_answers_is_never_negative_and_has_no_gradient() -> None:
    moved = table(-3.0, -3.0).requires_grad_()
    assert kto_baseline(moved, table(-4.0, -2.5)).item() == pytest.approx(0.25)
    assert kto_baseline(moved, table(-2.0, -2.5)).item() == 0.0
    assert not kto_baseline(moved, table(-4.0, -2.5)).requires_grad


MASK = torch.tensor([[0, 1, 1, 0, 0], [0, 0, 0, 0, 0]])


def test_what_must_not_change_is_at_first_tuning_on_the_own_answers() -> None:
    logits, labels = some_logits()
    said = logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    assert kept(logits, labels, MASK).tolist() == pytest.approx([-said[0, 1:3].mean().item(), 0.0])


def test_distillation_is_the_divergence_from_the_reference_summed_over_the_answer() -> None:
    logits, labels = some_logits()
    before = logits.detach().roll(1, -1)
    found = kept(logits, labels, MASK, reference_logits=before, kd_lambda=1.0, temperature=2.0)
    ours, reference = (logits / 2).log_softmax(-1), (before / 2).log_softmax(-1)
    each = (reference.exp() * (reference - ours)).sum(-1)
    assert found.tolist() == pytest.approx([4 * each[0, 1:3].sum().item(), 0.0])


def test_a_model_that_has_not_moved_is_not_pulled_back() -> None:
    logits, labels = some_logits()
    loss = kept(logits, labels, MASK, reference_logits=logits.detach().clone(), kd_lambda=1.0)
    assert loss.tolist() == pytest.approx([0.0, 0.0], abs=1e-12)
    assert torch.autograd.grad(loss.sum(), logits)[0].abs().max() < 1e-12


@pytest.mark.parametrize("kd_lambda", [0.0, 0.5, 1.0])
def test_only_the_tokens_of_the_answer_are_held_the_first_one_too(kd_lambda: float) -> None:
    logits, labels = some_logits()
    before = logits.detach().roll(1, -1)
    loss = kept(logits, labels, MASK, reference_logits=before, kd_lambda=kd_lambda).sum()
    (slope,) = torch.autograd.grad(loss, logits)
    assert slope.ne(0).any(-1).int().tolist() == MASK.tolist()


def test_the_reference_gets_no_gradient() -> None:
    logits, labels = some_logits()
    before = logits.detach().roll(1, -1).requires_grad_()
    kept(logits, labels, MASK, reference_logits=before, kd_lambda=0.5).sum().backward()
    assert before.grad is None


def test_distillation_without_a_reference_is_refused() -> None:
    logits, labels = some_logits()
    with pytest.raises(BadInput, match="needs reference_logits"):
        kept(logits, labels, MASK, kd_lambda=0.5)


@pytest.mark.parametrize("wrong", [{"kd_lambda": 1.5}, {"kd_lambda": -0.1}, {"temperature": 0.0}], ids=str)
def test_a_share_or_temperature_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    logits, labels = some_logits()
    with pytest.raises(BadInput, match="kd_lambda must be within 0 and 1"):
        kept(logits, labels, MASK, reference_logits=logits, **wrong)


def test_without_its_constraints_c3po_is_dpo() -> None:
    pairs = table(0.5, 0.7)
    soft, hard = table(3.0, 4.0), table(5.0, 6.0)
    assert torch.equal(c3po(pairs, soft=soft, hard=hard, soft_weight=0.0, hard_weight=0.0), pairs)
    assert c3po(pairs, soft=soft, hard=hard).tolist() == pytest.approx([1.6, 2.1])
