"""Programs, over HTTP: binds the port, knows the tokens, and says for whom a request speaks.

Law: every request needs a token, also on loopback; who asks follows from the token alone, and what a client
declares counts only as far as its token says. A Host or Origin that is not ours is refused, because a web page
in the user's own browser can reach loopback too. Routes, bodies and answers are the application's, which the
app hands in; replies are fetched by whoever posted, so nothing is ever sent from here.

Options: host, port, token, tokens; and from the app `serve` and `token_file`.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openclaw.clock import Clock
from openclaw.errors import DeliveryError, OpenClawError
from openclaw.messages import Address, Reply, escape
from openclaw.ports import Caller, ChannelOptions, Gate, Operations, Post, Problem

FAILURES, WITHIN, PAUSE = 10, 60.0, 300.0  # wrong tokens from one place in so many seconds: refused for so long
PLACES = 10_000  # places whose failures are counted at the same time
SHORTEST = 32  # characters of a token where other machines can reach the port
BACKLOG = 512
OPERATOR = "operator"

Serve = Callable[[socket.socket, Post, Operations, Gate, Callable[[], Mapping[str, Any]]], Awaitable[None]]
"""Serves until cancelled; the last gives this channel's options as they are at that moment."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its digest, and the caller it makes."""

    digest: bytes
    caller: Caller


class Channel:
    def __init__(self, options: ChannelOptions, clock: Clock) -> None:
        self._key = options.key
        self._clock = clock
        self._host = str(options.options["host"])
        self._port = int(options.options["port"])
        self._options = options.options
        self._listener: socket.socket | None = None
        self._tokens: tuple[Token, ...] = ()
        self._failed: dict[str, deque[float]] = {}
        self.address = ""  # once open

    async def open(self) -> None:
        """Raises OpenClawError where the port cannot be had or a token will not do. Again: nothing."""
        if self._listener is not None:
            return
        self._tokens = self._all_tokens()
        self._listener = _bind(self._key, self._host, self._port)
        host, port = self._listener.getsockname()[:2]
        self._port = port
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def renew(self, options: ChannelOptions) -> bool:
        """Takes other tokens while it runs, and keeps every connection. False where it would need another port.
        Raises OpenClawError, with the old tokens in force, where one will not do."""
        place = ("host", "port")
        if self._listener is None or any(options.options[name] != self._options[name] for name in place):
            return False
        before, self._options = self._options, {**self._options, **options.options}
        try:
            self._tokens = self._all_tokens()
        except OpenClawError:
            self._options = before
            raise
        return True

    async def run(self, post: Post, operations: Operations) -> None:
        assert self._listener is not None, "the channel is not open"
        serve: Serve = self._options["serve"]
        await serve(self._listener, post, operations, self._gate, lambda: self._options)

    async def send(self, reply: Reply) -> None:
        raise DeliveryError(f"nothing can be sent to {reply.to}: programs fetch their replies", final=True)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    # ── who asks ─────────────────────────────────────────────────────────────────────────────────

    async def _gate(self, request: Any) -> Caller | Problem:
        if wrong := self._foreign(request.headers):
            return wrong
        said = request.headers.get("authorization", "")
        if found := self._known(said):
            # Also where others guess: on one machine, or behind one router, all come from one place.
            return found
        place = request.client.host if request.client else "?"
        if said and self._paused(place):
            return Problem(429, "too_many_failures", "too many wrong tokens from here; try again in some minutes")
        if said:
            self._note(place)
        return Problem(401, "unauthorized", "a valid token is needed: Authorization: Bearer TOKEN")

    def _foreign(self, headers: Mapping[str, str]) -> Problem | None:
        if not self._ours(headers.get("host", "")):
            return Problem(421, "wrong_host", "this host name is not served here")
        origin = headers.get("origin")
        if origin is not None and not self._ours(urlsplit(origin).netloc):
            return Problem(403, "wrong_origin", "requests of other web sites are not served")
        return None

    def _ours(self, host: str) -> bool:
        try:
            split = urlsplit(f"//{host}")
            name, port = (split.hostname or "").rstrip("."), split.port
        except ValueError:
            return False
        if self._host in ("0.0.0.0", "::"):  # reached under names we cannot know; the token is long, and needed
            return bool(name)
        return port in (self._port, None) and (name in ("localhost", self._host) or _loopback(name))

    def _known(self, authorization: str) -> Caller | None:
        scheme, _, value = authorization.partition(" ")
        digest = _digest(value.strip())
        # Every token is compared, so that the time taken tells nothing.
        matching = [token for token in self._tokens if hmac.compare_digest(token.digest, digest)]
        return matching[0].caller if matching and scheme.lower() == "bearer" else None

    def _paused(self, place: str) -> bool:
        failures = self._failed.get(place)
        return failures is not None and len(failures) == FAILURES and self._clock.monotonic() - failures[-1] < PAUSE

    def _note(self, place: str) -> None:
        now = self._clock.monotonic()
        if len(self._failed) >= PLACES:
            self._failed.pop(next(iter(self._failed)))
        failures = self._failed.setdefault(place, deque(maxlen=FAILURES))
        while failures and now - failures[0] > WITHIN:
            failures.popleft()
        failures.append(now)

    # ── tokens ───────────────────────────────────────────────────────────────────────────────────

    def _all_tokens(self) -> tuple[Token, ...]:
        own = self._options.get("token")
        named = {name: str(token["secret"]) for name, token in self._options.get("tokens", {}).items()}
        if OPERATOR in named:
            raise self._wrong(f"a token cannot be called `{OPERATOR}`, which is the name of the one under `token`")
        if not _loopback(self._host):
            self._check_length({"token": own or "", **named})
        secrets = {OPERATOR: own or self._generated(), **named}
        if len(set(secrets.values())) < len(secrets) or not all(secrets.values()):
            raise self._wrong("two of its tokens have the same value, or one has none")
        return (self._operator(secrets[OPERATOR]), *self._others())

    def _check_length(self, secrets: Mapping[str, str]) -> None:
        for name, secret in secrets.items():
            if len(secret) < SHORTEST:
                raise self._wrong(
                    f"it listens on {self._host}, where other machines reach it, and `{name}` has fewer than "
                    f"{SHORTEST} characters; give it a long random value"
                )

    def _wrong(self, why: str) -> OpenClawError:
        return OpenClawError(f"channel {self._key} cannot start: {why}")

    def _generated(self) -> str:
        """The token of this state folder, made at the first start and kept for its owner alone."""
        path = Path(str(self._options["token_file"]))
        try:
            token = path.read_text("ascii").strip() if path.exists() else ""
            return token or _written(path, secrets.token_urlsafe(32))
        except (OSError, ValueError) as error:
            raise OpenClawError(f"the token file {path} cannot be used; delete it to get a new one") from error

    def _operator(self, token: str) -> Token:
        caller = Caller(
            OPERATOR,
            Address(self._key, OPERATOR),
            frozenset({"operator"}),
            declare=lambda sender: self._declared(OPERATOR, sender),
            answers_as=Address("repl", "local"),  # as whoever sits at the terminal: both can read this token
        )
        return Token(_digest(token), caller)

    def _others(self) -> list[Token]:
        return [self._other(name, token) for name, token in self._options.get("tokens", {}).items()]

    def _other(self, name: str, token: Mapping[str, Any]) -> Token:
        declares = token.get("senders") == "declared"
        person = token.get("as")
        sender = Address(self._key, f"{name}/{person or name}")
        caller = Caller(
            name,
            sender,
            frozenset(token.get("scopes") or ("chat",)),
            declare=(lambda declared: self._declared(name, declared)) if declares else None,
            owns=lambda session: self._owns(name, person, session),
            agents=tuple(token["agents"]) if token.get("agents") is not None else None,
        )
        return Token(_digest(str(token["secret"])), caller)

    def _declared(self, token: str, sender: str) -> Address:
        if not 0 < len(sender) <= 200 or not sender.isprintable():
            raise ValueError("`sender` must be 1 to 200 printable characters")
        return Address(self._key, f"{token}/{sender}")

    def _owns(self, token: str, person: str | None, session: str) -> bool:
        """Whether a session belongs to this token: `agent:<agent>:<key>:<token>/...`, or its person's."""
        parts = session.split(":")
        if parts[:1] != ["agent"] or len(parts) < 4:
            return False
        if parts[2] == "person":
            return person is not None and parts[3] == escape(person)
        return parts[2] == escape(self._key) and parts[3].startswith(f"{escape(token)}/")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _written(path: Path, token: str) -> str:
    """Whole or not at all: an empty file would be a token that everybody knows."""
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(token + "\n")
    fresh.replace(path)
    return token


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bind(key: str, host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise OpenClawError(f"channel {key} cannot listen on {host}: {error.strerror or error}") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        cure = "set another `port` in channels.yaml, or end what uses it"
        raise OpenClawError(f"channel {key} cannot listen on {host}:{port}: {error.strerror}; {cure}") from error
    return listener
