"""Calls are written as what they add, and come back whole."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop.packing import Packer
from agentloop.types import Call, Message, Reply

words = st.text(alphabet="ab ", min_size=0, max_size=90)
messages = st.lists(
    st.builds(
        lambda role, text: Message(role=role, content=text), st.sampled_from(["user", "assistant"]), words
    ),
    max_size=5,
)
ids = st.one_of(st.none(), st.lists(st.integers(0, 1), max_size=80).map(tuple))
calls = st.lists(st.tuples(st.sampled_from(["actor", "critic"]), messages, ids), max_size=6)


def call(place: str, role: str, shown: list[Message], prompt: tuple[int, ...] | None = None) -> Call:
    return Call(
        place=place,
        role=role,
        model="m",
        messages=tuple(shown),
        replies=(Reply(text="x", prompt_token_ids=prompt),),
    )


@given(calls)
@settings(deadline=None)
def test_whatever_is_packed_is_unpacked_the_same(
    drawn: list[tuple[str, list[Message], tuple[int, ...] | None]],
) -> None:
    packer, unpacker = Packer(), Packer()
    for index, (role, shown, prompt) in enumerate(drawn):
        whole = call(f"t/1/act/{index}", role, shown, prompt or None)
        packed = json.loads(json.dumps(packer.pack(whole)))
        assert unpacker.unpack(whole.place, packed) == whole


def written(histories: list[list[Message]]) -> int:
    packer = Packer()
    return sum(
        len(json.dumps(packer.pack(call(f"t/{i}/act/0", "actor", shown))))
        for i, shown in enumerate(histories)
    )


def turns(count: int) -> list[Message]:
    return [Message(role="user", content=f"turn {i:03d} " + "x" * 60) for i in range(count)]


def test_a_history_that_grows_by_turns_is_written_in_line_with_its_length() -> None:
    assert written([turns(i) for i in range(200)]) <= 1.1 * 10 * written([turns(i) for i in range(20)])


def test_a_history_that_grows_inside_one_message_is_written_in_line_with_its_length() -> None:
    def told(count: int) -> list[Message]:
        return [
            Message(role="user", content="\n".join(turn["content"] for turn in turns(count)) + "\nanswer now")
        ]

    assert written([told(i) for i in range(200)]) <= 1.1 * 10 * written([told(i) for i in range(20)])


def test_prompt_token_ids_are_written_as_what_they_add() -> None:
    packer = Packer()
    first = packer.pack(call("t/1/act/0", "actor", [], tuple(range(1000))))
    second = packer.pack(call("t/2/act/0", "actor", [], tuple(range(1010))))
    assert len(first["prompt_ids"]) == 1000
    assert len(second["prompt_ids"]) == 10
