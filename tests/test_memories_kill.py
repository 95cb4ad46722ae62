"""kill -9 on the writer of a memory, at any instant: what was acknowledged stays, the index mends itself."""

from pathlib import Path

import pytest

from tests.killed_memory import kill_often


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_acknowledged_outlives_every_kill_and_the_index_is_made_anew(tmp_path: Path) -> None:
    told = kill_often(tmp_path, kills=24, a_folder=12)
    assert told.kills == 24 and told.acknowledged["active"] > 300
    assert told.acknowledged["forgotten"] and told.acknowledged["quarantined"]
    assert told.said["torn line cut off"] >= 2
    assert told.said["index made anew"] >= 2 and told.said["rows added to the index"] >= 2
