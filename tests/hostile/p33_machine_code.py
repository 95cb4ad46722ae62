# ruff: noqa
"""System calls of the older kind made by machine code, past filters that know only the newer kind."""

import ctypes, mmap, platform, struct

FILE = HOST["file"].encode()


def run(code):
    for flags in (mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40):
        page = mmap.mmap(-1, 4096, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        found = ctypes.CFUNCTYPE(ctypes.c_long)(address)()
        if found >= 0:
            return found
    return -1


def low_page(text):
    """A page below 4 GiB, so that 32-bit calls can point to it."""
    place = libc().mmap
    place.restype = ctypes.c_long
    address = place(None, ctypes.c_size_t(4096), 3, 0x22 | 0x40, -1, ctypes.c_long(0))
    ctypes.memmove(address, text + b"\0", len(text) + 1)
    return address


def old_call(number, first=0, second=0, third=0):
    """push rbx; mov eax, ebx, ecx, edx; int 0x80; cdqe; pop rbx; ret."""
    code = b"\x53\xb8" + struct.pack("<I", number) + b"\xbb" + struct.pack("<I", first)
    code += b"\xb9" + struct.pack("<I", second) + b"\xba" + struct.pack("<I", third)
    return run(code + b"\xcd\x80\x48\x98\x5b\xc3")


def x32_call(number, first=0, second=0, third=0):
    """mov eax, edi, esi, edx; syscall; ret, with the bit that chooses the third kind."""
    code = b"\xb8" + struct.pack("<I", number | 0x40000000) + b"\x48\xbf" + struct.pack("<Q", first)
    code += b"\x48\xbe" + struct.pack("<Q", second) + b"\x48\xba" + struct.pack("<Q", third)
    return run(code + b"\x0f\x05\xc3")


def arm_call(number, first=0):
    """mov x8, number; mov x0, first; svc 0; ret."""
    words = (0xD2800008 | number << 5, 0xD2800000 | (first & 0xFFFF) << 5, 0xD4000001, 0xD65F03C0)
    return run(struct.pack("<4I", *words))


def intel():
    path = low_page(FILE)
    found = old_call(5, path, 2)  # open for reading and writing
    if found >= 0:
        os.write(found, b"overwritten by an old call")
    found = x32_call(2, path, 2)
    if found >= 0:
        os.write(found, b"overwritten by an x32 call")
    for name, old, new in (("unshare", 310, 272), ("ptrace me", 26, 101)):
        argument = 0x10000000 if name == "unshare" else 0
        if old_call(old, argument) == 0 or x32_call(new, argument) == 0:
            breach("32-bit " + name)
    child = old_call(2)
    if child == 0:
        attempt(lambda: libc()._exit(0))
    if child >= 0:
        breach("32-bit fork")


if platform.machine() in ("x86_64", "AMD64"):
    attempt(intel)
elif arm_call(97, 0) == 0 and arm_call(220, 17) >= 0:
    breach("fork by machine code")


def largest(numbers):
    return said()
