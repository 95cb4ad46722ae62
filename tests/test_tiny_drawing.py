"""How questions are drawn."""

import random
from collections import Counter

from agentloop.tiny import HOUSES
from agentloop.tiny.drawing import draw_form, draw_senses, draw_sparse_senses
from agentloop.tiny.families import FAMILIES
from agentloop.tiny.tables import draw_table
from agentloop.tiny.words import Words


def forms(count: int, senses=draw_senses):
    for seed in range(count):
        draw = random.Random(seed)
        table = draw_table(draw, draw.choice(FAMILIES), Words(draw))
        wanted = senses(draw)
        yield wanted, draw_form(draw, table, draw.choice(HOUSES), senses=wanted)


def test_a_question_has_the_vague_words_that_were_wanted() -> None:
    for wanted, form in forms(300):
        assert sorted(form.sense(slot) for slot in form.words) == sorted(wanted)


def test_every_form_is_drawn() -> None:
    shapes = Counter(
        (form.query.function is None, form.query.group is None, form.query.order is None)
        for _, form in forms(300)
    )
    assert len(shapes) == 4
    assert min(shapes.values()) > 20


def test_a_query_names_only_columns_of_its_table_and_conditions_on_different_ones() -> None:
    for _, form in forms(300):
        assert set(form.query.columns) <= set(form.columns)
        named = [condition.column for condition in form.query.conditions]
        assert len(set(named)) == len(named) <= 2


def test_sparse_questions_always_hold_a_threshold_word() -> None:
    assert all("threshold" in wanted for wanted, _ in forms(60, draw_sparse_senses))
