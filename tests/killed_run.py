"""A run made to be killed: ``python killed_run.py SERVER`` forks one for every line on its input.

A line is ``FOLDER``; the answer is the child's process id. Forking after the imports lets a kill
fall into the run and not into Python's start-up.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentloop import Attempt, Feedback, Reply, Step, Task, Usage, aimprove, reflect_and_retry
from agentloop.models.recording import recorded
from agentloop.types import Message

TASKS = [Task(id=f"task {i}", prompt=f"Task {i}: say it.") for i in range(100)]
CONCURRENCY = 8


class ServedModel:
    """A model reached over HTTP by the standard library alone, so that a start takes milliseconds."""

    name = "served"

    def __init__(self, address: str) -> None:
        self.port = int(address.split(":")[2].split("/")[0])

    @recorded
    async def complete(self, messages: Sequence[Message], /, **sampling: Any) -> Sequence[Reply]:
        body = json.dumps({"model": "m", "messages": list(messages), "seed": sampling["seed"]}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in answer.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        told = json.loads(await reader.readexactly(length))
        writer.close()
        return [Reply(text=told["choices"][0]["message"]["content"], usage=Usage(tokens_out=2))]


class Counted:
    """An environment that writes down every action it carries out."""

    log: Path

    def __init__(self, task: Task) -> None:
        self.task = task

    def prompt(self) -> str:
        return self.task.prompt

    def step(self, action: str) -> Step:
        with self.log.open("a") as file:
            file.write(json.dumps([self.task.id, action]) + "\n")
        return Step(action=action, observation="seen", done=True)

    def close(self) -> None:
        pass


def critic(attempt: Attempt) -> Feedback:
    """One task in four passes at each of its three attempts; one never does."""
    passes = int(attempt.task.id.split()[1]) % 4 == attempt.number
    return Feedback(text=f"No. {attempt.number}", verdict="pass" if passes else "fail")


def grader(attempt: Attempt) -> float:
    return float(attempt.feedback is not None and attempt.feedback.verdict == "pass")


def work(server: str, folder: Path) -> None:
    model = ServedModel(server)
    Counted.log = folder / "actions.jsonl"
    agent = reflect_and_retry(model=model, critic=critic, environment=Counted, reflect=model, stop=[])
    asyncio.run(aimprove(agent, TASKS, folder=folder, grader=grader, concurrency=CONCURRENCY))


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(sys.argv[1], Path(line.strip()))
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
