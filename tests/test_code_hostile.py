"""The hostile programs in every form of the sandbox: stopped, or at the least not forged."""

from collections.abc import Iterator

import pytest

from tests.hostile_runs import FORMS, HONEST, LISTED, PROGRAMS, Form, Suite, Unavailable

FORGERS = [name for name in PROGRAMS if name[:2] in ("10", "11", "12", "13", "21", "43")]


def started(form: Form) -> Suite:
    suite = Suite(form)
    try:
        return suite.__enter__()
    except Unavailable as missing:
        pytest.skip(f"{form.name}: {missing}")


@pytest.fixture(scope="module", params=FORMS.values(), ids=FORMS)
def suite(request: pytest.FixtureRequest) -> Iterator[Suite]:
    """One form after the other, each with its judge."""
    with started(request.param) as found:
        yield found


def test_the_list_is_whole() -> None:
    numbers = [int(name[:2]) for name in PROGRAMS]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= LISTED + 10
    assert len(HONEST) == 3


def test_no_verdict_is_forged_by_the_programs_that_forge_elsewhere() -> None:
    with started(FORMS["full"]._replace(name="any", keywords={"require": "any", "workers": 1})) as suite:
        assert [name for name in FORGERS if suite.outcome(name).passed] == []
        assert suite.honest("honest-plain").passed


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_hostile_program_is_stopped(suite: Suite, program: str) -> None:
    outcome = suite.outcome(program)
    assert not outcome.passed, "the verdict was forged"
    if suite.form.judged == "effects":
        assert outcome.effects == (), outcome.text[:2000]


@pytest.mark.slow
@pytest.mark.parametrize("program", HONEST)
def test_an_honest_program_passes(suite: Suite, program: str) -> None:
    outcome = suite.honest(program)
    assert outcome.passed, outcome.text[:2000]
    assert outcome.effects == ()


@pytest.mark.slow
def test_closing_leaves_nothing(suite: Suite) -> None:
    assert suite.left_by_closing() == []
