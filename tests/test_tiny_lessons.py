"""What is kept of the tiny critic's words."""

from agentloop import Attempt, Feedback, Task
from agentloop.tiny import house_readings

TASK = Task(id="t", prompt="acme: list a few boats", public={"house": "acme"})


def told(text: str, verdict: str = "fail", kind: str = "critique") -> Attempt:
    feedback = Feedback(text=text, verdict=verdict, kind=kind)
    return Attempt(id="t#0/1", trajectory="t#0", task=TASK, number=1, text="SELECT 1", feedback=feedback)


def test_each_reading_is_a_correction_of_its_own_for_its_house_only() -> None:
    kept = house_readings([told("at acme, a few means 4 rows; at acme, typical means the total")])
    assert [each.text for each in kept] == ["at acme, a few means 4 rows", "at acme, typical means the total"]
    assert {each.applies_when for each in kept} == {"house=acme"}
    assert kept[0].source.quote == "at acme, a few means 4 rows; at acme, typical means the total"


def test_what_concerns_one_question_only_is_left() -> None:
    assert house_readings([told("there is no votes, did you mean vote; 7 rows are asked for")]) == ()


def test_a_reading_told_twice_is_kept_once_and_praise_is_not_kept() -> None:
    attempts = [told("at acme, a few means 4 rows")] * 2 + [told("Correct.", "pass", "binary")]
    assert len(house_readings(attempts)) == 1


def test_bare_words_to_try_again_teach_nothing() -> None:
    assert house_readings([told("at acme, a few means 4 rows", kind="unary")]) == ()
