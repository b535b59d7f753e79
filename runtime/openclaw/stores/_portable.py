"""A session as a file that is taken elsewhere: read without a lock, and checked line by line before it is taken in.

Law: what is given out is what the state folder holds, whole line for whole line; what is taken in is whole, or nothing
of it. It comes back as it was, but it answers no message of the inbox here, and counts as a stranger's words. Nothing
here writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from openclaw.errors import OpenClawError, StateTooNew
from openclaw.messages import AssistantEntry, Compaction, Draft, Entry, Intent, Result, Told, Undone, UserEntry
from openclaw.names import file_name
from openclaw.stores import _codec as codec
from openclaw.stores._jsonl import VERSION

# What kinds of blocks cannot be without. A message holds no others; a model may answer with kinds unknown today.
_SAID: Mapping[str, Mapping[str, type]] = {
    "text": {"text": str},
    "image": {"source": dict},
    "document": {"source": dict},
}
_ANSWERED: Mapping[str, Mapping[str, type]] = {
    "text": {"text": str},
    "thinking": {"thinking": str, "signature": str},
    "redacted_thinking": {"data": str},
    "tool_use": {"id": str, "name": str, "input": dict},
    "server_tool_use": {"id": str, "name": str, "input": dict},
}
IMPORT = "an import"  # whose words they are
_ELSEWHERE = "imported:"  # no id of this inbox begins so
_BAD = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def content(state: Path, session: str) -> bytes:
    """The whole lines of the session, its first one included; b"" where there is none. A runtime may be writing."""
    try:
        read = (state / "sessions" / f"{file_name(session)}.jsonl").read_bytes()
    except FileNotFoundError:
        return b""
    return read[: read.rfind(b"\n") + 1]


def readable(text: bytes) -> tuple[bytes, list[Entry], list[int]]:
    """Its whole lines, what entries they hold, and the numbers of those that are damaged, which are left out, as they
    are where the session is read."""
    first, *lines = text.removesuffix(b"\n").split(b"\n")
    kept, entries, damaged = [first], list[Entry](), list[int]()
    for number, line in enumerate(lines, start=2):
        try:
            entries.append(codec.entry_from(json.loads(line)))
            kept.append(line)
        except _BAD:
            damaged.append(number)
    return b"\n".join(kept) + b"\n", entries, damaged


def parsed(text: bytes, name: str) -> tuple[str, list[Entry]]:
    """The key and the entries of a file; raises OpenClawError with the place of the first thing that is wrong."""
    first, *lines = text.split(b"\n")
    key = _key(first, name)
    if lines and not lines[-1].strip():
        del lines[-1]
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=2):
        try:
            entries.append(codec.entry_from(json.loads(line)))
        except _BAD as error:
            raise OpenClawError(f"{name}:{number}: this line is no entry of a transcript ({error})") from error
    for number, wrong in _mistakes(entries):
        raise OpenClawError(f"{name}:{number}: {wrong}")
    return key, [_foreign(entry) for entry in entries]


def _foreign(entry: Entry) -> Entry:
    """What was said elsewhere is no message of this inbox, whatever ids it has, and nobody here knows who said it."""
    match entry:
        case UserEntry():
            joined = tuple(map(_elsewhere, entry.joined))
            whose = entry.untrusted or IMPORT
            return replace(entry, message=_elsewhere(entry.message), joined=joined, untrusted=whose)
        case Told():
            return replace(entry, message=_elsewhere(entry.message), untrusted=entry.untrusted or IMPORT)
        case Compaction() | Undone() if entry.message:
            return replace(entry, message=_elsewhere(entry.message))
        case Draft():  # a summary that could stand for anything, and is made again for the price of a request
            return replace(entry, summary="", length=0, digest="")
    return entry


def _elsewhere(message: str) -> str:
    return message if message.startswith(_ELSEWHERE) else _ELSEWHERE + message


def _key(first: bytes, name: str) -> str:
    try:
        header = json.loads(first)
        key, version = header["key"], header["version"]
        known = header["type"] == "session" and isinstance(key, str) and key != "" and type(version) is int
    except _BAD:
        known = False
    if not known:
        raise OpenClawError(f"{name}:1: this is no exported session; `openclaw sessions export KEY` writes one")
    if version > VERSION:
        raise StateTooNew(f"{name} was written by a newer version (format {version}, this one knows {VERSION})")
    return str(key)


def _mistakes(entries: Sequence[Entry]) -> Iterator[tuple[int, str]]:
    """What no transcript holds: an id twice, a result without its call, a summary that keeps what is not there, and
    what no model would read."""
    ids: set[str] = set()
    calls: set[str] = set()
    begun = False
    for number, entry in enumerate(entries, start=2):
        match entry:
            case _ if entry.id in ids:
                yield number, f"the id `{entry.id}` is there twice"
            case AssistantEntry() | Compaction() if not begun:
                yield number, "nobody said anything before this line"
            case AssistantEntry():
                calls |= {str(block.get("id")) for block in entry.content if block.get("type") == "tool_use"}
            case Intent(call=call) | Result(call=call) if call not in calls:
                yield number, f"there is no call `{call}` before this line"
            case Compaction(keep_from=kept) if kept is not None and kept not in ids:
                yield number, f"there is no entry `{kept}` before this line"
        ids.add(entry.id)
        begun = begun or isinstance(entry, UserEntry)
        if wrong := _unreadable(entry):
            yield number, wrong


def _unreadable(entry: Entry) -> str:
    """Why every request with this entry would be refused; "" where none would."""
    match entry:
        case UserEntry(content=content) if not any(block.get("text") != "" for block in content):
            return "a message without a word"
        case UserEntry(content=content):
            return next((wrong for block in content if (wrong := _misshapen(block, _SAID) or _unknown(block))), "")
        case AssistantEntry(content=content):
            return next((wrong for block in content if (wrong := _misshapen(block, _ANSWERED))), "")
    return ""


def _unknown(block: Mapping[str, Any]) -> str:
    return "" if block["type"] in _SAID else f"a message holds no block of the type `{block['type']}`"


def _misshapen(block: Mapping[str, Any], kinds: Mapping[str, Mapping[str, type]]) -> str:
    kind = block.get("type")
    if not isinstance(kind, str):
        return "a block without a `type`"
    lacking = next((name for name, shape in kinds.get(kind, {}).items() if not isinstance(block.get(name), shape)), "")
    return f"a block of the type `{kind}` whose `{lacking}` is missing or wrong" if lacking else ""


def continued(kept: Sequence[Entry], entries: Sequence[Entry]) -> Sequence[Entry]:
    """The same entries; where they go on with what is there already, that as it is there."""
    same = len(kept) <= len(entries) and all(_foreign(one) == other for one, other in zip(kept, entries, strict=False))
    return [*kept, *entries[len(kept) :]] if same else entries


def rest(kept: Sequence[Entry], entries: Sequence[Entry]) -> Sequence[Entry] | None:
    """What is still to be written where some is there already; None where what is there is something else."""
    known = continued(kept, entries)
    return known[len(kept) :] if list(known[: len(kept)]) == list(kept) else None
