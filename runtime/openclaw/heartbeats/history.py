"""What is told of heartbeats: their runs and how they stand, as JSON values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from openclaw.manifest.snapshot import Heartbeat
from openclaw.messages import SILENT
from openclaw.ports import Run
from openclaw.words import dated, time_json


def outcome(run: Run) -> str:
    """queued, running, answered, silent, quiet (its check let the model sleep), failed, parked, missed, skipped."""
    if run.state != "done":
        return run.state
    if run.reply is not None and run.reply.account is not None and not run.reply.account.woken:
        return "quiet"
    return "silent" if run.reply is None or run.reply.text.strip() == SILENT else "answered"


def run_json(run: Run) -> dict[str, Any]:
    reply, account = run.reply, run.reply.account if run.reply else None
    return {
        "heartbeat": run.schedule,
        "scheduled": time_json(run.instant),
        "at": time_json(run.at),
        "cause": run.cause,
        "outcome": outcome(run),
        "why": run.why,
        "count": run.number,
        "message": run.message or None,
        "session": reply.session if reply else None,
        "agent": reply.agent if reply else None,
        "ended": _iso(run.ended),
        "seconds": round(account.seconds, 3) if account else None,
        "model": (account.model or None) if account else None,
        "cost_usd": None if account is None or account.cost is None else round(account.cost, 8),
        "usage": account.usage.as_json() if account and account.model else None,
        "check": account.check if account else "",
        "reply": reply.text if reply else None,
        "deliveries": [
            {"to": str(each.to), "state": each.state, "tries": each.tries, "ended": _iso(each.ended)}
            for each in run.deliveries
        ],
    }


def heartbeat_json(heartbeat: Heartbeat, *, reminder: bool = False) -> dict[str, Any]:
    """What is described of it; how it stands is added by whoever knows."""
    hours = heartbeat.active_hours
    return {
        "name": heartbeat.name,
        "origin": "reminder" if reminder else "manifest",
        "agent": heartbeat.agent,
        "prompt": heartbeat.prompt,
        "cron": list(heartbeat.cron),
        "once": _iso(heartbeat.once),
        "timezone": heartbeat.timezone,
        "active_hours": f"{_clock(hours[0])}-{_clock(hours[1])}" if hours else None,
        "enabled": heartbeat.enabled,
        "deliver": [str(address) for address in heartbeat.deliver],
        "missed": heartbeat.missed,
        "model": heartbeat.model,
        "check": heartbeat.check.tool if heartbeat.check else None,
        "says": heartbeat.says,
    }


def standing_json(
    *, next: datetime | None, last: datetime | None, paused: Mapping[str, Any] | None, stopped: str, failures: int,
    last_run: Run | None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "next": _iso(next),
        "last": _iso(last),
        "paused": dated(paused) if paused else None,
        "stopped": stopped or None,
        "failures": failures,
        "last_run": run_json(last_run) if last_run else None,
    }


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _iso(at: datetime | None) -> str | None:
    return time_json(at) if at else None
