"""Critic SFT: the feedback on an attempt as what a critic ought to reply, given the task and the attempt.

Supervised training of a critic, as in AutoMathCritique (critique models with test-time and
training-time supervision), the first stage of MultiCritique (arXiv 2410.15287) and DeepCritic
(arXiv 2505.00662): ``L = -sum_t log pi(c_t | x, y, c_<t)`` with x the task, y the attempt, c the critique.

The prompt is the one that ``ModelCritic`` shows (texts/critic.md): the task with its public data and
the attempt, never hidden data, whatever the critic of the log had seen. The target is the JSON object
that it reads, with verdict, score and words as they were logged. So the trained model can be put in
the critic's place as it is. Where a grader scored the attempt, a critique whose verdict says otherwise
is left out and counted; one that is unsure says nothing otherwise and stays. ``label["passed"]`` and
``score`` are the grader's, and none where no grader spoke. Critiques by a critic that saw hidden data
are marked privileged: from its prompt alone a model may have no way to know what they say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from agentloop.export.groups import Group, Try
from agentloop.export.methods.answers import flagged
from agentloop.export.methods.method import CALLS, TOLD, Method
from agentloop.export.methods.words import said_and_seen, some_words_on, told_by_privileged
from agentloop.export.rows import CriticRow, LeftOut
from agentloop.prompts import Prompts
from agentloop.types import Feedback, Message, Task

DISAGREES = "its critic's verdict is not the grader's"


def rows(group: Group, prompts: Prompts) -> Iterator[CriticRow | LeftOut]:
    """A row for every attempt whose critique has words that agree with the grader."""
    for member in group.members:
        for each in member.tries:
            yield _row(group, prompts, each)


def _row(group: Group, prompts: Prompts, each: Try) -> CriticRow | LeftOut:
    words, feedback = some_words_on(each, known=said_and_seen(each)), each.attempt.feedback
    if isinstance(words, LeftOut):
        return words
    assert feedback is not None, "there are no words without feedback"
    graded = each.outcome if each.outcome and each.outcome.source == "grader" else None
    if graded and feedback.verdict != "unsure" and (feedback.verdict == "pass") != graded.passed:
        return LeftOut(DISAGREES, each.attempt.id)
    reply: Message = {"role": "assistant", "content": critique(feedback)}
    meta = group.meta("critic-sft", [each], context="request for a critique", role="critic")
    return CriticRow(
        messages=(flagged(request(prompts, each), loss=False), flagged(reply, loss=True)),
        label={"passed": int(graded.passed)} if graded else None,
        score=graded.score if graded else None,
        meta=meta.replace(privileged=meta.privileged or told_by_privileged(each)),
    )


def request(prompts: Prompts, each: Try) -> Message:
    """What a critic is asked, in the words of ``ModelCritic``: the task with its public data, the attempt."""
    text = prompts.render("critic", task=_task(each.trajectory.task), attempt=_attempt(each))
    return {"role": "user", "content": text}


def critique(feedback: Feedback) -> str:
    """The feedback as a reply that ``ModelCritic`` reads: one JSON object; ``score`` may be null."""
    values = {"verdict": feedback.verdict, "score": feedback.score, "feedback": feedback.text.strip()}
    return json.dumps(values, ensure_ascii=False)


def _task(task: Task) -> str:
    public = [f"{name}: {value}" for name, value in task.public.items()]
    return "\n".join([task.prompt, *(["", *public] if public else [])])


def _attempt(each: Try) -> str:
    """What was done and seen, then the answer where it is not the last action."""
    attempt = each.attempt
    parts = [f"Action:\n{step.action}\nObservation:\n{step.observation}" for step in attempt.steps]
    if not attempt.steps or attempt.steps[-1].action.strip() != attempt.text.strip():
        parts.append(f"Answer:\n{attempt.text}" if parts else attempt.text)
    return "\n\n".join(parts)


METHOD = Method(
    name="critic-sft",
    about="supervised fine-tuning of a critic on the logged feedback, without what the grader contradicts",
    source="as in AutoMathCritique, MultiCritique (arXiv 2410.15287), DeepCritic (arXiv 2505.00662)",
    nothing="an attempt with feedback in words that the grader does not contradict",
    kinds=(CriticRow,),
    rows=rows,
    needs=(CALLS, TOLD),
)
