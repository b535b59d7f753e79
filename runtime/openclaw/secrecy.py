"""The one place that knows the secrets, and strikes them out of whatever leaves for a person, a model or a file.

Law: a known value is struck out in each form that it usually takes: as it is, in a URL, inside a literal of Python or
JSON, in HTML, quoted for a shell, in letters of another case, in hex, and in base64 at any offset, wrapped or not; and
so is what has the shape of a common token. A value that could be a word or a number of an ordinary text is struck out
only where it stands by itself: a text that is corrupted is written back one day. Strangers write what is looked
through, so the time that a pattern takes grows as the text does. Values are held by whoever knows them, for as long as
they run; the process is one, and so is what its log may not say.
Knows no manifests and writes nothing.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    import logging

SHORTEST = 6  # characters of a value that is held for the whole process
STRUCK = "***"
NOTE = f"[{STRUCK} above stands for a secret that was struck out]"  # to a model, which would take it for the text
SECRET_NAME = re.compile(r".*_(?:TOKEN|KEY|SECRET|PASSWORD)", re.IGNORECASE)
"""The variables whose values are secret."""
TELLING = re.compile(
    r".*passw(?:or)?d|.*_pwd|(?:.*[_-])?(?:passphrase|secret|token|(?:api|access|private|auth)[_-]?key)", re.IGNORECASE
)
"""Names that people give to what is secret, wherever no schema knows."""

_SURELY = 16  # characters of a variable that nobody said is used: a shorter one may be a word
_SHORT = 12  # characters of a value that is not sought inside of words
_CORE = 5  # characters of base64; what is shorter stands in ordinary words as well
_HEX = 6  # characters of a value that is sought in hex; what is shorter may be any number
_OF_A_URL = "/:?#[]@!$&'()*+,;=%"  # what stays as it is in an address

# Where a word begins: an escaped character before it, as URLs and literals have them, is no part of it.
_ESCAPED = r"(?<=%[0-9a-fA-F]{2})|(?<=\\[nrt])|(?<=\\u[0-9a-fA-F]{4})"
_BEGINS, _ENDS = rf"(?:(?<!\w)|{_ESCAPED})", r"(?!\w)"
_BEGINS_WIDE, _ENDS_WIDE = rf"(?:(?<![\w./-])|{_ESCAPED})", r"(?![\w/-]|\.\w|://)"  # paths and names of packages
_DIGIT = r"(?=[\w.-]{0,60}[0-9])"
# One part between dashes is random; names of packages and of styles have only words there.
_RANDOM = (
    r"(?:(?=[A-Za-z]{0,40}[0-9])(?=[a-z0-9]{0,40}[A-Z])[A-Za-z0-9]{10}"
    r"|(?=(?:[A-Za-z]{0,24}[0-9]){3})[A-Za-z0-9]{24})"
)

SHAPES = (
    (re.compile(r"(?<![0-9])[0-9]{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"), "a Telegram bot token"),
    (re.compile(rf"sk-ant-{_DIGIT}[A-Za-z0-9_-]{{16,}}"), "an Anthropic key"),
    (
        re.compile(rf"(?:(?<![\w-])|{_ESCAPED})sk-(?=(?:[A-Za-z0-9]{{0,40}}[_-]){{0,8}}{_RANDOM})[A-Za-z0-9_-]{{20,}}"),
        "an API key",
    ),
    (re.compile(rf"(?:gh[pousr]_[A-Za-z0-9]{{36,}}|github_pat_{_DIGIT}[A-Za-z0-9_]{{20,}})"), "a GitHub token"),
    (re.compile(rf"xox[abprs]-{_DIGIT}[A-Za-z0-9-]{{10,}}"), "a Slack token"),
    (re.compile(r"AKIA[0-9A-Z]{16}(?![0-9A-Za-z])"), "an AWS key"),
    (  # a number in base64, and no word begins as one does
        re.compile(
            rf"(?:(?<![\w.-])|{_ESCAPED})[MNO][DTjz][AEIMQUYcgk][w-z0-5][A-Za-z0-9_-]{{19,24}}"
            r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}"
        ),
        "a Discord bot token",
    ),
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"), "a private key"),
)
"""What tokens look like, and what they are called before people."""

# What each shape cannot be without: looking for that costs a tenth of looking for the shape.
_TOLD_BY = (
    ("sk-", (SHAPES[1][0], SHAPES[2][0])),
    ("github_pat_", (SHAPES[3][0],)),
    ("xox", (SHAPES[4][0],)),
    ("AKIA", (SHAPES[5][0],)),
)
_BY_A_PATTERN = (
    (re.compile(r"gh[pousr]_"), SHAPES[3][0]),
    (re.compile(r":[A-Za-z0-9_-]{35}"), SHAPES[0][0]),
    (re.compile(r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}"), SHAPES[6][0]),
)

# Between the lines of a key: their ends, also those that a literal, a comment or a diff makes of them, and numbers of
# lines.
_BETWEEN = r"(?:[\s\"',>|+#]|\\+[nrt]|(?<=\n)-(?=[A-Za-z0-9]|-----END))++(?:[0-9]{1,6}[:|\t ]\s*+)?"
_PRIVATE_KEY = (
    rf"-----BEGIN [A-Z ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----{_BETWEEN}"
    rf"(?:[A-Z][A-Za-z-]{{1,20}}: (?:[^\n\\-]|-(?!----)){{1,200}}+{_BETWEEN}){{0,10}}+"
    rf"[A-Za-z0-9/+=]{{32,}}+(?:{_BETWEEN}[A-Za-z0-9/+=]{{32,}}+)*+"
    rf"(?:{_BETWEEN}[A-Za-z0-9/+=]{{1,31}}+(?=[ \t,;]*(?:[\r\n\"'\\]|\Z))){{0,2}}+"
    rf"(?:(?:{_BETWEEN})?-----END [A-Z ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----)?"
)


# What wraps an encoded text: the end of a line that is full, and how the next one is set in.
_WRAP = re.compile(r"\n(?<=[A-Za-z0-9+/_-]{40}\n)[ \t]*+(?=[A-Za-z0-9+/_-])")


@dataclass(frozen=True, slots=True)
class Forms:
    """What some values look like in a text. `loose`: a folded form and where it counts; `exact`: base64 and hex."""

    loose: tuple[tuple[str, re.Pattern[str]], ...] = ()
    exact: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Iterable[str]) -> Forms:
        """The longest first, so that no part of a longer one is left standing."""
        values = frozenset(value for value in values if value)
        loose = {form: _pattern(form, value) for value in values for form in _forms(value)}
        exact = {form for value in values for form in _encoded(value.encode("utf-8", "surrogatepass"))}
        longest = sorted(loose, key=lambda form: (-len(form), form))
        return cls(
            tuple((form.casefold(), loose[form]) for form in longest),
            tuple(sorted(exact, key=lambda form: (-len(form), form))),
        )

    def strike(self, text: str) -> str:
        folded = text.casefold() if self.loose else text
        for told, pattern in self.loose:
            if told in folded:
                text = pattern.sub(STRUCK, text)
        flat = _WRAP.sub("", text.replace("\r\n", "\n")) if self.exact else text
        for form in self.exact:
            if form in flat:
                text = re.sub(r"(?:\r?\n[ \t]*+)?".join(map(re.escape, form)), STRUCK, text)
        return text


def masked(text: str, values: Iterable[str]) -> str:
    """The text without these values, however short they are."""
    return Forms.of(values).strike(text)


class Secrets:
    def __init__(self) -> None:
        self._held: dict[object, frozenset[str]] = {}
        self._forms = Forms()

    def hold(self, holder: object, values: Iterable[str]) -> None:
        """From now on these are the holder's; what it held before is held on to as well: a log line may come late."""
        kept = frozenset(value for value in values if len(value) >= SHORTEST)
        if holder in self._held and kept <= self._held[holder]:
            return  # most edits bring no new one, and the forms of each take a millisecond
        self._held[holder] = self._held.get(holder, frozenset()) | kept
        self._forms = Forms.of(value for values in self._held.values() for value in values)

    def drop(self, holder: object) -> None:
        self._held.pop(holder, None)
        self._forms = Forms.of(value for values in self._held.values() for value in values)

    def mask(self, text: str) -> str:
        return _without_shapes(self._forms.strike(text))

    def mask_all(self, value: Any) -> Any:
        """The same JSON value with every text in it masked, also those that are keys. Part by part: within a literal
        of the whole, an escaped line's end would look like the letter before a word."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, Mapping):
            return {self.mask(str(key)): self.mask_all(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.mask_all(item) for item in value]
        return value if value is None or isinstance(value, bool | int | float) else self.mask(str(value))


SECRETS = Secrets()
"""Of this process."""


def ambient(environment: Mapping[str, str]) -> frozenset[str]:
    """The secrets that lie about in an environment, by their names."""
    named = (value for name, value in environment.items() if SECRET_NAME.fullmatch(name))
    return frozenset(value for value in named if len(value) >= _SURELY and not value.startswith("/"))


class Masking:
    """A filter for `logging`: strikes secrets out of every record that a handler is about to write, its traceback
    included."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._secrets.mask(message(record)), ()
        if told := traceback_of(record):
            record.exc_text = self._secrets.mask(told)
        return True


def message(record: logging.LogRecord) -> str:
    """What it says. One whose parts do not fit is told all the same: whoever logs must never hear of it."""
    for told in (record.getMessage, lambda: f"{record.msg} {record.args}", lambda: f"{record.msg}"):
        with suppress(Exception):
            return told()
    return "(a record whose parts cannot be told)"


def traceback_of(record: logging.LogRecord) -> str:
    """Empty where it has none."""
    found = record.exc_info
    try:
        if not found or found[0] is None:
            return ""
        import traceback

        return "".join(traceback.format_exception(*found)).rstrip("\n")
    except Exception:
        return "(a traceback that cannot be told)"


def shaped(text: str) -> list[tuple[int, int]]:
    """The stretches that have the shape of a common token, or are a private key: in order, and none within another."""
    shapes = [shape for part, each in _TOLD_BY if part in text for shape in each]
    shapes += [shape for pattern, shape in _BY_A_PATTERN if pattern.search(text)]
    shapes += [re.compile(_PRIVATE_KEY)] if "-----BEGIN " in text else []
    return apart(found.span() for shape in shapes for found in shape.finditer(text))


def apart(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same stretches in order; those that overlap are one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _without_shapes(text: str) -> str:
    for start, end in reversed(shaped(text)):
        text = f"{text[:start]}{STRUCK}{text[end:]}"
    return text


def _pattern(form: str, value: str) -> re.Pattern[str]:
    """Where a form of this value counts: the sooner it may be a part of something else, the freer it must stand."""
    number, short = value.isdecimal(), len(value) < _SHORT
    plain = number or (value.isalpha() and (value.islower() or value.isupper() or value.istitle()))
    begins = (_BEGINS_WIDE if plain and short else _BEGINS) if (short or number) and _is_word(form[0]) else ""
    ends = (_ENDS_WIDE if plain and short else _ENDS) if (short or number) and _is_word(form[-1]) else ""
    return re.compile(begins + re.escape(form) + ends, re.IGNORECASE)


def _is_word(char: str) -> bool:
    return char == "_" or char.isalnum()


def _forms(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "replace")
    yield from (value, quote(raw, safe=""), quote(raw), quote(raw, safe=_OF_A_URL), quote_plus(raw))
    yield repr(value)[1:-1]
    for literal in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield from (literal, literal.replace("/", "\\/"))
        for special in ("[<>&]", "[<>&'=]"):  # which others than Python escape as well
            yield re.sub(special, lambda found: f"\\u{ord(found[0]):04x}", literal)
    yield from _in_html(value)
    yield from _for_a_shell(value)
    stripped = value.strip()
    if len(stripped) >= SHORTEST:
        yield stripped


def _in_html(value: str) -> Iterator[str]:
    import html

    escaped = html.escape(value)
    yield from (html.escape(value, quote=False), escaped, escaped.replace("&#x27;", "'"))
    yield from (escaped.replace("&#x27;", "&#39;"), escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"))


def _for_a_shell(value: str) -> Iterator[str]:
    """Between quotes of either kind, and with a backslash before whatever is special."""
    yield from (value.replace("'", r"'\''"), value.replace("'", "'\"'\"'"), re.sub(r'(["\\$`])', r"\\\1", value))
    yield from (re.sub(r"([^\w@%+=:./-])", r"\\\1", value), re.sub(r"([^\w@%+=:,./-])", r"\\\1", value))


def _encoded(value: bytes) -> Iterator[str]:
    """In hex, and in base64: what the value becomes at each of the three offsets at which it can stand in a longer
    text, in both alphabets; without the characters that it shares with its neighbours."""
    if len(value) >= _HEX:
        yield from (value.hex(), value.hex().upper())
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + value).decode().rstrip("=")
        last = len(encoded) - ((before + len(value)) % 3 != 0)
        core = encoded[(0, 2, 3)[before] : last]
        if len(core) >= _CORE:
            yield from (core, core.replace("+", "-").replace("/", "_"))
