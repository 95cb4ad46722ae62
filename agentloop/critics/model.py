"""A critic that asks a model to judge the attempt."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentloop.errors import BadInput
from agentloop.json_reply import read_object
from agentloop.prompts import Prompts
from agentloop.types import Attempt, Feedback, Level, Message, Model, Reply, StopSignal, Usage, Verdict

_VERDICTS: dict[str, Verdict] = {
    **dict.fromkeys(["pass", "passed", "passes", "correct", "right", "true", "yes"], "pass"),
    **dict.fromkeys(["fail", "failed", "fails", "incorrect", "wrong", "false", "no"], "fail"),
    **dict.fromkeys(["unsure", "uncertain", "unknown"], "unsure"),
}
_LINE = re.compile(r"^[\W_]*(verdict|score|feedback)[\W_]*?[:=][ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)


class ModelCritic:
    """Asks ``model`` for a verdict, a score and feedback in words on the public attempt.

    The words of the prompt are ``texts/critic.md``; ``prompts`` (or the model's own ``prompts``)
    replaces them. A reply that cannot be read is asked for once more in a fixed form; a second
    failure gives the verdict ``unsure`` with the model's raw words, and ``items["parse"]`` says
    ``failed`` (``second try`` when only the first failed). ``calls`` and ``parse_failures`` count
    over the critic's life. Hidden data is never shown to the model, whoever calls the critic.

    A model that sees (``model.sees``) is also shown the page as the attempt left it, by the line of the last
    step's screenshot; the others have the words alone.

    ``sampling`` goes to ``model.complete`` as it is (temperature, max_tokens, ...). A loop that its
    verdict stops is recorded as stopped by ``self``: a model's judgement, with no check outside of it.
    """

    signal: StopSignal = "self"

    def __init__(
        self,
        model: Model,
        *,
        prompts: Prompts | None = None,
        level: Level = "outcome",
        name: str = "critic",
        sampling: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(getattr(model, "complete", None)):
            raise BadInput(f"ModelCritic needs a model with an async complete(), got {model!r}")
        self.model = model
        self.prompts = prompts or getattr(model, "prompts", None) or Prompts()
        self.level: Level = level
        self.name = name
        self.sampling = dict(sampling or {})
        self.calls = 0
        self.parse_failures = 0

    async def __call__(self, attempt: Attempt) -> Feedback:
        """Judge ``attempt``; at most two calls of the model."""
        shown = _attempt(attempt) + (_screenshot(attempt) if await self._sees() else "")
        prompt = self.prompts.render("critic", task=_task(attempt), attempt=shown)
        messages: list[Message] = [{"role": "user", "content": prompt}]
        first = await self._ask(messages)
        judgement = read_judgement(first.text)
        if judgement is not None:
            return self._feedback(judgement, usage=_total(first))
        again: list[Message] = [
            {"role": "assistant", "content": first.text},
            {"role": "user", "content": self.prompts.render("critic_again")},
        ]
        second = await self._ask([*messages, *again])
        judgement = read_judgement(second.text)
        usage = _total(first, second)
        if judgement is not None:
            return self._feedback(judgement, usage=usage, parse="second try")
        self.parse_failures += 1
        raw = first.text.strip() or second.text.strip()
        return self._feedback(Judgement("unsure", None, raw, {}), usage=usage, parse="failed")

    async def _sees(self) -> bool:
        # Asking may load the provider's library, which takes seconds.
        return bool(await asyncio.to_thread(getattr, self.model, "sees", False))

    async def _ask(self, messages: Sequence[Message]) -> Reply:
        self.calls += 1
        return (await self.model.complete(messages, **self.sampling))[0]

    def _feedback(self, judgement: Judgement, *, usage: Usage, parse: str | None = None) -> Feedback:
        return Feedback(
            text=judgement.text,
            verdict=judgement.verdict,
            score=judgement.score,
            source=getattr(self.model, "name", self.name),
            level=self.level,
            items={"critic": self.name, **judgement.items, **({"parse": parse} if parse else {})},
            usage=usage,
        )


@dataclass(frozen=True)
class Judgement:
    """What could be read in a critic's reply."""

    verdict: Verdict
    score: float | None
    text: str
    items: dict[str, str]


def read_judgement(reply: str) -> Judgement | None:
    """Read a judgement from JSON anywhere in ``reply`` or from lines such as ``verdict: fail``.

    None when there is no verdict, or one that is not known. A score that is no number from 0 to 1
    is left out, and ``items["score"]`` keeps what was written.
    """
    values = read_object(reply, key="verdict") or _lines(reply)
    verdict = _VERDICTS.get(str(values.get("verdict", "")).strip().strip("\"'*`.,").lower())
    if verdict is None:
        return None
    score, items = _score(values.get("score"))
    words = values.get("feedback")
    text = words.strip() if isinstance(words, str) else ""
    return Judgement(verdict, score, text or f"The verdict is {verdict}; no reason was given.", items)


def _lines(reply: str) -> dict[str, Any]:
    """The values of ``name: value`` lines; feedback runs on to the end of the reply."""
    found: dict[str, Any] = {}
    for match in _LINE.finditer(reply):
        name = match.group(1).lower()
        value = reply[match.start(2) :] if name == "feedback" else match.group(2)
        found.setdefault(name, value.strip().strip("*`").strip())
    return found


def _score(value: Any) -> tuple[float | None, dict[str, str]]:
    if value is None or value == "":
        return None, {}
    try:
        number = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    return (number, {}) if 0.0 <= number <= 1.0 else (None, {"score": str(value)[:200]})


def _total(*replies: Reply) -> Usage:
    total = Usage()
    for reply in replies:
        total = total + reply.usage
    return total.replace(calls=len(replies))


def _task(attempt: Attempt) -> str:
    """The task as anyone may see it: its prompt and its public data, never its hidden data."""
    public = [f"{name}: {value}" for name, value in attempt.task.public.items()]
    return "\n".join([attempt.task.prompt, *(["", *public] if public else [])])


def _attempt(attempt: Attempt) -> str:
    """What was done and seen, then the final answer where it is not the last action."""
    parts = [f"Action:\n{step.action}\nObservation:\n{step.observation}" for step in attempt.steps]
    if not attempt.steps or attempt.steps[-1].action.strip() != attempt.text.strip():
        parts.append(f"Answer:\n{attempt.text}" if parts else attempt.text)
    return "\n\n".join(parts)


def _screenshot(attempt: Attempt) -> str:
    """The line that stands for the last step's screenshot, where the environment took one."""
    facts = attempt.steps[-1].facts if attempt.steps else ()
    digests = [str(fact.data.get("digest", "")) for fact in facts if fact.kind == "screenshot"]
    return f"\n\n[screenshot {digests[-1]}]" if digests else ""
