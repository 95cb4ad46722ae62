"""When a search ends: rules that look at the tree before every visit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from agentloop.errors import BadInput
from agentloop.search.tree import Tree
from agentloop.stopping import Stop
from agentloop.types import StopSignal

End: TypeAlias = Callable[[Tree], Stop | None]
"""Says why to end, or None to go on."""


def after_visits(count: int) -> End:
    """End after so many visits (rollouts)."""
    _at_least_one("count", count)
    return lambda tree: Stop("visits") if tree.visits >= count else None


def after_nodes(count: int) -> End:
    """End when the tree has so many nodes, the root not counted (SWE-Search: 100)."""
    _at_least_one("count", count)
    return lambda tree: Stop("nodes") if len(tree) > count else None


def after_finished(count: int) -> End:
    """End when so many evaluated nodes are closed: finished, in SWE-Search."""
    _at_least_one("count", count)
    return lambda tree: Stop("finished") if _finished(tree) >= count else None


def at_reward(threshold: float, *, finished: int = 0, signal: StopSignal = "public") -> End:
    """End when a node has this reward, and at least so many are finished. ``signal`` says whose it is."""

    def end(tree: Tree) -> Stop | None:
        reached = any(node.reward is not None and node.reward >= threshold for node in tree.nodes)
        return Stop("reward", signal) if reached and _finished(tree) >= finished else None

    return end


def _finished(tree: Tree) -> int:
    return sum(node.closed and node.reward is not None for node in tree.nodes)


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise BadInput(f"{name} must be at least 1, got {value}")
