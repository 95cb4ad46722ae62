"""CPU time of one failing three-attempt episode: ours against DSPy's Refine(N=3), side by side.

    python benchmarks/episode_cpu.py            (needs the extra 'bench')

Each side runs in processes of its own, alternating, nine of each; a process warms up, then measures
its own CPU time over its episodes. Both make five calls of a dummy model: three attempts and two
pieces of advice. Ours journals every effect with redaction on and syncs in groups; its critic is a
plain function. The medians and their ratio are printed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 9


def ours(concurrency: int) -> Callable[[int], None]:
    """Episodes of reflect_and_retry over a scripted model, journaled."""
    from agentloop import Attempt, Feedback, ScriptedModel, Task, improve, reflect_and_retry

    def critic(attempt: Attempt) -> Feedback:
        return Feedback(text="The answer is wrong; look at the units.", verdict="fail", score=0.0)

    model = ScriptedModel(lambda messages, sampling: f"An answer, {sampling['seed']}.")
    agent = reflect_and_retry(model=model, critic=critic, reflect=model, attempts=3)

    def run(episodes: int) -> None:
        tasks = [Task(id=f"task {i}", prompt="How many users are there?") for i in range(episodes)]
        with tempfile.TemporaryDirectory() as folder:
            result = improve(agent, tasks, folder=f"{folder}/run", concurrency=concurrency)
        del result

    return run


def dspys(concurrency: int) -> Callable[[int], None]:
    """Episodes of dspy.Refine(N=3) over ChainOfThought that never reach the threshold."""
    import dspy
    from dspy.utils import DummyLM

    logging.getLogger("dspy").setLevel(logging.ERROR)
    said = {
        "reasoning": "r",
        "answer": "An answer.",
        "discussion": "d",
        "advice": '{"predict": "Look at the units."}',
    }
    lm = DummyLM([said] * 1_000_000)
    dspy.configure(lm=lm, adapter=dspy.ChatAdapter())

    def reward(inputs: Any, prediction: Any) -> float:
        return 0.0

    def episode(question: str) -> Any:
        refine = dspy.Refine(dspy.ChainOfThought("question -> answer"), N=3, reward_fn=reward, threshold=1.0)
        return refine(question=question)

    def run(episodes: int) -> None:
        if concurrency == 1:
            for _ in range(episodes):
                episode("How many users are there?")
            return
        parallel = dspy.Parallel(num_threads=concurrency, disable_progress_bar=True)
        parallel([(episode, {"question": "How many users are there?"}) for _ in range(episodes)])

    return run


def measure(side: str, concurrency: int, episodes: int) -> float:
    """CPU milliseconds of one episode, in this process."""
    run = (ours if side == "ours" else dspys)(concurrency)
    run(20)
    began = time.process_time()
    run(episodes)
    return (time.process_time() - began) / episodes * 1000


def in_own_process(side: str, concurrency: int, episodes: int) -> float:
    """The same, in a fresh process with one BLAS thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--side", side]
    command += ["--concurrency", str(concurrency), "--episodes", str(episodes)]
    done = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", choices=["ours", "dspy"])
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--episodes", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    if given.side:
        sys.stdout.write(json.dumps(measure(given.side, given.concurrency, given.episodes)) + "\n")
        return
    for concurrency in (16, 1):
        taken: dict[str, list[float]] = {"ours": [], "dspy": []}
        for _ in range(given.rounds):
            for side, times in taken.items():
                times.append(in_own_process(side, concurrency, given.episodes))
        medians = {side: statistics.median(times) for side, times in taken.items()}
        told = ", ".join(f"{s} {medians[s]:.2f} ms ({min(t):.2f} to {max(t):.2f})" for s, t in taken.items())
        ratio = medians["ours"] / medians["dspy"]
        sys.stdout.write(f"concurrency {concurrency}: {told}; ours / dspy = {ratio:.2f}\n")


if __name__ == "__main__":
    main()
