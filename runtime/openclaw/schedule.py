"""Cron expressions: five fields or a macro, with the meaning Debian's cron gives them. Pure; knows no clock.

Law, as in Debian's cron(8) and crontab(5):

- Where day of the month and day of the week are both restricted, either is enough; a field that begins
  with `*` does not count as restricted, also `*/2`.
- Across a change of the clocks of less than three hours, a job with a `*` at the start of minute or hour
  follows the clock on the wall. Any other job runs once: those in the hour that is skipped run right after
  it, those in the hour that comes twice run the first time.

Beyond Debian: `L` (last day of the month), `5L` (last Friday) and `5#2` (second Friday). An expression
that Debian would take but that can only be a mistake is refused: a step wider than its range, a schedule
that never fires.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import takewhile

MACROS: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS: tuple[str, ...] = ("January", "February", "March", "April", "May", "June", "July", "August")
MONTHS += ("September", "October", "November", "December")
WEEKDAYS: tuple[str, ...] = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_CLOCK_CHANGE = timedelta(hours=3)  # a larger step is a new time, not summer time: cron makes up for nothing
_LONGEST_GAP = timedelta(days=41 * 366)  # 29 February on a given weekday, across a century without one
_LAST = -1


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an expression is refused. `column` is 1-based in the expression, `end` exclusive."""

    message: str
    column: int
    end: int
    help: str


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression that fires at least once in a while. Weekdays count from Sunday, 0."""

    expression: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    last_day: bool  # of the month
    nth: frozenset[tuple[int, int]]  # weekday and its number in the month, -1 for the last
    either: bool  # day of the month or day of the week, not both
    wild: bool  # follows the clock on the wall across a change

    def next(self, after: datetime, zone: tzinfo) -> datetime | None:
        """The first fire later than `after`; None only at the end of the calendar.

        It carries the zone's offset as a fixed one: Python compares times of one zone by what the clock
        on the wall shows, which is wrong in the hour that comes twice.
        """
        return next(self.following(after, zone), None)

    def between(self, start: datetime, end: datetime, zone: tzinfo) -> Iterator[datetime]:
        """Every fire later than `start` up to and including `end`, in order, as `next` gives them."""
        until = end.astimezone(UTC)
        return takewhile(lambda fire: fire <= until, self.following(start, zone))

    def on(self, day: date) -> bool:
        """Whether it fires on this day of the calendar at all."""
        if day.month not in self.months:
            return False
        last = monthrange(day.year, day.month)[1]
        weekday = day.isoweekday() % 7
        by_day = day.day in self.days or (self.last_day and day.day == last)
        by_weekday = (
            weekday in self.weekdays
            or (weekday, (day.day - 1) // 7 + 1) in self.nth
            or ((weekday, _LAST) in self.nth and day.day + 7 > last)
        )
        return (by_day or by_weekday) if self.either else (by_day and by_weekday)

    def following(self, after: datetime, zone: tzinfo) -> Iterator[datetime]:
        """Every fire later than `after`, in order, as `next` gives them."""
        try:
            last = None
            for fire in self._stretches(after.astimezone(UTC) + timedelta(microseconds=1), zone):
                if fire != last:  # a job right after a skipped hour may be due there in its own right
                    yield fire.astimezone(timezone(_offset(fire, zone)))
                last = fire
        except OverflowError:  # the end of the year 9999
            return

    def _stretches(self, start: datetime, zone: tzinfo) -> Iterator[datetime]:
        """Fires from `start` on, one stretch of a constant offset after the other: within one, local
        time and instants run in parallel."""
        while True:
            local = start.astimezone(zone).replace(tzinfo=None)
            found = self._next_local(local)
            if found is None:
                return
            if found - local > 3 * _DAY:
                start += found - local - 2 * _DAY
                continue
            end = _change(start, start + _DAY, zone)
            local_end = local + (end - start)
            while found is not None and found < local_end:
                if self.wild or not _second_time(start + (found - local), zone):
                    yield start + (found - local)
                found = self._next_local(found + _MINUTE)
            skipped = end.astimezone(zone).replace(tzinfo=None) - local_end
            if not self.wild and found is not None and found < local_end + skipped and skipped < _CLOCK_CHANGE:
                yield end
            start = end

    def _next_local(self, start: datetime) -> datetime | None:
        """The first matching local minute at or after `start`, as a clock without changes would have it."""
        if start.second or start.microsecond:
            start = start.replace(second=0, microsecond=0) + _MINUTE
        day = start.date()
        if self.on(day):
            for hour in self.hours[bisect_left(self.hours, start.hour) :]:
                index = bisect_left(self.minutes, start.minute) if hour == start.hour else 0
                if index < len(self.minutes):
                    return datetime.combine(day, time(hour, self.minutes[index]))
        first = self._next_day(day + _DAY, day + _LONGEST_GAP if day.year < 9950 else date.max)
        return None if first is None else datetime.combine(first, time(self.hours[0], self.minutes[0]))

    def _next_day(self, day: date, limit: date) -> date | None:
        while day < limit:
            if self.on(day):
                return day
            if day.month in self.months:
                day += _DAY
            else:
                day = day.replace(day=1) + timedelta(days=monthrange(day.year, day.month)[1])
        return None


def _change(start: datetime, end: datetime, zone: tzinfo) -> datetime:
    """The first instant in (start, end] with another offset than `start` has, or `end`."""
    offset = _offset(start, zone)
    if _offset(end, zone) == offset:
        return end
    low, high = start.replace(microsecond=0), end.replace(microsecond=0)
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        low, high = (middle, high) if _offset(middle, zone) == offset else (low, middle)
    return high


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _second_time(instant: datetime, zone: tzinfo) -> bool:
    """Whether the clock on the wall shows this time for the second time, after it was put back."""
    local = instant.astimezone(zone)
    if not local.fold:
        return False
    before, now = local.replace(fold=0).utcoffset(), local.utcoffset()
    return before is not None and now is not None and before - now < _CLOCK_CHANGE


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five fields: what may stand in it."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)

    @property
    def range(self) -> str:
        return f"{self.low}-{self.high}"


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, {name[:3].lower(): number for number, name in enumerate(MONTHS, start=1)}),
    _Field("day of the week", 0, 7, {name[:3].lower(): number for number, name in enumerate(WEEKDAYS)}),
)
_ORDER = "minute hour day-of-month month day-of-week"
_ELEMENT = re.compile(r"(?P<star>\*)|(?P<first>[0-9]{1,4}|[A-Za-z]+)(-(?P<last>[0-9]{1,4}|[A-Za-z]+))?")
_STEP = re.compile(r"(?P<range>[^/]*)/(?P<step>[0-9]{1,4})")
_NTH = re.compile(r"(?P<day>[0-9]|[A-Za-z]{3})(#(?P<number>[0-9]+)|(?P<last>L))")


class _Mistake(Exception):
    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help


def parse(expression: str) -> Cron | Problem:
    text = expression.strip()
    if text.startswith("@"):
        if text not in MACROS:
            return _whole(expression, f"`{text}` is no macro of cron", f"write one of {', '.join(MACROS)}")
        text = MACROS[text]
        parts = [(match[0], 1, len(expression) + 1) for match in re.finditer(r"\S+", text)]
    else:
        parts = [(match[0], match.start() + 1, match.end() + 1) for match in re.finditer(r"\S+", expression)]
    if len(parts) != 5:
        cure = f"fields: {_ORDER}"
        if len(parts) == 6:
            cure += "; a sixth would be seconds, and no schedule here goes by seconds: leave it out"
        return _whole(expression, f"a cron expression has 5 fields; this has {len(parts)}", cure)
    return _parsed(expression, parts)


@lru_cache(maxsize=512)
def _comes(days: Cron) -> bool:
    """Whether its days are any of a calendar's; of many expressions they are the same, and to look takes time."""
    return days._next_day(date(2001, 1, 1), date(2029, 1, 1)) is not None


def _parsed(expression: str, parts: Sequence[tuple[str, int, int]]) -> Cron | Problem:
    values: list[frozenset[int]] = []
    nth: frozenset[tuple[int, int]] = frozenset()
    last_day = False
    for kind, (text, column, end) in zip(_FIELDS, parts, strict=True):
        try:
            elements = text.split(",")
            if kind.name == "day of the month":
                last_day = "L" in elements
                elements = [element for element in elements if element != "L"]
            if kind.name == "day of the week":
                nth = frozenset(pair for element in elements if (pair := _nth(element)))
                elements = [element for element in elements if not _nth(element)]
            values.append(frozenset(value for element in elements for value in _values(element, kind)))
        except _Mistake as mistake:
            return Problem(str(mistake), column, end, mistake.help)
    minutes, hours, days, months, weekdays = values
    (minute, *_), (hour, *_), (day, *_), _, (weekday, *_) = parts
    cron = Cron(
        expression=expression,
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=days,
        months=months,
        weekdays=frozenset(number % 7 for number in weekdays),
        last_day=last_day,
        nth=nth,
        either=not (day.startswith("*") or weekday.startswith("*")),
        wild=minute.startswith("*") or hour.startswith("*"),
    )
    # Twenty-eight years hold every shape a year can have: both lengths, each beginning on every weekday.
    if not _comes(replace(cron, expression="", minutes=(), hours=(), wild=False)):
        return _whole(expression, f"this never fires: there is no {_missing(cron)}", "choose a day that exists")
    return cron


def _missing(cron: Cron) -> str:
    months = " or ".join(MONTHS[month - 1] for month in sorted(cron.months))
    days = " or ".join(str(day) for day in sorted(cron.days))
    weekdays = _weekdays(cron)
    return f"{days} {months}" + (f" that is {weekdays}" if weekdays else "")


def _values(element: str, kind: _Field) -> range:
    """The values one element of a list stands for."""
    stepped = _STEP.fullmatch(element)
    match = _ELEMENT.fullmatch(stepped["range"] if stepped else element)
    if match is None:
        what = f"`{element}` is no {kind.name}" if element else f"a {kind.name} is missing in this list"
        raise _Mistake(what, _hint(element, kind))
    if match["star"]:
        first, last = kind.low, 6 if kind.high == 7 else kind.high
    else:
        first = _number(match["first"], kind)
        last = _number(match["last"], kind) if match["last"] else first
    if first > last:
        raise _Mistake(f"`{element}` runs backwards", _turned(first, last, kind))
    if not stepped:
        return range(first, last + 1)
    return range(first, last + 1, _step(element, int(stepped["step"]), range(first, last + 1), kind))


def _step(element: str, step: int, values: range, kind: _Field) -> int:
    if len(values) == 1:
        raise _Mistake(
            f"`{element}` has a step but no range",
            f"write a range before the step: {values[0]}-{kind.high}/{step}",
        )
    if not 1 <= step <= len(values):
        raise _Mistake(
            f"the step of `{element}` does not fit: the {kind.name} has {len(values)} values here",
            f"write a step from 1 to {len(values)}",
        )
    return step


def _number(text: str, kind: _Field) -> int:
    value = kind.names.get(text.lower()) if not text.isdigit() else int(text)
    if value is None:
        raise _Mistake(f"`{text}` is no {kind.name}", _hint(text, kind))
    if not kind.low <= value <= kind.high:
        raise _Mistake(f"`{text}` is no {kind.name}", f"write a number in {kind.range}")
    return value


def _nth(element: str) -> tuple[int, int] | None:
    kind = _FIELDS[4]
    match = _NTH.fullmatch(element)
    if match is None or (match["day"].lower() not in kind.names and not match["day"].isdigit()):
        return None
    number = _LAST if match["last"] else int(match["number"])
    if number != _LAST and not 1 <= number <= 5:
        raise _Mistake(f"`{element}` never comes: a month has each weekday at most 5 times", "write #1 to #5, or 5L")
    return _number(match["day"], kind) % 7, number


def _turned(first: int, last: int, kind: _Field) -> str:
    """A range over the end of the field, as the two that it takes."""
    if kind.high == 7:
        days = [name[:3].lower() for name in (*WEEKDAYS[first:7], *WEEKDAYS[: last + 1])]
        return f"write {','.join(days)}; the week begins on Sunday, 0"
    rest = f"{kind.low}-{last}" if last > kind.low else f"{last}"
    return f"write {first}-{kind.high},{rest}; the {kind.name} counts {kind.range}"


def _hint(text: str, kind: _Field) -> str:
    if not text:
        return "take out the comma that has nothing beside it"
    if text == "?":
        return "write * for any"
    if text == "L" and kind.high == 7:
        return "write the weekday too: 5L is the last Friday"
    if text[:3].lower() in kind.names:
        return f"write {text[:3].lower()}"
    names = f" or a name ({', '.join(kind.names)})" if kind.names else ""
    return f"write *, a number in {kind.range}{names}, a range, a list, or a step such as */2"


def _whole(expression: str, message: str, help: str) -> Problem:
    return Problem(message, 1, len(expression) + 1, help)


# ── in words ─────────────────────────────────────────────────────────────────────────────────────


def describe(cron: Cron) -> str:
    """For people: `at 07:30, Monday to Friday`."""
    months = "" if len(cron.months) == 12 else f"in {_names(sorted(cron.months), ('', *MONTHS))}"
    times = _times(cron)
    always = "" if months or "every" in times else "every day"
    return ", ".join(part for part in (times, _days(cron) or always, months) if part)


def _times(cron: Cron) -> str:
    minutes, hours = cron.minutes, cron.hours
    if len(minutes) * len(hours) <= 6:
        return f"at {_list([f'{hour:02}:{minute:02}' for hour in hours for minute in minutes])}"
    if minutes == (0,) and _even(hours, 24):
        return _every(_even(hours, 24), "hour")
    every = _even(minutes, 60)
    if 1 <= every < 60:
        return _every(every, "minute") + _during(hours, "")
    return f"at minute{'s' if len(minutes) > 1 else ''} {_ranges(minutes)}" + _during(hours, " of every hour")


def _every(number: int, unit: str) -> str:
    return f"every {unit}" if number == 1 else f"every {number} {unit}s"


def _during(hours: tuple[int, ...], always: str) -> str:
    every = _even(hours, 24)
    if every == 1:
        return always
    if every:
        return f" of every {_ordinal(every)} hour"
    if hours == tuple(range(hours[0], hours[-1] + 1)):
        return f" from {hours[0]:02}:00 to {hours[-1]:02}:59"
    return f" of the hours {_ranges(hours)}"


def _days(cron: Cron) -> str:
    """Empty where every day will do."""
    by_day, by_weekday = _month_days(cron), _weekdays(cron)
    if by_day and by_weekday:
        return f"{by_day} {'or' if cron.either else 'if it is'} {by_weekday}"
    if cron.either:
        return ""  # one of the two always holds
    return by_day or by_weekday


def _month_days(cron: Cron) -> str:
    if len(cron.days) == 31:
        return ""
    listed = f"day{'s' if len(cron.days) > 1 else ''} {_ranges(sorted(cron.days))}" if cron.days else ""
    last = "the last day" if cron.last_day else ""
    return f"on {_list([part for part in (listed, last) if part])} of the month"


def _weekdays(cron: Cron) -> str:
    if len(cron.weekdays) == 7:
        return ""
    from_monday = sorted(day or 7 for day in cron.weekdays)
    parts = [_names(from_monday, (*WEEKDAYS, "Sunday"))] if from_monday else []
    for day, number in sorted(cron.nth):
        parts.append(f"the {'last' if number == _LAST else _ordinal(number)} {WEEKDAYS[day]} of the month")
    return _list(parts)


def _names(numbers: Sequence[int], names: Sequence[str]) -> str:
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{names[numbers[0]]} to {names[numbers[-1]]}"
    return _list([names[number] for number in numbers])


def _ranges(numbers: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return _list([f"{run[0]} to {run[-1]}" if len(run) > 2 else _list([str(n) for n in run]) for run in runs])


def _list(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _even(numbers: tuple[int, ...], size: int) -> int:
    """n where the numbers are every n-th of the whole circle, else 0."""
    step = size // len(numbers)
    return step if numbers == tuple(range(0, size, step)) and size % step == 0 else 0


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth"}.get(number, f"{number}th")
