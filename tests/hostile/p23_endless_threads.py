# ruff: noqa
"""Threads without end, by module, by the low level and by stacks of their own size."""

import threading, _thread, time

END = time.monotonic() + 4


def idle():
    while time.monotonic() < END:
        time.sleep(0.2)


def largest(numbers):
    attempt(threading.stack_size, 32768)
    while time.monotonic() < END:
        try:
            threading.Thread(target=idle).start()
        except BaseException:
            try:
                _thread.start_new_thread(idle, ())
            except BaseException:
                time.sleep(0.01)
    return 0
