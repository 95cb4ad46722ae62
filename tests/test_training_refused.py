"""What a training is refused for: one clear error, and nothing is left in its folder."""

from pathlib import Path
from typing import Any

import pytest

from agentloop import Run
from agentloop.errors import BadInput, JournalCorrupt
from agentloop.training import Practice, train
from tests.export_logs import Tried, log
from tests.random_checkpoint import make_checkpoint
from tests.training_practice import practice, quick, small, tasks, two_turn_log


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("base"))


def refused(out: Path, *args: Any, match: str, kind: Any = BadInput, **named: Any) -> None:
    with pytest.raises(kind, match=match):
        train(*args, out=out, **{"settings": small(), **named})
    assert not out.exists() or not list(out.iterdir())


def test_an_unknown_method_is_told_its_neighbour(base: Path, tmp_path: Path) -> None:
    refused(tmp_path, "rltfsd", model=base, practice=practice(), match="did you mean 'rltf-sd'")


def test_either_practice_or_a_log_is_wanted(base: Path, tmp_path: Path) -> None:
    refused(tmp_path, "grpo", model=base, match="give either practice")
    refused(
        tmp_path, "grpo", model=base, practice=practice(), log=two_turn_log(), match="give either practice"
    )


def test_a_method_of_logs_does_not_practise(base: Path, tmp_path: Path) -> None:
    refused(tmp_path, "fcp", model=base, practice=practice(), match="fcp trains on a log")


def test_an_empty_log_is_refused(base: Path, tmp_path: Path) -> None:
    refused(tmp_path, "grpo", model=base, log=[], match="the log holds no finished trajectory")


def test_a_log_with_nothing_to_learn_is_refused(base: Path, tmp_path: Path) -> None:
    failed = [log(f"count/{n}", Tried(f"wrong {n}", 0.0)) for n in range(3)]
    for method in ("grpo", "raft"):
        refused(tmp_path, method, model=base, log=failed, match=f"nothing to train on with {method}")


def test_a_log_without_log_probs_is_refused(base: Path, tmp_path: Path) -> None:
    bare = [log(f"count/{n}", Tried(f"said {n}", float(n % 2), lp=False)) for n in range(4)]
    refused(tmp_path, "grpo", model=base, log=bare, match=r"logprobs.* in 4 of 4 trajectories")


def test_a_broken_journal_is_refused(base: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(quick("grpo"), model=base, out=tmp_path / "first", practice=practice(), settings=small(steps=1))
    (tmp_path / "first" / "rollouts" / "step-00001").rename(run)
    kept = (run / "journal.jsonl").read_text().splitlines()
    kept[4] = kept[4][:-5]
    (run / "journal.jsonl").write_text("\n".join(kept) + "\n")
    refused(
        tmp_path / "out", "grpo", model=base, log=Run(run).trajectories, match="line 5", kind=JournalCorrupt
    )


def test_tasks_of_the_locked_split_are_refused(base: Path, tmp_path: Path) -> None:
    refused(tmp_path, "grpo", model=base, practice=practice(split="test"), match="locked test split")


def test_held_out_tasks_that_are_practised_on_are_refused(base: Path, tmp_path: Path) -> None:
    refused(
        tmp_path,
        "grpo",
        model=base,
        practice=practice(4),
        held_out=practice(2),
        match="2 held-out tasks are trained on as well",
    )


def test_held_out_tasks_that_the_log_is_about_are_refused(base: Path, tmp_path: Path) -> None:
    agent = practice().agent
    held_out = Practice(agent=agent, tasks=[two_turn_log()[0].task, *tasks(1)])
    refused(
        tmp_path,
        "grpo",
        model=base,
        log=two_turn_log(),
        held_out=held_out,
        match=r"1 held-out tasks are trained on as well \(q0",
    )


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    bare = make_checkpoint(tmp_path / "bare", template=None)
    for given in ({"practice": practice()}, {"log": two_turn_log()}):
        refused(tmp_path / "out", "grpo", model=bare, **given, match="no chat template")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "out", "grpo", model=tmp_path, practice=practice(), match="holds no config.json")


def test_a_tracker_that_is_not_installed_is_refused_by_its_package(base: Path, tmp_path: Path) -> None:
    from accelerate.tracking import get_available_trackers

    missing = next(
        name for name in ("aim", "comet_ml", "swanlab") if name not in map(str, get_available_trackers())
    )
    refused(
        tmp_path,
        "grpo",
        model=base,
        log=two_turn_log(),
        settings=small(trackers=(missing,)),
        match=f"needs the package {missing}, which is not installed; install it with: pip install {missing}",
    )


def test_an_unknown_tracker_is_told_the_known_ones(base: Path, tmp_path: Path) -> None:
    refused(
        tmp_path,
        "grpo",
        model=base,
        log=two_turn_log(),
        settings=small(trackers=("abacus",)),
        match="no tracker named 'abacus'; accelerate knows .*tensorboard",
    )


def test_praise_that_cannot_be_a_condition_is_refused_before_anything_is_done(
    base: Path, tmp_path: Path
) -> None:
    told = [log(f"q/{n}", Tried(f"two {n}", 1.0, told="Good {task}!", verdict="pass")) for n in range(2)]
    refused(tmp_path, "fcp", model=base, log=told, match="may hold no placeholder")
