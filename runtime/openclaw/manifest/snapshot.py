"""What the manifests mean, compiled: one immutable value that turns lease and reloads replace.

Knows nothing of YAML, positions or disks. Everything is resolved: souls are text, placeholders are
values, globs are names. Secrets are plain here and appear nowhere else (`repr` hides them).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from openclaw.permissions.policy import Policy
from openclaw.secrecy import masked
from openclaw.words import Address, ChannelOptions, ToolSpec

if TYPE_CHECKING:
    from openclaw.messages import Usage

Queue: TypeAlias = Literal["queue", "collect", "interrupt", "steer"]
"""What becomes of messages that come while an answer is being written."""

QUEUE_LIMIT = 50  # messages of one session that wait
OFF = "switched off"  # how a channel begins to say why it takes no part where the manifest says so


@dataclass(frozen=True, slots=True)
class Limits:
    """What the turns of an agent may take."""

    iterations: int = 20  # model calls in one turn
    turn: float = 600.0  # seconds
    output_tokens: int = 16000  # of one model call
    cost: float | None = None  # US dollars of one turn, after which the model is not called again
    usd_per_day: float | None = None  # of all turns of a day, after which the model is not called again


@dataclass(frozen=True, slots=True)
class CompactionLimits:
    """From how many tokens on a conversation is summed up, and how many of them stay as they are."""

    at_tokens: int = 100_000
    keep_tokens: int = 50_000
    mode: Literal["own", "server"] = "own"  # who makes the summary: we ask the model, or its service does it


@dataclass(frozen=True, slots=True)
class Renewal:
    """When a conversation starts afresh by itself. `at` is in minutes of the day, `idle` in seconds."""

    reset: Literal["never", "daily", "idle"] = "never"
    at: int = 4 * 60
    idle: float = 12 * 3600.0
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Agent:
    """`tools` are in a fixed order, globs expanded. `soul` is the text of all its soul files, or the built-in one."""

    id: str
    name: str
    description: str
    soul: str
    instructions: str
    model: str  # a key of Snapshot.models
    tools: tuple[str, ...]
    policy: str
    prefix: str | None = None
    default: bool = False
    effort: str | None = None
    workspace: str = "shared"  # "shared", "own", or an absolute path
    memory: Literal["shared", "agent", "person", "off"] = "shared"
    limits: Limits = Limits()
    compaction: CompactionLimits = CompactionLimits()
    interrupted: Literal["resume", "notify", "drop"] = "resume"  # a message whose answer a crash cut off
    session: Renewal = Renewal()


def workspace_of(agent: Agent, state: Path) -> Path:
    """The agent's working folder, wherever it may lead, and whether it is there or not."""
    match agent.workspace:
        case "shared":
            return state / "workspace"
        case "own":
            return state / "workspaces" / agent.id
        case path:
            return Path(path).expanduser()


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens. What is read from and written to the cache has prices of its own; a request that
    carries more than `above` tokens costs what `beyond` says, all of it. `web_search`: for a thousand searches that the
    service makes by itself; None where nobody knows."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    above: int = 0
    beyond: Price | None = None
    web_search: float | None = None

    @property
    def is_free(self) -> bool:
        return not (self._tokens or self.web_search)

    @property
    def _tokens(self) -> float:
        return self.input + self.output + self.cache_read + self.cache_write

    def covers(self, usage: Usage) -> bool:
        """Whether all that a call cost is known: whatever it took has a price and was told. A service that says nothing
        of its tokens says nothing of searches that it may have made, either."""
        silent = not (usage.input or usage.output or usage.cache_read or usage.cache_write)
        if usage.searches:
            return self.web_search is not None and not (silent and self._tokens)
        return not silent or self.is_free

    def of(self, usage: Usage) -> float:
        """US dollars of one call, as far as they are known."""
        read = usage.input + usage.cache_read + usage.cache_write
        price = self.beyond if self.beyond is not None and read > self.above else self
        parts = (
            usage.input * price.input,
            usage.output * price.output,
            usage.cache_read * price.cache_read,
            usage.cache_write * price.cache_write,
        )
        return sum(parts) / 1_000_000 + usage.searches * (self.web_search or 0.0) / 1_000


FREE = Price(0.0, 0.0, 0.0, 0.0)
"""What a script costs."""


@dataclass(frozen=True, slots=True)
class Model:
    """`kind` is a file in openclaw/providers; `options` are the kind's (base_url, api_key, script, ...)."""

    alias: str
    id: str
    kind: str = "anthropic"
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    price: Price | None = None  # as the manifest or this build has it; None: neither does
    fallback: tuple[str, ...] = ()  # keys of Snapshot.models: those that answer where this one does not

    @property
    def costs(self) -> Price | None:
        """What a call is counted at; None: nobody knows. The first look at a `foreign` model takes half a second."""
        from openclaw.manifest.prices import listed

        found = listed(self.id, self._service) if self._lacks else None
        if self.price is None or found is None:
            return self.price or found
        return replace(self.price, web_search=found.web_search)

    @property
    def foreign(self) -> bool:
        """Whether something of what it costs must be looked for in the list of prices."""
        from openclaw.manifest.prices import may_list

        return self._lacks and may_list(self._service)

    @property
    def _lacks(self) -> bool:
        """Whether a price that it needs is not said: that of searches only where its service is handed any."""
        if self.price is None:
            return True
        return self.price.web_search is None and "web_search" in (self.options.get("capabilities") or ())

    @property
    def _service(self) -> str:
        return str(self.options.get("base_url") or "")


def in_order(alias: str, models: Mapping[str, Model]) -> list[str]:
    """A model and those that stand in for it, each with those that stand in for it behind it."""
    found = [alias]
    for each in models[alias].fallback:
        found += [other for other in in_order(each, models) if other not in found]
    return found


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a name, whatever channel they write on."""

    name: str
    ids: tuple[Address, ...]
    owner: bool = False
    groups: tuple[str, ...] = ()
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """A group with a name, and who answers there."""

    name: str
    id: Address  # channel and chat id
    agent: str | None = None
    agents: tuple[str, ...] | None = None  # None admits every agent


@dataclass(frozen=True, slots=True)
class Channel:
    """`skipped` says why a described channel takes no part: a required secret without value, or `enabled: false`."""

    key: str
    options: ChannelOptions = field(repr=False)
    agent: str | None = None
    agents: tuple[str, ...] | None = None
    allow: tuple[str, ...] | None = None  # sender ids; None: people who have an id on this channel
    queue: Queue = "queue"
    queue_limit: int = QUEUE_LIMIT
    skipped: str | None = None

    @property
    def off(self) -> bool:
        """Whatever secrets there are."""
        return self.skipped is not None and self.skipped.startswith(OFF)


@dataclass(frozen=True, slots=True)
class Check:
    """A tool that is run at each instant, and decides without a model whether the model is woken."""

    tool: str
    input: Mapping[str, Any] = field(default_factory=dict, repr=False)
    wake: Literal["failure", "output", "change"] = "failure"
    after: int = 1  # times in a row, before the model is woken
    repeat: float | None = None  # seconds until it is woken again while that lasts; None: not again
    recovered: bool = False  # woken once more when it is over
    secrets: tuple[str, ...] = field(default=(), repr=False)  # what of the input is shown nowhere

    @property
    def shown(self) -> str:
        """The input, without what is secret in it."""
        return masked(json.dumps(dict(self.input), sort_keys=True, default=str), self.secrets)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """`cron` holds one or more expressions; `deliver` and `notify` addresses, person or room names resolved.

    A reminder is one too: it is not in the manifests, and may have an instant `once` in place of expressions.
    """

    name: str
    cron: tuple[str, ...]
    prompt: str
    agent: str
    timezone: str
    deliver: tuple[Address, ...] = ()
    missed: Literal["once", "skip", "all"] = "once"
    timeout: float = 600.0
    session: Literal["fresh", "keep"] = "fresh"
    enabled: bool = True
    model: str | None = None  # a key of Snapshot.models; None: the agent's own
    notify: tuple[Address, ...] = ()  # who is told of failures
    check: Check | None = None
    jitter: float = 0.0  # seconds by which a run may be late on purpose, the same for the same instant
    active_hours: tuple[int, int] | None = None  # minutes of the day: from the first, up to before the second
    max_cost: float | None = None  # US dollars of one run
    once: datetime | None = None
    says: bool = False  # the prompt is the reply: no model is asked
    topic: str | None = None  # of the place it is delivered to
    asked_by: Address | None = None  # who set up a reminder


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`digest` covers every byte that was read to make it; `sources` maps each file read to its SHA-256. `secrets`
    are the values that no output may hold."""

    digest: str
    root: str
    agents: Mapping[str, Agent]
    tools: Mapping[str, ToolSpec]
    policies: Mapping[str, Policy]
    channels: Mapping[str, Channel]
    people: Mapping[str, Person]
    rooms: Mapping[str, Room]
    heartbeats: Mapping[str, Heartbeat]
    models: Mapping[str, Model]
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    timezone: str = "UTC"  # of the days that usage is counted by

    @property
    def default_agent(self) -> Agent:
        return next((a for a in self.agents.values() if a.default), next(iter(self.agents.values())))
