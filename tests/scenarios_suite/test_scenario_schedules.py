"""Schedules of scenarios: which instants come after a given one, on the clock of the heartbeat's own zone."""

from __future__ import annotations

import pytest
from casebook import failing, judge, judged

SCHEDULES = """\
given: {now: "2026-03-28T12:00:00Z"}                     # a Saturday; the clocks change in the night to Sunday
schedules:
  - {heartbeat: morning-check, expect: {fires: ["2026-03-30T07:30:00+01:00"]}}
  - {heartbeat: morning-check, expect: {fires: ["2026-03-30T06:30:00Z", "2026-03-31T07:30:00+01:00"]}}
  - {heartbeat: morning-check, now: "2026-03-26T12:00:00Z", expect: {fires: ["2026-03-27T07:30:00+00:00"]}}
  - {heartbeat: morning-check, until: "2026-03-30T06:29:59Z", expect: {fires: []}}
  - {heartbeat: morning-check, until: "2026-03-30T06:30:00Z", expect: {fires: ["2026-03-30T07:30:00+01:00"]}}
  - heartbeat: nightly                                   # two expressions, of which one falls into the skipped hour
    until: "2026-03-30T00:00:00Z"
    expect:
      fires: ["2026-03-29T02:00:00+01:00"]
  - heartbeat: office
    until: "2026-03-29T23:00:00Z"
    expect: {fires: ["2026-03-29T08:00:00+01:00", "2026-03-29T09:00:00+01:00"]}
  - {heartbeat: "off", expect: {fires: []}}
"""


def test_instants_are_those_of_the_runtime_also_across_a_change_of_the_clocks() -> None:
    assert [outcome.failures for outcome in judged(SCHEDULES) if not outcome.passed] == []


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            "{heartbeat: morning-check, expect: {fires: ['2026-03-30T07:30:00Z']}}",
            "at ['2026-03-30T07:30:00Z']\ngiven now 2026-03-28T12:00:00+00:00\n"
            "expected 2026-03-30T07:30:00+00:00  Mon, in 1 d 19 h\n"
            'got 2026-03-30T07:30:00+01:00  Mon, in 1 d 18 h\nwhy cron "30 7 * * 1-5" in Europe/London',
        ),
        (
            "{heartbeat: morning-check, expect: {fires: []}}",
            "at []\ngiven now 2026-03-28T12:00:00+00:00\nexpected nothing fires\n"
            'got 2026-03-30T07:30:00+01:00  Mon, in 1 d 18 h\nwhy cron "30 7 * * 1-5" in Europe/London',
        ),
        (
            "{heartbeat: 'off', expect: {fires: ['2026-03-30T07:30:00Z']}}",
            "at ['2026-03-30T07:30:00Z']\ngiven now 2026-03-28T12:00:00+00:00\n"
            "expected 2026-03-30T07:30:00+00:00  Mon, in 1 d 19 h\n"
            "got nothing fires\nwhy heartbeat off is switched off: `enabled: false`",
        ),
        (
            "{heartbeat: office, until: '2026-03-29T07:00:00Z', expect: {fires: []}}",
            "at []\ngiven now 2026-03-28T12:00:00+00:00, until 2026-03-29T07:00:00+00:00\nexpected nothing fires\n"
            'got 2026-03-29T08:00:00+01:00  Sun\nwhy cron "0 * * * *" in Europe/London, active 08:00-10:00',
        ),
    ],
)
def test_what_failed_is_told_with_what_fires_instead(case: str, said: str) -> None:
    assert failing(f"{{given: {{now: '2026-03-28T12:00:00Z'}}, schedules: [{case}]}}") == said


@pytest.mark.slow
def test_a_window_of_ten_thousand_instants_is_not_told_in_full() -> None:
    outcome = judge(
        "given: {now: '2026-01-01T00:00:00Z'}\n"
        "schedules: [{heartbeat: office, until: '2036-01-01T00:00:00Z', expect: {fires: []}}]"
    )
    assert outcome.failures[0].got[-1] == "and 980 more"
