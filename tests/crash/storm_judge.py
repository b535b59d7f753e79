"""What a storm left behind, judged from the files alone, from what was said and acknowledged, and from the phones.

The law: it knows nothing of how the runtime works but the formats: rows of the inbox, lines of the transcripts, those
put aside included. Messages that were answered together are one group: each of them was read once, and the group has
one answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from crash.harness import Site
from crash.oracle import lines_of, logged, rows, unpaired
from crash.storm_project import TOLD
from crash.storm_scene import Storm
from openclaw.stores import _codec as codec
from openclaw.transcript import Transcript

UNKNOWN = "unknown:"
REPEATED = "(repeated after a restart)"
Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """Of the inbox."""

    id: str
    channel: str
    session: str
    state: str
    text: str
    told: bool
    reply: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a session, without its head."""

    lines: list[Line]
    aside: bool  # it was archived

    @property
    def began(self) -> str:
        return str(self.lines[0]["at"]) if self.lines else ""

    @property
    def sent(self) -> list[Line]:
        """What a model may still be sent. A message that was put aside leaves calls open for the next one to close,
        and where that was `/new` nobody ever reads them again."""
        last = max((at for at, line in enumerate(self.lines) if line.get("role") == "assistant"), default=0)
        after = {line["type"] for line in self.lines[last + 1 :]}
        unread = self.aside and self.lines and "message" not in after and _calls(self.lines[last])
        return self.lines[:last] if unread else self.lines


@dataclass(slots=True)
class Found:
    """Each list names what is wrong; all are empty after a good storm. The counts are of what is allowed."""

    lost: list[str] = field(default_factory=list)  # accepted and not answered, or answered and not delivered
    twice: list[str] = field(default_factory=list)  # begun, answered or, without a mark, delivered twice
    reordered: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)  # effects of a tool that nobody asked for a second time
    silent: list[str] = field(default_factory=list)  # effects without an intent, results without their effect
    unreadable: list[str] = field(default_factory=list)
    unpaired: list[str] = field(default_factory=list)  # calls without exactly one result
    traces: list[str] = field(default_factory=list)  # tracebacks in the log
    accepted: int = 0
    together: int = 0  # messages that were answered with another one
    unknown: int = 0  # results that say so
    marked: int = 0  # replies sent again, with the mark
    stopped: int = 0
    parked: int = 0
    fired: int = 0  # runs of the heartbeat
    torn: int = 0  # tails that were cut and reported

    def faults(self) -> dict[str, list[str]]:
        named = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: found for name, found in named.items() if isinstance(found, list) and found}


def judge(storm: Storm) -> Found:
    found, inbox = left(storm.site)
    _acknowledged(storm, inbox, found)
    _phones(storm, found)
    _beats(storm.site.state, inbox, found)
    return found


def left(site: Site) -> tuple[Found, list[Row]]:
    """What the files alone say: messages, transcripts, effects, the log."""
    found, state = Found(), site.state
    inbox = [Row(*row) for row in rows(state, _INBOX)]
    found.accepted = len(inbox)
    whole: list[Line] = []
    for key, parts in _sessions(state / "sessions", found).items():
        _session(key, parts, [row for row in inbox if row.session == key], found)
        whole += [line for part in parts for line in part.lines]
    _ended(inbox, found)
    _effects(site, whole, found)
    logged(site, found)
    return found, inbox


_INBOX = """SELECT id, channel, session, state, json_extract(route, '$.text'), message_id LIKE 'told-%',
    json_extract(reply, '$.text') FROM inbox ORDER BY seq"""


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


def _acknowledged(storm: Storm, inbox: Sequence[Row], found: Found) -> None:
    places = {row.id: at for at, row in enumerate(inbox)}
    for person in storm.people:
        found.lost += [f"{person.name}: {id} was acknowledged" for id in person.taken if id not in places]
        order = [places[id] for id in person.taken if id in places]
        if order != sorted(order) or len(set(order)) < len(order):
            found.reordered.append(f"{person.name}: accepted in another order")
    for phone in storm.phones:
        session = f"agent:main:telegram:{phone.id}"
        written = [f"p{phone.id}-{number}" for number in range(1, phone.said + 1)]
        kept = [row.text.split()[1] for row in inbox if row.session == session and not row.told]
        if kept != written:
            lost = sorted(set(written) - set(kept))
            place = found.lost if lost else found.reordered
            place.append(f"{session}: {lost or 'accepted in another order or twice'}")


def _ended(inbox: Sequence[Row], found: Found) -> None:
    for row in inbox:
        if row.state == "parked":
            found.parked += 1
        elif row.state == "failed" and row.reply == "Stopped.":
            found.stopped += 1
        elif row.state != "done":
            found.lost.append(f"{row.session}: {row.id} is {row.state}: {row.reply}")


def _sessions(folder: Path, found: Found) -> dict[str, list[Part]]:
    """By key its files, the oldest first."""
    kept: dict[str, list[Part]] = {}
    for path in [*folder.glob("*.jsonl"), *folder.glob("archive/*.jsonl")]:
        head, *lines = lines_of(path, found)
        kept.setdefault(head["key"], []).append(Part(lines, path.parent != folder))
    return {key: sorted(parts, key=lambda part: part.began) for key, parts in kept.items()}


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


def _session(key: str, parts: Sequence[Part], inbox: Sequence[Row], found: Found) -> None:
    answers: dict[str, list[str]] = {}  # by message, those of the group that it belongs to
    for part in parts:
        _read(key, part.lines, answers, found)
        _pairs(key, part.sent, found)
        found.unknown += sum(line["type"] == "result" and line["content"].startswith(UNKNOWN) for line in part.lines)
    order = [row.id for row in inbox if row.id in answers]
    if order != list(answers):
        found.reordered.append(f"{key}: read in another order than accepted")
    for row in inbox:
        said = answers.get(row.id)
        if row.told or row.state != "done" or row.text.startswith("/"):
            continue
        if said is None or len(said) != 1 or said[0] != row.reply:
            found.lost.append(f"{key}: {row.id} is answered `{row.reply}`; the transcript has {said}")


def _read(key: str, lines: Sequence[Line], answers: dict[str, list[str]], found: Found) -> None:
    """The messages in the order in which their words were written down first, and what each group was answered.

    A turn that was cut off, and that others came after or that is tried for the last time, is said anew: it must have
    had no answer, and has the one that comes then."""
    group: list[str] = []
    for line in lines:
        if line["type"] == "told":
            answers[line["message"]] = []
        elif line.get("role") == "user":
            ids = (line["message"], *line.get("joined", ()))
            if line["message"] in answers:
                found.twice += [f"{key}: {id} was said anew, and had an answer" for id in ids if answers.get(id)]
                group = []
                answers.update(dict.fromkeys(ids, group))
                continue
            new = [id for id in ids if id not in answers]
            old = [id for id in ids if id in answers]
            if any(answers[id] is not group for id in old):
                found.twice.append(f"{key}: {line['message']} joined what had ended")
            group = group if old else []
            found.together += len(new) - (not old)
            answers.update(dict.fromkeys(new, group))
        elif line.get("role") == "assistant" and not _calls(line):
            group.append("".join(block.get("text", "") for block in line["content"]))
            if len(group) > 1:
                found.twice.append(f"{key}: {len(group)} answers in one turn: {group}")


def _calls(line: Line) -> list[str]:
    """The ids of what an answer asks for."""
    return [block["id"] for block in _asked(line)]


def _asked(line: Line) -> list[dict[str, Any]]:
    return [block for block in line.get("content", ()) if block["type"] == "tool_use"]


def _pairs(key: str, lines: Sequence[Line], found: Found) -> None:
    calls = [id for line in lines if line.get("role") == "assistant" for id in _calls(line)]
    results = Counter(line["call"] for line in lines if line["type"] == "result")
    found.unpaired += [f"{key}: {id} has {results[id]} results" for id in calls if results[id] != 1]
    found.unpaired += [f"{key}: a result for {id}, which nobody called" for id in results if id not in calls]
    entries = [codec.entry_from(line) for line in lines]
    found.unpaired += [f"{key}: {wrong}" for wrong in unpaired(Transcript(entries).messages(""))]


# ── effects ──────────────────────────────────────────────────────────────────────────────────────


def _effects(site: Site, lines: Sequence[Line], found: Found) -> None:
    """Each call has its effect once: of `note`, `hold` or `stamp`, which write its number down, and of `bump`. A turn
    that is said anew may ask for one with the same number again."""
    traced = Counter(n for _, n in site.effects if not n.startswith("tick-"))
    ticks = sum(n.startswith("tick-") for _, n in site.effects)
    counted = site.state.glob("workspace/count-*")
    bumped = {path.name.removeprefix("count-"): path.stat().st_size for path in counted}
    intents = [line for line in lines if line["type"] == "intent"]
    meant = {(line["tool"] == "bump", line["input"].get("n")) for line in intents}
    calls = [call for line in lines if line.get("role") == "assistant" for call in _asked(line)]
    asked = Counter((call["name"] == "bump", call["input"].get("n")) for call in calls)
    had = [*((False, n, times) for n, times in traced.items()), *((True, n, times) for n, times in bumped.items())]
    found.doubled += [f"effect {n}: {times} times" for bump, n, times in had if times > max(asked[bump, n], 1)]
    if ticks > sum(call["name"] == "tick" for call in calls):
        found.doubled.append(f"{ticks} ticks, more than were asked for")
    found.silent += [f"{n} had its effect without an intent" for n in traced if (False, n) not in meant]
    found.silent += [f"bump {n} had its effect without an intent" for n in bumped if (True, n) not in meant]
    numbers = {n for n in traced if traced[n]}
    for n in _noted(lines):
        if n not in numbers:
            found.silent.append(f"{n} has a result and no effect")


def _noted(lines: Sequence[Line]) -> Iterator[str]:
    """The numbers of calls whose result says that they were written down."""
    asked: dict[str, str] = {}
    for line in lines:
        if line.get("role") == "assistant":
            asked |= {call["id"]: call["input"].get("n", "") for call in _asked(line)}
        elif line["type"] == "result" and line["content"] == "noted":
            yield asked[line["call"]]


# ── replies, heartbeats, the log ─────────────────────────────────────────────────────────────────


def _phones(storm: Storm, found: Found) -> None:
    """Every reply stands on its phone, and without the mark at most once."""
    sent = rows(
        storm.site.state, "SELECT state, json_extract(reply, '$.text'), json_extract(reply, '$.to') FROM outbox"
    )
    for state, text, to in sent:
        if state != "sent":
            found.lost.append(f"`{text}` to {to} is {state}")
    wanted = Counter((to, text) for _, text, to in sent)
    for id in (*(phone.id for phone in storm.phones), TOLD):
        texts = Counter(_bare(text) for text in storm.telegram.texts(id))
        for (to, text), times in wanted.items():
            if to != f"telegram:{id}":
                continue
            plain, marked = texts[(text, False)], texts[(text, True)]
            found.marked += marked
            if plain + marked < times:
                found.lost.append(f"`{text}` is not on phone {id}")
            if plain > times:
                found.twice.append(f"`{text}` is on phone {id} {plain} times")


def _bare(text: str) -> tuple[str, bool]:
    """What a reply says, and whether it is marked as a repetition."""
    bare = text.removeprefix("\N{WARNING SIGN} ")
    return bare.removeprefix(REPEATED).strip(), bare.startswith(REPEATED)


def _beats(state: Path, inbox: Sequence[Row], found: Found) -> None:
    """One message of each instant, and none that no instant is for."""
    fired = [id for (id,) in rows(state, "SELECT message FROM fires WHERE message IS NOT NULL")]
    run = [row.id for row in inbox if row.session == "cron:beat"]
    found.fired = len(fired)
    if sorted(fired) != sorted(run):
        found.twice.append(f"{len(fired)} instants of the heartbeat, {len(run)} runs")


# ── the table ────────────────────────────────────────────────────────────────────────────────────


def table(storm: Storm, found: Found) -> str:
    """Two lines of figures: what must be none, and what else happened."""
    wrong = {name: len(getattr(found, name)) for name in _WRONG}
    beside = {
        "parked": found.parked,
        "stopped": found.stopped,
        "together": found.together,
        "questions": storm.answered,
        "heartbeats": found.fired,
        "edits": storm.edited,
        "said again": sum(person.again for person in storm.people),
        "busy": storm.busy,
        "torn": found.torn,
        "drained after": f"{storm.drained:.1f} s",
    }
    first = {
        "kills": storm.kills,
        "accepted": found.accepted,
        **{_WRONG[name]: count for name, count in wrong.items()},
        "unknown": found.unknown,
        "marked": found.marked,
        "worst recovery": f"{max(storm.starts):.2f} s",
    }
    return "\n".join([f"seed {storm.seed}, {storm.unready} kills while it started", _row(first), _row(beside)])


_WRONG = {
    "lost": "lost",
    "twice": "answered twice",
    "reordered": "reordered",
    "doubled": "double runs",
    "silent": "silent",
    "unreadable": "unreadable",
    "unpaired": "unpaired",
}


def _row(figures: dict[str, Any]) -> str:
    widths = {name: max(len(name), len(str(value))) for name, value in figures.items()}
    head = "  ".join(name.rjust(widths[name]) for name in figures)
    return f"{head}\n" + "  ".join(str(value).rjust(widths[name]) for name, value in figures.items())
