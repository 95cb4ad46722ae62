"""Format trl: what its trainers read, and exactly the intended tokens trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentloop.errors import BadInput, UnsupportedExport
from agentloop.export import Meta, SftRow, SftTokensRow, write_export
from agentloop.export.formats import FORMATS, Carrying
from agentloop.export.formats.conversations import plain, turns
from agentloop.export.groups import read_groups
from agentloop.export.methods import METHODS
from agentloop.types import Message, Trajectory
from tests.export_logs import TASK, Tried, lines, log, render, worked_example
from tests.export_rich_log import rich_log, rows_of

META = Meta(method="sft", task_id="t", group_id="g", attempts=("a",))
TINY = Path(__file__).parent.parent / "agentloop" / "tiny" / "checkpoint"


def exported(method: str, folder: Path, *trajectories: Trajectory, **options: Any) -> list[dict[str, Any]]:
    report = write_export(
        list(trajectories or worked_example()), method=method, format="trl", to=folder, **options
    )
    return lines(report.path)


def test_an_sft_row_is_a_prompt_and_its_completion(tmp_path: Path) -> None:
    row = exported("sft", tmp_path / "x")[1]
    assert row["prompt"] == [{"role": "user", "content": TASK.prompt}]
    assert row["completion"] == [{"role": "assistant", "content": "two!"}]
    assert set(row) == {"prompt", "completion", "meta"}


def test_each_turn_of_a_many_step_attempt_is_a_row_under_all_before_it(tmp_path: Path) -> None:
    rows = exported("sft", tmp_path / "x", log("count/0", Tried(["look", "two"], 1.0)))
    assert [[message["content"] for message in row["prompt"]] for row in rows] == [
        [TASK.prompt],
        [TASK.prompt, "look", "saw look"],
    ]
    assert [row["completion"][0]["content"] for row in rows] == ["look", "two"]


def test_an_answer_in_the_prompt_is_not_trained() -> None:
    shown = {"role": "assistant", "content": "An example.", "loss": False}
    asked, answered = {**shown, "role": "user"}, {**shown, "loss": True}
    assert len(list(turns([asked, shown, asked, answered]))) == 1


def test_a_preference_row_has_the_columns_of_dpo(tmp_path: Path) -> None:
    row = exported("dpo", tmp_path / "x")[0]
    assert set(row) == {"prompt", "chosen", "rejected", "meta"}
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == ("two!", "three")


@pytest.mark.parametrize("method", ["rltf-sd", "rltf-fm", "critique-grpo"])
def test_signed_token_weights_are_refused_with_the_way_out(method: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedExport, match="--format tokens"):
        exported(method, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_row_with_a_weight_is_refused_since_no_trainer_reads_it() -> None:
    (group,), _ = read_groups(worked_example(), lambda each: None)
    row = SftRow(messages=({"role": "assistant", "content": "x", "loss": True},), weight=0.5, meta=META)
    with pytest.raises(UnsupportedExport, match="weight"):
        list(FORMATS["trl"].project(row, Carrying(method=METHODS["sft"], group=group)))


def test_a_prompt_that_is_no_prefix_of_prompt_and_answer_is_an_error(tmp_path: Path) -> None:
    def forgetful(messages: list[Message], opening: bool) -> list[int]:
        return render(messages[-1:], opening)

    exported("sft", tmp_path / "good", render=render)
    for method in ("sft", "dpo"):
        with pytest.raises(BadInput, match="would mask the wrong tokens"):
            exported(method, tmp_path / "bad", render=forgetful)
    assert not (tmp_path / "bad").exists()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for package in ("torch", "transformers", "trl", "datasets"):
        pytest.importorskip(package, reason=f"{package} is in the extra 'train'")
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "1")
    return tmp_path


LETTERS = (
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}<e>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


def small_checkpoint(folder: Path) -> Path:
    """A random two-layer model and a tokenizer of letters with a chat template."""
    import torch
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    pieces = ["<pad>", "<unk>", "<s>", "<e>", "\n", *map(chr, range(32, 127))]
    letters = Tokenizer(WordLevel({piece: n for n, piece in enumerate(pieces)}, unk_token="<unk>"))
    letters.pre_tokenizer = Split(Regex(r"<s>|<e>|[\s\S]"), "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=letters, pad_token="<pad>", unk_token="<unk>", eos_token="<e>"
    )
    tokenizer.chat_template = LETTERS
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        pad_token_id=0,
    )
    tokenizer.save_pretrained(folder)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def checkpoint(name: str, folder: Path) -> tuple[Any, Any]:
    if name == "tiny" and not (TINY / "config.json").is_file():
        pytest.skip("agentloop/tiny/checkpoint is not there: make it with benchmarks/")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = TINY if name == "tiny" else small_checkpoint(folder / "letters")
    return AutoModelForCausalLM.from_pretrained(path), AutoTokenizer.from_pretrained(path)


def template(tokenizer: Any) -> Any:
    def rendered(messages: list[Message], opening: bool) -> list[int]:
        ids = tokenizer.apply_chat_template(
            list(messages), add_generation_prompt=opening, tokenize=True, return_dict=False
        )
        return list(ids)

    return rendered


def listening(model: Any) -> list[list[int]]:
    """The ids that are labels in what reaches the model, one list a sequence, as it is called."""
    heard: list[list[int]] = []

    def hook(_: Any, __: Any, kwargs: dict[str, Any]) -> None:
        if kwargs.get("labels") is not None:
            heard.extend([each for each in row if each != -100] for row in kwargs["labels"].tolist())

    model.register_forward_pre_hook(hook, with_kwargs=True)
    return heard


def answers(tokenizer: Any, prompt: list[Message], answer: list[Message]) -> list[int]:
    """The tokens that ought to be trained: those of the answer after the prompt and its opening."""
    return answers_of(template(tokenizer), prompt, answer)


def answers_of(render: Any, prompt: list[Message], answer: list[Message]) -> list[int]:
    whole, start = render([*prompt, *answer], False), render(prompt, True)
    assert whole[: len(start)] == start
    return whole[len(start) :]


SETTINGS: dict[str, Any] = {
    "max_steps": 1,
    "per_device_train_batch_size": 16,
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "save_strategy": "no",
    "disable_tqdm": True,
}


def loaded(folder: Path, cache: Path) -> Any:
    import datasets

    return datasets.load_dataset(str(folder), cache_dir=str(cache))["train"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["letters", "tiny"])
def test_one_sft_step_in_trl_trains_exactly_the_answers_tokens(name: str, offline: Path) -> None:
    model, tokenizer = checkpoint(name, offline)
    from trl import SFTConfig, SFTTrainer

    many = log("steps/0", Tried(["select a", "select b"], 1.0), group="steps", task=TASK.replace(id="steps"))
    rows = exported("sft", offline / "x", *worked_example(), many, render=template(tokenizer))
    dataset = loaded(offline / "x", offline / "cache")
    heard = listening(model)
    before = [each.detach().clone() for each in model.parameters()]
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(output_dir=str(offline / "out"), **SETTINGS),
        train_dataset=dataset,
        processing_class=tokenizer,
    )
    trainer.train()
    wanted = [answers(tokenizer, row["prompt"], row["completion"]) for row in rows]
    assert len(rows) == 5
    assert sorted(heard) == sorted(wanted)
    assert sum(map(len, heard)) == sum(map(len, wanted))
    assert any(not (old == new).all() for old, new in zip(before, model.parameters(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["letters", "tiny"])
def test_one_dpo_step_in_trl_compares_exactly_the_answers_tokens(name: str, offline: Path) -> None:
    model, tokenizer = checkpoint(name, offline)
    from trl import DPOConfig, DPOTrainer

    rows = exported("dpo", offline / "x", render=template(tokenizer))
    dataset = loaded(offline / "x", offline / "cache")
    heard = listening(model)
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(output_dir=str(offline / "out"), **SETTINGS),
        train_dataset=dataset,
        processing_class=tokenizer,
    )
    result = trainer.train()
    wanted = [answers(tokenizer, row["prompt"], row[side]) for row in rows for side in ("chosen", "rejected")]
    assert len(rows) == 8
    assert sorted(heard) == sorted(wanted)
    assert result.training_loss == pytest.approx(0.6931, abs=1e-3), "log 2 before the first step"


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["sft", "raft", "rest-em", "ilf", "fcp", "chain-of-hindsight", "leti", "critic-sft"]
)
def test_trl_labels_exactly_the_tokens_of_the_messages_that_the_method_trains(
    method: str, offline: Path
) -> None:
    model, tokenizer = checkpoint("letters", offline)
    render = template(tokenizer)
    exported(method, offline / "x", *rich_log(), render=render)
    dataset = loaded(offline / "x", offline / "cache")
    wanted = [ids for row in rows_of(method, rich_log()) for ids in trained_ids(row, render)]
    assert sorted(labels_in_trl(model, tokenizer, dataset, offline)) == sorted(wanted)


def trained_ids(row: SftRow, render: Any) -> list[list[int]]:
    """The tokens to be trained: those of each trained answer, or all when every message is trained."""
    shown = plain(row.messages)
    if all(each["loss"] for each in row.messages):
        return [render(shown, False)]
    return [
        answers_of(render, shown[:index], shown[index : index + 1])
        for index, each in enumerate(row.messages)
        if each["loss"]
    ]


def labels_in_trl(model: Any, tokenizer: Any, dataset: Any, folder: Path) -> list[list[int]]:
    """The labels that TRL's own preparation and collator make of the data set, without the masked ones."""
    from trl import SFTConfig, SFTTrainer

    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(output_dir=str(folder / "out"), max_length=None, **SETTINGS),
        train_dataset=dataset,
        processing_class=tokenizer,
    )
    batch = trainer.data_collator([dict(each) for each in trainer.train_dataset])
    return [[each for each in row if each != -100] for row in batch["labels"].tolist()]


@pytest.mark.slow
def test_words_of_a_user_that_are_trained_reach_trl_as_labels(offline: Path) -> None:
    model, tokenizer = checkpoint("letters", offline)
    import datasets

    (group,), _ = read_groups(worked_example(), lambda each: None)
    row = SftRow(
        messages=(
            {"role": "user", "content": "a", "loss": False},
            {"role": "assistant", "content": "b", "loss": True},
            {"role": "user", "content": "c", "loss": True},
        ),
        meta=META,
    )
    carrying = Carrying(method=METHODS["sft"], group=group, render=template(tokenizer))
    (line,) = FORMATS["trl"].project(row, carrying)
    (labels,) = labels_in_trl(model, tokenizer, datasets.Dataset.from_list([line]), offline)
    assert tokenizer.decode(labels).replace(" ", "") == "b<e><s>user\nc<e>"


@pytest.mark.slow
def test_rows_of_token_ids_reach_trl_with_their_mask(offline: Path) -> None:
    model, tokenizer = checkpoint("letters", offline)
    import datasets

    (group,), _ = read_groups(worked_example(), lambda each: None)
    row = SftTokensRow(input_ids=(5, 6, 7, 8), loss_mask=(0, 1, 0, 1), meta=META)
    (line,) = FORMATS["trl"].project(row, Carrying(method=METHODS["sft"], group=group))
    assert labels_in_trl(model, tokenizer, datasets.Dataset.from_list([line]), offline) == [[6, 8]]


@pytest.mark.slow
def test_one_kto_step_in_trl_reads_every_answer_with_its_label(offline: Path) -> None:
    model, tokenizer = checkpoint("letters", offline)
    from trl import KTOConfig, KTOTrainer

    rows = exported("kto", offline / "x", render=template(tokenizer))
    dataset = loaded(offline / "x", offline / "cache")
    assert [each["label"] for each in dataset] == [row["label"] for row in rows]
    trainer = KTOTrainer(
        model=model,
        args=KTOConfig(output_dir=str(offline / "out"), **SETTINGS),
        train_dataset=dataset,
        processing_class=tokenizer,
    )
    result = trainer.train()
    assert len(rows) == 6
    assert result.training_loss == pytest.approx(0.5, abs=1e-3), "sigmoid(0) before the first step"


@pytest.mark.slow
def test_one_sdpo_step_in_trl_tells_the_teacher_the_feedback(offline: Path) -> None:
    model, tokenizer = checkpoint("letters", offline)
    from trl.experimental.sdpo import SDPOConfig, SDPOTrainer

    rows = exported("sdpo", offline / "x", log("count/0", Tried("three", 0.0, told="Not three.")))
    shown: list[str] = []

    def hook(_: Any, __: Any, kwargs: dict[str, Any]) -> None:
        shown.extend(each.replace(" ", "") for each in tokenizer.batch_decode(kwargs["input_ids"]))

    model.register_forward_pre_hook(hook, with_kwargs=True)
    trainer = SDPOTrainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=SDPOConfig(
            output_dir=str(offline / "out"),
            include_environment_feedback=True,
            teacher_model_kind="live",
            num_generations=2,
            max_completion_length=4,
            **{**SETTINGS, "per_device_train_batch_size": 2},
        ),
        train_dataset=loaded(offline / "x", offline / "cache"),
        processing_class=tokenizer,
    )
    trainer.train()
    assert [row["privileged_context"] for row in rows] == ["Not three."]
    assert any("Notthree." in each for each in shown)
    assert any("Notthree." not in each for each in shown)


@pytest.mark.slow
def test_meta_and_loss_flags_of_an_archive_row_would_train_every_token(offline: Path) -> None:
    """Why rows are projected: TRL reads ``messages`` and does not see ``loss``."""
    model, tokenizer = checkpoint("letters", offline)
    import datasets
    from trl import SFTConfig, SFTTrainer

    conversation = [
        {"role": "user", "content": "hi", "loss": False},
        {"role": "assistant", "content": "ho", "loss": True},
    ]
    heard = listening(model)
    SFTTrainer(
        model=model,
        args=SFTConfig(output_dir=str(offline / "out"), **SETTINGS),
        train_dataset=datasets.Dataset.from_list([{"messages": conversation}]),
        processing_class=tokenizer,
    ).train()
    assert len(heard[0]) == len(template(tokenizer)(conversation, False))
