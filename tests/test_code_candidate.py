"""The program's process where no checker asks it: as a script, with its tests in it, under a trace."""

import pytest

from tests.code_pair import judge, run_alone

ECHO = "import sys\nfor line in sys.stdin:\n    print(line.strip()[::-1])\n"


def last(records):
    return records[-1] if records else {}


def first(records, key):
    return next((record[key] for record in records if key in record), None)


def test_a_script_reads_its_input_and_writes_its_output():
    records, written = run_alone("stdio", ECHO, stdin="abc\ndef\n")
    assert written == "cba\nfed\n"
    assert records == [{"done": True}]


def test_a_script_is_main_and_sees_its_own_module():
    program = "import sys\nassert __name__ == '__main__' and sys.argv == ['program.py']\n"
    program += "x = 5\nprint(sys.modules['__main__'].x)\n"
    assert run_alone("stdio", program) == ([{"done": True}], "5\n")


def test_a_main_block_runs_in_a_script():
    assert (
        run_alone("stdio", "if __name__ == '__main__':\n    print(input())\n", stdin="hello")[1] == "hello\n"
    )


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("raise SystemExit", {}),
        ("import sys; sys.exit(0)", {}),
        ("import sys; sys.exit(3)", {"exit": {"code": 3}}),
        ("import sys; sys.exit('no')", {"exit": {"code": 1}}),
        ("exit()", {}),
    ],
)
def test_a_script_may_end_itself_and_its_status_is_told(ending, told):
    site = "def exit(code=None):\n    raise SystemExit(code)\n"
    records, written = run_alone("stdio", f"{site}print('a')\n{ending}\nprint('b')\n")
    assert (records, written) == ([{**told, "done": True}], "a\n")


def test_an_exception_of_a_script_is_told_with_its_frames():
    records, written = run_alone("stdio", "def g(x):\n    return 1 / x\nprint('a')\ng(0)\n")
    error = first(records, "exception")
    assert (error["type"], error["message"]) == ("ZeroDivisionError", "division by zero")
    assert [(frame["line"], frame["function"]) for frame in error["frames"]] == [(4, "<module>"), (2, "g")]
    assert written == "a\n"


def test_a_script_that_is_no_python_is_a_load_error():
    error = first(run_alone("stdio", "print(")[0], "load_error")
    assert (error["type"], error["line"]) == ("SyntaxError", 1)


def test_threads_and_what_was_left_for_the_end_run_before_a_script_is_done():
    program = """
import atexit, threading, time
atexit.register(print, "last")
threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()
print("main")
"""
    assert run_alone("stdio", program) == ([{"done": True}], "main\nthread\nlast\n")


def test_a_script_that_never_ends_is_found_at_its_line():
    records, written = run_alone("stdio", "print('a', flush=True)\nwhile True:\n    pass\n", seconds=0.5)
    assert first(records, "at")["line"] in (2, 3)
    assert written == "a\n"


@pytest.mark.parametrize("program", ["import os\nos._exit(0)\n", "import os\nos.closerange(0, 256)\n"])
def test_a_script_that_ends_without_a_word_is_not_done(program):
    assert run_alone("stdio", program)[0] == []


def test_tests_in_the_programs_own_process_are_told_by_their_units():
    tests = "assert f(1) == 2\nassert f(1) == 3\n"
    records, _ = run_alone("script", "def f(x):\n    return x + 1\n", tests=tests, entry_point="f")
    units = [record for record in records if "unit" in record]
    assert [unit["passed"] for unit in units] == [True, False]
    assert (units[1]["got"], units[1]["wanted"], units[1]["kind"]) == ("2", "3", "assert")
    assert last(records) == {"done": True}


def test_a_check_in_the_programs_own_process_is_given_the_entry_point():
    tests = "def check(candidate):\n    assert candidate(object) is object\n"
    records, _ = run_alone("script", "def f(x):\n    return x\n", tests=tests, entry_point="f")
    assert [record["passed"] for record in records if "unit" in record] == [True]


@pytest.mark.parametrize(
    ("program", "tests", "key"),
    [
        ("def g(): pass\n", "assert f(1)\n", "missing_entry_point"),
        ("def f(\n", "assert f(1)\n", "load_error"),
        ("def f(x): pass\n", "assert (\n", "test_error"),
        ("def f(x): pass\n", "x = 1\n", "test_error"),
        ("raise SystemExit(2)\n", "assert f(1)\n", "exit"),
    ],
)
def test_what_keeps_tests_from_running_in_the_programs_own_process_is_told(program, tests, key):
    records, _ = run_alone("script", program, tests=tests, entry_point="f")
    assert first(records, key) is not None
    assert last(records) == {"done": True}


def test_a_program_in_its_own_process_can_forge_its_pass_which_is_why_the_host_says_so():
    program = """
class All:
    def __eq__(self, other): return True
def f(x):
    return All()
"""
    records, _ = run_alone("script", program, tests="assert f(1) == 2\n", entry_point="f")
    assert [record["passed"] for record in records if "unit" in record] == [True]
    assert judge(program, "assert f(1) == 2\n").why == "unsupported_value"


def test_a_traced_call_is_told_with_its_result():
    records, _ = run_alone("trace", "def f(x):\n    y = x * 2\n    return y\n", call="f(3)")
    trace = first(records, "trace")
    assert trace["result"] == "6"
    assert [entry["line"] for entry in trace["lines"]] == [1, 2, 3]


def test_a_traced_call_that_never_ends_shows_its_way_until_then():
    records, _ = run_alone("trace", "def f(x):\n    while True:\n        x += 1\n", call="f(0)", seconds=0.8)
    record = next(record for record in records if "at" in record)
    assert record["at"]["function"] == "f"
    lines = record["trace"]["lines"]
    assert len(lines) == 450
    assert record["trace"]["cut"]
    assert lines[3]["values"] == {"x": "1"} or lines[2]["values"] == {"x": "1"}


def test_a_traced_program_that_does_not_load_is_a_load_error():
    records, _ = run_alone("trace", "def f(", call="f(0)")
    assert first(records, "load_error")["type"] == "SyntaxError"


def test_the_working_folder_holds_the_files_and_is_where_imports_are_found():
    files = {"data/in.txt": "7", "more.py": "def add(x):\n    return x + int(open('data/in.txt').read())\n"}
    records, written = run_alone("stdio", "import more\nprint(more.add(1))\n", files=files)
    assert (records, written) == ([{"done": True}], "8\n")


def test_output_is_written_out_before_each_answer():
    program = (
        "import os\ndef f(x):\n    print('said', x)\n    return x\ndef g():\n    os.kill(os.getpid(), 9)\n"
    )
    judged = judge(program, "assert f(1) == 1\nassert g() == 1\n")
    assert judged.output == b"said 1\n"
    assert judged.why == "gone"
