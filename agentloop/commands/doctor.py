"""``agentloop doctor``: what is installed, which guards are active, which models answer."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import platform
import sqlite3
from collections.abc import Sequence
from typing import Any

from agentloop.environments.code import Sandbox
from agentloop.environments.sql import active_guards
from agentloop.environments.web.browser import Browser
from agentloop.environments.web.finding import find_browser
from agentloop.errors import AgentloopError
from agentloop.version import __version__

EXTRAS = {
    "core": ("pydantic", "langgraph", "litellm", "typer", "rich", "numpy", "sqlglot"),
    "memory": ("chromadb",),
    "local": ("torch", "transformers"),
    "train": ("trl", "peft", "accelerate", "datasets", "pyarrow"),
    "web": ("playwright", "miniwob"),
}
LAYERS = {
    "proxy": "what is not allowed is refused, also after a redirect",
    "namespace": "the browser has a network of its own, whose only exit is the proxy",
    "sandbox": "Chromium's own sandbox",
    "user": "the browser runs as a user of its own",
}
"""The layers that fence a browser in, and what each means."""


def examine(models: Sequence[str]) -> dict[str, Any]:
    """Everything as one object for programs."""
    return {
        "agentloop": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()},
        "guards": {
            "sql": active_guards(),
            "code": {name: layer._asdict() for name, layer in Sandbox.probe().items()},
        },
        "browser": _browser(),
        "models": {name: _answers(name) for name in models},
        "keys": sorted(name for name in os.environ if name.endswith("_API_KEY")),
    }


def _browser() -> dict[str, Any]:
    """The browser that web pages are opened in, and which layers fence it in; it is not started."""
    if importlib.util.find_spec("playwright") is None:
        return {"path": None, "why": "playwright is not installed: pip install 'agentloop-toolkit[web]'"}
    try:
        path, layers = find_browser(), Browser().layers
    except AgentloopError as error:
        return {"path": None, "why": str(error)}
    return {"path": str(path), "layers": {name: name in layers for name in LAYERS}}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _answers(name: str) -> dict[str, Any]:
    """Ask a model for a few tokens; what went wrong, if anything, in its own words."""
    from agentloop.models import ChatModel

    try:
        model = ChatModel(name, max_tokens=8, temperature=0.0)
        replies = asyncio.run(model.complete([{"role": "user", "content": "Say hello."}]))
    except AgentloopError as error:
        return {"answers": False, "why": f"{type(error).__name__}: {error}"}
    return {"answers": True, "reply": replies[0].text}


def lines(found: dict[str, Any]) -> list[str]:
    """The findings for a person."""
    said = [f"agentloop {found['agentloop']}, Python {found['python']}, SQLite {found['sqlite']}"]
    for extra, packages in found["packages"].items():
        missing = [name for name, version in packages.items() if version is None]
        have = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        fix = f"; missing {', '.join(missing)}: pip install 'agentloop-toolkit[{extra}]'" if missing else ""
        said.append(f"{extra:>8}: {have or 'nothing'}{fix}")
    for guard, held in found["guards"]["sql"].items():
        said.append(f"     sql: {'holds' if held else 'DOES NOT HOLD'}: {guard}")
    for name, layer in found["guards"]["code"].items():
        said.append(
            f"    code: {name}: {layer['detail'] if layer['available'] else 'MISSING: ' + layer['detail']}"
        )
    browser = found["browser"]
    said.append(f"     web: {browser['path'] or 'no browser: ' + browser['why']}")
    for name, held in browser.get("layers", {}).items():
        said.append(f"     web: {name}: {'holds' if held else 'MISSING'}: {LAYERS[name]}")
    for name, answer in found["models"].items():
        said.append(
            f"   model: {name} {'answers' if answer['answers'] else 'does not answer: ' + answer['why']}"
        )
    said.append(f"    keys: {', '.join(found['keys']) or 'none in the environment'}")
    return said
