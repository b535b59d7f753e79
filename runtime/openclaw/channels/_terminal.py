"""The REPL on a terminal: a prompt that stays at the bottom while answers appear above it.

Law: output goes above the prompt, whole blocks at a time; what is not finished stands in the live lines
over the prompt and disappears from there. A turn's end is shown once, by whichever comes first of the
watcher's last word and the delivered reply. Only questions of this channel's own turns are put here.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.patch_stdout import patch_stdout

from openclaw.channels import _keys, _paper
from openclaw.channels._questions import Questions
from openclaw.channels._turn import TurnView
from openclaw.channels._typed import Shown, may_answer, person, provenance, typed
from openclaw.clock import Clock
from openclaw.errors import ApprovalError, DiskFull
from openclaw.messages import Accepted, Answered, Approval, Asked, Finished, Progress, Refused, Reply, Settled
from openclaw.ports import ChannelOptions, Operations, Post

_HINT = "/help lists the commands, Alt-Enter starts a new line, /quit or Ctrl-D leaves."
_TICK = 0.5  # seconds between redraws of the clock while a turn runs
_TWICE = 2.0  # seconds within which a second Ctrl-C leaves
_EDITS = {"applied": "green", "unchanged": "dim", "needs_restart": "yellow"}  # what else comes of one is amiss
_LOOSER = 5  # sentences on what an edit loosens that are shown


class Terminal:
    def __init__(self, options: ChannelOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._shown = Shown()
        self._turns: dict[str, TurnView] = {}  # open turns by message id, oldest first
        self._speaker = ""  # the agent whose words are the last on the screen
        self._talk: _Conversation | None = None

    async def run(self, post: Post, operations: Operations) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._talk = _Conversation(self, self._options, self._clock, post, operations, tasks)
            try:
                await self._talk.run()
            finally:
                self._talk = None

    async def send(self, reply: Reply) -> None:
        if reply.answers in self._shown:
            return
        turn = self._turns.get(reply.answers or "")
        if turn is not None:
            turn.finish(reply)
            self.ended(reply)
            return
        self._shown.add(reply.answers)
        self._unasked(reply)

    def began(self, id: str, turn: TurnView) -> None:
        if id not in self._shown:
            self._turns[id] = turn

    def ended(self, reply: Reply) -> None:
        self._shown.add(reply.answers)
        self._turns.pop(reply.answers or "", None)

    def over(self, turn: TurnView) -> None:
        """Its message was answered, perhaps together with another."""
        for id in [id for id, view in self._turns.items() if view is turn]:
            del self._turns[id]

    def has_shown(self, reply: Reply) -> bool:
        return reply.answers in self._shown

    @property
    def turns(self) -> dict[str, TurnView]:
        return self._turns

    def say(self, text: str) -> None:
        """Above the prompt, or on the bare terminal where none is there. `text` ends in a newline."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def speak(self, agent: str) -> None:
        """Names who speaks, where that changes."""
        if agent != self._speaker:
            self._speaker = agent
            self.say(_paper.paint(f"{self._name(agent)}:", "dim") + "\n")

    def _name(self, agent: str) -> str:
        name = self._talk.name(agent) if self._talk else agent
        return _paper.one_line(name, 60)

    def interrupted(self) -> None:
        """What was typed stands between the last words and the next."""
        self._speaker = ""

    def _unasked(self, reply: Reply) -> None:
        note = _paper.one_line(provenance(reply), 80)
        self._speaker = reply.agent
        self.say(_paper.paint(f"{self._name(reply.agent)} ({note}):", "dim") + "\n")
        self.say(_paper.paint(_paper.wrapped(reply.text), "red") if reply.failed else _paper.markdown(reply.text))


class _Conversation:
    """One run of the prompt, from hint to leaving."""

    def __init__(
        self,
        terminal: Terminal,
        options: ChannelOptions,
        clock: Clock,
        post: Post,
        operations: Operations,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._terminal = terminal
        self._options = options
        self._clock = clock
        self._post = post
        self._operations = operations
        self._tasks = tasks
        self._in_order = asyncio.Lock()
        self._interrupted = float("-inf")
        history = options.options.get("history")
        self._session: PromptSession[str] = _keys.prompt_session(self, self._message, history)
        self._questions = Questions(clock, self._session.default_buffer, self._redraw)

    async def run(self) -> None:
        with _above_the_prompt():
            self._terminal.say(_paper.paint(_HINT, "dim") + "\n")
            ticking = self._tasks.create_task(self._tick())
            silence = self._operations.listen(self._options.key, self._overhear)
            deaf = self._operations.hear_reloads(self._reloaded)
            try:
                await self._lines()
            finally:
                deaf()
                silence()
                ticking.cancel()
                self._questions.close()

    async def _lines(self) -> None:
        with suppress(EOFError):
            while True:
                text = await self._session.prompt_async(handle_sigint=False)
                if text.strip() == "/quit":
                    return
                self._terminal.interrupted()
                self._tasks.create_task(self._say(text))

    async def _say(self, text: str) -> None:
        turn = TurnView(self._terminal, self._clock)
        message = typed(text, self._options, self._clock)
        async with self._in_order:
            outcome = await self._post(message, lambda progress: self._watch(turn, progress))
        match outcome:
            case Accepted(id=id, agent=agent, session=session):
                turn.accepted(agent, session)
                self._terminal.began(id, turn)
            case Answered(text=answer):
                self._terminal.say(_paper.wrapped(answer))
            case Refused(reason=reason):
                self._terminal.say(_paper.paint(_paper.wrapped(reason), "red"))
        self._redraw()

    def _watch(self, turn: TurnView, progress: Progress) -> None:
        self._overhear(progress)
        turn.show(progress)
        if isinstance(progress, Finished):
            self._terminal.over(turn)
        self._redraw()

    def _overhear(self, progress: Progress) -> None:
        """Questions of every turn of this channel, also of those taken up again after a restart."""
        match progress:
            case Asked(approval=approval):
                self._ask(approval)
            case Settled(approval=id, answer=answer, why=why):
                self._questions.settled(id)
                self._terminal.say(_paper.settled_line(answer, why))
            case Finished(reply=reply):
                self._questions.withdraw(reply.session)
            case _:
                pass

    def _reloaded(self, attempt: Mapping[str, Any]) -> None:
        """What became of an edit, and what it loosens."""
        self._terminal.interrupted()
        style = _EDITS.get(attempt["outcome"], "red")
        self._terminal.say(_paper.paint(_paper.wrapped(attempt["words"]).rstrip("\n"), style) + "\n")
        for words in _several(attempt["widened"]):
            self._terminal.say(_paper.paint(_paper.wrapped(f"WIDENS: {words}").rstrip("\n"), "yellow") + "\n")

    # ── the keys' desk ───────────────────────────────────────────────────────────────────────────

    def asked(self) -> bool:
        return self._questions.current is not None

    def answer(self, key: str) -> None:
        self._tasks.create_task(self._press(key))

    def interrupt(self) -> bool:
        sessions = {turn.session for turn in self._terminal.turns.values()}
        if sessions:
            for session in sessions:
                self._tasks.create_task(self._stop(session))
            return False
        now = self._clock.monotonic()
        again = now - self._interrupted <= _TWICE
        self._interrupted = now
        if not again:
            self._terminal.say(_paper.paint("Ctrl-C again, or Ctrl-D, leaves.", "dim") + "\n")
        return again

    def name(self, agent: str) -> str:
        """What people call the agent, where it says so."""
        names = {found.get("id"): found.get("name") for found in self._operations.agents()}
        return str(names.get(agent) or agent)

    def words(self, text: str) -> Iterable[tuple[str, str]]:
        here = self._options.key
        agents = [str(agent["id"]) for agent in self._operations.agents(here)]
        return _keys.matching(text, self._operations.commands(here), agents)

    # ── questions ────────────────────────────────────────────────────────────────────────────────

    def _ask(self, approval: Approval) -> None:
        self._terminal.say(_paper.card(approval))
        if may_answer(approval, self._options):
            self._tasks.create_task(self._questions.ask(approval))
        else:
            waiting = f"waits for {', '.join(approval.approvers) or 'nobody'}"
            self._terminal.say(_paper.paint(waiting, "yellow") + "\n")

    async def _press(self, key: str) -> None:
        asked = self._questions.current
        given = await self._questions.press(key)
        if asked is None or given is None:
            return
        try:
            await self._operations.answer(*given, person(self._options))
        except (ApprovalError, DiskFull) as error:
            self._terminal.say(_paper.paint(_paper.wrapped(str(error)), "red"))
            if any(one.id == asked.id for one in self._operations.approvals()):
                await self._questions.ask(asked)

    async def _stop(self, session: str) -> None:
        if not await self._operations.stop(session):
            # Nothing runs there any more: wait for it no longer. Its reply, if one comes, is printed as it arrives.
            for id, turn in list(self._terminal.turns.items()):
                if turn.session == session:
                    del self._terminal.turns[id]
            self._redraw()

    # ── the live lines ───────────────────────────────────────────────────────────────────────────

    def _message(self) -> ANSI:
        if get_app().is_done:
            return ANSI(_paper.paint("› ", "cyan"))
        turn = next(iter(self._terminal.turns.values()), None)
        live = turn.live(len(self._terminal.turns) - 1) if turn else []
        if self._questions.current is not None:
            question = _paper.question(self._questions.current.offers)
            return ANSI("\n".join([*live, question + self._questions.word]))
        return ANSI("\n".join([*live, _paper.paint("› ", "cyan")]))

    def _redraw(self) -> None:
        self._session.app.invalidate()

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(_TICK)
            if self._terminal.turns:
                self._redraw()


def _several(sentences: Sequence[str]) -> Iterator[str]:
    yield from sentences[:_LOOSER]
    if len(sentences) > _LOOSER:
        yield f"and {len(sentences) - _LOOSER:,} more; `GET /api/reload` has all"


def _untold(record: logging.LogRecord) -> bool:
    """Not what is shown here as a notice."""
    return not hasattr(record, "told")


@contextmanager
def _above_the_prompt() -> Iterator[None]:
    """Whatever is printed or logged appears above the prompt; standard error that goes elsewhere keeps going there."""
    errors = sys.stderr
    with patch_stdout(raw=True):
        if not errors.isatty():
            sys.stderr = errors
        elsewhere = sys.stderr is errors
        streams = [h for h in logging.getLogger().handlers if isinstance(h, logging.StreamHandler)]
        handlers = [handler for handler in streams if handler.stream is errors]
        for handler in handlers:
            handler.setStream(sys.stderr)
            if not elsewhere:
                handler.addFilter(_untold)
        try:
            yield
        finally:
            for handler in handlers:
                handler.removeFilter(_untold)
                handler.setStream(errors)
