"""What a turn leaves for the operator: a line of the log at its start and at its end, and a span around it.

Law: figures and names, never what was said. Knows nothing of how a turn is made.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from openclaw import logbook, tracing
from openclaw.clock import Clock
from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.messages import SILENT, Accepted, Account, Answered, Message, Refused, Reply
from openclaw.ports import Queued

log = logging.getLogger(__name__)


def place(queued: Queued) -> dict[str, str | None]:
    """Where whatever is logged on behalf of a message belongs."""
    return {
        "agent": queued.route.agent,
        "session": queued.route.session,
        "channel": queued.message.sender.channel,
        "message": queued.id,
        "heartbeat": queued.message.heartbeat,
    }


def tell_taken(message: Message, came: Accepted | Answered | Refused) -> None:
    """What became of a message that a channel brought."""
    sender, channel = message.sender, message.sender.channel
    match came:
        case Accepted(id=id, agent=agent, session=session, new=new):
            where = {"agent": agent, "session": session, "channel": channel, "message": id}
            words = f"a message of %s for agent %s {'is taken in' if new else 'was there already'}"
            logbook.debug(log, "message taken", words, sender, agent, **where)
        case Refused(code=code):
            words = "a message of %s is refused: %s"
            logbook.debug(log, "message refused", words, sender, code, code=code, channel=channel)
        case Answered():
            words = "a message of %s is a command, or no question, and is answered at once"
            logbook.debug(log, "message answered at once", words, sender, channel=channel)


class Telling:
    """Around one turn. `reply` is set to what came of it, `stopped` where a person ended it."""

    def __init__(self, queued: Queued, agent: Agent, snapshot: Snapshot, clock: Clock) -> None:
        self.reply: Reply | None = None
        self.stopped = False
        self._queued = queued
        self._agent = agent
        self._model = snapshot.models.get(agent.model)
        self._clock = clock
        self._began = clock.monotonic()
        self._open = ExitStack()
        self._span = tracing.Span()

    def __enter__(self) -> Self:
        queued, agent, model = self._queued, self._agent, self._model
        self._span = self._open.enter_context(
            tracing.span(
                f"invoke_agent {agent.name}",
                gen_ai__operation__name="invoke_agent",
                gen_ai__provider__name=model.kind if model else "",
                gen_ai__agent__id=agent.id,
                gen_ai__agent__name=agent.name,
                gen_ai__conversation__id=queued.route.session,
                gen_ai__request__model=model.id if model else "",
                openclaw__channel=queued.message.sender.channel,
                openclaw__heartbeat=queued.message.heartbeat,
            )
        )
        self._open.enter_context(logbook.about(agent=agent.id))
        again = f" (attempt {queued.attempts})" if queued.attempts > 1 else ""
        log.info("the turn begins%s", again, extra=logbook.event("turn started", attempt=queued.attempts))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        account = (self.reply.account if self.reply else None) or Account()
        outcome = self._outcome(error)
        self._trace(outcome, account, error)
        self._log(outcome, account)
        self._open.close()

    def _outcome(self, error: BaseException | None) -> str:
        if error is not None:
            return "cut off"
        if self.reply is None:
            return "given back"  # a newer message took it over, or its agent is gone
        if self.stopped:
            return "stopped"
        if self.reply.failed:
            return "failed"
        return "silent" if self.reply.text.strip() == SILENT else "answered"

    def _trace(self, outcome: str, account: Account, error: BaseException | None) -> None:
        if account.model:
            self._span.note(gen_ai__response__model=account.model)
            self._span.used(account.usage)
        self._span.note(openclaw__outcome=outcome)
        if outcome == "failed":
            self._span.failed(self.reply.fault if self.reply else "")
        elif error is not None:
            self._span.failed(type(error).__name__)

    def _log(self, outcome: str, account: Account) -> None:
        usage, seconds, failed = account.usage, self._clock.monotonic() - self._began, outcome == "failed"
        facts = logbook.aside(
            "turn ended",
            outcome=outcome,
            seconds=round(seconds, 3),
            model=account.model,
            input_tokens=usage.input,
            output_tokens=usage.output,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
            usd=account.cost if account.model else None,
            fault=self.reply.fault if self.reply and failed else "",
        )
        taken = f", {usage.context:,} tokens, {account.model}" if account.model else ""
        level = logging.WARNING if failed else logging.INFO
        log.log(level, "the turn ended after %.1f s: %s%s", seconds, outcome, taken, extra=facts)
