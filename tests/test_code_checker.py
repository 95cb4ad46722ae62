"""Candidate and checker as two real processes: honest programs are judged right, hostile ones never pass."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.code_pair import answered, judge

INCREMENT = "def f(x):\n    return x + 1\n"
WRONG = "def f(x):\n    return 0\n"
TESTS = """
def check(candidate):
    assert candidate(1) == 2
    assert candidate(5) == 6
    assert candidate(-1) in (0, 7)
    assert not candidate(2) != 3
    assert all(map(lambda x: candidate(x) == x + 1, range(5)))
    assert [candidate(x) for x in range(3)] == [1, 2, 3]
    total = 0
    for x in range(3):
        total += candidate(x)
    assert total == 6
"""


def test_an_honest_program_passes():
    judged = judge(INCREMENT, TESTS)
    assert judged.passed, judged.records
    assert [record for record in judged.records if "total" in record] == [{"total": 7}]


def test_a_wrong_program_fails_with_its_call_and_what_came():
    judged = judge(WRONG, TESTS)
    assert judged.why == "assert"
    first = judged.failed[0]
    assert (first["call"], first["input"], first["wanted"], first["got"]) == ("f(1)", "1", "2", "0")


EVERY_DESCRIPTOR = """
import os, json
def frame(data):
    text = json.dumps(data).encode()
    return len(text).to_bytes(4, "big") + text
def spread(data):
    for descriptor in range(64):
        try:
            os.write(descriptor, data)
        except OSError:
            pass
"""
ALL = """
class All(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __radd__(self, other): return self
    __hash__ = int.__hash__
"""
HOSTILE = {
    "10 ends before the tests": "import os\nos._exit(0)\n",
    "10 ends in the call": "import os\ndef f(x):\n    os._exit(0)\n",
    "10 ends in a thread": """
import os, threading, time
def f(x):
    threading.Timer(0.05, os._exit, [0]).start()
    time.sleep(9)
""",
    "11 a number that equals all": ALL + "def f(x):\n    return All(77)\n",
    "11 a list of what equals all": ALL + "def f(x):\n    return [All(77)]\n",
    "11 the entry point is a class that equals all": ALL.replace("All", "f"),
    "11 an object that equals all": """
class All:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __contains__(self, other): return True
    def __bool__(self): return True
    def __lt__(self, other): return True
    def __hash__(self): return 0
    def __radd__(self, other): return self
    def __iter__(self): return iter([self])
    def __len__(self): return 1
def f(x):
    return All()
""",
    "11 a class that claims to be int": """
class All:
    __class__ = int
    def __eq__(self, other): return True
def f(x):
    return All()
""",
    "11 a metaclass that equals all": """
class Meta(type):
    def __eq__(cls, other): return True
    def __instancecheck__(cls, other): return True
    def __hash__(cls): return 0
class All(metaclass=Meta):
    pass
def f(x):
    return All
""",
    "12 sys.exit while loading": "import sys\nsys.exit(0)\n",
    "12 sys.exit in the call": "import sys\ndef f(x):\n    sys.exit(0)\n",
    "12 KeyboardInterrupt": "def f(x):\n    raise KeyboardInterrupt\n",
    "13 patches built-ins": """
import builtins
builtins.all = builtins.any = lambda *a: True
builtins.AssertionError = type("AssertionError", (SystemExit,), {})
builtins.isinstance = lambda *a: True
builtins.print = builtins.len = lambda *a: 1
def f(x):
    return 0
""",
    "13 patches what lies in memory": """
import sys, gc, types
for name, module in list(sys.modules.items()):
    if "inside" in name:
        for key in ("judge", "prepare", "Examination", "Units", "same", "snapshot"):
            if hasattr(module, key):
                setattr(module, key, lambda *a, **k: True)
for each in gc.get_objects():
    if isinstance(each, dict) and "passed" in each:
        each["passed"] = True
    if isinstance(each, types.FunctionType) and each.__module__ and "checker" in each.__module__:
        each.__code__ = (lambda *a, **k: 0).__code__
def f(x):
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if isinstance(value, list):
                value.clear()
        frame = frame.f_back
    return 0
""",
    "13 patches json and the channel": """
import json, sys
json.dumps = json.JSONEncoder.encode = lambda *a: "true"
channel = sys.modules["agentloop.environments.code.inside.channel"]
channel.encode = lambda *a: "true"
channel.Channel.send = lambda *a: None
def f(x):
    return 0
""",
    "13 answers through a patched writer": """
import sys
serving = sys.modules["agentloop.environments.code.inside.serving"]
serving.encode = lambda data: '["value",%d,true,[]]' % (data[1] if isinstance(data[1], int) else 1)
def f(x):
    return 0
""",
    "21 writes records everywhere": EVERY_DESCRIPTOR
    + """
def f(x):
    for unit in range(9):
        spread(json.dumps({"unit": unit, "test": "", "line": 1, "passed": True}).encode() + b"\\n")
    spread(b'{"done": true}\\n')
    return 0
""",
    "21 writes records before the tests": EVERY_DESCRIPTOR
    + 'spread(b\'{"unit": 0, "passed": true}\\n{"done": true}\\n\')\n'
    + WRONG,
    "21 answers early": EVERY_DESCRIPTOR
    + "for number in range(1, 40):\n    spread(frame(['value', number, True, []]))\n"
    + WRONG,
    "21 answers before it is asked": EVERY_DESCRIPTOR
    + "spread(frame(['ready', {'f': 'function'}]))\n"
    + "for number in range(1, 40):\n    spread(frame(['value', number, True, []]))\n"
    + WRONG,
    "21 says that it is ready twice": EVERY_DESCRIPTOR
    + "spread(frame(['ready', {'f': 'function'}]))\n"
    + WRONG,
    "21 answers with what another call wants": EVERY_DESCRIPTOR
    + "def f(x):\n    spread(frame(['value', 3, 2, []]))\n    return 0\n",
    "21 sends a message without end": EVERY_DESCRIPTOR
    + "def f(x):\n    spread(b'\\xff\\xff\\xff\\xff')\n    return 0\n",
    "21 sends deep nonsense": EVERY_DESCRIPTOR
    + "def f(x):\n    data = b'[' * 100000\n    spread(len(data).to_bytes(4, 'big') + data)\n    return 0\n",
    "21 has functions of the tests called": EVERY_DESCRIPTOR
    + "def f(x):\n    spread(frame(['back', 1, 0, [], {}]))\n    return 0\n",
    "21 answers from two processes": "import os\ndef f(x):\n    os.fork()\n    return 3\n",
    "24 odd texts": """
import os
def f(x):
    print('\\x00\\x1b[2J\\x07', flush=True)
    os.write(1, b'\\xff\\xfe\\x00')
    return '\\x00\\ud800\\x1b[2J'
""",
    "24 an odd message": "def f(x):\n    raise ValueError('\\x00\\ud800\\x1b[2J')\n",
    "24 an odd name": "f = None\nglobals()['\\ud800'] = 1\n",
    "ends a loop of the tests early": "def f(x):\n    raise StopIteration\n",
    "ends a loop by a class of its own": "class Own(StopIteration):\n    pass\ndef f(x):\n    raise Own\n",
    "raises what skips a test": "import unittest\ndef f(x):\n    raise unittest.SkipTest('no')\n",
    "raises what no test catches": "class Own(BaseException):\n    pass\ndef f(x):\n    raise Own\n",
    "raises GeneratorExit": "def f(x):\n    raise GeneratorExit\n",
    "raises an exception that says nothing": """
class Own(Exception):
    def __str__(self): raise SystemExit
    def __getattribute__(self, name): raise SystemExit
def f(x):
    raise Own
""",
    "returns a function": "def f(x):\n    return lambda *a: True\n",
    "returns endless items": "import itertools\ndef f(x):\n    return itertools.repeat(True)\n",
    "returns NotImplemented": "def f(x):\n    return NotImplemented\n",
    "leaves something for the end": "import atexit, os\natexit.register(os._exit, 0)\n" + WRONG,
    "closes everything": "import os\nos.closerange(0, 256)\n" + WRONG,
    "closes its output": "import sys\nsys.stdout.close()\nsys.stdout = None\n" + WRONG,
    "recurses for ever": "def f(x):\n    return f(x)\n",
    "changes its argument": "def f(x):\n    x += 1\n",
    "traces": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\n" + WRONG,
    "has no entry point": "def g(x):\n    return x + 1\n",
    "is no Python": "def f(x) return\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_never_passes(name):
    judged = judge(HOSTILE[name], TESTS, seconds=2.0)
    assert not judged.passed, judged.records
    assert judged.records or judged.late
    assert not any(unit["passed"] for unit in judged.units.values() if unit["unit"] < 2), judged.records


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("10 ends before the tests", "gone"),
        ("10 ends in the call", "gone"),
        ("11 a number that equals all", "assert"),
        ("11 an object that equals all", "unsupported_value"),
        ("12 sys.exit while loading", "exit"),
        ("12 sys.exit in the call", "exit"),
        ("21 sends a message without end", "forged_channel"),
        ("21 sends deep nonsense", "forged_channel"),
        ("21 answers early", "forged_channel"),
        ("24 odd texts", "assert"),
        ("24 an odd message", "exception"),
        ("ends a loop of the tests early", "exception"),
        ("raises what skips a test", "exception"),
        ("closes its output", "assert"),
        ("recurses for ever", "exception"),
        ("has no entry point", "missing_entry_point"),
        ("is no Python", "load_error"),
    ],
)
def test_a_hostile_program_is_told_by_what_it_did(name, why):
    assert judge(HOSTILE[name], TESTS, seconds=2.0).why == why


@pytest.mark.parametrize("ending", ["while True:\n        pass", "import time\n    time.sleep(60)"])
def test_a_program_that_never_answers_is_found_at_its_line(ending):
    judged = judge(f"def f(x):\n    {ending}\n", TESTS, seconds=0.5, grace=1.0)
    assert (judged.why, judged.late) == ("timeout", True)
    place = judged.first("at")["at"]
    assert place["function"] == "f"
    assert place["line"] in (2, 3)
    doing = judged.first("doing")
    assert (doing["doing"], doing["call"], doing["input"]) == (0, "f(1)", "1")
    assert judged.seconds < 3


def test_a_program_that_never_ends_loading_is_found_at_its_line():
    judged = judge("x = 1\nwhile True:\n    x += 1\n", TESTS, seconds=0.5, grace=1.0)
    assert judged.first("at")["at"]["function"] == "<module>"


def test_units_that_passed_before_the_time_was_over_are_told():
    program = "import time\ndef f(x):\n    time.sleep(60 * (x == 5))\n    return x + 1\n"
    assert [unit["passed"] for unit in judge(program, TESTS, seconds=0.5, grace=1.0).units.values()] == [True]


@pytest.mark.parametrize(
    ("value", "test"),
    [
        ("[3, 1]", "f(None) == [3, 1]"),
        ("(1, [2])", "f(None) == (1, [2]) and type(f(None)) is tuple"),
        ("{1: {2}}", "f(None) == {1: {2}}"),
        ("10 ** 5000", "f(None) == 10 ** 5000"),
        ("float('nan')", "f(None) != f(None)"),
        ("'\\ud800'", "f(None) == '\\ud800'"),
        ("b'\\xff'", "f(None) == b'\\xff'"),
        ("range(3)", "f(None) == range(3)"),
        ("map(str, [1, 2])", "list(f(None)) == ['1', '2']"),
        ("(x for x in [1, 2])", "next(f(None)) == 1"),
        ("zip([1], [2])", "list(f(None)) == [(1, 2)]"),
        ("{1: 2}.items()", "list(f(None)) == [(1, 2)]"),
        ("__import__('collections').Counter('aab')", "f(None).most_common(1) == [('a', 2)]"),
        ("__import__('collections').namedtuple('P', 'x y')(1, 2)", "f(None) == (1, 2) and f(None).y == 2"),
        ("__import__('fractions').Fraction(1, 3)", "f(None) * 3 == 1"),
        ("__import__('datetime').date(2020, 1, 2)", "f(None).year == 2020"),
        ("int", "f(None) is int"),
        ("lambda y: y * 2", "f(None)(4) == 8"),
        ("len", "f(None)([1]) == 1"),
    ],
)
def test_what_a_program_returns_is_the_same_in_the_tests(value, test):
    judged = judge(f"def f(x):\n    return {value}\n", f"assert {test}\n")
    assert judged.passed, judged.records


@pytest.mark.parametrize(
    ("body", "test"),
    [
        ("x.sort()", "x = [3, 1]\nf(x)\nassert x == [1, 3]"),
        ("x[0][0] = 9", "row = [1]\nx = [row]\nf(x)\nassert row == [9]"),
        ("x[0][0] = 9", "x = [[1]] * 2\nf(x)\nassert x == [[9], [9]]"),
        ("x.update(b=2)", "x = {'a': 1}\nf(x)\nassert x == {'a': 1, 'b': 2}"),
        ("x.clear()", "x = [1]\nassert f(x) is None\nassert not x"),
        (
            "x.clear()\n    raise KeyError",
            "x = [1]\ntry:\n    f(x)\nexcept KeyError:\n    pass\nassert not x",
        ),
        ("return x", "x = [1]\nassert f(x) is x"),
        ("return x(2) + x(3)", "assert f(lambda y: y * 2) == 10"),
        ("return [x(y) for y in 'ab']", "assert f(str.upper) == ['A', 'B']"),
        ("return x([3, 1])", "assert f(sorted) == [1, 3]"),
        ("return sum(x)", "assert f(y for y in [1, 2]) == 3"),
        ("return x(0) if x else 5", "def g(y):\n    return f(None) if y == 0 else 7\nassert f(g) == 5"),
        ("return x() if x else 7", "assert f(lambda: f(None)) == 7"),
        (
            "raise x('no')",
            "try:\n    f(ValueError)\n    assert False\nexcept ValueError as e:\n    assert str(e) == 'no'",
        ),
        ("x(1)", "calls = []\nf(calls.append)\nassert calls == [1]"),
        ("return isinstance(x, list)", "assert f([])"),
        ("return x", "g = lambda: 1\nassert f(g) is g"),
    ],
)
def test_arguments_are_the_same_in_the_program_and_changes_come_back(body, test):
    judged = judge(f"def f(x):\n    {body}\n", f"{test}\n")
    assert judged.passed, judged.records


def test_arguments_are_told_as_they_were_before_the_call():
    judged = judge("def f(x):\n    x.clear()\n    return x\n", "assert f([1, 2]) == [1]\n")
    assert judged.failed[0]["call"] == "f([1, 2])"


def test_a_built_in_function_that_the_tests_hand_over_is_not_called_in_their_process():
    program = (
        'def f(run):\n    run(\'import __main__, sys; sys.modules["tests"].__dict__["forged"] = True\')\n'
    )
    judged = judge(program, "forged = False\nf(exec)\nassert forged\n")
    assert judged.why == "assert"


@pytest.mark.parametrize(
    "given", ["len", "str.upper", "lambda: 1", "(x for x in 'ab')", "Counter", "[len, {1: 2}]"]
)
def test_a_failed_call_is_told_whatever_it_was_given(given):
    failed = judge(WRONG, f"assert f({given}) == 1\n").failed[0]
    assert failed["kind"] == "assert"
    assert failed["call"].startswith("f(")


def test_a_call_that_never_ends_is_told_whatever_it_was_given():
    judged = judge(
        "def f(x):\n    while True:\n        pass\n", "assert f(len) == 1\n", seconds=0.5, grace=1.0
    )
    assert judged.first("doing")["call"] == "f(<built-in function len>)"


META = """
class Meta(type):
    def __getattribute__(self, name):
        raise KeyError
f = Meta('f', (), {})()
"""


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("f = {1: [object()] * 2}\nf = object()\n", "assert"),
        ("f = 'x' * 9_000_000\n", "unsupported_value"),
        (META, ""),
    ],
)
def test_an_entry_point_that_is_no_function_is_judged_too(program, why):
    assert judge(program, "assert f == 1\n").why in (why, "unsupported_value")


STACK = """
class Empty(Exception):
    pass
class Stack:
    def __init__(self):
        self.items = []
    def push(self, x):
        self.items.append(x)
        return self
    def pop(self):
        if not self.items:
            raise Empty("nothing here")
        return self.items.pop()
    def __len__(self):
        return len(self.items)
    def __getitem__(self, place):
        return self.items[place]
    def __str__(self):
        return "stack"
    @classmethod
    def of(cls, x):
        return cls().push(x)
"""


@pytest.mark.parametrize(
    "test",
    [
        "s = Stack()\ns.push(1)\nassert s.pop() == 1",
        "s = Stack()\nassert s.push(1).push(2) is s\nassert s.items == [1, 2]",
        "assert Stack.of(3).pop() == 3",
        "assert isinstance(Stack(), Stack)",
        "assert str(Stack()) == 'stack'",
        "assert Stack.of(3)[0] == 3",
        "try:\n    Stack().pop()\n    assert False\nexcept Empty as e:\n    assert str(e) == 'nothing here'",
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n"
        "        with self.assertRaises(Empty):\n            Stack().pop()",
        "assert not hasattr(Stack(), 'nothing')",
        "s = Stack()\ns.items = [7]\nassert s.pop() == 7",
    ],
)
def test_a_class_can_be_the_entry_point_and_its_objects_be_used(test):
    judged = judge(STACK, f"{test}\n", "Stack")
    assert judged.passed, judged.records


QUESTIONS = [
    "s == 1",
    "s != 1",
    "s < 1",
    "s",
    "not s",
    "len(s) == 0",
    "list(s) == []",
    "1 in s",
    "s in {1}",
    "{s: 1}",
]


@pytest.mark.parametrize("test", [*QUESTIONS, "s in [1]", "[s] == [1]", "(1, s) == (1, 2)"])
def test_an_object_of_the_program_answers_no_question_that_it_could_lie_about(test):
    judged = judge(STACK, f"s = Stack()\nassert {test}\n", "Stack")
    assert judged.why == "unsupported_value", judged.records
    assert judged.failed[0]["type"] == "Stack"


CLOSE = """
class Near:
    def __sub__(self, other): return 0
    def __rsub__(self, other): return 0
    def __mul__(self, other): return other
    def __round__(self, digits=0): return self
    def __abs__(self): return self
    def __lt__(self, other): return True
def f(x):
    return Near()
"""


@pytest.mark.parametrize(
    "test", ["abs(f(1) - 2) < 0.1", "abs(2 - f(1)) < 0.1", "abs(f(1)) < 2", "f(1) * 2 == 2"]
)
def test_an_object_of_the_program_is_not_told_what_it_is_to_be_near_to(test):
    assert judge(CLOSE, f"assert {test}\n").why == "unsupported_value"


def test_objects_of_the_program_are_added_to_one_another():
    program = (
        "class V:\n    def __init__(self, x): self.x = x\n    def __add__(self, o): return V(self.x + o.x)\n"
    )
    assert judge(program, "assert (V(1) + V(2)).x == 3\n", "V").passed


@pytest.mark.parametrize(
    "test", ["callable(s)", "hasattr(s, '__call__')", "isinstance(s, Callable)", "s()", "-s"]
)
def test_an_object_of_the_program_can_do_what_its_class_can_and_nothing_else(test):
    tests = f"from collections.abc import Callable\ns = Stack()\nassert {test}\n"
    assert judge(STACK, tests, "Stack").why in ("assert", "exception")
    able = STACK + "    def __call__(self): return True\n    def __neg__(self): return 1\n"
    assert judge(able, tests, "Stack").passed


def test_a_loop_of_the_tests_cannot_be_ended_early_by_an_exception():
    tests = "assert all(map(lambda x: f(x) == x + 1, range(5)))\n"
    for kind in ("StopIteration", "GeneratorExit", "Own"):
        program = f"class Own(StopIteration):\n    pass\ndef f(x):\n    raise {kind}\n"
        assert judge(program, tests).why == "exception"


def test_a_copy_that_the_program_makes_of_itself_says_nothing():
    program = "import os\ndef f(x):\n    os.fork()\n    return x + 1\n"
    judged = judge(program, "for x in range(20):\n    assert f(x) == x + 1\n")
    assert judged.passed, judged.records


def test_a_test_cannot_swallow_that_a_value_did_not_cross():
    tests = "try:\n    assert f(object())\nexcept BaseException:\n    pass\n"
    judged = judge("def f(x):\n    return x\n", tests)
    assert (judged.why, judged.failed[0]["where"]) == ("unsupported_value", "argument")


def test_a_class_made_of_a_built_in_one_is_used_as_an_object():
    program = """
from collections import OrderedDict
class Cache(OrderedDict):
    def put(self, k):
        self[k] = 1
        return len(self)
"""
    tests = "c = Cache()\nassert c.put(1) == 1\nassert c.put(2) == 2\nassert c[2] == 1\n"
    judged = judge(program, tests, "Cache")
    assert judged.passed, judged.records


PROMPT = """from dataclasses import dataclass

@dataclass
class Point:
    x: int
    y: int

def double(n):
    return n * 2

def f(p):
    \"\"\"Swap the coordinates.\"\"\"
"""


def test_objects_of_a_class_of_the_prompt_cross_and_are_compared_by_the_prompts_class():
    program = PROMPT + "    return Point(p.y, p.x)\n"
    tests = "p = Point(1, 2)\nassert f(p) == Point(2, 1)\nassert f(p) != Point(1, 2)\n"
    assert judge(program, tests, prompt=PROMPT).passed


def test_a_change_of_an_object_of_a_class_of_the_prompt_comes_back():
    program = PROMPT + "    p.x = [p]\n"
    judged = judge(program, "p = Point(1, 2)\nf(p)\nassert p.x[0] is p\n", prompt=PROMPT)
    assert judged.passed, judged.records


def test_a_program_that_lies_about_a_class_of_the_prompt_does_not_pass():
    program = PROMPT + "    return Point(0, 0)\nPoint.__eq__ = lambda self, other: True\n"
    assert judge(program, "assert f(Point(1, 2)) == Point(2, 1)\n", prompt=PROMPT).why == "assert"


def test_what_the_prompt_defines_is_what_the_tests_use():
    program = PROMPT.replace("n * 2", "n") + "    return double(p)\n"
    judged = judge(program, "assert f(2) == double(2)\n", prompt=PROMPT)
    assert (judged.failed[0]["wanted"], judged.failed[0]["got"]) == ("4", "2")
    assert judged.first("helpers") is None


@pytest.mark.parametrize(
    ("prompt", "tests"),
    [
        ("def double(n):\n    return n * 2\n", "assert f(3) == eval('dou' + 'ble')(2)\n"),
        ("def \N{LATIN SMALL LIGATURE FI}x(n):\n    return n * 2\n", "assert f(3) == fix(2)\n"),
        ("from math import *\n", "assert f(3) == factorial(3) - 2\n"),
        ("import math as m, os.path\n", "assert f(3) == m.gcd(8, 12) and os.path\n"),
    ],
    ids=["by a text", "by another spelling", "by a star", "by another name"],
)
def test_what_a_prompt_defines_is_there_however_the_tests_come_to_it(prompt, tests):
    judged = judge(INCREMENT, tests, prompt=prompt)
    assert judged.passed, judged.records


@pytest.mark.parametrize(
    "prompt", ["Write a function.", "x = = 2", "Sort", "", "def f(x):\n", "\x00", "1 / 0\nx = 1 / 0"]
)
def test_a_prompt_that_is_no_program_is_passed_over(prompt):
    assert judge(INCREMENT, TESTS, prompt=prompt).passed


def test_functions_of_the_program_that_the_tests_rely_on_are_told():
    program = INCREMENT + "def g(x):\n    return 2\nLIMIT = 6\n"
    judged = judge(program, "assert f(1) == g(0)\nassert f(5) == LIMIT\n")
    assert judged.passed
    assert judged.first("helpers")["helpers"] == ["g", "LIMIT"]


def test_names_of_typing_and_standard_modules_are_there_without_an_import():
    tests = "x: List[int] = [math.floor(1.5)]\nassert f(x[0]) == 2\nassert isclose(f(1), 2)\n"
    assert judge("from math import isclose\n" + INCREMENT, tests).passed


@pytest.mark.parametrize(
    "alias",
    [
        "import math\nmath.isclose = lambda a, b: True\nfrom math import isclose\n",
        "from operator import truth as isclose\nisclose.__class__\n",
    ],
)
def test_a_standard_name_that_the_program_has_bent_does_not_pass(alias):
    judged = judge(alias + WRONG, "assert isclose(f(1), 2)\n")
    assert not judged.passed


@pytest.mark.parametrize("module", ["program", "solution"])
def test_tests_may_import_the_program(module):
    for text in (
        f"from {module} import f\n",
        f"from {module} import *\n",
        f"import {module}\nf = {module}.f\n",
    ):
        assert judge(INCREMENT, text + "assert f(1) == 2\n").passed


def test_what_a_program_prints_is_seen_by_tests_that_look():
    tests = (
        "import io, contextlib\nout = io.StringIO()\n"
        "with contextlib.redirect_stdout(out):\n    f(1)\nassert out.getvalue() == 'one\\n'\n"
    )
    judged = judge("def f(x):\n    print('one')\n", tests)
    assert judged.passed, judged.records
    assert judged.output == b"one\n"


def test_exceptions_of_the_program_are_told_with_its_own_frames():
    program = "import json\ndef g(x):\n    return json.loads(x)\ndef f(x):\n    return g(x)\n"
    failed = judge(program, "assert f('{') == 1\n").failed[0]
    assert (failed["kind"], failed["type"], failed["call"]) == ("exception", "JSONDecodeError", "f('{')")
    assert failed["frames"] == [
        {"file": "program.py", "function": "f", "line": 5, "source": "return g(x)"},
        {"file": "program.py", "function": "g", "line": 3, "source": "return json.loads(x)"},
    ]


@pytest.mark.parametrize(
    ("raised", "caught"),
    [
        ("ValueError('a')", "ValueError"),
        ("KeyError('a')", "LookupError"),
        ("FileNotFoundError(2, 'no', 'file')", "OSError"),
        ("UnicodeDecodeError('utf-8', b'x', 0, 1, 'no')", "UnicodeError"),
        ("Own('a')", "ValueError"),
        ("Own('a')", "Own"),
        ("Deep('a')", "Own"),
        ("AssertionError('a')", "AssertionError"),
        ("__import__('json').JSONDecodeError('a', 'b', 0)", "__import__('json').JSONDecodeError"),
        ("__import__('decimal').InvalidOperation", "__import__('decimal').InvalidOperation"),
        ("ExceptionGroup('a', [ValueError()])", "Exception"),
    ],
)
def test_exceptions_of_the_program_can_be_caught_by_the_tests(raised, caught):
    program = f"class Own(ValueError):\n    pass\nclass Deep(Own):\n    pass\ndef f(x):\n    raise {raised}\n"
    tests = f"try:\n    f(1)\nexcept {caught}:\n    ok = True\nelse:\n    ok = False\nassert ok\n"
    judged = judge(program, tests)
    assert judged.passed, judged.records


def test_an_assertion_error_of_the_program_is_its_own_exception():
    failed = judge("def f(x):\n    assert x > 1, 'too small'\n", "assert f(1) == 1\n").failed[0]
    assert (failed["kind"], failed["type"], failed["message"]) == ("exception", "AssertionError", "too small")


def test_a_program_of_several_files_imports_them_and_is_told_by_its_files():
    files = {"tools/__init__.py": "", "tools/more.py": "def add(x):\n    return x / 0\n"}
    judged = judge("from tools.more import add\ndef f(x):\n    return add(x)\n", TESTS, files=files)
    assert [frame["file"] for frame in judged.failed[0]["frames"]] == ["program.py", "tools/more.py"]


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("def f(x)\n", {"type": "SyntaxError", "line": 1, "text": "def f(x)"}),
        ("import nothing_of_the_kind\n", {"type": "ModuleNotFoundError", "line": 1}),
        ("x = 1\ny = 1 / 0\n", {"type": "ZeroDivisionError", "line": 2, "text": "y = 1 / 0"}),
        ("x = '\ud800'\n", {"type": "UnicodeEncodeError"}),
        ("x = 1\x00\n", {}),
        ("(" * 1000, {"type": "SyntaxError"}),
        ("x = " + "-" * 100_000 + "1", {}),
    ],
)
def test_a_program_that_cannot_be_loaded_is_told_with_its_line(program, told):
    judged = judge(program, TESTS)
    assert judged.why == "load_error"
    assert told.items() <= judged.first("load_error")["load_error"].items()


def test_a_main_block_does_not_run_and_classes_know_their_module():
    program = """
from dataclasses import dataclass
import pickle
@dataclass
class P:
    x: "int"
def f(x):
    return pickle.loads(pickle.dumps(P(x))).x + 1
if __name__ == "__main__":
    raise SystemExit(input())
"""
    assert judge(program, TESTS).passed


def test_a_program_can_read_its_own_source():
    program = "import inspect\ndef f(x):\n    return inspect.getsource(f).split('(')[0]\n"
    assert judge(program, "assert f(1) == 'def f'\n").passed


def test_a_missing_entry_point_is_told_with_the_names_that_are_there():
    missing = judge("def g(x):\n    return x\nh = 3\n", TESTS).first("missing_entry_point")
    assert missing == {"missing_entry_point": {"name": "f", "defined": ["g", "h"]}}


def test_tests_that_are_no_python_are_told_even_when_the_program_is_none_either():
    assert judge("def", "assert (", "f").why == "test_error"


def test_a_thousand_calls_are_quick():
    judged = judge(INCREMENT, "for x in range(1000):\n    assert f(x) == x + 1\n", seconds=10)
    assert judged.passed
    assert judged.first("done")["calls"] == 1000
    assert judged.cpu < 2


def test_an_attribute_that_did_not_cross_with_its_value_is_unsupported_and_no_failure():
    program = "from enum import IntEnum\nclass E(IntEnum):\n    A = 1\ndef f():\n    return E.A\n"
    assert judge(program, "assert f() == 1\n").passed
    judged = judge(program, "x = f()\nassert x.name == 'A'\n")
    assert (judged.why, judged.failed[0]["type"]) == ("unsupported_value", "E")
    assert judge("def f():\n    return 1\n", "assert f().name == 'A'\n").why == "exception"


def test_a_value_that_nests_too_deeply_is_unsupported_both_ways():
    nested = "x = []\nfor _ in range(100):\n    x = [x]\n"
    result = judge(f"{nested}def f():\n    return x\n", "assert f() == []\n")
    assert (result.why, result.failed[0]["where"]) == ("unsupported_value", "result")
    argument = judge("def f(x):\n    return x\n", f"{nested}assert f(x) == []\n")
    assert (argument.why, argument.failed[0]["where"]) == ("unsupported_value", "argument")


def test_large_values_cross_and_larger_ones_are_unsupported():
    program = "def f(n):\n    return [0] * n\n"
    assert judge(program, "assert len(f(1_000_000)) == 1_000_000\n", seconds=10).passed
    assert judge(program, "assert len(f(5_000_000)) == 5_000_000\n", seconds=10).why == "unsupported_value"
    length = judge("def f(x):\n    return len(x)\n", "assert f('a' * 9_000_000) == 9_000_000\n", seconds=10)
    assert length.why == "unsupported_value"


def test_iterators_are_read_as_they_are_wanted():
    program = """
def f():
    n = 0
    while True:
        yield n
        n += 1
        if n > 40:
            raise KeyError(n)
"""
    tests = """
g = f()
assert [next(g) for _ in range(30)] == list(range(30))
try:
    list(g)
    assert False
except KeyError as e:
    assert e.args == (41,)
assert list(g) == []
"""
    judged = judge(program, tests)
    assert judged.passed, judged.records


def test_the_first_items_of_an_iterator_are_made_no_sooner_than_they_are_asked_for():
    program = (
        "state = []\ndef f():\n    while True:\n        yield len(state)\ndef bump():\n    state.append(1)\n"
    )
    judged = judge(program, "g = f()\nassert next(g) == 0\nbump()\nassert next(g) == 1\n")
    assert judged.passed, judged.records


def test_calls_from_several_threads_of_the_tests_are_kept_apart():
    tests = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    results = list(pool.map(f, range(200)))
assert results == list(range(1, 201))
"""
    judged = judge(INCREMENT, tests, seconds=10)
    assert judged.passed, judged.records


def frame(message):
    data = json.dumps(message).encode()
    return len(data).to_bytes(4, "big") + data


TAGS = (
    "dict set tuple ref int own callback handle remote stream method class raised iterator object type "
    "args message frames attributes said flattened"
)
CLASSES = ["StopIteration", "ValueError", "AssertionError", ["E", ["Exception"]]]
THINGS = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(TAGS.split()),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)
WORDS = st.sampled_from(["value", "raise", "exit", "unsupported", "back", "at", "ready", "not_loaded", "x"])
RAISED = st.fixed_dictionaries(
    {
        "type": st.just("E"),
        "message": st.just("m"),
        "frames": st.just([]) | THINGS,
        "class": st.sampled_from(["StopIteration", "ValueError", "AssertionError", ["E", ["Exception"]]])
        | THINGS,
        "args": st.none() | THINGS,
        "attributes": st.just({"dict": {}}) | THINGS,
    }
)
ANSWERS = st.lists(
    st.tuples(WORDS, st.integers(0, 9), THINGS | RAISED, st.just([]) | THINGS, THINGS).map(list)
    | st.tuples(WORDS, st.integers(0, 9), THINGS | RAISED, st.just([])).map(list)
    | st.tuples(st.just("back"), st.integers(0, 9), st.integers(-2, 2), THINGS, THINGS).map(list)
    | THINGS,
    max_size=8,
)
SECRET = """
assert all(map(lambda x: f(x, lambda y: y) == [x, "a secret"], range(3)))
assert f([1]) == {"another": "secret"}
x = f(2)
assert abs(x - 123456789) < 1 and x in [123456789]
"""


@settings(max_examples=100, deadline=None)
@given(ANSWERS, st.binary(max_size=20), st.booleans())
def test_whatever_arrives_the_checker_ends_in_order_and_nothing_passes(messages, rest, in_order):
    answers = [frame(["ready", {"f": "function"}])]
    for number, message in enumerate(messages, 1):
        if in_order and isinstance(message, list) and len(message) > 1:
            message = [message[0], number, *message[2:]]
        answers.append(frame(message))
    judged = answered(b"".join(answers) + rest, SECRET)
    assert not judged.late
    assert judged.records[-1].get("done") is True
    assert not judged.passed, judged.records
    assert not any(unit["passed"] for unit in judged.units.values()), judged.records


@pytest.mark.data
def test_the_references_of_humaneval_pass(data):
    for line in (data / "humaneval" / "problems.jsonl").read_text().splitlines():
        task = json.loads(line)
        program = task["prompt"] + task["canonical_solution"]
        judged = judge(program, task["test"], task["entry_point"], prompt=task["prompt"], seconds=30)
        assert judged.passed, (task["task_id"], judged.records)


PREAMBLE = "from typing import *\nimport math\n"
PASS_HERE = {"170", "422", "724", "598", "798", "8", "38", "50", "106"}
"""Numbers of the tasks of which some runs were logged unsolved though they pass (the data's README)."""


@pytest.mark.data
@pytest.mark.slow
def test_the_verdicts_agree_with_those_of_logged_runs(data):
    lost, gained = [], set()
    for path in sorted((data / "runlogs-code").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            prompt, solution = row["prompt"], row["solution"]
            before = "" if "mbpp" in path.name else prompt
            if path.name.startswith("ldb"):
                before = f"{PREAMBLE}{prompt}\n    pass\n"
            judged = judge(before + solution, row["test"], row["entry_point"], prompt=prompt)
            logged = row["is_solved"] in (True, "True")
            name = row.get("task_id") or row["name"]
            if logged and not judged.passed:
                lost.append((path.name, name, judged.records))
            if judged.passed and not logged:
                gained.add(name.replace("mbpp_", "").replace("HumanEval/", "").partition("_")[0])
    assert lost == []
    assert gained <= PASS_HERE
