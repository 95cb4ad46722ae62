"""Search over attempts: a tree, rules of published searches, branching of environments, and the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.search.branching import Branched as Branched
    from agentloop.search.branching import Branching as Branching
    from agentloop.search.ending import after_finished as after_finished
    from agentloop.search.ending import after_nodes as after_nodes
    from agentloop.search.ending import after_visits as after_visits
    from agentloop.search.ending import at_reward as at_reward
    from agentloop.search.graph import Search as Search
    from agentloop.search.graph import search_agent as search_agent
    from agentloop.search.graph import search_graph as search_graph
    from agentloop.search.rules import add_up as add_up
    from agentloop.search.rules import best_so_far as best_so_far
    from agentloop.search.rules import descend as descend
    from agentloop.search.rules import discounted_ucb as discounted_ucb
    from agentloop.search.rules import fade as fade
    from agentloop.search.rules import highest as highest
    from agentloop.search.rules import puct as puct
    from agentloop.search.rules import stay as stay
    from agentloop.search.rules import uct as uct
    from agentloop.search.tree import Node as Node
    from agentloop.search.tree import Tree as Tree
    from agentloop.search.visit import Evaluated as Evaluated
    from agentloop.search.visit import Visit as Visit
    from agentloop.search.visit import Worth as Worth

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Branched": "branching",
        "Branching": "branching",
        "Evaluated": "visit",
        "Node": "tree",
        "Search": "graph",
        "Tree": "tree",
        "Visit": "visit",
        "Worth": "visit",
        "add_up": "rules",
        "after_finished": "ending",
        "after_nodes": "ending",
        "after_visits": "ending",
        "at_reward": "ending",
        "best_so_far": "rules",
        "descend": "rules",
        "discounted_ucb": "rules",
        "fade": "rules",
        "highest": "rules",
        "puct": "rules",
        "search_agent": "graph",
        "search_graph": "graph",
        "stay": "rules",
        "uct": "rules",
    },
)
__all__ = [
    "Branched",
    "Branching",
    "Evaluated",
    "Node",
    "Search",
    "Tree",
    "Visit",
    "Worth",
    "add_up",
    "after_finished",
    "after_nodes",
    "after_visits",
    "at_reward",
    "best_so_far",
    "descend",
    "discounted_ucb",
    "fade",
    "highest",
    "puct",
    "search_agent",
    "search_graph",
    "stay",
    "uct",
]
