"""The figures of train_gpu.py as Markdown."""

from __future__ import annotations

from typing import Any


def told(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    made, where = found["model"], found["machine"]
    lines = [
        f"{where['card']}; torch {where['torch']}, transformers {where['transformers']}, TRL {where['trl']}. "
        f"Llama of {made['parameters'] / 1e6:.1f} million parameters, vocabulary {made['vocabulary']}, "
        f"made in {made['seconds']:.0f} s from {made['tokens']:,} tokens "
        f"({made['tokens_per_second']:,} a second, {made['share']:.1%} of the peak), loss {made['loss']}.",
        "",
        "| method | step, s | collecting | learning | rows | completions | tokens/s learnt | share, learning "
        "| share, step | peak memory, MiB | first tries passed |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(_line(method, each) for method, each in found["methods"].items()),
    ]
    beside = found["trl"]
    lines += [
        "",
        f"GRPO, every other sample paid: ours {beside['ours']['step_seconds']} s a step and "
        f"{beside['ours']['peak_memory_mib']} MiB, TRL {beside['trl']['step_seconds']} s and "
        f"{beside['trl']['peak_memory_mib']} MiB; ours / TRL {beside['ours_to_trl']}.",
    ]
    return "\n".join(lines) + "\n"


def _line(method: str, each: dict[str, Any]) -> str:
    first, last = each["first_passed"][0], each["first_passed"][-1]
    cells = [
        method,
        f"{each['step_seconds']:.2f}",
        f"{each['collecting_seconds']:.2f}",
        f"{each['learning_seconds']:.2f}",
        f"{each['rows']:.0f}",
        f"{each['completions']:.0f}",
        f"{each['learnt_tokens_per_second']:,}",
        f"{each['share_learning']:.2%}",
        f"{each['share_step']:.2%}",
        f"{each['peak_memory_mib']:,}",
        f"{first:.1%} to {last:.1%}",
    ]
    return f"| {' | '.join(cells)} |"
