"""What a memory loses when its writer is killed, and when several write at once: nothing.

    python benchmarks/memory_kills.py kills [--count 200]
    python benchmarks/memory_kills.py writers [--each 5000]

`kills`: SIGKILL at random instants, ten folders, in every second one Chroma answers; every fifth time the
index is damaged as well. `writers`: four processes at once through `chroma run`. Both end with an error when
anything that was acknowledged is missing, changed, or cannot be found. Results go to benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from code_tables import between  # noqa: E402

from tests.killed_memory import kill_often  # noqa: E402  the same as the tests do, more often
from tests.served_memory import served, write_together  # noqa: E402


def kills(count: int) -> str:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        told = kill_often(Path(folder), kills=count, seed=1)
    counted = told.acknowledged
    return "\n".join(
        [
            f"{told.kills} kills in {time.monotonic() - started:.0f} s. Acknowledged, and there afterwards: "
            f"{counted['active']:,} corrections recorded, {counted['quarantined']:,} marked, "
            f"{counted['forgotten']:,} forgotten; **none lost**. {told.unasked} changes were under way when "
            "the process ended and are there all the same, never more than one a kill. The log said:",
            "",
            *(f"- {what}: {times} times" for what, times in sorted(told.said.items())),
        ]
    )


def writers(each: int) -> str:
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "server") as url:
        told = write_together(Path(folder), url, writers=4, each=each)
    return (
        f"4 writers x {each:,} corrections through `chroma run`, {told.seconds:.0f} s: {told.acknowledged:,} "
        f"acknowledged, {told.kept:,} kept, {told.readable:,} vectors readable on the server and those of "
        f"their words; of {told.asked} asked by their own words {told.found} came first. **None lost.**"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["kills", "writers"])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--each", type=int, default=5000)
    options = parser.parse_args()
    text = kills(options.count) if options.what == "kills" else writers(options.each)
    print(text)
    name = options.what if options.what == "kills" else f"writers {options.each}"
    between(HERE / "RESULTS.md", f"memory {name}", text)


if __name__ == "__main__":
    main()
