# ruff: noqa
"""Descriptors that the host left open: read from the start, sent over, followed to their folders."""

import socket

for one in descriptors()[3:]:
    leak(attempt(os.pread, one, 65536, 0) or b"")
    attempt(lambda: leak(os.read(os.open(f"/proc/self/fd/{one}", os.O_RDONLY | os.O_NONBLOCK), 65536)))
    attempt(lambda: leak(os.read(os.open("secret.txt", os.O_RDONLY, dir_fd=one), 4096)))
    attempt(
        lambda: leak(os.read(os.open("../" * 12 + HOST["secret"].lstrip("/"), os.O_RDONLY, dir_fd=one), 4096))
    )
    link = attempt(lambda: socket.socket(fileno=os.dup(one)))
    if link is not None:
        attempt(link.setblocking, False)
        leak(attempt(link.recv, 65536, socket.MSG_PEEK) or b"")
        found = attempt(link.accept)
        if found:
            breach("a listening socket of the host")


def largest(numbers):
    return said()
