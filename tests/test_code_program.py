"""The program in a reply, and how it is put together with the code of its prompt."""

import ast
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentloop.environments.code.program import Program, assembled, is_safe, parsed, program_in

PROMPT = (
    'import math\n\n\ndef half(x):\n    return x / 2\n\n\ndef area(r):\n    """The area of a circle."""\n'
)


def ran(text: str, entry_point: str = "area", prompt_code: str = PROMPT) -> dict[str, object]:
    """What a program defines when it is put together and run."""
    names: dict[str, object] = {}
    exec(assembled(text, entry_point=entry_point, prompt_code=prompt_code).text, names)
    return names


@pytest.mark.parametrize(
    ("reply", "program"),
    [
        ("Here:\n```python\nx = 1\n```\nDone.", "x = 1"),
        ("```python\nx = 1\n```\nor\n```python\nx = 2\n```", "x = 2"),
        ("~~~py\nx = 1\n~~~", "x = 1"),
        ("```\nx = 1\n```", "x = 1"),
        ("```Python\nx = 1\n```", "x = 1"),
        ("```python\nx = 1", "x = 1"),
        ("1. so:\n   ```python\n   if x:\n       y\n   ```", "if x:\n    y"),
        ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''"),
        ("<think>```python\nx = 1\n```</think>```python\nx = 2\n```", "x = 2"),
        ("```python\nx = 1\n```\nIt prints\n```text\n1\n```", "x = 1"),
        ("```text\nhello there\n```\n```code\nx = 1\n```", "x = 1"),
        ("def f():\n    return 1", "def f():\n    return 1"),
        ("    return r * r", "    return r * r"),
        ("print(input())", "print(input())"),
    ],
)
def test_the_program_is_the_last_block_of_python_or_the_reply_itself(reply: str, program: str) -> None:
    assert program_in(reply, prompt_code=PROMPT) == Program(program)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "  \n",
        "Sorry.",
        "I cannot do that.",
        "yes",
        "42",
        "'quoted'",
        "```bash\nls\n```",
        "<think>x = 1</think>",
    ],
)
def test_a_reply_without_code_holds_no_program(reply: str) -> None:
    assert program_in(reply, entry_point="f") is None


def test_an_example_of_use_below_the_program_does_not_take_its_place() -> None:
    reply = "```python\ndef area(r):\n    return r\n```\nUse it so:\n```python\nprint(area(2))\n```"
    found = program_in(reply, entry_point="area")
    assert found is not None
    assert found.text.startswith("def area")


def test_a_name_that_only_begins_like_the_entry_point_is_not_it() -> None:
    reply = "```python\ndef area(r):\n    return r\n```\n```python\ndef area_of_square(r):\n    return r\n```"
    found = program_in(reply, entry_point="area")
    assert found is not None
    assert found.text.startswith("def area(")


@pytest.mark.parametrize(
    "reply",
    [
        "```python helper.py\ny = 1\n```\n```python\nx = 1\n```",
        "```python\nx = 1\n```\n`helper.py`:\n```python\ny = 1\n```",
        "**helper.py**\n\n```python\ny = 1\n```\nand\n```\nx = 1\n```",
        '```python title="helper.py"\ny = 1\n```\n```python\nx = 1\n```',
        "### File: helper.py\n```\ny = 1\n```\nThe program:\n```python\nx = 1\n```",
        "```helper.py\ny = 1\n```\n\n```python\nx = 1\n```",
    ],
)
def test_a_block_whose_fence_or_heading_names_a_file_is_that_file(reply: str) -> None:
    assert program_in(reply) == Program("x = 1", {"helper.py": "y = 1\n"})


def test_of_named_files_alone_the_one_that_defines_the_entry_point_is_run() -> None:
    reply = "```python area.py\ndef area(r):\n    return r\n```\n```python helper.py\ny = 1\n```\n"
    reply += "```data.txt\n7\n```"
    found = program_in(reply, entry_point="area")
    assert found is not None
    assert found.text == "def area(r):\n    return r\n"
    assert set(found.files) == {"area.py", "helper.py", "data.txt"}


def test_of_named_files_without_the_entry_point_main_is_run() -> None:
    found = program_in("```python main.py\nx = 1\n```\n```python helper.py\ny = 1\n```")
    assert found is not None
    assert found.text == "x = 1\n"


@pytest.mark.parametrize("name", ["../escape.py", "/etc/passwd.py", "a/../../b.py", "", "a\0b.py"])
def test_a_name_that_leads_out_of_the_folder_is_not_safe(name: str) -> None:
    assert not is_safe(name)


def test_a_block_with_an_unsafe_name_is_an_ordinary_block() -> None:
    found = program_in("```python ../x.py\nx = 1\n```")
    assert found is not None
    assert not found.files


@pytest.mark.parametrize(
    "text",
    [
        "    return math.pi * r**2",
        "    return math.pi * r**2\n",
        "return math.pi * r**2",
        "\n\nreturn math.pi * r**2",
        "x = r**2\nreturn math.pi * x",
        "x = r**2\n    return math.pi * x",
        "    return area_of(r)\n\n\ndef area_of(x):\n    return math.pi * x**2\n",
        "    def area(x):\n        return x**2\n    return math.pi * area(r)\n",
        "def area(r):\n    return math.pi * r**2\n",
        "\n\ndef area(r):\n    return math.pi * r**2",
        "def area_of(x):\n    return math.pi * x**2\n\n\ndef area(r):\n    return area_of(r)\n",
        "area = lambda r: math.pi * r**2",
        f"{PROMPT}    return math.pi * r**2\n",
    ],
)
def test_a_body_and_a_whole_function_both_work(text: str) -> None:
    assert round(ran(text)["area"](1), 5) == 3.14159  # type: ignore[operator]


def test_a_whole_function_finds_the_imports_and_helpers_of_its_prompt() -> None:
    assert ran("def area(r):\n    return half(math.floor(r))")["area"](5) == 2.5  # type: ignore[operator]


def test_a_program_without_the_entry_point_does_not_get_an_empty_one_from_the_prompt() -> None:
    names = ran("def aera(r):\n    return r")
    assert "area" not in names
    assert {"half", "math", "aera"} <= set(names)


def test_a_decorated_entry_point_in_the_prompt_goes_with_its_decorator() -> None:
    prompt = 'import functools\n\n@functools.cache\ndef area(r):\n    """Doc."""\n'
    assert "cache" not in assembled("def aera(r):\n    return r", entry_point="area", prompt_code=prompt).text


def test_a_prompt_without_a_docstring_is_understood() -> None:
    prompt = "import math\n\ndef area(r):\n"
    assert ran("    return math.floor(r)", prompt_code=prompt)["area"](2.5) == 2  # type: ignore[operator]
    assert ran("def area(r):\n    return math.floor(r)", prompt_code=prompt)["area"](2.5) == 2  # type: ignore[operator]


@pytest.mark.parametrize(
    "text", ["    return r\n", "def area(r):\n    return r\n", "\n\nreturn r", "x = (", "return r\n"]
)
def test_the_agents_first_line_follows_the_lines_before_it(text: str) -> None:
    whole = assembled(text, entry_point="area", prompt_code=PROMPT)
    lines, own = whole.text.splitlines(), text.splitlines()
    assert [line.strip() for line in lines[whole.before :]] == [line.strip() for line in own]


def test_without_code_of_the_prompt_a_program_is_run_as_it_is() -> None:
    assert assembled("return 1").text == "return 1"


@pytest.mark.parametrize("text", ["x = (", "def area(r)\n    return r", "    return r +", "\0", "(" * 5_000])
def test_what_does_not_parse_is_left_for_python_to_say(text: str) -> None:
    assert text.strip("\n") in assembled(text, entry_point="area", prompt_code=PROMPT).text


@pytest.mark.parametrize(
    "text", ["-" * 100_000 + "1", "[" * 100_000, "+".join(["1"] * 50_000), "x" * 300_000]
)
def test_a_text_made_to_break_a_parser_is_no_module_and_breaks_nothing(text: str) -> None:
    assert parsed(text) is None or isinstance(parsed(text), ast.Module)
    assembled(text, entry_point="area", prompt_code=PROMPT)


@pytest.mark.parametrize("piece", ["<think>", "```\n", "`", "# ", "a.", "file: ", "*", "<think></think>"])
def test_a_reply_made_to_be_slow_is_read_quickly(piece: str) -> None:
    program_in(piece * 100_000, entry_point="f", prompt_code=PROMPT)


@given(st.text(alphabet=string.ascii_letters + "`~ \n#*.=()<>/", max_size=200))
@example("```\n```\n```")
def test_any_reply_can_be_read(reply: str) -> None:
    found = program_in(reply, entry_point="f", prompt_code=PROMPT)
    assert found is None or all(is_safe(name) for name in found.files)


@given(
    st.integers(0, 8),
    st.sampled_from(["python", "py", ""]),
    st.text("ab=1 \n\r\f\x1c\u2028", min_size=1, max_size=60),
)
def test_what_is_fenced_comes_out_as_it_went_in(before: int, label: str, body: str) -> None:
    found = program_in("words\n" * before + f"```{label}\nx = 1\n{body}\n```\nwords")
    assert found is not None
    assert found.text == f"x = 1\n{body}"
