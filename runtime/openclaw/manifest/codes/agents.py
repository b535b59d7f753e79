"""Agents: who they are, what they are given."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code
from openclaw.manifest.codes.sound import AGENT, TOOLS, agent

_DENYING: Final = TOOLS.replace("    rules", "    default: deny\n    rules")

CODES: Final[dict[str, Code]] = {
    "no-agents": Code(
        "A project has at least one agent.",
        bad={"agents/main.yaml": None},
        good={"agents/main.yaml": AGENT},
    ),
    "agent-id": Code(
        "An agent's id is its file's name: lower-case letters, digits and dashes, once in the project.",
        bad={"agents/Main_One.yaml": AGENT, "agents/main.yaml": None},
        good={"agents/main-one.yaml": AGENT, "agents/main.yaml": None},
    ),
    "default-agent": Code(
        "Exactly one agent is the default, unless there is only one.",
        bad={**agent("default: true\n"), "agents/other.yaml": AGENT + "default: true\n"},
        good={**agent("default: true\n"), "agents/other.yaml": AGENT},
    ),
    "prefix": Code(
        "A prefix leads to one agent and is not a built-in command.",
        bad=agent("prefix: /stop\n"),
        good=agent("prefix: /jarvis\n"),
    ),
    "soul": Code(
        "A soul is a text file inside the project, and not empty.",
        bad={"agents/main.md": "\n"},
        good={"agents/main.md": "You are brief.\n"},
    ),
    "soul-huge": Code(
        "A soul is short enough to go to the model with every request: below 65,536 bytes.",
        bad={"agents/main.md": "You are thorough. " * 4000 + "\n"},
        good={"agents/main.md": "You are thorough.\n"},
    ),
    "workspace": Code(
        "A workspace is `own`, `shared`, or an absolute path outside the project.",
        bad=agent("workspace: project\n"),
        good=agent("workspace: own\n"),
    ),
    "tool-denied": Code(
        "The agent is given a tool that its policy always denies, so the model never sees it.",
        bad={**agent(""), "tools.yaml": TOOLS.replace("allow", "deny")},
        good={**agent(""), "tools.yaml": TOOLS},
    ),
    "tool-undecided": Code(
        "Under `default: deny` a rule speaks of every tool that an agent is given.",
        bad={"agents/main.yaml": AGENT.replace("read_file", "read_file, web_fetch"), "tools.yaml": _DENYING},
        good={"agents/main.yaml": AGENT, "tools.yaml": _DENYING},
    ),
}
