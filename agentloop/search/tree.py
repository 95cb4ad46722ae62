"""The tree of a search: plain records, changed by making new ones, apart from what models are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from agentloop.errors import BadInput
from agentloop.record import Record
from agentloop.types import Fact


class Node(Record):
    """One state of a search, reached from its parent's by ``content``: a thought, an action, a prefix.

    ``visits`` and ``total`` count the visits that went through this node and what they brought;
    ``own_visits`` and ``own_total`` only those that ended here; ``best`` is the most that one brought.
    Some rules discount them, so they need not be whole. ``reward`` is the node's own latest
    evaluation, None before the first. Nothing is added below a node that is ``closed``. ``observation``
    is what the environment answered to ``content``; ``notes`` is for a method's own use.
    """

    id: int = 0
    parent: int | None = None
    children: tuple[int, ...] = ()
    depth: int = 0
    content: str = ""
    prior: float = 1.0
    visits: float = 0.0
    total: float = 0.0
    own_visits: float = 0.0
    own_total: float = 0.0
    best: float | None = None
    reward: float | None = None
    feedback: str = ""
    observation: str = ""
    facts: tuple[Fact, ...] = ()
    closed: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """What a visit through this node brought on average; 0 before the first."""
        return self.total / self.visits if self.visits else 0.0


class Tree(Record):
    """All nodes, each at the place of its id; the root is 0. ``visits`` counts those of the whole search."""

    nodes: tuple[Node, ...] = field(default_factory=lambda: (Node(),))
    visits: int = 0

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def root(self) -> Node:
        """Where every path begins."""
        return self.nodes[0]

    def node(self, number: int) -> Node:
        """The node of that id; BadInput when there is none."""
        if not 0 <= number < len(self.nodes):
            raise BadInput(f"the tree has no node {number}; its ids are 0 to {len(self.nodes) - 1}")
        return self.nodes[number]

    def children(self, number: int) -> list[Node]:
        """The nodes right below one, in the order in which they were added."""
        return [self.nodes[child] for child in self.node(number).children]

    def siblings(self, number: int) -> list[Node]:
        """The other children of the node's parent, in order."""
        parent = self.node(number).parent
        return [] if parent is None else [each for each in self.children(parent) if each.id != number]

    def path(self, number: int) -> list[Node]:
        """The nodes from the root to this one, both included."""
        found = [self.node(number)]
        while found[-1].parent is not None:
            found.append(self.nodes[found[-1].parent])
        return found[::-1]

    def grow(self, parent: int, contents: Sequence[str], *, priors: Sequence[float] = ()) -> Tree:
        """The tree with new nodes below ``parent``; their ids follow on those there are."""
        above, first = self.node(parent), len(self.nodes)
        if above.closed:
            raise BadInput(f"node {parent} is closed; nothing can be added below it")
        added = [
            Node(id=first + place, parent=parent, depth=above.depth + 1, content=content, prior=prior)
            for place, (content, prior) in enumerate(
                zip(contents, priors or [1.0] * len(contents), strict=True)
            )
        ]
        above = above.replace(children=(*above.children, *(node.id for node in added)))
        nodes = (*self.nodes[:parent], above, *self.nodes[parent + 1 :], *added)
        return self.replace(nodes=nodes)

    def change(self, number: int, **changes: Any) -> Tree:
        """The tree with some fields of one node changed. A node's id and place in the tree stay."""
        fixed = {"id", "parent", "children", "depth"} & set(changes)
        if fixed:
            raise BadInput(f"a node's {', '.join(sorted(fixed))} cannot be changed; grow the tree instead")
        return self.put({number: self.node(number).replace(**changes)})

    def put(self, nodes: Mapping[int, Node]) -> Tree:
        """The tree with some of its nodes replaced, each by one of the same id."""
        return self.replace(nodes=tuple(nodes.get(node.id, node) for node in self.nodes))
