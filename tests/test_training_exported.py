"""What exported rows weigh is what the training stage computes: one formula, written twice."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.export.methods import critique_grpo, grpo, herl, nft, rltf_sd
from agentloop.export.rows import GroupRow, Meta, Sample
from agentloop.training import losses
from agentloop.training.advantages import group_advantages, rewrite_bonus, two_turns
from tests.training_tensors import table, torch, untimed

reward = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0])
rewards = st.lists(reward, min_size=1, max_size=8)


def sample(member: int, value: float, *, turn: int = 0, **fields: Any) -> Sample:
    return Sample(
        ids=(5, 6),
        lp=(-1.0, -1.0),
        reward=value,
        segment_mask=(1, 1),
        policy_version="p",
        member=str(member),
        attempt=f"{member}/{turn}",
        turn=turn,
        **fields,
    )


def group(*samples: Sample) -> GroupRow:
    meta = Meta(
        method="m", run="r", task_id="t", group_id="g", attempts=(), models=(), policies=(), context="x0"
    )
    return GroupRow(group_id="g", prompt_ids=(1,), samples=samples, meta=meta)


def close(found: list[float], wanted: Any) -> bool:
    return bool(torch.allclose(table(*found), wanted, rtol=1e-9, atol=1e-12))


@untimed
@given(values=rewards)
@pytest.mark.parametrize(
    "setting",
    [{"scale": "group"}, {"scale": "none"}, {"scale": "none", "leave_one_out": True}],
    ids=str,
)
def test_grpo_and_its_relatives(setting: dict[str, Any], values: list[float]) -> None:
    row = group(*[sample(at, value) for at, value in enumerate(values)])
    assert close(grpo.weigh(row, **setting), group_advantages(table(*values), **setting))


@untimed
@given(values=st.lists(st.tuples(reward, st.none() | reward), min_size=1, max_size=8))
def test_both_turns_of_rltf_and_the_distilled_one(values: list[tuple[float, float | None]]) -> None:
    second = {at: value for at, (_, value) in enumerate(values) if value is not None}
    row = group(
        *[sample(at, value) for at, (value, _) in enumerate(values)],
        *[sample(at, value, turn=1) for at, value in second.items()],
        *[sample(at, value, turn=1, role="sd") for at, value in second.items()],
    )
    reached = torch.tensor([at in second for at in range(len(values))])
    turns = two_turns(table(*[v for v, _ in values]), table(*[v or 0.0 for _, v in values]), reached)
    wanted = torch.cat([turns.first, turns.second[reached], turns.distilled[reached]])
    assert close(rltf_sd.weigh(row), wanted)


@untimed
@given(values=rewards, refined=reward)
def test_critique_grpo_with_a_refinement_in_its_first_slot(values: list[float], refined: float) -> None:
    row = group(
        sample(0, refined, turn=1, role="refinement", off_policy=True),
        *[sample(at, value) for at, value in enumerate(values, start=1)],
    )
    assert close(critique_grpo.weigh(row), group_advantages(table(refined, *values), scale="none"))


@untimed
@given(values=st.lists(st.tuples(reward, st.none() | reward), min_size=1, max_size=8))
def test_herl_with_its_bonus(values: list[tuple[float, float | None]]) -> None:
    row = group(
        *[
            sample(at, plain, token_rewards=None if best is None else ((best - plain) / 2,) * 2)
            for at, (plain, best) in enumerate(values)
        ]
    )
    rewritten = torch.tensor([best is not None for _, best in values])
    paid = rewrite_bonus(table(*[v for v, _ in values]), rewritten, table(*[v or 0.0 for _, v in values]))
    assert close(herl.weigh(row), group_advantages(paid, scale="group"))


@untimed
@given(share=st.floats(0, 1))
@pytest.mark.parametrize(("normalize", "like"), [(0, "none"), (1, "dr_grpo"), (2, "grpo")])
def test_the_weight_of_a_prompt_in_nft(normalize: Any, like: Any, share: float) -> None:
    found = nft.group_weight(share, normalize)
    assert found == pytest.approx(losses.nft_weights(table(share), like=like).item())


@untimed
@given(value=reward, size=st.integers(1, 12))
def test_equal_rewards_weigh_exactly_nothing_in_both(value: float, size: int) -> None:
    row = group(*[sample(at, value) for at in range(size)])
    assert (
        grpo.weigh(row)
        == group_advantages(torch.full((size,), value), scale="group").tolist()
        == [0.0] * size
    )
