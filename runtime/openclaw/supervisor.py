"""Holds the snapshot in force with the adapters that are open for it, and replaces both at once.

New beside old, swap one reference, retire: `apply` opens what is new, and a failure there changes nothing. A
turn takes a lease and keeps its generation until it ends; an adapter is closed when no generation that anybody
can reach needs it any more. Knows no channel: those are the app's.
"""

from __future__ import annotations

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

    @property
    def current(self) -> Generation:
        assert self._current is not None, "no snapshot was applied yet"
        return self._current

    async def apply(self, snapshot: Snapshot, model: Callable[[Model], Model] | None = None) -> Generation:
        """Makes `snapshot` the one in force. When anything cannot be opened, nothing has changed. `model`: from now
        on instead of the one given at first, because a key may be another one now."""
        old, model = self._current, model or self._model
        known = [adapter for generation in self._alive() for adapter in generation.adapters()]
        wanted = _wanted(snapshot, model)
        fresh: list[Adapter] = []
        try:
            for name, adapter in wanted.items():
                same = next((k for k in [*known, *fresh] if k.serves(adapter)), None)
                if same is None:
                    await self._open(adapter)
                    fresh.append(adapter)
                wanted[name] = same or adapter
        except BaseException:
            await _close(fresh)
            raise
        self._model = model
        models = {alias: model(one) for alias, one in snapshot.models.items()}
        self._current = Generation(
            old.number + 1 if old else 1, snapshot, models, _part(wanted, "providers"), _part(wanted, "tools")
        )
        if old is not None:
            self._retired.append(old)
        await self._sweep()
        return self._current

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Generation]:
        """The generation in force, kept whole until the block ends."""
        generation = self.current
        generation.leases += 1
        try:
            yield generation
        finally:
            generation.leases -= 1
            await self._sweep()

    async def close(self) -> None:
        await _close(_distinct(adapter for generation in self._alive() for adapter in generation.adapters()))
        self._current, self._retired = None, []

    def _alive(self) -> list[Generation]:
        return [*self._retired, *([self._current] if self._current else [])]

    async def _sweep(self) -> None:
        """Closes what no lease and no current snapshot can reach."""
        gone = [generation for generation in self._retired if not generation.leases]
        if not gone:
            return
        self._retired = [generation for generation in self._retired if generation.leases]
        reachable = [adapter for generation in self._alive() for adapter in generation.adapters()]
        dropped = _distinct(adapter for generation in gone for adapter in generation.adapters())
        await _close(adapter for adapter in dropped if not any(adapter is kept for kept in reachable))

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


def _distinct(adapters: Iterable[Adapter]) -> list[Adapter]:
    return list({id(adapter): adapter for adapter in adapters}.values())


async def _close(adapters: Iterable[Adapter]) -> None:
    for adapter in adapters:
        try:
            await adapter.opened.close()
        except Exception:
            log.exception("closing %s %s failed", adapter.folder, adapter.kind)
