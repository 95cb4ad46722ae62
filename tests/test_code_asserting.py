"""Tests taken apart: the units found, the asserts as true as the plain ones, the failures explained."""

import math
from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop.environments.code.inside.asserting import ENTER, UNITS
from agentloop.environments.code.inside.examining import Broken, Examination, prepare
from agentloop.environments.code.inside.seen import Seen

VALUES = st.sampled_from(["0", "1", "2.5", "-1", "''", "'ab'", "[]", "[1, 2]", "None", "True", "{}", "(1,)"])
NAMES = ["isclose", "isinstance", "len", "t", "max"]


def operands(inner):
    """Expressions whose every part tells, through ``t``, that it is evaluated."""
    signs = st.sampled_from(["==", "!=", "<", "<=", ">", "in", "not in", "is", "is not"])
    chain = st.lists(st.tuples(signs, inner), min_size=1, max_size=3)
    return st.one_of(
        st.tuples(inner, chain).map(
            lambda made: f"({made[0]} " + " ".join(f"{s} {e}" for s, e in made[1]) + ")"
        ),
        inner.map("(not {})".format),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' and '.join(parts)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' or '.join(parts)})"),
        st.tuples(inner, inner).map(lambda pair: "(abs({} - {}) < t(9))".format(*pair)),
        st.tuples(inner, inner).map(lambda pair: "isclose({}, {}, abs_tol=t(2))".format(*pair)),
        inner.map("isinstance({}, (int, str))".format),
        st.tuples(inner, inner, inner).map(lambda parts: "({} if {} else {})".format(*parts)),
        inner.map("len([{}])".format),
        inner.map("(lambda: {})()".format),
        inner.map("(k := {})".format),
    )


LEAVES = st.tuples(st.integers(0, 99), VALUES).map(lambda made: f"t({made[1]}, {made[0]})")
TESTS = operands(st.recursive(LEAVES, operands, max_leaves=6))


class Log:
    def __init__(self):
        self.seen = []

    def __call__(self, value, mark=None):
        self.seen.append((mark, repr(value)))
        return value


def outcome(code, log):
    namespace = {"t": log, "isclose": math.isclose, UNITS: [nullcontext()] * 50, ENTER: lambda name: None}
    try:
        exec(code, namespace)
    except Exception as error:
        return type(error).__name__, str(error), log.seen, namespace.get("k")
    return "passed", "", log.seen, namespace.get("k")


@settings(max_examples=600, deadline=None)
@given(TESTS, st.sampled_from(["", ", t('said', 100)"]))
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_an_assert_taken_apart_is_as_true_as_the_plain_one_and_evaluates_in_the_same_order(test, said):
    for text in (
        f"assert {test}{said}\n",
        f"def g():\n    for _ in (1, 2):\n        assert {test}{said}\ng()\n",
    ):
        plain = outcome(compile(text, "plain", "exec"), Log())
        assert outcome(prepare(text, "t")[1], Log()) == plain


class Program:
    """Stands for a program where nothing needs to cross: calls are only counted."""

    def __init__(self, seen, answer):
        self.seen, self.answer = seen, answer

    def __call__(self, *args):
        self.seen.calls += 1
        self.seen.result = self.answer(*args)
        return self.seen.result


def examined(tests, answer=lambda *args: args[0] + 1, subject="f", **names):
    """The records of tests run on a function in this very process."""
    records, seen = [], Seen()
    function = Program(seen, answer)
    prepared, code = prepare(tests, subject)
    examination = Examination(prepared, seen, records.append)
    examination.run(code, {"__name__": "tests", subject: function, **names}, function)
    return records


def units(records):
    return {record["unit"]: record for record in records if "unit" in record}


def passes(records):
    return [unit["passed"] for unit in units(records).values()]


def failure(tests, **more):
    """What is told of the first failing unit, without what every unit has."""
    failed = [unit for unit in units(examined(tests, **more)).values() if not unit["passed"]]
    return {
        name: value for name, value in failed[0].items() if name not in ("unit", "test", "line", "passed")
    }


def test_each_assert_at_the_top_is_a_unit_and_those_after_a_failed_one_still_run():
    records = examined("assert f(1) == 2\nassert f(1) == 3\nx = 5\nassert f(x) == 6\n")
    assert records[0] == {"total": 3}
    assert passes(records) == [True, False, True]
    assert [unit["line"] for unit in units(records).values()] == [1, 2, 4]


def test_each_assert_in_the_body_of_check_is_a_unit_and_check_is_called_when_nobody_does():
    records = examined("def check(candidate):\n    assert candidate(1) == 3\n    assert candidate(2) == 3\n")
    assert passes(records) == [False, True]


def test_a_check_that_the_tests_call_themselves_is_not_called_again():
    records = examined(
        "n = []\ndef check(c):\n    n.append(1)\n    assert c(1) == 2\n    assert len(n) == 1\ncheck(f)\n"
    )
    assert passes(records) == [True, True]


def test_functions_named_test_are_called_and_a_check_that_one_calls_runs_once():
    text = "def check(c):\n    assert c(1) == 2\ndef test_check():\n    check(f)\n"
    text += "def test_b():\n    assert f(2) == 0\n"
    assert passes(examined(text)) == [True, False]


def test_a_unit_that_failed_once_stays_failed_when_it_runs_again():
    records = examined("def check(c, x):\n    assert c(x) > 2\ncheck(f, 5)\ncheck(f, 0)\ncheck(f, 6)\n")
    assert [unit["passed"] for unit in records if "unit" in unit] == [True, False]


def test_a_test_function_may_be_a_coroutine():
    assert passes(examined("async def test_a():\n    assert f(1) == 3\n")) == [False]


def test_a_loop_with_asserts_is_one_unit_and_tells_the_line_that_failed():
    records = examined("for x in range(3):\n    y = x\n    assert f(x) != 2\n")
    assert [(unit["passed"], unit["line"]) for unit in units(records).values()] == [(False, 3)]


def test_an_assert_in_a_function_of_the_tests_fails_the_unit_that_calls_it():
    text = (
        "def same(a, b):\n    assert a == b\nassert_same = same\nassert_same(f(1), 2)\nassert_same(f(1), 3)\n"
    )
    records = examined(text)
    assert passes(records) == [True, False]
    assert (units(records)[1]["got"], units(records)[1]["wanted"]) == ("2", "3")


def test_a_call_whose_result_is_discarded_is_a_unit_of_its_own():
    assert passes(examined("f(1)\nf(2)\n")) == [True, True]


def test_methods_of_test_cases_are_units_and_told_with_what_they_compared():
    text = """
import unittest
class Tests(unittest.TestCase):
    def setUp(self):
        self.x = 1
    def test_two(self):
        self.assertEqual(f(self.x), 3)
    def test_one(self):
        self.assertIn(f(self.x), [2])
    def test_later(self):
        self.skipTest("later")
if __name__ == "__main__":
    unittest.main()
"""
    found = units(examined(text))
    assert [unit["passed"] for unit in found.values()] == [False, True, True]
    assert (found[0]["got"], found[0]["wanted"], found[0]["operator"]) == ("2", "3", "==")
    assert found[2]["kind"] == "skipped"
    assert "self.assertEqual" in found[0]["test"]


def test_methods_of_a_plain_test_class_are_units():
    assert passes(examined("class TestF:\n    def test_a(self):\n        assert f(1) == 3\n")) == [False]


def test_an_unguarded_call_of_unittest_main_is_left_out():
    text = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n"
    text += "        assert f(1) == 2\nunittest.main()\n"
    assert passes(examined(text)) == [True]


@pytest.mark.parametrize(
    ("test", "wanted", "got", "sign"),
    [
        ("assert f(1) == 3", "3", "2", "=="),
        ("assert 3 == f(1)", "3", "2", "=="),
        ("assert 3 < f(1)", "3", "2", ">"),
        ("assert f(1) not in [2]", "[2]", "2", "not in"),
        ("assert 5 in [f(1)]", "5", "[2]", "contains"),
        ("assert 0 < f(1) < 2", "2", "2", "<"),
        ("assert 3 < f(1) < 9", "3", "2", ">"),
        ("assert not f(1)", "False", "2", "truth"),
        ("assert not f(1) == 2", "2", "2", "not =="),
        ("assert f(-1)", "True", "0", "truth"),
        ("assert f(1) == 2 and f(2) == 4 and f(3)", "4", "3", "=="),
        ("assert isinstance(f(1), str)", "str", "2", "isinstance"),
        ("assert abs(f(1) - 2.5) < 0.1", "2.5", "2", "within"),
        ("assert math.isclose(f(1), 2.5)", "2.5", "2", "isclose"),
        ("x = f(1)\nassert x == 3", "3", "2", "=="),
        ("assert all(f(x) == 1 for x in (0, 1))", None, "2", "holds"),
        ("assert f(1) == 9 or f(1) == 8", None, "2", "holds"),
    ],
)
def test_a_failed_assert_is_told_with_wanted_got_and_operator(test, wanted, got, sign):
    told = failure(f"import math\n{test}\n")
    assert (told.get("wanted"), told.get("got"), told.get("operator")) == (wanted, got, sign)


def test_a_comparison_within_a_tolerance_tells_the_tolerance():
    assert failure("assert abs(f(1) - 2.5) <= 0.25\n")["tolerance"] == "0.25"


def test_the_message_of_an_assert_is_told():
    assert failure("assert f(1) == 3, f'no {1 + 1}'\n")["message"] == "no 2"


def test_a_statement_between_asserts_that_breaks_is_the_tests_own_fault():
    records = examined("assert f(1) == 2\nundefined(3)\nassert f(1) == 2\n")
    broken = [record["test_error"] for record in records if "test_error" in record]
    assert [(error["type"], error["test"]) for error in broken] == [("NameError", "undefined(3)")]


def test_a_name_that_an_assert_lacks_is_the_tests_own_fault():
    told = failure("assert f(1) == undefined\n")
    assert (told["kind"], told["type"]) == ("test_error", "NameError")


def test_an_answer_that_the_tests_cannot_use_is_a_failure_of_the_program():
    told = failure("assert f(1)[0] == 2\n")
    assert (told["kind"], told["type"]) == ("exception", "TypeError")


def test_an_answer_that_breaks_a_statement_between_asserts_is_one_more_failed_unit():
    records = examined("assert f(1) == 2\na, b = f(1)\nassert a == 1\n")
    assert passes(records) == [True, False]
    assert records[-1]["kind"] == "exception"
    assert [record["total"] for record in records if "total" in record] == [2, 3]


def test_what_breaks_before_the_program_was_called_is_the_tests_own_fault():
    told = failure("assert int('x') == f(1)\n")
    assert (told["kind"], told["type"]) == ("test_error", "ValueError")


@pytest.mark.parametrize(
    "text", ["", "x = 1\n", "assert 1 == 1\n", "def helper():\n    assert f(1)\n", "'text'\n"]
)
def test_tests_that_test_nothing_are_broken_tests(text):
    assert examined(text)[-1]["test_error"]["type"] == "NothingTested"


def test_a_check_without_asserts_is_a_broken_test():
    assert (
        examined("def check(candidate):\n    x = candidate(1)\n")[-1]["test_error"]["type"] == "NothingTested"
    )


@pytest.mark.parametrize("text", ["assert (", "\x00", "\ud800", "(" * 5000, "x = " + "-" * 100_000 + "1"])
def test_tests_that_are_no_python_are_broken_tests(text):
    with pytest.raises(Broken) as caught:
        prepare(text, "f")
    assert caught.value.told["test_error"]["type"]


def test_a_test_that_ends_the_process_is_a_broken_test():
    records = examined("import sys\nassert f(1) == 2\nsys.exit(0)\n")
    assert any("test_error" in record for record in records)


def test_what_cannot_be_caught_ends_the_unit_even_when_a_test_swallows_it():
    seen_by = {}

    def answer(_):
        seen_by["seen"].trouble = {"kind": "unsupported_value", "type": "object"}
        raise BaseException("barred")

    records, seen = [], Seen()
    seen_by["seen"] = seen
    prepared, code = prepare("try:\n    assert f(1)\nexcept BaseException:\n    pass\n", "f")
    Examination(prepared, seen, records.append).run(code, {"f": Program(seen, answer)}, None)
    assert units(records)[0]["kind"] == "unsupported_value"


def test_a_source_with_wide_characters_is_cut_where_its_statement_ends():
    records = examined("assert f(1) == 2, 'ä€😀'; assert f(2) == 3, '€'\n")
    assert [unit["test"] for unit in units(records).values()] == [
        "assert f(1) == 2, 'ä€😀'",
        "assert f(2) == 3, '€'",
    ]


def test_a_long_test_is_cut_where_it_is_told():
    records = examined(f"assert f(1) == 2, '{'x' * 1000}'\n")
    assert len(units(records)[0]["test"]) <= 300
