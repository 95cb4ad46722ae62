"""Train a model of the size of ``local/tiny`` on short Python functions, alone or beside SQL.

    python benchmarks/tiny_python.py --out /tmp/tiny_python/alone               # functions
    python benchmarks/tiny_python.py --out /tmp/tiny_python/joint --sql 0.5     # and as many for SQL

The phases, the size and the budget of tokens are those of ``make_tiny.py``. Measured by
``tiny_python_measure.py`` (functions) and ``measure_tiny.py --model`` (SQL).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from make_tiny import KEEP, PHASES, SAMPLE, SEED, TEXTS, read, write
from tiny_python_data import PythonConversations
from tiny_python_tokenizer import train_python_tokenizer
from tiny_training import new_model, train

from agentloop.prompts import Prompts


def main() -> None:
    options = _options()
    import torch

    torch.set_num_threads(1)
    prompts = Prompts(TEXTS)
    if options.skip:
        model, tokenizer = read(options.out)
    else:
        sample = PythonConversations(SEED + 1, prompts, sql=options.sql)
        tokenizer = train_python_tokenizer(said.text for _ in range(SAMPLE) for said in sample.next())
        model = new_model(tokenizer, SEED)
        print(f"{sum(each.numel() for each in model.parameters())} parameters", flush=True)
    for settings in PHASES[options.skip : options.until]:
        source = PythonConversations(
            settings.seed, prompts, noted=settings.noted, rivals=settings.rivals, sql=options.sql
        )
        kept = 0
        for seen, _ in train(model, tokenizer, source, settings):
            if seen - kept >= KEEP or seen >= settings.tokens:
                write(model, tokenizer, options.out)
                print(f"kept; {time.process_time():.0f} s of processor time", flush=True)
                kept = seen


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--sql", type=float, default=0.0, help="the share of conversations on SQL")
    parser.add_argument("--skip", type=int, default=0, help="phases that are done; the model lies in --out")
    parser.add_argument("--until", type=int, default=len(PHASES), help="the phase to stop after")
    return parser.parse_args()


if __name__ == "__main__":
    main()
