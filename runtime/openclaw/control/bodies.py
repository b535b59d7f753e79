"""Reading what a request brings: bodies within their limits, fields of the right type. A problem otherwise.

Law: bytes are counted while they come, because a length may be missing, or a lie; what nests deeper than anything
that means something is refused before it is built.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from openclaw.clock import Clock
from openclaw.control.limits import Limits
from openclaw.control.problems import unserved

SLOWEST = 30.0  # seconds for a body to come
DEEPEST = 100  # levels of JSON
ANONYMOUS = 32 << 20  # bytes of bodies that come from nobody we know yet, together
LONGEST_NAME = 200  # characters

_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


class Bodies:
    """Takes bodies in, under the limits of the moment."""

    def __init__(self, limits: Callable[[], Limits], clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._anonymous = 0

    async def object(self, request: Request, limit: int | None = None, *, larger: bool = False) -> dict[str, Any]:
        """The body as a JSON object. `larger`: up to the limit, where that is more than what is usual here; for an
        operator alone, who says what is usual."""
        if kind(request) != "application/json":
            raise unserved(415, "not_json", "send application/json")
        usual = self._limits().body
        most = max(limit or usual, usual) if larger else min(limit or usual, usual)
        body = parsed(await self._in_time(_collected(request, most, lambda size: None)))
        if not isinstance(body, dict):
            raise unserved(422, "not_an_object", "the body must be a JSON object")
        return body

    async def read(self, request: Request) -> bytes:
        """The whole body, of what is usual here."""
        return await self._in_time(_collected(request, self._limits().body, lambda size: None))

    async def read_unproven(self, request: Request) -> bytes:
        """The same of a caller who has proven nothing yet: all of them together get a bounded room."""
        held, usual = 0, self._limits().body

        def hold(size: int) -> None:
            nonlocal held
            held += size
            self._anonymous += size
            if self._anonymous > max(ANONYMOUS, usual):
                raise unserved(503, "crowded", "too much comes at once; come again in a moment")

        try:
            return await self._in_time(_collected(request, usual, hold))
        finally:
            self._anonymous -= held

    async def _in_time(self, collected: Coroutine[Any, Any, bytes]) -> bytes:
        coming = asyncio.ensure_future(collected)
        late = asyncio.ensure_future(self._clock.sleep(SLOWEST))
        try:
            await asyncio.wait([coming, late], return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                raise unserved(408, "too_slow", f"the body did not come within {SLOWEST:g} s")
            return coming.result()
        finally:
            coming.cancel()
            late.cancel()


def kind(request: Request) -> str:
    """The media type of the body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _collected(request: Request, most: int, hold: Callable[[int], None]) -> bytes:
    """`hold` is told of the bytes as they come, and may raise."""
    body = bytearray()
    async for chunk in request.stream():
        hold(len(chunk))
        body += chunk
        if len(body) > most:
            raise unserved(413, "too_large", f"a body has at most {most:,} bytes")
    return bytes(body)


def parsed(body: bytes) -> Any:
    """JSON, or a problem."""
    if _depth(body) > DEEPEST:
        raise unserved(400, "bad_json", f"the body nests deeper than {DEEPEST} levels")
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise unserved(400, "bad_json", "the body is not JSON") from error


def _depth(body: bytes) -> int:
    """How deep it nests; 0 where it cannot be too deep."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return 0
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def string(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not is_text(value):
        raise unserved(422, "bad_field", f"`{name}` must be text")
    return value


def name(body: Mapping[str, Any], field: str) -> str | None:
    """Short text that names something."""
    value = string(body, field)
    if value is not None and not (len(value) <= LONGEST_NAME and value.isprintable()):
        raise unserved(422, "bad_field", f"`{field}` must have at most {LONGEST_NAME} printable characters")
    return value


def truth(body: Mapping[str, Any], name: str, otherwise: bool) -> bool:
    value = body.get(name, otherwise)
    if not isinstance(value, bool):
        raise unserved(422, "bad_field", f"`{name}` must be true or false")
    return value


def is_text(text: str) -> bool:
    """JSON may spell NUL and lone surrogates, which are no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def number(request: Request, name: str, otherwise: int, largest: int) -> int:
    """A whole number of the query, from 1."""
    said = request.query_params.get(name)
    if said is None:
        return otherwise
    if not (said.isascii() and said.isdigit() and len(said) < 10 and 1 <= int(said) <= largest):
        raise unserved(422, "bad_field", f"`{name}` must be a whole number from 1 to {largest}")
    return int(said)


def words(request: Request, name: str) -> str:
    """Text of the query; empty where it is left out."""
    said = request.query_params.get(name, "")
    if not is_text(said):
        raise unserved(422, "bad_field", f"`{name}` must be text")
    return said


def time(request: Request, name: str) -> datetime | None:
    """An instant of the query, in UTC; None where it is left out."""
    said = request.query_params.get(name)
    if said is None:
        return None
    try:
        found = datetime.fromisoformat(said.replace(" ", "+"))  # a plus that was not encoded arrives as a space
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise unserved(422, "bad_field", f"`{name}` must be a time with its offset, such as 2026-11-28T07:30:00Z")
