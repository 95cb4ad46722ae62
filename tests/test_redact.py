"""Secrets are taken out of what is written; ordinary words stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.redact import redact

SECRETS = [
    "sk-proj-abcdefghijklmnopqrstuvwxyz012345",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "xoxb-123456789012-abcdefghijkl",
    "hf_abcdefghijklmnopqrstuvwxyz",
    "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4",
    "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_taken_out_and_the_words_around_it_stay(secret: str) -> None:
    assert redact(f"before {secret} after") == "before [redacted] after"


def test_a_password_in_an_address_is_taken_out() -> None:
    assert "hunter22" not in redact("postgres://admin:hunter22@db.internal/shop")


@pytest.mark.parametrize(
    "text", ["SELECT name FROM t", "a risk-free ask-me", "https://example.org/a:b", "ghost"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)
