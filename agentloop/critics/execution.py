"""A critic that puts into words what the environment found out by running the attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from agentloop.critics import web_words
from agentloop.critics.code_words import CODE_WORDS, HIDDEN_CODE_WORDS, PUBLIC_RIGHT, WITH_LINES, innermost
from agentloop.critics.levels import Detail as Detail
from agentloop.critics.levels import check_level, kind_of
from agentloop.critics.sql_words import SQL_WORDS
from agentloop.critics.words import Finding
from agentloop.prompts import Prompts
from agentloop.types import Attempt, Fact, Feedback, Span, Step, Verdict

Words: TypeAlias = Callable[[Mapping[str, Any]], Finding | None]

NOTHING_RUN = "Nothing was run, so nothing could be checked."
RIGHT = "The answer is right."
RAN = "The answer ran; whether it is right was not checked."
NEAREST_TO_RIGHT = 0.9


class Vocabulary(NamedTuple):
    """What is said of each kind of fact of one environment. Facts of other kinds are passed over.

    ``hidden`` holds the words for facts that reveal what only a grader may know. ``marks`` are the
    kinds of which every step of that environment has one. ``nearest`` says what a share of the answer
    that is right is worth. ``right`` and ``ran`` are said where no more is to be told. ``earlier`` finds
    what went wrong before the last step, where that still matters at the end.
    """

    words: Mapping[str, Words]
    hidden: Mapping[str, Words]
    marks: frozenset[str]
    nearest: Callable[[float], float]
    right: str = RIGHT
    ran: str = RAN
    earlier: Callable[[Sequence[Step]], Sequence[Finding]] = lambda steps: ()


SQL = Vocabulary(SQL_WORDS, SQL_WORDS, frozenset(), lambda share: NEAREST_TO_RIGHT * share)
CODE = Vocabulary(
    CODE_WORDS,
    HIDDEN_CODE_WORDS,
    frozenset({"tests_passed", "loaded", "no_program", "unmatched_edit"}),
    lambda share: min(NEAREST_TO_RIGHT, share),
    right=PUBLIC_RIGHT,
)
WEB = Vocabulary(
    web_words.WEB_WORDS,
    web_words.WEB_WORDS,
    web_words.WEB_MARKS,
    lambda share: min(NEAREST_TO_RIGHT, share),
    right=web_words.REACHED,
    ran=web_words.NOT_SEEN,
    earlier=web_words.of_earlier,
)
WORDS = (CODE, WEB, SQL)
"""The vocabularies, in the order in which they are tried. The last takes what no other knows."""


class _Judged(NamedTuple):
    verdict: Verdict
    findings: Sequence[Finding]
    right: str = RIGHT
    ran: str = RAN
    nearest: Callable[[float], float] = SQL.nearest


def execution_critic(
    level: Detail = "explained", *, prompts: Prompts | None = None
) -> Callable[[Attempt], Feedback]:
    """A critic that tells the facts of an attempt's last step and of the state it left: of SQL, code or web.

    ``level``: "unary" says only to try again, "binary" that the answer is wrong, "located" also
    where or in which respect, "explained" also how, as far as the facts go. What passed is said to
    be right at every level.

    The verdict is "fail" where running failed: an error, a refusal, a time-out. Where it went well
    the verdict is "unsure", since to run is not to be right, unless the facts say more: wrapped in
    ``sees_hidden`` the critic is also given whether the result is the wanted one, and then knows
    "pass" from "fail". It counts and names what is wrong with the agent's own rows and columns, and
    tells neither the accepted query nor a wanted row.

    Of code, public tests decide: "pass" where they all passed, which the feedback then says, and
    "unsure" where there are none. In ``sees_hidden`` the hidden tests decide. Of public tests the
    critic tells the failing call, at "explained" also what came and what is wanted; of hidden ones it
    tells the kind of failure and the program's own line, and no input, wanted value or message.

    Of web pages the site's reward decides, and "unsure" is said of an episode that did not end. What
    hindered an earlier step, and was not done right later, is told as well.

    The score is 1 for a pass, 0 where running failed, at most 0.9 for a result that is in part the
    wanted one (of code the share of tests that passed, of web pages the reward), and None where
    nothing is known.
    """
    check_level(level)
    texts = prompts or Prompts()

    def critic(attempt: Attempt) -> Feedback:
        judged = _judge(attempt)
        located = level in ("located", "explained")
        return Feedback(
            text=_text(judged, level, texts),
            verdict=judged.verdict,
            score=_score(judged),
            kind=kind_of(judged.verdict, level),
            source="execution",
            spans=_spans(attempt) if located and judged.verdict != "pass" else (),
        )

    return critic


def _judge(attempt: Attempt) -> _Judged:
    """The findings, gravest first; only they count that are about the last step or the end."""
    facts = (*(attempt.steps[-1].facts if attempt.steps else ()), *attempt.facts)
    if attempt.error is not None:
        return _Judged("unsure", [Finding("unsure", f"The attempt broke off: {attempt.error}")])
    if not facts:
        return _Judged("unsure", [Finding("unsure", NOTHING_RUN)])
    vocabulary = next((each for each in WORDS if each.marks & {fact.kind for fact in facts}), WORDS[-1])
    found = [(fact, finding) for fact in facts if (finding := _finding(fact, vocabulary))]
    if vocabulary is CODE and (known := [each for fact, each in found if _is_known_right(fact, each)]):
        return _Judged("pass", known)
    findings = [*(finding for _, finding in found), *vocabulary.earlier(attempt.steps[:-1])]
    verdicts = {finding.verdict for finding in findings}
    if "fail" in verdicts:
        # What is unsure is of use beside a failure only where it hints at the cause.
        told = [finding for finding in findings if finding.verdict == "fail" or finding.how]
        told.sort(key=lambda finding: finding.verdict != "fail")
        return _Judged("fail", told, nearest=vocabulary.nearest)
    if "pass" in verdicts:
        passed = [finding for finding in findings if finding.verdict == "pass"]
        return _Judged("pass", passed, right=vocabulary.right)
    return _Judged("unsure", findings or [Finding("unsure", vocabulary.ran)], ran=vocabulary.ran)


def _finding(fact: Fact, vocabulary: Vocabulary) -> Finding | None:
    words = (vocabulary.hidden if fact.hidden else vocabulary.words).get(fact.kind)
    return words(fact.data) if words else None


def _is_known_right(fact: Fact, finding: Finding) -> bool:
    """Hidden tests that passed decide, even against a public one: an example in a prompt can be wrong."""
    return fact.hidden and finding.verdict == "pass"


def _text(judged: _Judged, level: Detail, texts: Prompts) -> str:
    if judged.verdict == "pass":
        return judged.right
    if level == "unary":
        return texts.render("again")
    if level == "binary":
        return texts.render("binary") if judged.verdict == "fail" else judged.ran
    said = [finding.where for finding in judged.findings]
    if level == "explained":
        said = [
            " ".join(part for part in (finding.where, finding.how) if part) for finding in judged.findings
        ]
    return " ".join(dict.fromkeys(part for part in said if part)) or judged.ran


def _score(judged: _Judged) -> float | None:
    if judged.verdict == "pass":
        return 1.0
    if judged.verdict == "unsure":
        return None
    return judged.nearest(min(finding.share for finding in judged.findings if finding.verdict == "fail"))


def _spans(attempt: Attempt) -> tuple[Span, ...]:
    """The place of the error in the attempt's text, where the environment knows it."""
    facts: Sequence[Fact] = attempt.steps[-1].facts if attempt.steps else ()
    for fact in facts:
        if fact.kind == "query":
            return _of_statement(attempt.text, fact.data["sql"], facts)
        if fact.kind == "program":
            return _of_lines(attempt.text, fact.data["text"].strip("\n"), facts)
    return web_words.spans_of(attempt.text, facts)


def _of_statement(text: str, run: str, facts: Sequence[Fact]) -> tuple[Span, ...]:
    begin = text.rfind(run) if run else -1
    if begin < 0:
        return ()
    return tuple(
        Span(start=begin + fact.data["start"], end=begin + fact.data["end"], label=fact.data["kind"])
        for fact in facts
        if fact.kind == "error" and "start" in fact.data
    )


def _of_lines(text: str, run: str, facts: Sequence[Fact]) -> tuple[Span, ...]:
    """The lines of the program that facts name. A program that came about by edits is not in the text."""
    begin = text.rfind(run) if run else -1
    if begin < 0:
        return ()
    lines = [f"{line}\n" for line in run.split("\n")]
    spans: dict[int, Span] = {}
    for fact in facts:
        line = innermost(fact.data)
        if fact.kind in WITH_LINES and line is not None and line <= len(lines):
            before, own = begin + sum(map(len, lines[: line - 1])), lines[line - 1]
            start = before + len(own) - len(own.lstrip())
            end = before + len(own.rstrip())
            spans[line] = Span(start=start, end=end, label=fact.data.get("type", fact.kind))
    return tuple(spans.values())
