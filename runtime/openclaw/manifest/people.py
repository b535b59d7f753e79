"""Who a sender is: people, owners, groups and rooms, read off a snapshot. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openclaw.manifest.snapshot import Person, Room, Snapshot
from openclaw.words import OPERATOR, Address

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


def hears_of_costs(address: Address, agent: str, snapshot: Snapshot, *, paired: bool) -> bool:
    """Whether they may be told, where nobody else reads along, what this agent costs: whoever was let in by name, by
    a code (`paired`) or as an approver, or has the operator's token. A sender that a program speaks for was not."""
    channel = snapshot.channels.get(address.channel)
    if channel is not None and channel.options.kind == "http" and address.id == OPERATOR:
        return True
    named = channel is not None and channel.allow is not None and address.id in channel.allow
    who = sender(address, snapshot)
    return paired or named or who.owner or who.person is not None or str(address) in approvers_of(agent, snapshot)


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


def reachable(
    asker: str, approvers: Collection[str], reaches: Callable[[str], bool], *, can_ask: bool = True, sees: bool = False
) -> bool:
    """Whether anybody who may agree can see a question. `sees`: it is seen where it arises; without `can_ask`, whoever
    it arises for sees none. `reaches` tells of a channel whether what is put there is seen."""
    if can_ask and sees:
        return True
    others = approvers if can_ask else [one for one in approvers if one != asker]
    return any(reaches(Address.parse(one).channel) for one in others)


def askable(asker: Address, approvers: Collection[str], snapshot: Snapshot) -> bool:
    """The same by the manifests alone: each channel that is not switched off takes part, and the one that is written on
    does. Programs look after their own questions, hooks do not."""
    channel = snapshot.channels.get(asker.channel)
    program = channel is not None and channel.options.kind == "http"
    hook = program and asker.id.startswith("hook/")
    there = {key for key, each in snapshot.channels.items() if not each.off} | {asker.channel}
    return reachable(str(asker), approvers, there.__contains__, can_ask=not hook, sees=program)
