# ruff: noqa
"""The host's file overwritten, truncated, replaced, linked, its mode changed; new files beside it."""

import ctypes, tempfile

FILE, FOLDER = HOST["file"], HOST["folder"]


def by_call():
    for flags in (os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_RDWR, os.O_RDWR | os.O_CREAT):
        attempt(lambda flags=flags: os.write(os.open(FILE, flags), b"overwritten"))


def by_others():
    attempt(os.truncate, FILE, 0)
    attempt(os.chmod, FILE, 0)
    attempt(os.chown, FILE, 12345, 12345)
    attempt(os.utime, FILE, (1, 1))
    attempt(os.link, FILE, FILE + ".hx-link")
    attempt(os.setxattr, FILE, "user.hx", b"1")
    attempt(lambda: open(FOLDER + "/hx-new", "w").write("new"))
    attempt(os.mkdir, FOLDER + "/hx-folder")
    attempt(os.mkfifo, FOLDER + "/hx-fifo")
    attempt(os.symlink, "/", FOLDER + "/hx-link")
    attempt(lambda: os.rename(FOLDER + "/hx-new", FILE))


def by_library():
    libc().creat(FILE.encode(), 0o600)
    libc().truncate(FILE.encode(), ctypes.c_long(3))


def by_neighbours():
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", tempfile.gettempdir(), HOST["temporary"]):
        attempt(lambda folder=folder: open(folder + f"/hx-{os.getpid()}", "w").write("left"))
    for root in ("/proc/1/root", "/proc/self/root", "/proc/self/cwd/../../../../../.."):
        attempt(lambda root=root: open(root + FILE, "a").write("overwritten"))


for way in (by_call, by_others, by_library, by_neighbours):
    attempt(way)


def largest(numbers):
    return said()
