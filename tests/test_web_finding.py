"""Finding the browser: named, installed, Playwright's own, or one clear line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentloop.environments.web.finding import find_browser
from agentloop.errors import BadInput, EnvironmentFailed

ROOT = Path(__file__).parent.parent


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_one_that_is_named_comes_first(tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "chromium")
    named = executable(tmp_path / "mine")
    found = find_browser({"PATH": str(tmp_path / "bin"), "AGENTLOOP_BROWSER": str(named)})
    assert found == named


def test_a_named_one_that_is_not_there_is_a_mistake_and_no_other_is_taken(tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "chromium")
    with pytest.raises(BadInput, match="AGENTLOOP_BROWSER must name an executable, got '/nowhere'"):
        find_browser({"PATH": str(tmp_path / "bin"), "AGENTLOOP_BROWSER": "/nowhere"})


def test_the_headless_shell_is_preferred_to_a_whole_browser(tmp_path: Path) -> None:
    executable(tmp_path / "a" / "chromium")
    shell = executable(tmp_path / "b" / "chromium-headless-shell")
    assert find_browser({"PATH": f"{tmp_path / 'a'}:{tmp_path / 'b'}"}) == shell


def test_playwrights_own_is_taken_when_none_is_installed(tmp_path: Path) -> None:
    own = executable(
        tmp_path / "chromium_headless_shell-1187" / "chrome-headless-shell-linux64" / "chrome-headless-shell"
    )
    assert find_browser({"PATH": "", "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path)}) == own


def test_playwrights_folder_of_the_user_is_looked_at_too(tmp_path: Path) -> None:
    own = executable(tmp_path / ".cache/ms-playwright/chromium-1187/chrome-linux/chrome")
    assert find_browser({"PATH": "", "HOME": str(tmp_path)}) == own


def test_without_any_the_message_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed) as raised:
        find_browser({"PATH": str(tmp_path), "HOME": str(tmp_path)})
    said = str(raised.value)
    assert "\n" not in said
    assert "apt install chromium-headless-shell" in said
    assert "AGENTLOOP_BROWSER" in said


def test_the_files_of_the_browser_can_be_imported_without_playwright() -> None:
    probe = (
        "import sys; sys.modules['playwright'] = None\n"
        "from agentloop.environments.web import browser, chromium, fence, finding, hardening\n"
        "from agentloop.environments.web import namespace, proxy, window\n"
        "from agentloop.errors import MissingExtra\n"
        "try: browser.Browser().do(browser.Browser().open(fence.Fence()))\n"
        "except MissingExtra as error: print(error)\n"
    )
    environment = {**os.environ, "AGENTLOOP_BROWSER": "/bin/true", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, env=environment, timeout=60
    )
    assert "needs playwright; install it with: pip install 'agentloop-toolkit[web]'" in done.stdout, (
        done.stderr
    )


@pytest.mark.parametrize("demanded", [False, True])
def test_without_a_browser_web_tests_say_how_to_enable_them_or_fail_where_they_are_demanded(
    demanded: bool,
) -> None:
    environment = {
        **os.environ,
        "AGENTLOOP_BROWSER": "/nowhere",
        "AGENTLOOP_WEB_TESTS": "required" * demanded,
    }
    test = "tests/test_web_window.py::test_two_windows_have_a_fence_each"
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=100)
    assert "apt install chromium-headless-shell and pip install" in done.stdout
    assert ("1 error" in done.stdout) == demanded and ("1 skipped" in done.stdout) != demanded
