"""The records that move through agentloop, and the shapes a user may bring.

Records are frozen, keyword-only and refuse unknown fields; a changed copy is made with
``record.replace(field=value)``. Everything a record holds can be written as JSON.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from typing import Annotated, Any, Literal, Protocol, TypeAlias

from annotated_types import Ge, Le, MinLen
from typing_extensions import TypedDict

from agentloop.record import Record

SCHEMA_VERSION = 1
"""Version of the records' JSON schema. A file with another version is refused when it is read."""

Split: TypeAlias = Literal["train", "dev", "test"]
Verdict: TypeAlias = Literal["pass", "fail", "unsure"]
Level: TypeAlias = Literal["outcome", "step", "span", "plan", "skill"]
StopSignal: TypeAlias = Literal["self", "public", "oracle", "none"]
CorrectionStatus: TypeAlias = Literal["candidate", "active", "quarantined", "retired"]
FeedbackKind: TypeAlias = Literal[
    "unary",
    "binary",
    "scalar",
    "critique",
    "revision",
    "edit",
    "preference",
    "hindsight_positive",
    "hindsight_negative",
    "future_positive",
    "future_negative",
    "correction",
    "question",
    "answer",
]


class Message(TypedDict):
    """One chat message, as every chat model takes it."""

    role: str
    content: str


class Task(Record):
    """Something to be done. ``public`` anyone may see, ``hidden`` only a grader may."""

    id: Annotated[str, MinLen(1)]
    prompt: str
    public: dict[str, Any] = field(default_factory=dict)
    hidden: dict[str, Any] = field(default_factory=dict)
    split: Split | None = None


class Fact(Record):
    """Exact evidence that an environment gives its critics, apart from prose.

    ``hidden`` marks a fact that reveals what only a grader may know.
    """

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    hidden: bool = False


class Usage(Record):
    """What something cost. ``dollars`` is None when a price is unknown, never zero."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float | None = 0.0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        """Add two costs; an unknown price stays unknown."""
        known = self.dollars is not None and other.dollars is not None
        return Usage(
            calls=self.calls + other.calls,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            dollars=(self.dollars or 0.0) + (other.dollars or 0.0) if known else None,
            seconds=self.seconds + other.seconds,
        )


class Reply(Record):
    """One sampled answer of a model.

    ``token_ids`` and ``prompt_token_ids`` are those the model worked with, never re-tokenised
    text; ``logprobs`` are the natural logarithms, one for each of ``token_ids``, under the
    distribution that was sampled from, before any cut to the most likely tokens.
    """

    text: str
    token_ids: tuple[int, ...] | None = None
    prompt_token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)


class Call(Record):
    """One request to a model with all of its replies.

    ``place`` names where in the run it was made (trajectory/attempt/node/ordinal); ``policy``
    tells one state of a model from another: a checkpoint's digest or the provider's own name.
    """

    place: str
    role: str
    model: str
    policy: str | None = None
    messages: tuple[Message, ...]
    sampling: dict[str, Any] = field(default_factory=dict)
    replies: tuple[Reply, ...] = ()
    redacted: bool = False

    @property
    def usage(self) -> Usage:
        """The cost of the request: its replies' costs added up, counted as one call."""
        total = Usage()
        for reply in self.replies:
            total = total + reply.usage
        return total.replace(calls=1)


class Step(Record):
    """One action and the observation it brought. ``seconds`` is the time the environment took."""

    action: str
    observation: str
    facts: tuple[Fact, ...] = ()
    done: bool = False
    reward: float | None = None
    seconds: float = 0.0
    call: str | None = None


class Span(Record):
    """Characters ``start`` to ``end`` (exclusive) of an attempt's text, and what is said of them."""

    start: Annotated[int, Ge(0)]
    end: Annotated[int, Ge(0)]
    label: str | None = None
    weight: float | None = None
    replacement: str | None = None


class Feedback(Record):
    """What a critic says of an attempt: words first; verdict and score (0 to 1) beside them.

    ``privileged`` is set by agentloop when the critic saw hidden data; a critic need not set it.
    """

    text: str
    verdict: Verdict = "unsure"
    score: Annotated[float, Ge(0.0), Le(1.0)] | None = None
    kind: FeedbackKind = "critique"
    source: str = "critic"
    level: Level = "outcome"
    spans: tuple[Span, ...] = ()
    items: dict[str, str] = field(default_factory=dict)
    confidence: Annotated[float, Ge(0.0), Le(1.0)] | None = None
    privileged: bool = False
    stop: bool = False
    usage: Usage = field(default_factory=Usage)


class Reflection(Record):
    """What the agent wrote after feedback for its own next attempt; ``call`` is its place."""

    text: str
    call: str | None = None


class Attempt(Record):
    """One try at a task: what was said and done, and the feedback on it.

    ``calls`` are places of calls. ``facts`` tell the end state of the environment. ``follows`` are the
    numbers of the attempts whose feedback it was shown; None, where no search made it, means the one
    before it. ``error`` says what broke, named after the boundary it crossed. ``score`` and ``passed`` are
    attached when a journal is read; while the agent runs they are None.
    """

    id: str
    trajectory: str
    task: Task
    number: Annotated[int, Ge(1)]
    text: str = ""
    calls: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    facts: tuple[Fact, ...] = ()
    feedback: Feedback | None = None
    reflection: Reflection | None = None
    recalled: tuple[str, ...] = ()
    follows: tuple[int, ...] | None = None
    error: str | None = None
    usage: Usage = field(default_factory=Usage)
    score: float | None = None
    passed: bool | None = None
    trainable: bool = True


class Trajectory(Record):
    """One chain of attempts at one task: the unit that is logged and exported.

    ``chosen`` is the number of the attempt that counts. ``error`` is one that ended the trajectory outside
    its attempts, as in a node of one's own or in the memory. ``calls`` holds every model call made on
    the way, so that a row can be made from the trajectory alone.
    """

    id: str
    group_id: str
    schema_version: int = SCHEMA_VERSION
    run: str = ""
    task: Task
    attempts: tuple[Attempt, ...] = ()
    calls: tuple[Call, ...] = ()
    chosen: int | None = None
    passed: bool | None = None
    stop_reason: str = ""
    stop_signal: StopSignal = "none"
    error: str | None = None
    usage: Usage = field(default_factory=Usage)

    def call(self, place: str) -> Call:
        """The call made at ``place``; KeyError when there is none."""
        for call in self.calls:
            if call.place == place:
                return call
        raise KeyError(f"no call at place {place!r} in trajectory {self.id!r}")


class Source(Record):
    """Where a correction came from: the run, trajectory and attempt, and the words that taught it."""

    run: str = ""
    trajectory: str = ""
    attempt: int | None = None
    quote: str = ""


class Correction(Record):
    """What is worth keeping for other tasks, with its scope and where it came from.

    ``key`` is the text it is found by; empty means ``applies_when`` or else ``text``.
    """

    id: str
    text: Annotated[str, MinLen(1)]
    applies_when: str = ""
    not_when: str = ""
    key: str = ""
    kind: FeedbackKind = "correction"
    level: Level = "outcome"
    source: Source = field(default_factory=Source)
    recalled: int = 0
    helped: int = 0
    hurt: int = 0
    status: CorrectionStatus = "active"
    created: str = ""


def correction_id(run: str, trajectory: str, text: str) -> str:
    """The id of a correction: the same words from the same trajectory give the same id."""
    return digest("correction", run, trajectory, text)


def digest(*parts: str) -> str:
    """Sixteen hexadecimal digits that tell the parts from any others."""
    from _blake2 import blake2b

    hashed = blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return hashed.hexdigest()


Critic: TypeAlias = Callable[[Attempt], Feedback | Awaitable[Feedback]]
"""Anything that turns an attempt into feedback; plain or async function, or a class with __call__."""

Grader: TypeAlias = Callable[[Attempt], float | Awaitable[float]]
"""Decides for the record whether an attempt passed: 1.0 is a pass. Never shown to the agent."""


class Session(Protocol):
    """One attempt in an environment. Methods may be plain or async.

    Optional: ``final() -> Sequence[Fact]`` (the end state, asked once after the last step),
    ``snapshot() -> Any`` and ``restore(state)``.
    """

    def prompt(self) -> str | Awaitable[str]:
        """What the agent is shown first."""
        ...

    def step(self, action: str, /) -> Step | Awaitable[Step]:
        """Carry out one action."""
        ...

    def close(self) -> None | Awaitable[None]:
        """Give everything back; called once."""
        ...


Environment: TypeAlias = Callable[[Task], Session]
"""Opens one session per attempt: a class taking the task, or a pool that hands out sessions."""


class Model(Protocol):
    """A chat model. ``sampling`` holds n, temperature, top_p, max_tokens, seed, stop."""

    name: str

    async def complete(self, messages: Sequence[Message], /, **sampling: Any) -> Sequence[Reply]:
        """Sample ``n`` replies (default 1); fewer than asked for is an error, never copies."""
        ...


class Memory(Protocol):
    """Stores corrections and recalls those that apply.

    Optional: ``rent``, where it is not None, with ``async withhold(ids, /, *, trajectory)``, the recalled ids
    that are not to be shown in that trajectory; ``settle`` is then given ``shown=False`` for these.
    """

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """The corrections that apply to ``task``, best first."""
        ...

    async def record(self, correction: Correction, /) -> None:
        """Keep ``correction``; the same id a second time counts once."""
        ...

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        """Count that a recalled correction helped or hurt; once for each trajectory."""
        ...
