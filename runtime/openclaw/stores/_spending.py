"""The rows of `spending`: what each agent used of each model on each day; and up to where each transcript is counted.

Law: whoever calls holds the transaction. A bill is written with the place up to which it counts, in one transaction, so
the same bill is never added twice, and what no bill has counted is found again in the transcript. Both are kept for
`KEPT_USAGE` days.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from openclaw.messages import Usage
from openclaw.ports import KEPT_USAGE
from openclaw.spending import Bill, Place, Spent
from openclaw.stores import _codec as codec

BEGUN = "usage"  # the mark that says since when all is counted
_COLUMNS = (
    "day, agent, model, turns, failed, seconds, calls, input, output, cache_read, cache_write, cost, unpriced"
)  # fmt: skip
_SUMS = tuple(_COLUMNS.split(", ")[3:])
_ADD = (
    f"INSERT INTO spending ({_COLUMNS}) VALUES ({', '.join('?' * (3 + len(_SUMS)))})"
    f" ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _SUMS)}"
)


def add(db: sqlite3.Connection, bill: Bill) -> None:
    db.executemany(_ADD, [_values(row) for row in bill.rows])
    if bill.last:
        db.execute(
            "INSERT INTO counted (session, entry, at) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET entry = excluded.entry, at = excluded.at",
            (codec.column(bill.session), bill.last.entry, codec.time_text(bill.last.at)),
        )


def rows(db: sqlite3.Connection, first: str, last: str) -> Sequence[Spent]:
    found = db.execute(
        f"SELECT {_COLUMNS} FROM spending WHERE day BETWEEN ? AND ? ORDER BY day, agent, model", (first, last)
    )
    return [_spent(*row) for row in found]


def counted(db: sqlite3.Connection, session: str) -> Place | None:
    row = db.execute("SELECT entry, at FROM counted WHERE session = ?", (codec.column(session),)).fetchone()
    return None if row is None else Place(str(row[0]), codec.time_from(row[1]))


def prune(db: sqlite3.Connection, now: datetime, at_once: int) -> int:
    old = now - timedelta(days=KEPT_USAGE)
    days = db.execute("DELETE FROM spending WHERE day < ?", (old.date().isoformat(),)).rowcount
    places = db.execute(
        "DELETE FROM counted WHERE session IN (SELECT session FROM counted WHERE at < ? LIMIT ?)",
        (codec.time_text(old), at_once),
    ).rowcount
    return days + places


def _values(row: Spent) -> tuple[object, ...]:
    used = row.usage
    return (
        row.day,
        codec.column(row.agent),
        codec.column(row.model),
        row.turns,
        row.failed,
        row.seconds,
        row.calls,
        used.input,
        used.output,
        used.cache_read,
        used.cache_write,
        row.cost,
        row.unpriced,
    )


def _spent(
    day: str,
    agent: str,
    model: str,
    turns: int,
    failed: int,
    seconds: float,
    calls: int,
    input: int,
    output: int,
    cache_read: int,
    cache_write: int,
    cost: float,
    unpriced: int,
) -> Spent:
    names = day, codec.column_from(agent), codec.column_from(model)
    return Spent(*names, turns, failed, seconds, calls, Usage(input, output, cache_read, cache_write), cost, unpriced)
