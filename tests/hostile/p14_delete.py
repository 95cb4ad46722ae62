# ruff: noqa
"""The working folder and a folder of the host, deleted; also past Python's own calls."""

import shutil


def by_calls(folder):
    for root, folders, files in os.walk(folder, topdown=False):
        for name in files:
            attempt(lambda: os.unlink(root + "/" + name))
            attempt(lambda: libc().unlink((root + "/" + name).encode()))
        for name in folders:
            attempt(lambda: os.rmdir(root + "/" + name))
            attempt(lambda: libc().rmdir((root + "/" + name).encode()))
    attempt(lambda: libc().rmdir(folder.encode()))


FOLDERS = (HOST["folder"], ".", HOST["temporary"])
assert all(planted(folder) for folder in FOLDERS), "only what was planted is deleted"
assert not machine(), "nothing is deleted outside the arena"
for folder in FOLDERS:
    attempt(shutil.rmtree, folder)
    attempt(by_calls, folder)
attempt(os.rmdir, "../" + (attempt(lambda: os.path.basename(os.getcwd())) or "none"))


def largest(numbers):
    return said()
