"""systemd: the unit that keeps a runtime running, and how it is put in force. Text in, text out, but for `systemctl`.

Law: nothing in the unit may take from the sandbox what it needs. Commands are held by bubblewrap, which makes
namespaces, mounts and a /proc of its own, or by Landlock; a unit that forbids that would leave them held by nothing.
What was tried on a real kernel: NoNewPrivileges, an empty bounding set and a read-only system leave bubblewrap at work;
anything mounted over a part of /proc does not, and where root is not mapped into the user's namespace (which a user's
own manager cannot do) the system's programs belong to nobody, so that none is trusted.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from openclaw.cli._service_wanted import MARK, Wanted, ran
from openclaw.messages import quote_line

KIND = "systemd"
_STEPS = 254  # from this version on pauses between restarts can grow
_SECONDS, _START_SECONDS = 30.0, 320.0  # for systemctl; a start is waited for
_SHOWN = ("ActiveState", "SubState", "UnitFileState", "MainPID", "NRestarts", "Result")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "%": "%%"}

_HARDENING = """\
# Commands of agents are held by bubblewrap or Landlock within this. So left off on purpose are:
#   RestrictNamespaces=, filters of system calls without @mount: bubblewrap makes namespaces and mounts
#   ProtectKernelTunables=, ProtectKernelLogs=, ProtectHostname=, ProtectProc=, ProcSubset=: where something is
#     mounted over a part of /proc, bubblewrap gets no /proc of its own
#   MemoryDenyWriteExecute=: programs that compile while they run
#   PrivateUsers=: root's files would be nobody's, and no program of the system trusted
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
LimitCORE=0
UMask=0077
"""


def text(wanted: Wanted, version: int | None = None) -> str:
    return "\n".join(_lines(wanted, version)) + "\n"


def _lines(wanted: Wanted, version: int | None) -> Iterator[str]:
    yield f"# OpenClaw Runtime; {MARK}, which renews it."
    yield "# No secret is in here: keys and tokens stand in the project's .env, which the runtime reads itself."
    yield ""
    yield "[Unit]"
    yield f"Description=OpenClaw Runtime ({quote_line(str(wanted.project)).replace('%', '%%')})"
    if wanted.system:
        yield "Wants=network-online.target"
        yield "After=network-online.target"
    yield "StartLimitIntervalSec=0"
    yield ""
    yield "[Service]"
    yield "# Started is what takes messages. What gives no sign of life for so long hangs, and is started anew."
    yield "Type=notify"
    yield "TimeoutStartSec=300"
    yield "WatchdogSec=120"
    if wanted.system:
        yield f"User={wanted.user}"
    yield f"ExecStart=:{' '.join(map(quoted, _started(wanted)))}"  # the colon: a dollar sign is no more than that
    yield "ExecReload=/bin/kill -HUP $MAINPID"
    yield "Restart=on-failure"
    yield from _pauses(version)
    yield "# Wrong usage, a project that is invalid, no credentials: starting again mends none of them."
    yield "RestartPreventExitStatus=2 3 4"
    yield "# The runtime ends its commands itself and is done within ten seconds; what is not answered waits on disk."
    yield "KillMode=mixed"
    yield "TimeoutStopSec=15"
    yield "# A command that takes all memory is killed alone."
    yield "OOMPolicy=continue"
    yield ""
    yield _HARDENING.rstrip("\n")
    yield from _folders(wanted)
    yield ""
    yield "[Install]"
    yield f"WantedBy={'multi-user.target' if wanted.system else 'default.target'}"


def _started(wanted: Wanted) -> tuple[str, ...]:
    """systemd takes any argument, but no program with such a name."""
    named = re.search(r"[\"'\\]", wanted.python)
    return ("/usr/bin/env", *wanted.command) if named else wanted.command


def _pauses(version: int | None) -> Iterator[str]:
    if version is not None and version >= _STEPS:
        yield from ("RestartSec=1s", "RestartSteps=8", "RestartMaxDelaySec=2min")
    else:
        yield "RestartSec=10s"


def _folders(wanted: Wanted) -> Iterator[str]:
    if not wanted.system:
        yield "# In a user's own unit ProtectSystem=, ReadWritePaths= and PrivateTmp= imply PrivateUsers=: they are off"
        yield "# The machine's own unit has them: openclaw service print --system --run-as USER"
        return
    yield "CapabilityBoundingSet="
    yield "ProtectControlGroups=yes"
    yield "# The project is read and never written; a Python tool of yours that keeps files there needs it added."
    yield "ProtectSystem=strict"
    yield f"ReadWritePaths={' '.join(quoted(each) for each in wanted.writable)}"
    if any(_temporary(each) for each in (wanted.project, *wanted.writable, Path(wanted.python))):
        yield "# PrivateTmp= would hide what lies in /tmp here."
    else:
        yield "PrivateTmp=yes"


def _temporary(place: Path) -> bool:
    return any(place.is_relative_to(folder) for folder in ("/tmp", "/var/tmp", tempfile.gettempdir()))


def quoted(text: Path | str) -> str:
    """A path or word as systemd reads it back: in quotes, and a percent sign, which begins a specifier, doubled."""
    inside = re.sub(r'[\\"%]', lambda found: _ESCAPES[found[0]], str(text))
    return f'"{inside}"'


# ── in force ─────────────────────────────────────────────────────────────────────────────────────


def place(wanted: Wanted) -> Path:
    if wanted.system:
        return Path("/etc/systemd/system", f"{wanted.name}.service")
    above = os.environ.get("XDG_CONFIG_HOME") or ""
    folder = Path(above) if above.startswith("/") else Path("~/.config").expanduser()
    return folder / "systemd" / "user" / f"{wanted.name}.service"


def user_of(unit: str) -> str | None:
    """Whom a unit runs as, where it says so."""
    found = re.search(r"^User=(.+)$", unit, re.MULTILINE)
    return found[1] if found else None


def version() -> int | None:
    """Of the systemd that is installed."""
    if shutil.which("systemctl") is None:
        return None
    found = re.match(r"systemd (\d+)", _run(["systemctl", "--version"]).stdout)
    return int(found[1]) if found else None


def missing(wanted: Wanted) -> str:
    """Why nothing can be put in force here; empty where it can."""
    if shutil.which("systemctl") is None:
        return "systemd is not on this machine"
    asked = _run([*_control(wanted), "show", "--property=Version"])
    if asked.returncode == 0:
        return ""
    said = (asked.stderr.strip().splitlines() or ["it does not answer"])[0]
    return f"systemd {'' if wanted.system else 'of this user '}does not run here: {said}"


def install(wanted: Wanted) -> list[list[str]]:
    """What is run once the file is written; it starts a runtime anew that was there."""
    control = _control(wanted)
    return [[*control, "daemon-reload"], [*control, "enable", wanted.name], [*control, "restart", wanted.name]]


def elsewhere(wanted: Wanted) -> str:
    """A file of another unit of this name, which ours would stand before; empty where there is none."""
    asked = _run([*_control(wanted), "show", wanted.name, "--property=FragmentPath", "--value"])
    found = asked.stdout.strip()
    return "" if not found or Path(found) == place(wanted) else found


def leave(wanted: Wanted) -> None:
    """Nothing to do before a unit is renewed: the restart ends what ran under the old one."""


def gone(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether what was to be stopped was not there."""
    return False


def runs(told: dict[str, str]) -> bool:
    return told["state"].startswith(("active", "reloading"))


def uninstall(wanted: Wanted) -> tuple[list[list[str]], list[list[str]]]:
    """What is run before the file is taken away, and after."""
    return [[*_control(wanted), "disable", "--now", wanted.name]], [[*_control(wanted), "daemon-reload"]]


def condition(wanted: Wanted) -> dict[str, str]:
    """As systemd tells it."""
    asked = _run([*_control(wanted), "show", wanted.name, f"--property={','.join(_SHOWN)}"])
    lines = (line.partition("=") for line in asked.stdout.splitlines())
    found = {key: value for key, _, value in lines}
    return {"state": f"{found.get('ActiveState', '?')} ({found.get('SubState', '?')})",
            "enabled": found.get("UnitFileState", ""), "pid": found.get("MainPID", ""),
            "restarts": found.get("NRestarts", ""), "result": found.get("Result", "")}  # fmt: skip


def advice(wanted: Wanted) -> Iterator[str]:
    """What a person should know once it runs."""
    if wanted.system:
        yield f"its log: journalctl -u {wanted.name} -f"
        return
    yield f"its log: journalctl --user -u {wanted.name} -f"
    if not Path("/var/lib/systemd/linger", wanted.user).exists():
        yield f"it ends when {wanted.user} logs out, and does not start at boot; to have it so: loginctl enable-linger"


def _control(wanted: Wanted) -> list[str]:
    return ["systemctl"] if wanted.system else ["systemctl", "--user"]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    own = f"/run/user/{os.getuid()}"  # a shell that sudo or cron made does not know it
    if "XDG_RUNTIME_DIR" not in environment and Path(own).is_dir():
        environment["XDG_RUNTIME_DIR"] = own
    return ran(command, _START_SECONDS if command[-2:-1] == ["restart"] else _SECONDS, environment)


run = _run
