"""Styles of writing that can be told from a text, put into it, and taken out again, all by rule.

``read`` takes a text apart into plain sentences and the styles it has, ``render`` writes such a passage
in the styles that are wanted, ``named`` tells which styles some words ask for. The rules are coarse on
purpose: whoever writes, edits or reads goes by the same ones, so that an edit is never a matter of taste.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

SHORT_WORDS, BRIEF_SENTENCES = 9, 2
"""The most words of a short sentence, and the most sentences of a brief text."""

CLOSING, THANKS = "I hope this helps.", "Thank you for reading."
STORY, QUESTION, SECOND = "Once upon a time it went like this.", "What do you think?", "You see:"
EMOJIS = "🙂✨👍"

_CLOSING = re.compile(r"(i )?hope (this|that) helps\b|let me know if\b|(best|kind) (wishes|regards)\b", re.I)
_SECOND = re.compile(r"you see:\s*", re.I)
_MARK = re.compile(r"\s*(-\s|\*\s|•\s|A:|Q:)?\s*", re.I)
_TAG = re.compile(r"\s*#\w+\s*")
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\ufe0f]")
_END = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"[^\W\d_]{2,}")


class Style(NamedTuple):
    """One style: the words that name it, and the pattern of words that ask for it.

    ``removable`` is whether it can be taken out: a text that was cut short cannot be made long again by
    somebody who does not know the rest.
    """

    words: str
    asked: str
    removable: bool = True


STYLES: Mapping[str, Style] = {
    "bullets": Style("bullet points", r"\bbullet"),
    "questions": Style("question answering form", r"\bquestions?[ -](and[ -])?answer"),
    "brief": Style("brief", r"\bbrief|\bconcise", removable=False),
    "short": Style("short sentences", r"\bshort sentence|\bsimple english", removable=False),
    "second": Style("second person", r"\bsecond person"),
    "emotion": Style("exclamation marks", r"\bexclam|\bemotion|\bplayful|\bpositive"),
    "story": Style("story-telling", r"\bstory"),
    "invites": Style("ends with a question to the reader", r"\bto the reader|\binquisitive|\breflection"),
    "tag": Style("tweet style with a hashtag", r"\btweet|\bhashtag"),
    "emojis": Style("emojis", r"\bemoji"),
    "thanks": Style("thankful closing", r"\bthankful"),
    "no_closing": Style("no closing", r"\bno closing|\bwithout (a )?closing", removable=False),
    "lower": Style("lower case", r"\blower[ -]?case"),
}
"""Our own styles, in the order in which they are named."""

_EXCLUDED = {"bullets": "questions", "thanks": "no_closing"}


class Passage(NamedTuple):
    """A text taken apart: its plain sentences, whether it closes with a phrase, and the styles it has."""

    sentences: tuple[str, ...]
    closes: bool
    styles: frozenset[str]


def phrase(styles: Iterable[str]) -> str:
    """The words for some styles, in a fixed order."""
    chosen = set(styles)
    return ", ".join(style.words for name, style in STYLES.items() if name in chosen)


def named(words: str) -> frozenset[str]:
    """The styles that some words ask for; of two that exclude each other, the first of ``STYLES``."""
    found = {name for name, style in STYLES.items() if re.search(style.asked, words, re.I)}
    return frozenset(found - {_EXCLUDED[name] for name in found & _EXCLUDED.keys()})


def read(text: str) -> Passage:
    """Take a text apart."""
    parts: list[str] = []
    marks: set[str] = set()
    for line in text.splitlines():
        bare = _EMOJI.sub("", line)
        if bare != line:
            marks.add("emojis")
        if _TAG.fullmatch(bare):
            marks.add("tag")
            continue
        mark = (_MARK.match(bare) or [""])[0].strip().upper()
        marks.add({"Q:": "questions", "-": "bullets", "*": "bullets", "•": "bullets"}.get(mark, ""))
        if mark != "Q:":
            parts += _END.split(_MARK.sub("", bare, count=1).strip())
    if text == text.lower():
        marks.add("lower")
    return _told(parts, frozenset(marks - {""}))


def _told(parts: Sequence[str], marks: frozenset[str]) -> Passage:
    """Tell the sentences from what was added to them."""
    said: list[str] = []
    found = set(marks)
    closes = False
    for part in parts:
        if _is(part, STORY) or _is(part, THANKS):
            found.add("story" if _is(part, STORY) else "thanks")
        elif _CLOSING.match(part):
            closes = True
        elif _WORD.search(part):
            found.add("second" if _SECOND.match(part) else "")
            found.add("emotion" if part.endswith("!") else "")
            said.append(_sentence(_SECOND.sub("", part)))
    while said and said[-1].endswith("?"):
        found.add("invites")
        said.pop()
    closes = closes or "thanks" in found
    short = all(len(sentence.split()) <= SHORT_WORDS for sentence in said)
    lasting = {"brief": len(said) <= BRIEF_SENTENCES, "short": short, "no_closing": not closes}
    found |= {name for name, holds in lasting.items() if holds}
    return Passage(tuple(said), closes, frozenset(found - {""}))


def render(passage: Passage, wanted: Iterable[str]) -> str:
    """Write the sentences of a passage in the styles that are wanted, and in no other."""
    styles = named(phrase(wanted))
    said = list(passage.sentences)
    if "short" in styles:
        said = [part for sentence in said for part in _shortened(sentence)]
    said = said[:BRIEF_SENTENCES] if "brief" in styles else said
    lines = _laid_out([STORY, *said] if "story" in styles else said, styles)
    tail = [QUESTION] if "invites" in styles else []
    closes = passage.closes and "no_closing" not in styles
    tail += [THANKS] if "thanks" in styles else [CLOSING] if closes else []
    if tail and styles & {"bullets", "questions"}:
        lines.append(" ".join(tail))
    elif tail:
        lines = [" ".join([*lines, *tail])]
    lines += [f"#{_telling(said)}"] if "tag" in styles else []
    text = "\n".join(lines)
    return text.lower() if "lower" in styles else text


def suits(text: str, wanted: frozenset[str]) -> bool:
    """Whether a text has every style that is wanted, and none that is not and could be taken out."""
    has = read(text).styles
    return wanted <= has and not any(STYLES[name].removable for name in has - wanted)


def _laid_out(sentences: Sequence[str], styles: frozenset[str]) -> list[str]:
    """The sentences as lines: one paragraph, or a line or two for each."""
    said = list(sentences)
    if "emotion" in styles:
        said = [f"{each[:-1]}!" if each.endswith(".") else each for each in said]
    if "second" in styles:
        said = [each if _is(each, STORY) else f"{SECOND} {each}" for each in said]
    if "emojis" in styles:
        said = [f"{each} {EMOJIS[place % len(EMOJIS)]}" for place, each in enumerate(said)]
    if "bullets" in styles:
        return [f"- {each}" for each in said]
    if "questions" in styles:
        pairs = zip(sentences, said, strict=True)
        return [line for each, told in pairs for line in (f"Q: What about {_telling([each])}?", f"A: {told}")]
    return [" ".join(said)]


def _shortened(sentence: str) -> list[str]:
    words = sentence.split()
    if len(words) <= SHORT_WORDS:
        return [sentence]
    parts = [" ".join(words[i : i + SHORT_WORDS]) for i in range(0, len(words), SHORT_WORDS)]
    return [_sentence(part.rstrip(",;:")) for part in parts if _WORD.search(part)]


def _sentence(part: str) -> str:
    """A part of a text as a plain sentence: a capital first, a full stop last unless it asks."""
    bare = part.strip(" -*•").rstrip("!. ")
    return bare[:1].upper() + bare[1:] + ("" if bare.endswith("?") else ".")


def _telling(sentences: Sequence[str]) -> str:
    """The longest word, the first of equals."""
    return max(_WORD.findall(" ".join(sentences)), key=len, default="this").lower()


def _is(part: str, said: str) -> bool:
    return part.strip(" .!?").lower() == said.strip(" .!?").lower()
