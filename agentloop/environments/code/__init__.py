"""Code: programs that agents write, run in a sandbox and judged by tests they cannot reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.environments.code.bubblewrap import Bubblewrap as Bubblewrap
    from agentloop.environments.code.environment import CodeEnvironment as CodeEnvironment
    from agentloop.environments.code.environment import code_passes as code_passes
    from agentloop.environments.code.loaders import code_tasks as code_tasks
    from agentloop.environments.code.loaders import humaneval as humaneval
    from agentloop.environments.code.loaders import mbpp as mbpp
    from agentloop.environments.code.loaders import small_tasks as small_tasks
    from agentloop.environments.code.passing import PassRate as PassRate
    from agentloop.environments.code.passing import Scores as Scores
    from agentloop.environments.code.passing import evaluate_samples as evaluate_samples
    from agentloop.environments.code.passing import pass_at_k as pass_at_k
    from agentloop.environments.code.samples import Result as Result
    from agentloop.environments.code.samples import Sample as Sample
    from agentloop.environments.code.samples import read_samples as read_samples
    from agentloop.environments.code.samples import samples_of as samples_of
    from agentloop.environments.code.samples import write_samples as write_samples
    from agentloop.environments.code.sandbox import Allowed as Allowed
    from agentloop.environments.code.sandbox import Sandbox as Sandbox
    from agentloop.environments.code.sandbox import check as check
    from agentloop.environments.code.scripted import ScriptedBackend as ScriptedBackend
    from agentloop.environments.code.session import CodeSession as CodeSession
    from agentloop.environments.code.verdict import Backend as Backend
    from agentloop.environments.code.verdict import Job as Job
    from agentloop.environments.code.verdict import Limits as Limits
    from agentloop.environments.code.verdict import Verdict as Verdict

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Allowed": "sandbox",
        "Backend": "verdict",
        "Bubblewrap": "bubblewrap",
        "CodeEnvironment": "environment",
        "CodeSession": "session",
        "Job": "verdict",
        "Limits": "verdict",
        "PassRate": "passing",
        "Result": "samples",
        "Sample": "samples",
        "Sandbox": "sandbox",
        "Scores": "passing",
        "ScriptedBackend": "scripted",
        "Verdict": "verdict",
        "check": "sandbox",
        "code_passes": "environment",
        "code_tasks": "loaders",
        "evaluate_samples": "passing",
        "humaneval": "loaders",
        "mbpp": "loaders",
        "pass_at_k": "passing",
        "read_samples": "samples",
        "samples_of": "samples",
        "small_tasks": "loaders",
        "write_samples": "samples",
    },
)
__all__ = [
    "Allowed",
    "Backend",
    "Bubblewrap",
    "CodeEnvironment",
    "CodeSession",
    "Job",
    "Limits",
    "PassRate",
    "Result",
    "Sample",
    "Sandbox",
    "Scores",
    "ScriptedBackend",
    "Verdict",
    "check",
    "code_passes",
    "code_tasks",
    "evaluate_samples",
    "humaneval",
    "mbpp",
    "pass_at_k",
    "read_samples",
    "samples_of",
    "small_tasks",
    "write_samples",
]
