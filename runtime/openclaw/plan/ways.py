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
OPERATOR = "whoever holds the operator's token, as any sender"
PAIRED = "whoever an owner lets in by a code"
DECLARED = "whomever the program names as sender"


@dataclass(frozen=True, slots=True)
class Way:
    """`usual` answers what names no agent; `agents` are all that may. `who` are people, addresses, and words."""

    through: Through
    name: str
    who: tuple[str, ...]
    usual: str | None
    agents: tuple[str, ...]
    open: bool = False
    scopes: tuple[str, ...] = ()
    off: str = ""  # why it takes no part

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


def _channel(channel: Channel, snapshot: Snapshot) -> Iterator[Way]:
    who, agents = _who(channel, snapshot), _agents(snapshot, channel.agents)
    usual, off = channel.agent or snapshot.default_agent.id, _off(channel)
    kind = channel.options.kind
    if kind == "http":
        scopes = ("chat", "read", "approve", "operator")
        yield Way("token", f"{channel.key} (operator)", (OPERATOR,), usual, agents, scopes=scopes, off=off)
        yield from _tokens(channel, snapshot, usual, off)
        yield from _hooks(channel, snapshot, usual, off)
    elif kind == "repl":
        yield Way("channel", channel.key, who, usual, agents, off=off)
    else:
        yield Way("channel", channel.key, who, usual, agents, open=_unnamed(channel, snapshot), off=off)


def _off(channel: Channel) -> str:
    """A secret without value is not for a manifest to say: whoever plans or asks may not have it."""
    return channel.skipped if channel.skipped and channel.skipped.startswith("switched off") else ""


def _who(channel: Channel, snapshot: Snapshot) -> tuple[str, ...]:
    if channel.options.kind == "repl" and channel.allow is None:
        return (TERMINAL,)
    if channel.allow is not None:
        named = [_named(Address(channel.key, id), snapshot) for id in channel.allow]
    else:
        known = snapshot.people.values()
        named = [one.name for one in known if any(id.channel == channel.key for id in one.ids)]
    return (*dict.fromkeys(named), *((PAIRED,) if pairs(channel) else ()))


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
    who = tuple(each for each in _who(channel, snapshot) if each != PAIRED)  # a code counts in private alone
    unknown = any(person(Address(channel.key, id), snapshot) is None for id in channel.allow or ())
    return Way("room", room.name, tuple(f"in it: {each}" for each in who), usual, agents, unknown, off=_off(channel))


def _tokens(channel: Channel, snapshot: Snapshot, usual: str, off: str) -> Iterator[Way]:
    for name, token in _map(channel, "tokens").items():
        declared, holder = token.get("senders") == "declared", token.get("as")
        who = (DECLARED,) if declared else (f"{holder}, who holds it",) if holder else ("whoever holds it",)
        agents = _agents(snapshot, channel.agents, _list(token, "agents"))
        scopes = tuple(token.get("scopes") or ("chat",))
        yield Way("token", f"{channel.key}/{name}", who, usual, agents, open=declared, scopes=scopes, off=off)


def _hooks(channel: Channel, snapshot: Snapshot, usual: str, off: str) -> Iterator[Way]:
    for name, hook in _map(channel, "hooks").items():
        agents = _agents(snapshot, channel.agents, (hook.get("agent") or usual,))
        words = ("a service that knows its secret, with whatever it was sent",)
        yield Way("hook", f"{channel.key}/{name}", words, hook.get("agent") or usual, agents, open=True, off=off)


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


__all__ = ["OPEN_KINDS", "PAIRED", "Through", "Way", "answering", "ways"]
