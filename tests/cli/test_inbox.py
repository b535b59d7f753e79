"""inbox: what waits, was put aside or given up, without a runtime and beside one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cli.test_state_commands import found, openclaw
from doubles.house import lived, project, until
from doubles.messages_server import MessagesServer
from openclaw.clock import SystemClock
from openclaw.messages import Address, Message, Reply, Route, Text
from openclaw.pending import Pending
from openclaw.secrecy import SECRETS
from openclaw.stores.files import Store

ANA = Address("telegram", "7")


def fill(state: Path) -> dict[str, str]:
    """One message that waits, one that was put aside, and a reply that was given up: their ids."""

    async def main() -> dict[str, str]:
        store, clock = Store(str(state), SystemClock()), SystemClock()
        await store.open()
        ids = {}
        for session, text in (("waits", "please wait"), ("parks", "poison\x1b[31m")):
            message = Message(text, ANA, (Text(text),), clock.now())
            ids[session] = (await store.inbox.accept(message, Route("main", session, text))).id
        await store.inbox.next("parks")
        await store.inbox.settle(ids["parks"], "parked", None, deliver=())
        ids["dead"] = await store.outbox.put(Reply(ANA, "never arrived", "s", "main"))
        await store.outbox.sent(ids["dead"], dead=True)
        ids["due"] = await store.outbox.put(Reply(ANA, "its channel is gone", "s", "main"))
        await store.close()
        return ids

    return asyncio.run(main())


def test_an_empty_inbox_says_so(tmp_path: Path) -> None:
    assert found(openclaw(tmp_path, "inbox", "list", "--json")) == []
    assert openclaw(tmp_path, "inbox", "list").stdout.startswith("Nothing waits")


def test_what_has_not_come_to_its_end_is_listed_shown_tried_again_and_dropped(tmp_path: Path) -> None:
    ids = fill(tmp_path)
    listed = found(openclaw(tmp_path, "inbox", "list", "--json"))
    assert [(one["state"], one["id"]) for one in listed] == [
        ("queued", ids["waits"]), ("parked", ids["parks"]), ("undelivered", ids["due"]), ("dead", ids["dead"])
    ]  # fmt: skip
    assert [("sender" in one, "to" in one) for one in listed] == [(True, False)] * 2 + [(False, True)] * 2
    shown = openclaw(tmp_path, "inbox", "show", ids["parks"]).stdout
    assert "sender: " in shown and "to: " in openclaw(tmp_path, "inbox", "show", ids["dead"]).stdout
    assert "parked" in shown and "poison" in shown and "\x1b" not in shown
    assert "only what is parked or dead" in openclaw(tmp_path, "inbox", "retry", ids["waits"]).stderr
    assert "nothing is pending under nobody" in openclaw(tmp_path, "inbox", "drop", "nobody").stderr
    assert openclaw(tmp_path, "inbox", "retry", ids["parks"]).returncode == 0
    assert openclaw(tmp_path, "inbox", "drop", ids["waits"]).stdout == f"{ids['waits']} is dropped\n"
    for reply in (ids["dead"], ids["due"]):
        assert found(openclaw(tmp_path, "inbox", "drop", reply, "--json")) == {"id": reply, "dropped": True}
    left = found(openclaw(tmp_path, "inbox", "list", "--json"))
    assert [(one["state"], one["id"], one["attempts"]) for one in left] == [("queued", ids["parks"], 0)]


def test_a_secret_that_somebody_wrote_is_struck_out_of_what_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SHOP_KEY=open-sesame-1234567890\n", "utf-8")
    said = Route("main", "s", "it is open-sesame-1234567890, or sk-ant-0123456789abcdef0123")

    async def main() -> list[str]:
        store = Store(str(tmp_path / "state"), SystemClock())
        await store.open()
        await store.inbox.accept(Message("1", ANA, (Text(said.text),), SystemClock().now()), said)
        await store.outbox.sent(await store.outbox.put(Reply(ANA, said.text, "s", "main")), dead=True)
        SECRETS.hold("test", ["open-sesame-1234567890"])
        told = [str(one["text"]) for one in await Pending(store).listed()]
        await store.close()
        return told

    try:
        assert asyncio.run(main()) == ["it is ***, or ***"] * 2
    finally:
        SECRETS.drop("test")
    for what in (["list"], ["show", "r1"]):
        told = openclaw(tmp_path / "state", "-C", str(tmp_path), "inbox", *what).stdout
        assert "it is ***, or ***" in told and "sesame" not in told


@pytest.mark.slow
def test_a_running_runtime_tells_its_inbox_and_answers_what_is_tried_again(tmp_path: Path) -> None:
    ids = fill(tmp_path / "state")

    async def scene(model: MessagesServer) -> None:
        root = project(tmp_path / "project", model.url)
        async with lived(root, tmp_path / "state") as (_, operator):
            await until(lambda: model.requests, "the answer to what waited", 40)
            status = (await operator.http.get("/api/status")).json()
            assert [status["inbox"][state] for state in ("parked", "undelivered", "dead")] == [1, 1, 1]
            assert status["disk"] == {"full": False}
            metrics = (await operator.http.get("/metrics")).text
            assert 'openclaw_inbox{state="undelivered"} 1.0' in metrics and "openclaw_disk_full 0.0" in metrics
            assert "1 put aside; replies undelivered: 1, given up: 1" in (await operator.say("/status")).json()["reply"]
            listed = (await operator.http.get("/api/inbox")).json()["inbox"]
            assert {one["id"]: one["state"] for one in listed if one["state"] not in ("queued", "running")} == {
                ids["parks"]: "parked", ids["due"]: "undelivered", ids["dead"]: "dead"
            }  # fmt: skip
            before = len(model.requests)
            assert (await operator.http.post(f"/api/inbox/{ids['parks']}/retry")).json()["retried"]
            await until(lambda: len(model.requests) > before, "the answer to what was put aside", 40)
            for reply in (ids["dead"], ids["due"]):
                assert (await operator.http.delete(f"/api/inbox/{reply}")).json()["dropped"]
            for request in (operator.http.post("/api/inbox/r9/retry"), operator.http.delete("/api/inbox/r9")):
                assert (await request).json()["code"] == "not_pending"
            last = (await operator.http.get("/api/inbox")).json()["inbox"]
            assert [one for one in last if one["state"] not in ("queued", "running")] == []

    with MessagesServer() as model:
        asyncio.run(asyncio.wait_for(scene(model), 120))
