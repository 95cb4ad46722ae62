"""The tokenizer of ``local/tiny``: a word has the same pieces in schema, question and SQL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PIECES = 1024
SPECIALS = ["<pad>", "<bos>", "<end>", "<unk>", "<system>", "<user>", "<assistant>"]
CHAT = (
    "{{ '<bos>' }}{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '<end>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)
_OPEN, _CLOSE = "«", "»"


def train_tokenizer(texts: Iterable[str]) -> Any:
    """Learn the pieces from texts, and wrap them for transformers."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"))
    inner.normalizer = normalizers.Sequence(
        [
            normalizers.Replace("= '", f"= {_OPEN} "),
            normalizers.Replace("'", f" {_CLOSE} "),
            *(normalizers.Replace(mark, f" {mark} ") for mark in "(),:;?."),
        ]
    )
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES,
        special_tokens=SPECIALS,
        continuing_subword_prefix="##",
        show_progress=False,
    )
    # Every printable character gets a piece, at a word's start and within, so that no text is unknown.
    printable = "".join(chr(code) for code in range(33, 127))
    alphabet = " ".join((*printable, *(f"a{mark}" for mark in printable)))
    inner.train_from_iterator((*texts, alphabet), trainer)
    inner.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix="##", cleanup=False),
            decoders.Fuse(),
            decoders.Replace(f"{_OPEN} ", "'"),
            decoders.Replace(f" {_CLOSE}", "'"),
            decoders.Replace(" ( ", "("),
            decoders.Replace(" )", ")"),
            decoders.Replace(" ,", ","),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<end>",
        unk_token="<unk>",
        additional_special_tokens=["<system>", "<user>", "<assistant>"],
        chat_template=CHAT,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )
