"""What a row of messages demands of a format beyond its type, which many trainers ignore in silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentloop.export.methods.method import Demand
from agentloop.export.rows import CriticRow, FlaggedMessage, Row, SftRow, SftTokensRow


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
