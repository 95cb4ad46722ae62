# ruff: noqa
"""The kernel's wide side: what no short function needs, tried one by one in a child or here."""

import ctypes, mmap, socket

NULL = 0


def zeros(count=256):
    return ctypes.create_string_buffer(count)


def perf():
    attributes = zeros(128)
    ctypes.c_uint32.from_buffer(attributes, 4).value = 128
    ctypes.c_uint32.from_buffer(attributes, 0).value = 1
    return syscall("perf_event_open", attributes, 0, -1, -1, 0)


def load():
    instructions = (ctypes.c_uint64 * 2)(0x00000000000000B7, 0x0000000000000095)  # r0 = 0; exit
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = zeros(128)
    ctypes.c_uint32.from_buffer(attributes, 0).value = 1
    ctypes.c_uint32.from_buffer(attributes, 4).value = 2
    ctypes.c_uint64.from_buffer(attributes, 8).value = ctypes.addressof(instructions)
    ctypes.c_uint64.from_buffer(attributes, 16).value = ctypes.addressof(licence)
    return syscall("bpf", 5, attributes, 128)


def peek(pid):
    """Memory of another, read through the kernel."""
    buffer = zeros(8)
    here = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 1)
    there = (ctypes.c_uint64 * 2)(id(None), 1)
    return syscall("process_vm_readv", pid, here, 1, there, 1, 0)


def trace(pid):
    syscall("ptrace", 0x4206, pid, 0, 0)  # seize, which does not stop it
    return 0


def steal(pid):
    return syscall("pidfd_getfd", syscall("pidfd_open", pid, 0), 1, 0)


def write_other(pid):
    buffer = zeros(1)
    here = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 0)
    return syscall("process_vm_writev", pid, here, 1, here, 1, 0)


def run_memory():
    descriptor = os.memfd_create("hx")
    with open("/bin/true", "rb") as program:
        os.write(descriptor, program.read())
    if fork() == 0:
        os.execve(descriptor, ["hx"], {})
    return 0


def shared_memory():
    return syscall("shmget", 0x68780000 + os.getpid() % 60000, 4096, 0o1666)


def new_user_by_clone():
    child = syscall("clone", 0x10000000 | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return 0


def clone3():
    arguments = (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17, 0, 0, 0)
    child = syscall("clone3", arguments, 64)
    if child == 0:
        os._exit(0)
    return 0


def fault_in_user_mode():
    return syscall("userfaultfd", 0o2000000)


ALONE = {
    "user namespace": lambda: syscall("unshare", 0x10000000),
    "mount namespace": lambda: syscall("unshare", 0x00020000),
    "net namespace": lambda: syscall("unshare", 0x40000000),
    "mount": lambda: syscall("mount", b"none", b"/tmp", b"tmpfs", 0, NULL),
    "open_tree": lambda: syscall("open_tree", -100, b"/", 1),
    "fsopen": lambda: syscall("fsopen", b"tmpfs", 0),
    "setns": lambda: syscall("setns", os.open("/proc/self/ns/net", os.O_RDONLY), 0),
    "chroot": lambda: syscall("chroot", b"/"),
    "personality": lambda: syscall("personality", 0x0040000) + 1,
    "swapon": lambda: syscall("swapon", b"", 0),
}
HERE = {
    "io_uring": lambda: syscall("io_uring_setup", 1, zeros()),
    "add_key": lambda: syscall("add_key", b"user", b"hx", b"hx", 2, -1),
    "keyctl": lambda: syscall("keyctl", 0, -3, 1, 0, 0),
    "userfaultfd": fault_in_user_mode,
    "perf": perf,
    "bpf": load,
    "shm": shared_memory,
    "msg": lambda: syscall("msgget", 0x68790000 + os.getpid() % 60000, 0o1666),
    "sem": lambda: syscall("semget", 0x687A0000 + os.getpid() % 60000, 1, 0o1666),
    "clone of a user namespace": new_user_by_clone,
    "clone3 of a user namespace": clone3,
    "kcmp": lambda: syscall("kcmp", os.getpid(), os.getppid(), 0, 1, 1),
    "run from memory": run_memory,
    "kernel log": lambda: syscall("syslog", 10, 0, 0),
    "sethostname": lambda: syscall("sethostname", b"hx", 2),
    "fanotify": lambda: syscall("fanotify_init", 0, 0),
    "memfd_secret": lambda: syscall("memfd_secret", 0),
    "AF_VSOCK": lambda: socket.socket(40, socket.SOCK_STREAM).close() or 0,
    "AF_ALG": lambda: socket.socket(38, socket.SOCK_SEQPACKET).close() or 0,
    "AF_PACKET": lambda: socket.socket(17, socket.SOCK_RAW).close() or 0,
    "open_by_handle": lambda: attempt(by_handle) and 0,
}
OTHERS = {"ptrace": trace, "process_vm_readv": peek, "process_vm_writev": write_other, "pidfd_getfd": steal}


def by_handle():
    handle, mount = zeros(136), ctypes.c_int()
    ctypes.c_uint.from_buffer(handle).value = 128
    syscall("name_to_handle_at", -100, b"/", handle, ctypes.byref(mount), 0)
    os.close(syscall("open_by_handle_at", os.open("/", os.O_RDONLY), handle, 0))
    breach("open_by_handle_at")


def try_one(name, way, *arguments):
    try:
        if way(*arguments) is not None:
            breach(name)
    except BaseException:
        pass


def in_a_child(names):
    """What would change this process for good, in a child where there can be one, else here."""
    try:
        child = fork()
    except OSError:
        child = 0
    else:
        if child:
            attempt(os.waitpid, child, 0)
            return
    for name, way in names.items():
        try_one(name, way)
    if os.getpid() != ME:
        os._exit(0)


ME = os.getpid()
for pid in targets():
    for name, way in OTHERS.items():
        try_one(name, way, pid)
for name, way in HERE.items():
    if name != "open_by_handle":
        try_one(name, way)
attempt(by_handle)
in_a_child(ALONE)


def largest(numbers):
    return said()
