"""List, show, reset, export and import sessions.

KEY is a session's key as `sessions list` shows it. A reset puts the transcript into sessions/archive; the
next message starts afresh. An export goes to standard output; as `jsonl` it can be imported, here or elsewhere,
`md` is for reading. An import that is repeated changes nothing; it writes over no other session, unless `--force`
puts that one into the archive first.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from openclaw.cli import _listing, spoken
from openclaw.cli._client import Runtime, running
from openclaw.cli._state import with_store
from openclaw.control import words
from openclaw.errors import OpenClawError, UsageError
from openclaw.near import near
from openclaw.spending import Bill, Place
from openclaw.stores import _portable as portable
from openclaw.stores.files import Store


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="every session, the latest first")
    shown = actions.add_parser("show", help="the transcript of one session")
    reset = actions.add_parser("reset", help="archive a session, so that it starts afresh")
    exported = actions.add_parser("export", help="write a session to standard output")
    for one in (shown, reset, exported):
        one.add_argument("key", type=spoken, metavar="KEY")
    exported.add_argument("--format", choices=("jsonl", "md"), default="jsonl", help="to be imported, or to be read")
    imported = actions.add_parser("import", help="take in a session that was exported")
    imported.add_argument("file", type=Path, metavar="FILE", help="what `export` wrote; - is standard input")
    imported.add_argument("--as", dest="key", type=spoken, metavar="KEY", help="under another key")
    imported.add_argument("--force", action="store_true", help="archive another session of that key first")
    for one in (listed, shown, reset, imported):
        one.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    with running(args.state) as runtime:
        if args.action == "list":
            _print_list(_list(args.state, runtime), args.json)
        elif args.action == "export":
            _export(args.key, args.state, args.format)
        elif args.action == "import":
            _import(args, runtime)
        elif args.action == "show":
            _print_transcript(_show(args.key, args.state, runtime), args.json)
        else:
            archived = _reset(args.key, args.state, runtime)
            told = f"{args.key} is archived as {archived}"
            _tell(args, {"key": args.key, "archived": archived}, told)
    return 0


def _list(state: Path, runtime: Runtime | None) -> list[words.Json]:
    async def ask(store: Store) -> list[words.Json]:
        return [words.session_json(session) for session in await store.journal.list()]

    nothing: list[words.Json] = []
    found = runtime.get("sessions")["sessions"] if runtime else with_store(state, ask, nothing=nothing)
    return sorted(found, key=lambda session: str(session["updated"]), reverse=True)


def _show(key: str, state: Path, runtime: Runtime | None) -> words.Json:
    async def ask(store: Store) -> list[words.Json]:
        return [words.entry_json(entry) for entry in await store.journal.load(key)]

    _check(key, state, runtime)
    nothing: list[words.Json] = []
    entries = runtime.get("sessions", key)["entries"] if runtime else with_store(state, ask, nothing=nothing)
    return {"key": key, "entries": entries}


def _reset(key: str, state: Path, runtime: Runtime | None) -> str:
    async def ask(store: Store) -> str | None:
        return await store.journal.archive(key)

    _check(key, state, runtime)
    return str(runtime.delete("sessions", key)["archived"] if runtime else with_store(state, ask, nothing=None))


def _export(key: str, state: Path, form: str) -> None:
    """Read from the file itself: it only ever grows, also while a runtime writes."""
    text = portable.content(state, key)
    if not text:
        raise UsageError(_listing.quote_line(f"there is no session {key}; `openclaw sessions list` shows them"))
    whole, entries, damaged = portable.readable(text)
    for number in damaged:
        _listing.note(f"session {key}: line {number} is damaged, and was left out")
    if form == "jsonl":
        sys.stdout.buffer.write(whole)
        sys.stdout.buffer.flush()
        return
    print(f"# {_listing.quote_line(key)}")
    for entry in map(words.entry_json, entries):
        speaker = entry.get("role") or entry["type"]
        lines = "\n".join(map(_listing.quote_line, _lines(entry)))
        if lines.strip():
            print(f"\n**{speaker}**, {entry['at'][:19].replace('T', ' ')} UTC\n\n{lines}")


def _import(args: argparse.Namespace, runtime: Runtime | None) -> None:
    try:
        text = sys.stdin.buffer.read() if str(args.file) == "-" else args.file.read_bytes()
    except OSError as error:
        raise UsageError(f"{args.file} cannot be read: {error.strerror}") from error
    named, entries = portable.parsed(text, str(args.file))
    key = args.key or named

    async def write(store: Store) -> int | None:
        kept = await store.journal.load(key)
        more = portable.rest(kept, entries)
        if more is None and args.force:
            await store.journal.archive(key)
            more = entries
        await store.journal.append(key, more or ())
        if more:
            await store.spending.add(Bill(key, (), Place(more[-1].id, more[-1].at)))  # paid elsewhere
        return None if more is None else len(more)

    if runtime:
        body = {"text": text.decode(), "force": args.force}
        taken: int | None = runtime.post("sessions", key, "import", body=body)["entries"]
    else:
        taken = with_store(args.state, write, nothing=None, make=True)
    if taken is None:
        another = f"there is another session {key}; --force archives it first, --as names another key"
        raise OpenClawError(_listing.quote_line(another))
    _tell(args, {"key": key, "entries": taken}, f"{key}: {taken} of {len(entries)} entries were new")


def _tell(args: argparse.Namespace, found: words.Json, line: str) -> None:
    if args.json:
        _listing.as_json(found)
    else:
        print(_listing.quote_line(line))


def _check(key: str, state: Path, runtime: Runtime | None) -> None:
    keys = [str(session["key"]) for session in _list(state, runtime)]
    if key not in keys:
        close = near(key, keys)
        hint = f"did you mean {close}?" if close else "`openclaw sessions list` shows those there are"
        raise UsageError(_listing.quote_line(f"there is no session {key}; {hint}"))


def _print_list(sessions: list[words.Json], as_json: bool) -> None:
    if as_json:
        _listing.as_json(sessions)
    elif sessions:
        rows = [(s["updated"][:16].replace("T", " "), s["entries"], s["size"], s["key"]) for s in sessions]
        _listing.table(("UPDATED (UTC)", "ENTRIES", "BYTES", "KEY"), rows)
    else:
        print("There are no sessions yet.")


def _print_transcript(session: words.Json, as_json: bool) -> None:
    if as_json:
        _listing.as_json(session)
        return
    for entry in session["entries"]:
        speaker = entry.get("role") or entry["type"]
        for line in _lines(entry):
            print(f"{entry['at'][:19].replace('T', ' ')}  {speaker:<10}  {_listing.quote_line(line)}")


def _lines(entry: words.Json) -> list[str]:
    """What a person wants to read of one entry."""
    match entry["type"]:
        case "message":
            return [line for block in entry["content"] for line in _block(block)]
        case "intent":
            return [f"runs {entry['tool']} {entry['input']}"]
        case "result":
            return [f"{'failed: ' if entry['is_error'] else ''}{line}" for line in entry["content"].splitlines()]
        case "told":
            first, *rest = entry["text"].splitlines() or [""]
            return [f"{entry['by']}: {first}", *rest]
        case "undone":
            return ["the last summary was taken back"]
        case "draft":
            return ["a part was summed up, for a summary that was not whole yet"] if entry["summary"] else []
    return ["everything before was summarised:", *str(entry.get("summary", "")).splitlines()]


def _block(block: Any) -> list[str]:
    match block.get("type"):
        case "text":
            return str(block.get("text", "")).splitlines()
        case "tool_use":
            return [f"calls {block.get('name')} {block.get('input')}"]
    return []
