"""What a step of a conversation expects, against what was there. Pure: values in, what is wrong of them out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from openclaw.scenarios import words
from openclaw.scenarios.document import Path
from openclaw.scenarios.stage import Ran, Said
from openclaw.words import quote_line

SHOWN = 300  # characters of a text that a failure tells


@dataclass(frozen=True, slots=True)
class Wrong:
    """One expectation that does not hold, at `path` below the step. `corrected` would make it hold, where that can be
    written in its place."""

    path: Path
    expected: str
    got: str
    corrected: Any = None


Wanted: TypeAlias = str | Mapping[str, Any]
"""Of a text: exactly this, or what is true of it."""


def texts(path: Path, wanted: Wanted, found: str) -> Iterator[Wrong]:
    """A text against what is expected of it."""
    if isinstance(wanted, str):
        if found != wanted:
            yield Wrong(path, quoted(wanted), quoted(found), found)
        return
    if "equals" in wanted and found != wanted["equals"]:
        yield Wrong((*path, "equals"), quoted(wanted["equals"]), quoted(found), found)
    for each in listed(wanted.get("contains", ())):
        if each not in found:
            yield Wrong((*path, "contains"), f"a text that contains {quoted(each)}", quoted(found))
    for each in listed(wanted.get("excludes", ())):
        if each in found:
            yield Wrong((*path, "excludes"), f"a text without {quoted(each)}", quoted(found))
    if "matches" in wanted and re.search(wanted["matches"], found) is None:
        yield Wrong((*path, "matches"), f"a text that matches {wanted['matches']}", quoted(found))


def calls(path: Path, wanted: Sequence[str | Mapping[str, Any]], found: Sequence[Ran], why: str) -> Iterator[Wrong]:
    """The calls that ran, in order. Of arguments, those that are written are compared. `why` tells what did not run."""
    fits = len(wanted) == len(found) and all(map(_fits, wanted, found))
    if not fits:
        exact = any(not isinstance(each, str) for each in wanted)
        corrected = [{ran.tool: dict(ran.input)} if exact else ran.tool for ran in found]
        told = ", ".join(words.call(ran.tool, ran.input if exact else {}) for ran in found) or "none ran"
        yield Wrong(path, ", ".join(map(_written, wanted)) or "none", f"{told}{why}", corrected)


def names(path: Path, wanted: Sequence[str], found: Sequence[str], why: str = "") -> Iterator[Wrong]:
    if list(wanted) != list(found):
        yield Wrong(path, ", ".join(wanted) or "none", f"{', '.join(found) or 'none'}{why}", list(found))


def value(path: Path, wanted: str, found: str, more: str = "") -> Iterator[Wrong]:
    if wanted != found:
        yield Wrong(path, wanted, f"{found}{more}", found)


def said(one: Said) -> str:
    """A reply, for a person."""
    where = f" in {one.chat}" if one.chat else ""
    return f"{quoted(one.text)}, to {one.to}{where}"


def quoted(text: str) -> str:
    """One line, shortened in the middle."""
    shown = text if len(text) <= SHOWN else f"{text[: SHOWN // 2]} ... {text[-SHOWN // 2 :]}"
    return quote_line(json.dumps(shown, ensure_ascii=False))


def listed(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def _fits(wanted: str | Mapping[str, Any], ran: Ran) -> bool:
    if isinstance(wanted, str):
        return wanted == ran.tool
    [(tool, input)] = wanted.items()
    return tool == ran.tool and all(name in ran.input and ran.input[name] == each for name, each in input.items())


def _written(wanted: str | Mapping[str, Any]) -> str:
    return wanted if isinstance(wanted, str) else " ".join(words.call(tool, input) for tool, input in wanted.items())
