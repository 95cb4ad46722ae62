"""A scripted model that writes programs, and errs and mends as often as GPT-3.5 did in published logs."""

from __future__ import annotations

import asyncio
import inspect
import random
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypeAlias

from agentloop.errors import BadInput
from agentloop.models.mutations import mutations
from agentloop.models.programmer import FEEDBACK, is_located
from agentloop.models.scripted import ScriptedModel
from agentloop.types import Fact, Message, digest


class Judged(Protocol):
    """What running a program on its tests showed; a Verdict of the code environment is one."""

    @property
    def passed(self) -> bool:
        """Whether every test passed."""
        ...

    @property
    def why(self) -> str:
        """``assert`` or ``exception`` for failures like those of the logs; all others are passed over."""
        ...

    @property
    def facts(self) -> Sequence[Fact]:
        """Among them ``tests``, with the tests that failed and how many there are."""
        ...


Judge: TypeAlias = Callable[[str, str], Judged | Awaitable[Judged]]
"""Runs the program of a task on tests: ``judge(key, program)``, the key being that of ``solutions``."""


class Share(NamedTuple):
    """So many of so many, as counted in a log."""

    found: int
    total: int

    @property
    def rate(self) -> float:
        """The share as a number."""
        return self.found / self.total


class Rates(NamedTuple):
    """How often a model errs, in which way, and how often it mends what it wrote."""

    wrong: Share
    """First programs that fail the hidden tests."""
    kinds: Mapping[str, int]
    """How wrong first programs fail: ``exception``; a wrong value in ``few`` (under half) or in ``many``
    of the tests."""
    resampled: Share
    """Programs that are right although another one for the same task was wrong, nothing being told."""
    mendable: Share
    """Tasks with a wrong program that were right at some time after located feedback."""
    mended: Share
    """Retries of such tasks, up to the first right one, that were right."""
    repeated: Share
    """Failed retries that gave the program of before, unchanged."""


GPT35 = Rates(
    wrong=Share(19, 82),
    kinds={"few": 9, "many": 7, "exception": 3},
    resampled=Share(2, 19),
    mendable=Share(3, 7),
    mended=Share(3, 5),
    repeated=Share(16, 39),
)
"""Counted by running the logs of LLMDebugger (FloridSleeves/LLMDebugger, commit 49ac191f181d, Apache-2.0;
HumanEval's even numbers), their hidden tests deciding.

``wrong`` and ``kinds``: ``ldb-seed-gpt35``, asserts of the programs' own left out. The log calls 21
wrong; HumanEval 8 and 106 pass here. None had a syntax error, missed a name or ran out of time. What
was changed in the code against a right one cannot be counted; which mutation stands for it is drawn.

``mendable``, ``mended`` and ``repeated``: ``ldb-reflexion-gpt35``, where GPT-3.5 debugs with the failing
public tests and what came instead in view. Seven tasks show a wrong program that it had written itself
and was told of; three of them were right at a later retry, by five retries up to that. Seven tasks
are few, and hard ones: GPT-4 with Reflexion had left nearly all of them unwritten. Counted by retries,
4 of 43 were right; of 9 that began from an empty body, 4.

``resampled`` is not in the logs, which hold one first program of GPT-3.5 a task. In its place stands how
often CodeLlama (``ldb-seed-codellama``), a weaker model, was right where GPT-3.5 was wrong: rather too low.
"""

MOST_JUDGED = 40
"""How many mutations of one solution are run in search of those that fail."""
BUGS = 3
"""How many wrong programs a task has."""


class ErringModel(ScriptedModel):
    """Knows the right program of each task, and gives a wrong one as often as ``rates`` say.

    ``solutions`` map a text that stands in the prompt, such as the task's, to the right program.
    ``judge`` runs mutations of it on the task's tests, so that a wrong program is known to fail, and
    how; it is asked in threads, when a task first needs a wrong program. ``unplanted`` holds the keys
    of tasks for which no failing mutation was found: their right program is given instead.

    Being wrong depends on the task: a share of them is hard, and every first program for a hard one is
    wrong with the same probability, so that sampling again, or being told only to try again, mends at
    the rate ``resampled``. Feedback that says where the fault shows (``heeds``) mends at the rate
    ``mended``, in tasks that can be mended at all. A right program that is shown is given again. The
    program that feedback is about is found in what the messages show, and what was said is read from
    behind it: fenced feedback, or else all of it. Without a program and without fenced feedback it is a
    first try.

    A reply depends on the messages, the sampling ``seed``, the sample's number and ``seed`` alone: the
    same request has the same reply, whatever was asked before. A stand-in for trying out a loop: it
    knows the solutions, so its figures say nothing of a real model.
    """

    def __init__(
        self,
        solutions: Mapping[str, str],
        judge: Judge,
        *,
        seed: int = 0,
        rates: Rates = GPT35,
        heeds: Callable[[str], bool] = is_located,
        name: str = "erring",
    ) -> None:
        if not solutions:
            raise BadInput("solutions must hold at least one task's text and its right program")
        if rates.resampled.rate >= 1 or rates.wrong.rate > 1 - rates.resampled.rate:
            most = 1 - rates.resampled.rate
            raise BadInput(f"wrong ({rates.wrong.rate:.2f}) must be at most 1 - resampled ({most:.2f})")
        super().__init__(self._script_of_errors, name=name)
        self.solutions = dict(solutions)
        self.rates, self.heeds, self.seed = rates, heeds, seed
        self.unplanted: set[str] = set()
        self._judge = judge
        self._keys = sorted(self.solutions, key=len, reverse=True)
        self._bugs: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    def is_hard(self, key: str) -> bool:
        """Whether first programs for this task may be wrong."""
        return self._chance("hard", key) < self.rates.wrong.rate / (1 - self.rates.resampled.rate)

    def bugs(self, key: str) -> tuple[str, ...]:
        """The wrong programs of a task, each of which failed its tests. Blocks while it looks for them."""
        with self._lock:
            if key not in self._bugs:
                self._bugs[key] = self._found_bugs(key)
                if not self._bugs[key]:
                    self.unplanted.add(key)
            return self._bugs[key]

    async def _script_of_errors(self, messages: Sequence[Message], sampling: dict[str, Any]) -> str:
        asked = "\n".join(message["content"] for message in messages)
        key = next((each for each in self._keys if each.strip() in asked), None)
        if key is None:
            raise BadInput(f"{self.name} knows none of its {len(self._keys)} tasks in {asked[-200:]!r}")
        place = (key, asked, str(sampling.get("seed")), str(sampling.get("sample", 0)))
        if not self.is_hard(key):
            return _fenced(self.solutions[key])
        bugs = await asyncio.to_thread(self.bugs, key)
        return _fenced(self._chosen(key, bugs, asked, place) if bugs else self.solutions[key])

    def _chosen(self, key: str, bugs: Sequence[str], asked: str, place: tuple[str, ...]) -> str:
        """The program to give: the first, or the next after the one that is shown."""
        right, rates = self.solutions[key], self.rates
        after = asked[asked.rfind(key.strip()) + len(key.strip()) :]
        shown = max((*bugs, right), key=lambda each: after.rfind(each.strip()))
        is_shown = shown.strip() in after
        if is_shown and shown == right:
            return right
        behind = after[after.rfind(shown.strip()) + len(shown.strip()) :] if is_shown else ""
        told = "\n".join(FEEDBACK.findall(behind if is_shown else after)) or behind
        if self.heeds(told):
            can = self._chance("mendable", key) < rates.mendable.rate
            is_right = can and self._chance("mended", *place) < rates.mended.rate
        else:
            is_right = self._chance("resampled", *place) < rates.resampled.rate
        if is_right:
            return right
        if is_shown and self._chance("repeated", *place) < rates.repeated.rate:
            return shown
        others = [each for each in bugs if not is_shown or each != shown] or [shown]
        return others[int(self._chance("other", *place) * len(others))]

    def _found_bugs(self, key: str) -> tuple[str, ...]:
        """Failing mutations; one of the kind that was drawn for the task comes first if there is one."""
        draw = random.Random(digest(str(self.seed), "bugs", key))
        kinds = self.rates.kinds
        wanted = draw.choices(list(kinds), list(kinds.values()))[0]
        tried = list(_mutations(self.solutions[key]))
        draw.shuffle(tried)
        alike: list[str] = []
        others: list[str] = []
        for program in tried[:MOST_JUDGED]:
            kind = failure(self._run(key, program))
            if kind == wanted:
                alike.append(program)
            elif kind is not None:
                others.append(program)
            if len(alike) == BUGS:
                break
        return tuple((*alike, *others)[:BUGS] if len(alike) < BUGS else alike)

    def _run(self, key: str, program: str) -> Judged:
        found = self._judge(key, program)
        return asyncio.run(_awaited(found)) if inspect.isawaitable(found) else found

    def _chance(self, *place: str) -> float:
        return random.Random(digest(str(self.seed), *place)).random()


async def _awaited(found: Awaitable[Judged]) -> Judged:
    return await found


@lru_cache(maxsize=1024)
def _mutations(program: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(mutations(program)))


def failure(judged: Judged) -> str | None:
    """How a program fails: ``few``, ``many`` or ``exception``, as in ``Rates.kinds``.

    None where it passes, and where it fails in a way that the logs do not show or nothing is known.
    """
    if judged.passed:
        return None
    if judged.why == "exception":
        return "exception"
    if judged.why != "assert":
        return None
    counted = next((fact.data for fact in judged.facts if fact.kind == "tests"), None)
    if not counted:
        return "many"
    return "few" if 2 * len(counted["failed"]) < counted["total"] else "many"


def _fenced(program: str) -> str:
    return f"```python\n{program.strip(chr(10))}\n```"
