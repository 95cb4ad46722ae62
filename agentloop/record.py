"""The base of every record: frozen, keyword-only, validated by pydantic, which loads on first use.

A record is a standard dataclass whose constructor is pydantic's validator for it. The validator is
built when the first record of a class is made, so that importing the records costs no more than
importing dataclasses (docs/decisions/001-records.md).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, dataclass_transform

if TYPE_CHECKING:
    from typing import Self


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,))
class Record:
    """Frozen, keyword-only, closed to unknown fields; a wrong value raises pydantic.ValidationError.

    ``record.replace(field=value)`` makes a changed copy. ``to_json`` and ``from_json`` go through
    pydantic, as do ``to_dict`` and ``from_dict``.
    """

    __pydantic_config__ = {"extra": "forbid", "serialize_by_alias": True}

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True, init=False)(cls)

    def __init__(self, **values: Any) -> None:
        validator, arguments = _constructor(type(self))
        validator.validate_python(arguments((), values), self_instance=self)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values, without the fields that hold their default."""
        values: dict[str, Any] = adapter(type(self)).dump_python(self, mode="json", exclude_defaults=True)
        return values

    def to_json(self) -> str:
        """The record as one line of JSON, without the fields that hold their default."""
        text: bytes = adapter(type(self)).dump_json(self, exclude_defaults=True)
        return text.decode()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build and validate a record from JSON values."""
        record: Self = adapter(cls).validate_python(values)
        return record

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Build and validate a record from JSON text."""
        record: Self = adapter(cls).validate_json(text)
        return record


_ADAPTERS: dict[Any, Any] = {}
_CONSTRUCTORS: dict[Any, tuple[Any, Any]] = {}


def adapter(cls: Any) -> Any:
    """Pydantic's TypeAdapter of a record class, or of any other type, built once."""
    known = _ADAPTERS.get(cls)
    if known is None:
        from pydantic import TypeAdapter

        known = _ADAPTERS[cls] = TypeAdapter(cls)
    return known


def _constructor(cls: Any) -> tuple[Any, Any]:
    known = _CONSTRUCTORS.get(cls)
    if known is None:
        from pydantic_core import ArgsKwargs

        known = _CONSTRUCTORS[cls] = (adapter(cls).validator, ArgsKwargs)
    return known
