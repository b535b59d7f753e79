"""Tools of kind `python`: a project's own functions, sync or async, called with validated input.

The law: whatever the function does, the call ends in one result: exceptions, even SystemExit, are told
to the model by type and message, without the values a manifest fixes under `with`. A sync function
runs in a thread of its own; a thread cannot be stopped, so after a timeout or a cancel it may run on,
and keeps its place among `THREADS` until it ends.

Functions are trusted code: nothing here is a sandbox. Knows no manifest; `options` hold the function.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import enum
import functools
import inspect
import json
import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time
from pathlib import PurePath
from typing import Any

from openclaw import output, secrecy, signature
from openclaw.clock import Clock
from openclaw.errors import ToolError
from openclaw.messages import Call, ToolResult, ToolSpec, quote_line
from openclaw.ports import Place

log = logging.getLogger(__name__)

THREADS = 16
LONGEST_ERROR = 2_000  # characters
_SECRET_NAME = re.compile(r"(?i)(^|_)(token|key|secret|password|passphrase|credentials?)$")


class Tools:
    """All Python tools of a project."""

    def __init__(self, specs: Mapping[str, ToolSpec], place: Place, clock: Clock) -> None:
        self._specs = specs
        self._slots = asyncio.Semaphore(THREADS)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def run(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        spec = self._specs[name]
        fixed = spec.options.get("with") or {}
        try:
            returned = await self._called(spec, input, call)
            return await asyncio.to_thread(_finished, returned, fixed, call)
        except _Failed as failed:
            words = secrecy.masked(masked(str(failed), fixed, every=True), call.secrets)
            log.warning("the tool %s failed: %s%s", name, quote_line(words[:300]), failed.place)
            return ToolResult(output.cut(words, LONGEST_ERROR)[0], is_error=True)

    async def _called(self, spec: ToolSpec, input: Mapping[str, Any], call: Call) -> Any:
        function = _bound(spec, input, call)
        limit = asyncio.timeout(spec.timeout)
        try:
            async with limit:
                if _is_async(function.func):
                    return await function()
                returned = await self._in_thread(function)
                return await returned if inspect.isawaitable(returned) else returned
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            raise _failed(error) from None  # the function's own doing; nobody cancelled this call
        except TimeoutError as error:
            raise (self._late(spec) if limit.expired() else _failed(error)) from None
        except _Failed:
            raise
        except BaseException as error:  # SystemExit and KeyboardInterrupt of a tool end the tool, not the runtime
            raise _failed(error) from None

    def _late(self, spec: ToolSpec) -> _Failed:
        full = f"; {THREADS} earlier calls have not ended either" if self._slots.locked() else ""
        return _Failed(f"it did not end within {spec.timeout:g} s{full}")

    async def _in_thread(self, function: Callable[[], Any]) -> Any:
        """A daemon thread for one call: a function that never returns must not keep the process alive."""
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

        def finish(returned: Any, error: BaseException | None) -> None:
            self._slots.release()
            if not outcome.done():
                outcome.set_result((returned, error))

        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(_work, function, loop, finish), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left
            self._slots.release()
            raise
        returned, error = await outcome
        if error is not None:
            raise _failed(error)
        return returned


class _Failed(Exception):
    """Why a call has no result, in words; `place` is where in the project it failed, for the log."""

    def __init__(self, words: str, place: str = "") -> None:
        super().__init__(words)
        self.place = place


def _work(
    function: Callable[[], Any], loop: asyncio.AbstractEventLoop, finish: Callable[[Any, BaseException | None], None]
) -> None:
    try:
        outcome: tuple[Any, BaseException | None] = function(), None
    except BaseException as error:  # also SystemExit: it must end the call and not pass unseen
        outcome = None, error
    try:
        loop.call_soon_threadsafe(finish, *outcome)
    except RuntimeError:  # the loop has closed; nobody waits any more
        pass


def _bound(spec: ToolSpec, input: Mapping[str, Any], call: Call) -> functools.partial[Any]:
    """The function with everything it is to be called with."""
    function: Callable[..., Any] | None = spec.options.get("function")
    if function is None:
        raise _Failed(f"`{spec.options.get('reference', spec.name)}` could not be imported")
    try:
        values = signature.arguments(function, input)
    except Exception as error:
        raise _Failed(f"the input does not fit: {_said(error)}") from None
    if name := spec.options.get("call"):
        values[name] = call
    return functools.partial(function, **{**values, **(spec.options.get("with") or {})})


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


# ── what a function returns ──────────────────────────────────────────────────────────────────────


def _finished(returned: Any, fixed: Mapping[str, Any], call: Call) -> ToolResult:
    return output.result(masked(_text(returned), fixed, every=False), call)


def _text(returned: Any) -> str:
    if isinstance(returned, str):
        return str(returned)
    if returned is None:
        return "(no result)"
    if isinstance(returned, bytes | bytearray | memoryview):
        raise _Failed("it returned bytes; a tool returns text or what JSON can say")
    try:
        return json.dumps(returned, ensure_ascii=False, indent=2, default=_jsonable)
    except _Failed:
        raise
    except Exception as error:  # circular values, keys that are no text, a `default` of the project's own
        raise _Failed(f"what it returned cannot be written as JSON: {_said(error)}") from None


def _jsonable(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, Mapping):
        return dict(value)
    raise _Failed(f"it returned a `{type(value).__name__}`; a tool returns text or what JSON can say")


# ── what a failure may say ───────────────────────────────────────────────────────────────────────


def _failed(error: BaseException) -> _Failed:
    if isinstance(error, _Failed):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return _Failed(str(error) if isinstance(error, ToolError) else _said(error), place)


def _said(error: BaseException) -> str:
    try:
        words = str(error).strip()
    except Exception:  # an exception whose text raises is told by its type alone
        words = ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def masked(text: str, fixed: Mapping[str, Any], *, every: bool) -> str:
    """The text without fixed values: with `every` all of them, else only those whose name says they are secret.

    Also as they look in a URL, in base64 and inside a Python or JSON literal.
    """
    secrets = (value for name, value in _leaves("", fixed) if every or _SECRET_NAME.search(name))
    return secrecy.masked(text, secrets)


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text below a fixed value, with the nearest name above it."""
    if isinstance(value, Mapping):
        for inner_name, inner in value.items():
            yield from _leaves(str(inner_name), inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(name, inner)
    elif isinstance(value, str) and len(value) >= 4:
        yield name, value
