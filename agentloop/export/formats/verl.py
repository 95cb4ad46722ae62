"""Format verl: Parquet with the five columns of verl's data sets.

``prompt`` is the conversation before an answer of the agent; the answer itself is in ``extra_info``, where
verl's SFT reads it with ``data.prompt_key=extra_info data.prompt_dict_keys=[question]
data.response_key=extra_info data.response_dict_keys=[answer]``. That reader shows the question as one
user message, so ``question`` is null where the prompt is more than that, and verl stops there instead
of training under another prompt. ``ground_truth`` is empty unless grader data is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentloop.errors import MissingExtra
from agentloop.export.formats.conversations import turns
from agentloop.export.formats.format import Carried, Carrying, Format
from agentloop.export.rows import (
    ContextRow,
    CriticRow,
    GroupRow,
    PreferenceRow,
    SftRow,
    SftTokensRow,
    UnpairedRow,
    to_values,
)
from agentloop.types import Message

COLUMNS = ("data_source", "prompt", "ability", "reward_model", "extra_info")
BATCH = 1000
"""Rows that are in memory at a time; each batch is one row group of the file."""


def sft(row: SftRow, carrying: Carrying) -> Iterator[dict[str, Any]]:
    """One line for each trained message, with the answer in ``extra_info``."""
    task = carrying.group.task
    truth = json.dumps(task.hidden, ensure_ascii=False, sort_keys=True) if carrying.with_grader_data else ""
    for index, (prompt, completion) in enumerate(turns(row.messages)):
        meta = to_values(row.meta)
        yield {
            "data_source": str(task.public.get("data_source", "agentloop")),
            "prompt": prompt,
            "ability": str(task.public.get("ability", "")),
            "reward_model": {"style": "rule", "ground_truth": truth},
            "extra_info": {
                "split": task.split or "train",
                "index": index,
                "question": _question(prompt),
                "answer": completion[0]["content"],
                **{name: meta[name] for name in _FROM_META},
            },
        }


@contextmanager
def open_parquet(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that writes each line, a batch at a time; the same lines give the same bytes."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("format verl", "pyarrow", "train") from error
    schema, batch = _schema(), list[dict[str, Any]]()
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:

        def write(line: dict[str, Any]) -> None:
            batch.append(line)
            if len(batch) == BATCH:
                flush()

        def flush() -> None:
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
            batch.clear()

        yield write
        if batch:
            flush()


def _schema() -> Any:
    import pyarrow

    text, texts = pyarrow.string(), pyarrow.list_(pyarrow.string())
    message = pyarrow.struct([("role", text), ("content", text)])
    kinds = {"attempts": texts, "models": texts, "policies": texts, "privileged": pyarrow.bool_()}
    extra = [("split", text), ("index", pyarrow.int64()), ("question", text), ("answer", text)]
    return pyarrow.schema(
        [
            ("data_source", text),
            ("prompt", pyarrow.list_(message)),
            ("ability", text),
            ("reward_model", pyarrow.struct([("style", text), ("ground_truth", text)])),
            ("extra_info", pyarrow.struct([*extra, *((name, kinds.get(name, text)) for name in _FROM_META)])),
        ]
    )


def _question(prompt: list[Message]) -> str | None:
    return prompt[0]["content"] if len(prompt) == 1 and prompt[0]["role"] == "user" else None


_FROM_META = (
    "method",
    "run",
    "task_id",
    "group_id",
    "attempts",
    "models",
    "policies",
    "label_source",
    "privileged",
)
_TOKENS = "use --format tokens and agentloop's trainer"
_TRL = "use --format trl"

FORMAT = Format(
    name="verl",
    about="Parquet for verl: data_source, prompt, ability, reward_model, extra_info",
    carries={SftRow: Carried("sft", sft)},
    refuses={
        GroupRow: f"verl draws its own samples and has no place for logged ones; {_TOKENS}",
        SftTokensRow: f"verl's columns hold text, not token ids; {_TRL}",
        PreferenceRow: f"verl has no trainer that reads pairs; {_TRL}",
        UnpairedRow: f"verl has no trainer that reads labelled answers; {_TRL}",
        CriticRow: f"verl's columns have no place for a critique; {_TRL}",
        ContextRow: f"verl has no trainer that reads a privileged context; {_TRL}",
    },
    lacks={
        "weights": f"verl reads no weight of a row; {_TOKENS}",
        "others' words": f"verl trains the answer alone; {_TRL}",
    },
    open=open_parquet,
    suffix=".parquet",
    training={
        "sft": "verl's SFT with `data.prompt_key=extra_info data.prompt_dict_keys=[question] "
        "data.response_key=extra_info data.response_dict_keys=[answer]`; its RL reads `prompt`."
    },
)
