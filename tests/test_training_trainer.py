"""``train`` from end to end on a random checkpoint: what it learns, writes, refuses and leaves alone."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agentloop import Attempt, ChatModel, Feedback, Run, reflect_and_retry
from agentloop.errors import BadInput
from agentloop.training import PUBLISHED, Practice, Recipe, Step, train
from tests.export_logs import Tried, log, worked_example
from tests.random_checkpoint import make_checkpoint
from tests.training_practice import (
    critic_of_letters,
    equal_weights,
    practice,
    quick,
    small,
    tasks,
    torch,
    two_turn_log,
    weights_of,
)

REFLECTS = "reflect-retry-reward"
ONLINE = [name for name, recipe in PUBLISHED.items() if recipe.online and name != REFLECTS]


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("base"), context=1024)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "training.jsonl").read_text().splitlines()]


# What it does


@pytest.mark.parametrize("method", ONLINE)
def test_a_method_practises_and_changes_the_weights(base: Path, tmp_path: Path, method: str) -> None:
    recipe = quick(method, attempts=min(PUBLISHED[method].attempts, 3))
    done = train(
        recipe, model=base, out=tmp_path, practice=practice(), settings=small(steps=1, tasks=3, samples=4)
    )
    (step,) = lines(tmp_path)
    assert step["completions"] >= 12
    assert step["rows"] > 0
    assert 0 < step["first_passed"] < 1
    assert done.steps == [step]
    assert not equal_weights(done.checkpoint, base)


def test_a_training_that_learnt_nothing_says_so_and_why(base: Path, tmp_path: Path) -> None:
    """A policy that seldom fails twice in the same words has no two reflections to compare."""
    done = train(quick(REFLECTS), model=base, out=tmp_path, practice=practice(), settings=small(steps=1))
    assert done.steps[0]["rows"] == 0
    calls = Run(tmp_path / "rollouts" / "step-00001").figures.calls
    assert done.completions == calls["actor"] + calls["reflector"] > calls["actor"]
    assert "nothing was learnt" in done.summary()
    assert "no other reflection on the same failed attempt" in done.summary()


@pytest.mark.parametrize("method", list(PUBLISHED))
def test_a_method_learns_from_a_log(base: Path, tmp_path: Path, method: str) -> None:
    kept = two_turn_log()
    if method == REFLECTS:
        kept = reflected_log()
    done = train(
        quick(method), model=base, out=tmp_path, log=kept, settings=small(steps=1, rows=8), progress=None
    )
    (step,) = done.steps
    assert step["rows"] > 0
    assert (step["completions"], step["first_passed"]) == (0, None)
    assert not equal_weights(done.checkpoint, base)


def reflected_log() -> list[Any]:
    """Four samples that failed likewise; the notes of two led to a right answer."""
    failed = {"says": "three", "score": 0.0, "told": "Deleted ones count.", "verdict": "fail"}
    return [
        log(f"count/{n}", Tried(**failed, reflects=f"I forgot {n}."), Tried(f"two {n}", float(n % 2)))
        for n in range(4)
    ]


def test_a_right_answer_that_is_learnt_becomes_likelier(base: Path, tmp_path: Path) -> None:
    wanted = [log(f"q/{n}", Tried("yes!", 1.0), group="q") for n in range(2)]
    done = train(
        quick("raft", learning_rate=3e-3), model=base, out=tmp_path, log=wanted, settings=small(steps=6)
    )
    losses = [step["loss"] for step in done.steps]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("method", ["grpo", "critique-grpo", "rltf-sd"])
@pytest.mark.parametrize("verdict", ["fail", "pass"])
def test_where_all_do_equally_well_the_checkpoint_is_the_base_bit_for_bit(
    base: Path, tmp_path: Path, method: str, verdict: Any
) -> None:
    def same_for_all(attempt: Attempt) -> Feedback:
        return Feedback(text="So.", verdict=verdict, score=float(verdict == "pass"))

    recipe = Recipe(**{**quick(method).__dict__, "entropy": 0.0})
    done = train(recipe, model=base, out=tmp_path, practice=practice(critic=same_for_all), settings=small())
    assert [step["loss"] for step in done.steps] == [0.0, 0.0]
    assert equal_weights(done.checkpoint, base)


def test_each_step_samples_from_the_policy_of_the_step_before(base: Path, tmp_path: Path) -> None:
    train(quick("grpo"), model=base, out=tmp_path, practice=practice(), settings=small(steps=2))
    names = [
        {call.policy for each in Run(path).trajectories() for call in each.calls}
        for path in sorted((tmp_path / "rollouts").iterdir())
    ]
    assert [len(each) for each in names] == [1, 1]
    first, second = (next(iter(each)) for each in names)
    assert first is not None and first.endswith("+grpo:0")
    assert second is not None and second.endswith("+grpo:1")


def test_the_same_training_twice_gives_the_same_steps(base: Path, tmp_path: Path) -> None:
    runs = [
        train(quick("rltf-sd"), model=base, out=tmp_path / name, practice=practice(), settings=small())
        for name in "ab"
    ]
    first, again = ([step["loss"] for step in run.steps] for run in runs)
    assert first == pytest.approx(again, rel=1e-3)
    assert equal_weights(runs[0].checkpoint, runs[1].checkpoint, within=1e-3)


def test_a_log_is_trained_on_the_same_to_the_last_bit(base: Path, tmp_path: Path) -> None:
    runs = [
        train(quick("rltf-sd"), model=base, out=tmp_path / name, log=two_turn_log(), settings=small(rows=9))
        for name in "ab"
    ]
    assert [step["loss"] for step in runs[0].steps] == [step["loss"] for step in runs[1].steps]
    assert equal_weights(runs[0].checkpoint, runs[1].checkpoint)


def test_none_steps_of_a_log_are_as_many_as_hold_each_row_once(base: Path, tmp_path: Path) -> None:
    done = train(
        quick("rltf-sd"), model=base, out=tmp_path, log=two_turn_log(4), settings=small(steps=None, rows=14)
    )
    assert len(done.steps) == 2
    assert sum(step["rows"] for step in done.steps) == 4 * 7


def test_a_log_that_comes_one_at_a_time_is_taken_too(base: Path, tmp_path: Path) -> None:
    done = train(quick("fcp"), model=base, out=tmp_path, log=iter(two_turn_log()), settings=small(steps=1))
    assert done.steps[0]["rows"] == 15
    assert "<EF>Right.</EF>" in (done.checkpoint / "prompts" / "task.md").read_text()


def test_rows_that_the_model_cannot_hold_are_left_out_of_a_log(tmp_path: Path) -> None:
    narrow = make_checkpoint(tmp_path / "narrow", context=128)
    long = log("count/9", Tried("much " * 30, 0.0, told="Shorter."), group="count")
    done = train(
        quick("grpo"),
        model=narrow,
        out=tmp_path / "out",
        log=[*worked_example(), long],
        settings=small(steps=1),
    )
    assert done.left_out["longer than 128 tokens"] == 1
    assert done.steps[0]["left_out"] == done.left_out


def test_progress_is_told_of_every_step(base: Path, tmp_path: Path) -> None:
    told: list[Step] = []
    train(quick("raft"), model=base, out=tmp_path, log=two_turn_log(), settings=small(), progress=told.append)
    assert [(step.step, step.steps) for step in told] == [(1, 2), (2, 2)]
    assert [step.loss for step in told] == [line["loss"] for line in lines(tmp_path)]


def test_the_training_can_be_told_in_words_and_to_programs(base: Path, tmp_path: Path) -> None:
    broken = log("q0/9", Tried("six", 0.0, error="model: gone"), group="q0", task=two_turn_log()[0].task)
    done = train(
        quick("raft"), model=base, out=tmp_path, log=[*two_turn_log(), broken], settings=small(steps=1)
    )
    told = done.summary()
    assert "raft: 1 steps, 0 completions sampled, last loss " in told
    assert str(done.checkpoint) in told
    assert "left out: 1 the attempt broke" in told
    values = json.loads(json.dumps(done.to_dict()))
    assert values["method"] == "raft"
    assert values["gain"] is None


# Held-out tasks, checkpoints and servers


def test_held_out_tasks_are_measured_before_and_after(base: Path, tmp_path: Path) -> None:
    met: set[str] = set()

    def passes_when_met_again(attempt: Attempt) -> float:
        again = attempt.task.id in met
        met.add(attempt.task.id)
        return float(again)

    given = practice(4, name="held", split="dev")
    done = train(
        quick("raft"),
        model=base,
        out=tmp_path,
        log=two_turn_log(),
        held_out=Practice(agent=given.agent, tasks=given.tasks, grader=passes_when_met_again),
        settings=small(steps=1),
    )
    assert done.gain is not None
    assert (done.gain.tasks, done.gain.first, done.gain.second) == (4, 0.0, 1.0)
    for when in ("before", "after"):
        found = list(Run(tmp_path / "evaluation" / when).trajectories())
        assert [len(each.attempts) for each in found] == [1] * 4
    card = (done.checkpoint / "README.md").read_text()
    assert "| before | 0.0% |" in card
    assert done.gain.summary() in done.summary()


@pytest.mark.parametrize("method", ["fcp", "leti", "chain-of-hindsight"])
def test_a_model_trained_under_a_condition_is_asked_under_it(base: Path, tmp_path: Path, method: str) -> None:
    held_out = practice(1, name="held", split="dev")
    done = train(
        quick(method),
        model=base,
        out=tmp_path,
        log=two_turn_log(),
        held_out=held_out,
        settings=small(steps=1),
    )
    shown = {
        when: next(Run(tmp_path / "evaluation" / when).trajectories()).calls[0].messages[-1]["content"]
        for when in ("before", "after")
    }
    assert shown["before"] == "Say 0."
    assert (
        shown["after"]
        == {
            "fcp": "<EF>Right.</EF>\nSay 0.",
            "leti": "<|good|>\nSay 0.",
            "chain-of-hindsight": "Say 0.\n\nA good answer:",
        }[method]
    )
    model = ChatModel(f"local/{done.checkpoint}")
    assert model.prompts is not None
    assert model.prompts.render("task", notes="", task="Say 0.") == shown["after"]
    model.close()  # type: ignore[union-attr]


def test_a_server_is_handed_the_weights_after_every_step(base: Path, tmp_path: Path) -> None:
    seen: list[Any] = []

    def publish(folder: Path) -> None:
        model = ChatModel(f"local/{folder}")
        model.close()  # type: ignore[union-attr]
        seen.append(weights_of(folder))

    done = train(
        quick("raft"),
        model=base,
        out=tmp_path,
        log=two_turn_log(),
        settings=small(steps=2, publish=publish),
    )
    assert len(seen) == 2
    name = "lm_head.weight"
    assert not torch.equal(seen[0][name], seen[1][name])
    assert torch.equal(seen[1][name], weights_of(done.checkpoint)[name])


def test_a_training_stops_before_it_would_sample_more_than_allowed(base: Path, tmp_path: Path) -> None:
    done = train(
        quick("grpo"),
        model=base,
        out=tmp_path,
        practice=practice(3),
        settings=small(steps=9, tasks=3, samples=4, completions=30),
    )
    assert [step["completions"] for step in done.steps] == [12, 12]
    assert done.completions == 24
    assert (done.checkpoint / "model.safetensors").is_file()


# What goes wrong on the way


def test_figures_reach_tensorboard(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    train(
        quick("raft"),
        model=base,
        out=tmp_path,
        log=two_turn_log(),
        settings=small(trackers=("tensorboard",)),
    )
    assert list(tmp_path.rglob("events.out.tfevents*"))


def test_a_training_that_diverges_keeps_the_state_before(base: Path, tmp_path: Path) -> None:
    settings = small(steps=9, save_every=1, learning_rate=1e30, clip_norm=1e30)
    asked: Any = {"model": base, "out": tmp_path, "log": two_turn_log(), "settings": settings}
    with pytest.raises(BadInput, match="training has diverged; give a smaller --learning-rate"):
        train(quick("rltf-sd"), **asked)
    assert len(lines(tmp_path)) == len(list((tmp_path / "state").iterdir())) == 1
    assert not (tmp_path / "checkpoint").exists()


def test_a_step_in_which_every_rollout_broke_is_an_error_with_its_cause(base: Path, tmp_path: Path) -> None:
    class Broken:
        def __init__(self, task: Any) -> None:
            raise RuntimeError("the database is away")

    agent = partial(reflect_and_retry, critic=critic_of_letters, environment=Broken)
    given = Practice(agent=agent, tasks=tasks())
    with pytest.raises(BadInput, match="no rollout of step 1 came to its end: .*the database is away"):
        train(quick("grpo"), model=base, out=tmp_path, practice=given, settings=small())
    assert lines(tmp_path) == []
