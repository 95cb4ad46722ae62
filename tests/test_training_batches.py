"""Rows as tensors: shares of the loss whatever the cut, padding, and the logits that are asked for."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.training.batches import items_of, micro_batches, tensors_of
from agentloop.training.losses import normalised
from tests.training_practice import IGNORED, PLAIN, row, some_rows, tiny_llama, torch
from tests.training_tensors import untimed

NORMALISERS = ["sum", "tokens", "sequences", "constant"]
ROLES = ["rl", "sd", "refinement"]


def whole(rows: list[Any], losses: list[Any], by: Any) -> Any:
    """The loss of all rows in one padded table, by the reference of losses.py; sums are divided as well."""
    width = max(len(each.input_ids) for each in rows)
    table, mask = torch.zeros(len(rows), width), torch.zeros(len(rows), width)
    for at, (each, values) in enumerate(zip(rows, losses, strict=True)):
        table[at, : len(values)] = values
        mask[at, : len(values)] = torch.tensor([float(label != IGNORED) for label in each.labels])
    return normalised(table, mask, by=by, constant=7) / (7 if by == "sum" else 1)


def in_micro_batches(rows: list[Any], losses: list[Any], by: Any, *, tokens: int) -> Any:
    """The same from micro batches: each token's loss times its share."""
    total = torch.zeros(())
    for lot in micro_batches(items_of(rows, replace(PLAIN, normaliser=by, constant=7)), tokens=tokens):
        batch = tensors_of(lot)
        for at, item in enumerate(lot):
            values = losses[item.index][batch.logits_at[0] + 1 : batch.logits_at[-1] + 2]
            total = total + (values * batch.scale[at, : len(values)]).sum()
    return total


@untimed
@given(
    by=st.sampled_from(NORMALISERS),
    seed=st.integers(0, 99),
    count=st.integers(1, 9),
    tokens=st.sampled_from([1, 20, 60, 10_000]),
)
def test_the_shares_make_up_the_normalised_loss_however_the_batch_is_cut(
    by: Any, seed: int, count: int, tokens: int
) -> None:
    rows = some_rows(count, seed=seed) + some_rows(2, seed=seed, role="sd")
    torch.manual_seed(seed)
    losses = [torch.randn(len(each.input_ids)) for each in rows]
    assert torch.allclose(
        in_micro_batches(rows, losses, by, tokens=tokens), whole(rows, losses, by), atol=1e-5
    )


@pytest.mark.parametrize("by", NORMALISERS)
def test_rows_without_weight_count_in_the_batch_but_are_not_computed(by: Any) -> None:
    weighty, idle = row([1, 2], [3, 4, 5]), row([1, 2], [6, 7], 0.0)
    recipe = replace(PLAIN, normaliser=by, constant=7)
    (item,) = items_of([weighty, idle], recipe)
    losses = [torch.ones(5), torch.zeros(4)]
    assert item.row is weighty
    assert item.scale * 3 == pytest.approx(float(whole([weighty, idle], losses, by)))


@pytest.mark.parametrize("changes", [{"kl": 0.1}, {"entropy": 0.1}])
def test_rows_without_weight_are_computed_where_more_than_weights_is_learnt(changes: Any) -> None:
    rows = [row([1, 2], [3, 4, 5]), row([1, 2], [6, 7], 0.0)]
    assert len(items_of(rows, replace(PLAIN, **changes))) == 2


def test_a_row_that_trains_no_token_is_not_computed_but_is_a_row() -> None:
    rows = [row([1, 2], [3, 4]), row([1, 2], [3], silent=[0])]
    (item,) = items_of(rows, replace(PLAIN, normaliser="sequences"))
    assert item.scale == pytest.approx(1 / (2 * 2))


def test_a_first_token_that_is_trained_is_refused() -> None:
    with pytest.raises(BadInput, match="very first token"):
        items_of([row([], [3, 4])], PLAIN)


@untimed
@given(seed=st.integers(0, 99), tokens=st.integers(1, 120))
def test_a_micro_batch_has_one_role_and_no_more_tokens_than_allowed(seed: int, tokens: int) -> None:
    rows = [each for role in ROLES for each in some_rows(4, seed=seed, role=role)]
    items = items_of(rows, PLAIN)
    lots = list(micro_batches(items, tokens=tokens))
    assert sorted(item.index for lot in lots for item in lot) == [item.index for item in items]
    for lot in lots:
        assert len({item.row.role for item in lot}) == 1
        width = max(len(item.row.input_ids) for item in lot)
        assert len(lot) == 1 or len(lot) * width <= tokens


def test_rows_with_and_without_sampling_log_probs_do_not_share_a_micro_batch() -> None:
    rows = [row([1], [2, 3], logprobs=[-1.0, -2.0]), row([1], [4, 5])]
    lots = [tensors_of(lot) for lot in micro_batches(items_of(rows, PLAIN), tokens=10_000)]
    assert [batch.logprobs is None for batch in lots] == [False, True]


def test_labels_weights_and_log_probs_stand_over_the_same_tokens() -> None:
    each = row([1, 2, 3], [4, 5, 6], 0.5, logprobs=[-1.0, 0.0, -3.0], silent=[1])
    batch = tensors_of(items_of([each], PLAIN))
    assert batch.labels.tolist() == [[4, 0, 6]]
    assert batch.mask.tolist() == [[1, 0, 1]]
    assert batch.weights.tolist() == [[0.5, 0, 0.5]]
    assert batch.logprobs.tolist() == [[-1, 0, -3]]
    assert batch.scale.tolist() == [[1, 0, 1]]


def test_the_logits_asked_for_are_those_that_foretell_the_labels() -> None:
    module, rows = tiny_llama(), some_rows(5)
    batch = tensors_of(items_of(rows, PLAIN))
    asked = module(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, logits_to_keep=batch.logits_at
    ).logits
    for at, item in enumerate(batch.items):
        alone = module(input_ids=torch.tensor([item.row.input_ids])).logits[0]
        for place, label in enumerate(item.row.labels):
            if label != IGNORED:
                column = place - int(batch.logits_at[0]) - 1
                assert int(batch.labels[at, column]) == label
                assert torch.allclose(asked[at, column], alone[place - 1], atol=1e-10)


@settings(untimed, max_examples=15)
@given(seed=st.integers(0, 99))
def test_padding_never_changes_the_log_prob_of_a_token(seed: int) -> None:
    module, rows = tiny_llama(), some_rows(4, seed=seed)

    def told(batch: Any) -> Any:
        logits = module(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
        chosen = logits[:, batch.logits_at].log_softmax(-1).gather(2, batch.labels.unsqueeze(2))
        return (chosen.squeeze(2) * batch.mask).sum(1)

    together = told(tensors_of(items_of(rows, PLAIN)))
    alone = torch.cat([told(tensors_of([item])) for item in items_of(rows, PLAIN)])
    assert torch.allclose(together, alone, atol=1e-10)
