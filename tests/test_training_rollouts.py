"""Rollouts: which tasks come when, what is asked of the agent, and rows that keep to the published method."""

import copy
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agentloop import Attempt, Feedback, ScriptedModel, reflect_and_retry
from agentloop.errors import BadInput
from agentloop.training import PUBLISHED, Practice, Recipe
from agentloop.training.rollouts import Rollouts, ordered, rows_of
from agentloop.types import Trajectory
from tests.export_logs import Tried, decode, encode, log, render, worked_example
from tests.training_practice import (
    PLAIN,
    critic_of_letters,
    practice,
    quick,
    row,
    small,
    state_of,
    tasks,
    torch,
    updater_of,
)


def made(recipe: Recipe | str, trajectories: list[Trajectory]) -> list[Any]:
    recipe = PUBLISHED[recipe] if isinstance(recipe, str) else recipe
    return rows_of(trajectories, recipe, render=render).rows


def weight_of(each: Any) -> float:
    """The weight on the trained tokens of a row, which is one number."""
    (found,) = {weight for weight, label in zip(each.weights, each.labels, strict=True) if label != -100}
    return float(found)


def of_role(rows: list[Any], role: str) -> list[Any]:
    return [each for each in rows if each.role == role]


def group_of(*rewards: tuple[float, ...]) -> list[Trajectory]:
    """One trajectory for each tuple, with an attempt for each of its rewards."""
    return [
        log(f"count/{n}", *(Tried(f"said {n}{k}", each, told="Because.") for k, each in enumerate(member)))
        for n, member in enumerate(rewards)
    ]


# RLTF-SD


def test_distillation_is_measured_against_the_first_turn_of_the_whole_group() -> None:
    rows = made("rltf-sd", group_of((0.0, 1.0), (0.0, 1.0), (1.0,)))
    assert [weight_of(each) for each in of_role(rows, "sd")] == pytest.approx([0.1 * (1 - 1 / 3)] * 2)


def test_where_feedback_always_helps_distillation_has_its_full_strength() -> None:
    rows = made("rltf-sd", group_of((0.0, 1.0), (0.0, 1.0)))
    assert [weight_of(each) for each in of_role(rows, "sd")] == pytest.approx([0.1, 0.1])
    second = [each for each in of_role(rows, "rl") if each.turn == 1]
    assert [weight_of(each) for each in second] == [0.0, 0.0], "a second-turn baseline would vanish likewise"


def test_the_recipes_options_reach_the_weights_of_the_method() -> None:
    recipe = PUBLISHED["rltf-sd"].with_changes(weigh={"strength": 3.0, "discount": 0.0})
    rows = made(recipe, worked_example())
    assert [weight_of(each) for each in of_role(rows, "sd")] == pytest.approx([1.5, -1.5])
    first = [each for each in of_role(rows, "rl") if each.turn == 0]
    assert [weight_of(each) for each in first] == pytest.approx([0.5, -0.5, -0.5, 0.5])


def test_distilled_rows_take_no_ratio_and_hold_no_feedback() -> None:
    rows = of_role(made("rltf-sd", worked_example()), "sd")
    assert len(rows) == 2
    for each in rows:
        assert each.logprobs is None
        assert "Deleted" not in decode(each.input_ids)
        assert "three" not in decode(each.input_ids)
        assert each.off_policy


def test_neither_turn_is_divided_by_a_standard_deviation() -> None:
    rows = of_role(made("rltf-sd", worked_example()), "rl")
    assert [weight_of(each) for each in rows if each.turn == 0] == pytest.approx(
        [0.475, -0.425, -0.525, 0.475]
    )
    assert [weight_of(each) for each in rows if each.turn == 1] == pytest.approx([0.5, -0.5])


def test_feedback_rows_are_rendered_by_the_checkpoint_and_weighted() -> None:
    rows = of_role(made("rltf-fm", worked_example()), "feedback")
    assert [decode([i for i in each.labels if i != -100]) for each in rows] == [
        "Deleted users count.",
        "Look at dates.",
    ]
    assert all(weight_of(each) == pytest.approx(0.1) for each in rows)


# Critique-GRPO and HeRL


def test_a_group_has_one_refinement_and_it_has_no_log_probs() -> None:
    rows = made("critique-grpo", group_of((0.0, 0.0), (0.0, 1.0), (0.0, 1.0), (1.0,)))
    assert Counter(each.role for each in rows) == {"refinement": 1, "rl": 3}
    (refined,) = of_role(rows, "refinement")
    assert refined.logprobs is None
    assert refined.attempt == "count/1/2"
    assert refined.input_ids[: len(render(worked_example()[0].calls[0].messages, True))] == tuple(
        render(worked_example()[0].calls[0].messages, True)
    )
    assert "Because" not in decode(refined.input_ids)


def test_advantages_of_critique_grpo_are_not_divided_by_a_standard_deviation() -> None:
    rows = made("critique-grpo", group_of((0.0, 1.0), (0.0,), (0.0,), (1.0,)))
    assert [weight_of(each) for each in rows] == pytest.approx([0.5, -0.5, -0.5, 0.5])


def test_a_wrong_refinement_is_pushed_down() -> None:
    rows = made("critique-grpo", group_of((0.0, 0.0), (1.0,), (1.0,)))
    (refined,) = of_role(rows, "refinement")
    assert weight_of(refined) == pytest.approx(-2 / 3)


def test_a_rewrite_of_herl_has_no_log_probs_of_the_other_prompt() -> None:
    rows = made("herl", group_of((0.5, 0.9), (0.2,), (0.1,)))
    (rewrite,) = of_role(rows, "refinement")
    assert rewrite.logprobs is None
    assert all(each.logprobs is not None for each in of_role(rows, "rl"))


def test_the_standard_deviation_of_grpo_is_an_option_that_can_be_left_out() -> None:
    group = group_of((1.0,), (0.0,), (0.0,), (0.0,))
    plain = made(PUBLISHED["grpo"].with_changes(weigh={"scale": "none"}), group)
    assert [weight_of(each) for each in plain] == pytest.approx([0.75, -0.25, -0.25, -0.25])
    assert [weight_of(each) for each in made("grpo", group)] == pytest.approx(
        [1.5, -0.5, -0.5, -0.5], rel=1e-3
    )


def test_herl_without_bonus_and_rewrites_is_grpo() -> None:
    group = group_of((0.5,), (0.2,), (0.1,))
    herl = made(PUBLISHED["herl"].with_changes(weigh={"bonus": 0.0}), group)
    assert [weight_of(each) for each in herl] == [weight_of(each) for each in made("grpo", group)]


# Equal rewards


@pytest.mark.parametrize("method", ["grpo", "critique-grpo", "rltf-sd", "herl", "ufo"])
@pytest.mark.parametrize("reward", [0.0, 0.3])
def test_equal_rewards_change_no_weight_of_the_model(method: str, reward: float) -> None:
    rows = made(method, group_of((reward, reward), (reward, reward), (reward, reward)))
    assert rows
    assert all(weight == 0.0 for each in rows for weight in each.weights)
    module = copy.deepcopy(tiny())
    learner = updater_of(module, quick(method).with_changes(kl=0.0, entropy=0.0))
    before = state_of(module)
    learner.learn(rows)
    assert all(torch.equal(a, b) for a, b in zip(before, state_of(module), strict=True))


def tiny() -> Any:
    """A model with ids for every letter."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=max(encode("z")) + 1,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
        )
    )


# What is too long


def test_rows_longer_than_the_model_can_hold_are_left_out_and_counted() -> None:
    whole = rows_of(worked_example(), PUBLISHED["rltf-fm"], render=render)
    lengths = sorted(len(each.input_ids) for each in whole.rows)
    found = rows_of(worked_example(), PUBLISHED["rltf-fm"], render=render, longest=lengths[4])
    assert sorted(len(each.input_ids) for each in found.rows) == [n for n in lengths if n <= lengths[4]]
    assert found.survey.left_out[f"longer than {lengths[4]} tokens"] == len(whole.rows) - len(found.rows) > 0


# Which tasks come when


def rollouts(count: int, folder: Path = Path("nowhere"), **changes: Any) -> Rollouts:
    settings = small(**changes)
    recipe = PLAIN.with_changes(tasks=settings.tasks, samples=settings.samples)
    return Rollouts(practice(count), recipe, settings, folder=folder)


def names(drawn: Any) -> list[str]:
    return [task.id for task in drawn]


def test_every_task_comes_once_before_any_comes_again() -> None:
    drawing = rollouts(6, tasks=2)
    laps = [[name for step in (1, 2, 3) for name in names(drawing.drawn(lap * 3 + step))] for lap in (0, 1)]
    assert sorted(laps[0]) == sorted(laps[1]) == [f"t{n}" for n in range(6)]
    assert laps[0] != laps[1]


def test_a_step_draws_no_task_twice() -> None:
    drawing = rollouts(3, tasks=2)
    for step in range(1, 20):
        drawn = names(drawing.drawn(step))
        assert len(drawn) == len(set(drawn)) > 0


def test_a_step_of_more_tasks_than_there_are_takes_all() -> None:
    assert sorted(names(rollouts(3, tasks=9).drawn(1))) == ["t0", "t1", "t2"]


def test_the_seed_decides_the_order() -> None:
    orders = {tuple(names(rollouts(6, tasks=6, seed=seed).drawn(1))) for seed in range(5)}
    assert len(orders) > 1
    assert names(rollouts(6, tasks=6, seed=3).drawn(4)) == names(rollouts(6, tasks=6, seed=3).drawn(4))


def test_tasks_of_the_locked_split_are_refused() -> None:
    given = Practice(agent=partial(reflect_and_retry, critic=critic_of_letters), tasks=tasks(2, split="test"))
    with pytest.raises(
        BadInput, match=r"2 of the tasks.*locked test split \(t0 .*give tasks of train or dev"
    ):
        Rollouts(given, PLAIN, small(), folder=Path("nowhere"))


def test_no_tasks_are_refused() -> None:
    with pytest.raises(BadInput, match="no tasks given"):
        rollouts(0)


def test_other_tasks_have_another_digest() -> None:
    assert rollouts(3).digest == rollouts(3).digest != rollouts(4).digest


# What is asked of the agent


def script() -> ScriptedModel:
    return ScriptedModel(lambda messages, sampling: "x" * (1 + sampling["seed"] % 2))


def test_a_step_samples_each_task_as_often_as_the_recipe_says(tmp_path: Path) -> None:
    run = rollouts(3, tmp_path, tasks=3, samples=4).collect(1, script())
    assert Counter(each.group_id for each in run.trajectories()) == {"t0": 4, "t1": 4, "t2": 4}
    assert run.folder == tmp_path / "step-00001"


def test_a_step_called_again_asks_nothing_again(tmp_path: Path) -> None:
    first = script()
    rollouts(3, tmp_path).collect(1, first)
    again = script()
    rollouts(3, tmp_path).collect(1, again)
    assert first.calls == 12
    assert again.calls == 0


def test_processes_share_the_tasks_of_a_step_and_sample_what_one_would(tmp_path: Path) -> None:
    def answers(run: Any) -> dict[str, str]:
        return {each.id: each.attempts[0].text for each in run.trajectories()}

    alone = answers(rollouts(3, tmp_path / "one").collect(1, script()))
    shares = [answers(rollouts(3, tmp_path / "two").collect(1, script(), rank=r, world=2)) for r in (0, 1)]
    assert not shares[0].keys() & shares[1].keys()
    assert shares[0] | shares[1] == alone


def test_a_process_without_a_share_has_an_empty_run(tmp_path: Path) -> None:
    run = rollouts(1, tmp_path).collect(1, script(), rank=1, world=2)
    assert list(run.trajectories()) == []


def test_the_policy_writes_itself_notes_only_where_the_method_reflects(tmp_path: Path) -> None:
    asked: list[Any] = []

    def agent(*, model: Any, attempts: int, reflect: Any) -> Any:
        asked.append((attempts, reflect is model))
        return reflect_and_retry(model=model, critic=critic_of_letters, attempts=attempts, reflect=reflect)

    for method in ("grpo", "rltf-sd", "reflect-retry-reward"):
        recipe = quick(method, samples=1)
        Rollouts(Practice(agent=agent, tasks=tasks(1)), recipe, small(), folder=tmp_path / method).collect(
            1, script()
        )
    assert asked == [(1, False), (2, False), (2, True)]


def test_a_graders_score_is_the_reward(tmp_path: Path) -> None:
    def grader(attempt: Attempt) -> float:
        return 0.25

    given = Practice(
        agent=partial(reflect_and_retry, critic=lambda attempt: Feedback(text="No.", verdict="fail")),
        tasks=tasks(1),
        grader=grader,
    )
    run = Rollouts(given, PLAIN.with_changes(samples=1), small(), folder=tmp_path).collect(1, script())
    (trajectory,) = run.trajectories()
    assert trajectory.attempts[0].score == 0.25


def test_rows_are_ordered_by_their_group_and_keep_their_order_in_it() -> None:
    rows = [row([1], [2], group="b"), row([1], [3], group="a"), row([1], [4], group="b")]
    assert [each.input_ids[1] for each in ordered(rows)] == [3, 2, 4]
