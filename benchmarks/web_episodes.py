"""Episodes per second on MiniWoB's click-test beside BrowserGym's, and what a window and time cost in memory.

    python benchmarks/web_episodes.py [--browsergym PYTHON] [--episodes 200] [--rounds 3] [--growth 1000]

An episode is a reset by seed, an observation as text, a real click on the button that the text shows,
and the site's reward. Ours and BrowserGym's are run by turns, each round in a fresh process. PYTHON is
that of a virtual environment with browsergym-miniwob 0.14.3; without it ours is measured alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from code_tables import between

from agentloop.environments import WebEnvironment, miniwob
from agentloop.environments.web.browser import Browser
from agentloop.environments.web.finding import find_browser
from agentloop.types import Task

HERE = Path(__file__).resolve().parent
WARM_UP = 5
THEIRS = 5
"""Episodes of BrowserGym in a round; each takes about two seconds."""
WINDOWS = 10
MEGABYTE = 1024 * 1024


async def episode(environment: WebEnvironment, task: Task) -> bool:
    """One episode; whether it was passed."""
    session = environment(task)
    try:
        found = re.search(r"\[(\d+)\] button", await session.prompt())
        step = await session.step(f"click('{found[1] if found else 0}')")
        return any(fact.kind == "reward" and fact.data["passed"] for fact in step.facts)
    finally:
        await session.close()


async def ours(episodes: int) -> dict[str, Any]:
    """Seconds and successes of our episodes, after a few to warm up."""
    environment = WebEnvironment(viewport=(500, 320))
    tasks = miniwob.tasks("click-test", range(episodes + WARM_UP))
    for task in tasks[:WARM_UP]:
        await episode(environment, task)
    began = time.perf_counter()
    passed = sum([await episode(environment, task) for task in tasks[WARM_UP:]])
    seconds = time.perf_counter() - began
    environment.close()
    return {"episodes": episodes, "passed": passed, "seconds": seconds}


async def windows() -> dict[str, Any]:
    """Memory of the browser with one window, and with ten further ones that all show the page."""
    environment = WebEnvironment(viewport=(500, 320))
    sessions = [environment(task) for task in miniwob.tasks("click-test", range(WINDOWS + 1))]
    await sessions[0].prompt()
    alone = await settled_memory()
    for session in sessions[1:]:
        await session.prompt()
    together = await settled_memory()
    for session in sessions:
        await session.close()
    environment.close()
    return {"alone": alone, "further": (together - alone) / WINDOWS}


async def growth(episodes: int) -> dict[str, Any]:
    """Memory of the browser, and of this process with the driver, after each tenth of many episodes."""
    environment = WebEnvironment(viewport=(500, 320))
    browsers, processes, passed = [], [], 0
    for number, task in enumerate(miniwob.tasks("click-test", range(episodes)), 1):
        passed += await episode(environment, task)
        if number % (episodes // 10) == 0:
            browser = memory_of(browser_process())
            browsers.append(browser / MEGABYTE)
            processes.append((memory_of(os.getpid()) - browser) / MEGABYTE)
    environment.close()
    return {"episodes": episodes, "passed": passed, "browser": browsers, "process": processes}


async def settled_memory() -> float:
    """Megabytes of the browser, once it had a moment to come to rest."""
    await asyncio.sleep(2)
    return memory_of(browser_process()) / MEGABYTE


def browser_process() -> int:
    """The process of the shared browser."""
    chromium = Browser.shared()._chromium
    assert chromium is not None
    return chromium.process


def memory_of(process: int) -> int:
    """Bytes that a process with its children has for itself: proportional set size."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {process}
    while more := {each for each, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(_own_bytes(each) for each in family)


def _own_bytes(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


MEASURES = {"ours": ours, "windows": windows, "growth": growth}


def in_process(measure: str, *arguments: int) -> dict[str, Any]:
    """What one of our measures says in a process of its own."""
    command = [sys.executable, __file__, "--measure", measure, *map(str, arguments)]
    return answered(command)


def browsergym(python: str, episodes: int) -> dict[str, Any]:
    """What BrowserGym takes for some episodes in a process of its own."""
    spec = find_spec("miniwob")
    assert spec is not None and spec.submodule_search_locations
    pages = Path(spec.submodule_search_locations[0]) / "html"
    script = HERE / "web_browsergym.py"
    return answered([python, str(script), str(pages), str(find_browser()), str(episodes)])


def answered(command: list[str]) -> dict[str, Any]:
    """The last line that a command prints, as JSON."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def table(
    rounds: Sequence[tuple[Mapping[str, Any], Mapping[str, Any] | None]],
    window: Mapping[str, Any],
    grown: Mapping[str, Any],
) -> str:
    """The figures as Markdown."""
    mine = [each["episodes"] / each["seconds"] for each, _ in rounds]
    rows = [
        ("ours", mine, sum(each["passed"] for each, _ in rounds), sum(each["episodes"] for each, _ in rounds))
    ]
    theirs = [other for _, other in rounds if other]
    if theirs:
        speeds = [other["episodes"] / (other["resets"] + other["steps"]) for other in theirs]
        passed, episodes = (sum(other[key] for other in theirs) for key in ("passed", "episodes"))
        rows.append(("BrowserGym 0.14.3", speeds, passed, episodes))
    lines = ["| environment | episodes/s | passed |", "|---|---|---|"]
    lines += [
        f"| {name} | {median(speeds):.2f} ({min(speeds):.2f} to {max(speeds):.2f}) | {passed}/{episodes} |"
        for name, speeds, passed, episodes in rows
    ]
    lines.append("")
    if theirs:
        times = median(one / other for one, other in zip(rows[0][1], rows[1][1], strict=True))
        lines.append(
            f"Ours over BrowserGym's, median of the pairs: **{times:.1f} times** the episodes a second."
        )
    lines.append(
        f"The browser with one window takes {window['alone']:.0f} MB, each of {WINDOWS} further windows "
        f"**{window['further']:.1f} MB** (the bar is 30)."
    )
    told = {name: ", ".join(f"{each:.0f}" for each in grown[name]) for name in ("browser", "process")}
    lines.append(
        f"{grown['episodes']} episodes one after the other, {grown['passed']} passed; megabytes after each "
        f"tenth: browser {told['browser']}; our process with the driver {told['process']}."
    )
    return "\n".join(lines)


def main() -> None:
    """Measure everything and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browsergym", help="the python of a virtual environment with browsergym-miniwob")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", type=int, default=1000)
    parser.add_argument("--page", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        name, *numbers = asked.measure
        print(json.dumps(asyncio.run(MEASURES[name](*map(int, numbers)))))  # type: ignore[operator]
        return
    rounds, load = [], os.getloadavg()[0]
    for _ in range(asked.rounds):
        mine = in_process("ours", asked.episodes)
        rounds.append((mine, browsergym(asked.browsergym, THEIRS) if asked.browsergym else None))
        print(rounds[-1], file=sys.stderr)
    text = table(rounds, in_process("windows"), in_process("growth", asked.growth))
    print(text)
    head = (
        "## Episodes on web pages, beside BrowserGym\n\n"
        "```\npython benchmarks/web_episodes.py --browsergym PYTHON\n```\n\n"
        "MiniWoB's click-test: reset by seed, observation as text, a real click on the button that it "
        f"shows, reward. {os.cpu_count()} processors, `chromium-headless-shell` for both; {asked.episodes} "
        f"episodes of ours and {THEIRS} of BrowserGym's a round, {asked.rounds} rounds by turns, each in a "
        "fresh process and after a warm-up. Median (least to most). Memory is the proportional set size of "
        "the browser's processes. "
        f"The load average of the machine was {load:.1f} when it began.\n\n"
    )
    between(asked.page, "web episodes", head + text)


if __name__ == "__main__":
    main()
