# ruff: noqa
"""Every descriptor closed, half closed or exchanged, then work that never ends."""

import socket, time


def largest(numbers):
    for one in range(0, 256):
        link = attempt(lambda: socket.socket(fileno=os.dup(one)))
        if link is not None:
            attempt(link.shutdown, socket.SHUT_RD if numbers[0] == 3 else socket.SHUT_RDWR)
            attempt(link.close)
    zero = attempt(os.open, "/dev/zero", os.O_RDWR)
    for one in range(0, 256):
        if one != zero:
            attempt(lambda: os.dup2(zero, one))
    while True:
        time.sleep(1)
