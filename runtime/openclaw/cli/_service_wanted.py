"""What is to be kept running: which runtime, for whom, under which name. One value, that each supervisor writes down in
its own words.

Law: no secret and no value of the environment is in it. What a service needs of them stands in the project's .env.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw.errors import OpenClawError, UsageError

if TYPE_CHECKING:
    from openclaw.manifest.folder import Folder

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
MARK = "written by openclaw service install"
_USED = re.compile(rb"\$\{([A-Za-z_][A-Za-z0-9_]*)")
_OF_MODELS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_OF_SERVICES = (  # what the runtime and its clients go by, and .env does not give them
    "ANTHROPIC_BASE_URL", "ANTHROPIC_PROFILE", "ANTHROPIC_CONFIG_DIR", "ANTHROPIC_FEDERATION_RULE_ID",
    "ANTHROPIC_IDENTITY_TOKEN_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
    "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ", "WATCHFILES_FORCE_POLLING",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """`writable` are the folders that the runtime writes to: the state folder, and workspaces elsewhere. `system`: for
    the whole machine, started at boot and run as `user`; else for the user who installs it."""

    name: str
    project: Path
    state: Path
    writable: tuple[Path, ...]
    user: str
    system: bool = False
    python: str = sys.executable

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise UsageError(f"--name {self.name[:80]!a} will not do: letters, digits, `-` and `_`, 60 at the most")
        for path in (self.project, self.state, *self.writable, Path(self.python)):
            if not _spelt(path):
                raise UsageError(f"{str(path)!a} cannot stand in a unit: its name is no plain text; rename it")

    @property
    def command(self) -> tuple[str, ...]:
        """-P keeps modules that lie in the current folder from standing in for ours."""
        place = ("-C", str(self.project), "--state", str(self.state))
        return (self.python, "-P", "-m", "openclaw", *place, "run")

    @property
    def log(self) -> Path:
        return self.state / "logs" / "service.log"


def _spelt(path: Path) -> bool:
    """Nothing that ends a line, and nothing that is no UTF-8."""
    return not any(ord(char) < 0x20 or char == "\x7f" or 0xD800 <= ord(char) < 0xE000 for char in str(path))


def unset(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Variables that this shell sets and that would change what a runtime does, if a service saw them."""
    yield from sorted(name for name in _OF_SERVICES if environment.get(name))


def ran(
    command: list[str], seconds: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Raises OpenClawError where there is no answer in time."""
    try:
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise OpenClawError(
            f"`{shlex.join(command)}` has not answered within {seconds:g} s; `openclaw service status` tells how it is"
        ) from None


def unseen(folder: Folder, environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Variables that this project uses and this shell sets, but .env does not: a service would be without them."""
    texts = [content for name, content in folder.files.items() if name != ".env"]
    used = {found.decode() for text in texts for found in _USED.findall(text)} | {*_OF_MODELS}
    own = folder.environment({})
    yield from sorted(name for name in used if environment.get(name) and name not in own)
