"""What agents set up for later: reminders, each a heartbeat that is not in the manifests.

All of them are one document among the marks, so they outlive every restart. Law: nothing breeds, because a reminder
sets no reminder; nothing is lost, because every change is made on what is there now and what cannot be read is left
as it is; a name is never given twice. A reminder gets no rights of its own: it is run as any heartbeat is, and rests
while its agent, whoever asked for it, or the heartbeat that set it is gone. Fires nothing and delivers nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from openclaw import moments
from openclaw.clock import Clock
from openclaw.errors import DiskFull, ToolError
from openclaw.manifest.people import TERMINAL, Sender, person, sender
from openclaw.manifest.snapshot import Heartbeat, Snapshot
from openclaw.messages import SILENT, Address, Call, Message, Refused, quote_line
from openclaw.ports import Marks
from openclaw.router import EVER, route
from openclaw.schedule import Cron, Problem, describe, parse
from openclaw.words import cut_to

MARK = "reminders"
PREFIX = "reminder."
MOST = 200
MOST_OF_ONE = 50  # person
LONGEST = 2000  # characters
OFTEN = 5  # minutes at least between two times
OFTEN_TO_ACT = 15
AGAIN = 1.0  # seconds until what did not fit on the disk is tried again
SHOWN = 200  # characters of the text in a line

Done = TypeVar("Done")

log = logging.getLogger("openclaw.reminders")


@dataclass(frozen=True, slots=True)
class Kept:
    """A reminder, and the name in `people` of whoever asked for it."""

    heartbeat: Heartbeat
    person: str | None

    @property
    def asked_by(self) -> Address | None:
        return self.heartbeat.asked_by

    def of(self, who: Sender) -> bool:
        return self.asked_by == who.address or (who.person is not None and self.person == who.person)


class Reminders:
    """`snapshot` tells the manifests in force; `changed` is called after every change, and is somebody else's."""

    def __init__(self, marks: Marks, clock: Clock, snapshot: Callable[[], Snapshot]) -> None:
        self._marks = marks
        self._clock = clock
        self._snapshot = snapshot
        self._writing = asyncio.Lock()
        self._entries: Mapping[str, Any] = {}
        self._kept: Mapping[str, Kept] = {}
        self._planned: tuple[Snapshot, Mapping[str, Kept], frozenset[Address]] | None = None
        self._able: Mapping[str, Heartbeat] = {}
        self.changed: Callable[[], None] = lambda: None
        self.paired: Callable[[Address], bool] = lambda sender: False  # whether a code let this stranger in

    async def open(self) -> None:
        document, _ = await self._marks.get(MARK)
        entries = document.get("reminders") if isinstance(document, dict) else None
        if document is not None and not isinstance(entries, dict):
            log.error("the document `%s` of the state folder cannot be read; no reminder runs", MARK)
        self._take(entries if isinstance(entries, dict) else {})

    def heartbeats(self) -> Mapping[str, Heartbeat]:
        """Those that can run under the snapshot in force; the same mapping until that, they or who is let in change."""
        snapshot, kept = self._snapshot(), self._kept
        askers = {one.asked_by for one in kept.values() if one.asked_by is not None}
        paired = frozenset(filter(self.paired, askers))
        known = self._planned
        if known is None or known[0] is not snapshot or known[1] is not kept or known[2] != paired:
            able = {name: _under(one, snapshot) for name, one in kept.items() if not self._resting(one, snapshot)}
            self._planned, self._able = (snapshot, kept, paired), able
        return self._able

    async def delete(self, name: str) -> bool:
        """False where there is none of this name."""
        return await self._remove(name)

    async def fired(self, name: str) -> None:
        """Its time came: one that comes once is over. A full disk is waited for, because nobody asks for this again."""
        while (kept := self._kept.get(name)) is not None and kept.heartbeat.once is not None:
            try:
                await self._remove(name)
                return
            except DiskFull:
                await self._clock.sleep(AGAIN)

    # ── what agents ask ──────────────────────────────────────────────────────────────────────────

    async def remind(
        self,
        text: str,
        call: Call,
        *,
        at: str | None = None,
        after: str | None = None,
        cron: str | None = None,
        act: bool = False,
    ) -> str:
        snapshot = self._snapshot()
        place = _place(call, snapshot)
        heartbeat = replace(place, prompt=_text(text), says=not act, agent=call.agent)
        heartbeat = self._timed(heartbeat, at, after, cron)
        if not act and not heartbeat.deliver:
            raise ToolError(
                f"nobody would read it: heartbeat {_setter(heartbeat)} delivers nowhere; its manifest needs `deliver`"
            )
        who = sender(Address.parse(call.sender), snapshot)
        with _told_when_full():
            name = await self._add(Kept(heartbeat, who.person), who)
        return f"{name} is set for {self._when(heartbeat)}: {_what(heartbeat)}."

    async def reminders(self, call: Call) -> Sequence[str]:
        snapshot = self._snapshot()
        who = sender(Address.parse(call.sender), snapshot)
        seen = [(name, one) for name, one in self._kept.items() if self._sees(call, who, one)]
        lines = [self._line(name, one, snapshot, own=one.of(who)) for name, one in seen]
        if _sees_all(call, who):
            lines += [f"{name} cannot be read" for name in self._entries if name not in self._kept]
        return lines

    async def unremind(self, name: str, call: Call) -> str:
        name = name.strip().strip("`")
        name = f"{PREFIX}{name}" if name.isdecimal() else name
        who = sender(Address.parse(call.sender), self._snapshot())
        kept = self._kept.get(name)
        seen = self._sees(call, who, kept) if kept else _sees_all(call, who)
        with _told_when_full():
            if not seen or not await self._remove(name):
                raise ToolError(f"there is no reminder `{quote_line(name[:60])}` here; reminder_list shows the names")
        return f"{name} is cancelled{f'; it was to {_what(kept.heartbeat)}' if kept else ''}."

    def _resting(self, kept: Kept, snapshot: Snapshot) -> str:
        by = kept.asked_by
        return resting(kept, snapshot, paired=by is not None and self.paired(by))

    def _sees(self, call: Call, who: Sender, kept: Kept) -> bool:
        """In a run of a reminder, whose reply may go to a group, only what goes to the same place."""
        if not _in_reminder(call):
            return _sees(call, who, kept)
        running = self._kept.get(call.session.removeprefix("cron:"))
        return running is not None and _beside(running, kept) and (kept.of(who) or who.owner)

    # ── when ─────────────────────────────────────────────────────────────────────────────────────

    def _timed(self, heartbeat: Heartbeat, at: str | None, after: str | None, cron: str | None) -> Heartbeat:
        """Raises ToolError where it is not exactly one of the three, or cannot be."""
        now, zone = self._clock.now(), ZoneInfo(heartbeat.timezone)
        try:
            match at, after, cron:
                case str(), None, None:
                    return replace(heartbeat, once=moments.at(at, now, zone))
                case None, str(), None:
                    return replace(heartbeat, once=moments.after(after, now))
                case None, None, str():
                    return replace(heartbeat, cron=(_schedule(cron, now, zone, act=not heartbeat.says),))
        except ValueError as error:
            raise ToolError(str(error)) from error
        raise ToolError("say when, in exactly one way: `at` a time, `in` a while, or `cron` to repeat it")

    def _when(self, heartbeat: Heartbeat) -> str:
        """`Friday 2026-05-01 18:00 (Europe/London)`; of a schedule the next two times, and it in words."""
        zone = ZoneInfo(heartbeat.timezone)
        if heartbeat.once is not None:
            return f"{moments.say(heartbeat.once, zone)} ({zone.key})"
        cron = _cron(heartbeat.cron[0])
        fires = cron.following(self._clock.now(), zone)
        coming = [moments.say(fire, zone) for fire, _ in zip(fires, range(2), strict=False)]
        return f"{' and then '.join(coming)} ({zone.key}), {describe(cron)}"

    def _line(self, name: str, kept: Kept, snapshot: Snapshot, *, own: bool) -> str:
        by = "" if own else f" (asked for by {kept.person or kept.asked_by})"
        why = self._resting(kept, snapshot)
        return f"{name}: {self._when(kept.heartbeat)}: {_what(kept.heartbeat)}{by}{f' (rests: {why})' if why else ''}"

    # ── the document ─────────────────────────────────────────────────────────────────────────────

    async def _add(self, kept: Kept, who: Sender) -> str:
        def add(document: dict[str, Any]) -> str:
            entries = document["reminders"]
            _has_room(entries, who)
            number = max(document["next"], 1, *(_number(name) + 1 for name in entries))
            document["next"] = number + 1
            entries[f"{PREFIX}{number}"] = _written(kept, self._clock.now())
            return f"{PREFIX}{number}"

        return await self._change(add)

    async def _remove(self, name: str) -> bool:
        def remove(document: dict[str, Any]) -> bool:
            there = name in document["reminders"]
            document["reminders"].pop(name, None)
            return there

        return await self._change(remove)

    async def _change(self, change: Callable[[dict[str, Any]], Done]) -> Done:
        """Made on the document as it is on disk, again where somebody else was faster."""
        async with self._writing:
            while True:
                found, version = await self._marks.get(MARK)
                document = _document(found)
                done = change(document)
                if not done:
                    return done
                if await self._marks.put(MARK, document, version):
                    break
            self._take(document["reminders"])
        self.changed()
        return done

    def _take(self, entries: Mapping[str, Any]) -> None:
        self._entries, self._kept = entries, _readable(entries)


@contextmanager
def _told_when_full() -> Iterator[None]:
    """A full disk is what the agent is told."""
    try:
        yield
    except DiskFull as error:
        raise ToolError(str(error)) from error


def resting(kept: Kept, snapshot: Snapshot, *, paired: bool) -> str:
    """Why it does not run under this snapshot; "" where it does."""
    heartbeat, by = kept.heartbeat, kept.asked_by
    if heartbeat.agent not in snapshot.agents:
        return f"there is no agent {heartbeat.agent} any more"
    if by is not None and by.channel == "cron":
        setter = snapshot.heartbeats.get(by.id)
        return f"there is no heartbeat {by.id} any more" if setter is None else "" if setter.enabled else f"{by} is off"
    gone = kept.person is not None and kept.person not in snapshot.people and by and person(by, snapshot) is None
    return f"{kept.person} is no longer among the people" if gone else _unasked(kept, snapshot, paired)


def _unasked(kept: Kept, snapshot: Snapshot, paired: bool) -> str:
    """Why whoever asked for it could not ask this agent for it any more, where they did; "" where they could."""
    by, place = kept.asked_by, next(iter(kept.heartbeat.deliver), None)
    if by is None:
        return ""
    skipped = snapshot.channels[by.channel].skipped if by.channel in snapshot.channels else None
    if skipped is not None:
        return f"channel {by.channel} takes no part: {skipped}"
    chat = place.id if place is not None and place != by else None
    asking = Message("", by, (), EVER, agent=kept.heartbeat.agent, chat=chat, topic=kept.heartbeat.topic)
    refused = route(asking, snapshot, paired=paired)
    if not isinstance(refused, Refused) or (by == TERMINAL and refused.code == "sender"):
        return ""  # whoever owns the state folder may always ask
    return refused.reason if refused.code == "agent" else f"{by} may not ask here any more"


def _under(kept: Kept, snapshot: Snapshot) -> Heartbeat:
    """As it runs now: what a heartbeat set up keeps to the model and the limits of that heartbeat."""
    by = kept.asked_by
    setter = snapshot.heartbeats.get(by.id) if by is not None and by.channel == "cron" else None
    if setter is None:
        return kept.heartbeat
    return replace(kept.heartbeat, model=setter.model, timeout=setter.timeout, max_cost=setter.max_cost)


# ── who and where ────────────────────────────────────────────────────────────────────────────────


def _place(call: Call, snapshot: Snapshot) -> Heartbeat:
    """A heartbeat that goes where the call came from, in that person's zone, without a time or a text yet."""
    by = Address.parse(call.sender)
    if _in_reminder(call) or (by.channel == "cron" and by.id.startswith(PREFIX)):
        raise ToolError("a reminder sets no reminder; say in the reply what else is to be done, and when")
    if by.channel == "cron":
        return _place_of(by, snapshot)
    group = Address(by.channel, call.chat) if call.chat else None
    return Heartbeat(
        name="",
        cron=(),
        prompt="",
        agent=call.agent,
        timezone=sender(by, snapshot).timezone or "UTC",
        deliver=(group or by,),
        notify=(by,),
        topic=call.topic if group else None,
        asked_by=by,
    )


def _place_of(by: Address, snapshot: Snapshot) -> Heartbeat:
    setter = snapshot.heartbeats.get(by.id)
    if setter is None:
        raise ToolError(f"there is no heartbeat {by.id} any more, so nobody would be reminded")
    return Heartbeat(
        name="",
        cron=(),
        prompt="",
        agent=setter.agent,
        timezone=setter.timezone,
        deliver=setter.deliver,
        notify=setter.notify,
        topic=setter.topic,
        asked_by=by,
    )


def _sees(call: Call, who: Sender, kept: Kept) -> bool:
    """Whoever asked for it does, and the owners; in a group they see what goes to this group, not all there is."""
    if kept.of(who):
        return True
    here = call.chat is None or Address(who.address.channel, call.chat) in kept.heartbeat.deliver
    return who.owner and here


def _sees_all(call: Call, who: Sender) -> bool:
    return who.owner and call.chat is None and not _in_reminder(call)


def _in_reminder(call: Call) -> bool:
    return call.session.startswith(f"cron:{PREFIX}")


def _beside(running: Kept, kept: Kept) -> bool:
    """Whether all who read what a reminder that runs says have read, or will, what this one says."""
    mine, its = running.heartbeat, kept.heartbeat
    return (set(mine.deliver), mine.topic) == (set(its.deliver), its.topic)


def _setter(heartbeat: Heartbeat) -> str:
    return heartbeat.asked_by.id if heartbeat.asked_by else ""


# ── what and when ────────────────────────────────────────────────────────────────────────────────


def _text(text: str) -> str:
    text = text.strip().encode("utf-8", "replace").decode()
    if not text:
        raise ToolError("there is nothing to be reminded of: the text is empty")
    if text == SILENT:
        raise ToolError(f"`{SILENT}` is what says nothing, so nobody would be reminded; write the words to tell")
    if len(text) > LONGEST:
        raise ToolError(f"a reminder holds at most {LONGEST:,} characters, this one has {len(text):,}; use a file")
    return text


def _what(heartbeat: Heartbeat) -> str:
    text = cut_to(" ".join(heartbeat.prompt.split()), SHOWN)
    return f"{'tell' if heartbeat.says else 'do'} “{quote_line(text)}”"


def _schedule(expression: str, now: datetime, zone: ZoneInfo, *, act: bool) -> str:
    """The expression, if a reminder may have it; raises ValueError."""
    cron = _cron(expression)
    apart, least = _apart(cron), OFTEN_TO_ACT if act else OFTEN
    if apart < least:
        what = "that acts comes" if act else "comes"
        raise ValueError(f"`{expression}` comes every {apart} min; a reminder {what} every {least} minutes at most")
    first = cron.next(now, zone)
    if first is None or first > now + moments.FURTHEST:
        raise ValueError(f"`{expression}` first comes more than five years ahead; choose days that come sooner")
    return expression


def _apart(cron: Cron) -> int:
    """The fewest minutes between two of its times of the day, as if it came every day."""
    times = sorted(hour * 60 + minute for hour in cron.hours for minute in cron.minutes)
    return min(later - earlier for earlier, later in zip(times, [*times[1:], times[0] + 24 * 60], strict=True))


def _cron(expression: str) -> Cron:
    parsed = parse(expression)
    if isinstance(parsed, Problem):
        raise ValueError(f"`{expression[:60]}`: {parsed.message}; {parsed.help}")
    return parsed


# ── as it is kept ────────────────────────────────────────────────────────────────────────────────


def _document(found: Any) -> dict[str, Any]:
    """A copy that may be changed; raises ToolError where that would lose what is there."""
    if found is None:
        return {"next": 1, "reminders": {}}
    if not isinstance(found, dict) or not isinstance(found.get("reminders"), dict):
        raise ToolError(f"the document `{MARK}` of the state folder cannot be read, so nothing was changed")
    next = found.get("next")
    return {**found, "next": next if isinstance(next, int) else 1, "reminders": dict(found["reminders"])}


def _has_room(entries: Mapping[str, Any], who: Sender) -> None:
    own = sum(one.of(who) for one in _readable(entries).values())
    if own >= MOST_OF_ONE:
        raise ToolError(f"one person has at most {MOST_OF_ONE} reminders; cancel some first (reminder_list shows them)")
    if len(entries) >= MOST:
        raise ToolError(f"there are {MOST} reminders, the most there may be; somebody has to cancel some of theirs")


def _number(name: str) -> int:
    digits = name.removeprefix(PREFIX)
    return int(digits) if digits.isdecimal() and len(digits) < 16 else 0


def _written(kept: Kept, now: datetime) -> Mapping[str, Any]:
    one = kept.heartbeat
    return {
        "text": one.prompt,
        "act": not one.says,
        "agent": one.agent,
        "once": one.once.isoformat() if one.once else None,
        "cron": one.cron[0] if one.cron else None,
        "timezone": one.timezone,
        "deliver": [str(address) for address in one.deliver],
        "topic": one.topic,
        "notify": [str(address) for address in one.notify],
        "asked_by": str(one.asked_by),
        "person": kept.person,
        "set": now.isoformat(),
    }


def _readable(entries: Mapping[str, Any]) -> dict[str, Kept]:
    """In the order of their numbers."""
    found = {}
    for name in sorted(entries, key=lambda name: (_number(name), name)):
        try:
            found[name] = _read(name, entries[name])
        except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:  # OSError: of a zone's name
            log.error("%s cannot be read and does not run: %s", quote_line(name), type(error).__name__)
    return found


def _read(name: str, entry: Mapping[str, Any]) -> Kept:
    once, cron = entry["once"], entry["cron"]
    if not _number(name) or (once is None) == (cron is None):
        raise ValueError(name)
    instant = datetime.fromisoformat(once) if once is not None else None
    if instant is not None and instant.tzinfo is None:
        raise ValueError(once)
    heartbeat = Heartbeat(
        name=name,
        cron=(_cron(cron).expression,) if cron is not None else (),
        prompt=str(entry["text"]),
        agent=str(entry["agent"]),
        timezone=ZoneInfo(entry["timezone"]).key,
        deliver=tuple(map(Address.parse, entry["deliver"])),
        notify=tuple(map(Address.parse, entry["notify"])),
        once=instant,
        says=entry["act"] is False,
        topic=entry["topic"],
        asked_by=Address.parse(entry["asked_by"]),
    )
    return Kept(heartbeat, entry["person"])
