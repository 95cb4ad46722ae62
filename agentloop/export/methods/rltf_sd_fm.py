"""RLTF-SD and RLTF-FM together: two turns, the second distilled into the first, and feedback foretold.

Expanding the Capabilities of Reinforcement Learning via Text Feedback, arXiv 2602.02482, proposes the
two apart (rltf_sd.py, rltf_fm.py); the paper tells of no run with both. The rows are those of RLTF-SD and,
after them, the feedback rows of RLTF-FM; the three losses are added with the papers' weights.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentloop.export.groups import Group
from agentloop.export.methods.method import CALLS, FEEDBACK, LOGPROBS, SCORE, TOKEN_IDS, Method
from agentloop.export.methods.rltf_fm import feedback_rows
from agentloop.export.methods.rltf_sd import two_turns, weigh
from agentloop.export.rows import GroupRow, LeftOut, SftRow
from agentloop.prompts import Prompts

NAME = "rltf-sd-fm"


def rows(group: Group, prompts: Prompts) -> Iterator[GroupRow | SftRow | LeftOut]:
    """The group row with the distilled answers, then one row for each feedback that was shown."""
    yield from two_turns(group, method=NAME, distil=True)
    yield from feedback_rows(group, prompts, method=NAME)


METHOD = Method(
    name=NAME,
    about="RLTF-SD and RLTF-FM together: self-distillation over two turns, and feedback modelling beside it",
    source="arXiv 2602.02482",
    nothing="first attempts, and groups in which not all did equally well",
    kinds=(GroupRow, SftRow),
    rows=rows,
    needs=(CALLS, SCORE, FEEDBACK, TOKEN_IDS, LOGPROBS),
    weigh=weigh,
    attempts=2,
)
