"""Entries of a transcript as plain text, for whoever sums them up, and how many tokens that is, as a careful guess.

Pure. Of what the person was told between their messages only as much is shown as a model is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from openclaw.messages import AssistantEntry, Block, Compaction, Draft, Entry, Intent, Result, Told, Undone, UserEntry
from openclaw.transcript import newest

CHARS_PER_TOKEN = 3.5  # a careful guess where no usage was reported


def guess(entries: Iterable[Entry]) -> int:
    """Tokens."""
    return int(sum(map(len, texts(entries))) / CHARS_PER_TOKEN)


def texts(entries: Iterable[Entry]) -> Iterator[str]:
    told: list[Told] = []
    for entry in entries:
        if isinstance(entry, Told):
            told.append(entry)
            continue
        if isinstance(entry, UserEntry):
            yield from map(shown, newest(told))
            told = []
        yield shown(entry)
    yield from map(shown, newest(told))


def shown(entry: Entry) -> str:
    match entry:
        case UserEntry():
            return f"person: {said(entry.content)}"
        case AssistantEntry():
            return f"you: {said(entry.content)}"
        case Result():
            return f"result: {entry.content}"
        case Compaction():
            return entry.summary
        case Told():
            return f"{entry.by} told the person: {entry.text}"
        case Intent() | Draft() | Undone():
            return ""


def said(content: Sequence[Block]) -> str:
    parts = []
    for block in content:
        if block.get("type") == "text":
            parts.append(str(block.get("text", "")))
        elif block.get("type") == "tool_use":
            parts.append(f"[{block.get('name')} {json.dumps(block.get('input'), ensure_ascii=False)}]")
    return "\n".join(parts)


def spoken(entry: UserEntry) -> str:
    """What the person said, without what the runtime wrote before it."""
    return said([block for block in entry.content if not str(block.get("text", "")).startswith("<context>\nnow:")])
