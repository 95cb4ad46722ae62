"""Chain-of-hindsight rows: four of each pair, loss on both answers and on nothing else."""

from agentloop.export.groups import read_groups
from agentloop.export.methods.chain_of_hindsight import conditioned, rows
from agentloop.export.methods.dpo import STEPS
from agentloop.export.rows import LeftOut, SftRow
from agentloop.prompts import Prompts
from agentloop.types import Trajectory
from tests.export_logs import TASK, Tried, log, worked_example

GOOD, BAD = "A good answer:", "A bad answer:"


def made(*trajectories: Trajectory) -> list[SftRow | LeftOut]:
    (group,), _ = read_groups(trajectories, lambda each: None)
    return list(rows(group, Prompts()))


def by_kind(found: list[SftRow | LeftOut]) -> dict[str, list[tuple[str, bool]]]:
    assert all(isinstance(row, SftRow) for row in found)
    return {row.meta.role: [(each["content"], each["loss"]) for each in row.messages] for row in found}


def test_a_pair_gives_both_answers_alone_and_in_both_orders() -> None:
    good, bad = (f"{TASK.prompt}\n\n{GOOD}", False), (f"{TASK.prompt}\n\n{BAD}", False)
    assert by_kind(made(worked_example()[1])) == {
        "P": [good, ("two!", True)],
        "N": [bad, ("three", True)],
        "PN": [good, ("two!", True), (BAD, False), ("three", True)],
        "NP": [bad, ("three", True), (GOOD, False), ("two!", True)],
    }


def test_speakers_take_turns_after_the_instructions() -> None:
    found = made(log("count/0", Tried("three", 0.0, told="No."), Tried("two", 1.0), system="Be short."))
    chain = next(row for row in found if row.meta.role == "NP")
    assert [each["role"] for each in chain.messages] == ["system", "user", "assistant", "user", "assistant"]


def test_no_feedback_is_in_any_row() -> None:
    assert "Deleted" not in str([row.messages for row in made(*worked_example())])


def test_without_the_rows_with_a_bad_answer_plain_fine_tuning_is_left() -> None:
    found = made(*worked_example())
    alone = [row.messages[-1]["content"] for row in found if row.meta.role == "P"]
    assert set(alone) == {"two", "two!", "2"}
    assert len(found) == 4 * len(alone)


def test_the_order_of_the_rows_varies_with_the_group_and_not_with_the_time() -> None:
    def order(name: str) -> list[str]:
        pair = log(f"{name}/0", Tried("three", 0.0, told="No."), Tried("two", 1.0), group=name)
        return [row.meta.role for row in made(pair)]

    assert order("a") == order("a")
    firsts = {tuple(order(name)) for name in "abcdefghijklmnop"}
    assert len(firsts) > 4
    assert {kinds[0] for kinds in firsts} == {"P", "N", "PN", "NP"}


def test_equal_outcomes_are_no_pair() -> None:
    assert made(log("count/0", Tried("two", 1.0)), log("count/1", Tried("2", 1.0))) == []


def test_an_attempt_of_several_steps_is_in_no_pair() -> None:
    found = made(log("count/0", Tried(["look", "two"], 1.0)), log("count/1", Tried("three", 0.0)))
    assert found == [LeftOut(STEPS, "count/0/1")]


def test_answers_sampled_behind_the_good_marker_are_not_marked_twice() -> None:
    asked = TASK.replace(prompt=conditioned(TASK.prompt))
    plain = by_kind(made(log("count/0", Tried("three", 0.0, told="No."), Tried("two", 1.0))))
    marked = by_kind(made(log("count/0", Tried("three", 0.0, told="No."), Tried("two", 1.0), task=asked)))
    assert marked == plain


def test_a_row_says_which_method_made_it_of_which_attempts() -> None:
    row = made(worked_example()[1])[0]
    assert (row.meta.method, row.meta.attempts) == ("chain-of-hindsight", ("count/1/2", "count/1/1"))


def test_a_model_is_asked_behind_the_good_marker() -> None:
    assert conditioned("How many?") == f"How many?\n\n{GOOD}"
    assert conditioned("{notes}\n\n{task}") == f"{{notes}}\n\n{{task}}\n\n{GOOD}"
