"""The tolerant reader behind deny rules: every command it can find in a text, understood or not.

Its law is the reverse of the grammar's: better to find too much. What it finds can only forbid, never
allow. It reads quotes the way a shell does and, where a text hides commands inside quotes (substitution,
`sh -c`, heredocs), once more as if there were no quotes. Linear in the text; knows no rules. A whole grammar
of bash (tree-sitter), held against it, found more only in broken and glued words, and less in many others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from openclaw.permissions import programs
from openclaw.permissions.grammar import KEYWORDS, LONGEST
from openclaw.words import CommandLine

Invocation: TypeAlias = tuple[str, ...]
"""A program and the words after it."""

_CONTINUED = re.compile(r"\\\r?\n")
_PIECE = re.compile(
    r"""
   (?P<blank>[ \t\r\f\v]+)
  |(?P<cut>\$\(|[<>]\(|\$\{|[\n;|()`]|&&|&(?!>))
  |(?P<redirect>&>>?|<<<|<<-?|[<>]&|<>|>>?[|!]?|<)
  |\$?'(?P<single>[^']*)'
  |\$?"(?P<double>(?:[^"\\]|\\.)*)"
  |\\(?P<escaped>.)
  |(?P<other>.)
""",
    re.X | re.S,
)
_HIDDEN = re.compile(r"[`]|\$[({\[]|<<|[<>]\(")
_QUOTES = re.compile(r"[\"'\\]")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(\[[^\]]*\])?\+?=")
_INNER = re.compile(r"[\s;|&()`<>{},=]+")
_PASSED_OVER = KEYWORDS | {"!", "{", "}", "[[", "]]", "((", "))"}
_PREFIXES = frozenset({"time", "coproc"})  # words of the shell that a rule may mean as programs
_RUNS_OTHERS = frozenset({"shell", "interpreter", "wrapper"})
_FAR = 32  # words after a program that a rule can name
_FIND_ACTIONS = frozenset({"-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch"})


@dataclass(frozen=True, slots=True)
class Scan:
    """`complete` is False where something was too big or too broken to be read to its end."""

    invocations: tuple[Invocation, ...]
    complete: bool


@dataclass(slots=True)
class _Reader:
    """The state of one pass: the command being collected, the word being collected, a redirect's target pending."""

    found: list[Invocation] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    word: str | None = None
    target: bool = False
    balanced: bool = True

    def add(self, text: str) -> None:
        self.word = (self.word or "") + text

    def end_word(self) -> None:
        if self.word is None:
            return
        if self.target:
            self.target = False
        elif self.word in ("{", "}"):
            self.word = None
            self.end_command()
        elif self.words or not (self.word in _PASSED_OVER or _ASSIGNMENT.match(self.word)):
            self.words.append(self.word)
        elif self.word in _PREFIXES:
            self.found.append((self.word,))
        self.word = None

    def end_command(self) -> None:
        self.end_word()
        self.target = False
        if self.words:
            self.found.append(tuple(self.words))
            self.words = []

    def redirect(self) -> None:
        if self.word is not None and self.word.isdigit():
            self.word = None
        self.end_word()
        self.target = True


def of_text(text: str) -> Scan:
    """Every invocation that can be found in a text outside the strict grammar."""
    if len(text) > LONGEST:
        return Scan((), False)
    joined = _CONTINUED.sub("", text)
    found, balanced = _commands(joined)
    if not balanced or _HIDDEN.search(text) or any(_runs_others(argv) for argv in found):
        found = [*found, *_commands(_QUOTES.sub("", joined))[0]]
    everything = [inner for argv in found for inner in _with_inner(argv)]
    return Scan(tuple(dict.fromkeys(everything)), True)


def of_command(command: CommandLine) -> Scan:
    """Every invocation of an understood command, those inside wrappers and `-exec` included."""
    return Scan(tuple(inner for step in command.steps for inner in of_argv(step.argv)), True)


def of_argv(argv: Sequence[str]) -> Iterator[Invocation]:
    yield from _with_inner(tuple(argv))


def _commands(text: str) -> tuple[list[Invocation], bool]:
    """One pass over a text, quotes honoured; False where a quote is never closed."""
    reader = _Reader()
    for match in _PIECE.finditer(text):
        match match.lastgroup:
            case "blank":
                reader.end_word()
            case "cut":
                reader.end_command()
            case "redirect":
                reader.redirect()
            case "other":
                reader.balanced &= match[0] not in "\"'"
                if match[0] not in "\"'\\":
                    reader.add(match[0])
            case kind:
                reader.add(match[kind or 0])
    reader.end_command()
    return reader.found, reader.balanced


def _with_inner(argv: Invocation) -> Iterator[Invocation]:
    """The invocation, brace expansions undone; for one that runs others, also every tail of its words."""
    if argv[0].startswith("{"):
        argv = tuple(word for text in argv for word in text.strip("{}").split(",") if word) or argv
    yield argv
    if not _runs_others(argv):
        return
    for index in range(1, len(argv)):
        yield argv[index : index + _FAR]
        for text in dict.fromkeys((argv[index], _QUOTES.sub("", argv[index]))):
            inner = [word for word in _INNER.split(text) if word]
            if len(inner) > 1 or text != argv[index]:
                for start in range(len(inner)):
                    yield tuple(inner[start : start + _FAR])


def _runs_others(argv: Invocation) -> bool:
    name = programs.plain_name(argv[0])
    if name in ("find", "fd", "fdfind"):
        return any(word in _FIND_ACTIONS for word in argv)
    return programs.kind(name) in _RUNS_OTHERS
