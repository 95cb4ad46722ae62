"""One attempt at a task on web pages: a goal, and actions one after the other, each with what it brought."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from agentloop.environments.web.actions import Action, Malformed
from agentloop.environments.web.changes import changed
from agentloop.environments.web.doing import LOAD_SECONDS, Hands
from agentloop.environments.web.marks import Seen, quoted, seen_in
from agentloop.environments.web.observing import Notes, observation, shortened
from agentloop.environments.web.picturing import picture
from agentloop.environments.web.refusing import Done
from agentloop.environments.web.replies import action_in
from agentloop.environments.web.site import Outcome, Site, Start
from agentloop.environments.web.window import Crashed
from agentloop.environments.web.windows import Opened
from agentloop.errors import AgentloopError, BadInput, EnvironmentFailed
from agentloop.prompts import Prompts
from agentloop.types import Fact, Step, Task

if TYPE_CHECKING:
    from agentloop.environments.web.environment import WebEnvironment

T = TypeVar("T")
ENDING = ("send_msg_to_user", "report_infeasible")
QUIET_MS, LONGEST_MS, ARRIVING_MS = 30, 500, 10_000
"""A page is at rest when nothing changed for 30 ms; at most 500 ms are waited, 10 s for a page on its way."""
TOLD_STOPPED = ("dialog", "download", "popup")
"""What the agent is told too. When a page's own request is refused is chance, so that is a fact alone."""
FORGED_PICTURE = re.compile(r"^(\s*)\[(?=screenshot )", re.MULTILINE)
"""A line of a goal that reads like the place of a picture. Goals are told by pages, too."""


class WebSession:
    """One attempt in a window of its own. What it does runs in the browser's thread."""

    instructions = "web"

    def __init__(self, environment: WebEnvironment, task: Task, site: Site, start: Start) -> None:
        self._environment = environment
        self._task = task
        self._site = site
        self._start = start
        self._opened: Opened | None = None
        self._hands: Hands | None = None
        self._seen = Seen()
        self._outcome = Outcome()
        self._early: list[Fact] = []
        self._busy = False
        self._sound = True
        self._closed = False

    async def prompt(self) -> str:
        """The goal, and the page as it is at first."""
        return await self._run(self._begin())

    async def step(self, action: str, /) -> Step:
        """Carry out the one action in ``action``. What is no action is told, and nothing is done."""
        found = action_in(action)
        if isinstance(found, Malformed):
            fact = Fact(kind="malformed_action", data={"text": found.text, "message": found.message})
            return Step(action=action, observation=f"Error: {found.message}", facts=(fact,))
        return await self._run(self._step(action, found))

    async def final(self) -> Sequence[Fact]:
        """What the site says of the pages as they were left; nothing where a task has no site to say it."""
        if self._opened is None or not self._environment.grades(self._site):
            return ()
        return await self._run(self._final())

    async def close(self) -> None:
        """Give the window back."""
        opened, self._opened, self._closed = self._opened, None, True
        if opened is not None:
            sound = self._sound and not self._busy and not (self._hands and self._hands.holds)
            await self._environment.browser.run(self._environment.windows.give(opened, sound=sound))

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._closed:
            work.close()
            raise EnvironmentFailed("this web session is closed")
        self._busy = True
        try:
            result = await self._environment.browser.run(work)
        except AgentloopError:
            raise
        except Exception as error:  # Playwright's own, which are not known here
            raise EnvironmentFailed(f"the browser or its page failed: {error}") from error
        # Left set by what raises or is cancelled: the page may be anything then, and is not used again.
        self._busy = False
        return result

    async def _begin(self) -> str:
        opened, goal = await self._ready()
        self._opened = opened
        self._hands = Hands(opened.window, opened.worlds)
        # A site that reuses its pages hands them over as they are to be.
        seen = await self._look(fresh=True, quiet=0 if self._site.reuses_pages else QUIET_MS)
        text, facts = await self._told(seen, Done())
        self._early = [fact for fact in facts if fact.kind != "screenshot"]
        self._seen = seen
        return Prompts().render("web_task", goal=FORGED_PICTURE.sub(r"\1\\[", goal), observation=text)

    async def _ready(self) -> tuple[Opened, str]:
        """A window at the fresh start of the task; a second one where the first was lost on the way."""
        for last in (False, True):
            opened = await self._environment.windows.take(self._site, self._start, fresh=last)
            try:
                return opened, await self._arrive(opened)
            except BaseException as error:
                await self._environment.windows.give(opened, sound=False)
                if isinstance(error, BadInput) or not isinstance(error, Exception):
                    raise
                if last or not _worth_another(error, opened):
                    told = f"task {self._task.id!r} could not be begun at {self._start.url}: {error}"
                    raise EnvironmentFailed(told) from error
        raise AssertionError("unreachable")

    async def _arrive(self, opened: Opened) -> str:
        """Bring a window to the fresh start of the task; the goal."""
        window, start = opened.window, self._start
        opened.hear()
        if window.page.url != start.url:
            if not await window.goto(start.url, LOAD_SECONDS):
                raise EnvironmentFailed(f"{start.url} is not among the origins {', '.join(start.origins)}")
            opened.start = start
        # What outlasts a task on a page that is kept: a pointer that hovers, a focus, the way back.
        *_, goal = await asyncio.gather(
            window.guarded(window.page.mouse.move(0, 0)),
            opened.worlds.ask("leave"),
            opened.worlds.send("Page.resetNavigationHistory"),
            self._site.begin(opened, self._task),
        )
        return goal

    async def _step(self, given: str, action: Action) -> Step:
        assert self._hands is not None, "a session is asked for its prompt first"
        try:
            done = await self._hands.carry_out(action, self._seen)
            seen = await self._look()
            self._outcome = await self._site.outcome(self._opened_window(), self._task)
        except Crashed as crash:
            return await self._crashed(given, crash)
        ended = self._outcome.done or action.name in ENDING
        text, pictured = await self._told(seen, done, over=ended)
        facts = [Fact(kind="page", data={"url": shortened(seen.url), "title": seen.title})]
        facts += [done.fact] if done.fact else []
        if action.name in ENDING:
            facts.append(Fact(kind="said", data={"text": next(iter(action.arguments.values()))}))
        facts += [changed(self._seen, seen), *self._early, *pictured, *self._reached()]
        self._seen, self._early = seen, []
        return Step(
            action=given,
            observation=text,
            facts=tuple(facts),
            done=ended,
            reward=self._outcome.reward,
        )

    async def _look(self, *, fresh: bool = False, quiet: float = QUIET_MS) -> Seen:
        """The page, once it is at rest."""
        opened = self._opened_window()
        opened.hear()
        options = {
            "mode": self._environment.observation,
            "coordinates": self._environment.coordinates,
            "fresh": fresh,
            "quiet": quiet,
            "longest": LONGEST_MS,
            "arriving": ARRIVING_MS,
        }
        seconds = ARRIVING_MS / 1000 + 2
        while True:
            page = opened.window.page
            told = await opened.worlds.ask("restAndObserve", options, seconds=seconds)
            await opened.settled()
            opened.hear()
            if opened.window.page is page:
                return seen_in(told)

    async def _told(self, seen: Seen, done: Done, *, over: bool = False) -> tuple[str, list[Fact]]:
        """What the agent is shown, with the facts that go with it."""
        environment, opened = self._environment, self._opened_window()
        facts = [*opened.window.stopped()]
        facts += [Fact(kind="page_error", data={"message": message}) for message in opened.errors]
        opened.errors.clear()
        shot = ""
        if environment.screenshots is not None:
            shown = [line.mark for line in seen.lines if line.mark and line.in_view]
            draws = shown if environment.observation == "screenshot" else []
            fact = await picture(opened.worlds, environment.screenshots, draws)
            facts.append(fact)
            shot = fact.data["digest"] if environment.observation == "screenshot" else ""
        said = [_stopped(fact) for fact in facts if fact.data.get("what") in TOLD_STOPPED]
        said += [
            f"The page {quoted(shortened(url))} could not be reached." for url in opened.worlds.unreached
        ]
        opened.worlds.unreached.clear()
        notes = Notes(self._tabs(), shot, done.error, [*said, *(["The task is over."] if over else [])])
        return observation(seen, environment.observation, environment.characters, notes), facts

    def _tabs(self) -> list[str]:
        window = self._opened_window().window
        if len(window.pages) < 2:
            return []
        return [
            f"Tab {number}{' (shown)' if page is window.page else ''}: {quoted(shortened(page.url))}"
            for number, page in enumerate(window.pages)
        ]

    def _reached(self) -> list[Fact]:
        outcome = self._outcome
        data = {"reward": outcome.reward, "passed": outcome.passed, "done": outcome.done}
        return [*([Fact(kind="reward", data=data)] if outcome.reward is not None else []), *outcome.facts]

    async def _crashed(self, given: str, crash: Crashed) -> Step:
        """A page that broke down in its task is told, and opened anew; the end of the browser is no step."""
        opened = self._opened_window()
        self._sound = False
        if not opened.connected:
            raise EnvironmentFailed("the browser ended in the middle of an attempt") from crash
        facts = opened.window.stopped() or (Fact(kind="crashed", data={"why": crash.why}),)
        step = Step(action=given, observation=f"Error: {WHYS[crash.why]}", facts=facts)
        try:
            await opened.window.new_page()
            await opened.window.goto(self._start.url, LOAD_SECONDS)
            seen = await self._look(fresh=True)
        except (Crashed, TimeoutError, AssertionError):
            return step.replace(observation=f"{step.observation} It could not be opened again.", done=True)
        text, _ = await self._told(seen, Done(error=WHYS[crash.why]))
        self._seen = seen
        return step.replace(observation=text)

    async def _final(self) -> tuple[Fact, ...]:
        outcome = self._outcome
        if not outcome.done:
            with contextlib.suppress(Crashed, TimeoutError):
                outcome = await self._site.outcome(self._opened_window(), self._task)
        data = {"reward": outcome.reward or 0.0, "passed": outcome.passed, "done": outcome.done}
        return (Fact(kind="reward", data=data), *outcome.facts)

    def _opened_window(self) -> Opened:
        assert self._opened is not None, "a session is asked for its prompt first"
        return self._opened


WHYS = {
    "memory": "the page took too much memory and was ended; it was opened anew.",
    "endless_script": "a script of the page did not end, so the page was ended; it was opened anew.",
    "gone": "the page is gone; it was opened anew.",
}


def _worth_another(error: Exception, opened: Opened) -> bool:
    """Whether a task may begin where it just did not: the browser had ended, or the page was a used one."""
    return isinstance(error, (Crashed, TimeoutError)) or not opened.connected or opened.uses > 1


def _stopped(fact: Fact) -> str:
    told = " ".join(quoted(str(fact.data[key])[:200]) for key in ("url", "text") if key in fact.data)
    return f"Stopped: {fact.data['what']} {told}".strip()
