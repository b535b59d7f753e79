"""Rules about channels, people and rooms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from openclaw.manifest.diagnostic import Diagnostic, error, see
from openclaw.manifest.nodes import ListNode, Scalar, Unknown
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.rules.policies import refer_channel
from openclaw.near import fold, near

SHORTEST_TOKEN = 32
BOTS = ("telegram", "discord")  # kinds that are one bot of a service, by its token
_USER, CHAT = re.compile(r"[1-9][0-9]*"), re.compile(r"-?[1-9][0-9]*")
_PORT = 5000
_PLACE = "a zone is named after a place, for example Europe/London; offsets and abbreviations know no summer time"
_TAKEN = {"operator": "what the holder of the channel's own `token` is called", "hook": "how senders of hooks begin"}
"""Names under which the HTTP channel itself speaks."""


def agents_exist(project: Project) -> Iterator[Diagnostic]:
    for place in (*project.all("channel").values(), *project.all("room").values()):
        for named in (*place.texts("agent"), *place.texts("agents")):
            yield from project.refer("agent", named)
        yield from _admitted(place)


def _admitted(place: Definition) -> Iterator[Diagnostic]:
    """The agent that answers must be among those that may."""
    agent, agents = place.text("agent"), place.texts("agents")
    if agent is not None and agents and agent.value not in [each.value for each in agents]:
        yield error(
            "unknown-agent",
            agent.span,
            f"`{agent.value}` is not among `agents`, so nobody could answer here",
            f"add `{agent.value}` to `agents`",
        )


def tokens_name_people_and_agents(project: Project) -> Iterator[Diagnostic]:
    for channel in project.all("channel").values():
        for token in channel.entries("tokens"):
            for named in token.texts("as"):
                yield from project.refer("person", named)
            for named in token.texts("agents"):
                yield from project.refer("agent", named)
            if "as" in token.node.entries and "senders" in token.node.entries:
                yield error(
                    "exclusive-keys",
                    token.node.key("senders"),
                    "a token is one person's (`as`), or its program names senders (`senders`), not both",
                    "remove one",
                )


def tokens_have_names_of_their_own(project: Project) -> Iterator[Diagnostic]:
    for channel in project.all("channel").values():
        for token in channel.entries("tokens"):
            if token.name in _TAKEN:
                yield error(
                    "token-name",
                    token.key,
                    f"`{token.name}` cannot be a token's name: that is {_TAKEN[token.name]}",
                    f"choose another name, for example `{token.name}-program`",
                )


def senders_are_numbers(project: Project) -> Iterator[Diagnostic]:
    """A sender is compared as it is written: `+155`, `0x9b` and `1_5` are numbers to YAML, and nobody's."""
    for kind in BOTS:
        for channel in _on(project, kind):
            allowed = channel.get("allow")
            for item in allowed.items if isinstance(allowed, ListNode) else ():
                if isinstance(item, Scalar) and type(item.value) is int and item.text != str(item.value):
                    yield error(
                        "address",
                        item.span,
                        f"`{item.text}` never matches: {kind.capitalize()}'s numbers of users have digits only",
                        f"write `{item.value}`, if that is the user's number; it is no telephone number",
                    )


def hooks_name_agents(project: Project) -> Iterator[Diagnostic]:
    for channel in project.all("channel").values():
        for hook in channel.entries("hooks"):
            for named in hook.texts("agent"):
                yield from project.refer("agent", named)


def _on(project: Project, kind: str) -> Iterator[Definition]:
    for channel in project.all("channel").values():
        if channel.value("kind") == kind and channel.value("enabled") is not False:
            yield channel


def ports_are_free(project: Project) -> Iterator[Diagnostic]:
    taken: dict[int, Definition] = {}
    for channel in _on(project, "http"):
        node = channel.get("port")
        if isinstance(node, Scalar) and node.value is Unknown:
            continue
        port = channel.value("port", _PORT)
        if not isinstance(port, int) or port == 0:
            continue
        if port in taken:
            other = taken[port]
            span = node.span if node else channel.key
            yield error(
                "channel-twice",
                span,
                f"port {port} is already used by channel `{other.name}` (line {other.key.line})",
                "choose another port",
                [see(other.node.key("port"), f"used by `{other.name}`")],
            )
        taken.setdefault(port, channel)


def one_terminal(project: Project) -> Iterator[Diagnostic]:
    channels = list(_on(project, "repl"))
    for second in channels[1:]:
        kind = second.get("kind")
        yield error(
            "channel-twice",
            kind.span if kind else second.key,
            f"channel `{channels[0].name}` (line {channels[0].key.line}) has the terminal already",
            "remove one, or switch it off: `enabled: false`",
        )


def bots_are_not_shared(project: Project) -> Iterator[Diagnostic]:
    """A bot's messages come once, to whichever channel asks first."""
    for kind in BOTS:
        taken: dict[str, Definition] = {}
        for channel in _on(project, kind):
            token = channel.text("token")
            if token is not None and token.value in taken:
                other = taken[token.value]
                yield error(
                    "channel-twice",
                    token.span,
                    f"channel `{other.name}` (line {other.key.line}) has the same bot",
                    "make another bot, or remove one of the channels",
                    [see(other.node.key("token"), f"used by `{other.name}`")],
                )
            elif token is not None:
                taken[token.value] = channel


def webhooks_have_a_server(project: Project) -> Iterator[Diagnostic]:
    if any(_on(project, "http")) or "channel" in project.unreadable:
        return
    for channel in _on(project, "telegram"):
        if "webhook" in channel.node.entries:
            yield error(
                "channel-webhook",
                channel.node.key("webhook"),
                "Telegram would call the HTTP channel, and there is none",
                "add `http: {kind: http}` to `channels`, or remove `webhook`",
            )


def messages_can_be_read(project: Project) -> Iterator[Diagnostic]:
    for channel in _on(project, "discord"):
        groups, may = channel.text("groups"), channel.get("message_content")
        known = not isinstance(may, Scalar) or may.value is not Unknown
        if groups is not None and groups.value == "all" and known and channel.value("message_content") is not True:
            yield error(
                "channel-intent",
                groups.span,
                "without the message content intent Discord hides what does not mention the bot",
                "switch the intent on in the developer portal and write `message_content: true`; or `groups: mention`",
            )


def open_hosts_have_tokens(project: Project) -> Iterator[Diagnostic]:
    for channel in _on(project, "http"):
        host, token = channel.text("host"), channel.get("token")
        if host is None or _is_loopback(host.value) or (isinstance(token, Scalar) and token.value is Unknown):
            continue
        given = str(channel.value("token", ""))
        if len(given) < SHORTEST_TOKEN:
            has = f"its token has only {len(given)} characters" if given else "the channel has no `token`"
            yield error(
                "channel-open",
                host.span,
                f"other machines can reach `{host.shown}`, and {has}; at least {SHORTEST_TOKEN} are needed",
                "give it a long random token: `token: ${OPENCLAW_HTTP_TOKEN}`; or write `host: 127.0.0.1`",
            )


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


# ── people and rooms ─────────────────────────────────────────────────────────────────────────────


def ids_are_addresses(project: Project) -> Iterator[Diagnostic]:
    for person in project.all("person").values():
        for id in person.texts("ids"):
            yield from refer_channel(project, id)
            yield from numbered(project, id, _USER)
    for room in project.all("room").values():
        for id in room.texts("id"):
            yield from refer_channel(project, id)
            yield from numbered(project, id, CHAT)


def numbered(project: Project, id: Scalar, number: re.Pattern[str]) -> Iterator[Diagnostic]:
    """Names on chat services change hands; numbers do not."""
    key, _, own = id.value.partition(":")
    channel = project.all("channel").get(key)
    kind = channel.value("kind") if channel else None
    if own and kind in BOTS and not number.fullmatch(own):
        yield error(
            "address",
            id.span,
            f"`{own}` is not a number, and on {kind.capitalize()} only numbers are a user's or a group's for ever",
            f"write the number; the bot's log and `openclaw pairing list` show those of who wrote: `{key}:12345`",
        )


def ids_are_one_persons(project: Project) -> Iterator[Diagnostic]:
    taken: dict[str, tuple[str, Scalar]] = {}
    for kind in ("person", "room"):
        for owner in project.all(kind).values():
            for id in owner.texts("ids" if kind == "person" else "id"):
                if id.value in taken and taken[id.value][0] != owner.name:
                    other, where = taken[id.value]
                    yield error(
                        "person-twice",
                        id.span,
                        f"`{id.value}` belongs to `{other}` already (line {where.span.line})",
                        "an id belongs to one person or room",
                        [see(where.span, f"`{other}`")],
                    )
                taken.setdefault(str(id.value), (owner.name, id))


def time_zones_exist(project: Project) -> Iterator[Diagnostic]:
    for person in project.all("person").values():
        yield from zone(person.text("timezone"))


def zone(named: Scalar | None) -> Iterator[Diagnostic]:
    if named is None:
        return
    try:
        ZoneInfo(str(named.value))
    except (OSError, ValueError, KeyError):
        from zoneinfo import available_timezones

        close = _close(str(named.value), sorted(available_timezones()))
        yield error(
            "timezone",
            named.span,
            f"no time zone `{named.value}`{f'; did you mean `{close}`?' if close else ''}",
            f"write `{close}`" if close else _PLACE,
        )


def _close(name: str, zones: Sequence[str]) -> str | None:
    """The zone that is meant: one in another spelling, by its place alone, or nearly so where it names a place.
    Abbreviations and offsets resemble one another and are hours apart."""
    named = [zone for zone in zones if not any(char.isdigit() for char in zone)]
    if "/" not in name:
        return next((zone for zone in named if fold(zone.rpartition("/")[2]) == fold(name)), None)
    return near(name, [zone for zone in named if "/" in zone])
