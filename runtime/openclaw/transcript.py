"""A session in memory: its entries, and the messages a model is sent for them.

Pure and append-only: `add` is the one way in, and what was sent once is sent again byte for byte, because
a model's thinking is bound to everything before it. What the person was told from elsewhere waits for what
they say next and goes before it, in the same message: so it never stands between a call and its result. A turn that
the model declined to answer is not sent again, for it would decline all that comes after it as well. Of very much
that they were told the model is shown the newest. What they say while calls run goes to the model behind the results,
in the same message.
`Log` puts the journal under it: disk first, then memory.
"""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

from openclaw.clock import Clock
from openclaw.messages import (
    AssistantEntry,
    Block,
    Compaction,
    Draft,
    Entry,
    Intent,
    Result,
    Told,
    ToolCall,
    ToolResult,
    Undone,
    Usage,
    UserEntry,
    quote_line,
)
from openclaw.names import CHANCE, Chance
from openclaw.ports import Journal

_THINKING = ("thinking", "redacted_thinking")
_CALL = "tool_use"
DECLINED = "refusal"  # why a model stopped that does not want to answer
_SEARCHED = ("server_tool_use", "web_search_tool_result")  # what the model's own service looked up for it
_NAMED = 5  # sources of strangers' material that are told apart
MOST_TOLD = 20  # entries that one message of the person carries with it
LONGEST_TOLD = 20_000  # characters of all of them
_CALLED = (AssistantEntry, Compaction)
_SUMMARIES = (Compaction, Undone)
_ASIDE = (Draft, *_SUMMARIES)
_BETWEEN = (Told, *_ASIDE)  # what comes between two turns
_BORDER = re.compile(r"<(?=\s*/?\s*context)", re.IGNORECASE)  # where a text could open or end what we put around it


class Transcript:
    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries: list[Entry] = []
        self._usage, self._uncounted = Usage(), list[Usage]()  # of all model calls; those not added up yet
        self.context_tokens = 0  # what the last call of the model carried, input and output
        self._messages: list[dict[str, Any]] = []
        self._setup: str | None = None  # the setup that `_messages` is rendered for
        self._open: dict[str, Result | None] = {}  # calls of the last answer, in its order
        self._asked: dict[str, Result | None] = {}  # the same, of the last answer in `_messages`
        self._told: list[Told] = []  # what the next message of the person carries with it
        self._intents: dict[str, Intent] = {}
        self._begun: dict[str, int] = {}  # by message: the place of the entry that it came with last
        self._turns: list[int] = []  # the places where turns began
        self._declined: set[int] = set()  # places of turns that the model declined: nothing of them is sent again
        self._steering: set[str] = set()  # ids of entries that joined a turn under way
        self._summaries: list[int] = []  # places of the summaries that were not taken back
        self._undone: int | None = None  # the place where the last one was, and none was made since
        self.counted: int | None = None  # entries that are counted as used; None: nobody has looked yet
        self.guessed = (0, 0)  # entries and their tokens, as far as somebody guessed them since the last summary
        self._together: dict[str, frozenset[str]] = {}  # by message: all that are answered with it, itself included
        self._untrusted: dict[str, None] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        _TAKEN[type(entry)](self, entry)
        if self._setup is not None:
            self._render(entry)

    def _said(self, entry: UserEntry) -> None:
        if entry.untrusted:
            self._untrusted.setdefault(entry.untrusted)
        at, anew = len(self.entries) - 1, entry.message in self._begun
        steers = not anew and any(id in self._begun for id in entry.joined)
        if steers:
            self._steering.add(entry.id)
            self._begun[entry.message] = at
        else:
            self._turns.append(at)
            self._begun |= dict.fromkeys((entry.message, *entry.joined), at)
        if anew:
            self._part(entry)
        if entry.joined:
            self._join(entry, steers)

    def _was_told(self, entry: Told) -> None:
        if entry.untrusted:
            self._untrusted.setdefault(entry.untrusted)
        self._begun.setdefault(entry.message, len(self.entries) - 1)

    def _answered(self, entry: AssistantEntry) -> None:
        self._uncounted.append(entry.usage)
        self.context_tokens = entry.usage.context
        self._open = {}
        self._intents.clear()
        for block in entry.content:
            kind = block.get("type")
            if kind == _CALL:
                self._open[block["id"]] = None
            elif kind in _SEARCHED:
                self._untrusted.setdefault("a web search")
        if entry.stop_reason == DECLINED:
            self._decline(len(self.entries) - 1)

    def _decline(self, at: int) -> None:
        """What was declined once would be declined with all that comes after it."""
        begun = self._turns[-1] if self._turns else at
        self._declined |= {i for i in range(begun, at + 1) if not isinstance(self.entries[i], Told)}
        self._changed()

    def _intended(self, entry: Intent) -> None:
        self._intents[entry.call] = entry

    def _came(self, entry: Result) -> None:
        if entry.untrusted:
            self._untrusted.setdefault(entry.untrusted)
        if self._open.get(entry.call, entry) is None:  # a second result changes nothing
            self._open[entry.call] = entry

    def _commanded(self, entry: Compaction | Undone) -> None:
        """A command that did its work is not done again when it is taken up once more."""
        if entry.message:
            self._begun[entry.message] = len(self.entries) - 1

    def _summed_up(self, entry: Compaction) -> None:
        self._commanded(entry)
        self._uncounted.append(entry.usage)
        self._summaries.append(len(self.entries) - 1)
        self._undone = None
        self._changed()

    def _drafted(self, entry: Draft) -> None:
        self._uncounted.append(entry.usage)

    def _taken_back(self, entry: Undone) -> None:
        self._commanded(entry)
        if self.summary is not None and self.summary.id == entry.compaction:
            self._summaries.pop()
            self._undone = len(self.entries) - 1
            self._changed()

    @property
    def usage(self) -> Usage:
        """Of all model calls."""
        self._usage = sum(self._uncounted, self._usage)
        self._uncounted.clear()
        return self._usage

    def _changed(self) -> None:
        """What is sent changes from its first line: it is rendered anew, and nobody has counted it yet."""
        self.context_tokens, self.guessed, self._setup = 0, (0, 0), None

    @property
    def summary(self) -> Compaction | None:
        """What stands for the older part of the conversation now."""
        last = self.entries[self._summaries[-1]] if self._summaries else None
        return last if isinstance(last, Compaction) else None

    def undone(self) -> list[Entry]:
        """What came after the last summary was taken back, that itself first; nothing where another was made since."""
        return [] if self._undone is None else self.entries[self._undone :]

    def _join(self, entry: UserEntry, steers: bool) -> None:
        whole = frozenset((entry.message, *entry.joined))
        if steers:
            whole = whole.union(*(self.together(id) for id in whole))
        self._together |= dict.fromkeys(whole, whole)

    def _part(self, entry: UserEntry) -> None:
        """What is said anew leaves those it was said with before, unless they come along."""
        again = {entry.message, *entry.joined}
        left = frozenset[str]().union(*(self.together(id) for id in again)) - again
        self._together |= dict.fromkeys(left, left) | {id: frozenset((id,)) for id in again}

    def together(self, message: str) -> frozenset[str]:
        """The inbox ids of everything that is answered in one turn with this message, which is one of them."""
        return self._together.get(message, frozenset((message,)))

    @property
    def untrusted(self) -> str:
        """What strangers wrote of all that was said here, summarised or not; "" where they wrote nothing."""
        return ", ".join([*self._untrusted][:_NAMED])

    def messages(self, setup: str) -> Sequence[Mapping[str, Any]]:
        """All messages for a request made with this setup (the digest of system prompt and tools).

        Thinking that was given under another setup is left out, together with all thinking before it.
        The list is the transcript's own and grows; do not change it.
        """
        if setup != self._setup:
            self._setup = setup
            self._messages, self._asked, self._told = [], {}, []
            unbound = self._unbound(setup)
            summary, start = self._standing()
            if summary is not None:
                self._render(summary)
            for at, entry in self._sent(start):
                self._render(entry, thinking=at >= unbound)
        return self._messages

    def before(self, setup: str, end: str | None) -> Sequence[Mapping[str, Any]]:
        """The messages for what is in the conversation before the entry `end`, or for all of it; what the person was
        told there comes last."""
        part = Transcript()
        part._setup, part._steering, unbound = setup, self._steering, self._unbound(setup)
        summary, start = self._standing()
        if summary is not None:
            part._render(summary)
        for at, entry in self._sent(start):
            if entry.id == end:
                break
            part._render(entry, thinking=at >= unbound)
        part._close_calls()
        if part._told:
            part._messages.append({"role": "user", "content": _blocks(part._told)})
        return part._messages

    def dangling(self) -> list[tuple[ToolCall, bool]]:
        """Calls of the last answer that have no result yet; True where an intent says the call was begun."""
        last = next((e for e in reversed(self.entries) if isinstance(e, AssistantEntry)), None)
        if last is None:
            return []
        return [(call, call.id in self._intents) for call in calls(last.content) if self._open.get(call.id) is None]

    def begun(self, message: str) -> bool:
        """Whether this inbox message is in the transcript already: its turn is taken up again, or it was told."""
        return message in self._begun

    def steers(self, entry: Entry) -> bool:
        """Whether it was said while the turn that it joined was under way."""
        return entry.id in self._steering

    def place(self, message: str) -> int:
        """Where the entry stands that this inbox message came with, or will stand: at the end."""
        return self._begun.get(message, len(self.entries))

    def turn(self, message: str) -> list[Entry]:
        """What stands in its turn, as it was begun last: from its words up to the next turn."""
        at = self.place(message)
        after = bisect_right(self._turns, at)
        return self.entries[at : self._turns[after] if after < len(self._turns) else None]

    def latest(self, message: str) -> bool:
        """Whether its turn is the last that was begun here: only that one can be taken up."""
        return self.begun(message) and (not self._turns or self._turns[-1] <= self._begun[message])

    def answer(self, message: str) -> AssistantEntry | None:
        """What its own turn ended with, where it came to an answer: it only lacks its reply."""
        last = next((entry for entry in reversed(self.turn(message)) if not isinstance(entry, _BETWEEN)), None)
        if isinstance(last, AssistantEntry) and last.stop_reason != "pause_turn" and not calls(last.content):
            return last
        return None

    def since_call(self) -> list[Entry]:
        """What came after the last answer or summary: the last call of the model did not carry it."""
        at = next((i for i in range(len(self.entries), 0, -1) if isinstance(self.entries[i - 1], _CALLED)), 0)
        return self.entries[at:]

    def kept(self) -> list[Entry]:
        """What is in the conversation now: the summary in force, what it kept, and what came after it."""
        summary, start = self._standing()
        words: list[Entry] = [entry for _, entry in self._sent(start) if not isinstance(entry, _ASIDE)]
        return words if summary is None else [summary, *words]

    def _standing(self) -> tuple[Compaction | None, int]:
        """The summary in force, and where what it kept begins."""
        summary = self.summary
        if summary is None:
            return None, 0
        at = self._summaries[-1]
        if summary.keep_from is None:
            return summary, at
        return summary, next((i for i in range(at - 1, -1, -1) if self.entries[i].id == summary.keep_from), at)

    def _sent(self, start: int) -> Iterator[tuple[int, Entry]]:
        """The entries from there that are sent, each with its place. For a turn that the model declined stands that the
        person was told so."""
        begun: list[Entry] = []
        for at in range(start, len(self.entries)):
            entry = self.entries[at]
            if at in self._declined:
                begun.append(entry)
                if isinstance(entry, AssistantEntry) and entry.stop_reason == DECLINED:
                    yield at, _of_declined(entry, begun)
                    begun = []
            elif not isinstance(entry, _SUMMARIES):
                yield at, entry

    # ── rendering ────────────────────────────────────────────────────────────────────────────────

    def _render(self, entry: Entry, *, thinking: bool = True) -> None:
        match entry:
            case UserEntry():
                self._show_said(entry)
            case AssistantEntry():
                self._close_calls()
                answered = entry.content if thinking else _without_thinking(entry.content)
                self._messages.append({"role": "assistant", "content": list(answered) or [_SILENT]})
                self._asked = {block["id"]: None for block in entry.content if block.get("type") == _CALL}
            case Result() if self._asked.get(entry.call, entry) is None:
                self._asked[entry.call] = entry
                if all(self._asked.values()):
                    self._close_calls()
            case Told():
                self._told.append(entry)
            case Compaction(block=None):
                self._messages.append({"role": "user", "content": [{"type": "text", "text": entry.summary}]})
            case Compaction(block=block):
                beside = [{"type": "text", "text": entry.beside}] if entry.beside else []
                self._messages.append({"role": "user", "content": [block, *beside]})

    def _show_said(self, entry: UserEntry) -> None:
        self._close_calls()
        content = [*_blocks(self._told), *entry.content] if self._told else list(entry.content)
        self._told = []
        if self.steers(entry) and self._messages and self._messages[-1]["role"] == "user":
            content = [*self._messages.pop()["content"], *content]  # it was not sent yet
        self._messages.append({"role": "user", "content": content})

    def _close_calls(self) -> None:
        """Sends the results of the last answer's calls. One whose line was damaged is told as lost: without
        a result for every call no model would take the rest."""
        if self._asked:
            results = [_result_block(result, call) for call, result in self._asked.items()]
            self._messages.append({"role": "user", "content": results})
            self._asked = {}

    def _unbound(self, setup: str) -> int:
        """The place behind the last compaction or answer under another setup: the prefix that the thinking before it
        was bound to is no longer what is sent."""
        for at in range(len(self.entries) - 1, -1, -1):
            entry = self.entries[at]
            other = isinstance(entry, AssistantEntry) and entry.setup != setup and at not in self._declined
            if other or isinstance(entry, _SUMMARIES):
                return at + 1
        return 0


_SILENT: Block = {"type": "text", "text": "(no text)"}  # for no model takes a message without content

_TAKEN: Mapping[type[Entry], Callable[[Transcript, Any], None]] = {  # looked up: there may be thousands at once
    UserEntry: Transcript._said,
    AssistantEntry: Transcript._answered,
    Intent: Transcript._intended,
    Result: Transcript._came,
    Told: Transcript._was_told,
    Compaction: Transcript._summed_up,
    Draft: Transcript._drafted,
    Undone: Transcript._taken_back,
}


@dataclass(frozen=True, slots=True)
class Log:
    """A session being written: what the journal has taken is in the transcript, in the same order."""

    session: str
    journal: Journal
    transcript: Transcript
    clock: Clock
    chance: Chance = CHANCE

    async def write(self, *entries: Entry) -> None:
        """Cancelled half way it still ends first: what is on disk and not in memory would be written twice,
        or a call that it holds never be answered."""
        writing = asyncio.ensure_future(self._written(entries))
        cancelled: asyncio.CancelledError | None = None
        while not writing.done():
            try:
                await asyncio.wait({writing})
            except asyncio.CancelledError as error:
                cancelled = error
        writing.result()
        if cancelled is not None:
            raise cancelled

    async def _written(self, entries: Sequence[Entry]) -> None:
        await self.journal.append(self.session, entries)
        for entry in entries:
            self.transcript.add(entry)

    async def result(self, call: str, result: ToolResult) -> None:
        id, now = self.chance.fresh(), self.clock.now()
        await self.write(Result(id, now, call, result.text, result.is_error, result.untrusted))

    async def intent(self, call: ToolCall) -> None:
        await self.write(Intent(self.chance.fresh(), self.clock.now(), call.id, call.name, call.input))


def calls(content: Iterable[Block]) -> list[ToolCall]:
    """The calls of client-side tools in an answer. `server_tool_use` is not ours."""
    return [ToolCall(b["id"], b["name"], b.get("input") or {}) for b in content if b.get("type") == _CALL]


def paid(entry: Entry) -> tuple[str, Usage] | None:
    """What a call of a model took, with the setup of whoever answered, "" where that is not known; None for none."""
    match entry:
        case AssistantEntry(setup=setup, usage=usage) | Draft(setup=setup, usage=usage):
            return setup, usage
        case Compaction(usage=usage):
            return "", usage
    return None


def text_of(content: Iterable[Block]) -> str:
    return "".join(str(b.get("text") or "") for b in content if b.get("type") == "text").strip()


def newest(told: Sequence[Told]) -> list[Told]:
    """The last of what the person was told, as much as a message may carry: never none, if need be shortened."""
    shown: list[Told] = []
    length = 0
    for entry in reversed(told[-MOST_TOLD:]):
        length += len(_telling(entry))
        if length > LONGEST_TOLD:
            break
        shown.append(entry)
    if told and not shown:
        shown = [replace(told[-1], text=_shortened(told[-1].text))]
    return shown[::-1]


def _blocks(told: Sequence[Told]) -> list[Block]:
    shown = newest(told)
    texts = [_telling(entry) for entry in shown]
    if more := len(told) - len(shown):
        texts.insert(0, f"<context>\nThey were told {more:,} more before this, the first {_at(told[0])}.\n</context>")
    return [{"type": "text", "text": text} for text in texts]


def _shortened(text: str) -> str:
    """Each line may be marked, so that half of what is left is sure to have room."""
    return f"{text[: LONGEST_TOLD // 8]}\n(shortened: it was {len(text):,} characters)"


def _at(told: Told) -> str:
    return told.at.astimezone(UTC).strftime("at %A %Y-%m-%d %H:%M UTC")


def _telling(told: Told) -> str:
    """Line by line behind a mark, as all that others said, and the end of the context stays ours."""
    quoted = [f"> {_BORDER.sub('&lt;', line)}" for line in told.text.splitlines()]
    return "\n".join(["<context>", f"{quote_line(told.by)} told them this {_at(told)}:", *quoted, "</context>"])


def _of_declined(answer: AssistantEntry, turn: Sequence[Entry]) -> Told:
    """It has the id with which the turn began: whoever keeps from there keeps all of it."""
    text = "The model declined to answer what they said then. That is left out here, with all that came of it."
    called = dict.fromkeys(entry.tool for entry in turn if isinstance(entry, Intent))
    if called:
        text += f"\nThese tools had been called for it, and may have had their effect: {', '.join(called)}."
    return Told(turn[0].id, answer.at, "the runtime", text, "")


def _without_thinking(content: Sequence[Block]) -> Sequence[Block]:
    kept = [block for block in content if block.get("type") not in _THINKING]
    return kept or [_SILENT]


def _result_block(result: Result | None, call: str) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call}
    if result is None:
        return {**block, "content": "(this result is lost)", "is_error": True}
    block["content"] = result.content or "(empty)"
    return {**block, "is_error": True} if result.is_error else block
