"""JSON objects found in a model's words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.json_reply import read_object


@pytest.mark.parametrize(
    "reply",
    [
        '{"verdict": "fail", "score": 0.5}',
        'Let me see.\n```json\n{"verdict": "fail", "score": 0.5}\n```\nDone {really}.',
        "{'verdict': 'fail', 'score': 0.5,}",
        '{"verdict": "fail", "score": 0.5,\n}',
        'An example is {"verdict": "pass"}; mine: {"verdict": "fail", "score": 0.5}',
        '{ {{ "broken": { then {"verdict": "fail", "score": 0.5}',
        'It\'s {"verdict": "fail", "score": 0.5} as I\'d say',
    ],
)
def test_the_last_object_with_the_key_is_found(reply: str) -> None:
    assert read_object(reply, key="verdict") == {"verdict": "fail", "score": 0.5}


def test_an_object_inside_the_answer_does_not_hide_the_answer() -> None:
    reply = '{"verdict": "fail", "detail": {"row": 1}}'
    assert read_object(reply, key="verdict") == {"verdict": "fail", "detail": {"row": 1}}


def test_a_line_break_inside_a_string_is_taken() -> None:
    assert read_object('{"text": "one\ntwo"}', key="text") == {"text": "one\ntwo"}


@pytest.mark.parametrize("reply", ["", "{", "}" * 9, "[1]", '{"other": 1}', "{1: 2", "null", "{" * 100_000])
def test_without_such_an_object_there_is_none(reply: str) -> None:
    assert read_object(reply, key="verdict") is None


def test_deep_nesting_ends_without_a_crash() -> None:
    assert read_object('{"a":' * 5000 + "1" + "}" * 5000, key="verdict") is None


@given(st.text())
def test_any_text_is_read_without_an_error(reply: str) -> None:
    read_object(reply, key="verdict")


@given(
    st.text(alphabet=st.characters(blacklist_characters="{}", blacklist_categories=("Cs",))),
    st.dictionaries(st.text(), st.text()),
)
def test_what_was_written_as_json_comes_back(words: str, values: dict[str, str]) -> None:
    wanted = {**values, "verdict": "pass"}
    assert read_object(f"{words}{json.dumps(wanted)}{words}", key="verdict") == wanted
