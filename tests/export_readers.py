"""What each trainer would read from an exported file, as far as its documents tell: a reader a format.

A reader checks a line against the documented form and gives what would be trained under what: pairs of
the messages before an answer and the answer, for supervised rows; answers alone for the others. The forms
are those named at the top of each file in agentloop/export/formats; they were written down from the
documentation and the loading code of the trainers, not by running them, except TRL, which
tests/test_export_trl.py runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from agentloop.export import FORMATS
from tests.export_logs import decode, lines


class Read(NamedTuple):
    """What a trainer makes of one line: its kind, what is trained, and where the row comes from."""

    kind: str
    trained: tuple[str, ...]
    meta: dict[str, Any]


Reader: TypeAlias = Callable[[dict[str, Any]], Iterator[tuple[str, tuple[str, ...]]]]


def read(format: str, folder: Path, files: list[str]) -> list[Read]:
    """All lines of the export as the trainer of that format reads them."""
    found = []
    for file in files:
        for line, meta in _lines(format, folder / file):
            assert meta["attempts"]
            for kind, trained in READERS[format](line):
                assert trained
                assert all(trained)
                found.append(Read(kind, trained, meta))
    return found


def _lines(format: str, path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    if path.suffix == ".parquet":
        import pyarrow.parquet

        for line in pyarrow.parquet.read_table(path).to_pylist():
            yield line, line["extra_info"]
        return
    found = lines(path)
    metas = lines(path.with_name(f"{path.stem}.meta.jsonl")) if FORMATS[format].apart else found
    assert len(found) == len(metas)
    assert len({frozenset(line) for line in found}) == 1, "datasets reads lines of one shape"
    for line, meta in zip(found, metas, strict=True):
        yield line, meta if FORMATS[format].apart else meta["meta"]


def _messages(messages: Any, *keys: str) -> list[dict[str, Any]]:
    assert isinstance(messages, list)
    assert messages
    for message in messages:
        assert set(message) <= {"role", "content", *keys}
        assert message["role"] in ("system", "user", "assistant")
        assert isinstance(message["content"], str)
    assert all(message["role"] != "system" for message in messages[1:])
    return messages


def _contents(messages: Any, *keys: str) -> tuple[str, ...]:
    return tuple(message["content"] for message in _messages(messages, *keys))


def _alternate(roles: list[str], user: str, assistant: str) -> None:
    said = roles[1:] if roles[0] == "system" else roles
    assert all(role == (user, assistant)[index % 2] for index, role in enumerate(said))


def tokens(line: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """agentloop's own trainer."""
    assert len(line["input_ids"]) == len(line["labels"]) == len(line["weights"])
    assert line["labels"][0] == -100, "nothing foretells the first token"
    yield "tokens", (decode([each for each in line["labels"] if each != -100]),)


def trl(line: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """TRL 1.16: SFT, DPO, KTO and SDPO trainers, by their columns."""
    keys = set(line) - {"meta"}
    if keys == {"prompt", "chosen", "rejected"}:
        _messages(line["prompt"])
        yield "pair", (*_contents(line["chosen"]), *_contents(line["rejected"]))
    elif keys == {"prompt", "privileged_context"}:
        assert _messages(line["prompt"])[-1]["role"] == "user"
        yield "context", (line["privileged_context"],)
    elif keys == {"messages"}:
        yield "whole", _contents(line["messages"])
    else:
        assert keys in ({"prompt", "completion"}, {"prompt", "completion", "label"})
        _messages(line["prompt"])
        (answer,) = _messages(line["completion"])
        assert answer["role"] == "assistant"
        yield "label" if "label" in keys else "sft", (answer["content"],)


def verl(line: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """verl's data sets: five columns; the answer in extra_info."""
    assert set(line) == {"data_source", "prompt", "ability", "reward_model", "extra_info"}
    assert line["reward_model"] == {"style": "rule", "ground_truth": ""}
    _messages(line["prompt"])
    yield "sft", (line["extra_info"]["answer"],)


def openai(line: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """OpenAI's fine-tuning files: no other keys, weight 0 or 1 on the assistant's messages only."""
    if "input" in line:
        assert set(line) == {"input", "preferred_output", "non_preferred_output"}
        assert set(line["input"]) == {"messages"}
        _messages(line["input"]["messages"])
        sides = (line["preferred_output"], line["non_preferred_output"])
        assert all(message["role"] == "assistant" for side in sides for message in _messages(side))
        yield "pair", tuple(side[0]["content"] for side in sides)
        return
    assert set(line) == {"messages"}
    messages = _messages(line["messages"], "weight")
    assert messages[-1]["role"] == "assistant"
    for message in messages:
        assert ("weight" in message) == (message["role"] == "assistant")
        assert message.get("weight", 0) in (0, 1)
    yield "sft", tuple(message["content"] for message in messages if message.get("weight") == 1)


def llama_factory(line: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """LLaMA-Factory's sharegpt converter: rows out of turn are dropped; every gpt turn is trained."""
    turns = line["conversations"]
    assert all(set(turn) == {"from", "value"} for turn in turns)
    _alternate([turn["from"] for turn in turns], "human", "gpt")
    said = [turn for turn in turns if turn["from"] != "system"]
    if "chosen" in line:
        assert len(said) % 2 == 1
        assert line["chosen"]["from"] == line["rejected"]["from"] == "gpt"
        yield "pair", (line["chosen"]["value"], line["rejected"]["value"])
        return
    assert len(said) % 2 == 0
    if "kto_tag" in line:
        assert isinstance(line["kto_tag"], bool)
        yield "label", (said[-1]["value"],)
        return
    yield "sft", tuple(turn["value"] for turn in said if turn["from"] == "gpt")


def axolotl(line: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """axolotl's chat_template, chat_template.default for pairs, chatml.ultra for labelled answers."""
    if "label" in line:
        assert isinstance(line["label"], bool)
        assert all(isinstance(line[key], str) for key in ("system", "prompt", "completion"))
        yield "label", (line["completion"],)
    elif "chosen" in line:
        _messages(line["messages"])
        assert line["chosen"]["role"] == line["rejected"]["role"] == "assistant"
        yield "pair", (line["chosen"]["content"], line["rejected"]["content"])
    else:
        messages = _messages(line["messages"], "train")
        assert all(isinstance(message["train"], bool) for message in messages)
        assert messages[-1]["train"], "axolotl warns of a last turn that is not trained"
        whole = all(message["train"] for message in messages)
        yield (
            "whole" if whole else "sft",
            tuple(message["content"] for message in messages if message["train"]),
        )


def ms_swift(line: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """ms-swift's standard form: loss of the assistant's messages decides; a pair must differ."""
    messages = _messages(line["messages"], "loss")
    _alternate([message["role"] for message in messages], "user", "assistant")
    assert messages[-1]["role"] == "assistant"
    for message in messages:
        assert ("loss" in message) == (message["role"] == "assistant")
    trained = tuple(message["content"] for message in messages if message.get("loss"))
    if "rejected_response" in line:
        assert line["rejected_response"] != messages[-1]["content"]
        yield "pair", (*trained, line["rejected_response"])
    elif "label" in line:
        assert isinstance(line["label"], bool)
        yield "label", trained
    else:
        yield "sft", trained


def openrlhf(line: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """OpenRLHF with a chat template: lists of messages that are put one after the other."""
    if "chosen" in line:
        assert line["prompt"] + line["chosen"]
        _messages(line["prompt"])
        yield "pair", (*_contents(line["chosen"]), *_contents(line["rejected"]))
        return
    _messages(line["input"] + line["output"])
    (answer,) = line["output"]
    assert answer["role"] == "assistant"
    yield "label" if "label" in line else "sft", (answer["content"],)


READERS: dict[str, Reader] = {
    "tokens": tokens,
    "trl": trl,
    "verl": verl,
    "openai": openai,
    "llama-factory": llama_factory,
    "axolotl": axolotl,
    "ms-swift": ms_swift,
    "openrlhf": openrlhf,
}


def beside(format: str, folder: Path, files: list[str]) -> None:
    """Check the files that a trainer finds the rows by."""
    if format == "llama-factory":
        described = json.loads((folder / "dataset_info.json").read_text())
        assert sorted(each["file_name"] for each in described.values()) == sorted(files)
        for each in described.values():
            first = lines(folder / each["file_name"])[0]
            assert set(each["columns"].values()) == set(first) - {"meta"}
            assert each["formatting"] == "sharegpt"
            assert each.get("ranking", False) == ("chosen" in first)
    if format == "axolotl":
        import yaml

        stanzas = [yaml.safe_load(path.read_text()) for path in folder.glob("axolotl.*.yaml")]
        assert sorted(stanza["datasets"][0]["path"] for stanza in stanzas) == sorted(files)
