"""Who may do more, or less, beside what rules say: who reaches whom, answers questions, owns; where an agent works.

Pure. Its law: as with rules, what is not known to be narrower may be wider.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import TypeAlias

from openclaw.manifest.origins import Stated
from openclaw.manifest.people import approvers_of, owners, person
from openclaw.manifest.snapshot import Agent, Room, Snapshot
from openclaw.messages import Address
from openclaw.permissions.decide import standing
from openclaw.permissions.policy import Effect
from openclaw.plan.changes import Change, What
from openclaw.plan.rules import MANY, some
from openclaw.plan.ways import Way, elsewhere, ways

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MEMORIES: Mapping[str, int] = {"off": 0, "person": 1, "agent": 1, "shared": 2}


def standings(old: Stated, new: Stated) -> Iterator[Change]:
    before, after = old.snapshot, new.snapshot
    yield from _reaching(before, after)
    yield from _able(before, after)
    yield from _listening(old, new)
    yield from _approving(before, after)
    yield from _owning(before, after)
    for id, agent in after.agents.items():
        if id in before.agents:
            yield from _working(before.agents[id], agent)
            yield from _remembering(before.agents[id], agent)
        else:
            yield from _beginning(agent, after)


# ── who reaches whom ─────────────────────────────────────────────────────────────────────────────


Reach: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""Who comes by a way, and the agents it leads to."""
_NOBODY: Reach = ((), ())


def _reaching(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    """Of agents that are on both sides: what comes with a new one is told by itself."""
    kept = set(old.agents) & set(new.agents)
    rooms = {str(room.id): room for room in (*old.rooms.values(), *new.rooms.values())}
    before, after = _reach(old, kept, rooms), _reach(new, kept, rooms)
    for title in sorted({**before, **after}):
        was, now = before.get(title, _NOBODY), after.get(title, _NOBODY)
        for who, agents in _beyond(now, was):
            yield Change("permission", title, "widens", f"{_names(who, new)} may write to it", agents=agents)
        for who, agents in _beyond(was, now):
            yield Change(
                "permission", title, "tightens", f"{_names(who, old)} may no longer write to it", agents=agents
            )


def _beyond(one: Reach, other: Reach) -> Iterator[Reach]:
    """What one way gives beyond another: others than before, or more agents to those who came by it before."""
    known, reached = set(other[0]), set(other[1])
    others = tuple(each for each in one[0] if each not in known)
    same, more = tuple(each for each in one[0] if each in known), tuple(each for each in one[1] if each not in reached)
    if others and one[1]:
        yield others, one[1]
    if same and more:
        yield same, more


def _reach(snapshot: Snapshot, kept: set[str], rooms: Mapping[str, Room]) -> dict[str, Reach]:
    """By the title of each way. `rooms`: those of both sides by their places; a place that is no room here is a chat
    as any other."""
    every = ways(snapshot)
    found = {way.place: way for way in every if way.through == "room"}
    for place, room in rooms.items():
        channel = snapshot.channels.get(room.id.channel)
        if place not in found and channel is not None:
            found[place] = elsewhere(channel, room.id, snapshot)
    others = [(way.title, way) for way in every if way.through not in ("room", "heartbeat")]
    inside = [(_room_title(rooms[place], rooms.values()), way) for place, way in found.items()]
    open_ways = [(title, way) for title, way in (*others, *inside) if not way.off]
    return {title: (way.ids, tuple(id for id in way.agents if id in kept)) for title, way in open_ways}


def _room_title(room: Room, rooms: Iterable[Room]) -> str:
    """By its place too, where a name went from one place to another."""
    places = {str(each.id) for each in rooms if each.name == room.name}
    return f"room {room.name} ({room.id})" if len(places) > 1 else f"room {room.name}"


def _beginning(agent: Agent, snapshot: Snapshot) -> Iterator[Change]:
    """Who reaches a new agent, where there is anything that it can do; what that is, is told tool by tool."""
    leading = [way.title for way in ways(snapshot) if agent.id in way.agents and not way.off]
    if leading and _does_something(agent, snapshot):
        yield Change("permission", f"agent {agent.id}", "widens", f"it is new, and reached by {some(leading)}")


def _does_something(agent: Agent, snapshot: Snapshot) -> bool:
    return any(standing(snapshot.policies[agent.policy], tool) is not Effect.DENY for tool in agent.tools)


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


def _listening(old: Stated, new: Stated) -> Iterator[Change]:
    for key in new.snapshot.channels:
        was, now = _host(key, old), _host(key, new)
        if (now in LOOPBACK) is not (was in LOOPBACK):
            wider = now not in LOOPBACK
            words = f"it is reached from {'other machines' if wider else 'this machine alone'}: host {was} -> {now}"
            yield Change("permission", f"channel {key}", "widens" if wider else "tightens", words)


def _host(key: str, side: Stated) -> str:
    """As it is written, for what a variable comes to is not known."""
    written = side.written.get(("channel", key), {})
    channel = side.snapshot.channels.get(key)
    options = channel.options.options if channel else {}
    return written["host"].shown if "host" in written else str(options.get("host") or "127.0.0.1")


# ── who answers questions ────────────────────────────────────────────────────────────────────────


def _approving(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    groups: dict[tuple[What, str], list[str]] = {}
    for id in new.agents:
        if id not in old.agents and not _does_something(new.agents[id], new):
            continue
        before = set(approvers_of(id, old) if id in old.agents else owners(old))
        after = set(approvers_of(id, new))
        if came := _names(after - before, new):
            groups.setdefault(("widens", f"{came} may answer what it asks"), []).append(id)
        if (went := _names(before - after, old)) and id in old.agents:
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
    more = len(found) - MANY
    return ", ".join(found[:MANY]) + (f" and {more} more" if more > 0 else "")


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
