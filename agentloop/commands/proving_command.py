"""The options of ``agentloop memory graduate | replay``, which try tasks with and without corrections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from agentloop.commands import given
from agentloop.commands.options import (
    ApiBase,
    Calls,
    Concurrency,
    Count,
    Critic,
    Database,
    Dollars,
    EmbedderName,
    Environment,
    Json,
    Level,
    MaxSteps,
    MaxTokens,
    Model,
    Out,
    Seconds,
    Seed,
    Tasks,
    Temperature,
    Tokens,
    Writes,
)

Folder = Annotated[Path, typer.Argument(help="folder of a memory")]


def graduate(
    folder: Folder,
    tasks: Tasks,
    out: Out,
    model: Model = "local/tiny",
    environment: Environment = "sql",
    database: Database = None,
    critic: Critic = "auto",
    level: Level = "explained",
    max_steps: MaxSteps = None,
    writes: Writes = False,
    temperature: Temperature = 0.0,
    max_tokens: MaxTokens = 256,
    api_base: ApiBase = None,
    count: Count = None,
    concurrency: Concurrency = 16,
    seed: Seed = 0,
    budget_calls: Calls = None,
    budget_tokens: Tokens = None,
    budget_dollars: Dollars = None,
    budget_seconds: Seconds = None,
    minimum: Annotated[int, typer.Option(help="held-out tasks that must have tried a correction")] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be retired; mark none")] = False,
    json: Json = False,
) -> None:
    """Retire corrections that training has absorbed: held-out tasks pass as often without them."""
    from agentloop.commands import graduating

    wanted = given.wanted({**locals(), "memory": None, "attempts": 1, "reflect": False})
    budget = given.budget(budget_calls, budget_tokens, budget_dollars, budget_seconds)
    settings: dict[str, Any] = {"concurrency": concurrency, "seed": seed, "budget": budget}
    asked = graduating.Asked(folder=folder, tasks=tasks, count=count, out=out, minimum=minimum, dry=dry_run)
    if not graduating.graduate(wanted, asked, settings=settings, as_json=json):
        raise typer.Exit(given.UNFINISHED)


def replay(
    folder: Folder,
    tasks: Tasks,
    out: Out,
    id: Annotated[
        list[str] | None,
        typer.Option(help="a correction, or how its id begins; all candidates without"),
    ] = None,
    model: Model = "local/tiny",
    environment: Environment = "sql",
    database: Database = None,
    critic: Critic = "auto",
    level: Level = "explained",
    embedder: EmbedderName = "hashing",
    max_steps: MaxSteps = None,
    writes: Writes = False,
    temperature: Temperature = 0.0,
    max_tokens: MaxTokens = 256,
    api_base: ApiBase = None,
    count: Count = None,
    alpha: Annotated[
        float, typer.Option(help="the chance at which one that does nothing may be called helpful")
    ] = 0.01,
    most: Annotated[int, typer.Option(help="the most tasks that one correction is tried on")] = 24,
    concurrency: Concurrency = 16,
    seed: Seed = 0,
    budget_calls: Calls = None,
    budget_tokens: Tokens = None,
    budget_dollars: Dollars = None,
    budget_seconds: Seconds = None,
    json: Json = False,
) -> None:
    """Try candidates: the same tasks with and without each; active if it helps, quarantined if it harms."""
    from agentloop.commands import replaying

    wanted = given.wanted({**locals(), "memory": None, "attempts": 1, "reflect": False})
    budget = given.budget(budget_calls, budget_tokens, budget_dollars, budget_seconds)
    settings: dict[str, Any] = {"concurrency": concurrency, "seed": seed, "budget": budget}
    settings |= {"alpha": alpha, "most": most}
    asked = replaying.Asked(folder=folder, ids=tuple(id or ()), tasks=tasks, count=count, out=out)
    if not replaying.replay_all(wanted, asked, settings=settings, as_json=json):
        raise typer.Exit(given.UNFINISHED)
