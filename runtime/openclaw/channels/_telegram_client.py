"""The line to Telegram: the library's bot on connections of ours, and what its errors mean.

The law: the token, which is part of every address, is in no log and in no error. One update that cannot be read
spoils none beside it. Knows no message of ours.
"""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

# The library gives durations as numbers unless it is asked for durations, and warns of it at every 429.
os.environ.setdefault("PTB_TIMEDELTA", "1")

from telegram import Bot, Update
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

API = "https://api.telegram.org"
POLL = 30  # seconds of one long poll
CONNECT, ANSWER, POOL = 10.0, 20.0, 10.0
SIDE_BY_SIDE = 8  # connections for everything but polls: looking for a free one costs the library more with each
_LOUD = ("httpx", "httpcore", "telegram")  # loggers that write addresses, and so the token


@dataclass(frozen=True, slots=True)
class Line:
    """`bot` speaks to the service; `words` makes an error's text fit to be seen."""

    bot: Bot
    polls: Polls
    others: HTTPXRequest

    def words(self, error: BaseException) -> str:
        return str(error).replace(self.bot.token, "***") or type(error).__name__

    async def close(self) -> None:
        await self.polls.shutdown()
        await self.others.shutdown()


def line(token: str, base: str) -> Line:
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Without TLS there are no certificates to read, which takes a while, and no proxy between.
    plain: dict[str, Any] = {"verify": False, "trust_env": False} if base.startswith("http://") else {}
    times: dict[str, Any] = {"connect_timeout": CONNECT, "write_timeout": ANSWER, "pool_timeout": POOL}
    polls = Polls(connection_pool_size=2, read_timeout=CONNECT, httpx_kwargs=plain, **times)
    others = HTTPXRequest(connection_pool_size=SIDE_BY_SIDE, read_timeout=ANSWER, httpx_kwargs=plain, **times)
    base = base.rstrip("/")
    return Line(Bot(token, f"{base}/bot", f"{base}/file/bot", others, polls), polls, others)


class Polls(HTTPXRequest):
    """The connection of the polls. An update that the library cannot read is left without its content."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        found: dict[str, Any] = HTTPXRequest.parse_json_payload(payload)
        if isinstance(found.get("result"), list):
            found["result"] = [update for raw in found["result"] if (update := readable(raw)) is not None]
        return found


def readable(raw: Any) -> dict[str, Any] | None:
    """The update, or its number alone where the rest makes no sense; None where it has not even one."""
    if not isinstance(raw, Mapping) or type(raw.get("update_id")) is not int:
        return None
    try:
        Update.de_json(dict(raw), None)
    except Exception:  # whatever a malformed field does to the library
        return {"update_id": raw["update_id"]}
    return dict(raw)


def update(body: bytes, bot: Bot) -> Update | None:
    """The one update that a webhook call carries; None where there is none."""
    try:
        raw = readable(json.loads(body))
    except ValueError:
        return None
    return Update.de_json(raw, bot) if raw is not None else None


# ── errors ───────────────────────────────────────────────────────────────────────────────────────


def wait_of(error: RetryAfter) -> float:
    """Seconds that the service wants to be left alone."""
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def is_away(error: TelegramError) -> bool:
    """The network or the service is away: the same again later may do."""
    return isinstance(error, NetworkError) and not isinstance(error, BadRequest)


def is_unsure(error: TelegramError) -> bool:
    """Whether what was sent may have arrived all the same: there was a connection, and no yes or no came back."""
    return is_away(error) and type(error.__cause__).__name__ not in ("ConnectError", "ConnectTimeout", "PoolTimeout")


def backoff(failures: int) -> float:
    """Seconds after so many failures in a row: 1, 2, 4 ... 60, less up to half by chance."""
    whole = float(min(60.0, 2.0 ** min(failures - 1, 10)))
    return whole * random.uniform(0.5, 1.0)


__all__ = [
    "BadRequest",
    "ChatMigrated",
    "Conflict",
    "Forbidden",
    "InvalidToken",
    "Line",
    "NetworkError",
    "RetryAfter",
    "TelegramError",
    "backoff",
    "is_away",
    "is_unsure",
    "line",
    "readable",
    "update",
    "wait_of",
]
