"""What was used, as whoever runs the assistant sees it: counted once, over restarts and kills, and held to a budget."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from doubles import warm
from doubles.house import AGENT, CHANNELS, TOKEN, Process, Program, lived, project, until
from doubles.messages_server import MessagesServer, Reply, text, tool
from openclaw.app import App
from openclaw.clock import SystemClock
from openclaw.messages import Accepted, Address, Answered, Finished, Message, Progress, Text
from openclaw.names import fresh

PRICED = """\
default: smart
models:
  smart: {{id: claude-sonnet-5-5, base_url: "{url}", api_key: test-key, price: {{input: 10000, output: 0}}}}
  other: {{id: claude-nobody-knows, base_url: "{url}", api_key: test-key, capabilities: []}}
"""
LIMITED = AGENT + "limits: {usd_per_day: 0.25}\n"
PLAIN = AGENT.replace("name: Main", "name: Plain").replace("default: true\nmodel: smart", "model: other")
BEATS = 'heartbeats:\n  dawn: {cron: "0 5 * * *", prompt: Say good morning.}\n'


class Calendar(SystemClock):
    """Begins at a day of its own, and can be put ahead."""

    def __init__(self, start: datetime) -> None:
        self._ahead = start - datetime.now(UTC)

    def now(self) -> datetime:
        return super().now() + self._ahead

    def turn(self, **time: float) -> None:
        self._ahead += timedelta(**time)


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(key="test-key") as server:
        yield server
    assert server.violations == []


def noon() -> str:
    """Heartbeats' defaults with a zone where no day ends while a test runs."""
    return f"defaults: {{timezone: Etc/GMT{datetime.now(UTC).hour - 12:+d}}}\n"


def place(root: Path, model: MessagesServer, **files: str) -> Path:
    manifests = {"models.yaml": PRICED.format(url=model.url), "agents/plain.yaml": PLAIN, **files}
    return project(root, model.url, files=manifests)


async def used(operator: Program, **query: str) -> dict[str, Any]:
    found = await operator.http.get("/api/usage", params=query)
    assert found.status_code == 200, found.text
    answer: dict[str, Any] = found.json()
    return answer


def command(*words: object) -> subprocess.CompletedProcess[str]:
    ran = warm.Popen(
        [sys.executable, "-m", "openclaw", *map(str, words)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = ran.communicate(timeout=120)
    return subprocess.CompletedProcess(ran.args, ran.returncode, out.decode(), err.decode())


def test_a_day_that_has_cost_what_it_may_asks_no_model_until_the_next_one(
    tmp_path: Path, model: MessagesServer
) -> None:
    root = place(tmp_path / "project", model, **{"agents/main.yaml": LIMITED, "heartbeats.yaml": BEATS})
    clock, state = Calendar(datetime(2026, 11, 28, 10, tzinfo=UTC)), tmp_path / "state"
    model.say(*[text("Well.") for _ in range(5)])

    async def first() -> None:
        async with lived(root, state, clock=clock) as (_, operator):
            for _ in range(3):  # ten cents each: the third begins below the limit, and may end above it
                assert (await operator.say("hello")).status_code == 200
            refused = await operator.say("hello")
            assert (refused.status_code, refused.json()["code"]) == (402, "over_budget")
            assert "cost $0.3000 today, and $0.25 a day is allowed" in refused.json()["detail"]
            assert "from 2026-11-29 00:00 (UTC)" in refused.json()["detail"]
            begun = (await operator.http.post("/api/heartbeats/dawn/run")).json()
            row = await ended(operator, begun["id"])
            assert row["outcome"] == "failed" and "usd_per_day" in row["reply"]
            said = (await operator.say("/usage")).json()["reply"]
            assert "Main cost $0.3000 today; $0.25 a day is allowed." in said
            told = (await operator.http.get("/api/status")).json()["spent_today"]
            assert told == {"main": {"cost_usd": pytest.approx(0.3), "cost_complete": True, "limit_usd": 0.25}}
            figures = (await operator.http.get("/metrics")).text
            assert 'openclaw_cost_usd_total{agent="main",model="claude-sonnet-5-5"} 0.3' in figures

    async def second() -> None:
        async with lived(root, state, clock=clock) as (_, operator):
            assert (await operator.say("hello again")).status_code == 402  # a restart forgets nothing
            clock.turn(hours=15)
            assert (await operator.say("good morning")).status_code == 200
            days = (await used(operator, by="day", since="2026-11-28"))["usage"]
            assert [(day["day"], day["turns"], day["failed"], day["calls"]) for day in days] == [
                ("2026-11-28", 6, 3, 3),
                ("2026-11-29", 1, 0, 1),
            ]

    asyncio.run(first())
    assert len(model.requests) == 3
    asyncio.run(second())
    assert len(model.requests) == 4


SHOP = f"""\
channels:
  http:
    kind: http
    port: 0
    token: {TOKEN}
    tokens:
      shop: {{secret: shop-token-0123456789, senders: declared, scopes: [chat]}}
      nader: {{secret: nader-token-0123456789, as: nader, scopes: [chat]}}
people:
  nader: {{ids: ["http:nader/nader"]}}
"""
LIMIT_REACHED = "The spending limit of today is reached. I answer again from 2026-11-29 00:00 (UTC)."


def test_only_whoever_is_known_in_private_is_told_what_it_costs(tmp_path: Path, model: MessagesServer) -> None:
    manifests = {"agents/main.yaml": LIMITED.replace("0.25", "0.1"), "channels.yaml": SHOP}
    root, clock = place(tmp_path / "project", model, **manifests), Calendar(datetime(2026, 11, 28, 10, tzinfo=UTC))
    model.say(text("Well."))

    async def scene() -> None:
        async with lived(root, tmp_path / "state", clock=clock) as (app, operator):
            address = str(operator.http.base_url)
            assert (await operator.say("hello")).status_code == 200
            async with Program(address, "shop-token-0123456789") as shop:
                refused = await shop.say("hello", sender="ana")
                assert (refused.status_code, refused.json()["code"]) == (402, "over_budget")
                assert refused.json()["detail"] == LIMIT_REACHED
                assert "$" not in (await shop.say("/usage", sender="ana")).json()["reply"]
            assert (await operator.say("hello", sender="ana")).json()["detail"] == LIMIT_REACHED
            for known in (operator, Program(address, "nader-token-0123456789")):
                refused = await known.say("hello")
                assert refused.status_code == 402 and "cost $0.1000 today" in refused.json()["detail"]
                assert "Main cost $0.1000 today; $0.1 a day" in (await known.say("/usage")).json()["reply"]
            await known.http.aclose()
            in_group = {"sender": Address("http", "nader/nader"), "chat": "desk"}
            assert await heard(app, "hello", **in_group) == LIMIT_REACHED
            told = await heard(app, "/usage", **in_group)
            assert "$" not in told and "What it cost is told in private" in told
            stranger = {"sender": Address("http", "shop/ana"), "chat": "desk"}
            assert await heard(app, "hello", **stranger) == LIMIT_REACHED
            assert "cost" not in await heard(app, "/usage", **stranger)

    asyncio.run(scene())
    assert len(model.requests) == 1


async def heard(app: App, said: str, **message: Any) -> str:
    """The reply to a message, as a channel that shows it gets it."""
    done: asyncio.Queue[str] = asyncio.Queue()

    def watch(event: Progress) -> None:
        if isinstance(event, Finished):
            done.put_nowait(event.reply.text)

    posted = Message(id=fresh(), parts=(Text(said),), at=app.clock.now(), fetched=True, **message)
    taken = await app.sessions.post(posted, watch)
    assert isinstance(taken, Accepted | Answered), taken
    return taken.text if isinstance(taken, Answered) else await asyncio.wait_for(done.get(), 60)


async def ended(operator: Program, id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            rows = (await operator.http.get("/api/heartbeats/history")).json()["runs"]
            row: dict[str, Any] = next(row for row in rows if row["message"] == id)
            if row["outcome"] not in ("queued", "running"):
                return row
            await asyncio.sleep(0.02)


def test_an_edit_of_the_zone_moves_what_comes_and_nothing_that_was(tmp_path: Path, model: MessagesServer) -> None:
    root = place(tmp_path / "project", model, **{"agents/main.yaml": LIMITED})
    clock = Calendar(datetime(2026, 11, 28, 13, tzinfo=UTC))
    model.say(*[text("Well.") for _ in range(5)])

    async def scene() -> None:
        async with lived(root, tmp_path / "state", clock=clock) as (_, operator):
            for _ in range(3):
                await operator.say("hello")
            assert (await operator.say("hello")).status_code == 402
            (root / "heartbeats.yaml").write_text("defaults: {timezone: Pacific/Auckland}\n")  # where it is the 29th
            assert (await operator.http.post("/api/reload")).status_code == 200
            assert (await operator.say("hello")).status_code == 200
            told = await used(operator, by="day")
            assert [(day["day"], day["calls"]) for day in told["usage"]] == [("2026-11-28", 3), ("2026-11-29", 1)]
            assert (told["timezone"], told["until"]) == ("Pacific/Auckland", "2026-11-29")
            (root / "heartbeats.yaml").unlink()
            assert (await operator.http.post("/api/reload")).status_code == 200
            assert (await operator.say("hello")).status_code == 402  # that day is as it was
            (root / "agents/main.yaml").write_text(LIMITED.replace("0.25", "0.35"))
            assert (await operator.http.post("/api/reload")).status_code == 200
            assert (await operator.say("hello")).status_code == 200  # it may cost more by now
            assert (await operator.say("hello")).status_code == 402

    asyncio.run(scene())


def test_what_is_known_in_part_is_said_to_be_the_least(tmp_path: Path, model: MessagesServer) -> None:
    root, state = place(tmp_path / "project", model, **{"heartbeats.yaml": noon()}), tmp_path / "state"
    cached = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 30}
    model.say(text("Well."), Reply({"type": "text", "text": "Well."}, usage=cached))

    async def scene() -> None:
        async with lived(root, state) as (_, operator):
            assert (await used(operator))["usage"] == []
            assert (await operator.say("hello")).status_code == 200
            assert (await operator.say("hello", agent="plain")).status_code == 200
            told = await used(operator, by="agent")
            rows = {row["agent"]: row for row in told["usage"]}
            assert (rows["main"]["cost_usd"], rows["main"]["cost_complete"]) == (pytest.approx(0.1), True)
            assert (rows["plain"]["cost_usd"], rows["plain"]["cache_ratio"]) == (None, 0.75)
            assert (told["total"]["cost_usd"], told["total"]["cost_complete"]) == (pytest.approx(0.1), False)
            wrong = await operator.http.get("/api/usage", params={"since": "yesterday"})
            assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_field")

    asyncio.run(scene())
    shown = command("-C", root, "--state", state, "usage", "--by", "agent")
    assert shown.returncode == 0, shown.stderr
    head, names, main, plain, total = [line.split() for line in shown.stdout.splitlines()]
    assert head[-3:-1] == ["days", "of"] and head[-1].startswith("Etc/GMT")
    assert names == ["AGENT", "TURNS", "CALLS", "INPUT", "CACHED", "OUTPUT", "COST"]
    assert main == ["main", "1", "1", "10", "0", "%", "5", "$0.1000"]
    assert plain == ["plain", "1", "1", "40", "75", "%", "5", "-"]
    assert total == ["total", "2", "2", "50", "60", "%", "10", "at", "least", "$0.1000"]
    both = command("-C", root, "--state", state, "usage", "--by", "model,agent").stdout.splitlines()
    assert both[1].split()[:3] == ["AGENT", "MODEL", "TURNS"] and both[2].split()[:2] == ["main", "claude-sonnet-5-5"]
    of_models = json.loads(command("-C", root, "--state", state, "usage", "--by", "model", "--json").stdout)
    assert [row["model"] for row in of_models["usage"]] == ["claude-nobody-knows", "claude-sonnet-5-5"]


def test_an_answer_without_figures_counts_at_a_price_that_nobody_knows(tmp_path: Path, model: MessagesServer) -> None:
    free = PRICED.replace("capabilities: []", "capabilities: [], price: {{input: 0, output: 0}}").format(url=model.url)
    root = place(tmp_path / "project", model, **{"heartbeats.yaml": noon(), "models.yaml": free})
    model.say(*[Reply({"type": "text", "text": "Well."}, usage={}) for _ in range(2)])

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (_, operator):
            for agent in ("main", "plain"):
                assert (await operator.say("hello", agent=agent)).status_code == 200
            rows = {row["agent"]: row for row in (await used(operator, by="agent"))["usage"]}
            assert (rows["main"]["calls"], rows["main"]["calls_unpriced"], rows["main"]["cost_usd"]) == (1, 1, None)
            assert (rows["plain"]["calls"], rows["plain"]["calls_unpriced"], rows["plain"]["cost_usd"]) == (1, 0, 0.0)

    asyncio.run(scene())


def test_searches_that_the_service_makes_cost_what_they_do_or_nobody_knows_all(
    tmp_path: Path, model: MessagesServer
) -> None:
    priced = PRICED.replace("output: 0}", "output: 0, web_search: 50}").replace(
        "capabilities: []", "capabilities: [], price: {{input: 10000, output: 0}}"
    )
    files = {"heartbeats.yaml": noon(), "models.yaml": priced.format(url=model.url)}
    root = place(tmp_path / "project", model, **files)
    searched = {"input_tokens": 10, "output_tokens": 5, "server_tool_use": {"web_search_requests": 2}}
    model.say(*[Reply({"type": "text", "text": "Well."}, usage=searched) for _ in range(2)])

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (_, operator):
            for agent in ("main", "plain"):
                assert (await operator.say("hello", agent=agent)).status_code == 200
            rows = {row["agent"]: row for row in (await used(operator, by="agent"))["usage"]}
            assert (rows["main"]["cost_usd"], rows["main"]["calls_unpriced"]) == (pytest.approx(0.2), 0)
            assert (rows["plain"]["cost_usd"], rows["plain"]["calls_unpriced"]) == (pytest.approx(0.1), 1)
            said = (await operator.say("/usage", agent="plain")).json()["reply"]
            assert ", with 2 searches of the web. " in said and "Plain cost at least $0.1000 today" in said

    asyncio.run(scene())


def test_a_summary_that_was_asked_for_takes_tokens_and_is_no_turn(tmp_path: Path, model: MessagesServer) -> None:
    small = AGENT + "compaction: {at_tokens: 2000, keep_tokens: 1}\n"
    root = place(tmp_path / "project", model, **{"agents/main.yaml": small, "heartbeats.yaml": noon()})
    model.say(text("Well."), text("<summary>They greeted.</summary>"))

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (_, operator):
            await operator.say("remember the blue door " * 40)
            assert "Shortened" in (await operator.say("/compact")).json()["reply"]
            assert "taken back" in (await operator.say("/undo_compact")).json()["reply"]
            [row] = (await used(operator, by="agent"))["usage"]
            assert (row["turns"], row["calls"], row["input_tokens"]) == (1, 2, 20)

    asyncio.run(scene())


def test_the_demo_is_known_to_cost_nothing(tmp_path: Path) -> None:
    root, state = project(tmp_path / "project", "http://127.0.0.1:9"), tmp_path / "state"

    async def scene() -> None:
        async with lived(root, state, demo=True) as (_, operator):
            assert (await operator.say("hello")).status_code == 200
            [row] = (await used(operator, by="model"))["usage"]
            assert (row["model"], row["cost_usd"], row["cost_complete"]) == ("demo", 0.0, True)

    asyncio.run(scene())
    shown = command("-C", root, "--state", state, "usage").stdout.splitlines()
    assert shown[-1].split()[0] == "total" and shown[-1].split()[-1] == "$0.0000"


def test_nothing_is_said_in_words_and_a_wrong_day_is_wrong_usage(tmp_path: Path, model: MessagesServer) -> None:
    root = place(tmp_path / "project", model)
    shown = command(
        "-C", root, "--state", tmp_path / "state", "usage", "--since", "2026-11-01", "--until", "2026-11-02"
    )
    assert (shown.returncode, shown.stdout) == (0, "Nothing was used from 2026-11-01 to 2026-11-02 (UTC).\n")
    wrong = command("-C", root, "--state", tmp_path / "state", "usage", "--since", "soon")
    assert wrong.returncode == 2 and "`soon` is no day" in wrong.stderr
    for words, said in (
        (("--by", "agent,weather"), "`agent,weather` is none of day, agent, model"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "2026-11-02, is after the last, 2026-11-01"),
    ):
        wrong = command("-C", root, "--state", tmp_path / "state", "usage", *words)
        assert wrong.returncode == 2 and said in wrong.stderr
    assert not (tmp_path / "state").exists()

    async def beside() -> None:
        async with lived(root, tmp_path / "state"):
            await until(lambda: listens(tmp_path / "state" / "control.sock"), "the control socket")
            asked = ("-C", root, "--state", tmp_path / "state", "usage", "--since", "soon")
            wrong = await asyncio.to_thread(command, *asked)
            assert wrong.returncode == 2 and "`soon` is no day" in wrong.stderr

    asyncio.run(beside())


def test_one_question_beyond_the_budget_ends_with_five(tmp_path: Path, model: MessagesServer) -> None:
    files = {"agents/main.yaml": LIMITED.replace("0.25", "0.1"), "channels.yaml": CHANNELS + "  repl: {kind: repl}\n"}
    files["heartbeats.yaml"] = noon()
    root, state = place(tmp_path / "project", model, **files), tmp_path / "state"
    model.say(text("Well."))
    asked = ("-C", root, "--state", state, "chat", "hello")
    assert command(*asked).returncode == 0
    alone = command(*asked)
    assert (alone.returncode, alone.stdout) == (5, "") and "usd_per_day" in alone.stderr

    async def scene() -> None:
        async with lived(root, state):
            await until(lambda: listens(state / "control.sock"), "the control socket")
            beside = await asyncio.to_thread(command, *asked)
            assert (beside.returncode, beside.stdout) == (5, "") and "usd_per_day" in beside.stderr
            status = await asyncio.to_thread(command, "-C", root, "--state", state, "status")
            assert "  $0.1000 of $0.1 today" in status.stdout

    asyncio.run(scene())


LOOKED_ON = """\
import sys
import threading

from openclaw.cli import main

threads = {}


class Looking:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "genai_prices":
            threads[name] = threading.current_thread() is threading.main_thread()


sys.meta_path.insert(0, Looking())
code = main(sys.argv[1:])
print(threads["genai_prices.data"], any(threads.values()))
sys.exit(code)
"""
FOREIGN = """\
default: smart
models:
  smart: {{id: claude-sonnet-5-5, base_url: "{url}", api_key: test-key, fallback: [there]}}
  there: {{id: deepseek-chat, base_url: "https://api.deepseek.com/anthropic", api_key: none}}
"""


def test_the_list_of_prices_is_read_beside_the_loop_that_serves_people(tmp_path: Path, model: MessagesServer) -> None:
    files = {"models.yaml": FOREIGN.format(url=model.url), "channels.yaml": CHANNELS + "  repl: {kind: repl}\n"}
    root = place(tmp_path / "project", model, **files)
    (root / "agents/plain.yaml").unlink()
    model.say(text("Well."))
    asked = ("-C", root, "--state", tmp_path / "state", "chat", "hello")
    ran = subprocess.run(
        [sys.executable, "-c", LOOKED_ON, *map(str, asked)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["Well.", "False False"]


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_what_a_crash_took_from_the_rows_is_found_in_the_transcript(tmp_path: Path, model: MessagesServer) -> None:
    root, state = place(tmp_path / "project", model), tmp_path / "state"
    model.say("Well.", "Well.", "Well.")

    async def say() -> dict[str, Any]:
        async with lived(root, state) as (_, operator):
            assert (await operator.say("hello")).status_code == 200
            return (await used(operator, by="agent"))["usage"][0]

    assert asyncio.run(say())["calls"] == 1
    with closing(sqlite3.connect(state / "runtime.db")) as db, db:  # as if that bill had never been written
        assert db.execute("DELETE FROM spending").rowcount + db.execute("DELETE FROM counted").rowcount == 2
    assert asyncio.run(say())["calls"] == 2
    assert asyncio.run(say())["calls"] == 3


def test_what_a_real_model_took_before_a_crash_is_not_called_free_by_the_demo(
    tmp_path: Path, model: MessagesServer
) -> None:
    small = AGENT + "compaction: {at_tokens: 2000, keep_tokens: 1}\n"
    root, state = place(tmp_path / "project", model, **{"agents/main.yaml": small}), tmp_path / "state"
    (root / "agents/plain.yaml").unlink()
    model.say(text("Well."), text("<summary>They greeted.</summary>"))

    async def say(*words: str, demo: bool) -> dict[str, Any]:
        async with lived(root, state, demo=demo) as (_, operator):
            for said in words:
                assert (await operator.say(said)).status_code == 200
            return {row["model"]: row for row in (await used(operator, by="model"))["usage"]}

    asyncio.run(say("remember the blue door " * 40, "/compact", demo=False))
    with closing(sqlite3.connect(state / "runtime.db")) as db, db:  # as if no bill had ever been written
        assert db.execute("DELETE FROM spending").rowcount and db.execute("DELETE FROM counted").rowcount
    rows = asyncio.run(say("hello", demo=True))
    unpriced = {name: (row["calls"], row["calls_unpriced"]) for name, row in rows.items()}
    assert unpriced == {"claude-sonnet-5-5": (1, 1), "unknown": (1, 1), "demo": (1, 0)}


@pytest.mark.parametrize("end", ["put aside by the runtime", "put aside by a person"])
def test_what_a_crash_left_counts_also_where_no_turn_goes_on_there(
    tmp_path: Path, model: MessagesServer, end: str
) -> None:
    root, state = place(tmp_path / "project", model, **{"heartbeats.yaml": noon()}), tmp_path / "state"
    model.say("Well.")

    async def begun() -> None:
        async with lived(root, state) as (_, operator):
            assert (await operator.say("hello")).status_code == 200

    async def ended() -> None:
        async with lived(root, state) as (app, operator):
            if end == "put aside by a person":
                [session] = (await operator.http.get("/api/sessions")).json()["sessions"]
                assert (await operator.http.delete(f"/api/sessions/{session['key']}")).status_code == 200
            await until(lambda: app.tally.of_today("main").calls == 1 and not app.sessions.busy, "the count")
            [row] = (await used(operator))["usage"]
            assert (row["calls"], row["turns"]) == (1, 0)
            told = (await operator.http.get("/api/status")).json()["spent_today"]
            assert told["main"]["cost_usd"] == pytest.approx(0.1)

    asyncio.run(begun())
    with closing(sqlite3.connect(state / "runtime.db")) as db, db:  # as if that bill had never been written,
        assert db.execute("DELETE FROM spending").rowcount + db.execute("DELETE FROM counted").rowcount == 2
        if end == "put aside by the runtime":  # and three lives had ended before the message was settled
            db.execute("UPDATE inbox SET state = 'queued', attempts = 3, settled = NULL, reply = NULL")
    asyncio.run(ended())
    with closing(sqlite3.connect(state / "runtime.db")) as db:
        assert db.execute("SELECT sum(calls) FROM spending").fetchone() == (1,)


@pytest.mark.slow
def test_a_kill_in_the_middle_of_a_turn_loses_no_call_and_counts_none_twice(
    tmp_path: Path, model: MessagesServer
) -> None:
    root, state = place(tmp_path / "project", model, **{"heartbeats.yaml": noon()}), tmp_path / "state"
    half = Reply({"type": "text", "text": "Three."}, fault="stall")
    model.say(text("Hello."), Reply(tool("add", a=1, b=2)), half, text("Three."))

    async def killed() -> None:
        with Process(root, state) as process:
            async with Program(await process.address()) as operator:
                await operator.say("hello")
                asking = asyncio.create_task(operator.say("what is one and two?"))
                await until(lambda: len(model.requests) == 3, "the third request")
                process.process.kill()
                process.process.wait(30)
                await asyncio.gather(asking, return_exceptions=True)

    async def again() -> None:
        async with lived(root, state) as (app, operator):
            await until(lambda: not app.sessions.busy and len(model.requests) == 4, "the rest of the turn")
            [row] = (await used(operator))["usage"]
            # Of four requests three were answered, and those count; the turn that was cut off ended once.
            assert (row["turns"], row["calls"], row["input_tokens"]) == (2, 3, 30)

    asyncio.run(killed())
    asyncio.run(again())
    asyncio.run(again())  # nor does another start
