"""Builds trajectories as a journal would give them, with a tokenizer of one id a character."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentloop.types import Attempt, Call, Feedback, Message, Reflection, Reply, Step, Task, Trajectory

START, END = 1, 2
ROLES = {"system": 3, "user": 4, "assistant": 5}
TASK = Task(id="count", prompt="How many users?", split="train")


def encode(text: str) -> list[int]:
    """One token id for each character."""
    return [ord(letter) + 100 for letter in text]


def decode(ids: Sequence[int]) -> str:
    """The text of token ids, without the marks."""
    return "".join(chr(each - 100) for each in ids if each >= 100)


def render(messages: Sequence[Message], opening: bool) -> list[int]:
    """A chat template whose prompt is a prefix of prompt and answer."""
    ids: list[int] = []
    for message in messages:
        ids += [START, ROLES[message["role"]], *encode(message["content"]), END]
    return [*ids, START, ROLES["assistant"]] if opening else ids


@dataclass
class Tried:
    """What one attempt is to look like: one text, or the actions of several steps."""

    says: str | list[str]
    score: float | None = None
    told: str | None = None
    verdict: str = "unsure"
    privileged: bool = False
    error: str | None = None
    cuts_replies_otherwise: bool = False
    ids: bool = True
    lp: bool = True
    reflects: str | None = None


def attempt_of(trajectory: str, number: int, tried: Tried, opening: list[Message], task: Task) -> Any:
    """The attempt and its calls."""
    actions = [tried.says] if isinstance(tried.says, str) else tried.says
    messages, calls, steps = list(opening), [], []
    for ordinal, action in enumerate(actions):
        place = f"{trajectory}/{number}/act/{2 * ordinal}"
        prompt = render(messages, True)
        if tried.cuts_replies_otherwise and ordinal:
            prompt.insert(len(render(opening, True)), 99)
        spoken = [*encode(action), END]
        reply = Reply(
            text=action,
            token_ids=tuple(spoken) if tried.ids else None,
            prompt_token_ids=tuple(prompt) if tried.ids else None,
            logprobs=tuple(-0.5 - 0.01 * i for i in range(len(spoken))) if tried.lp else None,
            finish_reason="stop",
        )
        calls.append(
            Call(
                place=place, role="actor", model="m", policy="p1", messages=tuple(messages), replies=(reply,)
            )
        )
        seen = f"saw {action}"
        if len(actions) > 1:
            steps.append(Step(action=action, observation=seen, call=place))
        messages += [{"role": "assistant", "content": action}, {"role": "user", "content": seen}]
    feedback = None
    if tried.told is not None:
        feedback = Feedback(text=tried.told, verdict=tried.verdict, privileged=tried.privileged)  # type: ignore[arg-type]
    attempt = Attempt(
        id=f"{trajectory}/{number}",
        trajectory=trajectory,
        task=task,
        number=number,
        text=actions[-1],
        calls=tuple(call.place for call in calls),
        steps=tuple(steps),
        feedback=feedback,
        error=tried.error,
        score=tried.score,
        passed=None if tried.score is None else tried.score >= 1.0,
    )
    return attempt, calls


def reflected(attempt: Attempt, tried: Tried) -> tuple[Attempt, Call]:
    """The attempt with a reflection on it, and the call in which it was made."""
    place, text = f"{attempt.trajectory}/{attempt.number}/reflect/0", tried.reflects or ""
    asked = f"What went wrong?\n{attempt.task.prompt}\n{attempt.text}\n{tried.told}"
    shown: Message = {"role": "user", "content": asked}
    spoken = (*encode(text), END)
    reply = Reply(
        text=text,
        token_ids=spoken if tried.ids else None,
        prompt_token_ids=tuple(render([shown], True)) if tried.ids else None,
        logprobs=tuple(-0.25 - 0.01 * i for i in range(len(spoken))) if tried.lp else None,
        finish_reason="stop",
    )
    call = Call(place=place, role="reflector", model="r", policy="p2", messages=(shown,), replies=(reply,))
    reflection = Reflection(text=text, call=place)
    return attempt.replace(reflection=reflection, calls=(*attempt.calls, place)), call


def log(name: str, *tries: Tried, group: str = "count", task: Task = TASK, system: str = "") -> Trajectory:
    """A trajectory; each retry is shown the attempt before it and the feedback on it."""
    before: list[Message] = [{"role": "system", "content": system}] if system else []
    first: list[Message] = [*before, {"role": "user", "content": task.prompt}]
    opening, attempts, calls = first, [], []
    for number, tried in enumerate(tries, start=1):
        attempt, made = attempt_of(name, number, tried, opening, task)
        calls += made
        if tried.reflects is not None:
            attempt, call = reflected(attempt, tried)
            calls.append(call)
        attempts.append(attempt)
        retry = f"<feedback>\n{tried.told or ''}\n</feedback>\n{tried.reflects or ''}Again."
        opening = [*first, {"role": "assistant", "content": attempt.text}, {"role": "user", "content": retry}]
    passed = [attempt.number for attempt in attempts if attempt.passed]
    return Trajectory(
        id=name,
        group_id=group,
        run="run-1",
        task=task,
        attempts=tuple(attempts),
        calls=tuple(calls),
        chosen=passed[0] if passed else len(attempts) or None,
        passed=bool(passed),
    )


def worked_example() -> list[Trajectory]:
    """Four samples of a task: first rewards 1, 0, 0, 1; the two that failed retry with rewards 1 and 0."""
    return [
        log("count/0", Tried("two", 1.0, told="Right.")),
        log("count/1", Tried("three", 0.0, told="Deleted users count."), Tried("two!", 1.0, told="Right.")),
        log("count/2", Tried("four", 0.0, told="Look at dates."), Tried("five", 0.0, told="No.")),
        log("count/3", Tried("2", 1.0, told="Right.")),
    ]


def every_need() -> list[Trajectory]:
    """The worked example, and beside it what the other methods need of a log."""

    def scoped(scope: str) -> Task:
        return Task(id=scope, prompt=f"How many users, {scope}?", split="train", public={"scope": scope})

    failed = {"says": "three", "score": 0.0, "told": "Deleted users count.", "reflects": "I forgot some."}
    again = {"says": "three", "score": 0.0, "told": "It is two.", "reflects": "I counted badly."}
    return [
        *worked_example(),
        log("same/0", Tried(**failed), Tried("two!", 1.0), group="same"),
        log("same/1", Tried(**failed), Tried("five", 0.0), group="same"),
        log("same/2", Tried(**again), Tried("four", 0.0), group="same"),
        log(
            "in/0",
            Tried("ten", 0.0, told="Say it in digits."),
            Tried("10", 1.0),
            group="in",
            task=scoped("in"),
        ),
        log("near/0", Tried("eleven", 1.0), group="near", task=scoped("near")),
        log("general/0", Tried("twelve", 1.0), group="general", task=scoped("general")),
    ]


def lines(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def spoken(line: dict[str, Any]) -> str:
    """The text that a line of format tokens trains."""
    return decode([label for label in line["labels"] if label != -100])


def shown(line: dict[str, Any]) -> str:
    """The text of all ids of a line of format tokens."""
    return decode(line["input_ids"])
