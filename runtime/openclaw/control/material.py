"""What a call from outside brings, and how it enters a prompt: as material, marked as what it is. Pure.

Law: the words of a message are the prompt's own. A short value stands in it between “ and ”, where it can neither
begin a line nor end its marks; everything else is quoted after it, each line behind a mark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from openclaw.control.bodies import parsed
from openclaw.control.problems import unserved
from openclaw.messages import Part, Quote, Text

INLINE = 200  # characters that a value in the middle of a line has at most
LONGEST = 20_000  # characters of one quotation

_PLACE = re.compile(r"\{(body(?:\.[^{}.\s]+)*|header\.[A-Za-z0-9-]+)\}")
_FORM = "application/x-www-form-urlencoded"
_MARKS = str.maketrans({"“": '"', "”": '"'})


@dataclass(frozen=True, slots=True)
class Brought:
    body: Any  # what JSON gives, the fields of a form, or text
    headers: Mapping[str, str]  # by names in lower case


class _Nothing:
    """What a place names that is not there."""


def read(kind: str, body: bytes, headers: Mapping[str, str]) -> Brought:
    """By the media type of the body; raises where it is none that can be read."""
    if kind == "application/json" or kind.endswith("+json"):
        return Brought(parsed(body), headers)
    text = body.decode("utf-8", "replace").replace("\x00", "\ufffd")
    if kind == _FORM:
        return Brought(_form(text), headers)
    if kind and not kind.startswith("text/"):
        raise unserved(415, "not_json", "send application/json, a form, or text")
    return Brought(text, headers)


def _form(text: str) -> dict[str, Any]:
    try:
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise unserved(400, "bad_form", "the form has too many fields") from error
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def filled(prompt: str, brought: Brought) -> tuple[Part, ...]:
    """The prompt with what it names: its text, then quotations."""
    quotes: dict[str, Quote] = {}

    def value(found: re.Match[str]) -> str:
        name = found[1]
        inline, quoted = _shown(_at(name, brought))
        if quoted is not None:
            quotes[name] = Quote(_cut(quoted), author=name, forwarded=True)
        return inline or f"[{name}, which is quoted here]"

    text = _PLACE.sub(value, prompt)
    return (Text(text), *quotes.values())


def _at(name: str, brought: Brought) -> Any:
    root, *path = name.split(".")
    if root == "header":
        return brought.headers.get(".".join(path).lower(), _Nothing)
    value = brought.body
    for step in path:
        match value:
            case dict() if step in value:
                value = value[step]
            case list() if step.isascii() and step.isdigit() and len(step) < 6 and int(step) < len(value):
                value = value[int(step)]
            case _:
                return _Nothing
    return value


def _shown(value: Any) -> tuple[str, str | None]:
    """How a value stands in the line, and what is quoted instead where it does not fit there."""
    if value is _Nothing:
        return "(nothing)", None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
    text = text.encode("utf-8", "replace").decode()
    if not isinstance(value, list | dict) and len(text) <= INLINE and text.isprintable():
        return f"“{text.translate(_MARKS)}”", None
    return "", text


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n(cut: it has {len(text):,} characters)"
