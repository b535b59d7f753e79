"""Where and over what a parser stopped, with the text around it; and words to quote a value with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from openclaw.manifest.diagnostic import Span
from openclaw.manifest.source import Source

LONGEST = 1000  # of a line that is looked at: a hostile one must not keep an expression busy
KEY = re.compile(r"[ ]*(?:- +)*([^\s:#'\"\[\]{},][^:#]*?) *:(?=[ \t]|$)")


class Seen(NamedTuple):
    """The last value that was read whole: where, and its opening character ("" for plain text)."""

    start: int
    end: int
    style: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Where the parser gave up (`at`), where what it was reading began (`since`), and its words, lower case."""

    source: Source
    at: int
    since: int
    words: str
    last: Seen | None
    opened: int | None  # where the innermost bracket that is still open stands

    @property
    def char(self) -> str:
        return self.source.text[self.at : self.at + 1]

    @property
    def line(self) -> int:
        return self.source.place(self.at)[0]

    def line_text(self, at: int) -> str:
        return self.text_of(self.source.place(at)[0])

    def text_of(self, number: int) -> str:
        return self.source.line(number)[:LONGEST]

    def before(self, at: int) -> str:
        """The text left of a place on its line."""
        line, column = self.source.place(at)
        return self.text_of(line)[: column - 1]

    def rest(self, at: int) -> str:
        """The text from a place to the end of its line."""
        line, column = self.source.place(at)
        return self.source.line(line)[column - 1 : column - 1 + LONGEST]

    def to_end(self, at: int) -> Span:
        return self.source.span(at, at + len(without_comment(self.rest(at))))


def without_comment(text: str) -> str:
    return text.replace("\t", " ").partition(" #")[0].rstrip()


def quoted(text: str) -> str:
    """A value, quoted so that YAML takes it as it is."""
    bare = without_comment(text).strip()
    if '"' not in bare and "\\" not in bare:
        return f'"{bare}"'
    if "'" not in bare:
        return f"'{bare}'"
    inner = bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"" else bare
    return "'" + inner.replace("'", "''") + "'"
