"""The control socket as a program meets it: a real unix socket, a real client, a small desk behind it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import httpx2
import pytest
from starlette.requests import Request

from doubles.desk import Desk
from doubles.http_socket import client_of, code, events, guarded, listening_at, served, streamed, until
from openclaw.channels._http_door import Door
from openclaw.cli._client import _events, _lines
from openclaw.clock import SystemClock
from openclaw.control import listening, serve, serve_at, words
from openclaw.control.events import event
from openclaw.control.shapes import SCHEMAS
from openclaw.control_socket import reachable
from openclaw.errors import StateError, StorageFailed
from openclaw.messages import (
    Accepted,
    Address,
    Answered,
    Approval,
    Asked,
    Finished,
    Message,
    Progress,
    Refused,
    Retrying,
    Settled,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolFinished,
    ToolResult,
    ToolStarted,
    Waiting,
)
from openclaw.ports import Caller, Problem, Watcher


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


def test_a_message_is_answered_with_its_reply_and_usage(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        answer = await client.post("/api/messages", json={"text": "hällo", "agent": "main", "session": "work"})
        assert answer.status_code == 200
        assert answer.json() == {
            "id": "m1",
            "reply": "You said: hällo",
            "agent": "main",
            "session": "agent:main:repl:local:work",
            "usage": {"input_tokens": 12, "output_tokens": 3, "cache_read_tokens": 0, "cache_write_tokens": 0},
        }
        message = desk.posted[0]
        assert (message.sender, message.agent, message.session) == (Address("repl", "local"), "main", "work")
        assert message.fetched

    served(path, test)


def test_a_command_answers_at_once_and_a_refusal_has_its_code(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        answer = await client.post("/api/messages", json={"text": "/help"})
        assert answer.json()["reply"].startswith("Type anything.")
        assert [name for name, _ in await streamed(client, "/help")] == ["reply"]
        assert code(await client.post("/api/messages", json={"text": "refuse"})) == (403, "sender")
        assert code(await client.post("/api/messages", json={"text": " "})) == (422, "empty")
        assert code(await client.post("/api/messages", json={"text": "fail"})) == (502, "turn_failed")

    served(path, test)


def test_a_turn_is_streamed_as_events_that_carry_its_id(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        told = await streamed(client, "tool ls")
        assert [name for name, _ in told] == ["accepted", "tool_call", "tool_result", "text", "reply"]
        assert {content["id"] for _, content in told} == {"m1"}
        assert told[1][1]["input"] == {"command": "ls"} and told[2][1]["is_error"] is False
        assert told[-1][1]["reply"] == "Done."
        again = await streamed(client, "retry")
        assert [content.get("restart", False) for name, content in again if name == "text"][:2] == [False, True]
        assert (await streamed(client, "fail"))[-1][1]["code"] == "turn_failed"
        refused = await streamed(client, "keyless")
        assert refused[-1][1]["fault"] == "credentials"
        state = (await client.get(f"/api/messages/{refused[0][1]['id']}")).json()
        assert (state["status"], state["fault"]) == ("failed", "credentials")

    served(path, test)


def test_the_document_names_every_event_that_is_sent() -> None:
    call, now = ToolCall("c", "add", {}), datetime.now(UTC)
    question = Approval("a", "s", "main", "add", "repl:local", (), "", "", (), (), ("deny",), "", now, now)
    turn: list[Progress] = [
        TextDelta("x"), Retrying("cut", 1.0), Waiting(10.0, "smart"), ToolStarted(call, "add"),
        ToolFinished(call, ToolResult("3"), 0.1), Asked(question), Settled("a", "deny"),
    ]  # fmt: skip
    silent = {ThinkingDelta, Finished}  # the reply itself is told as the last event
    assert {type(one) for one in turn} | silent == set(get_args(Progress))
    told = {name for name, _ in filter(None, map(words.event, turn))}
    assert {"accepted", "reply", "error"} | told == set(SCHEMAS["Events"]["properties"]["event"]["enum"])


def test_only_a_line_feed_ends_a_line_of_a_stream(path: Path) -> None:
    words = "one\u2028two\u2029three\x85four\x0bfive\ud800"
    frame = event("reply", {"reply": words})
    assert frame.splitlines() == frame.split("\n")[:-1] and frame.encode()
    raw = 'event: reply\ndata: {"reply": "one\u2028two\x85é"}\n\n'.encode()
    pieces = [raw[at : at + 1] for at in range(len(raw))]  # as another server may send it
    assert list(_events(_lines(iter(pieces)))) == [("reply", {"reply": "one\u2028two\x85é"})]

    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        told = await streamed(client, "late one\u2028two\x85three")
        assert told[-1][1]["reply"] == "one\u2028two\x85three"

    served(path, test)


def test_a_pending_approval_is_accepted_answered_and_fetched(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        waiting = await client.post("/api/messages", json={"text": "ask rm x"})
        assert (waiting.status_code, waiting.json()["status"]) == (202, "waiting")
        assert waiting.headers["location"] == "/api/messages/m1"
        [approval] = (await client.get("/api/approvals")).json()["pending"]
        assert approval["lines"] == ["rm x"] and waiting.json()["approvals"] == [approval]
        place = f"/api/approvals/{approval['id']}"
        assert code(await client.post(place, json={"decision": "yes"})) == (422, "not_offered")
        assert (await client.post(place, json={"decision": "allow-once"})).status_code == 200
        assert code(await client.post(place, json={"decision": "deny"})) == (404, "unknown_approval")
        assert desk.answers == [(approval["id"], "allow-once", Address("repl", "local"))]

        async def ended() -> bool:
            return bool((await client.get("/api/messages/m1")).json()["status"] == "done")

        await until(ended)
        done = (await client.get("/api/messages/m1")).json()
        assert done["reply"] == "The answer was allow-once."

    served(path, test)


def test_who_cannot_be_asked_says_so(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        for body, expected in (({}, True), ({"ask": True}, True), ({"ask": False}, False)):
            assert 200 == (await client.post("/api/messages", json={"text": "x", **body})).status_code
            assert desk.posted[-1].can_ask is expected
        assert code(await client.post("/api/messages", json={"text": "x", "ask": "no"})) == (422, "bad_field")

    served(path, test)


def test_an_approval_is_an_event_and_only_its_approvers_answer_it(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        desk.approvers = ("telegram:1",)
        told = asyncio.ensure_future(streamed(client, "ask rm x"))

        async def pending() -> bool:
            return bool(desk.approvals())

        await until(pending)
        place = f"/api/approvals/{desk.approvals()[0].id}"
        assert code(await client.post(place, json={"decision": "deny"})) == (403, "not_approver")
        await desk.answer(desk.approvals()[0].id, "deny", Address("telegram", "1"))
        approvals = [content for name, content in await told if name == "approval"]
        assert [one["status"] for one in approvals] == ["waiting", "settled"]
        assert approvals[1]["answer"] == "deny"

    served(path, test)


def test_respond_async_and_unknown_messages(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        headers = {"Prefer": "respond-async"}
        later = await client.post("/api/messages", json={"text": "wait"}, headers=headers)
        assert later.status_code == 202 and later.json()["status"] in ("queued", "running")
        session = later.json()["session"]

        async def stopped() -> bool:
            return bool((await client.post(f"/api/sessions/{session}/stop")).json()["stopped"])

        async def ended() -> bool:
            return bool((await client.get("/api/messages/m1")).json()["status"] != "running")

        await until(stopped)
        await until(ended)
        found = (await client.get("/api/messages/m1")).json()
        assert (found["status"], found["error"]) == ("failed", "Stopped.")
        assert code(await client.get("/api/messages/m77")) == (404, "unknown_message")

    served(path, test)


def test_an_idempotency_key_makes_one_turn(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        headers = {"Idempotency-Key": "order-1"}
        both = [client.post("/api/messages", json={"text": "once"}, headers=headers) for _ in range(2)]
        first, second = await asyncio.gather(*both)
        third = await client.post("/api/messages", json={"text": "once"}, headers=headers)
        assert first.json() == second.json() == third.json()
        assert len(desk.posted) == 1
        other = await client.post("/api/messages", json={"text": "twice"}, headers=headers)
        assert code(other) == (422, "idempotency_mismatch")
        fresh = await client.post("/api/messages", json={"text": "once"}, headers={"Idempotency-Key": "order-2"})
        assert fresh.json()["id"] != first.json()["id"]
        assert code(await client.post("/api/messages", json={"text": "x"}, headers={"Idempotency-Key": ""}))[0] == 400

    served(path, test)


def test_a_key_counts_for_its_sender_agent_and_session_and_for_exactly_its_text(path: Path) -> None:
    async def scene() -> None:
        async with guarded(path, {}) as (client, desk):
            headers = {"Idempotency-Key": "k"}

            async def said(text: str, **more: str) -> httpx2.Response:
                return await client.post("/api/messages", json={"text": text, **more}, headers=headers)

            others = ({"agent": "main"}, {"session": "s"}, {"agent": "main", "session": "s"})
            replies = [(await said("hello", **more)).json()["session"] for more in ({}, *others)]
            other = await client.post(
                "/api/messages", json={"text": "hello"}, headers={**headers, "Authorization": "Bearer b"}
            )
            assert other.json()["session"] == "agent:main:http:b" and len(desk.posted) == 5
            assert replies[1:] == ["agent:main:http:a", "agent:main:http:a:s", "agent:main:http:a:s"]
            for changed in ("please do not say hello", "hell", "hello ", "/help"):
                assert code(await said(changed)) == (422, "idempotency_mismatch"), changed
            assert (await said("hello")).json()["session"] == replies[0] and len(desk.posted) == 5
            headers["Idempotency-Key"] = "command"
            first = (await said("/help")).json()
            assert (await said("/help")).json() == first
            assert code(await said("hello")) == (422, "idempotency_mismatch") and len(desk.posted) == 5

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"{", "application/json", (400, "bad_json")),
        (b"[" * 100_000, "application/json", (400, "bad_json")),
        (b"\xff", "application/json", (400, "bad_json")),
        (b"[]", "application/json", (422, "not_an_object")),
        (b"{}", "application/json", (422, "missing_text")),
        (b'{"text": 1}', "application/json", (422, "bad_field")),
        (b'{"text": "a\\ud800"}', "application/json", (422, "bad_field")),
        (b'{"text": "a", "\\ud800": 1}', "application/json", (422, "unknown_field")),
        (b'{"text": "a", "sender": "\\ud800"}', "application/json", (422, "bad_field")),
        (b'{"text": "a", "txet": "b"}', "application/json", (422, "unknown_field")),
        (b'{"text": "a", "sender": "telegram:1"}', "application/json", (403, "sender")),
        (b"text=a", "application/x-www-form-urlencoded", (415, "not_json")),
        (b"x" * ((16 << 20) + 1), "application/json", (413, "too_large")),
    ],
)
def test_a_wrong_body_is_a_problem(path: Path, content: bytes, kind: str, expected: tuple[int, str]) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        response = await client.post("/api/messages", content=content, headers={"Content-Type": kind})
        assert code(response) == expected
        assert desk.posted == []

    served(path, test)


def test_the_body_limit_holds_for_a_body_without_a_length(path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * (1 << 20)

    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        headers = {"Content-Type": "application/json"}
        assert code(await client.post("/api/messages", content=endless(), headers=headers)) == (413, "too_large")

    served(path, test)


def test_a_megabyte_is_a_message(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        answer = await client.post("/api/messages", json={"text": "ü" * 1_000_000})
        assert answer.json()["reply"] == "1000000"

    served(path, test)


def test_many_requests_are_served_side_by_side(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        posts = [client.post("/api/messages", json={"text": f"n{i}", "session": str(i)}) for i in range(40)]
        replies = [answer.json()["reply"] for answer in await asyncio.gather(*posts)]
        assert replies == [f"You said: n{i}" for i in range(40)]

    served(path, test)


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────


def test_sessions_are_listed_shown_and_reset(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        await client.post("/api/messages", json={"text": "one", "session": "a/b%3A"})
        [session] = (await client.get("/api/sessions")).json()["sessions"]
        assert session["key"] == "agent:main:repl:local:a/b%3A" and session["entries"] == 2
        place = "/api/sessions/agent:main:repl:local:a%2Fb%253A"
        shown = (await client.get(place)).json()
        assert [entry["role"] for entry in shown["entries"]] == ["user", "assistant"]
        assert shown["entries"][0]["content"] == [{"type": "text", "text": "one"}]
        assert (await client.delete(place)).json()["archived"]
        assert code(await client.get(place)) == (404, "unknown_session")
        assert code(await client.delete(place)) == (404, "unknown_session")
        assert (await client.post(f"{place}/stop")).json()["stopped"] is False

    served(path, test)


def test_status_agents_health_and_unknown_routes(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ready", "on_last_good": False, "channels": {}}
        figures = {"queued": 0, "running": 0, "parked": 0, "undelivered": 0, "dead": 0}
        assert (await client.get("/api/status")).json() == {"ready": True, "agents": 2, "inbox": figures}
        agents = (await client.get("/api/agents")).json()["agents"]
        assert [agent["id"] for agent in agents] == ["main", "researcher", "respite"]
        assert code(await client.get("/api/nothing")) == (404, "not_found")
        assert code(await client.get("/api/messages")) == (405, "method_not_allowed")

    served(path, test)


def test_remembered_approvals_are_listed_and_revoked(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        assert (await client.get("/api/approvals")).json()["remembered"] == desk.kept
        assert (await client.delete("/api/approvals/r1")).json() == {"id": "r1", "revoked": True}
        assert code(await client.delete("/api/approvals/r1")) == (404, "unknown_approval")

    served(path, test)


# ── callers ──────────────────────────────────────────────────────────────────────────────────────

_SHOP = Caller(
    "shop",
    Address("http", "shop"),
    frozenset({"chat"}),
    declare=lambda sender: Address("http", f"shop/{sender}"),
    owns=lambda session: ":http:shop" in session,
    agents=("main",),
)


def test_a_caller_sees_and_does_only_what_it_may(path: Path) -> None:
    class Names(Door):
        async def __call__(self, request: Request) -> Caller | Problem:
            match request.headers.get("authorization"):
                case "Bearer shop":
                    return _SHOP
                case "Bearer approver":
                    approves = frozenset({"approve"})
                    return replace(_SHOP, name="approver", sender=Address("telegram", "1"), scopes=approves)
                case "Bearer operator":
                    return Caller("operator", Address("http", "operator"), frozenset({"operator"}))
            return Problem(401, "unauthorized", "a token is needed")

    gate = Names("0.0.0.0", 0, SystemClock())

    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        def bearer(name: str) -> dict[str, str]:
            return {"Authorization": f"Bearer {name}"}

        assert code(await client.get("/api/sessions")) == (401, "unauthorized")
        assert code(await client.get("/readyz")) == (401, "unauthorized")
        assert (await client.get("/readyz", headers=bearer("shop"))).status_code == 200
        asked = {"text": "hello", "sender": "ana"}
        answer = await client.post("/api/messages", json=asked, headers=bearer("shop"))
        assert answer.json()["session"] == "agent:main:http:shop/ana"
        asked = {"text": "hello", "agent": "researcher"}
        assert code(await client.post("/api/messages", json=asked, headers=bearer("shop"))) == (403, "agent")
        await client.post("/api/messages", json={"text": "secret"}, headers=bearer("operator"))
        listed = (await client.get("/api/sessions", headers=bearer("shop"))).json()["sessions"]
        assert [one["key"] for one in listed] == ["agent:main:http:shop/ana"]
        hidden = "/api/sessions/agent:main:http:operator"
        for method, place in (("GET", hidden), ("DELETE", hidden), ("POST", f"{hidden}/stop")):
            assert code(await client.request(method, place, headers=bearer("shop"))) == (404, "unknown_session")
        assert code(await client.get("/api/messages/m2", headers=bearer("shop"))) == (404, "unknown_message")
        for place in ("/api/status", "/api/agents", "/api/approvals"):
            assert code(await client.get(place, headers=bearer("shop"))) == (403, "scope")
        seen = (await client.get("/api/approvals", headers=bearer("approver"))).json()
        assert seen == {"pending": [], "remembered": []}

    async def main() -> None:
        desk = Desk()
        serving = asyncio.ensure_future(serve_at(listening.bind(path), desk, desk, gate, SystemClock(), dict))
        await listening_at(path)
        async with client_of(path) as client:
            await test(client, desk)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())


# ── the socket ───────────────────────────────────────────────────────────────────────────────────


def test_the_socket_is_private_replaces_a_stale_one_and_goes_with_its_runtime(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    path.touch()
    served(path, test)
    assert not path.exists()


def test_a_state_folder_with_a_long_path_has_a_socket_too(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()

    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        assert (await client.get("/healthz")).status_code == 200

    served(folder / "control.sock", test)


def test_a_folder_that_is_not_there_is_named() -> None:
    desk = Desk()
    with pytest.raises(StateError, match=r"control socket /nonexistent/control\.sock cannot be made"):
        asyncio.run(serve(Path("/nonexistent/control.sock"), desk, desk))


def test_open_requests_are_told_to_fetch_their_answer_when_the_runtime_ends(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        desk = Desk()
        serving = asyncio.ensure_future(serve(path, desk, desk))
        await listening_at(path)
        async with client_of(path) as client:
            headers = {"Accept": "text/event-stream"}
            async with client.stream("POST", "/api/messages", json={"text": "wait"}, headers=headers) as response:
                waiting = asyncio.ensure_future(client.post("/api/messages", json={"text": "wait", "session": "b"}))

                async def running() -> bool:
                    return len(desk.posted) == 2

                await until(running)
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
                assert [(name, content.get("code")) for name, content in await events(response)] == [
                    ("accepted", None),
                    ("text", None),
                    ("error", "hung_up"),
                ]
                assert (await waiting).status_code == 202

    asyncio.run(main())
    assert not caplog.records


def test_a_disk_that_refuses_to_write_ends_the_serving(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def post(message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
        raise StorageFailed("the disk is gone: /secret/place")

    async def main() -> None:
        desk = Desk()
        serving = asyncio.ensure_future(serve(path, post, desk))
        await listening_at(path)
        async with client_of(path) as client:
            response = await client.post("/api/messages", json={"text": "x"})
        assert code(response) == (503, "storage_failed") and "/secret" not in response.text
        with pytest.raises(StorageFailed):
            await serving

    asyncio.run(main())
    assert not caplog.records  # the runtime says it, in one line


def test_an_end_that_is_asked_for_twice_leaves_no_connection_that_is_served(path: Path) -> None:
    """What a request needs is closed once the serving has ended: it would be told of a fault of the runtime."""

    asked = b"GET /healthz HTTP/1.1\r\nHost: openclaw\r\n\r\n"

    async def main() -> None:
        desk = Desk()
        serving = asyncio.ensure_future(serve(path, desk, desk))
        await listening_at(path)
        with reachable(path) as name:
            reader, writer = await asyncio.open_unix_connection(name)
        writer.write(asked)
        await reader.readuntil(b'{"status":"ok"}')
        serving.cancel()
        for _ in range(10):  # so that it is under way
            await asyncio.sleep(0)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        writer.write(asked)
        assert await reader.read() == b""
        writer.close()

    asyncio.run(main())


def test_a_request_that_does_not_end_is_told_that_the_runtime_stopped(path: Path) -> None:
    taken = asyncio.Event()

    async def post(message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
        taken.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> None:
        serving = asyncio.ensure_future(serve(path, post, Desk()))
        await listening_at(path)
        async with client_of(path) as client:
            asked = asyncio.ensure_future(client.post("/api/messages", json={"text": "x"}))
            await taken.wait()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            assert code(await asked) == (503, "stopping")

    asyncio.run(main())


def test_signals_stay_the_runtimes_own(path: Path) -> None:
    async def test(client: httpx2.AsyncClient, desk: Desk) -> None:
        heard = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(15, heard.set)
        os.kill(os.getpid(), 15)
        async with asyncio.timeout(20):
            await heard.wait()
        loop.remove_signal_handler(15)
        assert (await client.get("/healthz")).status_code == 200

    served(path, test)
