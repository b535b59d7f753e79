"""Who may do more, or less, beside what rules say: who reaches whom, answers questions, owns; where an agent works.

Pure. Its law: as with rules, what is not known to be narrower may be wider.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath

from openclaw.manifest.people import approvers_of, owners, person
from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.messages import Address
from openclaw.plan.changes import Change, What
from openclaw.plan.ways import Way, ways

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MEMORIES: Mapping[str, int] = {"off": 0, "person": 1, "agent": 1, "shared": 2}


def standings(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    yield from _reaching(old, new)
    yield from _able(old, new)
    yield from _listening(old, new)
    yield from _approving(old, new)
    yield from _owning(old, new)
    for id, agent in new.agents.items():
        if id in old.agents:
            yield from _working(old.agents[id], agent)
            yield from _remembering(old.agents[id], agent)


# ── who reaches whom ─────────────────────────────────────────────────────────────────────────────


def _reaching(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    """Of agents that are on both sides: what comes with a new one is told tool by tool."""
    kept = set(old.agents) & set(new.agents)
    before, after = _pairs(old, kept), _pairs(new, kept)
    directions: tuple[tuple[What, set[tuple[str, str, str]], str], ...] = (
        ("widens", after - before, "may write to it"),
        ("tightens", before - after, "may no longer write to it"),
    )
    for what, pairs, words in directions:
        for (title, agents), who in _grouped(pairs).items():
            yield Change("permission", title, what, f"{', '.join(who)} {words}", agents=agents)


def _pairs(snapshot: Snapshot, kept: set[str]) -> set[tuple[str, str, str]]:
    open_ways = [way for way in ways(snapshot) if not way.off and way.through != "heartbeat"]
    return {(way.title, who, id) for way in open_ways for who in way.who for id in way.agents if id in kept}


def _grouped(pairs: Iterable[tuple[str, str, str]]) -> dict[tuple[str, tuple[str, ...]], list[str]]:
    """Who, by the way and the agents: those who reach the same agents by one way are told together."""
    reached: dict[tuple[str, str], list[str]] = {}
    for title, who, id in sorted(pairs):
        reached.setdefault((title, who), []).append(id)
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (title, who), ids in reached.items():
        found.setdefault((title, tuple(ids)), []).append(who)
    return found


def _able(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    """Scopes of tokens. That a new one may chat is told by whom it reaches."""
    before, after = _scopes(old), _scopes(new)
    for title in {**before, **after}:
        was, now = before.get(title, frozenset({"chat"})), after.get(title, frozenset({"chat"}))
        if came := sorted(now - was):
            yield Change("permission", title, "widens", f"it may also: {', '.join(came)}")
        if (went := sorted(was - now)) and title in after:
            yield Change("permission", title, "tightens", f"it may no longer: {', '.join(went)}")


def _scopes(snapshot: Snapshot) -> dict[str, frozenset[str]]:
    return {way.title: frozenset(way.scopes) for way in ways(snapshot) if _further(way)}


def _further(way: Way) -> bool:
    return way.through == "token" and not way.off and not way.name.endswith("(operator)")


def _listening(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    for key, channel in new.channels.items():
        host = channel.options.options.get("host", "127.0.0.1")
        before = old.channels.get(key)
        was = before.options.options.get("host", "127.0.0.1") if before else "127.0.0.1"
        if (host in _LOOPBACK) is not (was in _LOOPBACK):
            wider = host not in _LOOPBACK
            words = f"it is reached from {'other machines' if wider else 'this machine alone'}: host {was} -> {host}"
            yield Change("permission", f"channel {key}", "widens" if wider else "tightens", words)


# ── who answers questions ────────────────────────────────────────────────────────────────────────


def _approving(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    groups: dict[tuple[What, str], list[str]] = {}
    for id in new.agents:
        if id not in old.agents:
            continue
        before, after = set(approvers_of(id, old)), set(approvers_of(id, new))
        if came := _names(after - before, new):
            groups.setdefault(("widens", f"{came} may answer what it asks"), []).append(id)
        if went := _names(before - after, old):
            groups.setdefault(("tightens", f"{went} may no longer answer what it asks"), []).append(id)
    for (what, words), agents in groups.items():
        yield Change("permission", "approvals", what, words, agents=tuple(agents))


def _names(addresses: Iterable[str], snapshot: Snapshot) -> str:
    found = []
    for text in sorted(addresses):
        try:
            known = person(Address.parse(text), snapshot)
        except ValueError:
            known = None
        found.append(f"{known.name} ({text})" if known else text)
    return ", ".join(found)


def _owning(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    before, after = set(owners(old)), set(owners(new))
    if came := _names(after - before, new):
        yield Change("permission", "owners", "widens", f"{came} may use every command and let others in")
    if went := _names(before - after, old):
        yield Change("permission", "owners", "tightens", f"{went} may no longer use every command or let others in")


# ── where an agent works, and what it remembers ──────────────────────────────────────────────────


def _working(old: Agent, new: Agent) -> Iterator[Change]:
    if old.workspace == new.workspace or not new.tools:
        return
    words = f"it works in another folder: workspace {old.workspace} -> {new.workspace}"
    yield Change("permission", "workspace", _wider_folder(old.workspace, new.workspace), words, agents=(new.id,))


def _wider_folder(old: str, new: str) -> What:
    if new == "own":
        return "tightens"
    if old == "own":
        return "widens"
    if "shared" in (old, new):
        return "widens" if new != "shared" else "may widen"
    return "tightens" if PurePath(new).is_relative_to(old) else "widens"


def _remembering(old: Agent, new: Agent) -> Iterator[Change]:
    if old.memory == new.memory:
        return
    words = f"it reads and writes other memories: {old.memory} -> {new.memory}"
    was, now = _MEMORIES[old.memory], _MEMORIES[new.memory]
    what: What = "widens" if now > was else "tightens" if now < was else "may widen"
    yield Change("permission", "memory", what, words, agents=(new.id,))
