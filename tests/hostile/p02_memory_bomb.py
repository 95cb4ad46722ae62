# ruff: noqa
"""Memory taken in every form: anonymous, shared, files in memory, pipes; 2.7 GiB where nothing stops it."""

import mmap

HELD = []
LEFT = [2700]


def take(piece, megabytes):
    try:
        while LEFT[0] > 0:
            HELD.append(piece())
            LEFT[0] -= megabytes
    except BaseException:
        pass


def shared():
    return mmap.mmap(-1, 64 << 20, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)


def private():
    return mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)


def in_memory():
    descriptor = os.memfd_create("hx")
    for _ in range(16):
        if os.write(descriptor, bytes(1 << 20)) < 1 << 20:
            raise OSError
    return descriptor


def in_shared_memory():
    with open(f"/dev/shm/hx-{os.getpid()}-{len(HELD)}", "wb") as file:
        file.write(bytes(16 << 20))


def in_folder():
    with open(f"hx-{len(HELD)}", "wb") as file:
        file.write(bytes(16 << 20))


def bomb():
    take(shared, 64)
    take(private, 64)
    take(in_memory, 16)
    take(in_shared_memory, 16)
    take(in_folder, 16)
    take(lambda: bytearray(b"x") * (1 << 20), 1)
    HELD.append([0] * (1 << 40))


bomb()


def largest(numbers):
    bomb()
    while True:
        HELD.append("x" * (1 << 20) + str(len(HELD)))
