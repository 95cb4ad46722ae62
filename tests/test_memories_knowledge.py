"""The memory of DROC: typed knowledge in the log, found by words and by looks, each vector by its name."""

import asyncio
import json
import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentloop import Correction, Task
from agentloop.environments.tabletop.photos import photo_of
from agentloop.errors import BadInput, MemoryLocked
from agentloop.knowledge import Knowledge, KnowledgeKind, Photo
from agentloop.memories import ColourEmbedder, KnowledgeMemory, PatternEmbedder, check_memory

TASK = Task(id="t", prompt="Put the cup into the drawer.", public={"house": "acme"})
LIGHT = random.Random(0)


def shot(make: str) -> Photo:
    """A photo of a thing of this make; every one is another."""
    return photo_of(make, LIGHT)


def known(
    name: str, *, kind: KnowledgeKind = "skill", step: str = "open the drawer", make: str = "", **fields: Any
) -> Knowledge:
    level = "skill" if kind == "skill" else "plan"
    correction = Correction(id=name, text=f"text of {name}", level=level, key=step)
    about = f"{make} drawer" if make else ""
    return Knowledge(
        correction=correction,
        kind=kind,
        step=step,
        object=about,
        photo=shot(make) if make else None,
        **fields,
    )


def opened(folder: Path, **settings: Any) -> KnowledgeMemory:
    return KnowledgeMemory(folder, **{"looks": PatternEmbedder(), "words": ColourEmbedder(), **settings})


def keep(memory: KnowledgeMemory, *all_of: Knowledge) -> None:
    for each in all_of:
        asyncio.run(memory.keep(each))


def skill_for(memory: KnowledgeMemory, make: str, *steps: str) -> str | None:
    found = asyncio.run(memory.skill(steps or ("open the drawer",), shot(make)))
    return found.correction.id if found else None


def resolved(memory: KnowledgeMemory, name: str, ids: Sequence[str], *makes: str) -> str | None:
    found = asyncio.run(memory.resolve(name, ids, [shot(make) for make in makes]))
    return found.correction.id if found else None


def test_it_keeps_the_contract_of_memories(tmp_path: Path) -> None:
    numbers = iter(range(99))
    asyncio.run(check_memory(lambda: KnowledgeMemory(tmp_path / str(next(numbers)))))


def test_a_wrong_looking_drawer_of_the_same_name_is_not_retrieved(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        keep(memory, known("1", make="oak"), known("2", make="white"), known("3", make="blue"))
        assert [skill_for(memory, make) for make in ("oak", "white", "blue") * 5] == ["1", "2", "3"] * 5


def test_without_looks_the_newest_of_the_same_name_is_taken(tmp_path: Path) -> None:
    with KnowledgeMemory(tmp_path) as memory:
        keep(memory, known("1", make="oak"), known("2", make="white"))
        assert [skill_for(memory, make) for make in ("oak", "white")] == ["2", "2"]
        assert resolved(memory, "drawer", ["1", "2"], "oak") is None


def test_only_skills_of_the_steps_that_were_chosen_are_compared(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        keep(memory, known("1", make="oak"), known("2", make="white", step="open the oak drawer"))
        assert skill_for(memory, "oak", "open the oak drawer") == "2"
        assert skill_for(memory, "oak", "close the drawer") is None
        assert asyncio.run(memory.steps("open the drawer")) == ["open the drawer", "open the oak drawer"]


def test_a_bound_keeps_away_what_looks_too_different(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        keep(memory, known("1", make="oak"))
        assert skill_for(memory, "white") == "1", "published: the nearest, however far"
        memory.within = 0.6
        assert skill_for(memory, "white") is None and skill_for(memory, "oak") == "1"


def test_of_equally_near_skills_the_newest_counts(tmp_path: Path) -> None:
    photo = shot("oak")
    with opened(tmp_path) as memory:
        keep(memory, *(known(name).replace(photo=photo) for name in ("1", "2", "3")))
        assert skill_for(memory, "oak") == "3"


def test_a_vague_name_is_resolved_by_the_photo_of_what_stands_there(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        kind: KnowledgeKind = "task_constraint"
        keep(memory, *(known(make, kind=kind, make=make) for make in ("oak", "white", "blue")))
        ids = ["oak", "white", "blue"]
        assert [resolved(memory, "drawer", ids, make) for make in ids] == ids
        assert resolved(memory, "drawer", ["oak", "blue"], "white") in ("oak", "blue")
        assert resolved(memory, "drawer", ids) is None


class Names:
    """A text-image embedder that sees how green the first pixel is, and takes any text for green."""

    name, version, instant = "names", "1", True

    def __call__(self, photos: Sequence[Photo]) -> Any:
        return np.array([[int(photo.pixels[2:4], 16) / 255, 1.0] for photo in photos])

    def texts(self, texts: Sequence[str]) -> Any:
        assert texts == ["a photo of wooden drawer"]
        return np.array([[1.0, 0.0]])


def plain(red: int, green: int) -> Photo:
    return Photo(width=1, height=1, pixels=bytes([red, green, 0]).hex())


def test_a_visual_word_first_leaves_the_three_that_fit_it_and_looks_choose_of_these(tmp_path: Path) -> None:
    """The stage that cannot run as released: two vectors are held, each compared with its own kind."""
    photos = {"a": plain(0, 250), "b": plain(200, 240), "c": plain(250, 230), "d": plain(90, 90)}
    with opened(tmp_path, words=Names()) as memory:
        for name, photo in photos.items():
            keep(memory, known(name, kind="task_constraint").replace(photo=photo, object=f"{name} drawer"))

        def nearest(name: str) -> str | None:
            found = asyncio.run(memory.resolve(name, list(photos), [plain(90, 90)]))
            return found.correction.id if found else None

        assert nearest("drawer") == "d", "no visual word: looks alone"
        assert nearest("wooden drawer") in ("a", "b", "c"), "d is the least green, so its looks are not asked"


def test_both_vectors_are_stored_by_name_with_who_made_them(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        keep(memory, known("1", make="oak"))
    line = json.loads((tmp_path / "corrections.jsonl").read_text().splitlines()[0])
    assert {name: each["by"] for name, each in line["vectors"].items()} == {
        "looks": "agentloop-pattern/1",
        "words": "agentloop-colour/1",
    }
    assert len(line["vectors"]["looks"]["vector"]) != len(line["vectors"]["words"]["vector"])


def test_constraints_with_and_without_a_photo_live_together(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        keep(memory, known("1", kind="robot_constraint"), known("2", kind="task_constraint", make="oak"))
        keep(memory, known("3", kind="task_constraint"), known("4", make="oak"))
        found = asyncio.run(memory.constraints(TASK))
        assert [(each.correction.id, each.kind) for each in found] == [
            ("3", "task_constraint"),
            ("2", "task_constraint"),
            ("1", "robot_constraint"),
        ]
        assert resolved(memory, "drawer", ["1", "2", "3"], "white") == "2"


def test_a_robot_constraint_with_a_photo_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as memory, pytest.raises(BadInput, match="about no object"):
        keep(memory, known("1", kind="robot_constraint", make="oak"))


def test_a_constraint_learnt_twice_in_the_same_words_is_handed_out_once_the_newer_one(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        first = known("1", kind="task_constraint")
        again = first.replace(correction=first.correction.replace(id="2"))
        keep(memory, first, again)
        assert [each.correction.id for each in asyncio.run(memory.constraints(TASK))] == ["2"]


def test_an_exact_scope_keeps_a_constraint_from_other_tasks(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        for name, house in (("1", "acme"), ("2", "borealis")):
            each = known(name, kind="task_constraint")
            scoped = each.correction.replace(applies_when=f"house={house}")
            keep(memory, each.replace(correction=scoped))
        assert [each.correction.id for each in asyncio.run(memory.constraints(TASK))] == ["1"]


VALUES = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-9, 9)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=5,
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(values=VALUES)
def test_values_of_every_type_come_back_after_reopening_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("memory")
    with opened(folder) as memory:
        keep(memory, known("1", make="oak", values=values, code="move(up=0.1)"))
    with opened(folder, read_only=True) as memory:
        (held,) = memory.list()
        assert (held.values, held.code, held.object) == (values, "move(up=0.1)", "oak drawer")


def test_after_reopening_the_same_is_found_and_the_same_id_counts_once(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        keep(memory, known("1", make="oak"), known("2", make="white"), known("2", make="blue"))
    with opened(tmp_path) as memory:
        keep(memory, known("1", make="pink"))
        assert len(memory.list()) == 2 and skill_for(memory, "oak") == "1"


class Counting(PatternEmbedder):
    """Another embedder, by its name; counts the photos it was given."""

    name = "counting"
    seen = 0

    def __call__(self, photos: Sequence[Photo]) -> Any:
        type(self).seen += len(photos)
        return -super().__call__(photos)


def test_vectors_of_another_embedder_are_made_anew_and_never_mixed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as memory:
        keep(memory, known("1", make="oak"), known("2", make="white"))
    with caplog.at_level(logging.WARNING), opened(tmp_path, looks=Counting()) as memory:
        assert "vectors of 2 photos are of other embedders" in caplog.text
        assert [skill_for(memory, make) for make in ("oak", "white")] == ["1", "2"]
        assert Counting.seen == 4, "both photos once, and one for each question"


def test_photos_are_not_embedded_again_on_opening(tmp_path: Path) -> None:
    Counting.seen = 0
    with opened(tmp_path, looks=Counting()) as memory:
        keep(memory, known("1", make="oak"))
    with opened(tmp_path, looks=Counting()) as memory:
        assert skill_for(memory, "oak") == "1"
    assert Counting.seen == 2


def test_only_what_is_active_is_recalled_and_the_forgotten_never_comes_back(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        keep(memory, known("1", make="oak"), known("2", make="oak"), known("3", make="white"))
        memory.mark("2", "quarantined")
        memory.forget("1")
        keep(memory, known("1", make="oak"))
        assert skill_for(memory, "oak") == "3"
        assert [each.correction.status for each in memory.list()] == ["quarantined", "active"]


def test_what_is_handed_out_is_counted_and_a_reader_counts_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        keep(memory, known("1", make="oak"))
        skill_for(memory, "oak")
        asyncio.run(memory.settle("1", trajectory="a", helped=True))
        asyncio.run(memory.settle("1", trajectory="a", helped=False))
        held = memory.get("1").correction
        assert (held.recalled, held.helped, held.hurt) == (1, 1, 0)
        with opened(tmp_path, read_only=True) as reader:
            assert skill_for(reader, "oak") == "1"
            assert reader.get("1").correction.recalled == 1
            keep(memory, known("2", make="white"))
            assert skill_for(reader, "white") == "2", "a reader follows the writer"
        with pytest.raises(MemoryLocked):
            opened(tmp_path)


def test_a_memory_of_corrections_can_read_the_words(tmp_path: Path) -> None:
    pytest.importorskip("chromadb")
    from agentloop.memories import CorrectionMemory

    with opened(tmp_path) as memory:
        keep(memory, known("1", make="oak"))
    with CorrectionMemory(tmp_path, read_only=True) as words:
        assert [each.text for each in words.list()] == ["text of 1"]
