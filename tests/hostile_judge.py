"""The judge of hostile programs: it plants canaries and secrets, and looks from outside at what happened.

    python -m tests.hostile_judge '{"make": ..., "keywords": ..., "user": 0}'

Jobs come as lines of JSON on standard input; what was found goes out, a line each.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.hostile_arena import REFUSAL, ROOT, enter, owner
from tests.hostile_canaries import Canaries
from tests.hostile_groups import OuterGroup, outer_group

BACK_SECONDS = 2.5
"""How much longer than its limit a job may take."""
GROWTH_BYTES = 1500 << 20
"""More memory than a job, its worker and its files may take together."""
LEAST_BYTES = 1 << 20
"""More than a verdict or the output kept of it may weigh."""
GONE_SECONDS = 2.0
"""How long after a job something of it may still be found."""
START_SECONDS = 60.0


class Process(NamedTuple):
    pid: int
    parent: int
    name: str
    state: str


def processes() -> dict[int, Process]:
    """All processes in sight."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                text = (folder / "stat").read_text(errors="replace")
                name, _, rest = text.partition("(")[2].rpartition(") ")
                pid, state, parent = int(folder.name), *rest.split()[:2]
                found[pid] = Process(pid, int(parent), name, state)
    return found


def below(top: int, seen: dict[int, Process]) -> set[int]:
    """The descendants of a process."""
    found, size = {top}, 0
    while size < len(found):
        size = len(found)
        found |= {each.pid for each in seen.values() if each.parent in found}
    return found - {top}


def left_over() -> set[str]:
    """Files, System V objects and mounts that only a program can have left."""
    found = set()
    for top in ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"):
        for folder, folders, files in os.walk(top):
            found |= {f"{folder}/{name}" for name in folders + files if name.startswith(("hx", "sem.hx"))}
            if folder.count("/") > 8:
                folders.clear()
    for name in ("shm", "msg", "sem"):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/sysvipc/{name}").read_text().splitlines()[1:]
            found |= {
                f"{name} {line.split()[0]}"
                for line in lines
                if int(line.split()[0]) >> 16 in range(0x6878, 0x687E)
            }
    top = Path("/sys/fs/cgroup")
    groups = [path for kind in ("", "memory", "pids", "unified") for path in (top / kind).glob("hx-*")]
    return found | {str(path) for path in groups}


def condition(pid: int) -> dict[str, Any]:
    """What one process can do to another without ending it."""
    found: dict[str, Any] = {}
    with contextlib.suppress(OSError):
        found["processors"] = sorted(os.sched_getaffinity(pid))
        found["priority"] = os.getpriority(os.PRIO_PROCESS, pid)
        found["scheduler"] = os.sched_getscheduler(pid)
        found["oom"] = Path(f"/proc/{pid}/oom_score_adj").read_text()
        found["limits"] = Path(f"/proc/{pid}/limits").read_text()
    return found


class Judge:
    """Runs jobs on one back end in a process of its own, and says what each of them did to the host."""

    def __init__(self, spec: dict[str, Any], group: OuterGroup | None, known: dict[str, Any]) -> None:
        self.spec, self.group, self.known = spec, group, known
        self.canaries = Canaries(spec["user"])
        self.written, self.said = 0, bytearray()
        self._start()

    def _start(self) -> None:
        name, user = f"judge-{secrets.token_hex(8)}", self.spec["user"]
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind("\0" + name)
        self.door.listen(1)
        told = self.canaries.secrets
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        # The current folder may be written to by programs: nothing is to be imported from it.
        environment |= {"PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= {"HOSTILE_SECRET": told["env"], "HOSTILE_SECRET_SENT": told["sent"]}
        environment |= {
            "HOSTILE_SECRET_FILE": str(self.canaries.secret),
            "TMPDIR": str(self.canaries.temporary),
        }
        make = json.dumps({**{key: self.spec[key] for key in ("make", "keywords")}, "known": self.known})
        self.runner = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile_runner", name, make],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: self._become(user),
        )
        assert self.runner.stdin is not None and self.runner.stdout is not None
        self.runner.stdin.write((told["stdin"] + "\n").encode())
        self.runner.stdin.flush()
        os.set_blocking(self.runner.stdout.fileno(), False)
        self.layers = (self._answer(START_SECONDS) or {}).get("layers")

    def _become(self, user: int) -> None:
        """Enter the group while still allowed to, then be the user."""
        if self.group is not None:
            self.group.add(0)
        if user != os.geteuid():
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)

    def _drain(self) -> bool:
        """Take what was written to the runner's own output; False when it is closed."""
        assert self.runner.stdout is not None
        try:
            while part := os.read(self.runner.stdout.fileno(), 1 << 18):
                self.written += len(part)
                if len(self.said) < 4 * LEAST_BYTES:
                    self.said += part
                if self.written % (64 << 20) < 1 << 18:
                    break  # there is more to look after than this
        except BlockingIOError:
            return True
        return bool(part)

    def _send(self, asked: dict[str, Any]) -> None:
        with contextlib.suppress(OSError), self.link:
            self.link.sendall(json.dumps(asked).encode() + b"\n")

    def _answer(self, seconds: float) -> Any:
        """What the runner brings when it comes for the next job; None when it does not come."""
        ended = os.pidfd_open(self.runner.pid)
        watched: list[Any] = [self.door, ended, self.runner.stdout]
        end = time.monotonic() + seconds
        ready: list[Any] = []
        self._drain()
        try:
            while self.door not in ready and ended not in ready and (left := end - time.monotonic()) > 0:
                ready = select.select(watched, [], [], left)[0]
                if self.runner.stdout in ready and not self._drain():
                    watched.remove(self.runner.stdout)
        finally:
            os.close(ended)
        if self.door not in ready:
            return None
        self._drain()
        self.link, _ = self.door.accept()
        line = self.link.makefile("rb").readline()
        return json.loads(line) if line else None

    def rest(self) -> None:
        """Remember how things are while nothing runs, after an honest job."""
        seen = processes()
        self.count = len([pid for pid in below(self.runner.pid, seen) if seen[pid].state != "Z"])
        self.conditions = {pid: condition(pid) for pid in {self.runner.pid, *below(self.runner.pid, seen)}}
        self.mounts = Path("/proc/self/mountinfo").read_text()
        self.left = left_over()
        self.groups = self._groups()

    def _groups(self) -> int:
        return len(self.group.inner()) if self.group is not None else 0

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run one job and judge it by what the verdict says and by what it did."""
        self.written, self.said = 0, bytearray()
        if self.group is not None:
            self.group.reset()
        began = time.monotonic()
        self._send(job)
        answer = self._answer(job["timeout_seconds"] + BACK_SECONDS)
        seconds = time.monotonic() - began
        verdict = answer or {"passed": False, "why": "no answer", "text": "", "bytes": 0, "layers": []}
        text = verdict.pop("text") + bytes(self.said).decode(errors="replace")
        return {
            **verdict,
            "back": answer is not None,
            "took": seconds,
            "memory": self.group.grown() if self.group is not None else 0,
            "text": text,
            "effects": list(self._effects(verdict, text, answer is not None)),
        }

    def _effects(self, verdict: dict[str, Any], text: str, back: bool) -> Iterator[str]:
        if "NOT RUN: " in text:
            yield "not run: the program's own guard took this for a machine in earnest"
        if verdict["why"] in ("infra_error", "raised"):
            yield str(verdict["why"]).replace("_", " ")
        if not back:
            yield "runner dead" if self.runner.poll() is not None else "not back in time"
        if self.canaries.state() != self.canaries.before:
            yield "host file changed"
        yield from (f"reached {name}" for name in self.canaries.reached())
        found = text + "".join(str(value) for value in self.canaries.state().values())
        yield from (f"{kind} secret out" for kind, secret in self.canaries.secrets.items() if secret in found)
        yield from sorted({each.strip() for each in re.findall(r"BREACH ((?:(?!BREACH)[\w /.-])+)", found)})
        if max(verdict["bytes"], self.written) > LEAST_BYTES:
            yield f"output of {max(verdict['bytes'], self.written) >> 20} MiB"
        if self.group is not None:
            yield from (f"outer limit of {name} hit" for name in self.group.hit())
            if self.group.grown() > GROWTH_BYTES:
                yield f"memory grew by {self.group.grown() >> 20} MiB"

    def remains(self) -> list[str]:
        """What is still there of a job after another one was run; waits a while for it to go."""
        end = time.monotonic() + GONE_SECONDS
        while (found := list(self._remains())) and time.monotonic() < end:
            time.sleep(0.02)
        return found

    def _remains(self) -> Iterator[str]:
        seen, mine = processes(), os.getpid()
        descendants = [pid for pid in below(self.runner.pid, seen) if seen[pid].state != "Z"]
        for each in list(seen.values()):
            if each.parent == mine and each.pid != self.runner.pid and each.state == "Z":
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(each.pid, os.WNOHANG)
            elif each.name.startswith("hx") and each.pid in below(mine, seen) and each.state != "Z":
                yield f"process {each.name}"
            elif each.parent == mine and each.pid != self.runner.pid:
                yield f"orphan {each.name}"
        if len(descendants) > self.count:
            yield f"{len(descendants) - self.count} processes more"
        yield from sorted(f"left {name}" for name in left_over() - self.left)
        if self._groups() > self.groups:
            yield "control groups left"
        if self.mounts != Path("/proc/self/mountinfo").read_text():
            yield "mounts changed"
        for pid, before in self.conditions.items():
            if pid in seen and condition(pid) != before and seen[pid].state != "Z" and condition(pid):
                yield f"condition of {seen[pid].name} changed"

    def close(self) -> list[str]:
        """Close the back end; what it leaves."""
        self._send({})
        closed = self._answer(10) is not None
        self._send({})
        closed = closed and self.runner.wait(10) == 0
        time.sleep(0.1)
        seen = processes()
        found = [] if closed else ["the back end did not close"]
        found += [f"process {seen[pid].name}" for pid in below(os.getpid(), seen) if seen[pid].state != "Z"]
        found += [str(path) for path in self.canaries.temporary.iterdir() if path.name != self.canaries.mark]
        return found + (self.group.inner() if self.group is not None else [])


def run(spec: dict[str, Any], group: OuterGroup | None, known: dict[str, Any]) -> None:
    """Judge what comes in, a line each: a job, a word, or the end."""
    try:
        judge = Judge(spec, group, known)
    except OSError as error:
        refuse(f"the back end's host did not start: {error}")
        return
    started = {"layers": judge.layers, "host": judge.canaries.told(known), "outer": group is not None}
    if judge.layers is None:
        judge.runner.wait(10)
        judge._drain()
        started["error"] = bytes(judge.said).decode(errors="replace")[-2000:]
    print(json.dumps(started), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked == "rest":
            answer: Any = judge.rest()
        elif asked == "remains":
            answer = judge.remains()
        elif asked == "close":
            answer = judge.close()
        else:
            answer = judge.ask(asked)
        print(json.dumps(answer), flush=True)


def refuse(why: str) -> None:
    """Say why there is nothing to judge."""
    print(json.dumps({"layers": None, "error": why}), flush=True)


def main() -> None:
    """Make the outer group, enter the arena, judge; then remove the group."""
    spec = json.loads(sys.argv[1])
    group = outer_group(owner=owner())
    child = os.fork()
    if child == 0:
        enter(
            lambda known: run(spec, group, known),
            writable=group.folders if group is not None else [],
            refused=lambda why: refuse(f"{REFUSAL}: {why}"),
        )
    _, status = os.waitpid(child, 0)
    if group is not None:
        group.remove()
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
