"""The state on disk: what a folder is refused for, what may change, and what a kill leaves."""

import json
import threading
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from agentloop.errors import BadInput
from agentloop.training import PUBLISHED, Settings
from agentloop.training.machine import accelerator_for
from agentloop.training.state import KEPT, TrainingLog, asked, begin, restore, save
from tests.training_practice import PLAIN, same, small, some_rows, state_of, tiny_llama, updater_of

RECIPE = PUBLISHED["rltf-sd"]


@pytest.fixture(scope="module")
def accelerator() -> Any:
    return accelerator_for(small(), Path())


def request(settings: Settings | None = None, **changes: Any) -> dict[str, Any]:
    given = {"recipe": RECIPE, "model": "m", "data": {"tasks": "d"}, **changes}
    return asked(given.pop("recipe"), settings or small(), **given)


def begun(accelerator: Any, out: Path, wanted: dict[str, Any] | None = None) -> None:
    begin(accelerator, out, wanted or request(), resume=False)


def test_a_training_begins_in_a_new_or_an_empty_folder(accelerator: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new/and/deep"):
        begun(accelerator, tmp_path / name)
        assert json.loads((tmp_path / name / "training.json").read_text())["model"] == "m"


def test_what_a_kill_at_the_very_beginning_leaves_is_no_hindrance(accelerator: Any, tmp_path: Path) -> None:
    (tmp_path / "training.partial").write_text('{"mod')
    begun(accelerator, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["training.json"]


def test_a_folder_with_a_training_is_refused_without_resume(accelerator: Any, tmp_path: Path) -> None:
    begun(accelerator, tmp_path)
    with pytest.raises(BadInput, match="holds a training already; give --resume"):
        begun(accelerator, tmp_path)


def test_the_same_request_goes_on(accelerator: Any, tmp_path: Path) -> None:
    begun(accelerator, tmp_path)
    before = (tmp_path / "training.json").read_bytes()
    begin(accelerator, tmp_path, request(), resume=True)
    assert (tmp_path / "training.json").read_bytes() == before


@pytest.mark.parametrize("made", [True, False])
def test_nothing_to_go_on_with_is_refused(accelerator: Any, tmp_path: Path, made: bool) -> None:
    out = tmp_path / "out"
    if made:
        out.mkdir()
    with pytest.raises(BadInput, match="no training in .* to go on with"):
        begin(accelerator, out, request(), resume=True)
    assert not out.exists() or not list(out.iterdir())


def test_a_folder_with_other_things_is_refused_and_left_alone(accelerator: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BadInput, match="not empty and holds no training"):
        begun(accelerator, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused_and_left_alone(
    accelerator: Any, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(BadInput, match="holds no training"):
        begun(accelerator, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("model", request(model="other")),
        ("tasks", request(data={"tasks": "others"})),
        ("log", request(data={"log": "d"})),
        ("learning_rate", request(recipe=replace(RECIPE, learning_rate=0.5))),
        ("weigh", request(recipe=RECIPE.with_changes(weigh={"strength": 2.0}))),
        ("clip", request(recipe=RECIPE.with_changes(clip=(0.2, 0.2)))),
        ("seed", request(small(seed=7))),
        ("steps", request(small(steps=9))),
        ("lora_rank", request(small(lora_rank=4))),
        ("temperature", request(small(temperature=0.5))),
        ("completions", request(small(completions=99))),
    ],
)
def test_what_has_changed_is_refused_by_its_name(
    accelerator: Any, tmp_path: Path, name: str, wanted: dict[str, Any]
) -> None:
    begun(accelerator, tmp_path)
    with pytest.raises(BadInput, match=rf"other settings \({name}\)"):
        begin(accelerator, tmp_path, wanted, resume=True)


def test_all_that_has_changed_is_named(accelerator: Any, tmp_path: Path) -> None:
    begun(accelerator, tmp_path)
    with pytest.raises(BadInput, match=r"\(model, seed, max_tokens\)|\(model, max_tokens, seed\)"):
        begin(accelerator, tmp_path, request(small(seed=7, max_tokens=9), model="other"), resume=True)


class Server:
    """Takes weights, and cannot be copied."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, folder: Path) -> None:
        pass


def test_what_does_not_change_what_is_learnt_may_change(accelerator: Any, tmp_path: Path) -> None:
    begun(accelerator, tmp_path)
    settings = small(
        micro_batch=7,
        concurrency=3,
        save_every=2,
        threads=1,
        trackers=("wandb",),
        publish=Server(),
        cpu=False,
    )
    begin(accelerator, tmp_path, request(settings), resume=True)


def test_every_setting_is_either_checked_or_known_not_to_matter() -> None:
    free = {"micro_batch", "concurrency", "save_every", "threads", "trackers", "publish", "cpu"}
    assert set(request()["settings"]) == {each.name for each in fields(Settings)} - free


# training.jsonl


def line(step: int) -> dict[str, Any]:
    return {"step": step, "loss": step / 10, "completions": 4}


def written(out: Path) -> list[int]:
    return [json.loads(each)["step"] for each in (out / "training.jsonl").read_text().splitlines()]


def test_steps_are_written_as_they_come(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path, upto=0)
    for step in (1, 2):
        log.add(line(step))
        assert written(tmp_path) == list(range(1, step + 1))
    assert [each["step"] for each in log.lines] == [1, 2]


def test_steps_after_the_last_state_are_taken_out(tmp_path: Path) -> None:
    first = TrainingLog(tmp_path, upto=0)
    for step in (1, 2, 3):
        first.add(line(step))
    again = TrainingLog(tmp_path, upto=2)
    again.add(line(3))
    assert written(tmp_path) == [1, 2, 3]
    assert [each["step"] for each in again.lines] == [1, 2, 3]


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    first = TrainingLog(tmp_path, upto=0)
    first.add(line(1))
    with (tmp_path / "training.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    again = TrainingLog(tmp_path, upto=2)
    again.add(line(2))
    assert written(tmp_path) == [1, 2]


def test_a_process_that_does_not_write_knows_the_lines_all_the_same(tmp_path: Path) -> None:
    first = TrainingLog(tmp_path, upto=0)
    first.add(line(1))
    other = TrainingLog(tmp_path, upto=1, writes=False)
    other.add(line(2))
    assert [each["step"] for each in other.lines] == [1, 2]
    assert written(tmp_path) == [1]


# states


def test_a_state_gives_back_weights_optimiser_and_schedule(tmp_path: Path) -> None:
    rows = some_rows()
    learner = updater_of(tiny_llama(), PLAIN, schedule="linear", warmup=2)
    learner.learn(rows)
    save(learner.accelerator, tmp_path, 1)
    learner.learn(rows)
    wanted, rate = state_of(learner.model), learner.schedule.get_last_lr()
    other = updater_of(tiny_llama(seed=5), PLAIN, schedule="linear", warmup=2)
    assert restore(other.accelerator, tmp_path) == 1
    other.learn(rows)
    assert same(state_of(other.model), wanted, within=0.0)
    assert other.schedule.get_last_lr() == rate


def test_the_last_states_are_kept_and_older_ones_go(tmp_path: Path) -> None:
    learner = updater_of(tiny_llama())
    for step in range(1, 5):
        save(learner.accelerator, tmp_path, step)
    found = sorted(path.name for path in (tmp_path / "state").iterdir())
    assert found == [f"step-{step:05d}" for step in (3, 4)]
    assert len(found) == KEPT


def test_a_state_that_a_kill_cut_short_is_passed_over_and_written_again(tmp_path: Path) -> None:
    learner = updater_of(tiny_llama())
    save(learner.accelerator, tmp_path, 1)
    partial = tmp_path / "state" / "step-00002.partial"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    assert restore(learner.accelerator, tmp_path) == 1
    save(learner.accelerator, tmp_path, 2)
    assert restore(learner.accelerator, tmp_path) == 2
    assert not partial.exists()


def test_without_a_state_a_training_starts_at_its_beginning(tmp_path: Path) -> None:
    learner = updater_of(tiny_llama())
    before = state_of(learner.model)
    assert restore(learner.accelerator, tmp_path) == 0
    assert same(state_of(learner.model), before, within=0.0)
