"""A memory as text: its front matter and its name. Pure; knows no disk.

A note is Markdown. Front matter is `key: value` lines between two `---` lines; people may leave it
out, leave keys out, or write keys of their own, which are searched like a title.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from openclaw.names import file_name
from openclaw.tools import _words

LONGEST_NAME = 120
_LONGEST_MADE = 48
_OURS = frozenset({"name", "created", "updated", "author", "agent", "untrusted"})
_LINE = re.compile(r"^---[^\S\n]*$", re.MULTILINE)
_KEY = re.compile(r"([A-Za-z][\w-]*):\s*(.*)")


@dataclass(frozen=True, slots=True)
class Note:
    """One memory. `name` is how an agent calls it; `created` is None where the file does not say."""

    name: str
    text: str
    title: str = ""  # headings and the keys people added
    created: datetime | None = None
    author: str = ""
    agent: str = ""
    untrusted: str = ""  # the strangers' material that was before whoever saved it
    updated: datetime | None = None  # where it was saved again


def read(content: str, stem: str, folder: str = "") -> Note:
    """A file's content as a note. `stem` is the file name without suffix, `folder` the way to it in its scope."""
    keys, text = _front_matter(content)
    said = keys.get("name", "")
    name = said if said and file_name(said) == stem else stem
    headings = [line.lstrip("# ") for line in text.split("\n") if line.startswith("#")] if "#" in text else []
    title = "\n".join([*headings, *(value for key, value in keys.items() if key not in _OURS)])
    return Note(
        f"{folder}/{name}" if folder else name,
        text.strip(),
        title,
        _date(keys.get("created", "")),
        keys.get("author", ""),
        keys.get("agent", ""),
        keys.get("untrusted", ""),
        _date(keys.get("updated", "")),
    )


def write(
    name: str,
    text: str,
    *,
    created: datetime,
    updated: datetime | None,
    author: str,
    agent: str,
    untrusted: str = "",
) -> str:
    """The file of a note. The name is written down only where the file name does not show it."""
    keys = {
        "name": name if file_name(name) != name else "",
        "created": _stamp(created),
        "updated": _stamp(updated) if updated else "",
        "author": author,
        "agent": agent,
        "untrusted": untrusted,
    }
    lines = [f"{key}: {' '.join(value.split())}" for key, value in keys.items() if value.strip()]
    return "\n".join(["---", *lines, "---", "", text.strip(), ""])


def _front_matter(content: str) -> tuple[dict[str, str], str]:
    content = content.removeprefix("\ufeff")
    if "\r" in content:
        content = content.replace("\r\n", "\n")
    begun = _LINE.match(content)
    end = _LINE.search(content, begun.end()) if begun else None
    if begun is None or end is None:
        return {}, content
    return _keys(content[begun.end() : end.start()].split("\n")), content[end.end() + 1 :]


def _keys(lines: Iterable[str]) -> dict[str, str]:
    """Keys with their values; a line that is no key belongs to the one before it."""
    keys: dict[str, str] = {}
    last = ""
    for line in lines:
        if match := _KEY.match(line):
            last = match[1].lower()
            keys[last] = match[2].strip().strip("\"'")
        elif last:
            keys[last] = f"{keys[last]} {line.strip()}".strip()
    return keys


def _date(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# ── names ────────────────────────────────────────────────────────────────────────────────────────


def called(name: str) -> str:
    """A name as it is compared and kept: no case, `-` for spaces, nothing that does not print. May be empty."""
    kept = (char for char in unicodedata.normalize("NFC", name).casefold() if char.isprintable() or char.isspace())
    whole = "-".join("".join(kept).removesuffix(".md").split()).strip("-/")
    if len(whole) <= LONGEST_NAME:
        return whole
    return f"{whole[: LONGEST_NAME - 17]}-{hashlib.sha256(whole.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def name_for(text: str) -> str:
    """A name made of the first words of a text."""
    words = [word.casefold() for word in _words.words(text[:400])]
    name = "-".join(words[:8]) or "note"
    while len(name) > _LONGEST_MADE and "-" in name:
        name = name.rpartition("-")[0]
    return name[:_LONGEST_MADE]


def counted(notes: Mapping[str, object] | Sequence[object]) -> str:
    return "1 memory" if len(notes) == 1 else f"{len(notes)} memories"
