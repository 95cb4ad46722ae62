"""Filters of an export: by score, once each, up to a length; and where they would change what is learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop.errors import BadInput
from agentloop.export import FORMATS, METHODS, ExportReport, Filters, write_export
from agentloop.export.making import Making, lines_of
from tests.export_logs import TASK, Tried, lines, log, render, worked_example


def exported(folder: Path, *trajectories: Any, **options: Any) -> ExportReport:
    wanted = {"method": "sft", "format": "trl", "to": folder, **options}
    return write_export(list(trajectories or worked_example()), **wanted)


def answers(report: ExportReport) -> list[str]:
    return [row["completion"][0]["content"] for row in lines(report.path)]


def test_a_row_needs_an_attempt_that_scored_as_much(tmp_path: Path) -> None:
    scored = [
        log(f"count/{n}", Tried(f"a{n}", score, told="So."), Tried("b", 0.1))
        for n, score in enumerate((0.2, 0.7))
    ]
    report = exported(tmp_path / "x", *scored, method="fcp", filters=Filters(min_score=0.7))
    assert answers(report) == ["a1"]
    assert report.left_out["no attempt of the row has a score of 0.7 or more"] == 1


def test_the_card_tells_the_filters_also_when_they_are_zero(tmp_path: Path) -> None:
    report = exported(tmp_path / "x", filters=Filters(min_score=0.0, distinct=True))
    assert "| filters | min_score 0.0, distinct True |" in Path(report.card_path).read_text()


def test_a_row_of_an_attempt_that_nobody_scored_is_left_out(tmp_path: Path) -> None:
    trajectories = [log("count/0", Tried("a", told="So.")), log("count/1", Tried("b", -1.0, told="So."))]
    report = exported(tmp_path / "x", *trajectories, method="fcp", filters=Filters(min_score=-1.0))
    assert answers(report) == ["b"]


@pytest.mark.parametrize(("method", "format"), [("dpo", "trl"), ("kto", "trl"), ("rltf-sd", "tokens")])
def test_a_method_that_compares_with_bad_answers_keeps_them(method: str, format: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="compares good answers with bad ones"):
        exported(tmp_path / "x", method=method, format=format, filters=Filters(min_score=1.0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_equal_rows_are_written_once_wherever_they_come_from(format: str, tmp_path: Path) -> None:
    if format == "verl":
        pytest.importorskip("pyarrow")
    other = TASK.replace(id="other")
    same = [
        log("count/0", Tried("two", 1.0)),
        log("count/1", Tried("2", 1.0)),
        log("count/2", Tried("two", 1.0)),
        log("other/0", Tried("two", 1.0), group="other", task=other),
    ]
    report = exported(tmp_path / "x", *same, format=format, filters=Filters(distinct=True))
    assert report.rows == 2
    assert report.left_out == {"the same row was written before": 2}
    assert exported(tmp_path / "y", *same, format=format).rows == 4


def test_the_same_answer_to_another_question_is_another_row(tmp_path: Path) -> None:
    other = TASK.replace(id="other", prompt="How many?")
    trajectories = [
        log("count/0", Tried("two", 1.0)),
        log("other/0", Tried("two", 1.0), group="other", task=other),
    ]
    assert exported(tmp_path / "x", *trajectories, filters=Filters(distinct=True)).rows == 2


def test_equal_samples_of_a_group_each_count_in_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="as often as they were drawn"):
        exported(tmp_path / "x", method="rltf-sd", format="tokens", filters=Filters(distinct=True))


def test_rows_that_are_too_long_are_left_out_counted_and_the_longest_is_told(tmp_path: Path) -> None:
    tries = [log(f"count/{n}", Tried("x" * size, 1.0)) for n, size in enumerate((5, 6, 9))]
    most = len(render([{"role": "user", "content": TASK.prompt}], True)) + 5 + 1
    report = exported(tmp_path / "x", *tries, render=render, filters=Filters(max_tokens=most))
    assert answers(report) == ["x" * 5]
    assert report.left_out == {f"longer than {most} tokens": 2}
    assert report.longest == most + 4
    assert f"the longest row that was left out has {most + 4} tokens" in report.summary()
    assert f"the longest row that was left out has {most + 4} tokens" in Path(report.card_path).read_text()


def test_the_longer_answer_of_a_pair_decides(tmp_path: Path) -> None:
    tries = [log("count/0", Tried("x", 1.0)), log("count/1", Tried("x" * 50, 0.0))]
    with pytest.raises(BadInput, match=r"longer than 60 tokens \(1\)"):
        exported(tmp_path / "x", *tries, method="dpo", render=render, filters=Filters(max_tokens=60))


def test_counting_tokens_of_text_needs_the_tokenizer_and_counting_ids_does_not(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--tokenizer PATH"):
        exported(tmp_path / "x", filters=Filters(max_tokens=10))
    report = exported(tmp_path / "y", format="tokens", filters=Filters(max_tokens=24))
    assert (report.rows, report.longest) == (2, 25)


def test_a_filter_that_means_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="finite number, got nan"):
        exported(tmp_path / "x", filters=Filters(min_score=float("nan")))
    with pytest.raises(BadInput, match="at least 1, got 0"):
        exported(tmp_path / "x", filters=Filters(max_tokens=0))


def test_when_every_row_is_too_long_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"longer than 3 tokens \(3\)"):
        exported(tmp_path / "x", render=render, filters=Filters(max_tokens=3))
    assert list(tmp_path.iterdir()) == []


def test_weights_of_a_group_do_not_change_when_a_long_sample_is_left_out() -> None:
    def weights(most: int | None) -> dict[tuple[str, str], float]:
        making = Making(method=METHODS["rltf-sd"], format=FORMATS["tokens"], filters=Filters(max_tokens=most))
        return {
            (line["attempt"], line["role"]): line["weights"][-1]
            for line in lines_of(worked_example(), making)
        }

    whole, short = weights(None), weights(24)
    assert 0 < len(short) < len(whole)
    assert short.items() <= whole.items()


@settings(deadline=None)
@given(st.integers(1, 90))
def test_every_line_is_written_or_counted_as_too_long(most: int) -> None:
    making = Making(method=METHODS["rltf-sd"], format=FORMATS["tokens"], filters=Filters(max_tokens=most))
    written = list(lines_of(worked_example(), making))
    assert all(len(line["input_ids"]) <= most for line in written)
    assert len(written) + sum(making.survey.left_out.values()) == 8
    assert (making.survey.longest > most) == (len(written) < 8)
