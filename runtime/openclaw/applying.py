"""Puts a new snapshot in force: adapters, channels, heartbeats and open questions follow it, or nothing does.

Its law: whatever can fail is done before the swap; what comes after the swap cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from openclaw.approvals import Approvals
from openclaw.heartbeats import Heartbeats
from openclaw.intake import Intake
from openclaw.lapsing import lapsed
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.ports import Channel
from openclaw.project import asked_models
from openclaw.supervisor import Supervisor


class Applying:
    """`conceal` hides what a snapshot and its folder hold of secrets from every output."""

    def __init__(
        self,
        supervisor: Supervisor,
        intake: Intake,
        approvals: Approvals,
        heartbeats: Heartbeats,
        conceal: Callable[[Snapshot, Folder], None],
        demo: bool,
    ) -> None:
        self._supervisor = supervisor
        self._intake = intake
        self._approvals = approvals
        self._heartbeats = heartbeats
        self._conceal = conceal
        self._demo = demo

    async def apply(self, snapshot: Snapshot, folder: Folder) -> None:
        """Puts a new snapshot in force, or raises OpenClawError with everything as it was. Channels that are
        described as before keep running as they are; what can be had before the old one gives way is had first."""
        self._conceal(snapshot, folder)
        changed = self._intake.changed(snapshot)
        fresh: dict[str, Channel | None] = {}
        try:
            for key in changed:
                await self._intake.ahead(key, snapshot.channels.get(key), fresh)
            await self._supervisor.apply(snapshot, asked_models(folder, self._demo))
        except BaseException:
            await self._intake.undo(fresh)
            raise
        self._heartbeats.replan()
        self._approvals.withdraw(partial(lapsed, snapshot=snapshot))
        for key in changed:
            self._intake.replace(key, snapshot.channels.get(key), fresh)
