"""What models are shown: one text a file in ``texts/``, filled in with values that are not trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from agentloop.errors import BadInput

TEXTS = Path(__file__).parent / "texts"
_SOURCE = re.compile(r"\A<!--.*?-->\s*", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class Prompts:
    """Texts by name. Texts given here, or lying in ``folder``, come before the package's own.

    A checkpoint that was trained on texts of its own carries them in a folder ``prompts``; its
    model then has a ``prompts`` attribute, which agents use unless they are given others.
    """

    def __init__(self, texts: Mapping[str, str] | None = None, *, folder: str | Path | None = None) -> None:
        self._texts = dict(texts or {})
        if folder is not None:
            for path in sorted(Path(folder).glob("*.md")):
                self._texts.setdefault(path.stem, _read(path))

    def text(self, name: str) -> str:
        """The text called ``name``, with its placeholders still in it."""
        if name in self._texts:
            return self._texts[name]
        path = TEXTS / f"{name}.md"
        if not path.is_file():
            known = sorted({*self._texts, *(each.stem for each in TEXTS.glob("*.md"))})
            raise BadInput(f"no prompt text named {name!r}; known: {', '.join(known)}")
        return _read(path)

    def render(self, name: str, **values: str) -> str:
        """Fill in the text. A value can neither close nor open a fence ``<name>...</name>`` of the text.

        Placeholders that the text does not fence are filled in as they are.
        """
        text = self.text(name)
        fences = [key for key in _PLACEHOLDER.findall(text) if f"<{key}>" in text]

        def fill(match: re.Match[str]) -> str:
            key = match.group(1)
            if key not in values:
                raise BadInput(f"prompt text {name!r} needs a value for {{{key}}}; given: {sorted(values)}")
            return _unfence(values[key], fences)

        return _PLACEHOLDER.sub(fill, text).strip()


def _unfence(value: str, fences: list[str]) -> str:
    """Put a blank into every mark in ``value`` that reads like one of the fences."""
    if not fences:
        return value
    return re.sub(rf"<(\s*/?)\s*({'|'.join(fences)})\b", r"<\1 \2", value, flags=re.IGNORECASE)


@cache
def _read(path: Path) -> str:
    return _SOURCE.sub("", path.read_text(encoding="utf-8"))
