"""The agent as a LangGraph graph: what it is shown, when it stops, what it keeps."""

import asyncio
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from agentloop import (
    Attempt,
    Fact,
    Feedback,
    RunContext,
    ScriptedModel,
    Step,
    insert,
    oracle,
    reflect_and_retry,
    reflect_and_retry_graph,
    sees_hidden,
    stuck,
)
from agentloop.acting import Act
from agentloop.errors import BadInput
from agentloop.graph import compile_agent
from agentloop.learning import Distil
from agentloop.nodes import Judge, Reflect
from agentloop.state import State
from agentloop.stopping import Decide, goes_to
from tests.twins import SENTINEL, TASK, Doors, found_the_prize, knows_the_answer, run, says, third_time


def test_an_agent_tries_is_told_and_tries_again() -> None:
    model = says("one", "two", "three")
    state = run(reflect_and_retry(model=model, critic=third_time))
    assert (state["best"].text, state["best"].number, state["stop_reason"]) == ("three", 3, "passed")
    second = model.requests[1]
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    assert second[1]["content"] == "one"
    assert "Wrong 1." in second[2]["content"]


def test_a_satisfied_task_costs_no_further_call() -> None:
    model = says("3")
    run(reflect_and_retry(model=model, critic=sees_hidden(knows_the_answer)))
    assert model.calls == 1


def test_only_the_last_attempt_is_shown_unless_more_are_asked_for() -> None:
    last, everything, nothing = says("a", "b", "c"), says("a", "b", "c"), says("a", "b", "c")
    run(reflect_and_retry(model=last, critic=third_time))
    run(reflect_and_retry(model=everything, critic=third_time, history=None))
    run(reflect_and_retry(model=nothing, critic=third_time, history=0))
    assert [len(each.requests[2]) for each in (last, everything, nothing)] == [3, 5, 1]


@pytest.mark.parametrize(
    ("critic", "signal"),
    [(third_time, "public"), (sees_hidden(third_time), "oracle")],
)
def test_the_signal_that_stopped_the_loop_is_recorded(critic: Any, signal: str) -> None:
    state = run(reflect_and_retry(model=says("a", "b", "c"), critic=critic))
    assert state["stop_signal"] == signal


def test_it_stops_when_the_attempts_are_spent() -> None:
    state = run(reflect_and_retry(model=says("a", "b"), critic=third_time, attempts=2))
    assert (state["stop_reason"], state["stop_signal"]) == ("attempts", "none")


def test_it_stops_when_two_attempts_in_a_row_are_the_same() -> None:
    state = run(reflect_and_retry(model=says("a", "a "), critic=third_time))
    assert state["stop_reason"] == "no progress"


def test_it_goes_on_with_the_same_answer_when_told_to() -> None:
    state = run(reflect_and_retry(model=says("a", "a", "a"), critic=third_time, stop=[]))
    assert state["stop_reason"] == "passed"


def test_it_stops_when_the_critic_says_so() -> None:
    def enough(attempt: Attempt) -> Feedback:
        return Feedback(text="Leave it.", verdict="fail", stop=True)

    assert run(reflect_and_retry(model=says("a"), critic=enough))["stop_reason"] == "critic"


def test_the_oracle_can_stop_the_loop_and_is_named() -> None:
    def never_sure(attempt: Attempt) -> Feedback:
        return Feedback(text="Hm.")

    agent = reflect_and_retry(
        model=says("1", "3", "2"),
        environment=Doors,
        critic=never_sure,
        stop=[stuck(2), oracle(found_the_prize)],
    )
    state = run(agent)
    assert (state["stop_reason"], state["stop_signal"], state["best"].text) == ("oracle", "oracle", "3")


def test_a_worse_attempt_never_replaces_a_better_one() -> None:
    scores = {"a": 0.9, "b": 0.1, "c": 0.5}

    def scored(attempt: Attempt) -> Feedback:
        return Feedback(text=".", verdict="fail", score=scores[attempt.text])

    assert run(reflect_and_retry(model=says("a", "b", "c"), critic=scored))["best"].text == "a"


def test_a_crash_in_a_critic_leaves_the_last_good_attempt_selectable() -> None:
    def breaks_later(attempt: Attempt) -> Feedback:
        if attempt.number == 2:
            raise RuntimeError("boom")
        return Feedback(text="no", verdict="fail", score=0.2)

    state = run(reflect_and_retry(model=says("a", "b"), critic=breaks_later))
    assert state["best"].text == "a"
    assert state["attempt"].error == "critic: RuntimeError: boom"
    assert state["stop_reason"] == "error"


def test_a_model_that_fails_is_the_attempts_error() -> None:
    state = run(reflect_and_retry(model=ScriptedModel([RuntimeError("down")]), critic=third_time))
    assert state["attempt"].error == "model: RuntimeError: down"


def test_an_environment_that_fails_is_the_attempts_error() -> None:
    class Broken(Doors):
        def step(self, action: str) -> Step:
            raise OSError("wire cut")

    state = run(reflect_and_retry(model=says("1"), environment=Broken, critic=third_time))
    assert state["attempt"].error == "environment: OSError: wire cut"


def test_a_mistake_of_the_caller_is_raised_at_once() -> None:
    def wrong(attempt: Attempt) -> str:
        return "bad"

    with pytest.raises(BadInput, match="must return a Feedback, got str"):
        run(reflect_and_retry(model=says("a"), critic=wrong))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="attempts must be at least 1, got 0"):
        reflect_and_retry(model=says("a"), critic=third_time, attempts=0)


def test_an_attempt_of_many_steps_shows_each_observation() -> None:
    model = says("1", "3", "stop")
    state = run(reflect_and_retry(model=model, environment=Doors, critic=third_time, attempts=1, max_steps=5))
    attempt = state["attempt"]
    assert [step.action for step in attempt.steps] == ["1", "3", "stop"]
    assert "door 1: empty" in model.requests[1][-1]["content"]
    assert [message["role"] for message in model.requests[2]] == ["user", "assistant"] * 2 + ["user"]
    assert attempt.text == "stop"


def test_an_attempt_ends_when_the_same_action_brings_the_same_again() -> None:
    model = says("1", "1", "1")
    state = run(reflect_and_retry(model=model, environment=Doors, critic=third_time, attempts=1, max_steps=9))
    assert len(state["attempt"].steps) == 2


def test_max_steps_ends_an_attempt() -> None:
    model = says("1", "2", "1")
    state = run(reflect_and_retry(model=model, environment=Doors, critic=third_time, attempts=1, max_steps=2))
    assert len(state["attempt"].steps) == 2


def test_a_critic_sees_nothing_hidden_unless_it_is_let_through() -> None:
    seen: list[Attempt] = []

    def looks(attempt: Attempt) -> Feedback:
        seen.append(attempt)
        return Feedback(text="no", verdict="fail")

    for critic in (looks, sees_hidden(looks)):
        run(reflect_and_retry(model=says("1"), environment=Doors, critic=critic, attempts=1))
    assert (seen[0].task.hidden, seen[0].facts) == ({}, ())
    assert (seen[1].task.hidden, len(seen[1].facts)) == ({"answer": "3"}, 1)


def test_feedback_is_marked_privileged_by_us_and_hidden_values_in_it_are_masked() -> None:
    def tells(attempt: Attempt) -> Feedback:
        return Feedback(text=f"It is {SENTINEL}.", verdict="fail", privileged=False)

    model = says("a", "b", "c")
    state = run(
        reflect_and_retry(model=model, critic=sees_hidden(tells)), TASK.replace(hidden={"answer": SENTINEL})
    )
    assert state["best"].feedback.privileged is True
    assert SENTINEL not in str(model.requests)
    assert "[hidden]" in str(model.requests)


def test_a_failed_attempt_leaves_one_reflection_and_the_next_is_shown_it() -> None:
    actor, reflector = says("a", "b", "c"), says("look left", "look right")
    state = run(reflect_and_retry(model=actor, reflect=reflector, critic=third_time))
    assert reflector.calls == 2
    assert "look left" in actor.requests[1][-1]["content"]
    assert [each.reflection.text for each in state["earlier"]] == ["look left", "look right"]


def test_a_plain_function_can_reflect() -> None:
    actor = says("a", "b", "c")
    run(reflect_and_retry(model=actor, reflect=lambda attempt: f"not {attempt.text}", critic=third_time))
    assert "not a" in actor.requests[1][-1]["content"]


def test_a_node_of_ones_own_goes_between_ours() -> None:
    async def shout(state: State, runtime: Runtime[RunContext]) -> State:
        attempt = state["attempt"]
        return {"attempt": attempt.replace(text=attempt.text.upper())}

    graph = reflect_and_retry_graph(model=says("a", "b", "c"), critic=third_time)
    insert(graph, "shout", shout, after="act", before="judge")
    assert run(compile_agent(graph, attempts=3))["best"].text == "C"
    with pytest.raises(BadInput, match="no edge act -> reflect"):
        insert(graph, "x", shout, after="act", before="reflect")


def test_our_nodes_go_into_a_graph_of_ones_own_one_by_one() -> None:
    class Mine(State, total=False):
        greeting: str

    def greet(state: Mine) -> Mine:
        return {"greeting": f"about {state['task'].id}"}

    graph = StateGraph(Mine, context_schema=RunContext)
    graph.add_node("greet", greet)
    graph.add_node("act", Act(says("a", "b", "c")))
    graph.add_node("judge", Judge(third_time))
    graph.add_node("decide", Decide(attempts=3))
    graph.add_node("reflect", Reflect(None))
    graph.add_node("distil", Distil(None))
    for start, end in [(START, "greet"), ("greet", "act"), ("act", "judge"), ("judge", "decide")]:
        graph.add_edge(start, end)
    graph.add_conditional_edges("decide", goes_to)
    graph.add_edge("reflect", "act")
    graph.add_edge("distil", END)
    state = run(graph.compile().with_config(recursion_limit=30))
    assert (state["greeting"], state["best"].text) == ("about t", "c")


def test_the_agent_is_a_node_of_a_larger_graph() -> None:
    inner = reflect_and_retry(model=says("a", "b", "c"), critic=third_time)
    outer = StateGraph(State)
    outer.add_node("solve", inner)
    outer.add_edge(START, "solve")
    outer.add_edge("solve", END)
    assert run(outer.compile())["best"].text == "c"


def test_the_graph_has_four_nodes_and_an_explicit_recursion_limit() -> None:
    agent = reflect_and_retry(model=says(), critic=third_time, attempts=7)
    assert set(agent.get_graph().nodes) == {"__start__", "act", "judge", "reflect", "distil", "__end__"}
    assert agent.config is not None
    assert 3 * 7 < agent.config["recursion_limit"] < 100


def test_it_can_be_streamed_and_checkpointed() -> None:
    async def streamed() -> list[str]:
        graph = reflect_and_retry_graph(model=says("a", "b", "c"), critic=third_time)
        agent = graph.compile(checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "1"}}
        return [
            name
            async for update in agent.astream({"task": TASK}, config, stream_mode="updates")
            for name in update
        ]

    names = asyncio.run(streamed())
    assert names == ["act", "judge", "reflect"] * 2 + ["act", "judge", "distil"]


def test_a_person_can_be_asked_in_between() -> None:
    async def ask(state: State, runtime: Runtime[RunContext]) -> State:
        answer = interrupt("is it right?")
        return {"attempt": state["attempt"].replace(text=answer)}

    async def asked() -> Any:
        graph = reflect_and_retry_graph(model=says("a"), critic=third_time, attempts=1)
        insert(graph, "ask", ask, after="act", before="judge")
        agent = graph.compile(checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "1"}}
        waiting = await agent.ainvoke({"task": TASK}, config)
        assert "__interrupt__" in waiting
        return await agent.ainvoke(Command(resume="from a person"), config)

    assert asyncio.run(asked())["best"].text == "from a person"


def test_a_hidden_fact_reaches_the_grader_only() -> None:
    model = says("1", "2", "3")

    def blind(attempt: Attempt) -> Feedback:
        assert not any(fact.hidden for fact in attempt.facts)
        return Feedback(text="no", verdict="fail")

    state = run(reflect_and_retry(model=model, environment=Doors, critic=blind))
    assert Fact(kind="end", data={"found": True, "answer": SENTINEL}, hidden=True) in state["attempt"].facts
    assert SENTINEL not in str(model.requests)
