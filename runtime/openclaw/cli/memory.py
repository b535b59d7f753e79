"""List, search, show and delete what agents remember.

KEY is a memory's key as `memory list` shows it: its path in the state folder's memory/, without `.md`. The
files there may be edited by hand at any time.
"""

from __future__ import annotations

import argparse
import sqlite3
from typing import Any

from openclaw.cli import _listing, spoken
from openclaw.cli._client import folder as usable
from openclaw.clock import SystemClock
from openclaw.control.words import time_json
from openclaw.errors import OpenClawError, StateError
from openclaw.stores._disk import full
from openclaw.tools.memory import Memory, Remembered


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="every memory, the newest first")
    search = actions.add_parser("search", help="memories that fit a query, the best first")
    search.add_argument("query", type=spoken, metavar="QUERY")
    shown = actions.add_parser("show", help="one memory, whole")
    deleted = actions.add_parser("delete", help="remove one memory")
    for one in (listed, search):
        one.add_argument("--limit", type=_count, metavar="N", help="at most N of them")
    for one in (shown, deleted):
        one.add_argument("key", type=spoken, metavar="KEY")
    for one in (listed, search, shown):
        one.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    # The files are the truth, also for a runtime that is using them right now: no need to go through it.
    usable(args.state)
    folder = args.state / "memory"
    if not folder.is_dir():
        return _without_memories(args)
    memory = Memory(folder, args.state / "search.db", SystemClock())
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
            _print_list(list(memory.search(None, args.query, args.limit or 5)), args.json)
        case "show":
            _print_one(_found(memory.find(None, args.key), args.key), args.json)
        case "delete":
            deleted = _found(memory.delete(None, args.key), args.key)
            print(f"deleted {_listing.quote_line(deleted.key)}")
    return 0


def _without_memories(args: argparse.Namespace) -> int:
    if args.action in ("show", "delete"):
        _found(None, args.key)
    _print_list([], args.json)
    return 0


def _found(memory: Remembered | None, key: str) -> Remembered:
    if memory is None:
        named = _listing.quote_line(key)
        raise OpenClawError(f"there is no memory {named}; `openclaw memory list` shows those there are")
    return memory


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _json(memory: Remembered) -> dict[str, Any]:
    return {
        "key": memory.key,
        "scope": memory.scope,
        "name": memory.name,
        "text": memory.text,
        "created": time_json(memory.created),
        "author": memory.author,
        "agent": memory.agent,
    }


def _print_list(memories: list[Remembered], as_json: bool) -> None:
    if as_json:
        _listing.as_json([_json(memory) for memory in memories])
    elif memories:
        rows = [(f"{m.created:%Y-%m-%d}", m.key, _start(m.text)) for m in memories]
        _listing.table(("CREATED", "KEY", "TEXT"), rows)
    else:
        print("Nothing is remembered that fits.")


def _start(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"


def _print_one(memory: Remembered, as_json: bool) -> None:
    if as_json:
        _listing.as_json(_json(memory))
    else:
        print("\n".join(_listing.quote_line(line) for line in memory.text.splitlines()))
