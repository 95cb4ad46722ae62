"""Log-probabilities of tokens, entropy, and how a batch is masked and brought to one number."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.training import losses
from agentloop.training.losses import (
    entropy,
    kl_k3,
    nft,
    normalised,
    policy_gradient,
    shaped,
    shaped_ratio,
    token_logprobs,
    unlikelihood,
    weighted_nll,
)
from tests.training_tensors import some_logits, table, torch, untimed


@untimed
@given(rows=st.integers(1, 3), tokens=st.integers(1, 5), words=st.integers(1, 9))
def test_the_logprob_of_a_token_is_that_of_the_softmax(rows: int, tokens: int, words: int) -> None:
    logits, labels = some_logits(rows, tokens, words)
    wanted = logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    assert torch.allclose(token_logprobs(logits, labels), wanted, rtol=1e-12, atol=1e-12)


def test_cutting_the_work_into_chunks_changes_nothing() -> None:
    words = losses.CHUNK["cpu"] // 2
    logits, labels = torch.randn(1, 5, words, requires_grad=True), torch.randint(words, (1, 5))
    wanted = logits.log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    found = token_logprobs(logits, labels)
    assert torch.allclose(found, wanted)
    weights = torch.arange(5.0)
    slope, wanted_slope = (torch.autograd.grad((each * weights).sum(), logits)[0] for each in (found, wanted))
    assert torch.allclose(slope, wanted_slope, atol=1e-7)


def test_half_precision_logits_are_worked_on_in_float32() -> None:
    logits = torch.randn(2, 3, 50).bfloat16().requires_grad_()
    labels = torch.randint(50, (2, 3))
    found = token_logprobs(logits, labels)
    assert found.dtype == torch.float32
    assert torch.equal(found, token_logprobs(logits.float(), labels))
    found.sum().backward()
    assert logits.grad.dtype == torch.bfloat16


def test_huge_logits_stay_finite() -> None:
    logits = torch.tensor([[[1e5, -1e5]]])
    assert token_logprobs(logits, torch.tensor([[0]])).item() == 0.0
    assert token_logprobs(logits, torch.tensor([[1]])).item() == -2e5


def test_nothing_is_kept_for_the_way_back_but_the_logits_and_the_labels() -> None:
    logits, labels = some_logits()
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda one: kept.append(one.data_ptr()) or one, lambda x: x
    ):
        token_logprobs(logits, labels)
    assert sorted(kept) == sorted([logits.data_ptr(), labels.data_ptr()])


def test_no_tokens_have_no_logprobs() -> None:
    assert token_logprobs(torch.zeros(2, 0, 7), torch.zeros(2, 0, dtype=torch.long)).shape == (2, 0)


def test_entropy_is_the_log_of_the_choices_where_all_are_alike_and_none_where_one_is_sure() -> None:
    logits = torch.tensor([[[1.0] * 8, [100.0] + [0.0] * 7]])
    assert entropy(logits).tolist() == [[pytest.approx(math.log(8)), pytest.approx(0.0, abs=1e-6)]]


def test_an_entropy_bonus_flattens_the_distribution() -> None:
    logits = table([[2.0, 0.0, 0.0]]).requires_grad_()
    (slope,) = torch.autograd.grad(-entropy(logits).sum(), logits)
    assert slope[0, 0, 0] > 0 > slope[0, 0, 1], "the likely goes down, the unlikely up"


LOSSES = ((1.0, 2.0, 3.0), (4.0, math.inf, math.nan))
MASK = ((1, 1, 1), (1, 0, 0))


@pytest.mark.parametrize(
    ("by", "wanted"),
    [("tokens", 10 / 4), ("sequences", (2 + 4) / 2), ("constant", 10 / (2 * 5)), ("sum", 10)],
)
def test_a_batch_comes_to_what_its_normaliser_says_whatever_padding_holds(by: Any, wanted: float) -> None:
    for mask in (torch.tensor(MASK), torch.tensor(MASK).bool(), table(*MASK)):
        assert normalised(table(*LOSSES), mask, by=by, constant=5).item() == pytest.approx(wanted)


@pytest.mark.parametrize("by", ["tokens", "sequences", "constant", "sum"])
def test_a_batch_without_a_token_comes_to_nothing(by: Any) -> None:
    assert normalised(table(*LOSSES), torch.zeros(2, 3), by=by, constant=5).item() == 0.0


def test_a_row_without_a_token_still_counts_as_a_row() -> None:
    assert normalised(table((1, 1), (9, 9)), torch.tensor([[1, 1], [0, 0]]), by="sequences").item() == 0.5


@pytest.mark.parametrize("constant", [None, 0, -1, math.nan])
def test_a_constant_that_cannot_divide_is_refused(constant: Any) -> None:
    with pytest.raises(BadInput, match="constant"):
        normalised(table((1, 2)), torch.ones(1, 2), by="constant", constant=constant)


def test_an_unknown_normaliser_is_refused() -> None:
    with pytest.raises(BadInput, match="'tokens', 'sequences'"):
        normalised(table((1, 2)), torch.ones(1, 2), by="mean")  # type: ignore[arg-type]


OLD = ((-1.0, -2.0, -0.5, -1.0, -3.0), (-0.2, -1.0, -2.0, -0.7, -1.5))
SIDES = ((0.7,), (-1.3,))
PER_TOKEN: dict[str, Any] = {
    "policy_gradient": lambda lp: policy_gradient(
        lp, table(*OLD), table(*SIDES), clip_low=0.2, clip_high=0.28
    ),
    "dual_clip": lambda lp: policy_gradient(lp, table(*OLD), table(*SIDES), clip_low=0.2, dual_clip=3.0),
    "kl_k3": lambda lp: kl_k3(lp, table(*OLD)),
    "weighted_nll": lambda lp: weighted_nll(lp, table(*SIDES), floor=-5.0),
    "shaped": lambda lp: shaped(lp, table(*SIDES)),
    "shaped_ratio": lambda lp: shaped_ratio(lp, table(*OLD), table(*SIDES)),
    "nft": lambda lp: nft(
        lp,
        table(*OLD),
        torch.tensor([[True], [False]]),
        table((0.25,), (0.25,)),
        weights=table((0.75,), (0.75,)),
    ),
    "unlikelihood": unlikelihood,
}


@pytest.mark.parametrize("by", ["tokens", "sequences", "constant", "sum"])
@pytest.mark.parametrize("name", sorted(PER_TOKEN))
def test_a_token_outside_the_mask_has_no_gradient_at_all(name: str, by: Any) -> None:
    logits, labels = some_logits()
    mask = torch.tensor([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0]])
    loss = normalised(PER_TOKEN[name](token_logprobs(logits, labels)), mask, by=by, constant=9)
    (slope,) = torch.autograd.grad(loss, logits)
    assert slope[mask == 0].eq(0).all()
    assert slope[mask == 1].ne(0).any(), "and others have"
