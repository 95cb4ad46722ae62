"""Format tokens: ids as sampled, labels, a signed weight for each token."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop.errors import BadInput, UnsupportedExport
from agentloop.export import METHODS, TokenRow, write_export
from agentloop.export.formats.conversations import labelled
from agentloop.export.rows import FlaggedMessage
from agentloop.types import Message
from tests.export_logs import Tried, lines, log, render, shown, spoken, worked_example


def exported(method: str, folder: Path, *trajectories: object, **options: object) -> list[dict[str, object]]:
    report = write_export(
        list(trajectories or worked_example()), method=method, format="tokens", to=folder, **options
    )
    return lines(report.path)


def weight_of(line: dict[str, object]) -> float:
    (weight,) = {w for w, label in zip(line["weights"], line["labels"], strict=True) if label != -100}
    return weight


def test_weights_of_rltf_sd_lines_equal_the_worked_example(tmp_path: Path) -> None:
    rows = exported("rltf-sd", tmp_path / "x")
    found = {(row["attempt"], row["role"]): weight_of(row) for row in rows}
    assert found == {
        ("count/0/1", "rl"): pytest.approx(0.475),
        ("count/1/1", "rl"): pytest.approx(-0.425),
        ("count/2/1", "rl"): pytest.approx(-0.525),
        ("count/3/1", "rl"): pytest.approx(0.475),
        ("count/1/2", "rl"): pytest.approx(0.5),
        ("count/2/2", "rl"): pytest.approx(-0.5),
        ("count/1/2", "sd"): pytest.approx(0.05),
        ("count/2/2", "sd"): pytest.approx(-0.05),
    }
    assert {row["reward"] for row in rows} == {0.0, 1.0}


def test_lines_round_trip_as_records(tmp_path: Path) -> None:
    for method in ("rltf-sd", "critique-grpo", "sft"):
        for line in exported(method, tmp_path / method):
            row = TokenRow.from_dict(line)
            assert list(row.input_ids) == line["input_ids"]
            assert TokenRow.from_json(row.to_json()) == row


@pytest.mark.parametrize("method", ["sft", "rltf-sd", "rltf-fm", "critique-grpo"])
def test_every_list_of_a_line_is_as_long_and_speaks_only_where_trained(method: str, tmp_path: Path) -> None:
    steps = log("count/4", Tried(["look", "three"], 0.0, told="No."), Tried(["seek", "two"], 1.0))
    for line in exported(method, tmp_path / "x", steps, *worked_example(), render=render):
        size = len(line["input_ids"])
        assert len(line["labels"]) == len(line["weights"]) == size
        assert line["logprobs"] is None or len(line["logprobs"]) == size
        for index, label in enumerate(line["labels"]):
            if label == -100:
                assert line["weights"][index] == 0.0
                assert line["logprobs"] is None or line["logprobs"][index] == 0.0
            else:
                assert label == line["input_ids"][index]


def test_only_the_answers_tokens_are_trained(tmp_path: Path) -> None:
    assert [spoken(line) for line in exported("sft", tmp_path / "x")] == ["two", "two!", "2"]


def test_lines_say_what_was_on_policy(tmp_path: Path) -> None:
    rows = exported("rltf-sd", tmp_path / "x")
    assert all((row["logprobs"] is None) == row["off_policy"] == (row["role"] == "sd") for row in rows)
    assert {row["policy"] for row in rows} == {"p1"}


def test_a_distilled_line_holds_no_token_of_the_feedback(tmp_path: Path) -> None:
    rows = [row for row in exported("rltf-sd", tmp_path / "x") if row["role"] == "sd"]
    assert [shown(row) for row in rows] == ["How many users?two!", "How many users?five"]


def test_a_many_step_attempt_is_one_line_with_its_own_turns_trained(tmp_path: Path) -> None:
    trajectory = log("count/0", Tried(["look", "two"], 1.0))
    (row,) = exported("sft", tmp_path / "x", trajectory)
    assert (spoken(row), shown(row)) == ("looktwo", "How many users?looksaw looktwo")


def test_feedback_lines_carry_their_weight_and_train_the_feedback(tmp_path: Path) -> None:
    rows = [row for row in exported("rltf-fm", tmp_path / "x", render=render) if row["role"] == "feedback"]
    assert [spoken(row) for row in rows] == ["Deleted users count.", "Look at dates."]
    assert {weight_of(row) for row in rows} == {0.1}
    assert all(row["reward"] is None and row["logprobs"] is None for row in rows)


def test_text_that_was_not_sampled_needs_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="needs the checkpoint's tokenizer"):
        exported("rltf-fm", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_pairs_are_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedExport, match="--format trl"):
        exported("dpo", tmp_path / "x")


def test_every_method_of_group_rows_says_how_it_weighs_them() -> None:
    for method in METHODS.values():
        assert ("GroupRow" in {kind.__name__ for kind in method.kinds}) == (method.weigh is not None)


def said(*parts: tuple[str, str, bool]) -> tuple[FlaggedMessage, ...]:
    return tuple({"role": role, "content": content, "loss": loss} for role, content, loss in parts)


def own(role: str, content: str) -> list[int]:
    """The ids of a trained message: after its opening if the model spoke, with its opening if not."""
    ids = render([{"role": role, "content": content}], False)
    return ids[2:] if role == "assistant" else ids


def test_several_trained_messages_are_labelled_each_with_its_own_tokens_and_its_end() -> None:
    chain = said(("user", "ask", False), ("assistant", "good", True), ("user", "m", False))
    ids, mask = labelled(render, (*chain, *said(("assistant", "bad", True))))
    assert [each for each, kept in zip(ids, mask, strict=True) if kept] == [
        *own("assistant", "good"),
        *own("assistant", "bad"),
    ]
    assert sum(mask) == len("good") + len("bad") + 2, "each answer ends with its end token"


def test_a_conversation_that_is_trained_whole_trains_all_but_its_first_token() -> None:
    ids, mask = labelled(render, said(("system", "s", True), ("user", "ask", True), ("assistant", "a", True)))
    assert mask == (0, *[1] * (len(ids) - 1))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text("ab", max_size=3), st.booleans())))
def test_only_and_all_tokens_of_trained_messages_are_labelled(parts: list[tuple[str, str, bool]]) -> None:
    messages = said(("system", "s", False), *parts)
    ids, mask = labelled(render, messages)
    assert list(ids) == render(
        [{"role": each["role"], "content": each["content"]} for each in messages], False
    )
    wanted = [each for role, content, loss in parts if loss for each in own(role, content)]
    assert [each for each, kept in zip(ids, mask, strict=True) if kept] == wanted


def test_a_template_that_changes_what_came_before_is_an_error() -> None:
    def forgetful(messages: Sequence[Message], opening: bool) -> list[int]:
        return render([each for each in messages if each is messages[-1] or each["role"] == "user"], opening)

    chain = said(("user", "ask", False), ("assistant", "good", True), ("assistant", "bad", True))
    with pytest.raises(BadInput, match="would mask the wrong tokens"):
        labelled(forgetful, chain)


def test_a_critique_is_a_line_with_its_score(tmp_path: Path) -> None:
    (row, *_) = exported("critic-sft", tmp_path / "x", render=render)
    assert (row["role"], row["reward"], weight_of(row)) == ("critic", 1.0, 1.0)
    assert spoken(row).startswith('{"verdict"')
