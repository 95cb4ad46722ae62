"""Whether a text holds a secret: keys, tokens and passwords, and the addresses of people.

Shapes of known keys come first (redact.py); then what is called a password or token where it stands,
and long strings that look drawn by lot. A secret of a shape that nobody knows, said in plain words, passes.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from itertools import pairwise

from agentloop.redact import redact

_NAMES = (
    r"pass(?:word|wd|phrase|code|wort)?|pwd|secret|token|bearer|credentials?|pin|cvv|otp|"
    r"(?:api|access|account|secret|private|license|signing|encryption|ssh)[ _-]*key|"
    r"(?:access|security|door|login|recovery|verification|pin)[ _-]*(?:code|number)|client[ _-]*secret"
)
_NAMED = re.compile(
    rf"(?i)(?:\b|_)(?:{_NAMES})\b[\"'`]?(?:\s+(?:for|of|to)\s+[\w.@-]+(?:\s+[\w.@-]+)?)?"
    r"(\s*[:=]+>?\s*|\s+(?:is|was|to|are|being|now)\s+(?:now\s+|set\s+to\s+)?|\s+)[\"'`]?([^\s\"'`,;]{4,})"
)
_HARMLESS_WORDS = """
required missing invalid expired optional needed wrong empty none null string text field hidden
redacted [redacted] true false valid correct incorrect shown stored given used changed unknown
"""
_HARMLESS = frozenset(_HARMLESS_WORDS.split())
_LONG = re.compile(r"[A-Za-z0-9+/_=.~-]{20,}")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{32,}")
_LABELLED = re.compile(
    r"\b(?:[rsp]k_(?:live|test)|whsec|shp(?:at|ca|ss)|npm|dop_v1|pypi|sq0\w{3}|SG|glsa|lin_api|xai|gsk)[_.-]\w{12,}"
)
_CARD = re.compile(r"(?<!\d)(?:\d[ -]?){13,19}(?!\d)")
_ACCOUNT = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
_KEYED_ADDRESS = re.compile(
    r"(?i)https?://\S*(?:hooks?|webhook|[?&](?:key|token|sig|signature|secret))[=/.]\S{6,}"
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_TELEPHONE = re.compile(
    r"(?<![\w.])(?:\+\d[\d ().-]{7,16}\d|\(\d{3}\) ?\d{3}[ -]\d{4}|\d{3}([-.])\d{3}\1\d{4}"
    r"|0\d{2,4}[ /-]\d{5,8})(?!\w)"
)


def secret_in(text: str, *, personal: bool = True) -> str:
    """What kind of secret ``text`` holds; empty when none is found. The secret itself is not told.

    With ``personal``, e-mail addresses and telephone numbers count too.
    """
    text = "".join(mark for mark in unicodedata.normalize("NFKC", text) if unicodedata.category(mark) != "Cf")
    if redact(text) != text or "PRIVATE KEY" in text or _LABELLED.search(text):
        return "a key or token of a known shape"
    if any(_is_told(how, value) for how, value in _NAMED.findall(text)):
        return "a password, key or token told by its name"
    if _KEYED_ADDRESS.search(text):
        return "an address that holds a key"
    if any(_looks_drawn(token) for token in _LONG.findall(text)) or _HEXADECIMAL.search(text):
        return "a long string that looks drawn by lot"
    if _ACCOUNT.search(text) or any(_is_card(found) for found in _CARD.findall(text)):
        return "the number of a card or an account"
    if personal and (_MAIL.search(text) or _TELEPHONE.search(text)):
        return "an e-mail address or a telephone number"
    return ""


def _is_told(how: str, value: str) -> bool:
    """Whether a value after a name such as password is one: after a colon any word, else with a figure."""
    value = value.rstrip(".!?)")
    if len(value) < 4 or value.lower() in _HARMLESS:
        return False
    if any(sign in how for sign in ":=") and len(value) >= 6:
        return True
    marked = any(each.isdigit() for each in value) or any(each in "!@#$%^&*~+=" for each in value)
    return marked and (len(value) >= 6 or bool(how.strip()))


def _looks_drawn(token: str) -> bool:
    """Whether a long string has the figures, the two cases and the disorder of a key."""
    digits = sum(each.isdigit() for each in token)
    upper, lower = any(map(str.isupper, token)), any(map(str.islower, token))
    if not (upper or lower) or token.count("/") > 3:
        return False
    turns = sum(_class(first) != _class(second) for first, second in pairwise(token))
    if digits < 3 and not (upper and lower and digits and turns >= 0.48 * len(token)):
        return False
    plain = "_" not in token and "-" not in token and "." not in token
    if not (upper and lower) and not (plain and len(token) >= 24 and digits >= 4):
        return False
    counts = Counter(token)
    disorder = -sum(count / len(token) * math.log2(count / len(token)) for count in counts.values())
    return disorder >= 3.3


def _class(mark: str) -> int:
    return 0 if mark.isdigit() else 1 + mark.isupper()


def _is_card(text: str) -> bool:
    """Whether the figures pass the check of card numbers (Luhn)."""
    figures = [int(each) for each in text if each.isdigit()]
    if not 13 <= len(figures) <= 19 or len(set(figures)) < 2:
        return False
    doubled = [
        figure * 2 - 9 * (figure > 4) if place % 2 else figure for place, figure in enumerate(figures[::-1])
    ]
    return sum(doubled) % 10 == 0
