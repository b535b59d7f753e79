"""Agents: who they are, what they are given."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code

CODES: Final[dict[str, Code]] = {
    "no-agents": Code(
        "A project has at least one agent.",
    ),
    "agent-id": Code(
        "An agent's id is its file's name: lower-case letters, digits and dashes, once in the project.",
    ),
    "default-agent": Code(
        "Exactly one agent is the default, unless there is only one.",
    ),
    "prefix": Code(
        "A prefix leads to one agent and is not a built-in command.",
    ),
    "soul": Code(
        "A soul is a text file inside the project, and not empty.",
    ),
    "workspace": Code(
        "A workspace is `own`, `shared`, or an absolute path outside the project.",
    ),
    "tool-denied": Code(
        "The agent is given a tool that its policy always denies, so the model never sees it.",
    ),
}
