"""Puts a new snapshot in force: adapters, channels, heartbeats and open questions follow it, or nothing does.

Its law: whatever can fail is done before the swap; what comes after the swap cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from openclaw.approvals import Approvals
from openclaw.asking import places
from openclaw.clock import Clock
from openclaw.heartbeats import Heartbeats
from openclaw.intake import Intake
from openclaw.lapsing import lapsed
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Approval
from openclaw.project import asked_models
from openclaw.succession import Succession
from openclaw.supervisor import Supervisor

log = logging.getLogger(__name__)


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
        clock: Clock,
    ) -> None:
        self._supervisor = supervisor
        self._intake = intake
        self._approvals = approvals
        self._heartbeats = heartbeats
        self._conceal = conceal
        self._demo = demo
        self._clock = clock

    async def apply(self, snapshot: Snapshot, folder: Folder) -> None:
        """Puts a new snapshot in force, or raises OpenClawError with everything as it was. What is described as before
        keeps running as it is; all else is had, and tried, before anything gives way. A mistake of ours in what follows
        from the snapshot is raised at the very end: by then it is in force, which whoever tells of it must look at."""
        self._conceal(snapshot, folder)
        before = self._supervisor.current.snapshot
        succession, ahead = Succession(self._intake, before, snapshot, self._clock), None
        try:
            await succession.prepare()
            ahead = await self._supervisor.prepare(snapshot, asked_models(folder, self._demo))
        except BaseException:
            await succession.undo()
            raise
        self._supervisor.swap(ahead)
        amiss = self._follow(succession, snapshot)
        await self._supervisor.sweep()
        if amiss is not None:
            raise amiss

    def _follow(self, succession: Succession, snapshot: Snapshot) -> Exception | None:
        """What comes after the swap, each for itself: a mistake of ours in one part must not keep another from it. The
        first of them."""
        gone, amiss = succession.leaving(), None

        def void(approval: Approval) -> str:
            return self._stranded(approval, gone) or lapsed(approval, snapshot)

        for step in (self._heartbeats.replan, partial(self._approvals.withdraw, void), succession.put_in_force):
            try:
                step()
            except Exception as error:
                log.exception("a part of the new configuration is not in force")
                amiss = amiss or error
        return amiss

    def _stranded(self, approval: Approval, gone: Mapping[str, str]) -> str:
        """Why nobody can answer it where it was put; "" where somebody can."""
        put = [why for key, why in gone.items() if places(approval, key)]
        elsewhere = any(places(approval, key) for key in self._intake.taking_part() if key not in gone)
        return put[0] if put and not elsewhere else ""
