"""Rules about whom the runtime can reach: deliveries and questions that only a channel switched off would carry.

Off is what `enabled: false` says. A bot whose token is not set here may well have one where the project runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.manifest.diagnostic import Diagnostic, Related, see, warning
from openclaw.manifest.nodes import Scalar
from openclaw.manifest.project import Definition, Project


def deliveries_have_a_way(project: Project) -> Iterator[Diagnostic]:
    for sender in _senders(project):
        for key in ("deliver", "notify"):
            for target in sender.texts(key):
                off = off_for(project, str(target.value))
                if off:
                    yield _told(project, target, off, f"what `{sender.name}` delivers does not arrive")


def _senders(project: Project) -> Iterator[Definition]:
    """Heartbeats that run, and hooks of channels that do."""
    for heartbeat in project.all("heartbeat").values():
        if heartbeat.value("enabled") is not False:
            yield heartbeat
    for channel in project.all("channel").values():
        if channel.value("enabled") is not False:
            yield from channel.entries("hooks")


def approvers_can_be_asked(project: Project) -> Iterator[Diagnostic]:
    for policy in project.all("policy").values():
        for approver in policy.texts("approvers"):
            name = str(approver.value)
            group = name.removeprefix("group:")
            members = (
                [name] if group == name else [each for each in project.all("person") if _is_in(project, each, group)]
            )
            found = [off_for(project, member) for member in members]
            if found and all(found):
                off = dict.fromkeys(channel for each in found for channel in each)
                yield _told(project, approver, tuple(off), "nobody would be asked there")


def _is_in(project: Project, person: str, group: str) -> bool:
    return group in [each.value for each in project.all("person")[person].texts("groups")]


def off_for(project: Project, name: str) -> tuple[str, ...]:
    """The channels of a person, a room or an address, if every one of them is switched off; none otherwise."""
    if "channel" in project.unreadable:
        return ()
    channels = tuple(dict.fromkeys(_channels(project, name)))
    off = all(
        each in project.all("channel") and project.all("channel")[each].value("enabled") is False for each in channels
    )
    return channels if off else ()


def _channels(project: Project, name: str) -> Iterator[str]:
    person, room = project.all("person").get(name), project.all("room").get(name)
    if person is not None:
        yield from (str(id.value).partition(":")[0] for id in person.texts("ids"))
        for channel in project.all("channel").values():
            yield from (channel.name for token in channel.entries("tokens") if token.value("as") == name)
    elif room is not None:
        yield str(room.value("id", "")).partition(":")[0]
    elif ":" in name:
        yield name.partition(":")[0]


def _told(project: Project, named: Scalar, off: tuple[str, ...], effect: str) -> Diagnostic:
    listed = ", ".join(f"`{channel}`" for channel in off)
    is_off = "is" if len(off) == 1 else "are"
    switches: list[Related] = [
        see(project.all("channel")[channel].node.key("enabled"), f"`{channel}` is switched off here") for channel in off
    ]
    shown = named.shown
    return warning(
        "channel-off",
        named.span,
        f"`{shown}` is reached only on {listed}, which {is_off} switched off (`enabled: false`), so {effect}",
        f"remove `enabled: false` from {listed}, or name somebody who can be reached",
        switches,
    )
