"""The records: frozen, closed, validated, and the same after a round trip."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentloop.record import adapter
from agentloop.types import (
    Attempt,
    Call,
    Correction,
    Feedback,
    Reply,
    Step,
    Task,
    Trajectory,
    Usage,
    correction_id,
)

TASK = Task(id="count", prompt="How many users are there?", hidden={"rows": "2"})


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        TASK.prompt = "another"  # type: ignore[misc]


def test_a_changed_copy_leaves_the_original_alone() -> None:
    copy = TASK.replace(prompt="another")
    assert (copy.prompt, TASK.prompt) == ("another", "How many users are there?")


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="vrdict"):
        Feedback(text="x", vrdict="pass")  # type: ignore[call-arg]


def test_records_take_keywords_only() -> None:
    with pytest.raises(TypeError):
        Task("count", "How many?")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [("verdict", "passed", "'pass', 'fail' or 'unsure'"), ("score", 1.5, "less than or equal to 1")],
)
def test_a_wrong_value_is_told_with_what_is_allowed(field: str, value: object, allowed: str) -> None:
    with pytest.raises(ValidationError, match=allowed):
        Feedback(text="x", **{field: value})


def test_a_changed_copy_is_validated_too() -> None:
    with pytest.raises(ValidationError):
        Feedback(text="x").replace(score=7.0)


texts = st.text(max_size=30)


@given(text=texts, action=texts, ids=st.lists(st.integers(0, 2**31), max_size=4), score=st.floats(0, 1))
def test_every_record_survives_a_round_trip_through_json(
    text: str, action: str, ids: list[int], score: float
) -> None:
    reply = Reply(text=text, token_ids=tuple(ids), logprobs=tuple(-0.5 for _ in ids))
    call = Call(
        place="a#0/1/act/0",
        role="actor",
        model="m",
        messages=({"role": "user", "content": text},),
        replies=(reply,),
    )
    attempt = Attempt(
        id="a#0/1",
        trajectory="a#0",
        task=TASK,
        number=1,
        text=text,
        steps=(Step(action=action, observation=text),),
        feedback=Feedback(text=text, verdict="fail", score=score),
    )
    whole = Trajectory(id="a#0", group_id="a", task=TASK, attempts=(attempt,), calls=(call,), chosen=1)
    assert Trajectory.from_json(whole.to_json()) == whole
    assert Trajectory.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole


def test_an_unknown_price_stays_unknown_when_costs_are_added() -> None:
    known, unknown = Usage(calls=1, dollars=0.5), Usage(calls=1, dollars=None)
    assert (known + known).dollars == 1.0
    assert (known + unknown).dollars is None
    assert (known + unknown).calls == 2


def test_a_call_with_several_replies_counts_as_one_call() -> None:
    reply = Reply(text="x", usage=Usage(calls=1, tokens_out=3))
    call = Call(place="p", role="actor", model="m", messages=(), replies=(reply, reply))
    assert call.usage == Usage(calls=1, tokens_out=6)


def test_the_same_words_from_the_same_trajectory_are_the_same_correction() -> None:
    assert correction_id("r", "t", "words") == correction_id("r", "t", "words")
    assert correction_id("r", "t", "words") != correction_id("r", "tw", "ords")


def test_a_correction_needs_words() -> None:
    with pytest.raises(ValidationError):
        Correction(id="c", text="")


def test_the_published_json_schema_is_that_of_the_records() -> None:
    from importlib.resources import files

    published = json.loads((files("agentloop") / "schema.json").read_text())
    assert published == {
        "schema_version": 1,
        "trajectory": adapter(Trajectory).json_schema(),
        "correction": adapter(Correction).json_schema(),
    }, (
        "the records changed: write agentloop/schema.json anew with 'python -m agentloop.schema', "
        "and raise SCHEMA_VERSION when old files can no longer be read"
    )
