"""`cron`, and what `heartbeats` reads of a project: as processes, the way a person and a program call them."""

import json
import os
import sys

import pytest

from doubles import warm


def openclaw(*arguments, project="/nonexistent"):
    state = f"{project}/none"  # no runtime was ever there
    return warm.run(
        [sys.executable, "-m", "openclaw", "-C", str(project), "--state", state, *arguments],
        text=True,
        timeout=30,
        env={**os.environ, "NO_COLOR": "1", "TZ": "Asia/Tokyo"},
    )


@pytest.fixture
def project(tmp_path):
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "main.yaml").write_text("name: Main\ndescription: Answers\ntools: []\npolicy: careful\n")
    (tmp_path / "tools.yaml").write_text("policies:\n  careful:\n    default: ask\n")
    (tmp_path / "heartbeats.yaml").write_text(
        "defaults: {timezone: Europe/London}\n"
        "heartbeats:\n"
        '  morning: {cron: ["30 7 * * 1-5", "0 9 * * sat"], prompt: hello}\n'
        '  night: {cron: "@daily", prompt: hello, timezone: UTC, enabled: false}\n'
    )
    return tmp_path


AFTER = ("--after", "2026-03-27T12:00", "--count", "3")


def test_cron_says_it_in_words_and_shows_the_next_times():
    done = openclaw("cron", "30 7 * * 1-5", "--timezone", "Europe/London", *AFTER)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "at 07:30, Monday to Friday (Europe/London)",
        "Mon 2026-03-30 07:30 +01:00",
        "Tue 2026-03-31 07:30 +01:00",
        "Wed 2026-04-01 07:30 +01:00",
    ]


def test_cron_gives_programs_a_list_of_times_with_offset():
    done = openclaw("cron", "30 1 * * *", "--timezone", "Europe/London", *AFTER, "--json")
    assert done.returncode == 0
    expected = ["2026-03-28T01:30:00+00:00", "2026-03-29T02:00:00+01:00", "2026-03-30T01:30:00+01:00"]
    assert json.loads(done.stdout) == expected


def test_cron_without_a_zone_is_utc_wherever_the_machine_stands():
    done = openclaw("cron", "@daily", *AFTER, "--json")
    assert json.loads(done.stdout)[0] == "2026-03-28T00:00:00+00:00"


def test_an_after_with_an_offset_is_that_instant():
    done = openclaw("cron", "0 * * * *", "--after", "2026-03-27T12:30:00+05:30", "--count", "1", "--json")
    assert json.loads(done.stdout) == ["2026-03-27T08:00:00+00:00"]


def test_a_mistake_in_the_expression_is_shown_where_it_stands():
    done = openclaw("cron", "0 */90 * * *")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "openclaw: the step of `*/90` does not fit: the hour has 24 values here",
        "  0 */90 * * *",
        "    ^^^^",
        "help: write a step from 1 to 24",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--timezone", "Mars/Base"), "there is no time zone `Mars/Base`"),
        (("--timezone", "Europe"), "there is no time zone `Europe`"),
        (("--timezone", "../etc/passwd"), "there is no time zone"),
        (("--count", "0"), "`0` is no number from 1 to 1000"),
        (("--after", "tomorrow"), "`tomorrow` is no ISO 8601 time"),
    ],
)
def test_wrong_options_are_wrong_usage(arguments, said):
    done = openclaw("cron", "@daily", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_the_list_says_when_each_heartbeat_runs_in_words(project):
    done = openclaw("heartbeats", "list", project=project)
    assert (done.returncode, done.stderr) == (0, "")
    head, morning, night = done.stdout.splitlines()
    assert head.split() == ["NAME", "AGENT", "NEXT", "ZONE", "LAST", "WHEN"]
    assert morning.endswith("Europe/London  -     at 07:30, Monday to Friday; at 09:00, Saturday")
    assert night.split() == ["night", "main", "off", "UTC", "-", "at", "00:00,", "every", "day"]


def test_the_list_for_programs(project):
    listed = json.loads(openclaw("heartbeats", "list", "--json", project=project).stdout)
    assert [(beat["name"], beat["enabled"], beat["timezone"]) for beat in listed] == [
        ("morning", True, "Europe/London"),
        ("night", False, "UTC"),
    ]
    assert listed[0]["cron"] == ["30 7 * * 1-5", "0 9 * * sat"]
    assert listed[0]["next"] and listed[1]["next"] is None


def test_next_follows_the_heartbeats_own_clock_and_writes_in_the_zone_asked_for(project):
    own = openclaw("heartbeats", "next", "morning", *AFTER, "--json", project=project)
    assert json.loads(own.stdout) == [
        "2026-03-28T09:00:00+00:00",
        "2026-03-30T07:30:00+01:00",
        "2026-03-31T07:30:00+01:00",
    ]
    other = openclaw("heartbeats", "next", "morning", *AFTER, "--timezone", "Asia/Tokyo", "--json", project=project)
    assert json.loads(other.stdout)[1] == "2026-03-28T18:00:00+09:00"


def test_a_switched_off_heartbeat_says_so_beside_its_times(project):
    done = openclaw("heartbeats", "next", "night", *AFTER, project=project)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 3
    assert "night is switched off" in done.stderr


def test_an_unknown_heartbeat_an_invalid_project_and_no_project_have_their_exit_codes(project):
    done = openclaw("heartbeats", "next", "mornin", project=project)
    assert (done.returncode, done.stderr) == (2, "openclaw: there is no heartbeat mornin; did you mean morning?\n")
    (project / "heartbeats.yaml").write_text('heartbeats:\n  h: {cron: "0 0 30 2 *", prompt: hello}\n')
    assert openclaw("heartbeats", "list", project=project).returncode == 3
    assert openclaw("heartbeats", "list", project=project / "nowhere").returncode == 2
