"""What the status of a runtime comes to, part by part: what is well in few words, what is not with the way on.

Pure: the JSON of the runtime and a moment in, parts out. A part that has nothing to say is left out, and so is what a
runtime of another version does not tell. To tell more, add a function to `PARTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import openclaw
from openclaw.spending import cost_words

Json = Mapping[str, Any]
Mood = Literal["", "well", "look", "amiss"]

SHOWN: Final = 8  # sessions, and approvals, that are told one by one
COMING: Final = 3  # heartbeats
_CONDITIONS: Final[Mapping[str, Mood]] = {
    "receiving": "well",
    "serving": "well",
    "connecting": "look",
    "starting": "look",
    "silent": "amiss",
    "failed": "amiss",
}


@dataclass(frozen=True, slots=True)
class Line:
    """Cells of one row of a part, which stand below those of its other rows, or one text on all of its width; and how
    it is with what they tell."""

    cells: tuple[str, ...]
    mood: Mood = ""


@dataclass(frozen=True, slots=True)
class Part:
    label: str
    lines: tuple[Line, ...]


def parts(found: Json, now: datetime) -> list[Part]:
    """Of a runtime that answered; `now` is in the zone in which times are told."""
    told = ((label, tuple(of(found, now))) for label, of in PARTS)
    return [Part(label, lines) for label, lines in told if lines]


# ── what it is ───────────────────────────────────────────────────────────────────────────────────


def _runtime(found: Json, now: datetime) -> Iterator[Line]:
    up = found.get("uptime_seconds", 0.0)
    since = moment((now - timedelta(seconds=up)).isoformat(), now)
    head = f"openclaw {found.get('version', '?')}, process {found.get('pid', '?')}, up {span(up)}, since {since}"
    yield Line((head,), "well" if found.get("ready") else "")
    if not found.get("ready"):
        yield Line(("it is starting or stopping: messages wait",), "look")
    if found.get("version", openclaw.__version__) != openclaw.__version__:
        yield Line((f"this command is {openclaw.__version__}: start the runtime anew to run that",), "look")


def _project(found: Json, now: datetime) -> Iterator[Line]:
    if project := found.get("project"):
        yield Line((project,))
    if other := found.get("other_project"):
        yield Line((f"not {other}, which is the project here",), "look")
    if snapshot := found.get("snapshot"):
        yield Line((f"snapshot {snapshot['generation']}, digest {snapshot['digest']}",))
    if found.get("demo"):
        yield Line(("the built-in demo model answers, and no other",), "look")


def _agents(found: Json, now: datetime) -> Iterator[Line]:
    spent = found.get("spent_today") or {}
    for agent, model in found.get("models", {}).items():
        yield _spent((agent, model), spent[agent]) if agent in spent else Line((agent, model))


def _spent(cells: tuple[str, ...], told: Json) -> Line:
    """With what it cost today, and what it may."""
    cost, limit = cost_words(told["cost_usd"], told["cost_complete"]), told["limit_usd"]
    words = f"{cost} today" if limit is None else f"{cost} of ${limit:g} today"
    over = limit is not None and (told["cost_usd"] or 0.0) >= limit
    blind = limit is not None and not told["cost_complete"]  # the limit holds only what is known
    return Line((*cells, words), "amiss" if over else "look" if blind else "")


def _edits(found: Json, now: datetime) -> Iterator[Line]:
    differs, last, succeeded = found.get("differs"), found.get("last_reload"), found.get("last_success")
    if differs:
        yield Line((differs,), "amiss")
    if succeeded:
        same = "what was on disk was what ran" if differs else "what is on disk is what runs"
        yield Line((f"{same}, as of {moment(succeeded, now)}",), "" if differs else "well")
    if last:
        yield Line((f"{last['words']} ({ago(last['at'], now)})",), "amiss" if last["outcome"] == "failed" else "")
        yield from (Line((f"widens: {words}",), "look") for words in last.get("widened", ()))
    reloads = found.get("reloads") or {}
    counts = [f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in reloads.items() if count]
    if sum(reloads.values()) > 1:
        yield Line((f"in all: {', '.join(counts)}",))


# ── what it hears and does ───────────────────────────────────────────────────────────────────────


def _channels(found: Json, now: datetime) -> Iterator[Line]:
    if "channels" in found and not found["channels"]:
        yield Line(("none: nobody can write to it",), "look")
    for key, one in found.get("channels", {}).items():
        condition = one["condition"]
        yield Line((key, condition, "; ".join(_heard(one))), _CONDITIONS.get(condition, ""))


def _heard(channel: Json) -> Iterator[str]:
    if why := channel.get("why"):
        yield str(why)
    if address := channel.get("address"):
        yield str(address)
    if (seconds := channel.get("seconds_ago")) is not None:
        yield f"last received {span(seconds)} ago"
    if trouble := channel.get("trouble"):
        yield str(trouble)
    if restarts := channel.get("restarts"):
        yield f"started anew {times(restarts)}"


def _queue(found: Json, now: datetime) -> Iterator[Line]:
    inbox = found.get("inbox")
    if inbox is None:
        return
    oldest = found.get("oldest_queued")
    since = f", the oldest for {span(_seconds(oldest, now))}" if oldest else ""
    yield Line((f"{inbox['queued']:,} queued{since}; {inbox['running']:,} being answered",))
    aside = [
        (inbox["parked"], "put aside after crashes"),
        (inbox["undelivered"], "replies undelivered"),
        (inbox["dead"], "replies given up"),
    ]
    if any(count for count, _ in aside):
        words = ", ".join(f"{count:,} {what}" for count, what in aside if count)
        yield Line((f"{words}: openclaw inbox list",), "look")


def _answering(found: Json, now: datetime) -> Iterator[Line]:
    turns = found.get("turns", ())
    for one in turns[:SHOWN]:
        who = f"{one['agent']} answers {one['sender']}"
        yield Line((one["session"], f"for {span(_seconds(one['since'], now))}", who))
    yield from _more(len(turns), "openclaw inbox list")


def _approvals(found: Json, now: datetime) -> Iterator[Line]:
    questions = found.get("questions", ())
    for one in questions[:SHOWN]:
        left = max(-_seconds(one["expires"], now), 0.0)
        who = f"{one['agent']} for {one['sender']}"
        yield Line((one["id"], one["tool"], f"{who}, {span(left)} left"), "look")
    yield from _more(len(questions), "openclaw approvals list")
    if questions:
        yield Line(("openclaw approvals answer ID allow-once (or deny)",))


def _next(found: Json, now: datetime) -> Iterator[Line]:
    coming = found.get("coming", ())
    for one in coming[:COMING]:
        left = max(-_seconds(one["at"], now), 0.0)
        yield Line((one["heartbeat"], moment(one["at"], now), f"in {span(left)}"))
    yield from _more(len(coming), "openclaw heartbeats list", COMING)
    for one in found.get("stopped", ()):
        name = one["heartbeat"]
        yield Line((f"{name} is stopped: {one['why']}; openclaw heartbeats resume {name}",), "amiss")


# ── what it stands on ────────────────────────────────────────────────────────────────────────────


def _disk(found: Json, now: datetime) -> Iterator[Line]:
    disk = found.get("disk")
    if disk and disk["full"]:
        yield Line((f"full since {moment(disk['since'], now)}; nothing new is taken in: make room",), "amiss")
    elif disk:
        yield Line(("has room",))


def _error(found: Json, now: datetime) -> Iterator[Line]:
    if last := found.get("last_error"):
        yield Line((f"{last['words']} ({ago(last['at'], now)})",), "look")


Of = Callable[[Json, datetime], Iterator[Line]]
PARTS: Final[tuple[tuple[str, Of], ...]] = (
    ("runtime", _runtime),
    ("project", _project),
    ("edits", _edits),
    ("agents", _agents),
    ("channels", _channels),
    ("queue", _queue),
    ("answering", _answering),
    ("approvals", _approvals),
    ("next", _next),
    ("disk", _disk),
    ("last error", _error),
)
"""In the order in which they are told: what it is, what it hears and does, what it stands on."""


# ── times ────────────────────────────────────────────────────────────────────────────────────────


def span(seconds: float) -> str:
    """How long, as much of it as counts: `8 s`, `5 min`, `3 h 20 min`, `12 days`."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 2:
        return f"{seconds:.0f} s"
    if hours < 2:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if days < 2 else f"{days} days"


def ago(at: str, now: datetime) -> str:
    return f"{span(max(_seconds(at, now), 0.0))} ago"


def moment(at: str, now: datetime) -> str:
    """`14:03:22`, with the day where it is another one, in the zone of `now`."""
    there = datetime.fromisoformat(at).astimezone(now.tzinfo)
    return f"{there:%H:%M:%S}" if there.date() == now.date() else f"{there:%a %Y-%m-%d %H:%M:%S}"


def times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _seconds(at: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(at)).total_seconds()


def _more(count: int, command: str, shown: int = SHOWN) -> Iterator[Line]:
    if count > shown:
        yield Line((f"and {count - shown:,} more: {command}",))
