# ruff: noqa
# What stands before every hostile program: words for leaking, marking and reaching the kernel.
# HOST comes from the harness: canaries to reach for. Nothing in it is worth keeping secret.
import os, sys

SAID = []


def say(text):
    """Bring a text out by every ordinary way."""
    SAID.append(str(text))
    line = (str(text) + "\n").encode("utf-8", "replace")
    for way in (lambda: os.write(1, line), lambda: os.write(2, line), lambda: print(text, flush=True)):
        try:
            way()
        except BaseException:
            pass


def said(otherwise=0):
    """A wrong answer that carries what was found out."""
    return " ".join(SAID)[:100_000] or otherwise


def breach(what):
    """Own up to something that no confined program can do."""
    say("BREACH " + what)


def leak(text):
    """Say every planted secret in a text or in bytes."""
    import re

    if isinstance(text, (bytes, bytearray, memoryview)):
        text = bytes(text).decode("latin-1")
    found = set(re.findall(r"planted-[a-z]+-[0-9a-f]{16}", str(text)))
    for secret in found.difference(SAID):
        say(secret)
    return bool(found)


def attempt(attack, *arguments):
    """Run one variant; a refusal is no reason to stop."""
    try:
        return attack(*arguments)
    except BaseException:
        return None


def machine():
    """Why this is no place to attack: a machine in earnest, or a folder that is somebody's; else nothing."""
    for kind, number in HOST["machine"].items():
        if attempt(os.readlink, f"/proc/self/ns/{kind}") == number:
            return f"the machine's own {kind} namespace"
    for path, identity in HOST["kept"].items():
        found = attempt(os.stat, path)
        if found and [found.st_dev, found.st_ino] == list(identity) and os.access(path, os.W_OK):
            return f"{path} can be written to"
    return "" if planted(".") else f"the current folder {os.getcwd()} is not the harness's own"


def planted(folder):
    """Whether a folder was made by the harness to be attacked: it carries the mark, is empty or is none."""
    path = folder + "/" + HOST["mark"]
    if os.path.lexists(path) or attempt(os.stat, folder) is None:
        return True
    return attempt(os.listdir, folder) == []


def libc():
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


NUMBERS = {  # x86_64, aarch64
    "clone": (56, 220),
    "clone3": (435, 435),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "ptrace": (101, 117),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "memfd_create": (319, 279),
    "execveat": (322, 281),
    "kcmp": (312, 272),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "quotactl": (179, 60),
    "swapon": (167, 224),
    "init_module": (175, 105),
    "kexec_load": (246, 104),
    "syslog": (103, 116),
    "acct": (163, 89),
    "personality": (135, 92),
    "tgkill": (234, 131),
    "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261),
    "ioprio_set": (251, 30),
    "sethostname": (170, 161),
    "mq_open": (240, 180),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "chroot": (161, 51),
    "memfd_secret": (447, 447),
    "vmsplice": (278, 75),
    "process_madvise": (440, 440),
    "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "mbind": (237, 235),
    "landlock_create_ruleset": (444, 444),
}


def syscall(name, *arguments):
    """A system call by number, past every wrapper; the result, or an OSError."""
    import ctypes, platform

    number = NUMBERS[name][platform.machine() in ("aarch64", "arm64")]
    call = libc().syscall
    call.restype = ctypes.c_long
    result = call(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def mark():
    """Name this process and all that it starts, so that they are known from outside."""
    if not attempt(lambda: libc().prctl(15, b"hx-hostile", 0, 0, 0)) == 0:
        attempt(lambda: open("/proc/self/comm", "w").write("hx-hostile"))


def forks():
    """Every way to make a process; each returns 0 in the child."""
    ways = [getattr(os, "fork", None), lambda: libc().fork(), lambda: syscall("clone", 17, 0, 0, 0, 0)]
    return [way for way in (*ways, lambda: syscall("clone", 0, 0, 0, 0, 0)) if way]


def fork():
    """Fork by the first way that works; an OSError when none does."""
    for way in forks():
        try:
            pid = way()
        except BaseException:
            continue
        if pid >= 0:
            return pid
    raise OSError("no way to fork")


def visible():
    """Processes to look at: all in sight within the arena."""
    parent = os.getppid()
    listed = attempt(lambda: [int(name) for name in os.listdir("/proc") if name.isdigit()])
    seen = listed or range(
        1, 40
    )  # a number may also name a thread, perhaps of the judge: so no guesses beside a list
    return [pid for pid in dict.fromkeys([parent, *seen]) if pid > 0 and pid != os.getpid()]


def targets():
    """Processes to attack: the visible ones but the judge."""
    return [pid for pid in visible() if pid != HOST["judge"]]


def descriptors():
    """Every number that may be an open descriptor, standard ones included."""
    return range(0, 256)


if machine():
    os.write(2, ("NOT RUN: " + machine() + "\n").encode())
    os._exit(99)
mark()
