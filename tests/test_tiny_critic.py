"""The rule-based critic: what it says at each level, and what it never says."""

import random
import re
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.hidden import mask_hidden, public_attempt
from agentloop.tiny import HELD_OUT, critic, tasks
from agentloop.tiny.critic import intended
from agentloop.tiny.houses import house, meaning, usual_reading
from agentloop.tiny.tables import Filled
from agentloop.types import Attempt, Fact, Task

GIVEN = tasks("dev", 60) + tasks("dev", 20, families=[each.table for each in HELD_OUT])
SQL = re.compile(r"\b(SELECT|FROM|WHERE|GROUP BY|ORDER BY|LIMIT|COUNT|AVG|MAX|MIN|SUM|ASC|DESC)\b|[=<>*()]|'")


def attempt(task: Task, text: str, **more) -> Attempt:
    return Attempt(id="t/1", trajectory="t", number=1, task=task, text=text, **more)


def wrong_answers(task: Task) -> list[str]:
    """Answers that are wrong in many ways, among them every usual reading."""
    form, draw = intended(task), random.Random(task.id)
    query = form.query
    usual = query
    for slot, word in form.words.items():
        usual = form._replace(query=usual).reread(slot, usual_reading(word))
    cut = draw.randrange(3, len(query.sql()) - 3)
    changed = [
        usual,
        query._replace(table="nowhere"),
        query._replace(conditions=()),
        query._replace(limit=1),
        query._replace(function="COUNT", column=None, group=None, order=None, limit=None),
    ]
    return [
        "",
        "no idea",
        query.sql()[:cut],
        f"{query.sql()} UNION SELECT 1",
        *(each.sql() for each in changed),
    ]


def test_the_gold_query_is_correct_at_every_level() -> None:
    for level in ("again", "binary", "clause", "verbal"):
        for task in GIVEN[:10]:
            feedback = critic(level)(attempt(task, f"```sql\n{task.hidden['query']};\n```"))
            assert (feedback.verdict, feedback.score, feedback.text) == ("pass", 1.0, "Correct.")


@pytest.mark.parametrize("level", ["again", "binary", "clause", "verbal"])
def test_it_never_prints_sql_nor_the_gold_nor_anything_hidden(level) -> None:
    judge = critic(level)
    for task in GIVEN:
        for text in wrong_answers(task):
            feedback = judge(attempt(task, text))
            assert not SQL.search(feedback.text), feedback.text
            assert task.hidden["query"].lower() not in feedback.text.lower()
            assert mask_hidden(feedback.text, task) == feedback.text


def test_verbal_feedback_names_the_reading_of_the_house() -> None:
    named = 0
    for task in GIVEN:
        form = intended(task)
        for slot, word in form.words.items():
            if form.reading(slot) != usual_reading(word):
                feedback = critic()(attempt(task, form.reread(slot, usual_reading(word)).sql()))
                reading = house(form.house).readings[word]
                assert feedback.text == f"at {form.house}, {word} means {meaning(word, reading)}"
                named += 1
    assert named > 20


def test_verbal_feedback_names_at_most_two_gaps() -> None:
    task = next(task for task in GIVEN if intended(task).query.order)
    query = intended(task).query._replace(table="x", column="y", conditions=(), limit=1)
    assert critic()(attempt(task, query.sql())).text.count(";") == 1


def test_each_level_says_more_than_the_one_before() -> None:
    task = next(task for task in GIVEN if "limit" in intended(task).words)
    text = intended(task).query._replace(limit=1).sql()
    said = {level: critic(level)(attempt(task, text)) for level in ("again", "binary", "clause", "verbal")}
    assert said["again"].text == "Try again."
    assert said["binary"].text == "Your answer is wrong. Answer again."
    assert said["clause"].text == "check the limit"
    assert "rows" in said["verbal"].text
    assert [each.kind for each in said.values()] == ["unary", "binary", "critique", "critique"]
    assert all(each.verdict == "fail" and each.score == 0.0 for each in said.values())


def test_the_environments_word_on_the_rows_is_taken() -> None:
    task = GIVEN[0]
    for match, verdict in ((True, "pass"), (False, "fail")):
        fact = Fact(kind="result_match", data={"match": match}, hidden=True)
        assert critic()(attempt(task, task.hidden["query"], facts=(fact,))).verdict == verdict


def test_an_answer_that_is_right_on_one_filling_only_is_wrong() -> None:
    task = next(each for each in GIVEN if each.hidden["query"].startswith("SELECT SUM"))
    with closing(Filled(task.public["script"])) as filled:
        [(here,)] = filled.rows(task.hidden["query"]) or []
    assert critic()(attempt(task, f"SELECT {here}")).verdict == "fail"


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE staff",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT max(n) FROM r",
        "SELECT length(hex(zeroblob(900000000)))",
        "ATTACH DATABASE '/tmp/pwn.sqlite' AS x",
        "SELECT 1; SELECT 2",
        "x" * 200_000,
        "\x00",
        "(" * 10_000,
    ],
)
def test_hostile_answers_are_wrong_and_harm_nothing(text: str) -> None:
    assert critic()(attempt(GIVEN[0], text)).verdict == "fail"
    assert not Path("/tmp/pwn.sqlite").exists()
    assert critic()(attempt(GIVEN[0], GIVEN[0].hidden["query"])).verdict == "pass"


@given(st.text(max_size=80))
def test_whatever_a_model_says_is_judged(text: str) -> None:
    assert critic()(attempt(GIVEN[1], text)).verdict in ("pass", "fail")


def test_without_hidden_data_it_says_how_to_wrap_it() -> None:
    with pytest.raises(BadInput, match=r"sees_hidden\(critic\(\)\)"):
        critic()(public_attempt(attempt(GIVEN[0], "SELECT 1")))


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(BadInput, match="no level named 'loud'; known: again, binary, clause, verbal"):
        critic("loud")
