"""What a row of messages demands of a format beyond its type, which many trainers ignore in silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from agentloop.export.rows import CriticRow, FlaggedMessage, Row, SftRow, SftTokensRow

Demand: TypeAlias = Literal["weights", "others' words", "untrained answers"]
"""``weights``: the row counts more or less than others. ``others' words``: what another than the model
said is trained as well. ``untrained answers``: an answer of the model is shown, and not trained, before
one that is."""

DEMANDS: dict[str, tuple[Demand, ...]] = {
    "leti": ("others' words",),
    "cdf": ("untrained answers",),
}
"""What the rows of messages of a method demand, by its name, on the logs of agentloop's own agents. A log
of another kind may demand more, which is found row by row; a test holds this against the rows themselves."""


def demands_of(row: Row) -> Iterator[Demand]:
    """What this very row demands."""
    if isinstance(row, SftRow | SftTokensRow) and row.weight != 1.0:
        yield "weights"
    if isinstance(row, SftRow | CriticRow):
        if any(each["loss"] and each["role"] != "assistant" for each in row.messages):
            yield "others' words"
        if any(not each["loss"] and each["role"] == "assistant" for each in until_trained(row.messages)):
            yield "untrained answers"


def until_trained(messages: Sequence[FlaggedMessage]) -> Sequence[FlaggedMessage]:
    """The messages up to the last that is trained: what follows has no part in the loss."""
    trained = [index for index, each in enumerate(messages) if each["loss"]]
    return messages[: trained[-1] + 1] if trained else ()
