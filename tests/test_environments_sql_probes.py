"""The guards tried out on this machine."""

from agentloop.environments.sql import active_guards


def test_every_guard_is_active_here():
    assert active_guards() == {
        "writes": True,
        "other_files": True,
        "other_tables": True,
        "endless_statements": True,
        "endless_calls": True,
        "huge_values": True,
        "huge_memory": True,
    }
