"""The simulated person who edits, and the scripted writer that writes and reads by the same styles."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop import Attempt, Prompts, ScriptedModel, Task
from agentloop.errors import BadInput
from agentloop.memories import HashingEmbedder
from agentloop.people import Editor, scripted_writer, writing_tasks
from agentloop.people.writer import WANTS, completed
from agentloop.people.writing_model import Reads
from agentloop.people.writing_styles import STYLES, Passage, named, phrase, read, render, suits
from agentloop.people.writing_texts import KINDS, summary_task

STORM = (
    "The old ferry of Lunden left the harbour at nine with forty people on board. A storm came up before "
    "noon and the captain turned back. Nobody was hurt, but the cargo of apples was lost to the sea. I "
    "hope this helps."
)
styles = st.frozensets(st.sampled_from(sorted(STYLES)))
texts = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            ["- a storm.", "A: yes!", "Q: who?", "#tag", "You see: it was so. 🙂", STORM, "", "ok"]
        ),
        max_size=8,
    ).map("\n".join),
)


def attempt(text: str, label: str = "notice", context: str = "", number: int = 1) -> Attempt:
    task = Task(id="t", prompt="Write.", public={"label": label, "context": context})
    return Attempt(id=f"t#0/{number}", trajectory="t#0", task=task, number=number, text=text)


def asked(name: str, **values: str) -> str:
    return Prompts().render(name, **values)


def reply(model: ScriptedModel, shown: str) -> str:
    return asyncio.run(model.complete([{"role": "user", "content": shown}]))[0].text


def edit(before: str, after: str) -> str:
    return asked("cipher_edit", before=before, after=after)


def in_style(*names: str) -> str:
    return render(read(STORM), names)


# Styles


@settings(deadline=None)
@given(styles)
def test_what_is_written_in_some_styles_shows_them_and_no_other_that_could_be_taken_out(
    chosen: frozenset[str],
) -> None:
    wanted = named(phrase(chosen))
    assert suits(render(read(STORM), wanted), wanted)


@settings(deadline=None)
@given(styles, styles)
def test_styles_are_taken_out_without_a_trace_but_for_what_was_cut_or_lowered(
    first: frozenset[str], second: frozenset[str]
) -> None:
    lossy = {"brief", "short", "lower", "no_closing"}
    through = render(read(render(read(STORM), first - lossy)), second)
    assert through == render(read(STORM), second)


def test_a_plain_text_shows_no_style() -> None:
    assert read(STORM).styles == frozenset()


@pytest.mark.parametrize("name", sorted(STYLES))
def test_a_style_is_asked_for_by_its_own_words_and_by_no_others(name: str) -> None:
    assert named(STYLES[name].words) == {name}
    assert named(STYLES[name].words.upper()) == {name}


def test_no_style_is_heard_in_words_that_name_none() -> None:
    assert named("formal, parallel structure, in French, history, debrief") == frozenset()


def test_of_styles_that_exclude_each_other_one_is_heard() -> None:
    assert named("question answering form and bullet points, thankful closing, no closing") == {
        "bullets",
        "thanks",
    }


# The person


@settings(deadline=None)
@given(texts, st.sampled_from(sorted(WANTS)))
def test_a_person_has_nothing_to_edit_in_what_they_edited(text: str, label: str) -> None:
    person = Editor()
    first = person(attempt(text, label, STORM))
    assert person(attempt(first, label, STORM)) == first
    # In scripts without capitals nobody can tell whether a text is in lower case.
    assert suits(first, named(WANTS[label])) or not read(first).sentences or not text.isascii()


@pytest.mark.parametrize("seed", [0, 1])
def test_whoever_knows_the_preference_is_never_edited(seed: int) -> None:
    person, writer = Editor(), scripted_writer()
    for task in writing_tasks(50, seed=seed):
        wanted = person.preference(task.public["label"])
        text = reply(writer, asked("cipher", task=task.prompt, preference=wanted))
        assert person(attempt(text, task.public["label"], task.public["context"])) == text


@pytest.mark.parametrize("label", sorted(WANTS))
def test_a_plain_draft_is_edited_by_everybody(label: str) -> None:
    assert Editor()(attempt(STORM, label)) != STORM


def test_a_style_that_nobody_asked_for_is_taken_out() -> None:
    person = Editor({"notice": "bullet points"})
    assert person(attempt(in_style("bullets", "emojis", "story"))) == in_style("bullets")


def test_a_person_completes_what_was_cut_short_unless_brevity_is_wanted_or_they_see_the_text_alone() -> None:
    cut = "- The old ferry of Lunden left the harbour at nine with forty people on board.\nI hope this helps."
    asks, brief = {"notice": "bullet points"}, {"notice": "bullet points, brief"}
    assert Editor(asks)(attempt(cut, context=STORM)) == in_style("bullets")
    assert Editor(brief)(attempt(cut, context=STORM)) == cut
    assert Editor(asks, completes=False)(attempt(cut, context=STORM)) == cut


def test_an_empty_text_is_no_way_to_please_a_person() -> None:
    assert len(read(Editor()(attempt("", "entry", STORM))).sentences) >= 3


def test_sentences_cut_in_pieces_count_as_told() -> None:
    pieces = Passage(
        ("The old ferry of Lunden left the harbour at.", "Nine with forty people on board."),
        True,
        frozenset(),
    )
    more = completed(pieces, STORM).sentences[2:]
    assert [sentence[:7] for sentence in more] == ["A storm", "Nobody "]


def test_a_share_of_texts_is_overlooked_the_same_ones_every_time() -> None:
    careless = Editor(overlooks=0.5, seed=3)
    taken = [careless(attempt(STORM, number=number)) == STORM for number in range(1, 201)]
    assert 70 < sum(taken) < 130
    assert taken == [Editor(overlooks=0.5, seed=3)(attempt(STORM, number=n)) == STORM for n in range(1, 201)]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"wants": {"notice": "in good taste"}}, "names no style: 'in good taste'; known: bullet points"),
        ({"overlooks": 1.5}, "share from 0 to 1"),
    ],
)
def test_a_person_that_cannot_be_is_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Editor(**wrong)  # type: ignore[arg-type]


def test_a_text_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BadInput, match="labelled 'novel'; known: notice"):
        Editor()(attempt(STORM, "novel"))


# The writer


def test_the_writer_writes_the_first_sentences_in_exactly_the_styles_it_is_told() -> None:
    task = summary_task("t", STORM, "notice")
    writer = scripted_writer()
    assert reply(writer, task.prompt) == STORM
    told = asked("cipher", task=task.prompt, preference="emojis; Bullet points please, and be kind")
    assert reply(writer, told) == in_style("emojis", "bullets")


@pytest.mark.parametrize(
    ("reads", "seen"),
    [
        ("whole", "bullet points, exclamation marks, emojis"),
        ("one", "bullet points, exclamation marks"),
        ("changed", "exclamation marks, emojis"),
    ],
)
def test_what_is_seen_in_an_edit_is_a_setting(reads: Reads, seen: str) -> None:
    shown = asked("cipher_infer", edits=edit(in_style("bullets"), in_style("bullets", "emotion", "emojis")))
    assert reply(scripted_writer(reads), shown) == seen


def test_an_edit_that_shows_no_style_brings_the_word_none() -> None:
    assert reply(scripted_writer(), asked("cipher_infer", edits=edit("A storm came.", STORM))) == "none"


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (["brief"], "brief"),
        (["brief, emojis", "brief", "lower case"], "brief"),
        (["brief", "emojis", "brief", "emojis"], "brief, emojis"),
        (["brief", "emojis", "emojis, brief", "lower case", "story"], "brief, emojis"),
        (["in good taste"], "none"),
    ],
)
def test_of_several_preferences_those_named_most_are_kept(told: list[str], kept: str) -> None:
    listed = asked("cipher_aggregate", preferences="\n".join(f"- {each}" for each in told))
    assert reply(scripted_writer(), listed) == kept


def test_shown_raw_edits_the_writer_reads_them_as_it_would_to_infer() -> None:
    pair, task = edit(STORM, in_style("questions")), summary_task("t", STORM, "notice")
    shown = asked("cipher_examples", task=task.prompt, examples=f"{pair}\n{pair}")
    assert reply(scripted_writer(), shown) == in_style("questions")


def test_a_fallible_reader_overlooks_styles_of_edits_at_its_rate_and_each_prompt_alike() -> None:
    writer = scripted_writer(overlooks=0.3)
    after = in_style("bullets", "emotion", "emojis")
    prompts = [asked("cipher_infer", edits=edit(f"{STORM} {number}.", after)) for number in range(200)]
    replies = [reply(writer, shown) for shown in prompts]
    assert replies == [reply(writer, shown) for shown in prompts]
    seen = [named(each) for each in replies]
    assert all(each <= frozenset({"bullets", "emotion", "emojis"}) for each in seen)
    assert 0.62 < sum(map(len, seen)) / 600 < 0.78


def test_a_style_that_is_stated_is_never_overlooked() -> None:
    told = asked("cipher", task=summary_task("t", STORM, "notice").prompt, preference="emojis")
    assert reply(scripted_writer(overlooks=1.0), told) == in_style("emojis")
    listed = asked("cipher_aggregate", preferences="- emojis")
    assert reply(scripted_writer(overlooks=1.0), listed) == "emojis"


@pytest.mark.parametrize("chance", [-0.1, 1.5])
def test_a_chance_to_overlook_beyond_its_range_is_refused(chance: float) -> None:
    with pytest.raises(BadInput, match="from 0 to 1"):
        scripted_writer(overlooks=chance)


def test_a_way_of_reading_that_is_not_known_is_refused() -> None:
    with pytest.raises(BadInput, match="whole, one, changed; got 'all'"):
        scripted_writer("all")  # type: ignore[arg-type]


# The texts


def test_every_kind_has_an_equal_share_of_the_rounds_and_a_seed_draws_the_same_ones() -> None:
    tasks = writing_tasks(200, seed=4)
    labels = [task.public["label"] for task in tasks]
    assert {label: labels.count(label) for label in KINDS} == dict.fromkeys(KINDS, 40)
    assert labels != list(KINDS) * 40
    assert tasks == writing_tasks(200, seed=4) != writing_tasks(200, seed=5)
    assert len({task.id for task in tasks}) == len({task.public["context"] for task in tasks}) == 200


def test_the_label_is_not_in_the_prompt() -> None:
    for task in writing_tasks(60):
        body = task.prompt.replace(task.public["context"], "")
        assert task.public["context"] in task.prompt and task.public["label"] not in body


def test_kinds_are_told_apart_by_their_own_wording_and_by_nothing_else() -> None:
    def nearest_is_alike(own: int) -> float:
        tasks = writing_tasks(150, seed=1, own=own)
        vectors = HashingEmbedder()([task.public["context"] for task in tasks])
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -1.0)
        near = [int(row.argmax()) for row in cosines]
        return sum(tasks[a].public["label"] == tasks[b].public["label"] for a, b in enumerate(near)) / 150

    assert nearest_is_alike(0) < 0.35 < 0.8 < nearest_is_alike(6)


def test_more_sentences_than_a_text_has_are_refused() -> None:
    with pytest.raises(BadInput, match="own must be 0 to 6"):
        writing_tasks(own=7)


@pytest.mark.data
def test_preludes_preferences_are_five_different_ones_to_this_person(data: Path) -> None:
    sources = json.loads((data / "prelude" / "preferences.json").read_text())["sources"]
    wants = {source["doc_type"]: source["preference"] for source in sources}
    person = Editor(wants)
    heard = {label: named(words) for label, words in wants.items()}
    assert len(set(heard.values())) == len(sources) == 5
    assert heard["wikipedia"] == {"bullets", "brief"} and heard["imdb"] == {"questions"}
    for label in wants:
        left = person(attempt(STORM, label, STORM))
        assert left != STORM and suits(left, heard[label])
