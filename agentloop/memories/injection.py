"""Whether a correction carries an instruction that nobody who teaches gave.

Where the words came from decides: a sentence that stands in an observation (the output of a tool, a page,
rows) and asks for something is refused, also when the critic or the agent repeated it, unless the task
itself says it. What an observation merely states may be learnt: it is a candidate that must prove itself.
Patterns help where the way is not known: phrases that order an assistant about, role tags, addresses.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from agentloop.memories.words import words
from agentloop.types import Attempt

_RUN = 5
"""Words in a row that a sentence and an observation must share for it to come from there."""

_ORDERS = re.compile(
    r"""
    \b(?:ignor(?:e|ing|ez|a|iere)|disregard|forget|override|bypass|overrule|discard)\b.{0,40}
        \b(?:instruction|instruccion|prompt|guideline|direction|directive|anweisung)\w*
    | \b(?:ignore|disregard|forget)\s+(?:everything|anything|all|whatever)\b.{0,25}
        \b(?:above|before|previous|prior|earlier|so\s+far|said|told|learn\w*|know)\b
    | \b(?:system|developer|hidden|initial)\s+(?:prompt|message|instruction)
    | \byou\s+are\s+(?:now|no\s+longer)\b | \b(?:pretend|act)\s+(?:to\s+be|as\s+(?:if|an?|the)|like\s+a)\b
    | \bdo\s+anything\s+now\b | \bjailbreak | \bfrom\s+now\s+on\b
    | \bnew\s+(?:instructions?|orders|directive)\b
    | \b(?:always|only|must|just|please)\s+(?:answer|respond|reply|say)\b
    | \b(?:answer|respond|reply)\s+(?:to\s+)?(?:every|all|any|each)\b
    | \b(?:regardless|irrespective)\s+of\s+(?:what|(?:the|any|your)\s+
        (?:question|task|prompt|input|user|request|instruction)s?)\b
    | \bno\s+matter\s+what\b | \bwhatever\b.{0,30}\b(?:asks?|asked|wants?)\b
    | \b(?:do\s+not|don't|never)\s+(?:tell|reveal|mention|inform|warn|disclose)\b
    | \b(?:send|forward|post|upload|e-?mail|exfiltrate|transmit|leak)\b.{0,60}\b(?:to|at|into)\s+.{0,20}?
        (?:@|\.(?:com|net|org|io|ru|cn|xyz|dev|test)\b|attacker|webhook|endpoint|external)
    | \b(?:run|execute|eval|paste)\s+(?:this|the\s+following|these)\b
    | \b(?:curl|wget|rm\s+-rf|powershell|base64\s+-d|drop\s+table|sudo)\b
    | (?:https?|ftp|file|data|javascript):/?/?\S | \bwww\.\w
    | <\|?\s*/?\s*(?:im_start|im_end|system|assistant|user|tool|instructions?|inst)\b | \[/?(?:INST|SYS)\]
    | ^\s*\#*\s*(?:system|assistant|user|human|instructions?)\s*: | <!--
    | \b(?:attention|note|message)\s*(?:to\s+(?:the\s+)?)?(?:ai|assistant|llm|chatbot)s?\b
    | \b(?:ai|assistant|llm|chatbot)s?\s*(?:must|should|shall|has\s+to|have\s+to|:)
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_ASKS = re.compile(
    r"""
    \b(?:you|your|must|should|shall|always|never|please|need\s+to|have\s+to|do\s+not|don't|instead|let's)\b
    | \b(?:add|answer|append|assume|call|change|choose|click|convert|copy|count|delete|divide|do|drop|
      email|end|enter|execute|fetch|fill|forget|format|give|go|ignore|include|insert|join|keep|leave|limit|
      make|mark|multiply|multiplied|divided|omit|open|output|pay|pick|post|prefer|print|printed|put|query|
      remember|remove|replace|report|reply|respond|return|run|say|select|send|set|show|skip|sort|start|stop|
      buy|check|close|compare|ensure|filter|find|get|group|look|move|press|round|scroll|stay|sum|wait|
      submit|subtract|take|tell|transfer|treat|trust|try|type|update|use|visit|wants?|wire|wrap|write)\b
    | (?:^|[.:;,!]\s+)(?:order|list|name|read|consider)\b
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_JOINING = "\u200c\u200d\ufeff\u00ad"
_SENTENCES = re.compile(r"(?<=[.!?;])\s+|\n+")


def injected(text: str, attempts: Sequence[Attempt] = ()) -> str:
    """Why ``text`` may be an instruction that was slipped in; empty when nothing speaks for it."""
    if not text:
        return ""
    if _is_hidden_writing(text):
        return "it holds writing that a person does not see"
    plain = unicodedata.normalize("NFKC", text)
    if _ORDERS.search(plain):
        return "it gives an assistant orders, or points to an address"
    observed = [_row(step.observation) for each in attempts for step in each.steps]
    prompts = [_row(each.task.prompt) for each in attempts]
    for sentence in _SENTENCES.split(plain):
        if _ASKS.search(sentence) and _stands(sentence, observed, but_not=prompts):
            return "it asks for something in words that an observation brought"
    return ""


def _stands(sentence: str, observed: Sequence[str], *, but_not: Sequence[str]) -> bool:
    """Whether a run of the sentence's words stands in an observation and not in the task."""
    said = words(sentence)
    length = min(_RUN, len(said))
    if length < 2:
        return False
    runs = [f" {' '.join(said[at : at + length])} " for at in range(len(said) - length + 1)]
    return any(
        run in each and not any(run in prompt for prompt in but_not) for run in runs for each in observed
    )


def _row(text: str) -> str:
    return f" {' '.join(words(text))} "


def _is_hidden_writing(text: str) -> bool:
    """Whether it has marks that are not seen, but for those that join and break words, or mixed alphabets."""
    if text.isascii():
        return False
    if any(unicodedata.category(mark) in ("Cf", "Co", "Cn") and mark not in _JOINING for mark in text):
        return True
    return any(_has_two_alphabets(word) for word in words(text))


def _has_two_alphabets(word: str) -> bool:
    latin = any("a" <= mark <= "z" for mark in word)
    return latin and any("\u0400" <= mark <= "\u04ff" for mark in word)
