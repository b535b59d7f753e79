"""What runtime.db is made of: the statements of each version, oldest first. Pure.

Law: a step is never edited once released, a change is a new step; so a database of any version becomes one of
today's, and keeps everything that was in it.
"""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE inbox (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            channel TEXT NOT NULL,
            message_id TEXT NOT NULL,
            session TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'queued',
            attempts INTEGER NOT NULL DEFAULT 0,
            accepted TEXT NOT NULL,
            settled TEXT,
            message TEXT NOT NULL,
            route TEXT NOT NULL,
            reply TEXT,
            UNIQUE (channel, message_id)
        )""",
        "CREATE INDEX inbox_open ON inbox (session, seq) WHERE settled IS NULL",
        """CREATE TABLE outbox (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            channel TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'due',
            handed INTEGER NOT NULL DEFAULT 0,
            tries INTEGER NOT NULL DEFAULT 0,
            created TEXT NOT NULL,
            ended TEXT,
            reply TEXT NOT NULL
        )""",
        "CREATE INDEX outbox_due ON outbox (channel, seq) WHERE state = 'due'",
        "CREATE TABLE marks (name TEXT PRIMARY KEY, version INTEGER NOT NULL, document TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE fires (
            schedule TEXT NOT NULL,
            instant TEXT NOT NULL,
            at TEXT NOT NULL,
            message TEXT,
            skipped TEXT,
            PRIMARY KEY (schedule, instant)
        ) WITHOUT ROWID""",
    ),
    (
        "ALTER TABLE fires ADD COLUMN cause TEXT NOT NULL DEFAULT 'schedule'",
        "ALTER TABLE fires ADD COLUMN missed INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE fires ADD COLUMN number INTEGER NOT NULL DEFAULT 1",
        # Until now the words alone said that an instant was missed, and how many: "...; 5 in a row, the first at ...".
        "UPDATE fires SET missed = 1 WHERE skipped LIKE 'missed: nothing ran then%'",
        """UPDATE fires SET number = max(1, CAST(substr(skipped, 26) AS INTEGER))
            WHERE skipped LIKE 'missed: nothing ran then; %'""",
        "CREATE INDEX fires_ran ON fires (schedule, instant) WHERE message IS NOT NULL",
        "CREATE INDEX fires_when ON fires (instant DESC, schedule)",
        "ALTER TABLE outbox ADD COLUMN message TEXT",
        "CREATE INDEX outbox_of ON outbox (message, seq) WHERE message IS NOT NULL",
    ),
    (
        # A row whose `message` is empty stands for its key alone; what was said has gone.
        "CREATE INDEX inbox_ended ON inbox (settled) WHERE settled IS NOT NULL AND message <> ''",
        "CREATE INDEX inbox_parked ON inbox (seq) WHERE state = 'parked'",
        "CREATE INDEX outbox_ended ON outbox (ended) WHERE ended IS NOT NULL",
        "CREATE INDEX outbox_dead ON outbox (seq) WHERE state = 'dead'",
    ),
    # Open in a backup that was restored: whoever asked may have been answered since that was made.
    ("ALTER TABLE inbox ADD COLUMN restored INTEGER NOT NULL DEFAULT 0",),
    (
        """CREATE TABLE spending (
            day TEXT NOT NULL,
            agent TEXT NOT NULL,
            model TEXT NOT NULL,
            turns INTEGER NOT NULL,
            failed INTEGER NOT NULL,
            seconds REAL NOT NULL,
            calls INTEGER NOT NULL,
            input INTEGER NOT NULL,
            output INTEGER NOT NULL,
            cache_read INTEGER NOT NULL,
            cache_write INTEGER NOT NULL,
            cost REAL NOT NULL,
            unpriced INTEGER NOT NULL,
            PRIMARY KEY (day, agent, model)
        ) WITHOUT ROWID""",
        # Up to which entry of each transcript all is in `spending`, and the time of that entry.
        "CREATE TABLE counted (session TEXT PRIMARY KEY, entry TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID",
        "CREATE INDEX counted_when ON counted (at)",
    ),
)
VERSION = len(MIGRATIONS)
MARKS_RESTORED = 4  # from this version on
COUNTS_USAGE = 5  # from this version on
GIVES_BACK = 3  # from this version on a database gives space that it does not need back to the disk
