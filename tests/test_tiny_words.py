"""Nonce words."""

import random

from agentloop.tiny import HELD_OUT
from agentloop.tiny.words import RESERVED, SHARES, Words, real_words, share_of


def test_the_same_draw_gives_the_same_words_and_none_twice() -> None:
    one = Words(random.Random(1)).several(500)
    assert one == Words(random.Random(1)).several(500)
    assert len(set(one)) == 500


def test_no_word_is_of_sql_of_a_held_out_family_or_taken() -> None:
    held_out = set().union(*(each.own_words for each in HELD_OUT))
    drawn = set(Words(random.Random(2), taken={"the", "cover"}).several(3000))
    assert not drawn & (RESERVED | held_out | {"the", "cover"})


def test_words_are_lower_case_letters_alone_so_that_they_need_no_quoting() -> None:
    assert all(
        word.isascii() and word.isalpha() and word.islower() for word in Words(random.Random(3)).several(2000)
    )
    assert all(word.isascii() and word.isalpha() and word.islower() for word in real_words())


def test_a_share_gives_only_its_own_words() -> None:
    for share in SHARES:
        assert {share_of(word) for word in Words(random.Random(4), share=share).several(100)} == {share}


def test_about_half_of_the_words_are_real() -> None:
    drawn = Words(random.Random(5)).several(1000)
    assert 350 < sum(word in set(real_words()) for word in drawn) < 550
