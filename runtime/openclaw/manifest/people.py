"""Who a sender is: people, owners, groups and rooms, read off a snapshot. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from openclaw.manifest.snapshot import Person, Room, Snapshot
from openclaw.words import Address

if TYPE_CHECKING:
    from openclaw.messages import Message

TERMINAL = Address("repl", "local")
"""Whoever sits at the terminal, or may open the control socket, owns the state folder: always an owner."""


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender as the rules see them. `person` is their name in `people`."""

    address: Address
    person: str | None = None
    owner: bool = False
    groups: frozenset[str] = frozenset()
    timezone: str | None = None


def sender(address: Address, snapshot: Snapshot) -> Sender:
    found = person(address, snapshot)
    owner = address == TERMINAL or (found is not None and found.owner)
    if found is None:
        return Sender(address, owner=owner)
    return Sender(address, found.name, owner, frozenset(found.groups), found.timezone)


def person(address: Address, snapshot: Snapshot) -> Person | None:
    return next((p for p in snapshot.people.values() if address in p.ids), None)


def room(message: Message, snapshot: Snapshot) -> Room | None:
    if message.chat is None:
        return None
    place = Address(message.sender.channel, message.chat)
    return next((r for r in snapshot.rooms.values() if r.id == place), None)


def owners(snapshot: Snapshot) -> tuple[str, ...]:
    """Addresses of every owner."""
    found = [str(id) for p in snapshot.people.values() if p.owner for id in p.ids]
    return tuple(dict.fromkeys([*found, str(TERMINAL)]))


def approvers_of(agent: str, snapshot: Snapshot) -> tuple[str, ...]:
    """Addresses of those who may answer questions about what this agent does; none where there is no such agent."""
    found = snapshot.agents.get(agent)
    if found is None:
        return ()
    return addresses(snapshot.policies[found.policy].approvers, snapshot) or owners(snapshot)


def addresses(names: tuple[str, ...], snapshot: Snapshot) -> tuple[str, ...]:
    """People, `group:NAME` and addresses, as addresses: the form in which approvers are compared."""
    found: list[str] = []
    for name in names:
        if name in snapshot.people:
            found += map(str, snapshot.people[name].ids)
        elif name.startswith("group:"):
            members = (p for p in snapshot.people.values() if name.removeprefix("group:") in p.groups)
            found += [str(id) for p in members for id in p.ids]
        else:
            found.append(name)
    return tuple(dict.fromkeys(found))
