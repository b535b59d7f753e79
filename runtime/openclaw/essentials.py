"""What a summary of a conversation must not lose: identifiers, paths, addresses, numbers, names, open tasks.

Pure, in time that grows with the text whatever it holds, and found by form alone: no model is asked. What the person
and the agent said counts whenever it was said; what is in the result of a tool, or looks like a name of one word, only
where it occurs in another entry again, because texts are full of such things that nobody needs. What strangers wrote
counts only where somebody here took it up, and a task only where the person or the agent set it. Where there is too
much, what the person said is the last to go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from openclaw.messages import AssistantEntry, Compaction, Entry, Result, Told, UserEntry
from openclaw.plain import said, spoken

Kind: TypeAlias = Literal["task", "address", "path", "identifier", "number", "name"]

MOST = 5000  # that are looked for
LONGEST = 200  # characters of one; longer ones are no identifiers but content

_LETTERS: Final = "".join(map(chr, (*range(0xAA, 0x590), *range(0x1E00, 0x2000))))  # beyond ASCII, where case is known
_UPPER: Final = "A-Z" + "".join(filter(str.isupper, _LETTERS))
_LOWER: Final = "a-z" + "".join(filter(str.islower, _LETTERS))
_TASK: Final = re.compile(
    r"^[ \t]*(?:[-*][ \t]*\[ \][ \t]*|[-*][ \t]*open:[ \t]*|(?:TODO|FIXME|to do|open task)\b:?[ \t]*)(\S.*)$",
    re.I | re.M,
)
_FORMS: Final[Sequence[tuple[Kind, str]]] = (
    ("address", r"\bhttps?://[^\s<>\"'`)\]}]+|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    (
        "path",
        (
            r"(?<![\w/.])(?:~|\.{1,2})?(?:/[\w.@+-]+){2,}/?"
            r"|(?<![\w/.-])(?:[\w.-]+/)+[\w.-]+|(?<![\w/.-])[\w-]+(?:\.[\w-]+)*\.[a-z]\w{0,5}\b"
        ),
    ),
    (
        "identifier",
        (
            r"(?<![\w-])(?:v?\d+\.\d+\.\d+[\w.-]*|[A-Za-z]+_\w+|(?=[\w-]*[A-Za-z])(?=[\w-]*\d)[A-Za-z0-9][\w-]{2,})(?![\w-])"
        ),
    ),
    ("number", r"(?<![\w.,:/-])(?:\d+(?:[.,:/-]\d+)+|\d{3,})(?!\w)"),
    ("name", rf"(?<=[{_LOWER},;:] )[{_UPPER}][^\W\d_]+(?: [{_UPPER}][^\W\d_]+)*"),
)  # fmt: skip
_PERSON, _SUMMED_UP, _AGENT, _TOLD, _RESULT = range(5)  # where something was said; told: among strangers' words
_RUN: Final = re.compile(r"[\w@./:?&=#%+~-]+")  # what may be one identifier, path or address
_DIGITS: Final = re.compile(r"\d[\d.:/-]*")
_EDGES: Final = ".:;!?/-~"  # belong to the sentence, or make no difference


@dataclass(frozen=True, slots=True)
class Essential:
    kind: Kind
    text: str
    line: str  # where it was said last, by the person if they said it


@dataclass(frozen=True, slots=True)
class _Seen:
    essential: Essential
    at: int  # the entry that it was in last
    source: int  # the best that it came from
    times: int  # entries that it was in

    @property
    def counts(self) -> bool:
        if self.essential.kind == "name":  # of one word it may be any noun, in German for example
            return self.times > 1 or (self.source < _AGENT and " " in self.essential.text)
        return self.times > 1 or self.source < _RESULT

    def after(self, before: _Seen | None) -> _Seen:
        """Together with where it was before."""
        if before is None:
            return self
        best = self if self.source <= before.source else before
        return _Seen(best.essential, self.at, best.source, before.times + 1)

    def order(self) -> tuple[int, int]:
        kind = self.essential.kind
        return (-1 if kind == "task" else self.source + (_RESULT if kind == "name" else 0), -self.at)


def found(entries: Iterable[Entry]) -> list[Essential]:
    """What matters most first: open tasks, what the person said, what was summed up before, what the agent said, what
    came of calls, names last; of each the latest first."""
    seen: dict[str, _Seen] = {}
    for at, entry in enumerate(entries):
        source = _source(entry)
        if source is None:
            continue
        for one in {one.text: one for one in _of(_words(entry))}.values():
            if one.kind != "task" or source < _TOLD:
                seen[one.text] = _Seen(one, at, source, 1).after(seen.get(one.text))
    kept = sorted((one for one in seen.values() if one.counts), key=_Seen.order)
    return [one.essential for one in kept[:MOST]]


def missing(essentials: Iterable[Essential], text: str) -> list[Essential]:
    """Those that do not stand in the text as they were written, each for itself and not as a part of another. The text
    is taken apart once, whatever is looked for."""
    words = {one.text.strip(_EDGES) for one in _of(text)} | {run.strip(_EDGES) for run in _RUN.findall(text)}
    numbers = {run.strip(_EDGES) for run in _DIGITS.findall(text.replace(",", ""))}
    return [one for one in essentials if not _stands(one, text, words, numbers)]


def listed(essentials: Sequence[Essential], longest: int) -> str:
    """Tasks line by line, all else in one; the first of them where there is not room for all."""
    kept: list[Essential] = []
    for one in essentials:
        longest -= len(one.text) + 4
        if longest < 0:
            break
        kept.append(one)
    tasks = [f"- open: {one.text}" for one in kept if one.kind == "task"]
    others = "; ".join(one.text for one in kept if one.kind != "task")
    more = f"({len(essentials) - len(kept):,} more stand in the full text.)" if len(kept) < len(essentials) else ""
    return "\n".join(filter(None, [*tasks, others and f"Also mentioned, as written: {others}", more]))


def _source(entry: Entry) -> int | None:
    """None for what strangers wrote: of that only what somebody here took up counts."""
    match entry:
        case UserEntry():
            return _PERSON
        case Compaction():
            return _SUMMED_UP
        case Told(untrusted=strangers):
            return _TOLD if strangers else _AGENT
        case Result(untrusted=strangers):
            return None if strangers else _RESULT
    return _AGENT


def _words(entry: Entry) -> str:
    """Without what the runtime itself wrote around them."""
    match entry:
        case UserEntry():
            return spoken(entry)
        case AssistantEntry():
            return said(entry.content)
        case Result(content=text) | Told(text=text) | Compaction(summary=text):
            return text
    return ""


def _of(text: str) -> Iterable[Essential]:
    for task in _TASK.finditer(text):
        if len(task[1]) <= LONGEST:
            yield Essential("task", task[1].strip(), task[1].strip())
    for kind, form in _FORMS:
        taken = []
        for match in re.finditer(form, text):
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
