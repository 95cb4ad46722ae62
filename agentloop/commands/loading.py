"""What a user brings in a file of their own, by name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput


def own(named: str, option: str, known: str) -> Any:
    """Load ``FILE.py:NAME`` or ``package.module:NAME``."""
    place, _, name = named.rpartition(":")
    if not place:
        raise BadInput(f"{option} {named!r} is not known; give one of {known}, or FILE.py:NAME")
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise BadInput(f"{option}: no file {path}; give FILE.py:NAME with a file that exists")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    if not hasattr(module, name):
        raise BadInput(
            f"{option}: {place} has no {name!r}; it has {', '.join(n for n in vars(module) if n[0] != '_')}"
        )
    return getattr(module, name)
