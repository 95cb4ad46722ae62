# ruff: noqa
"""Exceptions that take the names of others, and whose text, cause and copy do harm."""


class AssertionError(BaseException):
    pass


class Hostile(Exception):
    def __str__(self):
        print("str", flush=True)
        os._exit(0)

    __repr__ = __format__ = __str__

    def __reduce__(self):
        return os._exit, (0,)

    def __getattribute__(self, name):
        if name in ("args", "__notes__"):
            return iter(lambda: "x" * 1_000_000, None)
        return super().__getattribute__(name)


class Name(type):
    @property
    def __name__(cls):
        os._exit(0)

    def __repr__(cls):
        os._exit(0)

    def __instancecheck__(cls, other):
        return True


class Worst(Exception, metaclass=Name):
    __module__ = None
    __qualname__ = "SystemExit"


def circle():
    first, second = Hostile(), Worst()
    first.__cause__, second.__cause__ = second, first
    first.__context__ = second
    return first


def largest(numbers):
    if numbers[0] == 3:
        raise ExceptionGroup("many", [circle(), Worst("passed")])
    if numbers[0] == -5:
        error = ValueError("x" * (20 << 20))
        attempt(error.add_note, "x" * (20 << 20))
        raise error
    raise type("SystemExit", (SystemExit,), {"code": 0})(0)
