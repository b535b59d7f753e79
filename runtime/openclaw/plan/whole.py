"""What a reload would change: two snapshots in, changes out. Pure; reads no disk and asks no runtime.

Its law: a permission that may be looser is never left untold, and no value of a secret is ever told. Everything is
compared as it is in force, with what was inherited and left out; `told.py` puts it into words.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from openclaw.manifest.origins import Stated
from openclaw.manifest.snapshot import Snapshot
from openclaw.plan.changes import Change, Field, What
from openclaw.plan.definitions import definitions, variables
from openclaw.plan.judging import judgements
from openclaw.plan.reach import standings
from openclaw.plan.ways import answering

_ORDER = ("widens", "may widen", "tightens", "may tighten")


def plan(old: Stated, new: Stated, now: datetime) -> tuple[Change, ...]:
    """Every change, those of permissions first, the looser ones before the stricter. `now` is aware."""
    calls = (*new.calls, *old.calls)
    judged = chain(judgements(old.snapshot, new.snapshot, now, calls), standings(old.snapshot, new.snapshot))
    found = sorted(judged, key=lambda change: (_ORDER.index(change.what), change.name))
    defined = [*definitions(old, new, _stirred(old.snapshot, new.snapshot), now)]
    return (*found, *defined, *_routes(old.snapshot, new.snapshot), *variables(old, new))


def _stirred(old: Snapshot, new: Snapshot) -> frozenset[str]:
    """The Python tools whose module's file is another one."""
    modules = {name: str(tool.options.get("reference", "")).partition(":")[0] for name, tool in new.tools.items()}
    files = {name: module.replace(".", "/") for name, module in modules.items() if module}
    return frozenset(
        name
        for name, stem in files.items()
        if any(old.sources.get(each) != new.sources.get(each) for each in (f"{stem}.py", f"{stem}/__init__.py"))
    )


def _routes(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    before, after = answering(old), answering(new)
    for words in {**before, **after}:
        was, now = before.get(words), after.get(words)
        if was != now:
            what: What = "added" if was is None else "removed" if now is None else "changed"
            yield Change("route", words, what, fields=(Field("agent", was, now),))
