"""What there is in sessions/, without reading any of it twice. Synchronous; in a thread of its own.

Law: a transcript only grows, so of a file that has grown only what is new is counted; one that was replaced is counted
anew. It reads beside whoever writes, and what is put aside meanwhile is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from openclaw.errors import StateError
from openclaw.ports import SessionSummary
from openclaw.stores._jsonl import first_line, header_from

_PIECE = 1 << 20  # bytes read at once

log = logging.getLogger("openclaw.stores")


@dataclass(frozen=True, slots=True)
class _Counted:
    inode: int
    size: int  # bytes that were counted
    lines: int
    key: str


class Summaries:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counted: dict[Path, _Counted] = {}

    def list(self) -> Sequence[SessionSummary]:
        paths = sorted(self._folder.glob("*.jsonl"))
        self._counted = {path: self._counted[path] for path in paths if path in self._counted}
        summaries = [self._summary(path) for path in paths]
        return [summary for summary in summaries if summary is not None]

    def _summary(self, path: Path) -> SessionSummary | None:
        try:
            about = path.stat()
            before = self._counted.get(path)
            if before is None or before.inode != about.st_ino or before.size > about.st_size:
                header = header_from(first_line(path))
                if header is None:
                    log.warning("%s: the first line is damaged; it is mended when the session is next used", path)
                    return None
                before = _Counted(about.st_ino, 0, 0, header.key)
            lines = before.lines + _lines(path, before.size, about.st_size)
        except FileNotFoundError:
            return None
        except (OSError, StateError) as error:  # one that cannot be read hides no other
            log.warning("%s is not listed (%s)", path, error)
            return None
        self._counted[path] = _Counted(about.st_ino, about.st_size, lines, before.key)
        updated = datetime.fromtimestamp(about.st_mtime, UTC)
        return SessionSummary(before.key, max(lines - 1, 0), about.st_size, updated)


def _lines(path: Path, start: int, end: int) -> int:
    """How many of them end between two places of the file."""
    if start == end:
        return 0
    count = 0
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (piece := file.read(min(_PIECE, end - start))):
            count += piece.count(b"\n")
            start += len(piece)
    return count
