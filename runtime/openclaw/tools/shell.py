"""Tools of kind `shell`: `run_command` and the manifests' templates, run as they were judged.

The law: what runs is `call.command`, argv by argv, at the paths that were resolved when it was judged,
and nothing else; there is no shell. A child sees a fixed PATH, the workspace as its home, a few
harmless settings and what the manifest names, nothing of the runtime's own environment. No input, no
terminal, bounded time, memory and output; nothing outlives its call. Knows no rules: it judges nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw import output
from openclaw.clock import Clock
from openclaw.errors import ToolError
from openclaw.messages import Call, ToolResult, ToolSpec
from openclaw.permissions.facts import TRUSTED_PATH
from openclaw.permissions.paths import within
from openclaw.ports import Place
from openclaw.tools._processes import Ended, Job

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


class Tools:
    """All shell tools of a project."""

    def __init__(self, specs: Mapping[str, ToolSpec], place: Place, clock: Clock) -> None:
        self._specs = specs
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
        job = Job(call.command, folder, environment(spec, call.workspace), self._clock, spec.timeout)
        try:
            ended = await self._within(job, spec.timeout)
        finally:
            await self._end(job)
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

    async def _end(self, job: Job) -> None:
        """Ends the job whatever happens to us meanwhile: a second cancellation does not leave a process behind."""
        ending = asyncio.ensure_future(job.end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.shield(ending)


def environment(spec: ToolSpec, workspace: Path) -> dict[str, str]:
    """Everything a child sees; made from scratch."""
    kept = {name: value for name in _INHERITED if (value := os.environ.get(name))}
    locale = {name: value for name, value in os.environ.items() if name.startswith("LC_")}
    named = {name: str(value) for name, value in (spec.options.get("env") or {}).items()}
    return {**_FIXED, **kept, **locale, "HOME": str(workspace), **named}


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
    body = text.rstrip("\n") if note else text
    whole = "\n".join(part for part in (body, note) if part) or output.NOTHING
    return output.result(whole, call, is_error=bool(note))


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
    return f"[exit code {ended.code}]"
