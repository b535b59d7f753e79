"""List, show, retry and drop messages and replies that have not come to their end.

A message waits (queued), is answered (running, also while it waits for an approval), or was put aside after three
crashes (parked); a reply waits for a channel that does not run (undelivered), or was given up (dead). ID is as
`inbox list` shows it. `retry` has a parked message answered, or a dead reply sent, once more. `drop` ends what is
queued, parked, undelivered or dead, and tells nobody.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from openclaw.cli import _listing, spoken
from openclaw.cli._client import Runtime, running
from openclaw.cli._state import with_store
from openclaw.errors import OpenClawError, UsageError
from openclaw.manifest.folder import Folder
from openclaw.pending import MOST, Pending
from openclaw.secrecy import SECRETS, ambient
from openclaw.stores.files import Store
from openclaw.words import cut_to

Json = dict[str, Any]


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="all of them, by state, the oldest first")
    shown = actions.add_parser("show", help="one of them, whole")
    again = actions.add_parser("retry", help="answer a parked message, or send a dead reply, once more")
    dropped = actions.add_parser("drop", help="end one that waits, is parked or dead")
    for one in (listed, shown, again, dropped):
        one.add_argument("--json", action="store_true", help="as JSON")
    for one in (shown, again, dropped):
        one.add_argument("id", type=spoken, metavar="ID")


def run(args: argparse.Namespace) -> int:
    with running(args.state) as runtime:
        if runtime is None:
            _conceal(args.project)
        match args.action:
            case "list":
                _print_list(_list(args.state, runtime), args.json)
            case "show":
                _print_one(_found(args.id, _list(args.state, runtime)), args.json)
            case "retry":
                _tell(args, "retried", _retry(args.id, args.state, runtime))
            case "drop":
                _tell(args, "dropped", _drop(args.id, args.state, runtime))
    return 0


def _tell(args: argparse.Namespace, done: str, words: str) -> None:
    _listing.done({"id": args.id, done: True}, words, json=args.json)


def _conceal(project: Path) -> None:
    """A runtime knows the secrets of its manifests; without one those are known that lie about."""
    SECRETS.hold("inbox", ambient(Folder.read(project).environment(os.environ)))


def _list(state: Path, runtime: Runtime | None) -> list[Json]:
    if runtime:
        found: list[Json] = runtime.get("inbox")["inbox"]
        return found
    kept: list[Json] = _asked(state, lambda pending: pending.listed(), nothing=[])
    return kept


def _asked(state: Path, ask: Callable[[Pending], Awaitable[Any]], *, nothing: Any) -> Any:
    async def asked(store: Store) -> Any:
        return await ask(Pending(store))

    return with_store(state, asked, nothing=nothing)


def _retry(id: str, state: Path, runtime: Runtime | None) -> str:
    found = _found(id, _list(state, runtime))
    if found["state"] not in ("parked", "dead"):
        raise OpenClawError(f"{id} is {found['state']}: only what is parked or dead can be tried again")
    if runtime:
        runtime.post("inbox", id, "retry")
        return f"{id} is tried again"
    _asked(state, lambda pending: pending.retry(id), nothing=False)
    return f"{id} is tried again when a runtime runs here next"


def _drop(id: str, state: Path, runtime: Runtime | None) -> str:
    found = _found(id, _list(state, runtime))
    if found["state"] == "running":
        raise OpenClawError(f"{id} is being answered; /stop ends that")
    if runtime:
        runtime.delete("inbox", id)
    else:
        _asked(state, lambda pending: pending.drop(id), nothing=False)
    return f"{id} is dropped"


def _found(id: str, listed: list[Json]) -> Json:
    found = next((one for one in listed if one["id"] == id), None)
    if found is None:
        named, more = _listing.quote_line(id), " of the oldest" if _cut(listed) else ""
        raise UsageError(f"nothing{more} is pending under {named}; `openclaw inbox list` shows what is")
    return found


def _cut(listed: list[Json]) -> list[str]:
    """The states of which there may be more than is listed."""
    of = Counter("line" if one["state"] in ("queued", "running") else str(one["state"]) for one in listed)
    return [{"line": "queued"}.get(state, state) for state, number in of.items() if number >= MOST]


def _print_list(listed: list[Json], as_json: bool) -> None:
    if as_json:
        _listing.as_json(listed)
    elif listed:
        rows = [(one["state"], _time(one), _who(one), one["id"], _gist(one["text"])) for one in listed]
        _listing.table(("STATE", "SINCE (UTC)", "WHO", "ID", "TEXT"), rows)
        for state in _cut(listed):
            _listing.note(f"only the oldest {MOST:,} that are {state} are listed; the status says how many there are")
    else:
        print("Nothing waits, nothing was put aside, and every reply arrived or is on its way.")


def _print_one(found: Json, as_json: bool) -> None:
    if as_json:
        _listing.as_json(found)
        return
    for name in ("id", "state", "session", "agent", "sender" if "sender" in found else "to", "attempts"):
        print(f"{name + ':':<10} {_listing.quote_line(str(found[name]))}")
    print(f"{'since:':<10} {_time(found)}\n")
    for line in str(found["text"]).splitlines():
        print(_listing.quote_line(line))


def _who(found: Json) -> str:
    """Who said it, or where it is to go."""
    return str(found["sender"]) if "sender" in found else f"to {found['to']}"


def _time(found: Json) -> str:
    return str(found["since"])[:16].replace("T", " ")


def _gist(text: str) -> str:
    return cut_to(" ".join(text.split()), 60)
