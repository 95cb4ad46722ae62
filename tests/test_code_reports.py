"""The way of a checker's records to the host: none is lost, whenever they are written."""

import subprocess
import sys
from pathlib import Path

import pytest

from agentloop.environments.code.verdicts import lines

ROOT = Path(__file__).resolve().parents[1]
TOLD = f"""
import _signal, sys
sys.path.insert(0, {str(ROOT)!r})
from agentloop.environments.code.inside.channel import Channel
from agentloop.environments.code.inside.checker import Report
from agentloop.environments.code.inside.remote import Program
from agentloop.environments.code.inside.seen import Seen

report = Report(1, Program(Channel(0), Seen()))
report.begin()
_signal.setitimer(_signal.ITIMER_REAL, 0.0002, 0.0002)
for number in range(20_000):
    report.tell({{"number": number}})
report.end({{"done": True}})
"""


def test_no_record_is_lost_that_is_told_while_others_are_written() -> None:
    done = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, timeout=120, check=True)
    told = lines(done.stdout)
    assert [each["number"] for each in told[:-1]] == [*range(20_000)]
    assert told[-1] == {"done": True}


@pytest.mark.parametrize(
    ("report", "found"),
    [
        (b"", []),
        (b'{"a":1}\n{"b":2}\n', [{"a": 1}, {"b": 2}]),
        (b'{"a":1}\n{"b":', [{"a": 1}]),
        (b'{"a":1}\n{"b":\n{"c":3}\n', [{"a": 1}, {"c": 3}]),
        (b'[1]\n2\n{"c":3}\n\xff\n', [{"c": 3}]),
    ],
)
def test_of_a_report_what_is_whole_is_read(report: bytes, found: list[dict[str, int]]) -> None:
    assert lines(report) == found
