"""The small project without a mistake that the examples of the codes are laid over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from openclaw.manifest.codes.code import Files

SOUND: Final[dict[str, str]] = {
    "agents/main.yaml": "name: Jarvis\ndescription: Helps with everything\ntools: [read_file]\npolicy: careful\n",
    "tools.yaml": "policies:\n  careful:\n    rules:\n      - allow: [read_file]\n",
}
TODAY: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""The day the examples are judged on: some speak of dates."""


def over(files: Files) -> dict[str, str]:
    """The sound project with an example's files in place of its own."""
    return {file: text for file, text in {**SOUND, **files}.items() if text is not None}
