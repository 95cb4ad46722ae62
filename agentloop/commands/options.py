"""The options that several commands of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Option(
        help="local/tiny, local/PATH of a checkpoint, any LiteLLM name, or FILE.py:NAME of your own"
    ),
]
Tasks = Annotated[
    str,
    typer.Option(
        help="JSON Lines, one Task a line; or tiny:train, tiny:dev, tiny:test, code:small, humaneval:PATH, "
        "mbpp:PATH, shop:dev[:COUNT], miniwob:NAME[,NAME][:SEEDS] with seeds such as 20 (so many), 5-9 or 1,4"
    ),
]
Environment = Annotated[
    str,
    typer.Option(
        help="sql, code (code:full or code:any ask for other isolation), web, none, or FILE.py:NAME"
    ),
]
Database = Annotated[Path | None, typer.Option(help="a SQLite file, or a folder of them")]
Critic = Annotated[str, typer.Option(help="auto, execution, tiny, model:NAME, or FILE.py:NAME of your own")]
Level = Annotated[
    str, typer.Option(help="how much the execution critic says: unary, binary, located, explained")
]
MemoryFolder = Annotated[
    Path | None, typer.Option("--memory", help="folder of a memory, made if it is not there")
]
Policy = Annotated[
    str,
    typer.Option(help="how --memory keeps and recalls: corrections, preferences, episodic (with --reflect)"),
]
HoldOut = Annotated[
    float | None,
    typer.Option(
        help="share of the recalls of a correction to withhold, such as 0.1, so that its worth can be told"
    ),
]
Gated = Annotated[
    bool,
    typer.Option(
        "--gate",
        help="let into --memory only what has evidence, as candidates for 'agentloop memory replay'",
    ),
]
EmbedderName = Annotated[
    str,
    typer.Option(help="embedder of --memory: hashing, minilm:FOLDER, litellm:NAME, or FILE.py:NAME"),
]
Attempts = Annotated[int, typer.Option(help="the most attempts at a task")]
MaxSteps = Annotated[
    int | None, typer.Option(help="the most actions of one attempt: 1, on web pages 15, unless given")
]
Observation = Annotated[
    str | None, typer.Option(help="what is shown of a web page: axtree (unless given), dom, text, screenshot")
]
Screenshots = Annotated[
    bool, typer.Option("--screenshots", help="keep a picture of the page at every step in OUT/screenshots")
]
Sees = Annotated[bool, typer.Option("--sees", help="the model sees pictures, whatever LiteLLM knows of it")]
Watch = Annotated[
    bool, typer.Option("--watch", help="show in the terminal what each agent does, as it does it")
]
ReflectFlag = Annotated[
    bool, typer.Option("--reflect", help="let the model write itself a note after a failure")
]
Writes = Annotated[bool, typer.Option("--writes", help="let SQL write, each attempt on a copy of its own")]
Temperature = Annotated[float, typer.Option(help="0 is greedy")]
MaxTokens = Annotated[int, typer.Option(help="the most tokens of one reply")]
ApiBase = Annotated[str | None, typer.Option(help="address of an OpenAI-compatible server")]
Count = Annotated[int | None, typer.Option(help="take only so many of the tasks")]
Concurrency = Annotated[int, typer.Option(help="trajectories that run at once")]
Seed = Annotated[int, typer.Option(help="every model call gets a seed of its own from it")]
Calls = Annotated[int | None, typer.Option(help="budget: the most model calls of all roles")]
Tokens = Annotated[int | None, typer.Option(help="budget: the most tokens")]
Dollars = Annotated[float | None, typer.Option(help="budget: the most dollars")]
Seconds = Annotated[float | None, typer.Option(help="budget: the most seconds of one start")]
Out = Annotated[Path, typer.Option(help="folder to write to; a run that was cut off goes on there")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="forecast the most it can spend, and run nothing")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object instead of text")]
