"""`openclaw heartbeats`: run, paused, resumed, deleted and looked back on, beside a runtime and without one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doubles import warm
from doubles.beats import beat, ran
from doubles.served import Served
from openclaw.clock import ManualClock
from openclaw.messages import Account, Address, Message, Reply, Route, Text
from openclaw.stores.files import Store

Done = subprocess.CompletedProcess[str]
BEATS = """\
defaults: {timezone: Europe/London}
heartbeats:
  night: {cron: "0 3 * * *", prompt: "what is my cat?"}
  sent: {cron: "0 4 * * *", prompt: "run ls", deliver: "telegram:12345"}
"""
ENVIRONMENT = {**{key: value for key, value in os.environ.items() if "ANTHROPIC" not in key}, "NO_COLOR": "1"}


def command(at: Path, *arguments: str) -> list[str]:
    return [
        sys.executable, "-m", "openclaw", "-C", str(at / "project"), "--state", str(at / "state"), "heartbeats",
        *arguments,
    ]  # fmt: skip


def openclaw(at: Path, *arguments: str) -> Done:
    return warm.run(command(at, *arguments), text=True, timeout=60, env=ENVIRONMENT)


def listed(at: Path) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads(openclaw(at, "list", "--json").stdout)}


@pytest.fixture
def at(tmp_path: Path) -> Path:
    """Where there is a project, and a place for the state."""
    agents = tmp_path / "project" / "agents"
    agents.mkdir(parents=True)
    (agents / "main.yaml").write_text("name: Main\ndescription: Answers\ntools: [memory_search]\npolicy: careful\n")
    (agents.parent / "tools.yaml").write_text("policies: {careful: {default: ask, rules: [{allow: memory_search}]}}\n")
    (agents.parent / "channels.yaml").write_text("channels: {telegram: {kind: telegram, token: '1:x'}}\n")
    (agents.parent / "heartbeats.yaml").write_text(BEATS)
    return tmp_path


# ── beside a runtime ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def live(at: Path) -> Iterator[Served]:
    (at / "state").mkdir(mode=0o700)
    served = Served(at / "state")
    served.desk.beats = {
        "night": beat("night", next="2030-11-29T03:00:00.000Z"),
        "hung": beat("hung", prompt="wait"),
        "broken": beat("broken", prompt="fail", stopped="it failed 5 times in a row", failures=5, next=None),
        "reminder.1": beat("reminder.1", origin="reminder", cron=[], once="2030-12-01T09:00:00.000Z", says=True,
                           next="2030-12-01T09:00:00.000Z", prompt="Take the bread out", active_hours=None),
    }  # fmt: skip
    yield served
    served.close()


def test_the_list_says_how_each_stands_and_what_came_of_it(live: Served, at: Path) -> None:
    live.desk.beats["night"]["last_run"] = ran("night", "2030-11-28T03:00:00.000Z", "failed")
    done = openclaw(at, "list")
    rows = {line.split()[0]: " ".join(line.split()) for line in done.stdout.splitlines()}
    assert rows["night"] == ("night main 2030-11-29 03:00 Europe/London failed 2030-11-28 03:00 at 03:00, every day")
    assert rows["broken"].startswith("broken main stopped Europe/London -")
    assert rows["reminder.1"].endswith("2030-12-01 09:00 Europe/London - once: Take the bread out")
    assert "broken is stopped: it failed 5 times in a row" in done.stderr
    upcoming = openclaw(at, "next", "reminder.1", "--json", "--after", "2030-01-01")
    assert json.loads(upcoming.stdout) == ["2030-12-01T09:00:00+00:00"]


def test_a_run_is_waited_for_and_its_reply_alone_is_printed(live: Served, at: Path) -> None:
    done = openclaw(at, "run", "night")
    assert (done.returncode, done.stdout) == (0, "You said: Look round\n")
    assert "night runs in the session" in done.stderr
    failed = openclaw(at, "run", "broken")
    assert (failed.returncode, failed.stdout) == (1, "") and "the model did not answer" in failed.stderr
    live.desk.beats["broken"]["prompt"] = "keyless"
    refused = openclaw(at, "run", "broken")
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (4, "the model refuses the key")
    silent = live.desk.beats["night"]
    silent["prompt"] = "late NO_REPLY"
    quiet = openclaw(at, "run", "night")
    assert (quiet.returncode, quiet.stdout) == (0, "") and "nothing to say" in quiet.stderr
    unknown = openclaw(at, "run", "nigth")
    assert (unknown.returncode, unknown.stderr) == (
        2, "openclaw: there is no heartbeat nigth; did you mean night?\n"
    )  # fmt: skip


def test_an_interrupt_leaves_the_run_running_and_says_so(live: Served, at: Path) -> None:
    with warm.Popen(
        command(at, "run", "hung"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stderr is not None
        assert "hung runs in the session" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "hung goes on running" in errors
    running = asyncio.run(live.desk.find("m2"))
    assert running is not None and running.state == "running"


def test_the_operator_pauses_resumes_and_deletes(live: Served, at: Path) -> None:
    assert "night is paused" in openclaw(at, "pause", "night").stdout
    assert live.desk.beats["night"]["paused"]["by"] == "repl:local"
    assert openclaw(at, "resume", "broken").stdout == "broken goes on; next: -\n"
    assert live.desk.beats["broken"]["stopped"] is None
    assert openclaw(at, "delete", "reminder.1").stdout == "reminder.1 is deleted\n"
    kept = openclaw(at, "delete", "night")
    assert kept.returncode == 1 and "stands in heartbeats.yaml" in kept.stderr
    assert set(live.desk.beats) == {"night", "hung", "broken"}


def test_history_is_a_table_with_times_on_the_heartbeats_own_clock(live: Served, at: Path) -> None:
    to = [
        {"to": "telegram:1", "state": "sent", "tries": 1, "ended": "2026-07-01T02:00:03.000Z"},
        {"to": "telegram:2", "state": "dead", "tries": 12, "ended": "2026-07-01T02:09:00.000Z"},
    ]
    live.desk.runs = [
        ran("night", "2026-07-01T02:00:00.000Z", reply="\nAll is well.\nReally.", cost_usd=0.00123, deliveries=to),
        ran("gone", "2026-07-01T01:00:00.000Z", "missed", why="nothing ran then", count=3),
        ran("night", "2026-06-30T02:00:00.000Z", "quiet", check="exit 0", cause="hand"),
    ]
    lines = [" ".join(line.split()) for line in openclaw(at, "history").stdout.splitlines()]
    assert lines == [
        "NAME SCHEDULED OUTCOME TOOK COST DELIVERED TO WHAT",
        "night 2026-07-01 03:00 +01:00 answered 1.5 s $0.0012 telegram:1, telegram:2 (given up) All is well.",
        "gone 2026-07-01 01:00 +00:00 missed ×3 - - - nothing ran then",
        "night 2026-06-30 03:00 +01:00 quiet by hand 1.5 s - - exit 0",
    ]
    one = openclaw(at, "history", "night", "--limit", "1", "--json")
    assert [run["reply"] for run in json.loads(one.stdout)] == ["\nAll is well.\nReally."]
    assert openclaw(at, "history", "hung").stdout == "hung has not run yet.\n"
    assert openclaw(at, "history", "nobody").returncode == 2
    assert openclaw(at, "history", "--limit", "0").returncode == 2


# ── without one ──────────────────────────────────────────────────────────────────────────────────


def test_pausing_is_kept_in_the_state_folder_and_reading_makes_none(at: Path) -> None:
    assert listed(at)["night"]["paused"] is None
    assert openclaw(at, "history").stdout == "Nothing has run yet.\n"
    assert not (at / "state").exists()
    assert json.loads(openclaw(at, "pause", "night", "--json").stdout) == {"name": "night", "paused": True}
    night = listed(at)["night"]
    assert night["paused"]["by"] == "repl:local" and night["next"] is None
    assert "paused" in openclaw(at, "list").stdout.splitlines()[1]
    assert openclaw(at, "resume", "night").stdout.startswith("night goes on; next: 20")
    assert listed(at)["night"]["paused"] is None
    assert openclaw(at, "pause", "nobody").returncode == 2
    kept = openclaw(at, "delete", "night")
    assert kept.returncode == 1 and "stands in heartbeats.yaml" in kept.stderr


def test_history_outlives_its_runtime_and_a_project_that_breaks(at: Path) -> None:
    due = datetime(2026, 7, 1, 2, tzinfo=UTC)

    async def lived() -> None:
        store = Store(str(at / "state"), ManualClock(due))
        await store.open()
        cron, route = Address("cron", "night"), Route("main", "cron:night", "Look round")
        message = Message("night@1", cron, (Text("Look round"),), due, heartbeat="night")
        assert await store.marks.fire("night", due, message, route)
        queued = await store.inbox.next("cron:night")
        assert queued is not None
        reply = Reply(cron, "All is well.", "cron:night", "main", queued.id, account=Account("m", cost=0.5, seconds=2))
        await store.inbox.settle(queued.id, "done", reply, deliver=())
        await store.close()

    asyncio.run(lived())
    told = " ".join(openclaw(at, "history", "night").stdout.splitlines()[1].split())
    assert told == "2026-07-01 03:00 +01:00 answered 2.0 s $0.5000 - All is well."
    assert listed(at)["night"]["last_run"]["outcome"] == "answered"
    (at / "project" / "heartbeats.yaml").write_text("heartbeats: [")
    broken = openclaw(at, "history", "night")
    assert broken.returncode == 0 and "02:00 +00:00" in broken.stdout and "times are in UTC" in broken.stderr
    assert openclaw(at, "list").returncode == 3
    assert openclaw(at, "pause", "night").returncode == 3


def test_one_is_run_here_and_what_is_to_be_delivered_waits(at: Path) -> None:
    done = openclaw(at, "run", "night", "--demo")
    assert done.returncode == 0 and "I remember nothing about that" in done.stdout
    sent = openclaw(at, "run", "sent", "--demo")
    assert sent.returncode == 0 and sent.stdout and "telegram" not in sent.stderr
    assert openclaw(at, "run", "nobody", "--demo").returncode == 2
    assert openclaw(at, "run", "night").returncode == 4  # no credentials, and no demo model was asked for
    (at / "project/models.yaml").write_text("models: {mine: {kind: scripted, script: mine.yaml}}\ndefault: mine\n")
    (at / "project/mine.yaml").write_text("rules: []\notherwise: All is well.\n")
    sent = openclaw(at, "run", "sent")
    assert sent.returncode == 0 and sent.stdout == "All is well.\n"
    assert "it is delivered to telegram:12345 when a runtime runs here next" in sent.stderr
    table = openclaw(at, "history", "sent").stdout
    assert table.count("telegram:12345 (waits)") == 1 and table.count("answered by hand") == 2
