"""Make the checkpoint of ``local/tiny`` from nothing, on one CPU thread, with a fixed seed.

    python benchmarks/make_tiny.py --out /tmp/tiny            # then: --install copies it into the package

It draws conversations, learns a tokenizer from some of them, trains a small Llama, and writes the
folder that transformers loads, with the texts that the model was trained on beside it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from tiny_data import Conversations
from tiny_tokenizer import train_tokenizer
from tiny_training import Settings, new_model, train

from agentloop.prompts import Prompts
from agentloop.tiny import checkpoint

TEXTS = {
    "task": "{notes}\n{task}",
    "notes": "{corrections}",
    "retry": "{feedback}",
    "observation": "{observation}",
    "retry_observation": "",
    "again": "Try again.",
    "binary": "Your answer is wrong. Answer again.",
    "sql": "",
}
"""What the model is shown: bare, so that its few tokens hold the task. They lie in ``prompts/``."""

SEED = 0
KEEP = 1_000_000
"""The folder is written about every so many tokens."""

PHASES = (
    Settings(tokens=5_200_000, falls_until=8_000_000, rate=2e-3, noted=0.16, seed=SEED),
    Settings(tokens=4_000_000, falls_until=4_000_000, rate=1.2e-3, noted=0.30, seed=SEED + 2),
    Settings(tokens=2_500_000, falls_until=2_500_000, rate=8e-4, noted=0.45, seed=SEED + 3, rivals=0.5),
)
"""First to copy and to mend; then to read notes; then to tell the notes of one house from another's."""

SAMPLE = 20_000
"""Conversations that the tokenizer is learnt from."""


def main() -> None:
    options = _options()
    import torch

    torch.set_num_threads(1)
    prompts = Prompts(TEXTS)
    if options.skip:
        model, tokenizer = read(options.out)
    else:
        sample = Conversations(SEED + 1, prompts)
        tokenizer = train_tokenizer(said.text for _ in range(SAMPLE) for said in sample.next())
        model = new_model(tokenizer, SEED)
    for settings in PHASES[options.skip :]:
        source = Conversations(settings.seed, prompts, noted=settings.noted, rivals=settings.rivals)
        kept = 0
        for seen, _ in train(model, tokenizer, source, settings):
            if seen - kept >= KEEP or seen >= settings.tokens:
                write(model, tokenizer, options.out)
                kept = seen
    if options.install:
        install(options.out, checkpoint())


def read(folder: Path) -> tuple[Any, Any]:
    """The model and tokenizer that lie in a folder."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    return model, AutoTokenizer.from_pretrained(folder)


def write(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write everything that a loader reads."""
    from transformers import GenerationConfig

    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)
    GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=96,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    ).save_pretrained(folder)
    (folder / "prompts").mkdir(exist_ok=True)
    for name, text in TEXTS.items():
        (folder / "prompts" / f"{name}.md").write_text(f"{text}\n" if text else "", encoding="utf-8")


def install(made: Path, place: Path) -> None:
    """Put the folder in the package in one move; the model card that lies there stays."""
    fresh, old = place.with_name("checkpoint.new"), place.with_name("checkpoint.old")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(made, fresh)
    card = place / "README.md"
    if card.is_file():
        shutil.copy(card, fresh / "README.md")
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--skip", type=int, default=0, help="phases that are done; the model lies in --out")
    parser.add_argument("--install", action="store_true", help="copy the folder into the package afterwards")
    return parser.parse_args()


if __name__ == "__main__":
    main()
