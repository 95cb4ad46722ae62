"""Intended forms: the question they are asked with, and their way through JSON."""

from agentloop.tiny import HOUSES, tasks
from agentloop.tiny.critic import intended
from agentloop.tiny.form import Form, form_of
from agentloop.tiny.houses import POSSIBLE
from agentloop.tiny.query import Condition, Order, Query

COLUMNS = ("name", "harbor", "length", "cost")
KELP, LONG = Condition("harbor", "=", "kelp"), Condition("length", ">", 40)


def asked(query: Query, **words: str) -> str:
    return Form(
        "acme", COLUMNS, query, {slot.replace("_", " "): word for slot, word in words.items()}
    ).question()


def test_each_form_is_asked_in_its_own_words() -> None:
    boats = Query("boats", "name")
    assert asked(boats) == "acme: list the name of all boats"
    assert asked(boats._replace(limit=4), limit="a few") == "acme: list the name of a few boats"
    assert asked(boats._replace(limit=4, conditions=(KELP, LONG))) == (
        "acme: list the name of 4 boats with harbor kelp and length over 40"
    )
    assert asked(Query("boats", None, "COUNT", (LONG,)), where_length="hefty") == (
        "acme: count the boats with a hefty length"
    )
    assert asked(Query("boats", "cost", "SUM")) == "acme: give the total cost of boats"
    assert asked(Query("boats", "cost", "SUM", (), "harbor"), function="typical") == (
        "acme: for each harbor give the typical cost of boats"
    )
    top = boats._replace(limit=3, order=Order("cost", "DESC"))
    assert asked(top) == "acme: list the name of 3 boats by highest cost"
    assert asked(top, order="notable") == "acme: list the name of 3 notable boats by cost"


def test_a_form_comes_back_from_json_as_itself() -> None:
    for task in tasks("dev", 60):
        assert form_of(intended(task).to_json()) == intended(task)


def test_another_reading_changes_its_slot_alone_and_is_read_there() -> None:
    for task in tasks("dev", 60):
        form = intended(task)
        for slot in form.words:
            for reading in POSSIBLE[form.sense(slot)]:
                changed = form._replace(query=form.reread(slot, reading))
                assert changed.reading(slot) == reading
                assert changed.reread(slot, form.reading(slot)) == form.query


def test_another_house_asks_the_same_question_and_means_its_own_readings() -> None:
    for task in tasks("dev", 40):
        form = intended(task)
        for house in HOUSES:
            other = form.at(house)
            assert other.question().split(": ")[1] == form.question().split(": ")[1]
            assert all(other.reading(slot) == house.readings[word] for slot, word in form.words.items())


def test_the_schema_line_names_the_columns_in_their_order() -> None:
    assert Form("acme", COLUMNS, Query("boats", "name"), {}).schema() == "boats(name, harbor, length, cost)"
