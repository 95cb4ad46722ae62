"""reasoning-gym's sets: their own answers score 1 and wrong ones less, from a journal, in safety."""

import inspect
import json
import math
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import improve, reflect_and_retry
from agentloop.environments.reasoning import answer_in, reasoning_score, reasoning_tasks
from agentloop.environments.reasoning_process import ReasoningProcess, reasoning_process
from agentloop.environments.reasoning_worker import FORMULA, LITERAL, harmless, read, written
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.models import ScriptedModel
from agentloop.types import Attempt, Task
from tests.resuming import silent

factory = pytest.importorskip(
    "reasoning_gym.factory",
    reason="SKIPPED: no reasoning-gym, pip install 'agentloop-toolkit[reasoning]' to run these tests",
)
SETS = sorted(factory.DATASETS)
SEEDS = (0, 7, 582, 999)
"""582 gives an item with a fraction in it; sets that are slow to make have the first of them only."""

SLOW = {"arc_agi", "codeio", "futoshiki", "group_anagrams", "knight_swap", "quantum_lock", "sokoban"}
NO_ANSWER = {
    "boxnet": "a plan; the scorer carries it out",
    "graph_color": "any colouring that fits",
    "propositional_logic": "any conclusion that follows",
    "rubiks_cube": "any moves that solve the cube",
    "rush_hour": "any moves that free the car",
}
"""Sets whose items come without an answer, and what would be one."""

NEEDS_CONFIG = {"composite": "it is made of other sets, which have to be named"}


def attempt(task: Task, text: str) -> Attempt:
    return Attempt(id="t/1", trajectory="t", task=task, number=1, text=text)


def score(task: Task, text: str) -> float:
    return reasoning_score(attempt(task, text))


def one(dataset: str, seed: int = 7, **config: Any) -> Task:
    (task,) = reasoning_tasks(dataset, count=1, seed=seed, **config)
    return task


def gold(task: Task) -> str:
    return str(task.hidden["answer"])


def test_at_least_a_hundred_sets_have_answers_of_their_own() -> None:
    assert set(NO_ANSWER) | set(NEEDS_CONFIG) < set(SETS)
    assert len(set(SETS) - set(NO_ANSWER) - set(NEEDS_CONFIG)) >= 100


@pytest.mark.parametrize("dataset", sorted(set(SETS) - set(NO_ANSWER) - set(NEEDS_CONFIG)))
def test_its_own_answer_scores_one_and_a_wrong_one_less(dataset: str) -> None:
    for seed in SEEDS[:1] if dataset in SLOW else SEEDS:
        task = Task.from_json(one(dataset, seed).to_json())
        assert score(task, gold(task)) == 1.0, seed
        assert score(task, f"I thought about it.\n<answer>{gold(task)}</answer>\nDone.") == 1.0, seed
        assert score(task, f"I thought about it.\n{gold(task)}") == 1.0, seed
        assert score(task, "none of these") < 1.0, seed


@pytest.mark.parametrize("dataset", sorted(NO_ANSWER))
def test_a_set_without_a_single_answer_is_made_and_scored_all_the_same(dataset: str) -> None:
    for seed in SEEDS:
        task = one(dataset, seed)
        assert task.hidden["answer"] is None
        assert 0.0 <= score(task, "none of these") < 1.0


def test_a_valid_solution_scores_one_where_there_is_no_single_answer() -> None:
    colours = one("graph_color")
    entry = read(json.loads(json.loads(colours.hidden["reasoning"])["entry"]))
    assert score(colours, json.dumps(entry["metadata"]["possible_answer"])) == 1.0
    cube = one("rubiks_cube")
    entry = read(json.loads(json.loads(cube.hidden["reasoning"])["entry"]))
    assert score(cube, entry["metadata"]["example_correct_answer"]) == 1.0


def test_a_composite_is_made_of_the_sets_that_are_named() -> None:
    sets = [{"name": name, "weight": 1, "config": {}} for name in ("gcd", "n_queens", "base_conversion")]
    tasks = reasoning_tasks("composite", count=6, seed=3, datasets=sets)
    assert [score(task, gold(task)) for task in tasks] == [1.0] * 6
    assert [score(task, "[]") for task in tasks] == [0.0] * 6
    with pytest.raises(BadInput, match="Must specify at least one dataset"):
        one("composite")


def test_a_configuration_is_used_and_makes_ids_of_its_own() -> None:
    short = one("chain_sum", min_terms=2, max_terms=2, min_digits=1, max_digits=1)
    assert re.search(r"\b\d [+-] \d\b(?! [+-])", short.prompt)
    assert score(short, gold(short)) == 1.0
    assert one("chain_sum").id == "chain_sum-7-0" != short.id
    assert [task.id for task in reasoning_tasks("gcd", count=2, seed=5)] == ["gcd-5-0", "gcd-5-1"]


@pytest.mark.parametrize(
    ("dataset", "config", "told"),
    [
        ("countdwn", {}, "'countdwn' not registered"),
        ("countdown", {"numbers": 3}, "unexpected keyword argument 'numbers'"),
        ("countdown", {"min_numbers": -1}, "AssertionError"),
        ("countdown", {"min_numbers": {1, 2}}, "made of JSON values"),
    ],
)
def test_a_set_that_cannot_be_made_is_the_callers_mistake(
    dataset: str, config: dict[str, Any], told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        one(dataset, **config)


def test_a_task_of_another_kind_and_no_tasks_are_refused() -> None:
    with pytest.raises(BadInput, match="not one that reasoning_tasks made"):
        score(Task(id="mine", prompt=""), "1")
    with pytest.raises(BadInput, match="at least 1, got 0"):
        reasoning_tasks("gcd", count=0, seed=1)


def test_the_answer_and_what_the_scorer_needs_are_hidden() -> None:
    task = one("zebra_puzzles")
    assert task.public == {"reasoning": {"dataset": "zebra_puzzles"}}
    assert set(task.hidden) == {"answer", "reasoning"}


UNSTEADY = ["acre", "isomorphic_strings", "knight_swap", "list_functions", "polynomial_multiplication"]
UNSTEADY += ["ransom_note"]


@pytest.mark.slow
def test_the_same_arguments_give_the_same_tasks_in_every_process_and_order() -> None:
    probe = (
        "import sys, json\n"
        "from agentloop.environments.reasoning import reasoning_tasks\n"
        "made = {n: [t.to_json() for t in reasoning_tasks(n, count=2, seed=0)] for n in sys.argv[1:]}\n"
        "print(json.dumps(made, sort_keys=True))\n"
    )
    told = set()
    for number, names in enumerate((UNSTEADY, UNSTEADY[::-1])):
        done = subprocess.run(
            [sys.executable, "-c", probe, *names],
            env={**os.environ, "PYTHONHASHSEED": str(number)},
            capture_output=True,
            text=True,
            check=True,
        )
        told.add(done.stdout)
    for _ in range(3):
        here = {name: [t.to_json() for t in reasoning_tasks(name, count=2, seed=0)] for name in UNSTEADY}
        assert told == {json.dumps(here, sort_keys=True) + "\n"}


def test_a_run_is_scored_and_can_be_taken_up_again(tmp_path: Path) -> None:
    def solve(messages: Any, sampling: Any) -> str:
        numbers = [int(each) for each in re.findall(r"\d+", messages[-1]["content"].split(":")[-1])]
        return f"<answer>{math.gcd(*numbers)}</answer>"

    tasks = reasoning_tasks("gcd", count=3, seed=7)
    agent = reflect_and_retry(model=ScriptedModel(solve), critic=silent, attempts=1)
    assert improve(agent, tasks, folder=tmp_path, grader=reasoning_score).figures.passed == 3
    again = reasoning_tasks("gcd", count=3, seed=7)
    assert improve(agent, again, folder=tmp_path, grader=reasoning_score).figures.passed == 3


@pytest.mark.parametrize(
    ("reply", "like", "answer"),
    [
        ("42", None, "42"),
        ("Because.\n\n42\n", "7", "42"),
        ("<answer>1</answer> no, <answer>\n 2 </answer> yes", "7", "2"),
        ("The grid:\n\n1 2\n3 4", "5 6\n7 8", "1 2\n3 4"),
        ("1", "5 6\n7 8", "1"),
        ("<answer>1\n2</answer>", "5", "1\n2"),
        ("", "5", ""),
        (" \n ", None, ""),
    ],
)
def test_the_answer_is_in_the_last_tags_or_the_last_lines(reply: str, like: str | None, answer: str) -> None:
    assert answer_in(reply, like=like) == answer


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.frozensets(st.integers() | st.text()),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
)


@given(VALUES)
def test_what_an_item_holds_is_read_back_as_it_was(value: Any) -> None:
    again = read(json.loads(json.dumps(written(value))))
    assert again == value and type(again) is type(value)


def test_values_look_the_same_inside_after_the_journal() -> None:
    value = {1: (2, [3, (4,)]), "1": {"tuple": [5]}, "f": Fraction(1, 3), "d": Decimal("0.10"), "s": {6}}
    assert repr(read(json.loads(json.dumps(written(value))))) == repr(value)
    with pytest.raises(TypeError, match="holds object"):
        written([object()])


HOSTILE = [
    "__import__('os').system('touch {canary}')",
    "open('{canary}', 'w')",
    "[open('{canary}', 'w')]",
    "[x for x in [__import__('pathlib').Path('{canary}').touch()]]",
    " [__import__('os').mkdir('{canary}')]",
    "(lambda: __import__('os').mkdir('{canary}'))()",
    "sqrt(__import__('os').mkdir('{canary}'))",
    "sqrt(open('{canary}', 'w'))!",
    "exec(\"open('{canary}', 'w')\")",
    'f\'{{open("{canary}", "w")}}\'',
    "().__class__.__base__.__subclasses__()",
    "Symbol('x').__class__",
    "sqrt.__globals__",
    "(x := 1)",
    "oracle_answer",
    "valid_solutions",
    "entry['answer']",
    "Integral(x, x)",
    "[0] * 10**10",
    "diff(x, x)",
    "sqrt(x, evaluate=False)",
    "'a'",
    "_",
]


@pytest.mark.parametrize("dataset", sorted(LITERAL | FORMULA))
def test_an_answer_that_would_act_when_it_is_run_scores_nothing_and_does_nothing(
    dataset: str, tmp_path: Path
) -> None:
    task, canary = one(dataset), tmp_path / "canary"
    for words in HOSTILE:
        answer = words.format(canary=canary)
        assert score(task, f"<answer>{answer}</answer>") == 0.0, answer
        assert not harmless(dataset, answer) or dataset in LITERAL, answer
    assert not canary.exists()


@pytest.mark.parametrize("dataset", sorted(LITERAL | FORMULA))
@given(text=st.text())
def test_no_words_that_can_act_are_let_through(dataset: str, text: str) -> None:
    # Calls of other than the named functions, attributes and subscripts are what acts.
    if harmless(dataset, text) and dataset in FORMULA:
        assert not re.search(r"[\w)\]]\s*\[|\.\s*[^\W\d]|[\"'_:=]", text)


def test_lists_and_formulas_are_still_scored() -> None:
    matrix = one("spiral_matrix")
    assert score(matrix, str(gold(matrix).split())) == 0.1
    queens = one("n_queens")
    assert score(queens, str([row.split() for row in gold(queens).splitlines()])) == 0.5
    integral = one("simple_integration")
    assert score(integral, gold(integral).replace("C", "7")) == 1.0
    assert harmless("simple_integration", "-sqrt(x)*exp(2*x)/3.5 + log(Abs(x)) + C")


def test_every_scorer_that_runs_an_answer_is_known() -> None:
    runs = re.compile(
        r"\b(eval|exec|parse_expr|sympify|parse_latex|literal_eval|compile|__import__)\(|pickle|yaml"
    )
    found = {
        name
        for name, (kind, _) in factory.DATASETS.items()
        if name != "composite" and runs.search(_without_generators(inspect.getmodule(kind)))
    }
    # These two run what the package made itself, the answer or the question, and nothing else.
    assert found == LITERAL | FORMULA | {"number_sorting", "bitwise_arithmetic"}


def _without_generators(module: Any) -> str:
    """The source of a module's ``score_answer`` methods and of the functions that they name."""
    source = "\n".join(
        inspect.getsource(value.score_answer)
        for value in vars(module).values()
        if inspect.isclass(value) and "score_answer" in vars(value)
    )
    named = [value for name, value in vars(module).items() if re.search(rf"\b{name}\(", source)]
    return source + "\n".join(
        inspect.getsource(value)
        for value in named
        if inspect.isfunction(value) and value.__module__ == module.__name__
    )


def test_an_answer_that_never_ends_is_given_up_and_the_next_is_scored() -> None:
    task = one("countdown")
    assert reasoning_score(attempt(task, "9**9**9**9"), seconds=1.0) == 0.0
    assert score(task, gold(task)) == 1.0


def test_an_answer_too_long_to_look_at_scores_nothing() -> None:
    task = one("gcd")
    assert score(task, "1" * 20_001) == 0.0
    assert score(task, "(" * 20_000) == 0.0


def test_the_halting_set_takes_no_words_for_an_answer() -> None:
    task = one("game_of_life_halting")
    other = {"True": "False", "False": "True"}[gold(task)]
    assert [score(task, words) for words in (gold(task), gold(task).lower(), other, "zzz")] == [1, 1, 0, 0]


def test_a_scorer_that_cannot_read_an_answer_gives_nothing() -> None:
    assert score(one("prime_factorization"), "two times three") == 0.0
    assert score(one("boxnet"), "5") == 0.0


def test_a_lost_process_is_replaced_without_a_word() -> None:
    task = one("gcd")
    process = reasoning_process()
    assert process._worker is not None
    os.kill(process._worker.pid, signal.SIGKILL)
    assert score(task, gold(task)) == 1.0


def test_a_process_that_is_lost_over_a_request_twice_is_a_failure() -> None:
    process = ReasoningProcess()
    with pytest.raises(EnvironmentFailed, match="ended twice over nothing of 'gcd'"):
        process.ask({"op": "nothing", "dataset": "gcd"}, seconds=5.0)


def test_threads_share_the_process() -> None:
    tasks = reasoning_tasks("gcd", count=20, seed=1)
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda task: score(task, gold(task)), tasks * 3))
    assert told == [1.0] * 60


def test_without_reasoning_gym_the_module_loads_and_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "reasoning_gym.py").write_text("raise ImportError('not here')")
    probe = (
        "from agentloop.environments.reasoning import reasoning_tasks\n"
        "try: reasoning_tasks('gcd', count=1, seed=1)\n"
        "except ImportError as error: print(error)\n"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", probe],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pip install 'agentloop-toolkit[reasoning]'" in done.stdout
