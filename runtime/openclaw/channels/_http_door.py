"""Who is at the door of the HTTP channel: tokens, host names, and whoever guesses.

Law: who asks follows from the token alone, and every token is compared, so that the time taken tells nothing. A Host
or Origin that is not ours is refused, because a web page in the user's own browser can reach loopback too. Whoever
shows a wrong secret too often is not listened to for a while; who holds a right one is served all the same, because
on one machine, or behind one router, all come from one place. Knows no routes.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from openclaw.clock import Clock
from openclaw.ports import Caller, Problem

FAILURES, WITHIN, PAUSE = 10, 60.0, 300.0  # wrong secrets from one place in so many seconds: refused for so long
_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
PLACES = 10_000  # places whose failures are counted at the same time


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its digest, and the caller it makes."""

    digest: bytes
    caller: Caller


class Door:
    """The gate of one channel. `tokens`, `host` and `port` are exchanged while it stands; what came by an earlier port
    is known by that."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        self.tokens: tuple[Token, ...] = ()
        self.host = host
        self.port = port
        self._clock = clock
        self._failed: dict[str, deque[float]] = {}

    async def __call__(self, request: Any) -> Caller | Problem:
        if wrong := self.foreign(request):
            return wrong
        said = request.headers.get("authorization", "")
        if found := self._known(said):
            return found
        if said and (paused := self.paused(request)):
            return paused
        if said:
            self.wrong(request)
        return Problem(401, "unauthorized", "a valid token is needed: Authorization: Bearer TOKEN")

    def holds(self, caller: Caller) -> bool:
        return any(token.caller is caller for token in self.tokens)

    def foreign(self, request: Any) -> Problem | None:
        host, port = request.headers.get("host", ""), self._port(request)
        if not self._ours(host, port):
            return Problem(421, "wrong_host", "this host name is not served here")
        origin = request.headers.get("origin")
        if origin is not None and not self._own_page(origin, host, port):
            return Problem(403, "wrong_origin", "requests of other web sites are not served")
        return None

    def paused(self, request: Any) -> Problem | None:
        failures = self._failed.get(_place(request))
        if failures is None or len(failures) < FAILURES or self._clock.monotonic() - failures[-1] >= PAUSE:
            return None
        return Problem(429, "too_many_failures", "too many wrong tokens from here; try again in some minutes")

    def wrong(self, request: Any) -> None:
        now, place = self._clock.monotonic(), _place(request)
        if len(self._failed) >= PLACES:
            self._failed.pop(next(iter(self._failed)))
        failures = self._failed.setdefault(place, deque(maxlen=FAILURES))
        while failures and now - failures[0] > WITHIN:
            failures.popleft()
        failures.append(now)

    def _port(self, request: Any) -> int:
        """The one by which this request came."""
        _, port = request.scope.get("server") or ("", None)
        return port or self.port

    def _ours(self, host: str, own: int) -> bool:
        name, port = _split(f"//{host}")
        if self._wide:  # reached under names we cannot know; the token is long, and needed
            return bool(name)
        return port in (own, None) and self._named(name)

    def _own_page(self, origin: str, host: str, own: int) -> bool:
        """Whether the page that asks came from here. A port that is left out is that of the scheme, not ours."""
        scheme = origin.partition(":")[0]
        usual = _PORTS.get(scheme)
        name, port = _split(origin)
        if self._wide:  # perhaps behind a proxy: the page and what it asks for are of one name
            asked, at = _split(f"//{host}")
            return bool(name) and (name, port or usual) == (asked, at or usual)
        return scheme == "http" and (port or usual) == own and self._named(name)

    @property
    def _wide(self) -> bool:
        return self.host in ("0.0.0.0", "::")

    def _named(self, name: str) -> bool:
        return name in ("localhost", self.host) or loopback(name)

    def _known(self, authorization: str) -> Caller | None:
        scheme, _, value = authorization.partition(" ")
        # Headers are read as one character a byte; what was typed into the manifest is UTF-8.
        said = hashlib.sha256(value.strip().encode("latin-1", "replace")).digest()
        matching = [token for token in self.tokens if hmac.compare_digest(token.digest, said)]
        return matching[0].caller if matching and scheme.lower() == "bearer" else None


def kept(fresh: tuple[Token, ...], before: tuple[Token, ...], same: Mapping[str, bool]) -> tuple[Token, ...]:
    """`fresh`, with the callers of `before` for tokens that did not change: what they have under way goes on."""
    old = {(token.digest, token.caller.name): token for token in before if same.get(token.caller.name)}
    return tuple(old.get((token.digest, token.caller.name), token) for token in fresh)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(place: str) -> tuple[str, int | None]:
    """Host name and port; no name where it is none."""
    try:
        split = urlsplit(place)
        return (split.hostname or "").rstrip("."), split.port
    except ValueError:
        return "", -1


def _place(request: Any) -> str:
    return request.client.host if request.client else "?"
