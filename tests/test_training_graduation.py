"""Graduation: what training has absorbed is retired from memory, and nothing else is."""

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from agentloop import (
    Attempt,
    Budget,
    Correction,
    Fact,
    Feedback,
    ScriptedModel,
    Step,
    Task,
    reflect_and_retry,
)
from agentloop.errors import BadInput, BudgetSpent
from agentloop.memories import CorrectionMemory
from agentloop.training.graduation import GraduationFailed, examine, graduate, retire
from agentloop.training.leaving_out import Without
from agentloop.types import CorrectionStatus, Source
from tests.twins import SENTINEL


class Shelf:
    """A memory in a list: it recalls what has a word of the task in its key, the same text once."""

    def __init__(self, *kept: Correction) -> None:
        self.kept = {each.id: each for each in kept}
        self.marked: list[str] = []
        self.told: list[str] = []

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        found = {}
        for each in self.kept.values():
            if each.status == "active" and set(each.key.split()) & set(task.prompt.split()):
                found.setdefault(each.text, each)
        return tuple(found.values())[:limit]

    async def record(self, correction: Correction, /) -> None:
        self.told.append(correction.id)

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        self.told.append(correction_id)

    def list(self) -> Sequence[Correction]:
        return tuple(self.kept.values())

    def mark(self, id: str, status: CorrectionStatus, /) -> None:
        self.marked.append(id)
        self.kept[id] = self.kept[id].replace(status=status)


def lesson(word: str, id: str = "", *, text: str = "", key: str = "", **more: Any) -> Correction:
    """A correction on one word: recalled where it occurs in the task."""
    return Correction(id=id or word, text=text or f"{word} explained", key=key or word, **more)


def tasks(*words: str, count: int = 6) -> list[Task]:
    """Held-out tasks of each word, so many."""
    return [
        Task(id=f"{word}-{i}", prompt=f"{word} {i}", hidden={"answer": SENTINEL}, split="test")
        for word in words
        for i in range(count)
    ]


def knowing(*words: str) -> ScriptedModel:
    """A model that passes at the words it knows, and at those that a note explains."""

    def script(messages: Any, sampling: Any) -> str:
        shown = messages[-1]["content"]
        word = shown.split("\n")[-1].split()[0]
        return "right" if word in words or f"{word} explained" in shown else "wrong"

    return ScriptedModel(script)


def verdict(attempt: Attempt) -> Feedback:
    return Feedback(text="", verdict="pass" if attempt.text == "right" else "fail")


def grader(attempt: Attempt) -> float:
    return float(attempt.text == "right")


def agent(model: ScriptedModel) -> Any:
    return partial(reflect_and_retry, model=model, critic=verdict)


def names(found: Sequence[Any]) -> list[str]:
    return [each.id for each in found]


def test_a_correction_that_the_model_knows_by_itself_is_retired_and_one_it_needs_stays(
    tmp_path: Path,
) -> None:
    shelf = Shelf(lesson("steep"), lesson("hefty"))
    found = graduate(shelf, agent=agent(knowing("steep")), tasks=tasks("steep", "hefty"), folder=tmp_path)
    assert (names(found.retired), names(found.kept), found.untested) == (["steep"], ["hefty"], ())
    assert shelf.marked == ["steep"]
    assert [each.status for each in shelf.list()] == ["retired", "active"]


def test_every_correction_is_shown_with_its_counts_and_a_paired_interval(tmp_path: Path) -> None:
    shelf = Shelf(lesson("steep"), lesson("hefty"))
    found = graduate(shelf, agent=agent(knowing("steep")), tasks=tasks("steep", "hefty"), folder=tmp_path)
    (retired,), (kept,) = found.retired, found.kept
    assert (retired.tasks, retired.passed_with, retired.passed_without) == (6, 6, 6)
    assert (retired.low, retired.high) == (0.0, 0.0)
    assert (kept.tasks, kept.passed_with, kept.passed_without) == (6, 6, 0)
    assert (kept.low, kept.high, kept.difference) == (-1.0, -1.0, -1.0)
    assert (found.tasks, found.passed_with, found.passed_without, found.passed_after) == (12, 12, 6, 12)


def test_a_correction_that_few_tasks_try_is_untested_and_stays(tmp_path: Path) -> None:
    shelf = Shelf(lesson("steep"), lesson("never"))
    held_out = [*tasks("steep", count=4), *tasks("other")]
    found = graduate(shelf, agent=agent(knowing("steep")), tasks=held_out, folder=tmp_path)
    assert {each.id: each.tasks for each in found.untested} == {"steep": 4, "never": 0}
    assert "4 tasks, fewer than 5" in found.untested[0].why
    assert (found.untested[1].low, found.untested[1].high) == (-1.0, 1.0)
    assert shelf.marked == []


def test_tasks_that_never_pass_prove_nothing(tmp_path: Path) -> None:
    shelf = Shelf(lesson("hard", text="of no use"))
    found = graduate(shelf, agent=agent(knowing()), tasks=tasks("hard"), folder=tmp_path)
    assert names(found.untested) == ["hard"]
    assert "none of its tasks passes" in found.untested[0].why


def test_only_tasks_at_which_a_correction_comes_first_try_it(tmp_path: Path) -> None:
    """Told beside the right note and never alone, a note that says nothing of the task is not tested."""
    shelf = Shelf(lesson("steep"), lesson("near", key="steep"))
    found = graduate(shelf, agent=agent(knowing("steep")), tasks=tasks("steep"), folder=tmp_path)
    assert names(found.untested) == ["near"]
    assert (found.untested[0].recalled, found.untested[0].tasks) == (6, 0)


def rumour(*known: str) -> ScriptedModel:
    """Passes at the words it knows, but for a rumour that it believes unless a note contradicts it."""
    plain = knowing(*known)._script

    def script(messages: Any, sampling: Any) -> Any:
        shown = messages[-1]["content"]
        misled = "a rumour" in shown and "no rumours" in shown.split("\n")[-1]
        if misled and "believe none" not in shown:
            return "wrong"
        assert plain is not None
        return plain(messages, sampling)

    return ScriptedModel(script)


def test_a_correction_whose_absence_shows_only_beside_the_rest_is_kept(tmp_path: Path) -> None:
    """Without any memory its tasks pass; without it alone, what stays misleads the model."""
    held_out = [
        *tasks("other"),
        *tasks("needed"),
        *(Task(id=f"x{i}", prompt=f"hefty {i} no rumours") for i in range(6)),
    ]
    shelf = Shelf(
        lesson("hefty", text="believe none"),
        lesson("needed", text="needed explained, a rumour", key="needed rumours"),
        lesson("other"),
    )
    found = graduate(shelf, agent=agent(rumour("hefty", "other")), tasks=held_out, folder=tmp_path)
    assert names(found.retired) == ["other"]
    assert sorted(names(found.kept)) == ["hefty", "needed"]
    kept = next(each for each in found.kept if each.id == "hefty")
    assert (kept.passed_with, kept.passed_without) == (6, 0)
    assert "the rest of the memory stays" in kept.why
    assert found.passed_after == found.passed_with
    assert (tmp_path / "confirm-2").is_dir()


def test_a_correction_is_kept_for_tasks_that_recall_it_below_the_first(tmp_path: Path) -> None:
    shelf = Shelf(
        lesson("first", key="both", text="both: first half"),
        lesson("second", key="both single", text="both: second half"),
    )

    def script(messages: Any, sampling: Any) -> str:
        shown = messages[-1]["content"]
        alone = shown.split("\n")[-1].startswith("single")
        return "right" if alone or "second half" in shown or "first half" not in shown else "wrong"

    held_out = tasks("both", "single")
    found = graduate(shelf, agent=agent(ScriptedModel(script)), tasks=held_out, folder=tmp_path, minimum=6)
    assert names(found.retired) == ["first", "second"]
    shelf = Shelf(*(each.replace(status="active") for each in shelf.list()))
    found = graduate(
        shelf,
        agent=agent(ScriptedModel(script)),
        tasks=[*held_out[:2], *held_out[6:]],
        folder=tmp_path / "fewer",
        minimum=3,
    )
    assert names(found.untested) == ["first"]
    assert names(found.kept) == ["second"]
    assert (
        "of the 8 tasks that recalled it at any rank, 8 pass with it and 6 when it goes" in found.kept[0].why
    )


def test_twins_are_tested_as_one_and_retired_together(tmp_path: Path) -> None:
    """Each is tried at three tasks, and recalled in the other's place once that is gone."""
    said = "steep flat explained"
    shelf = Shelf(lesson("one", text=said, key="steep"), lesson("two", text=said, key="steep flat"))
    held_out = tasks("steep", "flat", count=3)
    found = graduate(shelf, agent=agent(knowing("steep", "flat")), tasks=held_out, folder=tmp_path)
    assert found.retired[0].ids == ("one", "two")
    assert found.retired[0].tasks == 6
    assert shelf.marked == ["one", "two"]


def test_a_twin_never_takes_the_place_of_a_correction_that_is_left_out(tmp_path: Path) -> None:
    model = knowing("steep")
    shelf = Shelf(lesson("steep", "one"), lesson("steep", "two"))
    graduate(shelf, agent=agent(model), tasks=tasks("steep"), folder=tmp_path)
    told = ["steep explained" in request[-1]["content"] for request in model.requests]
    assert told == [True] * 6 + [False] * 12


def test_a_twin_learnt_meanwhile_is_retired_with_the_others(tmp_path: Path) -> None:
    shelf = Shelf(lesson("steep"))
    found = examine(shelf, agent=agent(knowing("steep")), tasks=tasks("steep"), folder=tmp_path)
    shelf.kept["late"] = lesson("steep", "late")
    retire(shelf, found)
    assert shelf.marked == ["steep", "late"]


def test_the_same_words_with_another_scope_are_another_correction(tmp_path: Path) -> None:
    shelf = Shelf(
        lesson("here", text="explained", applies_when="house=here"),
        lesson("there", text="explained", applies_when="house=there"),
    )

    def script(messages: Any, sampling: Any) -> str:
        shown = messages[-1]["content"]
        return "right" if "here" in shown.split("\n")[-1].split() or "explained" in shown else "wrong"

    held_out = tasks("here", "there")
    found = graduate(shelf, agent=agent(ScriptedModel(script)), tasks=held_out, folder=tmp_path)
    assert (shelf.marked, names(found.kept)) == (["here"], ["there"])
    assert found.kept[0].words.scope == "house=there"


def test_only_active_corrections_are_examined(tmp_path: Path) -> None:
    shelf = Shelf(lesson("steep"), lesson("steep", "doubtful", status="quarantined"))
    found = graduate(shelf, agent=agent(knowing("steep")), tasks=tasks("steep"), folder=tmp_path)
    assert found.retired[0].ids == ("steep",)
    assert shelf.kept["doubtful"].status == "quarantined"


def test_a_dry_run_marks_nothing_and_the_real_one_asks_for_nothing_more(tmp_path: Path) -> None:
    shelf, model = Shelf(lesson("steep")), knowing("steep")
    given = {"agent": agent(model), "tasks": tasks("steep"), "folder": tmp_path}
    found = examine(shelf, **given)
    assert (shelf.marked, found.marked) == ([], False)
    assert "would be retired" in found.summary()
    asked = model.calls
    found = graduate(shelf, **given)
    assert (shelf.marked, found.marked, model.calls) == (["steep"], True, asked)
    assert "would be" not in found.summary()
    assert examine(shelf, **given).marked


def test_where_a_run_shows_the_model_the_same_it_is_not_asked_again(tmp_path: Path) -> None:
    model = knowing("other")
    shelf = Shelf(lesson("hefty"))
    graduate(shelf, agent=agent(model), tasks=tasks("hefty", "other"), folder=tmp_path)
    assert model.calls == 6 + 6 + 6


class Door:
    """Two actions: a key, then "open"; what "open" brings hangs on the key."""

    def __init__(self, task: Task) -> None:
        self.actions: list[str] = []

    def prompt(self) -> str:
        return "which key?"

    def step(self, action: str) -> Step:
        self.actions.append(action)
        return Step(action=action, observation=str(len(self.actions)), done=action == "open")

    def final(self) -> list[Fact]:
        return [Fact(kind="end", data={"opened": self.actions == ["the right key", "open"]})]

    def close(self) -> None:
        pass


def opened(attempt: Attempt) -> float:
    return float(any(fact.data["opened"] for fact in attempt.facts))


def test_what_an_action_brings_is_never_taken_from_a_run_that_acted_otherwise(tmp_path: Path) -> None:
    def script(messages: Any, sampling: Any) -> str:
        if len(messages) > 1:
            return "open"
        return "the right key" if "steep explained" in messages[0]["content"] else "another key"

    build = partial(
        reflect_and_retry, model=ScriptedModel(script), critic=verdict, environment=Door, max_steps=2
    )
    shelf = Shelf(lesson("steep"))
    found = graduate(shelf, agent=build, tasks=tasks("steep"), folder=tmp_path, grader=opened)
    assert (found.passed_with, found.passed_without, shelf.marked) == (6, 0, [])


class Killed(BaseException):
    """The process ends here."""


def test_a_graduation_killed_while_it_marks_marks_each_once(tmp_path: Path) -> None:
    class Mortal(Shelf):
        def mark(self, id: str, status: CorrectionStatus, /) -> None:
            if self.marked == ["steep"] and not self.told:
                self.told.append("killed")
                raise Killed
            super().mark(id, status)

    model = knowing("steep", "flat", "fair")
    shelf = Mortal(lesson("steep"), lesson("flat"), lesson("fair"))
    given = {"agent": agent(model), "tasks": tasks("steep", "flat", "fair"), "folder": tmp_path}
    with pytest.raises(Killed):
        graduate(shelf, **given)
    asked = model.calls
    found = graduate(shelf, **given)
    assert shelf.marked == ["steep", "flat", "fair"]
    assert (len(found.retired), model.calls) == (3, asked)
    assert graduate(shelf, **given).to_dict() == found.to_dict()
    assert shelf.marked == ["steep", "flat", "fair"]


@pytest.mark.parametrize("survived", [0, 3, 6, 8, 13])
def test_a_graduation_cut_off_in_its_runs_goes_on_where_it_was(tmp_path: Path, survived: int) -> None:
    whole = knowing("steep")
    given = {"tasks": tasks("steep", "flat"), "concurrency": 1}
    wanted = graduate(Shelf(lesson("steep")), agent=agent(whole), folder=tmp_path / "whole", **given)
    left = [survived]

    def dies(messages: Any, sampling: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise OSError("the line is dead")
        assert whole._script is not None
        return whole._script(messages, sampling)

    broken, shelf = ScriptedModel(dies), Shelf(lesson("steep"))
    with pytest.raises(GraduationFailed, match="the line is dead"):
        graduate(shelf, agent=agent(broken), folder=tmp_path / "cut", **given)
    assert shelf.marked == []
    left[0] = 1000
    answered = survived
    found = graduate(shelf, agent=agent(broken), folder=tmp_path / "cut", **given)
    assert 1000 - left[0] + answered == whole.calls
    assert found.to_dict() == wanted.to_dict()
    assert shelf.marked == ["steep"]


def breaks(*_: Any, **__: Any) -> Any:
    raise OSError("gone")


class Forgetful(Shelf):
    """A memory whose disk is gone."""

    recall = breaks


@pytest.mark.parametrize(
    ("shelf", "more"),
    [(Forgetful, {}), (Shelf, {"grader": breaks})],
    ids=["the memory", "the grader"],
)
def test_nothing_is_marked_when_something_breaks(
    tmp_path: Path, shelf: Callable[..., Shelf], more: dict[str, Any]
) -> None:
    broken = shelf(lesson("steep"))
    with pytest.raises(Exception, match="gone"):
        graduate(broken, agent=agent(knowing("steep")), tasks=tasks("steep"), folder=tmp_path, **more)
    assert broken.marked == []
    assert not (tmp_path / "graduation.json").exists()


def test_a_budget_holds_for_all_runs_together_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    model, shelf = knowing("steep"), Shelf(lesson("steep"))
    given = {"agent": agent(model), "tasks": tasks("steep"), "folder": tmp_path}
    with pytest.raises(BudgetSpent, match="Nothing was marked"):
        graduate(shelf, budget=Budget(calls=14), **given)
    assert (model.calls, shelf.marked) == (14, [])
    graduate(shelf, budget=Budget(calls=100), **given)
    assert (model.calls, shelf.marked) == (18, ["steep"])


def test_a_grader_decides_and_is_named(tmp_path: Path) -> None:
    def never(attempt: Attempt) -> Feedback:
        return Feedback(text="no", verdict="fail")

    build = partial(reflect_and_retry, model=knowing("steep"), critic=never)
    shelf = Shelf(lesson("steep"))
    found = graduate(shelf, agent=build, tasks=tasks("steep"), folder=tmp_path, grader=grader)
    assert shelf.marked == ["steep"]
    assert "graded by grader" in found.summary()


def test_tasks_that_taught_the_memory_are_refused_by_name(tmp_path: Path) -> None:
    shelf = Shelf(lesson("steep", source=Source(trajectory="steep-2#0")), lesson("flat"))
    with pytest.raises(BadInput, match=r"1 of the held-out tasks taught the memory \(steep-2\)"):
        graduate(shelf, agent=agent(knowing()), tasks=tasks("steep"), folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tasks_that_taught_a_retired_correction_are_refused_too(tmp_path: Path) -> None:
    old = lesson("flat", status="retired", source=Source(trajectory="steep-2"))
    with pytest.raises(BadInput, match="steep-2"):
        graduate(Shelf(lesson("steep"), old), agent=agent(knowing()), tasks=tasks("steep"), folder=tmp_path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"minimum": 0}, "minimum must be at least 1 task, got 0"),
        ({"samples": 2}, "one sample a task, got samples=2"),
        ({"tasks": [Task(id="t", prompt="p", split="train")]}, r"are of split train \(t\)"),
        ({"tasks": []}, "no tasks given"),
        ({"memory": Shelf()}, "no active correction"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    given = {"memory": Shelf(lesson("steep")), "tasks": tasks("steep"), "folder": tmp_path / "out", **changed}
    with pytest.raises(BadInput, match=said):
        graduate(agent=agent(knowing()), **given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["minimum", "tasks"])
def test_a_graduation_does_not_go_on_with_other_tasks_or_another_minimum(tmp_path: Path, name: str) -> None:
    given = {"agent": agent(knowing("steep")), "tasks": tasks("steep"), "folder": tmp_path, "minimum": 5}
    examine(Shelf(lesson("steep")), **given)
    given[name] = {"minimum": 4, "tasks": tasks("steep", "flat")}[name]
    with pytest.raises(BadInput, match=f"begun with another {name}"):
        examine(Shelf(lesson("steep")), **given)


def test_a_graduation_does_not_go_on_with_a_memory_that_changed(tmp_path: Path) -> None:
    shelf = Shelf(lesson("steep"), lesson("flat"))
    given = {"agent": agent(knowing("steep")), "tasks": tasks("steep"), "folder": tmp_path}
    examine(shelf, **given)
    shelf.mark("flat", "quarantined")
    with pytest.raises(BadInput, match=r"corrections changed since .* \(1, 'flat' among them\)"):
        examine(shelf, **given)


def test_it_works_where_a_loop_already_runs(tmp_path: Path) -> None:
    async def notebook() -> list[str]:
        shelf = Shelf(lesson("steep"))
        graduate(shelf, agent=agent(knowing("steep")), tasks=tasks("steep"), folder=tmp_path)
        return shelf.marked

    assert asyncio.run(notebook()) == ["steep"]


def test_the_report_says_which_and_why_and_nothing_hidden(tmp_path: Path) -> None:
    shelf = Shelf(lesson("steep", text="steep explained | in\ntwo lines"), lesson("hefty"), lesson("never"))
    graduate(shelf, agent=agent(knowing("steep")), tasks=tasks("steep", "hefty"), folder=tmp_path)
    report = (tmp_path / "graduation.md").read_text()
    retired, kept, untested = (report.split(f"## {name}\n")[1] for name in ("Retired", "Kept", "Untested"))
    assert (
        "| steep explained \\| in two lines (`steep`) |  | 6 | 6 | 6 | 6 | +0.0 points [+0.0, +0.0] | "
        "its tasks pass as often without it |"
    ) in retired
    assert "| hefty explained (`hefty`) |  | 6 | 6 | 6 | 0 | -100.0 points [-100.0, -100.0] |" in kept
    assert "recalled first at 0 tasks" in untested
    told = json.loads((tmp_path / "graduation.json").read_text())
    assert [each["id"] for each in told["retired"]] == ["steep"]
    assert told["marked"] is True
    assert told["models"] == ["scripted"]
    written = [path.read_text() for path in tmp_path.glob("*.*")]
    assert len(written) == 3
    assert not any(SENTINEL in text for text in written)


@settings(deadline=None)
@given(
    ids=some.lists(some.integers(0, 30), unique=True),
    out=some.sets(some.integers(0, 30)),
    limit=some.integers(0, 8),
)
def test_a_memory_without_some_is_the_rest_of_it_in_order(ids: list[int], out: set[int], limit: int) -> None:
    shelf = Shelf(*(lesson("word", str(id), text=f"text {id}") for id in ids))
    without = Without(shelf, [str(id) for id in out])
    found = asyncio.run(without.recall(Task(id="t", prompt="word"), limit=limit))
    assert names(found) == [str(id) for id in ids if id not in out][:limit]


def test_nothing_is_counted_or_learnt_during_a_graduation(tmp_path: Path) -> None:
    shelf = Shelf(lesson("steep"), lesson("hefty"))
    graduate(shelf, agent=agent(knowing("steep")), tasks=tasks("steep", "hefty"), folder=tmp_path)
    assert shelf.told == []


def filled(folder: Path, *corrections: Correction) -> None:
    async def record() -> None:
        for each in corrections:
            await memory.record(each)

    with CorrectionMemory(folder) as memory:
        asyncio.run(record())
        for each in corrections:
            asyncio.run(memory.settle(each.id, trajectory="t", helped=True))


def counts(memory: CorrectionMemory) -> list[tuple[str, int, int, int]]:
    return [(each.id, each.recalled, each.helped, each.hurt) for each in memory.list()]


def test_a_kept_memory_retires_what_is_absorbed_and_its_counts_stay(tmp_path: Path) -> None:
    filled(tmp_path / "memory", lesson("steep"), lesson("steep", "twin"), lesson("hefty"))
    with (
        CorrectionMemory(tmp_path / "memory") as memory,
        CorrectionMemory(tmp_path / "memory", read_only=True) as reader,
    ):
        before = counts(memory)
        found = graduate(
            memory,
            agent=agent(knowing("steep")),
            tasks=tasks("steep", "hefty"),
            folder=tmp_path / "out",
            reader=reader,
        )
        assert found.retired[0].ids == ("steep", "twin")
        assert counts(memory) == before
        left = asyncio.run(memory.recall(Task(id="t", prompt="steep 7")))
        assert "steep" not in [each.text.split()[0] for each in left]
    with CorrectionMemory(tmp_path / "memory", read_only=True) as again:
        assert [each.status for each in again.list()] == ["retired", "retired", "active"]


def test_a_memory_that_counts_its_recalls_is_refused_without_a_reader(tmp_path: Path) -> None:
    filled(tmp_path / "memory", lesson("steep"))
    with (
        CorrectionMemory(tmp_path / "memory") as memory,
        pytest.raises(BadInput, match=r"give reader= as well.*read_only=True"),
    ):
        graduate(memory, agent=agent(knowing("steep")), tasks=tasks("steep"), folder=tmp_path / "out")
