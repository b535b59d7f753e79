"""A manifest's text and the arithmetic of places in it: offsets, lines, columns, places inside values.

Columns count code points; CR LF and a byte-order mark make no difference. Knows nothing of YAML's
meaning, only how its quoting spreads a value over the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from openclaw.manifest.diagnostic import Diagnostic, Span, error

_BREAK = re.compile(r"\r\n|\r|\n")
# What YAML refuses, and three characters that some programs take for line breaks and others do not. Written as what is
# refused, not as what is not among the others: a set of nearly all characters takes ten times as long to compile.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r\n|.)", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The text of a file, and where its lines begin."""

    file: str
    text: str
    starts: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", (0, *(found.end() for found in _BREAK.finditer(self.text))))

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both 1-based."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def span(self, start: int, end: int) -> Span:
        line = bisect_right(self.starts, start)
        before = self.starts[line - 1]
        if end <= start:
            return Span(self.file, line, start - before + 1, line, start - before + 2)
        if line == len(self.starts) or end < self.starts[line]:  # nearly always, and there are many tokens
            return Span(self.file, line, start - before + 1, line, end - before + 1)
        return Span(self.file, line, start - before + 1, *self.place(end))

    def line(self, number: int) -> str:
        """The text of a line without its break; "" beyond the end."""
        if not 1 <= number <= len(self.starts):
            return ""
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : end].rstrip("\r\n")

    def inside(self, start: int, end: int, style: str, value: str, at: int, length: int = 1) -> Span:
        """The place of `value[at:at + length]`, where the value stands between two offsets in some quoting."""
        offsets = _spread(self.text, start, end, style, value[: at + length])
        if len(offsets) <= at:
            return self.span(start, end)
        last = offsets[min(at + length, len(offsets)) - 1]
        return self.span(offsets[at], last + 1)


def _spread(text: str, start: int, end: int, style: str, value: str) -> list[int]:
    """For each character of the value its offset in the text; shorter where the two part ways."""
    at = _body(text, start, style)
    offsets: list[int] = []
    for char in value:
        escape = _ESCAPE.match(text, at, end) if style == '"' else None
        if escape:
            offsets.append(at)
            at = escape.end()
            continue
        at = _match(text, at, end, char)
        if at >= end:
            break
        offsets.append(at)
        at += 2 if style == "'" and char == "'" else 1
    return offsets


def _body(text: str, start: int, style: str) -> int:
    if style in ("'", '"'):
        return start + 1
    if style in ("|", ">"):
        found = _BREAK.search(text, start)
        return found.end() if found else len(text)
    return start


def _match(text: str, at: int, end: int, char: str) -> int:
    """The next offset that can stand for `char`: indentation is skipped, a break may be read as a space."""
    while at < end and text[at] != char and text[at] in " \t\r\n":
        if char in " \n" and text[at] in "\r\n":
            return at
        at += 1
    return at if at < end and text[at] == char else end


def decode(file: str, content: bytes) -> tuple[Source, Diagnostic | None]:
    """UTF-8 to text without its byte-order mark; the second value says why it cannot be read."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Source(file, ""), error("encoding", Span(file), "the file is UTF-16", "save it as UTF-8")
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        source = Source(file, content.decode("utf-8"))
    except UnicodeDecodeError as failure:
        before = Source(file, content[: failure.start].decode("utf-8"))
        span = before.span(len(before.text), len(before.text))
        return before, error(
            "encoding", span, f"byte 0x{content[failure.start]:02x} is not UTF-8 text", "save the file as UTF-8"
        )
    found = _REFUSED.search(source.text)
    if found is None:
        return source, None
    span = source.span(found.start(), found.end())
    code = ord(found.group())
    return source, error(
        "encoding",
        span,
        f"the character U+{code:04X} may not stand in a manifest",
        f'delete it, or write it in double quotes as "\\u{code:04x}"',
    )
