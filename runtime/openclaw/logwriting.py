"""The writer of logs/openclaw.jsonl: takes the records of the whole process and writes them in a thread of its own.

Law: whoever logs never waits for the disk, and nothing that goes wrong here reaches them. What cannot be written, for a
full disk or because too much waits, is counted, and the count is a line as soon as there is room. All files together
are never larger than `LARGEST` times `KEPT` and one more; they are this user's alone. Knows what a line looks like from
`logbook`, and nothing of what is told.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

from openclaw import logbook, tracing
from openclaw.clock import Clock

LARGEST = 8 << 20  # bytes of one file
KEPT = 4  # full files beside the one that is written to
MOST = 10_000  # lines that wait
_AT_ONCE = 64  # lines of one write
_PATIENCE = 2.0  # seconds that an end waits for what is still to be written

log = logging.getLogger(__name__)

_Waiting: TypeAlias = "dict[str, Any] | Callable[[], object]"


class Logbook(logging.Handler):
    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        largest: int = LARGEST,
        kept: int = KEPT,
        files: Files | None = None,
        most: int = MOST,
        level: str = "info",
    ) -> None:
        super().__init__()
        self._least = logging.getLevelNamesMapping()[level.upper()]  # of our own records
        self._clock = clock
        self._most = most
        self._files = files or Files(folder, largest, kept)
        self._waiting: SimpleQueue[_Waiting] = SimpleQueue()
        self._missed = 0  # lines
        self._counting = threading.Lock()
        self._silent = False  # whether it was said that nothing can be written
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="openclaw-logs", daemon=True)
        self._level = logging.NOTSET  # of our loggers, as it was found

    def open(self) -> None:
        """From now on everything from `level` on that is ours, and of others what is at least a warning. That cuts this
        file alone: what others show of our warnings stays as it is."""
        self._thread.start()
        ours = logging.getLogger("openclaw")
        self._level = ours.level
        ours.setLevel(min(self._least, logging.WARNING))
        logging.getLogger().addHandler(self)

    def close(self) -> None:
        """Writes what waits, for a moment at the most; nothing after it."""
        root = logging.getLogger()
        if self in root.handlers:
            root.removeHandler(self)
            logging.getLogger("openclaw").setLevel(self._level)
            self._waiting.put(self._over.set)
            self._thread.join(_PATIENCE)
            self._over.set()
        super().close()

    def flush(self) -> None:
        """Returns once what was logged before is written, or cannot be."""
        if self._thread.is_alive():
            done = threading.Event()
            self._waiting.put(done.set)
            done.wait(_PATIENCE)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == __name__ or self._passes_over(record):
            return
        if self._waiting.qsize() >= self._most:
            self._count(1)
            return
        try:
            self._waiting.put(logbook.entry(record, self._clock.now(), tracing.current()))
        except Exception:  # its parts are whatever anybody made
            self._count(1)

    def _passes_over(self, record: logging.LogRecord) -> bool:
        """Whether it matters too little; one whose level is no number does not say so."""
        ours = record.name.partition(".")[0] == "openclaw"
        return isinstance(record.levelno, int) and record.levelno < (self._least if ours else logging.WARNING)

    # ── in the thread ────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while not self._over.is_set():
            found = self._bunch()
            with suppress(Exception):  # whatever hears the complaint may fail, too
                self._write([one for one in found if isinstance(one, dict)])
            for one in found:
                if callable(one):
                    one()
        self._files.close()

    def _bunch(self) -> list[_Waiting]:
        found = [self._waiting.get()]
        with suppress(Empty):
            while len(found) < _AT_ONCE and not callable(found[-1]):
                found.append(self._waiting.get_nowait())
        return found

    def _write(self, entries: Sequence[dict[str, Any]]) -> None:
        missed = self._missed
        if not entries and not missed:
            return
        before = [self._lost(missed)] if missed else []
        try:
            self._files.append(b"".join(map(_line, [*before, *entries])))
        except Exception as error:
            self._count(len(entries))
            self._complain(error)
        else:
            self._count(-missed)
            self._silent = False

    def _count(self, lines: int) -> None:
        with self._counting:
            self._missed += lines

    def _lost(self, missed: int) -> dict[str, Any]:
        text = f"{missed:,} lines are missing here: they could not be written, or too many came at once"
        record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (), None)
        vars(record).update(logbook.event("lines missing", lines=missed))
        return logbook.entry(record, self._clock.now())

    def _complain(self, error: Exception) -> None:
        if not self._silent:
            self._silent = True
            why = getattr(error, "strerror", None) or error
            log.warning("the log cannot be written (%s); all else goes on", why)


def _line(entry: Mapping[str, Any]) -> bytes:
    try:
        return logbook.line(entry)
    except Exception as error:  # a fact may be anything, and fail when it is looked at
        return logbook.line(logbook.unfit(entry, error))


class Files:
    """The file that is written to, and those before it. Every failure is an OSError, and leaves no half of a line."""

    def __init__(self, folder: Path, largest: int, kept: int) -> None:
        self._folder = folder
        self._largest = largest
        self._kept = kept
        self._file: int | None = None
        self._size = 0

    def append(self, lines: bytes) -> None:
        if self._file is not None and os.fstat(self._file).st_nlink == 0:
            self.close()  # somebody took the file away
        file = self._opened()
        if self._size and self._size + len(lines) > self._largest:
            file = self._divided()
        try:
            _write_all(file, lines)
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, self._size)
            self.close()
            raise
        self._size += len(lines)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _opened(self) -> int:
        if self._file is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self._folder / logbook.NAME, flags, 0o600)
            os.fchmod(self._file, 0o600)
            self._size = os.fstat(self._file).st_size
            if self._size and os.pread(self._file, 1, self._size - 1) != b"\n":
                _write_all(self._file, b"\n")  # a line that was torn stays one by itself
                self._size += 1
        return self._file

    def _divided(self) -> int:
        found = logbook.parts(self._folder)
        (self._folder / logbook.NAME).rename(self._folder / logbook.part(max(found, default=0) + 1))
        self.close()
        for number in list(found)[: len(found) + 1 - self._kept]:
            with suppress(OSError):
                found[number].unlink()
        return self._opened()


def _write_all(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
