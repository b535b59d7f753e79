"""A memory as text: its front matter, its name, and what a search compares. Pure; knows no disk.

A note is Markdown. Front matter is `key: value` lines between two `---` lines; people may leave it
out, leave keys out, or write keys of their own, which are searched like a title.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from openclaw.names import file_name

LONGEST_NAME = 120
_OURS = frozenset({"name", "created", "updated", "author", "agent", "untrusted"})
_KEY = re.compile(r"([A-Za-z][\w-]*):\s*(.*)")
# Scripts written without spaces, and Hangul, whose particles join the word: searched by pairs of signs.
_SIGN = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
_ASCII_WORD = re.compile("[A-Za-z0-9]+")
_ACCENT = re.compile("[\u0300-\u036f]")
_SIGNS = re.compile(f"({_SIGN.pattern}+)")
_SAY_NOTHING = (
    "a about am an and any are as at be been but by can could did do does for from had has have he her him his how i "
    "if in is it its ll m me my of on or our please re s say says she should so t tell than that the their them then "
    "there these they this to us ve was we were what when where which who whom whose why will with would you your"
)
_STOP = frozenset(_SAY_NOTHING.split())
_MOST_TERMS = 64


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


def read(content: str, stem: str, folder: str = "") -> Note:
    """A file's content as a note. `stem` is the file name without suffix, `folder` the way to it in its scope."""
    keys, text = _front_matter(content)
    said = keys.get("name", "")
    name = said if said and file_name(said) == stem else stem
    headings = [line.lstrip("# ") for line in text.split("\n") if line.startswith("#")]
    title = "\n".join([*headings, *(value for key, value in keys.items() if key not in _OURS)])
    return Note(
        f"{folder}/{name}" if folder else name,
        text.strip(),
        title,
        _date(keys.get("created", "")),
        keys.get("author", ""),
        keys.get("agent", ""),
        keys.get("untrusted", ""),
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
    content = content.removeprefix("\ufeff").replace("\r\n", "\n")
    lines = content.split("\n")
    if lines[0].rstrip() != "---":
        return {}, content
    end = next((i for i, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if end is None:
        return {}, content
    return _keys(lines[1:end]), "\n".join(lines[end + 1 :])


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
    return "-".join("".join(kept).removesuffix(".md").split())[:LONGEST_NAME].strip("-/")


def name_for(text: str, longest: int = 48) -> str:
    """A name made of the first words of a text."""
    words = [word.casefold() for word in _words(text[:400])]
    name = "-".join(words[:8]) or "note"
    while len(name) > longest and "-" in name:
        name = name.rpartition("-")[0]
    return name[:longest]


# ── searching ────────────────────────────────────────────────────────────────────────────────────


def comparable(text: str) -> str:
    """The text as the index gets it: words alone, without accents, signs without spaces set apart."""
    return _SIGN.sub(r" \g<0> ", " ".join(_words(_plain(text))))


def terms(query: str) -> tuple[str, ...]:
    """What a question is searched by: its words without the ones that say nothing, unless there are no others."""
    words = list(dict.fromkeys(word.casefold() for word in _words(_plain(query)[:4000])))
    telling = [word for word in words if word not in _STOP] or words
    return tuple(dict.fromkeys(term for word in telling for term in _pairs(word)))[:_MOST_TERMS]


def expression(words: Sequence[str], *, prefixes: bool = False) -> str:
    """An FTS5 query that asks for any of the words. They hold no quotes: `terms` made them."""
    return " OR ".join(f'"{word}"*' if prefixes else f'"{word}"' for word in words)


def _plain(text: str) -> str:
    """One form for equal characters, in one case. Accents go; the marks that are vowels in other scripts stay."""
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKD", text.encode("utf-8", "replace").decode()).casefold()
    parted = unicodedata.normalize("NFKD", folded)
    return unicodedata.normalize("NFC", _ACCENT.sub("", parted))


def _words(text: str) -> list[str]:
    """Runs of letters, digits and the marks that belong to them."""
    if text.isascii():
        return _ASCII_WORD.findall(text)
    return "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in text).split()


def _pairs(word: str) -> list[str]:
    """A word; where it holds signs written without spaces, each two neighbours as a phrase."""
    found: list[str] = []
    for part in filter(None, _SIGNS.split(word)):
        if not _SIGN.match(part):
            found.append(part)
        else:
            found += [f"{a} {b}" for a, b in pairwise(part)] or [part]
    return found


def excerpt(text: str, words: Sequence[str], longest: int = 400) -> str:
    """The whole of a short text; of a long one the part around the first word that was searched for."""
    if len(text) <= longest:
        return text
    folded = text.casefold()
    hits = (folded.find(word.replace(" ", "")[:5]) for word in words)
    at = min((hit for hit in hits if hit >= 0), default=0)
    start = max(0, min(at - longest // 4, len(text) - longest))
    piece = " ".join(text[start : start + longest].split())
    return f"{'...' if start else ''}{piece}{'...' if start + longest < len(text) else ''}"


def counted(notes: Mapping[str, object] | Sequence[object]) -> str:
    return "1 memory" if len(notes) == 1 else f"{len(notes)} memories"
