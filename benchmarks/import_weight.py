"""What importing costs beside ``import pydantic``: whole processes, alternating, median of fifteen.

python benchmarks/import_weight.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

STATEMENTS = ("import pydantic", "import agentloop", "from agentloop import Attempt, Feedback, Task")
ROUNDS = 15


def main() -> None:
    taken: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for _ in range(ROUNDS):
        for statement, times in taken.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            times.append(time.perf_counter() - began)
    base = statistics.median(taken["import pydantic"])
    for statement, times in taken.items():
        middle = statistics.median(times)
        sys.stdout.write(f"{statement:<45} {middle * 1000:6.1f} ms   {middle / base:.2f}\n")


if __name__ == "__main__":
    main()
