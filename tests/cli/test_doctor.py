"""`openclaw doctor`: what it finds on a machine and in a project, with the cure, and what of it is put right."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from doubles.house import AGENT, CHANNELS, SUMS, lived, project
from openclaw.cli import _doctor_folder as lying
from openclaw.cli import _doctor_machine as machine
from openclaw.cli import _doctor_project as looked
from openclaw.cli import _doctor_state as kept
from openclaw.cli import main
from openclaw.cli._doctor_finding import Finding, size, span
from openclaw.cli.doctor import _trials
from openclaw.manifest.snapshot import Model
from openclaw.tools._sandbox import candidates
from openclaw.tools._sandbox_trial import stopped

PROJECT = Path(__file__).resolve().parents[2]
KEY = "sk-ant-api03-planted-0123456789-planted"


@pytest.fixture(autouse=True)
def _nobody_s_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What lies about in the environment of whoever runs the tests is none of theirs."""
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "OPENCLAW_", "TELEGRAM_", "DISCORD_")) or name == "TZ":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def asked(capsys: pytest.CaptureFixture[str], project: Path, state: Path, *more: str) -> tuple[int, str]:
    code = main(["-C", str(project), "--state", str(state), "doctor", *more])
    return code, capsys.readouterr().out


def manifests(root: Path, **files: str) -> looked.Read:
    """A project of ours, read."""
    finding, read = looked.manifests(project(root, "http://127.0.0.1:9", files=files))
    assert read is not None, finding
    return read


def states(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(finding.about, finding.state) for finding in findings]


# ── the whole ────────────────────────────────────────────────────────────────────────────────────


def test_it_names_the_mechanism_with_all_that_was_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, text = asked(capsys, PROJECT, tmp_path / "state", "--json")
    found = json.loads(text)
    about = {finding["about"]: finding for finding in found["findings"]}
    assert {"Python", "packages", "user", "project", "state folder", "runtime", "disk", "clock", "sandbox"} <= set(
        about
    )
    assert {"model smart", "channel repl", "channel http", "channel telegram", "heartbeats"} <= set(about)
    assert all(finding["state"] in ("ok", "warning", "problem") for finding in found["findings"])
    assert all(bool(finding["cure"]) is (finding["state"] != "ok") for finding in found["findings"])
    assert found["sandbox"]["mechanism"] in ("bubblewrap", "landlock", "none")
    for tried in found["sandbox"]["trials"].values():
        assert {"outside", "secret", "environment", "connect", "create"} <= set(tried)
    assert (about["sandbox"]["state"] == "ok") is (found["sandbox"]["mechanism"] == "bubblewrap")


def test_no_more_is_tried_out_than_a_runtime_would_unless_all_is_to_be_shown() -> None:
    every = _trials(every=True)
    assert candidates() == [*every]
    chosen = next((place for place, (walls, made) in enumerate(every.items()) if stopped(made, walls)), len(every))
    assert candidates()[: chosen + 1] == [*_trials(every=False)]


def test_what_needs_seeing_to_is_said_with_a_cure_and_makes_the_exit_code_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    (tmp_path / "tools.yaml").write_text("tolls: {}\n")
    code, text = asked(capsys, tmp_path, state)
    assert code == 1
    assert f"chmod 700 {state}" in " ".join(text.split())
    assert "openclaw validate" in text
    assert "problem" in text.splitlines()[-1]
    assert [line for line in text.splitlines() if len(line) > 80 and str(tmp_path) not in line] == []


def test_a_key_is_found_and_printed_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(
        tmp_path / "p", "http://127.0.0.1:9", files={"models.yaml": "models: {smart: {id: claude-haiku-5-5}}\n"}
    )
    (root / ".env").write_text(f"ANTHROPIC_API_KEY={KEY}\n")
    _, text = asked(capsys, root, tmp_path / "state")
    assert "ANTHROPIC_API_KEY of .env" in text
    assert KEY not in text and "planted" not in text


def test_fix_puts_right_what_is_safe_and_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state, outside = tmp_path / "state", tmp_path / "desk"
    state.mkdir(mode=0o755)
    (state / "exec-approvals.json").write_text("{}")
    (state / "exec-approvals.json").chmod(0o644)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(state / "control.sock"))
    agent = AGENT + f"workspace: {outside}\n"
    root = project(tmp_path / "p", "http://127.0.0.1:9", files={"agents/main.yaml": agent})
    _, text = asked(capsys, root, state, "--fix", "--json")
    found = json.loads(text)
    assert [line.split()[0] for line in found["fixed"]] == ["chmod", "made", "removed", "chmod"]
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "exec-approvals.json").stat().st_mode) == 0o600
    assert not (state / "control.sock").exists() and outside.is_dir()
    about = {finding["about"]: finding["state"] for finding in found["findings"]}
    assert about["state folder"] == about["runtime"] == "ok"
    assert json.loads(asked(capsys, root, state, "--fix", "--json")[1])["fixed"] == []


def test_nothing_heavy_is_imported_unless_somebody_is_asked(tmp_path: Path) -> None:
    heavy = ("anthropic", "telegram", "discord", "starlette", "uvicorn", "httpx2", "rich", "prompt_toolkit",
             "asyncio", "openclaw.messages")  # fmt: skip
    code = (
        "import sys; from openclaw.cli import main; main(sys.argv[1:]); "
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    given = ["-C", str(PROJECT), "--state", str(tmp_path / "state"), "doctor"]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"


def test_what_a_module_prints_while_it_is_imported_is_no_part_of_the_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = 'import os\nprint("NOISE")\nos.system("echo NOISE")\n'
    root = project(tmp_path / "p", "http://127.0.0.1:9", files={"sums.py": noise + SUMS})
    assert looked.manifests(root)[1] is not None
    main(["-C", str(root), "show", "main", "--json"])
    main(["-C", str(root), "validate", "--format", "json"])
    out, err = capfd.readouterr()
    assert "NOISE" not in out and out.lstrip().startswith("{")
    assert err.count("NOISE") == 6


# ── the machine ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("version", "bounds", "kept"),
    [
        ("2.12.1", ">=2.12,<3", True),
        ("3.0", ">=2.12,<3", False),
        ("2.9", ">=2.12,<3", False),
        ("2.12", ">=2.12.0", True),
        ("2026.1.post1", ">=2026.1", True),
        ("1.0", "", True),
    ],
)
def test_versions_keep_to_their_bounds(version: str, bounds: str, kept: bool) -> None:
    assert machine.within(version, bounds) is kept


def test_what_is_installed_here_is_what_is_needed() -> None:
    assert machine.packages().state == "ok"


def test_a_clock_that_cannot_be_right_is_a_problem() -> None:
    now = datetime.now(UTC)
    assert machine.clock(now, {"TZ": "Europe/London"}).state == "ok"
    assert "Europe/London" in machine.clock(now, {"TZ": "Europe/London"}).found
    assert machine.clock(datetime(1970, 1, 1, tzinfo=UTC), {}).state == "problem"
    assert machine.clock(now + timedelta(days=365_000), {}).state == "problem"
    assert machine.clock(now, {"TZ": "Europe/Lundun"}).state == "warning"
    for spelt in ("GMT-2", "<+03>-3", "utc", ":Europe/London", ""):
        assert machine.clock(now, {"TZ": spelt}).state == "ok", spelt
    assert machine.clock(now, {"TZ": ":Europe/Lundun"}).state == "warning"
    assert "(UTC)" in machine.clock(now, {"TZ": ""}).found
    unkept = machine.clock(now, {}, synchronised=False)
    assert unkept.state == "warning" and "timedatectl" in unkept.cure


def test_the_kernel_says_whether_something_keeps_the_clock() -> None:
    assert machine.synchronised() in (True, False, None)


def test_the_disk_is_that_of_a_folder_which_is_yet_to_come(tmp_path: Path) -> None:
    found = machine.disk(tmp_path / "not" / "there")
    assert found.about == "disk" and f"free at {tmp_path}" in found.found


def test_what_keeps_bubblewrap_from_its_namespaces_is_named(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "unprivileged_userns_clone").write_text("1\n")
    assert "a container's filter" in machine.freed(tmp_path)
    (tmp_path / "kernel" / "apparmor_restrict_unprivileged_userns").write_text("1\n")
    assert machine.freed(tmp_path) == "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"


def test_sizes_and_spans_read_as_people_say_them() -> None:
    assert [size(999), size(1500), size(250_000_000), size(12_300_000_000), size(4e12)] == [
        "999 B", "1.5 kB", "250 MB", "12.3 GB", "4.0 TB",
    ]  # fmt: skip
    assert [span(5), span(60), span(7200), span(86400 * 3)] == ["less than a minute", "1 minute", "2 hours", "3 days"]


# ── the project ──────────────────────────────────────────────────────────────────────────────────


def test_a_folder_that_is_no_project_is_a_problem(tmp_path: Path) -> None:
    finding, read = looked.manifests(tmp_path / "nowhere")
    assert finding.state == "problem" and "is not a folder" in finding.found and read is None
    assert "openclaw init" in finding.cure
    empty, _ = looked.manifests(tmp_path)
    assert empty.state == "problem" and "openclaw init" in empty.cure


def test_mistakes_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    (tmp_path / "tools.yaml").write_text("tolls: {}\npolicies: {careful: {default: allow}}\n")
    finding, read = looked.manifests(tmp_path)
    assert finding.state == "problem" and finding.cure == "openclaw validate" and read is None
    assert "errors, the first: " in finding.found


def test_keys_that_others_may_read_are_a_warning(tmp_path: Path) -> None:
    assert states(looked.dotenv(tmp_path)) == []
    (tmp_path / ".env").write_text("A=1\n")
    (tmp_path / ".env").chmod(0o600)
    assert states(looked.dotenv(tmp_path)) == []
    (tmp_path / ".env").chmod(0o644)
    assert states(looked.dotenv(tmp_path)) == [(".env", "warning")]


@pytest.mark.parametrize(
    ("options", "environment", "own", "found", "missing"),
    [
        ({}, {"ANTHROPIC_API_KEY": KEY}, {}, "ANTHROPIC_API_KEY of the environment", False),
        ({}, {}, {"ANTHROPIC_AUTH_TOKEN": KEY}, "ANTHROPIC_AUTH_TOKEN of .env", False),
        ({}, {"ANTHROPIC_API_KEY": KEY}, {"ANTHROPIC_API_KEY": "x"}, "ANTHROPIC_API_KEY of the environment", False),
        ({}, {"ANTHROPIC_API_KEY": ""}, {"ANTHROPIC_API_KEY": KEY}, "hides the one in .env", True),
        ({}, {"ANTHROPIC_PROFILE": "work"}, {}, "ANTHROPIC_PROFILE", False),
        ({"api_key": KEY}, {}, {}, "given in models.yaml", False),
        ({"base_url": "http://localhost:1"}, {"ANTHROPIC_API_KEY": KEY}, {}, "none is sent", False),
        ({}, {}, {}, "no key", True),
    ],
)
def test_where_a_key_comes_from_is_told_and_never_the_key(
    options: dict[str, Any], environment: dict[str, str], own: dict[str, str], found: str, missing: bool
) -> None:
    told, cure = looked.credential(Model("smart", "claude-sonnet-5-5", options=options), environment, own)
    assert found in told and bool(cure) is missing
    assert KEY not in told + cure


def test_models_that_stand_in_and_those_of_heartbeats_are_looked_at_too(tmp_path: Path) -> None:
    models = (
        "default: smart\nmodels:\n"
        "  smart: {id: claude-sonnet-5-5, fallback: [cheap]}\n  cheap: {id: claude-haiku-5-5}\n"
        "  unused: {id: claude-opus-5-5}\n  night: {kind: scripted, script: demo.yaml}\n"
    )
    demo = "rules: [{say: hello, reply: hi}]\n"
    beats = "heartbeats: {late: {cron: '0 3 * * *', prompt: Look., model: night}}\n"
    read = manifests(tmp_path, **{"models.yaml": models, "demo.yaml": demo, "heartbeats.yaml": beats})
    assert states(looked.credentials(read)) == [
        ("model smart", "problem"), ("model cheap", "problem"), ("model night", "ok"),
    ]  # fmt: skip


def test_channels_are_set_or_off_and_a_port_is_free_held_by_us_or_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        channels = (
            f"channels:\n  http: {{kind: http, port: {port}, token: operator-token-0123456789}}\n"
            "  free: {kind: http, port: 0}\n"
            "  tele: {kind: telegram, token: '${TELE_TOKEN}'}\n"
            "  disc: {kind: discord, token: '${DISC_TOKEN}', enabled: false}\n"
        )
        snapshot = manifests(tmp_path, **{"channels.yaml": channels}).snapshot
        found = {finding.about: finding for finding in looked.channels(snapshot, None)}
        assert {about: finding.state for about, finding in found.items()} == {
            "channel http": "problem", "channel free": "ok",
            "channel tele": "ok", "channel disc": "ok",
        }  # fmt: skip
        assert f"127.0.0.1:{port}, which another program uses" in found["channel http"].found
        assert found["channel tele"].found == "off: `${TELE_TOKEN}` has no value"
        ours = {"channels": {"http": {"condition": "serving"}}, "pid": 4711}
        held = next(iter(looked.channels(snapshot, ours)))
        assert held.state == "ok" and "process 4711" in held.found
        broken = {"channels": {"http": {"condition": "failed", "why": "it is taken"}}, "pid": 1}
        failed = next(iter(looked.channels(snapshot, broken)))
        assert failed.state == "problem" and "says: failed: it is taken" in failed.found
        silent = {"channels": {"http": {"condition": "silent", "trouble": "no answer"}}, "pid": 1}
        assert next(iter(looked.channels(snapshot, silent))).state == "warning"


def test_a_runtime_that_serves_is_named_and_the_port_it_holds_is_no_problem(tmp_path: Path) -> None:
    beats = "heartbeats: {early: {cron: '30 7 * * *', prompt: Look.}}\n"
    root = project(tmp_path / "p", "http://127.0.0.1:9", files={"heartbeats.yaml": beats})

    async def whole() -> tuple[Finding, Finding, Finding, Finding, int]:
        async with lived(root, tmp_path / "state", demo=True) as (app, operator):
            found, told = await asyncio.to_thread(kept.runtime, tmp_path / "state")
            while told is None or "channels" not in told:  # its socket is not open yet
                found, told = await asyncio.to_thread(kept.runtime, tmp_path / "state")
            others, only = await asyncio.to_thread(kept.runtime, tmp_path / "state", tmp_path)
            finding, other = found[0], others[0]
            assert only == {"pid": os.getpid()}
            snapshot, port = app.supervisor.current.snapshot, operator.http.base_url.port
            assert port is not None
            [http] = snapshot.channels.values()  # as if it named the port that it was given
            http = replace(http, options=replace(http.options, options={**http.options.options, "port": port}))
            held = next(looked.channels(replace(snapshot, channels={"http": http}), told))
            return finding, other, held, next(looked.heartbeats(snapshot, told)), port

    serving, other, held, beating, port = asyncio.run(asyncio.wait_for(whole(), 60))
    assert serving.state == held.state == "ok"
    assert f"process {os.getpid()} serves {root}, for less than a minute" in serving.found
    assert other.state == "warning" and f"and not {tmp_path}" in other.found
    assert beating.found.startswith("1 of 1 on; next: early ")
    assert held.found == f"http on 127.0.0.1:{port}, held by the runtime that serves (process {os.getpid()})"


def test_the_next_heartbeats_are_named_and_one_that_reaches_nobody_is_a_warning(tmp_path: Path) -> None:
    beats = (
        "defaults: {timezone: Europe/London}\nheartbeats:\n"
        "  early: {cron: '30 7 * * *', prompt: Look., deliver: 'tele:5'}\n"
        "  idle: {cron: '0 8 * * *', prompt: Look., enabled: false}\n"
    )
    channels = CHANNELS + "  tele: {kind: telegram, token: '${TELE_TOKEN}', allow: [5]}\n"
    read = manifests(tmp_path, **{"heartbeats.yaml": beats, "channels.yaml": channels})
    first, second = looked.heartbeats(read.snapshot)
    assert first.found.startswith("1 of 2 on; next: early ") and "07:30" in first.found
    assert second.state == "warning" and second.found == "early delivers to tele, which takes no part"


# ── the state folder ─────────────────────────────────────────────────────────────────────────────


def test_a_lock_that_somebody_holds_without_answering_is_named(tmp_path: Path) -> None:
    import fcntl

    assert states(kept.runtime(tmp_path)[0]) == [("runtime", "ok")]
    with (tmp_path / "lock").open("w") as lock:
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        [finding], told = kept.runtime(tmp_path)
        assert finding.state == "warning" and f"process {os.getpid()} holds" in finding.found
        assert told == {"pid": os.getpid()}
    assert states(kept.runtime(tmp_path)[0]) == [("runtime", "ok")]


def test_a_socket_is_taken_away_only_where_nobody_holds_the_lock(tmp_path: Path) -> None:
    import fcntl

    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "control.sock"))
    [finding], _ = kept.runtime(tmp_path)
    assert finding.state == "warning" and finding.mend is not None
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            finding.mend()
    assert (tmp_path / "control.sock").exists()
    finding.mend()
    assert not (tmp_path / "control.sock").exists()


def test_a_database_of_a_newer_version_is_a_problem(tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    tmp_path.chmod(0o700)
    with closing(sqlite3.connect(tmp_path / "runtime.db")) as db:
        db.execute("PRAGMA user_version = 4000")
        db.execute("CREATE TABLE one (x)")
    (tmp_path / "runtime.db").chmod(0o600)
    assert states(lying.folder(tmp_path)) == [("state folder", "ok"), ("state folder", "problem")]
    (tmp_path / "runtime.db").write_text("what is this?")
    assert [finding.state for finding in lying.folder(tmp_path)] == ["ok", "problem"]


def test_a_workspace_that_is_no_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = list(lying.workspaces({"main": tmp_path / "file", "ops": tmp_path / "new"}))
    assert [finding.state for finding in found] == ["problem", "ok"]
    assert found[1].mend is not None and not (tmp_path / "new").exists()
