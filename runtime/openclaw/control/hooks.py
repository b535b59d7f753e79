"""Calls of other services: hooks that become messages, and letters for the channels that wait for them.

Law: a call is believed for its secret alone, compared in constant time over the bytes as they came; what is refused
counts against the place it came from, what is believed against its hook alone. No body is read where the headers tell
enough. A call that comes again is taken once, also after a restart. What a call brings is material: it is never part
of a command or a prefix.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openclaw.clock import Clock
from openclaw.control import material
from openclaw.control.bodies import Bodies, kind
from openclaw.control.limits import Rates
from openclaw.control.problems import Unserved, refused, unserved
from openclaw.messages import Accepted, Address, Message, Refused, Text
from openclaw.names import fresh
from openclaw.ports import Caller, Gate, Operations, Post

_AGAIN = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a hook: its bytes, and the headers by name in lower case."""

    headers: Mapping[str, str]
    body: bytes

    def said(self, name: str) -> str:
        return self.headers.get(name.lower(), "")


class Hooks:
    def __init__(
        self,
        post: Post,
        operations: Operations,
        gate: Gate,
        taking: Bodies,
        rates: Rates,
        clock: Clock,
        options: Callable[[], Any],
    ) -> None:
        self._post = post
        self._operations = operations
        self._gate = gate
        self._taking = taking
        self._rates = rates
        self._clock = clock
        self._options = options

    async def hook(self, request: Request, caller: Caller) -> Response:
        name, options = request.path_params["name"], self._options()
        with self._charged(request):
            hook, call = await self._proven(request, options.get("hooks", {}).get(name), name)
        self._check_time(hook, call)
        self._rates.take(f"hook {name}")
        brought = material.read(kind(request), call.body, call.headers)
        message = self._message(Address(str(options["key"]), f"hook/{name}"), hook, call, brought)
        match await self._post(message):
            case Refused(code=code, reason=reason):
                raise refused(code, reason)
            case Accepted(id=id):
                return JSONResponse({"id": id, "status": "accepted"}, 202)
            case _:  # the prompt is a command: it has acted
                return JSONResponse({"id": message.id, "status": "accepted"}, 202)

    async def letter(self, request: Request, caller: Caller) -> Response:
        key = request.path_params["key"]
        letter = self._operations.letter(key)
        with self._charged(request):
            if letter is None:
                raise unserved(404, "unknown_channel", f"nothing is received for {key}")
            status = await letter(dict(request.headers), await self._taking.read_unproven(request))
            if status in (401, 403):
                self._count(request)
        if status in (401, 403):
            self._charge(request)
        return Response(status_code=status)

    async def _proven(self, request: Request, hook: Mapping[str, Any] | None, name: str) -> tuple[Any, _Call]:
        """The hook and its call; raises where the call does not prove itself."""
        if hook is None:
            self._count(request)
            raise unserved(404, "unknown_hook", f"there is no hook {name}")
        headers = dict(request.headers)
        by_token = hook["verify"] == "token"
        if by_token and not _proven(hook, _Call(headers, b"")):
            self._count(request)
            raise _wrong_secret()
        call = _Call(headers, await self._taking.read_unproven(request))
        if not by_token and not _proven(hook, call):
            self._count(request)
            raise _wrong_secret()
        return hook, call

    @contextmanager
    def _charged(self, request: Request) -> Iterator[None]:
        try:
            yield
        except Unserved:
            self._charge(request)
            raise

    def _charge(self, request: Request) -> None:
        """One refused request of that place; raises where there were too many."""
        self._rates.take(f"from {request.client.host if request.client else '?'}")

    def _count(self, request: Request) -> None:
        """Notes a wrong secret; raises where too many came from there."""
        if paused := self._gate.paused(request):
            raise Unserved(paused)
        self._gate.wrong(request)

    def _check_time(self, hook: Mapping[str, Any], call: _Call) -> None:
        if not hook.get("timestamp_header"):
            return
        at = int(call.said(hook["timestamp_header"]))  # it was signed, and is a number
        if abs(self._clock.now().timestamp() - at) > hook["window"]:
            raise unserved(401, "stale", f"the call is more than {hook['window']:g} s off")

    def _message(self, sender: Address, hook: Mapping[str, Any], call: _Call, brought: material.Brought) -> Message:
        parts = material.filled(hook["prompt"], brought)
        id = hashlib.sha256(f"{sender.id}\n{_own_id(hook, call)}".encode("utf-8", "surrogateescape")).hexdigest()
        return Message(
            id=f"hook-{id[:40]}",
            sender=sender,
            parts=parts,
            at=self._clock.now(),
            agent=hook["agent"],
            session=id[:16] if hook["session"] == "fresh" else None,
            fetched=not hook["deliver"],
            can_ask=False,
            deliver=tuple(hook["deliver"]),
            untrusted="" if parts == (Text(hook["prompt"]),) else "a hook's material",
        )


def _wrong_secret() -> Unserved:
    return unserved(401, "unauthorized", "the call does not prove that it knows the hook's secret")


def _proven(hook: Mapping[str, Any], call: _Call) -> bool:
    secret = str(hook["secret"]).encode("utf-8", "surrogateescape")
    if hook["verify"] == "token":
        scheme, _, bearer = call.said("authorization").partition(" ")
        said = call.said("x-hook-token") or (bearer.strip() if scheme.lower() == "bearer" else "")
        return hmac.compare_digest(_digest(_bytes(said)), _digest(secret))
    timed = hook.get("timestamp_header")
    expected = hmac.new(secret, _signed(hook, call), hashlib.sha256).hexdigest()
    given = call.said(hook["signature_header"]).strip().removeprefix("sha256=").lower()
    proven = hmac.compare_digest(expected.encode(), _bytes(given))
    return proven and (not timed or _is_time(call.said(timed)))


def _signed(hook: Mapping[str, Any], call: _Call) -> bytes:
    """What a signature covers."""
    timed = hook.get("timestamp_header")
    return _bytes(call.said(timed)) + b"." + call.body if timed else call.body


def _is_time(said: str) -> bool:
    return said.isascii() and said.isdigit() and len(said) <= 12


def _own_id(hook: Mapping[str, Any], call: _Call) -> str:
    """What makes a call the same as an earlier one: the id it names, else what was signed, however the signature is
    spelt. A call that is only proven by a token is a new one each time: the same words may mean the same again."""
    if hook["id_header"]:
        said = call.said(hook["id_header"])
        if not said or len(said) > 255:
            raise unserved(422, "missing_id", f"the header {hook['id_header']} must carry the call's own id")
        return said
    if hook["verify"] == "token":
        return call.said(_AGAIN)[:255] or fresh()
    return _digest(_signed(hook, call)).hex()


def _bytes(header: str) -> bytes:
    """A header as it came; the web library reads each byte as a character."""
    return header.encode("latin-1", "replace")


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
