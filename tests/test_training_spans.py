"""Spans: characters to tokens and back, rewards of tokens, and which segments train."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.training.advantages import group_advantages
from agentloop.training.losses import normalised, policy_gradient, token_logprobs
from agentloop.training.spans import Segment, locate, penalised, segment_mask, span_advantages, span_rewards
from agentloop.types import Span
from tests.random_checkpoint import _tokenizer
from tests.training_tensors import some_logits, table, torch, untimed

TINY = Path(__file__).parent.parent / "agentloop" / "tiny" / "checkpoint"
TOKENIZER = _tokenizer(None)
LETTERS = [(at, at + 1) for at in range(9)]


def span(start: int, end: int, weight: float | None = 1.0) -> Span:
    return Span(start=start, end=end, weight=weight)


def test_a_quote_is_found_where_it_stands() -> None:
    text = "select name from users"
    found = locate(text, [("name", -1.0), ("users", 1.0)])
    assert [(text[each.start : each.end], each.weight) for each in found] == [("name", -1.0), ("users", 1.0)]


def test_a_quote_that_is_not_in_the_text_changes_nothing() -> None:
    assert locate("select name", [("age", -1.0), ("", -1.0), ("NAME", -1.0)]) == []


@untimed
@given(text=st.text(max_size=30), start=st.integers(0, 30), size=st.integers(1, 10))
def test_every_stretch_of_a_text_is_found_as_it_is(text: str, start: int, size: int) -> None:
    quote = text[start : start + size]
    for each in locate(text, [(quote, 1.0)]):
        assert text[each.start : each.end] == quote
    assert bool(locate(text, [(quote, 1.0)])) == bool(quote)


def test_the_rewards_of_tokens_add_up_to_the_good_ones_less_the_poor_ones() -> None:
    found = span_rewards(LETTERS, [span(0, 4), span(6, 8, -1.0)])
    assert found.tolist() == [1, 1, 1, 1, 0, 0, -1, -1, 0]
    assert found.sum() == 4 - 2


def test_where_spans_overlap_the_minimum_counts_whatever_their_order() -> None:
    for spans in ([span(0, 5), span(3, 7, -1.0)], [span(3, 7, -1.0), span(0, 5)]):
        assert span_rewards(LETTERS, spans).tolist() == [1, 1, 1, -1, -1, -1, -1, 0, 0]


def test_a_token_that_a_span_touches_in_part_gets_its_weight() -> None:
    assert span_rewards([(0, 3), (3, 6), (6, 9)], [span(2, 4, -1.0)]).tolist() == [-1, -1, 0]
    assert span_rewards([(0, 3), (3, 6)], [span(3, 6, -1.0)]).tolist() == [0, -1], (
        "but not one that it only meets"
    )


def test_code_is_good_wherever_nothing_is_said_of_it_but_a_token_without_characters_is_nothing() -> None:
    offsets = [(0, 0), (0, 2), (2, 5), (5, 5)]
    assert span_rewards(offsets, [span(2, 5, -1.0)], outside=1.0).tolist() == [0, 1, -1, 0]


@pytest.mark.parametrize("nowhere", [span(9, 12, -1.0), span(3, 3, -1.0)], ids=["behind the end", "empty"])
def test_a_span_on_no_token_changes_nothing(nowhere: Span) -> None:
    assert span_rewards([(0, 4), (4, 9)], [nowhere]).eq(0).all()


def test_a_span_without_a_weight_is_refused() -> None:
    with pytest.raises(BadInput, match="no weight"):
        span_rewards(LETTERS, [span(0, 2, None)])


@untimed
@given(text=st.text(min_size=1, max_size=40), start=st.integers(0, 39), size=st.integers(1, 12))
def test_a_span_comes_back_from_its_tokens_to_their_borders(text: str, start: int, size: int) -> None:
    """Byte-level tokens: several may stand for one character, and one for several."""
    read = TOKENIZER(text, return_offsets_mapping=True, add_special_tokens=False)
    offsets = read["offset_mapping"]
    end = min(start + size, len(text))
    if start >= end:
        return
    marked = span_rewards(offsets, [span(start, end)])
    touched = [place for place, reward in zip(offsets, marked.tolist(), strict=True) if reward]
    back = {at for first, last in touched for at in range(first, last)}
    assert set(range(start, end)) <= back
    borders = {start, end} <= {edge for place in offsets for edge in place}
    assert not borders or back == set(range(start, end)), "exactly, where tokens begin and end with it"


@pytest.mark.skipif(not (TINY / "tokenizer.json").is_file(), reason="the bundled checkpoint is not there")
def test_a_quote_marks_the_tokens_of_the_embedded_model_that_spell_it() -> None:
    from transformers import AutoTokenizer

    text = "SELECT name, age FROM users WHERE age > 30"
    read = AutoTokenizer.from_pretrained(TINY)(text, return_offsets_mapping=True, add_special_tokens=False)
    rewards = span_rewards(read["offset_mapping"], locate(text, [("age > 30", -1.0)]))
    marked = [place for place, reward in zip(read["offset_mapping"], rewards.tolist(), strict=True) if reward]
    assert text[marked[0][0] : marked[-1][1]].strip() == "age > 30"


def test_a_reward_on_the_last_token_alone_is_dr_grpo() -> None:
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    ends = table((0, 0, 0, 1), (0, 0.25, 0, 0))
    wanted = group_advantages(table(1, 0.25), scale="none").unsqueeze(-1) * mask
    assert torch.equal(span_advantages(ends, mask), wanted)


def test_a_token_is_paid_for_what_comes_after_it_and_not_for_what_came_before() -> None:
    found = span_advantages(table((0, 1, 0, 0), (0, 0, 0, 0)), torch.ones(2, 4), discount=1.0)
    baseline = 2 / 4 / 2
    assert found[0].tolist() == pytest.approx([1 - baseline, 1 - baseline, -baseline, -baseline])


def test_a_later_reward_counts_less_under_a_discount() -> None:
    found = span_advantages(
        table(
            (0, 0, 1),
        ),
        torch.ones(1, 3),
        discount=0.5,
    )
    assert (found[0] - found[0].min()).tolist() == pytest.approx([0, 0.25, 0.75])


@untimed
@given(value=st.floats(-5, 5), size=st.integers(1, 4), length=st.integers(1, 5))
def test_rows_with_the_same_reward_at_their_end_move_nothing(value: float, size: int, length: int) -> None:
    rewards = torch.zeros(size, length)
    rewards[:, -1] = value
    assert span_advantages(rewards, torch.ones(size, length)).eq(0).all()


def test_groups_of_spans_are_compared_with_themselves() -> None:
    rewards = table((0, 1), (0, 3), (0, 0), (0, 1))
    found = span_advantages(rewards, torch.ones(4, 2), groups=["a", "b", "a", "b"])
    assert found[:, 0].tolist() == [0.5, 1.0, -0.5, -1.0]


def test_rewards_outside_the_mask_are_not_read() -> None:
    mask = torch.tensor([[1, 0, 1]])
    quiet, loud = table((1, 0, 1)), table((1, float("nan"), 1))
    assert torch.equal(span_advantages(quiet, mask), span_advantages(loud, mask))
    assert span_advantages(loud, mask)[0, 1] == 0


def test_without_any_score_only_the_divergence_acts() -> None:
    ours, reference = table((-1.0, -2.0), (-1.0, -2.0)), table((-1.5, -2.0), (-1.0, -2.0))
    mask = torch.ones(2, 2)
    paid = penalised(torch.zeros(2, 2), ours.requires_grad_(), reference, coefficient=0.2)
    assert paid.tolist() == [[-0.1, 0], [0, 0]] and not paid.requires_grad
    assert span_advantages(paid, mask)[0, 0] < 0, "away from what the reference finds unlikely"
    assert span_advantages(penalised(torch.zeros(2, 2), ours, ours, coefficient=0.2), mask).eq(0).all()


PARTS = [Segment("prompt", 3), Segment("attempt", 2), Segment("reflection", 2), Segment("retry", 3)]


def test_a_mask_of_reflections_leaves_the_attempts_out() -> None:
    shorter = [Segment("reflection", 1), Segment("retry", 2)]
    mask = segment_mask([PARTS, shorter], {"reflection"})
    assert mask.int().tolist() == [[0] * 5 + [1, 1] + [0] * 3, [1] + [0] * 9]


def test_the_retry_decides_the_reward_and_gets_no_gradient() -> None:
    logits, labels = some_logits(2, 10)
    mask = segment_mask([PARTS, PARTS], {"reflection"})
    for success, moved in (((1.0, 0.0), True), ((1.0, 1.0), False)):
        sides = group_advantages(table(*success), scale="group").unsqueeze(-1)
        loss = normalised(policy_gradient(token_logprobs(logits, labels), None, sides), mask, by="sequences")
        (slope,) = torch.autograd.grad(loss, logits)
        assert slope[~mask].eq(0).all()
        assert bool(slope[mask].ne(0).any()) == moved, "retries that all succeed teach nothing"


@pytest.mark.parametrize("kinds", [{"reflecton"}, {"reflection", "critique"}, set()], ids=str)
def test_a_kind_that_no_row_has_is_refused_with_those_it_has(kinds: Any) -> None:
    with pytest.raises(BadInput, match="'reflection', 'retry'"):
        segment_mask([PARTS], kinds)
