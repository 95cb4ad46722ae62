"""Single rows that a trainer would take and train otherwise than meant: refused, with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from agentloop.errors import BadInput, UnsupportedExport
from agentloop.export import FORMATS, METHODS, Meta, PreferenceRow, Row, SftRow, UnpairedRow
from agentloop.export.formats import Carrying
from agentloop.export.groups import read_groups
from agentloop.export.rows import FlaggedMessage
from tests.export_logs import worked_example

META = Meta(method="sft", task_id="t", group_id="g", attempts=("a",))
OTHERS = [name for name in FORMATS if name not in ("tokens", "trl")]


def project(format: str, row: Row) -> list[dict[str, Any]]:
    (group,), _ = read_groups(worked_example(), lambda each: None)
    return list(FORMATS[format].project(row, Carrying(method=METHODS["sft"], group=group)))


def said(*parts: tuple[str, str, bool]) -> tuple[FlaggedMessage, ...]:
    return tuple({"role": role, "content": content, "loss": loss} for role, content, loss in parts)


PLAIN = said(("user", "ask", False), ("assistant", "answer", True))
SHOWN = said(("user", "ask", False), ("assistant", "no", False), ("user", "again", False))


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "tokens"])
def test_a_row_that_counts_half_is_refused_where_the_weight_would_not_be_read(format: str) -> None:
    with pytest.raises(UnsupportedExport, match="weight.*use --format tokens"):
        project(format, SftRow(messages=PLAIN, weight=0.5, meta=META))


@pytest.mark.parametrize("format", [name for name in OTHERS if name != "axolotl"])
def test_a_row_that_trains_a_users_words_is_refused_where_only_answers_are_trained(format: str) -> None:
    with pytest.raises(UnsupportedExport, match="use --format (axolotl, )?trl"):
        project(format, SftRow(messages=(*PLAIN, *said(("user", "thanks", True))), meta=META))


def test_trl_needs_the_tokenizer_to_train_some_words_of_a_user() -> None:
    with pytest.raises(BadInput, match="--tokenizer PATH"):
        project("trl", SftRow(messages=(*PLAIN, *said(("user", "thanks", True))), meta=META))


def test_an_answer_that_is_only_shown_is_refused_where_every_answer_is_trained() -> None:
    row = SftRow(messages=(*SHOWN, *said(("assistant", "yes", True))), meta=META)
    with pytest.raises(UnsupportedExport, match="would train the answers that are only shown"):
        project("llama-factory", row)


@pytest.mark.parametrize("format", OTHERS)
def test_what_follows_the_last_trained_message_is_in_no_line(format: str) -> None:
    row = SftRow(messages=(*PLAIN, *said(("user", "LATER", False), ("assistant", "LATER", False))), meta=META)
    (line,) = project(format, row)
    assert "LATER" not in str(line)


@pytest.mark.parametrize("format", ["llama-factory", "ms-swift"])
def test_speakers_out_of_turn_are_refused_where_the_row_would_be_dropped(format: str) -> None:
    twice = said(("user", "ask", False), ("user", "please", False), ("assistant", "answer", True))
    with pytest.raises(UnsupportedExport, match="take turns"):
        project(format, SftRow(messages=twice, meta=META))
    with pytest.raises(UnsupportedExport, match="take turns"):
        project(format, SftRow(messages=said(("assistant", "answer", True)), meta=META))


def pair(chosen: str, rejected: str, *more: str) -> PreferenceRow:
    return PreferenceRow(
        prompt=({"role": "user", "content": "ask"},),
        chosen=({"role": "assistant", "content": chosen},),
        rejected=tuple({"role": "assistant", "content": text} for text in (rejected, *more)),
        meta=META,
    )


@pytest.mark.parametrize("format", ["openai", "llama-factory", "axolotl", "ms-swift"])
def test_answers_of_several_messages_are_refused_where_one_would_be_read(format: str) -> None:
    with pytest.raises(UnsupportedExport, match="takes single answers"):
        project(format, pair("right", "wrong", "more"))


def test_ms_swift_would_drop_a_pair_of_equal_answers() -> None:
    with pytest.raises(UnsupportedExport, match="equal answers"):
        project("ms-swift", pair("same", "same"))


@pytest.mark.parametrize("text", ["", "a", "user", "dummy"])
def test_axolotl_would_cut_an_answer_out_of_the_question(text: str) -> None:
    for row in (pair(text, "wrong"), pair("right", text)):
        with pytest.raises(UnsupportedExport, match="first stands"):
            project("axolotl", row)


def labelled_answer(*roles: str, answer: str = "answer") -> UnpairedRow:
    return UnpairedRow(
        prompt=tuple({"role": role, "content": role.upper()} for role in roles),
        completion=({"role": "assistant", "content": answer},),
        label=False,
        meta=META,
    )


def test_axolotl_reads_one_question_and_a_system_message_before_a_labelled_answer() -> None:
    (line,) = project("axolotl", labelled_answer("system", "user"))
    assert (line["system"], line["prompt"], line["completion"]) == ("SYSTEM", "USER", "answer")
    with pytest.raises(UnsupportedExport, match="user, assistant, user"):
        project("axolotl", labelled_answer("user", "assistant", "user"))


def test_llama_factory_would_take_an_empty_good_answer_for_a_bad_one() -> None:
    with pytest.raises(UnsupportedExport, match="empty answer"):
        project("llama-factory", labelled_answer("user", answer=""))
