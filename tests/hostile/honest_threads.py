# ruff: noqa
"""A right answer with threads, recursion, a generator and an error that is caught."""

import concurrent.futures
import sys

sys.setrecursionlimit(5000)


def deep(numbers, at=0):
    return numbers[at] if at == len(numbers) - 1 else max(numbers[at], deep(numbers, at + 1))


def largest(numbers):
    try:
        deep([])
    except IndexError:
        pass
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(deep, [numbers, numbers + list(range(-900, -100))]))
    return max(found)
