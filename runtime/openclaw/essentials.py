"""What a summary of a conversation must not lose: identifiers, paths, addresses, numbers, names, open tasks.

Pure, in time that grows with the text whatever it holds, and found by form alone: no model is asked. What the person
and the agent said counts whenever it was said; what is in the result of a tool, or looks like a name, only where it
occurs again, because results are full of such things that nobody needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from openclaw.messages import Entry, Intent, Result, Undone, UserEntry
from openclaw.plain import shown, spoken

Kind: TypeAlias = Literal["task", "address", "path", "identifier", "number", "name"]

MOST = 5000  # that are looked for
LONGEST = 200  # characters of one; longer ones are no identifiers but content

_TASK: Final = re.compile(
    r"^[ \t]*(?:[-*][ \t]*\[ \][ \t]*|(?:TODO|FIXME|to do|open task)\b:?[ \t]*)(\S.*)$", re.I | re.M
)
_FORMS: Final[Sequence[tuple[Kind, re.Pattern[str]]]] = (
    ("address", re.compile(r"\bhttps?://[^\s<>\"'`)\]}]+|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    (
        "path",
        re.compile(
            r"(?<![\w/.])(?:~|\.{1,2})?(?:/[\w.@+-]+){2,}/?"
            r"|(?<![\w/.-])(?:[\w.-]+/)+[\w.-]+|(?<![\w/.-])[\w-]+(?:\.[\w-]+)*\.[a-z]\w{0,5}\b"
        ),
    ),
    (
        "identifier",
        re.compile(
            r"(?<![\w-])(?:v?\d+\.\d+\.\d+[\w.-]*|[A-Za-z]+_\w+|(?=[\w-]*[A-Za-z])(?=[\w-]*\d)[A-Za-z0-9][\w-]{3,})(?![\w-])"
        ),
    ),
    ("number", re.compile(r"(?<![\w.,:/-])(?:\d+(?:[.,:/-]\d+)+|\d{3,})(?!\w)")),
    ("name", re.compile(r"(?<=[a-z,;:] )[A-Z][^\W\d_]+(?: [A-Z][^\W\d_]+)*")),
)  # fmt: skip


_RUN: Final = re.compile(r"[\w@./:?&=#%+~-]+")  # what may be one identifier, path or address
_DIGITS: Final = re.compile(r"\d[\d.:/-]*")
_EDGES: Final = ".:;!?/-~"  # belong to the sentence, or make no difference


@dataclass(frozen=True, slots=True)
class Essential:
    kind: Kind
    text: str
    line: str  # where it was said last


def found(entries: Iterable[Entry]) -> list[Essential]:
    """In the order in which they were last mentioned."""
    last: dict[str, Essential] = {}
    again: dict[str, int] = {}
    spoken: set[str] = set()
    for entry in entries:
        for one in _of(_words(entry)):
            last.pop(one.text, None)
            last[one.text] = one
            again[one.text] = again.get(one.text, 0) + 1
            if one.kind != "name" and not isinstance(entry, Result):
                spoken.add(one.text)
    kept = [one for one in last.values() if one.text in spoken or again[one.text] > 1]
    return kept[-MOST:]


def missing(essentials: Iterable[Essential], text: str) -> list[Essential]:
    """Those that do not stand in the text as they were written, each for itself and not as a part of another. The text
    is taken apart once, whatever is looked for."""
    words = {one.text.strip(_EDGES) for one in _of(text)} | {run.strip(_EDGES) for run in _RUN.findall(text)}
    numbers = {run.strip(_EDGES) for run in _DIGITS.findall(text.replace(",", ""))}
    return [one for one in essentials if not _stands(one, text, words, numbers)]


def listed(essentials: Sequence[Essential], longest: int) -> str:
    """Tasks line by line, all else in one, the latest where there is not room for all."""
    kept: list[Essential] = []
    for one in reversed(essentials):
        longest -= len(one.text) + 4
        if longest < 0:
            break
        kept.append(one)
    kept.reverse()
    tasks = [f"- open: {one.text}" for one in kept if one.kind == "task"]
    others = "; ".join(one.text for one in kept if one.kind != "task")
    more = f"({len(essentials) - len(kept):,} more stand in the full text.)" if len(kept) < len(essentials) else ""
    return "\n".join(filter(None, [*tasks, others and f"Also mentioned, as written: {others}", more]))


def _words(entry: Entry) -> str:
    """Without what the runtime itself wrote before a message."""
    if isinstance(entry, Intent | Undone):
        return ""
    if isinstance(entry, UserEntry):
        return spoken(entry)
    return shown(entry)


def _of(text: str) -> Iterable[Essential]:
    for task in _TASK.finditer(text):
        if len(task[1]) <= LONGEST:
            yield Essential("task", task[1].strip(), task[1].strip())
    for kind, form in _FORMS:
        taken = []
        for match in form.finditer(text):
            one = match[0].rstrip(".,;:!?")
            if 2 < len(one) <= LONGEST:
                yield Essential(kind, one, _line(text, match.start(), match.end()))
                taken.append((match.start(), match.start() + len(one)))
        text = _without(text, taken)


def _line(text: str, start: int, end: int) -> str:
    """The line around it, as much as a reader needs."""
    before, after = text[max(0, start - 80) : start], text[end : end + 80]
    return " ".join(f"{before.rpartition(chr(10))[2]}{text[start:end]}{after.partition(chr(10))[0]}".split())


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """With a mark in place of what was found: it is found once, and its parts are not."""
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], "\0" * (end - start)]
        at = end
    return "".join([*parts, text[at:]])


def _stands(one: Essential, text: str, words: Set[str], numbers: Set[str]) -> bool:
    if one.kind == "number":
        return one.text.replace(",", "") in numbers
    if one.kind == "task" or " " in one.text:
        return _stands_apart(one.text, text)
    return one.text.strip(_EDGES) in words


def _stands_apart(words: str, text: str) -> bool:
    """Whether they stand there somewhere without a letter or digit right beside them."""
    at = text.find(words)
    while at >= 0:
        if not (text[at - 1 : at].isalnum() or text[at + len(words) : at + len(words) + 1].isalnum()):
            return True
        at = text.find(words, at + 1)
    return False
