"""The person at the table: what they say of which error, when they say nothing, and how they word it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Fact, Task
from agentloop.errors import BadInput
from agentloop.models.tabletop import depends_on, is_beyond
from agentloop.people.tabletop import TabletopPerson, phrasings_of
from agentloop.people.tabletop_words import HELD_OUT, KNOWN, PLAN
from agentloop.watching import Moment

FINE = {
    "skill": "pick",
    "why": "",
    "off": {},
    "wanted": "black cup",
    "into": "oak drawer",
    "owned": False,
    "held": "",
    "lies": False,
    "left_open": False,
    "reached": False,
}
WORDS = {
    "held": "cup",
    "kind": "cup",
    "place": "drawer",
    "wanted": "black cup",
    "into": "oak drawer",
    "angle": "45",
    "length": "4 cm",
    "Length": "4 cm",
}


def moment(*, corrections: int = 0, last: bool = False, **told: Any) -> Moment:
    return Moment(
        task=Task(id="t", prompt="Put the cup into the drawer."),
        plan=("pick up the cup",),
        at=0,
        step="pick up the cup",
        action="pick(2)",
        observation="",
        facts=(Fact(kind="table", data={**FINE, **told}, hidden=True),),
        corrections=corrections,
        last=last,
    )


def meaning(person: TabletopPerson | None = None, **told: Any) -> str | None:
    said = (person or TabletopPerson()).say(moment(**told))
    return said.meaning if said else None


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"why": "closed", "skill": "put"}, "open_first"),
        ({"why": "hand", "skill": "open", "held": "black cup"}, "empty_hand"),
        ({"why": "latched", "skill": "open"}, "latch"),
        ({"why": "no_latch", "skill": "release"}, "no_latch"),
        ({"held": "pink cup", "owned": True}, "own"),
        ({"held": "pink cup"}, "wrong_object"),
        ({"why": "slipped"}, "again"),
        ({"why": "rim", "skill": "put", "off": {"up": 0.12}}, "lift"),
        ({"skill": "move"}, "go_on"),
        ({"skill": "move", "last": True}, "go_on"),
        ({"why": "missed", "off": {"x": 0.05}}, "right"),
        ({"why": "missed", "off": {"x": -0.05, "y": 0.05}}, "left"),
        ({"why": "missed", "off": {"y": 0.05}}, "forward"),
        ({"why": "missed", "off": {"y": -0.05}}, "back"),
        ({"why": "missed", "off": {"turn": 90.0}}, "turn"),
        ({"why": "missed", "off": {"turn": -45.0}}, "turn_back"),
        ({"why": "missed", "skill": "open", "off": {"distance": 0.1}}, "further"),
        ({"why": "missed", "skill": "open", "off": {"distance": -0.1}}, "less_far"),
        ({"skill": "put", "lies": True, "left_open": True, "last": True}, "close"),
        ({"skill": "put", "last": True}, "unfinished"),
        ({"skill": "put", "why": "empty", "lies": True, "left_open": True, "last": True}, "close"),
        ({"skill": "put", "lies": True, "left_open": True}, None),
        ({"skill": "close", "lies": True, "reached": True, "last": True}, None),
        ({"skill": "pick", "held": "black cup"}, None),
    ],
)
def test_each_error_has_its_correction_and_none_has_none(told: dict[str, Any], wanted: str | None) -> None:
    assert meaning(**told) == wanted


def test_an_error_of_the_plan_is_named_before_one_of_the_skill() -> None:
    assert meaning(why="closed", off={"x": 0.1}) == "open_first"


def test_the_feedback_says_its_level_and_where_it_comes_from() -> None:
    plan, skill = (
        TabletopPerson()(moment(why="closed")),
        TabletopPerson()(moment(why="missed", off={"x": 0.1})),
    )
    assert plan and skill
    assert (plan.level, skill.level) == ("plan", "skill")
    assert (plan.verdict, plan.kind, plan.source) == ("fail", "correction", "person")


def test_the_same_moment_brings_the_same_words_and_a_repeated_one_others() -> None:
    said = [TabletopPerson().say(moment(why="closed", corrections=n)) for n in (0, 0, 1, 2)]
    texts = [each.text for each in said if each]
    assert texts[0] == texts[1] and len({texts[1], texts[2], texts[3]}) == 3


@given(off=st.floats(0.021, 0.3), seed=st.integers(0, 50), misjudged=st.sampled_from([0.0, 0.3, 0.5]))
def test_a_length_is_misjudged_by_no_more_than_was_asked_for(off: float, seed: int, misjudged: float) -> None:
    person = TabletopPerson(seed=seed, phrasings="known", misjudged=misjudged)
    said = person.say(moment(why="missed", off={"x": off}))
    assert said
    seen = next(float(word) for word in said.text.split() if word.replace(".", "").isdigit()) / 100
    assert abs(seen - off) <= off * misjudged + 0.00501


def test_a_short_length_is_a_bit_and_a_height_is_told_exactly() -> None:
    person = TabletopPerson(phrasings="known")
    short, high = person.say(moment(off={"x": 0.02})), person.say(moment(off={"up": 0.12}))
    assert short and high
    assert "a bit" in short.text.lower() and "12 cm" in high.text


def test_without_the_hidden_fact_the_person_says_what_is_missing() -> None:
    with pytest.raises(BadInput, match="hidden fact 'table'"):
        TabletopPerson()(moment().replace(facts=()))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(BadInput, match="known, held_out, all"):
        TabletopPerson(phrasings="new")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="less than 1"):
        TabletopPerson(misjudged=1.0)


def test_held_out_phrasings_are_none_of_those_the_model_was_written_with() -> None:
    assert KNOWN.keys() == HELD_OUT.keys()
    for name in KNOWN:
        assert len(KNOWN[name]) == 4 and len(HELD_OUT[name]) == 2
        assert not set(KNOWN[name]) & set(HELD_OUT[name])


def test_the_router_puts_every_phrasing_it_was_written_with_at_its_level() -> None:
    wrong = [t for name in KNOWN for t in KNOWN[name] if is_beyond(t.format(**WORDS)) != (name in PLAN)]
    assert wrong == []


def test_the_router_puts_four_fifths_of_the_phrasings_held_out_at_their_level() -> None:
    texts = [(t.format(**WORDS), name in PLAN) for name in HELD_OUT for t in phrasings_of(name, "held_out")]
    right = sum(is_beyond(text) == plan for text, plan in texts)
    assert right >= 0.8 * len(texts)
    assert right < len(texts), "if it knows them all, they were not held out"


@pytest.mark.parametrize(
    ("name", "depends"),
    [("go_on", "initial action"), ("again", "task failed"), ("lift", "nothing"), ("left", "last action")],
)
def test_the_second_router_knows_the_four_kinds(name: Any, depends: str) -> None:
    assert {depends_on(text.format(**WORDS)) for text in KNOWN[name]} == {depends}
