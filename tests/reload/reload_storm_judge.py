"""Judges a storm of reloads by what was recorded outside of the runtime: messages, the model's requests, transcripts.

Pure: a record in, faults out. It knows nothing of how the storm was made, so a doctored record shows that it can fail.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise

from reload.reload_storm_project import Asked

KB = 12_288  # by which memory may have grown,
KB_A_MESSAGE = 2  # and by what each message leaves, with reloads as without: rows and pages that are kept warm
FEW = 2  # threads or tasks that one moment may have more than another
POOLED = 20  # sockets, of as many sessions as talk: connections to the model that wait for the next request


@dataclass(frozen=True, slots=True)
class Said:
    """A message and what became of it. `least` and `most`: the versions that may have answered it, the one that was in
    force when it was said and the last one that was on disk when it was answered."""

    word: str
    session: str
    least: int
    most: int
    reply: str | None


@dataclass(frozen=True, slots=True)
class Edit:
    """A version, what was wrong with it, who asked for the look, and how the attempt ended."""

    n: int
    fault: str
    trigger: str
    outcome: str
    ms: float

    @property
    def expected(self) -> str:
        return "refused" if self.fault else "applied"


@dataclass(slots=True)
class Record:
    said: list[Said] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    sessions: dict[str, list[tuple[str, list[str]]]] = field(default_factory=dict)  # word and replies, in order
    broken: list[str] = field(default_factory=list)  # streams and connections that ended before their time
    before: Mapping[str, int] = field(default_factory=dict)
    after: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(slots=True)
class Found:
    """Each list names what is wrong; all are empty after a good storm."""

    lost: list[str] = field(default_factory=list)
    half: list[str] = field(default_factory=list)  # turns that were told of two versions, or of one never in force
    stale: list[str] = field(default_factory=list)  # turns under a version that had given way before they began
    doubled: list[str] = field(default_factory=list)
    reordered: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    misjudged: list[str] = field(default_factory=list)  # edits whose attempt ended otherwise than they deserved
    grown: list[str] = field(default_factory=list)

    def faults(self) -> dict[str, list[str]]:
        return {part.name: found for part in fields(self) if (found := getattr(self, part.name))}


def judge(record: Record) -> Found:
    found, good = Found(), {0, *(edit.n for edit in record.edits if not edit.fault)}
    requests = defaultdict[str, list[Asked]](list)
    for asked in record.asked:
        requests[asked.word].append(asked)
    for said in record.said:
        if said.reply != f"re {said.word}":
            found.lost.append(f"{said.word} was answered `{said.reply}`")
        _turn(said, requests[said.word], good, found)
    for session, turns in record.sessions.items():
        _session(session, [said.word for said in record.said if said.session == session], turns, found)
    found.dropped += record.broken
    found.misjudged += [f"{edit}" for edit in record.edits if edit.outcome != edit.expected]
    _grown(record, found)
    return found


def _turn(said: Said, requests: Sequence[Asked], good: set[int], found: Found) -> None:
    """One version in everything but what forbids: that may be any later one, for the tighter of the two decides."""
    told = {number for asked in requests for number in asked.told}
    code = {number for asked in requests for number in asked.code}
    policy = {number for asked in requests for number in asked.policy}
    if len(told) != 1 or not told <= good or not code <= told:
        found.half.append(f"{said.word} was told of {sorted(told)}, its code is of {sorted(code)}")
    elif not said.least <= max(told) <= said.most:
        found.stale.append(f"{said.word} was told of {max(told)}, not of {said.least} to {said.most}")
    if not policy <= good or any(number < min(told, default=0) for number in policy):
        found.half.append(f"{said.word} was refused by {sorted(policy)} and told of {sorted(told)}")
    wanted = 2 if int(said.word.rpartition("-")[2]) % 3 == 0 else 1
    if len(requests) > wanted:
        found.doubled.append(f"{said.word} was asked {len(requests)} times, not {wanted}")


def _session(session: str, words: Sequence[str], turns: Sequence[tuple[str, list[str]]], found: Found) -> None:
    heard = [word for word, _ in turns]
    if heard != words:
        missing = sorted(set(words) - set(heard))
        found.lost += [f"{word} is not in {session}" for word in missing]
        twice = [word for word, times in Counter(heard).items() if times > 1]
        found.doubled += [f"{word} is more than once in {session}" for word in twice]
        if not missing and not twice:
            found.reordered.append(f"{session}: {next(pair for pair in pairwise(heard) if pair[0] > pair[1])}")
    for word, replies in turns:
        if len(replies) > 1:
            found.doubled.append(f"{word} has {len(replies)} replies in {session}")
        elif replies != [f"re {word}"]:
            found.lost.append(f"{word} has {replies} in {session}")


def _grown(record: Record, found: Found) -> None:
    for name, after in record.after.items():
        most = {"kB": KB + KB_A_MESSAGE * len(record.said), "fds": POOLED, "sockets": POOLED}.get(name, FEW)
        if after - record.before[name] > most:
            found.grown.append(f"{name}: {record.before[name]} -> {after}")


def table(record: Record, found: Found) -> str:
    """Three lines: what must be none, what was done, and what is flat."""
    wrong = {part.name: len(getattr(found, part.name)) for part in fields(found)}
    ms = sorted(edit.ms for edit in record.edits if edit.trigger == "edit") or [0.0]
    done = {
        "reloads": len(record.edits),
        "refused": sum(edit.outcome == "refused" for edit in record.edits),
        "messages": len(record.said),
        "requests": len(record.asked),
        "seconds": round(record.seconds),
        "save to told, p50 ms": round(ms[len(ms) // 2]),
        "p95": round(ms[int(len(ms) * 0.95)]),
    }
    flat = {name: f"{record.before[name]} -> {record.after[name]}" for name in record.after}
    return "\n".join("   ".join(f"{name} {value}" for name, value in line.items()) for line in (done, wrong, flat))
