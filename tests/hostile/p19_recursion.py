# ruff: noqa
"""Recursion without end: in Python, in C, in what is loaded, in what is given back."""

import functools

sys.setrecursionlimit(2**31 - 1)


class Deep:
    def __repr__(self):
        return repr(Deep()) + "."

    def __getattr__(self, name):
        return getattr(Deep(), name)


def dive(depth):
    return dive(depth + 1) + functools.reduce(lambda a, b: dive(depth), [1, 2])


def largest(numbers):
    attempt(lambda: eval("(" * 100_000 + ")" * 100_000))
    attempt(lambda: compile("-" * 100_000 + "1", "hx", "eval"))
    nested = []
    for _ in range(200_000):
        nested = [nested]
    return dive(0) or repr(nested) or repr(Deep())
