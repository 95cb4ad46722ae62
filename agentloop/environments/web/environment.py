"""The environment of web pages: sessions in a fenced browser that all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agentloop.environments.web.browser import Browser
from agentloop.environments.web.fence import Fence, origin_of
from agentloop.environments.web.observing import MODES, Mode
from agentloop.environments.web.session import WebSession
from agentloop.environments.web.site import Evaluates, Handler, Outcome, Site, Start
from agentloop.environments.web.windows import Windows
from agentloop.errors import BadInput
from agentloop.types import Attempt, Task

BUILT_IN = {
    "miniwob": "agentloop.environments.miniwob:MiniWoB",
    "shop": "agentloop.environments.shop:Shop",
}
LEAST_CHARACTERS = 500
LEAST_SIDE, MOST_SIDE = 100, 4096


class WebEnvironment:
    """Lets an agent act on web pages with BrowserGym's actions (agentloop/texts/web.md tells them).

    A task says in ``public["web"]`` where it is: ``{"site": "miniwob", ...}`` names one of ``sites``
    or one that comes with agentloop, ``{"url": ..., "origins": [...]}`` any page, with the origins
    that may be reached (its own, when they are left out). ``observation`` is "axtree" (roles, names
    and states), "dom" (pruned markup), "text", or "screenshot" (a picture with the marks drawn in,
    and their list); it takes at most ``characters``. ``coordinates`` tells of everything where it is,
    for actions by ``mouse_click(x, y)``. With a folder ``screenshots`` every step leaves a picture
    there. ``viewport`` is in pixels. ``browser`` is one of your own; otherwise all environments of a
    process share one.
    """

    async_sessions = True

    def __init__(
        self,
        sites: Mapping[str, Site] | None = None,
        *,
        observation: Mode = "axtree",
        characters: int = 8000,
        coordinates: bool = False,
        screenshots: str | Path | None = None,
        viewport: tuple[int, int] = (1280, 720),
        browser: Browser | None = None,
    ) -> None:
        _check("observation", observation, observation in MODES, f"one of {', '.join(MODES)}")
        _check("characters", characters, characters >= LEAST_CHARACTERS, f"at least {LEAST_CHARACTERS}")
        _check("viewport", viewport, _is_size(viewport), "a width and a height from 100 to 4096 pixels")
        if observation == "screenshot" and screenshots is None:
            raise BadInput("observation='screenshot' needs a folder for the pictures: screenshots='pictures'")
        self.observation: Mode = observation
        self.characters = characters
        self.coordinates = coordinates
        self.screenshots = None if screenshots is None else Path(screenshots)
        self.browser = browser or Browser.shared()
        self.windows = Windows(self.browser, (viewport[0], viewport[1]))
        self._sites = dict(sites or {})

    def __call__(self, task: Task) -> WebSession:
        """Open a session for one attempt; BadInput when the task does not say where it is."""
        asked = task.public.get("web")
        if isinstance(asked, dict) and "site" in asked:
            site = self.site(asked["site"])
            return WebSession(self, task, site, site.start(task))
        return WebSession(self, task, ANYWHERE, ANYWHERE.start(task))

    def site(self, name: str) -> Site:
        """The site of a name."""
        if name not in self._sites and name in BUILT_IN:
            module, _, kind = BUILT_IN[name].partition(":")
            self._sites[name] = getattr(import_module(module), kind)()
        if name in self._sites:
            return self._sites[name]
        known = sorted({*self._sites, *BUILT_IN})
        near = get_close_matches(str(name), known, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else "."
        raise BadInput(f"no site named {name!r}{meant} Known: {', '.join(known)}; others are given as sites=")

    def grades(self, site: Site) -> bool:
        """Whether a site says what was reached on its pages."""
        return site is not ANYWHERE

    def close(self) -> None:
        """Close the windows that are kept. The browser goes on, for others; it ends with the process."""
        self.browser.do(self.windows.close())


def web_passes(attempt: Attempt) -> float:
    """Grade an attempt in a WebEnvironment: 1.0 when the site says that the task was passed, else 0.0."""
    for fact in reversed(attempt.facts):
        if fact.kind == "reward":
            return 1.0 if fact.data["passed"] else 0.0
    raise BadInput(
        f"attempt {attempt.id!r} has no fact 'reward'; web_passes grades attempts that came to their end in "
        "a WebEnvironment, at tasks of a site. Tasks with a url alone need a grader of their own"
    )


class Anywhere:
    """The site of tasks that name a page by its address. Nothing in it says what was reached."""

    reuses_pages = False
    hosts: Mapping[str, Handler] = {}

    def start(self, task: Task) -> Start:
        """The page of the task, and its origins."""
        asked = task.public.get("web")
        url = asked.get("url") if isinstance(asked, dict) else None
        if not isinstance(asked, dict) or not isinstance(url, str):
            raise BadInput(
                f"task {task.id!r} needs public['web'] of the form {{'site': NAME, ...}} or "
                f"{{'url': 'https://example.org/', 'origins': ['https://example.org']}}, got {asked!r:.200}"
            )
        if origin_of(url) is None:
            raise BadInput(f"task {task.id!r} begins at {url!r:.200}, which is no address of http or https")
        origins = asked.get("origins", ["{0.scheme}://{0.netloc}".format(urlsplit(url))])
        if not isinstance(origins, (list, tuple)):
            raise BadInput(f"task {task.id!r} needs a list of origins, got {origins!r:.200}")
        if refusal := Fence(origins).refusal(url):
            raise BadInput(
                f"task {task.id!r} begins at {url!r:.200}, which its origins do not allow ({refusal})"
            )
        return Start(url, tuple(origins))

    async def begin(self, page: Evaluates, task: Task) -> str:
        """The task's own words; its page is loaded already."""
        return task.prompt

    async def outcome(self, page: Evaluates, task: Task) -> Outcome:
        """Nothing is known of what such pages mean."""
        return Outcome()


ANYWHERE = Anywhere()


def _is_size(value: Any) -> bool:
    right = isinstance(value, (tuple, list)) and len(value) == 2
    return right and all(isinstance(each, int) and LEAST_SIDE <= each <= MOST_SIDE for each in value)


def _check(name: str, value: object, right: bool, allowed: str) -> None:
    if not right:
        raise BadInput(f"{name} must be {allowed}, got {value!r}")
