"""What cases are judged in: the compiled project, and who stands where in it.

A place is written with names and may leave things out; here it becomes an address and a group, or a reason why nobody
can be heard there. Pure: paths are only named, nothing is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from openclaw.manifest.folder import Folder
from openclaw.manifest.people import TERMINAL
from openclaw.manifest.snapshot import Channel, Room, Snapshot
from openclaw.messages import Message, Refused, Text
from openclaw.router import route
from openclaw.scenarios.document import Given, Place
from openclaw.words import Address


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """`state` is only a name here: what is judged may depend on where it lies. `now` is for what gives no time."""

    folder: Folder
    snapshot: Snapshot
    project: Path
    state: Path
    now: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """Who speaks, and the group it is in, if it is in one. `agents`: those that a program's token reaches."""

    sender: Address
    chat: str | None = None
    room: str | None = None
    agents: tuple[str, ...] | None = None

    def __str__(self) -> str:
        where = f" in room {self.room}" if self.room else f" in group {self.chat}" if self.chat else ""
        return f"{self.sender}{where}"


class Impossible(Exception):
    """Nobody can stand there; `str()` says why."""


def standing(place: Place, given: Given, snapshot: Snapshot) -> Standing:
    """What a case says itself counts before what is given to all. Raises Impossible."""
    return _heard(_standing(place, given, snapshot), snapshot)


def _standing(place: Place, given: Given, snapshot: Snapshot) -> Standing:
    above = given.place
    sender = place.sender or above.sender
    own = place.channel or _channel_of(place.sender)
    channel = own or _channel_of(sender) or above.channel
    room, chat = place.room, place.chat
    if room is None and chat is None and own in (None, _group_channel(above, snapshot)):
        room, chat = above.room, above.chat  # which is left by a case on another channel
    if room is None:
        return _named(_sender(sender, channel, snapshot), chat, snapshot)
    found = _room(room, snapshot)
    if channel is not None and channel != found.id.channel:
        raise Impossible(f"room `{room}` is on {found.id.channel}, not on {channel}")
    return Standing(_sender(sender, found.id.channel, snapshot), found.id.id, room)


def _group_channel(above: Place, snapshot: Snapshot) -> str | None:
    """The channel of the group that is given to all."""
    if above.room is not None:
        return _room(above.room, snapshot).id.channel
    return above.channel or _channel_of(above.sender)


def _named(who: Address, chat: str | None, snapshot: Snapshot) -> Standing:
    """A group by its id may be a room, too."""
    here = Address(who.channel, chat) if chat is not None else None
    return Standing(who, chat, next((room.name for room in snapshot.rooms.values() if room.id == here), None))


def _channel_of(sender: str | None) -> str | None:
    return sender.partition(":")[0] if sender and ":" in sender else None


def _room(name: str, snapshot: Snapshot) -> Room:
    found = snapshot.rooms.get(name)
    if found is None:
        raise Impossible(f"there is no room `{name}`; there are: {', '.join(snapshot.rooms) or 'none'}")
    return found


def _sender(name: str | None, channel: str | None, snapshot: Snapshot) -> Address:
    if name is None:
        if channel not in (None, TERMINAL.channel):
            raise Impossible(f"nobody is said to write on {channel}; add `from`")
        return TERMINAL
    if ":" in name:
        address = _address(name)
        if channel not in (None, address.channel):
            raise Impossible(f"{name} does not write on {channel}")
        return address
    return _id_of(name, channel, snapshot)


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as problem:
        raise Impossible(str(problem)) from problem


def _id_of(name: str, channel: str | None, snapshot: Snapshot) -> Address:
    person = snapshot.people.get(name)
    if person is None:
        raise Impossible(f"there is no person `{name}`; there are: {', '.join(snapshot.people) or 'none'}")
    ids = [id for id in person.ids if channel in (None, id.channel)]
    ids.sort(key=lambda id: id.channel in snapshot.channels and snapshot.channels[id.channel].off)
    if not ids:
        where = f"on {channel}" if channel else "anywhere"
        raise Impossible(f"{name} has no id {where}; add one to `people` in channels.yaml")
    return ids[0]


def refused(sender: Address, agent: str, snapshot: Snapshot, now: datetime) -> Refused | None:
    """Why what this sender says in private to this agent is not taken, if it is not."""
    try:
        here = standing(Place(str(sender)), Given(), snapshot)
    except Impossible as why:
        return Refused("sender", str(why))
    message = Message("", here.sender, (Text("x"),), now, agent=agent, agents=here.agents)
    found = route(message, snapshot)
    if not isinstance(found, Refused):
        return None
    if isinstance(route(message, snapshot, paired=True), Refused):
        return found
    return replace(found, reason="this channel knows no such person, and hears them only once a code let them in")


# ── is anybody heard there ───────────────────────────────────────────────────────────────────────


def _heard(who: Standing, snapshot: Snapshot) -> Standing:
    """The same, with what its channel lays down. A channel that there is not is the router's to refuse."""
    channel = snapshot.channels.get(who.sender.channel)
    if channel is None or who.sender == TERMINAL:  # at which one may sit without the channel, too
        return who
    if channel.off:
        raise Impossible(f"channel {channel.key} is switched off")
    if who.chat is not None and channel.options.options.get("groups") == "off":
        raise Impossible(f"channel {channel.key} listens to no groups: `groups: off`")
    return replace(who, agents=_reached(who.sender, channel)) if channel.options.kind == "http" else who


def _reached(program: Address, channel: Channel) -> tuple[str, ...] | None:
    """The agents that a program's token lets it ask; None: each. Senders of HTTP are TOKEN/SENDER."""
    name, _, sender = program.id.partition("/")
    options = channel.options.options
    if name == "operator" or (name == "hook" and sender in options.get("hooks", {})):
        return None
    tokens: Mapping[str, Mapping[str, Any]] = options.get("tokens", {})
    if name not in tokens:
        known = ", ".join(["operator", *tokens])
        raise Impossible(f"channel {channel.key} has no token `{name}`; there are: {known}")
    token = tokens[name]
    own = f"{name}/{token.get('as') or name}"
    if program.id != own and not (sender and token.get("senders") == "declared"):
        raise Impossible(f"nobody speaks as {program}: with this token it is {channel.key}:{own}")
    return tuple(token["agents"]) if token.get("agents") is not None else None


def unheard(approver: Address, snapshot: Snapshot) -> str:
    """Why no answer to a question can come from there, whoever may agree; "" where it can."""
    channel = snapshot.channels.get(approver.channel)
    if channel is None or approver == TERMINAL:
        return ""
    if channel.off:
        return f"channel {channel.key} is switched off"
    name = approver.id.partition("/")[0]
    token = channel.options.options.get("tokens", {}).get(name) if channel.options.kind == "http" else None
    if token is None or {"approve", "operator"} & {*(token.get("scopes") or ())}:
        return ""
    return f"token {name} lacks the scope approve"
