"""Joining the turns of an attempt: every reply is trained once, under the prompt it was sampled from."""

from hypothesis import given
from hypothesis import strategies as st

from agentloop.export.pieces import Piece, Said, join, moved

IDS = st.lists(st.integers(0, 3), max_size=5).map(tuple)
TURN = st.tuples(IDS, IDS.filter(bool))


def test_turns_that_run_on_share_one_sequence() -> None:
    turns = [Said((1, 2), (3,)), Said((1, 2, 3, 9), (4, 5))]
    assert join(turns) == [Piece((1, 2), (3, 9, 4, 5), (True, False, True, True), (0, 1))]


def test_a_prompt_that_does_not_run_on_begins_a_sequence_of_its_own() -> None:
    turns = [Said((1,), (2,)), Said((1, 7, 9), (3,)), Said((1, 7, 9, 3, 8), (4,))]
    assert join(turns) == [
        Piece((1,), (2,), (True,), (0,)),
        Piece((1, 7, 9), (3, 8, 4), (True, False, True), (1, 2)),
    ]


def test_another_first_prompt_takes_the_place_of_an_attempts_own() -> None:
    pieces = join([Said((1, 5), (2,)), Said((1, 5, 7), (3,))])
    assert moved(pieces, start=(1, 5), to=(8,)) == [
        Piece((8,), (2,), (True,), (0,)),
        Piece((8, 7), (3,), (True,), (1,)),
    ]


def test_a_prompt_that_begins_otherwise_cannot_be_moved() -> None:
    pieces = join([Said((1, 5), (2,)), Said((6,), (3,))])
    assert moved(pieces, start=(1, 5), to=(8,)) is None


@given(st.lists(TURN, min_size=1, max_size=5))
def test_every_reply_is_trained_once_and_in_order(
    turns: list[tuple[tuple[int, ...], tuple[int, ...]]],
) -> None:
    pieces = join([Said(*turn) for turn in turns])
    trained = [item for piece in pieces for item, own in zip(piece.items, piece.own, strict=True) if own]
    assert trained == [item for _, reply in turns for item in reply]
    assert [index for piece in pieces for index in piece.turns] == list(range(len(turns)))


@given(IDS, st.lists(st.tuples(IDS, IDS.filter(bool)), min_size=1, max_size=5))
def test_every_reply_stands_under_exactly_the_prompt_it_was_sampled_from(
    first: tuple[int, ...], parts: list[tuple[tuple[int, ...], tuple[int, ...]]]
) -> None:
    turns, so_far = [], first
    for between, reply in parts:
        turns.append(Said(so_far + between, reply))
        so_far = so_far + between + reply
    (piece,) = join(turns)
    whole = piece.prompt + piece.items
    for turn in turns:
        end = len(turn.prompt) + len(turn.reply)
        assert whole[:end] == turn.prompt + turn.reply
        start = len(turn.prompt) - len(piece.prompt)
        assert all(piece.own[start : start + len(turn.reply)])
