# ruff: noqa
"""Memory that is not there, read and run."""

import ctypes


def largest(numbers):
    if numbers[0] == 3:
        return ctypes.string_at(0)
    return ctypes.CFUNCTYPE(ctypes.c_int)(8)()
