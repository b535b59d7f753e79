"""When a conversation starts afresh by itself: with a new day, or after a silence. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from openclaw.manifest.snapshot import Renewal


def over(renewal: Renewal, last: datetime, now: datetime) -> bool:
    """Whether what was last said then is another conversation by now."""
    match renewal.reset:
        case "never":
            return False
        case "idle":
            return now - last >= timedelta(seconds=renewal.idle)
        case "daily":
            return last < _began(renewal, now)


def _began(renewal: Renewal, now: datetime) -> datetime:
    """When the day that `now` is in began. An hour that a clock change leaves out begins with the next one."""
    here = now.astimezone(ZoneInfo(renewal.timezone))
    hour, minute = divmod(renewal.at, 60)
    today = here.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    began = today if today.timestamp() <= now.timestamp() else today - timedelta(days=1)
    return began.astimezone(now.tzinfo)
