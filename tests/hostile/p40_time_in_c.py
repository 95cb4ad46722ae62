# ruff: noqa
"""Time spent in C, where no exception and no signal handler of Python gets in between."""

import re


def largest(numbers):
    if numbers[0] == 3:
        return max(range(10**12))
    if numbers[0] == -5:
        return re.match(r"(a|aa)+$", "a" * 60 + "b")
    return 10 ** (10**9)
