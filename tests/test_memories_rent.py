"""What corrections are worth: recalls withheld at random, intervals for all times, and what has to go."""

import asyncio
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from agentloop import Attempt, Correction, Feedback, ScriptedModel, Task, improve, reflect_and_retry
from agentloop.commands.building import Wanted, parts
from agentloop.errors import BadInput
from agentloop.memories import CorrectionMemory, Rent
from agentloop.memories.betting import Counts
from agentloop.memories.rent import suspected
from tests import test_memories_shared

url = test_memories_shared.url
HALF = Rent(hold_out=0.5)
CHANCES = st.floats(0.0, 1.0)
SHARES = st.sampled_from([0.05, 0.1, 0.3, 0.5])


def correction(number: int = 1) -> Correction:
    return Correction(id=f"c{number}", text=f"at the harbour, a few means {number} rows")


TASK = Task(id="t", prompt="list a few boats at the harbour")


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[CorrectionMemory]:
    with CorrectionMemory(tmp_path / "memory", rent=HALF) as made:
        asyncio.run(made.record(correction()))
        yield made


def use(memory: CorrectionMemory, trajectory: str, *, passes: Any, id: str = "c1") -> bool:
    """One trajectory that recalled a correction; ``passes`` says what comes of it, shown or not."""

    async def played() -> bool:
        shown = id not in await memory.withhold([id], trajectory=trajectory)
        await memory.settle(id, trajectory=trajectory, helped=passes(shown), shown=shown)
        return shown

    return asyncio.run(played())


# Draws.


def test_what_is_withheld_is_the_same_at_every_call_and_after_a_restart(tmp_path: Path) -> None:
    ids, trajectories = [f"c{n}" for n in range(8)], [f"run/t{n}" for n in range(40)]

    def drawn(memory: CorrectionMemory) -> list[frozenset[str]]:
        return [frozenset(asyncio.run(memory.withhold(ids, trajectory=each))) for each in trajectories]

    with CorrectionMemory(tmp_path, rent=HALF) as memory:
        first = drawn(memory)
        assert drawn(memory) == first
    with CorrectionMemory(tmp_path, rent=Rent(hold_out=0.01)) as memory:
        assert drawn(memory) == first, "the log has it, whatever the settings are now"
    share = sum(map(len, first)) / (len(ids) * len(trajectories))
    assert 0.4 < share < 0.6
    assert len(set(first)) > 30, "each correction is drawn by itself"


def test_two_seeds_withhold_differently_and_the_share_is_kept_to() -> None:
    rents = [Rent(seed=seed) for seed in (1, 2)]
    drawn = [[rent.withholds("c", f"t{n}", share=0.1) for n in range(3000)] for rent in rents]
    assert drawn[0] != drawn[1]
    assert all(0.08 < sum(each) / 3000 < 0.12 for each in drawn)
    wider = [rents[0].withholds("c", f"t{n}", share=0.5) for n in range(3000)]
    assert all(wide for wide, narrow in zip(wider, drawn[0], strict=True) if narrow)


def test_without_rent_and_for_a_reader_nothing_is_withheld(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path) as memory:
        asyncio.run(memory.record(correction()))
        assert not any(asyncio.run(memory.withhold(["c1"], trajectory=f"t{n}")) for n in range(40))
    with CorrectionMemory(tmp_path, read_only=True, rent=HALF) as reader:
        assert not any(asyncio.run(reader.withhold(["c1"], trajectory=f"t{n}")) for n in range(40))


@pytest.mark.parametrize(
    "wrong",
    [{"hold_out": 0.0}, {"hold_out": 0.6}, {"trial": 1.0}, {"alpha": 0}, {"half_life": 0}, {"hurts": 0}],
)
def test_a_setting_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        Rent(**wrong)


# Counting.


def test_uses_are_counted_once_for_a_trajectory_and_survive_restarts(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path, rent=HALF) as memory:
        asyncio.run(memory.record(correction()))
        shown = [use(memory, f"t{n % 30}", passes=lambda shown: shown) for n in range(60)][:30]
        before = memory.worth("c1")
    assert (before.shown, before.withheld, before.value) == (sum(shown), 30 - sum(shown), 1.0)
    with CorrectionMemory(tmp_path) as memory:
        assert memory.worth("c1") == before
        assert memory.worths() == {"c1": before}
        held = memory.get("c1")
        assert (held.helped, held.hurt) == (sum(shown), 0), "a use that was withheld neither helped nor hurt"


def test_uses_in_several_logs_add_up_in_whatever_order_they_are_read(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        with CorrectionMemory(folder, rent=HALF) as memory:
            asyncio.run(memory.record(correction()))
            for number in range(20):
                use(memory, f"{folder.name}/t{number}", passes=lambda shown: not shown)
    worths = []
    for first, second in (folders, folders[::-1]):
        both = tmp_path / f"{first.name} first"
        both.mkdir()
        shutil.copy(first / "corrections.jsonl", both / "corrections.jsonl")
        shutil.copy(second / "corrections.jsonl", both / "corrections-2.jsonl")
        with CorrectionMemory(both, read_only=True) as reader:
            worths.append(reader.worth("c1"))
    assert worths[0] == worths[1]
    assert worths[0].shown + worths[0].withheld == 40


@pytest.mark.slow
def test_two_writers_on_a_server_draw_alike_and_count_together(tmp_path: Path, url: str) -> None:
    names = [f"run/t{number}" for number in range(60)]
    folder = tmp_path / "memory"
    with CorrectionMemory(folder, url=url, rent=HALF) as one:
        asyncio.run(one.record(correction()))
        drawn = [bool(asyncio.run(one.withhold(["c1"], trajectory=name))) for name in names]
        with CorrectionMemory(folder, url=url, rent=Rent(hold_out=0.001)) as two:
            assert [bool(asyncio.run(two.withhold(["c1"], trajectory=name))) for name in names] == drawn
            for place, (name, withheld) in enumerate(zip(names, drawn, strict=True)):
                settling = (one, two)[place % 2].settle(
                    "c1", trajectory=name, helped=withheld, shown=not withheld
                )
                asyncio.run(settling)
            assert one.worth("c1") == two.worth("c1")
            worth = two.worth("c1")
            assert (worth.shown + worth.withheld, worth.value) == (60, -1.0)
            assert two.tidy().keys() | {each.id for each in two.list() if each.status != "active"} == {"c1"}
            assert one.get("c1").status == "quarantined"


def test_a_use_that_was_not_drawn_or_not_done_as_drawn_is_no_evidence(memory: CorrectionMemory) -> None:
    asyncio.run(memory.settle("c1", trajectory="undrawn", helped=True))
    done = 0
    for number in range(20):
        name = f"t{number}"
        if asyncio.run(memory.withhold(["c1"], trajectory=name)):
            asyncio.run(memory.settle("c1", trajectory=name, helped=False))
            done += 1
    worth = memory.worth("c1")
    assert done > 3
    assert (worth.shown, worth.withheld) == (0, 0)
    assert (memory.get("c1").helped, memory.get("c1").hurt) == (1, done)


# What has to go.


def test_one_that_harms_is_quarantined_and_recalled_no_more(memory: CorrectionMemory) -> None:
    uses = 0
    while memory.get("c1").status == "active" and uses < 60:
        use(memory, f"t{uses}", passes=lambda shown: not shown)
        uses += 1
    worth = memory.worth("c1")
    assert memory.get("c1").status == "quarantined"
    assert uses < 40
    assert worth.harms
    assert asyncio.run(memory.recall(TASK)) == ()
    log = [json.loads(line) for line in (memory._kept._folder.path / "corrections.jsonl").open()]
    marked = [event for event in log if event["event"] == "marked"]
    assert len(marked) == 1
    assert "showing it changes the pass rate by -" in marked[0]["reason"]


def test_one_that_helps_stays_through_as_many_uses_and_pays(memory: CorrectionMemory) -> None:
    for number in range(60):
        use(memory, f"t{number}", passes=lambda shown: shown)
    assert memory.get("c1").status == "active"
    assert memory.worth("c1").pays


def test_one_that_a_person_puts_back_begins_anew(memory: CorrectionMemory) -> None:
    for number in range(60):
        use(memory, f"t{number}", passes=lambda shown: not shown)
    assert memory.get("c1").status == "quarantined"
    memory.mark("c1", "active")
    worth = memory.worth("c1")
    assert (worth.shown, worth.withheld, worth.low, worth.high) == (0, 0, -1.0, 1.0)
    use(memory, "later", passes=lambda shown: False)
    assert memory.get("c1").status == "active"


def test_other_words_have_to_earn_a_place_of_their_own(memory: CorrectionMemory) -> None:
    for number in range(10):
        use(memory, f"t{number}", passes=lambda shown: shown)
    memory.edit("c1", text="at the harbour, a few means 7 rows")
    assert memory.worth("c1").shown == memory.worth("c1").withheld == 0


def test_one_that_changes_nothing_is_retired_after_enough_uses(tmp_path: Path) -> None:
    draw = random.Random(3)
    with CorrectionMemory(tmp_path, rent=Rent(hold_out=0.5, useless_after=40)) as memory:
        asyncio.run(memory.record(correction()))
        for number in range(200):
            use(memory, f"t{number}", passes=lambda shown: draw.random() < 0.5)
            if memory.get("c1").status != "active":
                break
        assert memory.get("c1").status == "retired"
        assert 40 <= memory.worth("c1").shown + memory.worth("c1").withheld < 200


def test_one_that_is_not_recalled_for_long_expires_and_a_young_one_does_not(tmp_path: Path) -> None:
    rent = Rent(expires_after=20)

    def recalled(memory: CorrectionMemory, times: int) -> None:
        for _ in range(times):
            asyncio.run(memory.recall(TASK))

    with CorrectionMemory(tmp_path, rent=rent) as memory:
        asyncio.run(memory.record(correction(1)))
        asyncio.run(memory.record(Correction(id="far", text="zebras gallop")))
        recalled(memory, 15)
        asyncio.run(memory.record(Correction(id="young", text="xylophones sound")))
    with CorrectionMemory(tmp_path, rent=rent) as memory:
        assert memory.tidy() == {}
        recalled(memory, 6)
        assert {id: ruling.status for id, ruling in memory.tidy().items()} == {"far": "retired"}
        assert {each.id: each.status for each in memory.list()} == {
            "c1": "active",
            "far": "retired",
            "young": "active",
        }


def test_what_expired_is_looked_for_without_being_asked(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path, rent=Rent(expires_after=20)) as memory:
        for each in (correction(1), Correction(id="far", text="zebras gallop")):
            asyncio.run(memory.record(each))
        for _ in range(256):
            asyncio.run(memory.recall(TASK))
        assert memory.get("far").status == "retired"


def test_one_that_is_never_followed_by_a_pass_goes_after_the_stated_number(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path, rent=Rent(hurts=6)) as memory:
        asyncio.run(memory.record(correction()))
        shown = [use(memory, f"t{n}", passes=lambda shown: False) for n in range(40)]
        assert memory.get("c1").status == "quarantined"
        marked = [line for line in (tmp_path / "corrections.jsonl").open() if "never followed" in line]
        assert len(marked) == 1
        assert "shown 6 times" in marked[0]
        assert sum(shown) > 6


def test_a_suspect_is_withheld_more_often_and_one_on_hard_tasks_that_helps_is_not() -> None:
    rent = Rent()
    assert rent.share({}, others=0.9) == 0.1
    assert rent.share({0.1: Counts(2, 8, 0, 1)}, others=0.7) == 0.5, "it passes less often than the others"
    assert rent.share({0.1: Counts(2, 8, 0, 1)}, others=0.1) == 0.1
    assert rent.share({0.1: Counts(5, 5, 3, 0)}, others=0.0) == 0.5, "without it it went better"
    assert not suspected({0.5: Counts(20, 40, 0, 60)}, others=0.9), "it leans towards helping"


# The agent.


def told(attempt: Attempt) -> Feedback:
    """A critic that wants the word of the correction."""
    right = attempt.text == "two"
    return Feedback(text="right" if right else "wrong", verdict="pass" if right else "fail")


def harbour(memory: Any, model: ScriptedModel | None = None) -> Any:
    def says(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
        return "two" if "a few means 1 rows" in messages[-1]["content"] else "three"

    return reflect_and_retry(model=model or ScriptedModel(says), critic=told, memory=memory, attempts=1)


def tasks(count: int) -> list[Task]:
    return [TASK.replace(id=f"t{number}") for number in range(count)]


def test_an_agent_is_not_shown_what_is_withheld_and_its_worth_is_what_showing_changes(
    memory: CorrectionMemory, tmp_path: Path
) -> None:
    run = improve(harbour(memory), tasks(40), folder=tmp_path / "run")
    shown = {each.task.id: each.attempts[0].recalled for each in run.trajectories()}
    passed = {each.task.id: each.passed for each in run.trajectories()}
    assert {id for id, ids in shown.items() if ids} == {id for id, each in passed.items() if each}
    worth = memory.worth("c1")
    assert worth.value == 1.0
    assert worth.pays
    assert worth.shown == sum(map(bool, shown.values()))
    assert worth.withheld == 40 - worth.shown > 5
    assert memory.get("c1").recalled == 40


def test_a_resumed_run_withholds_the_same_and_counts_nothing_twice(
    memory: CorrectionMemory, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    improve(harbour(memory), tasks(12), folder=folder)
    before, lines = memory.worth("c1"), (folder / "journal.jsonl").read_text().splitlines()
    for kept in (len(lines) // 3, 2 * len(lines) // 3):
        (folder / "journal.jsonl").write_text("\n".join(lines[:kept]) + "\n")
        improve(harbour(memory), tasks(12), folder=folder)
        again = (folder / "journal.jsonl").read_text().splitlines()
        assert {_effect(each) for each in again} == {_effect(each) for each in lines}
        assert memory.worth("c1") == before


def _effect(line: str) -> str:
    """A line of a journal without what may differ: times, and counts of recalls."""
    entry = json.loads(line)
    settled = {key: entry.get(key) for key in ("place", "kind", "ask")}
    chosen = entry.get("value") if "/recall/1" in str(entry.get("place")) else None
    return json.dumps([settled, chosen])


def test_a_memory_that_knows_nothing_of_rent_is_settled_as_ever(tmp_path: Path) -> None:
    class Notes:
        def __init__(self) -> None:
            self.settled: list[dict[str, Any]] = []

        async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
            return (correction(),)

        async def record(self, correction: Correction, /) -> None:
            pass

        async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
            self.settled.append({"id": correction_id, "helped": helped})

    memory = Notes()
    improve(harbour(memory), tasks(8), folder=tmp_path)
    assert memory.settled == [{"id": "c1", "helped": True}] * 8


# The command line.


def test_the_command_line_withholds_a_share_and_refuses_where_there_is_nothing_to_withhold(
    tmp_path: Path,
) -> None:
    wanted = Wanted(model="local/tiny", critic="tiny", memory=tmp_path, hold_out=0.3)
    memory = parts(wanted, []).memory
    assert isinstance(memory, CorrectionMemory)
    assert memory.rent is not None
    assert (memory.rent.hold_out, memory.rent.trial) == (0.3, 0.5)
    memory.close()
    for wrong in ({"memory": None}, {"policy": "preferences"}):
        with pytest.raises(BadInput, match="--hold-out is for"):
            parts(replace(wanted, **wrong), [])
    with pytest.raises(BadInput, match="hold_out"):
        parts(replace(wanted, hold_out=0.0), [])
