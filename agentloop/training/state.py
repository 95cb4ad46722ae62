"""The state from which a training that was cut off goes on: weights, optimiser, schedule, random numbers."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput
from agentloop.training.recipes import Recipe
from agentloop.training.settings import Settings

KEPT = 2
"""States that are kept: the last, and the one before it."""
_MAY_CHANGE = {"micro_batch", "concurrency", "save_every", "threads", "trackers", "publish", "cpu"}
"""Settings that do not change what is learnt."""


def asked(recipe: Recipe, settings: Settings, *, model: str) -> dict[str, Any]:
    """What a training was asked to do, as JSON values."""
    listed = {name: value for name, value in asdict(settings).items() if name not in _MAY_CHANGE}
    return {"model": model, "recipe": asdict(recipe), "settings": listed}


def begin(out: Path, wanted: dict[str, Any], *, resume: bool) -> None:
    """Note in ``out`` what is asked, or check that a training to go on with was asked the same."""
    path = out / "training.json"
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        if not resume:
            raise BadInput(
                f"{out} holds a training already; give --resume to go on with it, or another folder"
            )
        changed = _changed(known, json.loads(json.dumps(wanted)))
        if changed:
            raise BadInput(
                f"the training in {out} was begun with other settings ({', '.join(changed)}); "
                "give the same to go on with it, or another folder"
            )
        return
    if resume:
        raise BadInput(f"there is no training in {out} to go on with; leave --resume out to begin one")
    if out.exists() and any(out.iterdir()):
        raise BadInput(f"{out} is not empty and holds no training; give a folder that is new or empty")
    out.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def save(accelerator: Any, out: Path, step: int) -> None:
    """Write the state after a step; a kill in the middle leaves the one before it whole."""
    partial, whole = out / "state" / f"step-{step:05d}.partial", out / "state" / f"step-{step:05d}"
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
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
    for part in ("recipe", "settings"):
        changed += [name for name, value in wanted[part].items() if known[part].get(name) != value]
    return changed


class TrainingLog:
    """``training.jsonl``: one line a step, in order, each once."""

    def __init__(self, out: Path, *, upto: int, writes: bool = True) -> None:
        self.path, self.writes = out / "training.jsonl", writes
        if not writes:
            return
        kept = [line for line in self.lines() if line["step"] <= upto]
        partial = self.path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        partial.replace(self.path)

    def lines(self) -> list[dict[str, Any]]:
        """What is written; a line that a kill cut short is left out."""
        found: list[dict[str, Any]] = []
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    found.append(json.loads(line))
                except ValueError:
                    break
        return found

    def add(self, line: dict[str, Any]) -> None:
        """Append one step."""
        if not self.writes:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
