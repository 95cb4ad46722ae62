"""Choosing by unreliable tests: rules against exact arithmetic and a simulation, hostile matrices, runs."""

import asyncio
import math
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Attempt, Feedback, RunContext, ScriptedModel, Task, improve, reflect_and_retry
from agentloop.choosing import Chosen, achoose_among, choose_among, pass_matrix
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.journal import Journal
from agentloop.selection import at_random, b4, choose, codet, max_pass, mbr_exec
from agentloop.tested import Tested as Result

RULES = [b4, codet, max_pass, mbr_exec, at_random]


def matrices(most: int = 6) -> Any:
    """Pass matrices of up to ``most`` programs and tests."""
    shape = st.tuples(st.integers(1, most), st.integers(1, most))
    return shape.flatmap(
        lambda size: st.lists(
            st.lists(st.booleans(), min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
        )
    )


def exact_b4(matrix: list[list[bool]], program: int, alpha: int, beta: int) -> Fraction:
    """B4's posterior of the set of one program, by its definition: counted cell by cell, in whole numbers."""
    row, tests = matrix[program], range(len(matrix[0]))
    inside = [each for each in range(len(matrix)) if matrix[each] == row]
    ones = zeros = right = wrong = 0
    for each in range(len(matrix)):
        for test in tests:
            if each in inside:
                continue
            if row[test]:
                ones, zeros = ones + matrix[each][test], zeros + (not matrix[each][test])
            else:
                wrong, right = wrong + matrix[each][test], right + (not matrix[each][test])
    passed = sum(row)
    return (
        beta_function(len(inside) + alpha, len(matrix) - len(inside) + 1)
        * beta_function(passed + alpha, len(row) - passed + 1)
        * beta_function(ones + 1, zeros + 1)
        * beta_function(wrong + 1, right + beta)
    )


def beta_function(a: int, b: int) -> Fraction:
    """Beta of whole numbers: (a - 1)! (b - 1)! / (a + b - 1)!."""
    return Fraction(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(a + b - 1))


def logarithm(value: Fraction) -> float:
    return math.log(value.numerator) - math.log(value.denominator)


@given(matrices(), st.sampled_from([1, 3, 10, 50]), st.sampled_from([1, 7, 10, 100]))
def test_b4_is_the_product_of_four_beta_functions(matrix: list[list[bool]], alpha: int, beta: int) -> None:
    scores = b4(np.array(matrix), alpha=alpha, beta=beta)
    for program, score in enumerate(scores):
        wanted = logarithm(exact_b4(matrix, program, alpha, beta))
        assert score == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@given(matrices(), st.randoms())
@pytest.mark.parametrize("rule", RULES)
def test_the_order_of_programs_and_tests_does_not_matter(
    rule: Any, matrix: list[list[bool]], draw: Any
) -> None:
    rows, columns = list(range(len(matrix))), list(range(len(matrix[0])))
    draw.shuffle(rows)
    draw.shuffle(columns)
    shuffled = [[matrix[row][column] for column in columns] for row in rows]
    assert {rows[each] for each in choose(shuffled, rule).tied} == set(choose(matrix, rule).tied)


@given(matrices())
@pytest.mark.parametrize("rule", RULES)
def test_programs_with_the_same_row_tie(rule: Any, matrix: list[list[bool]]) -> None:
    choice = choose(matrix, rule)
    row = matrix[choice.chosen]
    assert {each for each in range(len(matrix)) if matrix[each] == row} <= set(choice.tied)
    assert choice.chosen == choice.tied[0]


def test_the_simple_rules_count_what_they_say() -> None:
    matrix = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=bool)
    assert max_pass(matrix) == [3, 1, 1, 1, 1]
    assert mbr_exec(matrix) == [1, 3, 3, 3, 1]
    assert codet(matrix) == pytest.approx([3, math.sqrt(3), math.sqrt(3), math.sqrt(3), 1])


def simulated(draws: int = 4000) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """The published simulation: 10 programs, 30 tests; which programs are right, and the pass matrix."""
    draw, found = np.random.default_rng(0), []
    for _ in range(draws):
        right, sound = draw.random(10) < 0.2, draw.random(30) < 0.3
        chance = np.where(right[:, None], sound[None, :] * 1.0, np.where(sound[None, :], 0.4, 0.1))
        matrix = draw.random((10, 30)) < chance
        if right.any() and not right.all():
            found.append((right, matrix))
    return found


def test_the_rules_are_as_good_in_simulation_as_measured_before() -> None:
    cases = simulated()
    assert 3400 < len(cases) < 3700
    wanted = {
        at_random: 0.225,
        max_pass: 0.595,
        mbr_exec: 0.725,
        codet: 0.823,
        partial(b4, alpha=10, beta=10): 0.985,
        partial(b4, alpha=1e3, beta=1e4): 0.943,
    }
    for rule, share in wanted.items():
        found = [right[list(choose(matrix, rule).tied)].mean() for right, matrix in cases]
        assert np.mean(found) == pytest.approx(share, abs=0.02), rule


def test_b4_sees_a_right_program_that_most_wrong_ones_outvote() -> None:
    # Two programs agree and pass five sound tests; four alike are wrong, and pass the two wrong tests.
    matrix = [[1] * 5 + [0] * 2] * 2 + [[0] * 5 + [1] * 2] * 4
    assert choose(matrix, partial(b4, alpha=10, beta=10)).tied == (0, 1)
    assert choose(matrix, mbr_exec).tied == (2, 3, 4, 5)


# Hostile matrices


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "matrix",
    [[[1]], [[0]], [[1, 1], [1, 1]], [[0, 0], [0, 0]], [[1, 0]] * 50, np.ones((200, 1)), np.zeros((1, 200))],
)
def test_every_rule_takes_a_matrix_in_which_all_are_alike(rule: Any, matrix: Any) -> None:
    choice = choose(matrix, rule)
    assert choice.tied == tuple(range(len(matrix))) and all(math.isfinite(each) for each in choice.scores)


@pytest.mark.parametrize("rule", RULES)
def test_without_a_test_all_tie(rule: Any) -> None:
    assert choose(np.zeros((3, 0)), rule).tied == (0, 1, 2)


@pytest.mark.parametrize("matrix", [[], [[]] * 0, np.zeros((0, 4)), [1, 0, 1], np.zeros((2, 2, 2)), 1])
def test_a_matrix_without_programs_or_of_another_shape_is_refused(matrix: Any) -> None:
    with pytest.raises(BadInput, match="two dimensions, programs and tests, and at least one program"):
        choose(matrix)


@pytest.mark.parametrize("matrix", [[[1, 0], [1]], [["pass", "fail"]], [[None, object()]]])
def test_a_matrix_that_is_no_table_of_numbers_is_refused(matrix: Any) -> None:
    with pytest.raises(BadInput, match="one row a program"):
        choose(matrix)


def test_a_test_that_could_not_be_run_is_named() -> None:
    with pytest.raises(BadInput, match="program 1 has NaN for test 0"):
        choose([[1.0, 0.0], [math.nan, 1.0]])


def test_anything_but_0_and_1_is_refused() -> None:
    with pytest.raises(BadInput, match=r"0 and 1 alone, got 0\.5"):
        choose([[1, 0.5]])


def test_a_rule_that_scores_too_few_or_nothing_is_named() -> None:
    with pytest.raises(BadInput, match="a score for each of 2 programs, got 1"):
        choose([[1], [0]], lambda matrix: [1.0])
    with pytest.raises(BadInput, match="NaN"):
        choose([[1], [0]], lambda matrix: [math.nan, 1.0])


def test_scores_that_differ_by_rounding_alone_tie() -> None:
    assert choose([[1], [0]], lambda matrix: [0.1 + 0.2, 0.3]).tied == (0, 1)


def test_ties_are_named_and_a_seed_draws_among_them() -> None:
    matrix = [[1], [1], [1], [0]]
    assert choose(matrix, max_pass).tied == (0, 1, 2)
    drawn = {choose(matrix, max_pass, seed=seed).chosen for seed in range(30)}
    assert drawn == {0, 1, 2}
    assert choose(matrix, max_pass, seed=5) == choose(matrix, max_pass, seed=5)


def test_random_draws_among_all() -> None:
    assert {choose([[1], [0]], at_random, seed=seed).chosen for seed in range(30)} == {0, 1}


# From programs and tests to a matrix, and from a run to choices

TASK = Task(id="double", prompt="Double x.", hidden={"tests": "assert f(7) == 14"})
TESTS = ("assert f(1) == 2", "assert f(3) == 6", "assert f(2) == 99")


class Runner:
    """Runs tests on programs that are expressions of x, without a sandbox; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.tasks: list[Task] = []

    async def __call__(self, task: Task, program: str, tests: Sequence[str]) -> Sequence[Result]:
        self.asked.append(program)
        self.tasks.append(task)
        known = {"x * 2": {1: 2, 3: 6, 2: 4}, "x + 1": {1: 2, 3: 4, 2: 3}, "99": {1: 99, 3: 99, 2: 99}}
        results = []
        for test in tests:
            given, wanted = (int(part) for part in test.removeprefix("assert f(").split(") == "))
            got = known[program][given]
            results.append(Result(test=test, passed=got == wanted, got="" if got == wanted else str(got)))
        return results


def test_a_pass_matrix_has_a_row_for_each_program_and_runs_equal_ones_once() -> None:
    runner, programs = Runner(), ["x * 2", "x + 1", "x * 2"]
    matrix = asyncio.run(pass_matrix(runner, TASK, programs=programs, tests=TESTS))
    assert matrix.tolist() == [[True, True, False], [True, False, False], [True, True, False]]
    assert runner.asked == ["x * 2", "x + 1"]


def test_a_pass_matrix_without_tests_or_programs_keeps_its_shape() -> None:
    assert asyncio.run(pass_matrix(Runner(), TASK, programs=["x * 2"], tests=[])).shape == (1, 0)
    assert asyncio.run(pass_matrix(Runner(), TASK, programs=[], tests=TESTS)).shape == (0, 3)


def test_in_a_run_each_row_is_had_once(tmp_path: Path) -> None:
    runner, journal = Runner(), Journal(tmp_path / "journal.jsonl")
    context = RunContext(journal=journal)

    async def both() -> list[Any]:
        found = []
        for _ in range(2):
            with context.at("t", 1, "choose"):
                found.append(await pass_matrix(runner, TASK, programs=["x * 2", "99"], tests=TESTS))
        return found

    first, second = asyncio.run(both())
    journal.close()
    assert (first == second).all() and runner.asked == ["x * 2", "99"]


def test_results_that_do_not_fit_the_tests_are_an_error() -> None:
    async def short(task: Task, program: str, tests: Sequence[str]) -> Sequence[Result]:
        return [Result(test=tests[0], passed=True)]

    with pytest.raises(BadInput, match="was given 3 tests"):
        asyncio.run(pass_matrix(short, TASK, programs=["x"], tests=TESTS))


def sampled(folder: Path, texts: Sequence[str], tasks: Sequence[Task] = (TASK,), grader: Any = None) -> Any:
    """A run with a sample of each of the texts for every task."""
    model = ScriptedModel([text for _ in tasks for text in texts])

    def unsure(attempt: Attempt) -> Feedback:
        return Feedback(text="")

    agent = reflect_and_retry(model=model, critic=unsure, attempts=1)
    return improve(agent, tasks, folder=folder, samples=len(texts), grader=grader, concurrency=1)


def is_right(attempt: Attempt) -> float:
    return float(attempt.text == "x * 2")


def written(task: Task) -> Sequence[str]:
    return TESTS


def test_the_best_of_the_samples_is_chosen_and_wrong_tests_are_counted(tmp_path: Path) -> None:
    run = sampled(tmp_path, ["x + 1", "x * 2", "99", "x * 2"], grader=is_right)
    choices = choose_among(run, Runner(), tests=written, rule=partial(b4, alpha=10, beta=10))
    (chosen,) = choices.chosen
    assert chosen.attempt.text == "x * 2" and chosen.attempt.trajectory == "double#1"
    assert (chosen.passed, chosen.share_passed, chosen.wrong_tests, chosen.tests) == (True, 0.5, 1, 3)
    assert chosen.choice.tied == (1, 3)
    assert (choices.rate, choices.random_rate) == (1.0, 0.5)
    assert (
        choices.summary()
        == "1 tasks: 100.0% passed, 50.0% at random; 1 ties; 1 of 3 tests are known to be wrong"
    )


def test_a_test_that_any_right_program_fails_is_wrong(tmp_path: Path) -> None:
    run = sampled(tmp_path, ["x * 2", "x + 1"], grader=lambda attempt: 1.0)
    assert choose_among(run, Runner(), tests=written).chosen[0].wrong_tests == 2


def test_the_record_decides_nothing(tmp_path: Path) -> None:
    good, bad = (
        sampled(tmp_path / name, ["x + 1", "x * 2"], grader=grader)
        for name, grader in (("good", is_right), ("bad", lambda attempt: 1.0 - is_right(attempt)))
    )
    picked = [choose_among(run, Runner(), tests=written).chosen[0].choice for run in (good, bad)]
    assert picked[0] == picked[1]


def test_hidden_tests_are_shown_to_nobody(tmp_path: Path) -> None:
    asked: list[Task] = []
    runner = Runner()

    async def tests(task: Task) -> Sequence[str]:
        asked.append(task)
        return TESTS

    choose_among(sampled(tmp_path, ["x * 2"]), runner, tests=tests)
    assert all(task.hidden == {} for task in [*asked, *runner.tasks])


def test_without_a_record_nothing_is_claimed(tmp_path: Path) -> None:
    choices = choose_among(sampled(tmp_path, ["x * 2", "99"]), Runner(), tests=written)
    (chosen,) = choices.chosen
    assert (chosen.passed, chosen.share_passed, chosen.wrong_tests) == (None, None, None)
    assert choices.results == {} and choices.rate == 0.0


def test_attempts_that_broke_or_said_nothing_are_left_out(tmp_path: Path) -> None:
    tasks = [TASK, Task(id="mute", prompt="Say nothing.")]
    model = ScriptedModel(["x * 2", " ", RuntimeError("gone"), "", "", ""])
    agent = reflect_and_retry(model=model, critic=lambda attempt: Feedback(text=""), attempts=1)
    run = improve(agent, tasks, folder=tmp_path, samples=3, concurrency=1)
    (chosen,) = choose_among(run, Runner(), tests=written).chosen
    assert (chosen.task, chosen.programs) == ("double", 1)


def test_a_broken_sandbox_is_an_error_and_no_failed_test(tmp_path: Path) -> None:
    async def broken(task: Task, program: str, tests: Sequence[str]) -> Sequence[Result]:
        raise EnvironmentFailed("no sandbox")

    with pytest.raises(EnvironmentFailed):
        choose_among(sampled(tmp_path, ["x * 2"]), broken, tests=written)


def test_choosing_can_be_awaited_and_gives_what_compare_takes(tmp_path: Path) -> None:
    run = sampled(tmp_path, ["x * 2", "99"], grader=is_right)
    choices = asyncio.run(achoose_among(run, Runner(), tests=written))
    assert choices.results == {"double": [1.0]}
    assert isinstance(choices.chosen[0], Chosen)


def test_the_program_of_the_page_runs() -> None:
    page = (Path(__file__).parent.parent / "docs" / "choosing.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(program, {})
