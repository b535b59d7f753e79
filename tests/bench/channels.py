"""What a channel adds: from the model's first token to the first character somebody sees, and a reply of 100 kB.

Each beside a floor of the same run: one bare call of the same client library to the same server, which nothing that
shows anything can do without. The desk behind the channel answers at once, so all that is left is the channel. From
the tests folder:

    python -m bench.channels [--rounds 20]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

from channels.test_repl_terminal import Terminal
from contract.faces import FACES, Discord, Http, Telegram
from doubles.desk import Desk
from doubles.house import until
from openclaw.messages import TextDelta

LONG = 100_000
Measured = tuple[float, float]  # seconds, and those of the floor


class Watched(Desk):
    """Notes when the first word of an answer was told."""

    first = 0.0

    def _tell(self, id: str, progress: Any) -> None:
        if isinstance(progress, TextDelta) and not self.first:
            self.first = time.monotonic()
        super()._tell(id, progress)


def watched(face: Any) -> Watched:
    desk: Watched = face.desk
    desk.__class__ = Watched
    desk.first = 0.0
    return desk


async def timed(act: Callable[[], Awaitable[Any]]) -> float:
    begun = time.monotonic()
    await act()
    return time.monotonic() - begun


# ── the first character ──────────────────────────────────────────────────────────────────────────


async def first_on_telegram(folder: Path) -> Measured:
    async with FACES["telegram"](folder) as face:
        assert isinstance(face, Telegram)
        desk, bot, ana = watched(face), face.channel._line.bot, int(face.address.id)  # type: ignore[attr-defined]
        await face.say("wait")
        seen = await until(lambda: face.server.called("sendMessageDraft"), "a draft")
        return seen[0].at - desk.first, await timed(lambda: bot.send_message_draft(ana, 99, "x"))


async def first_on_discord(folder: Path) -> Measured:
    async with FACES["discord"](folder) as face:
        assert isinstance(face, Discord)
        desk = watched(face)
        await face.say("wait")
        await until(lambda: face.server.sent(face.place), "a message", 20)
        seen = time.monotonic() - desk.first
        async with httpx2.AsyncClient(headers={"Authorization": f"Bot {face.server.token}"}) as client:
            url, body = f"{face.server.api}/v10/channels/{face.place}/messages", {"content": "x"}
            await client.post(url, json=body)
            return seen, await timed(lambda: client.post(url, json=body))


async def first_over_http(folder: Path) -> Measured:
    async with FACES["http"](folder) as face:
        assert isinstance(face, Http)
        desk = watched(face)
        async with face.client("right-secret") as client:
            floor = min([await timed(lambda: client.get("/healthz")) for _ in range(5)])
            headers = {"Accept": "text/event-stream"}
            async with client.stream("POST", "/api/messages", json={"text": "wait"}, headers=headers) as response:
                async for line in response.aiter_lines():
                    if line.startswith("data: ") and "Working on" in json.loads(line[6:]).get("text", ""):
                        break
                return time.monotonic() - desk.first, floor


async def first_on_a_terminal(folder: Path) -> Measured:
    """From Enter, for the desk is in the terminal's process; the floor is a line that is answered at once."""
    terminal = Terminal()
    try:
        terminal.sees("Ctrl-D leaves.")
        begun = time.monotonic()
        terminal.says("/help")
        terminal.sees("This desk echoes it.")
        floor, begun = time.monotonic() - begun, time.monotonic()
        terminal.says("wait")
        terminal.sees("Working on")
        return time.monotonic() - begun, floor
    finally:
        terminal.child.close(force=True)


# ── a long reply ─────────────────────────────────────────────────────────────────────────────────


def long_on(kind: str) -> Callable[[Path], Awaitable[Measured]]:
    async def measure(folder: Path) -> Measured:
        async with FACES[kind](folder) as face:
            await face.say("hello")
            floor = await timed(lambda: whole(face, "You said"))
            await face.say(f"long {LONG}")
            return await timed(lambda: whole(face, "word09999")), floor

    return measure


async def whole(face: Any, end: str) -> None:
    async with asyncio.timeout(60):
        while end not in "".join(await face.texts()) + await face.files():  # noqa: ASYNC110  # has no event
            await asyncio.sleep(0.002)


ROWS: dict[str, tuple[Callable[[Path], Awaitable[Measured]], str]] = {
    "first character, telegram": (first_on_telegram, "one bare draft"),
    "first character, discord": (first_on_discord, "one bare message"),
    "first character, http": (first_over_http, "GET /healthz"),
    "first character, terminal": (first_on_a_terminal, "/help"),
    "100 kB reply, telegram": (long_on("telegram"), "a short reply"),
    "100 kB reply, discord": (long_on("discord"), "a short reply"),
    "100 kB reply, http": (long_on("http"), "a short reply"),
    "100 kB reply, repl in a pipe": (long_on("repl"), "a short reply"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="what a channel adds to an answer")
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    logging.disable(logging.WARNING)
    for name, (measure, floor_is) in ROWS.items():
        found = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                found.append(asyncio.run(measure(Path(folder))))  # type: ignore[arg-type]
        took, floor = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:30} {took * 1000:8.1f} ms   {floor_is} {floor * 1000:6.1f} ms   ratio {took / floor:6.1f}")


if __name__ == "__main__":
    main()
