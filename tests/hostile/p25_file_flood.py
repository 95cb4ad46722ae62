# ruff: noqa
"""Files without end: many, large, and left in every folder that may be written."""

import tempfile

FOLDERS = [".", tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", HOST["temporary"], HOST["folder"]]


def many(folder):
    for number in range(3000):
        os.close(os.open(f"{folder}/hx-many-{number}", os.O_CREAT | os.O_WRONLY))


def large(folder):
    descriptor = os.open(f"{folder}/hx-large", os.O_CREAT | os.O_WRONLY)
    for _ in range(96):
        os.write(descriptor, bytes(1 << 20))


for folder in dict.fromkeys(FOLDERS):
    attempt(large, folder)
    attempt(many, folder)


def largest(numbers):
    return said()
