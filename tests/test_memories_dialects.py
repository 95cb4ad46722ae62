"""What a memory buys on later tasks: swapped by one argument, told by one command, kept to its house."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentloop import (
    Attempt,
    Correction,
    Feedback,
    ScriptedModel,
    Task,
    evaluate,
    reflect_and_retry,
    sees_hidden,
    tiny,
)
from agentloop.commands.building import Wanted, parts
from agentloop.errors import BadInput
from agentloop.evaluation import Evaluation
from agentloop.memories import CorrectionMemory, EpisodicMemory, PreferenceMemory
from agentloop.tiny.form import form_of
from agentloop.tiny.houses import house, usual_reading
from agentloop.types import Memory, Source

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
WORDS = {"acme": "amber", "borealis": "birch", "cobalt": "coral"}


def questions(houses: Sequence[str], count: int, *, start: int = 0) -> list[Task]:
    return [
        Task(
            id=f"{house}-{number}",
            prompt=f"Question {number} of {house}: which word?",
            public={"house": house},
            hidden={"word": WORDS[house]},
        )
        for house in houses
        for number in range(start, start + count)
    ]


def listens(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
    """Says the word that feedback or a note names for the asker's house; else it guesses."""
    text = messages[-1]["content"] if len(messages) > 1 else messages[0]["content"]
    house = next(name for name in WORDS if f"of {name}:" in messages[0]["content"])
    known = [part.split()[0].strip(".") for part in text.split(f"At {house} say ")[1:]]
    return known[0] if known else "guess"


def names_the_word(attempt: Attempt) -> Feedback:
    word = attempt.task.hidden["word"]
    if attempt.text == word:
        return Feedback(text="Right.", verdict="pass", score=1.0)
    return Feedback(text=f"At {attempt.task.public['house']} say {word}.", verdict="fail", score=0.0)


def of_the_house(attempts: Sequence[Attempt]) -> list[Correction]:
    told = attempts[0].feedback
    assert told is not None
    return [
        Correction(
            id="made later",
            text=told.text,
            applies_when=f"house={attempts[0].task.public['house']}",
            source=Source(quote=told.text),
        )
    ]


def bought_by(memory: Memory | None, folder: Path, **options: Any) -> Evaluation:
    """Learn from acme and borealis, then answer new questions of all three houses."""
    lesson = questions(["acme", "borealis"], 4)
    return evaluate(
        partial(reflect_and_retry, model=ScriptedModel(listens), distil=of_the_house, reflect=_words),
        questions(list(WORDS), 4, start=10),
        critic=sees_hidden(names_the_word),
        folder=folder,
        memory=memory,
        teach=lesson if memory is not None else (),
        **{"conditions": ["first"], **options},
    )


def _words(attempt: Attempt) -> str:
    return attempt.feedback.text if attempt.feedback else ""


POLICIES: dict[str, Callable[[Path], Memory]] = {
    "corrections": CorrectionMemory,
    "preferences": PreferenceMemory,
    "episodic": lambda folder: EpisodicMemory(),
}


@pytest.mark.parametrize(
    ("policy", "gain"), [("corrections", 2 / 3), ("preferences", 2 / 3), ("episodic", 0.0)]
)
def test_a_memory_is_swapped_by_one_argument(tmp_path: Path, policy: str, gain: float) -> None:
    found = bought_by(POLICIES[policy](tmp_path / "memory"), tmp_path / "runs")
    assert found.memory_gain is not None
    assert found.memory_gain.difference == pytest.approx(gain)
    assert (found.memory_gain.low > 0) == (gain > 0)


def test_off_is_one_argument_too_and_measures_no_memory(tmp_path: Path) -> None:
    found = bought_by(None, tmp_path / "runs")
    assert (found.memory_gain, found.memory_cost, found.memory) == (None, None, {})


def test_a_house_that_was_not_taught_is_told_nothing_and_answers_as_before(tmp_path: Path) -> None:
    found = bought_by(CorrectionMemory(tmp_path / "memory"), tmp_path / "runs")
    for name, results in found.memory["with"].results.items():
        assert results == [0.0 if name.startswith("cobalt") else 1.0]


def test_what_has_no_key_is_kept_by_its_context_where_a_memory_goes_by_contexts(tmp_path: Path) -> None:
    memory = PreferenceMemory(tmp_path / "memory")
    bought_by(memory, tmp_path / "runs")
    assert memory.list()
    assert {each.key for each in memory.list()} <= {
        task.prompt for task in questions(["acme", "borealis"], 4)
    }
    corrections = CorrectionMemory(tmp_path / "corrections")
    bought_by(corrections, tmp_path / "others")
    assert {each.key for each in corrections.list()} == {""}


def test_the_cost_of_a_memory_stands_beside_its_gain(tmp_path: Path) -> None:
    found = bought_by(CorrectionMemory(tmp_path / "memory"), tmp_path / "runs")
    cost = found.memory_cost
    assert cost is not None and found.lesson is not None
    assert (cost.tasks, cost.calls) == (8, sum(found.lesson.calls.values()))
    assert cost.tokens > 0 < cost.tokens_a_task
    assert "learnt from 8 tasks by" in cost.summary()
    kept = json.loads((found.folder / "evaluation.json").read_text())
    assert kept["memory_cost"] == cost.to_dict()


def test_only_the_conditions_that_are_wanted_are_run(tmp_path: Path) -> None:
    alone = bought_by(CorrectionMemory(tmp_path / "memory"), tmp_path / "a")
    assert sorted(alone.conditions) == ["first"] and alone.gains == {}
    assert sorted(path.name for path in (tmp_path / "a").iterdir() if path.is_dir()) == [
        "first",
        "teach",
        "with_memory",
    ]
    two = bought_by(None, tmp_path / "b", conditions=["verbal", "blind"])
    assert sorted(two.conditions) == ["blind", "first", "verbal"] and set(two.gains) == {"first", "blind"}


@pytest.mark.parametrize(
    ("conditions", "said"),
    [(["verbally"], "no condition named 'verbally'"), (["best_of_n"], "add verbal to the conditions")],
)
def test_a_condition_that_there_is_not_is_a_mistake(tmp_path: Path, conditions: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        bought_by(None, tmp_path, conditions=conditions)


@pytest.mark.parametrize(
    ("policy", "kind"),
    [("corrections", CorrectionMemory), ("preferences", PreferenceMemory), ("episodic", EpisodicMemory)],
)
def test_the_command_line_knows_the_policies_by_name(tmp_path: Path, policy: str, kind: type) -> None:
    wanted = Wanted(model="local/tiny", memory=tmp_path / "memory", policy=policy, reflect=True)
    memory: Any = parts(wanted, []).memory
    assert isinstance(memory, kind)
    memory.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"policy": "lessons"},
            "--policy 'lessons' is not known; give one of corrections, preferences, episodic",
        ),
        ({"policy": "preferences"}, "--policy preferences needs a folder to keep things in: add --memory"),
        ({"policy": "episodic", "memory": Path("m")}, "add --reflect"),
    ],
)
def test_a_policy_that_cannot_be_is_a_mistake(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parts(Wanted(model="local/tiny", **options), [])


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "agentloop.cli", *arguments]
    return subprocess.run(whole, cwd=cwd, capture_output=True, text=True, timeout=250)


@pytest.mark.slow
def test_one_command_says_what_a_memory_bought_and_what_it_cost(tmp_path: Path) -> None:
    common = ["evaluate", "--tasks", "tiny:dev:acme,borealis", "--count", "60", "--critic", "tiny"]
    common += ["--temperature", "0", "--max-tokens", "48", "--concurrency", "64"]
    taught = ["--memory", "notes", "--teach", "tiny:train:acme,borealis", "--teach-count", "150"]
    done = command(*common, *taught, "--conditions", "first", "--out", "runs", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["memory_gain"]["low"] > 0
    assert found["memory_cost"]["tasks"] == 150 and found["memory_cost"]["tokens_a_task"] > 0
    again = command(*common, *taught, "--conditions", "first", "--out", "runs", cwd=tmp_path)
    assert "memory over none" in again.stdout and "cost of the memory: learnt from 150 tasks" in again.stdout
    lacking = command(*common, "--teach", "tiny:train", "--out", "others", cwd=tmp_path)
    assert lacking.returncode == 2 and "add --memory" in lacking.stderr


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are part of the repository, not of the package")
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("memory_sql")


SIZES: dict[str, Any] = {"lessons": 150, "count": 100, "risky": 40, "split": "dev", "draw": 5}


@pytest.mark.slow
def test_first_tries_rise_at_taught_houses_and_do_not_fall_where_words_are_read_otherwise(
    bench: ModuleType,
) -> None:
    found = [bench.measure("corrections", 0, **SIZES)]
    *_, rise, interval = bench.gain(found, bench.LEARNT)
    assert rise > 0.05 and interval.low > 0, (rise, interval)
    for group in ("out of scope", "at risk", "near scope"):
        *_, fall, elsewhere = bench.gain(found, [group])
        assert fall >= 0 and elsewhere.low >= 0, (group, fall, elsewhere)


@pytest.mark.slow
def test_the_same_words_without_their_scope_harm_the_houses_that_read_them_otherwise(
    bench: ModuleType,
) -> None:
    *_, fall, interval = bench.gain([bench.measure("no scope", 0, **SIZES)], ["at risk"])
    assert fall < -0.1 and interval.high < 0, (fall, interval)


def test_questions_at_risk_are_of_other_houses_and_have_words_in_the_usual_reading_only(
    bench: ModuleType,
) -> None:
    listed = bench.at_risk("dev", 5, 10)
    assert len(listed) >= 5
    for task in listed:
        form, asker = form_of(task.hidden["form"]), house(task.public["house"])
        assert asker.name not in bench.TAUGHT and form.words
        assert all(asker.readings[word] == usual_reading(word) for word in form.words.values())


def test_the_groups_of_questions_are_those_that_memory_can_and_cannot_help(bench: ModuleType) -> None:
    listed = tiny.tasks("dev", 60, seed=5)
    groups = {task.id: bench.group_of(task) for task in listed}
    assert set(groups.values()) == set(bench.GROUPS) - {"at risk"}
    for task in listed:
        assert (groups[task.id] == "out of scope") == (task.public["house"] not in bench.TAUGHT)


def test_the_control_takes_the_house_out_of_the_words_and_out_of_the_scope(bench: ModuleType) -> None:
    task = Task(id="t", prompt="p", public={"house": "acme"})
    told = Feedback(text="at acme, a few means 4 rows", verdict="fail")
    attempt = Attempt(id="t/1", trajectory="t", task=task, number=1, feedback=told)
    (control,) = bench.everywhere([attempt])
    assert (control.text, control.applies_when) == ("a few means 4 rows", "")
