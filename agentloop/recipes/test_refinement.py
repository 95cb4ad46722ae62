"""Test refinement: a model improves a generator of tests by how they judge right and wrong solutions.

    act (generator and commands -> tests -> solutions run -> feedback -> patches, 3 rounds) -> judge -> END

After "CodeContests-O: Powering LLMs via Feedback-Driven Iterative Test Case Generation"
(arXiv 2601.13682). The rounds are the steps of one attempt.
"""

from __future__ import annotations

from collections.abc import Callable

from agentloop.errors import BadInput
from agentloop.graph import Agent, reflect_and_retry
from agentloop.prompts import Prompts
from agentloop.recipes.measuring_tests import Measuring, RunProgram, same_output
from agentloop.recipes.refining import RefinedTests, RefineTestsSettings, Refining
from agentloop.recipes.rethink_feedback import Quarters, Tokenizer
from agentloop.state import State
from agentloop.stopping import Stop
from agentloop.types import Attempt, Feedback, Model


def refine_tests_agent(
    *,
    model: Model,
    run_program: RunProgram,
    same: Callable[[str, str], bool] = same_output,
    settings: RefineTestsSettings | None = None,
    tokenizer: Tokenizer | None = None,
) -> Agent:
    """An agent whose answer is a generator of tests, made better by running right and wrong solutions.

    - The task: its prompt is the problem; ``public.right`` and ``public.wrong`` are programs known to be
      right and wrong; ``public.generator`` is the program to begin with (without it the model writes one).
    - ``run_program(program, stdin, arguments)`` runs the generator and the solutions, in a sandbox.
    - ``same`` says whether two outputs are the same: line by line without blanks at the ends.

    A round: the reply's patches change the generator, its commands are added and taken away, every
    command generates an input, right solutions give the output (the most common one), and all
    solutions are run on all tests. The next round is shown right solutions that fail, wrong ones that
    pass (at most 10 of each), commands that broke and patches that found no place. It ends when every
    solution is judged rightly, after 3 rounds, or when the conversation is too long. Read the result
    with ``refined_tests(attempt)``: tests that a right solution fails are dropped from it.

    Departures: solutions compare with their case (the published comparison ignores it); a wrong
    solution that passes is shown without its outputs, which are the right ones; two commands with one
    input make one test; a reply without commands is told so, where the published program gives up.
    """
    chosen = settings or RefineTestsSettings()
    for name in ("rounds", "shown", "shown_characters", "concurrency"):
        value = getattr(chosen, name)
        if value < 1:
            raise BadInput(f"{name} must be at least 1, got {value}")
    prompts = getattr(model, "prompts", None) or Prompts()
    measuring = Measuring(run_program, same=same, concurrency=chosen.concurrency)
    return reflect_and_retry(
        model=model,
        critic=judge_tests,
        environment=Refining(measuring, chosen, prompts, tokenizer=tokenizer or Quarters()),
        attempts=1,
        max_steps=chosen.rounds,
        stop=[_why_it_ended],
    )


def refined_tests(attempt: Attempt) -> RefinedTests:
    """What the attempt's last round came to; BadInput when it had none."""
    for step in reversed(attempt.steps):
        for fact in step.facts:
            if fact.kind == "refined_tests":
                return RefinedTests.from_dict(fact.data)
    raise BadInput(
        f"attempt {attempt.id!r} has no round of test refinement; give one of refine_tests_agent that did "
        "not break before its first round"
    )


def judge_tests(attempt: Attempt) -> Feedback:
    """Judge refined tests: they pass when they judge every solution rightly; the score is (TPR + TNR) / 2."""
    found = refined_tests(attempt)
    accepted, rejected = f"{found.right_rate:.0%}", f"{found.wrong_rate:.0%}"
    return Feedback(
        text=f"{accepted} of right solutions are accepted, {rejected} of wrong ones rejected.",
        verdict="pass" if found.settled else "fail",
        score=(found.right_rate + found.wrong_rate) / 2,
        source="tests",
        items={"tests": str(len(found.tests)), "dropped": str(len(found.dropped))},
    )


async def _why_it_ended(state: State) -> Stop | None:
    """Why refinement ended without judging every solution rightly."""
    attempt = state["attempt"]
    return Stop(refined_tests(attempt).ended or "rounds") if attempt.steps else None
