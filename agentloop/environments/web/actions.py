"""The actions of a web session, written as BrowserGym writes them: ``click('13')``, ``fill('7', 'Ada')``.

An action is parsed, never run: only a call of a known name with literal arguments is one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from agentloop.environments.web import arguments
from agentloop.environments.web.arguments import Wrong

LONGEST_CALL = 20_000
LONGEST_TOLD = 200
MOST_ARGUMENTS = 8
MISSING = object()
NO_ACTION = "there is no action in this reply; write one call on a line of its own, such as click('13')"


class Action(NamedTuple):
    """One action with all of its arguments, those that were left out at their defaults."""

    name: str
    arguments: Mapping[str, Any]

    def written(self) -> str:
        """The action as a call, with the arguments that differ from their defaults."""
        told = [
            f"{parameter.name}={self.arguments[parameter.name]!r}"
            if parameter.default is not MISSING
            else repr(self.arguments[parameter.name])
            for parameter in ACTIONS[self.name]
            if self.arguments[parameter.name] != parameter.default
        ]
        return f"{self.name}({', '.join(told)})"


class Malformed(NamedTuple):
    """A text that is no action, and a sentence that says why and what is allowed."""

    text: str
    message: str


class Parameter(NamedTuple):
    """One argument of an action: how its value is read, and what it is when it is left out."""

    name: str
    read: arguments.Reader
    default: Any = MISSING


_MARK = Parameter("mark", arguments.mark)
_BUTTON = Parameter("button", arguments.button, "left")
_CLICK = (_MARK, _BUTTON, Parameter("modifiers", arguments.modifiers, ()))
_TEXT = Parameter("text", arguments.text)
_KEY = Parameter("key", arguments.key)
_POINT = (Parameter("x", arguments.pixels), Parameter("y", arguments.pixels))
_POINT_BUTTON = (*_POINT, _BUTTON)

ACTIONS: Mapping[str, tuple[Parameter, ...]] = {
    "click": _CLICK,
    "dblclick": _CLICK,
    "hover": (_MARK,),
    "fill": (_MARK, Parameter("value", arguments.text)),
    "clear": (_MARK,),
    "check": (_MARK,),
    "uncheck": (_MARK,),
    "select_option": (_MARK, Parameter("options", arguments.options)),
    "press": (_MARK, _KEY),
    "focus": (_MARK,),
    "drag_and_drop": (Parameter("from_mark", arguments.mark), Parameter("to_mark", arguments.mark)),
    "scroll": (Parameter("delta_x", arguments.pixels), Parameter("delta_y", arguments.pixels)),
    "noop": (Parameter("wait_ms", arguments.milliseconds, 1000),),
    "goto": (Parameter("url", arguments.address),),
    "go_back": (),
    "go_forward": (),
    "new_tab": (),
    "tab_close": (),
    "tab_focus": (Parameter("index", arguments.index),),
    "keyboard_type": (_TEXT,),
    "keyboard_insert_text": (_TEXT,),
    "keyboard_press": (_KEY,),
    "keyboard_down": (_KEY,),
    "keyboard_up": (_KEY,),
    "mouse_move": _POINT,
    "mouse_click": _POINT_BUTTON,
    "mouse_dblclick": _POINT_BUTTON,
    "mouse_down": _POINT_BUTTON,
    "mouse_up": _POINT_BUTTON,
    "mouse_drag_and_drop": tuple(
        Parameter(name, arguments.pixels) for name in ("from_x", "from_y", "to_x", "to_y")
    ),
    "send_msg_to_user": (_TEXT,),
    "report_infeasible": (Parameter("reason", arguments.text),),
}
"""Every action with its parameters, in the order in which they are given."""


def action_of(code: str) -> Action | Malformed:
    """The action that ``code`` is, or why it is none. No text whatever raises."""
    try:
        return _action(_call(code))
    except Wrong as wrong:
        return Malformed(told(code), str(wrong))


def told(text: str, longest: int = LONGEST_TOLD) -> str:
    """A text as it may stand in a record: its beginning, without what cannot be written."""
    text = text.strip()
    text = text if len(text) <= longest else f"{text[:longest]}..."
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _call(code: str) -> ast.Call:
    if len(code) > LONGEST_CALL:
        raise Wrong(f"the action has {len(code)} characters; at most {LONGEST_CALL} are read")
    try:
        body = ast.parse(_kept_backslashes(code.strip())).body
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError) as error:
        raise Wrong(
            "the action cannot be read: write a call such as fill('7', 'Ada'), with text in quotes, "
            r"line ends in it as \n, and quotes in it as \'"
        ) from error
    if not body:
        raise Wrong(NO_ACTION)
    if len(body) > 1:
        raise Wrong(f"one action a step, and these are {len(body)}; write the first one alone")
    value = body[0].value if isinstance(body[0], ast.Expr) else None
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
        raise Wrong("this is no action; write the call of an action and nothing else, such as click('13')")
    return value


def _action(call: ast.Call) -> Action:
    assert isinstance(call.func, ast.Name)
    name = call.func.id
    if name not in ACTIONS:
        raise Wrong(f"{told(name, 40)!r} is no action{_meant(name, ACTIONS)} Known: {', '.join(ACTIONS)}")
    parameters = ACTIONS[name]
    given = _given(call, parameters)
    read = {}
    for parameter in parameters:
        value = given.get(parameter.name, parameter.default)
        if value is MISSING:
            raise Wrong(f"{signature(name)} needs {parameter.name}, which is not given")
        if parameter.name in given:
            try:
                value = parameter.read(value)
            except Wrong as wrong:
                raise Wrong(f"{parameter.name} of {name} {wrong}") from None
        read[parameter.name] = value
    return Action(name, read)


def _given(call: ast.Call, parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """The literal values of a call by the names of its parameters."""
    assert isinstance(call.func, ast.Name)
    name, names = call.func.id, [parameter.name for parameter in parameters]
    if len(call.args) > len(names):
        raise Wrong(f"{signature(name)} takes at most {len(names)} arguments, got {len(call.args)}")
    given = dict(zip(names, (_literal(each) for each in call.args), strict=False))
    for keyword in call.keywords[: MOST_ARGUMENTS + 1]:
        if keyword.arg is None:
            raise Wrong("arguments must be written out one by one; ** is not allowed")
        if keyword.arg not in names:
            raise Wrong(
                f"{signature(name)} has no argument {told(keyword.arg, 40)!r}{_meant(keyword.arg, names)}"
            )
        if keyword.arg in given:
            raise Wrong(f"{keyword.arg} is given twice")
        given[keyword.arg] = _literal(keyword.value)
    return given


def _literal(node: ast.expr) -> Any:
    """A text, a number or a list of texts; anything that would have to be worked out is refused."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float)):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_plain(each) for each in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _plain(node.operand)
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return -number
    raise Wrong(f"arguments must be texts in quotes, numbers or lists of texts, got {_kind(node)}")


def _plain(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float)):
        return node.value
    raise Wrong(f"arguments must be texts in quotes, numbers or lists of texts, got {_kind(node)}")


def _kind(node: ast.expr) -> str:
    kinds = {
        ast.Name: "a name without quotes",
        ast.Call: "a call",
        ast.Attribute: "an attribute",
        ast.JoinedStr: "an f-string",
        ast.BinOp: "a calculation",
    }
    return kinds.get(type(node), "something else")


def signature(name: str) -> str:
    """An action with the names of its arguments: ``click(mark, button='left', modifiers=())``."""
    parts = [
        each.name if each.default is MISSING else f"{each.name}={each.default!r}" for each in ACTIONS[name]
    ]
    return f"{name}({', '.join(parts)})"


def _meant(name: str, known: Any) -> str:
    near = get_close_matches(name[:60].lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else "."


_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = "\n\\'\"abfnrtvx01234567NuU"


def _kept_backslashes(code: str) -> str:
    r"""Double the backslashes that escape nothing, as in 'C:\docs'; Python keeps them, but with a warning."""
    if re.search(r"\b[rR][bB]?['\"]", code):
        return code
    return _ESCAPE.sub(lambda found: found[0] if found[1] in _ESCAPES else "\\" + found[0], code)
