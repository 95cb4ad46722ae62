"""A training made to be killed: ``python -m tests.training_run`` forks one for every line on its input.

A line is a JSON object with ``base``, ``out``, ``online`` and ``resume``; the answers are the child's process
id, and when it is over its exit code. Forking after the imports lets a kill fall into the training.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from agentloop.training import train
from tests.training_practice import practice, quick, small, two_turn_log

STEPS = 5
SAVE_EVERY = 2


def training(*, base: str, out: str, online: bool, resume: bool) -> Any:
    """The training, in small pieces, so that each part of a step takes a while."""
    settings = small(steps=STEPS, save_every=SAVE_EVERY, micro_batch=1, rows=14, concurrency=2)
    source: dict[str, Any] = {"practice": practice()} if online else {"log": two_turn_log(4)}
    return train(quick("rltf-sd"), model=base, out=Path(out), settings=settings, resume=resume, **source)


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            training(**json.loads(line))
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
