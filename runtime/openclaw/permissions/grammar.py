"""The strict grammar of commands: text in, literal argv vectors out, or the reason why not.

Its law: what is accepted means to every POSIX shell exactly what it means here, and nothing is ever
expanded. Accepted are words of printable ASCII and Unicode letters and digits, single quotes, double
quotes in which nothing is special, `|` `&&` `||` `;`, and `2>&1` `>/dev/null` `2>/dev/null` after a
blank. All else is refused with a code and a column. Knows no programs, paths or rules.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from openclaw.permissions.policy import Refusal
from openclaw.words import CommandLine, Step

LONGEST = 4096  # characters
MOST_SEGMENTS = 16
TOO_BIG = frozenset({"too_long", "too_many_segments"})
"""Refusals that end in a denial: analysis that gives up must not turn a deny into a question."""

Operator: TypeAlias = Literal["", "|", "&&", "||", ";"]

_WORD = r"[A-Za-z0-9%+,\-./:=@^_]|[^\x00-\x7f]"
_TOKENS = r"""
   (?P<blank>[ \t]+)
  |(?P<redirect>2>&1|2?>/dev/null)(?=[ \t|&;]|$)
  |(?P<plain>(?:{word})+)
  |(?P<inner>[~#])
  |'(?P<single>[^']*)'
  |"(?P<double>(?:[^"`$!\\]|\\(?![$`"\\!]))*)"
  |(?P<operator>\|\||&&|\||;)
"""
_TOKEN = re.compile(_TOKENS.replace("{word}", _WORD), re.X)
_TEMPLATE_TOKEN = re.compile(
    _TOKENS.replace("{word}", _WORD + r"|\{\{|\}\}|\{[A-Za-z_][A-Za-z0-9_]*(?:\.\.\.)?\}"), re.X
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\[[^\]]*\])?\+?=")
_SPECIAL_IN_DOUBLE = re.compile(r"[$`!]|\\[$`\"\\]")
# Letters by category, but blank or like punctuation on the screen.
_MISLEADING_LETTERS = re.compile("[\u115f\u1160\u3164\uffa0\u01c0-\u01c3\u02b0-\u02ff]")
KEYWORDS = frozenset(
    ("if", "then", "else", "elif", "fi", "case", "esac", "for", "select",
     "while", "until", "do", "done", "in", "function", "time", "coproc")
)  # fmt: skip
_CHARACTERS = {
    "\\": ("backslash", "a backslash outside single quotes; quote the word instead"),
    "$": ("dollar", "`$` would be expanded by a shell, and here there is none"),
    "`": ("backtick", "a backtick would run another command"),
    "<": ("redirect", "input is never redirected"),
    ">": ("redirect", "only `2>&1`, `>/dev/null` and `2>/dev/null`, after a blank, are understood"),
    "&": ("background", "`&` would leave a command running; only `&&` joins commands"),
    "!": ("history", "`!` outside single quotes"),
    "(": ("paren", "a parenthesis outside quotes"),
    ")": ("paren", "a parenthesis outside quotes"),
    "{": ("brace", "a brace outside quotes"),
    "}": ("brace", "a brace outside quotes"),
    "*": ("glob", "`*` is not expanded here; name the files, or quote it"),
    "?": ("glob", "`?` is not expanded here; name the files, or quote it"),
    "[": ("glob", "`[` is not expanded here; quote it"),
    "]": ("glob", "`]` outside quotes"),
    "'": ("quote", "a single quote that is never closed"),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a word; `column` is where its first character stands. Words are pieces side by side."""

    text: str
    column: int
    quoted: bool


@dataclass(slots=True)
class Draft:
    """One step while it is read."""

    after: Operator
    column: int
    words: list[list[Piece]] = field(default_factory=list)
    stdout: Literal["", "null"] = ""
    stderr: Literal["", "null", "stdout"] = ""


def parse(text: str) -> CommandLine | Refusal:
    """The literal steps of a command, programs unresolved; or why it is not understood."""
    drafts = split(text)
    if isinstance(drafts, Refusal):
        return drafts
    steps = []
    for draft in drafts:
        argv = tuple(["".join([piece.text for piece in word]) for word in draft.words])
        steps.append(Step(argv, draft.after, draft.stdout, draft.stderr))
    return CommandLine(tuple(steps))


def split(text: str, *, template: bool = False) -> list[Draft] | Refusal:
    """The words of each step, as pieces. With `template`, `{name}`, `{{` and `}}` stand in words unchanged."""
    refusal = _foreign(text)
    if refusal is not None:
        return refusal
    drafts: list[Draft] = [Draft("", 1)]
    word: list[Piece] | None = None
    match_at = (_TEMPLATE_TOKEN if template else _TOKEN).match
    at, end = 0, len(text)
    while at < end:
        match = match_at(text, at)
        if match is None:
            return _unreadable(text, at)
        kind = match.lastgroup
        if kind == "blank":
            word = None
        elif kind == "operator":
            word = None
            problem = _finished(drafts[-1])
            if problem is not None:
                return problem
            operator: Operator = match["operator"]  # type: ignore[assignment]
            drafts.append(Draft(operator, at + 1))
        elif kind == "redirect":
            if word is not None or not drafts[-1].words:
                return _refuse(">", at)
            _redirect(drafts[-1], match["redirect"])
        else:
            assert kind is not None
            piece = Piece(match[kind], at + 1, kind in ("single", "double"))
            if kind == "inner" and not _may_stand(piece.text, word):
                return _leading(piece.text, at)
            if word is None:
                word = []
                drafts[-1].words.append(word)
            word.append(piece)
        at = match.end()
    problem = _finished(drafts[-1])
    if problem is not None:
        return problem
    if len(drafts) > MOST_SEGMENTS:
        return Refusal("too_many_segments", f"more than {MOST_SEGMENTS} commands in one line")
    return drafts


def _foreign(text: str) -> Refusal | None:
    """Refuses by size and by characters that no word may contain, quoted or not."""
    if len(text) > LONGEST:
        return Refusal("too_long", f"longer than {LONGEST} characters", LONGEST + 1)
    control = _CONTROL.search(text)
    if control is not None:
        if control[0] == "\n":
            return Refusal("newline", "a line break", control.start() + 1)
        return Refusal("control", f"the control character U+{ord(control[0]):04X}", control.start() + 1)
    if not text.isascii():
        for index, char in enumerate(text):
            if char > "\x7f" and not visible_letter(char):
                return Refusal("unicode", f"the character U+{ord(char):04X}, which may hide or mislead", index + 1)
    return None


def visible_letter(char: str) -> bool:
    """A non-ASCII letter or digit that a person can see for what it is."""
    return unicodedata.category(char)[0] in "LN" and _MISLEADING_LETTERS.match(char) is None


def _may_stand(char: str, word: list[Piece] | None) -> bool:
    """`~` and `#` mean themselves only inside a word; `~` not after `=` or `:`, where shells expand it too."""
    if word is None:
        return False
    return char == "#" or not word[-1].text.endswith(("=", ":"))


def _leading(char: str, at: int) -> Refusal:
    if char == "#":
        return Refusal("comment", "`#` would begin a comment; quote it", at + 1)
    return Refusal("tilde", "`~` would become a home folder; write the path out", at + 1)


def _redirect(draft: Draft, text: str) -> None:
    if text == "2>&1":
        draft.stderr = "null" if draft.stdout == "null" else "stdout"
    elif text.startswith("2"):
        draft.stderr = "null"
    else:
        draft.stdout = "null"


def _finished(draft: Draft) -> Refusal | None:
    """What only a whole step can show: it has a program, and the program is a program."""
    if not draft.words:
        return Refusal("empty", "a command is missing here", draft.column)
    first = draft.words[0]
    name = "".join(piece.text for piece in first)
    if not name:
        return Refusal("empty", "the name of the program is empty", first[0].column)
    if name.startswith("%"):
        return Refusal("job", f"`{name}` would mean a job of the shell, not a program", first[0].column)
    if _ASSIGNMENT.match(name):
        return Refusal("assignment", "a variable is set before the command", first[0].column)
    if name in KEYWORDS and not any(piece.quoted for piece in first):
        return Refusal("keyword", f"`{name}` is a word of the shell, not a program", first[0].column)
    return None


def _refuse(char: str, at: int) -> Refusal:
    code, message = _CHARACTERS.get(char, ("character", f"`{char}` is not understood here"))
    return Refusal(code, message, at + 1)


def _unreadable(text: str, at: int) -> Refusal:
    if text[at] == '"':
        special = _SPECIAL_IN_DOUBLE.search(text, at)
        closing = text.find('"', at + 1)
        if special is not None and (closing == -1 or special.start() < closing):
            refusal = _refuse(special[0][0], special.start())
            return Refusal(refusal.code, f"in double quotes: {refusal.message}", refusal.column)
        return Refusal("quote", "a double quote that is never closed", at + 1)
    return _refuse(text[at], at)
