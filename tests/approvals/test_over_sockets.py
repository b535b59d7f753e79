"""Answers over real sockets: whoever presses what, how often, from how many places, a call runs once or not at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doubles.house import TOKEN, Program, lived, project, until
from doubles.messages_server import MessagesServer, Reply, text, tool

CHANNELS = f"""\
channels:
  http:
    kind: http
    port: 0
    token: {TOKEN}
    limits: {{requests_per_minute: 1000000}}
    tokens:
      nader: {{secret: nader-secret-0123456789, as: nader, scopes: [chat, approve]}}
      guest: {{secret: guest-secret-0123456789, as: guest, scopes: [chat, approve]}}
      shop: {{secret: shop-secret-0123456789, senders: declared, scopes: [chat]}}
people:
  nader: {{ids: ["http:nader/nader"], owner: true}}
  guest: {{ids: ["http:guest/guest"]}}
"""
TOOLS = """\
tools:
  pay: {python: "till:pay"}
policies:
  works: {default: ask}
"""
TILL = '''\
from pathlib import Path

import openclaw


@openclaw.tool
def pay(to: str) -> str:
    """Pays."""
    with Path(__file__).with_name("paid.txt").open("a") as paid:
        paid.write(to + "\\n")
    return "paid"
'''
YES = {"decision": "allow-once"}


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(key="test-key") as server:
        yield server
    assert server.violations == []


def house(root: Path, model: MessagesServer) -> Path:
    agent = "name: M\ndescription: d\ndefault: true\nmodel: smart\ntools: [pay]\npolicy: works\n"
    files = {"agents/main.yaml": agent, "tools.yaml": TOOLS, "till.py": TILL, "channels.yaml": CHANNELS}
    return project(root, model.url, files=files)


async def asked(operator: Program, session: str) -> tuple[str, str]:
    """A message that waits, and the place of its question."""
    answer = await operator.say("pay", session=session)
    assert answer.status_code == 202, answer.text
    [approval] = (await operator.http.get("/api/approvals")).json()["pending"]
    return answer.json()["id"], f"/api/approvals/{approval['id']}"


@pytest.mark.parametrize("trials", [4, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_double_clicks_replays_and_two_people_at_once_pay_once(
    tmp_path: Path, model: MessagesServer, trials: int
) -> None:
    root = house(tmp_path / "project", model)
    for number in range(trials):
        model.say(Reply(tool("pay", to=f"account {number}")), text("done"))

    async def trial(number: int, programs: list[Program], strangers: list[Program]) -> None:
        operator, nader = programs
        message, place = await asked(operator, f"s{number}")
        refused = await asyncio.gather(*(one.http.post(place, json=YES) for one in strangers))
        assert [one.status_code for one in refused] in ([403, 403, 401], [403, 403, 429])
        presses = [operator, operator, nader, nader]
        clicks = await asyncio.gather(*(one.http.post(place, json=YES) for one in presses))
        assert sorted(click.status_code for click in clicks) == [200, 404, 404, 404]
        told: dict[str, Any] = {}
        while told.get("status") != "done":
            told = (await operator.http.get(f"/api/messages/{message}")).json()
            await asyncio.sleep(0.002)
        replays = await asyncio.gather(*(one.http.post(place, json=YES) for one in programs))
        assert [replay.status_code for replay in replays] == [404, 404]

    async def scene() -> None:
        async with (
            lived(root, tmp_path / "state") as (_, operator),
            Program(str(operator.http.base_url), "nader-secret-0123456789") as nader,
            Program(str(operator.http.base_url), "guest-secret-0123456789") as guest,
            Program(str(operator.http.base_url), "shop-secret-0123456789") as shop,
            Program(str(operator.http.base_url), None) as nobody,
        ):
            for number in range(trials):
                await trial(number, [operator, nader], [guest, shop, nobody])

    asyncio.run(asyncio.wait_for(scene(), 900))
    paid = Counter((root / "paid.txt").read_text().splitlines())
    assert paid == Counter(f"account {number}" for number in range(trials))


@pytest.mark.parametrize("trials", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_a_reload_that_changes_the_policy_while_the_click_arrives_pays_at_most_what_was_answered(
    tmp_path: Path, model: MessagesServer, trials: int
) -> None:
    """Whichever comes first, a call runs only where its answer was taken, and never under a policy that denies."""
    root = house(tmp_path / "project", model)
    for number in range(trials):
        model.say(Reply(tool("pay", to=f"account {number}")), text("done"))
    taken: list[str] = []

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, operator):
            for number in range(trials):
                _, place = await asked(operator, f"s{number}")
                within = f"works: {{default: ask, answer_within: {number + 6}m}}"
                (root / "tools.yaml").write_text(TOOLS.replace("works: {default: ask}", within))
                race = [operator.http.post("/api/reload"), operator.http.post(place, json=YES)]
                answers = await asyncio.gather(*(race if number % 2 else race[::-1]))
                click = answers[number % 2]
                assert click.status_code in (200, 404)
                if click.status_code == 200:
                    taken.append(f"account {number}")
                await until(lambda: not app.sessions.running(), "the end of the turn")

    asyncio.run(asyncio.wait_for(scene(), 300))
    paid = (root / "paid.txt").read_text().splitlines() if (root / "paid.txt").exists() else []
    assert set(paid) <= set(taken) and len(paid) == len(set(paid))


@pytest.mark.slow
def test_a_click_on_a_question_of_before_a_restart_pays_nothing_by_itself(
    tmp_path: Path, model: MessagesServer
) -> None:
    root, state = house(tmp_path / "project", model), tmp_path / "state"
    model.say(Reply(tool("pay", to="ana")), text("done"))

    async def first() -> str:
        async with lived(root, state) as (_, operator):
            return (await asked(operator, "s"))[1]

    async def second(before: str) -> None:
        async with lived(root, state) as (app, operator):
            assert (await operator.http.post(before, json=YES)).status_code == 404
            await until(lambda: app.approvals.pending(), "the question, put again")
            assert not (root / "paid.txt").exists()
            [approval] = app.approvals.pending()
            assert (await operator.http.post(before, json=YES)).status_code == 404
            assert (await operator.http.post(f"/api/approvals/{approval.id}", json=YES)).status_code == 200
            await until(lambda: not app.sessions.running(), "the end of the turn")

    place = asyncio.run(asyncio.wait_for(first(), 40))
    asyncio.run(asyncio.wait_for(second(place), 40))
    assert (root / "paid.txt").read_text() == "ana\n"
