"""The system calls that are refused, tried for real in processes of their own."""

import ctypes
import errno
import os
import subprocess
import sys

import pytest

from agentloop.environments.code import refused
from agentloop.environments.code.layers import START, probe

pytestmark = pytest.mark.skipif(
    not probe()["seccomp"].available, reason=f"SKIPPED: no seccomp here ({probe()['seccomp'].detail})"
)
NUMBERS = {"ptrace": 101, "keyctl": 250, "io_uring_setup": 425, "shmget": 29, "bpf": 321, "unshare": 272}


def tried(body: str, *, subprocess_too: bool = False, network: bool = False, apart: bool = True) -> str:
    """What ``body`` prints in a process under the filter."""
    program = refused.program(subprocess=subprocess_too, network=network, apart=apart)
    code = (
        "import sys, os, errno, socket, ctypes, threading\n"
        f"sys.path.insert(0, {str(START.parent)!r})\n"
        "import kernel\n"
        "kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1, what='no new privileges')\n"
        f"kernel.SystemCallFilter(bytes.fromhex({program.hex()!r})).install()\n"
        "def error(call, *arguments):\n"
        "    try:\n"
        "        return call(*arguments) and None\n"
        "    except OSError as found:\n"
        "        return errno.errorcode[found.errno]\n"
        f"{body}\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_forks_and_new_programs_are_refused() -> None:
    assert tried("print(error(os.fork), error(os.execv, '/bin/true', ['true']))") == "EPERM EPERM"


def test_threads_are_not_refused() -> None:
    body = "thread = threading.Thread(target=print, args=('ran',)); thread.start(); thread.join()"
    assert tried(body) == "ran"


def test_processes_may_start_where_that_is_allowed() -> None:
    body = "import subprocess; print(subprocess.run(['/bin/echo', 'ran'], capture_output=True).stdout)"
    assert "ran" in tried(body, subprocess_too=True)


def test_even_then_no_process_gets_new_namespaces() -> None:
    body = (
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0), errno.errorcode[ctypes.get_errno()])"
    )
    assert tried(body, subprocess_too=True) == "-1 EPERM"


def test_sockets_are_refused_but_a_pair_of_ones_own_works() -> None:
    body = (
        "one, other = socket.socketpair(); one.send(b'x'); print(other.recv(1), error(socket.socket))\n"
        "print(error(one.sendto, b'x', 0, '/tmp/other'))"
    )
    assert tried(body) == "b'x' EPERM\nEPERM"


def test_an_event_loop_works() -> None:
    body = "import asyncio; print(asyncio.run(asyncio.to_thread(lambda: 'ran')))"
    assert tried(body) == "ran"


def test_the_network_may_be_allowed() -> None:
    assert tried("print(error(socket.socket))", network=True) == "None"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86_64")
@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_calls_into_the_kernel_are_refused(name: str) -> None:
    body = (
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"print(libc.syscall({NUMBERS[name]}, 0, 0, 0, 0, 0), errno.errorcode[ctypes.get_errno()])"
    )
    assert tried(body) == "-1 EPERM"


def test_a_process_cannot_take_back_that_it_dies_with_its_parent() -> None:
    body = "libc = ctypes.CDLL(None, use_errno=True); print(libc.prctl(1, 0, 0, 0, 0))"
    assert tried(body) == "-1"


def test_modes_of_files_are_refused_only_among_the_files_of_the_host() -> None:
    body = "print(error(os.chmod, '/nowhere', 0o777))"
    assert tried(body, apart=False) == "EPERM"
    assert tried(body, apart=True) == "ENOENT"


def test_calls_that_this_machine_does_not_know_are_left_out() -> None:
    assert not refused._known(__import__("pyseccomp"), "no_such_call")


def test_the_flags_of_clone_are_those_of_the_kernel() -> None:
    from agentloop.environments.code.inside import kernel

    named = (
        kernel.CLONE_NEWNS | kernel.CLONE_NEWCGROUP | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC
        | kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET
    )  # fmt: skip
    assert named | 0x80 == refused.NAMESPACES
    assert ctypes.sizeof(ctypes.c_ulong) == 8 and errno.EPERM == 1
