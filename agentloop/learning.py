"""The distil node: what an agent keeps for other tasks, and how its memory is told what helped."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from langgraph.runtime import Runtime

from agentloop.bringing import bring
from agentloop.context import RunContext
from agentloop.hidden import leaks, public_attempt
from agentloop.journal import place_of
from agentloop.state import MemoryFailed, State, boundary, run_id, use_of
from agentloop.types import Attempt, Correction, Memory, Source, correction_id, digest

logger = logging.getLogger(__name__)

LEAKS = "it quotes hidden data of its task"

Distiller: TypeAlias = Callable[[Sequence[Attempt]], Sequence[Correction] | Awaitable[Sequence[Correction]]]
"""Makes corrections of the attempts of a trajectory whose last one passed."""


class Distil:
    """Keep what was learnt: corrections from feedback that led to a pass; whether recalled ones helped."""

    def __init__(self, memory: Memory | None, distil: Distiller | None = None) -> None:
        self.memory = memory
        self.distil = distil or keep_feedback

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Write to the memory; the state stays as it is."""
        best = state.get("best")
        if self.memory is None or best is None or state.get("stop_reason") in ("budget", "error"):
            return {}
        run = runtime.context or RunContext()
        passed = best.feedback is not None and best.feedback.verdict == "pass"
        with run.at(best.trajectory, best.number, "distil"), boundary("memory") as caught:
            episodic = bool(getattr(self.memory, "episodic", False))
            # Reflections were recalled for the last attempt, corrections for the first: feedback came since.
            await self._settle(state, run, helped=passed and (best.number == 1 or episodic))
            if passed and best.number > 1 and not episodic:
                await self._keep((*state.get("earlier", ()), best), run, recalled=state.get("recalled", ()))
        if caught.error:
            raise MemoryFailed(caught.error)
        return {}

    async def _settle(self, state: State, run: RunContext, *, helped: bool) -> None:
        """Settle what was recalled; ``shown`` is named only where it was not, to a memory with rent."""
        memory, best = self.memory, state["best"]
        assert memory is not None
        uses: list[tuple[Correction, dict[str, bool]]] = [(each, {}) for each in state.get("recalled", ())]
        uses += [(each, {"shown": False}) for each in state.get("withheld", ())]
        for index, (correction, told) in enumerate(uses):

            async def make(id: str = correction.id, told: Mapping[str, bool] = told) -> bool:
                await memory.settle(id, trajectory=use_of(run, best.trajectory), helped=helped, **told)
                return helped

            place = place_of(best.trajectory, best.number, "settle", index)
            await run.once(place, digest(correction.id, str(helped), *told), make)

    async def _keep(
        self, attempts: Sequence[Attempt], run: RunContext, *, recalled: Sequence[Correction]
    ) -> None:
        last = attempts[-1]
        seen = tuple(public_attempt(attempt) for attempt in attempts)
        ordinal, proof = 0, Proof(attempts, tuple(recalled))
        for correction in await bring(self.distil, seen, executor=run.executor):
            key = correction.key or (last.task.prompt if getattr(self.memory, "by_context", False) else "")
            correction = correction.replace(
                key=key,
                id=correction_id(run_id(run), last.trajectory, correction.text),
                source=correction.source.replace(run=run_id(run), trajectory=last.trajectory),
            )
            if any(leaks(text, last.task) for text in _texts(correction)):
                logger.warning("a correction from %s was not kept: it quotes hidden data", last.trajectory)
                refuse = getattr(self.memory, "refuse", None)
                if refuse is not None:
                    where = correction.source.replace(quote="")
                    refuse(correction.id, reason="hidden", why=LEAKS, source=where)
                continue
            place = place_of(last.trajectory, last.number, "keep", ordinal)
            await keep(self.memory, correction, run=run, place=place, proof=proof)
            ordinal += 1


class Proof(NamedTuple):
    """What a memory with a gate examines: the attempts with all their data, and what the agent was shown."""

    attempts: Sequence[Attempt]
    recalled: Sequence[Correction]


async def keep(
    memory: Memory | None, correction: Correction, *, run: RunContext, place: str, proof: Proof | None = None
) -> None:
    """Record a correction as an effect, with the time at which it was made.

    A memory that has ``admit`` is given the proof, and decides whether to keep it.
    """

    async def make() -> Correction:
        dated = correction.replace(created=datetime.now(UTC).isoformat(timespec="seconds"))
        assert memory is not None
        admit = getattr(memory, "admit", None)
        if admit is None or proof is None:
            await memory.record(dated)
        else:
            await admit(dated, attempts=proof.attempts, recalled=proof.recalled)
        return dated

    await run.once(place, digest(correction.id), make, kind="record")


def _texts(correction: Correction) -> Sequence[str]:
    """Everything in a correction that a prompt, a search or a person may come to see."""
    scope = (correction.applies_when, correction.not_when)
    return (correction.text, correction.key, *scope, correction.source.quote)


def keep_feedback(attempts: Sequence[Attempt]) -> Sequence[Correction]:
    """The plainest distiller: what the critic said of each failed attempt, in its own words."""
    kept: dict[str, Correction] = {}
    for attempt in attempts:
        told = attempt.feedback
        if told is None or told.verdict == "pass" or told.kind in ("unary", "binary", "scalar"):
            continue
        source = Source(trajectory=attempt.trajectory, attempt=attempt.number, quote=told.text)
        kept[told.text] = Correction(
            id=correction_id("", attempt.trajectory, told.text),
            text=told.text,
            key=f"{attempt.task.prompt}\n{told.text}",
            kind="correction",
            level=told.level,
            source=source,
        )
    return tuple(kept.values())
