"""The small project without a mistake that the examples of the codes are laid over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from openclaw.manifest.codes.code import Files

AGENT: Final = "name: Jarvis\ndescription: Helps with everything\ntools: [read_file]\npolicy: careful\n"
TOOLS: Final = "policies:\n  careful:\n    rules:\n      - allow: [read_file]\n"
SOUND: Final = {"agents/main.yaml": AGENT, "tools.yaml": TOOLS}
TODAY: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""The day the examples are judged on: some speak of dates."""


def over(files: Files) -> dict[str, str]:
    """The sound project with an example's files in place of its own."""
    return {file: text for file, text in {**SOUND, **files}.items() if text is not None}


def agent(more: str) -> dict[str, str]:
    """The sound agent with some more lines."""
    return {"agents/main.yaml": AGENT + more}


def rules(more: str) -> dict[str, str]:
    """The sound policy with some more rules, each a line."""
    return {"tools.yaml": TOOLS + "".join(f"      - {rule}\n" for rule in more.splitlines())}


def tool(described: str, **files: str) -> dict[str, str]:
    """The sound policy after one tool, whose keys are a line each."""
    keys = "".join(f"    {line}\n" for line in described.splitlines())
    return {**{f"{name}.py": text for name, text in files.items()}, "tools.yaml": f"tools:\n  list:\n{keys}{TOOLS}"}


def channels(text: str) -> dict[str, str]:
    return {"channels.yaml": text}


def heartbeat(keys: str) -> dict[str, str]:
    """One heartbeat, its keys a line each; without a `cron` of its own it runs every morning and asks for news."""
    given = keys if "cron:" in keys else f'cron: "0 8 * * *"\nprompt: What is new?\n{keys}'
    lines = "".join(f"    {line}\n" for line in given.splitlines())
    return {"heartbeats.yaml": f"heartbeats:\n  morning:\n{lines}"}
