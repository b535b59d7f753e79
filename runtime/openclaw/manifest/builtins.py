"""What every project has without describing it: built-in tools, models, commands, a soul.

The tools' code is in openclaw/tools under the kind named here; this is only what the model is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from openclaw.words import Judged, ToolSpec

MODELS: Final = (
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-opus-5-5",
    "claude-fable-5-2",
    "claude-mythos-5-2",
    "claude-sonnet-4-6",
)
DEFAULT_MODEL: Final = MODELS[0]
FLOOR: Final = "floor"
COMMANDS: Final = frozenset(
    {"help", "new", "agents", "agent", "tools", "status", "usage", "compact", "undo-compact", "memory", "stop", "quit"}
)
"""Slash commands of the runtime itself, which no prefix may take."""


@cache
def soul() -> str:
    return Path(__file__).with_name("soul.md").read_text(encoding="utf-8")


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _count(description: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "description": description}


def _spec(
    name: str,
    kind: str,
    description: str,
    properties: Mapping[str, Any],
    required: tuple[str, ...],
    judged: Mapping[str, Judged] | None = None,
    *,
    writes: bool = False,
    untrusted: bool = False,
) -> ToolSpec:
    schema = {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }
    return ToolSpec(name, description, schema, kind, judged=judged or {}, writes=writes, untrusted=untrusted)


_PATH: Final[Mapping[str, Judged]] = {"path": "path"}

_ALL: Final = (
    _spec(
        "run_command", "shell",
        "Runs a command in the workspace and returns what it prints. There is no shell behind it: pipes (|), &&, || "
        "and ; work, but no variables, wildcards, substitutions, or redirections other than 2>&1 and to /dev/null.",
        {
            "command": _text("The command line, for example: grep -n TODO notes.txt | head"),
            "cwd": _text("Folder to run it in, relative to the workspace. Left out: the workspace."),
        },
        ("command",), {"command": "command", "cwd": "path"},
    ),
    _spec(
        "read_file", "files",
        "Reads a text file of the workspace.",
        {
            "path": _text("The file, relative to the workspace."),
            "offset": _count("First line to return, counted from 1."),
            "limit": _count("How many lines to return."),
        },
        ("path",), _PATH,
    ),
    _spec(
        "write_file", "files",
        "Writes a text file of the workspace, replacing what was there. Folders are made as needed.",
        {"path": _text("The file, relative to the workspace."), "content": _text("The whole new content.")},
        ("path", "content"), _PATH, writes=True,
    ),
    _spec(
        "edit_file", "files",
        "Replaces text in a file of the workspace. The old text must occur exactly once, unless `all` is true.",
        {
            "path": _text("The file, relative to the workspace."),
            "old": _text("The text to replace, exactly as it stands in the file."),
            "new": _text("The text to put in its place."),
            "all": {"type": "boolean", "description": "Replace every occurrence."},
        },
        ("path", "old", "new"), _PATH, writes=True,
    ),
    _spec(
        "list_files", "files",
        "Lists files and folders of the workspace.",
        {
            "path": _text("The folder, relative to the workspace. Left out: the workspace."),
            "pattern": _text("Only names that match this glob, for example **/*.md."),
        },
        (), _PATH,
    ),
    _spec(
        "save_memory", "memory",
        "Remembers something for later conversations. Save what the person asks you to remember, and lasting facts "
        "about them.",
        {
            "text": _text("What to remember, in full sentences that make sense on their own."),
            "name": _text("A short title. Left out: made from the text."),
        },
        ("text",),
    ),
    _spec(
        "memory_search", "memory",
        "Searches what was remembered in earlier conversations. Use it before saying that you do not know something "
        "about the person.",
        {
            "query": _text('Words to look for; "in quotes" those that stand together, and wor* for a beginning.'),
            "limit": _count("How many memories to return at most."),
            "around": {
                "type": "integer", "minimum": 0, "maximum": 5,
                "description": "How many that were kept just before each, and just after, to show too. Left out: none.",
            },
        },
        ("query",),
    ),
    _spec(
        "memory_list", "memory",
        "Lists what was remembered, the latest first.",
        {"limit": _count("How many to list at most.")},
        (),
    ),
    _spec(
        "memory_delete", "memory",
        "Forgets one memory.",
        {"name": _text("Its name, as memory_list shows it.")},
        ("name",),
    ),
    _spec(
        "remind_me", "reminders",
        "Sets up a reminder for later. The text is then delivered to this conversation word for word, by itself, so "
        "write it complete and addressed to the person: what they will read, not what they asked you. Say when in "
        "exactly one way: `in` a while, `at` a time, or `cron` to repeat it. With `act` nothing is delivered as it "
        "stands: you are given the text as a task at that time, in a conversation of its own, and your answer is "
        "delivered; use it only where something must be looked up or done then.",
        {
            "text": _text("What to tell the person, for example: Time to drink some water! With `act`: the whole task, "
                          "which must make sense without this conversation."),
            "in": _text("After how long, for example 30s, 10m, 1h30m or 3d."),
            "at": _text("At what time, on the person's clock: 18:00 for the next time it is that late, or "
                        "2026-05-01 18:00."),
            "cron": _text("To repeat it: minute, hour, day of the month, month and day of the week on the person's "
                          "clock, for example 30 7 * * 1-5. Every 5 minutes at most, and every 15 with `act`."),
            "act": {"type": "boolean", "description": "Do what the text says at that time, instead of telling it."},
        },
        ("text",),
    ),
    _spec(
        "reminder_list", "reminders",
        "Lists the reminders this person has set up, with their names and the times they come next.",
        {},
        (),
    ),
    _spec(
        "reminder_delete", "reminders",
        "Cancels one reminder.",
        {"name": _text("Its name, as reminder_list shows it, for example reminder.3.")},
        ("name",),
    ),
    _spec(
        "web_fetch", "web",
        "Fetches a web page or file and returns its text.",
        {"url": _text("The address, starting with https:// or http://.")},
        ("url",), {"url": "url"}, untrusted=True,
    ),
    _spec(
        "web_search", "web",
        "Searches the web and returns what was found, with addresses.",
        {"query": _text("What to look for.")},
        ("query",), untrusted=True,
    ),
)  # fmt: skip

_READING: Final = frozenset(
    {"read_file", "list_files", "memory_search", "memory_list", "reminder_list", "web_fetch", "web_search"}
)
"""Tools that change nothing: a call that a crash cut off is made again."""

BUILTINS: Final[Mapping[str, ToolSpec]] = {
    spec.name: replace(spec, repeat="safe") if spec.name in _READING else spec for spec in _ALL
}
