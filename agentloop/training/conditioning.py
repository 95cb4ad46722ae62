"""A model trained under a condition is asked under it: its checkpoint's prompt texts carry it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from agentloop.export.methods import chain_of_hindsight, fcp, leti
from agentloop.prompts import Prompts
from agentloop.types import Trajectory

_MARKS: dict[str, Callable[[str], str]] = {
    "leti": leti.conditioned,
    "chain-of-hindsight": chain_of_hindsight.conditioned,
}


def conditioned_texts(method: str, base: Path, *, praise: str | None = None) -> dict[str, str]:
    """The prompt texts in which a checkpoint trained by ``method`` differs from its ``base``; often none.

    ``praise`` is the feedback that FCP's model is to be asked under.
    """
    task = own_prompts(base).text("task")
    if method == "fcp":
        return {"task": fcp.conditioned(task, feedback=praise)}
    return {"task": _MARKS[method](task)} if method in _MARKS else {}


def usual_praise(trajectories: Iterable[Trajectory]) -> str | None:
    """What the critic of a log says most often of an attempt that passed; None when it never did."""
    said = Counter(
        attempt.feedback.text.strip()
        for trajectory in trajectories
        for attempt in trajectory.attempts
        if attempt.feedback is not None and attempt.feedback.verdict == "pass"
    )
    return max(said, key=lambda text: (said[text], text)) if said else None


def own_prompts(base: Path) -> Prompts:
    """The prompt texts of a checkpoint: its own where it brings any."""
    folder = base / "prompts"
    return Prompts(folder=folder) if folder.is_dir() else Prompts()
