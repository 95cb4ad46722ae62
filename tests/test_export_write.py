"""Writing an export: streamed, all or nothing, the same bytes, nothing hidden, and clear when empty."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agentloop.errors import BadInput, JournalCorrupt, UnsupportedExport
from agentloop.export import FORMATS, METHODS, Filters, SftRow, write_export
from agentloop.export.formats import Carried
from agentloop.export.making import Making, groups_of
from agentloop.export.staging import staged
from agentloop.export.write import write_lines_of
from agentloop.types import Trajectory
from tests.export_logs import TASK, Tried, lines, log, worked_example


def exported(folder: Path, *trajectories: Trajectory, method: str = "sft", **options: object) -> object:
    return write_export(list(trajectories), method=method, format="trl", to=folder, **options)


def test_a_misspelt_method_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="did you mean 'rltf-sd'"):
        exported(tmp_path / "x", *worked_example(), method="rltf_sd")
    with pytest.raises(BadInput, match="known: tokens, trl, verl"):
        write_export(worked_example(), method="sft", format="parquet", to=tmp_path / "x")


def test_an_empty_log_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no finished trajectory"):
        exported(tmp_path / "deep" / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_log_without_a_right_answer_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there must be an attempt that passed"):
        exported(tmp_path / "x", log("count/0", Tried("three", 0.0)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["rltf-sd", "critique-grpo"])
def test_a_log_in_which_all_rewards_are_equal_is_an_error(method: str, tmp_path: Path) -> None:
    trajectories = [log(f"count/{n}", Tried("a", 0.0, told="No."), Tried("b", 0.0)) for n in range(3)]
    with pytest.raises(BadInput, match="all rewards are equal"):
        write_export(trajectories, method=method, format="tokens", to=tmp_path / "x")


def test_a_missing_field_is_named_with_the_number_of_trajectories_and_what_records_it(tmp_path: Path) -> None:
    trajectories = [
        *worked_example(),
        log("other/0", Tried("two", 1.0, ids=False, lp=False), group="other"),
        log("other/1", Tried("six", 0.0, told="No.", ids=False), Tried("two", 1.0, ids=False), group="other"),
    ]
    report = write_export(trajectories, method="rltf-sd", format="tokens", to=tmp_path / "x")
    assert [(each.field, each.trajectories) for each in report.missing] == [
        ("replies[].token_ids and prompt_token_ids", 2),
        ("replies[].logprobs, one finite number for each token", 2),
    ]
    assert "local/PATH" in report.missing[0].recorded_by
    assert f"the log lacks {report.missing[0].field} in 2 trajectories" in Path(report.card_path).read_text()


def test_a_log_that_lacks_a_field_everywhere_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"lacks replies\[\].token_ids .* in 1 of 1 trajectories \(recorded by"
    ):
        write_export(
            [log("count/0", Tried("two", 1.0, ids=False))], method="sft", format="tokens", to=tmp_path / "x"
        )


def test_rows_of_messages_need_no_token_ids(tmp_path: Path) -> None:
    report = exported(tmp_path / "x", log("count/0", Tried("two", 1.0, ids=False, lp=False)))
    assert (report.rows, report.missing) == (1, ())


def test_critique_grpo_needs_no_log_probs_of_the_refinement(tmp_path: Path) -> None:
    trajectories = [
        log("count/0", Tried("a", 0.0, told="No."), Tried("b", 1.0, lp=False)),
        log("count/1", Tried("c", 0.0)),
    ]
    report = write_export(trajectories, method="critique-grpo", format="tokens", to=tmp_path / "x")
    assert (report.rows, report.missing) == (2, ())


def test_a_retry_without_feedback_is_no_second_turn(tmp_path: Path) -> None:
    trajectories = [log("count/0", Tried("a", 0.0), Tried("b", 1.0)), log("count/1", Tried("c", 1.0))]
    report = write_export(trajectories, method="rltf-sd", format="tokens", to=tmp_path / "x")
    assert report.rows == 2
    assert report.missing[0].field == "attempts[].feedback before a second attempt"


def test_attempts_a_method_does_not_look_at_are_counted(tmp_path: Path) -> None:
    third = log("count/0", Tried("a", 0.0, told="No."), Tried("b", 0.0, told="No."), Tried("c", 1.0))
    report = write_export(
        [third, *worked_example()[1:]], method="rltf-sd", format="tokens", to=tmp_path / "x"
    )
    assert report.left_out == {"rltf-sd looks at the first 2 attempts of a trajectory": 1}


def test_the_locked_test_split_is_left_out_and_cannot_be_asked_for(tmp_path: Path) -> None:
    locked = TASK.replace(id="locked", split="test")
    hidden = log("locked/0", Tried("secret", 1.0), group="locked", task=locked)
    report = exported(tmp_path / "x", *worked_example(), hidden)
    assert report.left_out == {"its task is in the locked test split": 1}
    assert "secret" not in Path(report.path).read_text()
    with pytest.raises(BadInput, match="test split is locked"):
        exported(tmp_path / "y", hidden, filters=Filters(split="test"))
    with pytest.raises(BadInput, match="locked test split"):
        exported(tmp_path / "y", hidden)


def test_one_split_can_be_taken_alone(tmp_path: Path) -> None:
    other = log("dev/0", Tried("nine", 1.0), group="dev", task=TASK.replace(id="dev", split="dev"))
    report = exported(tmp_path / "x", *worked_example(), other, filters=Filters(split="dev"))
    assert [row["completion"][0]["content"] for row in lines(report.path)] == ["nine"]
    with pytest.raises(BadInput, match="no split named 'tset'"):
        exported(tmp_path / "y", other, filters=Filters(split="tset"))


def test_a_log_that_breaks_in_the_middle_leaves_what_was_there(tmp_path: Path) -> None:
    exported(tmp_path / "x", *worked_example())
    before = {path.name: path.read_bytes() for path in (tmp_path / "x").iterdir()}

    def broken() -> Iterator[Trajectory]:
        yield worked_example()[0]
        raise JournalCorrupt("line 2 is not JSON")

    for folder in ("x", "new"):
        with pytest.raises(JournalCorrupt):
            write_export(broken, method="sft", format="trl", to=tmp_path / folder)
    assert {path.name: path.read_bytes() for path in (tmp_path / "x").iterdir()} == before
    assert not (tmp_path / "new").exists()


def test_a_folder_with_something_else_in_it_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("My project.")
    with pytest.raises(BadInput, match="give another folder"):
        exported(tmp_path, *worked_example())
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "rows.jsonl").write_text("mine")
    with pytest.raises(BadInput, match="was not written by an export"):
        exported(tmp_path / "y", *worked_example())
    with pytest.raises(BadInput, match="is a file"):
        exported(tmp_path / "README.md", *worked_example())
    exported(tmp_path / "z", *worked_example())
    with pytest.raises(BadInput, match="of this method and format"):
        exported(tmp_path / "z", *worked_example(), method="dpo")
    assert (tmp_path / "README.md").read_text() == "My project."


def test_a_file_beside_the_rows_is_not_overwritten_either(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text("mine")
    with pytest.raises(BadInput, match="was not written by an export"):
        write_export(worked_example(), method="sft", format="llama-factory", to=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset_info.json"]


def test_rows_of_two_shapes_in_one_file_are_an_error_and_leave_nothing(tmp_path: Path) -> None:
    part = FORMATS["trl"].carries[SftRow].part
    turns = iter([{"a": 1}, {"b": 1}, {"a": 1}])
    uneven = replace(FORMATS["trl"], carries={SftRow: Carried(part, lambda row, _: iter([next(turns)]))})
    plan = Making(method=METHODS["sft"], format=uneven)
    with pytest.raises(UnsupportedExport, match="lines of several shapes"):
        write_lines_of(tmp_path, worked_example(), plan)


def test_every_file_takes_its_place_or_none(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staged(tmp_path / "deep" / "x", ["a", "b"]) as partial:
        (partial / "a").write_text("new")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    for written in ("ab", "b"):
        with staged(tmp_path / "x", ["a", "b"]) as partial:
            for name in written:
                (partial / name).write_text(written)
    assert {path.name: path.read_text() for path in (tmp_path / "x").iterdir()} == {"b": "b"}


def test_members_of_a_group_need_not_stand_together_in_the_log() -> None:
    names = ["a/0", "b/0", "a/1", "c/0", "b/1"]
    trajectories = [log(name, Tried("two", 1.0), group=name[0]) for name in names]
    for source in (trajectories, iter(trajectories), lambda: iter(trajectories)):
        found = [[each.id for each in members] for members in groups_of(source)]
        assert found == [["a/0", "a/1"], ["c/0"], ["b/0", "b/1"]]


def test_the_same_group_id_in_another_run_is_another_group() -> None:
    first = log("a/0", Tried("two", 1.0), group="a")
    assert len(list(groups_of([first, first.replace(run="run-2")]))) == 2


def test_what_is_logged_while_the_export_reads_is_not_read() -> None:
    trajectories = [log(f"{n}/0", Tried("two", 1.0), group=str(n)) for n in range(2)]

    def growing() -> Iterator[Trajectory]:
        yield from tuple(trajectories)
        trajectories.append(log("9/0", Tried("two", 1.0), group="9"))

    assert len(list(groups_of(growing))) == 2


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def source(size: int) -> Iterator[Trajectory]:
        for n in range(size):
            yield log(f"{n}/0", Tried("y" * 100, 0.0, told="No."), Tried("x" * 100, 1.0), group=str(n))

    def peak(size: int) -> tuple[int, int]:
        tracemalloc.start()
        report = write_export(
            lambda: source(size), method="rltf-sd", format="tokens", to=tmp_path / str(size)
        )
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest, Path(report.path).stat().st_size

    peak(5)
    (small, _), (large, written) = peak(20), peak(400)
    assert written > 2_000_000
    assert large - small < written / 5
