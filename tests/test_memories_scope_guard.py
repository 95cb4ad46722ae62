"""A correction reaches the tasks it is for and no others: scopes from evidence, and what they change."""

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from agentloop import Attempt, Correction, Feedback, Task, scoped, tiny
from agentloop.learning import keep_feedback
from agentloop.memories import CorrectionMemory
from agentloop.tiny.houses import meaning
from agentloop.types import Source

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def distilled(text: str, *, quote: str = "", **fields: str) -> Correction:
    """What a scoped distiller makes of a correction learnt at a task of acme about boats in 2024."""
    public = {"house": "acme", "table": "boats", "year": 2024, "script": "CREATE TABLE boats (x); --" * 9}
    task = Task(id="t", prompt="q", public=public)
    attempt = Attempt(id="t/1", trajectory="t", task=task, number=1)
    made = Correction(id="c", text=text, source=Source(quote=quote or text), **fields)
    distil = scoped(lambda attempts: [made], by=["house", "table", "year", "planet"])
    return asyncio.run(distil([attempt]))[0]  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "quote", "applies_when", "not_when"),
    [
        ("at acme, hefty means over 70", "", "house=acme", ""),
        ("At ACME the boats weigh in tons", "", "house=acme, table=boats", ""),
        ("hefty means over 70", "", "", ""),
        ("hefty means over 70", "At acme: hefty means over 70. The rest is fine.", "house=acme", ""),
        ("hefty means over 70", "Hefty means over 70. You are at acme.", "", ""),
        ("boatswains are people", "", "", ""),
        ("a fleet counts as one except at acme", "", "", "house=acme"),
        ("since 2024 boats have a draught", "", "table=boats, year=2024", ""),
    ],
)
def test_a_condition_is_written_only_where_the_evidence_has_its_value(
    text: str, quote: str, applies_when: str, not_when: str
) -> None:
    found = distilled(text, quote=quote)
    assert (found.applies_when, found.not_when) == (applies_when, not_when)


def test_a_scope_that_the_distiller_wrote_stays() -> None:
    assert (
        distilled("at acme, hefty means over 70", applies_when="house=borealis").applies_when
        == "house=borealis"
    )


def test_the_plain_distiller_scoped_by_house_keeps_a_tiny_critic_s_words_to_their_house(
    tmp_path: Path,
) -> None:
    told = "at acme, hefty means over 70"

    def attempt(house: str) -> Attempt:
        task = Task(id=house, prompt="which boats are hefty", public={"house": house})
        feedback = Feedback(text=told, verdict="fail", kind="critique")
        return Attempt(id="t/1", trajectory="t", task=task, number=1, feedback=feedback)

    with CorrectionMemory(tmp_path) as memory:
        made = asyncio.run(scoped(keep_feedback, by=["house"])([attempt("acme")]))  # type: ignore[arg-type]
        asyncio.run(memory.record(made[0]))
        assert [each.text for each in asyncio.run(memory.recall(attempt("acme").task))] == [told]
        assert asyncio.run(memory.recall(attempt("borealis").task)) == ()


def test_embedded_lessons_never_leave_their_house(tmp_path: Path) -> None:
    """Same words, other house: every reading of one house, asked for at tasks of all of them."""
    home = tiny.HOUSES[0]
    with CorrectionMemory(tmp_path) as memory:
        for word, reading in home.readings.items():
            lesson = f"at {home.name}, {word} means {meaning(word, reading)}"
            asyncio.run(memory.record(Correction(id=word, text=lesson, applies_when=f"house={home.name}")))
        shown = {
            house.name: [
                each.id
                for task in tiny.tasks("dev", 12, houses=[house.name])
                for each in asyncio.run(memory.recall(task.replace(hidden={})))
            ]
            for house in tiny.HOUSES
        }
    assert shown.pop(home.name)
    assert shown == {house.name: [] for house in tiny.HOUSES[1:]}


@pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the benchmarks are part of the repository, not of the wheel"
)
def test_an_exact_scope_keeps_the_gain_and_changes_nothing_near_or_out_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The measurement of over-generalisation at a small size, with the unscoped words as the control."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    junk_scope = importlib.import_module("junk_scope")
    found: Mapping[str, Mapping[str, Sequence[float]]] = asyncio.run(junk_scope.measure(1, houses=4))
    exact, bare = found["exact scope"], found["no scope"]
    assert exact["in scope"][1] > 0.5
    assert list(exact["near scope"]) == list(exact["out of scope"]) == [0.0, 0.0, 0.0]
    assert bare["near scope"][2] < -0.2
