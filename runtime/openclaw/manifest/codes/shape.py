"""Keys and values that the schemas do not take."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code
from openclaw.manifest.codes.sound import AGENT, agent, channels, tool

CODES: Final[dict[str, Code]] = {
    "unknown-key": Code(
        "The key has no meaning in this place.",
        bad=agent("efort: low\n"),
        good=agent("effort: low\n"),
    ),
    "missing-key": Code(
        "A required key is missing.",
        bad={"agents/main.yaml": AGENT.replace("description: Helps with everything\n", "")},
        good={"agents/main.yaml": AGENT},
    ),
    "exclusive-keys": Code(
        "Of some keys exactly one may be given.",
        bad=tool("description: Lists a folder\nshell: ls\npython: lists:folder"),
        good=tool("description: Lists a folder\nshell: ls"),
    ),
    "empty-value": Code(
        "The key is there and has no value.",
        bad=channels("channels:\n  web:\n    kind: http\n    host: #general\n"),
        good=channels("channels:\n  web:\n    kind: http\n    host: 127.0.0.1\n"),
    ),
    "wrong-type": Code(
        "The value is of another type than the key takes.",
        bad=agent('limits: {iterations: "12"}\n'),
        good=agent("limits: {iterations: 12}\n"),
    ),
    "wrong-value": Code(
        "The value is of the right type and outside what the key takes.",
        bad=agent("effort: lots\n"),
        good=agent("effort: high\n"),
    ),
    "too-many": Code(
        "Of one file at most 1,000 mistakes are told at once.",
        unshown="It takes more than 1,000 mistakes in one file.",
    ),
}
