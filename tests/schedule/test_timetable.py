"""Timetables: several schedules in one zone within active hours, against cron's own walk over the minutes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.timetable import Hours, Timetable, late
from schedule.test_schedule import MINUTE, changes, debian, expressions

LONDON = ZoneInfo("Europe/London")
ZONES = (
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",
    "Africa/Casablanca",
    "UTC",
)
Field = tuple[str, set[int]]
Fields = Sequence[Field]

hours = st.none() | st.tuples(st.integers(0, 1439), st.integers(0, 1440)).filter(lambda pair: pair[0] != pair[1])


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def spelt(fires: Iterator[datetime], count: int) -> list[str]:
    return [fire.isoformat()[5:16].replace("T", " ") + fire.isoformat()[19:] for fire in islice(fires, count)]


def inside(time: int, active: Hours | None) -> bool:
    """By walking through the hours, minute by minute, from the first to the second."""
    if active is None:
        return True
    start, end = active
    length = (end - start) % 1440 or 1440
    return (time - start) % 1440 < length


def walked(
    every: Sequence[Fields], start: datetime, end: datetime, zone: ZoneInfo, active: Hours | None
) -> list[datetime]:
    """What the minutes in (start, end] give: everything cron would run, where the clock on the wall is within hours."""
    found: set[datetime] = set()
    for fields in every:
        if any(inside(hour * 60 + minute, active) for hour in fields[1][1] for minute in fields[0][1]):
            found.update(debian(fields, start, end, zone))
    clocks = {fire: fire.astimezone(zone) for fire in found}
    return sorted(fire for fire, clock in clocks.items() if inside(clock.hour * 60 + clock.minute, active))


def table(every: Sequence[Fields], zone: ZoneInfo, active: Hours | None) -> Timetable:
    return Timetable.of([" ".join(text for text, _ in fields) for fields in every], zone, active)


# ── what it says ─────────────────────────────────────────────────────────────────────────────────


def test_an_instant_that_two_schedules_share_is_one() -> None:
    both = Timetable.of(["0 * * * *", "0,30 9 * * *"], LONDON)
    assert spelt(both.following(at("2026-07-01T07:10:00+00:00")), 3) == [
        "07-01 09:00+01:00",
        "07-01 09:30+01:00",
        "07-01 10:00+01:00",
    ]


@pytest.mark.parametrize(
    ("active", "expected"),
    [
        ((8 * 60, 10 * 60), ["07-01 08:00+01:00", "07-01 09:00+01:00", "07-02 08:00+01:00"]),
        ((22 * 60, 1440), ["07-01 22:00+01:00", "07-01 23:00+01:00", "07-02 22:00+01:00"]),
        ((23 * 60, 60), ["07-01 00:00+01:00", "07-01 23:00+01:00", "07-02 00:00+01:00"]),
        ((23 * 60, 0), ["07-01 23:00+01:00", "07-02 23:00+01:00", "07-03 23:00+01:00"]),
        ((0, 1440), ["07-01 00:00+01:00", "07-01 01:00+01:00", "07-01 02:00+01:00"]),
    ],
)
def test_active_hours_begin_with_the_first_time_and_end_before_the_second(active: Hours, expected: list[str]) -> None:
    assert spelt(Timetable.of(["0 * * * *"], LONDON, active).following(at("2026-06-30T22:30:00+00:00")), 3) == expected


def test_a_schedule_that_is_never_active_ends_at_once_also_beside_one_that_is() -> None:
    night = Timetable.of(["0 2 * * *"], LONDON, (480, 1320))
    assert not night.ever_active and night.next(at("2026-07-01T00:00:00+00:00")) is None and night.times == []
    both = Timetable.of(["0 2 * * *", "0 12 * * *"], LONDON, (480, 1320))
    assert both.ever_active and both.times == [720]
    assert spelt(both.following(at("2026-07-01T00:00:00+00:00")), 2) == ["07-01 12:00+01:00", "07-02 12:00+01:00"]


def test_the_clock_on_the_wall_decides_what_is_active_when_clocks_change() -> None:
    active = Timetable.of(["30 * * * *"], LONDON, (60, 120))  # 01:30 comes twice in autumn and never in spring
    assert spelt(active.following(at("2026-10-24T12:00:00+00:00")), 3) == [
        "10-25 01:30+01:00",
        "10-25 01:30+00:00",
        "10-26 01:30+00:00",
    ]
    assert spelt(active.following(at("2026-03-28T12:00:00+00:00")), 1) == ["03-30 01:30+01:00"]


def test_a_single_instant_joins_in_its_place_with_the_offset_of_the_zone() -> None:
    once = at("2026-07-01T11:15:30+00:00")
    both = Timetable.of(["0 12 * * *"], LONDON, None, once)
    assert spelt(both.following(at("2026-07-01T10:00:00+00:00")), 2) == ["07-01 12:00+01:00", "07-01 12:15+01:00"]
    alone = Timetable.of([], LONDON, (0, 1), once)
    assert alone.ever_active and alone.next(once) is None and alone.next(once - MINUTE) == once
    assert list(alone.between(once - MINUTE, once)) == [once]


def test_what_is_no_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="5 fields"):
        Timetable.of(["@daily", "* * *"], LONDON)


@given(st.text(max_size=20), st.datetimes(timezones=st.just(UTC)), st.floats(0, 86_400))
def test_a_run_is_late_by_less_than_its_jitter_and_always_the_same(name: str, instant: datetime, jitter: float) -> None:
    delay = late(name, instant, jitter)
    assert timedelta(0) <= delay <= timedelta(seconds=jitter)
    assert late(name, instant.astimezone(ZoneInfo("Asia/Kolkata")), jitter) == delay


def test_runs_of_one_minute_are_spread_evenly_over_the_jitter() -> None:
    instant = at("2026-07-01T09:00:00+00:00")
    parts = [0] * 4
    for number in range(4000):
        parts[int(late(f"beat-{number}", instant, 60.0).total_seconds() // 15)] += 1
    assert all(850 < part < 1150 for part in parts)


# ── against the walk over the minutes ────────────────────────────────────────────────────────────


@settings(deadline=None, max_examples=150)
@given(st.lists(expressions, min_size=1, max_size=3), st.sampled_from(ZONES), hours, st.data())
def test_it_fires_when_a_walk_over_the_minutes_does(
    every: list[Fields], name: str, active: Hours | None, data: st.DataObject
) -> None:
    zone = ZoneInfo(name)
    noon = data.draw(st.sampled_from(changes(zone, 2026)))
    start = noon - data.draw(st.integers(0, 24 * 3600)) * timedelta(seconds=1)
    compare(every, zone, active, start, timedelta(hours=data.draw(st.integers(1, 30))))


def compare(every: Sequence[Fields], zone: ZoneInfo, active: Hours | None, start: datetime, span: timedelta) -> int:
    """How many instants there were; the walk begins on a whole minute, the timetable where it is told."""
    found = list(table(every, zone, active).between(start, start + span))
    whole = start.replace(second=0, microsecond=0)
    assert found == [fire for fire in walked(every, whole, start + span, zone, active) if fire > start]
    assert all(fire.utcoffset() == fire.astimezone(zone).utcoffset() for fire in found)
    return len(found)


def drawn(chance: random.Random) -> Fields:
    """Five fields at random, each with the values it stands for."""
    night = chance.random() < 0.5
    ranges = ((0, 59), (0, 4) if night else (0, 23), (1, 31), (1, 12), (0, 6))
    return [_field(chance, low, high, star=not (night and high == 4)) for low, high in ranges]


def _field(chance: random.Random, low: int, high: int, star: bool) -> Field:
    first, last = sorted(chance.choices(range(low, high + 1), k=2))
    step = chance.randint(1, last - first + 1)
    whole = [("*", set(range(low, high + 1)))] * (6 if low == 1 or high == 6 else 2) if star else []
    return chance.choice(
        [
            (str(first), {first}),
            (f"{first},{last}", {first, last}),
            (f"{first}-{last}", set(range(first, last + 1))),
            (f"{first}-{last}/{step}" if last > first else str(first), set(range(first, last + 1, step))),
            *whole,
        ]
    )


@pytest.mark.slow
def test_ten_thousand_schedules_fire_when_a_walk_over_the_minutes_does() -> None:
    chance = random.Random(20261128)
    days = {name: changes(ZoneInfo(name), 2026) for name in ZONES}
    instants = 0
    for _ in range(10_000):
        name = chance.choice(ZONES)
        active = chance.choice([None, (chance.randrange(720), chance.randrange(721, 1441)), (1320, 360)])
        day = chance.choice([*days[name], datetime(2026, chance.randint(1, 12), chance.randint(1, 28), 12, tzinfo=UTC)])
        start = day - timedelta(seconds=chance.randrange(14 * 3600))
        every = [drawn(chance) for _ in range(chance.choice([1, 1, 2]))]
        instants += compare(every, ZoneInfo(name), active, start, timedelta(hours=20))
    print(f"10,000 schedules, {instants:,} instants, 0 differences")
    assert instants > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ZONES)
def test_in_a_year_every_instant_comes_once_and_none_is_lost(name: str) -> None:
    zone, start, end = ZoneInfo(name), at("2026-01-01T00:00:00+00:00"), at("2027-01-01T00:00:00+00:00")
    star = [("*", set(range(low, high + 1))) for low, high in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))]
    schedules: list[list[Fields]] = [
        [[("30", {30}), ("1", {1}), *star[2:]]],
        [[("*/15", set(range(0, 60, 15))), ("2-3", {2, 3}), *star[2:]]],
        [[("0", {0}), ("*", star[1][1]), *star[2:]], [("0,45", {0, 45}), ("2,3", {2, 3}), *star[2:]]],
        [[("15", {15}), ("0", {0}), ("1", {1}), star[3], ("1", {1})]],
    ]
    for every in schedules:
        timetable, found, now = table(every, zone, None), [], start
        while (fire := timetable.next(now)) is not None and fire <= end:
            found.append(fire)
            now = fire
        assert found == walked(every, start, end, zone, None)
        assert len(set(found)) == len(found) == len(list(timetable.between(start, end)))
