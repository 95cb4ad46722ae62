"""The embedded model of short Python functions, in the real sandbox."""

import re
from pathlib import Path

import pytest

from agentloop import ChatModel, improve, reflect_and_retry, sees_hidden, tiny
from agentloop.environments import CodeEnvironment
from agentloop.environments.code import code_passes


def passed(folder: Path, level: str) -> tuple[int, int]:
    """How many of 24 tasks pass at the first attempt, and after one retry."""
    environment = CodeEnvironment(require="any", workers=2)
    try:
        agent = reflect_and_retry(
            model=ChatModel("local/tiny-python", temperature=0.0),
            environment=environment,
            critic=sees_hidden(tiny.python_critic(level)),  # type: ignore[arg-type]
            attempts=2,
        )
        run = improve(agent, tiny.python_tasks("dev", 24, 7), folder=folder, grader=code_passes)
        found = list(run.trajectories())
    finally:
        environment.close()
    return sum(bool(each.attempts[0].passed) for each in found), sum(bool(each.passed) for each in found)


@pytest.mark.slow
def test_words_mend_what_the_small_model_got_wrong_and_a_bare_verdict_does_not(tmp_path: Path) -> None:
    first, told = passed(tmp_path / "explained", "explained")
    same, blind = passed(tmp_path / "binary", "binary")
    assert first == same < 20
    assert told - first >= 4
    assert blind - first <= 2


def test_the_programs_of_its_page_run() -> None:
    page = Path(tiny.__file__).parent / "python_checkpoint" / "README.md"
    for program in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(compile(program, str(page), "exec"), {})
