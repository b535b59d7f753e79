"""Tools of kind `shell`: `run_command` and the manifests' templates, run as they were judged.

The law: what runs is `call.command`, argv by argv, at the paths that were resolved when it was judged,
and nothing else; there is no shell. A child sees a fixed PATH, the workspace as its home, a few
harmless settings and what the manifest names, nothing of the runtime's own environment. No input, no
terminal, bounded time, memory and output; nothing outlives its call. Knows no rules: it judges nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw import output
from openclaw.clock import Clock
from openclaw.errors import ToolError
from openclaw.messages import Call, Confinement, ToolResult, ToolSpec
from openclaw.permissions.display import escaped
from openclaw.permissions.facts import TRUSTED_PATH
from openclaw.permissions.paths import within
from openclaw.ports import Place
from openclaw.tools._orphans import Record
from openclaw.tools._processes import Ended, Job
from openclaw.tools._sandbox import Box, shared
from openclaw.tools._sandbox_masks import Masks

_OFFLINE = re.compile(r"resolve host|name resolution|Network is unreachable|Name or service not known", re.I)
_BUSY = "Device or resource busy"
_REFUSED = ("Read-only file system", "Permission denied", _BUSY)
_MOST_NAMED = 10  # protected files that came to be
_INHERITED = ("LANG", "LANGUAGE", "TZ")
_FIXED = {
    "PATH": ":".join(TRUSTED_PATH),
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}


# Programs read settings in their home, and some run what these say (bat, jq): unasked they have none.
_NO_HOME = Path("/nonexistent")
# A folder that looks like a repository is none, and neither is one around the workspace.
_FOR_GIT = {
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "safe.bareRepository",
    "GIT_CONFIG_VALUE_0": "explicit",
    "GIT_CONFIG_KEY_1": "core.fsmonitor",
    "GIT_CONFIG_VALUE_1": "false",
}


class Tools:
    """All shell tools of a project."""

    def __init__(self, specs: Mapping[str, ToolSpec], place: Place, clock: Clock) -> None:
        self._specs = specs
        self._state = Path(place.state)
        self._clock = clock
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        """Returns when nothing that was started here runs any more."""
        if self._ending:
            await asyncio.wait(self._ending)

    async def run(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        spec = self._specs[name]
        if call.command is None or not call.command.steps:
            raise ToolError(f"{name}: there is no command that was judged, so nothing was run")
        for step in call.command.steps:
            if not step.program:
                raise ToolError(f"`{step.argv[0]}` is not installed here; nothing was run")
        folder = _folder(input if "template" not in spec.options else {}, call)
        confinement = call.command.confinement
        if confinement is None:
            raise ToolError(f"{name}: nothing was decided about what holds the command back, so it was not run")
        box = await self._box(confinement, several=len(call.command.steps) > 1)
        home = call.workspace if confinement.writable else _NO_HOME
        record = Record(self._state, call)
        surroundings = environment(spec, home) | _for_git(confinement) | record.environment
        whole = call.check or "template" in spec.options  # whoever wrote it down cannot look at what it printed
        job = Job(call.command, folder, surroundings, self._clock, spec.timeout, box, whole=whole)
        job.started = record.started
        ended: Ended | None = None
        try:
            _begin(record)
            ended = await self._within(job, spec.timeout)
        finally:
            await self._end(job, box, record, cut_off=ended is None)
        return await asyncio.to_thread(_result, job, ended, spec, call)

    async def _within(self, job: Job, seconds: float) -> Ended | None:
        """How the job ended; None where its time was up."""
        running = asyncio.ensure_future(job.run())
        timer: asyncio.Future[Any] = asyncio.ensure_future(self._clock.sleep(seconds))
        both: set[asyncio.Future[Any]] = {running, timer}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return running.result() if running.done() else None
        finally:
            for task in both:
                task.cancel()
            await asyncio.wait(both)

    async def _box(self, confinement: Confinement, *, several: bool) -> Box:
        """Put up beside the loop, and taken away again where nobody waits for it any more."""
        made = asyncio.ensure_future(asyncio.to_thread(shared().box, confinement, several=several))
        try:
            return await asyncio.shield(made)
        except asyncio.CancelledError:
            made.add_done_callback(_unused)
            raise

    async def _end(self, job: Job, box: Box, record: Record, *, cut_off: bool) -> None:
        """Ends the job whatever happens to us meanwhile: a second cancellation does not leave a process behind."""
        ending = asyncio.ensure_future(_ended(job, box, record, cut_off))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.shield(ending)


def _unused(made: asyncio.Future[Box]) -> None:
    if not made.cancelled() and made.exception() is None:
        made.result().close()


def _begin(record: Record) -> None:
    try:
        record.begin()
    except OSError as error:
        raise ToolError(f"the command could not be written down ({error.strerror}), so it was not run") from error


async def _ended(job: Job, box: Box, record: Record, cut_off: bool) -> None:
    try:
        await job.end()
        if cut_off:  # what ended by itself may leave something running on purpose
            await asyncio.to_thread(record.cut_off)
        record.end()
    finally:
        await asyncio.to_thread(box.close)


def environment(spec: ToolSpec, home: Path) -> dict[str, str]:
    """Everything a child sees; made from scratch."""
    kept = {name: value for name in _INHERITED if (value := os.environ.get(name))}
    locale = {name: value for name, value in os.environ.items() if name.startswith("LC_")}
    named = {name: str(value) for name, value in (spec.options.get("env") or {}).items()}
    return {**_FIXED, **kept, **locale, "HOME": str(home), **named}


def _for_git(confinement: Confinement) -> dict[str, str]:
    """Settings of the person's in the workspace count only in what they agreed to."""
    if not confinement.repository:
        return {}
    theirs = confinement.writable and (confinement.workspace / ".gitconfig").is_file()
    return _FOR_GIT if theirs else {**_FOR_GIT, "GIT_CONFIG_GLOBAL": os.devnull}


def _folder(input: Mapping[str, Any], call: Call) -> Path:
    """The working folder, looked up again at the launch: still a folder, still inside the workspace."""
    wanted = input.get("cwd") or "."
    try:
        workspace = Path(os.path.realpath(call.workspace, strict=True))
        folder = Path(os.path.realpath(workspace / str(wanted), strict=True))
    except (OSError, ValueError) as error:
        raise ToolError(f"`{wanted}` is not a folder in the workspace; nothing was run") from error
    if not within(folder, workspace) or not folder.is_dir():
        raise ToolError(f"`{wanted}` is not a folder in the workspace; nothing was run")
    return folder


def _result(job: Job, ended: Ended | None, spec: ToolSpec, call: Call) -> ToolResult:
    text = job.capture.text()
    note = _ending_in_words(ended, spec.timeout)
    if job.excess:
        note = f"[stopped: it had {job.excess}]"
    elif ended is not None and ended.code and call.command is not None:
        note += _held(call.command.confinement, job.box.masks, text)
    remark = _remark(call.command.confinement, job.box) if call.command is not None else ""
    body = text.rstrip("\n") if note or remark else text
    whole = "\n".join(part for part in (body, note, remark) if part) or output.NOTHING
    return output.result(whole, call, is_error=bool(note))


def _held(confinement: Confinement | None, masks: Masks, text: str) -> str:
    """What the sandbox may have to do with a failure, so that nobody looks for it elsewhere."""
    if confinement is None or confinement.mechanism == "none":
        return ""
    refused = [words for words in _REFUSED if words in text]
    if refused and confinement.writable:
        names = (str(path.relative_to(confinement.workspace)) for path in (*masks.kept, *masks.hidden, *masks.unmade))
        named = max((name for name in names if name in text), key=len, default="")
        if named:
            return f"\n[`{named}` is protected in the workspace: the sandbox lets it neither be changed nor made]"
        if refused == [_BUSY]:
            return "\n[the sandbox lets nothing be changed that is protected in the workspace]"
        return "\n[the sandbox lets nothing be written outside the workspace]"
    if refused and refused != [_BUSY]:
        return "\n[the sandbox lets nothing be written for commands that run unasked]"
    if not confinement.network and _OFFLINE.search(text):
        return "\n[the sandbox has no network; a rule with `network: true` gives a command one]"
    return ""


def _remark(confinement: Confinement | None, box: Box) -> str:
    """What a person who agreed should know of how it was held, and of what it did nevertheless."""
    if confinement is None or not confinement.writable:
        return ""
    told = [f"[not all that is protected was kept from it: {box.masks.missed}]"] if box.masks.missed else []
    names = [str(path.relative_to(confinement.workspace)) for path in box.made]
    if names:
        shown = ", ".join(f"`{escaped(name, letters=True)}`" for name in names[:_MOST_NAMED])
        more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        told.append(f"[protected files came to be while it ran: {shown}{more}]")
    return "\n".join(told)


def _ending_in_words(ended: Ended | None, seconds: float) -> str:
    if ended is None:
        return f"[ended after its {seconds:g} s were up; it and everything it started was stopped]"
    if ended.code == 0:
        return ""
    if ended.code < 0:
        try:
            name = signal.Signals(-ended.code).name
        except ValueError:
            name = f"signal {-ended.code}"
        return f"[{ended.argv[0]} was ended by {name}]"
    return f"[{ended.argv[0]}: exit code {ended.code}]" if ended.earlier else f"[exit code {ended.code}]"
