"""Unbiased pass@k, and what samples score."""

import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.environments.code import (
    Job,
    Sample,
    ScriptedBackend,
    Verdict,
    evaluate_samples,
    pass_at_k,
    read_samples,
    write_samples,
)
from agentloop.environments.code.passing import pass_rate
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.types import Fact, Task

HEAD = "def f():\n"


def enumerated(samples: int, passed: int, k: int) -> float:
    """The share of all subsets of size k that hold one that passes."""
    subsets = list(itertools.combinations(range(samples), k))
    return sum(any(each < passed for each in subset) for subset in subsets) / len(subsets)


@given(st.integers(1, 9), st.data())
def test_it_is_the_share_of_all_subsets_that_hold_one_that_passes(samples: int, data: st.DataObject) -> None:
    passed, k = data.draw(st.integers(0, samples)), data.draw(st.integers(1, samples))
    assert math.isclose(pass_at_k(samples, passed, k), enumerated(samples, passed, k), abs_tol=1e-12)


@given(st.integers(1, 400), st.data())
def test_it_is_the_formula_of_the_paper(samples: int, data: st.DataObject) -> None:
    passed, k = data.draw(st.integers(0, samples)), data.draw(st.integers(1, samples))
    exact = 1 - math.comb(samples - passed, k) / math.comb(samples, k)
    assert math.isclose(pass_at_k(samples, passed, k), exact, abs_tol=1e-9)


@pytest.mark.parametrize(("samples", "passed", "k"), [(5, 6, 1), (5, -1, 1), (5, 1, 0), (5, 1, 6), (0, 0, 1)])
def test_what_cannot_be_counted_is_refused(samples: int, passed: int, k: int) -> None:
    with pytest.raises(BadInput):
        pass_at_k(samples, passed, k)


def test_the_rate_is_the_mean_over_tasks_with_an_interval() -> None:
    rate = pass_rate([(2, 1), (2, 2), (2, 0), (2, 1)], 1)
    assert (rate.rate, rate.tasks) == (0.5, 4)
    assert 0 < rate.interval.low < 0.5 < rate.interval.high < 1


def test_a_rate_over_no_task_is_refused() -> None:
    with pytest.raises(BadInput):
        pass_rate([], 1)


TASKS = [
    Task(
        id=f"t{number}",
        prompt=HEAD,
        public={"entry_point": "f", "prompt_code": HEAD},
        hidden={"tests": f"assert f() == {number}"},
    )
    for number in range(2)
]


def judge(job: Job) -> Verdict:
    """A program passes when it returns the number that its test wants."""
    wanted = job.tests.rpartition(" ")[2]
    if f"return {wanted}" in job.program:
        return Verdict(passed=True, why="passed")
    if "sleep" in job.program:
        return Verdict(passed=False, why="timeout")
    if "raise" in job.program:
        data = {"type": "ValueError", "message": "no"}
        return Verdict(passed=False, why="exception", facts=(Fact(kind="exception", data=data),))
    return Verdict(passed=False, why="assert")


def sample(task: str, completion: str) -> Sample:
    return Sample(task_id=task, completion=completion)


def test_samples_are_judged_by_hidden_tests_in_their_order_and_in_human_evals_words() -> None:
    samples = [
        sample("t1", "    return 1"),
        sample("t0", "    sleep(9)"),
        sample("t0", "    raise ValueError"),
        sample("t1", "def f():\n    return 3"),
        sample("t0", "    return 0"),
    ]
    scores = evaluate_samples(TASKS, samples, ScriptedBackend(judge), k=(1, 2, 3))
    assert [result.result for result in scores.results] == [
        "passed",
        "timed out",
        "failed: ValueError: no",
        "failed: assert",
        "passed",
    ]
    assert [result.completion for result in scores.results] == [each.completion for each in samples]
    assert set(scores.rates) == {1, 2}
    assert scores.rates[1].rate == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert scores.rates[2].rate == pytest.approx((2 / 3 + 1) / 2)


def test_a_completion_is_run_as_it_stands_below_its_prompt() -> None:
    backend = ScriptedBackend(judge)
    body = '    """\n    ```\n    """\n    return 0'
    evaluate_samples(TASKS[:1], [sample("t0", body)], backend)
    assert backend.jobs[0].program == HEAD + body


def test_a_fenced_completion_is_taken_out_of_its_fence() -> None:
    backend = ScriptedBackend(judge)
    scores = evaluate_samples(
        TASKS[:1], [sample("t0", "So:\n```python\ndef f():\n    return 0\n```")], backend
    )
    assert scores.results[0].passed


def test_a_task_without_samples_is_refused_since_it_would_flatter_the_rate() -> None:
    with pytest.raises(BadInput, match="no samples of 1 of 2 tasks, such as 't1'"):
        evaluate_samples(TASKS, [sample("t0", "")], ScriptedBackend(judge))


def test_a_sample_of_an_unknown_task_is_refused() -> None:
    with pytest.raises(BadInput, match="unknown tasks, such as 'other'"):
        evaluate_samples(TASKS[:1], [sample("t0", ""), sample("other", "")], ScriptedBackend(judge))


def test_a_task_without_hidden_tests_is_refused() -> None:
    with pytest.raises(BadInput, match="'t0' has no hidden tests"):
        evaluate_samples([TASKS[0].replace(hidden={})], [sample("t0", "")], ScriptedBackend(judge))


def test_nothing_to_judge_is_refused() -> None:
    with pytest.raises(BadInput, match="no tasks"):
        evaluate_samples([], [], ScriptedBackend(judge))


def test_a_sample_without_a_verdict_is_an_error_and_no_failure() -> None:
    broken = ScriptedBackend({}, otherwise=Verdict(passed=False, why="infra_error"))
    with pytest.raises(EnvironmentFailed):
        evaluate_samples(TASKS[:1], [sample("t0", "")], broken)


def test_results_go_to_a_file_and_come_back_as_samples(tmp_path: Path) -> None:
    scores = evaluate_samples(TASKS[:1], [sample("t0", "    return 0")], ScriptedBackend(judge))
    write_samples(tmp_path / "results.jsonl", scores.results)
    assert read_samples(tmp_path / "results.jsonl") == [sample("t0", "    return 0")]
