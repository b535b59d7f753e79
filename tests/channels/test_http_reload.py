"""An edit of the HTTP channel, while programs are on the line: whatever is described anew counts for the next request,
and nothing that is open is dropped. What cannot be had changes nothing, and says what is in the way."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bench.reload_streams import measure
from doubles.desk import Desk
from doubles.house import Hasty, Program, events, project, until
from doubles.http_house import code, echoing
from doubles.messages_server import MessagesServer, Reply
from openclaw import cli
from openclaw.app import App
from openclaw.channels.http import Channel
from openclaw.clock import Clock, SystemClock
from openclaw.control import serve_at
from openclaw.errors import OpenClawError
from openclaw.ports import ChannelOptions
from openclaw.project import Options

TOKEN = "operator-token-of-more-than-32-characters"  # as it must be where other machines reach the port
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    yield from echoing()


def free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free()


def described(key: str = "http", *, port: int, host: str = "127.0.0.1", token: str = TOKEN, more: str = "") -> str:
    return f"  {key}: {{kind: http, host: {host}, port: {port}, token: {token}{more}}}\n"


class Site:
    """A runtime whose HTTP channel is written anew while it runs."""

    def __init__(self, app: App, root: Path) -> None:
        self.app = app
        self.root = root

    async def edit(self, *channels: str, outcome: str = "applied") -> str:
        """Saves these channels and has them applied, by the watch or here; says what was wrong with them."""
        (self.root / "channels.yaml").write_text("channels:\n" + "".join(channels), "utf-8")
        attempt = await self.app.reload.attempt("request")
        found = "applied" if attempt.outcome == "unchanged" else attempt.outcome  # the watch was first
        assert found == outcome, attempt
        return attempt.error

    def program(self, port: int, token: str = TOKEN, host: str = "127.0.0.1") -> Program:
        return Program(f"http://{host}:{port}", token)


Scene = Callable[[Site], Coroutine[Any, Any, None]]


def run(folder: Path, model: MessagesServer, scene: Scene, *first: str) -> None:
    root = project(folder / "project", model.url, files={"channels.yaml": "channels:\n" + "".join(first)})

    async def whole() -> None:
        async with served(root, folder / "state") as site:
            await asyncio.wait_for(scene(site), 90)

    asyncio.run(whole())


@asynccontextmanager
async def served(root: Path, state: Path, clock: Clock | None = None) -> AsyncIterator[Site]:
    app = App(Options(root, state), clock=clock)
    async with app.opened():
        await app.addresses()
        running = asyncio.create_task(app.run())
        try:
            await until((state / "control.sock").exists, "the control socket")
            yield Site(app, root)
        finally:
            app.stopping.set()
            await running


def sockets() -> int:
    """How many this process has open: programs, runtime and model together."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # gone since
            found += str(each.readlink()).startswith("socket:")
    return found


def line_of(response: httpx2.Response) -> tuple[str, int]:
    """The client's own end of the connection by which this was answered."""
    found: tuple[str, int] = response.extensions["network_stream"].get_extra_info("client_addr")
    return found


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as caller:
        return caller.connect_ex((host, port)) == 0


@asynccontextmanager
async def streams(program: Program, id: str) -> AsyncIterator[list[AsyncIterator[tuple[str, dict[str, Any]]]]]:
    """Three that listen to a turn under way: one who comes back to it, one who posts it again, one who only waits."""
    async with AsyncExitStack() as stack:
        again = {"json": {"text": "slowly"}, "headers": {**STREAM, "Idempotency-Key": "slow"}}
        feed = await stack.enter_async_context(program.http.stream("GET", f"/api/messages/{id}/events"))
        posted = await stack.enter_async_context(program.http.stream("POST", "/api/messages", **again))
        yield [events(feed), events(posted)]


async def slow(model: MessagesServer, program: Program) -> tuple[str, threading.Event]:
    """A turn that is under way until the model may go on."""
    go_on, known = threading.Event(), len(model.requests)
    model.say(Reply({"type": "text", "text": "slow and steady, and " * 3}, until=go_on))
    headers = {"Idempotency-Key": "slow", "Prefer": "respond-async"}
    answer = await program.http.post("/api/messages", json={"text": "slowly"}, headers=headers)
    await until(lambda: len(model.requests) > known, "the model's turn")
    return str(answer.json()["id"]), go_on


# ── another port ─────────────────────────────────────────────────────────────────────────────────


def test_a_port_is_exchanged_while_every_stream_and_every_question_on_the_old_one_gets_its_answer(
    tmp_path: Path,
    model: MessagesServer,
    port: int,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def scene(site: Site) -> None:
        async with site.program(port) as program, site.program(free()) as after:
            new = int(after.http.base_url.port or 0)
            id, go_on = await slow(model, program)
            asked = {"model": "openclaw", "messages": [{"role": "user", "content": "hello"}], "stream": True}
            waits = asyncio.create_task(program.say("and then?"))
            chat = program.http.stream("POST", "/v1/chat/completions", json={**asked, "user": "ada"})
            async with streams(program, id) as told, chat as chunks:
                for one in told:
                    assert (await anext(one))[0] == "accepted"
                lines = chunks.aiter_lines()
                assert '"role":"assistant"' in await anext(lines)
                (site.root / "channels.yaml").write_text("channels:\n" + described(port=new), "utf-8")
                answer = await program.http.post("/api/reload")  # by the very port that is given up
                assert answer.is_success and answer.headers["connection"] == "close"
                assert (
                    not listens(port) and (await after.say("hello", sender="ben")).json()["reply"] == "You said: hello"
                )
                go_on.set()
                assert [[name async for name, _ in one][-1] for one in told] == ["reply", "reply"]
                assert [line async for line in lines][-2] == "data: [DONE]"
            assert (await waits).json()["reply"] == "You said: and then?"
            assert site.app.intake.links() == [f"http://127.0.0.1:{new}/"]
            assert await site.app.addresses() == [f"http://127.0.0.1:{new}"]
            receiving = (await after.http.get("/api/status")).json()["channels"]["http"]
            assert (receiving["condition"], receiving["address"]) == ("serving", f"http://127.0.0.1:{new}")
            assert await asyncio.to_thread(cli.main, ["--state", str(tmp_path / "state"), "status"]) == 0
            assert f"serving  http://127.0.0.1:{new}" in capsys.readouterr().out

    run(tmp_path, model, scene, described(port=port))
    assert f"now, and no longer at http://127.0.0.1:{port}" in caplog.text


def test_a_connection_that_is_kept_alive_on_the_old_port_is_answered_once_more_and_told_that_this_was_all(
    tmp_path: Path, model: MessagesServer, port: int
) -> None:
    async def scene(site: Site) -> None:
        before = sockets()
        async with site.program(port) as kept, site.program(port) as idle:
            first = await kept.http.get("/api/status")
            assert first.is_success and (await idle.http.get("/healthz")).is_success
            await site.edit(described(port=(new := free())))
            last = await kept.http.get("/api/status")
            assert last.status_code == 200 and last.headers["connection"] == "close"
            assert last.extensions["network_stream"] is first.extensions["network_stream"]
            with pytest.raises(httpx2.ConnectError):
                await kept.http.get("/api/status")
            # The idle one is let go of: nothing of the old port is left but what its client holds.
            await until(lambda: sockets() <= before + 1, "the end of the idle connection at the runtime")
        assert listens(new)

    run(tmp_path, model, scene, described(port=port))


def test_whoever_stands_in_the_queue_of_the_old_socket_is_still_let_in() -> None:
    async def scene(stage: Stage) -> None:
        old, new = stage.port, free()
        assert stage.channel.renew(stage.options(port=new)) and listens(old) and listens(new)
        await asyncio.sleep(0)
        with socket.create_connection(("127.0.0.1", old)) as caller:  # the loop has had no time to take it
            stage.channel.settle()
            assert stage.port == new and not listens(old)
            caller.sendall(f"GET /api/status HTTP/1.1\r\nHost: 127.0.0.1:{old}\r\n{stage.bearer}\r\n\r\n".encode())
            said = await asyncio.to_thread(whole, caller)
        assert said.startswith(b"HTTP/1.1 200") and b"connection: close" in said.lower()

    on_stage(scene)


def test_a_busy_port_changes_nothing_names_the_place_and_leaks_nothing(
    tmp_path: Path, model: MessagesServer, port: int
) -> None:
    async def scene(site: Site) -> None:
        async with site.program(port) as program:
            first = await program.http.get("/api/status")
            own = line_of(first)
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                taken.listen()
                busy = taken.getsockname()[1]
                before = sockets()
                for _ in range(10):
                    why = await site.edit(described(port=busy, token=f"{TOKEN}-new"), outcome="failed")
                    await until(lambda: sockets() <= before, "the end of what it tried")
                    # Asked each time, for both ends let go of a connection that is idle for five seconds.
                    assert line_of(await program.http.get("/api/status")) == own
            assert f"channel http cannot listen on 127.0.0.1:{busy}" in why
            assert "another program, perhaps another runtime, listens there" in why
            again = await program.http.get("/api/status")
            assert again.status_code == 200 and line_of(again) == own
            assert again.json()["snapshot"] == first.json()["snapshot"]
            async with site.program(port, f"{TOKEN}-new") as other:
                assert code(await other.http.get("/api/status")) == (401, "unauthorized")

    run(tmp_path, model, scene, described(port=port))


def test_what_fails_behind_it_leaves_the_channel_at_its_old_place_with_its_old_token(
    tmp_path: Path, model: MessagesServer, port: int
) -> None:
    """Another channel of the same edit will not do: by then this one had its new place already."""

    async def scene(site: Site) -> None:
        new = free()
        twice = described("web", port=0, more=f", tokens: {{shop: {{secret: {TOKEN}}}}}")
        why = await site.edit(described(port=new, token=f"{TOKEN}-new"), twice, outcome="failed")
        assert "same value" in why and listens(port) and not listens(new)
        wide = described(port=port, host="0.0.0.0")
        assert "same value" in await site.edit(wide, twice, outcome="failed")
        assert listens(port) and not listens(port, "127.0.0.2")
        async with site.program(port) as program:
            assert (await program.say("hello")).json()["reply"] == "You said: hello"

    run(tmp_path, model, scene, described(port=port), described("web", port=0))


# ── the same port at another address ─────────────────────────────────────────────────────────────


def test_the_same_port_at_another_address_keeps_every_connection_and_narrows_at_once(
    tmp_path: Path, model: MessagesServer, port: int
) -> None:
    async def scene(site: Site) -> None:
        async with site.program(port) as program:
            id, go_on = await slow(model, program)
            async with streams(program, id) as told:
                for one in told:
                    assert (await anext(one))[0] == "accepted"
                assert not listens(port, "127.0.0.2")
                await site.edit(described(port=port, host="0.0.0.0"))
                async with site.program(port, host="127.0.0.2") as outside:
                    outside.http.headers["Host"] = f"machine.example:{port}"
                    assert (await outside.http.get("/api/status")).is_success
                    await site.edit(described(port=port))
                    assert not listens(port, "127.0.0.2")
                    # What came by the wide address is judged by the narrow one.
                    assert code(await outside.http.get("/api/status")) == (421, "wrong_host")
                assert (await program.say("hello", sender="ben")).json()["reply"] == "You said: hello"
                go_on.set()
                assert [[name async for name, _ in one][-1] for one in told] == ["reply", "reply"]

    run(tmp_path, model, scene, described(port=port))


def test_where_the_wider_address_cannot_be_had_it_listens_again_where_it_did(
    tmp_path: Path, model: MessagesServer, port: int
) -> None:
    async def scene(site: Site) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.2", port))
            taken.listen()
            before = sockets()
            async with site.program(port) as program:
                first = await program.http.get("/api/status")
                why = await site.edit(described(port=port, host="0.0.0.0"), outcome="failed")
                assert f"cannot listen on 0.0.0.0:{port}" in why
                again = await program.http.get("/api/status")
                assert line_of(again) == line_of(first) and again.json()["snapshot"] == first.json()["snapshot"]
            assert listens(port)
            async with site.program(port) as fresh:
                assert (await fresh.http.get("/api/status")).is_success
            await until(lambda: sockets() <= before, "the end of the connections")

    run(tmp_path, model, scene, described(port=port))


def test_a_channel_takes_the_place_of_another_that_leaves_it_in_the_same_edit(
    tmp_path: Path, model: MessagesServer, port: int
) -> None:
    other = free()

    async def scene(site: Site) -> None:
        await site.edit(described("a", port=other), described("b", port=port))  # exchanged
        async with site.program(port) as program:
            assert (await program.say("hello")).json()["session"].startswith("agent:main:b:")
        await site.edit(described("c", port=other), described("b", port=port))  # renamed
        async with site.program(other) as program:
            assert (await program.say("hello")).json()["session"].startswith("agent:main:c:")
        twice = described("d", port=0, more=f", tokens: {{shop: {{secret: {TOKEN}}}}}")
        await site.edit(described("c", port=port), described("b", port=other), twice, outcome="failed")
        async with site.program(port) as program:
            assert (await program.say("hello")).json()["session"].startswith("agent:main:b:")

    run(tmp_path, model, scene, described("a", port=port), described("b", port=other))


# ── many ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_hundred_streams_outlast_twenty_edits_and_another_port_and_nothing_stays_open(tmp_path: Path) -> None:
    found = asyncio.run(asyncio.wait_for(measure(tmp_path), 240))
    assert found.outcomes == {"applied": 21}
    assert (found.early, found.last) == (0, {"reply": 100})
    assert len(found.lines) == 1, "the client that asked for the edits had to connect again"
    assert found.refused == ["401/200"] * 5
    assert found.ended <= found.idle < found.open


# ── tokens, limits, hooks ────────────────────────────────────────────────────────────────────────


def test_tokens_limits_and_hooks_count_from_the_next_request_on_the_same_connection(
    tmp_path: Path, model: MessagesServer, port: int
) -> None:
    hooks = ", hooks: {deploys: {prompt: 'It ended', secret: a-secret-of-a-hook}}"

    async def scene(site: Site) -> None:
        async with site.program(port) as program:
            seen = [line_of(await program.http.get("/api/status"))]

            async def asked(method: str, path: str, token: str, **more: Any) -> int:
                headers = {"Authorization": f"Bearer {token}"}
                response = await program.http.request(method, path, headers=headers, **more)
                seen.append(line_of(response))
                return int(response.status_code)

            async def hook() -> int:
                return await asked("POST", "/hooks/deploys", "a-secret-of-a-hook", json={})

            (site.root / "agents/main.md").write_text("You are another soul.\n", "utf-8")
            await site.app.reload.attempt("request")
            assert await hook() == 404
            await site.edit(described(port=port, more=hooks))
            assert await hook() == 202
            await site.edit(described(port=port, token="other-token"))
            assert await hook() == 404
            assert await asked("GET", "/api/status", TOKEN) == 401
            assert await asked("GET", "/api/status", "other-token") == 200
            await site.edit(described(port=port, token="other-token", more=", limits: {body: 1024}"))
            assert await asked("POST", "/api/messages", "other-token", json={"text": "x" * 2000}) == 413
            await site.edit(described(port=port, token="other-token", more=", limits: {requests_per_minute: 1}"))
            assert 429 in [await asked("GET", "/api/status", "other-token") for _ in range(2)]
            assert len(set(seen)) == 1

    run(tmp_path, model, scene, described(port=port))


def test_a_stream_of_a_token_that_is_withdrawn_ends_also_where_the_port_changes_with_it(
    tmp_path: Path, model: MessagesServer, port: int
) -> None:
    shop = ", tokens: {shop: {secret: shop-secret, scopes: [chat]}}"

    async def scene(site: Site) -> None:
        async with site.program(port, "shop-secret") as chatter:
            id, go_on = await slow(model, chatter)
            async with chatter.http.stream("GET", f"/api/messages/{id}/events") as response:
                told = events(response)
                assert (await anext(told))[0] == "accepted"
                await site.edit(described(port=(new := free())))
                go_on.set()
                rest = [(name, content) async for name, content in told]
            assert rest[-1][0] == "error" and rest[-1][1]["code"] == "unauthorized"
            assert "reply" not in dict(rest)
            async with site.program(new, "shop-secret") as again:
                assert code(await again.say("hello")) == (401, "unauthorized")

    run(tmp_path, model, scene, described(port=port, more=shop))


# ── the end ──────────────────────────────────────────────────────────────────────────────────────


def test_a_stop_does_not_wait_for_what_came_by_an_old_port(tmp_path: Path, model: MessagesServer, port: int) -> None:
    root = project(tmp_path / "project", model.url, files={"channels.yaml": "channels:\n" + described(port=port)})

    async def whole_() -> None:
        before = sockets()
        async with AsyncExitStack() as outside:
            program = await outside.enter_async_context(Program(f"http://127.0.0.1:{port}", TOKEN))
            async with served(root, tmp_path / "state", Hasty()) as site:
                id, go_on = await slow(model, program)
                stream = program.http.stream("GET", f"/api/messages/{id}/events")
                told = events(await outside.enter_async_context(stream))
                assert (await anext(told))[0] == "accepted"
                await site.edit(described(port=free()))
            rest = [content.get("code") async for _, content in told]  # the runtime has ended
            assert rest[-1] == "hung_up"
            go_on.set()
        await until(lambda: sockets() <= before, "everything to be closed")

    asyncio.run(asyncio.wait_for(whole_(), 60))


def test_a_channel_that_retires_takes_nothing_more_in_and_ends_with_its_last_answer() -> None:
    async def scene(stage: Stage) -> None:
        async with Program(stage.channel.address, TOKEN) as program:
            body, headers = {"text": "wait"}, {"Prefer": "respond-async"}
            posted = (await program.http.post("/api/messages", json=body, headers=headers)).json()
            async with program.http.stream("GET", f"/api/messages/{posted['id']}/events") as response:
                told = events(response)
                assert (await anext(told))[0] == "accepted"
                stage.channel.retire()
                stage.channel.retire()
                assert not listens(stage.port) and not stage.serving.done()
                await stage.desk.stop(posted["session"])
                assert [name async for name, _ in told][-1] in ("reply", "error")
            await asyncio.wait_for(stage.serving, 30)
            assert not stage.channel.renew(stage.options(port=0))

    on_stage(scene)


def test_a_place_that_cannot_be_had_leaves_the_channel_where_it_is_and_one_that_was_lost_is_taken_as_soon_as_it_is_free(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(stage: Stage) -> None:
        port = stage.port
        with socket.socket() as taken:
            taken.bind(("127.0.0.2", port))
            taken.listen()
            with pytest.raises(OpenClawError, match=f"cannot listen on 0.0.0.0:{port}"):
                stage.channel.renew(stage.options(port=port, host="0.0.0.0"))
        assert listens(port)
        stage.channel.make_way()
        assert not listens(port)
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()
            stage.channel.take_back()
            stage.channel.take_back()
            assert "it is tried again every 5 s" in caplog.text
        async with Program(stage.channel.address, TOKEN) as program:
            await until(lambda: listens(port), "the port")
            assert (await program.http.get("/api/status")).is_success

    on_stage(scene)


def test_the_link_that_signs_a_person_in_follows_the_port(tmp_path: Path) -> None:
    async def scene() -> None:
        file, new = tmp_path / "http-token", free()
        channel = Channel(options(0, token=None, token_file=str(file)), SystemClock())
        await channel.open()
        token = file.read_text().strip()
        assert channel.link == f"{channel.address}/#token={token}" and not channel.address.endswith(f":{new}")
        assert channel.renew(options(new, token=None, token_file=str(file)))
        channel.settle()
        assert channel.link == f"http://127.0.0.1:{new}/#token={token}"
        await channel.close()
        assert not listens(new)

    asyncio.run(scene())


# ── a channel alone ──────────────────────────────────────────────────────────────────────────────


def options(port: int, host: str = "127.0.0.1", **more: Any) -> ChannelOptions:
    described: Mapping[str, Any] = {
        "host": host, "port": port, "token": TOKEN, "tokens": {}, "limits": {}, "hooks": {}, "notes": None, **more,
    }  # fmt: skip
    return ChannelOptions("http", "http", described)


class Stage:
    """The channel before a desk in memory: between two of its steps nothing happens that is not asked for here."""

    serving: asyncio.Future[None]

    def __init__(self) -> None:
        self.desk = Desk()
        self.channel = Channel(self.options(port=0), Hasty())
        self.bearer = f"Authorization: Bearer {TOKEN}"

    def options(self, *, port: int, host: str = "127.0.0.1") -> ChannelOptions:
        return options(port, host, serve=self._serve)

    async def _serve(self, *arguments: Any) -> None:
        listeners, post, operations, gate, options = arguments
        await serve_at(listeners, post, operations, gate, SystemClock(), options)

    @property
    def port(self) -> int:
        return int(self.channel.address.rpartition(":")[2])


def on_stage(scene: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def whole_() -> None:
        stage = Stage()
        await stage.channel.open()
        stage.serving = asyncio.ensure_future(stage.channel.run(stage.desk, stage.desk))
        async with Program(stage.channel.address, TOKEN) as program:
            assert (await program.http.get("/healthz")).is_success
        try:
            await asyncio.wait_for(scene(stage), 60)
        finally:
            stage.serving.cancel()
            await asyncio.gather(stage.serving, return_exceptions=True)
            await stage.channel.close()

    asyncio.run(whole_())


def whole(caller: socket.socket) -> bytes:
    """All that is said there until the other side closes."""
    caller.settimeout(30)
    said = b""
    while more := caller.recv(1 << 16):
        said += more
    return said
