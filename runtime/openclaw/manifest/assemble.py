"""A faultless Project becomes a Snapshot: defaults applied, globs expanded, names resolved. Tells no mistakes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from openclaw.manifest.builtins import BUILTINS, DEFAULT_MODEL, MODELS, soul
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar, Unknown, plain
from openclaw.manifest.policies import seconds
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.rules.agents import default_soul, soul_path
from openclaw.manifest.snapshot import (
    Agent,
    Channel,
    CompactionLimits,
    Heartbeat,
    Limits,
    Model,
    Person,
    Room,
    Snapshot,
)
from openclaw.messages import Address, Judged, ToolSpec
from openclaw.permissions.template import Template
from openclaw.ports import ChannelOptions
from openclaw.signature import Derived

_ROUTING = ("kind", "enabled", "agent", "agents", "allow")
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
    tools = _tools(project)
    agents = {
        agent.name: _agent(project, agent, tools) for agent in sorted(project.agents(), key=lambda agent: agent.name)
    }
    sources = project.folder.sources
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()
    people = {person.name: _person(person, _held(project, person.name)) for person in project.all("person").values()}
    rooms = {room.name: _room(room) for room in project.all("room").values()}
    first = next((agent.id for agent in agents.values() if agent.default), next(iter(agents)))
    return Snapshot(
        digest=digest,
        root=project.folder.root,
        agents=agents,
        tools=tools,
        policies=dict(project.policies),
        channels=_channels(project, people, rooms),
        people=people,
        rooms=rooms,
        heartbeats=_heartbeats(project, first, people, rooms),
        models=_models(project, [agent.model for agent in agents.values()]),
        sources=sources,
    )


def _list(definition: Definition, key: str) -> tuple[str, ...] | None:
    """The texts of a list, None where the key is missing: an empty list is not no list."""
    return tuple(str(each.value) for each in definition.texts(key)) if key in definition.node.entries else None


def _below(definition: Definition, key: str) -> Definition:
    node = definition.get(key)
    return Definition(key, definition.key, node if isinstance(node, MapNode) else MapNode({}, definition.key))


def _seconds(definition: Definition, key: str, default: float) -> float:
    found = seconds(str(definition.value(key, "")))
    return default if found is None else found


# ── agents ───────────────────────────────────────────────────────────────────────────────────────


def _agent(project: Project, agent: Definition, tools: Mapping[str, ToolSpec]) -> Agent:
    limits, compaction = _below(agent, "limits"), _below(agent, "compaction")
    at, keep = Limits(), CompactionLimits()
    at_tokens = compaction.value("at_tokens", keep.at_tokens)
    return Agent(
        id=agent.name,
        name=str(agent.value("name", agent.name)),
        description=str(agent.value("description", "")),
        soul=_soul(project, agent),
        instructions=str(agent.value("instructions", "")),
        model=str(agent.value("model", _default_model(project))),
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
        ),
        compaction=CompactionLimits(at_tokens, compaction.value("keep_tokens", min(keep.keep_tokens, at_tokens // 2))),
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


# ── tools ────────────────────────────────────────────────────────────────────────────────────────


def _tools(project: Project) -> dict[str, ToolSpec]:
    own = {tool.name: _tool(project, tool) for tool in project.all("tool").values()}
    return {**BUILTINS, **own}


def _tool(project: Project, tool: Definition) -> ToolSpec:
    template = project.templates.get(tool.name)
    if isinstance(template, Template):
        env = {each: str(plain(entry.value)) for each, entry in _below(tool, "env").node.entries.items()}
        return _spec(
            tool, str(tool.value("description", "")), _schema(tool), "shell", {"template": template, "env": env}
        )
    derived, function = project.derived.get(tool.name), project.functions.get(tool.name)
    known = derived if isinstance(derived, Derived) else None
    schema = _schema(tool) if "input" in tool.node.entries or known is None else known.input_schema
    options = {
        "reference": str(tool.value("python", "")),
        "function": function if callable(function) else None,
        "with": _plain(_below(tool, "with").node),
        "call": known.call if known else None,
    }
    description = str(tool.value("description", known.description if known else ""))
    return _spec(tool, description, schema, "python", options)


def _spec(
    tool: Definition, description: str, schema: Mapping[str, Any], kind: str, options: Mapping[str, Any]
) -> ToolSpec:
    judged: dict[str, Judged] = {declared.name: "path" for declared in tool.entries("input") if _is_path(declared)}
    return ToolSpec(
        tool.name, description.strip(), schema, kind, options, judged, timeout=_seconds(tool, "timeout", 60.0)
    )


def _is_path(declared: Definition) -> bool:
    return "path" in (declared.value("type"), _below(declared, "items").value("type"))


def _schema(tool: Definition) -> dict[str, Any]:
    """Declared inputs as one JSON Schema; a path is text to the model."""
    inputs = {declared.name: _plain(declared.node) for declared in tool.entries("input")}
    required = [name for name, declared in inputs.items() if "default" not in declared and not declared.get("optional")]
    properties = {name: _property(declared) for name, declared in inputs.items()}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _property(declared: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in declared.items() if key != "optional"}
    if kept.get("type") == "path":
        kept["type"] = "string"
    if "pattern" in kept:
        kept["pattern"] = f"^(?:{kept['pattern']})$"  # an input's pattern speaks of the whole text
    if isinstance(kept.get("items"), dict):
        kept["items"] = _property(kept["items"])
    return kept


def _plain(node: Node) -> Any:
    """Plain values; what nobody looked at is empty text."""
    match node:
        case Scalar(value):
            return "" if value is Unknown else value
        case ListNode(items):
            return [_plain(item) for item in items]
        case MapNode(entries):
            return {name: _plain(entry.value) for name, entry in entries.items()}


# ── channels, people, rooms ──────────────────────────────────────────────────────────────────────


def _channels(project: Project, people: Mapping[str, Person], rooms: Mapping[str, Room]) -> dict[str, Channel]:
    if "channels.yaml" not in project.folder.files:
        return {"repl": Channel("repl", ChannelOptions("repl", "repl"))}
    address = partial(_address, people=people, rooms=rooms)
    return {channel.name: _channel(channel, address) for channel in project.all("channel").values()}


def _channel(channel: Definition, address: Callable[[str], Address]) -> Channel:
    kind = str(channel.value("kind"))
    given = {key: _plain(entry.value) for key, entry in channel.node.entries.items() if key not in _ROUTING}
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
        skipped=_skipped(channel, channel.node),
    )


def _skipped(channel: Definition, node: MapNode) -> str | None:
    """Why the channel takes no part. A secret that is unknown by now is one that nobody set."""
    if channel.value("enabled") is False:
        return "switched off (`enabled: false`)"
    for entry in node.entries.values():
        match entry.value:
            case Scalar(value=value, secret=True) as secret if value is Unknown:
                return f"`{secret.text}` has no value"
            case MapNode() as below if why := _skipped(channel, below):
                return why
    return None


def _hook(hook: Definition, address: Callable[[str], Address]) -> dict[str, Any]:
    given = {key: _plain(entry.value) for key, entry in hook.node.entries.items()}
    deliver = tuple(dict.fromkeys(address(name) for name in _list(hook, "deliver") or ()))
    return {**_HOOK, **given, "deliver": deliver, "window": _seconds(hook, "window", 300.0)}


def _address(name: str, people: Mapping[str, Person], rooms: Mapping[str, Room]) -> Address:
    if name in people:
        return people[name].ids[0]
    return rooms[name].id if name in rooms else Address.parse(name)


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
    ids = tuple(Address.parse(id) for id in _list(person, "ids") or ())
    return Person(
        person.name, ids + held, person.value("owner") is True, _list(person, "groups") or (), person.value("timezone")
    )


def _room(room: Definition) -> Room:
    return Room(room.name, Address.parse(str(room.value("id"))), room.value("agent"), _list(room, "agents"))


# ── heartbeats and models ────────────────────────────────────────────────────────────────────────


def _heartbeats(
    project: Project, first: str, people: Mapping[str, Person], rooms: Mapping[str, Room]
) -> dict[str, Heartbeat]:
    root = project.roots.get("heartbeats.yaml")
    found = root.get("defaults") if root else None
    defaults = Definition("defaults", root.span, found) if root and isinstance(found, MapNode) else None

    def inherited(heartbeat: Definition, key: str, otherwise: str) -> str:
        return str(heartbeat.value(key) or (defaults.value(key) if defaults else None) or otherwise)

    address = partial(_address, people=people, rooms=rooms)
    return {
        each.name: _heartbeat(each, inherited(each, "agent", first), inherited(each, "timezone", "UTC"), address)
        for each in project.all("heartbeat").values()
    }


def _heartbeat(heartbeat: Definition, agent: str, timezone: str, address: Callable[[str], Address]) -> Heartbeat:
    return Heartbeat(
        heartbeat.name,
        _list(heartbeat, "cron") or (),
        str(heartbeat.value("prompt", "")),
        agent,
        timezone,
        tuple(dict.fromkeys(address(name) for name in _list(heartbeat, "deliver") or ())),
        heartbeat.value("missed", "once"),
        _seconds(heartbeat, "timeout", 600.0),
        heartbeat.value("session", "fresh"),
        heartbeat.value("enabled") is not False,
    )


def _default_model(project: Project) -> str:
    root = project.roots.get("models.yaml")
    default = root.get("default") if root else None
    return str(default.value) if isinstance(default, Scalar) and default.value is not Unknown else DEFAULT_MODEL


def _models(project: Project, used: list[str]) -> dict[str, Model]:
    """Aliases, and the ids that agents name directly."""
    own = {model.name: _model(project, model) for model in project.all("model").values()}
    named = [_default_model(project), *used]
    return {**own, **{id: Model(id, id) for id in named if id not in own and id in MODELS}}


def _model(project: Project, model: Definition) -> Model:
    options = {key: _plain(entry.value) for key, entry in model.node.entries.items() if key not in ("id", "kind")}
    if "script" in options:
        options["script"] = str(PurePosixPath(project.folder.root) / options["script"])
    return Model(model.name, str(model.value("id", model.name)), str(model.value("kind", "anthropic")), options)
