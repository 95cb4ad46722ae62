"""What is worth keeping of the tiny critic's words: how a house reads a vague word, for that house only."""

from __future__ import annotations

from collections.abc import Sequence

from agentloop.types import Attempt, Correction, Source, correction_id


def house_readings(attempts: Sequence[Attempt]) -> Sequence[Correction]:
    """A distiller: one correction for each house reading that was told, scoped to that house.

    What else the critic says, a missing column or a wrong table, concerns one question and is left.
    """
    kept: dict[str, Correction] = {}
    for attempt in attempts:
        house, told = str(attempt.task.public.get("house", "")), attempt.feedback
        if told is None or told.verdict == "pass" or told.kind != "critique":
            continue
        for sentence in told.text.split("; "):
            if not sentence.startswith(f"at {house}, "):
                continue
            kept[sentence] = Correction(
                id=correction_id("", attempt.trajectory, sentence),
                text=sentence,
                applies_when=f"house={house}",
                source=Source(trajectory=attempt.trajectory, attempt=attempt.number, quote=told.text),
            )
    return tuple(kept.values())
