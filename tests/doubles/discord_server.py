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
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from doubles import discord_shapes as shapes
from doubles.discord_gateway import Gateway
from doubles.discord_shapes import ANA, BOT, GENERAL, GUILD, NADER, OPS, TALK, Json
from doubles.discord_world import EPHEMERAL, THINKING, Interaction, Refused

__all__ = ["ANA", "BOT", "GENERAL", "GUILD", "NADER", "OPS", "TALK", "Call", "DiscordServer"]

PATIENCE = 15.0  # seconds for the first answer to an interaction; the service has 3, and a busy machine needs more

T = TypeVar("T")
TOKEN = "MTA.double.secret-of-the-bot"
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
class _Failure:
    method: str
    path: str
    times: int
    skip: int
    status: int
    body: Json
    headers: Mapping[str, str]


class DiscordServer(Gateway):
    def __init__(
        self,
        *,
        token: str = TOKEN,
        message_content: bool = True,
        heartbeat: float = 0.5,
        people: Sequence[str] = (NADER, ANA),
    ) -> None:
        """`people`: the guild's members beside the bot."""
        super().__init__(token=token, message_content=message_content, heartbeat=heartbeat, people=people)
        self.calls: list[Call] = []
        self._failures: list[_Failure] = []
        self._port = 0
        self._listener: asyncio.Server | None = None
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
    def api(self) -> str:
        """What stands before the version in every address of the REST API."""
        return f"{self.url}/api"

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
        await self._away()
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()  # whoever does not read what was written must not keep it open
        await self._runner.cleanup()

    async def _listen(self) -> None:
        assert self._runner.server is not None
        self._listener = await self._loop.create_server(
            self._runner.server, "127.0.0.1", self._port, reuse_address=True
        )
        self._port = self._listener.sockets[0].getsockname()[1]

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

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
        skip: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """The next `times` requests like this, after `skip` of them that are served."""
        body = {"code": code, "message": message}
        with self._lock:
            self._failures.append(_Failure(method, path, times, skip, status, body, headers or {}))

    def limit(
        self, method: str, path: str, seconds: float, *, times: int = 1, skip: int = 0, everywhere: bool = False
    ) -> None:
        body = {"message": "You are being rate limited.", "retry_after": seconds, "global": everywhere}
        headers = {"Via": "1.1 double", "Retry-After": str(seconds), "X-RateLimit-Scope": "shared"}
        with self._lock:
            self._failures.append(_Failure(method, path, times, skip, 429, body, headers))

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

    async def _away(self) -> None:
        if self._listener is not None:
            for one in self._listener.sockets:
                self._loop.remove_reader(one)
            await asyncio.sleep(0.01)  # the loop loses who was just let in, where nobody listens any more
            self._listener.close()
            self._listener = None
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
        except Refused as refused:
            status, answer = refused.status, refused.body
        return _answer(request.method, status, answer, path)

    def _failing(self, method: str, path: str) -> _Failure | None:
        with self._lock:
            for failure in self._failures:
                if failure.method == method and fnmatch.fnmatch(path, failure.path):
                    if failure.skip > 0:
                        failure.skip -= 1
                        return None
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
                return 200, shapes.application(self.application, NADER, self.message_content)
            case "GET", ["gateway"] | ["gateway", "bot"]:
                return 200, {"url": self.gateway, "shards": 1}
            case "POST", ["users", "@me", "channels"] if str(body["recipient_id"]) in self._channels:
                raise Refused(400, {"code": 50033, "message": "Invalid Recipient(s)"})
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
        raise Refused(404, {"code": 0, "message": "404: Not Found"})

    # ── messages of the bot ──────────────────────────────────────────────────────────────────────

    async def _post(self, channel: str, body: Json, files: Mapping[str, bytes]) -> Json:
        place = self._channel(channel)
        if place["type"] == 1 and place["recipients"][0]["id"] in self.closed_doors:
            raise Refused(403, {"code": 50007, "message": "Cannot send messages to this user"})
        if broken := shapes.refusal(body, len(files)):
            raise Refused(400, broken)
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

    async def _patch(self, channel: str, id: str, body: Json, files: Mapping[str, bytes]) -> Json:
        found = self._known(channel, id)
        if found["author"]["id"] != BOT:
            raise Refused(403, {"code": 50005, "message": "Cannot edit a message authored by another user"})
        self._change(found, body, files)
        await self._dispatch("MESSAGE_UPDATE", self._located(found))
        return found

    async def _attachment(self, request: web.Request) -> web.Response:
        path = request.path
        if failure := self._failing("GET", path):
            return _answer(request.method, failure.status, failure.body, path, failure.headers)
        if (found := self._files.get(request.match_info["id"])) is None:
            return web.Response(status=404)
        return web.Response(body=found[0], headers={"Content-Type": found[1]})

    # ── interactions ─────────────────────────────────────────────────────────────────────────────

    def _holding(self, token: str) -> Interaction:
        for one in self.interactions.values():
            if one.token == token and one.answers:
                return one
        raise Refused(404, {"code": 10015, "message": "Unknown Webhook"})

    async def _answered(self, id: str, token: str, body: Json, files: Mapping[str, bytes]) -> Json:
        one = self.interactions.get(id)
        if one is None or one.token != token or (not one.answers and time.monotonic() - one.at > PATIENCE):
            raise Refused(404, {"code": 10062, "message": "Unknown interaction"})
        if one.answers:
            raise Refused(400, {"code": 40060, "message": "Interaction has already been acknowledged."})
        said = body.get("data") or {}
        if body["type"] in (4, 7) and (broken := shapes.refusal(said, len(files))):
            raise Refused(400, broken)
        one.answers.append(body)
        match body["type"]:
            case 4 | 5:
                await self._open(one, said, files, thinking=body["type"] == 5)
            case 7 if one.original is not None:
                self._change(one.original, said, files)
                await self._dispatch("MESSAGE_UPDATE", self._located(one.original))
        told = {"id": id, "type": 2, "response_message_id": one.original["id"] if one.original else None}
        return {"interaction": told, "resource": {"type": body["type"], "message": one.original}}

    async def _open(self, one: Interaction, said: Json, files: Mapping[str, bytes], *, thinking: bool) -> None:
        one.original = self._composed(one.channel, said, files)
        if thinking:
            one.original["flags"] |= THINKING
        await self._stand(one.original)

    async def _stand(self, found: Json) -> None:
        """An ephemeral message stands in no channel: only who asked sees it."""
        if not found["flags"] & EPHEMERAL:
            with self._lock:
                self.messages.setdefault(found["channel_id"], []).append(found)
            await self._dispatch("MESSAGE_CREATE", self._located(found))

    async def _edited(self, one: Interaction, body: Json, files: Mapping[str, bytes]) -> Json:
        assert one.original is not None
        one.edits.append(body)
        self._change(one.original, body, files)
        one.original["flags"] &= ~THINKING
        return one.original

    async def _followed(self, one: Interaction, body: Json, files: Mapping[str, bytes]) -> Json:
        if broken := shapes.refusal(body, len(files)):
            raise Refused(400, broken)
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
