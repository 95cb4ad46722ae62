"""What all tests share: the real data sets, where they are, said loudly where they are not."""

import os
from pathlib import Path

import pytest

# The models of the tests are tiny: more threads would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder that AGENTLOOP_DATA names; the test is skipped without it."""
    named = os.environ.get("AGENTLOOP_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("SKIPPED: no real data, set AGENTLOOP_DATA to its folder to run this test")
    return Path(named)
