"""A channel is healthy while it receives, not while it runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from openclaw.clock import ManualClock
from openclaw.health import Roll
from openclaw.ports import Pulse


def test_a_channel_is_silent_when_it_has_not_received_for_longer_than_its_patience() -> None:
    clock = ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
    roll, pulse = Roll(clock), Pulse(patience=90)
    roll.begin("telegram", pulse)
    assert roll.condition("telegram") == "connecting"
    pulse.beat(clock.monotonic())
    assert roll.condition("telegram") == "receiving"
    asyncio.run(clock.advance(60))
    pulse.trouble = "the network is away"
    assert (roll.condition("telegram"), roll.silent()) == ("connecting", [])
    asyncio.run(clock.advance(31))
    assert (roll.condition("telegram"), roll.silent()) == ("silent", ["telegram"])
    told = roll.told()["telegram"]
    assert (told["seconds_ago"], told["trouble"], told["received"]) == (91.0, "the network is away", 1)
    assert told["last_received"] == "2026-11-23T12:00:00.000Z"
    roll.begin("telegram", pulse)  # started anew: it gets its patience again
    assert roll.silent() == []


def test_one_that_never_received_falls_silent_too() -> None:
    clock = ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
    roll = Roll(clock)
    asyncio.run(clock.advance(1000))
    roll.begin("discord", Pulse(patience=90))
    assert roll.silent() == []
    asyncio.run(clock.advance(91))
    assert roll.silent() == ["discord"]
    assert "last_received" not in roll.told()["discord"]


def test_what_cannot_fall_silent_serves_and_what_does_not_run_says_why() -> None:
    roll = Roll(ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC)))
    roll.begin("http", None)
    roll.states.update({"repl": "off: the input is not a terminal", "x": "failed: why", "y": "ended", "z": "starting"})
    conditions = {key: roll.condition(key) for key in roll.states}
    assert conditions == {"http": "serving", "repl": "off", "x": "failed", "y": "ended", "z": "starting"}
    assert roll.silent() == []


def test_what_holds_all_channels_up_is_not_counted_against_one() -> None:
    clock = ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
    roll, pulse = Roll(clock), Pulse(patience=90)
    roll.begin("telegram", pulse)
    pulse.beat(clock.monotonic())
    asyncio.run(clock.advance(300))
    assert roll.stuck() == ["telegram"]
    roll.excuse()
    assert roll.stuck() == []
    asyncio.run(clock.advance(91))
    assert roll.stuck() == ["telegram"]
