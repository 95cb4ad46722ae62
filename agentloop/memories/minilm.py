"""The MiniLM sentence embedder, computed with numpy from a local folder: no torch, no download."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from agentloop.errors import BadInput, MissingExtra
from agentloop.memories.embedding import Vectors
from agentloop.types import digest

_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_ATTENDED = -1e9


class MiniLMEmbedder:
    """all-MiniLM-L6-v2, or another BERT of its shape, from ``folder`` (config, safetensors, tokenizer).

    The vector is the mean of the last layer over a text's tokens, brought to length 1. It finds
    paraphrases, which HashingEmbedder does not, at about 13 ms a text. Texts are cut at
    ``max_tokens``, which is what the model was trained on. Matrix products use numpy's BLAS with the
    threads it has: set OPENBLAS_NUM_THREADS=1 before Python starts to keep them on one.
    """

    def __init__(self, folder: str | Path, *, max_tokens: int = 256) -> None:
        self.folder = Path(folder)
        missing = [name for name in _FILES if not (self.folder / name).is_file()]
        if missing:
            raise BadInput(
                f"no MiniLM in {self.folder}: {', '.join(missing)} missing; give the folder with the model's "
                f"{', '.join(_FILES)}. Nothing is downloaded"
            )
        config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        if config.get("model_type") != "bert":
            raise BadInput(f"{self.folder} holds a model of type {config.get('model_type')!r}, not 'bert'")
        self._heads: int = config["num_attention_heads"]
        self._layers: int = config["num_hidden_layers"]
        self._epsilon: float = config["layer_norm_eps"]
        self._max_tokens = max_tokens
        self._loading = threading.Lock()
        self.dimension: int = config["hidden_size"]
        self.version = f"1-{_mark(self.folder / 'model.safetensors')}"
        self.name = f"minilm/{self._layers}x{self.dimension}/{max_tokens}"

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 for each text."""
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        with self._loading:
            encodings = [self._tokenizer.encode(_clean(text)) for text in texts]
        # Texts of like length share a batch, so that little is padded.
        order = sorted(range(len(texts)), key=lambda place: len(encodings[place].ids))
        for start in range(0, len(order), 32):
            places = order[start : start + 32]
            rows[places] = self._batch([encodings[place].ids for place in places])
        return rows

    def _batch(self, ids: Sequence[Sequence[int]]) -> Vectors:
        longest = max(len(each) for each in ids)
        tokens = np.zeros((len(ids), longest), dtype=np.int64)
        mask = np.zeros((len(ids), longest), dtype=np.float32)
        for row, each in enumerate(ids):
            tokens[row, : len(each)] = each
            mask[row, : len(each)] = 1.0
        hidden = self._embedded(tokens)
        barrier = (1.0 - mask)[:, None, None, :] * np.float32(_ATTENDED)
        for layer in range(self._layers):
            hidden = self._layer(f"encoder.layer.{layer}.", hidden, barrier)
        mean = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), dtype=np.float32)

    def _embedded(self, tokens: Any) -> Vectors:
        weights = self._weights
        words = weights["embeddings.word_embeddings.weight"][tokens]
        places = weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        kinds = weights["embeddings.token_type_embeddings.weight"][0]
        return self._normed("embeddings.LayerNorm", words + places + kinds)

    def _layer(self, prefix: str, hidden: Vectors, barrier: Vectors) -> Vectors:
        count, length, size = hidden.shape
        parts = (count, length, self._heads, size // self._heads)
        query, key, value = (
            self._linear(f"{prefix}attention.self.{name}", hidden).reshape(parts).transpose(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(parts[3] ** 0.5) + barrier
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        seen = (scores / scores.sum(axis=-1, keepdims=True)) @ value
        seen = self._linear(
            f"{prefix}attention.output.dense", seen.transpose(0, 2, 1, 3).reshape(count, length, size)
        )
        hidden = self._normed(f"{prefix}attention.output.LayerNorm", hidden + seen)
        wide = _gelu(self._linear(f"{prefix}intermediate.dense", hidden))
        return self._normed(f"{prefix}output.LayerNorm", hidden + self._linear(f"{prefix}output.dense", wide))

    def _linear(self, name: str, hidden: Any) -> Any:
        return hidden @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _normed(self, name: str, hidden: Any) -> Vectors:
        centred = hidden - hidden.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(self._epsilon))
        scaled = centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return np.asarray(scaled, dtype=np.float32)

    @cached_property
    def _weights(self) -> dict[str, Any]:
        try:
            from safetensors.numpy import load_file
        except ImportError as error:
            raise MissingExtra("MiniLMEmbedder", "safetensors", "local") from error
        held = load_file(self.folder / "model.safetensors")
        return {name.removeprefix("bert."): np.asarray(each) for name, each in held.items()}

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtra("MiniLMEmbedder", "tokenizers", "local") from error
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self._max_tokens)
        return tokenizer


def _mark(path: Path) -> str:
    """Tells one file of weights from another by its size and its end, without reading it all."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 65536))
        return digest(str(size), file.read().hex())


def _gelu(x: Any) -> Any:
    """Each x times the normal distribution's share below x; erf after Abramowitz and Stegun 7.1.26."""
    z = np.abs(x) * np.float32(0.5**0.5)
    t = 1.0 / (1.0 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.copysign(1.0 - series * np.exp(-z * z), x)
    return np.asarray(0.5 * x * (1.0 + erf), dtype=np.float32)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
