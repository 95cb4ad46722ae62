"""Rules of published searches as functions of the tree: where to go next, what a visit leaves behind.

A score rates a child as seen from its parent; ``descend`` follows the best scores down, ``highest``
takes the best-scored node of the whole tree. Of equal scores the node that was added first wins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from agentloop.errors import BadInput
from agentloop.search.tree import Node, Tree

Score: TypeAlias = Callable[[Tree, Node], float]
"""Rates a node of the tree; more is better."""

Select: TypeAlias = Callable[[Tree], int | None]
"""The id of the node to visit next; None when nothing is left to do."""

BackUp: TypeAlias = Callable[[Tree, int, float], Tree]
"""The tree after a visit that ended at a node and brought a value."""

LEAST_VISITS = 1e-2
"""Discounted visits never count for less, so that no quotient is infinite (as published for RMaxTS)."""


def descend(score: Score, *, here: Score | None = None) -> Select:
    """From the root follow the best-scored child that is open, down to a node without such children.

    With ``here`` each node also competes as "go no further" against its children (RMaxTS), and wins
    a tie.
    """

    def is_open(tree: Tree, node: Node) -> bool:
        """Whether a visit can end at the node or below it."""
        if node.closed or not node.children or here is not None:
            return not node.closed
        return any(is_open(tree, child) for child in tree.children(node.id))

    def select(tree: Tree) -> int | None:
        node = tree.root
        if not is_open(tree, node):
            return None
        while True:
            ways = [child for child in tree.children(node.id) if is_open(tree, child)]
            below = best_of(tree, ways, score)
            if below is None or (here is not None and here(tree, node) >= score(tree, below)):
                return node.id
            node = below

    return select


def highest(score: Score) -> Select:
    """The best-scored open node of the whole tree (SWE-Search chooses so among what can be expanded)."""

    def select(tree: Tree) -> int | None:
        found = best_of(tree, [node for node in tree.nodes if not node.closed], score)
        return None if found is None else found.id

    return select


def best_so_far(tree: Tree) -> int | None:
    """The open node with the highest reward, the earlier of equals; the root before any has one (IAD)."""
    rated = [node for node in tree.nodes if node.reward is not None and not node.closed]
    if rated:
        return max(rated, key=lambda node: node.reward or 0.0).id
    return None if tree.root.closed else 0


def best_of(tree: Tree, nodes: Sequence[Node], score: Score) -> Node | None:
    """The best-scored of some nodes, the first of equals; None of none."""
    return max(nodes, key=lambda node: score(tree, node), default=None)


def uct(
    exploration: float = 1.0,
    *,
    value: Callable[[Node], float] = lambda node: node.mean,
    bonuses: Sequence[Score] = (),
) -> Score:
    """The value + c·√(ln N_parent / n) + bonuses; infinite for a node not yet visited.

    SWE-Search: ``value`` is the node's own reward, from -100 to 100, and penalties are negative
    bonuses; its constants assume that scale (methods that rescale rewards rescale them all).
    """

    def score(tree: Tree, node: Node) -> float:
        if not node.visits:
            return math.inf
        above = node.visits if node.parent is None else tree.node(node.parent).visits
        explored = math.sqrt(math.log(max(above, 1.0)) / node.visits)
        return value(node) + exploration * explored + sum(bonus(tree, node) for bonus in bonuses)

    return score


def puct(constant: float = 4.0, *, base: float = 10.0) -> Score:
    """The value + [ln((N + b + 1)/b) + c]·prior·√(ln N) / (1 + n): the score of RethinkMCTS.

    N is one more than the visits through the parent, n counts those through the node, and its value
    is the best that a visit brought, 0 before the first (so published; the formula says "value").
    """

    def score(tree: Tree, node: Node) -> float:
        assert node.parent is not None
        above = 1.0 + tree.node(node.parent).visits
        weight = math.log((above + base + 1.0) / base) + constant
        explored = node.prior * math.sqrt(math.log(above)) / (1.0 + node.visits)
        return (0.0 if node.best is None else node.best) + weight * explored

    return score


def discounted_ucb(tree: Tree, node: Node) -> float:
    """Mean of the discounted rewards below a node + √(2 ln N / n): RMaxTS; use it with ``stay``."""
    assert node.parent is not None
    return _hoeffding(tree, tree.node(node.parent), node.total, node.visits)


def stay(tree: Tree, node: Node) -> float:
    """The same of the visits that ended at the node itself: how "expand me here" competes in RMaxTS."""
    return _hoeffding(tree, node, node.own_total, node.own_visits)


def _hoeffding(tree: Tree, above: Node, total: float, visits: float) -> float:
    """N adds up the choices at ``above``: to stay there, and each of its children."""
    every = above.own_visits + sum(child.visits for child in tree.children(above.id))
    visits = max(visits, LEAST_VISITS)
    return total / visits + math.sqrt(2.0 * math.log(max(every, 2.0)) / visits)


def add_up(discount: float = 1.0, *, discounts_here: int = 0) -> BackUp:
    """Count the visit on the whole path and add what it brought, less by ``discount`` at each step up.

    ``discounts_here`` says how often it is discounted at the node itself: 1 in RethinkMCTS, where a
    value belongs to the edge that leads to a node.
    """
    _check_share("discount", discount)

    def back_up(tree: Tree, number: int, value: float) -> Tree:
        changed = {}
        for steps, node in enumerate(reversed(tree.path(number))):
            brought = value * discount ** (steps + discounts_here)
            ended_here = node.id == number
            changed[node.id] = node.replace(
                visits=node.visits + 1.0,
                total=node.total + brought,
                own_visits=node.own_visits + ended_here,
                own_total=node.own_total + brought * ended_here,
                best=brought if node.best is None else max(node.best, brought),
            )
        return tree.put(changed)

    return back_up


def fade(gamma: float = 0.99) -> BackUp:
    """Weigh down what the nodes on the path brought before by ``gamma``, then add the visit (RMaxTS).

    A node keeps the sums of the visits below it and, apart, of those that ended at it; a node off
    the path does not fade.
    """
    _check_share("gamma", gamma)

    def back_up(tree: Tree, number: int, value: float) -> Tree:
        changed = {}
        for node in tree.path(number):
            own = gamma if node.id == number else 1.0
            ended_here = node.id == number
            changed[node.id] = node.replace(
                visits=node.visits * gamma + 1.0,
                total=node.total * gamma + value,
                own_visits=node.own_visits * own + ended_here,
                own_total=node.own_total * own + value * ended_here,
                best=value if node.best is None else max(node.best, value),
            )
        return tree.put(changed)

    return back_up


def _check_share(name: str, value: float) -> None:
    if not 0.0 < value <= 1.0:
        raise BadInput(f"{name} must be more than 0 and at most 1, got {value!r}")
