"""Recipes: one published method a file, built from the nodes of ``agentloop.graph``.

``NAME_agent`` builds the compiled agent, ``NAME_graph`` the graph to be changed before. None may be called
like its file, since importing the file would put the module in the function's place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.recipes.cgi import CGISampling as CGISampling
    from agentloop.recipes.cgi import StepView as StepView
    from agentloop.recipes.cgi import cgi_agent as cgi_agent
    from agentloop.recipes.cgi import cgi_graph as cgi_graph
    from agentloop.recipes.cipher import CipherSampling as CipherSampling
    from agentloop.recipes.cipher import cipher_agent as cipher_agent
    from agentloop.recipes.cipher import cipher_graph as cipher_graph
    from agentloop.recipes.critic_code import critic_code_agent as critic_code_agent
    from agentloop.recipes.critic_code import critic_code_graph as critic_code_graph
    from agentloop.recipes.droc import droc_agent as droc_agent
    from agentloop.recipes.droc import droc_graph as droc_graph
    from agentloop.recipes.iad import iad_agent as iad_agent
    from agentloop.recipes.iad import iad_graph as iad_graph
    from agentloop.recipes.measuring_edits import EditCosts as EditCosts
    from agentloop.recipes.measuring_edits import edit_cost as edit_cost
    from agentloop.recipes.measuring_edits import edit_costs as edit_costs
    from agentloop.recipes.measuring_tests import Ran as Ran
    from agentloop.recipes.refining import RefineTestsSettings as RefineTestsSettings
    from agentloop.recipes.reflexion_acting import ReflexionActing as ReflexionActing
    from agentloop.recipes.reflexion_acting import episode_is_done as episode_is_done
    from agentloop.recipes.reflexion_acting import reflexion_acting_agent as reflexion_acting_agent
    from agentloop.recipes.reflexion_acting import reflexion_acting_graph as reflexion_acting_graph
    from agentloop.recipes.reflexion_code import ReflexionSampling as ReflexionSampling
    from agentloop.recipes.reflexion_code import reflexion_code_agent as reflexion_code_agent
    from agentloop.recipes.reflexion_code import reflexion_code_graph as reflexion_code_graph
    from agentloop.recipes.reflexion_questions import ReflexionQuestions as ReflexionQuestions
    from agentloop.recipes.reflexion_questions import exact_match as exact_match
    from agentloop.recipes.reflexion_questions import reflexion_questions_agent as reflexion_questions_agent
    from agentloop.recipes.reflexion_questions import reflexion_questions_graph as reflexion_questions_graph
    from agentloop.recipes.reflexion_trials import solved_by_trial as solved_by_trial
    from agentloop.recipes.rethink_judging import RethinkSettings as RethinkSettings
    from agentloop.recipes.rethink_mcts import rethink_mcts_agent as rethink_mcts_agent
    from agentloop.recipes.rethink_mcts import rethink_mcts_graph as rethink_mcts_graph
    from agentloop.recipes.self_refine import RefineSampling as RefineSampling
    from agentloop.recipes.self_refine import self_refine_agent as self_refine_agent
    from agentloop.recipes.self_refine import self_refine_graph as self_refine_graph
    from agentloop.recipes.self_refine import total as total
    from agentloop.recipes.self_refine_maths import self_refine_maths_agent as self_refine_maths_agent
    from agentloop.recipes.self_refine_maths import self_refine_maths_graph as self_refine_maths_graph
    from agentloop.recipes.test_refinement import refine_tests_agent as refine_tests_agent
    from agentloop.recipes.test_refinement import refined_tests as refined_tests

__getattr__, __dir__ = lazy(
    __name__,
    {
        "CGISampling": "cgi",
        "CipherSampling": "cipher",
        "EditCosts": "measuring_edits",
        "Ran": "measuring_tests",
        "RefineSampling": "self_refine",
        "RefineTestsSettings": "refining",
        "ReflexionActing": "reflexion_acting",
        "ReflexionQuestions": "reflexion_questions",
        "ReflexionSampling": "reflexion_code",
        "RethinkSettings": "rethink_judging",
        "StepView": "cgi",
        "cgi_agent": "cgi",
        "cgi_graph": "cgi",
        "cipher_agent": "cipher",
        "cipher_graph": "cipher",
        "critic_code_agent": "critic_code",
        "critic_code_graph": "critic_code",
        "edit_cost": "measuring_edits",
        "edit_costs": "measuring_edits",
        "droc_agent": "droc",
        "droc_graph": "droc",
        "iad_agent": "iad",
        "iad_graph": "iad",
        "refine_tests_agent": "test_refinement",
        "refined_tests": "test_refinement",
        "episode_is_done": "reflexion_acting",
        "exact_match": "reflexion_questions",
        "reflexion_acting_agent": "reflexion_acting",
        "reflexion_acting_graph": "reflexion_acting",
        "reflexion_code_agent": "reflexion_code",
        "reflexion_code_graph": "reflexion_code",
        "reflexion_questions_agent": "reflexion_questions",
        "reflexion_questions_graph": "reflexion_questions",
        "solved_by_trial": "reflexion_trials",
        "rethink_mcts_agent": "rethink_mcts",
        "rethink_mcts_graph": "rethink_mcts",
        "self_refine_agent": "self_refine",
        "self_refine_graph": "self_refine",
        "self_refine_maths_agent": "self_refine_maths",
        "self_refine_maths_graph": "self_refine_maths",
        "total": "self_refine",
    },
)
__all__ = [
    "CGISampling",
    "CipherSampling",
    "EditCosts",
    "Ran",
    "RefineSampling",
    "RefineTestsSettings",
    "ReflexionActing",
    "ReflexionQuestions",
    "ReflexionSampling",
    "RethinkSettings",
    "StepView",
    "cgi_agent",
    "cgi_graph",
    "cipher_agent",
    "cipher_graph",
    "critic_code_agent",
    "critic_code_graph",
    "edit_cost",
    "edit_costs",
    "droc_agent",
    "droc_graph",
    "iad_agent",
    "iad_graph",
    "refine_tests_agent",
    "refined_tests",
    "episode_is_done",
    "exact_match",
    "reflexion_acting_agent",
    "reflexion_acting_graph",
    "reflexion_code_agent",
    "reflexion_code_graph",
    "reflexion_questions_agent",
    "reflexion_questions_graph",
    "solved_by_trial",
    "rethink_mcts_agent",
    "rethink_mcts_graph",
    "self_refine_agent",
    "self_refine_graph",
    "self_refine_maths_agent",
    "self_refine_maths_graph",
    "total",
]
