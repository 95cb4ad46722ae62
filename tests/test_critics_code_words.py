"""What the execution critic says of programs: levels, verdicts, scores, spans, and what it never says."""

from typing import Any, get_args

import pytest

from agentloop.critics import execution_critic
from agentloop.critics.code_words import CODE_WORDS, HIDDEN_CODE_WORDS
from agentloop.critics.execution import Detail
from agentloop.hidden import public_attempt
from agentloop.types import Attempt, Fact, Feedback, Step, Task

LEVELS = get_args(Detail)
PROGRAM = "def f(x):\n    y = x[0]\n    return y\n"
TEXT = f"So:\n```python\n{PROGRAM}```\n"
ASSERTION = {
    "test": "assert f([3]) == 9",
    "line": 1,
    "call": "f([3])",
    "input": "([3],)",
    "wanted": "9",
    "got": "3",
    "operator": "==",
}
EXCEPTION = {
    "type": "IndexError",
    "message": "list index out of range",
    "call": "f([])",
    "frames": [{"file": "program.py", "line": 2, "function": "f", "source": "    y = x[0]"}],
}


def verdict(passed: int = 1, total: int = 3, *, hidden: bool = False, why: str = "assert") -> Fact:
    data = {"passed": passed == total, "why": why, "count": passed, "total": total, "layers": []}
    return Fact(kind="tests_passed", data=data, hidden=hidden)


def attempt(*facts: Fact, final: tuple[Fact, ...] = (), text: str = TEXT) -> Attempt:
    program = Fact(kind="program", data={"text": PROGRAM})
    step = Step(action=text, observation="...", facts=(program, *facts))
    return Attempt(
        id="a", trajectory="x", task=Task(id="t", prompt="?"), number=1, text=text, steps=(step,), facts=final
    )


def failed(kind: str, data: dict[str, Any], **options: Any) -> Attempt:
    return attempt(verdict(**options), Fact(kind=kind, data=data))


def failed_hidden(kind: str, data: dict[str, Any]) -> Attempt:
    return attempt(verdict(3, 3), final=(verdict(hidden=True), Fact(kind=kind, data=data, hidden=True)))


def said(made: Attempt, level: Detail = "explained", *, public: bool = False) -> Feedback:
    return execution_critic(level)(public_attempt(made) if public else made)


def test_a_failing_call_is_told_at_every_level_of_detail() -> None:
    made = failed("assertion", ASSERTION)
    assert [said(made, level).text for level in LEVELS] == [
        "Try again.",
        "Your answer is wrong. Answer again.",
        "1 of 3 public tests passed. The call `f([3])` gives a wrong result.",
        "1 of 3 public tests passed. The call `f([3])` gives a wrong result. It returned `3`; `9` is wanted.",
    ]
    assert {said(made, level).verdict for level in LEVELS} == {"fail"}
    assert [said(made, level).kind for level in LEVELS] == ["unary", "binary", "critique", "critique"]


PUBLIC = [
    ("assertion", {**ASSERTION, "got": "None"}, "`f([3])` gives a wrong result", "every path return"),
    ("assertion", {**ASSERTION, "operator": ">"}, "`f([3])`", "the test is `assert f([3]) == 9`"),
    ("assertion", {"test": "assert g", "line": 1}, "A test fails.", "It is `assert g`."),
    (
        "exception",
        EXCEPTION,
        "`f([])` raises IndexError at line 2.",
        "Line 2, in `f`: `y = x[0]`. Look at empty",
    ),
    ("exception", {"type": "E", "message": ""}, "The program raises E.", ""),
    (
        "load_error",
        {"type": "SyntaxError", "message": "invalid syntax", "line": 3, "text": "  return ="},
        "cannot be loaded: SyntaxError at line 3.",
        "invalid syntax, at `return =`.",
    ),
    ("missing_entry_point", {"name": "f", "defined": []}, "does not define `f`", "defines no function"),
    (
        "missing_entry_point",
        {"name": "f", "defined": ["g"]},
        "`f`",
        "defines `g`. Did you mean `g` to be `f`?",
    ),
    (
        "missing_entry_point",
        {"name": "half", "defined": ["helper", "halve"]},
        "`half`",
        "defines `helper` and `halve`. Did you mean `halve` to be `half`?",
    ),
    (
        "timeout",
        {"seconds": 3.0, "call": "f(9)", "line": 2, "function": "f"},
        "stopped after 3 seconds at line 2.",
        "It was at `f(9)`. Look for a loop",
    ),
    ("timeout", {"seconds": 0.5}, "stopped after 0.5 seconds.", "does not end"),
    ("memory", {"bytes": 1024**3}, "ran out of memory", "There are 1024 MiB."),
    ("output_limit", {"bytes": 16 * 1024**2}, "wrote too much", "16 MiB"),
    ("signal", {"name": "SIGSEGV"}, "ended by SIGSEGV", ""),
    ("exit", {"code": 0, "call": "f(1)"}, "The call `f(1)` left with exit code 0", "Let it return"),
    (
        "unsupported_value",
        {"type": "generator", "call": "f(1)", "where": "result"},
        "`f(1)` gives a value of type generator",
        "These can be",
    ),
    (
        "test_error",
        {"type": "TypeError", "message": "no len", "test": "t"},
        "A test broke",
        "`t` raised TypeError",
    ),
    ("forged_channel", {}, "channel that is not its own", "Only what its functions return counts"),
    (
        "case",
        {"stdin": "1\n", "wanted": "2\n", "got": "", "number": 2},
        "The output of case 2 is wrong.",
        "For the input `1` it wrote nothing; `2` is wanted.",
    ),
]


@pytest.mark.parametrize(("kind", "data", "located", "explained"), PUBLIC)
def test_what_is_wrong_is_told_in_words(kind: str, data: Any, located: str, explained: str) -> None:
    made = failed(kind, data)
    assert located in said(made, "located").text
    assert explained in said(made).text
    assert said(made).verdict == "fail"


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("no_program", {}, "There is no program in the answer."),
        ("unmatched_edit", {"number": 2, "why": "not found", "line": 7}, "The nearest begin at line 7."),
        ("unmatched_edit", {"number": 2, "why": "several places"}, "stand in several places"),
        ("unmatched_edit", {"number": 2, "why": "not closed"}, "does not end with"),
        ("unmatched_edit", {"number": 2, "why": "nothing to search for"}, "no lines to search for"),
        ("unmatched_edit", {"number": 2, "why": "no such file", "name": "h.py"}, "no file `h.py`"),
    ],
)
def test_an_answer_that_could_not_be_run_fails_with_a_score_of_zero(kind: str, data: Any, told: str) -> None:
    feedback = said(attempt(Fact(kind=kind, data=data)))
    assert told in feedback.text
    assert (feedback.verdict, feedback.score) == ("fail", 0.0)


def test_located_words_do_not_tell_what_is_wanted() -> None:
    for kind, data, _, _ in PUBLIC:
        marked = {**data, "wanted": "WANTED-1234", "got": "GOT-1234"}
        text = said(failed(kind, marked), "located").text
        assert "WANTED-1234" not in text
        assert "GOT-1234" not in text


SECRET = "XYZZY-7741"
HIDDEN = [
    ("assertion", dict.fromkeys(ASSERTION, SECRET), "The result for an input that is not shown is wrong."),
    (
        "exception",
        {**EXCEPTION, "message": SECRET, "call": SECRET, "test": SECRET, "input": SECRET},
        "raises IndexError at line 2. Line 2, in `f`: `y = x[0]`.",
    ),
    (
        "timeout",
        {"seconds": 3.0, "call": SECRET, "input": SECRET, "line": 2},
        "was stopped after 3 seconds at line 2",
    ),
    (
        "unsupported_value",
        {"type": SECRET, "call": SECRET, "where": "result"},
        "a value that cannot be compared",
    ),
    ("exception", {**EXCEPTION, "type": SECRET}, "raises an exception of its own at line 2."),
    ("memory", {"bytes": 0, "call": SECRET}, "The program ran out of memory"),
    ("signal", {"name": "SIGSEGV", "call": SECRET}, "The program was ended by SIGSEGV"),
    ("exit", {"code": SECRET, "call": SECRET}, "the program left before it was done"),
    ("test_error", {"type": SECRET, "message": SECRET, "test": SECRET}, "A hidden test broke"),
    ("case", {"stdin": SECRET, "wanted": SECRET, "got": SECRET}, "The output for an input that is not shown"),
    (
        "tests",
        {"passed": [SECRET], "failed": [SECRET], "not_run": 0, "total": 2},
        "1 of 3 hidden tests passed.",
    ),
    ("output", {"text": SECRET, "cut": 0}, "1 of 3 hidden tests passed."),
    ("helpers", {"names": [SECRET]}, "1 of 3 hidden tests passed."),
]


@pytest.mark.parametrize(("kind", "data", "told"), HIDDEN)
@pytest.mark.parametrize("level", LEVELS)
def test_of_hidden_tests_neither_input_nor_wanted_value_is_told(
    kind: str, data: Any, told: str, level: Detail
) -> None:
    feedback = said(failed_hidden(kind, data), level)
    assert SECRET not in feedback.to_json()
    assert feedback.verdict == "fail"
    if level == "explained":
        assert told in feedback.text


def test_every_kind_that_may_quote_a_hidden_input_has_words_of_its_own() -> None:
    quoting = {"assertion", "exception", "timeout", "unsupported_value", "test_error", "case", "tests_passed"}
    quoting |= {"memory", "signal", "exit"}
    assert {kind for kind in CODE_WORDS if CODE_WORDS[kind] is not HIDDEN_CODE_WORDS[kind]} == quoting


def test_a_result_that_is_none_on_a_hidden_input_is_hinted_at() -> None:
    assert "does every path return" in said(failed_hidden("assertion", {**ASSERTION, "got": "None"})).text


def test_public_tests_that_passed_are_a_pass_that_says_what_it_rests_on() -> None:
    feedback = said(attempt(verdict(3, 3)))
    assert (feedback.verdict, feedback.score, feedback.text) == ("pass", 1.0, "The public tests passed.")


def test_hidden_tests_that_passed_are_a_pass_even_against_a_wrong_public_one() -> None:
    made = attempt(verdict(), Fact(kind="assertion", data=ASSERTION), final=(verdict(3, 3, hidden=True),))
    assert (said(made).verdict, said(made).text) == ("pass", "The answer is right.")
    assert said(made, public=True).verdict == "fail"


def test_hidden_tests_that_failed_outweigh_public_ones_that_passed() -> None:
    made = failed_hidden("assertion", ASSERTION)
    assert said(made).verdict == "fail"
    assert said(made, public=True).verdict == "pass"


def test_a_program_that_was_only_loaded_is_unsure() -> None:
    feedback = said(attempt(Fact(kind="loaded", data={"passed": True, "why": "passed"})))
    assert (feedback.verdict, feedback.score) == ("unsure", None)
    assert "there were no tests to run on it" in feedback.text


def test_a_program_that_could_not_be_loaded_fails_without_any_test() -> None:
    error = Fact(kind="load_error", data={"type": "SyntaxError", "message": "bad", "line": 1})
    feedback = said(attempt(Fact(kind="loaded", data={"passed": False, "why": "load_error"}), error))
    assert (feedback.verdict, feedback.score) == ("fail", 0.0)
    assert feedback.text == "The program cannot be loaded: SyntaxError at line 1. bad."


def test_a_value_that_the_test_cannot_hand_over_is_no_fault_of_the_program() -> None:
    data = {"type": "object", "where": "argument"}
    finding = CODE_WORDS["unsupported_value"](data)
    assert finding is not None
    assert finding.verdict == "unsure"


@pytest.mark.parametrize(
    ("passed", "total", "score"), [(0, 4, 0.0), (1, 4, 0.25), (3, 4, 0.75), (999, 1000, 0.9)]
)
def test_the_score_of_a_failure_is_the_share_of_tests_that_passed_and_never_one(
    passed: int, total: int, score: float
) -> None:
    made = attempt(verdict(passed, total), Fact(kind="assertion", data=ASSERTION))
    assert said(made).score == pytest.approx(score)


def test_the_line_of_an_error_is_marked_in_the_attempts_text() -> None:
    (span,) = said(failed("exception", EXCEPTION)).spans
    assert TEXT[span.start : span.end] == "y = x[0]"
    assert span.label == "IndexError"
    assert said(failed("exception", EXCEPTION), "binary").spans == ()


def test_lines_are_counted_as_python_counts_them() -> None:
    program = PROGRAM.replace("def f(x):", "def f(x='\f\u2028'):")
    made = failed("exception", EXCEPTION)
    step = made.steps[0]
    facts = (Fact(kind="program", data={"text": program}), *step.facts[1:])
    made = made.replace(text=program, steps=(step.replace(facts=facts),))
    (span,) = said(made).spans
    assert program[span.start : span.end] == "y = x[0]"


@pytest.mark.parametrize("line", [-3, 0, 99])
def test_a_line_outside_of_the_agents_text_is_neither_marked_nor_told(line: int) -> None:
    frames = [{**EXCEPTION["frames"][0], "line": line}]  # type: ignore[index]
    feedback = said(failed("exception", {**EXCEPTION, "frames": frames}))
    assert feedback.spans == ()
    assert line > 0 or "at line" not in feedback.text


def test_a_program_that_came_about_by_edits_is_not_searched_for_marks() -> None:
    made = failed("exception", EXCEPTION)
    assert said(made.replace(text="<<<<<<< SEARCH\n...")).spans == ()


def test_lines_of_other_files_are_not_taken_for_the_programs() -> None:
    frames = [*EXCEPTION["frames"], {"file": "helper.py", "line": 3, "function": "h", "source": "z"}]  # type: ignore[misc]
    feedback = said(failed("exception", {**EXCEPTION, "frames": frames}))
    assert "at line 2" in feedback.text
    assert [TEXT[span.start : span.end] for span in feedback.spans] == ["y = x[0]"]


def test_huge_values_are_cut() -> None:
    huge = "9" * 100_000
    made = failed("assertion", {**ASSERTION, "got": huge, "wanted": huge, "call": huge})
    assert len(said(made).text) < 2_000


def test_facts_of_an_sql_environment_keep_their_own_words() -> None:
    step = Step(action="x", observation="y", facts=(Fact(kind="timeout", data={"seconds": 3.0}),))
    made = attempt().replace(steps=(step,))
    assert said(made, "located").text == "The statement was stopped after 3 seconds."
