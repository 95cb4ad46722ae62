# ruff: noqa
"""A right answer with imports, types, a class and a little output."""

import collections, dataclasses, functools, itertools, math, re, typing


@dataclasses.dataclass(order=True)
class Entry:
    value: int


def largest(numbers: typing.List[int]) -> int:
    print("looking at", len(numbers))
    counted = collections.Counter(numbers)
    assert re.match("[0-9]+", str(len(counted))) and math.sqrt(4) == 2
    return functools.reduce(max, itertools.chain(Entry(n) for n in counted)).value
