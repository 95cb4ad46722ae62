"""RLTF-SD and RLTF-FM in one: the rows of both, each once, under this method's name."""

from agentloop.export.groups import read_groups
from agentloop.export.methods import rltf_fm, rltf_sd
from agentloop.export.methods.rltf_sd_fm import METHOD, rows
from agentloop.export.rows import GroupRow, LeftOut, SftRow
from agentloop.prompts import Prompts
from tests.export_logs import worked_example


def made() -> list[GroupRow | SftRow | LeftOut]:
    (group,), _ = read_groups(worked_example(), lambda each: None)
    return list(rows(group, Prompts()))


def named(row: GroupRow | SftRow, method: str) -> GroupRow | SftRow:
    return row.replace(meta=row.meta.replace(method=method))


def test_the_rows_are_those_of_rltf_sd_and_the_feedback_rows_of_rltf_fm() -> None:
    (group,), _ = read_groups(worked_example(), lambda each: None)
    distilled = list(rltf_sd.rows(group, Prompts()))
    foretold = [row for row in rltf_fm.rows(group, Prompts()) if isinstance(row, SftRow)]
    assert made() == [named(row, "rltf-sd-fm") for row in (*distilled, *foretold)]
    assert len(foretold) == 2


def test_the_group_is_weighed_as_in_rltf_sd() -> None:
    group = made()[0]
    assert METHOD.weigh is not None
    assert METHOD.weigh(group) == rltf_sd.weigh(group)
    assert {sample.role for sample in group.samples} == {"rl", "sd"}
