"""The words of policies: effects, rules, what is attempted and what was decided. Values only, no judgement."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal, TypeAlias

from openclaw.words import CommandLine, ToolSpec

Sandbox: TypeAlias = Literal["auto", "required", "off"]


class Effect(IntEnum):
    """The lattice: the strictest of all that matches wins; order and specificity play no part."""

    ALLOW = 0
    ASK = 1
    DENY = 2


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a rule stands in the manifests; line and column are 1-based code points."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Condition:
    """What and when, as a rule or its `except` states them; None means not stated. All that is stated must hold."""

    commands: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    input: Mapping[str, Any] | None = None  # input name -> JSON Schema
    sender: tuple[str, ...] | None = None  # `from`: people, addresses, group:NAME
    channel: tuple[str, ...] | None = None
    room: tuple[str, ...] | None = None
    heartbeat: tuple[str, ...] | None = None
    tainted: bool | None = None  # whether strangers' material has entered the session


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: to what it applies, what it decides, and where it stands."""

    effect: Effect
    tools: tuple[str, ...]  # names and globs
    when: Condition = Condition()
    unless: Condition | None = None  # `except`; only in ask and deny
    id: str | None = None
    reason: str | None = None
    until: str | None = None  # ISO date or time; only in allow
    unsafe: bool = False
    network: bool = False  # what it allows may use the network; only in allow, about commands
    writes: bool = False  # what it allows may write in the workspace; only in allow, about commands
    policy: str = ""
    origin: Origin = Origin("", 0, 0)


@dataclass(frozen=True, slots=True)
class Policy:
    """`rules` are all that join: its own, those of included policies, those of the floor."""

    name: str
    rules: tuple[Rule, ...] = ()
    default: Effect = Effect.ASK
    approvers: tuple[str, ...] = ()  # people, addresses, group:NAME; empty: the owners
    answer_within: float = 300.0  # seconds
    sandbox: Sandbox = "auto"
    trusted_repositories: tuple[Path, ...] = ()  # canonical roots whose own configuration git may follow unasked


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call before it is made, with everything a rule may look at. Paths are absolute."""

    tool: ToolSpec
    input: Mapping[str, Any]
    agent: str
    sender: str  # address
    person: str | None = None
    groups: frozenset[str] = frozenset()
    channel: str = ""
    room: str | None = None
    heartbeat: str | None = None
    workspace: Path = Path("/nonexistent")
    protected: tuple[Path, ...] = ()  # project and state folder: never writable, never readable for tools
    now: str = ""  # ISO, for `until`
    untrusted: str = ""  # the strangers' material that has entered the session; "" for none


@dataclass(frozen=True, slots=True)
class Segment:
    """One program of a command line with its own outcome."""

    argv: tuple[str, ...]
    decision: Effect
    reason: str
    program: str | None = None  # resolved path; None where it is not installed
    rules: tuple[Rule, ...] = ()  # those that speak of it, strictest first


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the strict grammar does not understand a command; `column` is 1-based in the text, 0 where it has none."""

    code: str
    message: str
    column: int = 1


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about an attempt, and why."""

    effect: Effect
    reason: str
    rules: tuple[Rule, ...] = ()  # every rule that matched, strictest first
    segments: tuple[Segment, ...] = ()
    refusal: Refusal | None = None
    command: CommandLine | None = None  # what runs, literal and resolved; None where there is no command
    details: Mapping[str, Any] = field(default_factory=dict)


_digests: dict[int, tuple[Policy, str]] = {}


def policy_digest(policy: Policy) -> str:
    """A hash of everything a policy says, wherever in a file it says it; worked out once for each policy in force."""
    known = _digests.get(id(policy))
    if known is None or known[0] is not policy:
        if len(_digests) >= 64:
            _digests.clear()
        said = replace(policy, rules=tuple(replace(rule, origin=Origin("", 0, 0)) for rule in policy.rules))
        known = (policy, hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest())
        _digests[id(policy)] = known
    return known[1]
