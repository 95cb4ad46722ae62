"""Rows of trajectories that are there already, in batches: every row once before any comes again."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from agentloop.errors import BadInput
from agentloop.export import TokenRow
from agentloop.export.formats import Render
from agentloop.export.making import Log
from agentloop.export.methods import method_named
from agentloop.export.survey import Survey
from agentloop.prompts import Prompts
from agentloop.training.conditioning import usual_praise
from agentloop.training.recipes import Recipe
from agentloop.training.rollouts import ordered, rows_of
from agentloop.types import digest


class Logged:
    """Batches of about ``size`` rows; rows of one group stay together, since they were weighed together."""

    def __init__(
        self,
        log: Log,
        recipe: Recipe,
        *,
        size: int,
        seed: int,
        render: Render,
        prompts: Prompts | None = None,
        longest: int | None = None,
    ) -> None:
        made = rows_of(log, recipe, render=render, prompts=prompts, longest=longest)
        rows, self.left_out = ordered(made.rows), made.survey.left_out
        self.praise = usual_praise(log() if callable(log) else log)
        if not any(any(row.weights) for row in rows):
            raise BadInput(_nothing(recipe, rows, made.survey))
        self.tasks = frozenset(row.meta.task_id for row in rows)
        self.digest = digest(*(f"{row.meta.run} {row.attempt} {row.role} {row.reward}" for row in rows))
        self.seed = seed
        groups: dict[str, list[TokenRow]] = {}
        for row in rows:
            groups.setdefault(row.meta.group_id, []).append(row)
        self.groups = list(groups.values())
        self.lap = min(len(groups), math.ceil(len(rows) / size))
        """Batches in which every row comes once; none is empty."""

    def rows(self, step: int) -> list[TokenRow]:
        """The rows of a step, counted from 1."""
        lap, at = divmod(step - 1, self.lap)
        order = list(range(len(self.groups)))
        random.Random(f"{self.seed} {lap}").shuffle(order)
        share = order[at * len(order) // self.lap : (at + 1) * len(order) // self.lap]
        return ordered(row for place in share for row in self.groups[place])


def _nothing(recipe: Recipe, rows: Sequence[TokenRow], survey: Survey) -> str:
    if not survey.trajectories:
        return f"nothing to train on with {recipe.method}: the log holds no finished trajectory"
    lacking = {f"the log lacks {each.field}": each for each in survey.missing()}
    reasons = [
        f"{reason} in {each.trajectories} of {survey.trajectories} trajectories "
        f"(recorded by {each.recorded_by})"
        for reason, each in lacking.items()
    ]
    left_out = sorted(survey.left_out.items())
    reasons += [f"{reason} ({count})" for reason, count in left_out if reason not in lacking]
    if rows:
        reasons.append("within every group all rewards are equal, so every weight is zero")
    return (
        f"nothing to train on with {recipe.method} in {survey.trajectories} trajectories; there must be "
        f"{method_named(recipe.method).nothing}" + "".join(f"\n- {reason}" for reason in reasons)
    )
