"""A faultless Project becomes a Snapshot: defaults applied, globs expanded, names resolved. Tells no mistakes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from openclaw.durations import seconds
from openclaw.manifest.beats import Beats, active_hours, check_input
from openclaw.manifest.builtins import MODELS, soul
from openclaw.manifest.models import default_model, price
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar, Unknown, secrets
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.rules.agents import default_soul, soul_path
from openclaw.manifest.snapshot import (
    OFF,
    QUEUE_LIMIT,
    Agent,
    Channel,
    Check,
    CompactionLimits,
    Heartbeat,
    Limits,
    Model,
    Person,
    Renewal,
    Room,
    Snapshot,
)
from openclaw.manifest.specs import below, plain_text
from openclaw.manifest.specs import tools as all_tools
from openclaw.words import Address, ChannelOptions, ToolSpec

_ROUTING = ("kind", "enabled", "agent", "agents", "allow", "queue", "queue_limit")
_OURS = ("id", "kind", "price", "fallback")  # of a model's keys; the others are its kind's
_CHAT: Mapping[str, Any] = {"strangers": "pair", "groups": "mention", "api_base": None}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "http": {"host": "127.0.0.1", "port": 5000, "token": None, "tokens": {}, "hooks": {}, "limits": {}},
    "telegram": {**_CHAT, "webhook": None},
    "discord": {**_CHAT, "message_content": False},
}
_LIMITS: Mapping[str, int] = {"requests_per_minute": 600, "body": 1 << 20, "connections": 1000}
_HOOK: Mapping[str, Any] = {
    "verify": "token", "signature_header": "X-Hub-Signature-256", "timestamp_header": None, "id_header": None,
    "agent": None, "session": "fresh",
}  # fmt: skip


def snapshot(project: Project) -> Snapshot:
    tools = all_tools(project)
    agents = {
        agent.name: _agent(project, agent, tools) for agent in sorted(project.agents(), key=lambda agent: agent.name)
    }
    sources = project.folder.sources
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()
    people = {person.name: _person(person, _held(project, person.name)) for person in project.all("person").values()}
    rooms = {room.name: _room(room) for room in project.all("room").values()}
    channels = _channels(project, people, rooms)
    heartbeats = _heartbeats(project, people, rooms)
    return Snapshot(
        digest=digest,
        root=project.folder.root,
        agents=agents,
        tools=tools,
        policies=dict(project.policies),
        channels=channels,
        people=people,
        rooms=rooms,
        heartbeats=heartbeats,
        models=_models(project, [*(agent.model for agent in agents.values()), *_asked(heartbeats.values())]),
        sources=sources,
        timezone=Beats.of(project).zone,
    )


def _list(definition: Definition, key: str) -> tuple[str, ...] | None:
    """The texts of a list, None where the key is missing: an empty list is not no list."""
    return tuple(str(each.value) for each in definition.texts(key)) if key in definition.node.entries else None


def _seconds(definition: Definition, key: str, default: float) -> float:
    found = seconds(str(definition.value(key, "")))
    return default if found is None else found


# ── agents ───────────────────────────────────────────────────────────────────────────────────────


def _agent(project: Project, agent: Definition, tools: Mapping[str, ToolSpec]) -> Agent:
    limits, compaction = below(agent, "limits"), below(agent, "compaction")
    at, keep = Limits(), CompactionLimits()
    at_tokens = compaction.value("at_tokens", keep.at_tokens)
    return Agent(
        id=agent.name,
        name=str(agent.value("name", agent.name)),
        description=str(agent.value("description", "")),
        soul=_soul(project, agent),
        instructions=str(agent.value("instructions", "")),
        model=str(agent.value("model", default_model(project))),
        tools=_expanded(_list(agent, "tools") or (), tools),
        policy=str(agent.value("policy", "")),
        prefix=agent.value("prefix"),
        default=agent.value("default") is True or len(project.all("agent")) == 1,
        effort=agent.value("effort"),
        workspace=str(agent.value("workspace", "shared")),
        memory=agent.value("memory", "shared"),
        limits=Limits(
            limits.value("iterations", at.iterations),
            _seconds(limits, "turn", at.turn),
            limits.value("output_tokens", at.output_tokens),
            usd_per_day=limits.value("usd_per_day"),
        ),
        compaction=CompactionLimits(
            at_tokens,
            compaction.value("keep_tokens", min(keep.keep_tokens, at_tokens // 2)),
            compaction.value("mode", keep.mode),
        ),
        interrupted=agent.value("interrupted", "resume"),
        session=_renewal(below(agent, "session"), Beats.of(project).zone),
    )


def _renewal(session: Definition, zone: str) -> Renewal:
    usual = Renewal()
    hours, colon, minutes = str(session.value("at", "")).partition(":")
    return Renewal(
        reset=session.value("reset", usual.reset),
        at=int(hours) * 60 + int(minutes) if colon else usual.at,
        idle=_seconds(session, "idle", usual.idle),
        timezone=str(session.value("timezone", zone)),
    )


def _soul(project: Project, agent: Definition) -> str:
    named = agent.texts("soul")
    paths = [soul_path(each) for each in named] or [default_soul(agent)]
    read = [project.folder.read_file(path) if named else project.folder.files.get(path) for path in paths if path]
    found = [content.decode("utf-8-sig").replace("\r\n", "\n").strip() for content in read if content is not None]
    return "\n\n".join(found) or soul().strip()


def _expanded(names: tuple[str, ...], tools: Mapping[str, ToolSpec]) -> tuple[str, ...]:
    """Globs as names, in the tools' own order; everything once."""
    found = [
        each
        for name in names
        for each in ([name] if name in tools else [tool for tool in tools if fnmatchcase(tool, name)])
    ]
    return tuple(dict.fromkeys(found))


# ── channels, people, rooms ──────────────────────────────────────────────────────────────────────


def _channels(project: Project, people: Mapping[str, Person], rooms: Mapping[str, Room]) -> dict[str, Channel]:
    if "channels.yaml" not in project.folder.files:
        return {"repl": Channel("repl", ChannelOptions("repl", "repl"))}
    address = partial(_address, people=people, rooms=rooms, reached=_reaching(project))
    return {channel.name: _channel(channel, address) for channel in project.all("channel").values()}


def _channel(channel: Definition, address: Callable[[str], Address]) -> Channel:
    kind = str(channel.value("kind"))
    given = {key: plain_text(entry.value) for key, entry in channel.node.entries.items() if key not in _ROUTING}
    options = {**_DEFAULTS.get(kind, {}), **given}
    if options.get("token") == "":
        options["token"] = None
    if kind == "http":
        options["limits"] = {**_LIMITS, **options["limits"]}
        options["hooks"] = {hook.name: _hook(hook, address) for hook in channel.entries("hooks")}
    return Channel(
        channel.name,
        ChannelOptions(channel.name, kind, options),
        agent=channel.value("agent"),
        agents=_list(channel, "agents"),
        allow=_senders(channel.get("allow")),
        queue=channel.value("queue", "queue"),
        queue_limit=channel.value("queue_limit", QUEUE_LIMIT),
        skipped=_skipped(channel, channel.node),
    )


def _skipped(channel: Definition, node: MapNode) -> str | None:
    """Why the channel takes no part. A secret that is unknown by now is one that nobody set."""
    if channel.value("enabled") is False:
        return f"{OFF} (`enabled: false`)"
    for entry in node.entries.values():
        match entry.value:
            case Scalar(value=value, secret=True) as secret if value is Unknown:
                return f"`{secret.text}` has no value"
            case MapNode() as below if why := _skipped(channel, below):
                return why
    return None


def _hook(hook: Definition, address: Callable[[str], Address]) -> dict[str, Any]:
    given = {key: plain_text(entry.value) for key, entry in hook.node.entries.items()}
    deliver = tuple(dict.fromkeys(address(name) for name in _list(hook, "deliver") or ()))
    return {**_HOOK, **given, "deliver": deliver, "window": _seconds(hook, "window", 300.0)}


def _address(name: str, people: Mapping[str, Person], rooms: Mapping[str, Room], reached: Mapping[str, int]) -> Address:
    if name in people:
        return _reached(people[name], reached)
    return rooms[name].id if name in rooms else Address.parse(name)


def _reaching(project: Project) -> Mapping[str, int]:
    """How well each channel reaches a person, 0 is best: a terminal reaches nobody who is away from it."""

    def rank(channel: Definition) -> int:
        if _skipped(channel, channel.node) is not None:
            return 2
        return 1 if channel.value("kind") == "repl" else 0

    return {channel.name: rank(channel) for channel in project.all("channel").values()}


def _reached(person: Person, reached: Mapping[str, int]) -> Address:
    """The first of their ids on a channel that takes part and is no terminal, else the next best.

    Who has none, because nobody looked at the variables that hold them, stands for themselves.
    """
    return min(person.ids, key=lambda id: reached.get(id.channel, 3), default=Address("person", person.name))


def _senders(node: Node | None) -> tuple[str, ...] | None:
    """Sender ids as they were typed: an unquoted number keeps its plus and its digits."""
    if not isinstance(node, ListNode):
        return None
    return tuple(
        item.value if isinstance(item.value, str) else item.text for item in node.items if isinstance(item, Scalar)
    )


def _held(project: Project, person: str) -> tuple[Address, ...]:
    """Where the person speaks through a token that says so (`as`)."""
    return tuple(
        Address(channel.name, f"{token.name}/{person}")
        for channel in project.all("channel").values()
        for token in channel.entries("tokens")
        if token.value("as") == person
    )


def _person(person: Definition, held: tuple[Address, ...]) -> Person:
    ids = _parsed(_senders(person.get("ids")) or ())
    return Person(
        person.name, ids + held, person.value("owner") is True, _list(person, "groups") or (), person.value("timezone")
    )


def _parsed(ids: tuple[str, ...]) -> tuple[Address, ...]:
    """Where nobody looked at variables, one that stands for a whole address is none yet."""
    return tuple(Address.parse(id) for id in ids if not id.startswith("${"))


def _room(room: Definition) -> Room:
    id = room.value("id")
    address = Address.parse(id) if isinstance(id, str) else Address("room", room.name)  # nobody looked at its variable
    return Room(room.name, address, room.value("agent"), _list(room, "agents"))


# ── heartbeats and models ────────────────────────────────────────────────────────────────────────


def _heartbeats(project: Project, people: Mapping[str, Person], rooms: Mapping[str, Room]) -> dict[str, Heartbeat]:
    beats = Beats.of(project)
    reached = _reaching(project)
    owners = tuple(_reached(person, reached) for person in people.values() if person.owner and person.ids)
    address = partial(_address, people=people, rooms=rooms, reached=reached)

    def places(names: tuple[str, ...]) -> tuple[Address, ...]:
        return tuple(dict.fromkeys(map(address, names)))

    found = {}
    for heartbeat in project.all("heartbeat").values():
        notify = beats.notify(heartbeat)
        deliver = places(_list(heartbeat, "deliver") or ())
        told = tuple(dict.fromkeys(owners)) or deliver if notify is None else places(notify)
        found[heartbeat.name] = replace(_heartbeat(project, beats, heartbeat), deliver=deliver, notify=told)
    return found


def _heartbeat(project: Project, beats: Beats, heartbeat: Definition) -> Heartbeat:
    return Heartbeat(
        heartbeat.name,
        _list(heartbeat, "cron") or (),
        str(heartbeat.value("prompt", "")),
        beats.agent(heartbeat),
        beats.timezone(heartbeat),
        missed=heartbeat.value("missed", "once"),
        timeout=_seconds(heartbeat, "timeout", 600.0),
        session=heartbeat.value("session", "fresh"),
        enabled=heartbeat.value("enabled") is not False,
        model=heartbeat.value("model"),
        check=_check(project, heartbeat),
        jitter=_seconds(heartbeat, "jitter", 0.0),
        active_hours=active_hours(heartbeat),
        max_cost=heartbeat.value("max_cost_usd"),
    )


def _check(project: Project, heartbeat: Definition) -> Check | None:
    if "check" not in heartbeat.node.entries:
        return None
    check = below(heartbeat, "check")
    input = check_input(project, check)
    return Check(
        str(check.value("tool", "")),
        plain_text(input),
        check.value("wake", "failure"),
        check.value("after", 1),
        seconds(str(check.value("repeat", ""))),
        check.value("recovered") is True,
        tuple(dict.fromkeys(secrets(input))),
    )


def _asked(heartbeats: Iterable[Heartbeat]) -> Iterator[str]:
    return (heartbeat.model for heartbeat in heartbeats if heartbeat.model is not None)


def _models(project: Project, used: list[str]) -> dict[str, Model]:
    """Aliases, and the ids that agents name directly."""
    own = {model.name: _model(project, model) for model in project.all("model").values()}
    named = [default_model(project), *used, *(each for model in own.values() for each in model.fallback)]
    return {**own, **{id: Model(id, id, price=price(project, id)) for id in named if id not in own and id in MODELS}}


def _model(project: Project, model: Definition) -> Model:
    options = {key: plain_text(entry.value) for key, entry in model.node.entries.items() if key not in _OURS}
    if "script" in options:
        options["script"] = str(PurePosixPath(project.folder.root) / options["script"])
    id, kind = str(model.value("id", model.name)), str(model.value("kind", "anthropic"))
    return Model(model.name, id, kind, options, price(project, model.name), _list(model, "fallback") or ())
