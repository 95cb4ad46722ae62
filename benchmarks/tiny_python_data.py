"""Conversations on short Python functions for the training of a small model, beside those on SQL.

A conversation has the same kinds and shares as one on SQL (``tiny_data``): a question with or
without notes and its answer, or a wrong answer, what the critic says of it, and the right one.
"""

from __future__ import annotations

from typing import NamedTuple

from tiny_data import HOUSE_NAMES, Conversations, Said, reads
from tiny_python_slips import Draft, python_slip
from tiny_slips import misread

from agentloop.prompts import Prompts
from agentloop.tiny.drawing import PAIRS
from agentloop.tiny.families import FAMILIES, Family
from agentloop.tiny.form import Form
from agentloop.tiny.houses import USUAL, House, Sense
from agentloop.tiny.python_critic import Speech, located
from agentloop.tiny.python_drawing import Asked, draw_function, example, senses_fit
from agentloop.tiny.python_gaps import Gap, gaps
from agentloop.tiny.python_program import parse, program
from agentloop.tiny.python_subjects import PYTHON_WORDS, Subject, draw_subject
from agentloop.tiny.query import Query
from agentloop.tiny.words import Words


class PythonScene(NamedTuple):
    """A function that is asked for, with notes above."""

    asked: Asked
    notes: tuple[str, ...]

    @property
    def form(self) -> Form:
        """What is meant."""
        return self.asked.form


class PythonConversations(Conversations):
    """Draws conversations on functions; ``sql`` is the share of those that are on SQL instead."""

    def __init__(
        self, seed: int, prompts: Prompts, *, noted: float = 0.16, rivals: float = 0.0, sql: float = 0.0
    ) -> None:
        super().__init__(seed, prompts, noted=noted, rivals=rivals)
        self.sql = sql
        self.on_sql = Conversations(seed + 1000, prompts, noted=noted, rivals=rivals)

    def next(self) -> list[Said]:
        """One conversation."""
        if self.draw.random() < self.sql:
            return self.on_sql.next()
        kind = self.draw.random()
        if kind < 0.16:
            return self._function(noted=False)
        if kind < 0.16 + self.noted:
            return self._function(noted=True)
        return self._retried()

    def _function(self, *, noted: bool) -> list[Said]:
        scene = self._function_scene(told=False, noted=noted)
        return [self._ask(scene), Said("assistant", _right(scene, scene.form.query), 1.0)]

    def _retried(self) -> list[Said]:
        draw, kind = self.draw, self.draw.random()
        noted = draw.random() < 0.2
        if kind < 0.72:
            return self._explained(self._function_scene(told=True, noted=noted), "explained")
        if kind < 0.78:
            return self._explained(self._function_scene(told=True, noted=noted), "located")
        scene = self._function_scene(told=False, noted=noted)
        if kind < 0.92:
            said = self.prompts.render("again" if draw.random() < 0.5 else "binary")
        else:
            said = self._words_of_another(scene.form)
        return self._unhelped(scene, said)

    def _explained(self, scene: PythonScene, level: Speech) -> list[Said]:
        """A wrong answer, mostly by the usual readings, and the critic's words on it."""
        draw, form = self.draw, scene.form
        wrong = form.query
        for slot, word in form.words.items():
            noted = any(f"{form.house}, {word} means" in note for note in scene.notes)
            if draw.random() < (0.3 if noted else 0.8):
                wrong = _with_reading_of(form, wrong, misread(draw, form, slot), slot)
        draft = Draft(scene.asked.name, form.query.table, wrong)
        for _ in range(
            draw.choices(range(3), (70, 25, 5))[0] if wrong != form.query else draw.choice((1, 1, 2))
        ):
            draft = python_slip(draw, draft, scene.asked.subject)
        text = draft.text()
        if draw.random() < 0.02:
            text = text[: draw.randrange(8, len(text))].strip()
            said = f"this is not one plain function of {form.query.table}"
            return self._mended(scene, text, said, form.query)
        found = _gaps(text, scene)
        if not found:
            return self.next()
        if level == "located":
            return self._mended(scene, text, located(found[0].line), form.query)
        feedback = "; ".join(gap.text for gap in found[:2])
        return self._mended(scene, text, feedback, _as_told(form, wrong, feedback))

    def _unhelped(self, scene: PythonScene, feedback: str) -> list[Said]:
        """Nothing useful is said: mend slips; a reading seldom changes."""
        draw, form = self.draw, scene.form
        draft = Draft(scene.asked.name, form.query.table, form.query)
        if form.words and draw.random() < 0.3:
            slot = draw.choice(sorted(form.words))
            draft = draft._replace(query=misread(draw, form, slot))
        else:
            draft = python_slip(draw, draft, scene.asked.subject)
        return self._mended(scene, draft.text(), feedback, form.query)

    def _mended(self, scene: PythonScene, wrong: str, feedback: str, right: Query) -> list[Said]:
        return [
            self._ask(scene),
            Said("assistant", wrong, 0.0),
            Said("user", self.prompts.render("retry", feedback=feedback), 0.2),
            Said("assistant", _right(scene, right), 1.0),
        ]

    def _ask(self, scene: PythonScene) -> Said:
        notes = ""
        if scene.notes:
            notes = self.prompts.render("notes", corrections="\n".join(f"- {note}" for note in scene.notes))
        return Said("user", self.prompts.render("task", notes=notes, task=scene.asked.prompt()), 0.0)

    def _function_scene(self, *, told: bool, noted: bool) -> PythonScene:
        draw = self.draw
        while True:
            vocabulary = Words(draw, taken=set(PYTHON_WORDS))
            subject = self._subject(vocabulary)
            senses = draw.choices(
                ((), tuple(draw.choices(list(USUAL), (6, 4, 3, 6))), draw.choice(PAIRS)), (3, 5, 2)
            )[0]
            if not senses_fit(subject, senses):
                continue
            asker = draw.choice(HOUSE_NAMES) if draw.random() < 0.93 else vocabulary.next()
            form = draw_function(draw, subject, House(asker, self._readings(told)), senses=senses)
            notes: tuple[str, ...] = ()
            if noted:
                form, notes = self._noted(form)
            name = vocabulary.next()
            shown = example(draw, subject, form, name=name, new_word=vocabulary.next)
            if shown is not None:
                return PythonScene(Asked(name, subject, form, shown), notes)

    def _subject(self, vocabulary: Words) -> Subject:
        draw = self.draw
        if draw.random() < 0.4:
            return draw_subject(draw, draw.choice(FAMILIES), vocabulary)
        key = draw.choice(("name", "name", "title", vocabulary.next()))
        kind = Family(vocabulary.next(), key, vocabulary.several(3), vocabulary.several(4))
        return draw_subject(draw, kind, vocabulary)

    def _words_of_another(self, form: Form) -> str:
        """What the critic might say of another function; never a true reading for this one."""
        draw = self.draw
        if form.words and draw.random() < 0.3:
            return self._rival(form, draw.choice(sorted(form.words.values())))
        vocabulary = Words(draw, taken=set(PYTHON_WORDS))
        subject = self._subject(vocabulary)
        houses = [name for name in HOUSE_NAMES if name != form.house]
        asker = House(draw.choice(houses), self._readings(told=True))
        mixes: tuple[tuple[Sense, ...], ...] = ((), ("quantity", "direction"), ("aggregate",), ("quantity",))
        senses = draw.choice(mixes)
        other = draw_function(draw, subject, asker, senses=senses)
        name, wrong = vocabulary.next(), other.query
        for slot in other.words:
            wrong = _with_reading_of(other, wrong, misread(draw, other, slot), slot)
        draft = Draft(name, wrong.table, wrong)
        if wrong == other.query or draw.random() < 0.2:
            draft = python_slip(draw, draft, subject)
        found = _gaps(draft.text(), PythonScene(Asked(name, subject, other, ""), ()))
        return "; ".join(gap.text for gap in found[:2]) or f"the function must be called {name}"


def _gaps(text: str, scene: PythonScene) -> list[Gap]:
    parsed = parse(text)
    return gaps(parsed, scene.asked.name, scene.form) if parsed else []


def _right(scene: PythonScene, query: Query) -> str:
    return program(scene.asked.name, query)


def _as_told(form: Form, misreadings: Query, feedback: str) -> Query:
    """The right answer as far as the feedback tells it: a reading that it leaves out stays as it was."""
    right = form.query
    for slot, word in form.words.items():
        if reads(form.house, word, form.reading(slot)) not in feedback:
            right = _with_reading_of(form, right, misreadings, slot)
    return right


def _with_reading_of(form: Form, query: Query, other: Query, slot: str) -> Query:
    """``query`` with what ``other`` has in ``slot``."""
    reading = form._replace(query=other).reading(slot)
    return form._replace(query=query).reread(slot, reading)
