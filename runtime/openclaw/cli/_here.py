"""Running one heartbeat where no runtime is: a runtime for as long as that takes, with this terminal as its channel.

Law: the reply is printed, and delivered nowhere now: what is to go elsewhere waits in the outbox for the next
runtime, and that is said. What the demo says goes nowhere.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass

from openclaw.channels._typed import can_ask
from openclaw.cli import INTERRUPTED
from openclaw.cli._listing import note
from openclaw.cli._question import exit_code
from openclaw.cli.chat import Question, cancel_on_signals
from openclaw.cli.heartbeats import said
from openclaw.errors import OpenClawError
from openclaw.messages import Finished, Refused, Reply
from openclaw.ports import Operations, Post


async def run_here(args: argparse.Namespace) -> int:
    """The exit code."""
    from openclaw.app import App
    from openclaw.project import Options

    one = Once(args.name, None, None, as_json=False)
    app = App(Options(args.project, args.state, demo=args.demo), channels={"repl": one})
    app.can_ask = can_ask()
    ended = cancel_on_signals()
    try:
        async with app.opened():
            await app.run()
    except asyncio.CancelledError:
        if not ended:
            raise
        return INTERRUPTED
    return one.exit_code


@dataclass(slots=True)
class Once(Question):
    """A channel that has one heartbeat run, and leaves with its end. `text` is its name."""

    async def run(self, post: Post, operations: Operations) -> None:
        taken = await operations.run_heartbeat(self.text)
        if isinstance(taken, Refused):
            raise OpenClawError(taken.reason)
        operations.watch(taken.id, self._events.put_nowait)
        while not isinstance(event := await self._events.get(), Finished):
            await self._during(event, operations)
        await self._end(event.reply, taken.id, operations)

    async def _end(self, reply: Reply, id: str, operations: Operations) -> None:
        runs = await operations.history(self.text, 20)
        run = next((run for run in runs if run["message"] == id), None)
        outcome = run["outcome"] if run else "failed" if reply.failed else "answered"
        quiet = str(run["check"] or "it found nothing") if run and outcome == "quiet" else ""
        self.exit_code = said(reply.text, failed=reply.failed, silent=outcome == "silent", quiet=quiet)
        if reply.fault:
            self.exit_code = exit_code({"fault": reply.fault})
        waiting = [one["to"] for one in run["deliveries"] if one["state"] == "due"] if run else []
        if waiting:
            note(f"it is delivered to {', '.join(waiting)} when a runtime runs here next")
