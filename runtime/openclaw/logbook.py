"""logs/openclaw.jsonl: what the runtime did and what it met, one line of JSON each; and how they are read again.

Law: a line says when, how grave, who speaks and in which turn, and never what people, models or tools said. Every text
in it is struck free of secrets before it is cut or written. A file that is full gets a number and is let go of when
it is the oldest; numbers only grow, so the lines can be followed over all of them in their order. What cannot be read
as a line is counted and passed over. Pure but for reading; who writes is `logwriting`.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from openclaw.secrecy import SECRETS, message, traceback_of

NAME = "openclaw.jsonl"  # what is written to now; earlier ones are openclaw-000001.jsonl and so on
LEVELS = ("debug", "info", "warning", "error", "critical")
PLACES = ("agent", "session", "channel", "message", "heartbeat")  # where a line belongs, as far as that is known
LONGEST = 8_000  # characters of a line's text
LONGEST_ERROR = 32_000  # of its traceback, whose end is kept
_SAFE = frozenset({"at", "level"})  # made of our own words alone
_PART = re.compile(r"openclaw-([0-9]{6,})\.jsonl")
_OURS = frozenset({"at", "level", "logger", "event", "text", "error", "trace", *PLACES})
_HERE: ContextVar[Mapping[str, str]] = ContextVar("openclaw_place", default={})  # noqa: B039 - never changed
_PIECE = 1 << 16


# ── what a line is made of ───────────────────────────────────────────────────────────────────────


@contextmanager
def about(**places: str | None) -> Iterator[None]:
    """Whatever is logged inside, also by tasks and threads that begin there, belongs to this agent, session, ..."""
    token = _HERE.set({**_HERE.get(), **{name: value for name, value in places.items() if value}})
    try:
        yield
    finally:
        with suppress(ValueError):  # a task that was thrown away unfinished ends where it never was
            _HERE.reset(token)


def event(name: str, **facts: Any) -> dict[str, Any]:
    """The `extra` of a record: what happened, in words that stay the same, and its figures."""
    return {"event": name, "facts": {key: value for key, value in facts.items() if value is not None and value != ""}}


def aside(name: str, **facts: Any) -> dict[str, Any]:
    """The same for the file alone: whoever sits at the terminal is told in another way."""
    return {**event(name, **facts), "quiet": True}


def debug(log: logging.Logger, name: str, words: str, *args: Any, **facts: Any) -> None:
    """What only somebody who looks for a fault wants to know, and asked for: why something happened, or did not."""
    if log.isEnabledFor(logging.DEBUG):
        log.debug(words, *args, extra=event(name, **facts))


def entry(record: logging.LogRecord, at: datetime, trace: str = "") -> dict[str, Any]:
    """A record as it will stand in the file, but for its secrets. To be made where it was logged. Only a record of ours
    has an event and facts: what a library gives these names has another meaning."""
    ours = record.name.partition(".")[0] == "openclaw"
    name, facts = (getattr(record, "event", ""), getattr(record, "facts", {})) if ours else ("", {})
    return {
        "at": at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": _level(record.levelno),
        "logger": record.name,
        "event": name if isinstance(name, str) else "",
        "text": message(record),
        **_HERE.get(),
        **{key: value for key, value in facts.items() if key not in _OURS or key in PLACES},
        "error": traceback_of(record),
        "trace": trace,
    }


def line(entry: Mapping[str, Any]) -> bytes:
    """The entry as one line, its end included, with no secret and nothing empty in it."""
    told = {key: value if key in _SAFE else SECRETS.mask_all(value) for key, value in entry.items() if value != ""}
    told["text"] = told.get("text", "")[:LONGEST]
    if "error" in told:
        told["error"] = told["error"][-LONGEST_ERROR:]
    written = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return written.encode("utf-8", "backslashreplace") + b"\n"


def unfit(entry: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    """What stands in place of an entry of which no line can be made. The error's own words may hold anything."""
    text = f"a record of {entry['logger']} cannot be written ({type(error).__name__})"
    return {"at": entry["at"], "level": entry["level"], "logger": entry["logger"], "text": text}


def _level(number: int) -> str:
    return LEVELS[max(0, min(number // 10 - 1, len(LEVELS) - 1))]


# ── files, and reading them ──────────────────────────────────────────────────────────────────────


def part(number: int) -> str:
    return f"openclaw-{number:06}.jsonl"


def parts(folder: Path) -> dict[int, Path]:
    """The full files by their numbers, the oldest first."""
    found = {int(match[1]): path for path in folder.glob("openclaw-*.jsonl") if (match := _PART.fullmatch(path.name))}
    return dict(sorted(found.items()))


def parsed(line: bytes) -> dict[str, Any] | None:
    """None for what is no line of ours."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    fits = isinstance(found, dict) and all(isinstance(found.get(key), str) for key in ("at", "level", "text"))
    return found if fits and found["level"] in LEVELS else None


class Reader:
    """Every line in its order, over all files; those that come later when it is asked again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._number = 0  # of the last full file that was read to its end
        self._rest = b""  # the beginning of a line whose end was not there yet

    def lines(self) -> Iterator[bytes]:
        """All that are whole by now."""
        while self._opened() is not None:
            yield from self._whole()
            if self._is_written_to():
                return
            yield from self._whole()  # what came between the last look and its renaming
            yield from self.rest()
            self._leave()

    def rest(self) -> Iterator[bytes]:
        """What stands at the end without one, as a writer that was killed leaves it."""
        rest, self._rest = self._rest, b""
        if rest:
            yield rest

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> IO[bytes] | None:
        while self._file is None:
            left = [(number, path) for number, path in parts(self._folder).items() if number > self._number]
            number, path = left[0] if left else (self._number, self._folder / NAME)
            try:
                self._file = path.open("rb")
            except FileNotFoundError:
                if not left:
                    return None
                self._number = number  # let go of since
        return self._file

    def _whole(self) -> Iterator[bytes]:
        assert self._file is not None
        while piece := self._file.read(_PIECE):
            *lines, self._rest = (self._rest + piece).split(b"\n")
            yield from lines

    def _is_written_to(self) -> bool:
        return self._is(self._folder / NAME)

    def _is(self, path: Path) -> bool:
        assert self._file is not None
        with suppress(FileNotFoundError):
            return os.path.samestat(path.stat(), os.fstat(self._file.fileno()))
        return False

    def _leave(self) -> None:
        """It is full: by its number it is known which one follows."""
        self._number = next((number for number, path in parts(self._folder).items() if self._is(path)), self._number)
        self.close()
