"""Policies: rules and what they decide."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code

CODES: Final[dict[str, Code]] = {
    "policy-include": Code(
        "Policies may include others, but not in a circle.",
    ),
    "policy-floor": Code(
        "`floor` joins every policy and holds only ask and deny rules.",
    ),
    "rule-matches-nothing": Code(
        "The rule matches no tool, so it decides nothing.",
    ),
    "rule-too-wide": Code(
        "The rule would let any command or any tool run unasked.",
    ),
    "rule-pointless": Code(
        "Another rule of the same policy makes this one pointless.",
    ),
    "rule-pattern": Code(
        "The pattern of a rule cannot be read.",
    ),
    "rule-condition": Code(
        "The rule's conditions do not fit the tools it names.",
    ),
    "rule-test": Code(
        "One of the rule's own tests fails.",
    ),
    "rule-network": Code(
        "`network` is for rules that let commands run, or ask about them.",
    ),
    "writes-nothing": Code(
        "A template that writes is allowed unasked, and may not write in the workspace.",
    ),
    "policy-repository": Code(
        "A trusted repository is named by the whole path of its root.",
    ),
    "rule-until": Code(
        "`until` is a date or a time: 2027-01-31 or 2027-01-31T18:00:00Z.",
    ),
}
