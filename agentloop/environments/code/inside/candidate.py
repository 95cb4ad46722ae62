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
    channel = Channel(connection)
    try:
        write_files(job["files"])
        gc.enable()  # a worker keeps it off
        MODES[job["mode"]](job, channel)
    except (Closed, Malformed):
        return 0
    return 0


def calls(job: dict[str, Any], channel: Channel) -> None:
    """Load the program and answer the checker."""
    sources = sources_of(job["program"], job["files"])
    watch = Watch(channel, sources, seconds=job["seconds"], wrap=lambda place: ["at", place])
    try:
        module = load(job["program"], sources)
    except NotLoaded as error:
        watch.off()
        flush_output()
        channel.send(encode(["not_loaded", error.told]))
        return
    watch.off()
    server = Server(module, channel, sources)
    channel.send(encode(["ready", kinds(module, job["entry_point"])]))
    watch.only_while(lambda: server.calling)
    server.serve()


class Watch:
    """Tells where the program is when its time is nearly up; never in the middle of a message."""

    def __init__(
        self,
        channel: Channel,
        sources: Sources,
        *,
        seconds: float,
        wrap: Callable[[dict[str, Any]], Any],
    ) -> None:
        self._channel = channel
        self._sources = sources
        self._wrap = wrap
        self._wanted: Callable[[], bool] = lambda: True
        on_alarm(self._tell, after=max(seconds * NOTICE_SHARE, 0.01))

    def off(self) -> None:
        """Be silent."""
        self._wanted = lambda: False

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


def stdio(job: dict[str, Any], channel: Channel) -> None:
    """Run the program as a script; what it writes is the host's to judge."""
    sources = sources_of(job["program"], job["files"])
    watch = Watch(channel, sources, seconds=job["seconds"], wrap=lambda place: {"at": place})
    sys.argv[:] = ["program.py"]
    try:
        module, code = prepared(job["program"], name="__main__")
        told = outcome(lambda: exec(code, module.__dict__), sources)
        told = {**outcome(end_script, sources), **told}
    except NotLoaded as error:
        told = error.told
    watch.off()
    flush_output()
    channel.send(encode({**told, "done": True}))


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


def script(job: dict[str, Any], channel: Channel) -> None:
    """Run the program, then the tests in its own namespace: the program can make up what they tell."""
    sources = sources_of(job["program"], job["files"])
    watch = Watch(channel, sources, seconds=job["seconds"], wrap=lambda place: {"at": place})

    def tell(record: dict[str, Any]) -> None:
        channel.send(encode(record))

    try:
        prepared_tests, code = prepare(job["tests"], job["entry_point"])
        module = load(job["program"], sources)
        entry, seen = job["entry_point"], Seen()
        if entry and entry not in module.__dict__:
            tell({"missing_entry_point": {"name": entry, "defined": list(kinds(module, entry))}})
        else:
            seen.calls = 1  # how often the program is called nobody counts here
            Examination(prepared_tests, seen, tell).run(code, module.__dict__, module.__dict__.get(entry))
    except (NotLoaded, Broken) as error:
        tell(error.told)
    watch.off()
    flush_output()
    tell({"done": True})


def trace(job: dict[str, Any], channel: Channel) -> None:
    """Run the program, then one call with its lines and values recorded."""
    sources = sources_of(job["program"], job["files"])
    try:
        recorder = Recorder(job["program"])
    except (SyntaxError, ValueError, MemoryError):
        recorder = Recorder("")  # loading will say what is wrong with it
    watch = Watch(
        channel,
        sources,
        seconds=job["seconds"],
        # A call that never ends shows the way it went until now.
        wrap=lambda place: {"at": place, "trace": recorder.told()},
    )
    try:
        module = load(job["program"], sources)
        told = {"trace": traced(job["call"], module.__dict__, recorder=recorder, sources=sources)}
    except NotLoaded as error:
        told = error.told
    watch.off()
    flush_output()
    channel.send(encode({**told, "done": True}))


MODES: dict[str, Callable[[dict[str, Any], Channel], None]] = {
    "calls": calls,
    "stdio": stdio,
    "script": script,
    "trace": trace,
}
