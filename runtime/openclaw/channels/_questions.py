"""Approvals waiting for a key, one at a time.

Law: a question comes up only after the keyboard has been quiet for a moment, and what was typed by then
is put aside and comes back afterwards. A key answers if nothing follows it at once, or only Enter: the
first letter of a word that somebody goes on typing answers nothing, and neither does Enter alone.
"""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from openclaw.clock import Clock
from openclaw.messages import Answer, Approval

_QUIET = 0.5  # seconds without a change of the input before a question comes up
_QUIET_TYPING = 1.5  # the same, in the middle of a text

_ALONE = 0.4  # seconds after which nothing more is expected to follow a key

_WORDS: dict[str, Answer] = {
    "y": "allow-once",
    "yes": "allow-once",
    "a": "allow-always",
    "always": "allow-always",
    "n": "deny",
    "no": "deny",
}


class Questions:
    def __init__(self, clock: Clock, buffer: Buffer, redraw: Callable[[], None]) -> None:
        self._clock = clock
        self._buffer = buffer
        self._redraw = redraw
        self._pending: dict[str, Approval] = {}
        self._typed = float("-inf")
        self._draft: Document | None = None
        self.current: Approval | None = None
        self.word = ""  # what was typed at the question so far
        buffer.on_text_changed += self._changed

    async def ask(self, approval: Approval) -> None:
        """Puts the question up once the keyboard is quiet and no other question is."""
        self._pending[approval.id] = approval
        self._typed = max(self._typed, self._clock.monotonic() - _QUIET / 2)
        while approval.id in self._pending:
            wait = self._typed + (_QUIET_TYPING if self._buffer.text else _QUIET) - self._clock.monotonic()
            if wait <= 0 and self.current is None:
                self._put_up(approval)
                return
            await self._clock.sleep(max(wait, 0.05))

    async def press(self, key: str) -> tuple[str, Answer] | None:
        """The approval and the answer this key gives it, if it gives one."""
        question = self.current
        if question is None:
            return None
        if key in ("\r", "\n"):
            return self._answer(question)
        self.word = self.word + key if key.isprintable() and len(key) == 1 else ""
        word = self.word
        self._redraw()
        await self._clock.sleep(_ALONE)
        return self._answer(question) if self.current is question and self.word == word else None

    def settled(self, id: str) -> None:
        """Answered elsewhere, expired or cancelled."""
        self._pending.pop(id, None)
        if self.current is not None and self.current.id == id:
            self._take_down()

    def withdraw(self, session: str) -> None:
        """The session's turn has ended: nobody waits for its answers any more."""
        held = [*self._pending.values(), *([self.current] if self.current else [])]
        for approval in held:
            if approval.session == session:
                self.settled(approval.id)

    def close(self) -> None:
        self._pending.clear()
        self.current = None

    def _answer(self, question: Approval) -> tuple[str, Answer] | None:
        answer = _WORDS.get(self.word.lower())
        self.word = ""
        self._redraw()
        if answer is None or answer not in question.offers:
            return None
        self._take_down()
        return question.id, answer

    def _changed(self, _: Buffer) -> None:
        self._typed = self._clock.monotonic()

    def _put_up(self, approval: Approval) -> None:
        del self._pending[approval.id]
        self.current = approval
        self._draft = self._buffer.document
        self._buffer.reset()
        self._redraw()

    def _take_down(self) -> None:
        self.current = None
        if self._draft is not None:
            self._buffer.document = self._draft
        self._draft = None
        self._redraw()
