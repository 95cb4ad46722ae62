"""An export streams: ten times the rows take no more memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from copy import copy
from pathlib import Path

import pytest

from agentloop.export import write_export
from agentloop.types import Trajectory
from tests.export_logs import Tried, log

STEPS = 20
SLACK_KIB = 16 * 1024
"""Held for good: a counter of group ids, some 200 bytes each, and what the allocator keeps back."""


def generated(size: int) -> Iterator[Trajectory]:
    """A log of attempts of ``STEPS`` steps, two in a group, made one at a time."""
    model = log("0/0", Tried([f"step {n} {'x' * 40}" for n in range(STEPS)], 1.0), group="0")
    for number in range(size):
        each = copy(model)
        object.__setattr__(each, "id", f"{number // 2}/{number % 2}")
        object.__setattr__(each, "group_id", str(number // 2))
        yield each


def peak_kib() -> int:
    """The most memory this process has held; unlike ru_maxrss it does not begin with the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def exported(rows: int, folder: Path) -> dict[str, int]:
    """The figures of an export of so many rows in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_export_stream", str(rows), str(folder)],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, int] = json.loads(done.stdout)
    return figures


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
def test_a_hundred_thousand_rows_take_no_more_memory_than_ten_thousand(tmp_path: Path) -> None:
    small, large = exported(10_000, tmp_path / "small"), exported(100_000, tmp_path / "large")
    assert (small["rows"], large["rows"]) == (10_000, 100_000)
    assert large["bytes"] > 150_000_000
    assert large["peak_kib"] - small["peak_kib"] < SLACK_KIB


def main(rows: int, folder: Path) -> None:
    """Export so many rows and print the figures."""
    report = write_export(lambda: generated(rows // STEPS), method="sft", format="trl", to=folder)
    figures = {"rows": report.rows, "bytes": Path(report.path).stat().st_size, "peak_kib": peak_kib()}
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
