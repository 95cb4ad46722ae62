# ruff: noqa
"""The descriptors that carry output: grown, shrunk, sealed, moved, locked, turned round, given away."""

import fcntl, stat

for one in descriptors():
    attempt(lambda: os.write(one, b"hostile output "))
    attempt(lambda: os.lseek(one, 1 << 42, os.SEEK_SET))
    attempt(lambda: os.write(one, b"far away"))
    attempt(lambda: os.ftruncate(one, 1 << 42))
    attempt(lambda: os.posix_fallocate(one, 0, 1 << 32))
    attempt(lambda: fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB))
    attempt(lambda: fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB))
    attempt(lambda: fcntl.fcntl(one, fcntl.F_SETPIPE_SZ, 1 << 20))
    attempt(lambda: fcntl.fcntl(one, fcntl.F_ADD_SEALS, 0xF))
    attempt(lambda: fcntl.fcntl(one, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND | os.O_ASYNC))
    attempt(lambda: fcntl.fcntl(one, fcntl.F_SETLEASE, fcntl.F_WRLCK))
    attempt(lambda: os.fchmod(one, 0) if stat.S_ISREG(os.fstat(one).st_mode) else None)


def largest(numbers):
    if numbers[0] == -5:
        attempt(os.dup2, 1, 0)
        for one in range(3, 64):
            attempt(lambda: os.dup2(1, one))
    return 0
