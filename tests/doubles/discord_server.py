"""A double of Discord: the REST API v10 and the gateway on one loopback port, in a thread of its own.

    with DiscordServer() as server:
        ... a client of `server.url` (REST below /api/v10) and `server.gateway` with `server.token` ...
        id = server.say("hello", channel=server.direct(NADER))
        server.press(card["id"], "Allow once", by=NADER)
        assert server.sent(server.direct(NADER))[-1]["content"] == "hi"

There is one guild (GUILD) with the channels GENERAL and OPS and the thread TALK below GENERAL, and private channels
as they are needed. What people do is `say`, `edit`, `press` and `command`; it reaches every session of the gateway as
an event with a rising number, and is kept for one that resumes. `messages` is what stands in each channel now, and
`calls` every request in order. Law: what the service would refuse is refused here, with its status and code.

What goes wrong on request:
    drop()          every connection is cut, sessions can be resumed
    reconnect()     op 7; invalidate(True | False): op 9
    forget()        sessions can no longer be resumed
    zombie()        connections stay open, nothing more comes through them, acknowledgements neither
    deaf            True: heartbeats are not acknowledged
    outage(True)    the port refuses, until outage(False)
    token           changed: the old one is refused with 401 and close code 4004
    message_content False: a client that asks for it is closed with 4014, and reads nothing that is not for it
    fail("POST", "/channels/*/messages", 403, code=50007)   the next matching requests, `times` of them
    limit("POST", "/channels/1/messages", 0.2)              429 likewise, as the client must see it to wait

Thread-safe for the test that scripts it. `stop` and `start` move nothing: the port stays the same.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import re
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import WSMsgType, web

from doubles import discord_shapes as shapes
from doubles.discord_shapes import ANA, BOT, GENERAL, GUILD, NADER, OPS, TALK, Json

__all__ = ["ANA", "BOT", "GENERAL", "GUILD", "NADER", "OPS", "TALK", "Call", "DiscordServer"]

T = TypeVar("T")
TOKEN = "MTA.double.secret-of-the-bot"
MESSAGE_CONTENT = 1 << 15
EPHEMERAL = 64
BASE = "/api/v10"


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `path` without the base, `body` its JSON, `files` what was uploaded with it."""

    method: str
    path: str
    body: Any
    query: Mapping[str, str]
    files: Mapping[str, bytes]
    authorization: str | None
    at: float  # monotonic


@dataclass(slots=True)
class _Session:
    """A gateway session: what it was told, so that it can be told again."""

    id: str
    intents: int
    events: list[Json] = field(default_factory=list)
    socket: web.WebSocketResponse | None = None
    muted: bool = False  # its connection is a zombie


@dataclass(slots=True)
class _Interaction:
    """One press or command. `answers` are the callbacks' bodies, `original` the message they are about."""

    id: str
    token: str
    channel: str
    by: str
    at: float
    original: Json | None = None
    answers: list[Json] = field(default_factory=list)
    follow_ups: list[Json] = field(default_factory=list)
    edits: list[Json] = field(default_factory=list)


@dataclass(slots=True)
class _Failure:
    method: str
    path: str
    times: int
    status: int
    body: Json
    headers: Mapping[str, str]


class _Refused(Exception):
    def __init__(self, status: int, body: Json) -> None:
        super().__init__(body)
        self.status, self.body = status, body


class DiscordServer:
    def __init__(
        self,
        *,
        token: str = TOKEN,
        message_content: bool = True,
        heartbeat: float = 0.5,
        people: Sequence[str] = (NADER, ANA),
    ) -> None:
        """`heartbeat`: seconds between the client's heartbeats. `people`: the guild's members beside the bot."""
        self.token, self.message_content, self.heartbeat = token, message_content, heartbeat
        self.application = "740000000000000001"
        self.deaf = False
        self.calls: list[Call] = []
        self.connections = 0  # gateway connections so far
        self.identified: list[Json] = []
        self.resumed = 0
        self.heartbeats = 0
        self.messages: dict[str, list[Json]] = {}
        self.commands: list[Json] = []
        self.interactions: dict[str, _Interaction] = {}
        self.closed_doors: set[str] = set()  # people who take no private messages from the bot
        self._people = [shapes.user(id) for id in (BOT, *people)]
        self._channels: dict[str, Json] = {
            GENERAL: shapes.text_channel(GENERAL, "general", 0),
            OPS: shapes.text_channel(OPS, "ops", 1),
            TALK: shapes.thread(TALK, "talk", GENERAL),
        }
        self._files: dict[str, tuple[bytes, str]] = {}
        self._sessions: dict[str, _Session] = {}
        self._sockets: dict[web.WebSocketResponse, web.Request] = {}
        self._failures: list[_Failure] = []
        self._lock = threading.RLock()
        self._port = 0
        self._site: web.TCPSite | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    # ── life ─────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the double did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def gateway(self) -> str:
        return f"ws://127.0.0.1:{self._port}/gateway"

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application(client_max_size=64 << 20)
        application.router.add_get("/gateway", self._connect)
        application.router.add_get("/attachments/{channel}/{id}/{name}", self._attachment)
        application.router.add_route("*", BASE + "/{path:.*}", self._request)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await self._listen()
        self._ready.set()
        await self._stopping.wait()
        await self._cut()
        await self._runner.cleanup()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()
        self._port = self._runner.addresses[0][1]

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    # ── what people do ───────────────────────────────────────────────────────────────────────────

    def direct(self, who: str) -> str:
        """The private channel between the bot and this person."""
        with self._lock:
            for id, channel in self._channels.items():
                if channel["type"] == 1 and channel["recipients"][0]["id"] == who:
                    return id
            id = shapes.snowflake()
            self._channels[id] = shapes.private_channel(id, shapes.user(who))
            return id

    def say(
        self,
        text: str,
        *,
        channel: str = GENERAL,
        by: str = NADER,
        reply_to: str | None = None,
        forwards: str | None = None,
        files: Sequence[tuple[str, bytes, str | None]] = (),
        claimed: int | None = None,
        missed: bool = False,
        **more: Any,
    ) -> str:
        """Somebody writes; the message's id. `<@BOT>` in the text is a mention. `claimed`: the size that is told of
        the files. `missed`: it stands in the channel, and no event tells of it. `more` are fields of the message."""
        with self._lock:
            author = more.pop("author", None) or shapes.user(by)
            found = shapes.message(channel, author, text, **more)
            found["mentions"] = [
                shapes.user(id) for id in (BOT, NADER, ANA) if f"<@{id}>" in text or f"<@!{id}>" in text
            ]
            found["attachments"] = [self._uploaded(channel, *file, claimed) for file in files]
            if reply_to is not None:
                self._refer(found, channel, reply_to)
            if forwards is not None:
                self._forward(found, channel, forwards)
            self.messages.setdefault(channel, []).append(found)
        if not missed:
            self.dispatch("MESSAGE_CREATE", self._located(found))
        id: str = found["id"]
        return id

    def _refer(self, found: Json, channel: str, to: str) -> None:
        original = self._find(channel, to)
        found["type"] = shapes.REPLY
        found["message_reference"] = {"type": 0, "message_id": to, "channel_id": channel}
        found["referenced_message"] = original
        if original is not None and original["author"]["id"] == BOT:
            found["mentions"].append(shapes.user(BOT))

    def _forward(self, found: Json, channel: str, text: str) -> None:
        copied = {"type": 0, "content": text, "embeds": [], "attachments": [], "timestamp": found["timestamp"]}
        found["message_reference"] = {"type": 1, "message_id": shapes.snowflake(), "channel_id": channel}
        found["message_snapshots"] = [{"message": {**copied, "edited_timestamp": None, "flags": 0, "components": []}}]

    def _uploaded(self, channel: str, name: str, content: bytes, kind: str | None, claimed: int | None = None) -> Json:
        size = len(content) if claimed is None else claimed
        found = shapes.attachment(self.url, channel, name, size, kind)
        self._files[found["id"]] = (content, kind or "application/octet-stream")
        return found

    def edit(self, channel: str, id: str, text: str) -> None:
        """Somebody changes a message of theirs."""
        with self._lock:
            found = self._find(channel, id)
            assert found is not None, f"no message {id} in {channel}"
            found.update(content=text, edited_timestamp=shapes.moment(shapes.snowflake()))
        self.dispatch("MESSAGE_UPDATE", self._located(found))

    def press(self, id: str, button: str, *, by: str = NADER, channel: str | None = None) -> str:
        """Somebody presses the button with this label, or this custom id; the interaction's id. `channel` where the
        press claims to come from another one."""
        with self._lock:
            found = next(m for place in self.messages.values() for m in place if m["id"] == id)
            buttons = [b for row in found["components"] for b in row["components"]]
            name = next((b["custom_id"] for b in buttons if button in (b["label"], b["custom_id"])), button)
        pressed = {"custom_id": name, "component_type": 2}
        return self._interact(3, pressed, by, channel or found["channel_id"], message=found)

    def command(self, name: str, options: Mapping[str, Any] | None = None, *, by: str = NADER, channel: str) -> str:
        """Somebody uses a slash command; the interaction's id."""
        given = [{"name": key, "type": 3, "value": value} for key, value in (options or {}).items()]
        chosen = {"id": shapes.snowflake(), "name": name, "type": 1, "options": given}
        return self._interact(2, chosen, by, channel)

    def _interact(self, kind: int, chosen: Json, by: str, channel: str, message: Json | None = None) -> str:
        id, token = shapes.snowflake(), f"interaction-{shapes.snowflake()}"
        place = self._channels[channel]
        told: Json = {
            "id": id,
            "application_id": self.application,
            "type": kind,
            "token": token,
            "version": 1,
            "data": chosen,
            "channel_id": channel,
            "channel": place,
            "entitlements": [],
            "attachment_size_limit": 10 << 20,
            "locale": "en-GB",
            "authorizing_integration_owners": {},
            "app_permissions": "2147483647",
        }
        who = shapes.user(by)
        if place["type"] == 1:
            told |= {"user": who, "context": 1}
        else:
            told |= {"member": shapes.whole_member(who), "guild_id": GUILD, "context": 0, "guild_locale": "en-GB"}
            told["guild"] = {"id": GUILD, "locale": "en-GB", "features": []}
        if message is not None:
            told["message"] = message
        self.interactions[id] = _Interaction(id, token, channel, by, time.monotonic(), original=message)
        self.dispatch("INTERACTION_CREATE", told)
        return id

    # ── what the bot did ─────────────────────────────────────────────────────────────────────────

    def sent(self, channel: str) -> list[Json]:
        """The bot's messages in a channel, as they stand now."""
        with self._lock:
            return [dict(one) for one in self.messages.get(channel, ()) if one["author"]["id"] == BOT]

    def made(self, method: str, path: str) -> list[Call]:
        """The requests of one kind; `*` in the path stands for anything."""
        return [call for call in list(self.calls) if call.method == method and fnmatch.fnmatch(call.path, path)]

    # ── what goes wrong ──────────────────────────────────────────────────────────────────────────

    def fail(
        self,
        method: str,
        path: str,
        status: int,
        *,
        code: int = 0,
        message: str = "the double was told to fail",
        times: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        body = {"code": code, "message": message}
        with self._lock:
            self._failures.append(_Failure(method, path, times, status, body, headers or {}))

    def limit(self, method: str, path: str, seconds: float, *, times: int = 1, everywhere: bool = False) -> None:
        body = {"message": "You are being rate limited.", "retry_after": seconds, "global": everywhere}
        headers = {"Via": "1.1 double", "Retry-After": str(seconds), "X-RateLimit-Scope": "shared"}
        with self._lock:
            self._failures.append(_Failure(method, path, times, 429, body, headers))

    def drop(self) -> None:
        self._do(self._cut())

    def reconnect(self) -> None:
        self._do(self._tell_all({"op": 7, "d": None, "s": None, "t": None}))

    def invalidate(self, resumable: bool) -> None:
        if not resumable:
            self.forget()
        self._do(self._tell_all({"op": 9, "d": resumable, "s": None, "t": None}))

    def forget(self) -> None:
        self._sessions = {}

    def zombie(self) -> None:
        for session in self._sessions.values():
            session.muted = True

    def outage(self, on: bool) -> None:
        self._do(self._away() if on else self._listen())

    def dispatch(self, name: str, told: Json) -> None:
        """An event for every session, now or when it resumes."""
        self._do(self._dispatch(name, told))

    # ── the gateway ──────────────────────────────────────────────────────────────────────────────

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

    def _seen(self, intents: int, name: str, told: Json) -> Json:
        """As a client with these intents sees it: what is neither private, its own nor a mention has no content."""
        if not name.startswith("MESSAGE_") or intents & MESSAGE_CONTENT or "guild_id" not in told:
            return told
        mine = told["author"]["id"] == BOT or any(one["id"] == BOT for one in told["mentions"])
        return told if mine else shapes.bare(told)

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

    async def _away(self) -> None:
        assert self._site is not None
        await self._site.stop()
        await self._cut()
        server = self._runner.server
        for connection in list(server.connections if server else ()):
            connection.force_close()

    # ── REST ─────────────────────────────────────────────────────────────────────────────────────

    async def _request(self, request: web.Request) -> web.Response:
        path = "/" + request.match_info["path"]
        body, files = await _read(request)
        authorization = request.headers.get("Authorization")
        self.calls.append(Call(request.method, path, body, dict(request.query), files, authorization, time.monotonic()))
        if failure := self._failing(request.method, path):
            return _answer(request.method, failure.status, failure.body, path, failure.headers)
        public = path.startswith(("/interactions/", "/webhooks/"))
        if not public and authorization != f"Bot {self.token}":
            return _answer(request.method, 401, {"code": 0, "message": "401: Unauthorized"}, path)
        try:
            status, answer = await self._route(request.method, path.strip("/").split("/"), body, files, request.query)
        except _Refused as refused:
            status, answer = refused.status, refused.body
        return _answer(request.method, status, answer, path)

    def _failing(self, method: str, path: str) -> _Failure | None:
        with self._lock:
            for failure in self._failures:
                if failure.method == method and fnmatch.fnmatch(path, failure.path):
                    failure.times -= 1
                    if failure.times <= 0:
                        self._failures.remove(failure)
                    return failure
        return None

    async def _route(
        self, method: str, path: list[str], body: Any, files: Mapping[str, bytes], query: Mapping[str, str]
    ) -> tuple[int, Any]:
        match method, path:
            case "GET", ["users", "@me"]:
                return 200, shapes.user(BOT)
            case "GET", ["users", id]:
                return 200, shapes.user(id)
            case "GET", ["oauth2", "applications", "@me"] | ["applications", "@me"]:
                return 200, shapes.application(self.application, NADER)
            case "GET", ["gateway"] | ["gateway", "bot"]:
                return 200, {"url": self.gateway, "shards": 1}
            case "POST", ["users", "@me", "channels"]:
                return 200, self._channel(self.direct(str(body["recipient_id"])))
            case "GET", ["channels", channel]:
                return 200, self._channel(channel)
            case "POST", ["channels", channel, "typing"]:
                self._channel(channel)
                return 204, None
            case "GET", ["channels", channel, "messages"]:
                return 200, self._history(channel, query)
            case "GET", ["channels", channel, "messages", id]:
                return 200, self._known(channel, id)
            case "POST", ["channels", channel, "messages"]:
                return 200, await self._post(channel, body, files)
            case "PATCH", ["channels", channel, "messages", id]:
                return 200, await self._patch(channel, id, body, files)
            case "DELETE", ["channels", channel, "messages", id]:
                self.messages[channel].remove(self._known(channel, id))
                return 204, None
            case "GET" | "PUT", ["applications", self.application, "commands"]:
                return 200, self._commands(body if method == "PUT" else None)
            case "POST", ["interactions", id, token, "callback"]:
                return 200, await self._answered(id, token, body, files)
            case "PATCH", ["webhooks", self.application, token, "messages", "@original"]:
                return 200, await self._edited(self._holding(token), body, files)
            case "GET", ["webhooks", self.application, token, "messages", "@original"]:
                return 200, self._holding(token).original
            case "POST", ["webhooks", self.application, token]:
                return 200, await self._followed(self._holding(token), body, files)
        raise _Refused(404, {"code": 0, "message": "404: Not Found"})

    def _channel(self, id: str) -> Json:
        if id not in self._channels:
            raise _Refused(404, {"code": 10003, "message": "Unknown Channel"})
        return self._channels[id]

    def _find(self, channel: str, id: str) -> Json | None:
        return next((one for one in self.messages.get(channel, ()) if one["id"] == id), None)

    def _known(self, channel: str, id: str) -> Json:
        found = self._find(channel, id)
        if found is None:
            raise _Refused(404, {"code": 10008, "message": "Unknown Message"})
        return found

    def _history(self, channel: str, query: Mapping[str, str]) -> list[Json]:
        """Newest first; with `after`, those that follow it at once."""
        self._channel(channel)
        limit = int(query.get("limit", 50))
        if not 1 <= limit <= 100:
            raise _Refused(400, shapes.invalid("limit", "NUMBER_TYPE_MAX", "int value should be 1 to 100."))
        with self._lock:
            found = sorted(self.messages.get(channel, ()), key=lambda one: int(one["id"]))
        if "after" in query:
            return [self._told_of(one) for one in found if int(one["id"]) > int(query["after"])][:limit][::-1]
        if "before" in query:
            found = [one for one in found if int(one["id"]) < int(query["before"])]
        return [self._told_of(one) for one in found[-limit:]][::-1]

    def _told_of(self, one: Json) -> Json:
        granted = MESSAGE_CONTENT if self.message_content else 0
        seen = self._seen(granted, "MESSAGE_CREATE", self._located(one))
        return {name: value for name, value in seen.items() if name not in ("guild_id", "member")}

    def _located(self, found: Json) -> Json:
        place = self._channels[found["channel_id"]]
        if place["type"] == 1:
            return found
        return {**found, "guild_id": GUILD, "member": shapes.member(found["author"]["id"])}

    # ── messages of the bot ──────────────────────────────────────────────────────────────────────

    async def _post(self, channel: str, body: Json, files: Mapping[str, bytes]) -> Json:
        place = self._channel(channel)
        if place["type"] == 1 and place["recipients"][0]["id"] in self.closed_doors:
            raise _Refused(403, {"code": 50007, "message": "Cannot send messages to this user"})
        if broken := shapes.refusal(body, len(files)):
            raise _Refused(400, broken)
        if (reference := body.get("message_reference")) and reference.get("fail_if_not_exists", True):
            self._known(channel, str(reference["message_id"]))
        nonce = body.get("nonce")
        with self._lock:
            for one in self.messages.get(channel, ()):
                if body.get("enforce_nonce") and nonce is not None and one.get("nonce") == nonce:
                    return one
            found = self._composed(channel, body, files)
            self.messages.setdefault(channel, []).append(found)
        await self._dispatch("MESSAGE_CREATE", self._located(found))
        return found

    def _composed(self, channel: str, body: Json, files: Mapping[str, bytes]) -> Json:
        kept = {name: body[name] for name in ("nonce", "components", "flags", "embeds") if body.get(name) is not None}
        found = shapes.message(channel, shapes.user(BOT), body.get("content") or "", **kept)
        found["attachments"] = [self._uploaded(channel, name, content, None) for name, content in files.items()]
        if reference := body.get("message_reference"):
            found |= {"type": shapes.REPLY, "message_reference": {"type": 0, **reference}}
        return found

    async def _patch(self, channel: str, id: str, body: Json, files: Mapping[str, bytes]) -> Json:
        found = self._known(channel, id)
        if found["author"]["id"] != BOT:
            raise _Refused(403, {"code": 50005, "message": "Cannot edit a message authored by another user"})
        self._change(found, body, files)
        await self._dispatch("MESSAGE_UPDATE", self._located(found))
        return found

    def _change(self, found: Json, body: Json, files: Mapping[str, bytes]) -> None:
        changed = {**found, **{name: body[name] for name in ("content", "components", "embeds") if name in body}}
        if broken := shapes.refusal(changed, len(files) or len(found["attachments"])):
            raise _Refused(400, broken)
        with self._lock:
            found.update(changed, edited_timestamp=shapes.moment(shapes.snowflake()))
            if files or "attachments" in body:
                place = found["channel_id"]
                found["attachments"] = [self._uploaded(place, name, content, None) for name, content in files.items()]

    def _commands(self, table: Any) -> list[Json]:
        if table is not None:
            if broken := shapes.wrong_command(table):
                raise _Refused(400, broken)
            fixed = {"application_id": self.application, "version": "1", "default_member_permissions": None}
            self.commands = [{**one, **fixed, "id": shapes.snowflake(), "type": one.get("type", 1)} for one in table]
        return self.commands

    async def _attachment(self, request: web.Request) -> web.Response:
        path = request.path
        if failure := self._failing("GET", path):
            return _answer(request.method, failure.status, failure.body, path, failure.headers)
        if (found := self._files.get(request.match_info["id"])) is None:
            return web.Response(status=404)
        return web.Response(body=found[0], content_type=found[1])

    # ── interactions ─────────────────────────────────────────────────────────────────────────────

    def _holding(self, token: str) -> _Interaction:
        for one in self.interactions.values():
            if one.token == token and one.answers:
                return one
        raise _Refused(404, {"code": 10015, "message": "Unknown Webhook"})

    async def _answered(self, id: str, token: str, body: Json, files: Mapping[str, bytes]) -> Json:
        one = self.interactions.get(id)
        if one is None or one.token != token or (not one.answers and time.monotonic() - one.at > 3):
            raise _Refused(404, {"code": 10062, "message": "Unknown interaction"})
        if one.answers:
            raise _Refused(400, {"code": 40060, "message": "Interaction has already been acknowledged."})
        said = body.get("data") or {}
        if body["type"] in (4, 7) and (broken := shapes.refusal(said, len(files))):
            raise _Refused(400, broken)
        one.answers.append(body)
        match body["type"]:
            case 4 | 5:
                await self._open(one, said, files, thinking=body["type"] == 5)
            case 7 if one.original is not None:
                self._change(one.original, said, files)
                await self._dispatch("MESSAGE_UPDATE", self._located(one.original))
        told = {"id": id, "type": 2, "response_message_id": one.original["id"] if one.original else None}
        return {"interaction": told, "resource": {"type": body["type"], "message": one.original}}

    async def _open(self, one: _Interaction, said: Json, files: Mapping[str, bytes], *, thinking: bool) -> None:
        one.original = self._composed(one.channel, said, files)
        if thinking:
            one.original["flags"] |= 128
        await self._stand(one.original)

    async def _stand(self, found: Json) -> None:
        """An ephemeral message stands in no channel: only who asked sees it."""
        if not found["flags"] & EPHEMERAL:
            with self._lock:
                self.messages.setdefault(found["channel_id"], []).append(found)
            await self._dispatch("MESSAGE_CREATE", self._located(found))

    async def _edited(self, one: _Interaction, body: Json, files: Mapping[str, bytes]) -> Json:
        assert one.original is not None
        one.edits.append(body)
        self._change(one.original, body, files)
        one.original["flags"] &= ~128
        return one.original

    async def _followed(self, one: _Interaction, body: Json, files: Mapping[str, bytes]) -> Json:
        if broken := shapes.refusal(body, len(files)):
            raise _Refused(400, broken)
        found = self._composed(one.channel, body, files)
        one.follow_ups.append(found)
        await self._stand(found)
        return found


async def _read(request: web.Request) -> tuple[Any, dict[str, bytes]]:
    if request.content_type != "multipart/form-data":
        raw = await request.read()
        return (json.loads(raw) if raw else None), {}
    body: Any = None
    files: dict[str, bytes] = {}
    async for part in await request.multipart():
        content = bytes(await part.read())
        if part.name == "payload_json":
            body = json.loads(content)
        else:
            files[part.filename] = content
    return body, files


def _answer(method: str, status: int, body: Any, path: str, headers: Mapping[str, str] | None = None) -> web.Response:
    bucket = {
        "X-RateLimit-Limit": "50",
        "X-RateLimit-Remaining": "49",
        "X-RateLimit-Reset-After": "1.0",
        "X-RateLimit-Reset": f"{time.time() + 1:.3f}",
        "X-RateLimit-Bucket": re.sub(r"\d+", "n", f"{method}{path}"),
    }
    headers = {**bucket, **(headers or {})}
    if body is None:
        return web.Response(status=status, headers=headers)
    # The client takes only this exact content type for JSON, without a charset.
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json", headers=headers)
