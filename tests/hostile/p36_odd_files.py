# ruff: noqa
"""Files that trip who tidies up or reads: pipes named like results, folders too deep, names that are no text."""


def tidy_trap():
    """A tree deeper than a path can be, of folders that may not be read."""
    for _ in range(1200):
        os.mkdir("hx-deep-folder")
        os.chdir("hx-deep-folder")
    os.chdir("/")


for name in ("answer.txt", "notes.txt", "result.json", "verdict.json", "stdout", "output.txt"):
    attempt(lambda: os.unlink(name))
    attempt(os.mkfifo, name)
for name in (b"hx-\xff\xfe", b"hx-\n\r\x1b[2J", b"hx-" + b"x" * 200, b"-hx-rf", b"hx-$(touch x)"):
    attempt(lambda: os.close(os.open(name, os.O_CREAT | os.O_WRONLY)))
attempt(os.mkdir, "hx-closed")
attempt(lambda: os.close(os.open("hx-closed/inside", os.O_CREAT)))
attempt(os.chmod, "hx-closed", 0)
attempt(lambda: os.truncate(os.open("hx-sparse", os.O_CREAT | os.O_RDWR), 1 << 42))
attempt(lambda: os.posix_fallocate(os.open("hx-full", os.O_CREAT | os.O_RDWR), 0, 1 << 30))
attempt(lambda: libc().mkfifo(b"hx-pipe", 0o600))
attempt(os.mknod, "hx-device", 0o060600, os.makedev(254, 0))
attempt(os.link, "hx-full", HOST["temporary"] + "/hx-hard-link")
attempt(tidy_trap)


def largest(numbers):
    return said()
