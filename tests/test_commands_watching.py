"""The live view: what it shows of a run as its journal grows, within which bounds."""

import io
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from agentloop import Feedback, ScriptedModel, Task, improve, reflect_and_retry
from agentloop.commands import watching
from agentloop.commands.watching import AT_ONCE, ROWS, Follower, View, change_of, live, reward_of
from agentloop.journal import Journal, place_of
from agentloop.loop import Progress
from agentloop.types import Fact, Step

TASKS = [Task(id=f"t{n}", prompt=f"Buy the mug {n}") for n in range(40)]


def began(folder: Path) -> tuple[Journal, View]:
    journal = Journal(folder / "journal.jsonl", run="r")
    return journal, View("40 tasks", TASKS, folder / "journal.jsonl")


def acts(journal: Journal, task: int = 0, attempt: int = 1, ordinal: int = 1, **step: Any) -> None:
    made = Step(**{"action": "click('1')", "observation": "seen", **step})
    journal.put(place_of(f"t{task}#0", attempt, "act", ordinal), "step", "x", made.to_dict())


def ends(journal: Journal, task: int) -> None:
    journal.end(f"t{task}#0", {"stop_reason": "passed", "group": f"t{task}", "task_id": f"t{task}"})


def shown(view: View, height: int = 40, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(view.shown(height, width))
    return console.file.getvalue()  # type: ignore[attr-defined]


def changed(*added: str) -> Fact:
    return Fact(kind="changed", data={"added": list(added), "removed": []})


def test_an_agent_at_work_is_shown_with_goal_action_change_and_reward(tmp_path: Path) -> None:
    journal, view = began(tmp_path)
    view.tell(Progress(done=1, total=40, passed=1, calls=9))
    reward = Fact(kind="reward", data={"reward": 0.5, "passed": False, "done": False})
    acts(journal, 3, action="I go.\nclick('13')", facts=(changed("[2] link 'Cart'"), reward))
    text = shown(view)
    assert "40 tasks: 1 of 40 done, 1 passed, 9 calls" in text
    (line,) = [line for line in text.splitlines() if "mug" in line]
    for word in ("Buy the mug 3", "1.1", "click('13')", "new is '[2] link 'Cart''", "0.5"):
        assert word in line, word
    assert "I go." not in text


def test_the_last_step_counts_and_steps_are_counted_by_attempt(tmp_path: Path) -> None:
    journal, view = began(tmp_path)
    for attempt, ordinal in ((1, 1), (1, 3), (2, 1)):
        acts(journal, attempt=attempt, ordinal=ordinal, action=f"do({attempt}{ordinal})")
        view.update()
    (row,) = view.rows()
    assert (row.at, row.action) == ("2.1", "do(21)")


def test_an_agent_that_has_finished_is_no_longer_shown(tmp_path: Path) -> None:
    journal, view = began(tmp_path)
    acts(journal, 1)
    acts(journal, 2)
    ends(journal, 1)
    view.update()
    assert [row.goal for row in view.rows()] == ["Buy the mug 2"]


def test_the_view_has_bounded_lines_and_says_how_many_are_left_out(tmp_path: Path) -> None:
    journal, view = began(tmp_path)
    for task in range(40):
        acts(journal, task)
    assert len(shown(view).splitlines()) == ROWS + 3
    assert f"and {40 - ROWS} more" in shown(view)
    assert "Buy the mug 39" in shown(view) and "Buy the mug 0 " not in shown(view)
    assert len(shown(view, height=10).splitlines()) <= 10
    assert len(shown(view, height=2).splitlines()) <= 4


HOSTILE = "\x1b[2J\x1b]0;owned\x07[red]\r\n\u202e\x9b31m"


@settings(max_examples=30)
@given(st.text(max_size=200) | st.just(HOSTILE))
def test_nothing_that_a_page_wrote_reaches_the_terminal_as_a_command(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal, view = began(Path(folder))
        acts(journal, action=text, observation=text, facts=(changed(text),))
        assert all(line.isprintable() for line in shown(view, width=500).split("\n"))
        journal.close()


def test_what_came_of_a_step_of_any_environment_is_told() -> None:
    assert change_of(Step(action="SELECT 1", observation="1 row")) == "1 row"
    assert change_of(Step(action="x", observation="o", facts=(changed(),))) == "nothing"
    blocked = Fact(kind="blocked", data={"action": "click('1')", "mark": "1", "why": "disabled"})
    assert "[1] is disabled" in change_of(Step(action="x", observation="o", facts=(blocked, changed())))
    assert (
        reward_of(Step(action="x", observation="o", reward=1.0)),
        reward_of(Step(action="x", observation="o")),
    ) == ("1", "")


def test_what_stood_in_the_journal_before_is_not_told(tmp_path: Path) -> None:
    journal, _ = began(tmp_path)
    acts(journal, 1)
    follower = Follower(tmp_path / "journal.jsonl")
    acts(journal, 2)
    assert [entry["place"] for entry in follower.added()] == ["t2#0/1/act/1"]
    assert list(follower.added()) == []


def test_a_line_that_is_being_written_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"")
    follower = Follower(path)
    line = b'{"place":"t0#0/1/act/1","kind":"step","ask":"","value":{}}\n'
    with path.open("ab", buffering=0) as file:
        file.write(line[:20])
        assert list(follower.added()) == []
        file.write(line[20:])
        assert len(list(follower.added())) == 1


def test_of_a_journal_that_grew_fast_the_end_is_read(tmp_path: Path) -> None:
    journal, _ = began(tmp_path)
    follower = Follower(tmp_path / "journal.jsonl")
    for task in range(3):
        acts(journal, task, observation="x" * (AT_ONCE // 2))
    assert [entry["place"][:2] for entry in follower.added()] == ["t2"]


def test_a_torn_end_that_was_cut_off_does_not_stop_the_view(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"journal":1,"run":"r"}\n{"place":"torn')
    follower = Follower(path)
    journal = Journal(path)
    assert list(follower.added()) == []
    acts(journal)
    assert len(list(follower.added())) == 1


def test_lines_that_are_no_steps_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"")
    follower = Follower(path)
    path.write_bytes(
        b'not json "kind":"step"\n[1,"kind":"step"]\n["\\"kind\\":\\"step\\""]\n{"kind":"call"}\n'
    )
    assert list(follower.added()) == []
    assert list(Follower(tmp_path / "none").added()) == []


class Echo:
    def __init__(self, task: Task) -> None:
        self.task = task

    def prompt(self) -> str:
        return self.task.prompt

    def step(self, action: str) -> Step:
        return Step(action=action, observation=f"heard {action}", done=True)

    def close(self) -> None:
        pass


def test_a_run_that_is_watched_writes_the_same_journal(tmp_path: Path) -> None:
    def ran(name: str, progress: Any) -> list[str]:
        agent = reflect_and_retry(
            model=ScriptedModel(lambda *asked: "hello"),
            critic=lambda attempt: Feedback(text="", verdict="pass"),
            environment=Echo,
        )
        improve(agent, TASKS[:5], folder=tmp_path / name, progress=progress, concurrency=1)
        lines = (tmp_path / name / "journal.jsonl").read_text().splitlines()[1:]
        return [line.split('"seconds"')[0] for line in lines]

    screen = Console(file=io.StringIO(), force_terminal=True, width=100, height=30)
    with live("5 tasks", TASKS, tmp_path / "watched/journal.jsonl", console=screen) as progress:
        watched = ran("watched", progress)
    assert watched == ran("plain", None)
    assert "5 tasks: 5 of 5 done, 5 passed" in screen.file.getvalue()  # type: ignore[attr-defined]


PROGRAM = """
import time
from agentloop import Feedback, ScriptedModel, Step

class Slow:
    def __init__(self, task): self.task = task
    def prompt(self): return self.task.prompt
    def step(self, action):
        time.sleep(0.4)
        return Step(action=action, observation="heard " + action)
    def close(self): pass

model = ScriptedModel(lambda messages, sampling: "shout(%d)" % len(messages))
critic = lambda attempt: Feedback(text="", verdict="pass")
"""
RUN = ["run", "--tasks", "tasks.jsonl", "--model", "mine.py:model", "--environment", "mine.py:Slow"]
RUN += ["--critic", "mine.py:critic", "--max-steps", "4", "--watch"]


def command(folder: Path, *more: str) -> tuple[list[str], dict[str, str]]:
    (folder / "mine.py").write_text(PROGRAM)
    (folder / "tasks.jsonl").write_text(Task(id="a", prompt="Make some noise").to_json() + "\n")
    environment = {**os.environ, "COLUMNS": "120", "LINES": "30", "TERM": "xterm"}
    return [sys.executable, "-m", "agentloop.cli", *RUN, "--out", "r", *more], environment


def test_without_a_terminal_nothing_is_drawn(tmp_path: Path) -> None:
    line, environment = command(tmp_path)
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Make some noise" not in done.stderr and "what changed" not in done.stderr
    assert "1 of 1 passed" in done.stdout


def in_a_terminal(folder: Path, *more: str) -> tuple[int, str, str]:
    """Run with standard error in a terminal of its own; standard output apart."""
    line, environment = command(folder, *more)
    outer, inner = pty.openpty()
    with subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=inner) as process:
        os.close(inner)
        drawn = b""
        try:
            while data := os.read(outer, 65536):
                drawn += data
        except OSError:
            pass  # Linux says so at the end of a terminal
        told, _ = process.communicate(timeout=120)
    os.close(outer)
    return process.returncode, drawn.decode(errors="replace"), told.decode()


def test_in_a_terminal_the_agents_are_drawn_at_work_and_the_result_stays_on_standard_output(
    tmp_path: Path,
) -> None:
    code, drawn, told = in_a_terminal(tmp_path)
    assert code == 0, drawn
    assert "Make some noise" in drawn and "heard shout(" in drawn
    assert "1 of 1 passed" in told and "noise" not in told


def test_with_json_nothing_is_drawn_of_the_agents(tmp_path: Path) -> None:
    code, drawn, told = in_a_terminal(tmp_path, "--json")
    assert code == 0
    assert "noise" not in drawn and told.startswith("{")


def test_the_view_reads_and_writes_nothing_of_the_run_but_its_journal(tmp_path: Path) -> None:
    _, view = began(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    shown(view)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert watching.PER_SECOND <= 10
