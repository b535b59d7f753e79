"""What was applied last runs where the project on disk is broken: whole at every moment, without secrets, with the code
it was applied with, and never looser than the broken edit."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doubles import warm
from doubles.house import AGENT, CHANNELS, SUMS, TOOLS, Process, Program
from openclaw.clock import ManualClock
from openclaw.errors import ProjectInvalid, StateError
from openclaw.lastgood import LIST, NEXT, keep, last_good, recalled
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.project import Options, load
from openclaw.reading import Loaded, Reading, read

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MODELS = "models: {demo: {kind: scripted, script: demo.yaml}}\ndefault: demo\n"
SCRIPT = "rules:\n  - {say: hello, reply: hello}\n"
FILES = {
    "agents/main.yaml": AGENT.replace("model: smart\n", ""),
    "agents/main.md": "You are the first soul.\n",
    "tools.yaml": TOOLS,
    "sums.py": SUMS,
    "models.yaml": MODELS,
    "demo.yaml": SCRIPT,
}
SIDE = FILES["agents/main.yaml"].replace("default: true\n", "").replace("main.md", "../main.md")
RULES = """\
    rules:
      - allow: [list_files, add]
      - {id: never-key, deny: write_file, paths: ["**/*.key"]}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return written(tmp_path / "project", FILES)


def written(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def applied(root: Path, state: Path, **files: str) -> Snapshot:
    """The project as it is kept once it was applied."""
    written(root, files)
    reading = read(root, NOW)
    assert reading.compiled.snapshot is not None, reading.compiled.diagnostics
    keep(state, root, reading.folder)
    return reading.compiled.snapshot


def back(root: Path, state: Path) -> Snapshot:
    found = recalled(state, root, NOW)
    assert found is not None
    return found.snapshot


def soul(root: Path, state: Path) -> tuple[str, str]:
    """What tells one version from the next: a soul, and what a tool says of itself."""
    found = back(root, state)
    return found.agents["main"].soul, found.tools["add"].description


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────


def test_it_lies_there_as_in_the_project_for_this_user_alone(root: Path, tmp_path: Path) -> None:
    applied(root, tmp_path / "state")
    place = last_good(tmp_path / "state", root)
    kept = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    assert kept == {*FILES, LIST}
    assert {(place / name).read_text() == text for name, text in FILES.items()} == {True}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (place, *place.rglob("*"))}
    assert modes == {0o600, 0o700}


def test_nothing_is_written_where_nothing_changed_and_one_file_where_one_did(root: Path, tmp_path: Path) -> None:
    applied(root, tmp_path / "state")
    place = last_good(tmp_path / "state", root)
    before = identities(place)
    applied(root, tmp_path / "state")
    assert identities(place) == before
    applied(root, tmp_path / "state", **{"agents/main.md": "You are the second soul.\n"})
    changed = {path.name for path, identity in identities(place).items() if identity != before.get(path)}
    assert changed == {"main.md", LIST}


def identities(place: Path) -> dict[Path, tuple[int, int]]:
    found = {path: path.stat() for path in place.rglob("*") if path.is_file()}
    return {path: (status.st_ino, status.st_mtime_ns) for path, status in found.items()}


def test_a_file_goes_where_a_folder_was_and_the_other_way_round(root: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    applied(root, state, **{"agents/team/side.yaml": SIDE})
    shutil.rmtree(root / "agents/team")
    applied(
        root,
        state,
        **{"agents/main.yaml": FILES["agents/main.yaml"].replace("main.md", "team"), "agents/team": "Me.\n"},
    )
    assert back(root, state).agents["main"].soul == "Me."
    (root / "agents/team").unlink()
    applied(
        root,
        state,
        **{"agents/main.yaml": FILES["agents/main.yaml"].replace("main.md", "team/me"), "agents/team/me": "I.\n"},
    )
    assert back(root, state).agents["main"].soul == "I."


def test_no_secret_is_kept_and_what_held_one_is_read_from_the_project(root: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    channels = (
        'channels:\n  http: {kind: http, token: "${file:keys/token}", tokens: {shop: {secret: "${SHOP_TOKEN}"}}}\n'
    )
    applied(root, state, **{"channels.yaml": channels, "keys/token": "s" * 40 + "\n", ".env": "SHOP_TOKEN=" + "t" * 40})
    kept = b"".join(path.read_bytes() for path in last_good(state, root).rglob("*") if path.is_file())
    assert b"sss" not in kept and b"ttt" not in kept
    found = back(root, state).channels["http"].options.options
    assert (found["token"], found["tokens"]["shop"]["secret"]) == ("s" * 40, "t" * 40)
    (root / "keys/token").unlink()
    with pytest.raises(ProjectInvalid, match=r"cannot run either .*channels.yaml:2:.*keys/token"):
        recalled(state, root, NOW)


def test_a_script_outside_of_the_project_is_followed_where_it_is(root: Path, tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text(SCRIPT)
    applied(root, tmp_path / "state", **{"models.yaml": MODELS.replace("script: demo", "script: ../demo")})
    script = back(root, tmp_path / "state").models["demo"].options["script"]
    assert Path(script).read_text() == SCRIPT


# ── the code of tools ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("broken", ["oops(", SUMS.replace("def add", "def plus"), None])
def test_python_tools_are_those_that_were_kept_where_the_projects_own_do_not_fit(
    root: Path, tmp_path: Path, broken: str | None
) -> None:
    more = "from numbers_of_mine import total\n" + SUMS.replace("a + b", "total(a, b)")
    applied(root, tmp_path / "state", **{"sums.py": more, "numbers_of_mine.py": "def total(a, b): return a + b\n"})
    for name in ("sums.py", "numbers_of_mine.py"):
        (root / name).unlink() if broken is None else (root / name).write_text(broken)
    found = recalled(tmp_path / "state", root, NOW)
    assert found is not None and found.code
    assert found.snapshot.tools["add"].options["function"](2, 3) == "5"


@pytest.mark.parametrize("other", ["a * b", "a + b"])
def test_python_tools_are_those_that_were_kept_also_where_the_projects_own_would_do(
    root: Path, tmp_path: Path, other: str
) -> None:
    """From where they are: what lies beside them in the project is not kept."""
    beside = "from pathlib import Path\n" + SUMS.replace("a + b", "RATE + a + b")
    beside += "\n\nRATE = len(Path(__file__).with_name('rates.txt').read_text())\n"
    applied(root, tmp_path / "state", **{"sums.py": beside, "rates.txt": "1234"})
    assert_runs(root, tmp_path / "state", "9", code=False)
    (root / "sums.py").write_text(f"{beside.replace('a + b', other)}Path({str(tmp_path / 'ran')!r}).touch()\n")
    assert_runs(root, tmp_path / "state", "9", code=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("new", "code"), [("quick.py", False), ("extra/__init__.py", True)])
def test_a_module_that_was_never_applied_stands_in_for_none_that_was(
    root: Path, tmp_path: Path, new: str, code: bool
) -> None:
    more = "import extra\ntry:\n    import quick\nexcept ImportError:\n    quick = None\n"
    tool = more + SUMS.replace("a + b", "(quick, extra.WORD)")
    applied(root, tmp_path / "state", **{"sums.py": tool, "extra.py": "WORD = 'kept'\n"})
    written(root, {new: "WORD = 'never applied'\n"})
    assert_runs(root, tmp_path / "state", "(None, 'kept')", code=code)


def assert_runs(root: Path, state: Path, result: str, *, code: bool) -> None:
    found = recalled(state, root, NOW)
    assert found is not None and found.code is code
    assert str(found.snapshot.tools["add"].options["function"](2, 3)) == result


def test_what_did_not_run_is_applied_anew_once_the_project_is_mended(root: Path, tmp_path: Path) -> None:
    applied(root, tmp_path / "state")
    (root / "tools.yaml").write_text(f"{TOOLS}nonsense: 1\n")
    assert load(Options(root, tmp_path / "state"), ManualClock(NOW)).exact
    (root / "sums.py").write_text(SUMS.replace("a + b", "a * b"))
    assert not load(Options(root, tmp_path / "state"), ManualClock(NOW)).exact


# ── whatever ends the process ────────────────────────────────────────────────────────────────────


class Killed(BaseException):
    """As a kill ends it: nothing after this is done."""


def killed_after(steps: int) -> Callable[[], None]:
    left = iter(range(steps))

    def step() -> None:
        if next(left, None) is None:
            raise Killed

    return step


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_whole(root: Path, tmp_path: Path) -> None:
    """Also where the next keeping is killed as well."""
    first = tmp_path / "first"
    applied(root, first)
    edits = {"agents/main.md": "You are the second soul.\n", "sums.py": SUMS.replace("Adds two", "Adds up two")}
    written(root, {**edits, "agents/more/side.yaml": SIDE})
    (root / "demo.yaml").rename(root / "script.yaml")
    written(root, {"models.yaml": MODELS.replace("demo.yaml", "script.yaml")})
    reading = read(root, NOW)
    assert reading.compiled.snapshot is not None
    keep(tmp_path / "second", root, reading.folder)
    old, new = there(root, first, reading), there(root, tmp_path / "second", reading)
    found = []
    for steps in range(200):
        state = tmp_path / f"state-{steps}"
        shutil.copytree(first, state)
        try:
            keep(state, root, reading.folder, step=killed_after(steps))
        except Killed:
            found.append(there(root, state, reading))
            try:
                keep(state, root, reading.folder, step=killed_after(steps // 2))
            except Killed:
                assert there(root, state, reading) in (old, new)
            keep(state, root, reading.folder)
            assert there(root, state, reading) == new
            assert not (last_good(state, root) / NEXT).exists()
        else:
            break
    assert soul(root, state)[0] == "You are the second soul."
    turned = found.index(new)
    assert found == [old] * turned + [new] * (len(found) - turned) and 0 < turned < len(found)


def there(root: Path, state: Path, reading: Reading) -> Mapping[str, bytes | None]:
    """The bytes that a start would compile."""
    seen: dict[str, bytes | None] = {}

    def look(
        root: Path,
        now: datetime,
        imports_from: Path | None = None,
        *,
        env_from: Path | None = None,
        folder: Folder | None = None,
        loaded: Loaded | None = None,
    ) -> Reading:
        assert folder is not None
        seen.update({**folder.known, **folder.files})
        return reading

    recalled(state, root, NOW, look)
    return seen


def test_the_first_keeping_is_whole_or_nothing(root: Path, tmp_path: Path) -> None:
    folder = read(root, NOW).folder
    for steps in range(200):
        state = tmp_path / f"state-{steps}"
        try:
            keep(state, root, folder, step=killed_after(steps))
        except Killed:
            found = recalled(state, root, NOW)
            assert found is None or found.snapshot.agents["main"].soul == "You are the first soul."
        else:
            return
    raise AssertionError("it never came to an end")


def test_a_disk_that_takes_nothing_leaves_the_old_and_says_so(root: Path, tmp_path: Path) -> None:
    applied(root, tmp_path / "state")
    written(root, {"agents/main.md": "You are the second soul.\n"})

    def full() -> None:
        raise OSError(28, os.strerror(28))

    with pytest.raises(StateError, match=r"cannot be kept in .*: no space left on device"):
        keep(tmp_path / "state", root, read(root, NOW).folder, step=full)
    assert soul(root, tmp_path / "state")[0] == "You are the first soul."


# ── what is damaged, or of another version ───────────────────────────────────────────────────────


def start(root: Path, state: Path) -> str:
    """Why a broken project cannot start."""
    (root / "agents/main.yaml").write_text(FILES["agents/main.yaml"].replace("policy: works", "polciy: works"))
    with pytest.raises(ProjectInvalid) as caught:
        load(Options(root, state), ManualClock(NOW))
    assert [each.line for each in caught.value.diagnostics] == [6]
    return str(caught.value)


def cut(place: Path) -> None:
    (place / "tools.yaml").write_text(TOOLS[: len(TOOLS) // 2])


def gone(place: Path) -> None:
    (place / "agents/main.md").unlink()


def no_list(place: Path) -> None:
    (place / LIST).write_text("{")


def a_folder(place: Path) -> None:
    (place / "tools.yaml").unlink()
    (place / "tools.yaml").mkdir()


@pytest.mark.parametrize("damage", [cut, gone, no_list, a_folder])
def test_what_is_not_as_it_was_put_there_is_not_run_and_that_is_said(
    root: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    applied(root, tmp_path / "state")
    damage(last_good(tmp_path / "state", root))
    assert "is damaged: " in start(root, tmp_path / "state")


@pytest.mark.parametrize("damage", [cut, gone, no_list])
def test_what_is_damaged_is_put_right_by_a_start_on_a_sound_project(
    root: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    applied(root, tmp_path / "state")
    damage(last_good(tmp_path / "state", root))
    keep(tmp_path / "state", root, read(root, NOW).folder, verify=True)
    assert soul(root, tmp_path / "state")[0] == "You are the first soul."


def test_what_another_version_kept_and_this_one_cannot_read_is_not_run_and_that_is_said(
    root: Path, tmp_path: Path
) -> None:
    files = {**FILES, "tools.yaml": f"{TOOLS}future: {{}}\n"}
    folder = Folder.of({name: text.encode() for name, text in files.items()}, str(root))
    keep(tmp_path / "state", root, folder)
    place = last_good(tmp_path / "state", root)
    listed = json.loads((place / LIST).read_text())
    (place / LIST).write_text(json.dumps({**listed, "version": "9.9.9"}))
    said = start(root, tmp_path / "state")
    assert "which version 9.9.9 kept, cannot run either" in said and "tools.yaml:7:1: unknown key" in said


def test_what_an_earlier_version_kept_without_a_list_is_run(root: Path, tmp_path: Path) -> None:
    written(last_good(tmp_path / "state", root), FILES)
    assert soul(root, tmp_path / "state")[0] == "You are the first soul."
    keep(tmp_path / "state", root, read(root, NOW).folder)
    assert json.loads((last_good(tmp_path / "state", root) / LIST).read_text())["files"].keys() >= {"tools.yaml"}


# ── the broken edit forbids all the same ─────────────────────────────────────────────────────────


def ids(snapshot: Snapshot, policy: str = "works") -> set[str | None]:
    return {rule.id for rule in snapshot.policies[policy].rules if rule.id}


@pytest.fixture
def edited(root: Path, tmp_path: Path) -> Iterator[Callable[[str], tuple[Snapshot, str]]]:
    """Starts on the project with another tools.yaml, which is broken."""
    applied(
        root, tmp_path / "state", **{"tools.yaml": TOOLS.replace("    rules: [{allow: [list_files, add]}]\n", RULES)}
    )

    def start(tools: str) -> tuple[Snapshot, str]:
        (root / "tools.yaml").write_text(tools)
        found = load(Options(root, tmp_path / "state"), ManualClock(NOW))
        assert found.broken
        return found.snapshot, found.notice

    yield start


HEAD = TOOLS.partition("policies:")[0] + "policies:\n"


def test_its_deny_and_ask_rules_are_in_force_on_top_and_named(edited: Callable[[str], tuple[Snapshot, str]]) -> None:
    rules = (
        "      - {id: wider, allow: write_file}\n"
        "      - {id: no-pem, deny: write_file, paths: ['**/*.pem']}\n"
        "      - {id: look, ask: web_fetch}\n"
        "      - {id: misspelt, deny: read_file, pahts: ['x/**']}\n"
    )
    snapshot, notice = edited(f"{HEAD}  works:\n    default: deny\n{RULES}{rules}")
    assert ids(snapshot) == {"never-key", "no-pem", "look"}
    assert "2 deny and ask rules (" in notice and "of the broken edit are in force on top" in notice
    assert "deny write_file, paths [**/*.pem], works/no-pem, tools.yaml:10" in notice


def test_what_was_applied_last_forbids_what_it_forbade_though_the_edit_does_not(
    edited: Callable[[str], tuple[Snapshot, str]],
) -> None:
    snapshot, notice = edited(
        f"{HEAD}  works:\n    default: ask\n    rules:\n      - {{allow: add}}\n      - {{oops: 1}}\n"
    )
    assert ids(snapshot) == {"never-key"} and snapshot.policies["works"].default.name == "DENY"
    assert "on top" not in notice


def test_rules_that_belong_to_no_policy_that_is_known_or_to_the_floor_hold_everywhere(
    edited: Callable[[str], tuple[Snapshot, str]],
) -> None:
    other = "  floor:\n    rules: [{id: never, deny: web_search}]\n  strict:\n    rules: [{id: no, deny: web_fetch}]\n"
    snapshot, notice = edited(f"{HEAD}{other}  works:\n    defualt: deny\n{RULES}")
    assert ids(snapshot) == {"never-key", "never", "no"}
    assert "2 deny rules (" in notice


@pytest.mark.parametrize(
    ("rules", "more"),
    [
        ("      - {id: new, deny: web_fetch}\n      - {oops\n", {"new"}),
        (
            "      - {id: new, deny: web_fetch}\n      - deny: write_file\n        id: open\n       paths: [x]\n",
            {"new"},
        ),
        (
            "      - id: new\n        deny: web_fetch\n      - {id: late, ask: web_search}\n     - oops\n",
            {"new", "late"},
        ),
        ("      - deny: write_file\n        id: open\n\t\tpaths: [x]\n      - {id: behind, deny: web_fetch}\n", set()),
    ],
)
def test_of_a_file_that_is_no_yaml_the_rules_before_the_mistake_hold_but_none_that_may_go_on(
    edited: Callable[[str], tuple[Snapshot, str]], rules: str, more: set[str]
) -> None:
    snapshot, _ = edited(f"{HEAD}  works:\n    default: deny\n{RULES}{rules}")
    assert ids(snapshot) == {"never-key", *more}


def test_so_they_do_in_a_large_file(edited: Callable[[str], tuple[Snapshot, str]]) -> None:
    rules = "      - {id: new, deny: web_fetch}\n      - {oops\n"
    snapshot, notice = edited("# of today\n" * 6000 + f"{HEAD}  works:\n    default: deny\n{RULES}{rules}")
    assert ids(snapshot) == {"never-key", "new"} and "on top" in notice


def test_what_cannot_be_read_at_all_adds_nothing(edited: Callable[[str], tuple[Snapshot, str]]) -> None:
    snapshot, notice = edited(f"{HEAD}  works: [\n")
    assert ids(snapshot) == {"never-key"} and "on top" not in notice


# ── what was cut off while nothing ran ───────────────────────────────────────────────────────────

CUT = f"{HEAD}  works:\n    default: deny\n" + RULES.partition("      - {id: never-key")[0]


@pytest.mark.parametrize(("above", "line"), [("", 7), ("# edited above\n", 8)])
def test_a_start_on_half_a_file_runs_what_was_applied_last_as_well(
    edited: Callable[[str], tuple[Snapshot, str]], above: str, line: int
) -> None:
    snapshot, notice = edited(above + CUT)
    assert ids(snapshot) == {"never-key"}
    assert f"tools.yaml:{line}:33: the file ends early: missing from what was applied is deny write_file" in notice
    assert "BREAKS OFF" in notice and "BROKEN" not in notice and "end the file with a new comment" in notice


def test_a_start_after_edits_that_go_together_runs_those(root: Path, tmp_path: Path) -> None:
    """As after a deployment: an agent was taken away, and another is bound more tightly, or less."""
    main = FILES["agents/main.yaml"] + "limits: {turn: 10m}\n"
    applied(root, tmp_path / "state", **{"agents/main.yaml": main, "agents/side.yaml": SIDE.replace("../", "")})
    (root / "agents/side.yaml").unlink()
    for turn in ("5m", "11m"):
        (root / "agents/main.yaml").write_text(main.replace("10m", turn))
        found = load(Options(root, tmp_path / "state", strict=True), ManualClock(NOW))
        assert not found.notice and set(found.snapshot.agents) == {"main"}


def test_a_strict_start_on_half_a_file_does_not_run(
    edited: Callable[[str], tuple[Snapshot, str]], root: Path, tmp_path: Path
) -> None:
    edited(CUT)
    with pytest.raises(ProjectInvalid, match="less than what was applied last") as caught:
        load(Options(root, tmp_path / "state", strict=True), ManualClock(NOW))
    assert [each.code for each in caught.value.diagnostics] == ["cut-off"]


def test_a_start_on_a_file_that_says_where_it_ends_runs_that(
    edited: Callable[[str], tuple[Snapshot, str]], root: Path, tmp_path: Path
) -> None:
    edited(CUT)
    (root / "tools.yaml").write_text(f"{CUT}# that is all\n")
    found = load(Options(root, tmp_path / "state"), ManualClock(NOW))
    assert (found.broken, found.notice, ids(found.snapshot)) == ((), "", set())


# ── as people start it ───────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_start_on_a_broken_project_says_everywhere_that_it_runs_what_was_applied_last(tmp_path: Path) -> None:
    root, state = written(tmp_path / "project", {**FILES, "channels.yaml": CHANNELS}), tmp_path / "state"
    with Process(root, state) as process:
        asyncio.run(ready(process))
    rules = RULES + "      - {id: no-pem, deny: write_file, paths: ['**/*.pem']}\n      - {alow: add}\n"
    (root / "tools.yaml").write_text(f"{HEAD}  works:\n    default: deny\n{rules}")
    (root / "sums.py").write_text("oops(")

    async def broken(process: Process) -> None:
        async with Program(await process.address()) as operator:
            found = (await operator.http.get("/readyz")).json()
            assert found["status"] == "ready" and found["on_last_good"] is True and "broken" in found["detail"]
            assert (await operator.say("hello")).json()["reply"] == "hello"
            status = openclaw(root, state, "status")
            assert status.returncode == 0 and "what was applied last is running" in " ".join(status.stdout.split())
            async with asyncio.timeout(60):
                validated = openclaw(root, state, "validate")
                while "openclaw: running: " not in validated.stderr:  # it had no time to answer
                    validated = await asyncio.to_thread(openclaw, root, state, "validate")
            assert validated.returncode == 1
            written(root, FILES)
            async with asyncio.timeout(60):
                while (await operator.http.get("/readyz")).json()["on_last_good"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    with Process(root, state) as process:
        asyncio.run(asyncio.wait_for(broken(process), 100))
        assert "THE PROJECT ON DISK IS BROKEN; running what was applied last" in process.log
        assert "with the code of Python tools as it was then" in process.log
        assert "2 deny rules (" in process.log and "Traceback" not in process.log
    (root / "tools.yaml").write_text("policies: [\n")
    for options in (("--state", str(tmp_path / "fresh"), "run"), ("--state", str(state), "run", "--strict")):
        refused = warm.run(
            [sys.executable, "-m", "openclaw", "-C", str(root), *options], text=True, timeout=60, cwd=tmp_path
        )
        assert refused.returncode == 3 and "tools.yaml:1:" in refused.stderr and "Traceback" not in refused.stderr
    (last_good(state, root) / LIST).write_text("{")
    damaged = openclaw(root, state, "run")
    assert damaged.returncode == 3 and "is damaged" in damaged.stderr and "Traceback" not in damaged.stderr


async def ready(process: Process) -> None:
    async with Program(await process.address()) as operator:
        assert (await operator.http.get("/healthz")).is_success


def openclaw(root: Path, state: Path, *command: str) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "openclaw", "-C", str(root), "--state", str(state), *command]
    return warm.run(whole, text=True, timeout=60, cwd=root.parent)


@pytest.mark.slow
def test_a_kill_while_a_runtime_keeps_leaves_what_it_or_the_one_before_applied(tmp_path: Path) -> None:
    """`kill -9` at whatever moment it comes, while edits follow one another."""
    root, state = written(tmp_path / "project", {**FILES, "channels.yaml": CHANNELS}), tmp_path / "state"
    for round in range(5):
        with Process(root, state) as process:
            asyncio.run(ready(process))
            for number in range(3 * round + 1):
                written(root, {"agents/main.md": f"You are soul {round}.{number}.\n"})
            process.process.kill()
            process.process.wait(10)
        assert soul(root, state)[0].startswith("You are ")
