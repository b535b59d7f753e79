"""Says what of the promises was not kept in one simulated schedule: reads what the last life left on disk, by itself,
and compares it with the evidence from outside.

The law: a finding is a sentence that names what is wrong; a good run has none. What may happen (a failed answer, a
reply given up, an unknown result) is allowed only where something was made to go wrong that explains it.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crash.oracle import UNKNOWN, unpaired
from openclaw.messages import Reply
from openclaw.sessions.words import CUT_OFF, NEW, PARKED
from openclaw.stores import _codec as codec
from openclaw.transcript import Transcript
from simulation.lives import Run
from simulation.outside import Effect
from simulation.simulated import HALF

_FAILED = ("I could not get an answer", "I stopped: this took longer", "The model declined")


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    tag: str  # the message's own id
    session: str
    state: str
    text: str  # of the message
    reply: Reply | None
    channel: str


@dataclass(frozen=True, slots=True)
class _Left:
    """What the last life left on disk."""

    rows: Sequence[_Row]
    outbox: Sequence[tuple[str, Reply]]  # each with its state, in their order
    files: Mapping[str, Sequence[tuple[Path, Sequence[Mapping[str, Any]]]]]  # by session, the archived ones first
    wrong: Sequence[str]

    def lines(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for session, files in self.files.items():
            for _, lines in files:
                yield from ((session, line) for line in lines)


def judge(run: Run) -> list[str]:
    if run.problems:
        return [*run.problems, *run.outside.found.traces, *run.outside.found.invalid]
    left = _read(run.state)
    return [
        *run.outside.found.traces,
        *run.outside.found.invalid,
        *left.wrong,
        *_accepted(run, left),
        *_answers(run, left),
        *_order(run, left),
        *_arrivals(run, left),
        *_effects(run, left),
        *_transcripts(left),
    ]


# ── what is there ────────────────────────────────────────────────────────────────────────────────


def _read(state: Path) -> _Left:
    with closing(sqlite3.connect(f"file:{state / 'runtime.db'}?mode=ro", uri=True)) as db:
        rows = [
            _Row(id, tag, session, how, _text(message), _reply(reply) if reply else None, channel)
            for id, tag, session, how, message, reply, channel in db.execute(
                "SELECT id, message_id, session, state, message, reply, channel FROM inbox ORDER BY seq"
            )
        ]
        kept = db.execute("SELECT state, reply FROM outbox ORDER BY seq")
        outbox = [(how, _reply(reply)) for how, reply in kept]
    files: dict[str, list[tuple[Path, Sequence[Mapping[str, Any]]]]] = {}
    wrong: list[str] = []
    folder = state / "sessions"
    for path in sorted(folder.glob("archive/*.jsonl"), key=_age) + sorted(folder.glob("*.jsonl")):
        lines = list(_lines(path, wrong))
        if lines:
            files.setdefault(str(lines[0].get("key")), []).append((path, lines[1:]))
    return _Left(rows, outbox, files, wrong)


def _age(path: Path) -> tuple[str, int]:
    """In the order in which they were put aside."""
    _, stamp, _ = path.name.rsplit(".", 2)
    when, _, number = stamp.partition("-")
    return when, int(number or 1)


def _text(message: str) -> str:
    return str(json.loads(message)["parts"][0]["text"])


def _reply(reply: str) -> Reply:
    return codec.reply_from(json.loads(reply))


def _lines(path: Path, wrong: list[str]) -> Iterator[Mapping[str, Any]]:
    *whole, _ = path.read_bytes().split(b"\n")  # a torn last line is cut off where a session is written to again
    for number, line in enumerate(whole, 1):
        try:
            yield json.loads(line)
        except ValueError:
            wrong.append(f"{path.name}:{number} cannot be read")


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


def _accepted(run: Run, left: _Left) -> Iterator[str]:
    """What was acknowledged is there, once, and nothing was refused for good."""
    known = Counter(row.tag for row in left.rows)
    for tag, id in run.outside.found.accepted.items():
        if known[tag] != 1:
            yield f"{tag} was acknowledged and is there {known[tag]} times"
        elif next(row.id for row in left.rows if row.tag == tag) != id:
            yield f"{tag} has another id than it was given"
    for code in run.outside.found.refused:
        if code not in ("busy", "full", "stopping"):
            yield f"something was refused: {code}"


def _answers(run: Run, left: _Left) -> Iterator[str]:
    """Every message ended, with an answer to it, or with words that are explained by what went wrong."""
    lanes = run.outside.lanes
    stopped = {lane for lane, said in lanes.items() if any(update.text == "/stop" for update in said)}
    for row in left.rows:
        text = row.reply.text if row.reply else ""
        if row.state not in ("done", "failed", "parked"):
            yield f"{row.tag} is {row.state}"
        elif row.reply is None:
            if not row.tag.startswith("told-"):
                yield f"{row.tag} ended without a reply"
        elif HALF in text:
            yield f"{row.tag} was answered with half an answer"
        elif row.state == "done":
            if row.text == "/new":
                if text != NEW:
                    yield f"{row.tag} began nothing new: {text}"
            elif row.tag not in text and row.channel != "cron":
                yield f"{row.tag} is done, and was answered with `{text}`"
        elif not _explained(run, row, text, stopped):
            yield f"{row.tag} {row.state} without a reason: {text}"


def _explained(run: Run, row: _Row, text: str, stopped: set[str]) -> bool:
    found = run.outside.found
    if text.startswith(_FAILED):
        return row.session in found.troubled
    if text == "Stopped.":
        return row.channel in stopped
    if text == CUT_OFF:
        return run.crashes > 0 and ("careful" in row.session or "quiet" in row.session)
    return text == PARKED and len(run.ends) > 3


def _order(run: Run, left: _Left) -> Iterator[str]:
    """In a session's transcripts the messages stand as they came, and none is said anew that was answered."""
    for session, files in left.files.items():
        begun: dict[str, bool] = {}  # by inbox id, whether its turn came to an answer
        asked: tuple[str, ...] = ()
        for line in (line for _, lines in files for line in lines):
            if line.get("role") == "user":
                ids = (line["message"], *line.get("joined", ()))
                yield from (f"{session}: {id} was answered, and begun again" for id in ids if begun.get(id))
                steers = line["message"] not in begun and any(id in asked for id in ids)
                asked = (*asked, *ids) if steers else ids
                begun |= dict.fromkeys(ids, False)
            elif line.get("role") == "assistant" and not _calls(line):
                begun |= dict.fromkeys(asked, True)
        mine = [row for row in left.rows if row.session == session and row.tag not in run.outside.found.retried]
        came = [row.id for row in mine if row.id in begun]
        if came != [id for id in begun if id in came]:
            yield f"{session}: messages were taken up in another order than they came"


def _calls(answer: Mapping[str, Any]) -> list[str]:
    return [block["id"] for block in answer["content"] if block["type"] == "tool_use"]


# ── replies ──────────────────────────────────────────────────────────────────────────────────────


def _arrivals(run: Run, left: _Left) -> Iterator[str]:
    """Every reply arrived, in its order, and more than once only with the mark."""
    found = run.outside.found
    first: dict[tuple[str, str | None, str], int] = {}
    for at, arrival in enumerate(found.arrivals):
        key = (arrival.place, arrival.answers, arrival.text)
        if key in first and not arrival.repeated:
            yield f"`{arrival.text}` arrived at {arrival.place} again, without a mark"
        first.setdefault(key, at)
        if HALF in arrival.text:
            yield f"half an answer arrived at {arrival.place}"
    places: dict[str, list[int]] = {}
    for state, reply in left.outbox:
        place = str(reply.place)
        key = (place, reply.answers, reply.text)
        if state == "dead":
            if (place, reply.text) not in found.buried:
                yield f"`{reply.text}` was given up"
        elif state != "sent" or key not in first:
            yield f"`{reply.text}` to {place} is {state}, and {'arrived' if key in first else 'never arrived'}"
        else:
            places.setdefault(place, []).append(first[key])
    for place, order in places.items():
        if order != sorted(order):
            yield f"replies arrived at {place} in another order than they were given"
    answered = {reply.answers for _, reply in left.outbox}
    for row in left.rows:
        text = row.reply.text if row.reply else ""
        joined = any(reply.text == text and reply.to.channel == row.channel for _, reply in left.outbox)
        if row.channel != "cron" and row.id not in answered and not joined and text != CUT_OFF:
            yield f"the reply to {row.tag} never entered the outbox"


# ── tools ────────────────────────────────────────────────────────────────────────────────────────


def _effects(run: Run, left: _Left) -> Iterator[str]:
    """An effect happened once, was announced before, and its result says what is known of it."""
    effects = run.outside.found.effects
    times = Counter(effect.n for effect in effects)
    ran = Counter((effect.session, effect.call) for effect in effects)
    for effect in {effect.n: effect for effect in effects if effect.tool == "bump"}.values():
        if times[effect.n] > 1 + _asked_anew(run, left, effect) + _again_after_a_refusal(run, left, effect):
            yield f"{effect.n} had its effect {times[effect.n]} times"
    intents = {(session, line["call"]) for session, line in left.lines() if line["type"] == "intent"}
    for effect in effects:
        if (effect.session, effect.call) not in intents:
            yield f"{effect.n} had its effect without an intent"
    for session, lines in ((session, lines) for session, files in left.files.items() for _, lines in files):
        begun = {line["call"] for line in lines if line["type"] == "intent"}
        for line in (line for line in lines if line["type"] == "result"):
            call, text = (session, line["call"]), line["content"]
            if text.startswith("done ") and not ran[call]:
                yield f"{line['call']} has a result and no effect"
            if text.startswith("not run") and ran[call] and line["call"] in begun:  # else another conversation ran it
                yield f"{line['call']} is told as not run, and had its effect"
            if text.startswith(UNKNOWN) and call not in intents:
                yield f"{line['call']} is told as unknown, and was never begun"


def _asked_anew(run: Run, left: _Left, effect: Effect) -> bool:
    """Whether the operator had its message tried once more after the conversation that tells of it was put aside."""
    told = [
        path
        for path, lines in left.files.get(effect.session, ())
        if any(line["type"] == "intent" and line["call"] == effect.call for line in lines)
    ]
    return len(told) > 1 and effect.n.partition(".")[0] in run.outside.found.retried


def _again_after_a_refusal(run: Run, left: _Left, effect: Effect) -> int:
    """How often the model asked for it once more after it had declined the turn of the time before. Nothing of such a
    turn is sent again but the word that its tools may have had their effect, which this model does not heed."""
    if effect.n in run.outside.found.untold:
        return 0
    again = 0
    for _, lines in left.files.get(effect.session, ()):
        asked, declined = False, False
        for line in lines:
            if line.get("role") == "assistant" and effect.call in _calls(line):
                again += declined
                asked, declined = True, False
            declined = declined or (asked and line.get("stop_reason") == "refusal")
    return again


def _transcripts(left: _Left) -> Iterator[str]:
    """Each call has one result, and a model would take all of it."""
    ended = {row.id for row in left.rows if row.reply is not None and row.reply.text in (PARKED, CUT_OFF)}
    for session, files in left.files.items():
        for path, lines in files:
            yield from _paired(session, path, _whole(lines, ended))
    for session, line in left.lines():
        if HALF in json.dumps(line):
            yield f"{session}: half an answer is in the transcript"


def _whole(lines: Sequence[Mapping[str, Any]], ended: set[str]) -> Sequence[Mapping[str, Any]]:
    """Without the last answer where its message was put aside for good: the next turn there would have closed it."""
    asked = [line["message"] for line in lines if line.get("role") == "user"]
    last = max((at for at, line in enumerate(lines) if line.get("role") == "assistant"), default=None)
    return lines[:last] if last is not None and asked and asked[-1] in ended else lines


def _paired(session: str, path: Path, lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    calls = [id for line in lines if line.get("role") == "assistant" for id in _calls(line)]
    results = Counter(line["call"] for line in lines if line["type"] == "result")
    yield from (f"{path.name}: {id} has {results[id]} results" for id in calls if results[id] != 1)
    yield from (f"{path.name}: a result for {id}, which nobody called" for id in results if id not in calls)
    try:
        entries = [codec.entry_from(line) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        yield f"{path.name}: an entry cannot be read: {error!r}"
        return
    yield from (f"{session}: {wrong}" for wrong in unpaired(Transcript(entries).messages("")))
