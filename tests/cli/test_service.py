"""`openclaw service`: the unit that keeps a runtime running, and how it is put in force and taken away.

systemd itself reads the units where `systemd-analyze` is installed. What is put in force is put in force with a
stand-in for `systemctl`, which notes what it is asked: tests change no machine.
"""

from __future__ import annotations

import json
import os
import plistlib
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from doubles.house import AGENT, project
from openclaw.cli import _service_launchd as launchd
from openclaw.cli import _service_systemd as systemd
from openclaw.cli import main
from openclaw.cli._service_wanted import Wanted, ran, unseen, unset
from openclaw.errors import OpenClawError, UsageError
from openclaw.manifest.folder import Folder

SECRET = "planted-0123456789-planted"
SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> "$STAND_IN_LOG"
case "$*" in
--version) echo "systemd 252 (252.1)";;
*Version) [ -z "$STAND_IN_AWAY" ] || { echo "Failed to connect to bus: No medium found" >&2; exit 1; };;
*FragmentPath*) echo "$STAND_IN_OTHER";;
*"show openclaw"*)
    [ -z "$STAND_IN_FAILED" ] || { printf 'ActiveState=failed\\nSubState=failed\\nResult=exit-code\\n'; exit 0; }
    printf 'ActiveState=active\\nSubState=running\\nMainPID=4711\\nNRestarts=2\\nResult=success\\n';;
esac
"""
linux = pytest.mark.skipif(sys.platform == "darwin", reason="macOS has launchd")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, and a machine on which `systemctl` only takes notes."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text(SYSTEMCTL)
    (programs / "systemctl").chmod(0o755)
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "OPENCLAW_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "asked"))
    return tmp_path


def asked(machine: Path) -> list[str]:
    log = machine / "asked"
    return log.read_text().splitlines() if log.exists() else []


def wanted(tmp_path: Path, *, system: bool = False, folder: str = "a b%h $x") -> Wanted:
    """With an interpreter that is there, in a folder that needs care."""
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    python = place / "python"
    if not python.exists():
        python.symlink_to(sys.executable)
    return Wanted("openclaw", place, place / "state", (place / "state",), "daemon", system, str(python))


# ── what is written ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize("folder", ["plain", "a b%h $x ${HOME}", "quo\"te\\s's"])
def test_systemd_takes_the_unit_whatever_its_paths_hold(tmp_path: Path, system: bool, folder: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    unit = tmp_path / "openclaw.service"
    unit.write_text(systemd.text(wanted(tmp_path, system=system, folder=folder), 252))
    scope = [] if system else ["--user"]
    done = subprocess.run(
        ["systemd-analyze", "verify", *scope, "--man=no", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "openclaw.service" in line]
    if complaints == [] and done.returncode:
        pytest.skip(f"systemd-analyze cannot work here: {done.stderr.strip()}")
    assert complaints == []


def test_the_command_of_the_unit_is_one_of_ours_and_finds_its_folders(tmp_path: Path) -> None:
    one = wanted(tmp_path)
    [line] = [line for line in systemd.text(one).splitlines() if line.startswith("ExecStart=")]
    words = [word.replace("%%", "%") for word in shlex.split(line.removeprefix("ExecStart=:"))]
    assert words == list(one.command)
    (one.project / "json.py").write_text("raise SystemExit('a module of the project stood in for one of Python')")
    done = subprocess.run(
        [sys.executable, *words[1:-1], "status", "--json"],
        cwd=one.project, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, json.loads(done.stdout)["state"]) == (1, str(one.state))


def test_nothing_in_a_unit_takes_from_the_sandbox_what_it_needs(tmp_path: Path) -> None:
    breaking = {
        "RestrictNamespaces", "ProtectKernelTunables", "ProtectKernelLogs", "ProtectHostname", "ProtectProc",
        "ProcSubset", "MemoryDenyWriteExecute", "PrivateUsers", "DynamicUser", "RootDirectory", "MountAPIVFS",
    }  # fmt: skip
    implying_a_namespace_of_users = {"ProtectSystem", "ReadWritePaths", "PrivateTmp", "ProtectControlGroups"}
    for system in (False, True):
        lines = systemd.text(wanted(tmp_path, system=system), 255).splitlines()
        keys = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        assert breaking & set(keys) == set()
        assert "@mount" not in keys["SystemCallFilter"] and keys["SystemCallFilter"].startswith("~")
        assert implying_a_namespace_of_users & set(keys) == (implying_a_namespace_of_users if system else set()) - {
            "PrivateTmp"  # the paths of this test are below /tmp, which it would hide
        }
        assert keys["NoNewPrivileges"] == "yes" and keys["KillMode"] == "mixed" and keys["TimeoutStopSec"] == "15"
        assert keys["Restart"] == "on-failure" and keys["RestartMaxDelaySec"] == "2min"
    assert keys["User"] == "daemon" and keys["ProtectSystem"] == "strict"


@pytest.mark.parametrize("keeper", [systemd, launchd])
def test_whom_a_unit_runs_as_is_read_back(tmp_path: Path, keeper: ModuleType) -> None:
    assert keeper.user_of(keeper.text(wanted(tmp_path, system=True))) == "daemon"
    assert keeper.user_of(keeper.text(wanted(tmp_path))) is None
    assert keeper.user_of("no unit at all") is None


def test_private_tmp_is_on_where_it_hides_nothing() -> None:
    home = Path("/srv/openclaw")
    one = Wanted("openclaw", home / "p", home / "s", (home / "s", home / "w"), "daemon", True, "/usr/bin/python3")
    text = systemd.text(one)
    assert "\nPrivateTmp=yes\n" in text
    assert '\nReadWritePaths="/srv/openclaw/s" "/srv/openclaw/w"\n' in text


def test_pauses_between_restarts_grow_where_systemd_knows_how(tmp_path: Path) -> None:
    assert "RestartSteps=" in systemd.text(wanted(tmp_path), 254)
    assert "RestartSteps=" not in systemd.text(wanted(tmp_path), 253)


def test_the_property_list_says_the_same_to_launchd(tmp_path: Path) -> None:
    one = wanted(tmp_path, folder="a & <b> %h")
    text = launchd.text(one)
    found = plistlib.loads(text.encode())
    assert found["ProgramArguments"] == list(one.command) and found["Label"] == "openclaw"
    assert found["KeepAlive"] == {"SuccessfulExit": False} and found["ExitTimeOut"] == 15
    assert found["StandardErrorPath"] == str(one.state / "logs" / "service.log")
    assert "UserName" not in found and "EnvironmentVariables" not in found
    assert plistlib.loads(launchd.text(wanted(tmp_path, system=True)).encode())["UserName"] == "daemon"


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "x" * 61, "x.service", "ü"])
def test_names_that_no_unit_can_have_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        Wanted(name, tmp_path, tmp_path, (), "daemon")


@pytest.mark.parametrize("folder", ["a\nUser=root", "a\tb", "a\udc80"])
def test_paths_that_no_line_can_hold_are_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(UsageError, match="cannot stand in a unit"):
        Wanted("openclaw", tmp_path / folder, tmp_path, (), "daemon")


def test_what_only_this_shell_has_set_is_named(tmp_path: Path) -> None:
    root = project(
        tmp_path, "http://127.0.0.1:9", files={"channels.yaml": "channels: {t: {kind: telegram, token: '${BOT}'}}\n"}
    )
    (root / ".env").write_text("OTHER=1\n")
    shell = {"BOT": SECRET, "ANTHROPIC_API_KEY": SECRET, "OTHER": SECRET, "UNUSED": SECRET}
    assert list(unseen(Folder.read(root), shell)) == ["ANTHROPIC_API_KEY", "BOT"]
    (root / ".env").write_text("BOT=1\nANTHROPIC_API_KEY=1\n")
    assert list(unseen(Folder.read(root), shell)) == []
    assert list(unset({"HTTPS_PROXY": "http://127.0.0.1:9", "TZ": "", "HOME": "/x"})) == ["HTTPS_PROXY"]


# ── what is done ─────────────────────────────────────────────────────────────────────────────────


@linux
def test_it_is_installed_renewed_told_and_taken_away(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = AGENT + f"workspace: {machine}/desk\n"
    root = project(machine / "p", "http://127.0.0.1:9", files={"agents/main.yaml": agent})
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    given = ["-C", str(root), "--state", str(machine / "state"), "service"]
    unit = machine / ".config/systemd/user/openclaw.service"
    assert main([*given, "install"]) == 0
    said = capsys.readouterr()
    assert f"wrote {unit}" in said.out and "journalctl --user -u openclaw" in said.out
    assert "ANTHROPIC_API_KEY: set in this shell" in said.err
    assert SECRET not in unit.read_text() + said.out + said.err
    assert stat.S_IMODE(unit.stat().st_mode) == 0o644
    assert stat.S_IMODE((machine / "state").stat().st_mode) == 0o700 and (machine / "desk").is_dir()
    assert [line for line in asked(machine) if "show" not in line and "--version" not in line] == [
        "--user daemon-reload", "--user enable openclaw", "--user restart openclaw",
    ]  # fmt: skip
    assert main([*given, "status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["installed"] and found["current"] and found["state"] == "active (running)" and found["pid"] == "4711"
    unit.write_text(unit.read_text().replace("TimeoutStopSec=15", "TimeoutStopSec=1"))
    assert main([*given, "status"]) == 0 and "renews it" in capsys.readouterr().err
    assert main([*given, "install"]) == 0 and "TimeoutStopSec=15" in unit.read_text()
    assert main([*given, "uninstall", "--dry-run"]) == 0 and unit.exists()
    assert main([*given, "uninstall"]) == 0 and not unit.exists()
    assert asked(machine)[-1] == "--user daemon-reload" and "--user disable --now openclaw" in asked(machine)
    assert (machine / "state").is_dir()
    assert main([*given, "uninstall"]) == 0 and "nothing was done" in capsys.readouterr().err


@linux
def test_a_service_that_does_not_run_is_told_as_that(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project(machine / "p", "http://127.0.0.1:9")
    given = ["-C", str(root), "--state", str(machine / "state"), "service"]
    assert main([*given, "status"]) == 1  # not even installed
    monkeypatch.setenv("STAND_IN_FAILED", "yes")
    assert main([*given, "install"]) == 1
    assert "openclaw is on and does not run: failed (failed)" in capsys.readouterr().out
    assert main([*given, "status"]) == 1 and "exit-code" in capsys.readouterr().out
    monkeypatch.delenv("STAND_IN_FAILED")
    (root / "tools.yaml").write_text("tolls: {}\n")
    assert main([*given, "status"]) == 0
    said = capsys.readouterr()
    assert "active (running)" in said.out and "cannot be told" in said.err
    shutil.rmtree(root)
    assert main([*given, "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["current"] is None


@linux
def test_a_unit_of_that_name_in_another_folder_is_not_stood_before(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project(machine / "p", "http://127.0.0.1:9")
    monkeypatch.setenv("STAND_IN_OTHER", "/usr/lib/systemd/user/dbus.service")
    assert main(["-C", str(root), "--state", str(machine / "state"), "service", "install", "--name", "dbus"]) == 1
    assert "there is a unit dbus already, /usr/lib/systemd/user/dbus.service" in capsys.readouterr().err
    assert not (machine / ".config").exists() and not (machine / "state").exists()


def test_whom_it_runs_as_is_not_for_the_environment_to_say(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project(machine / "p", "http://127.0.0.1:9")
    given = ["-C", str(root), "--state", str(machine / "state"), "service", "print", "--kind", "systemd", "--system"]
    monkeypatch.setenv("LOGNAME", "x\nExecStartPre=/evil")
    assert main([*given, "--run-as", "daemon"]) in (0, 2)  # 2: daemon has no home here
    assert "evil" not in capsys.readouterr().out
    assert main([*given, "--run-as", "x\nExecStartPre=/evil"]) == 2
    assert main([*given, "--run-as", "0"]) == 2
    if os.getuid() == 0:
        assert main(given) == 2


def test_a_supervisor_that_does_not_answer_is_no_bug() -> None:
    with pytest.raises(OpenClawError, match="has not answered within"):
        ran(["sleep", "60"], 0.05)


@linux
def test_where_systemd_does_not_run_that_is_said_and_the_unit_printed(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project(machine / "p", "http://127.0.0.1:9")
    given = ["-C", str(root), "--state", str(machine / "state"), "service", "install"]
    monkeypatch.setenv("STAND_IN_AWAY", "yes")
    assert main(given) == 1
    said = capsys.readouterr()
    assert "[Service]" in said.out and "does not run here: Failed to connect to bus" in said.err
    monkeypatch.setenv("PATH", str(machine))
    assert main(given) == 1
    said = capsys.readouterr()
    assert "[Service]" in said.out and "systemd is not on this machine" in said.err
    assert not (machine / ".config").exists() and not (machine / "state").exists()


@linux
def test_a_dry_run_and_print_change_nothing(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(machine / "p", "http://127.0.0.1:9")
    given = ["-C", str(root), "--state", str(machine / "state"), "service"]
    assert main([*given, "print"]) == 0
    unit = capsys.readouterr().out
    assert main([*given, "install", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert unit in told and "would run: systemctl --user restart openclaw" in told
    assert main([*given, "print", "--kind", "launchd"]) == 0
    assert plistlib.loads(capsys.readouterr().out.encode())["Label"] == "openclaw"
    assert set(asked(machine)) == {"--version"}
    assert not (machine / ".config").exists() and not (machine / "state").exists()


@linux
def test_a_unit_of_somebody_else_is_left_as_it_is(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(machine / "p", "http://127.0.0.1:9")
    unit = machine / ".config/systemd/user/mail.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/usr/bin/mail\n")
    for action in ("install", "uninstall"):
        assert main(["-C", str(root), "--state", str(machine / "state"), "service", action, "--name", "mail"]) == 1
        assert "choose another name" in capsys.readouterr().err
    assert "mail" in unit.read_text() and "enable" not in " ".join(asked(machine))


@linux
def test_the_machine_s_own_unit_is_not_run_as_root(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(machine / "p", "http://127.0.0.1:9")
    given = ["-C", str(root), "--state", str(machine / "state"), "service"]
    assert main([*given, "print", "--system", "--run-as", "root"]) == 2
    assert main([*given, "print", "--run-as", "daemon"]) == 2
    assert main([*given, "print", "--system", "--run-as", "nobody-of-that-name"]) == 2
    capsys.readouterr()
    assert main([*given, "install", "--system", "--run-as", "daemon", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "would write /etc/systemd/system/openclaw.service" in told and "User=daemon" in told
    assert "would run: systemctl restart openclaw" in told


@linux
def test_no_unit_is_made_for_what_is_no_valid_project(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", str(machine / "nowhere"), "service", "print"]) == 2
    (machine / "tools.yaml").write_text("tolls: {}\n")
    assert main(["-C", str(machine), "service", "print"]) == 3
    assert "openclaw validate" in capsys.readouterr().err
