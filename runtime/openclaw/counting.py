"""Counts what the entries of one session took, behind the place up to which they are counted.

Its law: what is counted once is not looked at again, and that place is known before the first is. Knows no message and
no disk: `tally` has what comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from openclaw import billing
from openclaw.fallback import Models
from openclaw.manifest.snapshot import Model
from openclaw.tally import Tally
from openclaw.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Counting:
    session: str
    agent: str
    transcript: Transcript
    models: Models  # that may have answered
    known: Mapping[str, Model]  # those of the snapshot, for what another one answered
    tally: Tally

    async def look_up(self) -> None:
        """Finds how much of the session is counted already, and counts what a crash left."""
        if self.transcript.counted is None:
            self.transcript.counted = await self.tally.place(self.session, self.transcript.entries)
            self._count(before=True)
        self.count()

    def count(self) -> None:
        """What was asked since it was last counted."""
        self._count(before=False)

    def _count(self, *, before: bool) -> None:
        transcript = self.transcript
        counted, transcript.counted = transcript.counted or 0, len(transcript.entries)
        for entry in transcript.entries[counted:]:
            for model, usage, price in billing.asked((entry,), self.models, before=before):
                price = price or next((one.costs for one in self.known.values() if one.id == model), None)
                cost, least = billing.cost_of(usage, price), billing.least(usage, price)
                self.tally.call(self.session, self.agent, entry, model, usage, cost, least)
