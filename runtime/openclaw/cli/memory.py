"""List, search, show, add, delete, export and forget what agents remember, and build its index anew.

KEY is a memory's key as `memory list` shows it: its path in the state folder's memory/, without `.md`. The
files there may be edited by hand at any time. SCOPE is agents/ID or people/NAME; left out: what all agents share.
PERSON is a name under `people`, or an address such as telegram:5. A search takes words, "words that stand
together" and beginnings*.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw.cli import _listing, spoken
from openclaw.cli._client import folder as usable
from openclaw.clock import SystemClock
from openclaw.errors import ProjectInvalid, StateError, UsageError
from openclaw.names import file_name
from openclaw.stores._disk import full
from openclaw.tools.memory import Memory, Remembered

if TYPE_CHECKING:
    from openclaw.manifest.snapshot import Snapshot


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="every memory, the newest first")
    search = actions.add_parser("search", help="memories that fit a query, the best first")
    search.add_argument("query", type=spoken, metavar="QUERY")
    search.add_argument("--around", type=_count, metavar="N", help="with N made just before and just after each")
    shown = actions.add_parser("show", help="one memory, whole")
    added = actions.add_parser("add", help="remember something")
    added.add_argument("text", type=spoken, metavar="TEXT", help="- is standard input")
    added.add_argument("--name", type=spoken, default="", metavar="NAME", help="left out: made from the text")
    deleted = actions.add_parser("delete", help="remove one memory")
    exported = actions.add_parser("export", help="every memory with all that is known of it, as JSON")
    for one in (added, exported):
        one.add_argument("--scope", type=spoken, metavar="SCOPE", help="whose: agents/ID or people/NAME")
    forgotten = actions.add_parser("forget", help="remove what is remembered of a person and what they had saved")
    forgotten.add_argument("person", type=spoken, metavar="PERSON")
    forgotten.add_argument("--yes", action="store_true", help="without the question; left out: only shown, or asked")
    actions.add_parser("rebuild", help="build the search index anew from the files, beside a running runtime too")
    for one in (listed, search):
        one.add_argument("--limit", type=_count, metavar="N", help="at most N of them")
    for one in (shown, deleted):
        one.add_argument("key", type=spoken, metavar="KEY")
    for one in (listed, search, shown, deleted):
        one.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    # The files are the truth, also for a runtime that is using them right now: no need to go through it.
    usable(args.state)
    folder = args.state / "memory"
    if not folder.is_dir() and args.action != "add":
        return _without_memories(args)
    memory = Memory(folder, args.state / "search.db", SystemClock())
    memory.show(_progress)
    try:
        memory.open()
        return _run(args, memory)
    except sqlite3.Error as error:
        cure = "free some space on the disk" if full(args.state) else "delete it, and it is made anew"
        raise StateError(f"{args.state / 'search.db'} cannot be used ({error}); {cure}") from error
    finally:
        memory.close()


def _run(args: argparse.Namespace, memory: Memory) -> int:
    match args.action:
        case "list":
            _print_list(list(memory.list(None, args.limit or -1)), args.json)
        case "search":
            _print_list(list(memory.search(None, args.query, args.limit or 5, args.around or 0)), args.json)
        case "show":
            _print_one(_found(memory.find(None, args.key), args.key), args.json)
        case "delete":
            deleted = _found(memory.delete(None, args.key), args.key)
            told = {"key": deleted.key, "deleted": True}
            _listing.done(told, f"deleted {_listing.quote_line(deleted.key)}", json=args.json)
        case "add":
            text = sys.stdin.read() if args.text == "-" else args.text
            saved, _ = memory.save(args.scope or "", text, name=args.name)
            print(f"remembered as {_listing.quote_line(saved.key)}")
        case "export":
            _listing.as_json([{**one.as_json(), "untrusted": one.untrusted} for one in memory.list(args.scope)])
        case "rebuild":
            count = memory.rebuild(_progress)
            print(f"the index holds {count:,} {'memory' if count == 1 else 'memories'}")
        case "forget":
            return _forget(args, memory)
    return 0


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done:,} of {of:,} files", end="\n" if done == of else "", file=sys.stderr, flush=True)


# ── forgetting a person ──────────────────────────────────────────────────────────────────────────

_STAYS = """\
Not touched: conversations (sessions/, with its archive), messages (runtime.db), the audit and the log (logs/),
files in workspaces, backups, and what else is kept beside their memories. What others had saved about them is found
with `openclaw memory search`. A disk may hold what was removed until it needs the room."""


def _forget(args: argparse.Namespace, memory: Memory) -> int:
    """Shows what would go, then asks; without a terminal and without --yes it is only shown."""
    names, addresses = _known(args)
    found = memory.of([f"people/{file_name(name)}" for name in names], addresses)
    who = _listing.quote_line(args.person)
    if not found:
        print(f"Nothing is remembered of {who}, and nothing was saved by them.")
        return 0
    _print_list(list(found), as_json=False)
    print(f"\n{len(found)} to forget: what is kept for {who}, and what they had saved for all or for an agent.")
    print(_STAYS)
    if not args.yes:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            print("Nothing was removed; `--yes` does it.")
            return 1
        if input("Forget all of it? [y/N] ").strip().casefold() not in ("y", "yes"):
            print("Nothing was removed.")
            return 1
    print(f"forgot {memory.forget(found)}")
    return 0


def _known(args: argparse.Namespace) -> tuple[Sequence[str], Sequence[str]]:
    """The names that their memories may be kept under, and the addresses they write from."""
    from openclaw.reading import read

    now, project = SystemClock().now(), args.project
    snapshot = read(project, now).compiled.snapshot if project.is_dir() else None
    snapshot = snapshot or _last(args.state, project, now)
    if snapshot is None:
        _listing.note(f"the project {project} cannot be read, so nobody's addresses are known here")
    people = snapshot.people.values() if snapshot is not None else ()
    for one in people:
        addresses = [str(id) for id in one.ids]
        if args.person == one.name or args.person in addresses:
            return (one.name, *addresses), addresses
    if ":" not in args.person and not (args.state / "memory" / "people" / file_name(args.person)).is_dir():
        known = ", ".join(sorted(one.name for one in people)) or "nobody"
        raise UsageError(f"nobody is called {args.person!r} under `people` (there is {known}); an address will do, too")
    return (args.person,), ((args.person,) if ":" in args.person else ())


def _last(state: Path, project: Path, now: datetime) -> Snapshot | None:
    """Of the project as it was applied last, if that can be had."""
    from openclaw.lastgood import recalled

    try:
        kept = recalled(state, project.resolve(), now)
    except ProjectInvalid as error:
        _listing.note(str(error))
        return None
    return kept.snapshot if kept else None


def _without_memories(args: argparse.Namespace) -> int:
    if args.action in ("show", "delete"):
        _found(None, args.key)
    _print_list([], getattr(args, "json", args.action == "export"))
    return 0


def _found(memory: Remembered | None, key: str) -> Remembered:
    if memory is None:
        named = _listing.quote_line(key)
        raise UsageError(f"there is no memory {named}; `openclaw memory list` shows those there are")
    return memory


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _print_list(memories: list[Remembered], as_json: bool) -> None:
    if as_json:
        _listing.as_json([memory.as_json() for memory in memories])
    elif memories:
        rows = [(f"{m.created:%Y-%m-%d}", f"  {m.key}" if m.beside else m.key, _start(m.text)) for m in memories]
        _listing.table(("CREATED", "KEY", "TEXT"), rows)
    else:
        print("Nothing is remembered that fits.")


def _start(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"


def _print_one(memory: Remembered, as_json: bool) -> None:
    if as_json:
        _listing.as_json(memory.as_json())
    else:
        print("\n".join(_listing.quote_line(line) for line in memory.text.splitlines()))
