"""Logged trajectories as training data: rows of published methods in the formats of trainers."""

from __future__ import annotations

from agentloop.export.filters import Filters
from agentloop.export.formats import FORMATS, Format, Render, support
from agentloop.export.methods import METHODS, Method, Need
from agentloop.export.rows import (
    ContextRow,
    CriticRow,
    GroupRow,
    LeftOut,
    Meta,
    PreferenceRow,
    Row,
    Sample,
    SftRow,
    SftTokensRow,
    TokenRow,
    UnpairedRow,
)
from agentloop.export.survey import Missing
from agentloop.export.write import ExportReport, write_export

__all__ = [
    "FORMATS",
    "METHODS",
    "ContextRow",
    "CriticRow",
    "ExportReport",
    "Filters",
    "Format",
    "GroupRow",
    "LeftOut",
    "Meta",
    "Method",
    "Missing",
    "Need",
    "PreferenceRow",
    "Render",
    "Row",
    "Sample",
    "SftRow",
    "SftTokensRow",
    "TokenRow",
    "UnpairedRow",
    "support",
    "write_export",
]
