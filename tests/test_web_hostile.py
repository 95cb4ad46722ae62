"""Hostile pages and actions: each is stopped, judged from outside, and the next episode works.

The same attacks do their harm in a browser without guards, so that none of them is a dud.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentloop.environments.web.browser import Browser
from agentloop.environments.web.finding import find_browser
from agentloop.environments.web.namespace import network_layer
from tests.hostile_web.attacks import ATTACKS, OF_THE_SHEET, OUR_OWN, Attack
from tests.hostile_web.elsewhere import one
from tests.hostile_web.trying import GENTLE, Outcome, Tried, World, all_of, attempt
from tests.hostile_web.windows import Naive, naive_browser

ROOT = Path(__file__).parent.parent
NOBODY = 65534
every = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
of_the_sheet = pytest.mark.parametrize("attack", OF_THE_SHEET, ids=lambda attack: attack.name)
needs_namespace = pytest.mark.skipif(
    not network_layer().available, reason=f"SKIPPED: no network namespaces: {network_layer().why_not}"
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture(scope="module")
def behind_the_proxy_alone(browser: Browser) -> Iterator[Browser]:
    made = Browser(namespace=False)
    yield made
    made.close()


@pytest.fixture(scope="module")
def in_a_network_of_its_own(browser: Browser) -> Iterator[Browser]:
    made = Browser(namespace=True)
    yield made
    made.close()


def stopped(outcome: Outcome, works: bool) -> None:
    assert outcome.harms == (), f"{outcome.name}: {outcome.told}"
    assert works, "the next episode works"


def test_there_are_26_of_the_published_attacks_and_more_of_our_own() -> None:
    assert len(OF_THE_SHEET) == 26 and len(OUR_OWN) >= 6
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@of_the_sheet
def test_the_proxy_alone_stops_it(behind_the_proxy_alone: Browser, world: World, attack: Attack) -> None:
    stopped(*behind_the_proxy_alone.do(one(world, behind_the_proxy_alone, attack)))


@pytest.mark.slow
@needs_namespace
@every
def test_a_network_of_its_own_stops_it(
    in_a_network_of_its_own: Browser, world: World, attack: Attack
) -> None:
    stopped(*in_a_network_of_its_own.do(one(world, in_a_network_of_its_own, attack)))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_ordinary_users_browser_stops_them_all(browser: Browser) -> None:
    with tempfile.TemporaryDirectory(prefix="ordinary-") as home:
        told = elsewhere(*as_an_ordinary_user(Path(home)))
    assert "user" not in told["layers"]
    harmless(told)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_browser_of_root_stops_them_all_where_no_namespace_can_be_had(browser: Browser) -> None:
    """Nothing is left then but the proxy and the guards inside: no sandbox of Chromium's either."""
    none = "".join(f"echo 0 > /proc/sys/user/max_{kind}_namespaces; " for kind in ("user", "net"))
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", none + 'exec "$@"', "sh", sys.executable]
    if shutil.which("unshare") is None or subprocess.run(command[:3] + ["true"]).returncode:
        pytest.skip(
            "SKIPPED: no user namespace to take namespaces away in; install util-linux, or allow them"
        )
    told = elsewhere(command, {})
    assert told["layers"] == ["proxy"]
    harmless(told)


def elsewhere(python: list[str], options: dict[str, Any]) -> dict[str, Any]:
    """What the attacks come to in a process of their own."""
    command = [*python, "-m", "tests.hostile_web.elsewhere"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=580, **options)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def harmless(told: dict[str, Any]) -> None:
    assert [each["name"] for each in told["outcomes"]] == [attack.name for attack in ATTACKS]
    assert [each for each in told["outcomes"] if each["harms"] or not each["works"]] == []


def as_an_ordinary_user(home: Path) -> tuple[list[str], dict[str, Any]]:
    """The Python, and how it is run, of somebody who is not root: nobody, where the caller is root."""
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(home)}
    if os.geteuid() != 0:
        return [sys.executable], {"env": environment}
    python = python_of_all()
    if python is None:
        pytest.skip("SKIPPED: no Python of this version that an ordinary user may run; run the tests as one")
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    os.chown(home, NOBODY, NOBODY)
    return [python], {"env": environment, "user": NOBODY, "group": NOBODY, "extra_groups": []}


def python_of_all() -> str | None:
    """A Python that everybody may run and that can load what is installed for this one."""
    for path in (sys.executable, shutil.which("python3", path=os.defpath)):
        probe = [str(path), "-c", "import sys; print(sys.version_info[:2])"]
        try:
            said = subprocess.run(probe, capture_output=True, text=True, user=NOBODY, group=NOBODY).stdout
        except OSError:
            continue
        if said.strip() == str(sys.version_info[:2]):
            return path
    return None


async def naively(attacks: Sequence[Attack]) -> list[Outcome]:
    """What comes of attacks in a browser without any guard."""
    naive, end = await naive_browser(str(find_browser()))

    async def opened() -> Tried:
        return Naive(await naive.new_context())

    try:
        return await all_of(attacks, lambda world, attack: attempt(world, attack, opened))
    finally:
        await end()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_without_guards_every_attack_does_its_harm(browser: Browser) -> None:
    biting = [attack for attack in ATTACKS if attack.harm != "none"]
    gentle = [attack for attack in biting if attack.harm in GENTLE]
    outcomes = asyncio.run(naively(gentle))
    for attack in biting:
        if attack not in gentle:  # it takes its browser down with it
            outcomes += asyncio.run(naively([attack]))
    done = {outcome.name: outcome.harms for outcome in outcomes}
    assert [attack.name for attack in biting if attack.harm not in done[attack.name]] == []


def test_most_attacks_are_ones_that_chromium_does_not_withstand_by_itself() -> None:
    assert len([attack for attack in ATTACKS if attack.harm == "none"]) * 5 < len(ATTACKS)
