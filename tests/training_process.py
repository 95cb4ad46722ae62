"""One process of a training in several: ``torchrun -m tests.training_process WHAT``, WHAT a JSON object.

``base``, ``out``, ``online``, ``resume``; ``dies`` is the step after which the first process dies, and
``reports`` the folder where every process tells what it saw. Before it trains, each is refused a folder
that is not its own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from agentloop import Attempt, Feedback
from agentloop.errors import BadInput
from agentloop.training import Step, train
from tests.training_practice import critic_of_letters, practice, quick, small, two_turn_log

STEPS = 3


def settings_and_source(*, online: bool) -> dict[str, Any]:
    """What is trained, in one process or in several."""
    source: dict[str, Any] = {"practice": practice(4)} if online else {"log": two_turn_log(5)}
    return {**source, "settings": small(steps=STEPS, tasks=4, samples=3, rows=14, save_every=1)}


def main() -> None:
    asked = json.loads(sys.argv[1])
    out, reports, rank = Path(asked["out"]), Path(asked["reports"]), int(os.environ["RANK"])
    opened: set[str] = set()
    sys.addaudithook(lambda event, args: opened.update(_changed(event, args, out)))
    told: list[int] = []
    judged: list[str] = []

    def progress(step: Step) -> None:
        told.append(step.step)
        if step.step == asked["dies"]:
            os._exit(7)

    def critic(attempt: Attempt) -> Feedback:
        judged.append(attempt.task.id)
        return critic_of_letters(attempt)

    refused = ""
    try:
        train(quick("rltf-sd"), model=asked["base"], out=reports.parent, **_source(asked))
    except BadInput as error:
        refused = str(error)
    done = train(
        quick("rltf-sd"),
        model=asked["base"],
        out=out,
        held_out=practice(3, critic=critic, name="held", split="dev"),
        resume=asked["resume"],
        progress=progress,
        **_source(asked),
    )
    report = {
        "refused": refused,
        "processes": int(os.environ["WORLD_SIZE"]),
        "losses": [step["loss"] for step in done.steps],
        "completions": done.completions,
        "gain": done.gain is not None,
        "told": told,
        "judged": judged,
        "changed": sorted(opened),
    }
    (reports / f"{rank}.json").write_text(json.dumps(report))


def _source(asked: dict[str, Any]) -> dict[str, Any]:
    return settings_and_source(online=asked["online"])


def _changed(event: str, args: Any, out: Path) -> list[str]:
    """The paths under ``out`` that an audited event makes, writes or takes away."""
    names: tuple[Any, ...] = ()
    if (
        event == "open"
        and isinstance(args[1], str)
        and set(args[1]) & set("wax+")
        or (
            event == "open"
            and args[1] is None
            and isinstance(args[2], int)
            and args[2] & (os.O_WRONLY | os.O_RDWR)
        )
    ):
        names = args[:1]
    elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"):
        names = args[:2]
    found = [Path(os.fsdecode(name)) for name in names if isinstance(name, str | bytes | os.PathLike)]
    return [str(path.relative_to(out)) for path in found if path.is_relative_to(out)]


if __name__ == "__main__":
    main()
