"""Critics: anything that turns an attempt into feedback. A plain function will do; these are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentloop.lazy import lazy

if TYPE_CHECKING:
    from agentloop.critics.constraints import constraint_critic as constraint_critic
    from agentloop.critics.debugger import debugger_critic as debugger_critic
    from agentloop.critics.execution import execution_critic as execution_critic
    from agentloop.critics.model import ModelCritic as ModelCritic
    from agentloop.critics.page_changes import page_difference_critic as page_difference_critic
    from agentloop.critics.self_tests import SelfTestCounts as SelfTestCounts
    from agentloop.critics.self_tests import count_self_tests as count_self_tests
    from agentloop.critics.self_tests import self_test_critic as self_test_critic

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ModelCritic": "model",
        "SelfTestCounts": "self_tests",
        "constraint_critic": "constraints",
        "count_self_tests": "self_tests",
        "debugger_critic": "debugger",
        "execution_critic": "execution",
        "page_difference_critic": "page_changes",
        "self_test_critic": "self_tests",
    },
)
__all__ = [
    "ModelCritic",
    "SelfTestCounts",
    "constraint_critic",
    "count_self_tests",
    "debugger_critic",
    "execution_critic",
    "page_difference_critic",
    "self_test_critic",
]
