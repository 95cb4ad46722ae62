"""Writes the records' JSON schema to ``schema.json`` beside this file: ``python -m agentloop.schema``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agentloop.record import adapter
from agentloop.types import SCHEMA_VERSION, Correction, Trajectory

PATH = Path(__file__).with_name("schema.json")


def schema() -> dict[str, Any]:
    """The JSON schema of what agentloop writes, with its version."""
    return {
        "schema_version": SCHEMA_VERSION,
        "trajectory": adapter(Trajectory).json_schema(),
        "correction": adapter(Correction).json_schema(),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")
