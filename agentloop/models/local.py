"""A chat model over a checkpoint folder on this machine, with batched generation.

Requests that wait at the same time share one ``generate`` call. All torch work is done in one
thread, so a model may be used from several event loops; what a row says does not depend on the
rows beside it (local_rows.py). ``torch`` and ``transformers`` load on the first request.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import importlib.util
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentloop.errors import BadInput, MissingExtra, ModelError, ModelRefused, ModelUnavailable
from agentloop.models.local_rows import CLOSE, Noise, Row, Rows, speak
from agentloop.models.recording import recorded
from agentloop.models.sampling import Sampling, read_sampling
from agentloop.prompts import Prompts
from agentloop.types import Message, Reply, Usage

_TINY = Path(__file__).parents[1] / "tiny"
BUNDLED = {"tiny": _TINY / "checkpoint", "tiny-python": _TINY / "python_checkpoint"}
"""The checkpoints that come with the package, by what stands after ``local/``."""


def folder_named(name: str | Path) -> Path:
    """The folder of a bundled checkpoint, or the one that ``name`` is."""
    return BUNDLED.get(str(name)) or Path(name)


@dataclass(eq=False)
class _Request:
    """A call that waits: what it asks, its rows once they are made, and where the replies go."""

    messages: Sequence[Message]
    sampling: Sampling
    rows: list[Row] = field(default_factory=list)
    since: float = field(default_factory=time.perf_counter)
    replies: Future[list[Reply]] = field(default_factory=Future)


class LocalModel:
    """Samples from the checkpoint in ``folder``; ``"tiny"`` is the one that comes with the package.

    The same seed gives the same text for the same messages, in whatever batch, on the same machine and
    number of torch threads; that holds in float32, while other ``dtype`` are faster and do not promise
    it. Without a seed each call draws afresh. ``temperature=0`` takes the likeliest token.
    Log-probabilities are always kept: of the temperature asked for, before ``top_p`` cuts; with
    temperature 0, of the model as it is. ``token_ids`` holds all that was sampled, the end token
    and a stop text included, which ``text`` leaves out.

    ``threads`` sets torch's thread count for the whole process; by default it is left as it is. A
    small model on a busy machine is fastest with one. Sampling settings given here are the defaults of
    every request; ``max_tokens`` is what the checkpoint's generation_config.json says, or 256, and never
    more than the context has room for. ``batches`` counts the ``generate`` calls made. ``module`` is the
    checkpoint's model, loaded already, whose weights may change between requests: set ``policy`` anew then.
    """

    prefix = logprobs = weights = True

    def __init__(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        device: str | None = None,
        dtype: str = "float32",
        max_batch: int = 64,
        gather_seconds: float = 0.005,
        threads: int | None = None,
        prompts: Prompts | None = None,
        module: Any = None,
        **sampling: Any,
    ) -> None:
        self.folder = folder_named(folder)
        self.name = name or f"local/{folder}"
        self.sampling = sampling
        self.max_batch = max_batch
        self.batches = 0
        self.gather_seconds = gather_seconds
        if max_batch < 1:
            raise BadInput(f"max_batch must be at least 1, got {max_batch}")
        read_sampling(sampling)
        _check_folder(self.folder, self.name)
        for package in ("torch", "transformers"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtra(self.name, package, "local")
        own = self.folder / "prompts"
        self.prompts = prompts or (Prompts(folder=own) if own.is_dir() else None)
        self._open = functools.partial(
            _Checkpoint, self.folder, device=device, dtype=dtype, threads=threads, module=module
        )
        self._checkpoint: _Checkpoint | None = None
        self._arrived: deque[_Request] = deque()
        self._pending: deque[tuple[_Request, Row]] = deque()
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(1, thread_name_prefix="agentloop-local")

    @functools.cached_property
    def policy(self) -> str:
        """A digest of the weights, which tells one state of the model from another."""
        hashed = hashlib.sha256()
        for path in sorted([*self.folder.glob("*.safetensors"), *self.folder.glob("*.bin")]):
            with path.open("rb") as file:
                hashed.update(hashlib.file_digest(file, "sha256").digest())
        return f"sha256:{hashed.hexdigest()[:16]}"

    @recorded
    async def complete(self, messages: Sequence[Message], /, **sampling: Any) -> Sequence[Reply]:
        """Sample ``n`` replies; a prompt that fills the context is refused."""
        thread = self._thread
        if thread is None:
            raise BadInput(f"{self.name} was closed; make a new one")
        request = _Request(messages, read_sampling(sampling))
        self._arrived.append(request)
        thread.submit(self._work)
        return await asyncio.wrap_future(request.replies)

    def close(self) -> None:
        """Finish the batch that is running, refuse those that wait, and let go of the weights."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown(wait=True, cancel_futures=True)
        for request in (*self._arrived, *(request for request, _ in self._pending)):
            if not request.replies.done():
                request.replies.set_exception(
                    ModelUnavailable(f"{self.name} was closed while requests waited")
                )
        self._checkpoint = None

    def _work(self) -> None:
        """In the thread: generate batches until nothing waits."""
        while (self._arrived or self._pending) and self._thread is not None:
            self._gather()
            batch = [self._pending.popleft() for _ in range(min(self.max_batch, len(self._pending)))]
            wanted = [(request, row) for request, row in batch if not request.replies.done()]
            if wanted:
                self._generate(wanted)

    def _gather(self) -> None:
        """Take in what has arrived, waiting a moment for more as long as more comes."""
        while len(self._pending) < self.max_batch:
            while self._arrived:
                self._take(self._arrived.popleft())
            time.sleep(self.gather_seconds)
            if not self._arrived:
                return

    def _take(self, request: _Request) -> None:
        if not request.replies.set_running_or_notify_cancel():
            return
        with _failing((request,), self.name):
            if self._checkpoint is None:
                self._checkpoint = self._open()
                _ = self.policy
            request.rows = self._checkpoint.rows(request.messages, request.sampling)
            self._pending.extend((request, row) for row in request.rows)

    def _generate(self, batch: Sequence[tuple[_Request, Row]]) -> None:
        assert self._checkpoint is not None
        owners = {id(row): request for request, row in batch}
        self.batches += 1
        with _failing([request for request, _ in batch], self.name):
            self._checkpoint.generate(
                [row for _, row in batch], finished=lambda row: self._deliver(owners[id(row)])
            )

    def _deliver(self, request: _Request) -> None:
        if all(row.finish_reason for row in request.rows) and not request.replies.done():
            request.replies.set_result(self._replies(request))

    def _replies(self, request: _Request) -> list[Reply]:
        assert self._checkpoint is not None
        replies = []
        for at, row in enumerate(request.rows):
            usage = Usage(tokens_out=len(row.token_ids))
            if at == 0:  # the request's own cost stands on its first reply
                seconds = round(time.perf_counter() - request.since, 6)
                usage = usage.replace(calls=1, tokens_in=len(row.prompt), seconds=seconds)
            replies.append(
                Reply(
                    text=self._checkpoint.text(row),
                    token_ids=tuple(row.token_ids),
                    prompt_token_ids=tuple(row.prompt),
                    logprobs=tuple(row.logprobs),
                    finish_reason=row.finish_reason,
                    usage=usage,
                )
            )
        return replies


class _failing:
    """Hand what breaks inside to the callers of ``requests``: they wait in other threads."""

    def __init__(self, requests: Sequence[_Request], name: str) -> None:
        self.requests, self.name = requests, name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None:
            return False
        if isinstance(error, Exception) and not isinstance(error, (ModelError, BadInput, MissingExtra)):
            told = ModelUnavailable(f"{self.name}: {type(error).__name__}: {error}")
            told.__cause__ = error
            error = told
        for request in self.requests:
            if not request.replies.done():
                request.replies.set_exception(error)
        return isinstance(error, Exception)


class _Checkpoint:
    """The loaded weights and tokenizer; used in one thread only."""

    def __init__(
        self, folder: Path, *, device: str | None, dtype: str, threads: int | None, module: Any = None
    ) -> None:
        import torch
        from transformers import AutoTokenizer, GenerationConfig

        if threads is not None:
            torch.set_num_threads(threads)
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        _check_template(self.tokenizer, folder)
        if module is None:
            model = load_weights(folder, dtype).to(self.device).eval()
        else:
            model, self.device = module, str(module.device)
        self.model = model
        stated = (folder / "generation_config.json").is_file()
        told = GenerationConfig.from_pretrained(folder) if stated else model.generation_config
        ends = told.eos_token_id or self.tokenizer.eos_token_id
        self.ends = frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])
        self.context = int(getattr(model.config, "max_position_embeddings", None) or 2**20)
        self.max_tokens = told.max_new_tokens or 256
        # other defaults of the checkpoint (top_k, repetition penalty) would bend the distribution unseen
        model.generation_config = GenerationConfig()
        self.close = CLOSE if dtype == "float32" else 0.0
        self.selects = True
        """Whether the model's cache can be cut to some of its rows, as far as is known."""

    def rows(self, messages: Sequence[Message], sampling: Sampling) -> list[Row]:
        """One row for each sample asked for, all over the same prompt."""
        prompt = self._encode(messages)
        room = self.context - len(prompt)
        if room < 1:
            raise ModelRefused(
                f"the prompt has {len(prompt)} tokens, and the model's context holds {self.context} with the "
                "reply; shorten the messages or show fewer earlier attempts"
            )
        room, cold = min(room, sampling.max_tokens or self.max_tokens), sampling.temperature == 0
        return [
            Row(prompt, sampling, room, None if cold else Noise(sampling.seed, sample))
            for sample in range(sampling.n)
        ]

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        from jinja2 import TemplateError

        shown = [{**message, "content": self._plain(message["content"])} for message in messages]
        try:
            text = self.tokenizer.apply_chat_template(shown, tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            raise ModelRefused(f"the chat template refuses these messages: {error}") from error
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [int(each) for each in ids]

    def _plain(self, content: str) -> str:
        """``content`` with a blank put into each special token, so that it cannot end its own turn."""
        for token in self.tokenizer.all_special_tokens:
            if token in content and not token.isalnum():
                content = content.replace(token, f"{token[0]} {token[1:]}")
        return content

    def generate(self, batch: Sequence[Row], *, finished: Callable[[Row], object]) -> None:
        """Sample all rows to their ends, padded on the left."""
        import torch

        make = functools.partial(
            Rows,
            ends=self.ends,
            alone=self._alone,
            decoded=self._decoded,
            close=self.close,
            finished=finished,
        )
        with torch.inference_mode():
            self.selects = speak(self.model, batch, device=self.device, make=make, selects=self.selects)

    def _alone(self, ids: Sequence[int]) -> Any:
        import torch

        logits = self.model(input_ids=torch.tensor([ids], device=self.device), use_cache=False).logits
        return logits[0, -1].float().cpu()

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    def text(self, row: Row) -> str:
        """What a row said, up to its end token or the first stop text."""
        text = self._decoded([each for each in row.token_ids if each not in self.ends])
        cuts = [text.index(stop) for stop in row.sampling.stop if stop in text]
        return text[: min(cuts)] if cuts else text


def load_weights(folder: Path, dtype: str = "float32") -> Any:
    """The causal model of a checkpoint folder, without a progress bar."""
    from transformers import AutoModelForCausalLM

    with no_bars():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)


@contextmanager
def no_bars() -> Iterator[None]:
    """Without the progress bars of transformers."""
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            logging.enable_progress_bar()


def _check_folder(folder: Path, name: str) -> None:
    if not folder.is_dir():
        raise BadInput(
            f"{name}: there is no folder {folder}; give the folder of a Hugging Face checkpoint, or 'tiny'"
        )
    if not (folder / "config.json").is_file():
        raise BadInput(f"{name}: {folder} holds no config.json, so it is no checkpoint folder")


def _check_template(tokenizer: Any, folder: Path) -> None:
    if tokenizer.chat_template is None:
        raise BadInput(
            f"the tokenizer in {folder} has no chat template; add one to it as chat_template.jinja"
        )


def renderer(name: str | Path) -> Callable[[Sequence[Message], bool], list[int]]:
    """How a checkpoint's chat template turns messages into token ids, for exports that need it.

    ``name`` is ``local/tiny``, ``local/PATH``, or the folder itself. The function it gives takes the
    messages and whether to open the assistant's next turn.
    """
    from transformers import AutoTokenizer

    folder = folder_named(str(name).removeprefix("local/"))
    _check_folder(folder, str(name))
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    _check_template(tokenizer, folder)

    def render(messages: Sequence[Message], opening: bool) -> list[int]:
        shown: Any = [dict(message) for message in messages]
        return list(
            tokenizer.apply_chat_template(
                shown, add_generation_prompt=opening, tokenize=True, return_dict=False
            )
        )

    return render
