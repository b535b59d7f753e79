"""HTTP as programs meet it: the whole runtime on a real port, each token for what it may and no more."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from starlette.requests import Request

from doubles.house import AGENT, TOKEN, TOOLS, Program, events, lived, project
from doubles.http_house import CHANNELS, DOCUMENT, FILES, as_, code, echoing, ended, place, run
from doubles.messages_server import MessagesServer, Reply, tool
from openclaw import cli
from openclaw.app import App
from openclaw.channels._http_door import FAILURES, Door
from openclaw.channels.http import Channel
from openclaw.clock import SystemClock
from openclaw.control.document import TABLE
from openclaw.errors import OpenClawError
from openclaw.ports import ChannelOptions


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    yield from echoing()


# ── every route, with every kind of token ────────────────────────────────────────────────────────

WHO = {"operator": TOKEN, "shop": "shop-secret", "nader": "nader-secret", "watcher": "watcher-secret"}
SCOPES = {"operator": {"chat", "approve", "read", "operator"}, "shop": {"chat"}, "nader": {"chat", "approve"}}
SCOPES["watcher"] = {"read"}
BODIES: dict[str | None, Any] = {"Ask": {"text": "hello"}, "Decide": {"decision": "deny"}, "ChatRequest": {}}


def test_each_route_admits_the_tokens_with_its_scope_and_no_others(tmp_path: Path, model: MessagesServer) -> None:
    async def scene(app: App, operator: Program) -> None:
        for who, token in WHO.items():
            async with as_(operator, token) as program:
                for row in TABLE:
                    response = await program.http.request(row.method, place(row), json=BODIES.get(row.body))
                    admitted = row.open or row.scope is None or row.scope in SCOPES[who]
                    refused = response.status_code == 403 and '"code":"scope"' in response.text
                    assert refused is not admitted, (row, who, response.text)
                    assert response.headers["x-content-type-options"] == "nosniff", row
        for token in (None, "wrong", f"{TOKEN}x", TOKEN[:-1]):
            async with as_(operator, token) as program:
                for row in [row for row in TABLE if not row.proof]:
                    response = await program.http.request(row.method, place(row), json=BODIES.get(row.body))
                    assert (response.status_code in (401, 429)) is not row.open, (row, token)
                    assert response.status_code != 401 or response.headers["www-authenticate"] == "Bearer"

    run(tmp_path, model, scene)


def test_the_document_is_served_lists_exactly_the_routes_and_refers_to_nothing_missing(
    tmp_path: Path, model: MessagesServer
) -> None:
    async def scene(app: App, operator: Program) -> None:
        served = (await operator.http.get("/openapi.json")).json()
        assert served == DOCUMENT and served["openapi"] == "3.1.0"

    run(tmp_path, model, scene)
    operations = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert operations == {(row.path.replace(":path", ""), row.method.lower()) for row in TABLE}
    names = DOCUMENT["components"]["schemas"]
    references = {part.split('"')[0] for part in json.dumps(DOCUMENT).split("#/components/schemas/")[1:]}
    assert references <= set(names) and set(names) - references <= {"Document"}
    for schema in names.values():
        Draft202012Validator.check_schema(schema)


def test_what_there_is_can_be_read(tmp_path: Path, model: MessagesServer) -> None:
    beats = (
        "heartbeats:\n  night: {cron: '0 3 * * *', timezone: Europe/London, prompt: x}\n"
        "  off: {cron: '@daily', prompt: x, enabled: false}\n"
    )

    async def scene(app: App, operator: Program) -> None:
        async with as_(operator, "watcher-secret") as watcher:
            ready = (await watcher.http.get("/readyz")).json()
            assert ready == {"status": "ready", "on_last_good": False, "channels": {"http": "serving"}}
            tools = {one["name"]: one for one in (await watcher.http.get("/api/tools")).json()["tools"]}
            assert tools["add"]["agents"] == ["main", "support"] and tools["add"]["kind"] == "python"
            assert "a" in tools["add"]["input_schema"]["properties"] and tools["web_fetch"]["agents"] == []
            listed = (await watcher.http.get("/api/heartbeats")).json()["heartbeats"]
            assert [one["name"] for one in listed] == ["night", "off"]
            assert "T03:00:00" in listed[0]["next"] and listed[1]["next"] is None
            status = (await watcher.http.get("/api/status")).json()
            assert status["ready"] is True and status["channels"].keys() == {"http"}
            assert status["channels"]["http"]["condition"] == "serving" and "why" not in status["channels"]["http"]
            told = (await watcher.http.get("/api/reload")).json()
            assert told == {"on_last_good": False, "differs": "", "attempts": []}
            assert code(await watcher.http.post("/api/reload")) == (403, "scope")

    run(tmp_path, model, scene, **{"heartbeats.yaml": beats})


# ── whose session it is ──────────────────────────────────────────────────────────────────────────


def test_a_token_speaks_for_its_own_senders_reaches_its_own_agents_and_sees_its_own_sessions(
    tmp_path: Path, model: MessagesServer
) -> None:
    async def scene(app: App, operator: Program) -> None:
        async with as_(operator, "shop-secret") as shop, as_(operator, "other-secret") as other:
            answer = (await shop.say("hello", sender="ada", agent="support")).json()
            assert answer["session"] == "agent:support:http:shop/ada" and answer["agent"] == "support"
            assert (await shop.say("/support hello", sender="ada")).json()["agent"] == "support"
            for wrong in ({"agent": "main"}, {}):  # named, and by default: never passed on to another agent
                assert code(await shop.say("hello", sender="ada", **wrong)) == (403, "agent")
            assert code(await other.say("hello", sender="ada")) == (403, "sender")
            assert code(await shop.say("hello", sender="a\nb", agent="support")) == (422, "sender")
            key = answer["session"]
            for method, place in (
                ("GET", f"/api/sessions/{key}"),
                ("DELETE", f"/api/sessions/{key}"),
                ("POST", f"/api/sessions/{key}/stop"),
            ):
                assert code(await other.http.request(method, place)) == (404, "unknown_session")
            assert code(await other.http.get(f"/api/messages/{answer['id']}")) == (404, "unknown_message")
            assert (await other.http.get("/api/sessions")).json() == {"sessions": []}
            assert (await shop.http.get(f"/api/messages/{answer['id']}")).json()["reply"] == "You said: hello"
            assert [entry["role"] for entry in await shop.entries(key)] == ["user", "assistant"] * 2
            listed = (await operator.http.get("/api/sessions")).json()["sessions"]
            assert [one["key"] for one in listed] == [key]

    run(tmp_path, model, scene)


def test_a_tokens_agents_hold_against_a_prefix_in_the_text(tmp_path: Path, model: MessagesServer) -> None:
    main = AGENT + "prefix: /main\n"

    async def scene(app: App, operator: Program) -> None:
        async with as_(operator, "shop-secret") as shop:
            assert code(await shop.say("/main hello", sender="ada")) == (403, "agent")
            assert (await operator.say("/main hello")).json()["agent"] == "main"

    run(tmp_path, model, scene, **{"agents/main.yaml": main})


def test_a_persons_token_enters_their_session_and_only_they_answer_what_is_asked_of_them(
    tmp_path: Path, model: MessagesServer
) -> None:
    asks = "name: Main\ndescription: x\ndefault: true\nmodel: smart\ntools: [add]\npolicy: asks\n"
    tools = TOOLS + "  asks: {default: ask, rules: []}\n"
    model.say(Reply(tool("add", a=1, b=2)), "three", Reply(tool("add", a=3, b=4)))

    async def scene(app: App, operator: Program) -> None:
        async with as_(operator, "nader-secret") as nader, as_(operator, "other-secret") as other:
            waiting = (await nader.say("1+2")).json()
            assert waiting["status"] == "waiting" and waiting["session"] == "agent:main:person:nader"
            [approval] = (await nader.http.get("/api/approvals")).json()["pending"]
            place = f"/api/approvals/{approval['id']}"
            assert code(await other.http.post(place, json={"decision": "allow-once"})) == (403, "scope")
            assert code(await nader.http.post(place, json={"decision": "maybe"})) == (422, "not_offered")
            assert (await nader.http.post(place, json={"decision": "allow-once"})).status_code == 200
            assert code(await nader.http.post(place, json={"decision": "deny"})) == (404, "unknown_approval")
            assert await ended(nader, waiting["id"]) == "three"
            waiting = (await nader.say("3+4")).json()
            [approval] = (await operator.http.get("/api/approvals")).json()["pending"]
            await operator.http.post(f"/api/approvals/{approval['id']}", json={"decision": "deny"})
            assert "refused" in await ended(nader, waiting["id"])

    run(tmp_path, model, scene, **{"agents/main.yaml": asks, "tools.yaml": tools})


def test_a_declared_sender_who_is_a_person_gets_its_own_messages_and_no_more(
    tmp_path: Path, model: MessagesServer
) -> None:
    channels = f'{CHANNELS}  ana: {{ids: ["http:shop/ana", "http:other/other"]}}\n'

    async def scene(app: App, operator: Program) -> None:
        async with as_(operator, "shop-secret") as shop, as_(operator, "other-secret") as other:
            later = {"Prefer": "respond-async"}
            body = {"text": "hello", "sender": "ana", "agent": "support"}
            mine = (await shop.http.post("/api/messages", json=body, headers=later)).json()
            assert mine["session"] == "agent:support:person:ana"
            assert await ended(shop, mine["id"]) == "You said: hello"
            theirs = (await other.say("secret", agent="support")).json()
            assert theirs["session"] == mine["session"]
            assert (await shop.http.get(f"/api/messages/{mine['id']}/events")).status_code == 200
            assert code(await shop.http.get(f"/api/messages/{theirs['id']}")) == (404, "unknown_message")
            whole = await shop.http.get("/api/sessions/agent:support:person:ana")
            assert code(whole) == (404, "unknown_session")

    run(tmp_path, model, scene, **{"channels.yaml": channels})


# ── across restarts ──────────────────────────────────────────────────────────────────────────────


def test_what_a_sender_said_and_a_repeated_key_are_remembered_across_a_restart(
    tmp_path: Path, model: MessagesServer
) -> None:
    keys = {"Idempotency-Key": "order-1"}
    first: dict[str, Any] = {}

    async def before(app: App, operator: Program) -> None:
        body = {"text": "my cat is Zorblax", "sender": "ada"}
        first.update((await operator.http.post("/api/messages", json=body, headers=keys)).json())

    async def after(app: App, operator: Program) -> None:
        body = {"text": "my cat is Zorblax", "sender": "ada"}
        for text in ("other", "my cat is Zorblax, and my dog"):
            changed = await operator.http.post("/api/messages", json={**body, "text": text}, headers=keys)
            assert code(changed) == (422, "idempotency_mismatch")
        assert (await operator.http.post("/api/messages", json=body, headers=keys)).json() == first
        async with operator.http.stream(
            "POST", "/api/messages", json=body, headers={**keys, "Accept": "text/event-stream"}
        ) as again:
            assert [name async for name, _ in events(again)] == ["accepted", "reply"]
        assert len(model.requests) == 1
        await operator.say("what is my cat?", sender="ada")

    run(tmp_path, model, before)
    run(tmp_path, model, after)
    told = json.dumps(model.requests[1].body["messages"])
    assert len(model.requests) == 2 and "my cat is Zorblax" in told and "You said" in told


def test_what_was_dropped_or_is_kept_no_longer_ends_for_whoever_asks_for_it_and_is_never_answered_again(
    tmp_path: Path, model: MessagesServer
) -> None:
    taken: dict[str, str] = {}

    async def before(app: App, operator: Program) -> None:
        for key in ("old", "waits"):
            app.sessions._held.add("agent:main:http:operator:waits")  # so that nothing there is taken up
            headers = {"Idempotency-Key": key, **({"Prefer": "respond-async"} if key == "waits" else {})}
            said = await operator.http.post("/api/messages", json={"text": key, "session": key}, headers=headers)
            taken[key] = said.json()["id"]
        assert (await operator.http.delete(f"/api/inbox/{taken['waits']}")).json()["dropped"]

    async def after(app: App, operator: Program) -> None:
        while await app.store.prune(app.clock.now() + timedelta(days=91)):
            pass
        again = await operator.http.post(
            "/api/messages", json={"text": "old", "session": "old"}, headers={"Idempotency-Key": "old"}
        )
        assert code(again) == (410, "gone")
        state = (await operator.http.get(f"/api/messages/{taken['old']}")).json()
        assert state["status"] == "done" and "not kept" in state["error"]
        async with operator.http.stream("GET", f"/api/messages/{taken['old']}/events") as stream:
            assert [(name, told.get("code")) async for name, told in events(stream)][1:] == [("error", "gone")]

    async def dropped(app: App, operator: Program) -> None:
        again = await operator.http.post(
            "/api/messages", json={"text": "waits", "session": "waits"}, headers={"Idempotency-Key": "waits"}
        )
        assert code(again) == (502, "turn_failed") and "taken out of the queue" in again.json()["detail"]

    run(tmp_path, model, before)
    run(tmp_path, model, dropped)
    run(tmp_path, model, after)
    assert len(model.requests) == 1


# ── streams ──────────────────────────────────────────────────────────────────────────────────────


def test_a_turn_streams_as_events_and_one_nobody_waits_for_is_fetched(tmp_path: Path, model: MessagesServer) -> None:
    model.say(Reply(tool("add", a=1, b=2)), "three", "later")

    async def scene(app: App, operator: Program) -> None:
        headers = {"Accept": "text/event-stream"}
        async with operator.http.stream("POST", "/api/messages", json={"text": "1+2"}, headers=headers) as response:
            told = [event async for event in events(response)]
        assert [name for name, _ in told] == ["accepted", "tool_call", "tool_result", "text", "reply"]
        assert len({content["id"] for _, content in told}) == 1 and told[2][1]["text"] == "3"
        later = await operator.http.post("/api/messages", json={"text": "x"}, headers={"Prefer": "respond-async"})
        assert later.status_code == 202 and later.headers["location"] == f"/api/messages/{later.json()['id']}"
        assert await ended(operator, later.json()["id"]) == "later"
        answer = await operator.say("/tools")
        assert "add: runs at once" in answer.json()["reply"]

    run(tmp_path, model, scene)


# ── bad input ────────────────────────────────────────────────────────────────────────────────────


def test_wrong_bodies_are_problems_and_nothing_is_taken(tmp_path: Path, model: MessagesServer) -> None:
    cases: list[tuple[bytes, str, tuple[int, str]]] = [
        (b"{", "application/json", (400, "bad_json")),
        (b'{"a":' * 50_000, "application/json", (400, "bad_json")),
        (b"[]", "application/json", (422, "not_an_object")),
        (b'{"text": null}', "application/json", (422, "missing_text")),
        (b'{"text": {"a": 1}}', "application/json", (422, "bad_field")),
        (b'{"text": "x", "txet": 1}', "application/json", (422, "unknown_field")),
        (b'{"text": " "}', "application/json", (422, "empty")),
        (b'{"text": "x", "agent": "nobody"}', "application/json", (403, "agent")),
        (b'{"text": "x", "agent": "' + b"a" * 201 + b'"}', "application/json", (422, "bad_field")),
        (b'{"text": "x", "session": "' + b"a" * 201 + b'"}', "application/json", (422, "bad_field")),
        (b'{"text": "x", "session": "a\\nb"}', "application/json", (422, "bad_field")),
        (b'{"text": "x"}', "text/plain", (415, "not_json")),
        (b'{"text": "' + b"x" * (1 << 20) + b'"}', "application/json", (413, "too_large")),
        (b'{"text": "' + b"x" * (300 * 1024) + b'"}', "application/json", (413, "too_large")),
    ]

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * (1 << 16)

    async def scene(app: App, operator: Program) -> None:
        kind = {"Content-Type": "application/json"}
        for content, given, expected in cases:
            response = await operator.http.post("/api/messages", content=content, headers={"Content-Type": given})
            assert code(response) == expected, content[:40]
        assert code(await operator.http.post("/api/messages", content=endless(), headers=kind)) == (413, "too_large")
        assert code(await operator.http.get("/api/none")) == (404, "not_found")
        assert code(await operator.http.put("/api/messages")) == (405, "method_not_allowed")
        assert code(await operator.http.get("/api/sessions/none")) == (404, "unknown_session")
        long = {"Idempotency-Key": "x" * 300}
        posted = await operator.http.post("/api/messages", json={"text": "x"}, headers=long)
        assert code(posted) == (400, "bad_idempotency_key")
        assert (await operator.http.get("/api/sessions")).json() == {"sessions": []}

    run(tmp_path, model, scene)
    assert model.requests == []


def test_a_host_that_is_not_ours_is_refused(tmp_path: Path, model: MessagesServer) -> None:
    async def scene(app: App, operator: Program) -> None:
        for host in ("evil.example", "127.0.0.1.evil.example", "127.0.0.1:1", "", "[::1", "169.254.169.254"):
            assert code(await operator.http.get("/api/status", headers={"Host": host})) == (421, "wrong_host"), host
        for method, path in (("GET", "/api/messages/"), ("GET", "/healthz/"), ("GET", "/none"), ("PUT", "/healthz")):
            evil = await operator.http.request(method, path, headers={"Host": "evil.example"})
            assert code(evil) == (421, "wrong_host") and "location" not in evil.headers, path
        assert code(await operator.http.get("/healthz/")) == (404, "not_found")

    run(tmp_path, model, scene)


def test_another_sites_page_is_refused_and_our_own_names_are_not(tmp_path: Path, model: MessagesServer) -> None:
    async def scene(app: App, operator: Program) -> None:
        port = operator.http.base_url.port
        names = ("evil.example", f"localhost.evil.example:{port}", f"localhost:{port + 1}", "localhost", "localhost.")
        others = ("null", "", "https://evil.example", "https://127.0.0.2", f"https://localhost:{port}")
        for origin in (*others, *(f"http://{name}" for name in names)):
            response = await operator.http.get("/api/status", headers={"Origin": origin})
            assert code(response) == (403, "wrong_origin"), origin
            assert "access-control-allow-origin" not in response.headers
        for ours in (f"http://localhost:{port}", f"http://127.0.0.1:{port}"):
            assert (await operator.http.get("/api/status", headers={"Origin": ours})).status_code == 200
        assert (await operator.http.get("/api/status", headers={"Host": f"localhost:{port}"})).status_code == 200

    run(tmp_path, model, scene)


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("runtime.example:5000", "http://runtime.example:5000", None),
        ("runtime.example", "https://runtime.example", None),  # behind a proxy that ends TLS
        ("runtime.example:5000", "http://runtime.example", "wrong_origin"),
        ("runtime.example:5000", "http://evil.example:5000", "wrong_origin"),
        ("runtime.example", "null", "wrong_origin"),
        ("", "http://runtime.example", "wrong_host"),
    ],
)
def test_where_every_address_is_served_a_page_asks_the_name_it_came_from(
    host: str, origin: str, expected: str | None
) -> None:
    headers = [(b"host", host.encode()), (b"origin", origin.encode())]
    found = Door("0.0.0.0", 5000, SystemClock()).foreign(Request({"type": "http", "headers": headers}))
    assert (found and found.code) == expected


def test_whoever_guesses_tokens_is_paused(tmp_path: Path, model: MessagesServer) -> None:
    async def scene(app: App, operator: Program) -> None:
        async with as_(operator, "guess") as guesser:
            seen = [code(await guesser.http.get("/readyz"))[0] for _ in range(FAILURES + 2)]
        assert seen == [401] * FAILURES + [429] * 2
        # Who holds a token is served all the same: on one machine all come from one place. No token is no guess.
        assert (await operator.http.get("/api/status")).status_code == 200
        async with as_(operator, None) as silent:
            assert (await silent.http.get("/api/status")).status_code == 401

    run(tmp_path, model, scene)


# ── ports and tokens ─────────────────────────────────────────────────────────────────────────────


def test_a_port_in_use_is_said_and_the_other_channels_go_on(
    tmp_path: Path, model: MessagesServer, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        async def scene(app: App, operator: Program) -> None:
            ready = (await operator.http.get("/readyz")).json()
            assert ready == {
                "status": "ready",
                "on_last_good": False,
                "channels": {"http": "serving", "second": "failed"},
                "detail": "channel second failed",
            }
            second = (await operator.http.get("/api/status")).json()["channels"]["second"]
            assert second["condition"] == "failed"
            assert f"cannot listen on 127.0.0.1:{port}" in second["why"] and "`port`" in second["why"]
            assert (await operator.say("hello")).status_code == 200

        second = CHANNELS.replace("people:", f"  second: {{kind: http, port: {port}, token: t}}\npeople:")
        with caplog.at_level(logging.ERROR):
            run(tmp_path, model, scene, **{"channels.yaml": second})
    [told] = [record.getMessage() for record in caplog.records if str(port) in record.getMessage()]
    assert told.count("channel second") == 1
    assert "Traceback" not in caplog.text


def test_the_demo_answers_on_loopback_only(tmp_path: Path) -> None:
    wide = CHANNELS.replace("people:", f"  wide: {{kind: http, host: 0.0.0.0, port: 0, token: {'x' * 32}}}\npeople:")
    root = project(tmp_path / "project", "http://127.0.0.1:9", files={**FILES, "channels.yaml": wide})

    async def scene() -> None:
        async with lived(root, tmp_path / "state", demo=True) as (_, operator):
            told = (await operator.http.get("/api/status")).json()["channels"]
            assert told["http"]["condition"] == "serving" and told["wide"]["condition"] == "off"
            assert told["wide"]["why"].startswith("the demo model")
            assert "wide off: the demo model" in (await operator.say("/status")).json()["reply"]
            assert (await operator.say("hello")).status_code == 200

    asyncio.run(scene())


def channel(tmp_path: Path, **options: Any) -> Channel:
    every = {"host": "127.0.0.1", "port": 0, "token": None, "tokens": {}, "token_file": str(tmp_path / "http-token")}
    return Channel(ChannelOptions("http", "http", {**every, **options}), SystemClock())


def opened(made: Channel) -> None:
    async def scene() -> None:
        try:
            await made.open()
        finally:
            await made.close()

    asyncio.run(scene())


LONG = "x" * 32


@pytest.mark.parametrize(
    "options",
    [
        {"host": "0.0.0.0"},
        {"host": "0.0.0.0", "token": "short"},
        {"host": "0.0.0.0", "token": LONG, "tokens": {"shop": {"secret": "short"}}},
        {"token": "same", "tokens": {"shop": {"secret": "same"}}},
        {"token": "one", "tokens": {"shop": {"secret": ""}}},
        {"token": "one", "tokens": {"operator": {"secret": "two"}}},
        {"token": "one", "tokens": {"hook": {"secret": "two"}}},
    ],
    ids=["none", "short", "another short", "twice", "empty", "reserved", "another reserved"],
)
def test_tokens_that_would_not_keep_anybody_out_do_not_start(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(OpenClawError) as caught:
        opened(channel(tmp_path, **options))
    assert not any(secret in str(caught.value) for secret in ("short`", "same`", LONG))


def test_a_token_may_have_any_letters(tmp_path: Path, model: MessagesServer) -> None:
    channels = CHANNELS.replace("other-secret", "schlüssel-Ω")

    async def scene(app: App, operator: Program) -> None:
        async with as_(operator, None) as other:
            headers = {b"Authorization": "Bearer schlüssel-Ω".encode()}
            assert (await other.http.get("/readyz", headers=headers)).status_code == 200

    run(tmp_path, model, scene, **{"channels.yaml": channels})


def test_a_generated_token_is_private_stays_the_same_and_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--state", str(tmp_path), "token"]) == 1
    assert "http channel" in capsys.readouterr().err
    path = tmp_path / "http-token"
    path.touch()  # an empty one is no token
    opened(channel(tmp_path))
    first = path.read_text().strip()
    opened(channel(tmp_path))
    assert path.read_text().strip() == first and len(first) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert cli.main(["--state", str(tmp_path), "token"]) == 0
    assert capsys.readouterr().out.strip() == first
