"""Where the runtime lives: its project, its state, and the folders in which its agents work and remember.

Law: what is named here is all that a turn is given of the disk. Makes an agent's working folder, and nothing else.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from openclaw.errors import DiskFull
from openclaw.manifest.people import Sender
from openclaw.manifest.snapshot import Agent, workspace_of
from openclaw.names import file_name


@dataclass(frozen=True, slots=True)
class House:
    """Where the runtime lives, as absolute paths. `named`: its project as it was given; a link may come to lead
    elsewhere."""

    named: Path
    state: Path

    @property
    def project(self) -> Path:
        return Path(os.path.realpath(self.named))

    @property
    def protected(self) -> tuple[Path, ...]:
        """What no tool touches unasked."""
        return tuple(dict.fromkeys((self.project, self.named, self.state)))

    def workspace(self, agent: Agent) -> Path:
        """The agent's working folder, made if it is not there. Raises OSError, or DiskFull where there is no room."""
        folder = workspace_of(agent, self.state)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise DiskFull(f"there is no room for the workspace {folder}; free some space, and it goes on") from error
        return folder.resolve()

    def memory(self, agent: Agent, who: Sender) -> str | None:
        """The folder beneath memory/ that the agent reads and writes for this sender."""
        match agent.memory:
            case "off":
                return None
            case "shared":
                return ""
            case "agent":
                return f"agents/{agent.id}"
            case "person":
                return f"people/{file_name(who.person or str(who.address))}"
