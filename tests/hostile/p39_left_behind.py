# ruff: noqa
"""What outlives a process: shared memory, queues, semaphores, keys, watches, sockets with names, mounts."""

import ctypes, socket

attempt(lambda: os.close(os.open("/dev/shm/hx-left", os.O_CREAT | os.O_RDWR)))
attempt(lambda: libc().shm_open(b"/hx-left-too", 0o102, 0o666))
attempt(lambda: ctypes.CDLL("librt.so.1").sem_open(b"/hx-semaphore", 0o100, 0o666, 1))
attempt(lambda: syscall("mq_open", b"hx-queue", 0o102, 0o666, 0))
attempt(lambda: os.close(os.open("/dev/mqueue/hx-queue", os.O_CREAT | os.O_RDWR)))
for name, first in (("shmget", 0x687B0000), ("msgget", 0x687C0000), ("semget", 0x687D0000)):
    for number in range(20):
        size = (4096, 0o1666) if name == "shmget" else (1, 0o1666) if name == "semget" else (0o1666,)
        attempt(lambda: syscall(name, first + number, *size))
for folder in (HOST["temporary"], HOST["folder"], "/tmp"):
    attempt(lambda: socket.socket(socket.AF_UNIX).bind(folder + "/hx-socket"))
attempt(lambda: syscall("inotify_init1", 0))
attempt(lambda: os.mkdir("/sys/fs/cgroup/hx-left"))
for kind in ("memory", "pids", "unified", ""):
    attempt(lambda: os.mkdir(f"/sys/fs/cgroup/{kind}/hx-left"))


def largest(numbers):
    return said()
