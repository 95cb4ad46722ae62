"""Four processes that write one memory at once through a Chroma server, beyond what Chroma syncs at once."""

from pathlib import Path

import pytest

from tests.served_memory import served, write_together


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_four_writers_of_1500_corrections_each_lose_none(tmp_path: Path) -> None:
    with served(tmp_path / "server") as url:
        told = write_together(tmp_path, url, writers=4, each=1500)
    assert told.kept == told.readable == told.acknowledged == 6000
    assert told.found == told.asked
