"""Whether a heartbeat's check wakes the model: what its tool said this time, and the times before.

Law: a check that cannot run has failed; it never passes as well. The same run judged again, after a crash, gets the
same verdict. What was found counts as told only when the run that it woke has ended well. What the tool said is
material for the model, never an instruction. Runs no tool; it is handed what one said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from openclaw.clock import Clock, Waits
from openclaw.manifest.snapshot import Check, Heartbeat
from openclaw.messages import ToolResult, quote_line
from openclaw.output import NOTHING
from openclaw.ports import Marks
from openclaw.words import cut_to

LONGEST = 20_000  # characters of what the model is shown
LINE = 200  # of what the history keeps


@dataclass(frozen=True, slots=True)
class Verdict:
    """`line` is for the history; `found` what the model is told when it is woken."""

    wake: bool
    line: str
    found: str = ""


@dataclass(frozen=True, slots=True)
class _Past:
    """What is remembered of one check. `streak`: times in a row that it was amiss; `woken`: when the model was last
    woken in that row; `told`: whether it was told that it is amiss, and not yet that it is over; `seen`: what it
    last said; `message` and `verdict`: the last run that was judged; `pending`: what holds once that has ended well."""

    check: str = ""  # the digest of the description that all this is of
    streak: int = 0
    woken: str | None = None
    told: bool = False
    seen: str | None = None
    message: str = ""
    verdict: Mapping[str, Any] | None = None
    pending: Mapping[str, Any] | None = None


class Checks:
    def __init__(self, marks: Marks, clock: Clock) -> None:
        self._marks = marks
        self._clock = clock

    async def judge(
        self, heartbeat: Heartbeat, message: str, run: Callable[[], Awaitable[ToolResult]], waits: Waits
    ) -> Verdict:
        """`message` is the inbox id of the run; `run` uses the tool, and is not called for a run that was judged.
        How long the verdict waits for room on the disk is one of `waits`."""
        assert heartbeat.check is not None
        document, version = await self._marks.get(_mark(heartbeat.name))
        past = _past(document, heartbeat.check)
        if past.message == message and past.verdict is not None:
            return Verdict(**past.verdict)
        result = await run()
        verdict, now = _judged(heartbeat.check, past, result, self._clock.now())
        kept = replace(now, message=message, verdict=asdict(verdict), pending=None)
        if verdict.wake:
            kept = replace(kept, **_telling(past), pending=_telling(now))
        with waits.waiting():
            await self._marks.put(_mark(heartbeat.name), asdict(kept), version)  # one run at a time: nobody else writes
        return verdict

    async def told(self, heartbeat: Heartbeat, message: str) -> None:
        """The run of this inbox id has ended well: what its check found needs no telling again."""
        if heartbeat.check is None:
            return
        document, version = await self._marks.get(_mark(heartbeat.name))
        past = _past(document, heartbeat.check)
        if past.message == message and past.pending is not None:
            now = replace(past, **past.pending, pending=None)
            await self._marks.put(_mark(heartbeat.name), asdict(now), version)


def _telling(past: _Past) -> dict[str, Any]:
    return {"woken": past.woken, "told": past.told, "seen": past.seen}


def _judged(check: Check, past: _Past, result: ToolResult, now: datetime) -> tuple[Verdict, _Past]:
    plain = result.said.strip()
    said = "" if plain in ("", NOTHING) else result.text.strip()
    seen = hashlib.sha256(("" if plain == NOTHING else plain).encode("utf-8", "replace")).hexdigest()
    line = _line(check, said, failed=result.is_error)
    changed = past.seen is not None and seen != past.seen
    if check.wake == "change" and not result.is_error:
        verdict = Verdict(changed, f"{'changed' if changed else 'unchanged'}: {line}", _found(line, said))
        return verdict, replace(past, streak=0, woken=None, told=False, seen=seen)
    if not (result.is_error or (check.wake == "output" and said)):
        return _well(check, past, line, said)
    streak = past.streak + 1
    woken = past.woken if past.streak else None  # of this row
    if not _wakes(check, streak, woken, now):
        return Verdict(False, f"{line} ({streak} in a row)"), replace(past, streak=streak, woken=woken)
    verdict = Verdict(True, f"{line} ({streak} in a row)", _found(f"{line}, {streak} in a row", said))
    return verdict, replace(past, streak=streak, woken=now.isoformat(), told=True)


def _well(check: Check, past: _Past, line: str, said: str) -> tuple[Verdict, _Past]:
    over = replace(past, streak=0, woken=None, told=False)
    if check.recovered and past.told:
        return Verdict(True, f"recovered: {line}", _found(f"it has recovered: {line}", said)), over
    return Verdict(False, line), over


def _wakes(check: Check, streak: int, woken: str | None, now: datetime) -> bool:
    if streak < check.after:
        return False
    if woken is None:
        return True
    if check.repeat is None:
        return check.wake == "output"  # every output is news; a failure that lasts is not
    return (now - datetime.fromisoformat(woken)).total_seconds() >= check.repeat


def _line(check: Check, said: str, *, failed: bool) -> str:
    first = quote_line(said.splitlines()[0] if said else "")
    text = f"{check.tool} {'failed' if failed else 'is well' if check.wake == 'failure' else 'said'}"
    text += f": {first}" if first and (failed or check.wake != "failure") else ""
    text = f"{check.tool} said nothing" if not said and not failed and check.wake != "failure" else text
    return cut_to(text, LINE)


def _found(line: str, said: str) -> str:
    cut = said if len(said) <= LONGEST else f"{said[:LONGEST]}\n(cut: it has {len(said):,} characters)"
    return f"{line}\n{cut}" if cut else line


def _past(document: Any, check: Check) -> _Past:
    """What is remembered, as long as it is of the same check."""
    description = hashlib.sha256(json.dumps([check.tool, check.shown, check.wake]).encode()).hexdigest()
    if isinstance(document, dict) and document.get("check") == description:
        known = {"told": document.get("woken") is not None, **document}
        return _Past(**{key: known[key] for key in asdict(_Past()) if key in known})
    return _Past(check=description)


def _mark(name: str) -> str:
    return f"check/{name}"
