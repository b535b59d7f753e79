"""The HTTP interface of a whole runtime: a project with several tokens, and answers held to the OpenAPI document."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from jsonschema import Draft202012Validator

from doubles.desk import Desk
from doubles.house import AGENT, TOKEN, Program, lived, project
from doubles.messages_server import MessagesServer, Reply
from openclaw.app import App
from openclaw.clock import Clock
from openclaw.control.application import application
from openclaw.control.document import TABLE, Row, document
from openclaw.messages import Address
from openclaw.ports import Caller, Problem

Scene = Callable[[App, Program], Awaitable[None]]

CHANNELS = f"""\
channels:
  http:
    kind: http
    port: 0
    token: {TOKEN}
    tokens:
      shop: {{secret: shop-secret, senders: declared, agents: [support], scopes: [chat]}}
      other: {{secret: other-secret, scopes: [chat]}}
      nader: {{secret: nader-secret, as: nader, scopes: [chat, approve]}}
      watcher: {{secret: watcher-secret, scopes: [read]}}
people:
  nader: {{ids: ["http:unused/nader"], owner: true}}
"""
SUPPORT = AGENT.replace("Main", "Support").replace("default: true\n", "prefix: /support\n")
FILES = {"channels.yaml": CHANNELS, "agents/support.yaml": SUPPORT}
DOCUMENT = document()


def echo(body: dict[str, Any]) -> Reply:
    last = body["messages"][-1]["content"][-1]
    return Reply({"type": "text", "text": f"You said: {last.get('text', last.get('content'))}"})


def echoing() -> Iterator[MessagesServer]:
    """A model that repeats what it is told; at the end it must have been spoken to properly."""
    with MessagesServer(otherwise=echo) as server:
        yield server
    assert server.violations == []


def run(tmp_path: Path, model: MessagesServer, scene: Scene, clock: Clock | None = None, **files: str) -> None:
    async def whole() -> None:
        async with housed(tmp_path, model, clock, **files) as (app, operator):
            await asyncio.wait_for(scene(app, operator), 100)

    asyncio.run(whole())


@asynccontextmanager
async def housed(
    tmp_path: Path, model: MessagesServer, clock: Clock | None = None, **files: str
) -> AsyncIterator[tuple[App, Program]]:
    root = project(tmp_path / "project", model.url, files={**FILES, **files})
    async with lived(root, tmp_path / "state", clock=clock) as (app, operator):
        operator.http.event_hooks = {"response": [true_to_the_document]}
        yield app, operator


SCOPES = {"operator-secret": "operator", "watcher-secret": "read", "chatter-secret": "chat"}


class Door:
    """The gate of a house without walls: a token of `SCOPES` has its scope, and everybody else is refused."""

    async def __call__(self, request: Any) -> Caller | Problem:
        scope = SCOPES.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if scope is None:
            return Problem(401, "unauthorized", "no valid token")
        return Caller(scope, Address("http", scope), frozenset({scope}))

    def holds(self, caller: Caller) -> bool:
        return True

    def foreign(self, request: Any) -> Problem | None:
        return None

    def paused(self, request: Any) -> Problem | None:
        return None

    def wrong(self, request: Any) -> None:
        pass


@asynccontextmanager
async def before(desk: Desk, token: str = "operator-secret") -> AsyncIterator[httpx2.AsyncClient]:
    """The application before a desk instead of a runtime, in this process and without a socket."""

    def fatal(error: Exception) -> None:
        raise error

    served = application(desk, desk, Door(), desk.clock, dict, fatal=fatal)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(served),
        base_url="http://desk",
        headers={"Authorization": f"Bearer {token}"},
        event_hooks={"response": [true_to_the_document]},
    ) as client:
        yield client


async def true_to_the_document(response: httpx2.Response) -> None:
    """Every answer has a status that its route's description has, and every JSON answer is what it says it is."""
    path, method = response.request.url.path, response.request.method.lower()
    row = next((row for row in TABLE if row.method.lower() == method and matches(row.path, path)), None)
    if row is not None:
        answers = DOCUMENT["paths"][re.sub(r":path}", "}", row.path)][method]["responses"]
        assert str(response.status_code) in answers, (row.name, response.status_code)
        kinds = answers[str(response.status_code)].get("content", {})
        kind = response.headers.get("content-type", "").partition(";")[0]
        assert not kinds or kind in kinds or "*/*" in kinds, (row.name, response.status_code, kind)
    kind = response.headers.get("content-type", "")
    if not kind.endswith("json"):
        return
    await response.aread()
    schema: Any = {"$ref": "#/components/schemas/Problem"}
    if row is not None and "problem" not in kind:
        schema = kinds[kind]["schema"]
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(response.json())


def matches(pattern: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"{\w+}", "[^/]+", re.sub(r"{\w+:path}", ".+", pattern)), path) is not None


def place(row: Row) -> str:
    """A path of the route that names nothing."""
    return re.sub(r"{[^}]+}", "none", row.path)


def as_(program: Program, token: str | None) -> Program:
    other = Program(str(program.http.base_url), token)
    other.http.event_hooks = program.http.event_hooks
    return other


def code(response: httpx2.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["code"]


async def ended(program: Program, id: str) -> str:
    """What a message came to: its reply, or why there is none."""
    async with asyncio.timeout(30):
        while True:
            found = (await program.http.get(f"/api/messages/{id}")).json()
            if found["status"] in ("done", "failed"):
                return str(found.get("reply") or found.get("error"))
            await asyncio.sleep(0.02)


async def until(true: Callable[[], Awaitable[object]]) -> None:
    """Asks again and again, for half a minute at most."""
    async with asyncio.timeout(30):
        while not await true():  # noqa: ASYNC110  # what is waited for has no event to wait on
            await asyncio.sleep(0.01)


async def told(response: httpx2.Response) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    """Server-sent events with their ids, as they come: id, name, data."""
    id = name = ""
    async for line in response.aiter_lines():
        if line.startswith("id: "):
            id = line.removeprefix("id: ")
        elif line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield id, name, json.loads(line.removeprefix("data: "))
