"""One call with its lines and values: what changed by which line, what came of it, in which block."""

import pytest

from agentloop.environments.code.inside.loading import FILE, sources_of
from agentloop.environments.code.inside.tracing import EVENTS, LAST, Recorder, blocks, traced


def run(program, call):
    namespace = {}
    exec(compile(program, FILE, "exec"), namespace)
    return traced(call, namespace, recorder=Recorder(program), sources=sources_of(program, {}))


def steps(trace):
    return [(entry["line"], entry["values"]) for entry in trace["lines"]]


LOOP = """def f(n):
    total = 0
    for i in range(n):
        if i % 2:
            total += i
    return total
"""


def test_each_line_that_ran_shows_the_values_that_it_changed():
    trace = run(LOOP, "f(2)")
    assert steps(trace) == [
        (1, {"n": "2"}),
        (2, {"total": "0"}),
        (3, {"i": "0"}),
        (4, {}),
        (3, {"i": "1"}),
        (4, {}),
        (5, {"total": "1"}),
        (3, {}),
        (6, {}),
    ]
    assert trace["result"] == "1"
    assert trace["lines"][-1]["returned"] == "1"
    assert not trace["cut"]


def test_a_value_that_is_changed_in_place_is_seen():
    assert (2, {"x": "[1, 2]"}) in steps(run("def f(x):\n    x.append(2)\n    return x\n", "f([1])"))


def test_lines_of_functions_that_are_called_are_shown_in_their_order():
    trace = run("def g(y):\n    return y + 1\ndef f(x):\n    z = g(x)\n    return z\n", "f(1)")
    assert [(entry["function"], entry["line"]) for entry in trace["lines"]] == [
        ("f", 3),
        ("f", 4),
        ("g", 1),
        ("g", 2),
        ("f", 5),
    ]
    assert trace["lines"][1]["values"] == {"z": "2"}
    assert trace["lines"][3]["returned"] == "2"


def test_lines_of_other_files_and_of_comprehensions_are_not_shown():
    program = "import json\ndef f(x):\n    y = [i for i in range(50)]\n    return json.loads(x)\n"
    assert [entry["line"] for entry in run(program, "f('1')")["lines"]] == [2, 3, 4]


def test_an_exception_is_told_at_its_line_and_at_the_end():
    trace = run("def f(x):\n    y = 1\n    return y / x\n", "f(0)")
    assert trace["lines"][-1]["raised"] == "ZeroDivisionError: division by zero"
    assert (trace["error"]["type"], trace["error"]["frames"][-1]["line"]) == ("ZeroDivisionError", 3)
    assert "result" not in trace


def test_an_exception_that_is_caught_is_told_at_its_line_only():
    program = "def f(x):\n    try:\n        return 1 / x\n    except ZeroDivisionError:\n        return 7\n"
    trace = run(program, "f(0)")
    assert [entry.get("raised", "")[:17] for entry in trace["lines"]] == ["", "", "ZeroDivisionError", "", ""]
    assert trace["result"] == "7"


def test_a_long_trace_keeps_its_beginning_and_its_end():
    trace = run("def f(n):\n    for i in range(n):\n        x = i\n", "f(1000)")
    assert len(trace["lines"]) == EVENTS + LAST
    assert trace["cut"]
    assert trace["dropped"] == 1 + 1 + 2 * 1000 - EVENTS - LAST
    assert trace["lines"][-2]["values"] == {"x": "999"}


def test_values_are_cut_and_a_repr_that_breaks_does_no_harm():
    program = """
class Bad:
    def __repr__(self):
        raise SystemExit
def f(x):
    y = x * 100_000
    z = Bad()
    return len(y)
"""
    trace = run(program, "f('ab')")
    values = {name: text for entry in trace["lines"] for name, text in entry["values"].items()}
    assert len(values["y"]) <= 120
    assert "Bad" in values["z"]
    assert trace["result"] == "200000"


def test_a_statement_can_be_traced_too():
    trace = run("def f(x):\n    return x\n", "assert f(1) == 2")
    assert trace["error"]["type"] == "AssertionError"
    assert [entry["line"] for entry in trace["lines"]] == [1, 2]


@pytest.mark.parametrize("call", ["f(", "f(1)\nf(2)", "raise SystemExit", "1 / 0", "nothing()"])
def test_whatever_is_called_something_is_told(call):
    trace = run("def f(x):\n    return x\n", call)
    assert ("error" in trace) != ("result" in trace)


def test_a_block_ends_at_a_branch_a_loops_head_and_a_jump():
    assert blocks(LOOP) == {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6}


def test_lines_that_always_run_together_are_one_block():
    program = """def f(x):
    a = 1
    b = (2,
         3)
    if a:
        c = 1
        d = 2
    e = 3
    return e
"""
    found = blocks(program)
    assert found[2] == found[3] == found[4] == found[5]
    assert found[6] == found[7]
    assert found[8] == found[9]
    assert len({found[2], found[6], found[8]}) == 3


def test_the_parts_of_a_try_and_of_a_match_are_blocks_of_their_own():
    program = """try:
    a = 1
except ValueError:
    b = 2
except KeyError:
    c = 3
else:
    d = 4
finally:
    e = 5
match a:
    case 1:
        f = 6
    case _:
        g = 7
"""
    found = blocks(program)
    assert found[3] == found[4] != found[5] == found[6]
    assert len({found[line] for line in (1, 2, 4, 6, 8, 10, 11, 13, 15)}) == 9


@pytest.mark.parametrize(
    "program", ["", "x = 1", "if x: y = 1\nelse: z = 2", "while 1:\n    break\nelse:\n    pass\n"]
)
def test_each_line_of_code_has_a_block(program):
    code = {number for number, line in enumerate(program.split("\n"), 1) if line not in ("", "else:")}
    assert code <= set(blocks(program))
