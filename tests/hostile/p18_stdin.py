# ruff: noqa
"""What stands on the host's standard input, read by every way."""

import io


def by_terminal():
    return os.read(os.open("/dev/tty", os.O_RDONLY | os.O_NONBLOCK), 4096)


def by_stream():
    return sys.__stdin__.readline()


def by_file():
    return io.FileIO(0, closefd=False).read(4096)


leak(attempt(by_terminal) or b"")
attempt(os.set_blocking, 0, False)
leak(attempt(os.read, 0, 65536) or b"")
leak(attempt(by_file) or b"")
attempt(os.set_blocking, 0, True)
leak(attempt(by_stream) or "")
leak(attempt(input) or "")


def largest(numbers):
    return said()
