"""Our losses beside TRL's own, on the same model and the same tokens: equal in value and in gradient."""

from pathlib import Path
from typing import Any

import pytest

from agentloop.training.losses import kl_k3, normalised, policy_gradient, token_logprobs
from agentloop.training.preferences import dpo, kto, kto_baseline
from tests.random_checkpoint import make_checkpoint
from tests.training_tensors import torch

datasets, transformers, trl = [
    pytest.importorskip(package, reason=f"{package} is in the extra 'train'")
    for package in ("datasets", "transformers", "trl")
]

TOLERANCE = 1e-5
LENGTH = 8
SETTINGS: dict[str, Any] = {
    "per_device_train_batch_size": 4,
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
}
ASKED = [{"role": "user", "content": "How many users?"}]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("random"))


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")


def loaded(checkpoint: Path, *, moved: float = 0.0) -> Any:
    """The model of the checkpoint, its weights moved at random by so much."""
    model = transformers.LlamaForCausalLM.from_pretrained(checkpoint)
    torch.manual_seed(5)
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(moved * torch.randn_like(weights))
    return model.train()


def gradient(loss: Any, model: Any) -> Any:
    found = torch.autograd.grad(loss, list(model.parameters()))
    return torch.cat([each.flatten() for each in found])


def same(ours: Any, theirs: Any, model: Any) -> bool:
    """Whether two losses agree in value and in the gradient of every weight."""
    assert ours.item() == pytest.approx(theirs.item(), rel=TOLERANCE, abs=TOLERANCE)
    wanted = gradient(theirs, model)
    difference = gradient(ours, model) - wanted
    return bool(wanted.norm() > 0 and difference.norm() < TOLERANCE * wanted.norm())


def scored(model: Any, batch: dict[str, Any], prefix: str = "") -> Any:
    """The log-probability of each completion, (B,)."""
    ids, mask = batch[f"{prefix}input_ids"], batch[f"{prefix}completion_mask"][:, 1:]
    logits = model(input_ids=ids, attention_mask=batch[f"{prefix}attention_mask"]).logits
    return (token_logprobs(logits[:, :-1], ids[:, 1:]) * mask).sum(-1)


def completions() -> dict[str, Any]:
    """Four completions of unequal length, sampled by a policy not quite the one in training."""
    torch.manual_seed(1)
    lengths = torch.tensor([8, 5, 2, 7])
    mask = (torch.arange(LENGTH) < lengths.unsqueeze(-1)).long()
    prompts = torch.randint(6, 250, (4, 5))
    return {
        "prompt_ids": prompts,
        "prompt_mask": torch.ones_like(prompts),
        "completion_ids": torch.randint(6, 250, (4, LENGTH)),
        "completion_mask": mask,
        "advantages": torch.tensor([1.2, -0.9, 0.4, -0.7]),
        "num_items_in_batch": mask.sum(),
    }


def answer_logprobs(model: Any, batch: dict[str, Any]) -> Any:
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=LENGTH + 1).logits
    return token_logprobs(logits[:, :-1], batch["completion_ids"])


def grpo_trainer(checkpoint: Path, folder: Path, **options: Any) -> Any:
    trainer = trl.GRPOTrainer(
        model=loaded(checkpoint),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=trl.GRPOConfig(
            output_dir=str(folder),
            num_generations=4,
            max_completion_length=LENGTH,
            epsilon=0.2,
            epsilon_high=0.28,
            **SETTINGS,
            **options,
        ),
        train_dataset=datasets.Dataset.from_dict({"prompt": ["a", "b"]}),
        processing_class=transformers.AutoTokenizer.from_pretrained(checkpoint),
    )
    trainer.current_gradient_accumulation_steps = 1
    return trainer


NORMALISERS = {"grpo": "sequences", "dr_grpo": "constant", "dapo": "tokens", "bnpo": "tokens"}


DIVERGENCES: list[dict[str, Any]] = [
    {"beta": 0.0},
    {"beta": 0.1, "use_bias_correction_kl": False},
    {"beta": 0.1, "use_bias_correction_kl": True},
]


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=str)
@pytest.mark.parametrize("loss_type", NORMALISERS)
def test_the_clipped_policy_gradient_is_that_of_trl(
    loss_type: str, divergence: dict[str, Any], checkpoint: Path, tmp_path: Path
) -> None:
    trainer, batch = grpo_trainer(checkpoint, tmp_path, loss_type=loss_type, **divergence), completions()
    with torch.no_grad():
        before = answer_logprobs(trainer.model, batch)
        old, reference = before + 0.4 * torch.randn_like(before), before + torch.randn_like(before)
    theirs = trainer._compute_loss(
        trainer.model, {**batch, "old_per_token_logps": old, "ref_per_token_logps": reference}
    )
    logprobs = answer_logprobs(trainer.model, batch)
    sides = batch["advantages"].unsqueeze(-1)
    each = policy_gradient(logprobs, old, sides, clip_low=0.2, clip_high=0.28)
    sampled = old if divergence.get("use_bias_correction_kl") else None
    each = each + divergence["beta"] * kl_k3(logprobs, reference, old_logprobs=sampled)
    by: Any = NORMALISERS[loss_type]
    ours = normalised(each, batch["completion_mask"], by=by, constant=LENGTH)
    assert same(ours, theirs, trainer.model)
    assert ((logprobs - old).exp() - 1).abs().max() > 0.3, "some ratios are clipped"


def test_on_policy_it_is_that_of_trl_without_logprobs_of_sampling(checkpoint: Path, tmp_path: Path) -> None:
    trainer, batch = grpo_trainer(checkpoint, tmp_path, loss_type="grpo"), completions()
    theirs = trainer._compute_loss(trainer.model, batch)
    logprobs = answer_logprobs(trainer.model, batch)
    each = policy_gradient(logprobs, None, batch["advantages"].unsqueeze(-1), clip_low=0.2, clip_high=0.28)
    assert same(normalised(each, batch["completion_mask"], by="sequences"), theirs, trainer.model)


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


@pytest.mark.parametrize("moved", [0.0, 0.02])
def test_the_loss_of_pairs_is_that_of_trl(moved: float, checkpoint: Path, tmp_path: Path) -> None:
    rows = [("select count", "count"), ("four", "I do not know"), ("a b c", "c"), ("x", "y z")]
    trainer = trl.DPOTrainer(
        model=loaded(checkpoint, moved=moved),
        ref_model=loaded(checkpoint),
        args=trl.DPOConfig(output_dir=str(tmp_path), beta=0.3, **SETTINGS),
        train_dataset=datasets.Dataset.from_list(
            [{"prompt": ASKED, "chosen": said(better), "rejected": said(worse)} for better, worse in rows]
        ),
        processing_class=transformers.AutoTokenizer.from_pretrained(checkpoint),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    theirs = trainer._compute_loss(trainer.model, batch, return_outputs=False)
    chosen, rejected = scored(trainer.model, batch).chunk(2)
    with torch.no_grad():
        reference = scored(trainer.ref_model, batch).chunk(2)
    each = dpo(chosen, rejected, reference_chosen=reference[0], reference_rejected=reference[1], beta=0.3)
    assert same(each.mean(), theirs, trainer.model)
    assert (each.mean().item() == pytest.approx(0.693147, abs=1e-5)) == (moved == 0.0)


def test_the_loss_of_labelled_answers_is_that_of_trl(checkpoint: Path, tmp_path: Path) -> None:
    rows = [("select count", True), ("four", False), ("a b c", True), ("x", False)]
    trainer = trl.KTOTrainer(
        model=loaded(checkpoint, moved=0.02),
        ref_model=loaded(checkpoint),
        args=trl.KTOConfig(output_dir=str(tmp_path), beta=0.3, undesirable_weight=1.4, **SETTINGS),
        train_dataset=datasets.Dataset.from_list(
            [{"prompt": ASKED, "completion": said(text), "label": label} for text, label in rows]
        ),
        processing_class=transformers.AutoTokenizer.from_pretrained(checkpoint),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    theirs = trainer._compute_loss(trainer.model, batch, return_outputs=False)
    with torch.no_grad():
        reference = scored(trainer.ref_model, batch)
        mismatched = [scored(model, batch, "KL_") for model in (trainer.model, trainer.ref_model)]
    each = kto(
        scored(trainer.model, batch),
        reference,
        batch["label"].bool(),
        baseline=kto_baseline(*mismatched),
        beta=0.3,
        undesirable_weight=1.4,
    )
    assert same(each.mean(), theirs, trainer.model)
