"""Accelerate's view of this machine: device, processes, precision, and where figures are reported to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput, MissingExtra
from agentloop.training.settings import Settings

PATIENCE = timedelta(days=1)
"""How long a process waits for the others: their rollouts may be longer, and the first one also evaluates."""


def accelerator_for(settings: Settings, out: Path) -> Any:
    """The accelerator of a training; torch's threads and random numbers are set on the way."""
    try:
        from accelerate import Accelerator, InitProcessGroupKwargs
    except ImportError as error:
        raise MissingExtra("training", "accelerate", "train") from error
    import torch
    from accelerate.state import AcceleratorState
    from accelerate.utils import set_seed

    _check_trackers(settings.trackers)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    set_seed(settings.seed)
    gpu = torch.cuda.is_available() and not settings.cpu
    precision = ("bf16" if gpu else "no") if settings.precision == "auto" else settings.precision
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    # a training before this one in the same program may have had another precision or device
    AcceleratorState._reset_state(reset_partial_state=not together)
    return Accelerator(
        cpu=not gpu,
        mixed_precision=precision,
        log_with=list(settings.trackers) or None,
        project_dir=str(out) if settings.trackers else None,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )


def _check_trackers(wanted: Sequence[str]) -> None:
    """Refuse what accelerate would leave out without a word."""
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    installed = {str(each) for each in get_available_trackers()}
    for name in wanted:
        if name not in LOGGER_TYPE_TO_CLASS:
            known = ", ".join(sorted(LOGGER_TYPE_TO_CLASS))
            raise BadInput(f"no tracker named {name!r}; accelerate knows {known}")
        if name not in installed:
            raise BadInput(
                f"the tracker {name} needs the package {name}, which is not installed; install it with: "
                f"pip install {name}, or leave the tracker out (training.jsonl holds every step)"
            )
