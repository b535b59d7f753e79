"""What a reload would change: two snapshots in, changes out. Pure; reads no disk and asks no runtime.

Its law: a permission that may be looser is never left untold, and no value of a secret is ever told. Everything is
compared as it is in force, with what was inherited and left out; `told.py` puts it into words.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from openclaw.manifest.origins import Stated
from openclaw.manifest.snapshot import Snapshot
from openclaw.plan.changes import Change, Field, What
from openclaw.plan.definitions import definitions, variables
from openclaw.plan.judging import code, judgements
from openclaw.plan.reach import standings
from openclaw.plan.unasked import unasked
from openclaw.plan.unproven import unproven
from openclaw.plan.ways import answering

_ORDER = ("widens", "may widen", "tightens", "may tighten")


def plan(old: Stated, new: Stated, now: datetime) -> tuple[Change, ...]:
    """Every change, those of permissions first, the looser ones before the stricter. `now` is aware."""
    calls = (*new.calls, *old.calls)
    defined = [*definitions(old, new, _stirred(old.snapshot, new.snapshot), now)]
    judged = [*judgements(old.snapshot, new.snapshot, now, calls), *standings(old, new), *unasked(old, new)]
    judged += unproven(defined, judged, old, new)
    found = sorted(judged, key=lambda change: (_ORDER.index(change.what), change.name))
    return (*found, *defined, *_routes(old.snapshot, new.snapshot), *variables(old, new))


def _stirred(old: Snapshot, new: Snapshot) -> frozenset[str]:
    """The Python tools whose code is another one."""
    return frozenset(name for name, tool in new.tools.items() if code(tool, old) != code(tool, new))


def _routes(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    before, after = answering(old), answering(new)
    for words in {**before, **after}:
        was, now = before.get(words), after.get(words)
        if was != now:
            what: What = "added" if was is None else "removed" if now is None else "changed"
            yield Change("route", words, what, fields=(Field("agent", was, now),))
