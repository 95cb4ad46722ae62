"""A small Llama with random weights, a byte-level tokenizer and a chat template: real in all but sense."""

from __future__ import annotations

from pathlib import Path

SPECIALS = ["<pad>", "<bos>", "<end>", "<system>", "<user>", "<assistant>"]
TEMPLATE = (
    "<bos>{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def make_checkpoint(folder: Path, *, context: int = 256, template: str | None = TEMPLATE) -> Path:
    """Write the checkpoint; it samples varied text, and ends a reply after some twenty tokens."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(template)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=192,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=context,
            tie_word_embeddings=False,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )
    with torch.no_grad():
        for weights in model.model.layers.parameters():
            if weights.ndim == 2:
                weights.normal_(0, 0.12)
        model.model.embed_tokens.weight.normal_(0, 0.5)
        model.lm_head.weight.normal_(0, 0.25)
        model.lm_head.weight[2] *= 2
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(template: str | None):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pieces.train_from_iterator(["select count from users where name order by age"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<end>",
        additional_special_tokens=SPECIALS[3:],
    )
    tokenizer.chat_template = template
    return tokenizer
