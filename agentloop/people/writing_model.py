"""A scripted model that writes in the styles its prompt names, and reads styles from edits."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from agentloop.errors import BadInput
from agentloop.models.scripted import ScriptedModel
from agentloop.people.writing_styles import CLOSING, STYLES, Passage, named, phrase, read, render
from agentloop.types import Message, digest

Reads = Literal["whole", "one", "changed"]
"""What is seen in an edit; ``scripted_writer`` says more."""

DRAFTED = 4
"""The first sentences of a text that a summary takes over."""


def scripted_writer(
    reads: Reads = "whole", *, overlooks: float = 0.0, name: str = "scripted writer"
) -> ScriptedModel:
    """A model for CIPHER that writes, infers and aggregates by rule; it holds no state.

    A summary is the first sentences of the text and a closing phrase, in exactly the styles that the
    preference in its prompt names. ``reads`` is what it sees in an edit:

    - ``whole``: every style of the edited text;
    - ``one``: of the styles that the edit brought only the first, with those that were there before;
    - ``changed``: those that the edit brought, and none that was there before.

    Of several preferences it keeps the styles that more than half of them name, or else those named most
    often. Shown raw edits instead of a preference, it reads each as it would to infer one.

    ``overlooks`` is the chance that a style which edits show is missed, drawn once for each prompt that
    shows edits; a style that a preference names is never missed: what is stated is read more surely than
    what has to be seen in an example.
    """
    if not 0.0 <= overlooks <= 1.0:
        raise BadInput(f"overlooks must be a chance from 0 to 1, got {overlooks}")
    if reads not in _READS:
        raise BadInput(f"reads must be one of {', '.join(_READS)}; got {reads!r}")

    def script(messages: Sequence[Message], _sampling: dict[str, Any]) -> str:
        shown = messages[-1]["content"]
        edits = [_READS[reads](read(before), read(after)) for before, after in _edits(shown)]
        preferences = _fenced(shown, "preferences")
        if _fenced(shown, "edits"):
            return phrase(_noticed(_most(edits), shown, overlooks)) or "none"
        if preferences:
            return phrase(_most([named(line) for line in preferences[-1].splitlines()])) or "none"
        if edits:
            return render(_draft(shown), _noticed(_most(edits), shown, overlooks))
        return render(_draft(shown), named(" ".join(_fenced(shown, "preference")[-1:])))

    return ScriptedModel(script, name=name)


def _whole(_: Passage, after: Passage) -> frozenset[str]:
    return after.styles


def _changed(before: Passage, after: Passage) -> frozenset[str]:
    return after.styles - before.styles


def _one(before: Passage, after: Passage) -> frozenset[str]:
    brought = [name for name in STYLES if name in after.styles - before.styles]
    return (after.styles & before.styles) | set(brought[:1])


_READS: Mapping[str, Callable[[Passage, Passage], frozenset[str]]] = {
    "whole": _whole,
    "one": _one,
    "changed": _changed,
}


def _most(named_by: Sequence[frozenset[str]]) -> frozenset[str]:
    """The styles that more than half name, or else those named most often."""
    counts = Counter(style for styles in named_by for style in styles)
    half = {style for style, count in counts.items() if 2 * count > len(named_by)}
    return frozenset(half or {style for style, count in counts.items() if count == max(counts.values())})


def _noticed(styles: frozenset[str], shown: str, overlooks: float) -> frozenset[str]:
    """What is not overlooked at this prompt; the same prompt is always read alike."""
    chance = random.Random(digest(shown))
    return frozenset(style for style in sorted(styles) if chance.random() >= overlooks)


def _draft(shown: str) -> Passage:
    source = read((_fenced(shown, "text") or [shown])[-1])
    return read(" ".join([*source.sentences[:DRAFTED], CLOSING]))


def _edits(shown: str) -> list[tuple[str, str]]:
    return list(zip(_fenced(shown, "before"), _fenced(shown, "after"), strict=True))


def _fenced(shown: str, name: str) -> list[str]:
    return re.findall(rf"<{name}>\n?(.*?)\n?</{name}>", shown, re.DOTALL)
