"""The one place that knows the secrets, and strikes them out of whatever leaves for a person, a model or a file.

Law: a known value is struck out as it is, in base64 at any offset, and URL-encoded; and so is what has the shape of a
common token. What is shorter than `SHORTEST` is let be: it would blot out ordinary words. Values are held by whoever
knows them, for as long as they run; the process is one, and so is what its log may not say.
Knows no manifests and writes nothing.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST = 6  # characters
STRUCK = "***"
SECRET_NAME = re.compile(r".*_(?:TOKEN|KEY|SECRET|PASSWORD)", re.IGNORECASE)
"""The variables whose values are secret."""

_SURELY = 16  # characters of a variable that nobody said is used: a shorter one may be a word

SHAPES = (
    (re.compile(r"\b[0-9]{8,10}:[A-Za-z0-9_-]{35}\b"), "a Telegram bot token"),
    (re.compile(r"\bsk-ant-[A-Za-z0-9_-]{16,}"), "an Anthropic key"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"), "an API key"),
    (re.compile(r"\b(?:ghp|gho|ghs|github_pat)_[A-Za-z0-9_]{20,}"), "a GitHub token"),
    (re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"), "a Slack token"),
    (re.compile(r"\bAKIA[0-9A-Z]{16}\b"), "an AWS key"),
    (re.compile(r"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}"), "a Discord bot token"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
)
"""What tokens look like, and what they are called before people."""

_TELEGRAM, _DISCORD = SHAPES[0][0], SHAPES[6][0]
_KEY_BLOCK = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.S)
# What each remaining shape cannot be without: looking for that costs a tenth of looking for the shape.
_TOLD_BY = tuple(
    (part, SHAPES[number][0])
    for part, number in (("sk-ant-", 1), ("sk-", 2), ("ghp_", 3), ("gho_", 3), ("ghs_", 3), ("github_pat_", 3))
) + tuple((f"xox{letter}-", SHAPES[4][0]) for letter in "abprs") + (("AKIA", SHAPES[5][0]),)  # fmt: skip
_COLON = re.compile(r":[A-Za-z0-9_-]{35}")
_DOTTED = re.compile(r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}")


class Secrets:
    def __init__(self) -> None:
        self._held: dict[object, frozenset[str]] = {}
        self._forms: tuple[str, ...] = ()

    def hold(self, holder: object, values: Iterable[str]) -> None:
        """From now on these are the holder's; what it held before is held on to as well: a log line may come late."""
        kept = frozenset(value for value in values if len(value) >= SHORTEST)
        self._held[holder] = self._held.get(holder, frozenset()) | kept
        self._forms = _all_forms(self._held.values())

    def drop(self, holder: object) -> None:
        self._held.pop(holder, None)
        self._forms = _all_forms(self._held.values())

    def mask(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, STRUCK)
        return _without_shapes(text)

    def mask_all(self, value: Any) -> Any:
        """The same JSON value with every text in it masked, also those that are keys."""
        text = json.dumps(value, ensure_ascii=False, default=str)
        # Nearly always there is nothing to strike out, which is sooner seen of the whole than of its parts.
        return value if self.mask(text) == text else self._parts(value)

    def _parts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, Mapping):
            return {self.mask(str(key)): self._parts(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._parts(item) for item in value]
        return value


SECRETS = Secrets()
"""Of this process."""


def ambient(environment: Mapping[str, str]) -> frozenset[str]:
    """The secrets that lie about in an environment, by their names."""
    named = (value for name, value in environment.items() if SECRET_NAME.fullmatch(name))
    return frozenset(value for value in named if len(value) >= _SURELY and not value.startswith("/"))


class Masking(logging.Filter):
    """Strikes secrets out of every record that a handler is about to write, its traceback included."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._secrets.mask(_message(record)), ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = self._secrets.mask("".join(traceback.format_exception(*record.exc_info))).rstrip("\n")
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # a record whose parts do not fit is told all the same
        return f"{record.msg} {record.args}"


def _without_shapes(text: str) -> str:
    for part, shape in _TOLD_BY:
        if part in text:
            text = shape.sub(STRUCK, text)
    if "PRIVATE KEY-----" in text:
        text = _KEY_BLOCK.sub(STRUCK, text)
    if ":" in text and _COLON.search(text):
        text = _TELEGRAM.sub(STRUCK, text)
    if "." in text and _DOTTED.search(text):
        text = _DISCORD.sub(STRUCK, text)
    return text


def _all_forms(held: Iterable[frozenset[str]]) -> tuple[str, ...]:
    """The longest first, so that no part of a longer one is left standing."""
    forms = {form for values in held for value in values for form in _forms(value)}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def _forms(value: str) -> Iterator[str]:
    yield value
    yield quote(value, safe="", errors="replace")
    yield quote_plus(value, errors="replace")
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    stripped = value.strip()
    if len(stripped) >= SHORTEST:
        yield stripped
    yield from _base64(value.encode("utf-8", "surrogatepass"))


def _base64(value: bytes) -> Iterator[str]:
    """What the value becomes at each of the three offsets at which it can stand in a longer text, in both alphabets;
    without the characters that it shares with its neighbours."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + value).decode().rstrip("=")
        first = (0, 2, 3)[before]
        last = len(encoded) - ((before + len(value)) % 3 != 0)
        core = encoded[first:last]
        if len(core) >= SHORTEST:
            yield core
            yield core.replace("+", "-").replace("/", "_")
