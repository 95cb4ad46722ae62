"""The process that runs the program: entered once per job, with nothing of the tests in its memory."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from agentloop.environments.code.inside.alarm import on_alarm
from agentloop.environments.code.inside.channel import Channel, Closed, Malformed, encode
from agentloop.environments.code.inside.examining import Broken, Examination, prepare
from agentloop.environments.code.inside.loading import (
    NotLoaded,
    exit_of,
    kinds,
    load,
    prepared,
    sources_of,
    write_files,
)
from agentloop.environments.code.inside.raising import Sources, described
from agentloop.environments.code.inside.seen import Seen
from agentloop.environments.code.inside.serving import Server, flush_output
from agentloop.environments.code.inside.tracing import Recorder, traced

NOTICE_SHARE = 0.9
"""The part of its time after which a program is asked where it is."""


def main(job: dict[str, Any], connection: int) -> int:
    """Carry out the candidate's part of a job; the exit status says nothing of the program."""
    return Candidate(connection).run(job)


class Watch:
    """Tells where the program is when its time is nearly up; never in the middle of a message."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._sources: Sources = {}
        self._wrap: Callable[[dict[str, Any]], Any] = noted
        self._wanted: Callable[[], bool] = always

    def begin(self, sources: Sources, seconds: float, wrap: Callable[[dict[str, Any]], Any]) -> None:
        """Begin to look at the time; ``wrap`` makes a message of the place where the program is."""
        self._sources = sources
        self._wrap = wrap
        on_alarm(self._tell, after=max(seconds * NOTICE_SHARE, 0.01))

    def off(self) -> None:
        """Be silent."""
        self._wanted = never

    def only_while(self, wanted: Callable[[], bool]) -> None:
        """Speak only when this holds."""
        self._wanted = wanted

    def _tell(self, _: int, frame: FrameType | None) -> None:
        if self._channel.busy or not self._wanted():
            return
        while frame is not None:
            source = self._sources.get(frame.f_code.co_filename)
            if source is not None:
                place = source.place(frame.f_lineno or 0, frame.f_code.co_name)
                self._channel.send(encode(self._wrap(place)))
                return
            frame = frame.f_back


def always() -> bool:
    """While a program loads."""
    return True


def never() -> bool:
    """When nothing of the program runs any more."""
    return False


def noted(place: dict[str, Any]) -> Any:
    """A place as it is told the checker."""
    return ["at", place]


def reported(place: dict[str, Any]) -> Any:
    """A place as it is told the host."""
    return {"at": place}


class Candidate:
    """The candidate's side. A worker makes one before it knows of a job, and its forks have it."""

    def __init__(self, connection: int) -> None:
        self._channel = Channel(connection)
        self._watch = Watch(self._channel)
        self._server = Server(self._channel)

    def run(self, job: dict[str, Any]) -> int:
        """Carry out the candidate's part of a job."""
        try:
            write_files(job["files"])
            gc.enable()  # a worker keeps it off
            MODES[job["mode"]](self, job)
        except (Closed, Malformed):
            return 0
        return 0

    def calls(self, job: dict[str, Any]) -> None:
        """Load the program and answer the checker."""
        sources = sources_of(job["program"], job["files"])
        self._watch.begin(sources, job["seconds"], noted)
        try:
            module = load(job["program"], sources)
        except NotLoaded as error:
            self._watch.off()
            flush_output()
            self._channel.send(encode(["not_loaded", error.told]))
            return
        self._watch.only_while(self._server.is_calling)
        self._channel.send(encode(["ready", kinds(module, job["entry_point"])]))
        self._server.serve(module, sources)

    def stdio(self, job: dict[str, Any]) -> None:
        """Run the program as a script; what it writes is the host's to judge."""
        sources = sources_of(job["program"], job["files"])
        self._watch.begin(sources, job["seconds"], reported)
        sys.argv[:] = ["program.py"]
        try:
            module, code = prepared(job["program"], name="__main__")
            told = outcome(lambda: exec(code, module.__dict__), sources)
            told = {**outcome(end_script, sources), **told}
        except NotLoaded as error:
            told = error.told
        self._end(told)

    def script(self, job: dict[str, Any]) -> None:
        """Run the program, then the tests in its own namespace: the program can make up what they tell."""
        sources = sources_of(job["program"], job["files"])
        self._watch.begin(sources, job["seconds"], reported)
        try:
            prepared_tests, code = prepare(job["tests"], job["entry_point"])
            module = load(job["program"], sources)
            entry, seen = job["entry_point"], Seen()
            if entry and entry not in module.__dict__:
                defined = list(kinds(module, entry))
                self._tell({"missing_entry_point": {"name": entry, "defined": defined}})
            else:
                seen.calls = 1  # how often the program is called nobody counts here
                examination = Examination(prepared_tests, seen, self._tell)
                examination.run(code, module.__dict__, module.__dict__.get(entry))
        except (NotLoaded, Broken) as error:
            self._tell(error.told)
        self._end({})

    def trace(self, job: dict[str, Any]) -> None:
        """Run the program, then one call with its lines and values recorded."""
        sources = sources_of(job["program"], job["files"])
        try:
            recorder = Recorder(job["program"])
        except (SyntaxError, ValueError, MemoryError):
            recorder = Recorder("")  # loading will say what is wrong with it
        # A call that never ends shows the way it went until now.
        self._watch.begin(sources, job["seconds"], lambda place: {"at": place, "trace": recorder.told()})
        try:
            module = load(job["program"], sources)
            told = {"trace": traced(job["call"], module.__dict__, recorder=recorder, sources=sources)}
        except NotLoaded as error:
            told = error.told
        self._end(told)

    def _tell(self, record: dict[str, Any]) -> None:
        """Tell the host one record, where there is no checker."""
        self._channel.send(encode(record))

    def _end(self, told: dict[str, Any]) -> None:
        self._watch.off()
        flush_output()
        self._tell({**told, "done": True})


MODES: dict[str, Callable[[Candidate, dict[str, Any]], None]] = {
    "calls": Candidate.calls,
    "stdio": Candidate.stdio,
    "script": Candidate.script,
    "trace": Candidate.trace,
}


def outcome(run: Callable[[], None], sources: Sources) -> dict[str, Any]:
    """What there is to tell of a part of the program once it has run: nothing where all went well."""
    try:
        run()
    except SystemExit as error:
        return {"exit": exit_of(error)} if exit_of(error)["code"] else {}
    except BaseException as error:  # all of it is the program's
        return {"exception": described(error, sources)}
    return {}


def end_script() -> None:
    """Do what Python does when a script ends: wait for its threads, run what it left for the end."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()
