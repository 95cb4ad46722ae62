"""MiniLM by numpy against transformers; needs the model in the folder that AGENTLOOP_MINILM names."""

import os
from pathlib import Path

import numpy as np
import pytest

from agentloop.errors import BadInput
from agentloop.memories import MiniLMEmbedder

TEXTS = [
    "at acme, a few means 4 rows",
    "Ünïcode 日本, emoji 🎈 and \x00",
    "",
    "word " * 400,
    *(f"question {number} on the price of wines" + " and boats" * number for number in range(40)),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    named = os.environ.get("AGENTLOOP_MINILM", "")
    if not (named and (Path(named) / "model.safetensors").is_file()):
        pytest.skip(
            "SKIPPED: no MiniLM; set AGENTLOOP_MINILM to a folder with config, safetensors and tokenizer"
        )
    return Path(named)


def test_the_vectors_are_those_of_transformers(folder: Path) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None].float()
    wanted = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    rows = MiniLMEmbedder(folder)(TEXTS)
    assert rows.dtype == np.float32 and rows.shape == (len(TEXTS), 384)
    assert (rows * wanted).sum(axis=1).min() > 0.99999


def test_a_paraphrase_is_nearer_than_a_text_that_shares_words(folder: Path) -> None:
    rows = MiniLMEmbedder(folder)(
        ["The film was dull.", "That movie bored me.", "The film of oil on water was thick."]
    )
    assert rows[0] @ rows[1] > rows[0] @ rows[2]


def test_a_folder_without_the_model_is_refused_and_nothing_is_downloaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInput, match=r"model.safetensors, tokenizer.json missing.*Nothing is downloaded"):
        MiniLMEmbedder(tmp_path)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(BadInput, match="'llama', not 'bert'"):
        MiniLMEmbedder(tmp_path)
