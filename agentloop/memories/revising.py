"""Putting a memory in order: what says the same is joined, what overlaps is revised, by a model's judgement.

The maintenance of GUM ("Creating General User Models from Computer Use"): notes that are near each other are
labelled identical, similar or unrelated; identical ones share their evidence, similar ones are edited,
merged or split, unrelated ones are left alone. Departures: only corrections with the same scope are put
together; the old ones are kept as earlier versions, retired; and pairs that contradict each other are left to
a person (``contradictions``), whatever the model says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentloop.json_reply import read_object
from agentloop.memories.contradicting import oppose, pairs
from agentloop.memories.correction import CorrectionMemory
from agentloop.memories.embedding import embed
from agentloop.prompts import Prompts
from agentloop.types import Correction, Model, correction_id

Label: TypeAlias = Literal["identical", "similar", "unrelated"]
LABELS: tuple[Label, ...] = ("identical", "similar", "unrelated")
_MOST_NOTES = 4
_MOST_EVIDENCE = 5


@dataclass(frozen=True, kw_only=True)
class Revision:
    """What a revision did: pairs by label, pairs whose reply could not be used, and what was made of what."""

    identical: int = 0
    similar: int = 0
    unrelated: int = 0
    unread: int = 0
    contradicting: int = 0
    made: tuple[Correction, ...] = ()
    retired: tuple[str, ...] = ()


async def revise(
    memory: CorrectionMemory,
    model: Model,
    *,
    near: float = 0.6,
    most: int = 100,
    prompts: Prompts | None = None,
) -> Revision:
    """Label each pair of active corrections that is near enough, and act on the label.

    A pair is two corrections with the same scope and a cosine of at least ``near`` between their texts;
    the ``most`` nearest are asked about, one call each, and one more for each similar pair. Which pairs
    were found to be unrelated is written down, so that none is asked about twice; one whose reply cannot
    be read is left for the next time. What a model wrote is a candidate where there is a gate, and else
    active.
    """
    work = _Work(memory, model, prompts or getattr(model, "prompts", None) or Prompts())
    for first, second in await _near(memory, near=near, most=most):
        if not {first.id, second.id} & set(work.retired):
            await work.settle(first, second)
    counted = {name: work.counts.count(name) for name in (*LABELS, "unread", "contradicting")}
    return Revision(**counted, made=tuple(work.made), retired=tuple(work.retired))


class _Work:
    """One revision while it is under way."""

    def __init__(self, memory: CorrectionMemory, model: Model, prompts: Prompts) -> None:
        self.memory, self.model, self.prompts = memory, model, prompts
        self.made: list[Correction] = []
        self.retired: list[str] = []
        self.counts: list[str] = []

    async def settle(self, first: Correction, second: Correction) -> None:
        """Ask about one pair, the older one first, and do what follows."""
        if oppose(first.text, second.text):
            self.counts.append("contradicting")
            return
        label = await self._label(first, second)
        notes = await self._notes(first, second) if label == "similar" else ()
        if label is None or (label == "similar" and not notes):
            self.counts.append("unread")
            return
        self.counts.append(label)
        if label == "identical":
            await self.memory.supersede([second.id], by=[first], how="identical")
            self.retired.append(second.id)
        elif label == "similar" and set(notes) != {first.text, second.text}:
            await self._replace(first, second, notes)
        else:
            self.memory.tell_apart(first.id, second.id)

    async def _replace(self, first: Correction, second: Correction, notes: Sequence[str]) -> None:
        status = "candidate" if self.memory.gated else "active"
        new = [
            first.replace(
                id=correction_id("revision", f"{first.id} {second.id}", text),
                text=text,
                key=_key(first, second, text),
                status=status,
                **{"recalled": 0, "helped": 0, "hurt": 0, "created": ""},
            )
            for text in notes
        ]
        how = {1: "merged", 2: "edited"}.get(len(new), "split")
        await self.memory.supersede([first.id, second.id], by=new, how=how)
        self.made += new
        self.retired += [first.id, second.id]

    async def _label(self, first: Correction, second: Correction) -> Label | None:
        told = await self._ask("revise_label", "label", first=first.text, second=second.text)
        return next((label for label in LABELS if label == told), None)

    async def _notes(self, first: Correction, second: Correction) -> Sequence[str]:
        """The notes that a model makes of two; none when it says too much, nothing, or what no text is."""
        evidence = [
            each.quote for one in (first, second) for each in self.memory.evidence(one.id) if each.quote
        ]
        told = await self._ask(
            "revise",
            "notes",
            first=first.text,
            second=second.text,
            evidence="\n".join(evidence[:_MOST_EVIDENCE]) or "none was kept",
        )
        notes = [each.strip() for each in told if isinstance(each, str)] if isinstance(told, list) else []
        longest = len(first.text) + len(second.text)
        usable = 0 < len(notes) <= _MOST_NOTES and all(0 < len(each) <= longest for each in notes)
        return (
            tuple(dict.fromkeys(notes))
            if usable and isinstance(told, list) and len(told) == len(notes)
            else ()
        )

    async def _ask(self, text: str, key: str, **values: str) -> object:
        shown = self.prompts.render(text, **values)
        reply = (await self.model.complete([{"role": "user", "content": shown}]))[0].text
        found = read_object(reply, key=key)
        return found[key] if found is not None else None


async def _near(
    memory: CorrectionMemory, *, near: float, most: int
) -> Sequence[tuple[Correction, Correction]]:
    """The pairs to ask about, nearest first."""
    held = [each for each in memory.list() if each.status == "active"]
    if len(held) < 2:
        return ()
    rows = await embed(memory.embedder, [each.text for each in held])
    found = [
        (-nearness, held[one], held[other])
        for one, other, nearness in pairs(rows, near=near)
        if _scope(held[one]) == _scope(held[other]) and not memory.are_apart(held[one].id, held[other].id)
    ]
    return [(first, second) for _, first, second in sorted(found, key=lambda each: each[0])[:most]]


def _scope(correction: Correction) -> tuple[str, str]:
    return correction.applies_when, correction.not_when


def _key(first: Correction, second: Correction, text: str) -> str:
    """The words a new one is found by: those of both, with its text in the place of theirs."""
    keys = [each.key.replace(each.text, text) for each in (first, second) if each.key]
    return "\n".join(dict.fromkeys(keys))
