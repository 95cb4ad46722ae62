"""What a trainer's format is to the exporter: which rows it carries, as what, and which it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from agentloop.errors import UnsupportedExport
from agentloop.export.formats.demands import demands_of
from agentloop.export.groups import Group
from agentloop.export.methods.method import Demand, Method
from agentloop.export.rows import Row
from agentloop.types import Message

Render: TypeAlias = Callable[[Sequence[Message], bool], Sequence[int]]
"""A checkpoint's chat template as a function: messages, and whether the opening of an answer is added,
to token ids. With transformers: ``lambda messages, opening: tokenizer.apply_chat_template(list(messages),
add_generation_prompt=opening, return_dict=False)``."""

Line: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrying:
    """What a projection may use beside the row."""

    method: Method
    group: Group
    render: Render | None = None
    with_grader_data: bool = False


class Carried(NamedTuple):
    """How a format carries a type of rows: the lines one becomes, and the part of the export they go to."""

    part: str
    project: Callable[[Any, Carrying], Iterator[Line]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A trainer's file format.

    ``carries`` turns a row of each type it can carry into lines; ``refuses`` gives the reason, and the
    way out, for the types it cannot, and ``lacks`` for what a row of a carried type may demand. Rows of
    different parts go to different files. ``open`` gives, for a path, a function that writes one line.
    ``training`` says, part by part, how the trainer is to be told of a file, as Markdown in which
    ``{file}`` and ``{part}`` stand for themselves; ``beside`` makes further files, from part to file.
    """

    name: str
    about: str
    carries: dict[type[Row], Carried]
    refuses: dict[type[Row], str]
    open: Callable[[Path], AbstractContextManager[Callable[[Line], None]]]
    lacks: dict[Demand, str] = field(default_factory=dict)
    suffix: str = ".jsonl"
    wants_tokens: bool = False
    apart: bool = False
    """Whether a row's ``meta`` stands in a file beside, because the trainer takes no other keys."""
    training: dict[str, str] = field(default_factory=dict)
    beside: Callable[[Mapping[str, str]], dict[str, str]] = lambda files: {}

    def kinds(self, method: Method) -> tuple[type[Row], ...]:
        """The row types in which the method comes to this format."""
        return method.token_kinds if self.wants_tokens and method.token_rows else method.kinds

    def refusal(self, method: Method) -> str | None:
        """Why the format cannot carry the method, with the way out; None when it can."""
        for kind in self.kinds(method):
            if kind not in self.carries:
                return self.refuses.get(
                    kind, f"format {self.name} has no place for rows of type {kind.__name__}; {_TOKENS}"
                )
        return next((self.lacks[each] for each in method.demands if each in self.lacks), None)

    def check(self, method: Method) -> None:
        """Refuse a method that the format cannot carry."""
        reason = self.refusal(method)
        if reason is not None:
            raise UnsupportedExport(f"method {method.name} cannot be written in format {self.name}: {reason}")

    def files(self, method: Method) -> dict[str, str]:
        """The file of each part of the method's rows; a method of one part has ``rows`` alone."""
        parts = dict.fromkeys(self.carries[kind].part for kind in self.kinds(method))
        return {part: ("rows" if len(parts) == 1 else part) + self.suffix for part in parts}

    def project(self, row: Row, carrying: Carrying) -> Iterator[Line]:
        """The lines that the row becomes; a row that demands what the format lacks is an error."""
        for demand in demands_of(row):
            if demand in self.lacks:
                raise UnsupportedExport(
                    f"a row of {row.meta.attempts} cannot be written in format {self.name}: "
                    f"{self.lacks[demand]}"
                )
        return self.carries[type(row)].project(row, carrying)


_TOKENS = "use --format tokens and agentloop's trainer"
