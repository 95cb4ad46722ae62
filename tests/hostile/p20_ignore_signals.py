# ruff: noqa
"""Every signal ignored, blocked or answered, then a loop."""

import signal

for number in range(1, 65):
    attempt(signal.signal, number, signal.SIG_IGN)
attempt(signal.pthread_sigmask, signal.SIG_BLOCK, set(range(1, 65)))
attempt(lambda: libc().prctl(1, 0, 0, 0, 0))
attempt(signal.setitimer, signal.ITIMER_REAL, 0)


def largest(numbers):
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue
