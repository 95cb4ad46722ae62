"""What a trainer's format is to the exporter: which rows it carries, as what, and which it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from agentloop.errors import BadInput, UnsupportedExport
from agentloop.export.groups import Group
from agentloop.export.methods.method import Method
from agentloop.export.rows import Row
from agentloop.types import Message

Render: TypeAlias = Callable[[Sequence[Message], bool], Sequence[int]]
"""A checkpoint's chat template as a function: messages, and whether the opening of an answer is added,
to token ids. With transformers: ``lambda messages, opening: tokenizer.apply_chat_template(list(messages),
add_generation_prompt=opening, return_dict=False)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrying:
    """What a projection may use beside the row."""

    method: Method
    group: Group
    render: Render | None = None
    with_grader_data: bool = False


Projection: TypeAlias = Callable[[Any, Carrying], Iterator[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A trainer's file format.

    ``carries`` turns a row of each type it can carry into lines; ``refuses`` gives the reason, and
    the way out, for those it cannot. ``write`` writes all lines to a path, one at a time.
    """

    name: str
    about: str
    file: str
    carries: dict[type[Row], Projection]
    refuses: dict[type[Row], str]
    write: Callable[[Path, Iterable[dict[str, Any]]], None]
    wants_tokens: bool = False

    def kinds(self, method: Method) -> tuple[type[Row], ...]:
        """The row types in which the method comes to this format."""
        return method.token_kinds if self.wants_tokens and method.token_rows else method.kinds

    def refusal(self, method: Method) -> str | None:
        """Why the format cannot carry the method, with the way out; None when it can."""
        for kind in self.kinds(method):
            if kind not in self.carries:
                return self.refuses.get(
                    kind, f"format {self.name} has no place for rows of type {kind.__name__}"
                )
        return None

    def check(self, method: Method) -> None:
        """Refuse a method that the format cannot carry."""
        reason = self.refusal(method)
        if reason is not None:
            raise UnsupportedExport(f"method {method.name} cannot be written in format {self.name}: {reason}")

    def project(self, row: Row, carrying: Carrying) -> Iterator[dict[str, Any]]:
        """The lines that the row becomes."""
        return self.carries[type(row)](row, carrying)


def rendered(render: Render, messages: Sequence[Message], answer: Sequence[Message]) -> tuple[list[int], int]:
    """Token ids of the whole conversation, and how many of them are the prompt's.

    A trainer masks the prompt by its length, so the prompt's ids must begin the whole's.
    """
    prompt, whole = list(render(messages, True)), list(render([*messages, *answer], False))
    if whole[: len(prompt)] != prompt:
        raise BadInput(
            "the chat template gives the prompt other token ids alone than before its answer, so a trainer "
            f"would mask the wrong tokens (prompt: {messages[-1]['content'][:60]!r}); use format tokens, "
            "or a template whose prompt is a prefix of prompt and answer"
        )
    return whole, len(prompt)
