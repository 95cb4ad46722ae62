"""Training with TRL's own trainers: what is trained, what is written, what is refused beforehand."""

import asyncio
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentloop.errors import BadInput, UnsupportedExport
from agentloop.graph import reflect_and_retry
from agentloop.models import ChatModel
from agentloop.training import Practice, Settings
from agentloop.types import Attempt, Feedback, Task, Trajectory
from tests.export_logs import Tried, every_need, lines, log, worked_example
from tests.random_checkpoint import make_checkpoint

pytest.importorskip("trl", reason="trl is in the extra 'train'")
pytest.importorskip("datasets", reason="datasets is in the extra 'train'")

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from agentloop.training.trl_rows import OUT_OF_SCOPE, TrlRows  # noqa: E402
from agentloop.training.with_trl import RECIPES, train_with_trl  # noqa: E402

SETTINGS: dict[str, Any] = {"cpu": True, "rows": 4, "steps": 2, "learning_rate": 1e-3, "save_every": 1}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("model") / "random", context=1024)


def trained(method: Any, base: Path, out: Path, *, given: Any = None, **settings: Any) -> Any:
    return train_with_trl(
        method, model=base, log=given or every_need(), out=out, settings=Settings(**{**SETTINGS, **settings})
    )


def weights(folder: Path) -> dict[str, Any]:
    return load_file(folder / "model.safetensors")


def moved(before: Path, after: Path) -> bool:
    old, new = weights(before), weights(after)
    assert old.keys() == new.keys()
    return any(not torch.equal(old[name], new[name]) for name in old)


@pytest.mark.parametrize("method", ["sft", "dpo", "kto", "critic-sft", "critic-dpo", "c3po", "raft", "leti"])
def test_every_method_leaves_a_checkpoint_of_other_weights(method: str, base: Path, tmp_path: Path) -> None:
    done = trained(method, base, tmp_path / "x")
    assert [line["step"] for line in done.steps] == [1, 2]
    assert moved(base, done.checkpoint)
    assert (tmp_path / "x" / "data" / "README.md").is_file()
    card = (done.checkpoint / "README.md").read_text()
    assert f"trained by {method}" in card


@pytest.mark.parametrize("method", ["dpo", "critic-dpo", "c3po"])
def test_before_the_first_step_a_pair_is_a_coin_toss(method: str, base: Path, tmp_path: Path) -> None:
    done = trained(method, base, tmp_path / "x", steps=1)
    assert done.steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)


def test_before_the_first_step_an_answer_is_worth_nothing_to_kto(base: Path, tmp_path: Path) -> None:
    done = trained("kto", base, tmp_path / "x", steps=1)
    assert done.steps[0]["loss"] == pytest.approx(0.5, abs=1e-4)
    assert done.recipe.weigh == {"beta": 0.1}


def answer_loss(base: Path, row: dict[str, Any]) -> tuple[float, int]:
    """The summed loss of the answer's own tokens under its prompt, by hand; and how many there are."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base)
    start = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=False)
    whole = tokenizer.apply_chat_template([*row["prompt"], *row["completion"]], return_dict=False)
    assert whole[: len(start)] == start
    with torch.no_grad():
        logprobs = torch.log_softmax(model(input_ids=torch.tensor([whole])).logits[0], dim=-1)
    own = range(len(start), len(whole))
    return -sum(float(logprobs[at - 1, whole[at]]) for at in own), len(own)


def test_sft_trains_the_tokens_of_the_answers_and_no_others(base: Path, tmp_path: Path) -> None:
    done = trained("sft", base, tmp_path / "x", given=worked_example(), steps=1)
    found = [answer_loss(base, row) for row in lines(tmp_path / "x" / "data" / "rows.jsonl")]
    assert len(found) == 3
    wanted = sum(loss for loss, _ in found) / sum(count for _, count in found)
    assert done.steps[0]["loss"] == pytest.approx(wanted, rel=1e-4)


def test_rows_that_do_not_fit_at_once_are_accumulated_into_the_same_step(base: Path, tmp_path: Path) -> None:
    whole = trained("dpo", base, tmp_path / "whole", steps=1)
    pieces = trained("dpo", base, tmp_path / "pieces", steps=1, micro_batch=1)
    for name, value in weights(whole.checkpoint).items():
        assert torch.allclose(value, weights(pieces.checkpoint)[name], atol=1e-5), name
    assert whole.steps[0]["rows"] == pieces.steps[0]["rows"] == 4


def test_kto_gets_two_rows_at_once_however_little_room_there_is(base: Path, tmp_path: Path) -> None:
    assert len(trained("kto", base, tmp_path / "x", micro_batch=1).steps) == 2


def test_kto_rows_are_not_paired_with_their_neighbours_of_the_log(base: Path, tmp_path: Path) -> None:
    rows = TrlRows(every_need(), "kto", base=base, folder=tmp_path / "data")
    assert len(rows.lines) > 8
    assert list(rows.dataset(0)) != rows.lines
    assert sorted(map(str, rows.dataset(0))) == sorted(map(str, rows.lines))


def test_steps_left_open_are_one_pass_over_the_rows(base: Path, tmp_path: Path) -> None:
    done = trained("dpo", base, tmp_path / "x", given=worked_example(), steps=None, rows=3)
    assert [line["rows"] for line in done.steps] == [3, 3, 2]


def test_the_checkpoint_answers_as_a_chat_model(base: Path, tmp_path: Path) -> None:
    done = trained("sft", base, tmp_path / "x", steps=1)
    model = ChatModel(f"local/{done.checkpoint}", max_tokens=4)
    (reply,) = asyncio.run(model.complete([{"role": "user", "content": "How many?"}]))
    assert reply.token_ids
    model.close()  # type: ignore[union-attr]


def test_the_checkpoint_keeps_tokenizer_prompts_and_cache_of_its_base(base: Path, tmp_path: Path) -> None:
    own = shutil.copytree(base, tmp_path / "own")
    (own / "prompts").mkdir()
    (own / "prompts" / "task.md").write_text("{notes}{task} !")
    done = trained("sft", own, tmp_path / "x", steps=1)
    assert (done.checkpoint / "prompts" / "task.md").read_text() == "{notes}{task} !"
    for name in ("tokenizer.json", "chat_template.jinja"):
        assert (done.checkpoint / name).read_bytes() == (own / name).read_bytes()
    configs = [json.loads((each / "config.json").read_text()) for each in (own, done.checkpoint)]
    assert configs[0].get("use_cache", True) == configs[1].get("use_cache", True) is True


def test_lora_trains_matrices_and_merges_them(base: Path, tmp_path: Path) -> None:
    done = trained("dpo", base, tmp_path / "x", steps=1, lora_rank=2)
    assert done.steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert moved(base, done.checkpoint)
    old, new = weights(base), weights(done.checkpoint)
    assert torch.equal(old["model.embed_tokens.weight"], new["model.embed_tokens.weight"])
    assert (done.checkpoint / "adapter" / "adapter_config.json").is_file()


def test_a_training_cut_off_goes_on_to_the_same_weights(base: Path, tmp_path: Path) -> None:
    whole = trained("dpo", base, tmp_path / "whole", steps=3, rows=2)

    class Killed(Exception):
        pass

    def kill(step: Any) -> None:
        if step.step == 2:
            raise Killed

    settings = Settings(**{**SETTINGS, "steps": 3, "rows": 2})
    wanted = {"model": base, "log": every_need(), "out": tmp_path / "cut", "settings": settings}
    with pytest.raises(Killed):
        train_with_trl("dpo", **wanted, progress=kill)
    torn = tmp_path / "cut" / "state" / "checkpoint-2"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"glob')
    done = train_with_trl("dpo", **wanted, resume=True)
    assert [line["step"] for line in done.steps] == [1, 2, 3]
    for name, value in weights(whole.checkpoint).items():
        assert torch.equal(value, weights(done.checkpoint)[name]), name
    again = train_with_trl("dpo", **wanted, resume=True)
    assert not moved(done.checkpoint, again.checkpoint)


def test_going_on_with_another_log_is_refused(base: Path, tmp_path: Path) -> None:
    trained("dpo", base, tmp_path / "x", steps=1)
    settings = Settings(**{**SETTINGS, "steps": 1})
    with pytest.raises(BadInput, match="other settings .log"):
        train_with_trl(
            "dpo", model=base, log=worked_example(), out=tmp_path / "x", settings=settings, resume=True
        )


def test_c3po_says_that_it_does_not_hold_what_is_out_of_scope(base: Path, tmp_path: Path) -> None:
    done = trained("c3po", base, tmp_path / "x", steps=1)
    assert done.left_out[OUT_OF_SCOPE] == 2
    assert OUT_OF_SCOPE in done.summary()
    near = [each for each in every_need() if each.task.id == "near"]
    with pytest.raises(BadInput, match="out of scope"):
        trained("c3po", base, tmp_path / "y", given=near)
    assert not (tmp_path / "y").exists()


def test_a_row_longer_than_the_context_is_left_out_not_cut(base: Path, tmp_path: Path) -> None:
    long = log("long/0", Tried("a " * 2000, 1.0), group="long", task=Task(id="long", prompt="?"))
    done = trained("sft", base, tmp_path / "x", given=[*worked_example(), long], steps=1)
    assert done.left_out["longer than 1024 tokens"] == 1
    assert len(lines(tmp_path / "x" / "data" / "rows.jsonl")) == 3


def failures() -> Iterator[Trajectory]:
    yield log("count/0", Tried("three", 0.0, told="No."))


@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        ("sft", [], "holds no finished trajectory"),
        ("sft", list(failures()), "an attempt that passed"),
        ("dpo", list(failures()), "both an answer that passed and one that failed"),
        ("kto", list(failures()), "at least 2 rows"),
        ("nope", worked_example(), "no training method named"),
        ("sdpo", worked_example(), "TRL does not train sdpo from a log"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_before_anything_is_written(
    method: str, given: Any, said: str, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said):
        train_with_trl(method, model=base, log=given, out=tmp_path / "x", settings=Settings(**SETTINGS))
    assert list(tmp_path.iterdir()) == []


def test_signed_weights_are_refused_with_the_way_out(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedExport, match="agentloop's trainer"):
        trained("rltf-sd", base, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    bare = make_checkpoint(tmp_path / "bare", template=None)
    with pytest.raises(BadInput, match="no chat template"):
        trained("sft", bare, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_held_out_tasks_must_not_be_in_the_log(base: Path, tmp_path: Path) -> None:
    practice = Practice(agent=reflect_and_retry, tasks=[each.task for each in worked_example()][:1])
    with pytest.raises(BadInput, match="held-out tasks are trained on"):
        train_with_trl("sft", model=base, log=worked_example(), out=tmp_path / "x", held_out=practice)
    assert not (tmp_path / "x").exists()


def test_the_first_tries_before_and_after_are_compared(base: Path, tmp_path: Path) -> None:
    def critic(attempt: Attempt) -> Feedback:
        return Feedback(text="No.", verdict="fail", score=0.0)

    def agent(**given: Any) -> Any:
        return reflect_and_retry(critic=critic, **given)

    done = train_with_trl(
        "sft",
        model=base,
        log=worked_example(),
        out=tmp_path / "x",
        held_out=Practice(agent=agent, tasks=[Task(id="new", prompt="How many cats?")]),
        settings=Settings(**{**SETTINGS, "steps": 1, "max_tokens": 4}),
    )
    assert done.gain is not None
    assert done.gain.tasks == 1
    assert {each.name for each in (tmp_path / "x" / "evaluation").iterdir()} == {"before", "after"}


def test_a_loss_that_is_no_number_stops_the_training(base: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(base, tmp_path / "broken")
    from safetensors.torch import save_file

    values = weights(broken)
    values["model.norm.weight"][0] = float("nan")
    save_file(values, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match="diverged"):
        trained("sft", broken, tmp_path / "x")
    assert not (tmp_path / "x" / "checkpoint").exists()


def test_every_recipe_is_of_a_kind_that_trl_trains() -> None:
    assert {"sft", "dpo", "kto", "critic-sft", "critic-dpo", "c3po"} <= set(RECIPES)
    assert not {"grpo", "rltf-sd", "sdpo", "nft"} & set(RECIPES)
