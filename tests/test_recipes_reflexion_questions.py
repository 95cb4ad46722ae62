"""Reflexion for questions: ReAct episodes, the four modes, and the oracle's word in the log."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop import Attempt, Budget, Feedback, Prompts, Run, ScriptedModel, Step, Task, improve
from agentloop.environments import PagesEnvironment
from agentloop.errors import BadInput
from agentloop.memories import EpisodicMemory
from agentloop.recipes import ReflexionQuestions, exact_match, reflexion_questions_agent
from agentloop.recipes.reflexion_questions import BLANK, Mode, cut_log, normalised, words_and_signs
from tests.code_twins import shown
from tests.reflexion_twins import ACT, NOTE, PAGED, QUESTION, THINK, Ladder, kinds, reads
from tests.twins import run

RIGHT = ["Search[Milan]", "Lookup[mayor]", "Search[Ada Rossi]", "Finish[Turin Sentinel]"]
WRONG = ["Search[Milan]", "Finish[Rome]"]


def agent(model: Any, **options: Any) -> Any:
    if "critic" not in options:
        options.setdefault("oracle", exact_match)
    return reflexion_questions_agent(model=model, **{"environment": PAGED, **options})


def attempt(action: str, answer: str = "x") -> Attempt:
    task = QUESTION.replace(hidden={"answer": answer})
    return Attempt(id="a", trajectory="t", task=task, number=1, steps=(Step(action=action, observation=""),))


def test_a_step_is_a_thought_and_an_action_and_finish_ends_the_trial() -> None:
    model = reads(RIGHT)
    state = run(agent(model), QUESTION)
    assert kinds(model) == [THINK, ACT] * 4
    assert (state["stop_reason"], state["stop_signal"], len(state["best"].steps)) == ("passed", "oracle", 4)


def test_the_model_is_shown_the_log_so_far_and_writes_its_next_line() -> None:
    model = reads(RIGHT)
    run(agent(model), QUESTION)
    (third,) = [shown(each) for each in model.requests if shown(each).endswith("Action 2:")]
    assert third.endswith(
        "Thought 1: I think, 1.\nAction 1: Search[Milan]\nObservation 1: Milan is a city in Italy. It lies "
        "in Lombardy. The mayor of Milan is Ada Rossi.\nThought 2: I think, 2.\nAction 2:"
    )


def test_a_trial_has_at_most_six_steps() -> None:
    model = reads([f"Search[{number}]" for number in range(20)])
    state = run(agent(model, attempts=1), QUESTION)
    assert len(state["attempt"].steps) == 6
    assert state["attempt"].feedback.verdict == "fail"


def test_a_trial_halts_when_the_prompt_has_outgrown_its_length() -> None:
    long = PagesEnvironment({"Milan": "word " * 300})
    actions = ["Search[Milan]"] * 6
    whole = run(agent(reads(actions), environment=long, attempts=1), QUESTION)
    assert len(whole["attempt"].steps) == 6
    tight = ReflexionQuestions(prompt_tokens=800)
    halted = run(agent(reads(actions), environment=long, attempts=1, settings=tight), QUESTION)
    assert len(halted["attempt"].steps) == 3
    none = ReflexionQuestions(prompt_tokens=10)
    model = reads(actions)
    unbegun = run(agent(model, attempts=1, settings=none), QUESTION)
    assert (model.calls, unbegun["attempt"].steps) == (0, ())
    assert unbegun["attempt"].feedback.verdict == "fail"


@pytest.mark.parametrize(
    ("given", "wanted", "same"),
    [
        ("the Eiffel Tower!", "Eiffel tower", True),
        ("An  apple a day", "apple day", True),
        ("a.n. other", "other", True),
        ("theatre", "atre", False),
        ("U.S.A.", "usa", True),
        ("yes", "no", False),
        ("1,000", "1000", True),
    ],
)
def test_an_answer_is_matched_exactly_but_for_case_articles_signs_and_blanks(
    given: str, wanted: str, same: bool
) -> None:
    assert exact_match(attempt(f"Finish[{given}]", wanted)) == float(same)


@given(st.text())
def test_normalising_twice_changes_nothing_more_than_once(text: str) -> None:
    once = normalised(text)
    assert " ".join(once.split()) == once
    assert normalised(f"  {text}!") == once


def test_a_trial_that_did_not_finish_is_wrong_and_a_task_without_an_answer_is_a_mistake() -> None:
    assert exact_match(attempt("Search[x]")) == 0.0
    assert exact_match(attempt("finish[x]")) == 1.0
    with pytest.raises(BadInput, match="has no hidden answer"):
        exact_match(attempt("Finish[x]").replace(task=QUESTION.replace(hidden={})))


@pytest.mark.parametrize(
    "reply", ["I do not know", "", "Search Milan", "Search[]", "[x]", "Search[Milan] then"]
)
def test_a_malformed_reply_is_an_observation_and_reaches_no_environment(reply: str) -> None:
    stepped: list[str] = []

    class Watched:
        def __init__(self, task: Task) -> None:
            self.inner = PAGED(task)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def step(self, action: str) -> Step:
            stepped.append(action)
            return self.inner.step(action)

    state = run(agent(reads([reply, "Finish[Turin Sentinel]"]), environment=Watched), QUESTION)
    first = state["best"].steps[0]
    assert first.observation.startswith("That is no action.") and state["stop_reason"] == "passed"
    assert stepped == ["Finish[Turin Sentinel]"]


def test_finish_ends_the_trial_though_the_environment_would_go_on() -> None:
    class GoesOn(Ladder):
        def step(self, action: str) -> Step:
            return Step(action=action, observation="Go on.")

    state = run(agent(reads(["Search[x]", "Finish[Turin Sentinel]"]), environment=GoesOn), QUESTION)
    assert len(state["best"].steps) == 2 and state["stop_reason"] == "passed"


def test_an_unknown_action_is_answered_by_the_environment() -> None:
    state = run(agent(reads(["Dance[now]", "Finish[Turin Sentinel]"])), QUESTION)
    assert state["best"].steps[0].observation.startswith("No such action.")


def test_a_label_and_line_breaks_in_a_reply_are_taken_away() -> None:
    state = run(agent(reads(["Action 1: Search[Ada\n Rossi]", "Finish[Turin Sentinel]"])), QUESTION)
    assert state["best"].steps[0].action == "Search[Ada Rossi]"
    assert state["best"].steps[0].observation.startswith("Ada Rossi is a politician.")


@pytest.mark.parametrize(
    ("mode", "notes"),
    [("none", 0), ("last_attempt", 0), ("reflexion", 4), ("last_attempt_and_reflexion", 4)],
)
def test_each_mode_shows_what_it_should_and_reflects_only_where_it_should(mode: Mode, notes: int) -> None:
    model = reads(WRONG)
    run(agent(model, mode=mode, attempts=5), QUESTION)
    assert kinds(model).count(NOTE) == notes
    opened = [shown(each) for each in model.requests if shown(each).endswith("Thought 1:")]
    assert len(opened) == 5
    for trial, text in enumerate(opened, start=1):
        known = [int(number) for number in re.findall(r"- lesson (\d)", text)]
        before = list(range(1, trial))
        most = {"reflexion": 3, "last_attempt_and_reflexion": 1}.get(mode, 0)
        assert known == before[max(0, len(before) - most) :]
        assert ("The log of the last trial" in text) == (mode.startswith("last") and trial > 1)


@pytest.mark.parametrize("most", [1, 2, 9])
def test_notes_never_pile_up_beyond_their_bound(most: int) -> None:
    model = reads(WRONG)
    run(agent(model, attempts=6, reflections=most), QUESTION)
    opened = [shown(each) for each in model.requests if shown(each).endswith("Thought 1:")]
    assert [text.count("- lesson") for text in opened] == [min(number, most) for number in range(6)]


def test_the_oracles_word_stands_in_the_log_of_a_finished_trial_and_is_marked() -> None:
    model = reads(WRONG, RIGHT)
    state = run(agent(model, mode="last_attempt_and_reflexion"), QUESTION)
    (note,) = [shown(each) for each in model.requests if shown(each).endswith("Reflection:")]
    again = shown(model.requests[kinds(model).index(NOTE) + 1])
    for text in (note, again):
        assert "Action 2: Finish[Rome]\nObservation 2: The answer is wrong." in text
    assert state["best"].feedback.privileged and state["stop_signal"] == "oracle"


def test_a_trial_that_did_not_finish_has_no_word_of_the_oracle_in_its_log() -> None:
    model = reads(["Search[Milan]"])
    run(agent(model, attempts=2), QUESTION)
    (note,) = [shown(each) for each in model.requests if shown(each).endswith("Reflection:")]
    assert "answer is wrong." not in note.split("<log>")[1]


def test_without_the_oracle_a_critic_decides_and_no_verdict_stands_in_the_log() -> None:
    def asks_for_more(attempt: Attempt) -> Feedback:
        assert attempt.task.hidden == {}
        return Feedback(text="Look further.", verdict="pass" if attempt.number == 3 else "unsure")

    model = reads(WRONG)
    state = run(agent(model, critic=asks_for_more), QUESTION)
    texts = "\n".join(shown(each) for each in model.requests)
    assert (state["number"], state["stop_signal"]) == (3, "public")
    assert "The answer was given." in texts and "Look further." not in texts
    assert "answer is wrong." not in texts.replace("the answer was wrong", "")


def test_the_answer_itself_never_reaches_a_prompt() -> None:
    for mode in ("none", "last_attempt", "reflexion", "last_attempt_and_reflexion"):
        model = reads(WRONG)
        run(agent(model, mode=mode, attempts=4), QUESTION)
        assert "Sentinel" not in str(model.requests)


def test_solved_questions_cost_no_calls_later_and_the_last_trial_is_not_reflected_on() -> None:
    model = reads(WRONG, RIGHT)
    run(agent(model, attempts=9), QUESTION)
    assert kinds(model) == [THINK, ACT] * 2 + [NOTE] + [THINK, ACT] * 4
    lost = reads(WRONG)
    run(agent(lost, attempts=2), QUESTION)
    assert kinds(lost) == [THINK, ACT] * 2 + [NOTE] + [THINK, ACT] * 2


def test_the_largest_observations_give_way_first_and_thoughts_and_actions_stay() -> None:
    def log(*sizes: int) -> str:
        return "\n".join(
            f"Thought {n}: t\nAction {n}: a\nObservation {n}: {'word ' * size}".rstrip()
            for n, size in enumerate(sizes, start=1)
        )

    whole = log(50, 200, 10, 100)
    assert cut_log(whole, 1600) == whole
    blanked = [
        [int(number) for number in re.findall(rf"Observation (\d): {re.escape(BLANK)}", cut_log(whole, most))]
        for most in (404, 250, 150, 70)
    ]
    assert blanked == [[], [2], [2, 4], [1, 2, 4]]
    assert cut_log(whole, 0).count("Thought") == cut_log(whole, 0).count("Action") == 4


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\n")), max_size=8), st.integers(0, 60))
def test_a_cut_log_is_never_longer_keeps_its_other_lines_and_is_short_enough_if_it_can_be(
    observed: list[str], most: int
) -> None:
    lines = [
        line
        for number, text in enumerate(observed, start=1)
        for line in (f"Action {number}: Search[x]", f"Observation {number}: {text}")
    ]
    log = "\n".join(lines)
    cut = cut_log(log, most)
    kept = cut.split("\n")
    assert len(cut) <= len(log) and len(kept) == len(log.split("\n"))
    assert [line for line in kept if line.startswith("Action")] == lines[::2]
    if words_and_signs(cut) > most:
        assert all(len(line) <= len(f"Observation {len(observed)}: {BLANK}") for line in kept)


def test_a_log_is_cut_where_it_is_reflected_on_and_where_it_is_shown_again() -> None:
    long = PagesEnvironment({"Milan": "word " * 300, "Rome": "A city."})
    model = reads(["Search[Milan]", "Search[Rome]", "Finish[Rome]"])
    tight = ReflexionQuestions(log_tokens=120)
    mode: Mode = "last_attempt_and_reflexion"
    run(agent(model, environment=long, mode=mode, attempts=2, settings=tight), QUESTION)
    place = kinds(model).index(NOTE)
    for text in map(shown, model.requests[place : place + 2]):
        assert f"Observation 1: {BLANK}" in text and "Observation 2: A city." in text


def test_a_memory_takes_the_notes_into_a_later_run(tmp_path: Path) -> None:
    memory, first, later = EpisodicMemory(3), reads(WRONG), reads(RIGHT)
    improve(agent(first, attempts=3, memory=memory), [QUESTION], folder=tmp_path / "a")
    improve(agent(later, attempts=3, memory=memory), [QUESTION], folder=tmp_path / "b")
    assert re.findall(r"- lesson (\d)", shown(later.requests[0])) == ["1", "2"]


def test_thoughts_and_actions_are_asked_for_at_the_published_settings(tmp_path: Path) -> None:
    model = reads(WRONG)
    ran = improve(agent(model, attempts=2), [QUESTION], folder=tmp_path / "r", grader=exact_match)
    (trajectory,) = ran.trajectories()
    asked = {
        (call.role, call.sampling["temperature"], call.sampling["max_tokens"]) for call in trajectory.calls
    }
    assert asked == {("think", 0.0, 100), ("actor", 0.0, 100), ("reflector", 0.0, 250)}
    assert trajectory.usage.calls == model.calls == 9


def test_an_attempt_costs_its_thoughts_too() -> None:
    state = run(agent(reads(WRONG), attempts=1), QUESTION)
    assert state["attempt"].usage.calls == 4


def test_a_resumed_run_asks_for_nothing_that_is_stored(tmp_path: Path) -> None:
    def go(folder: Path) -> tuple[Run, ScriptedModel]:
        def say(messages: Sequence[Any], sampling: dict[str, Any]) -> str:
            text = shown(messages)
            if text.endswith("Reflection:"):
                return f"lesson {len(text)}"
            actions = RIGHT if "- lesson" in text else WRONG
            (number,) = re.findall(r"(\d+):$", text)
            return actions[int(number) - 1] if re.search(r"Action \d+:$", text) else f"so much: {len(text)}"

        model = ScriptedModel(say)
        made = agent(model, attempts=3, mode="last_attempt_and_reflexion")
        return improve(made, [QUESTION], folder=folder, grader=exact_match), model

    whole, model = go(tmp_path / "whole")
    (wanted,) = whole.trajectories()
    assert wanted.passed and len(wanted.attempts) == 2
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "settings.json").write_bytes((tmp_path / "whole" / "settings.json").read_bytes())
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:cut]))
        again, asked = go(folder)
        (found,) = again.trajectories()
        assert [each.messages for each in found.calls] == [each.messages for each in wanted.calls]
        assert asked.calls == model.calls - sum(b'"kind":"call"' in line for line in lines[:cut])


@pytest.mark.parametrize("calls", range(1, 9))
def test_it_ends_within_its_budget(tmp_path: Path, calls: int) -> None:
    model = reads(WRONG)
    improve(agent(model, attempts=2), [QUESTION], folder=tmp_path / "r", budget=Budget(calls=calls))
    assert model.calls == calls
    improve(agent(model, attempts=2), [QUESTION], folder=tmp_path / "r", budget=Budget(calls=99))
    assert Run(tmp_path / "r").figures.trajectories == 1


def test_worked_examples_are_shown_and_a_model_brings_its_own_texts() -> None:
    model = reads(RIGHT)
    model.prompts = Prompts({"reflexion_questions": "{told} | {question} | {log}"})
    settings = ReflexionQuestions(examples=lambda task: f"Examples for {task.id}.")
    run(agent(model, settings=settings), QUESTION)
    assert shown(model.requests[0]) == f"Examples for mayor. | {QUESTION.prompt} | Thought 1:"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attempts": 0}, "attempts must be at least 1, got 0"),
        ({"reflections": 0}, "reflections must be at least 1, got 0"),
        ({"settings": ReflexionQuestions(max_steps=0)}, "max_steps must be at least 1, got 0"),
        ({"mode": "reflection"}, "no mode named 'reflection'; known: none, last_attempt, reflexion"),
        ({"oracle": None}, "got neither"),
        ({"critic": exact_match, "oracle": exact_match}, "got both"),
    ],
)
def test_a_mistake_of_the_caller_is_raised_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        agent(reads(RIGHT), **options)


def test_pages_are_searched_by_title_looked_up_in_turn_and_closed_by_a_search_in_vain() -> None:
    session = PAGED(QUESTION)
    for action, wanted in (
        ("Lookup[born]", "No page is open to look a word up in. Search for one first."),
        ("search[ada rossi]", "Ada Rossi is a politician. Ada Rossi was born in Turin. She studied law."),
        ("Lookup[ada]", "(1 of 2) Ada Rossi is a politician."),
        ("Lookup[Ada]", "(2 of 2) Ada Rossi was born in Turin."),
        ("Lookup[Ada]", "No more sentences of this page have Ada."),
        ("Lookup[law]", "(1 of 1) She studied law."),
        ("Lookup[opera]", "No sentences of this page have opera."),
        ("Search[Ada Rosso]", "There is no page Ada Rosso. Pages with a like title: Ada Rossi."),
        ("Lookup[law]", "No page is open to look a word up in. Search for one first."),
    ):
        step = session.step(action)
        assert (step.observation, step.done) == (wanted, False)
    assert session.step("Finish[x]").done


def test_pages_may_come_with_the_task_and_without_any_it_is_a_mistake() -> None:
    task = QUESTION.replace(public={"pages": {"Rome": "A city."}})
    assert PagesEnvironment()(task).step("Search[Rome]").observation == "A city."
    with pytest.raises(BadInput, match="has no pages"):
        PagesEnvironment()(QUESTION)
