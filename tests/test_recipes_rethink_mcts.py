"""RethinkMCTS: a wrong thought is replaced in place once, public tests alone guide the search."""

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentloop import Attempt, Fact, Prompts, ScriptedModel, Step, Task, improve
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.journal import read
from agentloop.recipes.rethink_feedback import Quarters, blocks_of, call_in, cut, public_tests
from agentloop.recipes.rethink_judging import RethinkSettings, read_score
from agentloop.recipes.rethink_mcts import read_thoughts, rethink_mcts_agent
from agentloop.search import Tree
from agentloop.tested import Tested as Result
from agentloop.types import Message
from tests.twins import SENTINEL, run

TASK = Task(
    id="double",
    prompt="f(x) doubles x.",
    public={"tests": ["assert f(1) == 2", "assert f(2) == 4", "assert f(3) == 6"]},
    hidden={"tests": f"assert f(7) == 14  # {SENTINEL}"},
)

TAGS = Prompts(
    {
        "rethink_thoughts": "THINK\n{thoughts}\nEND {count} {task}",
        "rethink_thoughts_after": "AFTER\n{material}\nEND {count}",
        "rethink_code": "WRITE\n{thoughts}\nEND {task}",
        "rethink_material": "{task}|{thoughts}|{program}|{told}",
        "rethink_told": "{passed}/{total}\n{failed}\n{blocks}",
        "rethink_blocks": "BLOCKS\n{test}\n{run}\nEND {task} {program}",
        "rethink_replace": "REPLACE\n{material}\nTHE THOUGHT\n{thought}",
        "rethink_score": "SCORE\n{program}\n{thoughts}\n{task}",
    }
)
"""The texts reduced to what a script needs to see."""

WRITTEN = {
    "double": "def f(x): return x * 2",
    "add one": "def f(x): return x + 1",
    "zero": "def f(x): return 0",
    "nearly": "def f(x): return x * 2 if x < 3 else 0",
}


async def run_tests(task: Task, program: str, tests: Sequence[str]) -> Sequence[Result]:
    """Runs programs of our own, here in this process."""
    assert task.hidden == {}, "hidden tests were handed to the runner of public ones"
    results = []
    for test in tests:
        names: dict[str, Any] = {}
        exec(program, names)
        got = eval(call_in(test) or "0", names)
        results.append(Result(test=test, passed=_holds(test, names), got=repr(got)))
    return results


def _holds(test: str, names: dict[str, Any]) -> bool:
    try:
        exec(test, names)
    except AssertionError:
        return False
    return True


class Thinker:
    """A model in its parts: thoughts below a chain of thoughts, a program, a replacement, a score."""

    def __init__(
        self,
        thoughts: Callable[[str], Any] = lambda shown: [("double", 1.0)],
        *,
        program: Callable[[str], str] | None = None,
        replace: str = "double",
        score: str = '{"score": 0.5}',
        blocks: str = "block 0 is wrong",
    ) -> None:
        self.thoughts, self.program = thoughts, program or last_written
        self.replace, self.score, self.blocks = replace, score, blocks

    def __call__(self, messages: Sequence[Message], _: Mapping[str, Any]) -> str:
        kind, shown = messages[-1]["content"].split("\n", 1)
        if kind in ("THINK", "AFTER"):
            found = self.thoughts(shown)
            return found if isinstance(found, str) else as_json(found)
        if kind == "WRITE":
            return self.program(shown.rsplit("\nEND", 1)[0])
        return {"REPLACE": self.replace, "SCORE": self.score, "BLOCKS": self.blocks}[kind]


def as_json(thoughts: Sequence[tuple[str, float]]) -> str:
    return json.dumps({"thoughts": [{"thought": text, "weight": weight} for text, weight in thoughts]})


def last_written(thoughts: str) -> str:
    """The program of the last thought that names one."""
    named = [name for line in thoughts.splitlines() for name in WRITTEN if name in line]
    return WRITTEN[named[-1]] if named else WRITTEN["zero"]


def agent(thinker: Thinker, **settings: Any) -> tuple[Any, ScriptedModel]:
    model = ScriptedModel(thinker, prompts=TAGS)
    options = {name: settings.pop(name) for name in ("trace", "environment", "tests") if name in settings}
    made = rethink_mcts_agent(
        model=model,
        run_tests=settings.pop("run_tests", run_tests),
        settings=RethinkSettings(**{"rollouts": 3, **settings}),
        **options,
    )
    return made, model


def asked(model: ScriptedModel, kind: str) -> list[str]:
    contents = [request[-1]["content"] for request in model.requests]
    return [content.split("\n", 1)[1] for content in contents if content.startswith(f"{kind}\n")]


PLANTED = [("add one", 0.6), ("square", 0.3), ("zero", 0.1)]


# The offline properties of the method


def test_a_planted_wrong_thought_is_replaced_in_place_and_its_node_keeps_its_id() -> None:
    made, _ = agent(Thinker(lambda shown: PLANTED), rollouts=1)
    state = run(made, TASK)
    tree: Tree = state["tree"]
    assert [(node.id, node.content, node.prior) for node in tree.children(0)] == [
        (1, "double", 1.0),
        (2, "square", 0.3),
        (3, "zero", 0.1),
    ]
    assert state["best"].text == WRITTEN["double"] and state["best"].number == 2


def test_a_replaced_thought_disappears_from_the_state_and_from_later_prompts() -> None:
    made, model = agent(Thinker(lambda shown: PLANTED if "1." not in shown else [("so", 1.0)]), rollouts=4)
    state = run(made, TASK)
    assert "add one" not in state["tree"].to_json()
    replaced = next(place for place, text in enumerate(model.requests) if "REPLACE" in text[-1]["content"])
    assert all("add one" not in request[-1]["content"] for request in model.requests[replaced + 1 :])


def test_a_new_node_is_rethought_at_most_once() -> None:
    made, model = agent(Thinker(lambda shown: PLANTED, replace="zero"), rollouts=5)
    state = run(made, TASK)
    assert len(asked(model, "REPLACE")) == 5 and len(asked(model, "WRITE")) == 10
    assert state["number"] == 10 and state["tree"].visits == 5


def test_a_program_that_passes_is_not_rethought() -> None:
    made, model = agent(Thinker(lambda shown: [("double", 1.0)]), rollouts=2)
    run(made, TASK)
    assert asked(model, "REPLACE") == [] and len(asked(model, "SCORE")) == 2


def test_the_next_thoughts_are_asked_for_with_the_failure_in_view() -> None:
    made, model = agent(Thinker(lambda shown: [("add one", 1.0)], replace="zero"), rollouts=2)
    run(made, TASK)
    (first,), (after,) = asked(model, "THINK"), asked(model, "AFTER")
    assert first.endswith("END 3 f(x) doubles x.")
    assert "1. zero" in after and WRITTEN["zero"] in after and "# it gave: 0" in after
    assert "add one" not in after and WRITTEN["add one"] not in after


def test_after_a_pass_the_next_thoughts_are_asked_for_without_feedback() -> None:
    made, model = agent(Thinker(lambda shown: [("double", 1.0)]), rollouts=2)
    run(made, TASK)
    assert asked(model, "AFTER") == []
    assert asked(model, "THINK")[1].startswith("1. double\n")


def test_the_answer_is_the_best_program_ever_even_one_whose_thought_was_replaced() -> None:
    made, _ = agent(Thinker(lambda shown: [("nearly", 1.0)], replace="add one"), rollouts=1)
    state = run(made, TASK)
    assert state["tree"].node(1).reward == pytest.approx(1 / 3)
    assert state["best"].text == WRITTEN["nearly"] and state["best"].feedback.score == pytest.approx(2 / 3)


def test_of_equal_programs_the_first_is_the_answer() -> None:
    made, _ = agent(Thinker(lambda shown: [("double", 1.0)]), rollouts=4)
    assert run(made, TASK)["best"].number == 1


@pytest.mark.parametrize(
    ("said", "value"),
    [('{"score": 0.5}', 0.9), ('{"score": -1}', 0.6), ("no idea", 0.8), ('{"score": 40}', 1.0)],
)
def test_a_program_that_passes_is_worth_a_mix_of_pass_rate_and_self_score(said: str, value: float) -> None:
    made, _ = agent(Thinker(score=said), rollouts=1)
    state = run(made, TASK)
    assert state["tree"].node(1).reward == pytest.approx(value)
    assert state["best"].feedback.verdict == "pass"


def test_a_value_is_discounted_on_every_edge() -> None:
    made, _ = agent(Thinker(lambda shown: [("double", 1.0)], score='{"score": 1}'), rollouts=2)
    tree = run(made, TASK)["tree"]
    assert [node.best for node in tree.nodes[:3]] == pytest.approx([0.9**2, 0.9, 0.9])
    assert tree.node(1).total == pytest.approx(0.9 + 0.81)


def test_all_rollouts_are_made_unless_a_value_is_named_that_is_enough() -> None:
    published, _ = agent(Thinker(), rollouts=16)
    assert run(published, TASK)["tree"].visits == 16
    frugal, model = agent(Thinker(score='{"score": 1}'), rollouts=16, stop_at=1.0)
    state = run(frugal, TASK)
    assert (state["stop_reason"], state["stop_signal"], state["tree"].visits) == ("reward", "public", 1)
    assert model.calls == 3


def test_the_constants_are_the_published_ones() -> None:
    settings = RethinkSettings()
    assert (settings.rollouts, settings.width, settings.rethinks) == (16, 3, 1)
    assert (settings.discount, settings.constant, settings.base, settings.passing) == (0.9, 4.0, 10.0, 0.8)
    assert (settings.shown_tests, settings.test_tokens) == (6, 2048)
    assert (settings.most_tokens, settings.kept_tokens) == (12000, 8000)
    assert settings.stop_at is None


# The order of the search, against an implementation of its own


class Draws(dict[tuple[str, ...], tuple[float, float]]):
    """A prior and a pass rate (in tenths, below 1) for every chain, the same whenever it is asked for."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def __missing__(self, chain: tuple[str, ...]) -> tuple[float, float]:
        draw = random.Random(f"{self.seed} {''.join(chain)}")
        self[chain] = (draw.choice([0.0, 0.1, 0.3, 0.6]), draw.randrange(10) / 10)
        return self[chain]


def reference(draws: Draws, *, rollouts: int, rethinks: int) -> list[str]:
    """The chains of thoughts in the order in which they are evaluated: mutable, recursive, eager.

    ``draws`` gives the prior of a chain's last thought, and the pass rate of the program of a chain.
    """
    children: dict[tuple[str, ...], list[list[Any]]] = {}
    seen: dict[tuple[str, ...], int] = {}
    order = []

    def expand(chain: tuple[str, ...]) -> None:
        children[chain] = [[name, draws[(*chain, name)][0], []] for name in "abc"]
        seen[chain] = 1

    expand(())
    for _ in range(rollouts):
        chain: tuple[str, ...] = ()
        edges = []
        while chain in children:
            above = seen[chain]
            weight = math.log((above + 10 + 1) / 10) + 4

            def rated(edge: list[Any], above: int = above, weight: float = weight) -> float:
                best = max(edge[2]) if edge[2] else 0.0
                return float(best + weight * edge[1] * math.sqrt(math.log(above)) / (1 + len(edge[2])))

            edge = max(children[chain], key=rated)
            edges.append((chain, edge))
            chain = (*chain, edge[0])
        order.append("".join(chain))
        value = draws[chain][1]
        if rethinks and value < 1:
            edge = edges[-1][1]
            edge[0], edge[1] = edge[0].upper(), 1.0
            chain = (*chain[:-1], edge[0])
            order.append("".join(chain))
            value = draws[chain][1]
        expand(chain)
        seen[chain] += 1
        for steps, (above_chain, edge) in enumerate(reversed(edges), start=1):
            edge[2].append(value * 0.9**steps)
            seen[above_chain] += 1
    return order


def chain_of(thoughts: str) -> str:
    return "".join(line.split(". ")[1] for line in thoughts.splitlines() if ". " in line)


@pytest.mark.parametrize("rethinks", [0, 1])
@pytest.mark.parametrize("seed", range(8))
def test_nodes_are_evaluated_in_the_published_order(seed: int, rethinks: int) -> None:
    draws = Draws(seed)

    def think(messages: Sequence[Message], _: Any) -> str:
        kind, shown = messages[-1]["content"].split("\n", 1)
        if kind == "REPLACE":
            return shown.rsplit("\n", 1)[1].upper()
        chain = chain_of(shown.split("|")[1] if kind == "AFTER" else shown.rsplit("\nEND", 1)[0])
        if kind == "WRITE":
            return chain
        return as_json([(name, draws[(*chain, name)][0]) for name in "abc"])

    async def tenths(task: Task, program: str, tests: Sequence[str]) -> Sequence[Result]:
        right = round(draws[tuple(program)][1] * 10)
        return [Result(test=test, passed=place < right) for place, test in enumerate(tests)]

    model = ScriptedModel(think, prompts=TAGS)
    made = rethink_mcts_agent(
        model=model,
        run_tests=tenths,
        tests=lambda task: [f"test {number}" for number in range(10)],
        settings=RethinkSettings(rethinks=rethinks),
    )
    assert run(made, TASK)["tree"].visits == 16
    written = [chain_of(shown.rsplit("\nEND", 1)[0]) for shown in asked(model, "WRITE")]
    assert written == reference(draws, rollouts=16, rethinks=rethinks)


# Feedback: failed tests, traces, sizes


def many_tests(count: int, got: str = "0") -> tuple[Any, Any]:
    """So many tests, all of which fail with this result."""

    async def failing(task: Task, program: str, tests: Sequence[str]) -> Sequence[Result]:
        return [Result(test=test, passed=False, got=got) for test in tests]

    return failing, lambda task: [f"assert f({number}) == -1" for number in range(count)]


def test_at_most_six_failed_tests_are_shown() -> None:
    failing, tests = many_tests(9)
    made, model = agent(Thinker(), rollouts=1, run_tests=failing, tests=tests)
    run(made, TASK)
    (shown,) = asked(model, "REPLACE")
    assert shown.count("## Failed test") == 6 and "f(5)" in shown and "f(6)" not in shown
    assert "0/9" in shown


def test_each_failed_test_is_cut_to_its_tokens() -> None:
    failing, tests = many_tests(1, got="y" * 50_000)
    made, model = agent(Thinker(), rollouts=1, run_tests=failing, tests=tests, test_tokens=100)
    run(made, TASK)
    (shown,) = asked(model, "REPLACE")
    assert shown.count("y") == 100 * 4 - len("assert f(0) == -1\n# it gave: ")


def test_what_led_to_a_failure_is_cut_once_it_is_too_long() -> None:
    failing, tests = many_tests(3)
    for most, wanted in ((10_000, None), (20, 10)):
        made, model = agent(
            Thinker(), rollouts=1, run_tests=failing, tests=tests, most_tokens=most, kept_tokens=10
        )
        run(made, TASK)
        material = asked(model, "REPLACE")[0].rsplit("\nTHE THOUGHT", 1)[0]
        assert material.startswith("f(x) doubles x.|")
        assert (len(material) == wanted * 4) if wanted else (len(material) > 100)


def test_text_is_cut_by_the_tokenizer_that_is_given() -> None:
    class Words:
        def encode(self, text: str) -> list[str]:
            return text.split(" ")

        def decode(self, tokens: Sequence[str]) -> str:
            return " ".join(tokens)

    assert cut("one two three", 2, Words()) == "one two"
    assert cut("one two", 2, Words()) == "one two"
    assert cut("abcdefghi", 2, Quarters()) == "abcdefgh"
    assert cut("abcdefghi", 2, Quarters(), to=1) == "abcd"


def traced(lines: int) -> Fact:
    events = [
        {
            "line": each,
            "source": f"y{each} = x",
            "function": "f",
            "block": each // 2,
            "values": {"x": str(each)},
        }
        for each in range(lines)
    ]
    return Fact(kind="trace", data={"lines": events, "cut": False})


def test_the_first_failed_test_that_yields_a_trace_is_gone_through_block_by_block() -> None:
    calls = []

    async def trace(task: Task, program: str, call: str) -> Fact:
        assert task.hidden == {}
        calls.append(call)
        return traced(0 if call == "f(0)" else 3)

    failing, tests = many_tests(3)
    made, model = agent(Thinker(), rollouts=1, run_tests=failing, tests=tests, trace=trace, rethinks=0)
    state = run(made, TASK)
    assert calls == ["f(0)", "f(1)"]
    (shown,) = asked(model, "BLOCKS")
    assert shown.startswith("assert f(1) == -1\n") and "[BLOCK-1]" in shown
    assert "block 0 is wrong" in state["attempt"].feedback.text and "y2 = x" in state["attempt"].feedback.text


def test_without_a_trace_nobody_is_asked_about_blocks() -> None:
    async def trace(task: Task, program: str, call: str) -> Fact:
        return traced(0)

    failing, tests = many_tests(2)
    for tracer in (trace, None):
        made, model = agent(Thinker(), rollouts=1, run_tests=failing, tests=tests, trace=tracer)
        run(made, TASK)
        assert asked(model, "BLOCKS") == []


def test_a_run_of_many_blocks_shows_the_first_and_the_last_half() -> None:
    shown = blocks_of(traced(40), most=10, tokens=1000, tokenizer=Quarters())
    assert shown.count("[BLOCK-") == 10
    assert "y9 = x" in shown and "y10 = x" not in shown and "y30 = x" in shown and "# x=39" in shown


def test_a_block_tells_what_it_returned_or_raised() -> None:
    lines = [
        {"source": "return x", "block": 1, "values": {}, "returned": "3"},
        {
            "source": "1 / 0",
            "block": 2,
            "values": {"x": "0"},
            "raised": "ZeroDivisionError: by zero",
        },
    ]
    shown = blocks_of(Fact(kind="trace", data={"lines": lines}), most=10, tokens=99, tokenizer=Quarters())
    assert "return x    # returned 3" in shown
    assert "1 / 0    # x=0  raised ZeroDivisionError: by zero" in shown


@pytest.mark.parametrize(
    ("test", "call"),
    [
        ("assert f(1, [2]) == 3", "f(1, [2])"),
        ("assert abs(f(1.5) - 2) < 1e-6", "f(1.5)"),
        ("assert sorted(f('a')) == ['a']", "f('a')"),
        ("import math\nassert math.isclose(f(2), 4)", "f(2)"),
        ("assert not f()", "f()"),
        ("assert 1 == 1", ""),
        ("def check(f): ...", ""),
        ("assert f(", ""),
        ("", ""),
    ],
)
def test_the_call_of_a_test_is_found(test: str, call: str) -> None:
    assert call_in(test) == call


@pytest.mark.parametrize(
    ("given", "tests"),
    [
        (["assert f(1) == 2", "assert f(2) == 4"], ["assert f(1) == 2", "assert f(2) == 4"]),
        ("assert f(1) == 2\nassert f(2) == 4", ["assert f(1) == 2", "assert f(2) == 4"]),
        (["import math", "assert f(1) == math.e"], ["import math\nassert f(1) == math.e"]),
        ("def check(g):\n    assert g(1)\ncheck(f)", ["def check(g):\n    assert g(1)\ncheck(f)"]),
        ("assert f(1 ==", ["assert f(1 =="]),
        ([], []),
        ("  ", []),
        (None, []),
    ],
)
def test_public_tests_are_read_from_the_task(given: Any, tests: list[str]) -> None:
    assert public_tests(Task(id="t", prompt="", public={"tests": given})) == tests


@pytest.mark.parametrize(
    ("reply", "thoughts"),
    [
        (as_json([("a", 0.5), ("b", 0.25)]), [("a", 0.5), ("b", 0.25)]),
        (as_json([(name, 0.1) for name in "abcde"]), [("a", 0.1), ("b", 0.1), ("c", 0.1)]),
        ('{"thoughts": ["a", {"thought": "b", "weight": "much"}]}', [("a", 1 / 3), ("b", 1 / 3)]),
        ('{"thoughts": [{"thought": "a", "weight": 7}, {"weight": 1}, 3]}', [("a", 1 / 3)]),
        ("1. first\n2. second", [("first", 1 / 3), ("second", 1 / 3)]),
        ("I have no thought.", [("", 1.0)]),
        ('{"thoughts": "none"}', [("", 1.0)]),
        ("", [("", 1.0)]),
    ],
)
def test_thoughts_are_read_from_a_reply(reply: str, thoughts: list[tuple[str, float]]) -> None:
    assert read_thoughts(reply, 3) == [(text, pytest.approx(weight)) for text, weight in thoughts]


@pytest.mark.parametrize(
    ("reply", "score"),
    [('{"score": NaN}', 0.0), ('{"score": "high"}', 0.0), ('{"score": null}', 0.0), ('{"score": -7}', -1.0)],
)
def test_a_score_that_cannot_be_read_is_0_and_others_are_bounded(reply: str, score: float) -> None:
    assert read_score(reply) == score


def test_a_thought_replaced_by_nothing_stays_and_is_not_evaluated_again() -> None:
    made, model = agent(Thinker(lambda shown: [("zero", 1.0)], replace="  "), rollouts=1)
    assert run(made, TASK)["tree"].node(1).content == "zero"
    assert len(asked(model, "WRITE")) == 1


def test_a_task_without_public_tests_is_worth_nothing_and_says_so() -> None:
    made, model = agent(Thinker(), rollouts=1)
    state = run(made, TASK.replace(public={}))
    assert (state["tree"].node(1).reward, state["best"].feedback.verdict) == (0.0, "unsure")
    assert asked(model, "REPLACE") == asked(model, "SCORE") == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width"),
        ({"rethinks": -1}, "rethinks"),
        ({"rollouts": 0}, "visits"),
        ({"blocks": 1}, "blocks"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, int], message: str) -> None:
    with pytest.raises(BadInput, match=f"{message} must be at least"):
        agent(Thinker(), **settings)


# In a run


class Sandbox:
    """A session whose end state only a grader may see."""

    instructions = None

    def __init__(self, task: Task) -> None:
        self.task, self.program = task, ""

    def prompt(self) -> str:
        return f"{self.task.prompt} (in the sandbox)"

    def step(self, action: str) -> Step:
        self.program = action
        return Step(action=action, observation="ran")

    def final(self) -> list[Fact]:
        return [Fact(kind="end", data={"right": self.program == WRITTEN["double"]}, hidden=True)]

    def close(self) -> None:
        pass


def right(attempt: Attempt) -> float:
    return float(attempt.facts[0].data["right"])


def test_hidden_tests_only_score_the_programs(tmp_path: Path) -> None:
    made, model = agent(Thinker(lambda shown: PLANTED), rollouts=3, environment=Sandbox)
    done = improve(made, [TASK], folder=tmp_path, grader=right)
    (trajectory,) = done.trajectories()
    assert [attempt.passed for attempt in trajectory.attempts][:2] == [False, True]
    assert trajectory.passed is True and trajectory.stop_signal == "none"
    assert SENTINEL not in str(model.requests)
    assert "(in the sandbox)" in asked(model, "WRITE")[0]


def test_every_request_has_its_role(tmp_path: Path) -> None:
    made, _ = agent(Thinker(lambda shown: PLANTED), rollouts=1)
    (trajectory,) = improve(made, [TASK], folder=tmp_path).trajectories()
    assert [call.role for call in trajectory.calls] == ["expand", "actor", "reflector", "actor", "critic"]
    assert trajectory.calls[0].sampling["temperature"] == 0.0
    told = [attempt.feedback for attempt in trajectory.attempts]
    assert [each.items["tests_passed"] for each in told if each] == ["1", "3"]


class Killed(BadInput):
    """Stands for the end of the process: no boundary stops it."""


@pytest.mark.parametrize("last", range(1, 14))
def test_a_search_that_was_killed_goes_on_without_repeating_a_call(tmp_path: Path, last: int) -> None:
    def tree_and_calls(folder: str, thinker: Any) -> tuple[Any, int]:
        model = ScriptedModel(thinker, prompts=TAGS)
        made = rethink_mcts_agent(
            model=model, run_tests=run_tests, trace=three_lines, settings=RethinkSettings(rollouts=4)
        )
        improve(made, [TASK], folder=tmp_path / folder)
        journal = read(tmp_path / folder / "journal.jsonl")
        return [entry["value"] for entry in journal if entry.get("kind") == "tree"][-1], model.calls

    thinker, said = Thinker(lambda shown: PLANTED, replace="zero"), []

    def cut_off(messages: Sequence[Message], sampling: Mapping[str, Any]) -> Any:
        said.append(1)
        return Killed("the end") if len(said) > last else thinker(messages, sampling)

    tree, calls = tree_and_calls("whole", thinker)
    with pytest.raises(Killed):
        tree_and_calls("cut", cut_off)
    again, rest = tree_and_calls("cut", thinker)
    assert again == tree and last + rest == calls


async def three_lines(task: Task, program: str, call: str) -> Fact:
    return traced(3)


def test_a_broken_sandbox_is_no_failure_and_the_run_goes_on_later(tmp_path: Path) -> None:
    async def broken(task: Task, program: str, tests: Sequence[str]) -> Sequence[Result]:
        raise EnvironmentFailed("no sandbox here")

    made, _ = agent(Thinker(), rollouts=2, run_tests=broken)
    (trajectory,) = improve(made, [TASK], folder=tmp_path).trajectories()
    assert trajectory.stop_reason == "error"
    assert trajectory.attempts[0].error == "search: EnvironmentFailed: no sandbox here"
    assert trajectory.attempts[0].feedback is None and trajectory.attempts[0].text == WRITTEN["double"]
    whole, model = agent(Thinker(), rollouts=2)
    (trajectory,) = improve(whole, [TASK], folder=tmp_path).trajectories()
    assert trajectory.stop_reason == "visits" and trajectory.attempts[0].error is None
    assert len(asked(model, "WRITE")) == 1, "the first program was written before"


def test_results_that_do_not_fit_the_tests_break_the_attempt() -> None:
    async def short(task: Task, program: str, tests: Sequence[str]) -> Sequence[Result]:
        return [Result(test=tests[0], passed=True)]

    made, _ = agent(Thinker(), run_tests=short)
    assert "3 tests were to be run, 1 came back" in run(made, TASK)["attempt"].error


def test_the_texts_of_the_package_show_what_they_have_to() -> None:
    model = ScriptedModel(
        lambda messages, _: (
            as_json(PLANTED) if "ifferent thoughts" in messages[-1]["content"] else WRITTEN["zero"]
        )
    )
    made = rethink_mcts_agent(
        model=model, run_tests=run_tests, trace=three_lines, settings=RethinkSettings(rollouts=2)
    )
    run(made, TASK)
    texts = [request[-1]["content"] for request in model.requests]
    assert all("f(x) doubles x." in text for text in texts)
    assert any("[BLOCK-0]" in text and "<run>" in text for text in texts)
    assert any("# it gave: 0" in text and "<material>" in text for text in texts)
    assert SENTINEL not in str(texts)
