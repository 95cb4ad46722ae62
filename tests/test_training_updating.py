"""One update of a random Llama against closed forms: gradients, what stays still, what must not matter."""

import copy
import math
from dataclasses import replace
from typing import Any

import pytest

from agentloop.errors import BadInput
from tests.training_practice import (
    IGNORED,
    PLAIN,
    gradient_of,
    logprobs_of,
    quick,
    row,
    same,
    slope_of,
    some_rows,
    state_of,
    tiny_llama,
    torch,
    updater_of,
    weights_in,
)


@pytest.fixture(scope="module")
def module() -> Any:
    return tiny_llama()


def sampled_by(module: Any, rows: list[Any]) -> list[Any]:
    """The rows with the log-probs that the module gives them."""
    made = []
    for each in rows:
        said = logprobs_of(module, each).tolist()
        own = [value if label != IGNORED else 0.0 for value, label in zip(said, each.labels, strict=True)]
        made.append(each.replace(logprobs=tuple(own)))
    return made


def test_on_policy_the_gradient_is_that_of_the_score_function(module: Any) -> None:
    wanted = slope_of(module, some_rows(), lambda each, _: -weights_in(each))
    assert same(gradient_of(module, some_rows()), wanted)
    assert same(gradient_of(module, sampled_by(module, some_rows())), wanted, within=1e-5)


def test_off_policy_it_is_multiplied_by_the_ratio(module: Any) -> None:
    rows = sampled_by(tiny_llama(seed=1), some_rows())

    def coefficient(each: Any, logprobs: Any) -> Any:
        return -weights_in(each) * torch.exp(logprobs - torch.tensor(each.logprobs))

    assert same(gradient_of(module, rows), slope_of(module, rows, coefficient), within=1e-4)


def test_the_gradient_of_distilled_rows_is_weighted_likelihood_above_the_floor(module: Any) -> None:
    rows = some_rows(role="sd")
    told = torch.cat([logprobs_of(module, each)[1:] for each in rows]).detach()
    floor = float(told.median())

    def coefficient(each: Any, logprobs: Any) -> Any:
        return torch.where(logprobs >= floor, -weights_in(each), 0.0)

    found = gradient_of(module, rows, replace(PLAIN, floor=floor))
    assert same(found, slope_of(module, rows, coefficient))
    assert not same(found, slope_of(module, rows, lambda each, _: -weights_in(each)), within=1e-3)


def test_the_gradient_of_refinements_is_shaped(module: Any) -> None:
    def coefficient(each: Any, logprobs: Any) -> Any:
        p = logprobs.exp()
        return -weights_in(each) * 0.1 * p / (p + 0.1) ** 2

    rows = some_rows(role="refinement")
    assert same(gradient_of(module, rows), slope_of(module, rows, coefficient))


def test_log_probs_of_refinements_may_be_garbage(module: Any) -> None:
    rows = some_rows(role="refinement")
    garbage = [each.replace(logprobs=tuple(-40.0 + at for at in range(len(each.labels)))) for each in rows]
    assert same(gradient_of(module, garbage), gradient_of(module, rows), within=0.0)


@pytest.mark.parametrize("normaliser", ["sum", "tokens", "sequences", "constant"])
def test_how_the_batch_is_cut_does_not_change_the_gradient(module: Any, normaliser: Any) -> None:
    recipe = replace(PLAIN, normaliser=normaliser, constant=5)
    rows = some_rows() + some_rows(role="sd", seed=3)
    whole = gradient_of(module, rows, recipe)
    assert same(whole, gradient_of(module, rows, recipe, micro_batch=1), within=1e-6)
    assert same(whole, gradient_of(module, rows, recipe, micro_batch=40), within=1e-6)


def test_the_gradient_is_cut_to_the_norm_asked_for(module: Any) -> None:
    found = gradient_of(module, some_rows(), clip_norm=0.5)
    assert math.sqrt(sum(float((each**2).sum()) for each in found)) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("method", ["grpo", "critique-grpo", "rltf-sd", "nft", "herl"])
def test_equal_rewards_leave_the_weights_exactly_as_they_were(module: Any, method: str) -> None:
    roles = {"critique-grpo": "refinement", "herl": "refinement", "rltf-sd": "sd", "nft": "nft"}
    learner = updater_of(copy.deepcopy(module), replace(quick(method), entropy=0.0, kl=0.0))
    learner.learn(some_rows())
    before = state_of(learner.model)
    idle = [
        each.replace(weights=(0.0,) * len(each.weights))
        for each in some_rows() + some_rows(role=roles.get(method, "rl"), baseline=0.5)
    ]
    assert learner.learn(idle).loss == 0.0
    assert all(torch.equal(a, b) for a, b in zip(before, state_of(learner.model), strict=True))


def test_feedback_rows_without_weight_leave_two_turn_learning_as_it_is_bit_for_bit(module: Any) -> None:
    plain, recipe = some_rows(), quick("rltf-fm")
    feedback = [each.replace(weights=(0.0,) * len(each.weights)) for each in some_rows(4, role="feedback")]
    after = []
    for rows in (plain, plain + feedback):
        learner = updater_of(copy.deepcopy(module), recipe)
        learner.learn(rows)
        after.append(state_of(learner.model))
    assert all(torch.equal(a, b) for a, b in zip(*after, strict=True))


def test_the_loss_of_feedback_depends_on_the_attempt_and_teaches_only_the_feedback(module: Any) -> None:
    one, other = (
        row([1, 2, 3, 4], [7, 8], 0.1, role="feedback"),
        row([1, 2, 9, 4], [7, 8], 0.1, role="feedback"),
    )
    losses = [updater_of(copy.deepcopy(module)).learn([each]).loss for each in (one, other)]
    told = -0.1 * float(logprobs_of(module, one)[-2:].detach().sum())
    assert losses[0] == pytest.approx(told)
    assert losses[0] != pytest.approx(losses[1])


def test_a_training_that_diverges_says_so_and_leaves_the_weights_as_they_were(module: Any) -> None:
    learner = updater_of(copy.deepcopy(module))
    learner.learn(some_rows())
    before = state_of(learner.model)
    impossible = row([1, 2], [3, 4], logprobs=[-9000.0, -9000.0], weight=-1.0)
    with pytest.raises(BadInput, match="diverged.*smaller --learning-rate"):
        learner.learn([impossible])
    assert all(torch.equal(a, b) for a, b in zip(before, state_of(learner.model), strict=True))


def test_several_updates_each_learn_from_groups_of_their_own(module: Any) -> None:
    rows = some_rows(4)
    learner = updater_of(copy.deepcopy(module), replace(PLAIN, updates=2))
    learnt = learner.learn(rows)
    by_hand = updater_of(copy.deepcopy(module), PLAIN)
    halves = [by_hand.learn(rows[:2]), by_hand.learn(rows[2:])]
    assert learnt.loss == pytest.approx(sum(each.loss for each in halves))
    assert learnt.rows == 4
    assert same(state_of(learner.model), state_of(by_hand.model))


def test_the_figures_count_rows_and_tokens_that_weigh_something(module: Any) -> None:
    rows = [row([1], [2, 3, 4], silent=[1]), row([1], [2, 3], 0.0), row([1], [5, 6, 7])]
    learnt = updater_of(copy.deepcopy(module)).learn(rows)
    assert (learnt.rows, learnt.tokens) == (2, 5)
    assert learnt.gradient_norm > 0


def test_a_batch_without_rows_teaches_nothing(module: Any) -> None:
    learnt = updater_of(copy.deepcopy(module)).learn([])
    assert learnt == (0.0, 0.0, 0, 0)


def test_the_divergence_is_measured_from_the_weights_that_training_began_with(module: Any) -> None:
    recipe = replace(PLAIN, kl=0.5, learning_rate=0.05)
    learner, rows = updater_of(copy.deepcopy(module), recipe), some_rows()
    still = [each.replace(weights=(0.0,) * len(each.weights)) for each in rows]
    assert learner.learn(still).loss == pytest.approx(0.0, abs=1e-12)
    learner.learn(rows)
    wanted = 0.0
    for each in rows:
        now, before = logprobs_of(learner.model, each), logprobs_of(module, each)
        trained = torch.tensor([label != IGNORED for label in each.labels])
        difference = (before - now)[trained]
        wanted += 0.5 * float((difference.exp() - difference - 1).sum())
    assert wanted > 1e-3
    assert learner.learn(still).loss == pytest.approx(wanted)


def test_with_lora_the_divergence_is_measured_with_the_adapter_switched_off(module: Any) -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(copy.deepcopy(module), config).double()
    learner = updater_of(adapted, replace(PLAIN, kl=1.0, learning_rate=0.05))
    rows = some_rows()
    learner.learn(rows)
    learner.learn(rows)
    assert learner.reference.copy is None
    batch_loss = learner.learn([each.replace(weights=(0.0,) * len(each.weights)) for each in rows]).loss
    assert batch_loss > 1e-4
    with learner.reference.weights(learner.model) as frozen:
        assert torch.allclose(logprobs_of(frozen, rows[0]), logprobs_of(module, rows[0]))


def test_the_entropy_bonus_has_the_gradient_of_the_entropy(module: Any) -> None:
    each = row([1, 2], [3, 4, 5], 0.0)
    found = gradient_of(module, [each], replace(PLAIN, entropy=0.3))
    logits = module(input_ids=torch.tensor([each.input_ids])).logits[0, 1:4]
    spread = -(logits.softmax(-1) * logits.log_softmax(-1)).sum()
    wanted = torch.autograd.grad(-0.3 * spread, list(module.parameters()))
    assert same(found, wanted, within=1e-6)


def test_likelihoods_are_those_of_the_temperature_that_was_sampled_at(module: Any) -> None:
    each = row([1, 2], [3, 4, 5], -1.0, role="sft")
    ids = torch.tensor([each.input_ids])
    logits = module(input_ids=ids).logits[0, 1:4] / 0.7
    wanted = float(logits.log_softmax(-1).gather(1, ids[0, 2:, None]).sum())
    assert updater_of(copy.deepcopy(module), temperature=0.7).learn([each]).loss == pytest.approx(wanted)


def test_gradient_checkpointing_gives_the_same_gradient(module: Any) -> None:
    plain = gradient_of(module, some_rows())
    assert same(gradient_of(module, some_rows(), gradient_checkpointing=True), plain)


def test_gradient_checkpointing_does_compute_layers_twice(module: Any) -> None:
    learner = updater_of(copy.deepcopy(module), gradient_checkpointing=True)
    passes = []
    learner.model.model.layers[0].input_layernorm.register_forward_hook(lambda *_: passes.append(1))
    learner.learn([row([1, 2], [3, 4])])
    assert len(passes) == 2


def test_sixteen_bits_run_and_point_the_same_way(module: Any) -> None:
    exact = torch.cat([each.flatten() for each in gradient_of(module.float(), some_rows())])
    rough = torch.cat([each.flatten() for each in gradient_of(module.float(), some_rows(), precision="bf16")])
    module.double()
    assert not torch.equal(exact, rough)
    assert float(torch.cosine_similarity(exact, rough, dim=0)) > 0.98


def test_dropout_is_off_so_that_on_policy_every_ratio_is_one() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    sizes = GPT2Config(vocab_size=31, n_positions=64, n_embd=16, n_layer=2, n_head=2)
    assert sizes.resid_pdrop > 0
    model = GPT2LMHeadModel(sizes).double().eval()
    rows = some_rows()
    wanted = slope_of(model, rows, lambda each, _: -weights_in(each))
    assert same(gradient_of(model, rows), wanted)
    assert same(gradient_of(model, rows, gradient_checkpointing=True), wanted)


class WithoutLogitsToKeep(torch.nn.Module):
    """A model that can only give all its logits."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, input_ids: Any, attention_mask: Any, use_cache: bool = True) -> Any:
        return self.inner(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)


def test_a_model_that_cannot_leave_logits_out_is_trained_the_same(module: Any) -> None:
    plain = gradient_of(module, some_rows())
    assert same(gradient_of(WithoutLogitsToKeep(copy.deepcopy(module)), some_rows()), plain)


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ("constant", [0.005, 0.01, 0.01, 0.01, 0.01, 0.01]),
        ("linear", [0.005, 0.01, 0.0075, 0.005, 0.0025, 0.0]),
    ],
)
def test_the_learning_rate_warms_up_and_then_follows_its_schedule(
    module: Any, schedule: Any, wanted: list[float]
) -> None:
    learner = updater_of(copy.deepcopy(module), schedule=schedule, warmup=2, steps=6)
    rates = []
    for _ in range(6):
        learner.learn([row([1], [2, 3])])
        rates.append(learner.schedule.get_last_lr()[0])
    assert rates == pytest.approx(wanted)


def test_weight_decay_shrinks_what_is_learnt_from(module: Any) -> None:
    plain, decayed = (updater_of(copy.deepcopy(module), weight_decay=each) for each in (0.0, 0.5))
    for learner in (plain, decayed):
        learner.learn(some_rows())
    sizes = [sum(float((each**2).sum()) for each in state_of(one.model)) for one in (plain, decayed)]
    assert sizes[1] < sizes[0]
