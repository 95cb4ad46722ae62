"""OpenEnv both ways: ours behind its server, and any server's environment as ours."""

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from agentloop.environments import SQLEnvironment
from agentloop.environments.openenv_connection import address_of
from agentloop.environments.openenv_environment import OpenEnvironment, shown
from agentloop.environments.openenv_server import serve_openenv
from agentloop.environments.reward import reward_passes
from agentloop.environments.sql import result_match
from agentloop.errors import BadInput, EnvironmentFailed
from agentloop.types import Attempt, Fact, Step, Task
from tests.resuming import check_resumed

SENTINEL = "sentinel-8842"
ECHO = Task(id="echo", prompt="Say something.", public={"openenv": {"task": "one"}})


@pytest.fixture(scope="session")
def openenv() -> Any:
    """OpenEnv's own package; the test is skipped without it."""
    return pytest.importorskip(
        "openenv.core.env_server",
        reason="SKIPPED: no OpenEnv, pip install 'agentloop-toolkit[openenv]' to run this test",
    )


class Parrot:
    """Says what it hears, and hides a word; plain, so that one thread is all it may be used in."""

    opened: list["Parrot"] = []

    def __init__(self, task: Task) -> None:
        self.task, self.closed, self.thread = task, 0, threading.get_ident()
        Parrot.opened.append(self)

    def prompt(self) -> str:
        return self.task.prompt

    def step(self, action: str) -> Step:
        assert threading.get_ident() == self.thread
        if action == "break":
            raise ValueError(f"the hidden word {self.task.hidden.get('word')} is not to be said")
        facts = (
            Fact(kind="heard", data={"words": action}),
            Fact(kind="secret", data={"word": SENTINEL}, hidden=True),
        )
        return Step(action=action, observation=f"heard {action}", facts=facts, done=action == "end")

    def final(self) -> tuple[Fact, ...]:
        return (Fact(kind="secret", data={"word": SENTINEL}, hidden=True),)

    def close(self) -> None:
        self.closed += 1


TASKS = [
    Task(id="one", prompt="First.", hidden={"word": SENTINEL, "deep": [{"word": SENTINEL}]}),
    Task(id="two", prompt="Second."),
]


def ends_well(attempt: Attempt) -> float:
    """A grader that sees everything there is."""
    assert attempt.facts[0].data["word"] == SENTINEL
    return 1.0 if attempt.text == "end" and len(attempt.steps) > 1 else 0.25


@contextlib.contextmanager
def running(app: Any) -> Iterator[str]:
    """The address of ``app`` on a free port of loopback."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


def until(holds: Any) -> None:
    """Wait, at most twenty seconds, until something holds."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.02)


@pytest.fixture
def parrots(openenv: Any) -> Iterator[str]:
    Parrot.opened = []
    with running(serve_openenv(Parrot, TASKS, grader=ends_well, max_steps=4, sessions=2)) as address:
        yield address


def client(address: str) -> Any:
    """OpenEnv's own client."""
    from openenv.core.generic_client import GenericEnvClient

    return GenericEnvClient(base_url=address).sync()


def called(address: str, data: Any = None) -> tuple[int, str]:
    """The status and text that one HTTP request brings; a POST when it has data."""
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(address, body, {"content-type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_openenv_s_client_plays_an_episode_on_our_server(parrots: str) -> None:
    with client(parrots) as theirs:
        begun = theirs.reset(task="two")
        assert (begun.observation, begun.done) == ({"message": "Second."}, False)
        first = theirs.step({"message": "hello"})
        assert (first.observation, first.reward, first.done) == ({"message": "heard hello"}, 0.0, False)
        state = theirs.state()
        assert state["task"] == "two" and state["step_count"] == 1
        assert state["facts"] == [{"kind": "heard", "data": {"words": "hello"}}]
        last = theirs.step({"message": "end"})
        assert (last.reward, last.done) == (1.0, True)
        with pytest.raises(RuntimeError, match="reset first"):
            theirs.step({"message": "more"})
        assert theirs.reset(task="one").observation == {"message": "First."}


def test_a_real_environment_of_ours_is_graded_over_the_wire(openenv: Any, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection:
        connection.executescript("CREATE TABLE users(name TEXT); INSERT INTO users VALUES ('Ann'), ('Bob');")
    task = Task(id="count", prompt="How many?", hidden={"query": "SELECT count(*) FROM users"})
    environment = SQLEnvironment(tmp_path / "shop.sqlite", workers=1)
    app = serve_openenv(environment, [task], grader=result_match)
    with running(app) as address, client(address) as theirs:
        assert theirs.reset(seed=3).observation["message"] == "users(name)\nHow many?"
        assert theirs.step({"message": "SELECT name FROM users"}).reward == 0.0
        assert theirs.step({"message": "-- final\nSELECT count(*) FROM users"}).reward == 1.0
    environment.close()


def test_hidden_data_never_crosses_the_wire(parrots: str) -> None:
    from websockets.sync.client import connect

    wire: list[str] = []
    with connect(parrots.replace("http", "ws") + "/ws", proxy=None) as socket:
        said = [("reset", {"task": "one"}), ("step", {"message": "hello"}), ("state", {}), ("mcp", {})]
        said += [("step", {"message": "break"}), ("step", {"nothing": 1}), ("reset", {"task": "no"})]
        said += [("reset", {"task": "one"}), ("step", {"message": "x"}), ("step", {"message": "end"})]
        for kind, data in [*said, ("state", {}), ("nonsense", {})]:
            socket.send(json.dumps({"type": kind} | ({} if kind == "state" else {"data": data})))
            wire.append(socket.recv(timeout=20))
    for route in ("state", "schema", "metadata", "health", "openapi.json", "docs"):
        wire.append(called(f"{parrots}/{route}")[1])
    wire.append(called(f"{parrots}/reset", {"task": "one"})[1])
    wire.append(called(f"{parrots}/step", {"action": {"message": "x"}})[1])
    told = "\n".join(wire)
    assert "heard hello" in told and '"reward":1.0' in told and "the hidden word [hidden] is not" in told
    assert SENTINEL not in told


def test_each_connection_has_a_session_of_its_own_and_no_more_than_allowed(parrots: str) -> None:
    with client(parrots) as one, client(parrots) as two:
        one.reset(task="one")
        two.reset(task="two")
        one.step({"message": "a"})
        assert (one.state()["step_count"], two.state()["step_count"]) == (1, 0)
        with pytest.raises(EnvironmentFailed, match="2/2 sessions active"):
            played(OpenEnvironment(parrots), ECHO)
    until(lambda: [parrot.closed for parrot in Parrot.opened] == [1, 1])


def test_a_client_that_vanishes_leaves_no_session_open(parrots: str) -> None:
    from websockets.sync.client import connect

    with connect(parrots.replace("http", "ws") + "/ws", proxy=None) as socket:
        socket.send(json.dumps({"type": "reset", "data": {}}))
        socket.recv(timeout=20)
    until(lambda: [parrot.closed for parrot in Parrot.opened] == [1])


def test_an_episode_ends_after_the_most_steps_and_is_graded(parrots: str) -> None:
    with client(parrots) as theirs:
        theirs.reset(task="one")
        results = [theirs.step({"message": "on"}) for _ in range(4)]
    assert [(each.done, each.reward) for each in results] == [(False, 0.0)] * 3 + [(True, 0.25)]


def test_a_seed_draws_the_task_and_the_routes_without_a_session_say_so(parrots: str) -> None:
    with client(parrots) as theirs:
        drawn = [theirs.reset(seed=seed).observation["message"] for seed in range(8)]
        assert drawn == [theirs.reset(seed=seed).observation["message"] for seed in range(8)]
        assert set(drawn) == {"First.", "Second."}
        with pytest.raises(RuntimeError, match="no task 'three'; known: one, two"):
            theirs.reset(task="three")
    assert called(f"{parrots}/reset", {"task": "two"}) == (
        200,
        '{"observation":{"message":"Second."},"reward":null,"done":false}',
    )
    status, told = called(f"{parrots}/step", {"action": {"message": "x"}})
    assert status == HTTPStatus.CONFLICT and "reset first, over /ws" in told


def played(environment: OpenEnvironment, task: Task, *actions: str) -> tuple[str, list[Step], Attempt]:
    """What the agent is shown, the steps, and the attempt as a grader gets it."""

    async def play() -> tuple[str, list[Step], Attempt]:
        session = environment(task)
        try:
            prompt = await session.prompt()
            steps = [await session.step(action) for action in actions]
            facts = await session.final()
        finally:
            await session.close()
        return prompt, steps, Attempt(id="t/1", trajectory="t", task=task, number=1, facts=facts)

    return asyncio.run(play())


@pytest.fixture(scope="module")
def echo(openenv: Any) -> Iterator[str]:
    """An echo server made of OpenEnv's classes alone, as its own example is."""
    from openenv.core.env_server.http_server import create_fastapi_app
    from openenv.core.env_server.interfaces import Environment
    from openenv.core.env_server.types import Action, Observation, State

    class EchoAction(Action):
        message: str

    class EchoObservation(Observation):
        echoed_message: str = ""
        message_length: int = 0

    class EchoEnvironment(Environment[EchoAction, EchoObservation, State]):
        def reset(self, seed: int | None = None, **_: Any) -> EchoObservation:
            self.seed = seed
            return EchoObservation(echoed_message=f"ready {seed}")

        def step(self, action: EchoAction, timeout_s: float | None = None, **_: Any) -> EchoObservation:
            said, done = action.message, action.message == "bye"
            return EchoObservation(
                echoed_message=said, message_length=len(said), reward=0.1 * len(said), done=done
            )

        @property
        def state(self) -> State:
            return State()

    with running(create_fastapi_app(EchoEnvironment, EchoAction, EchoObservation)) as address:
        yield address


def test_our_environment_speaks_with_a_real_echo_server(echo: str) -> None:
    task = ECHO.replace(public={"openenv": {"seed": 7}})
    prompt, steps, attempt = played(OpenEnvironment(echo, passing=0.5), task, "hello", "bye", "more")
    assert prompt == "Say something.\n\nechoed_message: ready 7\nmessage_length: 0"
    assert steps[0].observation == "echoed_message: hello\nmessage_length: 5"
    assert [step.done for step in steps] == [False, True, True]
    assert [round(step.reward or 0, 6) for step in steps] == [0.5, 0.3, 0]
    assert reward_passes(attempt) == 1.0
    _, _, attempt = played(OpenEnvironment(echo, passing=0.9), task, "hello", "bye")
    assert reward_passes(attempt) == 0.0


def test_attempts_start_alike_without_a_seed(echo: str) -> None:
    task = Task(id="echo", prompt="")
    first, again = played(OpenEnvironment(echo), task)[0], played(OpenEnvironment(echo), task)[0]
    assert first == again != played(OpenEnvironment(echo), task.replace(id="other"))[0]


def test_a_run_over_the_wire_is_taken_up_again_anywhere_in_an_attempt(parrots: str, tmp_path: Path) -> None:
    attempts = check_resumed(
        OpenEnvironment(parrots), ECHO, ["one", "two", "end"], grader=reward_passes, folder=tmp_path
    )
    assert attempts[0].passed and len(attempts[0].steps) == 3


class Server:
    """A server that speaks the protocol from a script, for what a well-behaved one does not do."""

    def __init__(self, action: dict[str, Any], answers: dict[str, Any]) -> None:
        self.schema, self.answers = {"action": action}, answers
        self.heard: list[Any] = []

    async def serve(self, play: Any) -> Any:
        from websockets.asyncio.server import serve

        async def speak(socket: Any) -> None:
            async for text in socket:
                self.heard.append(json.loads(text))
                answer = self.answers.get(self.heard[-1]["type"])
                if answer == "hang up":
                    return
                if answer is not None:
                    await socket.send(answer if isinstance(answer, str) else json.dumps(answer))

        def route(socket: Any, request: Any) -> Any:
            if request.path == "/schema":
                return socket.respond(HTTPStatus.OK, json.dumps(self.schema))
            return None if request.path == "/ws" else socket.respond(HTTPStatus.NOT_FOUND, "")

        async with serve(speak, "127.0.0.1", 0, process_request=route) as server:
            return await play(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")


MESSAGE = {
    "properties": {"metadata": {"type": "object"}, "message": {"type": "string"}},
    "required": ["message"],
}
MOVE = {"properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x", "y"]}
READY = {
    "type": "observation",
    "data": {"observation": {"board": [[0, 1], [1, 0]]}, "reward": None, "done": False},
}
INVALID = {
    "code": "VALIDATION_ERROR",
    "message": "Invalid message",
    "errors": [{"loc": ["x"], "msg": "too far"}],
}


def scripted(server: Server, *actions: str, **options: Any) -> tuple[str, list[Step]]:
    """A prompt and some steps with a scripted server."""

    async def play(address: str) -> tuple[str, list[Step]]:
        session = OpenEnvironment(address, timeout_seconds=2.0, **options)(Task(id="t", prompt="Play."))
        try:
            return await session.prompt(), [await session.step(action) for action in actions]
        finally:
            await session.close()

    result: tuple[str, list[Step]] = asyncio.run(server.serve(play))
    return result


def test_an_action_of_several_fields_is_a_json_object_in_the_reply() -> None:
    server = Server(MOVE, {"reset": READY, "step": READY})
    prompt, steps = scripted(server, 'I go right: {"x": 1, "y": 0}', "right")
    assert prompt == (
        "Play.\n\n[[0, 1], [1, 0]]\n\nAn action is a JSON object of this form: "
        '{"x": {"type": "integer"}, "y": {"type": "integer"}}'
    )
    assert [each["data"] for each in server.heard if each["type"] == "step"] == [{"x": 1, "y": 0}]
    assert steps[1].facts[0].kind == "malformed_action"
    assert steps[1].observation.startswith("Nothing was done: the reply holds no JSON object")


def test_what_the_server_refuses_as_an_action_is_an_observation() -> None:
    server = Server(MOVE, {"reset": READY, "step": {"type": "error", "data": INVALID}})
    _, steps = scripted(server, '{"x": 9, "y": 0}')
    assert "Nothing was done: Invalid message (['x']: too far)." in steps[0].observation
    assert not steps[0].done


def test_a_function_can_make_the_action_and_another_the_words() -> None:
    server = Server(MOVE, {"reset": READY, "step": READY})
    ways = {"right": {"x": 1, "y": 0}}
    _, steps = scripted(server, "right", action=ways.__getitem__, show=lambda seen: str(len(seen["board"])))
    assert server.heard[-2]["data"] == {"x": 1, "y": 0}
    assert steps[0].observation == "2"


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"reset": {"type": "error", "data": {"message": "no", "code": "X"}}}, "answered to reset: no"),
        ({"reset": READY, "step": {"type": "error", "data": {"message": "lost"}}}, "answered to step: lost"),
        ({"reset": READY, "step": "hang up"}, "did not answer to step"),
        ({"reset": READY, "step": "no json"}, "did not answer to step"),
        ({"reset": READY}, "did not answer to step: TimeoutError"),
    ],
)
def test_a_server_that_fails_is_the_environment_s_failure(answers: Any, told: str) -> None:
    with pytest.raises(EnvironmentFailed, match=told):
        scripted(Server(MESSAGE, answers), "hello")


def test_a_server_that_is_not_there_is_said_with_its_address() -> None:
    with pytest.raises(EnvironmentFailed, match="no OpenEnv server answers at http://127.0.0.1:9"):
        played(OpenEnvironment("http://127.0.0.1:9"), ECHO)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("ws://localhost:1", "http://localhost:1"),
        ("wss://host/env/", "https://host/env"),
    ],
)
def test_any_form_of_an_address_will_do(given: str, address: str) -> None:
    assert address_of(given) == address


@pytest.mark.parametrize("given", ["127.0.0.1:8000", "ftp://host", "http://", ""])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(BadInput, match="address of a server"):
        OpenEnvironment(given)


def test_an_observation_is_its_only_field_or_a_line_a_field() -> None:
    assert shown({"message": "hello", "extra": None, "list": []}) == "hello"
    assert shown({"score": 0, "text": "a"}) == "score: 0\ntext: a"
    assert shown({}) == ""


def test_without_openenv_the_module_loads_and_says_what_to_install() -> None:
    probe = (
        "import sys; sys.modules['openenv'] = sys.modules['websockets'] = None\n"
        "from agentloop.environments.openenv_server import serve_openenv\n"
        "from agentloop.environments.openenv_environment import OpenEnvironment\n"
        "from agentloop import Task\n"
        "try: serve_openenv(None, [Task(id='a', prompt='')])\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "pip install 'agentloop-toolkit[openenv]'" in done.stdout
