"""The bundled checkpoint: what a loader needs is there, and feedback in words mends its answers."""

import asyncio
import inspect
import json

import pytest

from agentloop.environments import SQLEnvironment
from agentloop.prompts import Prompts
from agentloop.tiny import HELD_OUT, HOUSES, checkpoint, tasks
from agentloop.tiny.critic import answers, intended, words
from agentloop.tiny.houses import house, meaning, usual_reading
from agentloop.tiny.query import extract

HELD = [each.table for each in HELD_OUT]
FOLDER = checkpoint()


@pytest.fixture(scope="module")
def tokenizer():
    return pytest.importorskip("transformers").AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)


@pytest.fixture(scope="module")
def model():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(FOLDER, local_files_only=True).eval()


def reply(model, tokenizer, talks: list) -> list[str]:
    """The likeliest reply to each conversation, in one left-padded batch."""
    inputs = tokenizer.apply_chat_template(
        talks, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )
    made = model.generate(**inputs, do_sample=False, max_new_tokens=64)
    return tokenizer.batch_decode(made[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_it_is_small_and_carries_a_card_and_its_texts() -> None:
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    assert size <= 10_000_000
    card = (FOLDER / "README.md").read_text()
    for said in ("make_tiny.py", "measure_tiny.py", "Apache-2.0", "partly built in", "not a good SQL writer"):
        assert said in card
    assert {path.stem for path in (FOLDER / "prompts").glob("*.md")} >= {"task", "notes", "retry", "sql"}


def test_its_texts_are_bare() -> None:
    prompts = Prompts(folder=FOLDER / "prompts")
    assert prompts.render("task", notes="", task="boats(name)\nacme: count the boats") == (
        "boats(name)\nacme: count the boats"
    )
    notes = prompts.render("notes", corrections="- at acme, a few means 4 rows")
    assert prompts.render("task", notes=notes, task="t(a)\nb") == "- at acme, a few means 4 rows\nt(a)\nb"
    assert prompts.render("retry", feedback="Try again.") == "Try again."
    assert prompts.render("sql") == ""


def test_sampling_is_on_by_default_and_cuts_nothing_off() -> None:
    settings = json.loads((FOLDER / "generation_config.json").read_text())
    assert settings["do_sample"] is True
    assert (settings["temperature"], settings["top_k"], settings["top_p"]) == (1.0, 0, 1.0)


def test_every_gold_query_is_written_and_read_back_exactly(tokenizer) -> None:
    for task in [*tasks("test", 300), *tasks("test", 200, families=HELD), *tasks("dev", 100, sparse=True)]:
        sql = task.hidden["query"]
        ids = tokenizer.encode(sql, add_special_tokens=False)
        assert tokenizer.decode(ids) == sql
        assert tokenizer.unk_token_id not in ids


def test_a_word_has_the_same_pieces_in_schema_question_and_sql(tokenizer) -> None:
    word = tokenizer.tokenize("harbor")
    for text in (
        "boats(name, harbor)",
        "with harbor kelp",
        "GROUP BY harbor",
        "COUNT(harbor)",
        "x = 'harbor'",
    ):
        pieces = tokenizer.tokenize(text)
        assert any(pieces[at : at + len(word)] == word for at in range(len(pieces))), text


def test_the_chat_template_marks_turns_and_opens_the_next(tokenizer) -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "SELECT b"}]
    text = tokenizer.apply_chat_template([*talk, talk[0]], add_generation_prompt=True, tokenize=False)
    assert text == "<bos><user>a<end><assistant>SELECT b<end><user>a<end><assistant>"
    ids = tokenizer.apply_chat_template([*talk, talk[0]], add_generation_prompt=True)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.padding_side == "left"
    assert tokenizer.eos_token == "<end>"


def test_the_sql_environment_shows_the_prompt_that_the_model_was_trained_on() -> None:
    async def shown(task) -> str:
        session = SQLEnvironment()(task)
        prompt = session.prompt()
        prompt = await prompt if inspect.isawaitable(prompt) else prompt
        closed = session.close()
        if inspect.isawaitable(closed):
            await closed
        return prompt

    for task in tasks("dev", 3):
        assert asyncio.run(shown(task)) == f"{intended(task).schema()}\n{task.prompt}"


def test_feedback_in_words_mends_more_than_trying_again(model, tokenizer) -> None:
    given = tasks("dev", 30) + tasks("dev", 18, families=HELD)
    shown = [[{"role": "user", "content": f"{intended(each).schema()}\n{each.prompt}"}] for each in given]
    first = reply(model, tokenizer, shown)
    failed = [at for at, task in enumerate(given) if not answers(task, first[at])]
    assert 0.3 <= 1 - len(failed) / len(given) <= 0.65

    mended = {}
    for level in ("again", "verbal"):
        talks = [
            [
                *shown[at],
                {"role": "assistant", "content": first[at]},
                {"role": "user", "content": words(level, extract(first[at]), intended(given[at]))},
            ]
            for at in failed
        ]
        second = reply(model, tokenizer, talks)
        mended[level] = sum(answers(given[at], text) for at, text in zip(failed, second, strict=True))
    assert mended["verbal"] >= mended["again"] + len(failed) // 3


def a_word(task):
    """The task's only vague word, when it is of those with many readings and its house's is unusual."""
    form = intended(task)
    if len(form.words) != 1:
        return None
    [(slot, word)] = form.words.items()
    many = form.sense(slot) in ("quantity", "threshold")
    return word if many and form.reading(slot) != usual_reading(word) else None


def test_a_note_lifts_the_first_try_when_it_is_of_the_right_house(model, tokenizer) -> None:
    given = [task for task in tasks("dev", 160) if a_word(task)]
    notes = {"none": [], "own": [], "rival": []}
    for task in given:
        form, word = intended(task), a_word(task)
        known = (house(form.house).readings[word], usual_reading(word))
        rival = next(each for each in HOUSES if each.readings[word] not in known)
        notes["none"].append("")
        for kind, each in (("own", house(form.house)), ("rival", rival)):
            notes[kind].append(f"- at {each.name}, {word} means {meaning(word, each.readings[word])}\n")
    passed = {}
    for kind, texts in notes.items():
        talks = [
            [{"role": "user", "content": f"{text}{intended(task).schema()}\n{task.prompt}"}]
            for task, text in zip(given, texts, strict=True)
        ]
        replies = reply(model, tokenizer, talks)
        passed[kind] = sum(map(answers, given, replies)) / len(given)
    assert passed["own"] >= passed["none"] + 0.4
    assert passed["rival"] <= passed["none"] + 0.1
