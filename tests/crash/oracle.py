"""Reads what a run left on disk, by itself, and says what of the promises was not kept.

It opens the files as any other program would: JSON line by line, SQLite read-only. Only the messages a model
would be sent are rendered by the product, because how they are rendered is what is checked.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from crash.harness import Site, Sweep
from openclaw.stores import _codec as codec
from openclaw.transcript import Transcript

UNKNOWN = "unknown:"


def rows(state: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{state / 'runtime.db'}?mode=ro", uri=True, timeout=10)) as db:
        return db.execute(query).fetchall()


@dataclass(slots=True)
class Findings:
    """Each list names what is wrong; all are empty after a good run. The counts are of what is allowed."""

    lost: list[str] = field(default_factory=list)  # accepted and not answered
    double: list[str] = field(default_factory=list)  # answered twice, or begun twice
    reordered: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)  # effects of a tool
    silent: list[str] = field(default_factory=list)  # effects without an intent, results without their effect
    unreadable: list[str] = field(default_factory=list)
    unpaired: list[str] = field(default_factory=list)  # calls without exactly one result
    beats: list[str] = field(default_factory=list)  # heartbeats that ran twice, or not though they were to
    unmarked: list[str] = field(default_factory=list)  # replies sent twice without a mark, or not at all
    traces: list[str] = field(default_factory=list)  # tracebacks in the log
    messages: int = 0
    unknown: int = 0  # results that say so
    stopped: int = 0
    parked: int = 0
    notified: int = 0  # turns that a crash cut off, of which the sender was told
    together: int = 0  # messages that were answered with another one
    repeated: int = 0  # replies sent again, with the mark
    torn: int = 0  # tails that were cut, kept aside and reported

    def faults(self) -> dict[str, list[str]]:
        named = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: found for name, found in named.items() if isinstance(found, list) and found}


@dataclass(frozen=True, slots=True)
class Row:
    """Of the inbox."""

    id: str
    session: str
    state: str
    attempts: int
    message: dict[str, Any]
    reply: dict[str, Any] | None
    settled: bool

    @property
    def text(self) -> str:
        return "".join(part.get("text", "") for part in self.message["parts"])

    @property
    def is_told(self) -> bool:
        """What a heartbeat said, on its way into the session of whoever it was said to."""
        return str(self.message["id"]).startswith("told-")

    @property
    def turns(self) -> bool:
        """Whether it is answered by the model, and so has lines of its own: no command, no reminder, nothing told."""
        return not (self.is_told or self.text.startswith("/") or self.session.startswith("cron:reminder."))


def judge(site: Site, lanes: Sequence[Any] = ()) -> Findings:
    found = Findings()
    files = {path: lines_of(path, found) for path in transcripts(site.state)}
    inbox = inbox_of(site.state)
    _accepted(inbox, lanes, found)
    sessions: dict[str, list[dict[str, Any]]] = {}
    for lines in files.values():
        sessions.setdefault(lines[0]["key"], []).extend(lines[1:])
    for key in sessions.keys() | {row.session for row in inbox}:
        _session(key, sessions.get(key, []), [row for row in inbox if row.session == key], found)
    for lines in files.values():
        _pairs(lines[0]["key"], lines, found)
    every = [line for lines in files.values() for line in lines]
    _effects(site, every, found)
    _beats(site, inbox, found)
    _replies(site, found)
    logged(site, found)
    return found


def transcripts(state: Path) -> list[Path]:
    """What was put aside comes before what a session goes on with."""
    folder = state / "sessions"
    return [*sorted((folder / "archive").glob("*.jsonl")), *sorted(folder.glob("*.jsonl"))]


def inbox_of(state: Path) -> list[Row]:
    """All messages, in the order in which they were taken in."""
    query = "SELECT id, session, state, attempts, message, reply, settled FROM inbox ORDER BY seq"
    return [
        Row(id, session, status, tries, json.loads(said), json.loads(reply or "null"), settled is not None)
        for id, session, status, tries, said, reply, settled in rows(state, query)
    ]


def lines_of(path: Path, found: Logged) -> list[dict[str, Any]]:
    lines = []
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        found.unreadable.append(f"{path.name}: no newline at the end")
    for number, raw in enumerate(content.splitlines(), 1):
        try:
            lines.append(json.loads(raw))
        except ValueError:
            found.unreadable.append(f"{path.name}:{number}")
    return lines


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


def _accepted(inbox: Sequence[Row], lanes: Sequence[Any], found: Findings) -> None:
    places = {row.id: at for at, row in enumerate(inbox)}
    found.messages = len(inbox)
    for lane in lanes:
        found.lost += [f"{lane.session}: {id} was acknowledged" for id in lane.taken if id and id not in places]
        order = [places[id] for id in lane.taken if id in places]
        if order != sorted(order):
            found.reordered.append(f"{lane.session}: accepted in another order")
    for row in inbox:
        said = row.reply["text"] if row.reply else ""
        if not row.settled or (row.reply is None and not row.is_told):
            found.lost.append(f"{row.session}: {row.id} is {row.state}")
        elif row.state == "parked" and row.attempts > 3:
            found.parked += 1
        elif row.state == "failed" and said == "Stopped.":
            found.stopped += 1
        elif said.startswith("The answer to this was cut off"):
            found.notified += 1
        elif row.state != "done":
            found.lost.append(f"{row.session}: {row.id} is {row.state}: {said}")


def _session(key: str, lines: Sequence[dict[str, Any]], mine: Sequence[Row], found: Findings) -> None:
    turns = _turns(key, lines, found)
    if [row.id for row in mine if row.id in turns] != list(turns):
        found.reordered.append(f"{key}: turns in another order than the messages")
    for row in mine:
        said = turns.get(row.id, [])
        if len(said) > 1:
            found.double.append(f"{key}: {row.id} has {len(said)} answers")
        if row.turns and row.state == "done" and (not said or (row.reply or {}).get("text") != said[-1]):
            found.lost.append(f"{key}: {row.id} is done, but its reply is not in the transcript")
    told = Counter(line["message"] for line in lines if line["type"] == "told")
    found.double += [f"{key}: {id} was told {count} times" for id, count in told.items() if count > 1]
    found.lost += [f"{key}: {row.id} is not told" for row in mine if row.is_told and not told[row.id]]


def _turns(key: str, lines: Sequence[dict[str, Any]], found: Findings) -> dict[str, list[str]]:
    """The answers to each message, in the order in which they were begun; what is answered together shares them."""
    turns: dict[str, list[str]] = {}
    answers: list[str] = []
    for line in lines:
        if line.get("role") == "user":
            if line["message"] in turns:
                found.double.append(f"{key}: {line['message']} was begun twice")
            joined = line.get("joined", [])
            found.together += len(joined)
            answers = next((turns[id] for id in joined if id in turns), [])
            for id in (line["message"], *joined):
                turns.setdefault(id, answers)
        elif line.get("role") == "assistant" and not _calls(line):
            answers.append("".join(block.get("text", "") for block in line["content"]))
    return turns


# ── calls ────────────────────────────────────────────────────────────────────────────────────────


def _calls(line: dict[str, Any]) -> list[str]:
    return [block["id"] for block in line["content"] if block["type"] == "tool_use"]


def _pairs(key: str, lines: Sequence[dict[str, Any]], found: Findings) -> None:
    calls = [id for line in lines if line.get("role") == "assistant" for id in _calls(line)]
    results = Counter(line["call"] for line in lines if line["type"] == "result")
    found.unpaired += [f"{key}: {id} has {results[id]} results" for id in calls if results[id] != 1]
    found.unpaired += [f"{key}: a result for {id}, which nobody called" for id in results if id not in calls]
    entries = [codec.entry_from(line) for line in lines[1:]]
    found.unpaired += [f"{key}: {wrong}" for wrong in unpaired(Transcript(entries).messages(""))]
    found.unknown += sum(line["type"] == "result" and line["content"].startswith(UNKNOWN) for line in lines)


def unpaired(messages: Sequence[Any]) -> list[str]:
    """What a model would refuse: calls whose results are not all in the very next message, each once."""
    wrong = []
    for at, message in enumerate(messages):
        asked = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        after = messages[at + 1]["content"] if at + 1 < len(messages) else []
        given = [block["tool_use_id"] for block in after if block["type"] == "tool_result"]
        if (asked or given) and asked != given:
            wrong.append(f"message {at} asks for {asked}, the next one answers {given}")
    return wrong


def _effects(site: Site, lines: Sequence[dict[str, Any]], found: Findings) -> None:
    effects = site.effects
    bumped = {path.name.removeprefix("count-"): path.stat().st_size for path in site.state.glob("workspace/count-*")}
    ids, numbers = Counter(id for id, _ in effects), Counter(n for _, n in effects)
    found.twice += [f"call {id}: {n} times" for id, n in ids.items() if n > 1]
    found.twice += [f"note {name}: {n} times" for name, n in numbers.items() if n > 1]
    found.twice += [f"bump {name}: {n} times" for name, n in bumped.items() if n > 1]
    intents = {line["call"]: line for line in lines if line["type"] == "intent"}
    intended = {line["input"]["n"] for line in intents.values() if line["tool"] == "bump"}
    found.silent += [f"call {id} had its effect without an intent" for id in ids if id not in intents]
    found.silent += [f"bump {name} had its effect without an intent" for name in bumped if name not in intended]
    for line in lines:
        if line["type"] != "result" or line["is_error"]:
            continue
        intent = intents.get(line["call"], {"tool": ""})
        if line["content"] == "noted" and ids[line["call"]] != 1:
            found.silent.append(f"call {line['call']} has a result and no effect")
        if intent["tool"] == "bump" and intent["input"]["n"] not in bumped:
            found.silent.append(f"bump {intent['input']['n']} has a result and no effect")


# ── heartbeats ───────────────────────────────────────────────────────────────────────────────────


def _beats(site: Site, inbox: Sequence[Row], found: Findings) -> None:
    """Every scheduled time that was run is one message, with one reply at each place."""
    there = {row.id for row in inbox}
    fires = rows(site.state, "SELECT schedule, instant, message FROM fires WHERE message IS NOT NULL")
    found.beats += [f"{name} at {instant}: its message is lost" for name, instant, id in fires if id not in there]
    runs = Counter(id for _, _, id in fires)
    found.beats += [f"{row.id} of {row.session} has {runs[row.id]} times" for row in inbox if _beat(row, runs)]
    told = {row.message["id"] for row in inbox}
    put: Counter[tuple[str, str]] = Counter()
    query = "SELECT id, reply, message, json_extract(reply, '$.to') FROM outbox"
    for id, reply, message, to in rows(site.state, query):
        if message in runs:
            put[message, to] += 1
            if f"told-{id}" not in told:
                found.lost.append(f"{message}: the session of {to} was not told: {json.loads(reply)['text']}")
    found.beats += [f"{id} was put out {count} times to {to}" for (id, to), count in put.items() if count > 1]


def _beat(row: Row, runs: Counter[str]) -> bool:
    return row.session.startswith("cron:") and runs[row.id] != 1


# ── replies and the log ──────────────────────────────────────────────────────────────────────────


def _replies(site: Site, found: Findings) -> None:
    """Every reply was printed, and more than once only where standard error says that it may be a repetition."""
    printed = Counter((site.root / "stdout").read_text().splitlines())
    marks = (site.root / "stderr").read_text().count("may be a repetition")
    due: Counter[str] = Counter()
    for state, reply in rows(site.state, "SELECT state, reply FROM outbox WHERE channel = 'repl'"):
        shown, failed = json.loads(reply)["text"], json.loads(reply)["failed"]
        due[shown] += 1
        if state != "sent" or (not failed and not printed[shown]):
            found.unmarked.append(f"`{shown}` was not delivered ({state})")
    more = sum(max(0, printed[shown] - count) for shown, count in due.items())
    if more > marks:
        found.unmarked.append(f"{more} replies were printed again, {marks} with a mark")
    found.repeated = marks


class Logged(Protocol):
    """What the log tells, and whether the files can be read."""

    traces: list[str]
    unreadable: list[str]
    torn: int


def logged(site: Site, found: Logged) -> None:
    log = (site.root / "stderr").read_text()
    if "Traceback" in log:
        found.traces.append(log[log.index("Traceback") :][:3000])
    aside = list((site.state / "sessions").glob("*.damaged"))
    found.torn = log.count("damaged bytes skipped; kept in")
    if len(aside) > found.torn:
        found.unreadable.append(f"{len(aside)} files of damage, {found.torn} of them reported")


# ── the table ────────────────────────────────────────────────────────────────────────────────────


def table(run: Sweep, found: Findings) -> str:
    row = {
        "kills": run.kills,
        "messages": found.messages,
        "posted again": sum(lane.again for lane in run.lanes),
        "lost": len(found.lost),
        "double": len(found.double),
        "reordered": len(found.reordered),
        "effects twice": len(found.twice),
        "unreadable": len(found.unreadable),
        "torn": found.torn,
        "unknown": found.unknown,
        "parked": found.parked,
        "stopped": found.stopped,
        "marked again": found.repeated,
        "ready after": f"{max(run.starts):.2f} s",
    }
    widths = {name: max(len(name), len(str(value))) for name, value in row.items()}
    head = "  ".join(name.rjust(widths[name]) for name in row)
    return f"seed {run.seed}\n{head}\n" + "  ".join(str(value).rjust(widths[name]) for name, value in row.items())
