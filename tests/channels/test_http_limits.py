"""What one caller may take of the runtime: requests, bytes, time, connections; and what lies beyond is answered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doubles.house import Program
from doubles.http_house import CHANNELS, as_, code, echoing, run, until
from doubles.http_socket import Guarded, client_of, guarded
from doubles.messages_server import MessagesServer
from openclaw.app import App
from openclaw.clock import Clock, ManualClock
from openclaw.control import lines
from openclaw.control.bodies import DEEPEST, SLOWEST
from openclaw.control.limits import CALLERS, Limits, Rates
from openclaw.control.lines import LARGEST_HEAD
from openclaw.control.problems import Unserved

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    yield from echoing()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


def limited(path: Path, clock: Clock | None = None, **limits: int) -> Guarded:
    return guarded(path, {"limits": limits}, clock)


# ── requests ─────────────────────────────────────────────────────────────────────────────────────


def test_each_token_has_its_own_minute_and_learns_when_to_come_again(path: Path) -> None:
    async def scene() -> None:
        clock = ManualClock(START)
        async with limited(path, clock, requests_per_minute=6) as (client, _):
            assert [(await client.get("/readyz")).status_code for _ in range(8)] == [200] * 6 + [429] * 2
            refused = await client.get("/readyz")
            assert code(refused) == (429, "rate") and refused.headers["retry-after"] == "10"
            assert (await client.get("/healthz")).status_code == 200
            other = {"Authorization": "Bearer b"}
            assert (await client.get("/readyz", headers=other)).status_code == 200
            await clock.advance(10)
            assert [(await client.get("/readyz")).status_code for _ in range(2)] == [200, 429]
            await clock.advance(3600)
            assert [(await client.get("/readyz")).status_code for _ in range(7)] == [200] * 6 + [429]

    asyncio.run(scene())


def test_callers_who_stay_away_are_forgotten() -> None:
    clock = ManualClock(START)
    rates = Rates(lambda: Limits(requests_per_minute=1), clock)
    rates.take("first")
    with pytest.raises(Unserved):
        rates.take("first")
    for number in range(CALLERS):
        rates.take(str(number))
    rates.take("first")
    assert len(rates._buckets) == CALLERS


def test_limits_follow_an_edit_of_the_manifest(tmp_path: Path, model: MessagesServer) -> None:
    async def scene(app: App, operator: Program) -> None:
        manifest = tmp_path / "project/channels.yaml"
        limits = "    limits: {requests_per_minute: 2, body: 1024}\n    tokens:"
        manifest.write_text(CHANNELS.replace("    tokens:", limits), "utf-8")
        assert (await operator.http.post("/api/reload")).is_success
        async with as_(operator, "nader-secret") as nader:
            assert code(await nader.say("x" * 2000)) == (413, "too_large")
            assert code(await nader.http.get("/api/status")) == (403, "scope")
            assert code(await nader.http.get("/readyz")) == (429, "rate")

    run(tmp_path, model, scene)


# ── bodies and heads ─────────────────────────────────────────────────────────────────────────────


def test_a_body_that_trickles_in_is_given_up_and_nothing_is_taken(path: Path) -> None:
    async def scene() -> None:
        clock = ManualClock(START)
        async with limited(path, clock) as (client, desk):
            reader, writer = await asyncio.open_unix_connection(str(path))
            head = b"POST /api/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\n"
            writer.write(head + b'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"text"')
            answered = asyncio.create_task(reader.readline())

            async def late() -> bool:
                await clock.advance(SLOWEST / 2)
                writer.write(b" ")
                return answered.done()

            await until(late)
            assert b" 408 " in await answered and desk.posted == []
            writer.close()
            assert (await client.get("/healthz")).status_code == 200

    asyncio.run(scene())


def test_json_that_nests_too_deep_is_refused_and_brackets_in_text_are_not(path: Path) -> None:
    async def scene() -> None:
        async with limited(path) as (client, desk):
            headers = {"Content-Type": "application/json"}
            deep = '{"text": "x", "agent": ' + "[" * DEEPEST + "]" * DEEPEST + "}"
            assert code(await client.post("/api/messages", content=deep, headers=headers)) == (400, "bad_json")
            text = json.dumps({"text": '[{"' * 500 + "\\"})
            assert (await client.post("/api/messages", content=text, headers=headers)).status_code == 200
            for number in ("NaN", "Infinity", "-Infinity"):
                content = f'{{"text": {number}}}'
                assert code(await client.post("/api/messages", content=content, headers=headers)) == (400, "bad_json")
            assert len(desk.posted) == 1

    asyncio.run(scene())


async def spoken(path: Path, said: bytes) -> bytes:
    """What comes back over a line of its own until it is closed."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(said)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()


def test_what_is_not_http_or_has_too_long_a_head_is_a_problem(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with limited(path) as (client, _):
            long = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (LARGEST_HEAD + 1)
            for said in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET /\r\n\r\n", long):
                answer = await spoken(path, said)
                assert answer.startswith(b"HTTP/1.1 400 ") and b"application/problem+json" in answer, said[:40]
                assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "bad_request"
            broken = b"POST /api/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\n"
            broken += b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
            assert (await spoken(path, broken)).startswith(b"HTTP/1.1 400 ")
            upgrade = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
            assert b" 200 " in await spoken(path, upgrade.replace(b"upgrade\r", b"upgrade, close\r"))
            assert (await client.get("/healthz")).status_code == 200

    with caplog.at_level(logging.WARNING):
        asyncio.run(scene())
    assert not caplog.records


def test_who_leaves_in_the_middle_of_a_body_is_no_fault_of_ours(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with limited(path) as (client, desk):
            _, writer = await asyncio.open_unix_connection(str(path))
            head = b"POST /api/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\n"
            writer.write(head + b'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"text"')
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.close()
            await writer.wait_closed()
            assert (await client.get("/healthz")).status_code == 200 and desk.posted == []

    with caplog.at_level(logging.WARNING):
        asyncio.run(scene())
    assert not caplog.records


# ── connections ──────────────────────────────────────────────────────────────────────────────────


def test_more_connections_than_there_may_be_are_told_to_come_again(path: Path) -> None:
    async def scene() -> None:
        async with limited(path, connections=3) as (client, _):
            await client.get("/healthz")  # keeps one
            held = [await asyncio.open_unix_connection(str(path)) for _ in range(2)]
            async with client_of(path) as other:
                response = await other.get("/healthz")
                assert code(response) == (503, "crowded")
                assert response.headers["connection"] == "close" and "retry-after" in response.headers
            for _ in range(5):  # one that says nothing is not kept either
                assert b" 503 " in (await spoken(path, b"")).splitlines()[0]
            for _, writer in held:
                writer.close()

            async def served() -> bool:
                async with client_of(path) as other:
                    return (await other.get("/healthz")).is_success

            await until(served)

    asyncio.run(scene())


@pytest.mark.slow
def test_a_connection_that_only_trickles_is_closed(path: Path) -> None:
    async def scene() -> None:
        async with limited(path):
            silent = asyncio.create_task(spoken(path, b""))
            head = asyncio.create_task(spoken(path, b"GET /healthz HTTP/1.1\r\nHos"))
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
            assert b" 401 " in await reader.readline()  # refused for want of a token; and then the body trickles on
            trickled = 0.0
            with pytest.raises(OSError):
                while trickled < 2 * lines.IDLE:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.2)
                    trickled += 0.2
            assert await silent == await head == b""

    asyncio.run(asyncio.wait_for(scene(), 120))
