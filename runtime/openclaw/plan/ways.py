"""The ways by which messages reach agents: whose, through which channel, room or token, and to whom. Pure.

Its law: as the router admits. A way is open where people whom no manifest names, or their words, can come through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from openclaw.manifest.people import person
from openclaw.manifest.snapshot import Channel, Room, Snapshot
from openclaw.messages import Address
from openclaw.router import OPEN_KINDS, pairs

Through: TypeAlias = Literal["channel", "room", "token", "hook", "heartbeat"]
TERMINAL = "whoever sits at the terminal"
HOLDER = "whoever holds the operator's token, as any sender"
PAIRED = "whoever an owner lets in by a code"
DECLARED = "whomever the program names as sender"


@dataclass(frozen=True, slots=True)
class Way:
    """`usual` answers what names no agent; `agents` are all that may. `who` are people, addresses, and words; `ids` are
    the same in addresses and words: a name may come to mean another. `place`: of a room."""

    through: Through
    name: str
    who: tuple[str, ...]
    usual: str | None
    agents: tuple[str, ...]
    open: bool = False
    scopes: tuple[str, ...] = ()
    off: str = ""  # why it takes no part
    ids: tuple[str, ...] = ()
    place: str = ""

    @property
    def title(self) -> str:
        return f"{self.through} {self.name}"


def ways(snapshot: Snapshot) -> tuple[Way, ...]:
    """Every way in, in the order of the manifests; heartbeats, which nobody asks for, last."""
    found: list[Way] = []
    for channel in snapshot.channels.values():
        found += _channel(channel, snapshot)
        found += [_room(room, channel, snapshot) for room in snapshot.rooms.values() if room.id.channel == channel.key]
    beats = [beat for beat in snapshot.heartbeats.values() if beat.enabled]
    found += [Way("heartbeat", beat.name, ("nobody: its schedule",), beat.agent, (beat.agent,)) for beat in beats]
    return tuple(found)


def elsewhere(channel: Channel, place: Address, snapshot: Snapshot) -> Way:
    """What a chat is that is none of the rooms: whoever may write reaches all agents of its channel."""
    return _room(Room(str(place), place), channel, snapshot)


def _channel(channel: Channel, snapshot: Snapshot) -> Iterator[Way]:
    who, ids = _who(channel, snapshot), _ids(channel, snapshot)
    agents = _agents(snapshot, channel.agents)
    usual, off = channel.agent or snapshot.default_agent.id, _off(channel)
    kind = channel.options.kind
    if kind == "http":
        scopes = ("chat", "read", "approve", "operator")
        name = f"{channel.key} (operator)"
        yield Way("token", name, (HOLDER,), usual, agents, scopes=scopes, off=off, ids=(HOLDER,))
        yield from _tokens(channel, snapshot, usual, off)
        yield from _hooks(channel, snapshot, usual, off)
    elif kind == "repl":
        yield Way("channel", channel.key, who, usual, agents, off=off, ids=ids)
    else:
        yield Way("channel", channel.key, who, usual, agents, _unnamed(channel, snapshot), off=off, ids=ids)


def _off(channel: Channel) -> str:
    """A secret without value is not for a manifest to say: whoever plans or asks may not have it."""
    return channel.skipped if channel.skipped and channel.skipped.startswith("switched off") else ""


def _who(channel: Channel, snapshot: Snapshot) -> tuple[str, ...]:
    """Who may write, as people where they are somebody's addresses."""
    before = f"{channel.key}:"
    found = (
        each if each in (TERMINAL, PAIRED) else _named(Address(channel.key, each.removeprefix(before)), snapshot)
        for each in _ids(channel, snapshot)
    )
    return tuple(dict.fromkeys(found))


def _ids(channel: Channel, snapshot: Snapshot) -> tuple[str, ...]:
    if channel.options.kind == "repl" and channel.allow is None:
        return (TERMINAL,)
    if channel.allow is not None:
        found = [str(Address(channel.key, id)) for id in channel.allow]
    else:
        known = (id for one in snapshot.people.values() for id in one.ids if id.channel == channel.key)
        found = [str(id) for id in known]
    return (*dict.fromkeys(found), *((PAIRED,) if pairs(channel) else ()))


def _named(address: Address, snapshot: Snapshot) -> str:
    found = person(address, snapshot)
    return found.name if found else str(address)


def _unnamed(channel: Channel, snapshot: Snapshot) -> bool:
    """Whether somebody may write there who is none of the people."""
    senders = channel.allow or ()
    return pairs(channel) or any(person(Address(channel.key, id), snapshot) is None for id in senders)


def _agents(snapshot: Snapshot, *lists: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(id for id in snapshot.agents if all(names is None or id in names for names in lists))


def _room(room: Room, channel: Channel, snapshot: Snapshot) -> Way:
    usual = room.agent or channel.agent or snapshot.default_agent.id
    agents = _agents(snapshot, channel.agents, room.agents)
    who, ids = _who(channel, snapshot), _ids(channel, snapshot)  # a code counts in private alone
    named = tuple(f"in it: {each}" for each in who if each != PAIRED)
    unknown = any(person(Address(channel.key, id), snapshot) is None for id in channel.allow or ())
    off = _off(channel) or ("it answers in no group" if channel.options.options.get("groups") == "off" else "")
    inside = tuple(each for each in ids if each != PAIRED)
    return Way("room", room.name, named, usual, agents, unknown, off=off, ids=inside, place=str(room.id))


def _tokens(channel: Channel, snapshot: Snapshot, usual: str, off: str) -> Iterator[Way]:
    for name, token in _map(channel, "tokens").items():
        declared, holder = token.get("senders") == "declared", token.get("as")
        who = (_declared(channel),) if declared else (f"{holder}, who holds it",) if holder else ("whoever holds it",)
        agents = _agents(snapshot, channel.agents, _list(token, "agents"))
        scopes = tuple(token.get("scopes") or ("chat",))
        ids = _holding(channel, name, who)
        yield Way("token", f"{channel.key}/{name}", who, usual, agents, declared, scopes, off, ids)


def _declared(channel: Channel) -> str:
    return (
        DECLARED
        if channel.allow is None
        else f"{DECLARED}, of those in `allow`: {', '.join(channel.allow) or 'nobody'}"
    )


def _holding(channel: Channel, token: str, who: tuple[str, ...]) -> tuple[str, ...]:
    """A token of a person is an address of theirs."""
    stated = _map(channel, "tokens")[token]
    holder, declared = stated.get("as"), stated.get("senders") == "declared"
    return (
        (str(Address(channel.key, f"{token}/{holder}")),)
        if holder and not declared
        else (DECLARED,)
        if declared
        else who
    )


def _hooks(channel: Channel, snapshot: Snapshot, usual: str, off: str) -> Iterator[Way]:
    for name, hook in _map(channel, "hooks").items():
        agents = _agents(snapshot, channel.agents, (hook.get("agent") or usual,))
        words = ("a service that knows its secret, with whatever it was sent",)
        yield Way("hook", f"{channel.key}/{name}", words, hook.get("agent") or usual, agents, True, off=off, ids=words)


def _map(channel: Channel, name: str) -> Mapping[str, Any]:
    found = channel.options.options.get(name)
    return found if isinstance(found, Mapping) else {}


def _list(token: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    found = token.get(name)
    return None if found is None else tuple(map(str, found))


# ── who answers ──────────────────────────────────────────────────────────────────────────────────


def answering(snapshot: Snapshot) -> dict[str, str]:
    """Who answers what: a sentence about messages, and an agent."""
    found = {"whatever nothing else sends elsewhere": snapshot.default_agent.id}
    found |= {f"messages that begin with {one.prefix}": one.id for one in snapshot.agents.values() if one.prefix}
    for channel in snapshot.channels.values():
        if channel.agent:
            found[f"what comes on channel {channel.key}"] = channel.agent
        hooks = _map(channel, "hooks").items()
        found |= {f"calls of hook {channel.key}/{name}": hook["agent"] for name, hook in hooks if hook.get("agent")}
    found |= {f"what is said in room {room.name}": room.agent for room in snapshot.rooms.values() if room.agent}
    return found


__all__ = ["OPEN_KINDS", "PAIRED", "Through", "Way", "answering", "elsewhere", "ways"]
