"""runtime.db: the inbox, the outbox, the marks and the fires of schedules, as rows. Synchronous.

Law: every public method is one transaction, durable when it returns (WAL, synchronous=FULL). A message
enters once per channel and message id, for ever, and leaves its session's queue in the order it came.
Runs in the disk thread alone; knows no event loop and no transcript.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from openclaw.clock import Clock
from openclaw.errors import DiskFull
from openclaw.messages import Accepted, Message, Reply, Route
from openclaw.ports import Cause, Fits, Outgoing, Queued, Run, Settlement
from openclaw.spending import Bill, Place, Spent
from openclaw.stores import _codec as codec
from openclaw.stores import _fires as fires
from openclaw.stores import _opening as opening
from openclaw.stores import _pruning as pruning
from openclaw.stores import _spending as spending
from openclaw.stores._aside import keep_aside
from openclaw.stores._files import NO_SPACE, Files
from openclaw.stores._room import Room
from openclaw.stores._rows import in_order, inbox_id, outgoing_from, queued_from, too_many, waiting_in, was_restored
from openclaw.stores._schema import COUNTS_USAGE, MIGRATIONS, VERSION
from openclaw.stores._told import telling

_UNSYNCED = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})


class Rows:
    """`open` and everything after it must run in one and the same thread."""

    def __init__(self, path: Path, clock: Clock, files: Files, room: Room) -> None:
        self._path = path
        self._clock = clock
        self._files = files
        self._room = room
        self._connection: sqlite3.Connection | None = None
        self._rest_until: dict[str, float] = {}  # outbox id -> monotonic; after a restart everything is due

    def open(self) -> None:
        """Creates or migrates the file; raises StateTooNew, with the file untouched, or StateError."""
        with opening.told(self._path):
            opening.refuse_newer(self._path)
            os.close(self._files.open(self._path, os.O_RDWR | os.O_CREAT))
            self._connection = sqlite3.connect(self._path, isolation_level=None)
            opening.prepare(self._connection, self._path)
            self._migrate()
            self._files.sync_folder(self._path.parent)  # SQLite does that, too, and keeps it to itself where it fails

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # ── inbox ────────────────────────────────────────────────────────────────────────────────────

    def known(self, message: Message) -> Accepted | None:
        """What a message was accepted as before."""
        row = self._db.execute("SELECT route FROM inbox WHERE id = ?", (inbox_id(message),)).fetchone()
        if row is None:
            return None
        kept = codec.route_from(json.loads(row[0]))
        return Accepted(inbox_id(message), kept.agent, kept.session, new=False)

    def accept(self, message: Message, route: Route, at_most: int | None) -> Accepted:
        """One that is not known."""
        with self._transaction("the message was not taken") as db:
            self._insert(db, message, route)
            if at_most is not None and (behind := waiting_in(db, route.session) - 1) >= at_most:
                raise too_many(behind)  # rolls the row back
        return Accepted(inbox_id(message), route.agent, route.session, new=True)

    def next(self, session: str) -> Queued | None:
        found = self._oldest(session, "settled IS NULL", 1)
        return self._taken(found)[0] if found else None

    def join(self, session: str, at_most: int, fits: Fits) -> Sequence[Queued]:
        waiting = self._oldest(session, "settled IS NULL AND state = 'queued'", max(at_most, 0))
        return self._taken(list(takewhile(fits, waiting)))

    def _oldest(self, session: str, condition: str, at_most: int) -> list[Queued]:
        rows = self._db.execute(
            f"SELECT id, message, route, attempts FROM inbox WHERE session = ? AND {condition} ORDER BY seq LIMIT ?",
            (codec.column(session), at_most),
        )
        return [queued_from(*row) for row in rows]

    def _taken(self, found: Sequence[Queued]) -> list[Queued]:
        if not found:
            return []  # nobody else writes, so a session that is done with needs no transaction
        with self._transaction() as db:
            db.executemany(
                "UPDATE inbox SET state = 'running', attempts = attempts + 1 WHERE id = ?",
                [(queued.id,) for queued in found],
            )
        return [replace(queued, attempts=queued.attempts + 1) for queued in found]

    def settle(
        self,
        id: str,
        state: Literal["done", "failed", "parked"],
        reply: Reply | None,
        deliver: Sequence[Reply],
        joined: Sequence[str],
        bill: Bill | None = None,
    ) -> None:
        with self._transaction() as db:
            row = db.execute("SELECT settled FROM inbox WHERE id = ?", (id,)).fetchone()
            if row is None:
                raise KeyError(id)
            if row[0] is not None:
                return
            again = bool(deliver) and was_restored(db, (id, *joined))
            for outgoing in deliver:
                self._post(db, replace(outgoing, repeated=True) if again else outgoing, id)
            kept = None if reply is None else json.dumps(codec.reply_json(reply))
            db.executemany(
                "UPDATE inbox SET state = ?, settled = ?, reply = ? WHERE id = ? AND settled IS NULL",
                [(state, self._now(), kept, one) for one in (id, *joined)],
            )
            if bill is not None:
                spending.add(db, bill)

    def release(self, ids: Sequence[str]) -> None:
        with self._transaction() as db:
            db.executemany(
                "UPDATE inbox SET state = 'queued', attempts = attempts - 1 WHERE id = ? AND state = 'running'",
                [(id,) for id in ids],
            )

    def move(self, id: str, route: Route) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE inbox SET session = ?, route = ?, attempts = attempts - (state = 'running'), state = 'queued'"
                " WHERE id = ? AND settled IS NULL",
                (codec.column(route.session), json.dumps(codec.route_json(route)), id),
            )

    def waiting(self, session: str | None) -> int:
        return waiting_in(self._db, session)

    def line(self, at_most: int) -> Sequence[Queued]:
        rows = self._db.execute(
            "SELECT id, message, route, attempts FROM inbox WHERE settled IS NULL ORDER BY seq LIMIT ?", (at_most,)
        )
        return [queued_from(*row) for row in rows]

    def drop(self, id: str, reply: Reply | None) -> bool:
        kept = None if reply is None else json.dumps(codec.reply_json(reply))
        with self._transaction() as db:
            ended = db.execute(
                "UPDATE inbox SET state = 'failed', settled = coalesce(settled, ?), reply = coalesce(reply, ?)"
                " WHERE id = ? AND state IN ('queued', 'parked')",
                (self._now(), kept, id),
            )
        return ended.rowcount == 1

    def parked(self, at_most: int | None) -> Sequence[Queued]:
        rows = self._db.execute(
            "SELECT id, message, route, attempts FROM inbox WHERE state = 'parked' AND message <> '' ORDER BY seq"
            " LIMIT coalesce(?, -1)",
            (at_most,),
        )
        return [queued_from(*row) for row in rows]

    def aside(self) -> int:
        return self._count("inbox WHERE state = 'parked' AND message <> ''")

    def one(self, id: str) -> Queued | None:
        row = self._db.execute(
            "SELECT id, message, route, attempts FROM inbox"
            " WHERE id = ? AND (settled IS NULL OR state = 'parked') AND message <> ''",
            (id,),
        ).fetchone()
        return None if row is None else queued_from(*row)

    def unpark(self, id: str) -> str | None:
        with self._transaction() as db:
            rows = db.execute(
                "UPDATE inbox SET state = 'queued', attempts = 0, settled = NULL, reply = NULL"
                " WHERE id = ? AND state = 'parked' AND message <> '' RETURNING session",
                (id,),
            ).fetchall()
        return codec.column_from(rows[0][0]) if rows else None

    def open_sessions(self) -> Sequence[str]:
        rows = self._db.execute("SELECT session FROM inbox WHERE settled IS NULL GROUP BY session ORDER BY min(seq)")
        return [codec.column_from(session) for (session,) in rows]

    def find(self, id: str) -> Settlement | None:
        row = self._db.execute(
            "SELECT state, route, reply FROM inbox WHERE id = ?",
            (id,),
        ).fetchone()
        if row is None:
            return None
        state, route, reply = row
        return Settlement(
            id,
            state,
            codec.route_from(json.loads(route)),
            None if reply is None else codec.reply_from(json.loads(reply)),
        )

    # ── outbox ───────────────────────────────────────────────────────────────────────────────────

    def put(self, reply: Reply) -> str:
        with self._transaction() as db:
            return self._post(db, reply)

    def due(self, channel: str) -> Sequence[Outgoing]:
        return [outgoing for outgoing, seconds in self.undelivered(channel) if seconds == 0]

    def undelivered(self, channel: str) -> Sequence[tuple[Outgoing, float]]:
        rows = self._db.execute(
            "SELECT id, reply, tries, handed, created FROM outbox WHERE state = 'due' AND channel = ? ORDER BY seq",
            (codec.column(channel),),
        )
        pending = [outgoing_from(*row) for row in rows]
        return in_order(pending, self._resting())

    def channels(self) -> Mapping[str, int]:
        rows = self._db.execute(
            "SELECT channel, count(*) FROM outbox WHERE state = 'due' GROUP BY channel ORDER BY min(seq)"
        )
        return {codec.column_from(channel): count for channel, count in rows}

    def sending(self, id: str) -> None:
        with self._transaction() as db:
            db.execute("UPDATE outbox SET handed = 1, tries = tries + 1 WHERE id = ?", (id,))

    def sent(self, id: str, dead: bool) -> str | None:
        with self._transaction() as db:
            ended = db.execute(
                "UPDATE outbox SET state = ?, ended = ? WHERE id = ? AND state = 'due' RETURNING reply",
                ("dead" if dead else "sent", self._now(), id),
            ).fetchall()
            told = [telling(id, codec.reply_from(json.loads(reply)), self._clock.now()) for (reply,) in ended]
            sessions = [entry[1].session for entry in told if entry and not dead and self._insert(db, *entry)]
        self._rest_until.pop(id, None)
        return sessions[0] if sessions else None

    def retry(self, id: str, after: float, begun: bool) -> None:
        """The channel said that nothing arrived, so the next time is no repetition; else it is."""
        with self._transaction() as db:
            db.execute("UPDATE outbox SET handed = ? WHERE id = ?", (int(begun), id))
        self._rest_until[id] = self._clock.monotonic() + after

    def dead(self, at_most: int | None) -> Sequence[Outgoing]:
        rows = self._db.execute(
            "SELECT id, reply, tries, handed, created FROM outbox WHERE state = 'dead' ORDER BY seq"
            " LIMIT coalesce(?, -1)",
            (at_most,),
        )
        return [outgoing_from(*row) for row in rows]

    def given_up(self) -> int:
        return self._count("outbox WHERE state = 'dead'")

    def bury(self, id: str) -> bool:
        with self._transaction() as db:
            ended = db.execute("UPDATE outbox SET state = 'dropped' WHERE id = ? AND state = 'dead'", (id,))
        return ended.rowcount == 1

    def again(self, id: str) -> str | None:
        with self._transaction() as db:
            rows = db.execute(
                "UPDATE outbox SET state = 'due', tries = 0, created = ?, ended = NULL"
                " WHERE id = ? AND state = 'dead' RETURNING channel",
                (self._now(), id),
            ).fetchall()
        return codec.column_from(rows[0][0]) if rows else None

    # ── marks ────────────────────────────────────────────────────────────────────────────────────

    def get_mark(self, name: str) -> tuple[Any, int]:
        row = self._db.execute("SELECT document, version FROM marks WHERE name = ?", (codec.column(name),)).fetchone()
        return (json.loads(row[0]), row[1]) if row else (None, 0)

    def put_mark(self, name: str, document: Any, version: int) -> bool:
        text = json.dumps(document)
        with self._transaction(f"nothing was changed in `{name}`") as db:
            if version == 0:
                written = db.execute(
                    "INSERT INTO marks (name, version, document) VALUES (?, 1, ?) ON CONFLICT DO NOTHING",
                    (codec.column(name), text),
                )
            else:
                written = db.execute(
                    "UPDATE marks SET document = ?, version = version + 1 WHERE name = ? AND version = ?",
                    (text, codec.column(name), version),
                )
            return written.rowcount == 1

    def fire(self, schedule: str, instant: datetime, message: Message, route: Route, cause: Cause) -> bool:
        with self._transaction(f"heartbeat {schedule} was not run") as db:
            fire = fires.Fire(schedule, instant, cause, message=inbox_id(message))
            return fires.mark(db, fire, self._clock.now()) and self._insert(db, message, route)

    def skip(self, schedule: str, instant: datetime, why: str, missed: bool, number: int) -> bool:
        with self._transaction(f"heartbeat {schedule} was not recorded") as db:
            fire = fires.Fire(schedule, instant, why=why, missed=missed, number=number)
            return fires.mark(db, fire, self._clock.now())

    def last(self, schedule: str) -> datetime | None:
        return fires.last(self._db, schedule)

    def lasts(self) -> Mapping[str, datetime]:
        return fires.lasts(self._db)

    def runs(
        self, schedule: str | None, limit: int, since: datetime | None, until: datetime | None, ran: bool
    ) -> Sequence[Run]:
        return fires.runs(self._db, schedule, limit, since, until, ran)

    # ── spending ─────────────────────────────────────────────────────────────────────────────────

    def add(self, bill: Bill) -> None:
        with self._transaction("what was used was not counted") as db:
            spending.add(db, bill)

    def spent(self, first: str, last: str) -> Sequence[Spent]:
        return spending.rows(self._db, first, last)

    def counted(self, session: str) -> Place | None:
        return spending.counted(self._db, session)

    # ── letting go ───────────────────────────────────────────────────────────────────────────────

    def prune(self, now: datetime) -> int:
        with self._transaction() as db:
            return pruning.prune_rows(db, now) or spending.prune(db, now, pruning.AT_ONCE)

    def shrink(self) -> bool:
        with self._roomy("no space was given back"):  # what moves pages together needs some itself
            return pruning.give_back(self._db)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._connection is not None
        return self._connection

    def _count(self, of: str) -> int:
        """By an index: what is looked at every few seconds must cost nothing."""
        return int(self._db.execute(f"SELECT count(*) FROM {of}").fetchone()[0])

    @contextmanager
    def _transaction(self, consequence: str = "nothing was written") -> Iterator[sqlite3.Connection]:
        """All or nothing. A full disk takes nothing, and does not end the runtime: it raises DiskFull."""
        db = self._db
        with self._roomy(consequence):
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                self._files.commit(db)
            except BaseException:
                if db.in_transaction:  # SQLite has already rolled back where the disk was full
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _roomy(self, consequence: str) -> Iterator[None]:
        """Whatever a full disk is called by SQLite, it is `DiskFull` here."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if not self._lacks_room(error):
                raise
            raise DiskFull(
                f"the disk that holds {self._path} is full, so {consequence}; free some space and try again"
            ) from error

    def _lacks_room(self, error: Exception) -> bool:
        """SQLite calls a used up quota, and a log that cannot grow, an I/O error like any other; what failed to be
        synced stays one."""
        if isinstance(error, OSError):
            return error.errno in NO_SPACE
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF == sqlite3.SQLITE_IOERR and code not in _UNSYNCED:
            return self._room.lacking()
        return bool(code == sqlite3.SQLITE_FULL)

    def _insert(self, db: sqlite3.Connection, message: Message, route: Route) -> bool:
        written = db.execute(
            "INSERT INTO inbox (id, channel, message_id, session, accepted, message, route)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (channel, message_id) DO NOTHING",
            (
                inbox_id(message),
                codec.column(message.sender.channel),
                codec.column(message.id),
                codec.column(route.session),
                self._now(),
                json.dumps(codec.message_json(message)),
                json.dumps(codec.route_json(route)),
            ),
        )
        return written.rowcount == 1

    def _post(self, db: sqlite3.Connection, reply: Reply, message: str | None = None) -> str:
        """Numbered by the row, so that ids come in the order in which replies were given. `message` is the inbox id
        of what was settled with it."""
        # Not by the largest there is: what was pruned keeps its number, which others go by.
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
        id = f"r{row[0] + 1 if row else 1}"
        db.execute(
            "INSERT INTO outbox (id, channel, created, reply, message) VALUES (?, ?, ?, ?, ?)",
            (id, codec.column(reply.to.channel), self._now(), json.dumps(codec.reply_json(reply)), message),
        )
        return id

    def _resting(self) -> dict[str, float]:
        now = self._clock.monotonic()
        return {id: until - now for id, until in self._rest_until.items() if until > now}

    def _now(self) -> str:
        return codec.time_text(self._clock.now())

    def _migrate(self) -> None:
        before = opening.version(self._db)
        if 0 < before < VERSION:
            keep_aside(self._db, self._path, self._files)
        for number in range(before, VERSION):
            with self._transaction() as db:
                for statement in MIGRATIONS[number]:
                    db.execute(statement)
                if number + 1 == COUNTS_USAGE and before:  # what was used until now nobody counted by days
                    mark = codec.column(spending.BEGUN), json.dumps(self._now())
                    db.execute("INSERT INTO marks (name, version, document) VALUES (?, 1, ?)", mark)
                db.execute(f"PRAGMA user_version = {number + 1}")
        # This process holds the lock, so whoever was running these is dead.
        with self._transaction() as db:
            db.execute("UPDATE inbox SET state = 'queued' WHERE state = 'running'")
