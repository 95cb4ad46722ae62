"""The hostile programs in every form of the sandbox: stopped, or at the least not forged."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.hostile_judge import below, processes
from tests.hostile_runs import FORMS, HONEST, LISTED, PROGRAMS, Form, Suite, Unavailable

FORGERS = [name for name in PROGRAMS if name[:2] in ("10", "11", "12", "13", "21", "34", "38", "43")]
"""Those that runners of the usual kind take for right."""


@contextmanager
def started(form: Form) -> Iterator[Suite]:
    with ExitStack() as stack:
        try:
            suite = stack.enter_context(Suite(form))
        except Unavailable as missing:
            pytest.skip(f"SKIPPED: no hostile program was run in the form {form.name!r}: {missing}")
        yield suite


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


def test_the_harness_itself_leaves_no_process() -> None:
    before = below(os.getpid(), processes())
    with started(FORMS["full"]) as suite:
        assert suite.honest("honest-plain").passed
        assert below(os.getpid(), processes()) != before
    assert below(os.getpid(), processes()) == before


def test_programs_that_forge_elsewhere_do_not_forge_here() -> None:
    form = Form("any", keywords={"require": "any", "workers": 1})
    with started(form) as suite:
        assert [name for name in FORGERS if suite.outcome(name).passed] == []
        assert suite.honest("honest-plain").passed


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="others than root have not all layers everywhere")
def test_the_form_has_the_layers_it_is_tried_with(suite: Suite) -> None:
    assert " ".join(suite.layers) == suite.form.layers


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_hostile_program_is_stopped(suite: Suite, program: str) -> None:
    outcome = suite.outcome(program)
    assert not outcome.passed, "the verdict was forged"
    assert not any(effect.startswith("not run") for effect in outcome.effects)
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
