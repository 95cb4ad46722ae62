"""The conversations that ``local/tiny`` is trained on, drawn without end from one seed.

A conversation is a question with or without notes, and its answer; or a question, a wrong answer,
what the critic says of it, and the right answer. In three quarters of the tables every name is new.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tiny_slips import misread, slip

from agentloop.prompts import Prompts
from agentloop.tiny.critic import Speech, words
from agentloop.tiny.drawing import PAIRS, draw_form
from agentloop.tiny.families import FAMILIES, Family
from agentloop.tiny.form import Form
from agentloop.tiny.gaps import gaps
from agentloop.tiny.houses import HOUSES, POSSIBLE, SENSE, USUAL, House, Reading, meaning, usual_reading
from agentloop.tiny.query import Query
from agentloop.tiny.tables import Table, draw_table
from agentloop.tiny.words import Words

OTHER_HOUSES = ("granite", "harvest", "indigo", "juniper", "kestrel", "lantern")
HOUSE_NAMES = (*(house.name for house in HOUSES), *OTHER_HOUSES)
"""Names that ask in training; each with readings drawn anew, so that none can be learnt by heart."""

USUAL_SHARE = 0.8
"""How often a vague word has its usual reading where nothing tells the reading."""

TOLD_USUAL_SHARE = 0.3
"""The same where a note or the critic tells it: rarer, so that what is told must be read."""


class Said(NamedTuple):
    """One message, and the weight of its tokens in the loss."""

    role: str
    text: str
    weight: float


class Scene(NamedTuple):
    """A question and where it comes from."""

    form: Form
    table: Table
    notes: tuple[str, ...]
    others: tuple[str, ...]


class Conversations:
    """Draws conversations; the same ones for the same seed."""

    def __init__(self, seed: int, prompts: Prompts, *, noted: float = 0.16, rivals: float = 0.0) -> None:
        self.draw = random.Random(seed)
        self.prompts = prompts
        self.noted = noted
        self.rivals = rivals

    def __iter__(self) -> Iterator[list[Said]]:
        while True:
            yield self.next()

    def next(self) -> list[Said]:
        """One conversation."""
        kind = self.draw.random()
        if kind < 0.03:
            return self._plain()
        if kind < 0.16:
            return self._one_turn(noted=False)
        if kind < 0.16 + self.noted:
            return self._one_turn(noted=True)
        return self._two_turns()

    def _one_turn(self, *, noted: bool) -> list[Said]:
        scene = self._scene(told=False, noted=noted)
        return [self._question(scene), Said("assistant", scene.form.query.sql(), 1.0)]

    def _two_turns(self) -> list[Said]:
        draw, kind = self.draw, self.draw.random()
        noted = draw.random() < 0.2
        if kind < 0.72:
            return self._told(self._scene(told=True, noted=noted), "verbal")
        if kind < 0.78:
            return self._told(self._scene(told=True, noted=noted), "clause")
        scene = self._scene(told=False, noted=noted)
        if kind < 0.92:
            return self._blind(scene, self.prompts.render("again" if draw.random() < 0.5 else "binary"))
        return self._blind(scene, self._words_of_another(scene.form))

    def _told(self, scene: Scene, level: Speech) -> list[Said]:
        draw, form = self.draw, scene.form
        wrong = form.query
        for slot, word in form.words.items():
            noted = any(f"{form.house}, {word} means" in note for note in scene.notes)
            if draw.random() < (0.3 if noted else 0.8):
                wrong = _with_reading_of(form, wrong, misread(draw, form, slot), slot)
        misreadings = wrong
        for _ in range(
            draw.choices(range(3), (70, 25, 5))[0] if wrong != form.query else draw.choice((1, 1, 2))
        ):
            wrong = slip(draw, wrong, scene.table)
        sql, right = wrong.sql(), form.query
        if draw.random() < 0.02:
            sql = sql[: draw.randrange(8, len(sql))].strip()
            feedback = words(level, sql, form)
        else:
            found = gaps(wrong, form)
            if not found:
                return self.next()
            feedback = (
                f"check the {found[0].clause}" if level == "clause" else "; ".join(g.text for g in found[:2])
            )
            if level == "verbal":
                right = _as_told(form, misreadings, feedback)
        return self._talk(scene, sql, feedback, right)

    def _blind(self, scene: Scene, feedback: str) -> list[Said]:
        """Nothing useful is said: mend slips; a reading seldom changes."""
        draw, form = self.draw, scene.form
        wrong = form.query
        if form.words and draw.random() < 0.3:
            slot = draw.choice(sorted(form.words))
            wrong = misread(draw, form, slot)
        else:
            wrong = slip(draw, wrong, scene.table)
        return self._talk(scene, wrong.sql(), feedback, form.query)

    def _talk(self, scene: Scene, wrong: str, feedback: str, right: Query) -> list[Said]:
        return [
            self._question(scene),
            Said("assistant", wrong, 0.0),
            Said("user", self.prompts.render("retry", feedback=feedback), 0.2),
            Said("assistant", right.sql(), 1.0),
        ]

    def _question(self, scene: Scene) -> Said:
        notes = ""
        if scene.notes:
            notes = self.prompts.render("notes", corrections="\n".join(f"- {note}" for note in scene.notes))
        schema = "\n".join(self._shuffled([scene.form.schema(), *scene.others]))
        task = f"{schema}\n{scene.form.question()}"
        return Said("user", self.prompts.render("task", notes=notes, task=task), 0.0)

    def _scene(self, *, told: bool, noted: bool) -> Scene:
        draw = self.draw
        vocabulary = Words(draw)
        table = self._table(vocabulary)
        asker = draw.choice(HOUSE_NAMES) if draw.random() < 0.93 else vocabulary.next()
        senses = draw.choices(
            ((), tuple(draw.choices(list(USUAL), (6, 4, 3, 6))), draw.choice(PAIRS)), (3, 5, 2)
        )[0]
        form = draw_form(draw, table, House(asker, self._readings(told)), senses=senses)
        notes: tuple[str, ...] = ()
        if noted:
            form, notes = self._noted(form)
        others = (self._other_schema(vocabulary),) if draw.random() < 0.06 else ()
        return Scene(form, table, notes, others)

    def _table(self, vocabulary: Words) -> Table:
        draw = self.draw
        if draw.random() < 0.4:
            return draw_table(draw, draw.choice(FAMILIES), vocabulary)
        key = draw.choice(("name", "name", "title", vocabulary.next()))
        kind = Family(vocabulary.next(), key, vocabulary.several(3), vocabulary.several(4))
        return draw_table(draw, kind, vocabulary)

    def _other_schema(self, vocabulary: Words) -> str:
        return f"{vocabulary.next()}({', '.join(vocabulary.several(self.draw.randint(2, 4)))})"

    def _readings(self, told: bool) -> dict[str, Reading]:
        share = TOLD_USUAL_SHARE if told else USUAL_SHARE
        return {
            word: usual_reading(word) if self.draw.random() < share else self.draw.choice(POSSIBLE[sense])
            for word, sense in SENSE.items()
        }

    def _noted(self, form: Form) -> tuple[Form, tuple[str, ...]]:
        """The form with readings that notes tell, and the notes among others that do not apply."""
        draw = self.draw
        notes = []
        for slot, word in form.words.items():
            if draw.random() < 0.75:
                sense = form.sense(slot)
                usual = draw.random() < TOLD_USUAL_SHARE
                reading = usual_reading(word) if usual else draw.choice(POSSIBLE[sense])
                form = form._replace(query=form.reread(slot, reading))
                notes.append(reads(form.house, word, reading))
        if len(notes) == 2 and draw.random() < 0.5:
            notes = ["; ".join(notes)]
        taken = {*form.words.values()}
        if draw.random() < self.rivals:
            notes += [self._rival(form, word) for word in form.words.values()]
        more = draw.choices(range(5), (3, 3, 2, 1, 1))[0]
        for _ in range(min(more, max(0, 5 - len(notes))) if notes else max(more, 1)):
            notes.append(self._distractor(form, taken))
        return form, tuple(self._shuffled(notes))

    def _rival(self, form: Form, word: str) -> str:
        """How another house reads a word of the question."""
        elsewhere = self.draw.choice([name for name in HOUSE_NAMES if name != form.house])
        return reads(elsewhere, word, self.draw.choice(POSSIBLE[SENSE[word]]))

    def _distractor(self, form: Form, taken: set[str]) -> str:
        """A note on another word, of another house, or both; or on something else altogether."""
        draw, kind = self.draw, self.draw.random()
        if kind < 0.1:
            return self._words_of_another(form)
        elsewhere = draw.choice([name for name in HOUSE_NAMES if name != form.house])
        if taken and kind < 0.6:
            word, house = draw.choice(sorted(taken)), elsewhere
        else:
            word = draw.choice([each for each in SENSE if each not in taken])
            house = form.house if draw.random() < 0.5 else elsewhere
        note = reads(house, word, draw.choice(POSSIBLE[SENSE[word]]))
        return f"{note}; {self._words_of_another(form)}" if draw.random() < 0.1 else note

    def _words_of_another(self, form: Form) -> str:
        """What the critic might say of another task; never a true reading for this one."""
        draw = self.draw
        if form.words and draw.random() < 0.3:
            return self._rival(form, draw.choice(sorted(form.words.values())))
        vocabulary = Words(draw)
        table = self._table(vocabulary)
        houses = [name for name in HOUSE_NAMES if name != form.house]
        asker = House(draw.choice(houses), self._readings(told=True))
        senses = draw.choice(((), *PAIRS, ("aggregate",), ("quantity",)))
        other = draw_form(draw, table, asker, senses=senses)
        wrong = other.query
        for slot in other.words:
            wrong = _with_reading_of(other, wrong, misread(draw, other, slot), slot)
        if wrong == other.query or draw.random() < 0.2:
            wrong = slip(draw, wrong, table)
        return "; ".join(gap.text for gap in gaps(wrong, other)[:2]) or f"show the {table.key}"

    def _plain(self) -> list[Said]:
        """A question in everyday words, of no house."""
        draw = self.draw
        vocabulary = Words(draw)
        table = self._table(vocabulary)
        column = draw.choice(table.columns)
        number = draw.choice(table.numbers)
        asked, query = draw.choice(
            (
                (f"How many {table.name} are there?", Query(table.name, None, "COUNT")),
                (f"List the {column} of all {table.name}.", Query(table.name, column)),
                (f"What is the average {number} of the {table.name}?", Query(table.name, number, "AVG")),
                (f"What is the highest {number} of the {table.name}?", Query(table.name, number, "MAX")),
            )
        )
        others = [self._other_schema(vocabulary) for _ in range(draw.choice((0, 0, 1, 2)))]
        schema = "\n".join(self._shuffled([f"{table.name}({', '.join(table.columns)})", *others]))
        return [Said("user", f"{schema}\n{asked}", 0.0), Said("assistant", query.sql(), 1.0)]

    def _shuffled(self, items: Sequence[str]) -> list[str]:
        return self.draw.sample(list(items), len(items))


def reads(house: str, word: str, reading: Reading) -> str:
    """The critic's sentence on a reading."""
    return f"at {house}, {word} means {meaning(word, reading)}"


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
