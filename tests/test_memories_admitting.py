"""How a candidate becomes active: by a paired replay, or by helping; and that nothing else recalls it."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentloop import (
    Attempt,
    Budget,
    Correction,
    Feedback,
    ScriptedModel,
    Task,
    areplay,
    reflect_and_retry,
    replay,
)
from agentloop.errors import BadInput, BudgetSpent
from agentloop.memories import CorrectionMemory, Gate
from agentloop.replaying import ReplayFailed, evidence, nearest
from agentloop.types import Message, Source

RIGHT = "at acme, hefty means over 70"
WRONG = "at acme, hefty means over 20"


def questions(count: int = 24, *, name: str = "q") -> Sequence[Task]:
    return [
        Task(id=f"{name}{n}", prompt=f"which boats are hefty ({n})", public={"house": "acme"})
        for n in range(count)
    ]


def knows(attempt: Attempt) -> Feedback:
    """Passes who answers 70."""
    return Feedback(text="", verdict="pass" if attempt.text == "70" else "fail", kind="binary")


def answering(usual: str) -> ScriptedModel:
    """A model that answers with the bound it is shown, or else with its usual one; the first shown counts."""

    def answer(messages: Sequence[Message], sampling: Mapping[str, Any]) -> str:
        shown = messages[-1]["content"]
        found = [word.rstrip(".") for word in shown.split() if word.rstrip(".") in ("20", "70")]
        return found[0] if found else usual

    return ScriptedModel(answer)


class Builder:
    """Builds the agent around such a model."""

    def __init__(self, usual: str = "50") -> None:
        self.model = answering(usual)

    def __call__(self, *, memory: Any, attempts: int) -> Any:
        return reflect_and_retry(model=self.model, critic=knows, memory=memory, attempts=attempts)


def held(memory: CorrectionMemory, text: str = RIGHT, *, id: str = "c", **fields: str) -> Correction:
    """A candidate that came through the gate."""
    task = Task(id="first", prompt="which lamps", public={"house": "acme"})
    told = Feedback(text=text, verdict="fail", score=0.0)
    failed = Attempt(id="first/1", trajectory="first#0", task=task, number=1, text="x", feedback=told)
    source = Source(run="r", trajectory="first#0", attempt=1, quote=text)
    made = Correction(id=id, text=text, source=source, applies_when="house=acme", **fields)
    asyncio.run(memory.admit(made, attempts=[failed]))
    return memory.get(id)


def recalled(memory: CorrectionMemory, task: Task) -> Sequence[str]:
    return [each.id for each in asyncio.run(memory.recall(task))]


def test_a_replay_makes_a_correction_active_that_helps_and_says_why(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path / "memory", gate=Gate()) as memory:
        held(memory)
        found = replay(memory, "c", questions(), agent=Builder(), folder=tmp_path / "runs")
        assert (found.verdict, found.better, found.worse, found.same) == ("helps", 12, 0, 0)
        assert memory.get("c").status == "active"
        assert recalled(memory, questions(1)[0]) == ["c"]
        assert memory.why_active("c")["by"] == "replay"
    with CorrectionMemory(tmp_path / "memory", gate=Gate()) as memory:
        assert memory.get("c").status == "active"
        assert memory.why_active("c")["better"] == 12


def test_a_replay_quarantines_a_correction_that_harms(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path / "memory", gate=Gate()) as memory:
        held(memory, WRONG)
        found = replay(memory, "c", questions(), agent=Builder(usual="70"), folder=tmp_path / "runs")
        assert (found.verdict, found.worse) == ("harms", 12)
        assert memory.get("c").status == "quarantined"


def test_a_correction_that_changes_nothing_stays_a_candidate_and_the_replay_ends_early(
    tmp_path: Path,
) -> None:
    builder = Builder()
    with CorrectionMemory(tmp_path / "memory", gate=Gate()) as memory:
        held(memory, "at acme, boats have a draught in metres and never in feet")
        found = replay(memory, "c", questions(), agent=builder, folder=tmp_path / "runs")
        assert (found.verdict, found.tasks) == ("unclear", 16)
        assert memory.get("c").status == "candidate"
    assert len(builder.model.requests) == 32


def test_a_replay_counts_no_recall_and_leaves_no_other_trace(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path / "memory", gate=Gate()) as memory:
        held(memory)
        replay(memory, "c", questions(), agent=Builder(), folder=tmp_path / "runs")
        assert (memory.get("c").recalled, memory.get("c").helped) == (0, 0)
    assert (tmp_path / "memory" / "corrections.jsonl").read_text().count('recalled":[') == 0


def test_tasks_that_would_not_be_shown_it_and_the_one_that_taught_it_are_passed_over(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path / "memory", gate=Gate()) as memory:
        held(memory)
        elsewhere = [each.replace(id=f"b{each.id}", public={"house": "borealis"}) for each in questions(30)]
        tasks = [*elsewhere, questions(1)[0].replace(id="first"), *questions(3)]
        found = replay(memory, "c", tasks, agent=Builder(), folder=tmp_path / "runs")
        assert (found.verdict, found.tasks) == ("unclear", 3)
        alone = replay(memory, "c", elsewhere, agent=Builder(), folder=tmp_path / "other")
        assert alone.verdict == "never_shown"


def test_a_replay_in_which_nothing_comes_to_an_end_says_what_broke(tmp_path: Path) -> None:
    builder = Builder()
    builder.model = ScriptedModel([RuntimeError("no such model")] * 99)
    with CorrectionMemory(tmp_path / "memory", gate=Gate()) as memory:
        held(memory)
        with pytest.raises(ReplayFailed, match="no such model"):
            replay(memory, "c", questions(), agent=builder, folder=tmp_path / "runs")
        assert memory.get("c").status == "candidate"


def test_a_replay_that_was_cut_off_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    builder = Builder()
    with CorrectionMemory(tmp_path / "memory", gate=Gate()) as memory:
        held(memory)
        with pytest.raises(BudgetSpent, match="go on there with a larger budget"):
            replay(
                memory,
                "c",
                questions(),
                agent=builder,
                folder=tmp_path / "runs",
                budget=Budget(calls=10),
                concurrency=1,
            )
        assert memory.get("c").status == "candidate"
        found = replay(memory, "c", questions(), agent=builder, folder=tmp_path / "runs")
    assert found.verdict == "helps"
    assert len(builder.model.requests) == 24


def test_an_active_correction_is_not_replayed_and_impossible_rules_are_refused(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path / "memory", gate=Gate()) as memory:
        held(memory)
        impossible: list[tuple[dict[str, Any], str]] = [
            ({"alpha": 0.0}, "alpha is a chance above 0 and below 1, got 0.0"),
            ({"most": 0}, "most must be at least 1 task, got 0"),
            ({"together": 0}, "together must be at least 1 task, got 0"),
            ({"most": 8}, "needs at least 9 tasks"),
            ({"samples": 2}, "one sample a task, got samples=2"),
        ]
        for bad, said in impossible:
            with pytest.raises(BadInput, match=said):
                replay(memory, "c", questions(), agent=Builder(), folder=tmp_path / "runs", **bad)
        memory.mark("c", "active")
        with pytest.raises(BadInput, match="active already"):
            replay(memory, "c", questions(), agent=Builder(), folder=tmp_path / "runs")


def test_a_loop_that_runs_already_may_await_a_replay(tmp_path: Path) -> None:
    async def go(memory: CorrectionMemory) -> str:
        found = await areplay(memory, "c", questions(), agent=Builder(), folder=tmp_path / "runs")
        return found.verdict

    with CorrectionMemory(tmp_path / "memory", gate=Gate()) as memory:
        held(memory)
        assert asyncio.run(go(memory)) == "helps"


def test_the_evidence_is_the_integral_that_the_file_states() -> None:
    for wins, losses in ((0, 0), (5, 0), (0, 5), (9, 1), (12, 3)):
        steps = 20_000
        chances = [0.5 + 0.5 * (each + 0.5) / steps for each in range(steps)]
        integral = sum(p**wins * (1 - p) ** losses for p in chances) * 0.5 / steps
        assert evidence(wins, losses) == pytest.approx(2 ** (wins + losses + 1) * integral, rel=1e-4)


def test_a_correction_that_does_nothing_is_rarely_called_helpful_however_often_one_looks() -> None:
    draw, alpha, runs = random.Random(7), 0.05, 2000

    def called() -> bool:
        wins = losses = 0
        for _ in range(60):
            won = draw.random() < 0.5
            wins, losses = wins + won, losses + (not won)
            if evidence(wins, losses) >= 1 / alpha:
                return True
        return False

    assert sum(called() for _ in range(runs)) / runs <= alpha


def test_a_candidate_is_recalled_in_its_share_of_trials_only(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path, gate=Gate(trial_share=0.2)) as memory:
        held(memory)
        first = [recalled(memory, task) for task in questions(300)]
        assert 30 <= sum(each == ["c"] for each in first) <= 90
        assert [recalled(memory, task) for task in questions(300)] == first


def test_one_candidate_at_a_time_is_tried(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path, gate=Gate(trial_share=1.0)) as memory:
        held(memory)
        held(memory, WRONG, id="d")
        assert len(recalled(memory, questions(1)[0])) == 1


def test_a_candidate_becomes_active_after_its_helps_and_counts_each_trajectory_once(tmp_path: Path) -> None:
    async def settle(memory: CorrectionMemory, uses: Mapping[str, bool]) -> None:
        for trajectory, helped in uses.items():
            await memory.settle("c", trajectory=trajectory, helped=helped)

    with CorrectionMemory(tmp_path, gate=Gate(helps=2)) as memory:
        held(memory)
        asyncio.run(settle(memory, {"a": True, "b": False}))
        asyncio.run(settle(memory, {"a": True, "c": True}))
        assert memory.get("c").status == "candidate"
        asyncio.run(settle(memory, {"d": True}))
        assert memory.get("c").status == "active"
        assert memory.why_active("c") == {"by": "helps", "helped": 3, "hurt": 1}


def test_helping_alone_makes_nothing_active_unless_the_gate_counts_it(tmp_path: Path) -> None:
    async def settle(memory: CorrectionMemory) -> None:
        for number in range(50):
            await memory.settle("c", trajectory=str(number), helped=True)

    with CorrectionMemory(tmp_path, gate=Gate()) as memory:
        held(memory)
        asyncio.run(settle(memory))
        assert memory.get("c").status == "candidate"


def test_a_quarantined_correction_is_not_made_active_by_late_helps(tmp_path: Path) -> None:
    with CorrectionMemory(tmp_path, gate=Gate(helps=1)) as memory:
        held(memory)
        memory.mark("c", "quarantined")
        asyncio.run(memory.settle("c", trajectory="late", helped=True))
        assert memory.get("c").status == "quarantined"


def test_tasks_that_share_a_corrections_rare_words_are_tried_first_and_the_others_keep_their_order() -> None:
    tasks = [
        Task(id=name, prompt=prompt)
        for name, prompt in [
            ("a", "acme: count the boats"),
            ("b", "acme: list hefty boats"),
            ("c", "acme: count the cars"),
            ("d", "delta: hefty cars"),
        ]
    ]
    lesson = Correction(id="x", text="at acme, hefty means over 40")
    assert [task.id for task in nearest(lesson, tasks)] == ["b", "d", "a", "c"]
