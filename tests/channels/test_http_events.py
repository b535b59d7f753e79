"""Turns as server-sent events: whoever was cut off comes back and misses nothing, also after a restart."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from doubles.desk import Desk
from doubles.house import AGENT, TOOLS, Hasty, Program, lived, project
from doubles.http_house import CHANNELS, FILES, as_, code, echoing, ended, housed, run, told, until
from doubles.http_socket import client_of, listening_at, served
from doubles.messages_server import MessagesServer, Reply, tool
from openclaw.app import App
from openclaw.clock import ManualClock, SystemClock
from openclaw.control import serve
from openclaw.control.feed import LARGEST, PING
from openclaw.errors import StateError, StorageFailed
from openclaw.messages import Entry, TextDelta

HELLO = [{"role": "user", "content": "hello"}]
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    yield from echoing()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


async def all_of(client: httpx2.AsyncClient, place: str, **headers: str) -> list[tuple[str, str, dict[str, Any]]]:
    async with client.stream("GET", place, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        return [one async for one in told(response)]


def test_every_event_has_an_id_and_a_stream_goes_on_from_any_of_them(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        async with client.stream("POST", "/api/messages", json={"text": "tool ls"}, headers=STREAM) as response:
            raw = (await response.aread()).decode()
        assert raw.startswith("retry: 2000\n\n") and raw.count("retry:") == 1
        whole = await all_of(client, "/api/messages/m1/events")
        assert [line.removeprefix("id: ") for line in raw.splitlines() if line.startswith("id: ")] == [
            id for id, _, _ in whole
        ]
        assert [name for _, name, _ in whole] == ["accepted", "tool_call", "tool_result", "text", "reply"]
        places = [int(id) for id, _, _ in whole]
        assert places == sorted(set(places))
        for index, (id, _, _) in enumerate(whole):
            rest = await all_of(client, "/api/messages/m1/events", **{"Last-Event-ID": id})
            assert rest == whole[min(index + 1, len(whole) - 1) :]  # who has seen the reply is told it again
        for wrong in ("x", "-1", "1.5", "9" * 40):
            response = await client.get("/api/messages/m1/events", headers={"Last-Event-ID": wrong})
            assert code(response) == (400, "bad_event_id"), wrong
        assert code(await client.get("/api/messages/m77/events")) == (404, "unknown_message")

    served(path, test)


def test_who_was_cut_off_in_the_middle_comes_back_by_id_or_by_the_same_request(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        headers = {**STREAM, "Idempotency-Key": "order-1"}
        body = {"text": "ask rm x"}
        async with client.stream("POST", "/api/messages", json=body, headers=headers) as response:
            cut = told(response)
            seen = [await anext(cut), await anext(cut)]
        assert [name for _, name, _ in seen] == ["accepted", "approval"]
        back = {**headers, "Last-Event-ID": seen[-1][0]}
        here = asyncio.create_task(all_of(client, "/api/messages/m1/events", **{"Last-Event-ID": seen[-1][0]}))
        async with client.stream("POST", "/api/messages", json=body, headers=back) as response:
            await desk.answer(desk.approvals()[0].id, "deny", desk.posted[0].sender)
            rest = [one async for one in told(response)]
        for heard in (rest, await here):
            assert heard[0][1] == "approval" and heard[-1][2]["reply"] == "The answer was deny."
            assert "".join(data["text"] for _, name, data in heard if name == "text").strip() == "The answer was deny."
        assert len(desk.posted) == 1

    served(path, test)


def test_a_place_that_is_not_kept_voids_what_was_seen(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        await client.post("/api/messages", json={"text": "stream one two"})
        found = await all_of(client, "/api/messages/m1/events", **{"Last-Event-ID": "999"})
        assert [name for _, name, _ in found] == ["text", "text", "reply"]
        assert found[0][2]["restart"] is True and found[1][2]["text"] == "one two "

    served(path, test)


def test_a_reader_who_does_not_read_is_cut_and_may_come_back(path: Path) -> None:
    class Flood(Desk):
        async def _stream(self, id: str, text: str) -> None:
            for _ in range(800):
                self._tell(id, TextDelta("x" * 5000))
                await asyncio.sleep(0)
            self._say(id, "enough")

    async def scene() -> None:
        desk = Flood()
        serving = asyncio.ensure_future(serve(path, desk, desk, SystemClock()))
        await listening_at(path)
        async with client_of(path) as client:
            async with client.stream("POST", "/api/messages", json={"text": "flood"}, headers=STREAM) as response:

                async def done() -> bool:
                    return (await client.get("/api/messages/m1")).json()["status"] == "done"

                await until(done)
                late = [(id, name, data) async for id, name, data in told(response)]
            assert late[-1][1:] == ("error", {**late[-1][2], "code": "hung_up"})
            assert sum(len(data.get("text", "")) for _, _, data in late) < 800 * 5000
            back = await all_of(client, "/api/messages/m1/events", **{"Last-Event-ID": late[-2][0]})
            assert back[0][2]["restart"] is True and back[-1][2]["reply"] == "enough"
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(scene())


def test_who_comes_late_to_a_large_turn_hears_that_its_beginning_is_gone_and_goes_on(path: Path) -> None:
    class Flood(Desk):
        async def _stream(self, id: str, text: str) -> None:
            for _ in range(LARGEST // 4096 + 20):
                self._tell(id, TextDelta("x" * 4096))
            full.set()
            await more.wait()
            self._say(id, "enough")

    full, more = asyncio.Event(), asyncio.Event()

    async def scene() -> None:
        desk = Flood()
        serving = asyncio.ensure_future(serve(path, desk, desk, SystemClock()))
        await listening_at(path)
        ai = {"model": "main", "messages": [{"role": "user", "content": "flood"}]}
        async with client_of(path) as client:
            await client.post("/api/messages", json={"text": "flood"}, headers={"Prefer": "respond-async"})
            await full.wait()
            async with client.stream("GET", "/api/messages/m1/events") as response:
                late = told(response)
                first, void = await anext(late), await anext(late)
                assert (first[1], void[1], void[2]["restart"]) == ("accepted", "text", True) and first[0] == void[0]
                more.set()
                rest = [one async for one in late]
                assert rest[0][1] == "text" and rest[-1][2]["reply"] == "enough"
            full.clear()
            more.clear()
            key = {"Idempotency-Key": "k"}
            whole = asyncio.create_task(client.post("/v1/chat/completions", json=ai, headers=key))
            await full.wait()
            async with client.stream("POST", "/v1/chat/completions", json={**ai, "stream": True}, headers=key) as again:
                more.set()
                chunks = [line async for line in again.aiter_lines() if line]
            assert chunks[-1] == "data: [DONE]" and "hung_up" not in chunks[-2]
            assert (await whole).json()["choices"][0]["message"]["content"] == "enough"
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(scene())


@pytest.mark.parametrize("dead", [False, True], ids=["broken", "dead disk"])
def test_what_goes_wrong_at_the_end_of_a_stream_ends_it_in_words(
    path: Path, caplog: pytest.LogCaptureFixture, dead: bool
) -> None:
    class Unread(Desk):
        async def transcript(self, session: str) -> Sequence[Entry]:
            raise StorageFailed("/secret: gone") if dead else StateError("/secret: damaged")

    code = "storage_failed" if dead else "unavailable"

    async def scene() -> None:
        for route, body in (
            ("/api/messages", {"text": "hello"}),
            ("/v1/chat/completions", {"model": "main", "messages": HELLO, "stream": True}),
        ):
            desk = Unread()
            serving = asyncio.ensure_future(serve(path, desk, desk, SystemClock()))
            await listening_at(path)
            async with (
                client_of(path) as client,
                client.stream("POST", route, json=body, headers=STREAM) as response,
            ):
                last = [line async for line in response.aiter_lines() if line][-1]
            assert code in last and "secret" not in last, (route, last)
            if dead:
                with pytest.raises(StorageFailed):
                    await serving
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(scene())
    logged = [record for record in caplog.records if record.name.startswith("openclaw") and record.exc_info]
    assert len(logged) == (0 if dead else 2)


def test_a_silent_line_is_kept_alive(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        async with client.stream("POST", "/api/messages", json={"text": "wait"}, headers=STREAM) as response:
            lines = response.aiter_lines()
            while not (await anext(lines)).startswith('data: {"id":"m1","text"'):
                pass
            seen: list[str] = []

            async def pinged() -> bool:
                await clock.advance(PING)
                return bool(seen)

            async def read() -> None:
                while True:
                    if (line := await anext(lines)).startswith(":"):
                        seen.append(line)

            reading = asyncio.create_task(read())
            await until(pinged)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            assert seen[0] == ": ping"

    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    served(path, test, clock=clock)


def test_what_waits_for_a_person_is_asked_again_after_a_restart_and_then_answered(
    tmp_path: Path, model: MessagesServer
) -> None:
    asks = AGENT.replace("policy: works", "policy: asks").replace("[list_files, add]", "[add]")
    files = {**FILES, "agents/main.yaml": asks, "tools.yaml": TOOLS + "  asks: {default: ask, rules: []}\n"}
    root = project(tmp_path / "project", model.url, files=files)
    model.say(Reply(tool("add", a=1, b=2)), "three")

    async def scene() -> None:
        async with lived(root, tmp_path / "state", clock=Hasty()) as (_, operator):  # does not wait for the turn
            waiting = (await operator.say("1+2")).json()
            assert waiting["status"] == "waiting"
        async with lived(root, tmp_path / "state") as (_, operator):

            async def asked() -> bool:
                return bool((await operator.http.get("/api/approvals")).json()["pending"])

            await until(asked)
            place = f"/api/messages/{waiting['id']}/events"
            async with operator.http.stream("GET", place) as response:
                events = told(response)
                assert (await anext(events))[1] == "accepted"
                while (one := await anext(events))[1] != "approval":
                    pass
                assert one[2]["status"] == "waiting"
                id = one[2]["approval"]["id"]
                assert (await operator.http.post(f"/api/approvals/{id}", json={"decision": "allow-once"})).is_success
                rest = [(name, data) async for _, name, data in events]
            assert [name for name, _ in rest][-2:] == ["text", "reply"] and rest[-1][1]["reply"] == "three"
            assert rest[0] == ("approval", rest[0][1]) and rest[0][1]["status"] == "settled"
            back = await all_of(operator.http, place, **{"Last-Event-ID": "5"})  # a place before the restart
            assert (back[0][2].get("restart"), back[-1][1]) == (True, "reply")
        async with lived(root, tmp_path / "state") as (_, operator):
            last = await all_of(operator.http, place)
            assert [(name, data.get("reply")) for _, name, data in last] == [("accepted", None), ("reply", "three")]

    asyncio.run(scene())


def test_a_token_that_is_withdrawn_is_refused_at_once_and_what_it_listens_to_is_cut(
    tmp_path: Path, model: MessagesServer
) -> None:
    asks = AGENT.replace("policy: works", "policy: asks").replace("[list_files, add]", "[add]")
    tools = TOOLS + "  asks: {default: ask, rules: []}\n"
    for _ in range(2):
        model.say(Reply(tool("add", a=1, b=2)))
    model.say("three", "three")

    async def scene(app: App, operator: Program) -> None:
        manifest = tmp_path / "project/channels.yaml"
        async with as_(operator, "other-secret") as other, as_(operator, "nader-secret") as nader:
            withdrawn, stays = listening(other), listening(nader)
            gone, here = await anext(withdrawn), await anext(stays)
            assert gone[1] == here[1] == "accepted"
            for heard in (withdrawn, stays):
                while (await anext(heard))[1] != "approval":
                    pass
            manifest.write_text(manifest.read_text("utf-8").replace("other-secret", "new-secret"), "utf-8")
            assert (await operator.http.post("/api/reload")).is_success
            assert code(await other.say("hello")) == (401, "unauthorized")
            for approval in (await operator.http.get("/api/approvals")).json()["pending"]:
                await operator.http.post(f"/api/approvals/{approval['id']}", json={"decision": "allow-once"})
            assert [(name, data["code"]) async for _, name, data in withdrawn] == [("error", "unauthorized")]
            assert [name async for _, name, _ in stays][-1] == "reply"
            assert await ended(operator, gone[2]["id"]) == "three"  # what was accepted is answered all the same
        async with as_(operator, "new-secret") as fresh:
            assert (await all_of(fresh.http, f"/api/messages/{gone[2]['id']}/events"))[-1][1] == "reply"

    run(tmp_path, model, scene, **{"agents/main.yaml": asks, "tools.yaml": tools})


async def listening(program: Program) -> Any:
    async with program.http.stream("POST", "/api/messages", json={"text": "1+2"}, headers=STREAM) as response:
        async for one in told(response):
            yield one


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_five_hundred_clients_listen_at_the_same_time(
    tmp_path: Path, model: MessagesServer, capsys: pytest.CaptureFixture[str]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    clients = 500
    channels = CHANNELS.replace("    tokens:", "    limits: {requests_per_minute: 100000}\n    tokens:")

    async def scene() -> None:
        async with housed(tmp_path, model, **{"channels.yaml": channels}) as (_, operator):
            operator.http.event_hooks = {}
            limits = httpx2.Limits(max_connections=clients + 10, max_keepalive_connections=0)
            base, headers = str(operator.http.base_url), dict(operator.http.headers)
            async with httpx2.AsyncClient(
                base_url=base, headers=headers, timeout=120, limits=limits, trust_env=False, verify=False
            ) as http:
                later = {"Prefer": "respond-async"}
                first = (await http.post("/api/messages", json={"text": "one"}, headers=later)).json()
                begun, cpu = time.monotonic(), time.process_time()
                mine = [one_of(http, number) for number in range(clients)]
                same = [all_of(http, f"/api/messages/{first['id']}/events") for _ in range(clients)]
                replies = await asyncio.gather(*mine)
                between = time.monotonic() - begun
                assert replies == [f"You said: number {number}" for number in range(clients)]
                assert {events[-1][2]["reply"] for events in await asyncio.gather(*same)} == {"You said: one"}
                with capsys.disabled():
                    each = (time.process_time() - cpu) / clients / 2 * 1000
                    print(f"\n{clients} turns streamed side by side: {between:.1f} s; {each:.1f} ms of processor time")

    async def one_of(http: httpx2.AsyncClient, number: int) -> str:
        body = {"text": f"number {number}", "sender": f"s{number}"}
        async with http.stream("POST", "/api/messages", json=body, headers=STREAM) as response:
            events = [(name, data) async for _, name, data in told(response)]
        text = "".join(data["text"] for name, data in events if name == "text")
        assert events[0][0] == "accepted" and text == events[-1][1]["reply"]
        return str(events[-1][1]["reply"])

    try:
        asyncio.run(scene())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
