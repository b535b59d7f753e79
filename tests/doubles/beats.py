"""Heartbeats and what came of them as a runtime tells them: whole rows of JSON, of which a test names what matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from openclaw.messages import Address

Row = dict[str, Any]


def beat(name: str, **more: Any) -> Row:
    """A heartbeat of the manifests; a reminder where `more` says so."""
    row = {
        "name": name, "origin": "manifest", "agent": "main", "model": None, "prompt": "Look round", "says": False,
        "check": None, "cron": ["0 3 * * *"], "once": None, "timezone": "Europe/London", "active_hours": None,
        "enabled": True, "paused": None, "stopped": None, "failures": 0, "deliver": [], "missed": "once",
        "next": "2026-11-29T03:00:00.000Z", "last": None, "last_run": None,
    }  # fmt: skip
    return {**row, **more}


def ran(name: str, scheduled: str, outcome: str = "answered", **more: Any) -> Row:
    """What came of one instant."""
    went = outcome not in ("missed", "skipped")
    row = {
        "heartbeat": name, "scheduled": scheduled, "at": scheduled, "cause": "schedule", "outcome": outcome, "why": "",
        "count": 1, "message": "m1" if went else None, "session": f"cron:{name}" if went else None,
        "agent": "main" if went else None, "ended": scheduled if went else None, "seconds": 1.5 if went else None,
        "model": None, "cost_usd": None, "usage": None, "check": "", "reply": None, "deliveries": [],
    }  # fmt: skip
    return {**row, **more}


class Beats:
    """The part of Operations that is about heartbeats, but for running them."""

    def __init__(self) -> None:
        self.beats: dict[str, Row] = {}
        self.runs: list[Row] = []  # the latest first
        self.soon: list[Row] = []

    async def heartbeats(self) -> Sequence[Mapping[str, Any]]:
        return list(self.beats.values())

    async def history(
        self, heartbeat: str | None, limit: int, since: datetime | None = None
    ) -> Sequence[Mapping[str, Any]]:
        found = [run for run in self.runs if heartbeat in (None, run["heartbeat"])]
        return [run for run in found if since is None or datetime.fromisoformat(run["scheduled"]) > since][:limit]

    async def coming(self, until: datetime, limit: int) -> Sequence[Mapping[str, Any]]:
        return [one for one in self.soon if datetime.fromisoformat(one["at"]) <= until][:limit]

    async def pause_heartbeat(self, name: str, by: Address | None = None) -> bool:
        if name not in self.beats:
            return False
        self.beats[name]["paused"] = {"at": "2026-11-28T02:30:00.000Z", "by": str(by) if by else None}
        return True

    async def resume_heartbeat(self, name: str) -> bool:
        if name not in self.beats:
            return False
        self.beats[name] |= {"paused": None, "stopped": None, "failures": 0}
        return True

    async def forget_heartbeat(self, name: str) -> bool:
        if self.beats.get(name, {}).get("origin") != "reminder":
            return False
        del self.beats[name]
        return True
