"""The model card of a trained checkpoint: what it was trained on and how, and the table of its proof."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentloop.training.settings import Settings
from agentloop.version import __version__

if TYPE_CHECKING:
    from agentloop.training.trainer import Training


def write_card(training: Training, *, settings: Settings) -> None:
    """Write ``README.md`` into the checkpoint."""
    recipe = training.recipe
    facts = [
        ("base", training.base),
        ("method", f"{recipe.method} ({recipe.source})"),
        ("steps", str(len(training.steps))),
        ("completions sampled", f"{training.completions:,}"),
        ("learning rate", f"{recipe.learning_rate:g}, {settings.schedule}"),
        ("weights trained", f"LoRA of rank {settings.lora_rank}" if settings.lora_rank else "all"),
        ("normaliser", recipe.normaliser),
        ("options", json.dumps(dict(recipe.weigh)) if recipe.weigh else "as published"),
        ("seed", str(settings.seed)),
        ("made by", f"agentloop-toolkit {__version__}"),
    ]
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        f"tags: [agentloop, {recipe.method}]",
        "---",
        f"# {training.base}, trained by {recipe.method}",
        "",
        "| what | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts),
        "",
        "## First try on held-out tasks",
        "",
        *_proof(training),
    ]
    path = training.checkpoint / "README.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _proof(training: Training) -> list[str]:
    gain = training.gain
    if gain is None:
        return ["Not measured: no held-out tasks were given."]
    rows = [
        ("before", gain.first, gain.first_interval),
        ("after", gain.second, gain.second_interval),
    ]
    lines = ["| | passed | 95 % interval |", "|---|---|---|"]
    lines += [f"| {name} | {rate:.1%} | {low:.1%} to {high:.1%} |" for name, rate, (low, high) in rows]
    lines += [
        "",
        f"Difference on {gain.tasks} tasks, paired: {gain.difference * 100:+.1f} points "
        f"[{gain.low * 100:+.1f}, {gain.high * 100:+.1f}], greedy, one attempt, without feedback.",
    ]
    return lines
