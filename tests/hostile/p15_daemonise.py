# ruff: noqa
"""A daemon by double fork, session and closed descriptors, that goes on writing to the host's folder."""

import signal, time


def live():
    mark()
    attempt(os.setsid)
    attempt(lambda: libc().prctl(1, 0, 0, 0, 0))  # no signal when the parent dies
    for number in range(1, 65):
        attempt(signal.signal, number, signal.SIG_IGN)
    for one in descriptors():
        attempt(os.close, one)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        attempt(lambda: open(HOST["folder"] + "/hx-alive", "w").write(str(time.time())))
        time.sleep(0.1)
    os._exit(0)


def spawn(way):
    if way() == 0:
        attempt(os.setsid)
        if way() == 0:
            live()
        os._exit(0)


for way in forks():
    attempt(spawn, way)
attempt(os.posix_spawn, "/bin/sleep", ["hx-hostile", "20"], {})


def largest(numbers):
    return said()
