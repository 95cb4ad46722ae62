"""What all tests share: the real data sets, where they are, said loudly where they are not."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentloop.environments.web.browser import Browser
from agentloop.errors import AgentloopError

# The models of the tests are tiny: more threads would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder that AGENTLOOP_DATA names; the test is skipped without it."""
    named = os.environ.get("AGENTLOOP_DATA")
    if not named or not Path(named).is_dir():
        pytest.skip("SKIPPED: no real data, set AGENTLOOP_DATA to its folder to run this test")
    return Path(named)


def why_no_browser() -> str:
    """What is missing for the web tests; empty where nothing is."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    try:
        _ = Browser().layers
    except AgentloopError as error:
        return str(error)
    return ""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A guarded browser. Without one a test is skipped, or fails if AGENTLOOP_WEB_TESTS is "required"."""
    if missing := why_no_browser():
        said = (
            f"web tests skipped: {missing}; to run them: apt install chromium-headless-shell and "
            "pip install 'agentloop-toolkit[web]'"
        )
        if os.environ.get("AGENTLOOP_WEB_TESTS") == "required":
            pytest.fail(said)
        pytest.skip(f"SKIPPED: {said}")
    made = Browser()
    yield made
    made.close()
