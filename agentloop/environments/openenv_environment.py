"""Environments that an OpenEnv server offers, used as ours over its websocket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from agentloop.environments.openenv_connection import Connection, Refused, address_of
from agentloop.environments.reward import reward_fact
from agentloop.json_reply import read_object
from agentloop.types import Fact, Step, Task, digest


class OpenEnvironment:
    """Any OpenEnv server as an environment: one websocket, and so one session of the server, an attempt.

    ``url`` is the server's, such as ``http://127.0.0.1:8000``. What ``task.public["openenv"]`` holds
    is handed to its reset, with a ``seed`` drawn from the task's id unless there is one; whether
    attempts then start alike, and a run can be taken up again within one, is up to the server. An
    action whose schema has one required field, and that text, is the reply itself; for any other the
    reply holds a JSON object, or ``action`` makes the server's action from the reply. ``show`` puts an
    observation into words (default: its only field, else a line a field). An attempt passes when its
    summed reward reaches ``passing`` by its end; ``reward_passes`` grades by that. OpenEnv's protocol
    is spoken here, as of openenv-core 0.3: its own package is not needed::

        environment = OpenEnvironment("http://127.0.0.1:8000", passing=1.0)
        task = Task(id="count", prompt="Ask the database.", public={"openenv": {"task": "count"}})
    """

    async_sessions = True

    def __init__(
        self,
        url: str,
        *,
        action: Callable[[str], Mapping[str, Any]] | None = None,
        show: Callable[[Mapping[str, Any]], str] | None = None,
        passing: float = 1.0,
        timeout_seconds: float = 60.0,
    ) -> None:
        self.url = address_of(url)
        self.action = action
        self.show = show or shown
        self.passing = passing
        self.timeout_seconds = timeout_seconds

    def __call__(self, task: Task) -> OpenEnvSession:
        """Open a session; the connection is made when its prompt is asked for."""
        return OpenEnvSession(self, task)


class OpenEnvSession:
    """One connection, and one episode in it."""

    instructions = "openenv"

    def __init__(self, environment: OpenEnvironment, task: Task) -> None:
        self._environment, self._task = environment, task
        self._connection = Connection(environment.url, environment.timeout_seconds)
        self._fields: Mapping[str, Any] = {}
        self._required: list[str] = []
        self._total, self._over = 0.0, False

    async def prompt(self) -> str:
        """The task, the first observation, and what an action holds if it is more than text."""
        schema = (await self._connection.schema()).get("action", {})
        self._fields = {name: of for name, of in schema.get("properties", {}).items() if name != "metadata"}
        self._required = list(schema.get("required", ()))
        await self._connection.open()
        seed = int(digest("openenv", self._task.id), 16) % 2**31
        data = await self._connection.ask("reset", {"seed": seed, **self._task.public.get("openenv", {})})
        self._over = bool(data.get("done"))
        told = "" if self._environment.action or self._text_field() else f"\n\n{self._allowed()}"
        return f"{self._task.prompt}\n\n{self._environment.show(data.get('observation', {}))}".strip() + told

    async def step(self, action: str, /) -> Step:
        """Send one action; what the server does not take as an action is told as an observation."""
        if self._over:
            facts = await self.final()
            return Step(action=action, observation="The episode is over.", facts=facts, done=True)
        try:
            data = await self._connection.ask("step", self._payload(action))
        except Refused as error:
            told = Fact(kind="malformed_action", data={"text": action, "message": str(error)})
            observed = f"Nothing was done: {error}. {self._allowed()}"
            return Step(action=action, observation=observed, facts=(told,))
        observation, reward = data.get("observation", {}), data.get("reward")
        self._over = bool(data.get("done"))
        self._total += float(reward or 0.0)
        return Step(
            action=action,
            observation=self._environment.show(observation),
            facts=(Fact(kind="observation", data=dict(observation)), self._fact(reward)),
            done=self._over,
            reward=None if reward is None else float(reward),
        )

    async def final(self) -> tuple[Fact, ...]:
        """The sum of the rewards."""
        return (self._fact(None),)

    async def close(self) -> None:
        """End the server's session."""
        await self._connection.close()

    def _fact(self, reward: Any) -> Fact:
        passed = self._over and self._total >= self._environment.passing
        number = None if reward is None else float(reward)
        return reward_fact(number, total=self._total, done=self._over, passed=passed)

    def _text_field(self) -> str | None:
        """The one field that the reply fills, if there is just one and it is text."""
        names = self._required or list(self._fields)
        return names[0] if len(names) == 1 and self._fields[names[0]].get("type") == "string" else None

    def _payload(self, action: str) -> Mapping[str, Any]:
        if self._environment.action is not None:
            return self._environment.action(action)
        field = self._text_field()
        if field is not None:
            return {field: action}
        found = read_object(action, key=(self._required or [*self._fields, ""])[0])
        if found is None:
            raise Refused("the reply holds no JSON object with the fields of an action")
        return found

    def _allowed(self) -> str:
        return f"An action is a JSON object of this form: {json.dumps(self._fields)}"


def shown(observation: Mapping[str, Any]) -> str:
    """An observation in words: its only field as it is, or else a line for each field."""
    told = {name: value for name, value in observation.items() if value not in (None, [], {})}
    words = {name: value if isinstance(value, str) else json.dumps(value) for name, value in told.items()}
    if len(words) == 1:
        return next(iter(words.values()))
    return "\n".join(f"{name}: {value}" for name, value in words.items())
