"""What the critic says lies between an answer and what was meant."""

import pytest

from agentloop.tiny import tasks
from agentloop.tiny.critic import intended
from agentloop.tiny.form import Form
from agentloop.tiny.gaps import gaps
from agentloop.tiny.houses import POSSIBLE, meaning
from agentloop.tiny.query import Condition, Order, Query

COLUMNS = ("name", "harbor", "length", "cost")
TOP = Form(
    "acme",
    COLUMNS,
    Query("boats", "name", None, (Condition("length", ">", 60),), None, Order("cost", "ASC"), 4),
    {"limit": "a few", "order": "notable", "where length": "hefty"},
)
GROUP = Form("acme", COLUMNS, Query("boats", "cost", "SUM", (), "harbor"), {"function": "typical"})
LIST = Form("acme", COLUMNS, Query("boats", "name", None, (Condition("harbor", "=", "kelp"),)), {})


def said(form: Form, **changes) -> list[str]:
    return [gap.text for gap in gaps(form.query._replace(**changes), form)]


@pytest.mark.parametrize(
    ("form", "changes", "sentence"),
    [
        (TOP, {"limit": 3}, "at acme, a few means 4 rows"),
        (TOP, {"limit": None}, "at acme, a few means 4 rows"),
        (TOP, {"order": Order("cost", "DESC")}, "at acme, notable means the lowest first"),
        (TOP, {"conditions": (Condition("length", ">", 70),)}, "at acme, hefty means over 60"),
        (TOP, {"conditions": ()}, "the hefty length is missing"),
        (TOP, {"order": Order("length", "ASC")}, "go by the cost"),
        (TOP, {"order": None}, "go by the cost"),
        (TOP, {"column": "harbor"}, "show the name"),
        (TOP, {"table": "boat"}, "the question is about boats"),
        (TOP, {"column": "nam"}, "there is no nam, did you mean name"),
        (TOP, {"column": "qqq"}, "there is no qqq"),
        (GROUP, {"function": "AVG"}, "at acme, typical means the total"),
        (GROUP, {"group": None}, "one line for each harbor"),
        (GROUP, {"column": "length"}, "it is about the cost"),
        (GROUP, {"limit": 2}, "all rows are asked for"),
        (LIST, {"conditions": (Condition("harbor", "=", "help"),)}, "the harbor must be kelp"),
        (
            LIST,
            {"conditions": (*LIST.query.conditions, Condition("cost", "<", 5))},
            "nothing is asked of the cost",
        ),
        (LIST, {"conditions": LIST.query.conditions * 2}, "one wish stands there twice"),
        (LIST, {"function": "COUNT", "column": None}, "show the name of each row"),
        (LIST, {"order": Order("cost", "ASC")}, "no order is asked for"),
        (LIST, {"limit": 3}, "all rows are asked for"),
    ],
)
def test_a_difference_is_told_in_one_sentence(form: Form, changes: dict, sentence: str) -> None:
    assert sentence in said(form, **changes)


def test_the_intended_query_has_no_gap() -> None:
    for task in tasks("dev", 50):
        form = intended(task)
        assert gaps(form.query, form) == []


def test_every_misreading_is_told_with_the_house_its_word_and_its_meaning() -> None:
    for task in tasks("dev", 120):
        form = intended(task)
        for slot, word in form.words.items():
            for reading in POSSIBLE[form.sense(slot)]:
                if reading != form.reading(slot):
                    found = [gap.text for gap in gaps(form.reread(slot, reading), form)]
                    assert found == [f"at {form.house}, {word} means {meaning(word, form.reading(slot))}"]


def test_a_sentence_stands_once() -> None:
    wrong = TOP.query._replace(limit=9, column="nam", order=Order("nam", "ASC"))
    texts = [gap.text for gap in gaps(wrong, TOP)]
    assert len(texts) == len(set(texts))
