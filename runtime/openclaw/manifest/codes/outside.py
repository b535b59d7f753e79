"""Schedules, channels, people and models."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code

CODES: Final[dict[str, Code]] = {
    "cron": Code(
        "A schedule has five fields (minute hour day month weekday) or is a name such as @daily.",
    ),
    "cron-often": Code(
        "The schedule fires very often, and every time asks the model.",
    ),
    "cron-both-days": Code(
        "With day and weekday both given, either is enough.",
    ),
    "timezone": Code(
        "A time zone is an IANA name such as Europe/London.",
    ),
    "active-hours": Code(
        "Some time of a heartbeat's schedule lies in its active hours.",
    ),
    "jitter": Code(
        "A heartbeat is late on purpose by less than the time between two of its runs.",
    ),
    "max-cost": Code(
        "What a run costs can be limited only where the price of the model is known.",
    ),
    "check-wake": Code(
        "`after`, `repeat` and `recovered` of a check speak of what lasts, so not of changes.",
    ),
    "check-policy": Code(
        "Nobody is asked about the call of a check, so the policy must allow it.",
    ),
    "channel-twice": Code(
        "Two channels cannot share a port or the terminal.",
    ),
    "channel-webhook": Code(
        "A Telegram webhook comes in by the HTTP channel, so there must be one.",
    ),
    "channel-intent": Code(
        "Discord shows all messages of a server only to bots with the message content intent.",
    ),
    "channel-open": Code(
        "A server that other machines can reach needs a token of at least 32 characters.",
    ),
    "fallback": Code(
        "Models stand in for each other along a way that has an end.",
    ),
    "script": Code(
        "The script of a `scripted` model cannot be followed.",
    ),
    "person-twice": Code(
        "An id belongs to one person.",
    ),
}
