"""What the doctor looks at of the project: manifests, credentials, channels, ports, heartbeats.

Law: the project is read as a start reads it, with the environment and .env; where a credential was found is told, what
it is never. Nothing here asks a service: that is `_doctor_deep.py`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from openclaw.cli._doctor_finding import Finding
from openclaw.cli._listing import aside
from openclaw.manifest.snapshot import Channel, Model, Snapshot, in_order

if TYPE_CHECKING:
    from openclaw.manifest.folder import Folder

_OWN = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")  # what .env may give to the model
_TOLD = 3  # fires


@dataclass(frozen=True, slots=True)
class Read:
    """A project that is valid. `own`: the variables of its .env."""

    snapshot: Snapshot
    folder: Folder
    own: Mapping[str, str]


def manifests(project: Path) -> tuple[Finding, Read | None]:
    from openclaw.adapters import importer
    from openclaw.manifest.build import compile
    from openclaw.manifest.folder import Folder

    about = "project"
    try:
        if not project.is_dir():
            cure = "name the project's folder with -C; to make one: openclaw init"
            return Finding(about, "problem", f"{project} is not a folder", cure), None
    except OSError as error:
        found = f"{project}: {(error.strerror or str(error)).lower()}"
        return Finding(about, "problem", found, "ask as the user who may go there, or name another one with -C"), None
    folder = Folder.read(project)
    with aside():
        compiled = compile(folder, environment=os.environ, importer=importer(project), today=datetime.now(UTC))
    errors = [each for each in compiled.diagnostics if each.severity == "error"]
    warnings = len(compiled.diagnostics) - len(errors)
    if compiled.snapshot is None:
        if not any(name.endswith((".yaml", ".yml")) for name in folder.files):
            cure = "to make a project there: openclaw init; or name another folder with -C"
            return Finding(about, "problem", f"{project} holds no project", cure), None
        first = f"{errors[0].file}:{errors[0].line}: {errors[0].message}" if errors else "it holds no agent"
        found = f"{project} has {_many(len(errors), 'error')}, the first: {first}"
        return Finding(about, "problem", found, "openclaw validate"), None
    snapshot = compiled.snapshot
    on = sum(channel.skipped is None for channel in snapshot.channels.values())
    has = f"{_many(len(snapshot.agents), 'agent')}, {_many(on, 'channel')} on"
    read = Read(snapshot, folder, folder.environment({}))
    if warnings:
        return Finding(about, "warning", f"{project}: {_many(warnings, 'warning')}; {has}", "openclaw validate"), read
    return Finding(about, "ok", f"{project}: {has}"), read


def dotenv(project: Path) -> Iterator[Finding]:
    """Who may read the file that holds the keys."""
    file = project / ".env"
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            found = f"others may read the keys in {file} (mode {mode:04o})"
            yield Finding(".env", "warning", found, f"chmod 600 {quote(str(file))}")


def policies(snapshot: Snapshot) -> Iterator[Finding]:
    off = [policy.name for policy in snapshot.policies.values() if policy.sandbox == "off"]
    if off:
        yield Finding("policies", "warning", f"the sandbox is switched off by: {', '.join(off)}", "sandbox: auto")


# ── models ───────────────────────────────────────────────────────────────────────────────────────


def used(snapshot: Snapshot) -> list[Model]:
    """What agents and heartbeats ask, with what stands in for it."""
    asked = [agent.model for agent in snapshot.agents.values()]
    asked += [beat.model for beat in snapshot.heartbeats.values() if beat.model]
    aliases = dict.fromkeys(each for own in asked for each in in_order(own, snapshot.models))
    return [snapshot.models[alias] for alias in aliases]


def credentials(read: Read) -> Iterator[Finding]:
    for model in used(read.snapshot):
        found, cure = credential(model, os.environ, read.own)
        yield Finding(f"model {model.alias}", "problem" if cure else "ok", f"{model.id}: {found}", cure)


def credential(model: Model, environment: Mapping[str, str], own: Mapping[str, str]) -> tuple[str, str]:
    """Where the key of a model comes from, in the order in which a start looks; and the cure where it has none."""
    from openclaw.providers._anthropic_credentials import credentials as ambient

    if model.kind != "anthropic":
        return f"needs no key ({model.kind})", ""
    if any(model.options.get(name) for name in ("api_key", "auth_token")):
        return "its key is given in models.yaml", ""
    if model.options.get("base_url"):
        return "no key, and none is sent to its server", ""
    for name in _OWN:
        if environment.get(name):
            return f"{name} of the environment", ""
    for name in _OWN:
        if own.get(name):
            if name in environment:
                return f"{name} is empty in the environment, which hides the one in .env", f"unset {name}"
            return f"{name} of .env", ""
    if found := ambient(environment):
        return found, ""
    return "no key", "set ANTHROPIC_API_KEY in the environment or in .env; or try: openclaw run --demo"


# ── channels ─────────────────────────────────────────────────────────────────────────────────────


def channels(snapshot: Snapshot, serving: Mapping[str, Any] | None) -> Iterator[Finding]:
    """`serving`: what a runtime that runs here says of itself."""
    for channel in snapshot.channels.values():
        about = f"channel {channel.key}"
        kind, options = channel.options.kind, channel.options.options
        if channel.skipped is not None:
            yield Finding(about, "ok", f"off: {channel.skipped.removeprefix('switched off ').strip('()')}")
        elif (amiss := _amiss(channel.key, serving or {})) is not None:
            yield amiss
        elif kind == "http":
            yield _port(channel, serving)
        elif "token" in options:
            yield Finding(about, "ok", f"{kind}, its token is set; --deep tries it")
        else:
            yield Finding(about, "ok", kind)


def serving(told: Mapping[str, Any]) -> Iterator[Finding]:
    """All that can be said of the channels where no project can be read: what the runtime that serves says."""
    for key, one in told.get("channels", {}).items():
        yield _amiss(key, told) or Finding(f"channel {key}", "ok", f"{one['condition']}, says the runtime that serves")


def _amiss(key: str, serving: Mapping[str, Any]) -> Finding | None:
    """What the runtime that serves has to say of a channel that does not do its work."""
    about, told = f"channel {key}", serving.get("channels", {}).get(key, {})
    if told.get("condition") == "failed":
        found = f"the runtime that serves says: failed: {told.get('why', 'its log says why')}"
        return Finding(about, "problem", found, "mend that, then start the runtime anew or edit the channel")
    if told.get("condition") == "silent" or told.get("trouble"):
        why = f": {told['trouble']}" if told.get("trouble") else ""
        return Finding(about, "warning", f"the runtime that serves receives nothing there{why}", "look at the network")
    return None


def _port(channel: Channel, serving: Mapping[str, Any] | None) -> Finding:
    about, options = f"channel {channel.key}", channel.options.options
    host, port = str(options["host"]), int(options["port"])
    if not port:
        return Finding(about, "ok", f"http on a free port of {host}")
    failed = _tried(host, port)
    where = f"http on {host}:{port}"
    if failed is None:
        return Finding(about, "ok", f"{where}, which is free")
    if failed.errno == errno.EADDRINUSE:
        return _used(about, where, port, channel.key, serving or {})
    if failed.errno == errno.EACCES:
        return Finding(about, "problem", f"{where}, which is for root alone", "choose a port of 1024 or above")
    return Finding(about, "problem", f"{where}: {failed.strerror or failed}", "set another `host`")


def _used(about: str, where: str, port: int, key: str, serving: Mapping[str, Any]) -> Finding:
    """By us, where the runtime that serves says so; where it says nothing it may well be by it."""
    if serving.get("channels", {}).get(key, {}).get("condition") == "serving":
        return Finding(about, "ok", f"{where}, held by the runtime that serves (process {serving['pid']})")
    who = f"lsof -nP -iTCP:{port}"
    if "channels" not in serving and serving.get("pid"):
        found = f"{where}, which is in use, perhaps by process {serving['pid']}, which holds the state folder"
        return Finding(about, "warning", found, f"see to that process first; who uses the port: {who}")
    cure = f"set `port` (OPENCLAW_HTTP_PORT), or end what uses it: {who}"
    return Finding(about, "problem", f"{where}, which another program uses (perhaps another runtime)", cure)


def _tried(host: str, port: int) -> OSError | None:
    """Why nobody could listen there now; taken and let go in one."""
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError as error:
        return error
    return None


# ── heartbeats ───────────────────────────────────────────────────────────────────────────────────


def heartbeats(snapshot: Snapshot, serving: Mapping[str, Any] | None = None) -> Iterator[Finding]:
    """When they run next: as the runtime that serves has it, reminders and pauses included, else as the manifests have
    it. And whether what they deliver can arrive."""
    from openclaw.cli._beats import coming, zone

    if serving and "heartbeats" in serving:
        told = [(row, datetime.fromisoformat(row["next"]) if row["next"] else None) for row in serving["heartbeats"]]
        rows = [(row["name"], when and when.astimezone(zone(row))) for row, when in told]
    else:
        rows = [(beat.name, coming(beat, datetime.now(UTC))) for beat in snapshot.heartbeats.values()]
    following = sorted((when, name) for name, when in rows if when)
    if not rows:
        yield Finding("heartbeats", "ok", "none")
    else:
        fires = [f"{name} {when:%a %d %b %H:%M %Z}".strip() for when, name in following[:_TOLD]]
        more = f" and {len(following) - _TOLD} more" if len(following) > _TOLD else ""
        next_ones = f"; next: {', '.join(fires)}{more}" if fires else ""
        yield Finding("heartbeats", "ok", f"{len(following)} of {len(rows)} on{next_ones}")
    for beat in snapshot.heartbeats.values():
        lost = sorted({to.channel for to in beat.deliver if _is_off(snapshot, to.channel)})
        if beat.enabled and lost:
            found = f"{beat.name} delivers to {', '.join(lost)}, which takes no part"
            yield Finding("heartbeats", "warning", found, "give that channel its token, or name another `deliver`")


def _is_off(snapshot: Snapshot, key: str) -> bool:
    channel = snapshot.channels.get(key)
    return channel is not None and channel.skipped is not None


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'s'[: count != 1]}"
