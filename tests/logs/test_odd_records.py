"""Records that do not fit: each costs itself and no more, and whatever is told of it holds no secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from openclaw import logbook
from openclaw.clock import ManualClock
from openclaw.logwriting import Files, Logbook
from openclaw.secrecy import SECRETS, Masking

TOKEN = "sk-ant-api03-AbCdEfGh1234567890abcdefXYZ"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


class Unsayable:
    def __str__(self) -> str:
        raise RuntimeError(TOKEN)

    __repr__ = __str__


def record(*given: object, name: str = "openclaw.tests", text: object = "m", **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.WARNING, __file__, 1, text, given, None)
    vars(made).update(extra)
    return made


def written(folder: Path, *records: logging.LogRecord, files: Files | None = None) -> list[dict[str, Any]]:
    """What stands in the log of these; each is written before the next one comes."""
    book = Logbook(folder, ManualClock(NOW), files=files)
    book.open()
    for one in records:
        book.handle(one)
        book.flush()
    book.close()
    with closing(logbook.Reader(folder)) as reader:
        return [json.loads(line) for line in reader.lines()]


def test_the_event_and_the_logger_hold_no_secret_either(tmp_path: Path) -> None:
    found = written(tmp_path, record(name=f"openclaw.{TOKEN}", event=f"login {TOKEN}"))
    assert [(line["logger"], line["event"]) for line in found] == [("openclaw.***", "login ***")]


@pytest.mark.parametrize("name", ["stranger", "openclawed", f"client.{TOKEN}"])
def test_a_stranger_that_has_an_event_or_facts_of_its_own_has_words_alone(tmp_path: Path, name: str) -> None:
    [line] = written(tmp_path, record(name=name, event=f"login {TOKEN}", facts={"agent": "main", "password": "x"}))
    assert line == {
        "at": "2026-11-23T09:00:00.000Z",
        "level": "warning",
        "logger": name.replace(TOKEN, "***"),
        "text": "m",
    }


def nested() -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    found["again"] = found
    return found


@pytest.mark.parametrize(
    "odd",
    [
        {"event": {"when": NOW}},
        {"facts": [1]},
        {"facts": {"when": NOW}},
        {"facts": {"it": Unsayable()}},
        {"facts": nested()},
        {"name": "stranger", "event": {"when": NOW}, "facts": [1]},
        {"levelno": "loud"},
        {"exc_info": (1, 2, 3)},
        {"text": Unsayable()},
        {"text": "%s", "args": (Unsayable(),)},
        {"text": "%d", "args": ("seven",)},
    ],
    ids=lambda odd: "-".join(odd),
)
def test_a_record_that_is_odd_reaches_nobody_who_logs_and_costs_itself_at_the_most(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    first, last = record(text="before"), record(text="after")
    found = written(tmp_path, first, record(**odd), last)
    assert (found[0]["text"], found[-1]["text"]) == ("before", "after")
    assert len(found) == 3, (
        "it is told in some way: as itself, as one that cannot be written, or as one that is missing"
    )
    assert TOKEN not in (tmp_path / logbook.NAME).read_text("utf-8")


def test_a_record_that_cannot_be_written_says_whose_it_was(tmp_path: Path) -> None:
    found = written(tmp_path, record(facts={"it": Unsayable()}))
    assert [line["text"] for line in found] == ["a record of openclaw.tests cannot be written (RuntimeError)"]


def test_files_that_fail_in_a_way_that_nobody_foresaw_end_no_log(tmp_path: Path) -> None:
    class Odd(Files):
        failed = False

        def append(self, lines: bytes) -> None:
            if not self.failed:
                self.failed = True
                raise ValueError("an odd file")
            super().append(lines)

    found = written(tmp_path, record(text="lost"), record(text="kept"), files=Odd(tmp_path, 1 << 20, 4))
    assert [line["text"].partition(" ")[0] for line in found] == ["1", "kept"]


@pytest.mark.parametrize(
    "odd", [record(Unsayable(), text="x %s"), record(text=Unsayable()), record(exc_info=(1, 2, 3))]
)
def test_what_strikes_secrets_out_lets_an_odd_record_pass(odd: logging.LogRecord) -> None:
    assert Masking(SECRETS).filter(odd)
    assert TOKEN not in odd.getMessage() and TOKEN not in (odd.exc_text or "")
