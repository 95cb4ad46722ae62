"""Carries out one action with real input, after looking whether it can reach what it is meant for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from agentloop.environments.web.actions import Action
from agentloop.environments.web.marks import Seen
from agentloop.environments.web.refusing import Done, blocked, no_such_mark, not_allowed, refused
from agentloop.environments.web.window import PAGES, Window
from agentloop.environments.web.world import Worlds
from agentloop.errors import AgentloopError

if TYPE_CHECKING:
    from playwright.async_api import Page

INPUT_SECONDS = 3.0
LOAD_SECONDS = 15.0
SECONDS_A_KEY = 0.02
DRAG_STEPS = 6

Way: TypeAlias = Callable[["Hands", Action], Awaitable[Done]]


class Hands:
    """What acts in one window. A failed action is told by a Done; Crashed when the page is lost by it."""

    def __init__(self, window: Window, worlds: Worlds) -> None:
        self.window = window
        self.worlds = worlds
        self.seen = Seen()
        self.pointer = (0.0, 0.0)
        self.holds = False
        """Whether a key or a button was pressed and perhaps not let go again."""

    async def carry_out(self, action: Action, seen: Seen) -> Done:
        """Carry out an action on the page that was ``seen``."""
        self.seen = seen
        self.holds |= action.name in ("keyboard_down", "mouse_down")
        try:
            return await WAYS[action.name](self, action)
        except TimeoutError:
            return blocked(action, "timeout", f"{action.written()} did not get done in time")
        except AgentloopError:
            raise
        except Exception as error:  # Playwright's own: the page refused, or left while it was acted on
            return not_allowed(action, f"{action.name} failed: {_first_line(error)}")

    @property
    def page(self) -> Page:
        """The page that is shown."""
        return self.window.page

    async def input(self, work: Awaitable[Any], seconds: float = INPUT_SECONDS) -> None:
        """Await real input."""
        await self.window.guarded(work, seconds)

    async def ask(
        self, action: Action, function: str, *arguments: Any, mark: str = ""
    ) -> dict[str, Any] | Done:
        """What our script says of the action's mark, or why it cannot be done."""
        mark = mark or action.arguments["mark"]
        if not mark.isdigit():
            return no_such_mark(action, self.seen, mark)
        told: dict[str, Any] = await self.worlds.ask(function, int(mark), *arguments)
        return refused(action, self.seen, mark, told) if "why" in told else told


async def _click(hands: Hands, action: Action, count: int = 1) -> Done:
    place = await hands.ask(action, "point", True)
    if isinstance(place, Done):
        return place
    held = action.arguments["modifiers"]
    for key in held:
        await hands.input(hands.page.keyboard.down(key))
    try:
        await _click_at(hands, place, button=action.arguments["button"], count=count)
    finally:
        for key in held:
            await hands.input(hands.page.keyboard.up(key))
    return Done()


async def _dblclick(hands: Hands, action: Action) -> Done:
    return await _click(hands, action, count=2)


async def _click_at(
    hands: Hands, place: Mapping[str, float], *, button: Any = "left", count: int = 1
) -> None:
    hands.pointer = (place["x"], place["y"])
    await hands.input(hands.page.mouse.click(place["x"], place["y"], button=button, click_count=count))


async def _hover(hands: Hands, action: Action) -> Done:
    place = await hands.ask(action, "point", False)
    if isinstance(place, Done):
        return place
    hands.pointer = (place["x"], place["y"])
    await hands.input(hands.page.mouse.move(place["x"], place["y"]))
    return Done()


async def _toggle(hands: Hands, action: Action) -> Done:
    wanted, mark = action.name == "check", action.arguments["mark"]
    place = await hands.ask(action, "point", True)
    if isinstance(place, Done) or place["checked"] is wanted:
        return place if isinstance(place, Done) else Done()
    if place["checked"] is None:
        return refused(action, hands.seen, mark, {"why": "not_allowed"})
    await _click_at(hands, place)
    if await hands.worlds.ask("checked", int(mark)) is not wanted:
        return not_allowed(action, f"it was clicked, but it is {'not ' if wanted else 'still '}checked", mark)
    return Done()


async def _fill(hands: Hands, action: Action) -> Done:
    value = action.arguments.get("value", "")
    ready = await hands.ask(action, "write", value)
    if isinstance(ready, Done) or not ready["write"]:
        return ready if isinstance(ready, Done) else Done()
    keyboard = hands.page.keyboard
    await hands.input(keyboard.insert_text(value) if value else keyboard.press("Delete"))
    return Done()


async def _select(hands: Hands, action: Action) -> Done:
    chosen = await hands.ask(action, "choose", list(action.arguments["options"]))
    return chosen if isinstance(chosen, Done) else Done()


async def _focus(hands: Hands, action: Action) -> Done:
    focused = await hands.ask(action, "focus")
    return focused if isinstance(focused, Done) else Done()


async def _press(hands: Hands, action: Action) -> Done:
    focused = await _focus(hands, action)
    if not focused.error:
        await hands.input(hands.page.keyboard.press(action.arguments["key"]))
    return focused


async def _drag(hands: Hands, action: Action) -> Done:
    marks = [action.arguments["from_mark"], action.arguments["to_mark"]]
    places = []
    # Pointing scrolls: asked a second time, both must still be where they were.
    for mark in marks * 2:
        place = await hands.ask(action, "point", True, mark=mark)
        if isinstance(place, Done):
            return place
        places.append((place["x"], place["y"]))
    if places[:2] != places[2:] and places[1] != places[3]:
        return not_allowed(action, "the two are never in view at once; use mouse_down, scroll and mouse_up")
    await _drag_between(hands, places[2], places[3])
    return Done()


async def _drag_between(hands: Hands, start: tuple[float, float], end: tuple[float, float]) -> None:
    mouse = hands.page.mouse
    await hands.input(mouse.move(*start))
    await hands.input(mouse.down())
    await hands.input(mouse.move(*end, steps=DRAG_STEPS))
    await hands.input(mouse.up())
    hands.pointer = end


async def _scroll(hands: Hands, action: Action) -> Done:
    across, down = action.arguments["delta_x"], action.arguments["delta_y"]
    if not await hands.worlds.ask("scroll", *hands.pointer, across, down):
        # Some pages move things themselves when the wheel is turned.
        await hands.input(hands.page.mouse.wheel(across, down))
    return Done()


async def _mouse(hands: Hands, action: Action) -> Done:
    x, y = action.arguments["x"], action.arguments["y"]
    outside = _outside(hands, action, (x, y))
    if outside:
        return outside
    mouse, button = hands.page.mouse, action.arguments.get("button", "left")
    if action.name in ("mouse_click", "mouse_dblclick"):
        count = 2 if action.name == "mouse_dblclick" else 1
        await _click_at(hands, {"x": x, "y": y}, button=button, count=count)
        return Done()
    hands.pointer = (x, y)
    await hands.input(mouse.move(x, y))
    if action.name != "mouse_move":
        await hands.input(
            mouse.down(button=button) if action.name == "mouse_down" else mouse.up(button=button)
        )
    return Done()


async def _mouse_drag(hands: Hands, action: Action) -> Done:
    given = action.arguments
    start, end = (given["from_x"], given["from_y"]), (given["to_x"], given["to_y"])
    outside = _outside(hands, action, start) or _outside(hands, action, end)
    if outside:
        return outside
    await _drag_between(hands, start, end)
    return Done()


def _outside(hands: Hands, action: Action, place: tuple[float, float]) -> Done | None:
    size = hands.page.viewport_size or {"width": 0, "height": 0}
    if 0 <= place[0] < size["width"] and 0 <= place[1] < size["height"]:
        return None
    told = f"({place[0]}, {place[1]}) is outside of the view, which is {size['width']}x{size['height']}"
    return not_allowed(action, told)


async def _keyboard(hands: Hands, action: Action) -> Done:
    keyboard = hands.page.keyboard
    if action.name in ("keyboard_type", "keyboard_insert_text"):
        text = action.arguments["text"]
        work = keyboard.type(text) if action.name == "keyboard_type" else keyboard.insert_text(text)
        await hands.input(work, INPUT_SECONDS + SECONDS_A_KEY * len(text))
        return Done()
    key = action.arguments["key"]
    ways = {"keyboard_press": keyboard.press, "keyboard_down": keyboard.down, "keyboard_up": keyboard.up}
    await hands.input(ways[action.name](key))
    return Done()


async def _noop(hands: Hands, action: Action) -> Done:
    await asyncio.sleep(action.arguments["wait_ms"] / 1000)
    return Done()


async def _goto(hands: Hands, action: Action) -> Done:
    url = action.arguments["url"]
    if await hands.window.goto(url, LOAD_SECONDS):
        return Done()
    return not_allowed(action, f"{url} may not be reached from here")


async def _history(hands: Hands, action: Action) -> Done:
    step = -1 if action.name == "go_back" else 1
    history = await hands.worlds.send("Page.getNavigationHistory")
    if not 0 <= history["currentIndex"] + step < len(history["entries"]):
        return not_allowed(action, f"there is no page to go {'back' if step < 0 else 'forward'} to")
    go = hands.page.go_back if step < 0 else hands.page.go_forward
    await hands.input(go(wait_until="commit"), LOAD_SECONDS)
    return Done()


async def _new_tab(hands: Hands, action: Action) -> Done:
    if len(hands.window.pages) >= PAGES:
        return not_allowed(action, f"at most {PAGES} tabs can be open; close one with tab_close()")
    await hands.window.new_page()
    return Done()


async def _tab_close(hands: Hands, action: Action) -> Done:
    if len(hands.window.pages) < 2:
        return not_allowed(action, "this is the only tab")
    await hands.input(hands.page.close())
    return Done()


async def _tab_focus(hands: Hands, action: Action) -> Done:
    pages, index = hands.window.pages, action.arguments["index"]
    if index >= len(pages):
        return not_allowed(action, f"there is no tab {index}; the last one is tab {len(pages) - 1}")
    hands.window.show(pages[index])
    await hands.input(pages[index].bring_to_front())
    return Done()


async def _message(hands: Hands, action: Action) -> Done:
    return Done()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


WAYS: Mapping[str, Way] = {
    "click": _click,
    "dblclick": _dblclick,
    "hover": _hover,
    "fill": _fill,
    "clear": _fill,
    "check": _toggle,
    "uncheck": _toggle,
    "select_option": _select,
    "press": _press,
    "focus": _focus,
    "drag_and_drop": _drag,
    "scroll": _scroll,
    "noop": _noop,
    "goto": _goto,
    "go_back": _history,
    "go_forward": _history,
    "new_tab": _new_tab,
    "tab_close": _tab_close,
    "tab_focus": _tab_focus,
    "keyboard_type": _keyboard,
    "keyboard_insert_text": _keyboard,
    "keyboard_press": _keyboard,
    "keyboard_down": _keyboard,
    "keyboard_up": _keyboard,
    "mouse_move": _mouse,
    "mouse_click": _mouse,
    "mouse_dblclick": _mouse,
    "mouse_down": _mouse,
    "mouse_up": _mouse,
    "mouse_drag_and_drop": _mouse_drag,
    "send_msg_to_user": _message,
    "report_infeasible": _message,
}
