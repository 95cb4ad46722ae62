"""The critic over facts: levels of detail, verdicts, and what it never says."""

import asyncio

import pytest

from agentloop.critics import execution_critic
from agentloop.environments import SQLEnvironment
from agentloop.errors import BadInput
from agentloop.hidden import may_see_hidden, public_attempt, sees_hidden
from agentloop.types import Attempt, Fact, Step, Task

SCRIPT = """
CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, city TEXT);
INSERT INTO users VALUES (1, 'Ann', 'Rome'), (2, 'Bob', 'Oslo'), (3, 'Zyxwvu', 'Oslo');
"""
GOLD = "SELECT name FROM users WHERE city = 'Oslo' ORDER BY name"
LEVELS = ("unary", "binary", "located", "explained")


@pytest.fixture(scope="module")
def environment():
    made = SQLEnvironment(workers=1, timeout_seconds=0.5)
    yield made
    made.close()


@pytest.fixture(scope="module")
def writing():
    made = SQLEnvironment(workers=1, writes=True)
    yield made
    made.close()


def attempted(environment, text, gold=GOLD, **hidden):
    """The attempt that answering with ``text`` makes, hidden facts and all."""
    task = Task(id="t", prompt="?", public={"script": SCRIPT}, hidden={"query": gold, **hidden})

    async def make():
        session = environment(task)
        step = await session.step(text)
        facts = await session.final()
        await session.close()
        return Attempt(
            id="a", trajectory="x", task=task, number=1, text=text, steps=(step,), facts=tuple(facts)
        )

    return asyncio.run(make())


@pytest.fixture
def attempt(environment):
    return lambda text, **hidden: attempted(environment, text, **hidden)


def said(attempt, level="explained", public=False):
    return execution_critic(level)(public_attempt(attempt) if public else attempt)


def test_a_missing_column_is_told_at_every_level_of_detail(attempt):
    made = attempt("SELECT nme FROM users")
    assert [said(made, level).text for level in LEVELS] == [
        "Try again.",
        "Your answer is wrong. Answer again.",
        "There is no column `nme`.",
        "There is no column `nme`. Did you mean `name`?",
    ]
    assert {said(made, level).verdict for level in LEVELS} == {"fail"}
    assert [said(made, level).kind for level in LEVELS] == ["unary", "binary", "critique", "critique"]


@pytest.mark.parametrize("level", LEVELS)
def test_without_hidden_data_an_error_fails_and_a_result_is_left_unsure(level, attempt):
    assert said(attempt("SELECT nme FROM users"), level, public=True).verdict == "fail"
    ran = said(attempt("SELECT name FROM users"), level, public=True)
    assert (ran.verdict, ran.score) == ("unsure", None)


@pytest.mark.parametrize("level", LEVELS)
def test_with_hidden_data_right_and_wrong_are_known(level, attempt):
    assert said(attempt(GOLD), level).verdict == "pass"
    assert said(attempt(GOLD), level).score == 1.0
    wrong = said(attempt("SELECT name FROM users"), level)
    assert wrong.verdict == "fail"
    assert 0 < wrong.score <= 0.9


def test_the_critic_is_given_hidden_data_only_when_it_is_let_through():
    assert not may_see_hidden(execution_critic())
    assert may_see_hidden(sees_hidden(execution_critic()))


@pytest.mark.parametrize(
    ("query", "located", "explained"),
    [
        ("SELECT FROM users", "line 1, column 8, at `FROM`", 'near "FROM": syntax error'),
        ("SELECT * FROM user", "no table `user`", "Did you mean `users`?"),
        ("SELECT u.title FROM users u", "no column `title` in table `users`", ""),
        ("SELECT name FROM users WHERE city = 'oslo'", "returned no rows", "written otherwise"),
        ("DELETE FROM users", "was refused", "read-only"),
        ("SELECT id, name FROM users", "columns of the result are wrong", "has 2 columns; 1 is wanted"),
        ("SELECT name FROM users", "rows of the result are wrong", "1 row does not belong in it"),
        ("SELECT name FROM users WHERE id = 2", "rows of the result are wrong", "1 wanted row is not in it"),
        (f"{GOLD} DESC", "order is wrong", "ORDER BY"),
        (
            "SELECT name FROM users WHERE id > 1 UNION ALL SELECT name FROM users WHERE id > 1",
            "repeated that should not be",
            "It has 4 rows; 2 are wanted",
        ),
        (
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT max(n) FROM r",
            "stopped after 0.5 seconds",
            "recursion without end",
        ),
        ("SELECT id FROM users, users", "fails", "ambiguous"),
    ],
)
def test_what_is_wrong_is_told_in_words(query, located, explained, attempt):
    made = attempt(query)
    assert located in said(made, "located").text
    assert explained in said(made, "explained").text
    assert said(made, "explained").text.startswith(said(made, "located").text.split(".")[0])


def test_the_rows_that_do_not_belong_are_the_agents_own(attempt):
    assert "for example (Ann)" in said(attempt("SELECT name FROM users")).text


WRONG = [
    "SELECT nme FROM users",
    "SELECT name FROM users WHERE id = 1",
    "SELECT id FROM users",
    "SELECT id, name, city FROM users WHERE id = 1",
    "SELECT 1",
    "nonsense",
    "",
]


@pytest.mark.parametrize("query", WRONG)
@pytest.mark.parametrize("level", LEVELS)
def test_neither_the_accepted_query_nor_a_wanted_row_is_told(query, level, attempt):
    text = said(attempt(query), level).text
    assert "Zyxwvu" not in text
    assert "ORDER BY name" not in text and GOLD not in text


def test_the_place_of_an_error_is_marked_in_the_attempts_text(attempt):
    text = "My answer:\n```sql\nSELECT nme\nFROM users\n```"
    feedback = said(attempt(text))
    (span,) = feedback.spans
    assert text[span.start : span.end] == "nme"
    assert span.label == "missing_column"
    assert said(attempt(text), "binary").spans == ()


def test_a_result_nearer_to_the_wanted_one_scores_higher(attempt):
    queries = [
        "SELECT id FROM users",
        "SELECT name FROM users WHERE id = 2",
        "SELECT name FROM users",
        f"{GOLD} DESC",
    ]
    scores = [said(attempt(query)).score for query in queries]
    assert scores == sorted(scores)
    assert scores[0] == 0.0
    assert scores[-1] == 0.9


def test_a_result_right_by_chance_is_told_so(attempt):
    other = SCRIPT + "INSERT INTO users VALUES (4, 'Cid', 'Oslo')"
    made = attempt("SELECT name FROM users WHERE id > 1 AND id < 4 ORDER BY 1", scripts=[other])
    assert "only by chance" in said(made).text


def test_an_end_state_is_told_a_table(writing):
    gold = "UPDATE users SET city = 'Bonn' WHERE id = 1"
    made = attempted(writing, "UPDATE users SET city = 'Bonn'", gold=gold)
    assert said(made, "located").text == "The end state of table `users` is wrong."
    assert (
        "2 rows stand in `users` that should not, for example (2, Bob, Bonn). 2 wanted rows are not"
        in said(made).text
    )
    assert said(made, public=True).verdict == "unsure"
    assert said(attempted(writing, gold, gold=gold)).verdict == "pass"


def test_a_statement_that_changed_nothing_is_told(writing):
    made = attempted(writing, "UPDATE users SET city = 'Bonn' WHERE id = 9")
    assert said(made, public=True).text == "The statement changed no row. Look at its conditions."


def test_only_the_last_step_counts(attempt):
    first, last = attempt("SELECT nme FROM users"), attempt("SELECT name FROM users")
    made = last.replace(steps=first.steps + last.steps, facts=())
    assert said(made).verdict == "unsure"


def bare(**fields):
    return Attempt(id="a", trajectory="x", task=Task(id="t", prompt="?"), number=1, **fields)


def test_an_attempt_in_which_nothing_ran_is_unsure():
    assert said(bare()).text == "Nothing was run, so nothing could be checked."
    assert said(bare()).verdict == "unsure"


def test_an_attempt_that_broke_off_is_unsure():
    assert "broke off: environment" in said(bare(error="environment: X: y")).text


def test_facts_of_other_environments_are_passed_over():
    step = Step(action="x", observation="y", facts=(Fact(kind="colour", data={"is": "blue"}),))
    assert said(bare(steps=(step,))).text == "The answer ran; whether it is right was not checked."


def test_an_unknown_level_says_which_there_are():
    with pytest.raises(BadInput, match="unary, binary, located, explained"):
        execution_critic("loud")
