"""The journal: written before use, one writer, opens whatever a kill left."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from agentloop.errors import BadInput, JournalCorrupt, JournalLocked, SchemaVersionError
from agentloop.journal import Journal, read
from agentloop.reading import trajectories
from agentloop.types import Call, Reply, Task

TASK = Task(id="a", prompt="p")
SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz012345"


def call(place: str, text: str = "said", prompt: str = "asked") -> Call:
    reply = Reply(text=text, token_ids=(1, 2), prompt_token_ids=(3,), logprobs=(-0.1, -0.2))
    return Call(
        place=place,
        role="actor",
        model="m",
        messages=({"role": "user", "content": prompt},),
        replies=(reply,),
    )


def written(path: Path) -> Journal:
    journal = Journal(path, run="r")
    journal.begin(TASK)
    journal.put("a#0/1/act/0", "call", "ask", call("a#0/1/act/0"))
    journal.put("a#0/1/attempt/0", "attempt", "", {"text": "said"})
    return journal


def end(journal: Journal, reason: str = "passed") -> None:
    journal.end(
        "a#0", {"group": "a", "task_id": "a", "chosen": 1, "stop_reason": reason, "stop_signal": "self"}
    )


def test_an_effect_is_on_disk_before_put_returns(tmp_path: Path) -> None:
    journal = written(tmp_path / "j")
    lines = (tmp_path / "j").read_text().splitlines()
    assert json.loads(lines[-1])["value"] == {"text": "said"}
    journal.close()


def test_a_trajectory_is_read_back_as_it_was(tmp_path: Path) -> None:
    journal = written(tmp_path / "j")
    end(journal)
    journal.close()
    [trajectory] = trajectories(tmp_path / "j")
    assert trajectory.attempts[0].text == "said"
    assert trajectory.call("a#0/1/act/0") == call("a#0/1/act/0")
    assert (trajectory.run, trajectory.chosen, trajectory.stop_signal) == ("r", 1, "self")


def test_an_unfinished_trajectory_is_remembered_and_a_finished_one_is_not_kept(tmp_path: Path) -> None:
    written(tmp_path / "j").close()
    journal = Journal(tmp_path / "j")
    effect = journal.get("a#0/1/act/0")
    assert effect is not None
    assert effect.value[0].text == "said"
    end(journal)
    assert journal.get("a#0/1/act/0") is None
    assert journal.finished == {"a#0"}
    journal.close()


@pytest.mark.parametrize("reason", ["budget", "error"])
def test_a_trajectory_that_ended_for_want_of_budget_or_on_an_error_may_go_on(
    tmp_path: Path, reason: str
) -> None:
    journal = written(tmp_path / "j")
    end(journal, reason)
    journal.close()
    journal = Journal(tmp_path / "j")
    assert journal.finished == set()
    assert journal.get("a#0/1/act/0") is not None
    end(journal)
    journal.close()
    assert [each.stop_reason for each in trajectories(tmp_path / "j")] == ["passed"]


def test_a_second_writer_is_refused_with_the_remedy(tmp_path: Path) -> None:
    journal = written(tmp_path / "j")
    code = f"from agentloop.journal import Journal; Journal({str(tmp_path / 'j')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "JournalLocked" in done.stderr
    assert "choose another folder" in done.stderr
    with pytest.raises(JournalLocked):
        Journal(tmp_path / "j")
    journal.close()
    Journal(tmp_path / "j").close()


def test_a_journal_cut_at_every_byte_of_its_last_lines_opens_and_says_what_it_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = written(tmp_path / "whole")
    end(journal)
    journal.close()
    data = (tmp_path / "whole").read_bytes()
    lines = data.splitlines(keepends=True)
    kept_for_sure = len(b"".join(lines[:2]))
    with caplog.at_level(logging.WARNING):
        for size in range(kept_for_sure, len(data) + 1):
            path = tmp_path / "cut"
            path.write_bytes(data[:size])
            journal = Journal(path)
            whole = data[: data.rfind(b"\n", 0, size) + 1]
            assert path.read_bytes() == whole
            assert bool(journal.dropped) == (len(whole) < size)
            if journal.dropped:
                assert str(size - len(whole)) in journal.dropped
                assert journal.dropped in caplog.text
            journal.put("a#0/1/judge/0", "feedback", "", {"text": "more"})
            journal.close()
            assert list(read(path))[-1]["value"] == {"text": "more"}
            path.unlink()


def test_a_journal_cut_inside_its_first_line_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b'{"journal":1,"ru')
    journal = Journal(tmp_path / "j", run="r")
    assert journal.dropped
    journal.close()
    assert list(read(tmp_path / "j")) == [{"journal": 1, "run": "r"}]


def test_zeros_that_a_power_cut_left_at_the_end_are_dropped(tmp_path: Path) -> None:
    written(tmp_path / "j").close()
    whole = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(whole + b"\0" * 5000)
    Journal(tmp_path / "j").close()
    assert (tmp_path / "j").read_bytes() == whole


def test_a_broken_line_inside_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    journal = written(tmp_path / "j")
    journal.close()
    lines = (tmp_path / "j").read_text().splitlines(keepends=True)
    (tmp_path / "j").write_text(lines[0] + "{broken\n" + "".join(lines[1:]))
    with pytest.raises(JournalCorrupt, match="line 2"):
        list(read(tmp_path / "j"))


def test_an_unknown_version_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "j").write_text('{"journal": 99, "run": "r"}\n')
    with pytest.raises(SchemaVersionError, match="99.*reads version 1"):
        Journal(tmp_path / "j")


def test_a_missing_journal_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no journal at"):
        list(read(tmp_path / "none"))


def test_a_task_of_the_same_id_but_other_content_is_refused(tmp_path: Path) -> None:
    journal = written(tmp_path / "j")
    journal.begin(TASK)
    with pytest.raises(BadInput, match="task 'a' differs"):
        journal.begin(TASK.replace(prompt="another"))
    journal.close()


@pytest.mark.parametrize("where", ["reply", "prompt"])
def test_where_a_secret_is_redacted_token_ids_are_dropped_and_the_attempt_is_not_trainable(
    tmp_path: Path, where: str
) -> None:
    journal = Journal(tmp_path / "j", run="r")
    journal.begin(TASK)
    made = call("a#0/1/act/0", text=SECRET) if where == "reply" else call("a#0/1/act/0", prompt=SECRET)
    journal.put("a#0/1/act/0", "call", "", made)
    journal.put("a#0/1/attempt/0", "attempt", "", {"text": f"it is {SECRET}"})
    end(journal)
    journal.close()
    assert SECRET not in (tmp_path / "j").read_text()
    [trajectory] = trajectories(tmp_path / "j")
    reply = trajectory.calls[0].replies[0]
    assert (reply.token_ids, reply.prompt_token_ids, reply.logprobs) == (None, None, None)
    assert trajectory.attempts[0].trainable is False


def test_text_of_any_kind_comes_back_the_same(tmp_path: Path) -> None:
    odd = 'line\u2028 sep \ud83d\ude00 nul\0 quote" back\\slash \udc80'
    journal = Journal(tmp_path / "j", run="r")
    journal.put("a#0/1/x/0", "value", "", {"text": odd})
    journal.close()
    again = Journal(tmp_path / "j")
    effect = again.get("a#0/1/x/0")
    again.close()
    assert effect is not None
    assert effect.value == {"text": odd}
