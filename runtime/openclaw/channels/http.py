"""Programs, over HTTP: binds the port, knows the tokens, and says for whom a request speaks.

Law: every request needs a token, also on loopback; what a client declares counts only as far as its token says.
Routes, bodies and answers are the application's, which the app hands in; replies are fetched by whoever posted, so
nothing is ever sent from here.

Options: host, port, token, tokens; for the application limits and hooks; from the app `serve` and `token_file`.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from openclaw.channels._http_door import Door, Token, digest, kept, loopback
from openclaw.clock import Clock
from openclaw.errors import DeliveryError, OpenClawError
from openclaw.messages import Address, Reply, escape
from openclaw.ports import Caller, ChannelOptions, Gate, Operations, Post
from openclaw.secrecy import SECRETS

SHORTEST = 32  # characters of a token where other machines can reach the port
BACKLOG = 512
STUCK = 120_000  # milliseconds
OPERATOR = "operator"
_RESERVED: Mapping[str, str] = {
    OPERATOR: "the name of the one under `token`",
    "hook": "how the senders of hooks begin",
}

Serve = Callable[[socket.socket, Post, Operations, Gate, Callable[[], Mapping[str, Any]]], Awaitable[None]]
"""Serves until cancelled; the last gives this channel's options as they are at that moment."""


class Channel:
    def __init__(self, options: ChannelOptions, clock: Clock) -> None:
        self._key = options.key
        self._clock = clock
        self._host = str(options.options["host"])
        self._port = int(options.options["port"])
        self._options = options.options
        self._listener: socket.socket | None = None
        self._door: Door | None = None
        self.address = ""  # once open
        self.link = ""  # once open: the web page, signed in where the token was generated here

    async def open(self) -> None:
        """Raises OpenClawError where the port cannot be had or a token will not do. Again: nothing."""
        if self._listener is not None:
            return
        tokens = self._all_tokens()
        self._listener = _bind(self._key, self._host, self._port)
        host, port = self._listener.getsockname()[:2]
        self._port = port
        self._door = Door(self._host, port, self._clock)
        self._door.tokens = tokens
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        own = "" if self._options.get("token") else f"#token={self._generated()}"
        self.link = f"{self.address}/{own}"

    def renew(self, options: ChannelOptions) -> bool:
        """Takes other tokens while it runs, and keeps every connection. False where it would need another port.
        Raises OpenClawError, with the old tokens in force, where one will not do."""
        place = ("host", "port")
        if self._door is None or any(options.options[name] != self._options[name] for name in place):
            return False
        before, self._options = self._options, {**self._options, **options.options}
        try:
            tokens = self._all_tokens()
        except OpenClawError:
            self._options = before
            raise
        named, earlier = self._options.get("tokens", {}), before.get("tokens", {})
        same = {OPERATOR: True, **{name: token == earlier.get(name) for name, token in named.items()}}
        self._door.tokens = kept(tokens, self._door.tokens, same)
        return True

    async def run(self, post: Post, operations: Operations) -> None:
        assert self._listener is not None and self._door is not None, "the channel is not open"
        serve: Serve = self._options["serve"]
        await serve(self._listener, post, operations, self._door, lambda: {**self._options, "key": self._key})

    async def send(self, reply: Reply) -> None:
        if reply.told is not None:
            return  # it enters the session of whoever it is for, and that is where programs and the page read
        raise DeliveryError(f"nothing can be sent to {reply.to}: programs fetch their replies", final=True)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = self._door = None

    # ── tokens ───────────────────────────────────────────────────────────────────────────────────

    def _all_tokens(self) -> tuple[Token, ...]:
        own = self._options.get("token")
        named = {name: str(token["secret"]) for name, token in self._options.get("tokens", {}).items()}
        for reserved, why in _RESERVED.items():
            if reserved in named:
                raise self._wrong(f"a token cannot be called `{reserved}`, which is {why}")
        if not loopback(self._host):
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
            token = token or _written(path, secrets.token_urlsafe(32))
        except (OSError, ValueError) as error:
            raise OpenClawError(f"the token file {path} cannot be used; delete it to get a new one") from error
        SECRETS.hold(path, [token])
        return token

    def _operator(self, token: str) -> Token:
        caller = Caller(
            OPERATOR,
            Address(self._key, OPERATOR),
            frozenset({"operator"}),
            declare=lambda sender: self._declared(OPERATOR, sender),
            answers_as=Address("repl", "local"),  # as whoever sits at the terminal: both can read this token
        )
        return Token(digest(token), caller)

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
        return Token(digest(str(token["secret"])), caller)

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


def _written(path: Path, token: str) -> str:
    """Whole or not at all: an empty file would be a token that everybody knows."""
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(token + "\n")
    fresh.replace(path)
    return token


def _bind(key: str, host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise OpenClawError(f"channel {key} cannot listen on {host}: {error.strerror or error}") from error
    # The protocol is named because the loop sends small answers at once only on sockets that say they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if sys.platform == "linux":  # what it accepts inherits it: a reader who takes nothing for so long is given up
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK)
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        cure = "set another `port` in channels.yaml, or end what uses it"
        raise OpenClawError(f"channel {key} cannot listen on {host}:{port}: {error.strerror}; {cure}") from error
    return listener
