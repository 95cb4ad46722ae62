"""Self-certainty: a reward from the policy's own distribution."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.training.advantages import group_advantages
from agentloop.training.intrinsic import self_certainty
from tests.training_tensors import some_logits, torch, untimed


@untimed
@given(rows=st.integers(1, 3), tokens=st.integers(1, 4), words=st.integers(2, 9))
def test_self_certainty_is_the_divergence_from_having_no_idea(rows: int, tokens: int, words: int) -> None:
    logits = some_logits(rows, tokens, words)[0].detach() * 3
    uniform = torch.full_like(logits, -math.log(words))
    divergence = (uniform.exp() * (uniform - logits.log_softmax(-1))).sum(-1)
    found = self_certainty(logits, torch.ones(rows, tokens))
    assert torch.allclose(found, divergence.mean(-1) + math.log(words), rtol=1e-12)


def test_a_policy_without_an_idea_is_certain_of_the_log_of_its_choices() -> None:
    assert self_certainty(torch.full((1, 3, 8), 2.5), torch.ones(1, 3)).item() == pytest.approx(math.log(8))


def test_the_surer_a_policy_the_greater_its_reward() -> None:
    logits, _ = some_logits(1, 3, 8)
    found = [self_certainty(factor * logits, torch.ones(1, 3)).item() for factor in (0, 1, 2, 4)]
    assert found == sorted(found)


def test_a_row_is_the_mean_over_its_own_tokens() -> None:
    logits = some_logits(2, 4, 5)[0].detach()
    mask = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0]])
    loud = logits.clone()
    loud[0, 2:] = math.inf
    short = self_certainty(logits[:1, :2], torch.ones(1, 2))
    assert torch.allclose(self_certainty(loud, mask)[0], short[0])
    assert self_certainty(logits, mask)[1] == 0


def test_no_gradient_flows_into_the_reward() -> None:
    logits, _ = some_logits()
    assert not self_certainty(logits, torch.ones(2, 5)).requires_grad


def test_a_group_of_equal_logits_has_no_advantage() -> None:
    logits = some_logits(1, 4, 6)[0].detach().expand(5, 4, 6)
    assert group_advantages(self_certainty(logits, torch.ones(5, 4)), scale="group").eq(0).all()


def test_half_precision_logits_are_worked_on_in_float32() -> None:
    logits = (torch.randn(1, 4, 5000) * 3).bfloat16()
    found = self_certainty(logits, torch.ones(1, 4))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(self_certainty(logits.double(), torch.ones(1, 4)).item(), rel=1e-6)
