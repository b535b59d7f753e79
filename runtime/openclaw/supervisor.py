"""Holds the snapshot in force with the adapters that are open for it, and replaces both at once.

New beside old, swap one reference, retire: `prepare` opens what is new, and a failure there changes nothing; `swap`
cannot fail. A turn takes a lease and keeps its generation until it ends; an adapter is closed when no generation
that anybody can reach needs it any more. Knows no channel: those are the app's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from openclaw import adapters
from openclaw.clock import Clock
from openclaw.manifest.snapshot import Model, Snapshot, in_order
from openclaw.messages import ToolSpec
from openclaw.ports import Place, Provider, Tools

log = logging.getLogger(__name__)

CLOSING = 10.0  # seconds that one adapter gets to close; an edit waits for it


@dataclass(slots=True)
class Adapter:
    """One open object and what it was opened for; equal descriptions share one object."""

    folder: str
    kind: str
    description: Mapping[str, Any] = field(repr=False)
    opened: Any = None

    def serves(self, other: Adapter) -> bool:
        return (self.folder, self.kind) == (other.folder, other.kind) and self.description == other.description


@dataclass(slots=True, eq=False)
class Generation:
    """A snapshot with its open adapters, pinned by leases."""

    number: int
    snapshot: Snapshot
    models: Mapping[str, Model]  # by alias, as they are really asked
    providers: Mapping[str, Adapter]  # by model alias
    tools: Mapping[str, Adapter]  # by kind
    leases: int = 0

    def provider(self, alias: str) -> Provider:
        provider: Provider = self.providers[alias].opened
        return provider

    def tool(self, spec: ToolSpec) -> Tools:
        tools: Tools = self.tools[spec.kind].opened
        return tools

    def adapters(self) -> Iterable[Adapter]:
        return [*self.providers.values(), *self.tools.values()]


@dataclass(slots=True, eq=False)
class Ahead:
    """A generation before it is in force: `fresh` was opened for it, `kept` is open for others and must stay so."""

    generation: Generation
    model: Callable[[Model], Model]
    fresh: list[Adapter] = field(default_factory=list)
    kept: list[Adapter] = field(default_factory=list)


class Supervisor:
    def __init__(
        self,
        place: Place,
        clock: Clock,
        model: Callable[[Model], Model] = lambda model: model,
        kind: Callable[[str, str], Any] = adapters.kind,
    ) -> None:
        """`model` may replace every model by another one: the demo does. `kind` finds adapters."""
        self._kind = kind
        self._place = place
        self._clock = clock
        self._model = model
        self._current: Generation | None = None
        self._retired: list[Generation] = []
        self._ahead: list[Ahead] = []

    @property
    def current(self) -> Generation:
        assert self._current is not None, "no snapshot was applied yet"
        return self._current

    async def apply(self, snapshot: Snapshot) -> Generation:
        """Makes `snapshot` the one in force. When anything cannot be opened, nothing has changed."""
        ahead = await self.prepare(snapshot)
        self.swap(ahead)
        await self.sweep()
        return ahead.generation

    async def prepare(self, snapshot: Snapshot, model: Callable[[Model], Model] | None = None) -> Ahead:
        """Opens what `snapshot` needs and is not open yet; `swap` it, or `forgo` it. When anything cannot be opened,
        nothing has changed. `model`: from then on instead of the one given at first, because a key may be another one
        now."""
        old, model = self._current, model or self._model
        known = [adapter for generation in self._alive() for adapter in generation.adapters()]
        wanted = _wanted(snapshot, model)
        models = {alias: model(one) for alias, one in snapshot.models.items()}
        number = old.number + 1 if old else 1
        ahead = Ahead(Generation(number, snapshot, models, {}, {}), model)
        self._ahead.append(ahead)  # from here on nothing is closed that it means to keep
        ahead.kept = [same for adapter in wanted.values() if (same := _served(adapter, known)) is not None]
        try:
            for name, adapter in wanted.items():
                same = _served(adapter, [*known, *ahead.fresh])
                if same is None:
                    await self._open(adapter)
                    ahead.fresh.append(adapter)
                wanted[name] = same or adapter
            await _look_up(models.values())
        except BaseException:
            await self.forgo(ahead)
            raise
        ahead.generation.providers, ahead.generation.tools = _part(wanted, "providers"), _part(wanted, "tools")
        return ahead

    def swap(self, ahead: Ahead) -> None:
        """Puts it in force. Cannot fail; `sweep` then closes what nobody needs any more."""
        self._ahead.remove(ahead)
        self._model = ahead.model
        if self._current is not None:
            self._retired.append(self._current)
        self._current = ahead.generation

    async def forgo(self, ahead: Ahead) -> None:
        """Closes what was opened for it, and what was kept open for it alone."""
        self._ahead.remove(ahead)
        await _close(_distinct([*ahead.fresh, *_not_among(self._reachable(), ahead.kept)]))

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Generation]:
        """The generation in force, kept whole until the block ends."""
        generation = self.current
        generation.leases += 1
        try:
            yield generation
        finally:
            generation.leases -= 1
            await self.sweep()

    async def close(self) -> None:
        await _close(_distinct(adapter for generation in self._alive() for adapter in generation.adapters()))
        self._current, self._retired = None, []

    def _alive(self) -> list[Generation]:
        return [*self._retired, *([self._current] if self._current else [])]

    def _reachable(self) -> list[Adapter]:
        """What some generation needs, or one that is being prepared."""
        alive = [adapter for generation in self._alive() for adapter in generation.adapters()]
        return [*alive, *(adapter for ahead in self._ahead for adapter in [*ahead.kept, *ahead.fresh])]

    async def sweep(self) -> None:
        """Closes what no lease and no current snapshot can reach. What fails to close is told in the log."""
        gone = [generation for generation in self._retired if not generation.leases]
        if not gone:
            return
        self._retired = [generation for generation in self._retired if generation.leases]
        dropped = _distinct(adapter for generation in gone for adapter in generation.adapters())
        await _close(_not_among(self._reachable(), dropped))

    async def _open(self, adapter: Adapter) -> None:
        made = self._kind(adapter.folder, adapter.kind)
        where = (self._clock,) if adapter.folder == "providers" else (self._place, self._clock)
        adapter.opened = made(adapter.description, *where)
        try:
            await adapter.opened.open()
        except BaseException:
            await _close([adapter])
            raise


def _wanted(snapshot: Snapshot, asked: Callable[[Model], Model]) -> dict[tuple[str, str], Adapter]:
    wanted: dict[tuple[str, str], Adapter] = {}
    beats = snapshot.heartbeats.values()
    models = [*(agent.model for agent in snapshot.agents.values()), *(beat.model for beat in beats if beat.model)]
    for alias in dict.fromkeys(each for own in models for each in in_order(own, snapshot.models)):
        model = asked(snapshot.models[alias])
        wanted["providers", alias] = Adapter("providers", model.kind, model.options)
    used = {name for agent in snapshot.agents.values() for name in agent.tools}
    used |= {beat.check.tool for beat in beats if beat.check}
    for kind in dict.fromkeys(spec.kind for spec in snapshot.tools.values() if spec.name in used):
        specs = {n: s for n, s in snapshot.tools.items() if s.kind == kind and n in used}
        wanted["tools", kind] = Adapter("tools", kind, specs)
    return wanted


def _part(wanted: Mapping[tuple[str, str], Adapter], folder: str) -> dict[str, Adapter]:
    return {name: adapter for (part, name), adapter in wanted.items() if part == folder}


def _served(adapter: Adapter, by: Iterable[Adapter]) -> Adapter | None:
    return next((one for one in by if one.serves(adapter)), None)


def _not_among(kept: Iterable[Adapter], adapters: Iterable[Adapter]) -> list[Adapter]:
    known = {id(adapter) for adapter in kept}
    return [adapter for adapter in adapters if id(adapter) not in known]


def _distinct(adapters: Iterable[Adapter]) -> list[Adapter]:
    return list({id(adapter): adapter for adapter in adapters}.values())


async def _look_up(models: Iterable[Model]) -> None:
    """What those of other services cost, before a turn asks for it: to read the list of prices takes half a second, in
    which nobody else must wait."""
    foreign = [model for model in models if model.foreign]
    if foreign:
        await asyncio.to_thread(lambda: [model.costs for model in foreign])


async def _close(adapters: Iterable[Adapter]) -> None:
    for adapter in adapters:
        try:
            async with asyncio.timeout(CLOSING):
                await adapter.opened.close()
        except Exception:
            log.exception("closing %s %s failed", adapter.folder, adapter.kind)
