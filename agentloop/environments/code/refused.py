"""The system calls that programs are refused, as a seccomp filter made by libseccomp."""

from __future__ import annotations

import contextlib
import errno
import os

KERNEL = (
    "mount umount umount2 pivot_root chroot mount_setattr open_tree move_mount fsopen fsconfig fsmount "
    "fspick unshare setns ptrace process_vm_readv process_vm_writev process_madvise process_mrelease "
    "kcmp pidfd_getfd pidfd_open pidfd_send_signal io_uring_setup io_uring_enter io_uring_register "
    "keyctl add_key request_key userfaultfd perf_event_open bpf fanotify_init fanotify_mark "
    "open_by_handle_at name_to_handle_at lookup_dcookie init_module finit_module delete_module "
    "create_module query_module kexec_load kexec_file_load reboot swapon swapoff acct quotactl "
    "quotactl_fd syslog personality iopl ioperm modify_ldt settimeofday clock_settime clock_adjtime "
    "adjtimex stime sethostname setdomainname vhangup nfsservctl uselib ustat sysfs _sysctl "
    "migrate_pages move_pages mbind set_mempolicy set_mempolicy_home_node get_mempolicy vmsplice tee "
    "remap_file_pages seccomp landlock_create_ruleset vm86 vm86old ioprio_set setpriority "
    "sched_setscheduler sched_setattr sched_setparam sched_setaffinity mlockall"
)
OBJECTS = (
    "shmget shmat shmctl shmdt msgget msgsnd msgrcv msgctl semget semop semtimedop semctl "
    "mq_open mq_unlink mq_notify mq_timedsend mq_timedreceive memfd_create memfd_secret"
)
"""What System V and POSIX name for the whole machine, and memory that no limit of a process counts."""
OWNERS = "chown fchown lchown fchownat mknod mknodat setxattr lsetxattr fsetxattr removexattr lremovexattr"
MODES = (
    "chmod fchmod fchmodat fchmodat2 utime utimes futimesat utimensat fsetxattr fremovexattr inotify_init "
    "inotify_init1 inotify_add_watch"
)
"""What Landlock does not guard: refused where the program sees the host's files."""
NETWORK = "socket connect bind listen accept accept4 sendmsg recvmsg sendmmsg recvmmsg setsockopt"
"""What reaches other sockets. A pair of one's own (asyncio has one) may be made, written and read; only
``sendto`` could reach out of a pair, by an address, and is refused with one."""
PROCESSES = "fork vfork execve execveat"
CLONE_THREAD = 0x00010000
NAMESPACES = 0x7E020080
"""The flags of clone that ask for new namespaces."""
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
ORDER, BINARY_TREE = 8, 2
"""The attribute of a filter that says how it looks a call up. To put a filter in force, the kernel tries
it on every call that there is: with a list that takes twice as long as with a tree."""
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_MM = 1, 4, 35


def program(*, subprocess: bool, network: bool, apart: bool) -> bytes:
    """The filter as BPF instructions: everything is allowed that is not named here.

    ``apart`` says that the program has mount and pid namespaces of its own. A refused call fails with
    EPERM; ``clone3``, whose flags a filter cannot read, with ENOSYS, so that the C library takes
    ``clone``. Calls by another architecture's numbers kill the process. ImportError or OSError where
    libseccomp is missing.
    """
    import pyseccomp as seccomp

    made = seccomp.SyscallFilter(seccomp.ALLOW)
    with contextlib.suppress(OSError, ValueError):  # an old libseccomp knows no other order
        made.set_attr(ORDER, BINARY_TREE)
    refuse = seccomp.ERRNO(errno.EPERM)
    refused = [*KERNEL.split(), *OBJECTS.split(), *OWNERS.split()]
    refused += [] if apart else MODES.split()
    refused += [] if network else NETWORK.split()
    refused += [] if subprocess else PROCESSES.split()
    for name in dict.fromkeys(refused):
        if _known(seccomp, name):
            made.add_rule(refuse, name)
    made.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    unlike_a_thread = seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_THREAD, 0)
    if not subprocess:
        made.add_rule(refuse, "clone", unlike_a_thread)
    if not network:
        made.add_rule(refuse, "sendto", seccomp.Arg(4, seccomp.NE, 0))
    for bit in range(32):
        if NAMESPACES >> bit & 1 and bit != 7:
            made.add_rule(refuse, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, 1 << bit, 1 << bit))
    for command in (TIOCSTI, TIOCLINUX):
        made.add_rule(refuse, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, command))
    made.add_rule(refuse, "prlimit64", seccomp.Arg(0, seccomp.NE, 0))
    for option in (PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_MM):
        made.add_rule(refuse, "prctl", seccomp.Arg(0, seccomp.MASKED_EQ, 0xFFFFFFFF, option))
    return _exported(made)


def _known(seccomp: object, name: str) -> bool:
    """Whether this machine's libseccomp knows the call; those that an architecture lacks are negative."""
    try:
        return bool(seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) >= 0)  # type: ignore[attr-defined]
    except (ValueError, OSError):
        return False


def _exported(made: object) -> bytes:
    pipe, end = os.pipe()
    try:
        # A filter is a few KiB, less than a pipe holds.
        with os.fdopen(end, "wb") as file:
            made.export_bpf(file)  # type: ignore[attr-defined]
        parts = []
        while part := os.read(pipe, 65536):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(pipe)
