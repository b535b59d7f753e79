"""Programs, over HTTP: binds the port, knows the tokens, and says for whom a request speaks.

Law: every request needs a token, also on loopback; what a client declares counts only as far as its token says. Every
edit is taken while everything that is open goes on: what can fail is had before the edit counts, another port beside
the old one. Routes, bodies and answers are the application's, which the app hands in; replies are fetched by whoever
posted, so nothing is ever sent from here.

Options: host, port, token, tokens; for the application limits and hooks; from the app `serve` and `token_file`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from openclaw.channels._http_door import Door, Token, kept
from openclaw.channels._http_tokens import generated, same, tokens_of
from openclaw.clock import Clock
from openclaw.errors import DeliveryError, OpenClawError
from openclaw.listeners import Listeners
from openclaw.messages import Reply
from openclaw.ports import ChannelOptions, Gate, Operations, Post

log = logging.getLogger(__name__)

BACKLOG = 512
STUCK = 120_000  # milliseconds
AGAIN = 5.0  # seconds until a port is tried again that was given away and cannot be had back

Serve = Callable[[Listeners, Post, Operations, Gate, Callable[[], Mapping[str, Any]]], Awaitable[None]]
"""Serves until cancelled, or until the listeners are over; the last gives this channel's options as they are then."""


@dataclass(frozen=True, slots=True)
class _Edit:
    """Another description of the channel, with everything that it needs. `listener` None: where it listens already."""

    options: Mapping[str, Any]
    tokens: tuple[Token, ...]
    secret: str  # the operator's, where it was generated here
    listener: socket.socket | None = None


class Channel:
    keeps = False

    def __init__(self, options: ChannelOptions, clock: Clock) -> None:
        self._key = options.key
        self._described = options
        self._options = options.options
        self._clock = clock
        self._listeners = Listeners()
        self._listener: socket.socket | None = None  # None: not open, or it made way
        self._door: Door | None = None
        self._edit: _Edit | None = None
        self._returning: asyncio.Task[None] | None = None
        self.address = ""  # once open
        self.link = ""  # once open: the web page, signed in where the token was generated here

    async def open(self) -> None:
        """Raises OpenClawError where the port cannot be had or a token will not do. Again: nothing."""
        if self._door is not None:
            return
        edit = _read(self._described)
        listener = _bind(self._key, *_place(self._options))
        self._listeners = Listeners()
        self._door = Door(*_place(self._options), self._clock)
        self._listen(listener)
        self._take(self._door, edit)

    async def run(self, post: Post, operations: Operations) -> None:
        assert self._door is not None, "the channel is not open"
        serve: Serve = self._options["serve"]
        await serve(self._listeners, post, operations, self._door, lambda: {**self._options, "key": self._key})

    async def send(self, reply: Reply) -> None:
        if reply.told is not None:
            return  # it enters the session of whoever it is for, and that is where programs and the page read
        raise DeliveryError(f"nothing can be sent to {reply.to}: programs fetch their replies", final=True)

    async def close(self) -> None:
        self.retire()
        self._door = None

    # ── edits ────────────────────────────────────────────────────────────────────────────────────

    def renew(self, options: ChannelOptions) -> bool:
        """Makes ready for another description: `settle` puts it in force, `forgo` leaves everything as it is. False
        where the channel does not serve. Raises OpenClawError, with everything as it was, where a token will not do or
        another place cannot be had. Nothing that is open is touched."""
        if self._door is None or self._listeners.over:
            return False
        self.forgo()
        edit = _read(options)
        if not self._listens_at(*_place(options.options)):
            edit = replace(edit, listener=self._beside(*_place(options.options)))
        else:
            self.take_back()
        self._edit = edit
        return True

    def settle(self) -> None:
        """What was made ready counts from here on. What came by the old place is answered, and goes."""
        edit, self._edit = self._edit, None
        if edit is None or self._door is None:
            return
        if edit.listener is not None:
            before, old = self.address, self._listener
            self._listen(edit.listener)
            if old is not None:
                self._listeners.drop(old)
            self._listeners.part()
            self._take(self._door, edit)
            log.warning("channel %s listens at %s now, and no longer at %s", self._key, self.address, before)
        else:
            self._take(self._door, edit)

    def forgo(self) -> None:
        """Lets go of what was made ready."""
        edit, self._edit = self._edit, None
        if edit is not None and edit.listener is not None:
            edit.listener.close()

    def make_way(self) -> None:
        """Listens no longer, for another that wants the place. Everything that is open goes on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._listeners.drop(listener)

    def take_back(self) -> None:
        """Listens again where it made way; where that cannot be, it is tried again until it can."""
        if self._listener is not None or self._door is None or self._listeners.over:
            return
        try:
            self._listen(_bind(self._key, self._door.host, self._door.port))
        except OpenClawError as error:
            log.error("%s; it is tried again every %g s", error, AGAIN)
            self._returning = self._returning or asyncio.create_task(self._return(self._door))

    async def _return(self, door: Door) -> None:
        """Tries to listen again until it does, there or where another edit puts it."""
        while self._listener is None:
            await self._clock.sleep(AGAIN)
            with suppress(OpenClawError):
                if self._listener is None:
                    self._listen(_bind(self._key, door.host, door.port))
        self._returning = None

    def retire(self) -> None:
        """Takes nothing more in, for good; `run` ends with the last request that is open."""
        self.forgo()
        if self._returning is not None:
            self._returning.cancel()
        self._listener = None
        self._listeners.end()

    def _take(self, door: Door, edit: _Edit) -> None:
        door.tokens = kept(edit.tokens, door.tokens, same(edit.options, self._options))
        self._options = edit.options
        if self._listener is not None:
            host, port = self._listener.getsockname()[:2]
            door.host, door.port = str(edit.options["host"]), port
            self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.link = f"{self.address}/" + (f"#token={edit.secret}" if edit.secret else "")

    def _listen(self, listener: socket.socket) -> None:
        self._listener = listener
        self._listeners.add(listener)

    def _listens_at(self, host: str, port: int) -> bool:
        """Whether this is the place it has; port 0 is whichever was free when it began."""
        assert self._door is not None
        return host == self._door.host and port in (int(self._options["port"]), self._door.port)

    def _beside(self, host: str, port: int) -> socket.socket:
        """Another place, while it still listens at its own. Only where its own is in the way it lets go of that
        first."""
        assert self._door is not None
        try:
            return _bind(self._key, host, port)
        except _Taken:
            if self._listener is None or port != self._door.port:
                raise
        self.make_way()
        try:
            return _bind(self._key, host, port)
        except OpenClawError:
            self.take_back()
            raise


class _Taken(OpenClawError):
    """The place is somebody's."""


def _read(described: ChannelOptions) -> _Edit:
    options = described.options
    return _Edit(options, tokens_of(described), "" if options.get("token") else generated(options))


def _place(options: Mapping[str, Any]) -> tuple[str, int]:
    return str(options["host"]), int(options["port"])


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
        taken = error.errno == errno.EADDRINUSE
        who = "another program, perhaps another runtime, listens there; end it, or " if taken else ""
        why = f"{error.strerror}; {who}set another `port` in channels.yaml"
        raise (_Taken if taken else OpenClawError)(f"channel {key} cannot listen on {host}:{port}: {why}") from error
    return listener
