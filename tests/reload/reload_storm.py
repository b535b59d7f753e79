"""The storm of reloads: sessions talk to a slow model while the project's version changes again and again, half of the
time to a broken one; each change is seen by the watch, asked for over HTTP, or by a signal.

    python -m reload.reload_storm --reloads 1000 --sessions 20 --seed 7       in the folder of the tests

What a version is stands in `reload_storm_project`; who judges what was recorded is `reload_storm_judge`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2

from doubles import warm
from doubles.house import Process, Program, events
from doubles.messages_server import MessagesServer, Reply
from reload.r_house import figures
from reload.reload_storm_judge import Edit, Found, Record, Said, judge, table
from reload.reload_storm_project import BREAKS, SAID, SHRUNK, Versions, answered, asked, version

WARM = 20  # reloads before anything is measured
TOGETHER = 12  # messages of one session; then the person begins another
PATIENCE = 60.0  # seconds within which an attempt must come


class Storm:
    def __init__(self, root: Path, server: MessagesServer, sessions: int, seed: int) -> None:
        self.record, self.versions = Record(), Versions(root / "project", server.url)
        self.process = Process(root / "project", root / "state")
        self._chance, self._sessions = random.Random(seed), sessions
        self._n = self._inforce = self._ondisk = 0  # the last version, the good one in force, and that on disk
        self._talking, self._spoken = True, [0] * sessions

    async def run(self, reloads: int) -> Record:
        async with Program(await self.process.address()) as operator:
            self._operator = operator
            await self._burst(operator, WARM)
            self.record.before = await self._figures()
            begun = time.monotonic()
            await self._burst(operator, reloads)
            self.record.seconds = time.monotonic() - begun
            self.record.after = await self._figures()
            await self._read_back(operator)
        return self.record

    async def _burst(self, operator: Program, reloads: int) -> None:
        """So many reloads while everybody talks; all that was said is answered by the end."""
        self._talking = True
        people = [asyncio.create_task(self._talk(number)) for number in range(self._sessions)]
        try:
            for _ in range(reloads):
                await self._edit(operator)
        finally:
            self._talking = False
            await asyncio.gather(*people)

    # ── those who talk ───────────────────────────────────────────────────────────────────────────

    async def _talk(self, number: int) -> None:
        """Says one thing after the other; every other person has answers streamed."""
        async with Program(str(self._operator.http.base_url)) as program:
            while self._talking:
                at = self._spoken[number]
                self._spoken[number] += 1
                word, session = f"m-{number}-{at}", f"{number}-{at // TOGETHER}"
                least = self._inforce
                body = {"text": word, "sender": f"s{number}", "session": session}
                try:
                    reply, key = await (self._streamed if number % 2 else self._plain)(program, body)
                except (httpx2.TransportError, AssertionError) as error:
                    self.record.broken.append(f"{word}: {error!r}")
                    reply, key = None, session
                self.record.said.append(Said(word, key, least, self._ondisk, reply))
                if self._spoken[number] % TOGETHER == 0:
                    await self._put_aside(program, key)

    async def _put_aside(self, program: Program, key: str) -> None:
        """So that what was talked does not count as what was left behind."""
        self.record.sessions[key] = turns(await program.entries(key))
        await program.http.delete(f"/api/sessions/{key}")

    async def _plain(self, program: Program, body: dict[str, str]) -> tuple[str, str]:
        answer = await program.http.post("/api/messages", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["reply"], answer.json()["session"]

    async def _streamed(self, program: Program, body: dict[str, str]) -> tuple[str, str]:
        headers, told = {"Accept": "text/event-stream"}, dict[str, Any]()
        async with program.http.stream("POST", "/api/messages", json=body, headers=headers) as response:
            async for name, content in events(response):
                told[name] = content
        assert "reply" in told, told
        return told["reply"]["reply"], told["reply"]["session"]

    # ── who edits ────────────────────────────────────────────────────────────────────────────────

    async def _edit(self, operator: Program) -> None:
        self._n += 1
        fault = self._chance.choice(BREAKS) if self._n % 2 else ""
        watched = 1 if fault in SHRUNK else 12  # the watch waits for what shrank to be whole again
        trigger = self._chance.choices(["edit", "POST", "SIGHUP"], [watched, 15, 3])[0]
        known = await self._last(operator)
        begun = time.monotonic()
        if not fault:
            self._ondisk = self._n
        self.versions.put(self._n, version(self._n, fault))
        if trigger == "POST":
            await operator.http.post("/api/reload")
        elif trigger == "SIGHUP":
            self.process.process.send_signal(signal.SIGHUP)
        outcome = await self._outcome(operator, known, "refused" if fault else "applied")
        self.record.edits.append(Edit(self._n, fault, trigger, outcome, (time.monotonic() - begun) * 1000))
        if not fault:
            self._inforce = self._n
        await asyncio.sleep(self._chance.uniform(0, 0.05))

    async def _last(self, operator: Program) -> int:
        attempts = await self._attempts(operator)
        return int(attempts[-1]["number"]) if attempts else 0

    async def _attempts(self, operator: Program) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await operator.http.get("/api/reload")).json()["attempts"]
        return found

    async def _outcome(self, operator: Program, known: int, hoped: str) -> str:
        """How the attempt ended that says what was hoped; else how the last one did."""
        end = time.monotonic() + PATIENCE
        while True:
            new = [attempt["outcome"] for attempt in await self._attempts(operator) if attempt["number"] > known]
            if hoped in new:
                return hoped
            if time.monotonic() > end:
                return str(new[-1]) if new else "none"
            await asyncio.sleep(0.01)

    # ── what is left ─────────────────────────────────────────────────────────────────────────────

    async def _figures(self) -> dict[str, int]:
        """While nothing goes on; the tasks are counted by a tool, in the process itself."""
        await asyncio.sleep(1)
        counted = (await self._operator.say("count", sender="counter")).json()["reply"]
        assert counted.startswith("tasks "), counted
        return {**figures(self.process.process.pid), "tasks": int(counted.removeprefix("tasks "))}

    async def _read_back(self, operator: Program) -> None:
        for key in {said.session for said in self.record.said} - self.record.sessions.keys():
            self.record.sessions[key] = turns(await operator.entries(key))


def turns(entries: Sequence[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Of a transcript: each person's word, and what was replied to it."""
    found = list[tuple[str, list[str]]]()
    for entry in entries:
        texts = "\n".join(block["text"] for block in entry.get("content", ()) if _is_text(block))
        if entry.get("role") == "user" and (word := SAID.search(texts)):
            found.append((word[0], []))
        elif entry.get("role") == "assistant" and texts and found:
            found[-1][1].append(texts)
    return found


def _is_text(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "text"


def stormed(root: Path, *, reloads: int, sessions: int, seed: int) -> tuple[Record, Found]:
    """The storm and what is found after it."""
    print(f"\nseed {seed}", flush=True)
    chance, lock, heard = random.Random(seed), threading.Lock(), list[Any]()

    def answer(body: dict[str, Any]) -> Reply:
        with lock:
            heard.append(asked(body))
            server.requests.clear()  # each carries its whole history
            return answered(body, chance)

    with MessagesServer(otherwise=answer) as server:
        storm = Storm(root, server, sessions, seed)
        with storm.process:
            record = asyncio.run(storm.run(reloads))
        record.asked += [each for each in heard if each.word != "count"]
        record.broken += server.violations
        found = judge(record)
        if "Traceback" in storm.process.log:
            found.misjudged.append("there is a traceback in the log")
        return record, found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reload.reload_storm", description="Reloads under load, and judges."
    )
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    given = parser.parse_args(arguments)
    logging.disable()
    with tempfile.TemporaryDirectory(prefix="reloads-") as folder:
        try:
            record, found = stormed(Path(folder), reloads=given.reloads, sessions=given.sessions, seed=given.seed)
        finally:
            warm.close()
    print(table(record, found))
    for name, wrong in found.faults().items():
        print(f"{name}:", *wrong[:20], sep="\n  ")
    return 1 if found.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
