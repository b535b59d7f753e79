"""Ask one question, or talk at the terminal.

TEXT (or what is piped in) is one question: its answer alone goes to standard output, everything else to
standard error. With neither, the terminal conversation opens. A runtime that is already there answers; where
there is none, one is started for as long as it takes.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from dataclasses import dataclass, field
from typing import Any

from openclaw.apart import apart
from openclaw.channels._pipes import first_line
from openclaw.channels._typed import can_ask
from openclaw.cli import INTERRUPTED, spoken
from openclaw.cli._client import refusal, running
from openclaw.cli._question import ask, decision, exit_code, for_me, line, silent, tell
from openclaw.cli._start import start
from openclaw.control import words
from openclaw.errors import OpenClawError, StateError, StateLocked, UsageError
from openclaw.manifest.people import TERMINAL
from openclaw.messages import (
    Accepted,
    Answered,
    Approval,
    Asked,
    Finished,
    Message,
    Progress,
    Refused,
    Reply,
    Retrying,
    Text,
    ToolFinished,
    ToolStarted,
    Waiting,
)
from openclaw.names import fresh
from openclaw.ports import Operations, Post


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="*", type=spoken, metavar="TEXT", help="the question; or pipe it in")
    parser.add_argument("--agent", type=spoken, metavar="A", help="ask this agent")
    parser.add_argument("--session", type=spoken, metavar="NAME", help="a conversation of its own under this name")
    parser.add_argument("--demo", action="store_true", help="answer with the built-in demo model")
    parser.add_argument("--json", action="store_true", help="one JSON line for each event, the answer last")


def run(args: argparse.Namespace) -> int:
    text = " ".join(args.text).strip()
    if not text and not sys.stdin.isatty():
        text = sys.stdin.buffer.read().decode("utf-8", "replace").strip()
        if not text:
            raise UsageError("there is no question: write it after `openclaw chat`, or pipe it in")
    if not text:
        return start(lambda: _talk(args))
    question = Question(text, args.agent, args.session, as_json=args.json)
    if (answered := _beside(args, question)) is not None:
        return answered
    try:
        return start(lambda: _ask(args, question))
    except StateLocked as error:
        raise StateError(silent(args.state)) from error


async def _talk(args: argparse.Namespace) -> int:
    """The terminal conversation alone, without the other channels."""
    from openclaw import adapters
    from openclaw.app import App, stop_on_signals
    from openclaw.cli.run import banner
    from openclaw.clock import SystemClock
    from openclaw.ports import ChannelOptions
    from openclaw.project import Options

    own = {"agent": args.agent, "session": args.session, "history": str(args.state / "history")}
    options = ChannelOptions("repl", "repl", {key: value for key, value in own.items() if value})
    channel = adapters.kind("channels", "repl")(options, SystemClock())
    app = App(_options(args, Options), channels={"repl": channel})
    async with app.opened():
        stop_on_signals(app)
        print(banner(app), file=sys.stderr, flush=True)
        await app.run()
    return 0


def _beside(args: argparse.Namespace, question: Question) -> int | None:
    """Lets a runtime that is there answer. The exit code, or None where none is."""
    with running(args.state) as runtime:
        if runtime is None:
            return None
    ask(args.state, question)
    return question.exit_code


async def _ask(args: argparse.Namespace, question: Question) -> int:
    from openclaw.app import App
    from openclaw.project import Options

    app = App(_options(args, Options), channels={"repl": question})
    app.can_ask = can_ask()
    ended = cancel_on_signals()
    try:
        async with app.opened():
            await app.run()
    except asyncio.CancelledError:
        if not ended:
            raise
        return INTERRUPTED
    return question.exit_code


def cancel_on_signals() -> list[int]:
    """Ctrl-C, SIGTERM and SIGHUP end a question together with its tools. Gives those that came."""
    came: list[int] = []
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def end(number: int) -> None:
        came.append(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    return came


def _options(args: argparse.Namespace, make: Any) -> Any:
    return make(args.project, args.state, demo=args.demo)


@dataclass(slots=True)
class Question:
    """A channel that posts one message and leaves with its answer."""

    text: str
    agent: str | None
    session: str | None
    as_json: bool
    exit_code: int = 1
    _events: asyncio.Queue[Progress] = field(default_factory=asyncio.Queue)
    _mine: str = ""
    _delivered: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def run(self, post: Post, operations: Operations) -> None:
        from datetime import UTC, datetime

        message = Message(
            id=fresh("chat-"),
            sender=TERMINAL,
            parts=(Text(self.text),),
            at=datetime.now(UTC),
            agent=self.agent,
            session=self.session,
        )
        taken = await post(message, self._events.put_nowait)
        match taken:
            case Refused(code=code, reason=reason):
                raise refusal(code, reason)
            case Answered(text=text):
                self.answer({"id": message.id, "reply": text, "agent": None, "session": None, "usage": None})
            case Accepted(id=id, agent=agent, session=session):
                self._mine = id
                self._line("accepted", {"agent": agent, "session": session})
                while not isinstance(event := await self._events.get(), Finished):
                    await self._during(event, operations)
                await self._end(event.reply, id, operations)
                await self._delivered.wait()  # else the next runtime would bring this answer once more

    async def send(self, reply: Reply) -> None:
        """The answer to the question was shown already; an older one that was still on its way is a notice."""
        if reply.answers == self._mine:
            self._delivered.set()
        else:
            tell(f"(to an earlier message) {reply.text}", sys.stderr)

    async def _during(self, event: Progress, operations: Operations) -> None:
        self.happened(event)
        if isinstance(event, Asked) and for_me(event.approval):
            try:
                await operations.answer(event.approval.id, await apart(decision), TERMINAL)
            except OpenClawError as error:
                print(f"openclaw: {error}", file=sys.stderr)

    async def _end(self, reply: Reply, id: str, operations: Operations) -> None:
        if reply.failed:
            fault = {"fault": reply.fault} if reply.fault else {}
            self.answer({"id": id, "code": words.failed_code(reply.fault), "detail": reply.text, **fault})
            return
        entries = await operations.transcript(reply.session) if self.as_json else ()
        usage = words.turn_usage(entries, id).as_json()
        self.answer({"id": id, "reply": reply.text, "agent": reply.agent, "session": reply.session, "usage": usage})

    def happened(self, event: Progress) -> None:
        if (told := words.event(event)) is not None:
            self._line(*told)
        self.show(event)

    def show(self, event: Progress) -> None:
        """What happens on the way, on standard error; where JSON lines are wanted, what this person is asked alone."""
        match event:
            case Asked(approval=approval) if not self.as_json or for_me(approval):
                _show_question(approval)
            case _ if self.as_json:
                pass
            case ToolStarted(line=line):
                _note(f"· {line}")
            case ToolFinished(result=result) if result.is_error:
                _note(f"  failed: {first_line(result.text)}")
            case Retrying(reason=reason, seconds=seconds):
                _note(f"· {first_line(f'{reason}; trying again in {seconds:.0f} s' if seconds else reason)}")
            case Waiting(words=waiting):
                _note(f"· {waiting}; still waiting")

    def _line(self, event: str, content: words.Json) -> None:
        if self.as_json:
            line(event, {"id": self._mine, **content})

    def answer(self, content: words.Json) -> None:
        """The last event of a turn, `reply` or, with a `detail`, `error`: whoever answers, it is told alike."""
        failed = "detail" in content
        self.exit_code = exit_code(content) if failed else 0
        if self.as_json:
            line("error" if failed else "reply", content)
        else:
            tell(content["detail"] if failed else content["reply"], sys.stderr if failed else sys.stdout)


def _show_question(approval: Approval) -> None:
    from openclaw.channels._paper import bare, card

    _note(card(approval) if sys.stderr.isatty() else bare(card(approval)))
    if not for_me(approval):
        _note(f"  waits for {', '.join(approval.approvers)}")


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
