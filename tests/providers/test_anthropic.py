"""The Messages API provider: the real SDK over a real socket against a strict double of the service."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from doubles.listening import listening
from doubles.messages_server import Drop, HttpError, MessagesServer, Raw, Reply, text, thinking, tool
from openclaw import bundle
from openclaw.clock import ManualClock, SystemClock
from openclaw.errors import CredentialsError, ProviderError
from openclaw.manifest.builtins import BUILTINS
from openclaw.messages import TextDelta, ThinkingDelta, ToolSpec, Usage
from openclaw.ports import Alive, Completed, ProviderEvent, Request
from openclaw.providers._anthropic_faults import LONGEST_NAMED
from openclaw.providers.anthropic import CAPABILITIES, FIRST_BYTES, LEAST, STALL, Provider, credentials

KEY = "sk-test-hush-hush"
MODEL = "claude-sonnet-5-5"
TOOLS = (
    ToolSpec("list_files", "Lists files", {"type": "object", "properties": {"path": {"type": "string"}}}, "files"),
    ToolSpec("add", "Adds", {"type": "object", "properties": {}}, "python"),
)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[MessagesServer]:
    with MessagesServer(key=KEY) as double:
        yield double


@pytest.fixture(autouse=True)
def nothing_ambient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of the person who runs the tests can be used or found."""
    for name in list(os.environ):
        if name.startswith("ANTHROPIC_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")


def user(words: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": words}]}


def request(*messages: dict[str, Any], **changes: Any) -> Request:
    values: dict[str, Any] = {"system": "Be brief.", "tools": TOOLS, "max_tokens": 1000} | changes
    return Request(values.pop("model", MODEL), messages=messages or (user("hello"),), **values)


def answered(done: Completed) -> dict[str, Any]:
    return {"role": "assistant", "content": list(done.content)}


@asynccontextmanager
async def opened(server: MessagesServer, **options: Any) -> AsyncIterator[Provider]:
    """A provider of the double as if it were Anthropic's own: all capabilities on."""
    every = ["thinking", "effort", "cache_control"]
    clock = options.pop("clock", SystemClock())
    provider = Provider({"base_url": server.url, "api_key": KEY, "capabilities": every} | options, clock)
    await provider.open()
    try:
        yield provider
    finally:
        await provider.close()


async def events(provider: Provider, asked: Request) -> list[ProviderEvent]:
    return [event async for event in provider.stream(asked)]


async def word(stream: AsyncIterator[ProviderEvent]) -> ProviderEvent:
    """The next event that is more than a sign of life."""
    while isinstance(event := await anext(stream), Alive):
        pass
    return event


async def finished(provider: Provider, asked: Request) -> Completed:
    *_, last = await events(provider, asked)
    assert isinstance(last, Completed)
    return last


def run(server: MessagesServer, scene: Callable[[Provider], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    async def whole() -> Any:
        async with opened(server, **options) as provider:
            return await asyncio.wait_for(scene(provider), 60)

    return asyncio.run(whole())


def fails(server: MessagesServer, asked: Request | None = None, **options: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        run(server, lambda provider: events(provider, asked or request()), **options)
    assert KEY not in str(caught.value)
    assert server.url not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


def test_text_streams_as_deltas_and_ends_with_the_whole_answer(server: MessagesServer) -> None:
    server.say("Good morning, Nader. ☀")
    *deltas, done = run(server, lambda provider: events(provider, request()))
    deltas = [event for event in deltas if not isinstance(event, Alive)]
    assert [TextDelta("Good mor"), TextDelta("ning, Na"), TextDelta("der. ☀")] == deltas
    content = ({"type": "text", "text": "Good morning, Nader. ☀"},)
    assert Completed(content, "end_turn", Usage(input=10, output=5), MODEL) == done
    assert server.violations == []


def test_a_tool_loop_keeps_thinking_and_signature_so_that_the_service_takes_the_history_back(
    server: MessagesServer,
) -> None:
    server.say(
        Reply(thinking("look first"), {"type": "text", "text": "Let me look."}, tool("list_files", id="a", path=".")),
        Reply(thinking(""), {"type": "text", "text": "Two files."}),
        "You are welcome.",
    )

    async def scene(provider: Provider) -> list[ProviderEvent]:
        first = await events(provider, request(user("what is here?")))
        assert isinstance(first[-1], Completed)
        messages = [user("what is here?"), answered(first[-1])]
        result = {"type": "tool_result", "tool_use_id": "a", "content": "a.txt b.txt"}
        messages.append({"role": "user", "content": [result]})
        second = await finished(provider, request(*messages))
        messages += [answered(second), user("thanks")]
        await finished(provider, request(*messages))
        return first

    *deltas, done = run(server, scene)
    assert server.violations == []
    assert len(server.requests) == 3
    assert "".join(delta.text for delta in deltas if isinstance(delta, ThinkingDelta)) == "look first"
    assert isinstance(done, Completed)
    assert done.stop_reason == "tool_use"
    assert done.content[2] == {"type": "tool_use", "id": "a", "name": "list_files", "input": {"path": "."}}
    assert {
        key: value for key, value in server.requests[2].body["messages"][3]["content"][0].items() if key != "signature"
    } == {"type": "thinking", "thinking": ""}


def test_parallel_calls_arrive_whole_and_in_order_also_without_input(server: MessagesServer) -> None:
    calls = [tool("list_files", id="1", path="a" * 50), tool("add", id="2"), tool("list_files", id="3", path='q"\\é')]
    server.say(Reply(*calls, piece=3))
    done = run(server, lambda provider: finished(provider, request()))
    assert tuple(calls) == done.content


def test_unknown_blocks_citations_and_redacted_thinking_come_through_verbatim(server: MessagesServer) -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "redacted_thinking", "data": "opaque=="},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "otters"}},
        {"type": "hologram", "depth": 3, "inner": {"x": [1, None]}},
        {"type": "text", "text": "Otters.", "citations": [{"type": "page", "n": 1}, {"type": "page", "n": 2}]},
    ]
    server.say(Reply(*blocks))
    done = run(server, lambda provider: finished(provider, request()))
    assert tuple(blocks) == done.content


def test_blank_text_blocks_are_left_out_because_no_server_takes_them_back(server: MessagesServer) -> None:
    server.say(Reply({"type": "text", "text": "\n\n"}, {"type": "text", "text": ""}, tool("add", id="1")))
    done = run(server, lambda provider: finished(provider, request()))
    assert (tool("add", id="1"),) == done.content


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_call_cut_by_the_token_limit_is_dropped_however_much_of_it_came(server: MessagesServer, after: int) -> None:
    cut = Reply(
        {"type": "text", "text": "now"},
        tool("list_files", path="a rather long path"),
        stop_reason="max_tokens",
        fault="short",
        after=1 + after,
    )
    server.say(cut)
    done = run(server, lambda provider: finished(provider, request()))
    assert done.content == ({"type": "text", "text": "now"},)
    assert done.stop_reason == "max_tokens"


@pytest.mark.parametrize("reason", ["refusal", "pause_turn", "stop_sequence", "model_context_window_exceeded", "new"])
def test_other_reasons_to_stop_are_answers_for_the_turn_to_judge(server: MessagesServer, reason: str) -> None:
    server.say(Reply({"type": "text", "text": "so far"}, stop_reason=reason))
    done = run(server, lambda provider: finished(provider, request()))
    assert (reason, ({"type": "text", "text": "so far"},)) == (done.stop_reason, done.content)


def test_a_paused_turn_is_resumed_with_its_own_content(server: MessagesServer) -> None:
    server.say(Reply(thinking("hm"), {"type": "text", "text": "half"}, stop_reason="pause_turn"), "whole")

    async def scene(provider: Provider) -> None:
        paused = await finished(provider, request())
        await finished(provider, request(user("hello"), answered(paused)))

    run(server, scene)
    assert server.violations == []


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (
            {"input_tokens": 3, "output_tokens": 7, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 11},
            Usage(3, 7, 90, 11),
        ),
        ({"input_tokens": None, "output_tokens": None, "cache_read_input_tokens": None}, Usage(0, 1)),
        ({}, Usage()),
    ],
)
def test_usage_counts_the_cache_and_survives_missing_figures(
    server: MessagesServer, told: dict[str, Any], usage: Usage
) -> None:
    server.say(Reply({"type": "text", "text": "x"}, usage=told))
    assert usage == run(server, lambda provider: finished(provider, request())).usage


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────


def test_a_capable_model_gets_caching_adaptive_thinking_and_effort_and_never_sampling(server: MessagesServer) -> None:
    server.say("x")
    run(server, lambda provider: finished(provider, request(effort="high")))
    body = server.requests[0].body
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    assert body["cache_control"] == {"type": "ephemeral"}
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "high"}
    assert [spec["name"] for spec in body["tools"]] == ["list_files", "add"]
    assert not body.keys() & {"temperature", "top_p", "top_k", "tool_choice"}


def test_another_server_gets_the_plain_protocol_until_its_capabilities_are_named(server: MessagesServer) -> None:
    server.say("x", "y")
    run(server, lambda provider: finished(provider, request(effort="high", tools=(), system="")), capabilities=None)
    assert {"model", "max_tokens", "stream", "messages"} == server.requests[0].body.keys()
    run(server, lambda provider: finished(provider, request()), capabilities=["cache_control"])
    assert "cache_control" in server.requests[1].body
    assert "thinking" not in server.requests[1].body


def test_anthropics_service_gets_what_the_model_has(server: MessagesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    server.say(*"abcde")
    models = ["claude-haiku-4-5-20251001", "claude-sonnet-4-20250514", "claude-3-7-sonnet-latest", MODEL]

    async def scene(provider: Provider) -> None:
        for model in [*models, "claude-opus-4-6"]:
            await finished(provider, request(model=model, effort="low"))

    run(server, scene, base_url=None, api_key=None, capabilities=None)
    assert server.violations == []
    assert ["thinking" in seen.body for seen in server.requests] == [False, False, False, True, True]
    assert ["output_config" in seen.body for seen in server.requests] == [False, False, False, True, True]
    assert all("cache_control" in seen.body for seen in server.requests)


def test_text_that_has_no_bytes_is_sent_with_a_mark_instead_of_failing(server: MessagesServer) -> None:
    server.say("x")
    run(server, lambda provider: finished(provider, request(user("odd \udcff end"))))
    assert server.requests[0].body["messages"][0]["content"][0]["text"] == "odd ? end"


# ── credentials ──────────────────────────────────────────────────────────────────────────────────


def test_another_server_never_gets_what_the_environment_holds(
    server: MessagesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "ambient-secret")
    monkeypatch.setenv("ANTHROPIC_PROFILE", "ambient-secret")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Org: ambient-secret\nauthorization: ambient-secret")
    server.say("with its own key")
    run(server, lambda provider: finished(provider, request()))
    sent = server.requests[0].headers
    assert f"Bearer {KEY}" == sent["authorization"]
    assert sent["x-api-key"] == KEY
    assert not any("ambient-secret" in value for value in sent.values())
    assert "x-org" not in sent


def test_a_server_without_a_key_is_sent_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "ambient-secret")
    with MessagesServer() as server:
        failure = fails(server, api_key=None)
    assert failure.fault == "credentials"  # the double wants one
    assert not server.requests[0].headers.keys() & {"authorization", "x-api-key"}
    assert "models.yaml" in str(failure)


def test_an_auth_token_goes_out_as_bearer_only(server: MessagesServer) -> None:
    server.say("x")
    run(server, lambda provider: finished(provider, request()), api_key=None, auth_token=KEY)
    assert f"Bearer {KEY}" == server.requests[0].headers["authorization"]
    assert "x-api-key" not in server.requests[0].headers


def test_opening_without_any_credential_says_how_to_set_one() -> None:
    with pytest.raises(CredentialsError, match="ANTHROPIC_API_KEY") as caught:
        asyncio.run(Provider({}, SystemClock()).open())
    assert caught.value.exit_code == 4


def test_a_chosen_profile_that_cannot_be_read_is_told_when_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_PROFILE", "work")
    with pytest.raises(CredentialsError, match="ANTHROPIC_PROFILE cannot be used"):
        asyncio.run(Provider({}, SystemClock()).open())


def test_the_cheap_check_finds_what_the_sdk_would_find(tmp_path: Any) -> None:
    home = {"HOME": str(tmp_path)}
    assert credentials(home) is None
    assert credentials({"ANTHROPIC_API_KEY": ""} | home) is None
    assert credentials({"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "t"}) == "ANTHROPIC_API_KEY"
    assert credentials({"ANTHROPIC_AUTH_TOKEN": "t"}) == "ANTHROPIC_AUTH_TOKEN"
    assert credentials({"ANTHROPIC_PROFILE": "p"}) == "ANTHROPIC_PROFILE"
    federation = {"ANTHROPIC_FEDERATION_RULE_ID": "r", "ANTHROPIC_ORGANIZATION_ID": "o"}
    assert credentials(federation | home) is None
    assert credentials(federation | {"ANTHROPIC_IDENTITY_TOKEN": "t"}) == "ANTHROPIC_FEDERATION_RULE_ID"
    folder = tmp_path / ".config" / "anthropic" / "configs"
    folder.mkdir(parents=True)
    (folder / "default.json").write_text("{}")
    assert credentials(home) == "profile default"
    (folder.parent / "active_config").write_text("work\n")
    assert credentials(home) is None
    (folder / "work.json").write_text("{}")
    assert credentials(home) == "profile work"


def test_the_cheap_check_does_not_import_the_sdk() -> None:
    code = "import sys, openclaw.providers.anthropic as _; print(sorted({'anthropic', 'httpx2'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout.strip() == "[]"


# ── failures before the answer ───────────────────────────────────────────────────────────────────

AT_ONCE = {"retry-after-ms": "1"}


@pytest.mark.parametrize(
    ("failure", "fault"),
    [
        (HttpError(429, "rate_limit_error", headers=AT_ONCE), "rate_limited"),
        (HttpError(529, "overloaded_error", headers=AT_ONCE), "overloaded"),
        (HttpError(500, "api_error", headers=AT_ONCE), "unreachable"),
        (Drop(), "unreachable"),
        (HttpError(401, "authentication_error", f"invalid key {KEY}"), "credentials"),
        (HttpError(403, "permission_error", f"not for {KEY}"), "credentials"),
        (HttpError(400, "invalid_request_error", "prompt is too long: 9 > 8"), "context_window"),
        (HttpError(413, "request_too_large", "Request exceeds the maximum size"), "context_window"),
        (HttpError(400, "invalid_request_error", f"messages.1: odd, {KEY}"), "rejected"),
        (HttpError(402, "billing_error", "no credit"), "rejected"),
        (HttpError(307, headers={"location": "http://127.0.0.1:1/"}), "rejected"),
        (Raw("<html>welcome</html>"), "rejected"),
    ],
)
def test_a_failure_is_told_at_once_as_one_of_our_faults(server: MessagesServer, failure: Any, fault: str) -> None:
    server.say(*[failure] * 3)
    told = fails(server)
    assert fault == told.fault
    assert len(server.requests) == 1  # the client does not try again behind our back
    assert (fault in ("rate_limited", "overloaded", "unreachable")) is told.retryable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e300"}, LONGEST_NAMED),
    ],
)
def test_the_time_that_a_server_names_is_told(
    server: MessagesServer, headers: dict[str, str], seconds: float | None
) -> None:
    server.say(HttpError(429, "rate_limit_error", headers=headers))
    told = fails(server)
    assert (told.fault, told.retry_after) == ("rate_limited", seconds)


def test_an_unknown_model_is_named(server: MessagesServer) -> None:
    told = fails(server, request(model="gpt-9"))
    assert told.fault == "unknown_model"
    assert "`gpt-9`" in str(told)


def test_an_address_without_the_protocol_is_told_apart_from_an_unknown_model(server: MessagesServer) -> None:
    told = fails(server, base_url=f"{server.url}/v1")
    assert told.fault == "rejected"
    assert "base_url" in str(told)


def test_a_key_that_cannot_be_sent_is_not_quoted(server: MessagesServer) -> None:
    told = fails(server, api_key=f"{KEY}\nand more")
    assert "and more" not in str(told)
    assert server.requests == []


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://nader:secret@127.0.0.1:{taken.getsockname()[1]}"

        async def scene() -> None:
            provider = Provider({"base_url": url}, SystemClock())
            await provider.open()
            try:
                await events(provider, request())
            finally:
                await provider.close()

        with pytest.raises(ProviderError, match=r"127\.0\.0\.1") as caught:
            asyncio.run(scene())
    assert caught.value.fault == "unreachable"
    assert "secret" not in str(caught.value)


# ── failures in the middle ───────────────────────────────────────────────────────────────────────

LONG = (
    {"type": "thinking", "thinking": "first, I think"},
    {"type": "text", "text": "then I speak"},
    {"type": "tool_use", "id": "t", "name": "add", "input": {"number": 1234567890}},
)


@pytest.mark.parametrize("fault", ["cut", "ended", "reset", "garbage"])
@pytest.mark.parametrize("after", [0, 1, 4, 7], ids=["at once", "in thinking", "in text", "in a call"])
def test_an_answer_that_breaks_off_is_truncated_and_never_completed(
    server: MessagesServer, fault: Any, after: int
) -> None:
    server.say(Reply(*LONG, fault=fault, after=after))
    assert fails(server).fault == "truncated"
    assert len(server.requests) == 1  # once an answer has begun, asking again is not ours to decide


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("overloaded_error", "overloaded"),
        ("rate_limit_error", "rate_limited"),
        ("api_error", "unreachable"),
        ("authentication_error", "credentials"),
        ("invalid_request_error", "rejected"),
        ("error_of_the_future", "rejected"),
    ],
)
def test_an_error_in_the_middle_of_a_good_status_keeps_its_meaning(
    server: MessagesServer, kind: str, fault: str
) -> None:
    server.say(Reply(*LONG, fault="error", error=kind, after=4))
    assert fault == fails(server).fault


def test_a_stream_without_a_reason_to_stop_is_truncated(server: MessagesServer) -> None:
    server.say(Reply({"type": "text", "text": "so"}, stop_reason=None))
    assert fails(server).fault == "truncated"


def test_a_model_that_writes_a_long_call_gives_signs_of_life(server: MessagesServer) -> None:
    server.say(Reply(tool("add", numbers="1234567890" * 20), stop_reason="tool_use", pace=0.002))
    *signs, done = run(server, lambda provider: events(provider, request()))
    assert isinstance(done, Completed) and signs.count(Alive("writing a call")) >= 2


def test_a_call_with_broken_input_never_reaches_the_turn(server: MessagesServer) -> None:
    server.say(Reply(tool("add", number=1234567890), stop_reason="tool_use", fault="short", after=2))
    assert fails(server).fault == "truncated"


def test_a_stream_that_stalls_is_given_up_by_the_clock(server: MessagesServer) -> None:
    server.say(Reply(*LONG, fault="stall", after=3))
    clock = ManualClock(NOW)

    async def scene(provider: Provider) -> ProviderError:
        stream = provider.stream(request())
        await word(stream)
        await word(stream)
        with pytest.raises(ProviderError) as caught:
            waiting = asyncio.ensure_future(word(stream))
            while not waiting.done():
                await clock.advance(STALL + 1)
                await asyncio.sleep(0.001)
            await waiting
        return caught.value

    told = run(server, scene, clock=clock)
    assert (told.fault, told.retryable) == ("truncated", True)
    assert server.wait_left_early()


def test_an_answer_without_an_end_is_given_up_by_the_clock(server: MessagesServer) -> None:
    server.say(Reply({"type": "text", "text": "on and on"}, fault="endless", after=1))
    clock = ManualClock(NOW)

    async def scene(provider: Provider) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            async for _ in provider.stream(request()):
                await clock.advance(STALL / 4)
        return caught.value

    told = run(server, scene, clock=clock)
    assert (told.fault, told.retryable) == ("truncated", True)
    assert clock.monotonic() > LEAST
    assert server.wait_left_early()


def crowd(piece: bytes, pause: float, most: int) -> tuple[Callable[..., Coroutine[Any, Any, None]], list[int]]:
    """A server whose error goes on for up to `most` bytes, and how many it got rid of."""
    sent = [0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 500 Oops\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n")
            while sent[0] < most:
                writer.write(piece)
                await writer.drain()
                sent[0] += len(piece)
                await asyncio.sleep(pause)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()  # what is still to be sent nobody will read

    return serve, sent


@pytest.mark.parametrize(
    ("piece", "pause", "most", "fault"),
    [(b"x" * 65536, 0.0, 64 << 20, "failed inside"), (b"x", 0.01, 3000, "no answer in time")],
    ids=["fast", "slow"],
)
def test_an_error_without_an_end_is_read_no_further_than_it_is_told(
    piece: bytes, pause: float, most: int, fault: str
) -> None:
    serve, sent = crowd(piece, pause, most)
    clock = ManualClock(NOW)

    async def scene() -> ProviderError:
        async with listening(serve) as port:
            provider = Provider({"base_url": f"http://127.0.0.1:{port}", "api_key": KEY}, clock)
            await provider.open()
            asking = asyncio.ensure_future(events(provider, request()))
            while not asking.done():
                if pause and sent[0]:
                    await clock.advance(FIRST_BYTES / 10)
                await asyncio.sleep(0.001)
            await provider.close()
            with pytest.raises(ProviderError) as caught:
                await asking
            return caught.value

    told = asyncio.run(asyncio.wait_for(scene(), 100))
    assert told.fault == "unreachable" and fault in str(told)
    assert sent[0] <= most // 2


def test_an_error_that_was_packed_is_not_unpacked() -> None:
    packed = gzip.compress(b"\0" * (8 << 20))
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        head = f"content-encoding: gzip\r\ncontent-length: {len(packed)}\r\nconnection: close"
        writer.write(f"HTTP/1.1 400 Bad Request\r\n{head}\r\n\r\n".encode() + packed)
        await writer.drain()

    async def scene() -> ProviderError:
        async with listening(serve) as port:
            provider = Provider({"base_url": f"http://127.0.0.1:{port}", "api_key": KEY}, SystemClock())
            await provider.open()
            with pytest.raises(ProviderError) as caught:
                await events(provider, request())
            await provider.close()
            return caught.value

    told = asyncio.run(asyncio.wait_for(scene(), 60))
    assert told.fault == "rejected" and len(str(told)) < 1000
    assert b"accept-encoding: identity" in asked[0].lower() and "%00%00" not in str(told)


def test_a_refusal_says_why_as_far_as_the_service_does(server: MessagesServer) -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "it could\nharm \x1b[2J others"}
    server.say(Reply(stop_reason="refusal", details=details), Reply(stop_reason="refusal"))
    first, second = (run(server, lambda provider: finished(provider, request())) for _ in range(2))
    assert (first.why, second.why) == ("cyber: it could harm %1B[2J others", "")


def test_a_finished_answer_that_is_not_closed_is_still_an_answer(server: MessagesServer) -> None:
    server.say(Reply({"type": "text", "text": "done"}, hangs=True))
    clock = ManualClock(NOW)

    async def scene(provider: Provider) -> Completed:
        waiting = asyncio.ensure_future(finished(provider, request()))
        while not waiting.done():
            await clock.advance(3)
            await asyncio.sleep(0.001)
        return await waiting

    assert run(server, scene, clock=clock).stop_reason == "end_turn"


def test_cancelling_closes_the_stream(server: MessagesServer) -> None:
    server.say(Reply({"type": "text", "text": "on and on"}, fault="endless", after=1), "next")

    async def scene(provider: Provider) -> Completed:
        came = asyncio.Event()

        async def listen() -> None:
            async for _ in provider.stream(request()):
                came.set()

        listening = asyncio.ensure_future(listen())
        await came.wait()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        return await finished(provider, request())

    assert run(server, scene).stop_reason == "end_turn"
    assert server.wait_left_early()


def test_leaving_in_the_middle_closes_the_stream(server: MessagesServer) -> None:
    server.say(Reply({"type": "text", "text": "on and on"}, fault="endless", after=1))

    async def scene(provider: Provider) -> None:
        stream = provider.stream(request())
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

    run(server, scene)
    assert server.wait_left_early()


def test_one_connection_serves_turn_after_turn(server: MessagesServer) -> None:
    server.say("a", "b", "c")

    async def scene(provider: Provider) -> None:
        for _ in range(3):
            await finished(provider, request())

    run(server, scene)
    assert server.connections == 1


# ── thinking bound elsewhere ─────────────────────────────────────────────────────────────────────


def test_thinking_bound_to_another_conversation_is_healed_once_and_stays_healed(
    server: MessagesServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.say(*[Reply(thinking(f"thought {n}"), {"type": "text", "text": f"answer {n}"}) for n in range(4)])

    async def scene(provider: Provider) -> None:
        history = [user("one")]
        history += [answered(await finished(provider, request(*history, session="s")))]
        for number in (2, 3, 4):  # from the second turn on under another system prompt
            history += [user(str(number))]
            history += [answered(await finished(provider, request(*history, session="s", system="New.")))]

    run(server, scene)
    assert [violation.partition(": ")[2][:19] for violation in server.violations] == ["Invalid `signature`"]
    assert len(server.requests) == 5
    kept = [
        [block.get("thinking") for message in seen.body["messages"] for block in message["content"] if len(block) == 3]
        for seen in server.requests
    ]
    assert kept == [[], ["thought 0"], [], ["thought 1"], ["thought 1", "thought 2"]]
    assert len([record for record in caplog.records if record.name == "openclaw.provider"]) == 1


def test_a_healed_session_that_starts_anew_keeps_its_thinking(server: MessagesServer) -> None:
    server.say(*[Reply(thinking("t"), {"type": "text", "text": "a"}) for _ in range(4)])

    async def scene(provider: Provider) -> None:
        first = answered(await finished(provider, request(session="s")))
        again = (user("hello"), first, user("more"))
        await finished(provider, request(*again, session="s", system="New."))
        fresh = answered(await finished(provider, request(user("anew"), session="s", system="New.")))
        await finished(provider, request(user("anew"), fresh, user("more"), session="s", system="New."))

    run(server, scene)
    assert len(server.violations) == 1
    assert server.requests[-1].body["messages"][1]["content"][0]["type"] == "thinking"


def test_a_refusal_about_thinking_that_healing_cannot_mend_is_told(server: MessagesServer) -> None:
    server.say(HttpError(400, "invalid_request_error", "thinking: block not liked"))
    assert fails(server).fault == "rejected"
    assert len(server.requests) == 1  # there is no thinking to leave out


# ── lifetime ─────────────────────────────────────────────────────────────────────────────────────


def test_opening_waits_for_nothing_and_the_first_request_finds_the_client_made(server: MessagesServer) -> None:
    server.say("x", "y")

    async def scene() -> None:
        provider = Provider({"base_url": server.url, "api_key": KEY}, SystemClock())
        opening = asyncio.ensure_future(provider.open())
        await asyncio.sleep(0)
        assert opening.done()  # the SDK is imported a moment later, or when it is needed
        await provider.open()
        both = [finished(provider, request(tools=())) for _ in range(2)]
        assert {done.stop_reason for done in await asyncio.gather(*both)} == {"end_turn"}
        await provider.close()
        await provider.close()

    asyncio.run(scene())


def test_a_search_that_may_always_run_is_the_services_own_where_the_model_has_it(server: MessagesServer) -> None:
    plain = BUILTINS["web_search"]
    unasked = replace(plain, options={"unasked": True})
    found = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "otters"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"url": "https://o.example"}]},
        {"type": "text", "text": "Otters.", "citations": [{"type": "web_search_result_location", "url": "x"}]},
    ]
    used = {"input_tokens": 10, "output_tokens": 5, "server_tool_use": {"web_search_requests": 2}}
    server.say(Reply(*found, usage=used), Reply({"type": "text", "text": "a"}, usage={"server_tool_use": [3]}), "b")
    done = run(server, lambda p: finished(p, request(tools=(unasked,))), capabilities=["web_search"])
    assert (list(done.content), done.usage) == (found, Usage(10, 5, searches=2))
    run(server, lambda p: finished(p, request(tools=(plain,))), capabilities=["web_search"])
    run(server, lambda p: finished(p, request(tools=(unasked,))), capabilities=[])
    [served, asked, other] = [seen.body["tools"][0] for seen in server.requests]
    assert served == {"type": "web_search_20260318", "name": "web_search", "max_uses": 8}
    assert asked == other and "input_schema" in asked and "type" not in asked
    assert server.violations == []


def test_the_schema_offers_exactly_the_capabilities_there_are() -> None:
    model = bundle.schema("models")["$defs"]["anthropic"]["properties"]["capabilities"]
    assert set(model["items"]["enum"]) == CAPABILITIES


def test_closing_after_a_failed_open_is_fine() -> None:
    async def scene() -> None:
        provider = Provider({}, SystemClock())
        with pytest.raises(CredentialsError):
            await provider.open()
        await provider.close()

    asyncio.run(scene())


def test_many_streams_run_side_by_side() -> None:
    with MessagesServer(otherwise=text("the same for all of you")) as server:

        async def scene(provider: Provider) -> list[Completed]:
            return await asyncio.gather(*(finished(provider, request()) for _ in range(20)))

        assert {"end_turn"} == {done.stop_reason for done in run(server, scene)}
