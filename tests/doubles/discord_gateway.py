"""The gateway of the double of Discord: sessions over websockets, and events that are told again to whoever resumes.

Law: what is dispatched is kept for every session, whether it is connected or not. Runs in the double's own loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from doubles import discord_shapes as shapes
from doubles.discord_shapes import BOT, GUILD, Json
from doubles.discord_world import MESSAGE_CONTENT, World


@dataclass(slots=True)
class _Session:
    """A gateway session: what it was told, so that it can be told again."""

    id: str
    intents: int
    events: list[Json] = field(default_factory=list)
    socket: web.WebSocketResponse | None = None
    muted: bool = False  # its connection is a zombie


class Gateway(World):
    """`heartbeat`: seconds between the client's heartbeats. `token`: the only one that is let in."""

    gateway: str

    def __init__(self, *, token: str, message_content: bool, heartbeat: float, people: Sequence[str]) -> None:
        super().__init__(people, message_content)
        self.token, self.heartbeat = token, heartbeat
        self.deaf = False
        self.connections = 0  # so far
        self.sessions = 0  # begun so far
        self.identified: list[Json] = []
        self.resumed = 0
        self.heartbeats = 0
        self._sessions: dict[str, _Session] = {}
        self._sockets: dict[web.WebSocketResponse, web.Request] = {}

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=0, timeout=0.2)
        await socket.prepare(request)
        self.connections += 1
        self._sockets[socket] = request
        session: _Session | None = None
        try:
            hello = {"op": 10, "d": {"heartbeat_interval": int(self.heartbeat * 1000)}, "s": None, "t": None}
            await socket.send_str(json.dumps(hello))
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    session = await self._told(socket, session, json.loads(frame.data))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._sockets.pop(socket, None)
            if session is not None and session.socket is socket:
                session.socket = None
        return socket

    async def _told(self, socket: web.WebSocketResponse, session: _Session | None, frame: Json) -> _Session | None:
        match frame["op"]:
            case 1:
                self.heartbeats += 1
                if not self.deaf and not (session and session.muted):
                    await socket.send_str(json.dumps({"op": 11, "d": None, "s": None, "t": None}))
            case 2:
                return await self._identify(socket, frame["d"])
            case 6:
                return await self._resume(socket, frame["d"])
        return session

    async def _identify(self, socket: web.WebSocketResponse, said: Json) -> _Session | None:
        self.identified.append(said)
        if said["token"] != self.token:
            await socket.close(code=4004, message=b"Authentication failed.")
            return None
        if said["intents"] & MESSAGE_CONTENT and not self.message_content:
            await socket.close(code=4014, message=b"Disallowed intent(s).")
            return None
        session = _Session(shapes.snowflake(), said["intents"], socket=socket)
        ready = {
            "v": 10,
            "user": shapes.user(BOT),
            "guilds": [{"id": GUILD, "unavailable": True}],
            "session_id": session.id,
            "resume_gateway_url": self.gateway,
            "application": {"id": self.application, "flags": 0},
        }
        self._sessions[session.id] = session
        self.sessions += 1
        await self._event(session, "READY", ready)
        await self._event(session, "GUILD_CREATE", shapes.guild(list(self._channels.values()), self._people))
        return session

    async def _resume(self, socket: web.WebSocketResponse, said: Json) -> _Session | None:
        session = self._sessions.get(said["session_id"])
        if said["token"] != self.token:
            await socket.close(code=4004, message=b"Authentication failed.")
            return None
        if session is None or said["seq"] > len(session.events):
            await socket.send_str(json.dumps({"op": 9, "d": False, "s": None, "t": None}))
            return None
        session.socket, session.muted = socket, False
        self.resumed += 1
        for event in session.events[said["seq"] :]:
            await socket.send_str(json.dumps(event))
        await self._event(session, "RESUMED", {"_trace": []})
        return session

    async def _event(self, session: _Session, name: str, told: Json) -> None:
        event = {"op": 0, "t": name, "s": len(session.events) + 1, "d": told}
        session.events.append(event)
        if session.socket is not None and not session.muted:
            try:
                await session.socket.send_str(json.dumps(event))
            except (ConnectionError, RuntimeError):
                session.socket = None

    async def _dispatch(self, name: str, told: Json) -> None:
        for session in list(self._sessions.values()):
            await self._event(session, name, self._seen(session.intents, name, told))

    async def _tell_all(self, frame: Json) -> None:
        for socket in list(self._sockets):
            await socket.send_str(json.dumps(frame))

    async def _cut(self) -> None:
        for request in list(self._sockets.values()):
            if request.transport is not None:
                request.transport.abort()
        self._sockets.clear()
        for session in self._sessions.values():
            session.socket = None
