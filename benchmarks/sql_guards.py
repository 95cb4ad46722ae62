"""What the guards of the SQL environment cost: open, query, close in a worker with and without them.

    AGENTLOOP_DATA=.../data python benchmarks/sql_guards.py

Runs every accepted query of sql-defog in three workers by turns: one guarded; one that is the same
but for the guards; and, as a stricter comparison, one whose only guard is that files are opened
read-only. Medians over the rounds are compared. The times are taken inside the worker, so that the
pipe does not hide the difference; the round trip, pipe and JSON included, is reported beside it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agentloop.environments.sql import worker
from agentloop.environments.sql.guards import Guard

ROUNDS = 41
WORKERS = ("guarded", "plain", "read_only")
ROWS, BYTES, SECONDS = 1000, 1 << 20, 60.0


class TimedWorker(worker.Worker):
    """A worker that can also run a list of statements and say how long each took."""

    def do_times(self, request: dict[str, Any]) -> dict[str, Any]:
        """Seconds for opening the database, running the statement and closing, for each of the requests."""
        seconds = []
        for each in request["requests"]:
            began = time.perf_counter()
            answer = self.do_query({**each, "seconds": request["seconds"]})
            seconds.append(time.perf_counter() - began)
            if "error" in answer:
                raise sqlite3.OperationalError(str(answer["error"]))
        return {"times": seconds}


def open_plain(_worker: worker.Worker, request: dict[str, Any]) -> tuple[sqlite3.Connection, Guard, bool]:
    """A connection as the standard library gives it."""
    return sqlite3.connect(request["database"], isolation_level=None), Guard(), True


def open_read_only(_worker: worker.Worker, request: dict[str, Any]) -> tuple[sqlite3.Connection, Guard, bool]:
    """A connection that is read-only and nothing else."""
    path = f"file:{request['database']}?mode=ro"
    return sqlite3.connect(path, uri=True, isolation_level=None), Guard(), True


def guarded(parent: int) -> None:
    """Run as the worker that is used."""
    worker.bound_process()
    worker.run(TimedWorker(), parent)


def plain(parent: int) -> None:
    """Run as the worker without guards."""
    worker.run(TimedWorker(open_plain), parent)


def read_only(parent: int) -> None:
    """Run as the worker that opens files read-only."""
    worker.run(TimedWorker(open_read_only), parent)


def accepted(folder: Path) -> list[dict[str, Any]]:
    """One request for each accepted query."""
    requests = []
    for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines():
        question = json.loads(line)
        path = str(folder / f"{question['db_name']}.sqlite")
        queries = [query for query in question["query"].split(";") if query.strip()]
        requests += [{"database": path, "query": query, "rows": ROWS, "bytes": BYTES} for query in queries]
    return requests


def main() -> None:
    """Measure and print."""
    from agentloop.environments.sql.pool import WorkerProcess

    requests = accepted(Path(os.environ["AGENTLOOP_DATA"]) / "sql-defog")
    workers = {name: WorkerProcess(f"benchmarks.sql_guards:{name}") for name in WORKERS}
    inside: dict[str, list[float]] = {name: [] for name in workers}
    trips: dict[str, list[float]] = {name: [] for name in workers}
    for number in range(ROUNDS + 1):
        for name in workers if number % 2 else reversed(workers):
            answer = workers[name].ask({"op": "times", "requests": requests, "seconds": SECONDS}, SECONDS)
            trip = sum(_trip(workers[name], request) for request in requests) / len(requests)
            if number:  # the first round warms up
                inside[name].append(sum(answer["times"]) / len(requests))
                trips[name].append(trip)
    for each in workers.values():
        each.end()
    _print(len(requests), inside, trips)


def _trip(process: Any, request: dict[str, Any]) -> float:
    began = time.perf_counter()
    process.ask({"op": "query", **request, "seconds": SECONDS}, SECONDS)
    return time.perf_counter() - began


def _print(queries: int, inside: dict[str, list[float]], trips: dict[str, list[float]]) -> None:
    print(f"{queries} accepted queries, {ROUNDS} rounds by turns, SQLite {sqlite3.sqlite_version}")
    print(f"{'microseconds a query':36}" + "".join(f"{name:>11}" for name in WORKERS) + f"{'ratios':>14}")
    for label, times in (("open, query, close (in the worker)", inside), ("round trip", trips)):
        medians = "".join(f"{median(times[name]) * 1e6:>11.0f}" for name in WORKERS)
        ratios = [
            median(one / other for one, other in zip(times["guarded"], times[name], strict=True))
            for name in WORKERS[1:]
        ]
        print(f"{label:36}{medians}{ratios[0]:>8.2f}{ratios[1]:>6.2f}")


if __name__ == "__main__":
    main()
