"""The REPL without a terminal: a line in is a message, its answer goes to stdout, everything else to stderr.

One line at a time: the next is read when the last is answered, so answers stand in the order of the
questions. On a terminal that cannot move its cursor a question for approval takes the next line as its
answer; elsewhere nobody can be asked, and every message says so. A turn ends when its reply was printed, so
that the end of the input never overtakes an answer.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import AsyncIterator

from openclaw.apart import apart
from openclaw.channels._typed import Shown, can_ask, may_answer, person, provenance, typed
from openclaw.clock import Clock
from openclaw.errors import DeliveryError, DiskFull, OpenClawError
from openclaw.messages import (
    Accepted,
    Answer,
    Answered,
    Approval,
    Asked,
    Finished,
    Progress,
    Refused,
    Reply,
    Retrying,
    Settled,
    ToolFinished,
    ToolStarted,
    Waiting,
    quote_line,
)
from openclaw.ports import ChannelOptions, Operations, Post
from openclaw.words import cut_to

_DELIVERY = 5.0  # seconds a finished turn waits for its durable delivery before its reply is printed anyway
_IN, _OUT, _ERR = 0, 1, 2
_WORDS: dict[str, Answer] = {
    "y": "allow-once",
    "yes": "allow-once",
    "a": "allow-always",
    "always": "allow-always",
    "n": "deny",
    "no": "deny",
}


class Pipes:
    def __init__(self, options: ChannelOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._shown = Shown()
        self._waiting: dict[str, _Turn] = {}  # by message id
        self._questions: dict[str, tuple[Approval, asyncio.Task[None]]] = {}  # put to the person here, by id
        self._lines = _Lines()
        self._can_ask = can_ask()
        self._tasks: asyncio.TaskGroup | None = None
        self._writing = asyncio.Lock()  # fair, so lines come out in the order they were said
        self._cut = False  # nobody reads standard output any more

    async def run(self, post: Post, operations: Operations) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            if os.isatty(_IN):
                await self._say("A plain terminal: each line is a message. /help lists the commands, /quit leaves.")
            silence = operations.listen(self._options.key, _Turn(self, operations).watch)
            try:
                while (line := await self._lines.next()) is not None:
                    if line.strip() == "/quit":
                        break
                    if line.strip():
                        await self._ask(line, post, operations)
                    if self._cut:
                        break
            finally:
                silence()
                self._tasks = None
                for id in list(self._questions):
                    self.settled(id)
                self._lines.close()

    async def send(self, reply: Reply) -> None:
        if reply.answers in self._shown:
            return
        turn = self._waiting.get(reply.answers or "")
        if turn is None:
            await self._say(f"openclaw: {quote_line(provenance(reply))}:")
        try:
            await self._print(reply)
        finally:  # also where nobody reads any more: nothing is waited for then
            if turn is not None:
                turn.deliver()

    async def _print(self, reply: Reply) -> None:
        self._shown.add(reply.answers)
        try:
            await self._write(_ERR if reply.failed else _OUT, reply.text)
        except OSError as error:
            self._cut = True
            raise DeliveryError(f"standard output takes no more: {error.strerror}", final=True) from error

    async def _ask(self, line: str, post: Post, operations: Operations) -> None:
        turn = _Turn(self, operations)
        match await post(typed(line, self._options, self._clock, can_ask=self._can_ask), turn.watch):
            case Accepted(id=id):
                await self._wait(id, turn)
            case Answered(text=text):
                await self._write(_OUT, text)
            case Refused(reason=reason):
                await self._say(f"openclaw: {reason}")

    async def _wait(self, id: str, turn: _Turn) -> None:
        self._waiting[id] = turn
        try:
            await turn.finished.wait()
            await self._patience(turn)
            if turn.reply is not None and id not in self._shown:
                await self._print(turn.reply)
        finally:
            del self._waiting[id]

    async def _patience(self, turn: _Turn) -> None:
        """Until the finished turn's reply was delivered, or long enough."""
        delivered = asyncio.ensure_future(turn.delivered.wait())
        enough = asyncio.ensure_future(self._clock.sleep(_DELIVERY))
        try:
            await asyncio.wait([delivered, enough], return_when=asyncio.FIRST_COMPLETED)
        finally:
            delivered.cancel()
            enough.cancel()

    async def _write(self, fd: int, text: str) -> None:
        async with self._writing:
            await _write(fd, for_eyes(fd, text).rstrip("\n") + "\n")

    async def _say(self, text: str) -> None:
        try:
            await self._write(_ERR, text)
        except OSError:
            pass  # a notice nobody reads

    def notice(self, text: str) -> None:
        if self._tasks is not None:
            self._tasks.create_task(self._say(text))

    # ── questions ────────────────────────────────────────────────────────────────────────────────

    def asked(self, approval: Approval, operations: Operations) -> None:
        if self._tasks is None:
            return
        if self._can_ask and may_answer(approval, self._options):
            self._questions[approval.id] = approval, self._tasks.create_task(self._question(approval, operations))
        else:
            call = " ".join(quote_line(line.strip()) for line in approval.lines)
            self.notice(f"openclaw: {approval.tool} waits for {', '.join(approval.approvers)}: {call}")

    def settled(self, id: str) -> None:
        """Answered, here or elsewhere, or nobody waits for it any more: the next line is a message again."""
        if (question := self._questions.pop(id, None)) is not None:
            question[1].cancel()

    def withdraw(self, session: str) -> None:
        """The session's turn has ended, perhaps with its question still open."""
        for approval, _ in list(self._questions.values()):
            if approval.session == session:
                self.settled(approval.id)

    async def _question(self, approval: Approval, operations: Operations) -> None:
        from openclaw.channels._paper import bare, card  # brings rich along

        await self._say(bare(card(approval)))
        await self._lines.set_aside()
        while not await self._answered(approval, operations):
            pass

    async def _answered(self, approval: Approval, operations: Operations) -> bool:
        """False where the question is open still: the answer did not fit on the disk."""
        from openclaw.channels._paper import bare, question

        answer: Answer | None = None
        while answer not in approval.offers:
            await self._say(bare(question(approval.offers)))
            line = await self._lines.answer()
            answer = "deny" if line is None else _WORDS.get(line.strip().lower())
        try:
            await operations.answer(approval.id, answer, person(self._options))
        except OpenClawError as error:
            await self._say(f"openclaw: {error}")
            return not isinstance(error, DiskFull)
        return True


class _Turn:
    """One turn as its watcher sees it."""

    def __init__(self, pipes: Pipes, operations: Operations) -> None:
        self._pipes = pipes
        self._operations = operations
        self._lines: dict[str, str] = {}
        self.finished = asyncio.Event()
        self.delivered = asyncio.Event()
        self.reply: Reply | None = None

    def deliver(self) -> None:
        self.finished.set()
        self.delivered.set()

    def watch(self, progress: Progress) -> None:
        match progress:
            case ToolStarted(call=call, line=line):
                self._lines[call.id] = line
            case ToolFinished(call=call, result=result, seconds=seconds):
                outcome = "failed" if result.is_error else "ok"
                line = quote_line(self._lines.pop(call.id, call.name))
                why = f": {first_line(result.text)}" if result.is_error else ""
                self._pipes.notice(f"openclaw: {line}: {outcome}, {seconds:.1f} s{why}")
            case Asked(approval=approval):
                self._pipes.asked(approval, self._operations)
            case Settled(approval=id, why=why):
                self._pipes.settled(id)
                if why:
                    self._pipes.notice(f"openclaw: the question was withdrawn: {quote_line(why)}")
            case Retrying(reason=reason, seconds=seconds):
                self._pipes.notice(f"openclaw: {quote_line(reason)}; trying again in {seconds:.0f} s")
            case Waiting(words=words):
                self._pipes.notice(f"openclaw: {words}; still waiting")
            case Finished(reply=reply):
                self._pipes.withdraw(reply.session)
                self.reply = reply
                self.finished.set()
            case _:
                pass


def for_eyes(fd: int, text: str) -> str:
    """A model's words as they are for a program; what would command a terminal is shown there, not obeyed."""
    if text.replace("\n", "").isprintable() or not os.isatty(fd):
        return text
    from openclaw.channels._paper import plain  # brings rich along

    return plain(text)


def first_line(text: str) -> str:
    """What a failed call says for itself, in at most 200 harmless characters."""
    return cut_to(quote_line(text.strip().partition("\n")[0]), 200)


class _Lines:
    """Standard input, each line for whoever waits and came last: a question goes before the next message.

    What was typed before a question was shown is no answer to it; it stays a message.
    """

    def __init__(self) -> None:
        self._source = _lines()
        self._waiting: list[asyncio.Future[str | None]] = []
        self._aside: list[str | None] = []  # messages that were read before anybody waited for one
        self._reading: asyncio.Task[None] | None = None

    async def next(self) -> str | None:
        """The next message; None at the end of the input."""
        return self._aside.pop(0) if self._aside else await self.answer()

    async def set_aside(self) -> None:
        """Keeps what was typed so far for `next`."""
        while (self._reading is None or self._reading.done()) and select.select([_IN], [], [], 0)[0]:
            self._aside.append(line := await anext(self._source, None))
            if line is None:
                return

    async def answer(self) -> str | None:
        """The next line that comes; None at the end of the input."""
        waiter: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await waiter

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self) -> None:
        while self._waiting:
            try:
                line = await anext(self._source, None)
            except OSError:
                line = None  # the terminal is gone
            self._give(line)

    def _give(self, line: str | None) -> None:
        while self._waiting:
            waiter = self._waiting.pop()
            if not waiter.done():  # else it was cancelled
                waiter.set_result(line)
                return
        self._aside.append(line)


async def _lines() -> AsyncIterator[str]:
    """Lines of standard input of any length, the last one also without its newline."""
    pieces: list[bytes] = []
    while piece := await apart(lambda: os.read(_IN, 1 << 16)):
        first, *more = piece.split(b"\n")
        pieces.append(first)
        for part in more:
            yield b"".join(pieces).decode(errors="replace")
            pieces = [part]
    if any(pieces):
        yield b"".join(pieces).decode(errors="replace")


async def _write(fd: int, text: str) -> None:
    """All of it; raises OSError where the reader has gone."""
    content = memoryview(text.encode(errors="replace"))

    def write_all() -> None:
        rest = content
        while rest:
            rest = rest[os.write(fd, rest) :]

    await apart(write_all)
