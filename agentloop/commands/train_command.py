"""The options of ``agentloop train``; what it does is in training.py beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from agentloop.commands.options import (
    ApiBase,
    Concurrency,
    Critic,
    Database,
    Environment,
    Json,
    Level,
    MaxSteps,
    Model,
    Seed,
    Temperature,
    Writes,
)

Method = Annotated[str, typer.Option(help="rltf-sd, critique-grpo, grpo, raft, sft, dpo ...")]
Practise = Annotated[
    str | None, typer.Option("--tasks", help="practise on these: JSON Lines, or tiny:train[:HOUSE]")
]
Data = Annotated[Path | None, typer.Option(help="learn from the log of this run instead")]
Out = Annotated[Path, typer.Option(help="folder for checkpoint, log, rollouts and proof; new or empty")]
HeldOut = Annotated[str | None, typer.Option(help="measure first tries on these tasks, before and after")]
RecipeName = Annotated[
    str | None, typer.Option("--recipe", help="published, or tiny (the default for local/tiny)")
]
Resume = Annotated[bool, typer.Option("--resume", help="go on with the training in --out")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what it would need, and train nothing")]
Tracker = Annotated[list[str] | None, typer.Option(help="tensorboard, wandb or mlflow; several if you like")]
Sampler = Annotated[
    str | None, typer.Option(help="a served model draws the rollouts, as hosted_vllm/NAME with --api-base")
]
Publish = Annotated[
    str | None, typer.Option(help="command run after each step with a folder of the weights as last argument")
]
Checkpointing = Annotated[bool, typer.Option("--gradient-checkpointing", help="less memory, more time")]
Cpu = Annotated[bool, typer.Option("--cpu", help="leave the GPU alone")]


def train(
    method: Method,
    out: Out,
    model: Model = "local/tiny",
    tasks: Practise = None,
    data: Data = None,
    held_out: HeldOut = None,
    count: Annotated[int | None, typer.Option(help="take only so many tasks to practise on")] = None,
    held_out_count: Annotated[int | None, typer.Option(help="take only so many held-out tasks")] = None,
    recipe: RecipeName = None,
    steps: Annotated[int | None, typer.Option(help="batches; 20, or as many as hold a log once")] = None,
    completions: Annotated[int | None, typer.Option(help="the most replies that are sampled")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="instead of the recipe's")] = None,
    tasks_per_step: Annotated[int | None, typer.Option(help="instead of the recipe's")] = None,
    samples: Annotated[
        int | None, typer.Option(help="rollouts of each task, instead of the recipe's")
    ] = None,
    rows: Annotated[int, typer.Option(help="logged rows of each step")] = 64,
    lora_rank: Annotated[int, typer.Option(help="train LoRA matrices of this rank; 0 trains all")] = 0,
    precision: Annotated[str, typer.Option(help="auto, bf16 or no")] = "auto",
    micro_batch: Annotated[int, typer.Option(help="tokens that pass through the model at once")] = 8192,
    gradient_checkpointing: Checkpointing = False,
    schedule: Annotated[str, typer.Option(help="constant, linear or cosine")] = "constant",
    warmup: Annotated[int, typer.Option(help="steps over which the learning rate rises")] = 0,
    tracker: Tracker = None,
    environment: Environment = "sql",
    database: Database = None,
    critic: Critic = "auto",
    level: Level = "explained",
    max_steps: MaxSteps = 1,
    writes: Writes = False,
    temperature: Temperature = 1.0,
    max_tokens: Annotated[int, typer.Option(help="the most tokens of one reply")] = 256,
    sampler: Sampler = None,
    publish: Publish = None,
    api_base: ApiBase = None,
    concurrency: Concurrency = 64,
    seed: Seed = 0,
    save_every: Annotated[int, typer.Option(help="steps between states to resume from")] = 5,
    cpu: Cpu = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train a model by a published method, and measure it before and after on held-out tasks."""
    from agentloop.commands import training
    from agentloop.commands.building import Wanted
    from agentloop.training import Settings

    given = locals()
    renamed: dict[str, Any] = {"tasks": tasks_per_step, "trackers": tuple(tracker or ())}
    renamed |= {"publish": training.publishing(publish), "threads": 1 if model == "local/tiny" else None}
    asked = training.Asked(**_named(training.Asked, given, dry=dry_run, as_json=json))
    wanted = Wanted(**_named(Wanted, given))
    training.run(asked, wanted, Settings(**_named(Settings, given, **renamed)))


def _named(record: Any, given: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    """The values for a record's fields among what was given, and others for those called otherwise."""
    names = [field.name for field in fields(record)]
    return {**{name: given[name] for name in names if name in given}, **others}
