"""A plan in words: for a terminal, for programs, and as a comment on a pull request.

Its law: whoever wrote the manifests chooses names and texts, so nothing of them is obeyed by a terminal, and in a
comment all of them is code, in which no platform looks for markup, links or mentions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from openclaw.messages import quote_line
from openclaw.permissions.policy import Origin
from openclaw.plan.changes import Change, Field, Kind

_SECTIONS: Final[tuple[tuple[str, tuple[Kind, ...]], ...]] = (
    ("permissions", ("permission",)),
    ("agents", ("agent",)),
    ("tools", ("tool",)),
    ("policies", ("policy",)),
    ("routes", ("route",)),
    ("channels, people and rooms", ("channel", "person", "room")),
    ("what becomes of running channels", ("restart",)),
    ("heartbeats", ("heartbeat",)),
    ("models", ("model",)),
    ("secrets and other variables", ("variable",)),
)
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_RED, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"
_COMMENT = 60_000  # characters of a comment; GitHub takes 65,536
_TICKS = re.compile(r"`+")


def summary(changes: Sequence[Change]) -> str:
    if not changes:
        return "nothing would change"
    wider = sum(change.widens for change in changes)
    return f"{_many(len(changes), 'change')}; {_wider(wider)}"


def _wider(count: int) -> str:
    if not count:
        return "no permission widens"
    return "1 permission widens" if count == 1 else f"{count:,} permissions widen"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def sections(changes: Iterable[Change]) -> Iterator[tuple[str, list[Change]]]:
    found = list(changes)
    for title, kinds in _SECTIONS:
        here = [change for change in found if change.kind in kinds]
        if here:
            yield title, here


# ── for people ───────────────────────────────────────────────────────────────────────────────────


def text(changes: Sequence[Change], against: str, *, color: bool = False) -> str:
    lines = [f"compared with {quote_line(against)}: {summary(changes)}"]
    for title, here in sections(changes):
        lines += ["", title]
        for change in here:
            lines += _block(change, color)
    return "\n".join(lines)


def _block(change: Change, color: bool) -> Iterator[str]:
    first, *rest = [quote_line(line) for line in _lines(change)]
    tint = _RED if change.widens else _YELLOW if change.what.endswith("tighten") else ""
    yield f"  {tint}{first}{_PLAIN}" if color and tint else f"  {first}"
    yield from (f"      {line}" for line in rest)


def _lines(change: Change) -> Iterator[str]:
    """The headline, then what there is to say in detail."""
    yield _headline(change)
    if change.kind != "route":
        yield from (_field(each) for each in change.fields)
    if change.example:
        yield f"for example {change.example}"
    if change.fires:
        yield f"next: {', '.join(change.fires)}"


def _headline(change: Change) -> str:
    sign, words = _SIGNS.get(change.what, ""), f": {change.words}" if change.words else ""
    match change.kind:
        case "permission":
            whom = f" ({', '.join(change.agents)})" if change.agents else ""
            what = change.what.upper() if change.widens else change.what
            return f"{what}: {change.name}{whom}{words}"
        case "route":
            [field] = change.fields
            return f"{sign} {change.name}: {_arrow(field)}"
        case "restart":
            return f"{change.name} {change.what}{words}"
        case "variable":
            return f"{sign} {change.name}{' (secret)' if change.secret else ''}{words}"
        case "channel" | "person" | "room":
            return f"{sign} {change.kind} {change.name}{words}{_where(change.at)}"
        case _:
            return f"{sign} {change.name}{words}{_where(change.at)}"


def _where(at: Sequence[Origin]) -> str:
    return f" ({at[0].file}:{at[0].line})" if at else ""


def _field(field: Field) -> str:
    place = f" ({field.at.file}:{field.at.line})" if field.at else ""
    if field.came or field.went:
        moved = [*(f"+ {each}" for each in field.came), *(f"- {each}" for each in field.went)]
        return f"{field.name}: {', '.join(moved)}{place}"
    return f"{field.name}: {_arrow(field)}{place}"


def _arrow(field: Field) -> str:
    return f"{field.old if field.old is not None else '(none)'} -> {field.new if field.new is not None else '(none)'}"


# ── for programs ─────────────────────────────────────────────────────────────────────────────────


def as_json(changes: Sequence[Change], against: str) -> str:
    found = {
        "against": against,
        "widens": any(change.widens for change in changes),
        "changes": [_object(change) for change in changes],
    }
    return json.dumps(found, indent=2, ensure_ascii=False)


def _object(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "name": change.name,
        "what": change.what,
        "words": change.words,
        "fields": [_json_field(field) for field in change.fields],
        "agents": list(change.agents),
        "example": change.example or None,
        "fires": list(change.fires),
        "secret": change.secret,
        "places": [_json_place(origin) for origin in change.at],
    }


def _json_field(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "old": field.old,
        "new": field.new,
        "added": list(field.came),
        "removed": list(field.went),
        "place": _json_place(field.at) if field.at else None,
    }


def _json_place(origin: Origin) -> dict[str, Any]:
    return {"file": origin.file, "line": origin.line, "column": origin.column}


# ── for a pull request ───────────────────────────────────────────────────────────────────────────


def markdown(changes: Sequence[Change], against: str) -> str:
    """A comment: what becomes of permissions as a table, everything else to be opened. Never longer than one may be."""
    lines = [f"### openclaw plan: {summary(changes)}", "", f"Compared with {_code(against)}.", ""]
    judged = [change for change in changes if change.kind == "permission"]
    if judged:
        lines += ["| | what | agents | why |", "|---|---|---|---|", *map(_row, judged), ""]
    rest = [change for change in changes if change.kind != "permission"]
    if rest:
        lines += ["<details>", f"<summary>{_many(len(rest), 'other change')}</summary>", ""]
        lines += [line for title, here in sections(rest) for line in _listed(title, here)]
        lines += ["</details>"]
    return _within(lines, bool(rest))


def _row(change: Change) -> str:
    what = f"**{change.what}**" if change.widens else change.what
    why = _cell(change.words) + (f"<br>for example {_cell(change.example)}" if change.example else "")
    return f"| {what} | {_cell(change.name)} | {_cell(', '.join(change.agents))} | {why} |"


def _listed(title: str, here: Iterable[Change]) -> Iterator[str]:
    yield from (f"**{title}**", "")
    for change in here:
        first, *rest = _lines(change)
        yield f"- {_code(first)}"
        yield from (f"  - {_code(line)}" for line in rest)
    yield ""


def _within(lines: Sequence[str], details: bool) -> str:
    kept, length = [], 0
    for index, line in enumerate(lines):
        length += len(line) + 1
        if length > _COMMENT:
            kept += ["", f"and {len(lines) - index:,} more lines; `openclaw plan` shows all of it"]
            if details and "<details>" in kept:
                kept += ["", "</details>"]
            break
        kept.append(line)
    return "\n".join(kept)


def _code(text: str) -> str:
    """Text between more backticks than it has in a row."""
    line = quote_line(text)
    if not line:
        return ""
    fence = "`" * (1 + max((len(found) for found in _TICKS.findall(line)), default=0))
    edge = " " if "`" in (line[0], line[-1]) or line[0] == line[-1] == " " else ""
    return f"{fence}{edge}{line}{edge}{fence}"


def _cell(text: str) -> str:
    """In a table a bar ends a cell even within code; the backslash before it is not shown."""
    return _code(text).replace("|", "\\|")
