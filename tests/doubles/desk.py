"""A runtime small enough to see through: Post and Operations in memory, answering by plain requests.

What a message says decides the turn: `stream TEXT` streams it word by word, `tool LINE` calls a tool
first, `break` calls a tool that fails, `ask LINE` asks for approval first (`full LINE` on a disk that the
first answer does not fit on), `wait` never ends by itself, `fail` fails, `keyless` does for want of a key, `retry`
fails once on the way, `slow TEXT` is silent before it streams,
`late TEXT` delivers without streaming, `log TEXT` logs it;
`/help` acts at once, `refuse` is refused (`Refused("sender")`), everything else is echoed. `strangers` are senders it
does not know; `folder_at` is where files that come along are kept. Run as a program it puts the REPL
on this terminal.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, Literal

from doubles.beats import Beats, ran
from openclaw.channels import _terminal
from openclaw.channels.repl import Channel
from openclaw.clock import Clock, SystemClock
from openclaw.errors import ApprovalError, DiskFull, PairingError, UsageError
from openclaw.messages import (
    Accepted,
    Address,
    Answer,
    Answered,
    Approval,
    Asked,
    AssistantEntry,
    Entry,
    Finished,
    Message,
    Progress,
    Refused,
    Reply,
    Retrying,
    Route,
    Settled,
    Text,
    TextDelta,
    ToolCall,
    ToolFinished,
    ToolResult,
    ToolStarted,
    Usage,
    UserEntry,
    Waiting,
)
from openclaw.ports import ChannelOptions, Letter, Pairing, Post, SessionSummary, Settlement, Watcher
from openclaw.spending import Spent, asked, day_of, told
from openclaw.words import time_json

Send = Callable[[Reply], Awaitable[None]]


class Desk(Beats):
    def __init__(self, clock: Clock | None = None, send: Send | None = None) -> None:
        super().__init__()
        self.clock = clock or SystemClock()
        self.posted: list[Message] = []
        self.answers: list[tuple[str, Answer, Address]] = []
        self.approvers: tuple[str, ...] = ("repl:local",)
        self.offers: tuple[Answer, ...] = ("allow-once", "allow-always", "deny")
        self.lines: tuple[str, ...] = ()
        self.hearers: list[Callable[[Mapping[str, Any]], None]] = []
        self.kept: list[dict[str, Any]] = [{"id": "r1", "tool": "run_command", "lines": ["make test"]}]
        self.strangers: set[Address] = set()
        self.busy = False  # takes nothing more
        self.full = False  # its disk: the next answer does not fit
        self.take: Post | None = None  # stands in front of taking a message in
        self.folder_at: Path | None = None
        self.letters: dict[str, Letter] = {}
        self.spent: list[Spent] = []
        self.waiting: dict[str, Pairing] = {}  # by code
        self._listeners: list[tuple[str, Watcher]] = []
        self._send = send
        self._ids = itertools.count(1)
        self._accepted: dict[tuple[str, str], str] = {}
        self._settled: dict[str, Settlement] = {}
        self._watchers: dict[str, list[Watcher]] = {}
        self._entries: dict[str, list[Entry]] = {}
        self._pending: dict[str, tuple[Approval, asyncio.Future[Answer]]] = {}
        self._turns: dict[str, asyncio.Task[None]] = {}  # by session
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._texts: dict[str, str] = {}  # what each open turn will answer

    # ── Post ─────────────────────────────────────────────────────────────────────────────────────

    async def __call__(self, message: Message, watch: Watcher | None = None) -> Accepted | Answered | Refused:
        take, self.take = self.take, None
        if take is not None:
            return await take(message, watch)
        text = message.text
        if self.busy:
            return Refused("busy", "too much waits here; try again in a moment")
        if message.sender in self.strangers:
            return Refused("sender", "this desk does not know you")
        if text == "/help":
            return Answered("Type anything.\nThis desk echoes it.")
        if not text.strip() and all(isinstance(part, Text) for part in message.parts):
            return Refused("empty", "the message is empty")
        if text == "refuse":
            return Refused("sender", "this desk does not know you")
        key = (message.sender.channel, message.id)
        agent = message.agent or ("researcher" if text.startswith("/research") else "main")
        where = f"{message.sender.channel}:chat:{message.chat}" if message.chat else str(message.sender)
        more = [part for part in (message.topic, message.session) if part]
        session = ":".join([f"agent:{agent}:{where}", *more])
        if key in self._accepted:
            return Accepted(self._accepted[key], agent, session, new=False)
        self.posted.append(message)
        id = self._accepted[key] = f"m{next(self._ids)}"
        self._settled[id] = Settlement(id, "queued", Route(agent, session, text), None)
        self._watchers[id] = [watch] if watch else []
        task = asyncio.get_running_loop().create_task(self._turn(id, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Accepted(id, agent, session)

    async def _turn(self, id: str, message: Message) -> None:
        route = self._settled[id].route
        async with self._locks.setdefault(route.session, asyncio.Lock()):
            self._settled[id] = Settlement(id, "running", route, None)
            run = asyncio.get_running_loop().create_task(self._play(id, message))
            self._turns[route.session] = run
            failed = False
            try:
                await run
            except asyncio.CancelledError:
                self._say(id, "Stopped.")
                failed = True
            finally:
                del self._turns[route.session]
            text = self._texts.pop(id, "")
            failed = failed or text.startswith("the model")
            reply = Reply(
                message.sender, text, route.session, route.agent, answers=id, chat=message.chat, topic=message.topic,
                failed=failed, fault="credentials" if text.endswith("the key") else "",
            )  # fmt: skip
            self._write(id, route, reply)
            self._settled[id] = Settlement(id, "failed" if failed else "done", route, reply)
            self._tell(id, Finished(reply))
            if self._send and not message.fetched:
                await self._send(reply)

    def _say(self, id: str, text: str) -> None:
        self._texts[id] = text

    def _write(self, id: str, route: Route, reply: Reply) -> None:
        now = self.clock.now()
        self._entries.setdefault(route.session, []).extend(
            [
                UserEntry(f"{id}u", now, ({"type": "text", "text": route.text},), id),
                AssistantEntry(
                    f"{id}a", now, ({"type": "text", "text": reply.text},), "desk-1", "end_turn", Usage(12, 3), "s"
                ),
            ]
        )

    async def _play(self, id: str, message: Message) -> None:
        route = self._settled[id].route
        verb, _, rest = route.text.partition(" ")
        match verb:
            case "stream":
                await self._stream(id, rest.replace("\\n", "\n"))
            case "long":
                words = " ".join(f"word{number:05}" for number in range(int(rest) // 10 + 1))
                await self._stream(id, words[: int(rest)])
            case "late":
                self._say(id, rest)
            case "tool" | "break":
                await self._tool(id, rest, verb == "break")
                await self._stream(id, "Done.")
            case "ask" | "full":
                self.full = verb == "full"
                if message.can_ask:
                    await self._stream(id, await self._asks(id, route, rest, message))
                else:
                    await self._stream(id, "Nobody who may agree is reachable.")
            case "log":
                logging.getLogger("desk").warning("%s", rest)
                await self._stream(id, "Logged.")
            case "wait":
                self._tell(id, TextDelta("Working on "))
                await asyncio.Event().wait()
            case "fail":
                self._say(id, "the model did not answer")
            case "keyless":
                self._say(id, "the model refuses the key")
            case "slow":
                self._tell(id, Waiting(10.0, "smart"))
                await self._stream(id, rest)
            case "retry":
                self._tell(id, TextDelta("Half an ans"))
                self._tell(id, Retrying("the stream was cut", 1))
                await self._stream(id, "A whole answer.")
            case _:
                await self._stream(id, f"You said: {route.text}" if len(route.text) < 1000 else str(len(route.text)))

    async def _stream(self, id: str, text: str) -> None:
        for word in text.split(" ") if len(text) < 100_000 else [text]:
            self._tell(id, TextDelta(word + " "))
            await asyncio.sleep(0)
        self._say(id, text)

    async def _tool(self, id: str, line: str, breaks: bool) -> None:
        call = ToolCall(f"{id}c", "run_command", {"command": line})
        self._tell(id, ToolStarted(call, f"run_command  {line}"))
        await asyncio.sleep(0.01)
        self._tell(id, ToolFinished(call, ToolResult("no such file\nat all" if breaks else "fine", breaks), 0.01))

    async def _asks(self, id: str, route: Route, line: str, message: Message) -> str:
        now = self.clock.now()
        approval = Approval(
            id=f"{id}-approval",
            session=route.session,
            agent=route.agent,
            tool="run_command",
            sender=str(message.sender),
            lines=self.lines or (line,),
            cwd="/home/ana/work",
            reason="no rule allows it",
            rules=("tools.yaml:12 careful default ask",),
            approvers=self.approvers,
            offers=self.offers,
            digest=f"digest of {line}",
            created=now,
            expires=now + timedelta(minutes=5),
            chat=message.chat,
            topic=message.topic,
        )
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[approval.id] = (approval, future)
        self._tell(id, Asked(approval))
        self._announce(approval, Asked(approval))
        outcome: Answer | Literal["cancelled"] = "cancelled"
        try:
            outcome = answer = await future
        finally:
            self._pending.pop(approval.id, None)
            self._announce(approval, Settled(approval.id, outcome))
        self._tell(id, Settled(approval.id, answer))
        return f"The answer was {answer}."

    def _announce(self, approval: Approval, event: Progress) -> None:
        for channel, watcher in [*self._listeners]:
            if any(approver.startswith(f"{channel}:") for approver in approval.approvers):
                watcher(event)

    def _tell(self, id: str, progress: Progress) -> None:
        for watch in list(self._watchers.get(id, ())):
            watch(progress)

    # ── Operations ───────────────────────────────────────────────────────────────────────────────

    def status(self) -> Mapping[str, Any]:
        return {"ready": True, "agents": 2}

    def agents(self, channel: str | None = None, among: tuple[str, ...] | None = None) -> Sequence[Mapping[str, Any]]:
        found = [
            {"id": "main", "description": "Talks", "default": True},
            {"id": "researcher", "description": "Finds things out", "default": False},
            *([{"id": "respite", "description": "Answers nowhere", "default": False}] if channel is None else []),
        ]
        return [agent for agent in found if among is None or agent["id"] in among]

    def readiness(self) -> Mapping[str, Any]:
        return {"status": "ready", "on_last_good": False, "channels": {}}

    def tools(self) -> Sequence[Mapping[str, Any]]:
        return []

    def reloads(self) -> Sequence[Mapping[str, Any]]:
        return []

    async def reload(self) -> Mapping[str, Any]:
        return {"outcome": "unchanged"}

    def hear_reloads(self, told: Callable[[Mapping[str, Any]], None]) -> Callable[[], None]:
        self.hearers.append(told)
        return lambda: self.hearers.remove(told)

    def commands(self, channel: str | None = None, among: tuple[str, ...] | None = None) -> Sequence[tuple[str, str]]:
        nowhere = [("/respite", "Answers nowhere")] if channel is None else []
        return [("/help", "what you can type"), ("/agent", "choose one"), ("/research", "Finds things out"), *nowhere]

    def approvals(self) -> Sequence[Approval]:
        return [approval for approval, _ in self._pending.values()]

    async def answer(self, approval: str, answer: Answer, by: Address) -> None:
        if approval not in self._pending:
            known = any(id == approval for id, _, _ in self.answers)
            raise ApprovalError(f"approval {approval} {'was answered before' if known else 'is not known'}")
        if str(by) not in self._pending[approval][0].approvers:
            raise ApprovalError(f"{by} may not answer this")
        if self.full:
            self.full = False
            raise DiskFull("the disk is full")
        self.answers.append((approval, answer, by))
        self._pending.pop(approval)[1].set_result(answer)

    async def remembered(self) -> Sequence[Mapping[str, Any]]:
        return self.kept

    async def revoke(self, id: str) -> None:
        if all(one["id"] != id for one in self.kept):
            raise ApprovalError(f"nothing is remembered as {id}")
        self.kept = [one for one in self.kept if one["id"] != id]

    async def stop(self, session: str) -> bool:
        if session not in self._turns:
            return False
        self._turns[session].cancel()
        return True

    async def sessions(self) -> Sequence[SessionSummary]:
        return [SessionSummary(key, len(e), 100, self.clock.now()) for key, e in self._entries.items()]

    async def transcript(self, session: str) -> Sequence[Entry]:
        return self._entries.get(session, [])

    async def reset(self, session: str) -> str | None:
        return f"{session}.1" if self._entries.pop(session, None) else None

    async def import_session(self, session: str, text: str, *, force: bool) -> int | None:
        return None

    async def find(self, message: str) -> Settlement | None:
        return self._settled.get(message)

    async def inbox(self) -> Sequence[Mapping[str, Any]]:
        return ()

    async def figures(self) -> Mapping[str, int]:
        return {"queued": 0, "running": 0, "parked": 0, "undelivered": 0, "dead": 0}

    async def retry(self, id: str) -> bool:
        return False

    async def drop(self, id: str) -> bool:
        return False

    def watch(self, message: str, watcher: Watcher) -> Callable[[], None]:
        watchers = self._watchers.setdefault(message, [])
        watchers.append(watcher)
        return lambda: watchers.remove(watcher)

    def listen(self, channel: str, watcher: Watcher) -> Callable[[], None]:
        return lambda: None

    def questions(self, channel: str, watcher: Watcher) -> Callable[[], None]:
        listener = (channel, watcher)
        self._listeners.append(listener)
        for approval in self.approvals():
            if any(approver.startswith(f"{channel}:") for approver in approval.approvers):
                watcher(Asked(approval))
        return lambda: self._listeners.remove(listener)

    async def folder(self, message: Message) -> Path | Refused:
        if message.sender in self.strangers or self.folder_at is None:
            return Refused("sender", "this desk does not know you")
        if not self.folder_at.parent.exists():
            return Refused("full", "there is no room")
        return self.folder_at

    async def knock(self, sender: Address, name: str) -> str | None:
        if any(one.sender == sender for one in self.waiting.values()):
            return None
        code = f"CODE{len(self.waiting) + 2222}"
        self.waiting[code] = Pairing(sender, name, code, self.clock.now())
        return f"I do not know you yet. Your code is {code}."

    def pairings(self) -> tuple[Sequence[Pairing], Sequence[Pairing]]:
        return list(self.waiting.values()), []

    async def pair(self, code: str) -> Pairing:
        if code not in self.waiting:
            raise PairingError(f"nobody waits with the code {code}")
        pairing = self.waiting.pop(code)
        self.strangers.discard(pairing.sender)
        return pairing

    async def unpair(self, sender: Address) -> None:
        self.strangers.add(sender)

    def receive(self, channel: str, letter: Letter) -> Callable[[], None]:
        self.letters[channel] = letter

        def stop() -> None:
            self.letters.pop(channel, None)

        return stop

    def letter(self, channel: str) -> Letter | None:
        return self.letters.get(channel)

    async def run_heartbeat(self, name: str) -> Accepted | Refused:
        if name not in self.beats:
            return Refused("heartbeat", f"there is no heartbeat {name}")
        now, id = self.clock.now(), f"{name}-by-hand-{next(self._ids)}"
        said = Text(self.beats[name]["prompt"])
        taken = await self(Message(id, Address("cron", name), (said,), now, heartbeat=name, fetched=True))
        if isinstance(taken, Accepted):
            self.watch(taken.id, lambda event: self._ran(name, taken, event))
        assert not isinstance(taken, Answered), "a heartbeat is no command"
        return taken

    def _ran(self, name: str, taken: Accepted, event: Progress) -> None:
        if isinstance(event, Finished):
            reply, now = event.reply, time_json(self.clock.now())
            outcome = "failed" if reply.failed else "silent" if reply.text == "NO_REPLY" else "answered"
            row = ran(name, now, outcome, cause="hand", message=taken.id, session=taken.session, reply=reply.text)
            self.runs.insert(0, row)

    async def memories(self, query: str, limit: int) -> Sequence[Mapping[str, Any]]:
        return []

    async def forget(self, memory: str) -> bool:
        return False

    def usage(self) -> Sequence[Mapping[str, Any]]:
        return []

    async def spending(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        today = day_of(self.clock.now(), UTC)
        wanted = asked(query, today)
        if isinstance(wanted, str):
            raise UsageError(wanted)
        return told(self.spent, *wanted, "UTC")


async def main(history: str | None, unasked: bool) -> None:
    logging.basicConfig(format="log: %(message)s")
    _terminal._TWICE = 60.0  # whoever presses twice may be slow to do it on a busy machine
    clock = SystemClock()
    channel = Channel(ChannelOptions("repl", "repl", {"history": history} if history else {}), clock)
    desk = Desk(clock, channel.send)
    greeting = Reply(Address("repl", "local"), "Good morning!", "cron:morning", "main")
    await channel.open()
    try:
        async with asyncio.TaskGroup() as tasks:
            if unasked:
                tasks.create_task(channel.send(greeting))
            await channel.run(desk, desk)
    finally:
        await channel.close()
    print("left", [message.text[:40] for message in desk.posted], file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(next((arg for arg in sys.argv[1:] if arg.startswith("/")), None), "unasked" in sys.argv))
