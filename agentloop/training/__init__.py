"""Training: published methods that learn from feedback in words, on one small loop over accelerate."""

from __future__ import annotations

from agentloop.training.graduated import Graduation
from agentloop.training.graduation import examine, graduate, retire
from agentloop.training.recipes import BY_TRL, PUBLISHED, TINY, Recipe, recipe_for
from agentloop.training.rollouts import Practice
from agentloop.training.settings import Settings
from agentloop.training.trainer import Step, Training, train

__all__ = [
    "BY_TRL",
    "PUBLISHED",
    "TINY",
    "Graduation",
    "Practice",
    "Recipe",
    "Settings",
    "Step",
    "Training",
    "examine",
    "graduate",
    "recipe_for",
    "retire",
    "train",
]
