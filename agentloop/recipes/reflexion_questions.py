"""Reflexion for questions (HotpotQA): thought, action, observation; after a wrong answer, the question again.

    act (a ReAct episode of at most 6 steps) -> judge -> reflect -> act ...     a success ends it

After "Reflexion: Language Agents with Verbal Reinforcement Learning" (arXiv 2303.11366).
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, cast, get_args

from langgraph.runtime import Runtime

from agentloop.acting import Act
from agentloop.context import RunContext, here
from agentloop.errors import BadInput
from agentloop.graph import JudgeAndDecide
from agentloop.hidden import public_task
from agentloop.nodes import Judge, Reflect
from agentloop.prompts import Prompts
from agentloop.recipes.reflexion_trials import (
    ActTrial,
    TrialAgent,
    TrialGraph,
    TrialState,
    check_counts,
    compile_trials,
    noted,
    plans,
    trial_graph,
    who_decides,
)
from agentloop.state import State
from agentloop.stopping import Decide
from agentloop.types import (
    Attempt,
    Correction,
    Critic,
    Environment,
    Grader,
    Memory,
    Message,
    Model,
    Reply,
    Step,
    Task,
)

Mode: TypeAlias = Literal["none", "last_attempt", "reflexion", "last_attempt_and_reflexion"]
"""What a trial is shown of those before it."""

BLANK = "[left out]"
"""Stands for an observation that was taken out of a log."""

_ACTION = re.compile(r"(\w+)\[(.+)\]")
_LABEL = re.compile(r"\A(?:thought|action)(?:\s+\d+)?\s*:\s*", re.IGNORECASE)


def words_and_signs(text: str) -> int:
    """A count of tokens that needs no tokenizer: each word is one, and each sign."""
    return len(re.findall(r"\w+|[^\w\s]", text))


class ReflexionQuestions(NamedTuple):
    """The numbers of the published program, its counter of tokens (GPT-2's there), and worked examples."""

    max_steps: int = 6
    prompt_tokens: int = 3896
    """A trial halts when what the model would be shown is longer."""
    log_tokens: int = 1600
    """A log of an earlier trial is cut to so many, see ``cut_log``."""
    count: Callable[[str], int] = words_and_signs
    acting: Mapping[str, Any] = {"temperature": 0.0, "max_tokens": 100, "stop": ["\n"]}
    reflection: Mapping[str, Any] = {"temperature": 0.0, "max_tokens": 250}
    examples: Callable[[Task], str] | None = None
    """Worked examples for a task, shown before every trial at it."""


def reflexion_questions_graph(
    *,
    model: Model,
    environment: Environment,
    mode: Mode = "reflexion",
    oracle: Grader | None = None,
    critic: Critic | None = None,
    memory: Memory | None = None,
    reflector: Model | None = None,
    attempts: int = 5,
    reflections: int = 3,
    settings: ReflexionQuestions | None = None,
) -> TrialGraph:
    """The StateGraph of ``reflexion_questions_agent``, to be changed before it is compiled."""
    chosen = settings or ReflexionQuestions()
    check_counts(attempts=attempts, reflections=reflections, max_steps=chosen.max_steps)
    if mode not in get_args(Mode):
        raise BadInput(f"no mode named {mode!r}; known: {', '.join(get_args(Mode))}")
    prompts = getattr(model, "prompts", None) or Prompts()
    names = {"right": "reflexion_questions_right", "wrong": "reflexion_questions_wrong"}
    decides = who_decides(oracle, critic, prompts=prompts, **names)
    shown = _Shown(mode, memory, reflections if mode == "reflexion" else 1, chosen)

    def opens(state: TrialState) -> _Episode:
        episode = _Episode(
            model, environment, prompts=prompts, history=None, max_steps=chosen.max_steps, sampling={}
        )
        episode.shown, episode.before, episode.task = shown, state.get("log", ""), state["task"]
        return episode

    judge = _Judge(decides)
    judge.tells = oracle is not None
    reflect = _Reflect(
        (reflector or model) if shown.reflects else None,
        prompts=prompts,
        memory=memory if shown.reflects else None,
        history=reflections,
        text="reflexion_questions_reflect",
        sampling=chosen.reflection,
    )
    reflect.settings = chosen
    return trial_graph(
        act=ActTrial(opens),
        judge=JudgeAndDecide(judge, Decide(attempts=attempts)),
        reflect=reflect,
        memory=memory,
        reflections=shown.most,
    )


def reflexion_questions_agent(
    *,
    model: Model,
    environment: Environment,
    mode: Mode = "reflexion",
    oracle: Grader | None = None,
    critic: Critic | None = None,
    memory: Memory | None = None,
    reflector: Model | None = None,
    attempts: int = 5,
    reflections: int = 3,
    settings: ReflexionQuestions | None = None,
) -> TrialAgent:
    """An agent that looks things up to answer a question, and after a wrong answer tries it again.

    A step is two requests: for a thought (role ``think``) and for an action of the form ``Name[argument]``,
    which goes to the environment; ``Finish[answer]`` ends the trial. A reply of another form is answered
    in words and goes nowhere; it crashes the published program.

    - ``mode``: what a trial is shown of those before. ``none``: nothing. ``last_attempt``: the log of the
      last. ``reflexion``: the last ``reflections`` notes. ``last_attempt_and_reflexion``: the last log and
      the newest note. In the first two nothing is reflected on.
    - ``oracle``: ``exact_match`` is the published rule; it drives the loop, and its verdict, right or wrong
      and no more, takes the place of the last observation in the log, so that whoever reads the log (the
      reflector, the next trial) reads the oracle's word. The run says that the oracle stopped it.
      ``critic`` takes its place where nothing may be known; its words reach no log.
    - ``attempts``: trials at a question; the method leaves the number open. The last is not reflected on.
    - ``memory``: an ``EpisodicMemory`` keeps the notes for later runs; another memory is recalled once, as
      notes. None: they last as long as the trajectory.

    Departures: notes are always bounded by ``reflections`` (published without a bound in ``reflexion``);
    tokens are words and signs unless ``ReflexionQuestions.count`` says otherwise.
    """
    graph = reflexion_questions_graph(
        model=model,
        environment=environment,
        mode=mode,
        oracle=oracle,
        critic=critic,
        memory=memory,
        reflector=reflector,
        attempts=attempts,
        reflections=reflections,
        settings=settings,
    )
    return compile_trials(graph, name="reflexion_questions", attempts=attempts)


def exact_match(attempt: Attempt) -> float:
    """A grader: 1.0 when the answer is ``task.hidden["answer"]``, both normalised."""
    if "answer" not in attempt.task.hidden:
        raise BadInput(f"task {attempt.task.id!r} has no hidden answer; set hidden={{'answer': ...}}")
    given = answer_of(attempt)
    return float(given is not None and normalised(given) == normalised(str(attempt.task.hidden["answer"])))


def answer_of(attempt: Attempt) -> str | None:
    """What a trial finished with; None when it did not finish."""
    return _argument(attempt.steps[-1].action) if attempt.steps else None


def normalised(text: str) -> str:
    """In small letters, without punctuation, then without articles, then without further blanks."""
    plain = "".join(sign for sign in text.lower() if sign not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", plain).split())


def cut_log(log: str, most: int, count: Callable[[str], int] = words_and_signs) -> str:
    """A log of at most ``most`` tokens: the largest observations give way first, thoughts and actions stay.

    It may stay longer when no observation is left to give.
    """
    lines = log.split("\n")
    places = sorted(
        (place for place, line in enumerate(lines) if line.startswith("Observation ")),
        key=lambda place: count(lines[place]),
    )
    while places and count("\n".join(lines)) > most:
        place = places.pop()
        blanked = f"{lines[place].partition(':')[0]}: {BLANK}"
        lines[place] = min(lines[place], blanked, key=len)
    return "\n".join(lines)


class _Shown(NamedTuple):
    """What the trials of all tasks have in common."""

    mode: Mode
    memory: Memory | None
    most: int
    settings: ReflexionQuestions

    @property
    def reflects(self) -> bool:
        return "reflexion" in self.mode

    @property
    def repeats_log(self) -> bool:
        return "last_attempt" in self.mode


class _Episode(Act):
    """Acts out one trial; an object of its own for each, since it keeps the trial's thoughts."""

    shown: _Shown
    before: str
    task: Task
    opening = ""
    told = ""

    def conversation(
        self,
        prompt: str,
        *,
        recalled: Sequence[Correction] = (),
        earlier: Sequence[Attempt] = (),
        instructions: str | None = None,
    ) -> list[Message]:
        """Keep what stands above the log; the messages themselves are made for every request anew."""
        self.thoughts: list[str] = []
        self.steps: list[Step] = []
        self.opening = prompt
        parts = [noted(recalled, memory=self.shown.memory, prompts=self.prompts)]
        parts += [self.prompts.render(instructions)] if instructions else []
        if self.shown.settings.examples is not None:
            parts.append(self.shown.settings.examples(public_task(self.task)))
        if self.shown.repeats_log and self.before:
            cut = cut_log(self.before, self.shown.settings.log_tokens, self.shown.settings.count)
            parts.append(self.prompts.render("reflexion_questions_last", log=cut))
        known = plans(recalled, earlier, memory=self.shown.memory, most=self.shown.most)
        if known and self.shown.reflects:
            listed = "\n".join(f"- {text.strip()}" for text in known)
            parts.append(self.prompts.render("reflexion_questions_notes", reflections=listed))
        self.told = "\n\n".join(part for part in parts if part)
        return []

    async def reply(self, messages: Sequence[Message], earlier: Sequence[Attempt], run: RunContext) -> Reply:
        """A thought, then the action, with the cost of both."""
        standing, number = here.get(), len(self.thoughts) + 1
        assert standing is not None
        with run.at(standing.trajectory, standing.attempt, "think") as scope:
            scope.made = len(self.thoughts)
            thought = await self._ask(f"Thought {number}:", run)
        self.thoughts.append(_line(thought.text))
        action = await self._ask(f"Thought {number}: {self.thoughts[-1]}\nAction {number}:", run)
        return action.replace(usage=thought.usage + action.usage)

    async def _ask(self, ending: str, run: RunContext) -> Reply:
        asked: list[Message] = [{"role": "user", "content": self._prompt(ending)}]
        return (await run.ask(self.model, asked, **self.shown.settings.acting))[0]

    def action(self, reply: Reply) -> str:
        """The reply on one line, without the label it may repeat."""
        return _line(reply.text)

    def aside(self, action: str) -> str | None:
        """What a reply that is no action is answered."""
        return None if _ACTION.fullmatch(action) else self.prompts.render("reflexion_questions_malformed")

    def observation(self, step: Step) -> Message:
        """Keep the step for the log, which all requests show."""
        self.steps.append(step)
        return super().observation(step)

    def ends(self, steps: Sequence[Step]) -> bool:
        """Whether the question was answered, or the log has outgrown the prompt."""
        if steps and _argument(steps[-1].action) is not None:
            return True
        settings = self.shown.settings
        return settings.count(self._prompt(f"Thought {len(steps) + 1}:")) > settings.prompt_tokens

    def log(self, attempt: Attempt) -> str:
        """Thoughts, actions and observations, a line each."""
        return _log(self.thoughts, attempt.steps)

    def _prompt(self, ending: str) -> str:
        log = "\n".join(part for part in (_log(self.thoughts, self.steps), ending) if part)
        return self.prompts.render("reflexion_questions", told=self.told, question=self.opening, log=log)


class _Judge(Judge):
    """Asks whether the answer is right; the oracle's word takes the place of the last observation."""

    tells: bool

    async def __call__(self, state: State, runtime: Runtime[RunContext]) -> State:
        """Set the attempt's ``feedback``, ``best``, and the verdict in ``log``."""
        changed = await super().__call__(state, runtime)
        attempt = changed.get("attempt")
        if not self.tells or attempt is None or attempt.feedback is None or answer_of(attempt) is None:
            return changed
        above = str(state.get("log", "")).rsplit("\n", 1)[0]
        told = f"{above}\nObservation {len(attempt.steps)}: {_flat(attempt.feedback.text)}"
        return cast(TrialState, {**changed, "log": told})


class _Reflect(Reflect):
    """Asks for a note, with the log of the trial."""

    settings: ReflexionQuestions

    def question(self, attempt: Attempt, state: State) -> str:
        """The question and the log, cut to its length."""
        log = cut_log(str(state.get("log", "")), self.settings.log_tokens, self.settings.count)
        return self.prompts.render(self.text, question=attempt.task.prompt, log=log)


def _argument(action: str) -> str | None:
    """The answer in ``Finish[answer]``; None for any other action."""
    found = _ACTION.fullmatch(action)
    return found.group(2) if found and found.group(1).lower() == "finish" else None


def _line(text: str) -> str:
    """A reply on one line, without the label that it may repeat."""
    return _LABEL.sub("", _flat(text))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _log(thoughts: Sequence[str], steps: Sequence[Step]) -> str:
    lines = []
    for number, (thought, step) in enumerate(zip(thoughts, steps, strict=False), start=1):
        lines.append(f"Thought {number}: {thought}")
        lines.append(f"Action {number}: {step.action}")
        lines.append(f"Observation {number}: {_flat(step.observation)}")
    return "\n".join(lines)
