"""Which open questions an edit makes void, and why: what was asked is not what would be asked now. Pure."""

from __future__ import annotations

from openclaw.manifest.people import approvers_of
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Approval
from openclaw.permissions.policy import policy_digest


def lapsed(approval: Approval, snapshot: Snapshot) -> str:
    """Why it is not asked any more; "" where it stands. A question is put again, as it is then, by whoever still wants
    to know."""
    agent = snapshot.agents.get(approval.agent)
    if agent is None:
        return f"agent `{approval.agent}` was taken away"
    if approval.tool not in snapshot.tools or approval.tool not in agent.tools:
        return f"the tool `{approval.tool}` was taken away from agent `{approval.agent}`"
    if policy_digest(snapshot.policies[agent.policy]) != approval.policy:
        return f"the policy of agent `{approval.agent}` was changed"
    known = approvers_of(approval.agent, snapshot)
    if gone := [one for one in approval.approvers if one not in known]:
        return f"{', '.join(gone)} may not answer for agent `{approval.agent}` any more"
    return ""
