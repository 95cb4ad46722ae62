"""Web pages on the command line: which tasks, which environment, what is shown, and what is refused."""

import base64
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Task
from agentloop.commands.building import Wanted, parts, read_tasks
from agentloop.commands.doctor import examine, lines
from agentloop.commands.forecast import forecast
from agentloop.commands.web import GOALS, SEEDS, STEPS, seeds_of
from agentloop.critics import ModelCritic
from agentloop.errors import BadInput
from agentloop.hidden import may_see_hidden
from agentloop.models import FaultServer
from agentloop.types import Attempt, Fact, Step

pytestmark = pytest.mark.timeout(300)

HAS_MINIWOB = importlib.util.find_spec("miniwob") is not None
needs_miniwob = pytest.mark.skipif(
    not HAS_MINIWOB, reason="SKIPPED: no pages of MiniWoB++; pip install 'agentloop-toolkit[web]'"
)
needs_environment = pytest.mark.skipif(
    importlib.util.find_spec("agentloop.environments.web.environment") is None,
    reason="SKIPPED: this checkout has no agentloop.environments.web.environment",
)
PAGES = [Task(id="p", prompt="?", public={"web": {"site": "shop"}}, hidden={"x": "y"})]


@pytest.mark.parametrize(
    ("written", "seeds"),
    [
        ("", list(range(SEEDS))), ("3", [0, 1, 2]), ("5-7", [5, 6, 7]), ("7-7", [7]), ("4,1,4", [4, 1]),
    ],
)  # fmt: skip
def test_seeds_are_a_number_of_them_a_range_or_a_list(written: str, seeds: list[int]) -> None:
    assert seeds_of(written) == seeds


@pytest.mark.parametrize("written", ["0", "-3", "7-5", "a", "1,", ",", "1-2-3", "1.5", " 3", "9" * 12])
def test_other_seeds_are_refused_with_the_forms_that_there_are(written: str) -> None:
    with pytest.raises(BadInput, match="such as 20, 5-9 or 1,4,7; got"):
        seeds_of(written)


@given(st.lists(st.integers(0, 999), min_size=2, max_size=9, unique=True))
def test_a_list_of_seeds_comes_back_as_it_was_written(seeds: list[int]) -> None:
    assert seeds_of(",".join(map(str, seeds))) == seeds


@needs_miniwob
def test_pages_of_miniwob_are_named_with_their_seeds() -> None:
    found = read_tasks("miniwob:click-test,enter-text:2-3")
    assert [(task.public["web"]["page"], task.public["web"]["seed"]) for task in found] == [
        ("click-test", 2), ("click-test", 3), ("enter-text", 2), ("enter-text", 3),
    ]  # fmt: skip
    assert len(read_tasks("miniwob:click-test")) == SEEDS
    assert len(read_tasks("miniwob:click-test:9", count=4)) == 4
    assert len(read_tasks("miniwob:all:1")) > 100


def test_goals_of_the_shop_are_named_by_split_and_counted() -> None:
    assert len(read_tasks("shop:dev:3")) == len(read_tasks("shop:dev", count=3)) == 3
    assert len(read_tasks("shop:dev:5", count=2)) == 2
    assert len(read_tasks("shop:train")) == GOALS
    assert {task.split for task in read_tasks("shop:dev:3")} == {"dev"}


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("shop:dev:x", "shop:SPLIT:COUNT, such as shop:dev:20"),
        ("shop:monday", "split must be one of train, dev, test, got 'monday'"),
        pytest.param("miniwob:clik-test", "no MiniWoB\\+\\+ page named 'clik-test'", marks=needs_miniwob),
        pytest.param("miniwob:click-test:x", "seeds must be", marks=needs_miniwob),
        ("nothing", "miniwob:NAME:SEEDS, shop:SPLIT"),
    ],
)
def test_tasks_that_there_are_not_are_refused(named: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_tasks(named)


def wanted(**options: Any) -> Wanted:
    return Wanted(**{"model": "openai/gpt-4o", **options})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"environment": "web", "observation": "smell"}, "one of axtree, dom, text, screenshot, got 'smell'"),
        ({"environment": "sql", "observation": "dom"}, "--observation concerns web pages"),
        ({"environment": "sql", "screenshots": Path("x")}, "--screenshots concerns web pages"),
        ({"environment": "sql"}, "these tasks are on web pages: add --environment web; it is sql"),
        ({"environment": "none"}, "these tasks are on web pages"),
        ({"environment": "wep"}, "--environment 'wep' is not known; give one of sql, code, web, none"),
        ({"environment": "web", "sees": True}, "--sees says that the model sees pictures: add --screenshots"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], said: str) -> None:
    tasks = [] if "not known" in said else PAGES
    with pytest.raises(BadInput, match=said):
        parts(wanted(**options), tasks)


def test_an_attempt_has_more_steps_on_web_pages_unless_told() -> None:
    assert (wanted(environment="web").steps, wanted(environment="sql").steps) == (STEPS, 1)
    assert (wanted(environment="web", max_steps=3).steps, wanted(max_steps=0).steps) == (3, 0)


@needs_environment
def test_of_web_pages_the_site_grades_and_the_critic_is_public() -> None:
    built = parts(wanted(environment="web"), PAGES)
    assert built.grader is not None and not may_see_hidden(built.critic)
    reward = Fact(kind="reward", data={"reward": 1.0, "passed": True, "done": True})
    page = Fact(kind="page", data={"url": "http://shop.test/", "title": ""})
    step = Step(action="x", observation="o", facts=(page,), done=True)
    made = Attempt(id="a", trajectory="t", task=PAGES[0], number=1, text="x", steps=(step,), facts=(reward,))
    assert built.grader(made) == 1.0
    assert built.critic(made).text == "The goal was reached."  # type: ignore[union-attr]


@needs_environment
def test_pages_by_address_have_no_grader_and_are_not_run_beside_those_of_a_site() -> None:
    page = Task(id="u", prompt="?", public={"web": {"url": "https://example.org/"}})
    assert parts(wanted(environment="web"), [page]).grader is None
    with pytest.raises(BadInput, match="1 of 2 tasks name a site, .* run them apart"):
        parts(wanted(environment="web"), [page, *PAGES])


@needs_environment
def test_with_screenshots_models_that_see_are_shown_them(tmp_path: Path) -> None:
    both = wanted(environment="web", screenshots=tmp_path, critic="model:openai/gpt-3.5-turbo")
    built = parts(both, PAGES)
    assert isinstance(built.critic, ModelCritic)
    assert (built.model.sees, built.critic.model.sees) == (True, False)  # type: ignore[attr-defined]
    told = wanted(environment="web", screenshots=tmp_path, sees=True, model="openai/unheard-of")
    assert parts(told, PAGES).model.sees is True  # type: ignore[attr-defined]


@needs_environment
@pytest.mark.parametrize("model", ["openai/gpt-3.5-turbo", "local/tiny"])
def test_pages_as_pictures_alone_need_a_model_that_sees(tmp_path: Path, model: str) -> None:
    asked = wanted(environment="web", observation="screenshot", screenshots=tmp_path, model=model)
    with pytest.raises(
        BadInput, match=f"needs a model that sees, and {model} is not known to; say so with --sees"
    ):
        parts(asked, PAGES)


class Endless:
    """An environment that shows the same whatever is done."""

    def __init__(self, task: Task) -> None:
        pass

    def prompt(self) -> str:
        return "?"

    def step(self, action: str) -> Step:
        return Step(action=action, observation="the same")

    def close(self) -> None:
        pass


def test_a_forecast_counts_every_step_that_may_be_made(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from tests.test_cli_web import Endless\n")
    asked = wanted(environment=f"{tmp_path}/mine.py:Endless", max_steps=7, attempts=2, model="openai/x")
    tasks = [Task(id="t", prompt="?")]
    assert forecast(asked, parts(asked, tasks), tasks, samples=1)["calls"] == 7 * 2


def test_the_doctor_tells_the_browser_and_its_layers() -> None:
    found = examine([])
    told = "\n".join(line for line in lines(found) if line.strip().startswith("web:"))
    if found["browser"]["path"]:
        assert found["browser"]["path"] in told
        assert set(found["browser"]["layers"]) == {"proxy", "namespace", "sandbox", "user"}
        assert found["browser"]["layers"]["proxy"] and "web: proxy: holds" in told
    else:
        assert "no browser" in told and "install" in told


def agentloop(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agentloop.cli", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "x"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tasks", "shop:dev:1"], "these tasks are on web pages: add --environment web"),
        (["--tasks", "shop:dev:0", "--environment", "web"], "such as shop:dev:20"),
        (["--tasks", "tiny:dev", "--screenshots"], "--screenshots concerns web pages"),
        (
            ["--tasks", "shop:dev:1", "--environment", "web", "--observation", "x"],
            "--observation must be one of",
        ),
    ],
)
def test_wrong_input_is_told_in_one_line(tmp_path: Path, arguments: Sequence[str], said: str) -> None:
    done = agentloop("run", *arguments, "--out", "r", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
    assert said in done.stderr
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
@needs_environment
def test_a_model_that_sees_is_sent_the_page_as_a_picture(tmp_path: Path, browser: Any) -> None:
    with FaultServer(lambda body: "click('1')") as server:
        done = agentloop(
            "run", "--environment", "web", "--tasks", "shop:dev:1", "--model", "openai/gpt-4o",
            "--api-base", server.address, "--observation", "screenshot", "--max-steps", "1",
            "--attempts", "1", "--out", "r", cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        shown = server.requests[0]["body"]["messages"][-1]["content"]
    (url,) = [part["image_url"]["url"] for part in shown if part["type"] == "image_url"]
    (first, *_) = sorted((tmp_path / "r/screenshots").glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
    assert base64.b64decode(url.removeprefix("data:image/png;base64,")) == first.read_bytes()
    assert f"[screenshot {first.stem}]" in (tmp_path / "r/journal.jsonl").read_text()


MODEL = """
import re
from agentloop.models import ScriptedModel

def script(messages, sampling):
    marks = re.findall(r"\\\\[(\\\\w+)\\\\] button", messages[-1]["content"])
    return f"click('{marks[0]}')" if marks else "noop()"

model = ScriptedModel(script)
"""


@pytest.mark.slow
@needs_environment
@needs_miniwob
def test_click_test_is_run_with_screenshots_from_the_command_line(tmp_path: Path, browser: Any) -> None:
    (tmp_path / "mine.py").write_text(MODEL.replace("\\\\", "\\"))
    done = agentloop(
        "run", "--environment", "web", "--tasks", "miniwob:click-test:3", "--model", "mine.py:model",
        "--screenshots", "--out", "r", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"] == 3
    assert json.loads((tmp_path / "r/settings.json").read_text())["grader"] == "web_passes"
    assert list((tmp_path / "r/screenshots").glob("*.png"))
