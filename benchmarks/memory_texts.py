"""Real sentences for the memory's benchmarks, and their vectors by an embedder, kept in a file.

The sentences are those of the data sets that AGENTLOOP_DATA names (critiques, reflections, tasks, chats,
replies), then those of the docstrings of the Python packages that are installed. None is made by a rule.
"""

from __future__ import annotations

import ast
import json
import random
import re
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agentloop.memories import Embedder
from agentloop.memories.embedding import Vectors, checked, identify
from agentloop.types import digest

_SHORTEST, _LONGEST = 20, 160
_AT_ONCE = 2048


def sentences(count: int, *, data: Path) -> list[str]:
    """``count`` distinct sentences in random order, the same for the same data and packages."""
    found: dict[str, None] = {}
    for text in _texts(data):
        found.update(dict.fromkeys(_cut(text)))
        if len(found) >= 4 * count:
            break
    own = len(found)
    for text in _docstrings(Path(sysconfig.get_paths()["purelib"])):
        if len(found) >= max(count, own):
            break
        found.update(dict.fromkeys(_cut(text)))
    if len(found) < count:
        raise SystemExit(f"only {len(found)} sentences are at hand, {count} were asked for")
    ordered = sorted(found)
    random.Random(0).shuffle(ordered)
    return ordered[:count]


def vectors(texts: list[str], embedder: Embedder, *, kept: Path) -> Vectors:
    """The vectors of ``texts``, from files in the folder ``kept`` where they were made before."""
    kept.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(texts), _AT_ONCE):
        part = texts[start : start + _AT_ONCE]
        file = kept / f"{digest(str(identify(embedder)), *part)[:16]}.npy"
        if not file.is_file():
            np.save(file, checked(embedder(part), len(part)))
        parts.append(np.load(file))
    return np.concatenate(parts)


class TorchMiniLM:
    """The same model as MiniLMEmbedder, in bfloat16 through transformers: twice as fast for many texts."""

    version = "1"
    name = "minilm/bfloat16"
    dimension = 384

    def __init__(self, folder: str | Path) -> None:
        import torch
        import transformers

        transformers.utils.logging.disable_progress_bar()
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._model = transformers.AutoModel.from_pretrained(folder).eval().to(torch.bfloat16)

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 for each text."""
        import torch

        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(order), 128):
            places = order[start : start + 128]
            batch = self._tokenizer(
                [texts[place] for place in places],
                padding=True,
                truncation=True,
                max_length=256,
                return_tensors="pt",
            )
            with torch.inference_mode():
                hidden = self._model(**batch).last_hidden_state.float()
            mask = batch["attention_mask"][..., None].float()
            rows[places] = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
        return checked(rows, len(texts))


def _texts(data: Path) -> Iterator[str]:
    for path in sorted(data.rglob("*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.strip():
                yield from _strings(json.loads(line))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _docstrings(packages: Path) -> Iterator[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in sorted(packages.rglob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                # A paragraph is wrapped to the width of a page; its sentences are not lines.
                yield re.sub(r"\n(?!\s*\n)", " ", ast.get_docstring(node) or "")


def _cut(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for part in re.split(r"(?<=[.!?])\s+", line):
            sentence = " ".join(part.split())
            letters = sum(letter.isalpha() for letter in sentence)
            if _SHORTEST <= len(sentence) <= _LONGEST and 2 * letters >= len(sentence):
                yield sentence
