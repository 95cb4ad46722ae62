# ruff: noqa
"""A loop that survives every exception."""


def largest(numbers):
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue
