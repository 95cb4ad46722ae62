"""The words for the facts of a code environment. Of hidden tests they tell neither input nor wanted value."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from agentloop.critics.words import Finding, listed

Data = Mapping[str, Any]

TOLD = 300
"""Characters of one value that are told; of longer ones the head and the tail."""
FRAMES = 3
BESIDE = 1.0
"""The share of findings that only say why: how much is right is told by the tests that passed."""

MIB = 1024 * 1024
OWN_FILE = "program.py"
"""The name of the program itself in frames."""
WITH_LINES = ("exception", "load_error", "timeout")
"""The kinds of facts that name a line of the program."""
ENDLESS = "Look for a loop or a recursion that does not end, and for work that grows too fast with the input."
PLAIN = "These can be: None, bool, numbers, text, bytes, lists, tuples, sets and dicts."
UNSEEN = "an input that is not shown"
ADVICE = {
    "EOFError": "It reads more lines than there are.",
    "IndexError": "Look at empty and short inputs, and at the ends of ranges.",
    "KeyError": "The key is not always there.",
    "RecursionError": "Look at the case that ends the recursion.",
    "ZeroDivisionError": "Look at where the divisor can be 0.",
}


def of_verdict(data: Data) -> Finding:
    """How many of the public tests passed."""
    if data["passed"]:
        return Finding("pass", PUBLIC_RIGHT, share=1.0)
    return Finding("fail", f"{_count(data)} public tests passed.", share=_share(data))


def of_hidden_verdict(data: Data) -> Finding:
    """How many of the hidden tests passed."""
    if data["passed"]:
        return Finding("pass", "The hidden tests passed.", share=1.0)
    if data["why"] == "no_program":
        return Finding("fail", "No program was given.")
    return Finding("fail", f"{_count(data)} hidden tests passed.", share=_share(data))


PUBLIC_RIGHT = "The public tests passed."


def of_loaded(data: Data) -> Finding | None:
    """A program that was loaded, and not tested. Why it could not be loaded is told by another fact."""
    if not data["passed"]:
        return Finding("fail", "", share=0.0)
    return Finding("unsure", "The program can be loaded; there were no tests to run on it.")


def of_no_program(_data: Data) -> Finding:
    """A reply that holds no program."""
    return Finding("fail", "There is no program in the answer.", "Give it in a fenced block of Python.")


def of_unmatched_edit(data: Data) -> Finding:
    """An edit whose lines are not in the program."""
    where = f"Edit {data['number']} could not be carried out."
    if data["why"] == "not closed":
        return Finding(
            "fail", where, "It lacks its line =======, or does not end with a line >>>>>>> REPLACE."
        )
    if data["why"] == "no such file":
        return Finding("fail", where, f"There is no file `{data['name']}`.")
    if data["why"] == "several places":
        return Finding("fail", where, "Its lines stand in several places; search for more of them.")
    if data["why"] == "nothing to search for":
        return Finding("fail", where, "It has no lines to search for.")
    near = f" The nearest begin at line {data['line']}." if data.get("line") else ""
    return Finding("fail", where, f"The lines that it searches for are not in the program.{near}")


def of_assertion(data: Data) -> Finding:
    """A call that gives another value than is wanted."""
    if "call" not in data or "got" not in data:
        return Finding("fail", "A test fails.", f"It is {_code(data['test'])}.", BESIDE)
    where = f"The call {_code(data['call'])} gives a wrong result."
    how = f"It returned {_code(data['got'])}"
    operator = data.get("operator", "==")
    if "wanted" not in data:
        return Finding("fail", where, f"{how}, with which {_code(data['test'])} fails.", BESIDE)
    wanted = (
        f"{_code(data['wanted'])} is wanted" if operator == "==" else f"the test is {_code(data['test'])}"
    )
    hint = " Does every path return a value?" if data["got"] == "None" != data["wanted"] else ""
    return Finding("fail", where, f"{how}; {wanted}.{hint}", BESIDE)


def of_hidden_assertion(data: Data) -> Finding:
    """A wrong result, without the input and what is wanted."""
    hint = "It is None there: does every path return a value?" if data.get("got") == "None" else ""
    return Finding("fail", f"The result for {UNSEEN} is wrong.", hint, BESIDE)


def of_exception(data: Data) -> Finding:
    """An exception that came out of the program, with the program's own frames."""
    message = f"{data['type']}: {_cut(data['message'])}." if data.get("message") else ""
    how = " ".join(part for part in (message, _frames(data), _advice(data)) if part)
    return Finding("fail", f"{_doing(data)} raises {data['type']}{_at(innermost(data))}.", how, BESIDE)


def of_hidden_exception(data: Data) -> Finding:
    """An exception, without its message: that may quote the input, as a type of the program's own may."""
    where = f"For {UNSEEN} the program raises {_built_in(data['type'])}{_at(innermost(data))}."
    return Finding("fail", where, " ".join(part for part in (_frames(data), _advice(data)) if part), BESIDE)


def of_load_error(data: Data) -> Finding:
    """A program that cannot be loaded."""
    text = f", at {_code(data['text'].strip())}" if data.get("text") else ""
    where = f"The program cannot be loaded: {data['type']}{_at(innermost(data))}."
    return Finding("fail", where, f"{_cut(data['message'])}{text}.", BESIDE)


def of_missing_entry_point(data: Data) -> Finding:
    """A program without the function that is asked for, with the nearest that it has."""
    name, names = data["name"], list(data.get("defined", ()))
    if not names:
        return Finding("fail", f"The program does not define `{name}`.", "It defines no function.", BESIDE)
    near = get_close_matches(name, names, n=1) or (names if len(names) == 1 else [])
    hint = f" Did you mean `{near[0]}` to be `{name}`?" if near else ""
    how = f"It defines {listed(names[:6])}.{hint}"
    return Finding("fail", f"The program does not define `{name}`.", how, BESIDE)


def of_timeout(data: Data) -> Finding:
    """A program that ran too long, and where it was."""
    doing = f"It was at {_code(data['call'])}. " if "call" in data else ""
    where = f"The program was stopped after {data['seconds']:g} seconds{_at(innermost(data))}."
    return Finding("fail", where, doing + ENDLESS, BESIDE)


def of_hidden_timeout(data: Data) -> Finding:
    """A program that ran too long on an input that is not shown."""
    where = f"For {UNSEEN} the program was stopped after {data['seconds']:g} seconds{_at(innermost(data))}."
    return Finding("fail", where, ENDLESS, BESIDE)


def of_memory(data: Data) -> Finding:
    """A program that needed too much memory."""
    limit = f"There are {data['bytes'] // MIB} MiB." if data.get("bytes") else ""
    return Finding("fail", f"{_doing(data)} ran out of memory.", limit, BESIDE)


def of_output_limit(data: Data) -> Finding:
    """A program that wrote without end."""
    limit = f"It may write {data['bytes'] // MIB} MiB." if data.get("bytes", 0) >= MIB else ""
    return Finding("fail", "The program was stopped because it wrote too much.", limit, BESIDE)


def of_signal(data: Data) -> Finding:
    """A program that a signal ended."""
    return Finding("fail", f"{_doing(data)} was ended by {data['name']}.", share=BESIDE)


def of_exit(data: Data) -> Finding:
    """A program that left before its tests were done."""
    where = f"{_doing(data)} left with exit code {data['code']} before it was done."
    return Finding("fail", where, "Let it return instead of leaving the program.", BESIDE)


def of_unsupported_value(data: Data) -> Finding:
    """A value that cannot cross to the tests: of the program's, or of the test's own."""
    if data.get("where") == "argument":
        where = f"A test hands over a value of type {data['type']}, which cannot reach the program."
        return Finding("unsure", where, "That is a fault of the test.")
    where = f"{_doing(data)} gives a value of type {data['type']}, which cannot be compared."
    return Finding("fail", where, PLAIN, BESIDE)


def of_hidden_exit(_data: Data) -> Finding:
    """The same without the call, and without the code, which may be made of the input."""
    where = f"For {UNSEEN} the program left before it was done."
    return Finding("fail", where, "Let it return instead of leaving the program.", BESIDE)


def of_hidden_unsupported_value(data: Data) -> Finding:
    """The same without the call, and without the name of a type of the program's own."""
    if data.get("where") == "argument":
        return Finding("unsure", "A hidden test hands over a value that cannot reach the program.")
    where = f"For {UNSEEN} the program gives a value that cannot be compared."
    return Finding("fail", where, PLAIN, BESIDE)


def without_input(words: Callable[[Data], Finding]) -> Callable[[Data], Finding]:
    """The same words, without the call that they would name."""
    return lambda data: words({name: data[name] for name in data if name not in ("call", "input", "test")})


def of_test_error(data: Data) -> Finding:
    """A test that broke, perhaps on what the program returned."""
    test = f" {_code(data['test'])}" if "test" in data else ""
    where = "A test broke on what the program returned."
    return Finding("fail", where, f"The test{test} raised {data['type']}: {_cut(data['message'])}.", BESIDE)


def of_hidden_test_error(_data: Data) -> Finding:
    """The same without the test."""
    return Finding("fail", "A hidden test broke on what the program returned.", share=BESIDE)


def of_forged_channel(_data: Data) -> Finding:
    """A program that wrote where only the sandbox writes."""
    where = "The program wrote to a channel that is not its own."
    return Finding("fail", where, "Only what its functions return counts.", BESIDE)


def of_case(data: Data) -> Finding:
    """Wrong output, with the input."""
    number = f" of case {data['number']}" if "number" in data else ""
    read = f"For the input {_code(data['stdin'])}" if data.get("stdin") else "Without input"
    wrote = _code(data["got"]) if data.get("got") else "nothing"
    how = f"{read} it wrote {wrote}; {_code(data['wanted'])} is wanted."
    return Finding("fail", f"The output{number} is wrong.", how, BESIDE)


def of_hidden_case(data: Data) -> Finding:
    """Wrong output, without the input and what is wanted."""
    hint = "" if data.get("got") else "It wrote nothing."
    return Finding("fail", f"The output for {UNSEEN} is wrong.", hint, BESIDE)


def _doing(data: Data) -> str:
    return f"The call {_code(data['call'])}" if "call" in data else "The program"


def _built_in(name: str) -> str:
    found = getattr(builtins, name, None)
    return name if isinstance(found, type) and issubclass(found, BaseException) else "an exception of its own"


def _count(data: Data) -> str:
    return f"{data['count']} of {data['total']}" if data.get("total") else "None of the"


def _share(data: Data) -> float:
    return data["count"] / data["total"] if data.get("total") else 0.0


def innermost(data: Data) -> int | None:
    """The line that a fact names, or that of the program's own innermost frame; none in the task's code."""
    lines = [frame["line"] for frame in _own(data)]
    line = data.get("line") or (lines[-1] if lines else None)
    return line if line is not None and line > 0 else None


def _at(line: int | None) -> str:
    return "" if line is None else f" at line {line}"


def _frames(data: Data) -> str:
    told = [_frame(frame) for frame in _own(data)[-FRAMES:]]
    return f"{'; '.join(told)}." if told else ""


def _own(data: Data) -> Sequence[Data]:
    """The frames of the program itself: lines of its prompt's code are 0 or less, other files are others."""
    frames = data.get("frames", ())
    return [each for each in frames if each.get("line", 0) > 0 and each.get("file", OWN_FILE) == OWN_FILE]


def _frame(frame: Data) -> str:
    source = f": {_code(frame['source'].strip())}" if frame.get("source") else ""
    return f"Line {frame['line']}, in `{frame['function']}`{source}"


def _advice(data: Data) -> str:
    return ADVICE.get(data["type"], "")


def _code(text: str) -> str:
    return f"`{_cut(text.strip())}`"


def _cut(text: str) -> str:
    half = TOLD // 2
    return text if len(text) <= TOLD else f"{text[:half]} ... {text[-half:]}"


CODE_WORDS: Mapping[str, Callable[[Data], Finding | None]] = {
    "tests_passed": of_verdict,
    "loaded": of_loaded,
    "no_program": of_no_program,
    "unmatched_edit": of_unmatched_edit,
    "load_error": of_load_error,
    "missing_entry_point": of_missing_entry_point,
    "assertion": of_assertion,
    "exception": of_exception,
    "unsupported_value": of_unsupported_value,
    "case": of_case,
    "timeout": of_timeout,
    "memory": of_memory,
    "output_limit": of_output_limit,
    "signal": of_signal,
    "exit": of_exit,
    "test_error": of_test_error,
    "forged_channel": of_forged_channel,
}
HIDDEN_CODE_WORDS: Mapping[str, Callable[[Data], Finding | None]] = {
    **CODE_WORDS,
    "tests_passed": of_hidden_verdict,
    "assertion": of_hidden_assertion,
    "exception": of_hidden_exception,
    "unsupported_value": of_hidden_unsupported_value,
    "memory": without_input(of_memory),
    "signal": without_input(of_signal),
    "exit": of_hidden_exit,
    "case": of_hidden_case,
    "timeout": of_hidden_timeout,
    "test_error": of_hidden_test_error,
}
"""What is said of the same kinds of facts when they come from hidden tests."""
