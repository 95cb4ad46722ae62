"""The table-top world: what each skill brings about, what is seen of it, and tasks that come back alike."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Attempt, Step
from agentloop.environments.tabletop import Table, TabletopEnvironment, Thing, tabletop_passes, tabletop_tasks
from agentloop.environments.tabletop.photos import photo_of
from agentloop.environments.tabletop.session import TabletopSession
from agentloop.environments.tabletop.table import MAKES
from agentloop.errors import BadInput

DRAWER, CUP, BOX, OTHER = 1, 2, 3, 4
DONE = (
    "release(1)",
    "open(1, x=0.03, y=0, turn=90, distance=0.2)",
    "pick(2, x=-0.02, y=0, turn=0)",
    "put(1, x=0.05)",
    "close(1)",
)


def thing(mark: int, kind: str, make: str, **fields: Any) -> Thing:
    import random

    return Thing(mark=mark, kind=kind, make=make, photo=photo_of(make, random.Random(mark)), **fields)


def session(**fields: Any) -> TabletopSession:
    things = (
        thing(
            DRAWER,
            "drawer",
            "oak",
            latched=True,
            needs={"open": {"x": 0.03, "turn": 90.0, "distance": 0.2}, "put": {"x": 0.05}},
        ),
        thing(CUP, "cup", "black", needs={"pick": {"x": -0.02}}),
        thing(BOX, "box", "red", rim=0.1),
        thing(OTHER, "cup", "pink"),
    )
    return TabletopSession(Table(things=things, wanted=CUP, into=DRAWER, **fields))


def do(table: TabletopSession, *actions: str) -> Step:
    return [table.step(action) for action in actions][-1]


def why(step: Step) -> str:
    return next(str(fact.data["why"]) for fact in step.facts if fact.kind == "table")


def test_the_goal_is_reached_by_the_right_skills_in_the_right_order() -> None:
    table = session()
    steps = [table.step(action) for action in DONE]
    assert [why(step) for step in steps] == [""] * 5
    reached = [fact.data["reached"] for step in steps for fact in step.facts]
    assert reached == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("actions", "reason"),
    [
        (("open(1, x=0.03, turn=90, distance=0.2)",), "latched"),
        (("release(1)", "open(1, x=0.1, turn=90, distance=0.2)"), "missed"),
        (("release(1)", "open(1, x=0.03, turn=90, distance=0.1)"), "missed"),
        (("pick(2, x=-0.02)", "put(1)"), "closed"),
        (("release(1)", "pick(2, x=-0.02)", "open(1, x=0.03, turn=90, distance=0.2)"), "hand"),
        (("pick(4)", "pick(2, x=-0.02)"), "hand"),
        (("pick(4)", "put(3)"), "rim"),
        (("put(3)",), "empty"),
        (("release(3)",), "no_latch"),
        (("pick(1)",), "no_such"),
        (("pick(99)",), "no_such"),
        (("open(2)",), "no_such"),
        (('find("kettle")',), "not_found"),
    ],
)
def test_what_cannot_be_done_is_not_done_and_the_reason_is_told(
    actions: tuple[str, ...], reason: str
) -> None:
    table = session()
    do(table, *actions[:-1]) if actions[:-1] else None
    before = table.snapshot()
    assert why(table.step(actions[-1])) == reason
    assert table.snapshot() == before


def test_a_height_that_was_moved_to_stays_until_something_was_laid_down() -> None:
    table = session()
    assert do(table, "pick(4)", "move(up=0.1)", "put(3)").observation == "It lies in the box."
    assert why(do(table, "pick(4)", "put(3)")) == "rim"


def test_a_thing_slips_once_where_the_table_says_so() -> None:
    table = session(slips=True)
    assert why(do(table, "pick(4)")) == "slipped"
    assert why(do(table, "pick(4)")) == ""


def test_find_sees_all_of_a_kind_or_those_of_a_make_each_with_its_photo() -> None:
    table = session()
    marks = {}
    for words in ("cup", "pink cup", "oak drawer", "the black cup"):
        found = next(fact for fact in table.step(f'find("{words}")').facts if fact.kind == "found")
        marks[words] = [each["mark"] for each in found.data["objects"]]
        assert all(each["photo"]["pixels"] for each in found.data["objects"])
    assert marks == {"cup": [CUP, OTHER], "pink cup": [OTHER], "oak drawer": [DRAWER], "the black cup": [CUP]}
    assert why(table.step('find("blue cup")')) == "not_found"


def test_what_is_seen_does_not_tell_by_how_much_a_grasp_missed() -> None:
    step = do(session(), "pick(2, x=0.1)")
    public = [fact for fact in step.facts if not fact.hidden]
    assert step.observation == "The gripper closed beside the cup." and public == []
    assert next(fact.data["off"] for fact in step.facts if fact.hidden) == {"x": -0.12}


def test_calls_of_one_action_stop_at_the_first_that_fails() -> None:
    table = session()
    step = table.step("pick(4)\nput(3)\nmove(up=0.5)")
    assert (why(step), table.arm, table.held) == ("rim", 0.0, OTHER)


@pytest.mark.parametrize(
    "action",
    [
        "",
        "pick",
        "grasp(2)",
        "pick(2, z=1)",
        "pick(2, 0, 0, 0, 0)",
        "pick(**{'mark': 2})",
        "pick(mark=__import__('os').getpid())",
        "find(2)",
        "move(up='far')",
        "move(up=1e999)",
        "move(up=True)",
        "x = 1",
        "pick(2)\nimport os",
        "((" * 500,
        "pick(\0)",
    ],
)
def test_what_is_no_call_of_a_skill_does_nothing_and_is_named(action: str) -> None:
    table = session()
    before = table.snapshot()
    step = table.step(action)
    assert [fact.kind for fact in step.facts] == ["malformed_action", "table"]
    assert step.observation.startswith("Nothing was done") and table.snapshot() == before


@given(st.text(max_size=60))
def test_no_action_whatever_breaks_the_table(action: str) -> None:
    assert session().step(action).observation


@given(
    st.lists(st.sampled_from([*DONE, "pick(4)", "put(3)", "put(0)", "move(up=0.1)", "close(1)"]), max_size=8)
)
def test_a_restored_table_goes_on_as_the_first_would_have(actions: list[str]) -> None:
    first, second = session(slips=True), session(slips=True)
    for action in actions:
        first.step(action)
    second.restore(first.snapshot())
    assert [second.step(action) for action in DONE] == [first.step(action) for action in DONE]


def test_tasks_are_the_same_for_the_same_numbers_and_differ_from_round_to_round() -> None:
    assert tabletop_tasks(1, seed=3) == tabletop_tasks(1, seed=3)
    assert tabletop_tasks(1, seed=3)[:2] == tabletop_tasks(1, seed=3, count=2)
    ids = [task.id for number in range(4) for task in tabletop_tasks(number)]
    assert len(set(ids)) == len(ids) == 24


def test_a_house_handles_a_make_the_same_way_in_every_round_and_another_house_does_not() -> None:
    def needs(seed: int) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for number in range(6):
            for task in tabletop_tasks(number, seed=seed):
                for each in Table.from_json(task.hidden["table"]).things:
                    found.setdefault(each.name, set()).add(str(each.needs))
        return found

    here, there = needs(0), needs(1)
    assert all(len(each) == 1 for each in here.values())
    assert sum(here[name] != there[name] for name in here.keys() & there.keys()) >= 8


def test_photos_of_a_make_differ_and_only_somebodys_own_thing_has_another_beside_it() -> None:
    photos = set()
    for number in range(6):
        for task in tabletop_tasks(number):
            table = Table.from_json(task.hidden["table"])
            kinds = [each.kind for each in table.things]
            assert (len(kinds) - len(set(kinds)) == 1) == table.owned == (" my " in f" {task.prompt.lower()}")
            photos |= {each.photo.pixels for each in table.things}
    assert len(photos) > 60


def test_every_task_says_what_goes_where_and_no_more() -> None:
    for task in tabletop_tasks(0, count=30):
        table = Table.from_json(task.hidden["table"])
        wanted, into = table.thing(table.wanted), table.thing(table.into)
        assert wanted and into and wanted.kind in task.prompt.lower() and into.kind in task.prompt
        assert not any(make in task.prompt for makes in MAKES.values() for make in makes)


def test_the_grader_asks_for_the_goal_at_the_end() -> None:
    table = session()
    task = tabletop_tasks(0)[0]
    steps = tuple(table.step(action) for action in DONE)
    attempt = Attempt(id="a", trajectory="t", task=task, number=1, steps=steps)
    assert tabletop_passes(attempt) == 1.0
    assert tabletop_passes(attempt.replace(steps=steps[:-1])) == 0.0
    assert tabletop_passes(attempt.replace(steps=())) == 0.0


def test_wrong_arguments_are_refused_with_what_is_allowed() -> None:
    with pytest.raises(BadInput, match="at least 0"):
        tabletop_tasks(-1)
    with pytest.raises(BadInput, match="drawer, box, mine"):
        tabletop_tasks(0, families=["kitchen"])
    with pytest.raises(BadInput, match=r"tabletop_tasks\(\)"):
        TabletopEnvironment()(tabletop_tasks(0)[0].replace(hidden={}))
