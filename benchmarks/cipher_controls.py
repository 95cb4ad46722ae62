"""What CIPHER is compared with: its graph with another memory or other nodes, after the controls of PRELUDE.

As in the released program (github gao-g/prelude), the controls that keep edits keep every round, a text
that was taken as it was too; ``edits only`` is the variant that does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from langgraph.runtime import Runtime

from agentloop.acting import Act
from agentloop.context import RunContext
from agentloop.memories import HashingEmbedder
from agentloop.memories.embedding import Vectors
from agentloop.prompts import Prompts
from agentloop.recipes.cipher import CipherState, Learn, stated
from agentloop.state import State, trajectory_id
from agentloop.types import Attempt, Correction, Message, Model, Task


class Known:
    """The oracle: the true preference of every context."""

    def __init__(self, preferences: Mapping[str, str]) -> None:
        self.preferences = preferences

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """The preference of the task's context."""
        return [Correction(id=task.id, text=self.preferences[task.prompt])]

    async def record(self, correction: Correction, /) -> None:
        """Nothing is to be learnt."""

    async def settle(self, correction_id: str, /, *, trajectory: str, helped: bool) -> None:
        """Nothing is counted."""


class Recent(Known):
    """The last few rounds, or the first few once there are so many; the context plays no part."""

    def __init__(self, *, first: bool = False) -> None:
        super().__init__({})
        self.first = first
        self.kept: list[Correction] = []

    async def recall(self, task: Task, /, *, limit: int = 5) -> Sequence[Correction]:
        """Rounds, oldest first."""
        return self.kept[-limit:] if not self.first else self.kept[: limit if len(self.kept) >= limit else 0]

    async def record(self, correction: Correction, /) -> None:
        """Keep a round."""
        self.kept.append(correction)


class Alike:
    """An embedder to which all texts are one: what was learnt last is recalled, whatever the context."""

    name, instant = "alike", True

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """One and the same vector."""
        return [[1.0, 0.0] for _ in texts]


class Scrambled:
    """The vectors of the hashing embedder, each given to another of the texts: the control."""

    name, instant = "scrambled", True

    def __init__(self, instead: Mapping[str, str]) -> None:
        self.instead = instead
        self.inner = HashingEmbedder()

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """The vectors of the other texts."""
        return self.inner([self.instead[text] for text in texts])


class KeepEdits(Learn):
    """Keeps the edit itself, as a model is shown it; infers nothing."""

    def __init__(self, *arguments: object, accepted: bool = True, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.accepted = accepted

    def used(self, state: CipherState) -> str:
        """A text that was taken as it was, where those are kept."""
        return self.shown(state["attempt"]) if self.accepted else ""

    async def lesson(self, attempt: Attempt, state: CipherState, run: RunContext) -> str:
        """The edit."""
        return self.shown(attempt)


class InferFromEdits:
    """One preference from the edits recalled; the same edits are read once where ``once`` says so."""

    def __init__(self, model: Model, *, once: bool = False) -> None:
        self.model, self.once = model, once
        self.read: dict[str, str] = {}

    async def __call__(self, state: CipherState, runtime: Runtime[RunContext]) -> CipherState:
        """Set ``preference``."""
        edits = "\n".join(each.text for each in state.get("recalled", ()))
        if not edits or edits in self.read:
            return {"preference": self.read.get(edits, "")}
        run = runtime.context or RunContext()
        shown = Prompts().render("cipher_infer", edits=edits)
        with run.at(trajectory_id(state), 1, "aggregate"):
            reply = (await run.ask(self.model, [{"role": "user", "content": shown}]))[0]
        if self.once:
            self.read[edits] = stated(reply.text)
        return {"preference": stated(reply.text)}


class PassOn:
    """No preference is made of what was recalled."""

    async def __call__(self, state: CipherState, runtime: Runtime[RunContext]) -> State:
        """Change nothing."""
        return {}


class WriteLike(Act):
    """Shows the task with the raw edits that were recalled."""

    def conversation(
        self,
        prompt: str,
        *,
        recalled: Sequence[Correction] = (),
        earlier: Sequence[Attempt] = (),
        instructions: str | None = None,
    ) -> list[Message]:
        """What the model is shown."""
        edits = "\n".join(each.text for each in recalled)
        text = prompt
        if edits:
            text = self.prompts.render("cipher_examples", task=prompt, examples=edits)
        return [{"role": "user", "content": text}]
