"""Whether a text can be a lesson at all: it names something that another task may need.

Verdicts, praise, small talk, questions, advice that fits everything, and the answer of one task say
nothing to another one. That a text passes here does not make it useful: only trying it can show that.
"""

from __future__ import annotations

import re

from agentloop.memories.novelty import content

_VERDICTS = """
correct incorrect right wrong good bad great nice excellent perfect well done fail pass error mistake
answer solution result output query code attempt response job work yes ok okay fine true false almost close
nearly still again yet better worse best bit wow super awesome amaz cool brilliant bravo congratulation
unfortunately sadly sorry hmm oop expect fix broken issue problem thing something anything nothing everything
step reasoning logic approach final current previous last first second progress start end part lot
"""
_TALK = """
thank hello hi hey bye goodbye welcome morning evening night day today tomorrow how doing meet glad happy
enjoy love like fun haha lol sure maybe guess think thought feel talk chat people am was im ve ll re me my
we us our he she they him her kind too much many really sound great what who where why yeah nope
"""
_ADVICE = """
careful carefully check double recheck verify review read reread think thoroughly task question instruction
requirement understand understand attention pay detail mind try harder more improve accurate accuracy avoid
focus follow consider properly clear clearly thorough ensure analyze analyse plan correctly correctnes
mistake error overlook rush slow patient diligent rigorous systematic effort example test debug input
complete full fully quality need harder one
professional precise precisely hard different another way time once twice
"""
_EMPTY = frozenset(
    content(_VERDICTS) + content(_TALK) + content(_ADVICE) + tuple(f"{_VERDICTS} {_TALK} {_ADVICE}".split())
) | {"not"}
_THING = r"(?:answers?|results?|outputs?|solutions?|values?|sum|products?|choices?|options?)"
_ANSWER = re.compile(
    rf"""
    \b{_THING}\b[^.;\n]{{0,40}}?(?:\bis|\bwas|\bare|\bwere|\bbe|=|:|\bequals?|\bof)\s*
        (?:actually\s+|exactly\s+|now\s+|just\s+)?[-+$\\"'`\[({{]*(?:\d|[A-Z]\b|True\b|False\b|["'`\[])
    | \b(?:expected|wanted|should\s+(?:be|have\s+been|return))\b[^.;\n]{{0,60}}
        \b(?:but|got|not)\b[^.;\n]{{0,40}}\d
    | \bgot\b[^.;\n]{{0,60}}\b(?:expected|wanted|instead\s+of)\b
    | \\boxed | ^\s*assert\b | \bso\s+the\s+(?:final\s+)?answer\b
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)


def no_lesson(text: str, *, longest: int = 600) -> str:
    """Why a text can be no lesson for other tasks; empty when it may be one."""
    if len(text) > longest:
        return f"it has {len(text)} characters, more than {longest}; keep what matters"
    sentences = [each.strip() for each in re.split(r"(?<=[.!?])\s+|\n+", text) if each.strip()]
    if sentences and all(each.endswith("?") for each in sentences):
        return "it only asks"
    if _ANSWER.search(text):
        return "it tells the answer of one task"
    if len(set(content(text)) - _EMPTY) < 2:
        return "it names nothing that another task could use: a verdict, talk or advice that fits all"
    return ""
