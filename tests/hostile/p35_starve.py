# ruff: noqa
"""Processors, priorities, timers and limits: of this process and of those that watch it."""

import signal, threading


def privileges():
    """What would slow everybody; owned up to and given back at once."""
    if attempt(os.setpriority, os.PRIO_PROCESS, 0, -20) is None and os.getpriority(os.PRIO_PROCESS, 0) < 0:
        breach("priority")
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))
    if os.sched_getscheduler(0) == os.SCHED_FIFO:
        breach("real time")
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


attempt(privileges)
for pid in targets():
    attempt(lambda: os.sched_setaffinity(pid, {0}))
    attempt(lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
    attempt(lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)))
    attempt(lambda: syscall("ioprio_set", 1, pid, 3 << 13))
    import resource

    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        attempt(lambda: resource.prlimit(pid, limit, (8, 8)))
attempt(lambda: os.setpriority(os.PRIO_USER, os.getuid(), 19))
attempt(lambda: os.setpriority(os.PRIO_PGRP, os.getpgid(os.getppid()), 19))
attempt(signal.setitimer, signal.ITIMER_REAL, 0.001, 0.001)
attempt(signal.signal, signal.SIGALRM, lambda *arguments: None)
attempt(signal.pthread_sigmask, signal.SIG_BLOCK, set(range(1, 65)))
for _ in range(16):
    attempt(
        lambda: threading.Thread(target=lambda: [sum(range(10**7)) for _ in range(100)], daemon=True).start()
    )


def largest(numbers):
    while True:
        pass
