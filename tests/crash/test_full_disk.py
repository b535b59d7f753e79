"""A disk that is full for a while under a whole runtime: nothing new is taken in and nothing taken in is lost."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from doubles.house import AGENT, CHANNELS, Leaping, Process, Program, events, lived, project, until
from doubles.messages_server import MessagesServer, Reply
from doubles.telegram_server import TOKEN as BOT
from doubles.telegram_server import TelegramServer

EVENTS = {"Accept": "text/event-stream"}
LONG = "It goes on and on." * 1000  # no page that is there already has room for it
LATER = {"Prefer": "respond-async"}
TELEGRAM = '  telegram: {{kind: telegram, token: "{bot}", api_base: "{url}", allow: [7]}}\n'


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes, for root on Linux."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Path]:
    """A file system on which no file can be made any more."""
    folder = tmp_path / "crowded"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "nr_inodes=4", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        with pytest.raises(OSError, match="No space left"):
            for number in range(5):
                (folder / f"filler-{number}").touch()
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(file: Path) -> None:
    """To the last byte."""
    with file.open("ab", buffering=0) as written:
        for size in (1 << 16, 1 << 10, 1):
            while True:
                try:
                    written.write(b"x" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    break


def echo(body: dict[str, Any], full: threading.Event | None = None) -> Reply:
    """A slow answer ends when the disk is `full`."""
    said = body["messages"][-1]["content"][-1]["text"]
    if said == "slow":
        return Reply({"type": "text", "text": LONG}, until=full)
    return Reply({"type": "text", "text": f"You said: {said}"})


@pytest.mark.slow
def test_on_a_full_disk_the_runtime_takes_nothing_in_and_goes_on_when_there_is_room(
    small: Path, tmp_path: Path
) -> None:
    async def scene(model: MessagesServer, telegram: TelegramServer) -> None:
        files = {"channels.yaml": CHANNELS + TELEGRAM.format(bot=BOT, url=telegram.url)}
        root = project(tmp_path / "project", model.url, files=files)
        clock = Leaping()
        async with lived(root, small / "state", clock=clock) as (app, operator):
            await until(lambda: telegram.called("getUpdates"), "the first poll")
            first = (await operator.say("before")).json()
            assert first.get("reply") == "You said: before", first
            slow = asyncio.create_task(operator.say("slow", sender="slow"))
            await until(lambda: len(model.requests) == 2, "the turn that is under way", 40)
            (small / "state" / "reserve").unlink()  # somebody else was faster: even what was begun finds no room
            fill(small / "filler")
            full.set()
            refused = await operator.say("too much", sender="new")
            assert (refused.status_code, refused.json()["code"]) == (503, "full")
            assert int(refused.headers["Retry-After"]) >= 1
            ask = {"model": "openclaw", "messages": [{"role": "user", "content": "x"}]}
            completion = await operator.http.post("/v1/chat/completions", json=ask)
            assert (completion.status_code, completion.json()["error"]["code"]) == (503, "full")
            telegram.say("on the phone", by=7)
            disk = (await operator.http.get("/api/status")).json()["disk"]
            assert disk["full"] and "the disk is full" in (await operator.http.get("/readyz")).json()["detail"]
            assert "THE DISK IS FULL" in (await operator.say("/status")).json()["reply"]
            assert "openclaw_disk_full 1.0" in (await operator.http.get("/metrics")).text
            await until(lambda: app.space.waiting, "work that waits for room")
            await asyncio.sleep(1.5)  # it is tried again meanwhile
            clock.ahead += 7200  # far more than a turn may take, which waits for room through no fault of its own
            await asyncio.sleep(0.5)
            assert app.failure is None and telegram.waiting  # it was not told that this was taken
            (small / "filler").unlink()
            assert (await slow).json()["reply"] == LONG
            await until(lambda: telegram.texts(7), "the answer on Telegram")
            assert telegram.texts(7) == ["You said: on the phone"]
            assert (await operator.say("after")).json()["reply"] == "You said: after"
            assert (await operator.http.get("/api/status")).json()["disk"] == {"full": False}

    full = threading.Event()
    with MessagesServer(otherwise=partial(echo, full=full)) as model, TelegramServer() as telegram:
        asyncio.run(asyncio.wait_for(scene(model, telegram), 90))


@pytest.mark.slow
def test_what_a_full_disk_and_a_kill_left_is_answered_when_there_is_room(small: Path, tmp_path: Path) -> None:
    async def scene(model: MessagesServer, telegram: TelegramServer) -> None:
        files = {"channels.yaml": CHANNELS + TELEGRAM.format(bot=BOT, url=telegram.url)}
        root, state = project(tmp_path / "project", model.url, files=files), small / "state"
        with Process(root, state) as first:
            async with Program(await first.address()) as operator:
                slow = (await operator.http.post("/api/messages", json={"text": "slow"}, headers=LATER)).json()["id"]
                await until(lambda: model.requests, "the turn that is under way", 40)
                fill(small / "filler")
                full.set()
                telegram.say("on the phone", by=7)
                await until(lambda: "nothing new is taken in" in first.log, "word of the full disk")
                refused = await operator.http.post("/api/messages", json={"text": "new"}, headers=LATER)
                assert refused.status_code == 503
                first.process.kill()
                first.process.wait(10)
        assert telegram.waiting
        (small / "filler").unlink()
        with Process(root, state) as second:
            async with Program(await second.address()) as operator:
                again = await operator.http.post("/api/messages", json={"text": "new"}, headers=LATER)
                assert again.status_code == 202
                for id, reply in ((slow, LONG), (again.json()["id"], "You said: new")):
                    assert await reply_to(operator, id) == reply
            await until(lambda: telegram.texts(7), "the answer on Telegram", 40)
            assert telegram.texts(7) == ["You said: on the phone"]

    full = threading.Event()
    with MessagesServer(otherwise=partial(echo, full=full)) as model, TelegramServer() as telegram:
        asyncio.run(asyncio.wait_for(scene(model, telegram), 150))
    assert model.violations == []


@pytest.mark.slow
def test_a_message_waits_for_room_for_the_workspace_in_which_it_is_answered(
    crowded: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def waited() -> int:
        return caplog.text.count("there is no room for the workspace")

    async def scene(model: MessagesServer) -> None:
        files = {"agents/main.yaml": f"{AGENT}workspace: {crowded / 'desk'}\n"}
        root, clock = project(tmp_path / "project", model.url, files=files), Leaping()
        async with lived(root, tmp_path / "state", clock=clock) as (app, operator):
            said = asyncio.create_task(operator.say("hello"))
            await until(waited, "word of it")
            for _ in range(3):  # it is tried again, and finds no room either
                clock.ahead += 10
                await asyncio.sleep(0.2)
                await until(lambda: app.space.resting and not app.sessions.busy, "the end of another try")
            assert waited() == 1, "said once"
            assert not model.requests and not said.done() and app.failure is None
            (crowded / "filler-0").unlink()
            clock.ahead += 10
            assert (await said).json()["reply"] == "You said: hello"

    with MessagesServer(otherwise=echo) as model:
        asyncio.run(asyncio.wait_for(scene(model), 60))


async def reply_to(operator: Program, id: str) -> str:
    """The reply of a message that was accepted before; its events are told again, the last of all is that."""
    async with operator.http.stream("GET", f"/api/messages/{id}/events", headers=EVENTS) as response:
        told = [told async for name, told in events(response) if name == "reply"]
    return str(told[-1]["reply"])
