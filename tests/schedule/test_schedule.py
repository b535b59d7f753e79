"""Cron expressions: what they mean, checked against cron's own way of walking through the minutes."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.schedule import MACROS, Cron, Problem, describe, parse

LONDON = ZoneInfo("Europe/London")
MINUTE = timedelta(minutes=1)


def cron(expression: str) -> Cron:
    parsed = parse(expression)
    assert isinstance(parsed, Cron), parsed
    return parsed


def fires(expression: str, start: str, zone: str, count: int = 3) -> list[str]:
    """The next times after `start`, as `MM-DD HH:MM+offset`."""
    at, found = datetime.fromisoformat(start), []
    for _ in range(count):
        at = cron(expression).next(at, ZoneInfo(zone))
        found.append(at.isoformat()[5:16].replace("T", " ") + at.isoformat()[19:])
    return found


# ── the fields ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 7 * * 1-5", ["03-30 07:30", "03-31 07:30", "04-01 07:30"]),
        ("30 7 * * MON-fri", ["03-30 07:30", "03-31 07:30", "04-01 07:30"]),
        ("0 0 * * 7", ["03-29 00:00", "04-05 00:00", "04-12 00:00"]),
        ("0 0 * * 5-7", ["03-29 00:00", "04-03 00:00", "04-04 00:00"]),
        ("*/20 12 * * *", ["03-28 12:20", "03-28 12:40", "03-29 12:00"]),
        ("10-20/5 4 * * *", ["03-29 04:10", "03-29 04:15", "03-29 04:20"]),
        ("0 0 1 jan,Jul *", ["07-01 00:00", "01-01 00:00", "07-01 00:00"]),
        ("0 0 29 2 *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
        ("  0\t0  1 1  * ", ["01-01 00:00", "01-01 00:00", "01-01 00:00"]),
        ("0 0 L * *", ["03-31 00:00", "04-30 00:00", "05-31 00:00"]),
        ("0 0 15,L 2 *", ["02-15 00:00", "02-28 00:00", "02-15 00:00"]),
        ("0 0 * * 5L", ["04-24 00:00", "05-29 00:00", "06-26 00:00"]),
        ("0 0 * * MON#2", ["04-13 00:00", "05-11 00:00", "06-08 00:00"]),
        ("0 0 * * 0#5", ["03-29 00:00", "05-31 00:00", "08-30 00:00"]),
        ("0 0 * * 7#1,fri#1", ["04-03 00:00", "04-05 00:00", "05-01 00:00"]),
    ],
)
def test_fields_mean_what_crontab_says(expression, expected):
    assert [fire[:11] for fire in fires(expression, "2026-03-28T12:10:00+00:00", "UTC")] == expected


@pytest.mark.parametrize("macro", sorted(MACROS))
def test_a_macro_is_its_five_fields(macro):
    assert fires(macro, "2026-03-28T12:10:00+00:00", "UTC") == fires(MACROS[macro], "2026-03-28T12:10:00+00:00", "UTC")
    assert describe(cron(macro)) == describe(cron(MACROS[macro]))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 13 * 5", ["04-03", "04-10", "04-13", "04-17"]),  # both restricted: either is enough
        ("0 0 13 * fri#2", ["04-10", "04-13", "05-08", "05-13"]),
        ("0 0 13 * *", ["04-13", "05-13", "06-13", "07-13"]),
        ("0 0 */10 * 1", ["05-11", "06-01", "08-31", "09-21"]),  # begins with a star: both must hold
        ("0 0 1-7 * */7", ["04-05", "05-03", "06-07", "07-05"]),
        ("0 0 1-31 * 1", ["03-29", "03-30", "03-31", "04-01"]),  # no star: every day is one of the two
    ],
)
def test_day_of_month_and_day_of_week_combine_as_in_debian(expression, expected):
    assert [fire[:5] for fire in fires(expression, "2026-03-28T12:10:00+00:00", "UTC", 4)] == expected
    assert cron("0 0 13 * 5").either and not cron("0 0 */10 * 1").either


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("expression", "place", "message", "help"),
    [
        ("", (1, 1), "has 5 fields; this has 0", "minute hour"),
        ("0 */3 * *", (1, 10), "has 5 fields; this has 4", "minute hour"),
        ("*/10 * * * * *", (1, 15), "has 5 fields; this has 6", "minute hour"),
        ("*/90 * * * *", (1, 5), "`*/90`", "from 1 to 60"),
        ("*/0 * * * *", (1, 4), "`*/0`", "from 1 to 60"),
        ("1-5/6 * * * *", (1, 6), "`1-5/6`", "from 1 to 5"),
        ("5/15 * * * *", (1, 5), "no range", "5-59/15"),
        ("0 5-1 * * *", (3, 6), "`5-1` runs backwards", "5-23,0-1"),
        ("0 0 * * fri-mon", (9, 16), "runs backwards", "fri,sat,sun,mon"),
        ("R R * * *", (1, 2), "`R` is no minute", "0-59"),
        ("0 0 ? * 1", (5, 6), "`?` is no day of the month", "write *"),
        ("60 * * * *", (1, 3), "`60` is no minute", "0-59"),
        ("0 24 * * *", (3, 5), "`24` is no hour", "0-23"),
        ("0 0 0 * *", (5, 6), "`0` is no day of the month", "1-31"),
        ("0 0 1 13 *", (7, 9), "`13` is no month", "1-12"),
        ("0 0 * * 8", (9, 10), "`8` is no day of the week", "0-7"),
        ("0 0 1 june *", (7, 11), "`june` is no month", "write jun"),
        ("0 0 * * Monday", (9, 15), "`Monday` is no day of the week", "write mon"),
        ("0 0 * * L", (9, 10), "`L` is no day of the week", "5L"),
        ("0 0 * * 5#6", (9, 12), "`5#6` never comes", "#1 to #5"),
        ("0 0 * * 5#0", (9, 12), "`5#0` never comes", "#1 to #5"),
        ("1,,2 * * * *", (1, 5), "a minute is missing", "comma"),
        ("-5 * * * *", (1, 3), "`-5` is no minute", "0-59"),
        ("99999 * * * *", (1, 6), "`99999` is no minute", "0-59"),
        ("٣ * * * *", (1, 2), "`٣` is no minute", "0-59"),
        ("0 0 LW * *", (5, 7), "`LW` is no day of the month", "1-31"),
        ("@reboot", (1, 8), "`@reboot` is no macro", "@daily"),
        ("@Daily", (1, 7), "`@Daily` is no macro", "@daily"),
        ("0 0 30 2 *", (1, 11), "never fires: there is no 30 February", "exists"),
        ("0 0 31 4,jun *", (1, 15), "never fires: there is no 31 April or June", "exists"),
        ("0 0 */31 2 sun#5", (1, 17), "never fires", "exists"),
    ],
)
def test_a_mistake_is_refused_with_its_place_and_a_cure(expression, place, message, help):
    problem = parse(expression)
    assert isinstance(problem, Problem)
    assert (problem.column, problem.end) == place
    assert message in problem.message
    assert help in problem.help


@settings(deadline=None)
@given(st.text("0123456789*/-,#LWRJANmon@? \t", max_size=30) | st.text(max_size=20))
def test_any_text_is_a_schedule_that_fires_or_a_problem_with_a_place(text):
    parsed = parse(text)
    if isinstance(parsed, Problem):
        assert 1 <= parsed.column <= parsed.end <= len(text) + 1
        assert parsed.message and parsed.help
    else:
        assert parsed.next(datetime(2026, 1, 1, tzinfo=UTC), UTC) is not None
        assert describe(parsed)


# ── the clocks change ────────────────────────────────────────────────────────────────────────────


def test_a_fixed_time_in_the_skipped_hour_runs_once_right_after_it():
    assert fires("30 1 * * *", "2026-03-28T12:00:00+00:00", "Europe/London", 2) == [
        "03-29 02:00+01:00",
        "03-30 01:30+01:00",
    ]
    assert fires("0,30 1,2 29 3 *", "2026-03-28T12:00:00+00:00", "Europe/London", 2) == [
        "03-29 02:00+01:00",
        "03-29 02:30+01:00",
    ]


def test_a_fixed_time_in_the_repeated_hour_runs_the_first_time_only():
    assert fires("30 1 * * *", "2026-10-24T12:00:00+00:00", "Europe/London", 2) == [
        "10-25 01:30+01:00",
        "10-26 01:30+00:00",
    ]
    between_the_two = "2026-10-25T01:10:00+00:00"
    assert fires("30 1 * * *", between_the_two, "Europe/London", 1) == ["10-26 01:30+00:00"]


def test_a_job_with_a_star_follows_the_clock_on_the_wall():
    assert fires("*/30 * * * *", "2026-03-29T00:20:00+00:00", "Europe/London", 3) == [
        "03-29 00:30+00:00",
        "03-29 02:00+01:00",
        "03-29 02:30+01:00",
    ]
    assert fires("30 * * * *", "2026-10-25T00:20:00+00:00", "Europe/London", 3) == [
        "10-25 01:30+01:00",
        "10-25 01:30+00:00",
        "10-25 02:30+00:00",
    ]


def test_half_an_hour_is_a_change_too():
    assert fires("15 2 * * *", "2026-10-03T12:00:00+00:00", "Australia/Lord_Howe", 2) == [
        "10-04 02:30+11:00",
        "10-05 02:15+11:00",
    ]
    assert fires("45 1 * * *", "2026-04-04T12:00:00+00:00", "Australia/Lord_Howe", 2) == [
        "04-05 01:45+11:00",
        "04-06 01:45+10:30",
    ]


def test_a_day_that_a_country_left_out_is_not_made_up_for():
    assert fires("0 12 * * *", "2011-12-29T23:00:00+00:00", "Pacific/Apia", 1) == ["12-31 12:00+14:00"]


def test_times_in_the_repeated_hour_compare_as_the_instants_they_are():
    first, second = list(
        cron("30 * * * *").between(
            datetime(2026, 10, 25, 0, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC), LONDON
        )
    )
    assert second - first == timedelta(hours=1)
    assert [first, second] == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)]


def test_between_leaves_out_its_start_and_takes_in_its_end():
    start, end = datetime(2026, 5, 1, 12, 0, tzinfo=UTC), datetime(2026, 5, 1, 12, 3, tzinfo=UTC)
    assert [fire.minute for fire in cron("* * * * *").between(start, end, UTC)] == [1, 2, 3]
    assert not list(cron("* * * * *").between(end, start, UTC))


def test_the_end_of_the_calendar_is_no_error():
    assert cron("0 0 1 1 *").next(datetime(9999, 6, 1, tzinfo=UTC), LONDON) is None
    assert cron("* * * * *").next(datetime.max.replace(tzinfo=UTC), LONDON) is None


# ── cron's own way ───────────────────────────────────────────────────────────────────────────────

ZONES = (
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/Nuuk",
    "Atlantic/Azores",
    "Asia/Beirut",
    "Asia/Kolkata",
)


def changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """Days on which the offset changes, at noon UTC, found by looking at every day."""
    days = [datetime(year, 1, 1, 12, tzinfo=UTC) + timedelta(days=number) for number in range(365)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    return [day for day, one, next in zip(days, offsets, offsets[1:], strict=False) if one != next] or [days[100]]


def field(low: int, high: int, star: bool = True):
    """The text of a field, with the values it stands for."""
    span = st.integers(low, high)
    single = span.map(lambda value: (str(value), {value}))
    ranges = st.tuples(span, span).map(sorted)
    several = ranges.map(lambda pair: (f"{pair[0]}-{pair[1]}", set(range(pair[0], pair[1] + 1))))
    both = st.tuples(single, several).map(lambda two: (f"{two[0][0]},{two[1][0]}", two[0][1] | two[1][1]))
    steps = st.integers(1, high - low + 1)
    every = steps.map(lambda step: ("*" if step == 1 else f"*/{step}", set(range(low, high + 1, step))))
    return st.one_of(single, several, both, every) if star else st.one_of(single, several, both)


HOURS = st.one_of(field(0, 4, star=False), field(22, 23, star=False), field(0, 23))
EVERY_MONTH = ("*", set(range(1, 13)))
expressions = st.tuples(field(0, 59), HOURS, field(1, 31), st.just(EVERY_MONTH), field(0, 6))


def debian(fields, start: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    """The main loop of Debian's cron: it wakes every minute and compares the clock with the last minute it ran."""
    texts, values = [text for text, _ in fields], [set(values) for _, values in fields]
    wild = texts[0].startswith("*") or texts[1].startswith("*")
    both = texts[2].startswith("*") or texts[4].startswith("*")

    def matches(minute: datetime) -> bool:
        day, weekday = minute.day in values[2], minute.isoweekday() % 7 in values[4]
        days = (day and weekday) if both else (day or weekday)
        return days and minute.minute in values[0] and minute.hour in values[1] and minute.month in values[3]

    found = []
    virtual = start.astimezone(zone).replace(tzinfo=None)
    now = start + MINUTE
    while now <= end:
        clock = now.astimezone(zone).replace(tzinfo=None)
        ahead = (clock - virtual) // MINUTE
        if 0 < ahead <= 5 or ahead > 180 or ahead <= -180:  # as usual, or a new time was set
            due, virtual = matches(clock), clock
        elif ahead > 5:  # put forward: fixed times of the minutes left out, jobs with a star for this one
            missed = [virtual + number * MINUTE for number in range(1, ahead + 1)]
            due, virtual = matches(clock) if wild else any(map(matches, missed)), clock
        else:  # put back: only jobs with a star, until the clock is where it was
            due = wild and matches(clock)
        if due:
            found.append(now)
        now += MINUTE
    return found


@settings(deadline=None, max_examples=60)
@given(expressions, st.sampled_from(ZONES), st.sampled_from((2015, 2026)), st.data())
def test_across_any_change_of_clocks_it_fires_when_debians_cron_does(fields, name, year, data):
    zone = ZoneInfo(name)
    noon = data.draw(st.sampled_from(changes(zone, year)))
    start, end = noon - timedelta(hours=10), noon + timedelta(hours=34)
    expression = " ".join(text for text, _ in fields)
    found = list(cron(expression).between(start, end, zone))
    assert found == debian(fields, start, end, zone)
    assert found == list(cron(expression).between(start + timedelta(seconds=30), end, zone))


@pytest.mark.slow
@settings(deadline=None, max_examples=3000)
@given(expressions, st.sampled_from(ZONES), st.sampled_from((2015, 2026)), st.data())
def test_across_many_changes_of_clocks_it_fires_when_debians_cron_does(fields, name, year, data):
    test_across_any_change_of_clocks_it_fires_when_debians_cron_does.hypothesis.inner_test(fields, name, year, data)


@settings(deadline=None)
@given(st.dates(date(2026, 1, 1), date(2031, 12, 31)))
def test_last_and_numbered_weekdays_are_those_of_the_calendar(day):
    weekday = day.isoweekday() % 7
    same = [date(day.year, day.month, number) for number in range(1, 29)] + [
        date(day.year, day.month, 28) + timedelta(days=number) for number in range(1, 4)
    ]
    same = [other for other in same if other.month == day.month and other.isoweekday() == day.isoweekday()]
    assert cron(f"0 0 * * {weekday}#{same.index(day) + 1}").on(day)
    assert cron(f"0 0 * * {weekday}L").on(day) == (day == same[-1])
    assert cron("0 0 L * *").on(day) == ((day + timedelta(days=1)).day == 1)


# ── in words ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("0 * * * *", "every hour"),
        ("30 * * * *", "at minute 30 of every hour"),
        ("0 */3 * * *", "every 3 hours"),
        ("*/7 * * * *", "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour"),
        ("*/20 1-3 * * *", "every 20 minutes from 01:00 to 03:59"),
        ("*/15 */2 * * *", "every 15 minutes of every second hour"),
        ("0-30 8,17 * * *", "at minutes 0 to 30 of the hours 8 and 17, every day"),
        ("30 7 * * *", "at 07:30, every day"),
        ("30 7 * * 1-5", "at 07:30, Monday to Friday"),
        ("0 8,20 * * sat,sun", "at 08:00 and 20:00, Saturday and Sunday"),
        ("0 9 1 * 1", "at 09:00, on day 1 of the month or Monday"),
        ("0 0 1-7 * */7", "at 00:00, on days 1 to 7 of the month if it is Sunday"),
        ("0 0 L * *", "at 00:00, on the last day of the month"),
        ("0 0 10,L * *", "at 00:00, on day 10 and the last day of the month"),
        ("0 0 * * 5L,mon#2", "at 00:00, the second Monday of the month and the last Friday of the month"),
        ("0 0 1 jan,jul *", "at 00:00, on day 1 of the month, in January and July"),
        ("0 0 1-31 * 1", "at 00:00, every day"),
        ("0 6 * 6-8 *", "at 06:00, in June to August"),
    ],
)
def test_an_expression_in_words(expression, words):
    assert describe(cron(expression)) == words
