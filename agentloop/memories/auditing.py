"""What is wrong with a memory: each finding with what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import comb
from typing import Any

from agentloop.memories.carrying import saying
from agentloop.memories.contradicting import contradictions
from agentloop.memories.hashing import HashingEmbedder
from agentloop.memories.history import History
from agentloop.memories.injection import injected
from agentloop.memories.ledger import Ledger
from agentloop.memories.rent import Rent
from agentloop.memories.secrets import secret_in
from agentloop.types import Correction, Source

_MOST_LUCK = 0.01
"""Below this chance a correction that helped so seldom is called harmful."""

_NEAR = 0.5
"""The least cosine between two texts that are compared for contradicting each other."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found.

    ``must`` means that something has to be done; otherwise a look is enough. ``fixable`` means that
    ``--fix`` does it, without losing anything: what it changes can be changed back.
    """

    kind: str
    ids: tuple[str, ...] = ()
    told: str
    must: bool
    fixable: bool = False

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """The finding for programs."""
        return {**asdict(self), "remedy": self.remedy}


REMEDIES = {
    "log": "mend or delete that line, or take the file from a copy; nothing else can be told before",
    "torn": "nothing: the next process that writes cuts the half line off",
    "index": "nothing, or --fix: the index is made anew from the log, at the latest when it is opened",
    "secret": "forget ID --erase, and revoke the secret: it was shown to models; --fix quarantines",
    "personal": "look whether it may be kept; else forget ID --erase",
    "injected": "why ID shows who said it; forget it unless somebody did whom you trust",
    "harmful": "--fix quarantines it; why ID shows its uses",
    "contradiction": "why ID on both; edit the scope of one, or forget the one that is wrong",
    "duplicate": "merge ID --into ID, or --fix: one gets the uses of all, the others are retired",
    "unused": "edit applies_when or the key, so that it is found, or forget it",
    "orphan": "nothing can show what taught it: look whether it is right, or forget it",
}
"""What to do about each kind of finding; ``ID`` follows ``agentloop memory COMMAND FOLDER``."""

KINDS = tuple(REMEDIES)


def audit(
    history: History,
    *,
    unused_after: int = 200,
    found_in_runs: Callable[[Source], bool] | None = None,
) -> Sequence[Finding]:
    """Everything that is found in the corrections that are kept, the gravest kinds first.

    ``unused_after`` is how many recalls of the whole memory one may pass without being recalled itself.
    ``found_in_runs`` says whether the trajectory of a source is at hand; without it, only those that name
    no source at all are orphans.
    """
    ledger = history.ledger
    kept = tuple(ledger.corrections.values())
    in_use = [each for each in kept if each.status in ("active", "candidate")]
    return [
        *_secrets(history),
        *_harmful(ledger),
        *_injected(in_use),
        *_contradictions(in_use, ledger),
        *_duplicates(in_use),
        *_unused(ledger, unused_after),
        *_orphans(kept, found_in_runs),
    ]


def _secrets(history: History) -> Iterator[Finding]:
    """Secrets in what is kept, and in what was forgotten or changed and still stands in the log."""
    kept = history.ledger.corrections
    told: set[str] = set()
    for correction in [*kept.values(), *_written(history)]:
        parts = (correction.text, correction.key, correction.applies_when, correction.not_when)
        words = "\n".join((*parts, correction.source.quote))
        secret = secret_in(words, personal=False)
        found = secret or secret_in(words)
        if not found or correction.id in told:
            continue
        told.add(correction.id)
        now = kept.get(correction.id)
        where = "forgotten, and still in the log" if now is None else now.status
        used = now is not None and now.status in ("active", "candidate")
        yield Finding(
            kind="secret" if secret else "personal",
            ids=(correction.id,),
            told=f"{found} ({where})",
            must=bool(secret),
            fixable=bool(secret) and used,
        )


def _written(history: History) -> Iterator[Correction]:
    """Every version of every correction that stands in the log."""
    ids = {event["correction"]["id"]: None for event in history.events if event["event"] == "recorded"}
    changed = {event["id"] for event in history.events if event["event"] in ("edited", "forgotten")}
    return (version.correction for id in ids if id in changed for version in history.versions(id))


def _harmful(ledger: Ledger) -> Iterator[Finding]:
    """Active ones that are shown to harm, by hold-out where there is one, or else by rarely helping."""
    kept = ledger.corrections.values()
    helped, uses = sum(each.helped for each in kept), sum(each.helped + each.hurt for each in kept)
    for each in kept:
        if each.status != "active":
            continue
        worth = Rent().worth(ledger.tally.uses(each.id))
        own = each.helped + each.hurt
        rate = (helped - each.helped) / (uses - own) if uses > own else 0.5
        if worth.harms:
            told = f"showing it changes the pass rate by {worth.low:+.2f} to {worth.high:+.2f}"
        elif own and rate and _at_most(each.helped, own, rate) < _MOST_LUCK:
            told = f"helped {each.helped} of {own} times, the others {rate:.0%}"
        else:
            continue
        yield Finding(kind="harmful", ids=(each.id,), told=told, must=True, fixable=True)


def _at_most(count: int, of: int, rate: float) -> float:
    """The chance of at most ``count`` successes ``of`` so many tries that each succeed at ``rate``."""
    return sum(comb(of, each) * rate**each * (1 - rate) ** (of - each) for each in range(count + 1))


def _injected(in_use: Sequence[Correction]) -> Iterator[Finding]:
    """Those that read like an instruction that somebody slipped in, as an import may bring them."""
    for each in in_use:
        why = injected(f"{each.text}\n{each.applies_when}\n{each.not_when}")
        if why:
            yield Finding(kind="injected", ids=(each.id,), told=f"{why}: {each.text}", must=False)


def _contradictions(in_use: Sequence[Correction], ledger: Ledger) -> Iterator[Finding]:
    """Pairs whose scopes meet and whose words or outcomes oppose each other."""
    if len(in_use) < 2:
        return
    rows = HashingEmbedder()([each.text for each in in_use])
    worths = {each.id: Rent().worth(ledger.tally.uses(each.id)) for each in in_use}
    for pair in contradictions(in_use, rows, near=_NEAR, worths=worths):
        told = f"{pair.why}: {pair.first.text} / {pair.second.text}"
        yield Finding(kind="contradiction", ids=(pair.first.id, pair.second.id), told=told, must=True)


def _duplicates(in_use: Sequence[Correction]) -> Iterator[Finding]:
    """Those that say the same in the same scope; the one to keep comes first."""
    alike: defaultdict[tuple[Any, ...], list[Correction]] = defaultdict(list)
    for each in in_use:
        alike[saying(each)].append(each)
    for group in alike.values():
        if len(group) > 1:
            best = sorted(group, key=lambda each: (each.status != "active", each.hurt - each.helped))
            ids = tuple(each.id for each in best)
            yield Finding(kind="duplicate", ids=ids, told=best[0].text, must=True, fixable=True)


def _unused(ledger: Ledger, after: int) -> Iterator[Finding]:
    for each in ledger.corrections.values():
        since = ledger.tally.recalls_since(each.id)
        if each.status == "active" and not each.recalled and since >= after:
            told = f"in {since} recalls never found: {each.text}"
            yield Finding(kind="unused", ids=(each.id,), told=told, must=False)


def _orphans(kept: Iterable[Correction], found: Callable[[Source], bool] | None) -> Iterator[Finding]:
    for each in kept:
        source = each.source
        if not (source.run or source.trajectory or source.quote):
            told = f"no source is named: {each.text}"
        elif found is not None and not found(source):
            told = f"trajectory {source.trajectory or '(none)'} is in no run there: {each.text}"
        else:
            continue
        yield Finding(kind="orphan", ids=(each.id,), told=told, must=False)
