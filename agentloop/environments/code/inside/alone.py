"""One side of one job in a process that another sandbox, such as bubblewrap, has started for it."""

from __future__ import annotations

import json
import os

from agentloop.environments.code.inside import candidate, checker
from agentloop.environments.code.inside.confine import CANDIDATE, Room
from agentloop.environments.code.inside.worker import read_all, surroundings

HIGH = 200
"""Above all descriptors that the other sandbox hands over."""


def main(role: int, *numbers: int) -> None:
    """Put on what the other sandbox leaves to us, then do the candidate's (0) or the checker's (1) part.

    ``numbers`` are the descriptors that are to become 0, 1, 2 ...: input, output, errors, the
    connection, for the checker the report, then the job; and last that of the settings.
    """
    inherited = list(numbers)
    settings = json.loads(read_all(inherited.pop()))
    job = json.loads(read_all(inherited.pop()))
    job["seconds"] = settings["seconds"]
    high = [os.dup2(descriptor, HIGH + place) for place, descriptor in enumerate(inherited)]
    for place, descriptor in enumerate(high):
        os.dup2(descriptor, place)
    room = Room(settings)
    room.settle()
    room.close_around(role, settings["seconds"])
    os.closerange(len(high), HIGH + len(high))
    os.environ.clear()
    os.environ.update(surroundings(settings["work"]))
    os._exit(candidate.main(job, 3) if role == CANDIDATE else checker.main(job, 3, 4))
