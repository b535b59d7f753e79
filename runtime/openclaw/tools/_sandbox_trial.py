"""Tries the walls of this machine out: a program inside them tries to get out, in every way that they must stop.

The law: it is started exactly as commands are, and every attempt has a twin outside that succeeds: a trial that
cannot see anything proves nothing. Answers with a matrix, attempt by attempt; raises nothing.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from openclaw.errors import ToolError
from openclaw.permissions.facts import TRUSTED_PATH, Walls
from openclaw.tools._sandbox import Private, Sandbox
from openclaw.words import Confinement, Step

ATTEMPTS: Final[Mapping[str, str]] = {
    "runs": "a harmless program runs",
    "outside": "writing outside the workspace",
    "workspace": "writing in the workspace without having been approved",
    "secret": "reading a file outside the workspace",
    "masked": "reading a protected file in the workspace",
    "create": "making a protected file that does not exist yet",
    "hooks": "making a hook of the repository in the workspace",
    "environment": "reading the environment of the runtime",
    "connect": "connecting to a port of this machine",
    "network": "seeing the networks of this machine",
}
_ANY: Final = ("runs", "outside", "workspace", "secret", "environment")
_MASKS: Final = ("masked", "create", "hooks")
_SECONDS: Final = 10.0
_SECRET: Final = "planted-where-nobody-may-look"

# $1 outside, $2 the runtime's process, $3 its network, $4 a port. Each line that is printed is an escape.
_SCRIPT: Final = r"""
echo runs
(: > "$1/written") 2>/dev/null
(read -r line < "$1/secret" && [ -n "$line" ]) 2>/dev/null && echo secret
(read -r line < .env && [ -n "$line" ]) 2>/dev/null && echo masked
(echo x > .envrc) 2>/dev/null
(mkdir -p .git/hooks && echo x > .git/hooks/post-checkout) 2>/dev/null
(mv .git .moved && mkdir -p .git/hooks && echo x > .git/hooks/post-checkout) 2>/dev/null
(: > plain) 2>/dev/null
if command -v bash >/dev/null; then bash -c ": < /dev/tcp/127.0.0.1/$4" 2>/dev/null && echo connect; fi
[ -n "$3" ] && [ "$(readlink /proc/self/ns/net 2>/dev/null)" = "$3" ] && echo network
tr '\0' '\n' < "/proc/$2/environ" 2>/dev/null | grep -q "^OPENCLAW_TRIAL=planted" && echo environment
exit 0
"""


def holds(sandbox: Sandbox, walls: Walls) -> bool:
    """Whether every attempt fails that these walls promise to stop."""
    return stopped(trial(sandbox, walls), walls)


def stopped(matrix: Mapping[str, bool], walls: Walls) -> bool:
    """The same of a trial that was made."""
    needed = [*_ANY, *(_MASKS if walls.masks else ()), *(("connect", "network") if walls.network else ())]
    return all(matrix[name] for name in needed)


def trial(sandbox: Sandbox, walls: Walls) -> dict[str, bool]:
    """Attempt by attempt, in the order of ATTEMPTS: whether it was stopped (`runs`: whether it ran)."""
    try:
        with closing(Private.made()) as made:
            folder = made.folder.resolve()
            _plant(folder)
            return _tried(sandbox, walls, folder)
    except (OSError, subprocess.SubprocessError, ToolError):
        return dict.fromkeys(ATTEMPTS, False)


def _plant(folder: Path) -> None:
    (folder / "outside").mkdir()
    (folder / "outside" / "secret").write_text(f"{_SECRET}\n")
    for name in ("asked", "unasked"):
        (folder / name / ".git").mkdir(parents=True)
        (folder / name / ".env").write_text(f"{_SECRET}\n")


def _tried(sandbox: Sandbox, walls: Walls, folder: Path) -> dict[str, bool]:
    sleeper = subprocess.Popen(  # stands for the runtime: /proc shows the environment that a process began with
        ["/bin/sh", "-c", "read line"], stdin=subprocess.PIPE, env={"OPENCLAW_TRIAL": "planted"}, start_new_session=True
    )
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            found = [_run(sandbox, walls, folder, name, sleeper.pid, port) for name in ("unasked", "asked")]
            server.setblocking(False)
            reached = _was_reached(server)
    finally:
        sleeper.communicate(b"\n")
    escaped = {line for each in found for line in each}
    changed = {
        "outside": (folder / "outside" / "written").exists(),
        "workspace": (folder / "unasked" / "plain").exists(),
        "create": any(_made(folder / name / ".envrc") for name in ("asked", "unasked")),
        "hooks": any(_made(folder / name / ".git/hooks/post-checkout") for name in ("asked", "unasked")),
        "connect": reached,
    }
    ran = all("runs" in each for each in found) and (folder / "asked" / "plain").exists()
    return {name: ran and (name == "runs" or not (changed.get(name, False) or name in escaped)) for name in ATTEMPTS}


def _made(path: Path) -> bool:
    return path.is_file()


def _was_reached(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except OSError:
        return False
    return True


def _run(sandbox: Sandbox, walls: Walls, folder: Path, name: str, pid: int, port: int) -> list[str]:
    """One run as a command gets it: `asked` with what a person agreed to, `unasked` without."""
    confinement = Confinement(walls.mechanism, folder / name, writable=name == "asked")
    box = sandbox.box(confinement, several=False)
    here = Path("/proc/self/ns/net")
    network = str(here.readlink()) if here.exists() else ""
    argv = ("sh", "-c", _SCRIPT, "sh", str(folder / "outside"), str(pid), network, str(port))
    try:
        environment = {"PATH": ":".join(TRUSTED_PATH)}
        launch = box.launch(Step(argv, program="/bin/sh"), confinement.workspace, environment, _SECONDS)
        done = subprocess.run(
            launch.argv,
            executable=launch.program,
            env=dict(launch.environment),
            cwd=confinement.workspace,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            start_new_session=True,
            check=False,
        )
    finally:
        box.close()
    return done.stdout.split() if done.returncode == 0 else []
