"""kill -9 at any moment of a training, go on: the same losses and weights, each step written once."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.random_checkpoint import make_checkpoint
from tests.training_practice import equal_weights
from tests.training_run import SAVE_EVERY, STEPS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: Any) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def nursery() -> Any:
    command = [sys.executable, "-m", "tests.training_run"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def runs(process: int) -> bool:
    """Whether the process is still at work: neither gone nor dead and waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Trainings:
    """Trainings in processes of their own that are killed at a moment of one's choice."""

    def __init__(self, nursery: Any, base: Path, *, online: bool) -> None:
        self.nursery, self.base, self.online = nursery, base, online

    def begin(self, out: Path, *, resume: bool, until: Callable[[Path], bool]) -> int:
        """Train until the moment has come, then kill; the exit code, 0 where it ended before."""
        asked = {"base": str(self.base), "out": str(out), "online": self.online, "resume": resume}
        self.nursery.stdin.write(json.dumps(asked) + "\n")
        self.nursery.stdin.flush()
        child = int(self.nursery.stdout.readline())
        while runs(child):
            if until(out):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                break
            time.sleep(0.0005)
        return int(self.nursery.stdout.readline())

    def whole(self, out: Path, *, resume: bool = False) -> list[dict[str, Any]]:
        """Train to the end; the lines of its log."""
        assert self.begin(out, resume=resume, until=lambda _: False) == 0
        return lines(out)

    def killed(self, out: Path, *, until: Callable[[Path], bool], resume: bool = False) -> None:
        assert self.begin(out, resume=resume, until=until) == -signal.SIGKILL, "it ended before its moment"


@pytest.fixture(scope="module")
def on_a_log(nursery: Any, base: Path, tmp_path_factory: Any) -> tuple[Trainings, Path]:
    """Trainings on a log, and one of them that nothing broke."""
    trainings, out = Trainings(nursery, base, online=False), tmp_path_factory.mktemp("log") / "whole"
    trainings.whole(out)
    return trainings, out


@pytest.fixture(scope="module")
def in_practice(nursery: Any, base: Path, tmp_path_factory: Any) -> tuple[Trainings, Path]:
    """Trainings on rollouts of their own, and one of them that nothing broke."""
    trainings, out = Trainings(nursery, base, online=True), tmp_path_factory.mktemp("practice") / "whole"
    trainings.whole(out)
    return trainings, out


def lines(out: Path) -> list[dict[str, Any]]:
    path = out / "training.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def written(out: Path) -> int:
    """Steps in the log; a line that is being written counts."""
    path = out / "training.jsonl"
    return path.read_text().count('{"step"') if path.exists() else 0


def ended(out: Path, step: int) -> int:
    """Rollouts of a step that have come to their end."""
    path = out / "rollouts" / f"step-{step:05d}" / "journal.jsonl"
    return path.read_text().count('{"end"') if path.exists() else 0


def in_learning(step: int, seconds: float) -> Callable[[Path], bool]:
    """Some time after the step before was written down."""
    since: list[float] = []

    def moment(out: Path) -> bool:
        if written(out) >= step - 1 and not since:
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] > seconds

    return moment


def saving(step: int) -> Callable[[Path], bool]:
    """While a state is being written."""
    return lambda out: (out / "state" / f"step-{step:05d}.partial").exists()


def finishing(out: Path) -> bool:
    """While the checkpoint is being written."""
    return (out / "checkpoint.partial").exists()


def check_the_same(out: Path, found: list[dict[str, Any]], *, as_in: Path, within: float) -> None:
    wanted = lines(as_in)
    assert [line["step"] for line in found] == list(range(1, STEPS + 1))
    for name in ("loss", "gradient_norm", "learning_rate", "rows", "tokens", "completions"):
        assert [line[name] for line in found] == pytest.approx(
            [line[name] for line in wanted], rel=within, abs=within
        ), name
    assert equal_weights(out / "checkpoint", as_in / "checkpoint", within=within)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(lambda out: (out / "training.json").exists(), id="at the very beginning"),
        pytest.param(in_learning(2, 0.02), id="in the second step"),
        pytest.param(saving(SAVE_EVERY), id="in saving for the first time"),
        pytest.param(in_learning(4, 0.03), id="in the step after a state"),
        pytest.param(saving(2 * SAVE_EVERY), id="in saving again"),
        pytest.param(finishing, id="in writing the checkpoint"),
    ],
)
def test_a_training_on_a_log_that_was_killed_ends_as_if_it_had_not_been(
    on_a_log: Any, tmp_path: Path, moment: Any
) -> None:
    (trainings, whole), out = on_a_log, tmp_path / "killed"
    trainings.killed(out, until=moment)
    check_the_same(out, trainings.whole(out, resume=True), as_in=whole, within=0.0)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(lambda out: ended(out, 2) >= 2, id="in rollouts"),
        pytest.param(lambda out: ended(out, 3) >= 12 and written(out) == 2, id="in learning"),
        pytest.param(saving(2 * SAVE_EVERY), id="in saving"),
    ],
)
def test_a_policy_in_practice_that_was_killed_ends_as_if_it_had_not_been(
    in_practice: Any, tmp_path: Path, moment: Any
) -> None:
    (trainings, whole), out = in_practice, tmp_path / "killed"
    trainings.killed(out, until=moment)
    before = journals(out)
    check_the_same(out, trainings.whole(out, resume=True), as_in=whole, within=2e-3)
    after = journals(out)
    assert before
    assert all(after[path].startswith(kept[: kept.rfind(b"\n") + 1]) for path, kept in before.items())


def journals(out: Path) -> dict[Path, bytes]:
    """What the rollouts have written down."""
    return {path: path.read_bytes() for path in (out / "rollouts").rglob("journal.jsonl")}


def test_a_training_that_is_killed_again_and_again_still_ends_the_same(on_a_log: Any, tmp_path: Path) -> None:
    (trainings, whole), out = on_a_log, tmp_path / "killed"
    trainings.killed(out, until=in_learning(2, 0.05))
    for moment in (saving(SAVE_EVERY), in_learning(5, 0.02), saving(STEPS)):
        trainings.killed(out, until=moment, resume=True)
    check_the_same(out, trainings.whole(out, resume=True), as_in=whole, within=0.0)


def test_a_training_that_has_ended_can_be_asked_for_again_and_learns_no_more(on_a_log: Any) -> None:
    trainings, out = on_a_log
    before, weights = lines(out), (out / "checkpoint" / "model.safetensors").read_bytes()
    assert trainings.whole(out, resume=True) == before
    assert (out / "checkpoint" / "model.safetensors").read_bytes() == weights
