"""The rows of `fires`: each instant of a schedule once, what became of it, and for how long that is known.

Law: whoever calls holds the transaction. An instant has one row; a row that says
merely that nothing ran then may become a run. What came of a run is not written here: it is read from the inbox
(how it was carried out) and the outbox (where its reply went), and rows that are gone from there are no mistake.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from openclaw.ports import KEPT, KEPT_LEAST, Cause, Delivered, Run
from openclaw.stores import _codec as codec


@dataclass(frozen=True, slots=True)
class Fire:
    """An instant that is run as the inbox row `message`, or is not run, and why."""

    schedule: str
    instant: datetime
    cause: Cause = "schedule"
    message: str | None = None
    why: str | None = None
    missed: bool = False
    number: int = 1


def mark(db: sqlite3.Connection, fire: Fire, now: datetime) -> bool:
    """False where the instant has a mark that stands. What is too old to be kept goes."""
    written = db.execute(
        "INSERT INTO fires (schedule, instant, at, message, skipped, cause, missed, number)"
        " VALUES (:schedule, :instant, :at, :message, :skipped, :cause, :missed, :number)"
        " ON CONFLICT (schedule, instant) DO UPDATE SET at = excluded.at, message = excluded.message, skipped = NULL,"
        " cause = excluded.cause, missed = 0, number = 1 WHERE fires.missed AND excluded.message IS NOT NULL",
        {
            "schedule": codec.column(fire.schedule),
            "instant": codec.time_text(fire.instant),
            "at": codec.time_text(now),
            "message": fire.message,
            "skipped": fire.why,
            "cause": fire.cause,
            "missed": int(fire.missed),
            "number": fire.number,
        },
    )
    if written.rowcount != 1:
        return False
    _prune(db, codec.column(fire.schedule), now)
    return True


def _prune(db: sqlite3.Connection, schedule: str, now: datetime) -> None:
    """The latest stay however old they are, and so does the last of the schedule itself: it says what is done."""
    db.execute(
        "DELETE FROM fires WHERE schedule = :schedule AND instant < :oldest"
        " AND instant < (SELECT instant FROM fires WHERE schedule = :schedule"
        "  ORDER BY instant DESC LIMIT 1 OFFSET :least - 1)"
        " AND instant IS NOT (SELECT instant FROM fires WHERE schedule = :schedule AND cause = 'schedule'"
        "  ORDER BY instant DESC LIMIT 1)",
        {"schedule": schedule, "oldest": codec.time_text(now - timedelta(days=KEPT)), "least": KEPT_LEAST},
    )


def last(db: sqlite3.Connection, schedule: str) -> datetime | None:
    row = db.execute(
        "SELECT instant FROM fires WHERE schedule = ? AND cause = 'schedule' ORDER BY instant DESC LIMIT 1",
        (codec.column(schedule),),
    ).fetchone()
    return None if row is None else codec.time_from(row[0])


def lasts(db: sqlite3.Connection) -> Mapping[str, datetime]:
    """Goes from name to name, not from row to row."""
    rows = db.execute(
        "WITH RECURSIVE names (name) AS (SELECT min(schedule) FROM fires UNION ALL"
        " SELECT (SELECT min(schedule) FROM fires WHERE schedule > name) FROM names WHERE name IS NOT NULL)"
        " SELECT name, (SELECT instant FROM fires WHERE schedule = name AND cause = 'schedule'"
        " ORDER BY instant DESC LIMIT 1) FROM names WHERE name IS NOT NULL"
    )
    return {codec.column_from(name): codec.time_from(instant) for name, instant in rows if instant is not None}


def runs(
    db: sqlite3.Connection,
    schedule: str | None,
    limit: int,
    since: datetime | None,
    until: datetime | None,
    ran: bool,
) -> Sequence[Run]:
    wanted = {
        "fires.schedule = :schedule": None if schedule is None else codec.column(schedule),
        "fires.instant > :since": None if since is None else codec.time_text(since),
        "fires.instant <= :until": None if until is None else codec.time_text(until),
    }
    conditions = [condition for condition, value in wanted.items() if value is not None]
    conditions += ["fires.message IS NOT NULL"] if ran else []
    # Told outright: by itself SQLite would walk past all that was not run.
    index = " INDEXED BY fires_ran" if ran and schedule is not None else ""
    rows = db.execute(
        "SELECT schedule, instant, at, cause, missed, number, skipped, fires.message, state, settled, inbox.reply"
        f" FROM fires{index} LEFT JOIN inbox ON inbox.id = fires.message{' WHERE ' if conditions else ''}"
        f"{' AND '.join(conditions)} ORDER BY instant DESC, schedule LIMIT :limit",
        {
            "schedule": wanted["fires.schedule = :schedule"],
            "since": wanted["fires.instant > :since"],
            "until": wanted["fires.instant <= :until"],
            "limit": max(limit, 0),
        },
    ).fetchall()
    return [_run(db, row) for row in rows]


def _run(db: sqlite3.Connection, row: tuple[Any, ...]) -> Run:
    schedule, instant, at, cause, missed, number, why, message, state, settled, reply = row
    if message is None:
        state = "missed" if missed else "skipped"
    return Run(
        schedule=codec.column_from(schedule),
        instant=codec.time_from(instant),
        at=codec.time_from(at),
        state=state or "done",  # of a run whose message is gone no more is known
        cause=cause,
        why=why or "",
        number=number,
        message=message or "",
        ended=None if settled is None else codec.time_from(settled),
        reply=None if reply is None else codec.reply_from(json.loads(reply)),
        deliveries=() if message is None else _deliveries(db, message),
    )


def _deliveries(db: sqlite3.Connection, message: str) -> tuple[Delivered, ...]:
    rows = db.execute("SELECT reply, state, tries, ended FROM outbox WHERE message = ? ORDER BY seq", (message,))
    return tuple(
        Delivered(
            codec.reply_from(json.loads(reply)).to,
            "dead" if state == "dropped" else state,  # given up all the same
            tries,
            None if ended is None else codec.time_from(ended),
        )
        for reply, state, tries, ended in rows
    )
