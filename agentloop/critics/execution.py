"""A critic that puts into words what the environment found out by running the attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from agentloop.critics.sql_words import SQL_WORDS
from agentloop.critics.words import Finding
from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.types import Attempt, Fact, Feedback, FeedbackKind, Span, Verdict

Detail: TypeAlias = Literal["unary", "binary", "located", "explained"]
Words: TypeAlias = Callable[[Mapping[str, Any]], Finding | None]

WORDS: Mapping[str, Words] = {**SQL_WORDS}
"""What is said of each kind of fact. Facts of other kinds are passed over."""

NOTHING_RUN = "Nothing was run, so nothing could be checked."
RIGHT = "The answer is right."
RAN = "The answer ran; whether it is right was not checked."
NEAREST_TO_RIGHT = 0.9


class _Judged(NamedTuple):
    verdict: Verdict
    findings: Sequence[Finding]


def execution_critic(
    level: Detail = "explained", *, prompts: Prompts | None = None
) -> Callable[[Attempt], Feedback]:
    """A critic that tells the facts of an attempt's last step and of the state it left.

    ``level``: "unary" says only to try again, "binary" that the answer is wrong, "located" also
    where or in which respect, "explained" also how, as far as the facts go. What passed is said to
    be right at every level.

    The verdict is "fail" where running failed: an error, a refusal, a time-out. Where it went well
    the verdict is "unsure", since to run is not to be right, unless the facts say more: wrapped in
    ``sees_hidden`` the critic is also given whether the result is the wanted one, and then knows
    "pass" from "fail". It counts and names what is wrong with the agent's own rows and columns, and
    tells neither the accepted query nor a wanted row.

    The score is 1 for a pass, 0 where running failed, at most 0.9 for a result that is in part the
    wanted one, and None where nothing is known.
    """
    if level not in get_args(Detail):
        raise BadInput(f"level must be one of {', '.join(get_args(Detail))}, got {level!r}")
    texts = prompts or Prompts()

    def critic(attempt: Attempt) -> Feedback:
        judged = _judge(attempt)
        located = level in ("located", "explained")
        return Feedback(
            text=_text(judged, level, texts),
            verdict=judged.verdict,
            score=_score(judged),
            kind=_kind(judged.verdict, level),
            source="execution",
            spans=_spans(attempt) if located and judged.verdict == "fail" else (),
        )

    return critic


def _judge(attempt: Attempt) -> _Judged:
    """The findings, gravest first; only they count that are about the last step or the end."""
    facts = (*(attempt.steps[-1].facts if attempt.steps else ()), *attempt.facts)
    if attempt.error is not None:
        return _Judged("unsure", [Finding("unsure", f"The attempt broke off: {attempt.error}")])
    if not facts:
        return _Judged("unsure", [Finding("unsure", NOTHING_RUN)])
    findings = [found for fact in facts if fact.kind in WORDS and (found := WORDS[fact.kind](fact.data))]
    verdicts = {finding.verdict for finding in findings}
    if "fail" in verdicts:
        # What is unsure is of use beside a failure only where it hints at the cause.
        told = [finding for finding in findings if finding.verdict == "fail" or finding.how]
        return _Judged("fail", sorted(told, key=lambda finding: finding.verdict != "fail"))
    if "pass" in verdicts:
        return _Judged("pass", [finding for finding in findings if finding.verdict == "pass"])
    return _Judged("unsure", findings or [Finding("unsure", RAN)])


def _text(judged: _Judged, level: Detail, texts: Prompts) -> str:
    if judged.verdict == "pass":
        return RIGHT
    if level == "unary":
        return texts.render("again")
    if level == "binary":
        return texts.render("binary") if judged.verdict == "fail" else RAN
    said = [finding.where for finding in judged.findings]
    if level == "explained":
        said = [
            " ".join(part for part in (finding.where, finding.how) if part) for finding in judged.findings
        ]
    return " ".join(dict.fromkeys(part for part in said if part))


def _score(judged: _Judged) -> float | None:
    if judged.verdict == "pass":
        return 1.0
    if judged.verdict == "unsure":
        return None
    return NEAREST_TO_RIGHT * min(finding.share for finding in judged.findings if finding.verdict == "fail")


def _kind(verdict: Verdict, level: Detail) -> FeedbackKind:
    if verdict != "pass" and level == "unary":
        return "unary"
    return "binary" if level in ("unary", "binary") else "critique"


def _spans(attempt: Attempt) -> tuple[Span, ...]:
    """The place of the error in the attempt's text, where the environment knows it."""
    facts: Sequence[Fact] = attempt.steps[-1].facts if attempt.steps else ()
    run = next((fact.data["sql"] for fact in facts if fact.kind == "query"), None)
    begin = attempt.text.rfind(run) if run else -1
    if begin < 0:
        return ()
    return tuple(
        Span(start=begin + fact.data["start"], end=begin + fact.data["end"], label=fact.data["kind"])
        for fact in facts
        if fact.kind == "error" and "start" in fact.data
    )
