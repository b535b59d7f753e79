"""What a program may ask of a running runtime beside messages: heartbeats, memory, strangers, figures, the page."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from doubles.house import AGENT, TOOLS, Program, until
from doubles.http_house import as_, code, echoing, ended, run
from doubles.messages_server import MessagesServer, Reply, tool
from openclaw.app import App
from openclaw.control.static import POLICY, Static
from openclaw.messages import Address
from openclaw.reload import KEPT


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    yield from echoing()


def test_a_heartbeat_is_run_by_hand_and_its_answer_fetched(tmp_path: Path, model: MessagesServer) -> None:
    beats = "heartbeats:\n  night: {cron: '0 3 29 2 *', timezone: Europe/London, prompt: Look round}\n"

    async def scene(app: App, operator: Program) -> None:
        accepted = await operator.http.post("/api/heartbeats/night/run")
        assert accepted.status_code == 202 and accepted.json()["session"] == "cron:night"
        assert accepted.headers["location"] == f"/api/messages/{accepted.json()['id']}"
        assert await ended(operator, accepted.json()["id"]) == "You said: Look round"
        assert code(await operator.http.post("/api/heartbeats/day/run")) == (404, "unknown_heartbeat")

    run(tmp_path, model, scene, **{"heartbeats.yaml": beats})


def test_memories_are_searched_listed_and_deleted(tmp_path: Path, model: MessagesServer) -> None:
    remembers = AGENT.replace("[list_files, add]", "[save_memory]")
    tools = TOOLS.replace("[list_files, add]}", "[list_files, add, save_memory]}")
    model.say(Reply(tool("save_memory", text="The cat is Zorblax", name="cat")), "Noted.")
    model.say(Reply(tool("save_memory", text="The shop opens at nine", name="shop")), "Noted.")

    async def scene(app: App, operator: Program) -> None:
        await operator.say("remember the cat")
        await operator.say("remember the shop")
        async with as_(operator, "watcher-secret") as watcher:
            both = (await watcher.http.get("/api/memory")).json()["memories"]
            assert {one["text"].strip() for one in both} == {"The cat is Zorblax", "The shop opens at nine"}
            [cat] = (await watcher.http.get("/api/memory", params={"query": "zorblax"})).json()["memories"]
            assert len((await watcher.http.get("/api/memory", params={"limit": "1"})).json()["memories"]) == 1
            for wrong in ("0", "201", "x", "-1", "١"):
                response = await watcher.http.get("/api/memory", params={"limit": wrong})
                assert code(response) == (422, "bad_field"), wrong
            assert code(await watcher.http.delete(f"/api/memory/{cat['key']}")) == (403, "scope")
        gone = await operator.http.delete(f"/api/memory/{cat['key']}")
        assert gone.json() == {"key": cat["key"], "deleted": True}
        assert code(await operator.http.delete(f"/api/memory/{cat['key']}")) == (404, "unknown_memory")
        assert code(await operator.http.delete("/api/memory/..%2f..%2fetc%2fpasswd")) == (404, "unknown_memory")
        assert len((await operator.http.get("/api/memory")).json()["memories"]) == 1

    run(tmp_path, model, scene, **{"agents/main.yaml": remembers, "tools.yaml": tools})


def test_strangers_are_let_in_and_out_by_the_operator(tmp_path: Path, model: MessagesServer) -> None:
    async def scene(app: App, operator: Program) -> None:
        code_ = await app.pairings.knock(Address("telegram", "77"), "Ana\u202e")
        shown = (await operator.http.get("/api/pairings")).json()
        assert [(one["sender"], one["name"], one["code"]) for one in shown["waiting"]] == [
            ("telegram:77", "Ana\u202e", code_)
        ]
        assert shown["admitted"] == [] and shown["waiting"][0]["expires"] > shown["waiting"][0]["at"]
        assert code(await operator.http.post("/api/pairings/WRONG")) == (404, "unknown_pairing")
        admitted = (await operator.http.post(f"/api/pairings/{code_}")).json()
        assert (admitted["sender"], "code" in admitted) == ("telegram:77", False)
        assert code(await operator.http.post(f"/api/pairings/{code_}")) == (404, "unknown_pairing")
        assert [one["sender"] for one in (await operator.http.get("/api/pairings")).json()["admitted"]] == [
            "telegram:77"
        ]
        gone = await operator.http.delete("/api/pairings/telegram:77")
        assert gone.json() == {"sender": "telegram:77", "admitted": False}
        for wrong in ("telegram:77", "nothing"):
            assert code(await operator.http.delete(f"/api/pairings/{wrong}")) == (404, "unknown_pairing")

    run(tmp_path, model, scene)


def test_usage_and_figures_tell_what_was_done(tmp_path: Path, model: MessagesServer) -> None:
    async def scene(app: App, operator: Program) -> None:
        async with as_(operator, "watcher-secret") as watcher:
            before = figures((await watcher.http.get("/metrics")).text)
            assert before[("openclaw_up", "")] == 1 and before[("openclaw_last_reload_successful", "")] == 1
            assert before[("openclaw_channel_condition", "http,serving")] == 1
            assert before[("openclaw_channel_condition", "http,failed")] == 0
            assert before[("openclaw_reloads_total", "refused")] == 0
            await operator.say("hello")
            (tmp_path / "project/agents/main.yaml").write_text("name: [", "utf-8")
            for _ in range(2):
                assert code(await operator.http.post("/api/reload")) == (422, "reload_refused")
            after = figures((await watcher.http.get("/metrics")).text)
            assert after[("openclaw_last_reload_successful", "")] == 0
            assert after[("openclaw_reloads_total", "refused")] >= 2
            again = figures((await watcher.http.get("/metrics")).text)
            del after[("openclaw_uptime_seconds", "")], again[("openclaw_uptime_seconds", "")]
            assert after == again  # nothing is counted twice
            [spent] = (await watcher.http.get("/api/usage")).json()["usage"]
            labels = f"{spent['agent']},{spent['model']}"
            assert after[("openclaw_turns_total", labels)] == spent["turns"] == 1
            assert after[("openclaw_tokens_total", f"{spent['agent']},input,{spent['model']}")] == spent["input_tokens"]
            assert after[("openclaw_turns_failed_total", labels)] == 0

    run(tmp_path, model, scene)


def test_reloads_are_counted_alike_for_every_scraper_however_many_and_over_a_replaced_channel(
    tmp_path: Path, model: MessagesServer
) -> None:
    manifest, listening = tmp_path / "project/agents/main.yaml", tmp_path / "project/channels.yaml"

    async def scene(app: App, operator: Program) -> None:
        async with as_(operator, "watcher-secret") as watcher:
            start = figures((await watcher.http.get("/metrics")).text)
            whole = manifest.read_text("utf-8")
            manifest.write_text("name: [", "utf-8")
            for _ in range(KEPT + 1):
                await app.reload.attempt("request")
            one, other = [figures((await each.http.get("/metrics")).text) for each in (watcher, operator)]
        assert one[("openclaw_reloads_total", "refused")] == other[("openclaw_reloads_total", "refused")] > KEPT
        assert one[("openclaw_last_reload_successful", "")] == 0
        at = ("openclaw_last_reload_timestamp_seconds", "")
        assert one[at] == start[at]  # of the last that went well
        manifest.write_text(whole, "utf-8")
        assert (await operator.http.post("/api/reload")).json()["outcome"] == "unchanged"
        mended = figures((await operator.http.get("/metrics")).text)
        assert mended[at] > start[at] and mended[("openclaw_last_reload_successful", "")] == 1
        await operator.http.post("/api/reload")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        listening.write_text(listening.read_text("utf-8").replace("port: 0", f"port: {port}"), "utf-8")
        await until(lambda: app.reload.attempts[-1].outcome == "applied", "the other port")
        async with Program(f"http://127.0.0.1:{port}") as moved:
            after = figures((await moved.http.get("/metrics")).text)
        for outcome in ("applied", "unchanged", "refused", "failed", "needs_restart"):
            counted = after[("openclaw_reloads_total", outcome)]
            assert counted == app.reload.counts.by_outcome[outcome], outcome
        assert after[("openclaw_reloads_total", "refused")] == one[("openclaw_reloads_total", "refused")]

    run(tmp_path, model, scene)


def test_every_figure_is_documented_and_every_documented_one_is_served(tmp_path: Path, model: MessagesServer) -> None:
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")

    async def scene(app: App, operator: Program) -> None:
        text = (await operator.http.get("/metrics")).text
        served = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
        assert served == set(re.findall(r"`(openclaw_\w+)`", page))

    run(tmp_path, model, scene)


def figures(text: str) -> dict[tuple[str, str], float]:
    """By name and label values, read as Prometheus does."""
    return {
        (sample.name, ",".join(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# ── the page ─────────────────────────────────────────────────────────────────────────────────────


def test_the_page_and_its_parts_are_served_strictly_and_nothing_else_is(tmp_path: Path, model: MessagesServer) -> None:
    async def scene(app: App, operator: Program) -> None:
        async with as_(operator, None) as anybody:
            page = await anybody.http.get("/")
            assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
            mark = await anybody.http.get("/page/mark.svg")
            assert mark.headers["content-type"] == "image/svg+xml"
            known = {"If-None-Match": f'"other", {page.headers["etag"]}'}
            again = await anybody.http.get("/", headers=known)
            assert (again.status_code, again.content) == (304, b"")
            for response in (page, again, mark):
                assert response.headers["content-security-policy"] == POLICY and "unsafe" not in POLICY
                assert response.headers["cache-control"] == "no-cache"
                assert response.headers["x-content-type-options"] == "nosniff"
                assert response.headers["referrer-policy"] == "no-referrer"
                assert response.headers["cross-origin-opener-policy"] == "same-origin"
            for name in ("none.js", "..%2fdesk.py", "%2e%2e", ".", "x%00.js", "index.html%00"):
                assert (await anybody.http.get(f"/page/{name}")).status_code == 404, name
            for place in ("/", "/page/mark.svg", "/healthz"):
                assert code(await anybody.http.get(place, headers={"Host": "evil.example"})) == (421, "wrong_host")
                foreign = await anybody.http.get(place, headers={"Origin": "https://evil.example"})
                assert code(foreign) == (403, "wrong_origin")

    run(tmp_path, model, scene)


def test_every_kind_of_file_has_its_type_and_a_changed_one_is_seen(tmp_path: Path) -> None:
    static = Static(tmp_path)
    (tmp_path / "a.js").write_text("one", "utf-8")
    (tmp_path / "notes.txt").write_text("hidden", "utf-8")
    (tmp_path / "link.js").symlink_to("/etc/hostname")
    first = static._file("a.js")
    (tmp_path / "a.js").write_text("two, and longer", "utf-8")
    assert static._file("a.js").tag != first.tag
    for name in ("notes.txt", "link.js", "../a.js", ""):
        with pytest.raises(Exception, match="no such file"):
            static._file(name)


def test_a_token_learns_what_it_may_do_and_which_commands_there_are(tmp_path: Path, model: MessagesServer) -> None:
    async def scene(_: App, operator: Program) -> None:
        me = {"name": "operator", "scopes": ["operator"], "sender": "http:operator"}
        assert (await operator.http.get("/api/me")).json() == {**me, "agents": ["main", "support"], "agent": "main"}
        commands = (await operator.http.get("/api/commands")).json()["commands"]
        assert {"name": "/help", "help": "what you can type"} in commands
        async with as_(operator, "watcher-secret") as watcher:
            assert (await watcher.http.get("/api/me")).json()["scopes"] == ["read"]
            assert code(await watcher.http.get("/api/commands")) == (403, "scope")

    run(tmp_path, model, scene)
