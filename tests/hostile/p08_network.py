# ruff: noqa
"""Connections by TCP, UDP, abstract and named sockets; from here and from a thread; by address and name."""

import socket, threading

PORT, ABSTRACT, PATH = HOST["port"], HOST["abstract"], HOST["socket"]


def stream(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as link:
        link.settimeout(0.3)
        link.connect(address)
        link.sendall(b"hostile")


def message(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.sendto(b"hostile", address)


def reach():
    for address in ("127.0.0.1", "0.0.0.0", "localhost"):
        attempt(stream, socket.AF_INET, (address, PORT))
        attempt(message, socket.AF_INET, (address, PORT))
    attempt(stream, socket.AF_INET6, ("::1", PORT))
    attempt(stream, socket.AF_INET6, ("::ffff:127.0.0.1", PORT))
    attempt(lambda: socket.create_connection(("localhost", PORT), 0.3).close())
    for name in ("\0" + ABSTRACT, PATH):
        attempt(stream, socket.AF_UNIX, name)
    attempt(message, socket.AF_UNIX, "\0" + ABSTRACT + "-messages")
    attempt(fast_open)


def fast_open():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as link:
        link.sendto(b"hostile", 0x20000000, ("127.0.0.1", PORT))


reach()
worker = threading.Thread(target=reach, daemon=True)
attempt(worker.start)
attempt(worker.join, 0.5)


def largest(numbers):
    return said()
