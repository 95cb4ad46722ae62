"""Logged rows in batches: each once in a lap, groups whole, one clear error where nothing can be learnt."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop import Run, Task
from agentloop.errors import BadInput, JournalCorrupt
from agentloop.training import PUBLISHED
from agentloop.training.logged import Logged
from agentloop.types import Trajectory
from tests.export_logs import Tried, log, render, worked_example
from tests.training_practice import two_turn_log
from tests.training_tensors import untimed


def logged(
    trajectories: Any, method: str = "rltf-sd", *, size: int = 64, seed: int = 0, **changes: Any
) -> Logged:
    recipe = PUBLISHED[method].with_changes(**changes)
    return Logged(trajectories, recipe, size=size, seed=seed, render=render)


def names(rows: Any) -> Counter[Any]:
    return Counter((each.meta.group_id, each.attempt, each.role) for each in rows)


LOG = two_turn_log(5)
ALL = names(logged(LOG, size=1000).rows(1))


@settings(untimed, max_examples=25)
@given(size=st.integers(1, 200), seed=st.integers(0, 9), lap=st.integers(0, 3))
def test_a_lap_holds_every_row_once_and_no_batch_is_empty(size: int, seed: int, lap: int) -> None:
    source = logged(LOG, size=size, seed=seed)
    batches = [source.rows(lap * source.lap + at) for at in range(1, source.lap + 1)]
    assert sum(map(names, batches), Counter()) == ALL
    assert all(batches)


@settings(untimed, max_examples=25)
@given(size=st.integers(1, 200))
def test_rows_that_were_weighed_together_stay_together(size: int) -> None:
    source = logged(LOG, size=size)
    for at in range(1, source.lap + 1):
        found = Counter(each.meta.group_id for each in source.rows(at))
        assert set(found.values()) == {len(ALL) // 5}


def test_there_are_as_many_batches_as_hold_each_row_once() -> None:
    assert logged(LOG, size=7).lap == min(5, math.ceil(len(ALL) / 7))
    assert logged(LOG, size=1000).lap == 1


def test_the_seed_decides_which_groups_share_a_batch() -> None:
    orders = {
        tuple(sorted({each.meta.group_id for each in logged(LOG, size=14, seed=seed).rows(1)}))
        for seed in range(6)
    }
    assert len(orders) > 1


def test_a_log_that_can_be_read_again_gives_the_same_rows() -> None:
    assert logged(lambda: iter(LOG)).rows(1) == logged(LOG).rows(1)


def test_what_was_left_out_is_counted() -> None:
    broken = log("q0/9", Tried("six", 0.0, error="model: gone"), group="q0", task=LOG[0].task)
    assert logged([*LOG, broken]).left_out == {"the attempt broke": 1}


def test_the_tasks_that_are_learnt_from_are_known() -> None:
    assert logged(LOG).tasks == {f"q{at}" for at in range(5)}


def test_another_log_has_another_digest() -> None:
    assert logged(LOG).digest == logged(LOG).digest != logged(LOG[:6]).digest


def test_what_the_critic_says_of_a_right_answer_is_known() -> None:
    assert logged(LOG).praise == "Right."


def refused(trajectories: list[Trajectory], method: str) -> str:
    with pytest.raises(BadInput) as caught:
        logged(trajectories, method)
    return str(caught.value)


@pytest.mark.parametrize("method", ["grpo", "raft", "fcp"])
def test_an_empty_log_is_refused(method: str) -> None:
    assert refused([], method) == f"nothing to train on with {method}: the log holds no finished trajectory"


@pytest.mark.parametrize("method", ["raft", "sft", "ilf"])
def test_a_log_without_an_answer_that_passed_is_refused(method: str) -> None:
    failed = [
        log(f"count/{n}", Tried(f"wrong {n}", 0.0, told="No."), Tried(f"{n} wrong", 0.0)) for n in range(3)
    ]
    told = refused(failed, method)
    assert told.startswith(f"nothing to train on with {method} in 3 trajectories; there must be ")


@pytest.mark.parametrize("method", ["grpo", "rltf-sd", "critique-grpo", "herl", "ufo"])
def test_equal_rewards_everywhere_are_refused(method: str) -> None:
    equal = [
        log(f"count/{n}", Tried(f"wrong {n}", 0.0, told="No."), Tried(f"{n} wrong", 0.0)) for n in range(3)
    ]
    assert "within every group all rewards are equal, so every weight is zero" in refused(equal, method)


def test_negative_aware_tuning_says_that_all_or_none_were_right() -> None:
    equal = [log(f"count/{n}", Tried(f"wrong {n}", 0.0)) for n in range(3)]
    assert refused(equal, "nft").count("\n- ") >= 1


@pytest.mark.parametrize("method", ["grpo", "rltf-sd", "critique-grpo", "herl"])
def test_missing_log_probs_are_named_with_their_count_and_what_records_them(method: str) -> None:
    bare = [
        log(f"count/{n}", Tried(f"said {n}", float(n % 2), told="No.", lp=False), Tried("x", 1.0, lp=False))
        for n in range(4)
    ]
    told = refused(bare, method)
    assert told.count("the log lacks replies[].logprobs") == 1
    assert "in 4 of 4 trajectories" in told
    assert "recorded by sampling from local/PATH or local/tiny" in told


def test_missing_token_ids_are_named_too() -> None:
    bare = [log(f"count/{n}", Tried(f"said {n}", float(n % 2), ids=False, lp=False)) for n in range(2)]
    assert "the log lacks replies[].token_ids and prompt_token_ids in 2 of 2" in refused(bare, "grpo")


def test_tasks_of_the_locked_split_are_not_learnt_from() -> None:
    locked = Task(id="locked", prompt="How many?", split="test")
    held = [log(f"locked/{n}", Tried(f"{n}", float(n)), group="locked", task=locked) for n in range(2)]
    assert "test" in refused(held, "grpo")
    assert logged([*LOG, *held]).tasks == logged(LOG).tasks


def journal_of(folder: Path) -> Path:
    """A run with two trajectories in its journal, and a last line that a kill cut short."""
    from functools import partial

    from agentloop import ScriptedModel, improve, reflect_and_retry
    from tests.training_practice import critic_of_letters, tasks

    model = ScriptedModel(lambda messages, sampling: "x" * (1 + sampling["seed"] % 2))
    agent = partial(reflect_and_retry, critic=critic_of_letters)(model=model)
    improve(agent, tasks(2), folder=folder, samples=2)
    return folder / "journal.jsonl"


def test_a_line_that_a_kill_cut_short_at_the_end_of_the_journal_is_passed_over(tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    with journal.open("a") as file:
        file.write('{"place": "t0#9/1/act/0", "ki')
    source = logged(Run(tmp_path).trajectories, "leti")
    assert source.rows(1)


def test_a_broken_line_inside_the_journal_is_an_error_with_its_number(tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    lines = journal.read_text().splitlines()
    lines[3] = lines[3][:-9]
    journal.write_text("\n".join(lines) + "\n")
    with pytest.raises(JournalCorrupt, match="line 4 of"):
        logged(Run(tmp_path).trajectories, "leti")


def test_log_probs_that_are_not_numbers_are_missing_ones() -> None:
    (first, *others) = worked_example()
    reply = first.calls[0].replies[0]
    sick = reply.replace(logprobs=(float("nan"),) * len(reply.token_ids or ()))
    call = first.calls[0].replace(replies=(sick,))
    source = logged([first.replace(calls=(call,)), *others], "grpo")
    assert source.left_out["the log lacks replies[].logprobs, one finite number for each token"] == 1
    json.dumps([each.weights for each in source.rows(1)], allow_nan=False)
