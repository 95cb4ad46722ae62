"""The tasks: the same for the same seed, apart between splits, and decided by their readings."""

import json
from contextlib import closing

import pytest

from agentloop.errors import BadInput
from agentloop.tiny import FAMILIES, HELD_OUT, HOUSES, tasks
from agentloop.tiny.critic import answers, intended
from agentloop.tiny.houses import POSSIBLE, usual_reading
from agentloop.tiny.tables import Filled
from agentloop.tiny.words import share_of

HELD = [each.table for each in HELD_OUT]


def values(task) -> set[str]:
    """The words that stand as values in the task's tables."""
    found = set()
    for script in (task.public["script"], *task.hidden["scripts"]):
        with closing(Filled(script)) as filled:
            rows = filled.rows(f"SELECT * FROM {task.public['family']}") or []
            found |= {value for row in rows for value in row if isinstance(value, str)}
    return found


def test_the_same_seed_gives_the_same_tasks_and_another_seed_others() -> None:
    assert tasks("dev", 30, 5) == tasks("dev", 30, 5)
    assert not {each.prompt for each in tasks("dev", 30, 5)} & {each.prompt for each in tasks("dev", 30, 6)}


def test_a_task_is_set_by_its_place() -> None:
    assert tasks("test", 8, 1) == tasks("test", 20, 1)[:8]


def test_splits_share_no_id_no_table_and_no_value() -> None:
    made = {split: tasks(split, 60, 1) for split in ("train", "dev", "test")}
    seen = {split: set().union(*map(values, each)) for split, each in made.items()}
    assert not seen["train"] & seen["dev"]
    assert not seen["train"] & seen["test"]
    assert not seen["dev"] & seen["test"]
    assert all(share_of(word) == "test" for word in seen["test"])
    assert len({task.id for each in made.values() for task in each}) == 180


def test_ids_differ_between_selections() -> None:
    ids = [
        task.id
        for options in ({}, {"sparse": True}, {"families": HELD}, {"houses": ["acme"]}, {"seed": 1})
        for task in tasks("dev", 5, **options)
    ]
    assert len(set(ids)) == 25


def test_the_prompt_names_the_house_and_hides_the_reading() -> None:
    for task in tasks("dev", 60):
        assert task.prompt.startswith(f"{task.public['house']}: ")
        form = intended(task)
        for slot, word in form.words.items():
            assert word in task.prompt
            if form.sense(slot) in ("quantity", "threshold"):
                reading = form.reading(slot)
                bound = reading[1] if isinstance(reading, tuple) else reading
                exact = [str(each.value) for each in form.query.conditions if f"where {each.column}" != slot]
                assert str(bound) in [*exact, str(form.query.limit)] or f" {bound}" not in task.prompt


def test_the_readings_are_those_of_the_house() -> None:
    readings = {house.name: house.readings for house in HOUSES}
    for task in tasks("train", 80):
        form = intended(task)
        for slot, word in form.words.items():
            assert form.reading(slot) == readings[task.public["house"]][word]


def test_the_gold_query_passes_on_both_fillings_and_they_differ() -> None:
    for task in [*tasks("dev", 60), *tasks("dev", 30, families=HELD), *tasks("dev", 20, sparse=True)]:
        assert answers(task, task.hidden["query"])
        assert task.hidden["scripts"][0] != task.public["script"]


def test_misreadings_rarely_pass_and_the_usual_one_never() -> None:
    passed = tried = 0
    for task in tasks("dev", 150):
        form = intended(task)
        for slot, word in form.words.items():
            others = [reading for reading in POSSIBLE[form.sense(slot)] if reading != form.reading(slot)]
            for reading in others:
                right = answers(task, form.reread(slot, reading).sql())
                passed, tried = passed + right, tried + 1
                assert not (right and reading == usual_reading(word))
    assert tried > 300
    assert passed / tried < 0.05


def test_sparse_tasks_hold_a_threshold_or_two_words_and_no_misreading_of_them_passes() -> None:
    for task in tasks("test", 40, sparse=True):
        form = intended(task)
        senses = [form.sense(slot) for slot in form.words]
        assert "threshold" in senses or len(senses) == 2
        for slot, word in form.words.items():
            assert form.reading(slot) != usual_reading(word)
            for reading in POSSIBLE[form.sense(slot)]:
                assert reading == form.reading(slot) or not answers(task, form.reread(slot, reading).sql())


def test_vague_words_come_in_the_intended_mix() -> None:
    counts = [len(intended(task).words) for task in tasks("train", 400)]
    shares = [counts.count(number) / 400 for number in range(3)]
    assert shares[0] == pytest.approx(0.40, abs=0.08)
    assert shares[1] == pytest.approx(0.49, abs=0.08)
    assert shares[2] == pytest.approx(0.11, abs=0.06)


def test_houses_and_families_can_be_chosen() -> None:
    made = tasks("dev", 20, houses=["ember"], families=["wines"])
    assert {task.public["house"] for task in made} == {"ember"}
    assert {task.public["family"] for task in made} == {"wines"}
    everything = tasks("dev", 200)
    assert {task.public["house"] for task in everything} == {house.name for house in HOUSES}
    assert {task.public["family"] for task in everything} == {each.table for each in FAMILIES}


def test_the_hidden_form_is_one_text_so_that_words_of_feedback_are_not_masked_as_hidden() -> None:
    task = tasks("dev", 1)[0]
    assert isinstance(task.hidden["form"], str)
    assert json.loads(task.hidden["form"])[0] == task.public["house"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "prod"}, "no split named 'prod'; known: train, dev, test"),
        ({"count": -1}, "count must not be negative, got -1"),
        ({"houses": ["initech"]}, "no house named 'initech'"),
        ({"families": []}, "must not be empty"),
    ],
)
def test_bad_input_is_refused_with_what_is_allowed(options: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        tasks(**options)
