# ruff: noqa
"""Results too large, too deep, too long, circular, or of a class that lies about itself."""


class Lie(dict):
    __class__ = int

    def __iter__(self):
        while True:
            yield "x" * 1_000_000

    def items(self):
        return iter(lambda: ("x" * 1_000_000, 0), None)

    def __len__(self):
        return 2**62

    def __reduce__(self):
        return os._exit, (0,)


def deep():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    return nested


def round():
    own = []
    own.append(own)
    return {"own": own, "again": [own] * 1000}


CALLS = [0]
FIRST = [Lie, deep, lambda: [make() for make in REST], lambda: "x" * (9 << 20), round]
REST = [
    lambda: 10**1_000_000,
    lambda: {float("nan"): 1, float("inf"): 2},
    lambda: float("1e400"),
    lambda: largest,
    lambda: [[[[[["x" * 1000] * 20] * 20] * 20] * 20] * 20],
    lambda: range(10**18),
    lambda: (x for x in iter(int, 1)),
    lambda: bytes(100 << 20),
    Lie,
]


def largest(numbers):
    attempt(sys.set_int_max_str_digits, 0)
    CALLS[0] += 1
    return FIRST[CALLS[0] - 1]()
