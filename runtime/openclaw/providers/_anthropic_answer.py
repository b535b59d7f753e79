"""Puts the answer of a Messages API stream together, block by block, exactly as it was sent.

Its law: what comes out is what the next request must carry, verbatim: thinking with its signature,
blocks of unknown types, citations. Four things are left out because no server takes them back: text
blocks without text, thinking that nobody signed, a tool call whose input was cut off by the token limit
(its JSON is incomplete and must never run), and fragments after the end. Of calls with one id, which some
servers give, the later ones get ids of their own. Only a stream that said why it stopped and that it is
over counts as an answer, and one with a call that could be neither run nor sent back does not. It does
not know HTTP, the SDK or the clock, and checks nothing it does not need.
"""

from __future__ import annotations

import json
import re
from itertools import count
from typing import Any

from openclaw.errors import ProviderError
from openclaw.messages import TextDelta, ThinkingDelta, Usage, quote_line
from openclaw.ports import Completed
from openclaw.providers._anthropic_faults import Service

_CUT_SHORT = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})
_USAGE = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_input_tokens": "cache_read",
    "cache_creation_input_tokens": "cache_write",
}

MOST_BYTES = 16 << 20  # of an answer, with what a search brings along,
BYTES_PER_TOKEN = 1024  # and for each of its tokens: an event of its own, if need be
LONGEST_LINE = 8 << 20  # bytes

Delta = TextDelta | ThinkingDelta

_DOING = {
    "thinking": "thinking",
    "redacted_thinking": "thinking",
    "tool_use": "writing a call",
    "server_tool_use": "searching the web",
    "web_search_tool_result": "searching the web",
}

_NONSENSE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


class Lines:
    """Server-sent events from bytes: hands out each event's data. Names and comments are not needed.

    Raises ValueError at a line that has no end.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._waiting = 0  # bytes of `_rest`
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        if b"\n" not in chunk:
            self._keep(chunk)
            return []
        *lines, rest = b"".join([*self._rest, chunk]).split(b"\n")
        self._rest, self._waiting = [], 0
        self._keep(rest)
        events = []
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        return events

    def _keep(self, rest: bytes) -> None:
        self._rest.append(rest)
        self._waiting += len(rest)
        if self._waiting > LONGEST_LINE:
            raise ValueError("a line without an end")


class _Growing:
    """A content block under way: its start as sent, and the pieces that have come since."""

    __slots__ = ("block", "pieces")

    def __init__(self, block: dict[str, Any]) -> None:
        self.block = block
        self.pieces: list[str] = []


class Answer:
    def __init__(self, service: Service, model: str, max_tokens: int = 16_000) -> None:
        self._service = service
        self._room = MOST_BYTES + BYTES_PER_TOKEN * max_tokens  # bytes that may still come
        self._asked = self._model = model
        self._lines = Lines()
        self._blocks: dict[int, _Growing] = {}
        self._usage: dict[str, int] = {}
        self._stop_reason: str | None = None
        self._why = ""  # it stopped, in the service's own words
        self.events = 0  # that say something: pings do not
        self.over = False

    def feed(self, chunk: bytes) -> list[Delta]:
        """What a person may see of these bytes. Raises ProviderError where the server failed or spoke nonsense."""
        self._room -= len(chunk)
        if self._room < 0:
            raise self._service.truncated("it has no end")
        try:
            deltas = [self._take(json.loads(payload)) for payload in self._lines.feed(chunk)]
        except _NONSENSE:
            raise self._nonsense() from None
        return [delta for delta in deltas if delta is not None]

    @property
    def doing(self) -> str:
        """What the model is at, as far as the block under way tells."""
        kind = self._last().block.get("type") if self._blocks else None
        return _DOING.get(kind, "at work") if isinstance(kind, str) else "at work"

    def completed(self) -> Completed:
        if not self.over:
            raise self._service.truncated("the stream ended without its end mark")
        if self._stop_reason is None:
            raise self._service.truncated("the stream ended without a reason")
        try:
            content = [block for growing in self._blocks.values() if (block := self._finish(growing)) is not None]
            _tell_apart([block for block in content if block["type"] == "tool_use"])
        except _NONSENSE:
            raise self._nonsense() from None
        return Completed(tuple(content), self._stop_reason, Usage(**self._usage), self._model, self._why)

    def _nonsense(self) -> ProviderError:
        return self._service.truncated("it sent something that is not part of an answer")

    def _take(self, event: dict[str, Any]) -> Delta | None:
        kind = event["type"]
        self.events += kind != "ping"
        if self.over:
            return None
        if kind == "content_block_delta":
            return self._delta(self._blocks[event["index"]], event["delta"])
        if kind == "content_block_start":
            self._blocks[event["index"]] = _Growing(dict(event["content_block"]))
        elif kind == "message_start":
            self._model = _text(event["message"].get("model")) or self._model
            self._count(event["message"].get("usage"))
        elif kind == "message_delta":
            self._stop_reason = _text(event["delta"].get("stop_reason")) or self._stop_reason
            self._why = _details(event["delta"].get("stop_details")) or self._why
            self._count(_last_summary(event.get("usage")))
        elif kind == "message_stop":
            self.over = True
        elif kind == "error":
            error = event.get("error") or {}
            raise self._service.failure(200, error.get("type"), error.get("message"), self._asked)
        return None  # pings, ends of blocks, and events of later versions

    def _delta(self, growing: _Growing, delta: dict[str, Any]) -> Delta | None:
        kind = delta["type"]
        if kind == "text_delta":
            growing.pieces.append(delta["text"])
            return TextDelta(delta["text"]) if delta["text"] else None
        if kind == "thinking_delta":
            growing.pieces.append(delta["thinking"])
            return ThinkingDelta(delta["thinking"]) if delta["thinking"] else None
        if kind == "input_json_delta":
            growing.pieces.append(delta["partial_json"])
        elif kind == "signature_delta":
            growing.block["signature"] = delta["signature"]
        elif kind == "compaction_delta":
            growing.block |= {name: delta[name] for name in ("content", "encrypted_content") if name in delta}
        elif kind == "citations_delta":
            growing.block["citations"] = [*(growing.block.get("citations") or ()), delta["citation"]]
        return None

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Figures are running totals: later ones replace earlier ones, missing ones leave them."""
        usage = usage or {}
        figures = {ours: usage.get(theirs) for theirs, ours in _USAGE.items()}
        if isinstance(served := usage.get("server_tool_use"), dict):
            figures["searches"] = served.get("web_search_requests")
        for name, figure in figures.items():
            if isinstance(figure, int) and 0 <= figure < 1 << 53:
                self._usage[name] = figure

    def _finish(self, growing: _Growing) -> dict[str, Any] | None:
        block, came = growing.block, "".join(growing.pieces)
        kind = _text(block["type"])
        if kind in ("text", "thinking"):
            block[kind] = f"{block.get(kind) or ''}{came}"
            said = block["text"].strip() if kind == "text" else _text(block.get("signature"))
            return block if said else None
        if kind == "tool_use":
            _check(block)
        if "input" not in block:
            return block
        if came:
            return self._with_input(block, came)
        cut = kind == "tool_use" and not block["input"] and self._stop_reason in _CUT_SHORT
        return None if cut and growing is self._last() else block

    def _with_input(self, block: dict[str, Any], text: str) -> dict[str, Any] | None:
        try:
            block["input"] = json.loads(text)
        except (ValueError, RecursionError):
            block["input"] = None
        if isinstance(block["input"], dict):
            return block
        if self._stop_reason in _CUT_SHORT:
            return None
        raise self._service.truncated("the input of a tool call is not whole")

    def _last(self) -> _Growing:
        return next(reversed(self._blocks.values()))


def _text(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise TypeError("a word is no word")
    return value or ""


def _check(call: dict[str, Any]) -> None:
    """ValueError where nobody could run it, or it could never be sent back."""
    if not (_NAME.fullmatch(call["name"]) and _text(call["id"]) and isinstance(call.get("input"), dict)):
        raise ValueError("a call without an id, a name or an input")


def _tell_apart(calls: list[dict[str, Any]]) -> None:
    given = {call["id"] for call in calls}
    seen: set[str] = set()
    for call in calls:
        if call["id"] in seen:
            call["id"] = next(id for n in count(2) if (id := f"{call['id'][:100]}_{n}") not in given)
            given.add(call["id"])
        seen.add(call["id"])


def _last_summary(usage: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of an answer that is nothing but a summary the totals are 0, and what it took stands by itself."""
    steps = (usage or {}).get("iterations") or ()
    made = [step for step in steps if isinstance(step, dict) and step.get("type") == "compaction"]
    return made[-1] if made and len(made) == len(steps) else usage


def _details(details: Any) -> str:
    """Why it declined, as far as the service says; its words are a stranger's, so one harmless line."""
    if not isinstance(details, dict):
        return ""
    said = (details.get(name) for name in ("category", "explanation"))
    line = quote_line(": ".join(" ".join(each.split()) for each in said if isinstance(each, str) and each.strip()))
    return line if len(line) <= 400 else f"{line[:400]}…"
