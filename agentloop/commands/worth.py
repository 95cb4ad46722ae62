"""``agentloop memory worth | refused``: what each correction brings in, and what was not let in."""

from __future__ import annotations

from pathlib import Path

from agentloop.commands.listing import columns, one_line, print_rows, shorter, write_json
from agentloop.commands.telling import tell
from agentloop.memories.history import History
from agentloop.memories.rent import Rent, Worth

_MOST = 100


def tell_worths(folder: Path, *, as_json: bool) -> None:
    """What showing each correction changes in the pass rate, the worst first."""
    ledger, rent = History(folder).ledger, Rent()
    worths = {id: rent.worth(ledger.tally.uses(id)) for id in ledger.corrections}
    if as_json:
        write_json({"worths": {id: worth.to_dict() for id, worth in worths.items()}})
        return
    width = shorter(worths)
    table = columns("id", "status", "+worth", "95 % interval", "+shown", "+withheld", "*what it says")
    for id, worth in sorted(worths.items(), key=lambda each: _order(each[1])):
        held = ledger.corrections[id]
        drawn = worth.shown + worth.withheld > 0
        interval = f"{worth.low:+.2f} to {worth.high:+.2f}" if drawn else "nothing known"
        value = "" if worth.value is None else f"{worth.value:+.2f}"
        counts = (str(worth.shown), str(worth.withheld))
        table.add_row(id[:width], held.status, value, interval, *counts, one_line(held.text))
    print_rows(table)
    pays, harms = (sum(getattr(each, name) for each in worths.values()) for name in ("pays", "harms"))
    tell(f"{len(worths)} corrections: {pays} shown to pay, {harms} shown to harm")
    if not any(worth.shown + worth.withheld for worth in worths.values()):
        tell("no use was drawn: open the memory with rent=Rent() so that some recalls are withheld")


def _order(worth: Worth) -> tuple[bool, float]:
    return worth.value is None, worth.value or 0.0


def tell_refused(folder: Path, *, as_json: bool) -> None:
    """What was not let in, newest last, with the reason; its words are not kept."""
    refusals = list(History(folder).ledger.refusals.values())
    if as_json:
        write_json({"refused": refusals})
        return
    table = columns("when", "reason", "*why")
    for event in refusals[-_MOST:]:
        when = one_line(event.get("at", "")[:16].replace("T", " "))
        table.add_row(when, one_line(event["reason"]), one_line(event["why"]))
    print_rows(table)
    more = f", the last {_MOST} shown; all with --json" if len(refusals) > _MOST else ""
    tell(f"{len(refusals)} refused{more}")
