"""Gymnasium environments as ours, with words for actions and observations, and ours as Gymnasium's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentloop.environments.gymnasium_words import Malformed, allowed, chosen, said
from agentloop.environments.last_action import last_action
from agentloop.environments.reward import reward_fact
from agentloop.errors import BadInput, MissingExtra
from agentloop.types import Environment, Fact, Grader, Step, Task, digest

if TYPE_CHECKING:
    from agentloop.environments.gymnasium_wrapper import WrappedEnvironment

KEYS = ("id", "kwargs", "seed", "options")


class GymnasiumEnvironment:
    """A Gymnasium environment in which an agent acts in words, one action a reply.

    ``make`` is an id that Gymnasium knows, or a function that gives an environment; without it each
    task names its id. ``task.public["gymnasium"]`` may hold ``id``, ``kwargs`` of the environment, the
    ``seed`` and the ``options`` of its reset; without a seed one is drawn from the task's id, so that
    every attempt starts alike and a run can be taken up again. That holds as far as the environment
    draws from Gymnasium's generator only. ``actions`` names the actions of a Discrete space in order;
    ``show`` puts an observation into words (default: text as it is, numbers to four places). An
    attempt passes when its summed reward reaches ``passing`` (default: the environment's own reward
    threshold, else anything above 0) by its end; ``reward_passes`` grades by that::

        hand = Task(id="hand-1", prompt="Play a hand of blackjack.", public={"gymnasium": {"seed": 1}})
        environment = GymnasiumEnvironment("Blackjack-v1", actions=["stick", "hit"])
        agent = reflect_and_retry(model=model, environment=environment, critic=critic, max_steps=9)
        improve(agent, [hand], grader=reward_passes)
    """

    def __init__(
        self,
        make: str | Callable[..., Any] | None = None,
        *,
        actions: Sequence[str] = (),
        show: Callable[[Any], str] | None = None,
        passing: float | None = None,
    ) -> None:
        if isinstance(actions, str):
            raise BadInput(f"actions must be a list of names, got the text {actions!r}")
        self.make = make
        self.actions = tuple(actions)
        self.show = show
        self.passing = passing

    def __call__(self, task: Task) -> GymnasiumSession:
        """Open a session; BadInput when the task names no environment that can be made."""
        given = task.public.get("gymnasium", {})
        unknown = sorted(set(given) - set(KEYS))
        if unknown:
            raise BadInput(f"task {task.id!r}: public.gymnasium has {unknown}; known: {', '.join(KEYS)}")
        if (self.make is None) == ("id" not in given):
            raise BadInput(
                f"task {task.id!r}: give the environment's id either to GymnasiumEnvironment or as "
                "public.gymnasium.id of each task"
            )
        return GymnasiumSession(self, task, _made(self.make or given["id"], given.get("kwargs", {})))


class GymnasiumSession:
    """One episode. An action that names nothing of the action space is not carried out, and says so."""

    instructions = "gymnasium"

    def __init__(self, environment: GymnasiumEnvironment, task: Task, made: Any) -> None:
        self._environment, self._task, self._made = environment, task, made
        self._names = environment.actions
        space = made.action_space
        if self._names and len(self._names) != getattr(space, "n", None):
            raise BadInput(f"actions names {len(self._names)} actions, and the action space is {space}")
        self._allowed = allowed(space, self._names)
        self._total, self._over = 0.0, False

    def prompt(self) -> str:
        """The task, the first observation, and the actions there are."""
        given = self._task.public.get("gymnasium", {})
        seed = given.get("seed", int(digest("gymnasium", self._task.id), 16) % 2**31)
        observation, _ = self._made.reset(seed=seed, options=given.get("options"))
        return f"{self._task.prompt}\n\n{self._shown(observation)}\n\nAn action is {self._allowed}."

    def step(self, action: str, /) -> Step:
        """Carry out the action that the reply ends with."""
        if self._over:
            return Step(action=action, observation="The episode is over.", facts=self.final(), done=True)
        text = last_action(action)
        try:
            choice = chosen(self._made.action_space, text, self._names)
        except Malformed as error:
            told = Fact(kind="malformed_action", data={"text": text, "message": str(error)})
            observed = f"Nothing was done: {error}. An action is {self._allowed}."
            return Step(action=action, observation=observed, facts=(told,))
        observation, reward, terminated, truncated, _ = self._made.step(choice)
        self._total += float(reward)
        self._over = bool(terminated or truncated)
        ended = "\n\nThe episode is over." if self._over else ""
        return Step(
            action=action,
            observation=f"{self._shown(observation)}\n\nReward: {float(reward):g}{ended}",
            facts=(self._fact(float(reward)),),
            done=self._over,
            reward=float(reward),
        )

    def final(self) -> tuple[Fact, ...]:
        """The sum of the rewards."""
        return (self._fact(None),)

    def close(self) -> None:
        """Close the environment."""
        self._made.close()

    def _fact(self, reward: float | None) -> Fact:
        wanted = self._environment.passing
        if wanted is None:
            wanted = getattr(self._made.spec, "reward_threshold", None)
        reached = self._total > 0 if wanted is None else self._total >= wanted
        return reward_fact(reward, total=self._total, done=self._over, passed=self._over and reached)

    def _shown(self, observation: Any) -> str:
        return self._environment.show(observation) if self._environment.show else said(observation)


def as_gymnasium(
    environment: Environment,
    tasks: Sequence[Task],
    *,
    grader: Grader | None = None,
    max_steps: int | None = None,
    max_characters: int = 100_000,
) -> WrappedEnvironment:
    """One of our environments as a ``gymnasium.Env`` with text for actions and observations.

    ``reset(options={"task": ID})`` begins a task, ``reset(seed=...)`` draws one. ``info`` holds the
    task's id and the public facts. The reward of the last step is the grader's, where one is given,
    and else each step's own, or 0. An episode that is not done after ``max_steps`` is truncated::

        wrapped = as_gymnasium(SQLEnvironment("shop.sqlite"), tasks, grader=result_match, max_steps=5)
        observation, info = wrapped.reset(options={"task": "count"})
        observation, reward, terminated, truncated, info = wrapped.step("SELECT count(*) FROM users")
    """
    _gymnasium("as_gymnasium")
    from agentloop.environments.gymnasium_wrapper import WrappedEnvironment

    return WrappedEnvironment(
        environment, tasks, grader=grader, max_steps=max_steps, max_characters=max_characters
    )


def _made(make: str | Callable[..., Any], given: Mapping[str, Any]) -> Any:
    if not isinstance(make, str):
        return make(**given)
    gymnasium = _gymnasium("GymnasiumEnvironment")
    try:
        return gymnasium.make(make, **given)
    except gymnasium.error.Error as error:
        raise BadInput(f"Gymnasium cannot make {make!r}: {error}") from error


def _gymnasium(what: str) -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise MissingExtra(what, "gymnasium", "gymnasium") from error
    return gymnasium
