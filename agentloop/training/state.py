"""The state from which a training that was cut off goes on: weights, optimiser, schedule, random numbers."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput
from agentloop.training.recipes import Recipe
from agentloop.training.settings import Settings

KEPT = 2
"""States that are kept: the last, and the one before it."""
_MAY_CHANGE = {"micro_batch", "concurrency", "save_every", "threads", "trackers", "publish", "cpu"}
"""Settings that do not change what is learnt."""
_BEGINNING = "training.partial"
"""All that a kill at the very beginning can leave."""


def asked(recipe: Recipe, settings: Settings, *, model: str, data: dict[str, str]) -> dict[str, Any]:
    """What a training was asked to do, as JSON values; ``data`` has a digest of its tasks or its log."""
    listed = {
        each.name: getattr(settings, each.name) for each in fields(settings) if each.name not in _MAY_CHANGE
    }
    wanted = {"model": model, "data": data, "recipe": asdict(recipe), "settings": listed}
    values: dict[str, Any] = json.loads(json.dumps(wanted))
    return values


def begin(accelerator: Any, out: Path, wanted: dict[str, Any], *, resume: bool) -> None:
    """Note in ``out`` what is asked, or check that a training to go on with was asked the same.

    Every process must call this; the first one looks and writes, and what it refuses, all refuse.
    """
    first = accelerator.is_main_process
    refused = [_refusal(out, wanted, resume=resume) if first else None]
    if accelerator.num_processes > 1:
        from accelerate.utils import broadcast_object_list

        broadcast_object_list(refused)
    if refused[0] is not None:
        raise BadInput(refused[0])
    if first and not resume:
        out.mkdir(parents=True, exist_ok=True)
        partial = out / _BEGINNING
        partial.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        partial.replace(out / "training.json")
    accelerator.wait_for_everyone()


def _refusal(out: Path, wanted: dict[str, Any], *, resume: bool) -> str | None:
    """Why the training cannot begin, or go on, in this folder."""
    path = out / "training.json"
    if not path.is_file():
        if resume:
            return f"there is no training in {out} to go on with; leave --resume out to begin one"
        if out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= {_BEGINNING}):
            return f"{out} is not empty and holds no training; give a folder that is new or empty"
        return None
    if not resume:
        return f"{out} holds a training already; give --resume to go on with it, or another folder"
    changed = _changed(json.loads(path.read_text(encoding="utf-8")), wanted)
    if not changed:
        return None
    return (
        f"the training in {out} was begun with other settings ({', '.join(changed)}); "
        "give the same to go on with it, or another folder"
    )


def save(accelerator: Any, out: Path, step: int) -> None:
    """Write the state after a step; a kill in the middle leaves the one before it whole."""
    partial, whole = out / "state" / f"step-{step:05d}.partial", out / "state" / f"step-{step:05d}"
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial), safe_serialization=False)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(whole, ignore_errors=True)
        partial.rename(whole)
        for old in _states(out)[:-KEPT]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def restore(accelerator: Any, out: Path) -> int:
    """Load the last whole state; the step it was written after, 0 when there is none."""
    states = _states(out)
    if not states:
        return 0
    accelerator.load_state(str(states[-1]))
    return int(states[-1].name.removeprefix("step-"))


def _states(out: Path) -> list[Path]:
    return sorted(path for path in (out / "state").glob("step-*") if path.suffix != ".partial")


def _changed(known: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    changed = [] if known["model"] == wanted["model"] else ["model"]
    for part in ("data", "recipe", "settings"):
        changed += [name for name, value in wanted[part].items() if known[part].get(name) != value]
    return changed


class TrainingLog:
    """``training.jsonl``: one line a step, in order, each once.

    Every process knows the lines, whether it ``writes`` them or not. Steps after ``upto``, the last state,
    are done again and so taken out.
    """

    def __init__(self, out: Path, *, upto: int, writes: bool = True) -> None:
        self.path, self.writes = out / "training.jsonl", writes
        self.lines = [line for line in _whole_lines(self.path) if line["step"] <= upto]
        if writes:
            partial = self.path.with_suffix(".partial")
            partial.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
            partial.replace(self.path)

    def add(self, line: dict[str, Any]) -> None:
        """Append one step."""
        self.lines.append(line)
        if self.writes:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of the file; one that a kill cut short is left out."""
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
