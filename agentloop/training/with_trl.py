"""``train_with_trl``: rows of messages, pairs and labelled answers, trained by TRL's own trainers.

The log is exported in format trl to ``out/data``, and TRL's SFTTrainer, DPOTrainer or KTOTrainer reads
those rows. Three departures from TRL's defaults: a row longer than the model's context is left out and
counted, where TRL cuts it without a word; KTO's rows are shuffled first, since TRL takes the answer of the
row before for its reference point, and in a log that is an answer to the same task; nothing is reported to
the Hugging Face hub.

C3PO (arXiv 2402.10893) is ``DPO + 0.1 * NLL(hard negatives) + 0.2 * NLL(soft negatives)``. TRL has no
trainer for the sum, so only its DPO term is trained, on the pairs in scope: what is out of scope is not held
fast. Those answers are counted among what was left out.
"""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentloop.errors import BadInput, MissingExtra
from agentloop.export import FORMATS
from agentloop.export.making import Log
from agentloop.export.methods import METHODS, method_named
from agentloop.models.local import load_weights, no_bars
from agentloop.run import Run
from agentloop.training.card import write_card
from agentloop.training.conditioning import conditioned_texts
from agentloop.training.policy import folder_of, is_bundled, lora, write_checkpoint
from agentloop.training.proof import check_apart, first_tries, gain_of
from agentloop.training.recipes import PUBLISHED, Recipe, recipe_for
from agentloop.training.rollouts import Practice
from agentloop.training.settings import Settings
from agentloop.training.state import KEPT, TrainingLog, asked, begin
from agentloop.training.trainer import Step, Training
from agentloop.training.trl_rows import KINDS, TrlRows

if TYPE_CHECKING:
    import transformers


def _compared(method: str, rate: float, source: str) -> Recipe:
    return Recipe(method=method, learning_rate=rate, online=False, weigh={"beta": 0.1}, source=source)


RECIPES: dict[str, Recipe] = {
    recipe.method: recipe
    for recipe in (
        *(each for name, each in PUBLISHED.items() if METHODS[name].kinds[0] in KINDS),
        _compared("dpo", 1e-6, "arXiv 2305.18290; beta and rate are TRL's defaults"),
        _compared("kto", 1e-6, "arXiv 2402.01306; beta and rate are TRL's defaults"),
        _compared("critic-dpo", 1e-6, "arXiv 2411.18203; beta and rate are TRL's defaults"),
        _compared("c3po", 5e-5, "arXiv 2402.10893: its DPO term alone; the rate is for LoRA"),
    )
}
"""What TRL trains. ``weigh`` holds further options of its config, such as ``beta`` or ``loss_type``."""


def train_with_trl(
    method: str | Recipe,
    *,
    model: str | Path,
    log: Log,
    out: str | Path,
    held_out: Practice | None = None,
    settings: Settings | None = None,
    resume: bool = False,
    progress: Callable[[Step], object] | None = None,
) -> Training:
    """Train ``model`` by ``method`` on the trajectories of ``log`` with TRL; ``out`` is as after ``train``.

    A step is one optimiser step on ``settings.rows`` rows; None steps are as many as hold each row once. In
    ``training.jsonl``, ``tokens`` counts all that passed through the model, prompts included, and ``trl``
    holds what else TRL tells of a step. States to resume from are TRL's, in ``out/state``.
    """
    recipe = _recipe(method, tiny=is_bundled(model))
    wanted = settings or Settings()
    recipe = recipe.with_changes(learning_rate=wanted.learning_rate)
    base, out = folder_of(model), Path(out)
    _check_packages()
    if wanted.publish is not None:
        raise BadInput("publish hands the weights to a server that samples, and TRL trains on a log; omit it")
    log = log if callable(log) else list(log)
    with tempfile.TemporaryDirectory() as staging:
        data = TrlRows(log, recipe.method, base=base, folder=Path(staging) / "data")
        wanted = replace(wanted, steps=wanted.steps or math.ceil(len(data.lines) / wanted.rows))
        arguments = _arguments(recipe, wanted, data, out)
        check_apart(data.tasks, held_out)
        work = _Work(
            recipe=recipe,
            settings=wanted,
            data=data,
            arguments=arguments,
            texts=conditioned_texts(recipe.method, base, praise=data.praise),
            base=base,
            name=str(model),
            out=out,
            held_out=held_out,
        )
        request = asked(recipe, wanted, model=str(model), data={"log": data.digest})
        begin(arguments.distributed_state, out, request, resume=resume)
        if work.main:
            _place(data.folder, out / "data")
    return work.run(progress)


def _recipe(method: str | Recipe, *, tiny: bool) -> Recipe:
    name = method.method if isinstance(method, Recipe) else method
    FORMATS["trl"].check(method_named(name))
    if name not in RECIPES:
        raise BadInput(f"TRL does not train {name} from a log; from a log it trains {', '.join(RECIPES)}")
    if isinstance(method, Recipe):
        return method
    return recipe_for(name, tiny=tiny) if name in PUBLISHED else RECIPES[name]


def _check_packages() -> None:
    for package in ("trl", "datasets", "accelerate", "transformers", "torch"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("training with TRL", package, "train")


def _place(staged: Path, to: Path) -> None:
    """Put the export in its place, unless an earlier start has."""
    if not to.is_dir():
        partial = to.with_name(f"{to.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(staged, partial)
        partial.rename(to)


def _arguments(recipe: Recipe, settings: Settings, data: TrlRows, out: Path) -> Any:
    """TRL's config for the settings. Rows of a step that cannot go through at once are accumulated."""
    import torch
    import trl

    gpu = torch.cuda.is_available() and not settings.cpu
    with _undisturbed():
        arguments = getattr(trl, f"{data.kind.name}Config")(
            output_dir=str(out / "state"),
            learning_rate=recipe.learning_rate,
            max_steps=settings.steps,
            lr_scheduler_type=settings.schedule.replace("constant", "constant_with_warmup"),
            warmup_steps=settings.warmup,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.clip_norm,
            bf16=gpu if settings.precision == "auto" else settings.precision == "bf16",
            gradient_checkpointing=settings.gradient_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False}
            if settings.gradient_checkpointing
            else None,
            max_length=None,
            seed=settings.seed,
            save_steps=settings.save_every,
            save_total_limit=KEPT,
            logging_steps=1,
            # a loss that is not a number must be seen, not filtered
            logging_nan_inf_filter=False,
            report_to=list(settings.trackers) or "none",
            disable_tqdm=True,
            use_cpu=not gpu,
            dataloader_pin_memory=gpu,
            **recipe.weigh,
        )
    own, apart = divmod(settings.rows, arguments.world_size)
    if apart:
        raise BadInput(
            f"{settings.rows} rows of a step cannot be shared out equally among {arguments.world_size} "
            "processes; give a multiple of them as --rows"
        )
    at_once = _at_once(own, data, settings)
    arguments.per_device_train_batch_size = at_once
    arguments.gradient_accumulation_steps = own // at_once
    return arguments


def _at_once(rows: int, data: TrlRows, settings: Settings) -> int:
    """The most rows that divide a step evenly and fit into ``micro_batch`` tokens."""
    if rows < data.kind.fewest:
        raise BadInput(
            f"TRL's {data.kind.name} trainer needs {data.kind.fewest} rows at once in every process, "
            f"got {rows}; give more as --rows"
        )
    room = settings.micro_batch // (data.longest * data.kind.sequences)
    divisors = [each for each in range(data.kind.fewest, rows + 1) if rows % each == 0]
    return max((each for each in divisors if each <= room), default=divisors[0])


@dataclass(kw_only=True)
class _Work:
    """One training while TRL carries it out."""

    recipe: Recipe
    settings: Settings
    data: TrlRows
    arguments: Any
    texts: Mapping[str, str]
    base: Path
    name: str
    out: Path
    held_out: Practice | None

    @property
    def main(self) -> bool:
        """Whether this process writes."""
        return bool(self.arguments.process_index == 0)

    def run(self, progress: Callable[[Step], object] | None) -> Training:
        """From TRL's last state to the last step, then the checkpoint and its proof."""
        if self.held_out is not None and self.main:
            first_tries(self.base, self.held_out, self.out / "evaluation" / "before", self.settings)
        last = _last_state(self.out / "state")
        upto = int(last.name.removeprefix("checkpoint-")) if last else 0
        log = TrainingLog(self.out, upto=upto, writes=self.main)
        with _undisturbed():
            trainer = self._trainer(log, progress)
            trainer.train(resume_from_checkpoint=str(last) if last else None)
        return self._finish(trainer, log)

    def _trainer(self, log: TrainingLog, progress: Callable[[Step], object] | None) -> Any:
        import torch
        import trl
        from transformers import AutoTokenizer, PrinterCallback

        if self.settings.threads is not None:
            torch.set_num_threads(self.settings.threads)
        module = load_weights(self.base)
        # TRL's config would switch the cache off in the checkpoint too, and slow everyone who samples from it
        self.arguments.use_cache = module.config.use_cache
        trainer = getattr(trl, f"{self.data.kind.name}Trainer")(
            model=module,
            args=self.arguments,
            train_dataset=self.data.dataset(self.settings.seed),
            processing_class=AutoTokenizer.from_pretrained(self.base, local_files_only=True),
            peft_config=lora(self.settings),
            callbacks=[_told(log, self.settings, len(self.data.lines), progress)],
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _finish(self, trainer: Any, log: TrainingLog) -> Training:
        checkpoint, gain = self.out / "checkpoint", None
        write_checkpoint(
            trainer.accelerator, trainer.model_wrapped, checkpoint, base=self.base, texts=self.texts
        )
        if self.held_out is not None and self.main:
            folder = self.out / "evaluation"
            after = first_tries(checkpoint, self.held_out, folder / "after", self.settings)
            gain = gain_of(Run(folder / "before"), after)
        trainer.accelerator.wait_for_everyone()
        done = Training(
            base=self.name,
            folder=self.out,
            checkpoint=checkpoint,
            recipe=self.recipe,
            steps=log.lines,
            completions=0,
            gain=gain,
            left_out=self.data.left_out,
        )
        if self.main:
            write_card(done, settings=self.settings)
        return done


def _last_state(folder: Path) -> Path | None:
    """TRL's last state in ``folder`` that is whole; one that a kill cut short is passed over."""
    whole = {
        int(path.name.removeprefix("checkpoint-")): path
        for path in folder.glob("checkpoint-*")
        if _whole(path)
    }
    return whole[max(whole)] if whole else None


def _whole(state: Path) -> bool:
    """Whether the file that TRL writes last is there and can be read."""
    try:
        json.loads((state / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _told(
    log: TrainingLog, settings: Settings, rows: int, progress: Callable[[Step], object] | None
) -> transformers.TrainerCallback:
    """A callback that writes a line for each step, and stops a training that has diverged."""
    from transformers import TrainerCallback

    lap = math.ceil(rows / settings.rows)

    class Told(TrainerCallback):  # type: ignore[misc]
        began, tokens = 0.0, 0

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.began = time.perf_counter()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
            if "loss" not in logs:
                return
            _check_finite(logs)
            tokens, self.tokens = int(logs["num_tokens"]) - self.tokens, int(logs["num_tokens"])
            step = Step(
                step=state.global_step,
                steps=state.max_steps,
                loss=logs["loss"],
                gradient_norm=logs["grad_norm"],
                learning_rate=logs["learning_rate"],
                rows=min(settings.rows, rows - (state.global_step - 1) % lap * settings.rows),
                tokens=tokens,
                completions=0,
                first_passed=None,
                collecting=0.0,
                learning=round(time.perf_counter() - self.began, 3),
            )
            log.add({**asdict(step), "trl": {name: logs[name] for name in logs if name not in _TOLD}})
            if progress is not None and state.is_world_process_zero:
                progress(step)

    return Told()


_TOLD = {"loss", "grad_norm", "learning_rate", "num_tokens"}


def _check_finite(logs: dict[str, float]) -> None:
    if not (math.isfinite(logs["loss"]) and math.isfinite(logs["grad_norm"])):
        raise BadInput(
            f"the loss became {logs['loss']} with gradient norm {logs['grad_norm']}: training has diverged; "
            "give a smaller --learning-rate (the state before this step is kept)"
        )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without progress bars, without warnings of what will change, and without a message to the hub."""
    import datasets
    from huggingface_hub import constants

    told, bars = constants.HF_HUB_DISABLE_TELEMETRY, datasets.are_progress_bars_disabled()
    constants.HF_HUB_DISABLE_TELEMETRY = True
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings(), no_bars():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        constants.HF_HUB_DISABLE_TELEMETRY = told
        if not bars:
            datasets.enable_progress_bars()
