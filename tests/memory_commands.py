"""``agentloop memory ...`` as tests call it, and a memory for it to look at."""

import asyncio
import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from agentloop.cli import app
from agentloop.memories import CorrectionMemory
from agentloop.types import Correction, Source

ROOT = Path(__file__).parent.parent
FEW = Correction(
    id="fewfewfewfew",
    text="at acme, a few means 7 rows",
    applies_when="house=acme",
    source=Source(run="r", trajectory="t#0", attempt=1, quote="a few means 7 rows"),
)
NASTY = "list \x1b[31mred\x1b[0m [bold]boats[/bold]\nby length, and " + "on " * 60 + "\u202e日本語" * 9


def memory(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> Result:
    return CliRunner().invoke(app, ["memory", *arguments], env={"COLUMNS": "80", **(env or {})}, **options)


def done(*arguments: str, **options: Any) -> str:
    """What a command prints; it must end well."""
    result = memory(*arguments, **options)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def told(*arguments: str) -> Any:
    return json.loads(done(*arguments, "--json"))


def refused(*arguments: str, **options: Any) -> Exception:
    error = memory(*arguments, **options).exception
    assert isinstance(error, Exception)
    return error


def filled(folder: Path, *corrections: Correction) -> str:
    async def fill() -> None:
        for each in corrections:
            await opened.record(each)

    with CorrectionMemory(folder) as opened:
        asyncio.run(fill())
    return str(folder)
