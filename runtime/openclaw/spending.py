"""What was used of models, as values: by day, agent and model; how it adds up, and how it is told. Pure.

Its law: a sum says whether all of it is known. What a call cost whose price nobody knows is not 0: it is missing, and
of a sum with such calls in it the known part is the least that it was. A day is the calendar day in one zone, that of
the project; which day a call belongs to is decided when it is counted, and no edit changes that afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Final, Literal, TypeAlias, get_args

from openclaw.messages import Usage

By: TypeAlias = Literal["day", "agent", "model"]
BY: Final[tuple[By, ...]] = get_args(By)
USUAL: Final = "30d"  # how far back is looked where nobody says it
_NUMBER = re.compile(r"([1-9][0-9]{0,4})d")


@dataclass(frozen=True, slots=True)
class Spent:
    """`day` is ISO 8601. `turns` that ended, `failed` of them; `calls` of the model, `unpriced` of them at a price that
    nobody knows; `cost` of the others in US dollars. Of a sum the name that it was made over is ""."""

    day: str
    agent: str
    model: str
    turns: int = 0
    failed: int = 0
    seconds: float = 0.0
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: float = 0.0
    unpriced: int = 0

    def plus(self, other: Spent) -> Spent:
        """Both together, under the names of this one."""
        return replace(
            self,
            turns=self.turns + other.turns,
            failed=self.failed + other.failed,
            seconds=self.seconds + other.seconds,
            calls=self.calls + other.calls,
            usage=self.usage + other.usage,
            cost=self.cost + other.cost,
            unpriced=self.unpriced + other.unpriced,
        )

    @property
    def cost_usd(self) -> float | None:
        """US dollars, at least; None where nothing of it is known."""
        return None if self.unpriced and self.unpriced == self.calls and not self.cost else self.cost

    @property
    def cached(self) -> float | None:
        """The share of what was read that came from the cache, from 0 to 1; None where nothing was read."""
        read = self.usage.input + self.usage.cache_read + self.usage.cache_write
        return self.usage.cache_read / read if read else None


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of a transcript up to which all is counted, and its time: it may be gone from there."""

    entry: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Bill:
    """What a session has used and the store does not know yet. `last`: up to where in its transcript that counts,
    written with it, so that nothing is counted twice or left out."""

    session: str
    rows: tuple[Spent, ...]
    last: Place | None = None


def day_of(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).date().isoformat()


def next_day(at: datetime, zone: tzinfo) -> datetime:
    """When the day of this moment is over."""
    return datetime.combine(at.astimezone(zone).date() + timedelta(days=1), datetime.min.time(), zone)


def summed(rows: Iterable[Spent], by: Sequence[By] = BY) -> list[Spent]:
    """One row for each of what is asked for."""
    found: dict[tuple[str, ...], Spent] = {}
    for row in rows:
        day, agent, model = (str(getattr(row, name)) if name in by else "" for name in BY)
        key = (day, agent, model)
        found[key] = found[key].plus(row) if key in found else replace(row, day=day, agent=agent, model=model)
    return [found[key] for key in sorted(found)]


def total(rows: Iterable[Spent]) -> Spent:
    return next(iter(summed(rows, ())), Spent("", "", ""))


def row_json(row: Spent) -> dict[str, Any]:
    """As HTTP and `--json` have it: null for a name that the sum was made over, and for a price that is not known."""
    cost, cached = row.cost_usd, row.cached
    return {
        "day": row.day or None,
        "agent": row.agent or None,
        "model": row.model or None,
        "turns": row.turns,
        "failed": row.failed,
        "seconds": round(row.seconds, 3),
        "calls": row.calls,
        "input_tokens": row.usage.input,
        "output_tokens": row.usage.output,
        "cache_read_tokens": row.usage.cache_read,
        "cache_write_tokens": row.usage.cache_write,
        "cache_ratio": None if cached is None else round(cached, 4),
        "cost_usd": None if cost is None else round(cost, 8),
        "cost_complete": not row.unpriced,
        "calls_unpriced": row.unpriced,
    }


def told(rows: Iterable[Spent], by: Sequence[By], first: str, last: str, zone: str) -> dict[str, Any]:
    """The answer to who asks what was used from one day to another."""
    kept = list(rows)
    return {
        "since": first,
        "until": last,
        "timezone": zone,
        "usage": [row_json(row) for row in summed(kept, by)],
        "total": row_json(total(kept)),
    }


def cost_words(cost: float | None, complete: bool) -> str:
    """`$0.0123`, `at least $0.0123`, or `-`."""
    if cost is None:
        return "-"
    return f"${cost:,.4f}" if complete else f"at least ${cost:,.4f}"


def since(text: str, today: str) -> str | None:
    """The first day that is meant: a day, or `7d`, which is today and the six days before it; None for neither."""
    if number := _NUMBER.fullmatch(text):
        return (date.fromisoformat(today) - timedelta(days=int(number[1]) - 1)).isoformat()
    return a_day(text)


def a_day(text: str) -> str | None:
    """An ISO day, as it is."""
    try:
        return date.fromisoformat(text).isoformat() if len(text) == 10 else None
    except ValueError:
        return None


def chosen(text: str) -> tuple[By, ...] | None:
    """What is named between commas; None where something else is."""
    names = tuple(part.strip() for part in text.split(","))
    return tuple(name for name in BY if name in names) if set(names) <= set(BY) else None


def asked(query: Mapping[str, str], today: str) -> tuple[tuple[By, ...], str, str] | str:
    """By what and from which day to which; or words about what cannot be understood."""
    by = chosen(query["by"]) if query.get("by") else BY
    first, last = since(query.get("since") or USUAL, today), a_day(query.get("until") or today)
    if by is None:
        return f"by: `{query['by']}` is none of {', '.join(BY)}"
    if first is None:
        return f"since: `{query['since']}` is no day such as {today}, and no number of days such as 7d"
    if last is None:
        return f"until: `{query['until']}` is no day such as {today}"
    return (by, first, last) if first <= last else f"since: the first day, {first}, is after the last, {last}"
