"""The layers of isolation: what is chosen, what is refused, and what a refusal says."""

import os

import pytest

from agentloop.environments.code import Sandbox
from agentloop.environments.code.layers import LAYERS, LEFT_OPEN, chosen, probe
from agentloop.errors import BadInput, SandboxRefused

HAVE = {name for name, layer in probe().items() if layer.available}


def test_every_layer_is_probed_and_says_how_or_why_not() -> None:
    found = Sandbox.probe()
    assert set(found) == set(LAYERS)
    assert all(layer.detail for layer in found.values())


def test_every_layer_says_what_it_leaves_open_when_it_is_missing() -> None:
    assert set(LEFT_OPEN) == set(LAYERS)


def test_any_takes_what_there_is() -> None:
    assert set(chosen("any")) == HAVE


def test_a_layer_can_be_left_out() -> None:
    assert "seccomp" not in chosen("any", without=["seccomp"])


def test_nothing_at_all_is_possible_when_it_is_asked_for() -> None:
    assert chosen("any", without=LAYERS) == ()


@pytest.mark.parametrize("missing", ["seccomp", "limits"])
def test_strong_refuses_to_go_without_what_it_rests_on(missing: str) -> None:
    with pytest.raises(SandboxRefused, match=f"- {missing} .left out by the caller.; it leaves open: "):
        chosen("strong", without=[missing])


def test_strong_asks_for_namespaces_only_where_landlock_stops_no_signals() -> None:
    with pytest.raises(SandboxRefused, match="namespaces"):
        chosen("strong", without=["namespaces", "landlock"])


@pytest.mark.skipif("landlock" not in HAVE, reason="SKIPPED: this kernel has no Landlock")
def test_strong_is_content_with_landlock_in_place_of_namespaces() -> None:
    assert "landlock" in chosen("strong", without=["namespaces"])


@pytest.mark.parametrize("missing", [name for name in LAYERS if name != "uid" or os.getuid() == 0])
def test_full_refuses_to_go_without_any(missing: str) -> None:
    with pytest.raises(SandboxRefused, match=f"- {missing} "):
        chosen("full", without=[missing])


def test_a_refusal_says_how_to_go_on_all_the_same() -> None:
    with pytest.raises(SandboxRefused, match='require="any"'):
        chosen("strong", without=["seccomp"])


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(BadInput, match="full, strong, any, got 'weak'"):
        chosen("weak")  # type: ignore[arg-type]


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(BadInput, match="no layer is called .'jail'."):
        chosen("any", without=["jail"])
