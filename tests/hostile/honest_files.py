# ruff: noqa
"""A right answer by way of temporary files, which are a program's own business."""

import tempfile


def largest(numbers):
    with tempfile.TemporaryFile("w+") as file:
        file.writelines(f"{number}\n" for number in numbers)
        file.seek(0)
        found = [int(line) for line in file]
    with open("found.txt", "w") as file:
        file.write(str(max(found)))
    with open("found.txt") as file:
        return int(file.read())
