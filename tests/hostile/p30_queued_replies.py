# ruff: noqa
"""Replies sent before they are asked for, and broken ones: too long, half, never ending, of another call."""

import json, socket, struct

VALUES = (3, -2, 7, True, None)


def numbered():
    """Answers to calls that have not been made yet, notes without end, and calls back."""
    for number in range(1, 6):
        for value in (3, -2, 7):
            yield ["value", number, value, []]
        yield ["raise", number, {"type": "AssertionError", "message": "x" * 100_000}, []]
    yield ["at", {"line": 1, "function": "x" * (1 << 20), "source": "x" * (1 << 20)}]
    yield ["back", 1, 0, [], {}]
    yield ["ready", {"x" * 1000: "y" * 1000}]
    yield ["not_loaded", {"exit": {"code": 0}}]


def replies():
    for message in numbered():
        text = json.dumps(message).encode()
        yield struct.pack(">I", len(text)) + text
    for value in VALUES:
        for form in (
            {"value": value},
            {"result": value},
            {"returned": value},
            ["value", value],
            {"ok": value},
            value,
            {"kind": "value", "value": {"int": value}},
            {"passed": True},
            {"done": True},
            {"raised": None},
            {"t": "int", "v": str(value)},
            {"returned": {"t": "int", "v": value}, "id": 1},
        ):
            text = json.dumps(form).encode()
            yield text + b"\n"
            yield from (struct.pack(size, len(text)) + text for size in (">I", "<I", ">Q", "<Q"))
    yield struct.pack(">I", 0) * 10
    yield struct.pack(">I", 2**31) + b"half"
    yield b"\xff" * 65536


def send_in_order():
    """The white way: the form that the other side expects, in good order."""
    for one in range(3, 64):
        for message in numbered():
            text = json.dumps(message).encode()
            attempt(os.set_blocking, one, False)
            attempt(os.write, one, struct.pack(">I", len(text)) + text)


def send():
    for one in range(0, 64):
        link = attempt(lambda: socket.socket(fileno=os.dup(one)))
        if link is None:
            continue
        attempt(link.setblocking, False)
        for message in replies():
            attempt(link.send, message)


attempt(send_in_order if os.getpid() % 2 else send)


def largest(numbers):
    attempt(send_in_order)
    attempt(send)
    while True:
        pass
