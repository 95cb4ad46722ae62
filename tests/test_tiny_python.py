"""The family of short Python functions: programs as data, tasks, and the critic."""

import ast
import json
import random
import re

import pytest

from agentloop import Attempt
from agentloop.errors import BadInput
from agentloop.tiny import FAMILIES, HELD_OUT
from agentloop.tiny.form import form_of
from agentloop.tiny.houses import HOUSES, POSSIBLE, usual_reading
from agentloop.tiny.python_critic import is_right, python_answers, python_critic, python_words
from agentloop.tiny.python_drawing import usual
from agentloop.tiny.python_gaps import gaps
from agentloop.tiny.python_program import LENGTH, extract, parse, program
from agentloop.tiny.python_tasks import HIDDEN, python_tasks
from agentloop.tiny.python_values import FAILED, value
from agentloop.tiny.query import Condition, Order, Query
from agentloop.types import Fact

QUERIES = [
    Query("goals", "goals"),
    Query("goals", "goals", limit=3, order=Order("goals", "DESC")),
    Query("goals", None, "COUNT", (Condition("goals", "even", 0), Condition("goals", ">", 40))),
    Query("goals", "goals", "AVG", (Condition("goals", "odd", 0),)),
    Query("ports", "ports", None, (Condition("ports", "starts", "k"),), order=Order(LENGTH, "ASC"), limit=4),
    Query("ports", LENGTH, "MIN", (Condition(LENGTH, "<", 6),)),
    Query("books", "title", None, (Condition("shelf", "=", "oak"),), order=Order("pages", "DESC"), limit=2),
    Query("books", "pages", "SUM", (Condition("pages", "<", 50), Condition("loans", ">", 9))),
    Query("books", "pages", "AVG"),
]
LISTS = {
    "goals": [[12, 81, 7, 44, 60], [3, 42]],
    "ports": [["kelp", "karoo", "mo", "kit", "knollwood"]],
    "books": [[{"title": f"t{at}", "shelf": "oak", "pages": 40 + at, "loans": 20 - at} for at in range(5)]],
}
TASKS = python_tasks("dev", 60)
EVERYTHING = [*TASKS, *python_tasks("dev", 20, families=[family.table for family in HELD_OUT])]


def ran(text: str, name: str, items: list) -> object:
    """What a program of these tests really returns."""
    space: dict = {}
    exec(text, space)
    return space[name](items)


@pytest.mark.parametrize("query", QUERIES)
def test_a_program_is_read_back_as_it_was_meant(query):
    parsed = parse(program("kelp", query))
    assert parsed is not None
    assert (parsed.name, parsed.argument, parsed.query) == ("kelp", query.table, query)


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_worked_out_is_what_python_returns(query):
    for items in LISTS[query.table]:
        assert value(query, items) == ran(program("kelp", query), "kelp", items)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("def f(goals):\n    return max(goals)", []),
        ("def f(books):\n    return [each['titel'] for each in books]", LISTS["books"][0]),
        ("def f(goals):\n    kept = [each for each in goals if each > 'k']\n    return kept", [3]),
        ("def f(ports):\n    kept = [each for each in ports if each % 2 == 0]\n    return kept[:2]", [[]]),
    ],
)
def test_what_raises_in_python_raises_here(text, items):
    with pytest.raises(FAILED) as python:
        ran(text, "f", items)
    with pytest.raises(FAILED) as here:
        value(parse(text).query, items)
    assert python.type is here.type


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT 1",
        "def f(goals):",
        "def f(goals):\n    return",
        "def f(goals):\n    return __import__('os').system('ls')",
        "def f(goals):\n    return goals.__class__",
        "def f(goals, more):\n    return goals",
        "def f(goals=[]):\n    return goals",
        "def f(goals: list):\n    return goals",
        "@cache\ndef f(goals):\n    return goals",
        "import os\ndef f(goals):\n    return goals",
        "def f(goals):\n    kept = sorted(goals)\n    return goals",
        "def f(goals):\n    kept = sorted(goals)\n    kept = sorted(kept)\n    return kept",
        "def f(goals):\n    kept = [each for each in goals if each[1] == 'k']\n    return kept",
        "def f(goals):\n    kept = [each for each in goals if each[0] == 'k' or each > 3]\n    return kept",
        "def f(goals):\n    return goals[1:3]",
        "def f(goals):\n    return goals[:-1]",
        "def f(goals):\n    return sum(goals) / len(others)",
        "def f(goals):\n    return sorted(goals, reverse=False)",
        "def f(goals):\n    return f(goals)",
        "def f(len):\n    kept = [each for each in len if each > 3]\n    return len(kept)",
        "def f(len):\n    kept = sorted(len, key=len)\n    return kept",
        "(" * 5000,
        "def f(goals):\n    return goals\0",
    ],
)
def test_other_programs_are_not_read(text):
    assert parse(text) is None


def test_a_program_that_uses_another_name_than_its_signature_is_wrong():
    task = next(task for task in TASKS if "\n    return " in task.hidden["solution"])
    assert python_answers(task, task.hidden["solution"])
    renamed = re.sub(r"\((\w+)\):", r"(\1s):", task.hidden["solution"], count=1)
    assert parse(renamed) is not None
    assert not python_answers(task, renamed)


def test_a_list_may_be_called_like_a_function_that_is_not_used():
    query = Query("len", "len", None, (Condition("len", ">", 20),), limit=2)
    text = program("f", query)
    parsed = parse(text)
    assert parsed is not None
    assert value(parsed.query, [12, 81, 44, 60]) == ran(text, "f", [12, 81, 44, 60]) == [81, 44]


def test_a_program_is_taken_from_its_fence():
    assert extract("Here:\n```python\ndef f(x):\n    return x\n```\nDone.") == "def f(x):\n    return x"


def test_tasks_are_the_same_for_the_same_arguments_and_set_by_their_place():
    assert python_tasks("dev", 5) == TASKS[:5]
    assert python_tasks("dev", 5, seed=1) != TASKS[:5]
    assert python_tasks("train", 5) != TASKS[:5]


@pytest.mark.parametrize("task", EVERYTHING, ids=lambda task: task.id)
def test_solutions_pass_their_tests_when_python_runs_them(task):
    space: dict = {}
    exec(task.hidden["solution"], space)
    exec(task.public["tests"][0], space)
    exec(task.hidden["tests"], space)
    assert task.hidden["tests"].count("assert ") == HIDDEN
    assert python_answers(task, task.hidden["solution"])


@pytest.mark.parametrize("task", EVERYTHING, ids=lambda task: task.id)
def test_the_example_in_the_prompt_does_not_tell_the_reading(task):
    form = form_of(task.hidden["form"])
    plain = program(task.public["entry_point"], usual(form))
    assert task.public["tests"][0] in task.prompt
    space: dict = {}
    exec(plain, space)
    exec(task.public["tests"][0], space)
    if plain != task.hidden["solution"]:
        with pytest.raises((AssertionError, *FAILED)):
            exec(task.hidden["tests"], space)


def test_a_vague_word_is_read_as_its_house_reads_it():
    houses = {house.name: house for house in HOUSES}
    for task in TASKS:
        form = form_of(task.hidden["form"])
        for slot, word in form.words.items():
            assert form.reading(slot) == houses[task.public["house"]].readings[word]
            assert word in task.prompt


def test_sparse_tasks_have_no_usual_reading():
    for task in python_tasks("dev", 20, sparse=True):
        form = form_of(task.hidden["form"])
        assert form.words
        assert all(form.reading(slot) != usual_reading(word) for slot, word in form.words.items())


def test_no_value_of_a_list_occurs_in_two_splits():
    def words(split: str) -> set[str]:
        shown = {column for family in (*FAMILIES, *HELD_OUT) for column in (family.key, *family.own_words)}
        texts = [task.hidden["tests"] for task in python_tasks(split, 40)]
        found = {
            node.value
            for text in texts
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        return found - shown

    train, dev, test = map(words, ("train", "dev", "test"))
    assert train
    assert not train & dev and not train & test and not dev & test


def test_a_split_that_there_is_not_is_refused():
    with pytest.raises(BadInput, match="no split named 'all'; known: train, dev, test"):
        python_tasks("all", 1)


def wrong_for(task) -> str:
    """The solution with its first vague word, or else its limit or function, misread."""
    form, name = form_of(task.hidden["form"]), task.public["entry_point"]
    for slot in form.words:
        other = next(each for each in POSSIBLE[form.sense(slot)] if each != form.reading(slot))
        return program(name, form.reread(slot, other))
    return program(f"{name}x", form.query)


def says(level: str, task, text: str) -> str:
    attempt = Attempt(
        id="a", trajectory="t", task=task, number=1, text=text, facts=(Fact(kind="program", data={}),)
    )
    return python_critic(level)(attempt).text


def test_each_level_says_more_than_the_one_before():
    task = next(task for task in TASKS if "limit" in form_of(task.hidden["form"]).words)
    form = form_of(task.hidden["form"])
    said = [says(level, task, wrong_for(task)) for level in ("again", "binary", "located", "explained")]
    last = task.hidden["solution"].count("\n") + 1
    assert said[0] == "Try again."
    assert "wrong" in said[1]
    assert said[2] == f"check line {last}"
    assert said[3] == f"at {form.house}, {form.words['limit']} means {form.query.limit} rows"


CODE = re.compile(r"[\[\](){}=<>%:]|\b(kept|sorted|lambda|len|max|min|sum)\b")


@pytest.mark.parametrize("task", EVERYTHING, ids=lambda task: task.id)
def test_the_critic_quotes_no_code(task):
    others = [other.hidden["solution"] for other in EVERYTHING[::8]]
    for text in (*others, wrong_for(task), "return 1", f"def {task.public['entry_point']}(x):\n    return 1"):
        for level in ("again", "binary", "located", "explained"):
            said = says(level, task, text)
            assert not CODE.search(said), said


@pytest.mark.parametrize("task", EVERYTHING, ids=lambda task: task.id)
def test_a_right_answer_has_no_gaps_and_a_misread_one_has(task):
    form, name = form_of(task.hidden["form"]), task.public["entry_point"]
    assert gaps(parse(task.hidden["solution"]), name, form) == []
    assert gaps(parse(wrong_for(task)), name, form)
    assert says("explained", task, task.hidden["solution"]) == "Correct."


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("def kelp(books):\n    return [each['title'] for each in books]", "a line is missing"),
        ("def kelp(boks):\n    return boks", "a line is missing"),
        (
            "def kelp(books):\n    kept = [each for each in books if each['pages'] > 9]\n"
            "    return [each['title'] for each in kept]",
            "check line 2",
        ),
        (
            "def kelp(books):\n    kept = [each for each in books if each['pags'] < 50]\n"
            "    return [each['title'] for each in kept]",
            "check line 2",
        ),
        ("def klp(books):\n    return [each['title'] for each in books]", "check line 1"),
        ("def kelp(books): return eval(books)", "this is not one plain function of books"),
    ],
)
def test_located_words_name_the_line_of_the_first_difference(wrong, said):
    task = next(task for task in TASKS if task.public["entry_point"])
    form = form_of(task.hidden["form"])
    query = Query("books", "title", None, (Condition("pages", "<", 50),))
    form = form._replace(query=query, columns=("title", "pages"), words={})
    assert python_words("located", wrong, name="kelp", form=form) == said


def test_the_word_of_the_hidden_tests_decides_where_the_environment_ran_them():
    task = TASKS[0]

    def attempt(passed: bool, text: str) -> Attempt:
        fact = Fact(kind="tests_passed", data={"passed": passed}, hidden=True)
        return Attempt(id="a", trajectory="t", task=task, number=1, text=text, facts=(fact,))

    assert is_right(attempt(True, "anything"))
    assert not is_right(attempt(False, task.hidden["solution"]))


def test_a_task_of_another_kind_is_refused():
    other = TASKS[0].replace(hidden={"tests": ""})
    attempt = Attempt(id="a", trajectory="t", task=other, number=1, text="", facts=())
    with pytest.raises(BadInput, match="has no hidden form"):
        python_critic()(attempt)


def test_a_level_that_there_is_not_is_refused():
    with pytest.raises(BadInput, match="no level named 'loud'; known: again, binary, located, explained"):
        python_critic("loud")


def test_hidden_data_are_plain_and_the_prompt_holds_none_of_them():
    for task in TASKS:
        json.dumps(task.hidden)
        assert task.hidden["tests"] not in task.prompt
        assert task.hidden["solution"] not in task.prompt


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_reading_random_damage_never_raises():
    draw = random.Random(0)
    for task in TASKS:
        text = task.hidden["solution"]
        for _ in range(20):
            at = draw.randrange(len(text))
            damaged = text[:at] + draw.choice(["", "(", "x", "'", "\n", " 7", "[", "each"]) + text[at + 1 :]
            python_answers(task, damaged)
            python_words(
                "explained", damaged, name=task.public["entry_point"], form=form_of(task.hidden["form"])
            )
