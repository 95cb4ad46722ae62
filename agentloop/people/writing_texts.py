"""Texts of our own from five kinds of sources, and tasks to summarise them, for a person who edits.

The kinds share their subjects, places and names; what tells them apart is how they speak. ``own`` says
how many sentences of a text are in its kind's wording: that sets how well the kinds can be told apart.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from agentloop.errors import BadInput
from agentloop.prompts import Prompts
from agentloop.types import Task

SENTENCES = 6
"""Sentences of a text."""

KINDS: Mapping[str, Sequence[str]] = {
    "notice": (
        "The {thing} at {place} stays closed until {day} because of repairs.",
        "Residents are asked to use the side entrance of the {thing} for now.",
        "The town council of {place} will vote on the matter on {day}.",
        "Officials said that work on the {thing} costs {number} thousand more than planned.",
        "Questions may be put to the office of {name} between nine and noon.",
        "A spokesman confirmed on {day} that nobody was hurt at the {thing}.",
        "Traffic near the {thing} is led through the lower part of {place}.",
        "The mayor of {place} thanked the volunteers for their help at the {thing}.",
        "Owners of boats and carts must register with {name} before {day}.",
        "According to the police, {number} people were waiting at the {thing} that morning.",
    ),
    "review": (
        "I give the {thing} three stars out of five and would not pay more than {number} for it.",
        "The service at the {thing} was friendly but far too slow for the price.",
        "My favourite part was the view over {place} from the upper floor.",
        "Compared with its rivals, the {thing} feels a little dated and overpriced.",
        "Book early, since every seat was taken when we came on {day}.",
        "The staff, above all {name}, made up for the cold food and the noise.",
        "I would recommend the {thing} to families, less so to anyone in a hurry.",
        "What disappointed me most was the gap between the pictures and the real {thing}.",
        "The quality has dropped since our last visit, and the portions are smaller.",
        "Worth a visit once, but I doubt that we shall come back to {place} for it.",
    ),
    "entry": (
        "The {thing} is a protected building in the district of {place}, first mentioned in 14{number}.",
        "It was named after {name}, a merchant who lived in the eighteenth century.",
        "The structure measures {number} metres in length and is built of local stone.",
        "During the nineteenth century the {thing} served as a warehouse and later as a school.",
        "Its northern wing was destroyed by fire and rebuilt in the same style.",
        "The name is derived from an old word for a crossing of two rivers.",
        "Since 19{number} it has been listed as a monument of regional importance.",
        "The surrounding parish had {number} inhabitants at the time of the census.",
        "It is commonly regarded as the oldest {thing} of its type in the province.",
        "The coat of arms of {place} shows the {thing} beneath three stars.",
    ),
    "study": (
        "We examine how the use of a {thing} changes over the course of a season.",
        "Our method combines interviews with {number} participants and a regression model.",
        "The results show a significant effect of distance on the number of visits.",
        "In contrast to earlier work by {name}, we find no evidence of a seasonal trend.",
        "Data were collected in {place} by means of sensors placed at the {thing}.",
        "We propose a simple estimator and prove that it is unbiased under mild assumptions.",
        "The approach outperforms the baseline by {number} per cent on held-out data.",
        "Limitations of the sample and directions for future research are discussed.",
        "A model of waiting times at the {thing} is fitted to the observed sequence.",
        "These findings suggest that policy should take local variation into account.",
    ),
    "diary": (
        "I woke before dawn and walked down to the {thing} with wet shoes and no plan.",
        "Mother used to say that {place} forgives nobody, and today I believed her.",
        "I could not stop thinking about what {name} said to me on {day}.",
        "We sat by the {thing} until our fingers were numb and laughed about nothing.",
        "I am so tired of pretending that everything is all right at home.",
        "Tonight I shall write to {name} and tell the truth for once.",
        "The rain on the roof of the {thing} made me feel like a child again.",
        "I lost my temper in front of everyone and went home ashamed.",
        "Perhaps next year I will leave {place} and begin somewhere new.",
        "My hands still shake when I remember the {number} steps down to the water.",
    ),
}
"""The sentences of each kind."""

SHARED: Sequence[str] = (
    "The {thing} lies close to the river, where the road to {place} begins.",
    "On {day} the weather in {place} was cold and clear.",
    "Most people in {place} know the {thing} and the family of {name}.",
    "There are {number} chairs and a long table beside the {thing}.",
    "In summer the {thing} is busy, in winter it is quiet.",
    "It was {name} who took care of the {thing} for many years.",
    "The way from the {thing} to the market takes a quarter of an hour.",
    "Not much has changed at the {thing} since {name} came to {place}.",
    "The door of the {thing} is green, and the key hangs beside it.",
    "Late on {day} the lights of the {thing} could be seen from {place}.",
)
"""Sentences that any kind may use."""

_SLOTS: Mapping[str, str] = {
    "thing": "bakery ferry library mill bridge theatre orchard station harbour chapel museum garden",
    "place": "Lunden Oster Varde Kelso Brannt Tulle Marrow Finch Ashby Corwen Dunmere Welt",
    "name": "Anders Ilse Tomas Greta Holm Petra Osric Lena Ruben Clara Vito Marta",
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "number": "12 19 26 33 40 47 54 61 68 75 82 89",
}


def writing_tasks(
    rounds: int = 200, *, seed: int = 0, own: int = 3, prompts: Prompts | None = None
) -> list[Task]:
    """Summaries to be written, an equal share of each kind, shuffled; ``own`` of 0 makes all kinds alike.

    ``public["context"]`` is the text alone, ``public["label"]`` its kind.
    """
    if not 0 <= own <= SENTENCES:
        raise BadInput(f"own must be 0 to {SENTENCES} sentences, got {own}")
    draw = random.Random(f"writing {seed}")
    kinds = [list(KINDS)[place % len(KINDS)] for place in range(rounds)]
    draw.shuffle(kinds)
    texts = [(kind, written(kind, draw, own=own)) for kind in kinds]
    return [
        summary_task(f"{place:03}", text, kind, prompts=prompts)
        for place, (kind, text) in enumerate(texts, 1)
    ]


def summary_task(id: str, text: str, label: str, *, prompts: Prompts | None = None) -> Task:
    """The task to summarise a text from a source called ``label``."""
    prompt = (prompts or Prompts()).render("writing_task", text=text)
    return Task(id=id, prompt=prompt, public={"context": text, "label": label})


def written(kind: str, draw: random.Random, *, own: int) -> str:
    """A text of one kind on one subject."""
    said = [*draw.sample(KINDS[kind], own), *draw.sample(SHARED, SENTENCES - own)]
    draw.shuffle(said)
    subject = {name: draw.choice(words.split()) for name, words in _SLOTS.items()}
    return " ".join(sentence.format(**subject) for sentence in said)
