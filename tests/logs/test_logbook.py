"""The log's file: what stands in it, what never does, how it is divided, and what a disk that fails costs."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from openclaw import logbook
from openclaw.clock import ManualClock
from openclaw.logwriting import Files, Logbook
from openclaw.secrecy import SECRETS

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
log = logging.getLogger("openclaw.tests")


@contextmanager
def written(folder: Path, **sizes: Any) -> Iterator[Logbook]:
    book = Logbook(folder, ManualClock(NOW), **sizes)
    book.open()
    try:
        yield book
    finally:
        book.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    with closing(logbook.Reader(folder)) as reader:
        found = [json.loads(line) for line in reader.lines()]
    return [line for line in found if line["logger"] != "asyncio"]


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("info", ["started", "our warning", "our error", "their warning"]),
        ("error", ["our error", "their warning"]),
        ("critical", ["their warning"]),
    ],
)
def test_what_the_file_leaves_out_is_shown_to_whoever_looks_on_as_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, level: str, kept: list[str]
) -> None:
    theirs = logging.getLogger("a_library")
    with written(tmp_path / "logs", level=level):
        log.info("started")
        log.warning("our warning")
        log.error("our error")
        theirs.warning("their warning")
    shown = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert shown == ["our warning", "our error", "their warning"]
    assert [line["text"] for line in lines(tmp_path / "logs")] == kept


def test_a_record_is_one_line_that_says_where_it_belongs(tmp_path: Path) -> None:
    with written(tmp_path / "logs"), logbook.about(agent="main", session="s", channel=None):
        log.info("it took %d\nlines", 3, extra=logbook.event("took", seconds=1.5, model="", usd=None))
    assert lines(tmp_path / "logs") == [
        {
            "at": "2026-11-23T09:00:00.000Z",
            "level": "info",
            "logger": "openclaw.tests",
            "event": "took",
            "text": "it took 3\nlines",
            "agent": "main",
            "session": "s",
            "seconds": 1.5,
        }
    ]
    assert (tmp_path / "logs" / logbook.NAME).read_bytes().count(b"\n") == 1


def test_tasks_and_threads_that_begin_in_a_turn_belong_to_it_and_what_comes_after_does_not(tmp_path: Path) -> None:
    async def turn() -> None:
        with logbook.about(session="one"):
            task = asyncio.create_task(asyncio.to_thread(log.warning, "inside"))
        log.warning("outside")
        await task

    with written(tmp_path):
        asyncio.run(turn())
    assert {(line["text"], line.get("session")) for line in lines(tmp_path)} == {("inside", "one"), ("outside", None)}


def test_a_traceback_is_a_part_of_its_record_and_holds_no_secret(tmp_path: Path) -> None:
    SECRETS.hold(test_a_record_is_one_line_that_says_where_it_belongs, ["hunter2-hunter2"])
    try:
        with written(tmp_path), logbook.about(session="of hunter2-hunter2"):
            try:
                raise ValueError("the key is hunter2-hunter2")
            except ValueError:
                extra = logbook.event("x", words=["hunter2-hunter2"])
                log.exception("it failed with %s", "hunter2-hunter2", extra=extra)
    finally:
        SECRETS.drop(test_a_record_is_one_line_that_says_where_it_belongs)
    assert b"hunter2" not in (tmp_path / logbook.NAME).read_bytes()
    [line] = lines(tmp_path)
    assert line["error"].startswith("Traceback") and line["error"].endswith("ValueError: the key is ***")
    assert (line["session"], line["words"]) == ("of ***", ["***"])


def test_what_is_long_is_cut_after_its_secrets_went(tmp_path: Path) -> None:
    secret = "s3cret-" * 20
    SECRETS.hold(lines, [secret])
    try:
        with written(tmp_path):
            log.warning("%s", "x" * (logbook.LONGEST - 40) + secret)
    finally:
        SECRETS.drop(lines)
    [line] = lines(tmp_path)
    assert "s3cret" not in line["text"] and len(line["text"]) <= logbook.LONGEST


def test_files_and_folder_are_this_users_alone(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir(mode=0o700)
    (folder / logbook.NAME).touch(0o644)
    with written(folder):
        log.warning("x")
    assert stat.S_IMODE((folder / logbook.NAME).stat().st_mode) == 0o600


def test_full_files_get_numbers_and_the_oldest_go(tmp_path: Path) -> None:
    with written(tmp_path, largest=600, kept=2) as book:
        for number in range(40):
            log.warning("line %d %s", number, "x" * 60)
            book.flush()
    parts = logbook.parts(tmp_path)
    assert len(parts) == 2 and max(parts) > 5
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 600 * 3
    told = [int(line["text"].split()[1]) for line in lines(tmp_path)]
    assert told == list(range(told[0], 40))


def test_a_reader_follows_over_full_files_and_a_new_start(tmp_path: Path) -> None:
    reader, told = logbook.Reader(tmp_path), list[str]()

    def more() -> None:
        told.extend(json.loads(line)["text"] for line in reader.lines())

    more()
    for start in range(2):
        with written(tmp_path, largest=300, kept=50) as book:
            for number in range(10):
                log.warning("%d/%d %s", start, number, "x" * 50)
                book.flush()
                if number % 4 == 0:
                    more()
    more()
    reader.close()
    assert [text.split()[0] for text in told] == [f"{start}/{number}" for start in range(2) for number in range(10)]
    assert len(logbook.parts(tmp_path)) > 5


def test_a_reader_goes_on_where_the_files_it_was_to_read_are_gone(tmp_path: Path) -> None:
    with written(tmp_path, largest=300, kept=2) as book:
        log.warning("first")
        book.flush()
        reader = logbook.Reader(tmp_path)
        assert len([*reader.lines()]) == 1
        for number in range(30):
            log.warning("%d %s", number, "x" * 50)
            book.flush()
        told = [json.loads(line)["text"].split()[0] for line in reader.lines()]
        reader.close()
    there = [number for number in map(int, told) if number > 10]  # its own file is read to its end first
    assert there == list(range(there[0], 30)) and there[0] > 20


def test_what_was_torn_stays_a_line_of_its_own(tmp_path: Path) -> None:
    (tmp_path / logbook.NAME).write_bytes(b'{"at": "2026')
    with written(tmp_path):
        log.warning("whole")
    with closing(logbook.Reader(tmp_path)) as reader:
        assert [logbook.parsed(line) is None for line in reader.lines()] == [True, False]


def test_what_is_no_line_is_none() -> None:
    at = '"at": "2026-11-23T09:00:00.000Z", "text": "x"'
    for text in (b"", b"\xff", b"[]", b'"x"', b"[" * 5000, b"{}", f'{{{at}, "level": "loud"}}'.encode()):
        assert logbook.parsed(text) is None
    assert logbook.parsed(f'{{{at}, "level": "info"}}'.encode())


def test_a_file_that_was_taken_away_is_made_again(tmp_path: Path) -> None:
    with written(tmp_path) as book:
        log.warning("before")
        book.flush()
        (tmp_path / logbook.NAME).unlink()
        log.warning("after")
    assert [line["text"] for line in lines(tmp_path)] == ["after"]


class Full(Files):
    """Files on a disk that is full while `full` is set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 1 << 20, 4)
        self.full = threading.Event()

    def append(self, lines: bytes) -> None:
        if self.full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(lines)


def test_what_found_no_room_is_counted_and_told_once_there_is_some(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = Full(tmp_path)
    book = Logbook(tmp_path, ManualClock(NOW), files=files)
    book.open()
    files.full.set()
    for _ in range(3):
        log.warning("lost")
        book.flush()
    files.full.clear()
    log.warning("kept")
    book.close()
    assert [line["text"].partition(" ")[0] for line in lines(tmp_path)] == ["3", "kept"]
    said = [record.getMessage() for record in caplog.records if record.name == "openclaw.logwriting"]
    assert said == ["the log cannot be written (No space left on device); all else goes on"]


def test_who_logs_waits_for_no_disk_and_too_much_at_once_is_counted(tmp_path: Path) -> None:
    gate = threading.Event()

    class Slow(Files):
        def append(self, lines: bytes) -> None:
            gate.wait(60)
            super().append(lines)

    book = Logbook(tmp_path, ManualClock(NOW), files=Slow(tmp_path, 64 << 20, 4), most=300)
    book.open()
    record = logging.LogRecord("openclaw.tests", logging.WARNING, __file__, 1, "x", (), None)
    for _ in range(500):
        book.handle(record)
    gate.set()
    book.flush()
    log.warning("last")
    book.close()
    told = lines(tmp_path)
    [missing] = [line for line in told if line.get("event") == "lines missing"]
    assert 100 < missing["lines"] <= 200
    assert len(told) - 1 + missing["lines"] == 501


def test_nothing_is_written_after_the_end(tmp_path: Path) -> None:
    with written(tmp_path):
        log.warning("before")
    level = logging.getLogger("openclaw").level
    log.warning("after")
    assert [line["text"] for line in lines(tmp_path)] == ["before"] and level != logging.INFO


def test_ours_are_told_from_info_on_and_others_from_warnings_on(tmp_path: Path) -> None:
    with written(tmp_path):
        logging.getLogger("stranger").info("no")
        logging.getLogger("stranger").warning("yes")
        log.debug("no")
        log.info("yes")
    assert [line["text"] for line in lines(tmp_path)] == ["yes", "yes"]


def test_a_full_disk_leaves_no_half_of_a_line(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        with written(tmp_path) as book:
            for number in range(60):
                log.warning("line %d %s", number, "x" * 2000)
                book.flush()
            assert 10 < len(lines(tmp_path)) < 40
            (tmp_path / logbook.NAME).rename(tmp_path / "elsewhere.jsonl")
            (tmp_path / "elsewhere.jsonl").unlink()
            log.warning("room")
            book.flush()
            assert [line["text"].split()[-1] for line in lines(tmp_path)] == ["once", "room"]
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
