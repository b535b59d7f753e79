"""Which open questions an edit makes void: what was asked is not what would be asked now."""

from __future__ import annotations

from openclaw.manifest.people import approvers_of
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Approval
from openclaw.permissions.policy import policy_digest


def lapsed(approval: Approval, snapshot: Snapshot) -> bool:
    """Whether the policy that asks is another one now, or somebody who may answer may not any more."""
    agent = snapshot.agents.get(approval.agent)
    if agent is None or policy_digest(snapshot.policies[agent.policy]) != approval.policy:
        return True
    return not set(approval.approvers) <= set(approvers_of(approval.agent, snapshot))
