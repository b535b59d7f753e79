"""The words that are spoken before anything runs: what manifests are compiled to and policies judge. Frozen values.

Imports nothing of ours, does nothing. `messages` has these too, with all that flows once a runtime runs; a validation,
which must be quick, waits only for these.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import quote, unquote

# ── who and where ────────────────────────────────────────────────────────────────────────────────


OPERATOR = "operator"
"""The id, on a channel for programs, of the one that holds the operator's token and names no other sender."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A sender on a channel: the channel's key in channels.yaml and the channel's own immutable id."""

    channel: str
    id: str

    def __str__(self) -> str:
        return f"{self.channel}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """`telegram:12345` -> Address; raises ValueError where either half is missing."""
        channel, colon, id = text.partition(":")
        if not (channel and colon and id):
            raise ValueError(f"`{text}` is not an address; write channel:id, for example telegram:12345")
        return cls(channel, id)


def escape(part: str) -> str:
    """One part of a session key: `%` and `:` are percent-encoded, so that keys cannot run together."""
    return part.replace("%", "%25").replace(":", "%3A")


def unescape(part: str) -> str:
    return unquote(part)


def printable(name: str) -> str:
    """A file's name as every output can hold it."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")


def quote_line(text: str) -> str:
    """For logs and one-line displays: control and format characters escaped, nothing hidden."""
    return "".join(c if c.isprintable() else quote(c) if ord(c) < 0x80 else f"\\u{{{ord(c):x}}}" for c in text)


def cut_to(text: str, most: int) -> str:
    """At most so many characters, the last of them `…` where some are missing."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def time_json(at: datetime | str) -> str:
    """As every time is written in JSON, here and over HTTP: RFC 3339, UTC, milliseconds. One that was kept as text in
    another form comes in this one; what is no time, as it is."""
    try:
        found = at if isinstance(at, datetime) else datetime.fromisoformat(str(at))
        return found.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return str(at)


def dated(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What was kept, with its time in that form, if it has one."""
    return {**entry, "at": time_json(entry["at"])} if "at" in entry else dict(entry)


def char_width(char: str) -> int:
    """Columns of a terminal that a character takes; what is not printable is shown as a sign, which takes one."""
    import unicodedata

    if not char.isprintable():
        return 1
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


# ── tools ────────────────────────────────────────────────────────────────────────────────────────

Judged: TypeAlias = Literal["command", "path", "url"]
"""How the permission layer reads one input of a tool: a command line, a path, an address on the web."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it and as its kind runs it.

    `kind` is the file in openclaw/tools that runs it. `options` belong to the kind alone. `judged`
    names the inputs that rules look at. `timeout` is in seconds.
    """

    name: str
    description: str
    input_schema: Mapping[str, Any]
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    judged: Mapping[str, Judged] = field(default_factory=dict)
    writes: bool = False  # changes files: paths are judged for writing, not for reading
    timeout: float = 60.0
    untrusted: bool = False  # what it returns was written by strangers
    repeat: Literal["never", "safe"] = "never"  # whether a call that a crash cut off may be made again


@dataclass(frozen=True, slots=True)
class Step:
    """One program of a command line, literal: exactly this argv runs, at exactly this path, without a shell."""

    argv: tuple[str, ...]
    after: Literal["", "|", "&&", "||", ";"] = ""  # how it is joined to the step before it
    stdout: Literal["", "null"] = ""
    stderr: Literal["", "null", "stdout"] = ""
    program: str = ""  # resolved absolute path; "" until resolved


Mechanism: TypeAlias = Literal["bubblewrap", "landlock", "seatbelt", "none"]


@dataclass(frozen=True, slots=True)
class Confinement:
    """What holds a command back while it runs, decided together with it. All paths are canonical.

    `writable`: a person agreed, so the workspace may be written. `hidden`: folders and files that are not there
    for it. `shown`: protected paths that it names, and that a person therefore saw; they may be read.
    `repository`: the command is git, so it sees what git keeps in the workspace, and writes it if it is `writable`.
    `around`: programs that look at the machine, which they would not see from inside; their profiles hold them.
    `opened`: names below the repository's `.git` that a person let it change; `settings`: what programs obey elsewhere
    in the workspace, because git checks files out. `lenient`: it may run where what is
    protected in the workspace could not all be found, because nothing that was decided counts on that.
    """

    mechanism: Mechanism = "none"
    workspace: Path = Path("/nonexistent")
    writable: bool = False
    network: bool = False
    hidden: tuple[Path, ...] = ()
    shown: tuple[Path, ...] = ()
    repository: bool = False
    around: tuple[Step, ...] = ()
    opened: tuple[str, ...] = ()
    settings: bool = False
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class CommandLine:
    """`confinement` is None where nothing was decided about it: then it does not run."""

    steps: tuple[Step, ...]
    confinement: Confinement | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls a tool and from where. Public: a Python tool may ask for it by annotating a parameter.

    `command` is the judged command line of a shell call: what the tool runs is this and nothing else.
    `memory` is the scope folder whose memories this agent reads and writes, None where memory is off.
    `untrusted` names the strangers' material that the session holds, "" for none.
    `check` says that a heartbeat's check calls, and no model.
    """

    agent: str
    session: str
    sender: str  # address
    workspace: Path
    id: str = ""
    command: CommandLine | None = None
    memory: str | None = None
    chat: str | None = None  # the group it was asked for in, and its topic
    topic: str | None = None
    untrusted: str = ""
    check: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)  # of its input, which no output may hold


# ── channels ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """One entry of channels.yaml, placeholders resolved. `options` belong to the kind alone."""

    key: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
