# ruff: noqa
"""Output without end, on both streams and past them."""

BLOCK = b"x" * (1 << 20)


def largest(numbers):
    while True:
        for descriptor in (1, 2):
            attempt(os.write, descriptor, BLOCK)
        attempt(sys.stdout.write, "y" * 65536)
        attempt(sys.stderr.write, "z" * 65536)
