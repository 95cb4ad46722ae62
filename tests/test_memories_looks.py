"""Photos as vectors: what the small embedders tell apart, and CLIP from a folder, loaded when it is used."""

import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.environments.tabletop.photos import photo_of
from agentloop.environments.tabletop.table import MAKES
from agentloop.errors import BadInput
from agentloop.knowledge import Photo
from agentloop.memories import ClipEmbedder, ColourEmbedder, PatternEmbedder
from agentloop.memories.looks import COLOURS, has_visual_word, pixels_of, squared_distances

WORDS = ["<|startoftext|>", "<|endoftext|>", "a", "photo", "of", "red", "drawer"]


def photo(red: int, green: int, blue: int, *, side: int = 4) -> Photo:
    return Photo(width=side, height=side, pixels=bytes([red, green, blue] * side * side).hex())


def test_photos_of_one_make_are_nearer_than_those_of_any_other_of_its_kind() -> None:
    embedder, draw = PatternEmbedder(), random.Random(0)
    for makes in MAKES.values():
        held = embedder([photo_of(make, draw) for make in makes])
        for place, make in enumerate(makes):
            for row in embedder([photo_of(make, draw) for _ in range(50)]):
                assert int(np.argmin(squared_distances(row, held))) == place


def test_a_pattern_tells_apart_what_has_the_same_colours() -> None:
    rows, columns = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    rows[::2] = columns[:, ::2] = 255
    lying, standing = (Photo(width=8, height=8, pixels=pixels.tobytes().hex()) for pixels in (rows, columns))
    first, second = PatternEmbedder()([lying, standing])
    assert np.square(first - second).sum() > 1


@pytest.mark.parametrize("word", ["red", "green", "blue", "yellow", "white", "black", "pink", "oak"])
def test_a_colour_word_is_nearest_to_a_photo_of_that_colour(word: str) -> None:
    names = ["red", "green", "blue", "yellow", "white", "black", "pink", "oak"]
    photos = [photo(*(round(255 * part) for part in COLOURS[name])) for name in names]
    embedder = ColourEmbedder()
    scores = embedder(photos) @ embedder.texts([f"a photo of the {word} drawer"])[0]
    assert names[int(np.argmax(scores))] == word


def test_a_name_has_a_visual_word_or_not() -> None:
    assert has_visual_word("the Oak drawer") and has_visual_word("red")
    assert not has_visual_word("drawer") and not has_visual_word("the hired cup") and not has_visual_word("")


@given(width=st.integers(1, 9), height=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_photo_of_any_size_gives_rows_of_one_length(width: int, height: int, seed: int) -> None:
    pixels = random.Random(seed).randbytes(width * height * 3).hex()
    odd = Photo(width=width, height=height, pixels=pixels)
    assert PatternEmbedder()([odd]).shape == (1, 50)
    assert np.isfinite(ColourEmbedder()([odd])).all() and np.isfinite(PatternEmbedder()([odd])).all()


@pytest.mark.parametrize(("pixels", "said"), [("zz" * 12, "hex digits"), ("00" * 11, "has 12 bytes")])
def test_pixels_that_are_not_what_the_photo_says_are_refused(pixels: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        pixels_of(Photo(width=2, height=2, pixels=pixels))


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP with random weights and seven words, as transformers saves one."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("clip")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vocabulary = {word: place for place, word in enumerate(WORDS)}
    config = transformers.CLIPConfig(
        text_config={
            **small,
            "vocab_size": 7,
            "max_position_embeddings": 8,
            "bos_token_id": 0,
            "eos_token_id": 1,
        },
        vision_config={**small, "image_size": 16, "patch_size": 8},
        projection_dim=12,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="a"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{WORDS[0]} $A {WORDS[1]}", special_tokens=[(WORDS[0], 0), (WORDS[1], 1)]
    )
    words.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.slow
def test_clip_puts_photos_and_texts_into_one_space(clip_folder: Path) -> None:
    embedder = ClipEmbedder(clip_folder)
    photos = embedder([photo(255, 0, 0), photo(0, 0, 255, side=3), photo(255, 0, 0)])
    texts = embedder.texts(["a photo of a red drawer", "photo", "a " * 40])
    assert photos.shape == texts.shape == (3, 12)
    assert np.allclose(np.linalg.norm(photos, axis=1), 1) and np.allclose(np.linalg.norm(texts, axis=1), 1)
    assert np.allclose(photos[0], photos[2]) and not np.allclose(photos[0], photos[1])


@pytest.mark.slow
def test_clips_features_are_those_that_transformers_computes(clip_folder: Path) -> None:
    import torch
    from transformers import CLIPModel

    embedder, model = ClipEmbedder(clip_folder), CLIPModel.from_pretrained(clip_folder).eval()
    mean, deviation = (
        torch.tensor([0.48145466, 0.4578275, 0.40821073]),
        torch.tensor([0.26862954, 0.26130258, 0.27577711]),
    )
    image = ((torch.tensor([1.0, 0.0, 0.0]) - mean) / deviation).reshape(1, 3, 1, 1).expand(1, 3, 16, 16)
    with torch.no_grad():
        both = model(input_ids=torch.tensor([[0, 3, 1]]), pixel_values=image)
    assert np.allclose(embedder([photo(255, 0, 0)])[0], both.image_embeds[0].numpy(), atol=1e-5)
    assert np.allclose(embedder.texts(["photo"])[0], both.text_embeds[0].numpy(), atol=1e-5)


def test_clip_reads_nothing_before_it_is_used(clip_folder: Path) -> None:
    embedder = ClipEmbedder(clip_folder)
    assert embedder.name == f"clip/{clip_folder.name}" and "_model" not in vars(embedder)


def test_a_folder_without_clip_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"config.json, model.safetensors, tokenizer.json missing.*Nothing is downloaded"
    ):
        ClipEmbedder(tmp_path)


def test_importing_the_embedders_loads_no_torch() -> None:
    import subprocess

    probe = "import sys, agentloop.memories as m; m.ClipEmbedder; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_clip_with_real_weights_knows_a_colour_when_it_sees_one() -> None:
    folder: Any = os.environ.get("AGENTLOOP_CLIP")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SKIPPED: no CLIP weights here, set AGENTLOOP_CLIP to their folder to run this test")
    embedder = ClipEmbedder(folder)
    photos = embedder([photo(220, 20, 20, side=64), photo(20, 20, 220, side=64)])
    texts = embedder.texts(["a photo of something red", "a photo of something blue"])
    assert (np.argmax(photos @ texts.T, axis=1) == [0, 1]).all()
