"""What the tests of the training stage share: small tensors in float64, and slopes."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

torch = pytest.importorskip("torch", reason="torch is in the extra 'train'")

untimed = settings(deadline=None)
"""For tests that may be the first to use torch, or share a machine."""


def table(*rows: Any) -> Any:
    """A tensor of numbers, or of rows of numbers, in float64."""
    return torch.tensor(rows, dtype=torch.float64)


def slopes(loss: Callable[[Any], Any], logprobs: Any) -> Any:
    """The derivative of the summed loss in each log-probability."""
    leaf = logprobs.detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(leaf).sum(), leaf)
    return found


def some_logits(rows: int = 2, tokens: int = 5, words: int = 7) -> tuple[Any, Any]:
    """Logits that want a gradient, and labels; the same ones for the same shape."""
    torch.manual_seed(rows * tokens * words)
    logits = torch.randn(rows, tokens, words, dtype=torch.float64, requires_grad=True)
    return logits, torch.randint(words, (rows, tokens))
