"""Show what the runtime did and met: its log, the newest line last.

Reads the files in the state folder's `logs/`, also beside a running runtime; it needs none. Without --since and --until
the last lines are shown, and with one of them every line of that time. Times are those of this machine's zone; with
--json each line is printed as it stands in the file, in UTC. --follow goes on until Ctrl-C, over full files and starts
of the runtime.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from openclaw.cli import _listing, spoken
from openclaw.durations import WANTED, said
from openclaw.errors import StateError
from openclaw.logbook import LEVELS, Reader, parsed

_SHOWN = 100  # lines, where nothing else is asked for
_EVERY = 250  # milliseconds between two looks
_COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}

Line: TypeAlias = tuple[bytes, Mapping[str, Any]]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("-n", "--lines", type=_count, metavar="N", help=f"the last N lines (default: {_SHOWN})")
    parser.add_argument("--since", type=_time, metavar="WHEN", help="not before this: 10m, 1h30m, or an ISO 8601 time")
    parser.add_argument("--until", type=_time, metavar="WHEN", help="not after this, written in the same way")
    parser.add_argument("--level", choices=LEVELS, help="this grave at the least")
    parser.add_argument("--agent", type=spoken, metavar="A", help="of one agent")
    parser.add_argument("--session", type=spoken, metavar="KEY", help="of one session")
    parser.add_argument("--channel", type=spoken, metavar="C", help="of one channel")
    parser.add_argument("--grep", type=spoken, metavar="TEXT", help="with this text in it, in letters of either case")
    parser.add_argument("--json", action="store_true", help="as JSON, a line each")


def run(args: argparse.Namespace) -> int:
    folder = args.state / "logs"
    reader, shown = Reader(folder), _Shown(args)
    try:
        shown.show(_last(shown, reader, args))
        if args.follow:
            _follow(shown, reader, folder)
    except PermissionError as error:
        cure = "only the user of the runtime may read it"
        raise StateError(f"{error.filename} cannot be read: {cure}") from error
    finally:
        reader.close()
        shown.tell_damage()
    if not shown.any and not args.follow:
        _listing.note(_nothing(folder))
    return 0


def _last(shown: _Shown, reader: Reader, args: argparse.Namespace) -> Iterable[Line]:
    most = args.lines
    if most is None and args.since is None and args.until is None:
        most = _SHOWN
    lines = reader.lines() if args.follow else chain(reader.lines(), reader.rest())
    if most is None:
        return shown.wanted(lines)
    if not shown.chooses:  # then only what is shown need be understood
        return shown.wanted(deque(lines, maxlen=most))
    return deque(shown.wanted(lines), maxlen=most)


def _follow(shown: _Shown, reader: Reader, folder: Path) -> None:
    if not shown.any and not folder.is_dir():
        _listing.note(f"{_nothing(folder)}; waiting for that")
    while not _left(_EVERY):
        shown.show(shown.wanted(reader.lines()))


def _left(milliseconds: int) -> bool:
    """Waits so long. Whether nobody reads standard output any more, which otherwise only the next line would tell."""
    looking = select.poll()
    looking.register(sys.stdout.fileno(), 0)
    return any(happened & (select.POLLERR | select.POLLHUP) for _, happened in looking.poll(milliseconds))


def _nothing(folder: Path) -> str:
    with closing(Reader(folder)) as reader:
        if any(reader.lines()):
            return "no line of the log is of that kind"
    return f"nothing is logged in {folder}: a runtime on this state folder writes there from its start on"


class _Shown:
    """What is asked for, and how it is printed."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.any = False
        self._args = args
        self._damaged = 0
        self._level = LEVELS.index(args.level) if args.level else 0
        self._since, self._until = args.since or "", args.until or ""
        self._sought = (args.grep or "").casefold()
        self._places = [
            (name, at) for name in ("agent", "session", "channel") if (at := getattr(args, name)) is not None
        ]
        self.chooses = bool(self._level or self._since or self._until or self._places or self._sought)
        self._color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def wanted(self, lines: Iterable[bytes]) -> Iterator[Line]:
        for line in lines:
            found = parsed(line)
            if found is None:
                self._damaged += bool(line.strip())
            elif self._is_wanted(found):
                yield line, found

    def _is_wanted(self, found: Mapping[str, Any]) -> bool:
        if LEVELS.index(found["level"]) < self._level or found["at"] < self._since:
            return False
        if self._until and found["at"].rstrip("Z") > self._until:
            return False
        if any(found.get(name) != place for name, place in self._places):
            return False
        return not self._sought or any(self._sought in str(value).casefold() for value in found.values())

    def show(self, lines: Iterable[Line]) -> None:
        for line, found in lines:
            self.any = True
            if self._args.json:
                sys.stdout.write(line.decode("utf-8", "replace") + "\n")
            else:
                sys.stdout.write("\n".join(self._for_people(found)) + "\n")
        sys.stdout.flush()

    def _for_people(self, found: Mapping[str, Any]) -> Iterator[str]:
        """Time, level, where, words; a traceback below, set in."""
        level = found["level"]
        where = next((found[name] for name in ("session", "heartbeat", "agent", "channel") if found.get(name)), "-")
        head, *more = str(found["text"]).split("\n")
        when, grade = self._in(_local(found["at"]), "2"), self._in(f"{level:<8}", _COLOURS.get(level, ""))
        yield f"{when} {grade} {self._in(_quoted(str(where)), '36')}  {_quoted(head)}"
        for line in [*more, *str(found.get("error", "")).split("\n")]:
            if line.strip():
                yield f"    {_quoted(line)}"

    def _in(self, text: str, color: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._color and color else text

    def tell_damage(self) -> None:
        if self._damaged:
            _listing.note(f"{self._damaged:,} damaged line{'s'[: self._damaged != 1]} passed over")


def _quoted(text: str) -> str:
    return text if text.isprintable() else _listing.quote_line(text)


def _local(at: str) -> str:
    try:
        return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3]
    except (ValueError, OverflowError):
        return _listing.quote_line(at)


def _time(text: str) -> str:
    """As the lines have it, so that both can be compared as they are written."""
    try:
        return _moment(text).replace(tzinfo=None).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        cure = f"write how long ago as {WANTED}, or a time such as 2026-03-28T12:00"
        raise argparse.ArgumentTypeError(f"`{text}` is no time; {cure}") from None


def _moment(text: str) -> datetime:
    """In UTC."""
    if (ago := said(text)) is not None:
        return datetime.now(UTC) - timedelta(seconds=ago)
    return datetime.fromisoformat(text).astimezone(UTC)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"`{text}` is no number of lines")
    return int(text)
