"""How each method is trained: its loss settings and its sizes, as published and for the embedded model.

A published recipe keeps the paper's form and its numbers, which are meant for models of billions of
parameters; whatever the sheet of a method leaves open is GRPO's usual choice. ``TINY`` departs from them
where a model of a million parameters and twenty steps ask for it, and says where.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from agentloop.errors import BadInput

Normaliser: TypeAlias = Literal["sum", "tokens", "sequences", "constant"]
"""What the summed loss of a batch is divided by.

``sum``: a constant, 1 if none is given (RLTF, Critique-GRPO, NFT). ``tokens``: its trained tokens (DAPO,
likelihood). ``sequences``: each row by its own trained tokens, and the batch by its rows (GRPO).
``constant``: rows times a constant number of tokens (Dr.GRPO).
"""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings under which a method trains."""

    method: str
    learning_rate: float
    attempts: int = 1
    """Attempts of one rollout: 2 for methods that learn from an answer after feedback."""
    samples: int = 8
    """Rollouts of each task."""
    tasks: int = 32
    """Tasks of each step."""
    reflects: bool = False
    """Whether the policy writes itself a note after a failure."""
    updates: int = 1
    """Optimiser steps for each batch of rollouts."""
    normaliser: Normaliser = "sequences"
    constant: int = 1
    """Divisor, in tokens, of the normalisers ``sum`` and ``constant``."""
    clip: tuple[float, float] | None = None
    """How far below and above 1 a ratio counts; None leaves it unclipped."""
    dual_clip: float | None = None
    floor: float | None = None
    """Tokens of role ``sd`` less likely than this log-probability are dropped."""
    shaping: Literal["probability", "ratio"] = "probability"
    """What the weight x / (x + gamma) of role ``refinement`` is made of."""
    gamma: float = 0.1
    negative_weight: float = 1.0
    """Weight of wrong answers in NFT."""
    kl: float = 0.0
    """Weight of the divergence from the weights that training began with."""
    entropy: float = 0.0
    """Weight of the entropy bonus."""
    weigh: Mapping[str, Any] = field(default_factory=dict)
    """Options of the method's weights, such as RLTF's discount and strength."""
    online: bool = True
    """Whether the method may draw its own rollouts; the others train on a log."""
    source: str = ""

    def with_changes(self, **changes: Any) -> Recipe:
        """The recipe with other settings where ``changes`` has one that is not None."""
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


def _offline(method: str, rate: float, source: str) -> Recipe:
    return Recipe(method=method, learning_rate=rate, normaliser="tokens", online=False, source=source)


_RLTF = Recipe(
    method="rltf-sd",
    learning_rate=2e-5,
    attempts=2,
    normaliser="sum",
    floor=-5.0,
    source="arXiv 2602.02482: group 8, 32 groups, unclipped ratios, sums, strength and discount 0.1",
)
_REJECTION = Recipe(
    method="raft",
    learning_rate=1e-6,
    normaliser="tokens",
    source="arXiv 2304.06767; rate and sizes are not in the sheet",
)

PUBLISHED: dict[str, Recipe] = {
    recipe.method: recipe
    for recipe in (
        _RLTF,
        replace(_RLTF, method="rltf-fm"),
        replace(_RLTF, method="rltf-sd-fm"),
        Recipe(
            method="critique-grpo",
            learning_rate=1e-6,
            attempts=2,
            tasks=128,
            updates=2,
            normaliser="sum",
            constant=6144,
            entropy=0.001,
            source="arXiv 2506.03106: unclipped, no standard deviation, sums over the response length",
        ),
        Recipe(
            method="herl",
            learning_rate=1e-6,
            attempts=2,
            tasks=64,
            updates=2,
            normaliser="tokens",
            clip=(0.2, 0.2),
            dual_clip=3.0,
            shaping="ratio",
            gamma=1.0,
            source="HeRL: original prompt, ratio weight, gamma 1",
        ),
        Recipe(
            method="grpo",
            learning_rate=1e-6,
            clip=(0.2, 0.2),
            source="GRPO: token mean of each completion, then their mean; no divergence term",
        ),
        Recipe(
            method="nft",
            learning_rate=1e-6,
            samples=16,
            tasks=512,
            updates=16,
            normaliser="sum",
            constant=1000,
            source="arXiv 2505.18116",
        ),
        Recipe(
            method="reflect-retry-reward",
            learning_rate=1e-6,
            attempts=2,
            reflects=True,
            clip=(0.2, 0.2),
            kl=0.001,
            source="arXiv 2505.24726",
        ),
        Recipe(
            method="ufo",
            learning_rate=1e-6,
            attempts=5,
            samples=16,
            tasks=8,
            clip=(0.2, 0.28),
            kl=0.001,
            entropy=0.001,
            source="arXiv 2507.14295, group-relative in place of PPO",
        ),
        _REJECTION,
        replace(_REJECTION, method="rest-em", samples=32, source="arXiv 2312.06585"),
        replace(_REJECTION, method="ilf", attempts=2, samples=5, source="arXiv 2303.16755"),
        replace(_REJECTION, method="sft", attempts=2, source="filtered self-training"),
        _offline("fcp", 5e-6, "arXiv 2509.22638, offline"),
        _offline("leti", 5e-6, "arXiv 2305.10314"),
        _offline("chain-of-hindsight", 5e-6, "arXiv 2302.02676; rate not in the sheet"),
        _offline("critic-sft", 1e-5, "arXiv 2505.00662, first stage"),
    )
}
"""Each method in its paper's form."""

TINY: dict[str, Recipe] = {
    recipe.method: recipe
    for recipe in (
        PUBLISHED["grpo"].with_changes(learning_rate=1e-3),
        PUBLISHED["raft"].with_changes(learning_rate=1e-3),
        PUBLISHED["rltf-sd"].with_changes(
            learning_rate=1e-3, samples=4, tasks=44, weigh={"strength": 3.0, "positive_only": True}
        ),
        PUBLISHED["rltf-fm"].with_changes(learning_rate=3e-4, samples=4, tasks=44),
        PUBLISHED["rltf-sd-fm"].with_changes(
            learning_rate=1e-3, samples=4, tasks=44, weigh={"strength": 3.0, "positive_only": True}
        ),
        PUBLISHED["critique-grpo"].with_changes(
            learning_rate=1e-3,
            samples=4,
            tasks=44,
            updates=1,
            normaliser="constant",
            constant=48,
            weigh={"strength": 8.0},
        ),
        PUBLISHED["ilf"].with_changes(learning_rate=1e-3, samples=4, tasks=44),
        PUBLISHED["fcp"].with_changes(learning_rate=2e-3),
        PUBLISHED["leti"].with_changes(learning_rate=2e-3),
    )
}
"""Settings for the embedded model, swept on the development split (benchmarks/RESULTS.md)."""

BY_TRL = ("sft", "dpo", "kto", "critic-sft", "critic-dpo")
"""Methods that TRL's own trainers train on a log: messages, pairs and labelled answers."""


def recipe_for(method: str, *, tiny: bool = False) -> Recipe:
    """The recipe of a method: as published, or for the embedded model where it has one of its own."""
    if tiny and method in TINY:
        return TINY[method]
    if method in PUBLISHED:
        return PUBLISHED[method]
    near = difflib.get_close_matches(method, PUBLISHED, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise BadInput(
        f"agentloop's trainer has no method {method!r}; {hint}it has {', '.join(PUBLISHED)}; "
        "pairs and labelled answers (dpo, kto) are trained by TRL"
    )
