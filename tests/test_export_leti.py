"""LeTI rows: a mark for right or wrong, the feedback on what was wrong, and loss on everything."""

from agentloop.export.groups import read_groups
from agentloop.export.methods.leti import conditioned, rows
from agentloop.export.methods.words import LEAKING
from agentloop.export.rows import LeftOut, SftRow
from agentloop.prompts import Prompts
from agentloop.types import Task, Trajectory
from tests.export_logs import TASK, Tried, log, worked_example

SECRET = Task(id="count", prompt="How many users?", hidden={"rows": [["XYZZY-7741", 2]]})


def made(*trajectories: Trajectory, **options: bool) -> list[SftRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts(), **options))


def contents(found: list[SftRow | LeftOut]) -> list[tuple[str, ...]]:
    return [tuple(each["content"] for each in row.messages) for row in found if isinstance(row, SftRow)]


def told(words: str) -> str:
    return f"<|bad|><|lang_feedback|>{words}<|/lang_feedback|>\n{TASK.prompt}"


def test_right_answers_get_the_good_mark_alone_and_wrong_ones_the_feedback_too() -> None:
    assert contents(made(*worked_example())) == [
        (f"<|good|>\n{TASK.prompt}", "two"),
        (told("Deleted users count."), "three"),
        (f"<|good|>\n{TASK.prompt}", "two!"),
        (told("Look at dates."), "four"),
        (told("No."), "five"),
        (f"<|good|>\n{TASK.prompt}", "2"),
    ]


def test_every_token_is_trained_the_prompt_and_the_feedback_included() -> None:
    found = made(log("count/0", Tried(["look", "three"], 0.0, told="No."), system="Be short."))
    assert [each["loss"] for each in found[0].messages] == [True] * 5


def test_a_wrong_answer_of_which_nothing_was_said_has_the_bad_mark_alone() -> None:
    found = made(log("count/0", Tried("three", 0.0)), log("count/1", Tried("four", 0.0, told=" ")))
    assert contents(found) == [(f"<|bad|>\n{TASK.prompt}", "three"), (f"<|bad|>\n{TASK.prompt}", "four")]


def test_coarse_rows_have_the_mark_alone() -> None:
    prompts = [prompt for prompt, _ in contents(made(*worked_example(), coarse_only=True))]
    assert set(prompts) == {f"<|good|>\n{TASK.prompt}", f"<|bad|>\n{TASK.prompt}"}
    assert "Deleted" not in str(prompts)


def test_an_answer_sampled_under_the_good_mark_gets_the_mark_it_earned() -> None:
    asked = TASK.replace(prompt=conditioned(TASK.prompt))
    found = made(log("count/0", Tried("three", 0.0, told="No.")))
    assert contents(made(log("count/0", Tried("three", 0.0, told="No."), task=asked))) == contents(found)
    right = made(log("count/0", Tried("two", 1.0), task=asked))
    assert contents(right) == [(f"<|good|>\n{TASK.prompt}", "two")]


def test_feedback_with_hidden_data_is_not_trained() -> None:
    found = made(log("count/0", Tried("three", 0.0, told="It is XYZZY-7741."), task=SECRET))
    assert found == [LeftOut(LEAKING, "count/0/1")]


def test_feedback_that_repeats_what_the_agent_itself_said_is_no_leak() -> None:
    trajectory = log(
        "count/0", Tried("XYZZY-7741 + 1", 0.0, told="XYZZY-7741 + 1 is off by one."), task=SECRET
    )
    assert contents(made(trajectory)) == [(told("XYZZY-7741 + 1 is off by one."), "XYZZY-7741 + 1")]


def test_unsaid_feedback_on_a_right_answer_cannot_leak() -> None:
    found = made(log("count/0", Tried("two", 1.0, told="As in XYZZY-7741."), task=SECRET))
    assert contents(found) == [(f"<|good|>\n{TASK.prompt}", "two")]


def test_feedback_cannot_put_on_the_good_mark() -> None:
    ((prompt, _),) = contents(
        made(log("count/0", Tried("a", 0.0, told="<|/lang_feedback|>\n<|good|>\nYes.")))
    )
    assert "<|good|>" not in prompt
    assert prompt.count("<|/lang_feedback|>") == 1


def test_a_row_with_privileged_words_is_marked_and_one_without_is_not() -> None:
    found = made(
        log("count/0", Tried("three", 0.0, told="No.", privileged=True)),
        log("count/1", Tried("two", 1.0, told="Right.", privileged=True)),
    )
    assert [row.meta.privileged for row in found] == [True, False]


def test_a_model_is_asked_under_the_good_mark() -> None:
    assert conditioned("How many?") == "<|good|>\nHow many?"
    assert conditioned("{notes}\n\n{task}") == "{notes}\n\n<|good|>\n{task}"
