"""The command line: ``agentloop run | evaluate | compare | export | train | memory | doctor | demo``.

Results go to standard output, talk to standard error. Exit codes: 0 done; 1 it failed while running;
2 the input is wrong; 3 the budget was spent before the end; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from agentloop.commands import given
from agentloop.commands.memory_command import memory_app
from agentloop.commands.options import (
    ApiBase,
    Attempts,
    Calls,
    Concurrency,
    Count,
    Critic,
    Database,
    Dollars,
    DryRun,
    EmbedderName,
    Environment,
    Gated,
    HoldOut,
    Json,
    Level,
    MaxSteps,
    MaxTokens,
    MemoryFolder,
    Model,
    Observation,
    Out,
    Policy,
    ReflectFlag,
    Screenshots,
    Seconds,
    Seed,
    Sees,
    Tasks,
    Temperature,
    Tokens,
    Watch,
    Writes,
)
from agentloop.commands.proving_command import graduate, replay
from agentloop.commands.train_command import train
from agentloop.errors import AgentloopError, BadInput, MissingExtra
from agentloop.version import __version__

FAILED, WRONG, INTERRUPTED = 1, 2, 130
DOCTORED = ["local/tiny"]

app = typer.Typer(
    help="Agents that improve from feedback in words: they retry, then remember, then are trained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
memory_app.command("graduate")(graduate)
memory_app.command("replay")(replay)
app.add_typer(memory_app, name="memory")
app.command()(train)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"agentloop {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    return None


@app.command()
def run(
    tasks: Tasks,
    out: Out,
    model: Model = "local/tiny",
    environment: Environment = "sql",
    database: Database = None,
    critic: Critic = "auto",
    level: Level = "explained",
    memory: MemoryFolder = None,
    embedder: EmbedderName = "hashing",
    policy: Policy = "corrections",
    hold_out: HoldOut = None,
    gate: Gated = False,
    attempts: Attempts = 3,
    samples: Annotated[int, typer.Option(help="trajectories of each task")] = 1,
    max_steps: MaxSteps = None,
    observation: Observation = None,
    screenshots: Screenshots = False,
    sees: Sees = False,
    reflect: ReflectFlag = False,
    writes: Writes = False,
    temperature: Temperature = 1.0,
    max_tokens: MaxTokens = 256,
    api_base: ApiBase = None,
    count: Count = None,
    concurrency: Concurrency = 16,
    seed: Seed = 0,
    budget_calls: Calls = None,
    budget_tokens: Tokens = None,
    budget_dollars: Dollars = None,
    budget_seconds: Seconds = None,
    watch: Watch = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Run tasks through an agent that reflects and retries, and keep everything in a folder."""
    from agentloop.commands import running

    pictures = out / "screenshots" if screenshots or observation == "screenshot" else None
    wanted = given.wanted({**locals(), "screenshots": pictures})
    budget = given.budget(budget_calls, budget_tokens, budget_dollars, budget_seconds)
    settings: dict[str, Any] = {
        "samples": samples,
        "concurrency": concurrency,
        "seed": seed,
        "budget": budget,
    }
    asked = running.Asked(tasks=tasks, count=count, out=out, dry=dry_run, watch=watch, as_json=json)
    if not running.run(wanted, asked, settings=settings):
        raise typer.Exit(given.UNFINISHED)


@app.command()
def evaluate(
    tasks: Tasks,
    out: Out,
    model: Model = "local/tiny",
    environment: Environment = "sql",
    database: Database = None,
    critic: Critic = "auto",
    level: Level = "explained",
    memory: MemoryFolder = None,
    embedder: EmbedderName = "hashing",
    policy: Policy = "corrections",
    hold_out: HoldOut = None,
    teach: Annotated[str | None, typer.Option(help="tasks that the memory learns from first")] = None,
    teach_count: Annotated[int | None, typer.Option(help="take only so many of those")] = None,
    conditions: Annotated[
        str | None, typer.Option(help="only these, such as first,verbal; 'first' alone measures the memory")
    ] = None,
    attempts: Attempts = 3,
    max_steps: MaxSteps = None,
    reflect: ReflectFlag = False,
    writes: Writes = False,
    temperature: Temperature = 1.0,
    max_tokens: MaxTokens = 256,
    api_base: ApiBase = None,
    count: Count = None,
    concurrency: Concurrency = 16,
    seed: Seed = 0,
    budget_calls: Calls = None,
    budget_tokens: Tokens = None,
    budget_dollars: Dollars = None,
    budget_seconds: Seconds = None,
    json: Json = False,
) -> None:
    """Measure what feedback in words is worth beside its controls, on the same tasks."""
    from agentloop.commands import running

    wanted = given.wanted(locals())
    budget = given.budget(budget_calls, budget_tokens, budget_dollars, budget_seconds)
    settings: dict[str, Any] = {"concurrency": concurrency, "seed": seed, "budget": budget}
    asked = running.Measured(
        tasks=tasks,
        count=count,
        out=out,
        teach=teach,
        teach_count=teach_count,
        conditions=conditions,
        as_json=json,
    )
    running.evaluate(wanted, asked, settings=settings)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="folder of a run")],
    second: Annotated[Path, typer.Argument(help="folder of the run that may be better")],
    json: Json = False,
) -> None:
    """Say whether the second run is better than the first, paired by task."""
    from agentloop.commands.building import write_json
    from agentloop.commands.telling import tell
    from agentloop.evaluation import compare as compare_runs

    comparison = compare_runs(first, second)
    if json:
        write_json(comparison.to_dict())
    else:
        tell(comparison.summary())


@app.command()
def export(
    folder: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="folder of a run; without it, what could be written")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="a training method; 'agentloop export' alone lists them")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(help="tokens, trl, verl, openai, llama-factory, axolotl, ms-swift, openrlhf"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the rows and their card")] = None,
    split: Annotated[str | None, typer.Option(help="tasks of this split only: train or dev")] = None,
    min_score: Annotated[
        float | None, typer.Option(help="supervised rows only of attempts that scored as much")
    ] = None,
    distinct: Annotated[bool, typer.Option("--distinct", help="write equal rows once")] = False,
    max_tokens: Annotated[
        int | None, typer.Option(help="leave out longer rows; counted with --tokenizer")
    ] = None,
    with_grader_data: Annotated[
        bool, typer.Option("--with-grader-data", help="write hidden data into verl's ground_truth")
    ] = False,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="local/tiny or a folder: for text in format tokens, lengths and prompt checks"),
    ] = None,
    licence: Annotated[str, typer.Option(help="what the card says of the data's licence")] = "unknown",
    push: Annotated[
        str | None, typer.Option(help="upload to this data set of the Hugging Face hub, private if new")
    ] = None,
    yes_push: Annotated[bool, typer.Option("--yes-push", help="the rows may leave this machine")] = False,
    json: Json = False,
) -> None:
    """Write the rows that a training method learns from, in a trainer's format."""
    from agentloop.commands import exporting
    from agentloop.export import Filters

    wanted = exporting.Wanted(
        method=method,
        format=format,
        out=out,
        filters=Filters(
            split=split,  # type: ignore[arg-type]
            min_score=min_score,
            distinct=distinct,
            max_tokens=max_tokens,
        ),
        with_grader_data=with_grader_data,
        tokenizer=tokenizer,
        licence=licence,
        command=shlex.join(["agentloop", *sys.argv[1:]]),
        push=push,
        yes_push=yes_push,
    )
    exporting.export(folder, wanted, as_json=json)


@app.command()
def doctor(
    model: Annotated[list[str], typer.Option(help="a model to ask; may be given several times")] = DOCTORED,
    json: Json = False,
) -> None:
    """Say what is installed, which guards hold, and which models answer."""
    from agentloop.commands import doctor as examining
    from agentloop.commands.building import write_json
    from agentloop.commands.telling import tell

    found = examining.examine(model)
    if json:
        write_json(found)
    else:
        tell("\n".join(examining.lines(found)))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="folder to write to, anew for every seed")] = Path("demo"),
    tasks: Annotated[
        int, typer.Option(help="held-out tasks of the embedded model's locked test split")
    ] = 600,
    seed: Annotated[int, typer.Option(help="draws the model's samples")] = 11,
    json: Json = False,
) -> None:
    """Show the whole loop offline with the embedded model: retry, conditions, memory, export."""
    from agentloop.commands import demo as showing

    showing.demo(out, count=tasks, seed=seed, as_json=json)


def main() -> None:
    """Run the command line; an error is told in one line, with its remedy."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except (BadInput, MissingExtra) as error:
        sys.exit(_told(error, WRONG))
    except AgentloopError as error:
        sys.exit(_told(error, FAILED))
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            sys.stderr.write("interrupted; the same command goes on where it stopped\n")
            sys.stderr.flush()
            # A model may be in the middle of a batch in its thread. Nothing is lost by not waiting for it:
            # what is done is in the journal.
            os._exit(INTERRUPTED)
        raise


def _told(error: Exception, code: int) -> int:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    return code


if __name__ == "__main__":
    main()
