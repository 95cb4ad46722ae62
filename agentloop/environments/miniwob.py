"""The pages of MiniWoB++ as tasks, served from the ``miniwob`` package and reset by seed."""

from __future__ import annotations

import importlib.util
import mimetypes
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agentloop.environments.web.site import Answer, Evaluates, Handler, Outcome, Start
from agentloop.errors import BadInput, EnvironmentFailed, MissingExtra
from agentloop.types import Task

HOST = "miniwob.test"
ORIGIN = f"http://{HOST}"
PREAMBLE = Path(__file__).parent / "miniwob.js"
HIDDEN = "#reward-display, #click-canvas, #sync-task-cover { display: none !important; }"
"""The pages' own frame: the last rewards, the time left, the cover to start anew. None of it is the task."""

_SCRIPT = re.compile(r"<script[^>]*\bsrc=\"(\.\./[^\"]+)\"[^>]*>\s*</script>")
_STYLE = re.compile(r"<link[^>]*\bhref=\"(\.\./[^\"]+\.css)\"[^>]*>")
_URL = re.compile(r"url\(\s*[\"']?(?!data:|https?:|/|#)([^\"')]+)[\"']?\s*\)")

_BEGIN = "(seed) => window.agentloopEpisode ? window.agentloopEpisode.begin(seed) : null"
_OUTCOME = "() => window.agentloopEpisode ? window.agentloopEpisode.outcome() : null"


def names() -> list[str]:
    """The names of all pages that are tasks, sorted: ``click-test``, ``enter-text``, ..."""
    return sorted(path.stem for path in (_folder() / "miniwob").glob("*.html"))


def tasks(name: str, seeds: Iterable[int]) -> list[Task]:
    """The page ``name`` with each of the seeds, as tasks. The goal is the page's to tell."""
    known = names()
    if name not in known:
        raise BadInput(f"no MiniWoB++ page named {name!r}; one of: {', '.join(known)}")
    return [
        Task(
            id=f"miniwob-{name}-{seed}",
            prompt=f"Do what the page {name} asks for.",
            public={"web": {"site": "miniwob", "page": name, "seed": seed}},
        )
        for seed in seeds
    ]


class MiniWoB:
    """The site of the MiniWoB++ pages (Liu et al. 2018), as the package has them.

    A seed gives the same episode whatever was done on the page before: scripts and styles are put into
    the page, which for each episode after the first is written anew in place (about 10 ms) with its
    variables, timers and listeners gone. The day is 1 June 2016 on every page. Episodes have no time
    limit, and rewards do not decay with time; the pages that are about motion still move.

    Goals that a page tells with fields (``email-inbox-forward-nl``) are given as their sentence alone:
    the fields are what is to be read from it. ``passed`` is a raw reward above 0, as in BrowserGym, so
    that pages that give a part for a part (``ascending-numbers``) count it as passed; ``reward`` tells.
    """

    reuses_pages = True

    def __init__(self) -> None:
        _folder()
        self.hosts: Mapping[str, Handler] = {HOST: _answer}

    def start(self, task: Task) -> Start:
        """The page of the task."""
        page, _ = _page_of(task)
        return Start(f"{ORIGIN}/miniwob/{page}.html", (ORIGIN,))

    async def begin(self, page: Evaluates, task: Task) -> str:
        """Start the episode of the task's seed; returns what the page asks for."""
        name, seed = _page_of(task)
        told = await page.evaluate(_BEGIN, seed)
        if told is None:
            raise EnvironmentFailed(f"what is open is not the page {name} of MiniWoB++ as it is served here")
        return str(told["utterance"] if isinstance(told, dict) else told).strip()

    async def outcome(self, page: Evaluates, task: Task) -> Outcome:
        """The page's raw reward once the episode is over; nothing on a page that no episode began on."""
        told = await page.evaluate(_OUTCOME)
        if told is None or not told["done"]:
            return Outcome()
        reward = float(told["reward"])
        return Outcome(reward=reward, done=True, passed=reward > 0)


def _page_of(task: Task) -> tuple[str, int]:
    asked = task.public.get("web")
    page, seed = (asked.get("page"), asked.get("seed")) if isinstance(asked, dict) else (None, None)
    if not isinstance(page, str) or not isinstance(seed, int) or isinstance(seed, bool):
        raise BadInput(
            f"task {task.id!r} needs public['web'] of the form {{'site': 'miniwob', 'page': 'click-test', "
            f"'seed': 0}}, got {asked!r:.200}; miniwob.tasks(name, seeds) makes such tasks"
        )
    if not (_folder() / "miniwob" / f"{Path(page).name}.html").is_file() or Path(page).name != page:
        raise BadInput(f"no MiniWoB++ page named {page!r}; miniwob.names() lists them")
    return page, seed


@cache
def _folder() -> Path:
    """The folder of the pages; found without importing the package, which would load Selenium."""
    found = importlib.util.find_spec("miniwob")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("MiniWoB", "the pages of miniwob", "web")
    return (Path(found.submodule_search_locations[0]) / "html").resolve()


def _answer(target: str) -> Answer:
    asked = unquote(urlsplit(target).path).lstrip("/")
    path = (_folder() / asked).resolve() if "\0" not in asked else _folder()
    if not path.is_relative_to(_folder()) or not path.is_file():
        return Answer(b"There is no such page.", "text/plain; charset=utf-8", 404)
    if path.suffix == ".html":
        return Answer(_whole(path).encode())
    return Answer(path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream")


@cache
def _whole(path: Path) -> str:
    """A page with its scripts and styles put into it, behind our preamble."""
    html = path.read_text(encoding="utf-8")
    html = _SCRIPT.sub(lambda match: _script((path.parent / match[1]).resolve()), html)
    html = _STYLE.sub(lambda match: _style((path.parent / match[1]).resolve()), html)
    preamble = f"<script>\n{PREAMBLE.read_text(encoding='utf-8')}</script><style>{HIDDEN}</style>"
    return re.sub(r"<head[^>]*>", lambda match: match[0] + preamble, html, count=1)


def _script(path: Path) -> str:
    text = path.read_text(encoding="utf-8").replace("</script", "<\\/script")
    return f"<script>{text}</script>"


def _style(path: Path) -> str:
    """A style sheet; the images it names by their place beside it are named from the root instead."""
    beside = path.parent.relative_to(_folder()).as_posix()
    text = _URL.sub(lambda match: f"url(/{beside}/{match[1]})", path.read_text(encoding="utf-8"))
    return f"<style>{text}</style>"
