"""Who is told what a limit was reached at: whoever is known and reads alone, and nobody else, whichever limit it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doubles.house import AGENT, CHANNELS, Program, lived, project
from doubles.messages_server import MessagesServer, Reply, text, tool
from openclaw.app import App
from openclaw.messages import Accepted, Address, Finished, Message, Progress, Text
from openclaw.names import fresh

PRICED = """\
default: smart
models:
  smart: {{id: claude-sonnet-5-5, base_url: "{url}", api_key: test-key, price: {{input: 10000, output: 0}}}}
"""
GROUP = "telegram:-100123"
TELEGRAM = '  telegram: {kind: telegram, token: "123456789:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", enabled: false}\n'
NADER = 'people:\n  nader: {ids: ["telegram:7"]}\n'


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(key="test-key") as server:
        yield server
    assert server.violations == []


async def ran(operator: Program, name: str) -> dict[str, Any]:
    begun = (await operator.http.post(f"/api/heartbeats/{name}/run")).json()
    async with asyncio.timeout(60):
        while True:
            rows = (await operator.http.get("/api/heartbeats/history")).json()["runs"]
            row: dict[str, Any] = next(row for row in rows if row["message"] == begun["id"])
            if row["outcome"] not in ("queued", "running"):
                return row
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("run", "day", "quiet", "open"),
    [
        (", max_cost_usd: 0.05", "", "reached what one run may cost", "cost $0.1000; at most $0.05 is allowed"),
        ("", "limits: {usd_per_day: 0.05}\n", "limit of today is reached", "cost $0.1000 today, and $0.05 a day"),
    ],
)
def test_a_group_that_a_heartbeat_reports_to_hears_of_a_limit_without_figures(
    tmp_path: Path, model: MessagesServer, run: str, day: str, quiet: str, open: str
) -> None:
    beats = f'heartbeats:\n  dawn: {{cron: "0 5 * * *", prompt: Say good morning., deliver: ["{GROUP}"]{run}NOTIFY}}\n'
    alone = beats.replace("dawn", "dusk").replace("NOTIFY", ", notify: nader").replace("heartbeats:\n", "")
    files = {
        "models.yaml": PRICED.format(url=model.url),
        "agents/main.yaml": AGENT + day,
        "channels.yaml": CHANNELS + TELEGRAM + NADER,
        "heartbeats.yaml": beats.replace("NOTIFY", "") + alone,
    }
    root = project(tmp_path / "project", model.url, files=files)
    model.say(*[Reply(tool("add", a=1, b=2)) for _ in range(2)], text("done"))

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, operator):
            found = app.supervisor.current.snapshot.heartbeats
            assert [str(one) for one in found["dawn"].notify] == [GROUP]
            said = (await ran(operator, "dawn"))["reply"]  # which is what the notice says that it failed for
            assert quiet in said and "$" not in said
            assert open in (await ran(operator, "dusk"))["reply"]

    asyncio.run(scene())


def test_a_run_that_searched_at_an_unknown_price_has_cost_at_least_what_is_known(
    tmp_path: Path, model: MessagesServer
) -> None:
    beats = 'heartbeats:\n  dusk: {cron: "0 5 * * *", prompt: Say good night., notify: nader, max_cost_usd: 0.05}\n'
    files = {
        "models.yaml": PRICED.format(url=model.url),
        "channels.yaml": CHANNELS + TELEGRAM + NADER,
        "heartbeats.yaml": beats,
    }
    root = project(tmp_path / "project", model.url, files=files)
    searched = {"input_tokens": 10, "output_tokens": 5, "server_tool_use": {"web_search_requests": 2}}
    model.say(Reply(tool("add", a=1, b=2), usage=searched))

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (_, operator):
            assert "has cost at least $0.1000; at most $0.05" in (await ran(operator, "dusk"))["reply"]

    asyncio.run(scene())


def test_a_hook_names_figures_only_where_its_answer_goes_to_somebody_known(
    tmp_path: Path, model: MessagesServer
) -> None:
    files = {
        "models.yaml": PRICED.format(url=model.url),
        "agents/main.yaml": AGENT + "limits: {usd_per_day: 0.1}\n",
        "channels.yaml": CHANNELS + TELEGRAM + NADER + '  alarm: {ids: ["http:hook/alarm"]}\n',
    }
    root = project(tmp_path / "project", model.url, files=files)
    model.say(text("Well."))

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, operator):
            assert (await operator.say("hello")).status_code == 200
            for place, figures in ((GROUP, False), ("telegram:8", False), ("telegram:7", True)):
                said = await answered(app, Address("http", "hook/alarm"), Address.parse(place))
                assert ("cost $0.1000 today" in said) is figures and ("$" in said) is figures

    asyncio.run(scene())


async def answered(app: App, sender: Address, deliver: Address) -> str:
    """What is answered to a message whose answer goes elsewhere."""
    done: asyncio.Queue[str] = asyncio.Queue()

    def watch(event: Progress) -> None:
        if isinstance(event, Finished):
            done.put_nowait(event.reply.text)

    said = Message(id=fresh(), sender=sender, parts=(Text("look"),), at=app.clock.now(), deliver=(deliver,))
    assert isinstance(await app.sessions.post(said, watch), Accepted)
    return await asyncio.wait_for(done.get(), 60)
