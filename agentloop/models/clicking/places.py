"""Skills for drawings: what is to be clicked or dragged stands at a place."""

from __future__ import annotations

from agentloop.models.clicking.acting import Turn, click, click_at, submit


def centre(turn: Turn) -> str:
    """Click the middle of the circle, or between two circles, and submit."""
    if any(each.startswith("mouse_click") for each in turn.done):
        return submit(turn.page)
    places = [each.place for each in turn.page.of("circle")]
    if not places:
        return ""
    return click_at(*(sum(axis) / len(places) for axis in zip(*places, strict=True)))


def in_order(turn: Turn) -> str:
    """Click the first number, and then the boxes that hide the others, which stand in their order."""
    return click(next(iter(turn.page.of("text", "rect")), None))


def on_the_grid(turn: Turn) -> str:
    """Click a point of a grid by its coordinates, those of its middle being (0, 0)."""
    right, up = (int(each) for each in turn.goal)
    points = turn.page.of("circle")
    across = sorted({each.place[0] for each in points})
    down = sorted({each.place[1] for each in points})
    wanted = (across[len(across) // 2 + right], down[len(down) // 2 - up])
    return click(next((each for each in points if each.place == wanted), None))


def coloured(turn: Turn) -> str:
    """Click the box of a colour."""
    wanted = turn.goal[0].replace("grey", "gray")
    boxes = [each for each in turn.page.of() if each.states.get("colour") == wanted]
    return click(max(boxes, key=lambda each: int(each.states["width"]), default=None))


def resize(turn: Turn) -> str:
    """Drag the corner of a field so that it grows or shrinks."""
    side, way = turn.goal
    if any(each.startswith("mouse_drag") for each in turn.done):
        return submit(turn.page)
    box = next(each for each in turn.page.of("clickable") if "ui-wrapper" in each.states.get("class", ""))
    width, height = int(box.states["width"]), int(box.states["height"])
    x, y = box.place[0] + width // 2 - 4, box.place[1] + height // 2 - 4
    step = 14 if way == "larger" else -14
    to = (x + step, y) if side == "width" else (x, y + step)
    return f"mouse_drag_and_drop({x}, {y}, {to[0]}, {to[1]})"
