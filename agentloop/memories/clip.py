"""CLIP from a local folder through transformers: photos and texts as vectors of one space."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from agentloop.errors import BadInput, MissingExtra
from agentloop.knowledge import Photo
from agentloop.memories.embedding import Vectors
from agentloop.memories.looks import pixels_of

_FILES = ("config.json", "model.safetensors", "tokenizer.json")
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
_DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711])


class ClipEmbedder:
    """A CLIP checkpoint of the transformers library in ``folder``, loaded when it is first used.

    Photos are brought to the model's square size and normalised with CLIP's own means. Nothing is
    downloaded. Safe to share between threads.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        missing = [name for name in _FILES if not (self.folder / name).is_file()]
        if missing:
            raise BadInput(
                f"no CLIP in {self.folder}: {', '.join(missing)} missing; give the folder with the model's "
                f"{', '.join(_FILES)}. Nothing is downloaded"
            )
        size = (self.folder / "model.safetensors").stat().st_size
        self.name, self.version = f"clip/{self.folder.name}", str(size)
        self._loading = threading.Lock()

    def __call__(self, photos: Sequence[Photo]) -> Vectors:
        """One row of length 1 for each photo."""
        with self._loading:
            model, torch = self._model, self._torch
        size = model.config.vision_config.image_size
        images = torch.tensor(np.stack([_square(pixels_of(photo), size) for photo in photos]))
        with torch.no_grad():
            seen = model.vision_model(pixel_values=images).pooler_output
            return _rows(model.visual_projection(seen))

    def texts(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 for each text."""
        with self._loading:
            model, torch, tokenizer = self._model, self._torch, self._tokenizer
            encoded = tokenizer.encode_batch(list(texts))
        ids = torch.tensor([each.ids for each in encoded])
        mask = torch.tensor([each.attention_mask for each in encoded])
        with torch.no_grad():
            read = model.text_model(input_ids=ids, attention_mask=mask).pooler_output
            return _rows(model.text_projection(read))

    @cached_property
    def _torch(self) -> Any:
        try:
            import torch
        except ImportError as error:
            raise MissingExtra("ClipEmbedder", "torch", "local") from error
        return torch

    @cached_property
    def _model(self) -> Any:
        try:
            from transformers import CLIPModel
        except ImportError as error:
            raise MissingExtra("ClipEmbedder", "transformers", "local") from error
        return CLIPModel.from_pretrained(self.folder, local_files_only=True).eval()

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtra("ClipEmbedder", "tokenizers", "local") from error
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.enable_truncation(self._model.config.text_config.max_position_embeddings)
        tokenizer.enable_padding()
        return tokenizer


def _square(pixels: Any, size: int) -> Any:
    """The photo as colours x size x size, by the nearest pixel, normalised."""
    rows = np.arange(size) * pixels.shape[0] // size
    columns = np.arange(size) * pixels.shape[1] // size
    scaled = (pixels[rows][:, columns] - _MEAN) / _DEVIATION
    return scaled.transpose(2, 0, 1).astype(np.float32)


def _rows(found: Any) -> Vectors:
    rows = found.numpy()
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
