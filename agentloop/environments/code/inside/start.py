"""Starts a part of what runs inside the sandbox, and loads nothing else of the package.

Run as ``python -I -S start.py PART NUMBER...``, from wherever it lies. The packages above this folder
are stood in for by empty ones: what they import, logging and with it threading, would make each fork
of a worker dearer, and has no business in the sandbox.
"""

import importlib
import os
import sys
import types

NAME = "agentloop.environments.code.inside"


def stand_in(folder: str) -> None:
    """Put empty packages in the place of those above ``folder``, which is the package NAME."""
    parts = NAME.split(".")
    for count in range(len(parts), 0, -1):
        package = types.ModuleType(".".join(parts[:count]))
        package.__path__ = [folder]
        sys.modules[package.__name__] = package
        folder = os.path.dirname(folder)


if __name__ == "__main__":
    stand_in(os.path.dirname(os.path.abspath(__file__)))
    importlib.import_module(f"{NAME}.{sys.argv[1]}").main(*map(int, sys.argv[2:]))
