"""Starting, ending and starting again: one runtime on a state folder, and clear words wherever there is none."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from crash.harness import TOOLS, Life, Site, made, until
from crash.oracle import judge, rows
from openclaw.clock import SystemClock
from openclaw.errors import StateLocked
from openclaw.stores._files import Files
from openclaw.stores._lock import Lock
from openclaw.stores.files import Store

Done = subprocess.CompletedProcess[str]


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below, with its time of change: what `nothing was changed` means."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def clean(done: Done) -> Done:
    """Nothing in it was written for a programmer."""
    assert "Traceback" not in done.stderr and "bug" not in done.stderr, done.stderr
    return done


def after(site: Site, *texts: str) -> None:
    """Lets a runtime answer some messages and end, so that there is something in the state folder."""
    with Life(site) as life:
        life.ready()
        for number, text in enumerate(texts):
            id = life.post(text, "s", str(number))
            until(lambda id=id: life.settled(id), f"the answer to {text}")
        assert life.stop() == 0


# ── one at a time ────────────────────────────────────────────────────────────────────────────────


def test_a_second_runtime_is_told_who_holds_the_folder_and_after_a_kill_the_next_one_starts(tmp_path: Path) -> None:
    site = made(tmp_path)
    with Life(site) as first:
        first.ready()
        before = contents(site.state)
        second = clean(site.run("run"))
        assert (second.returncode, second.stdout) == (1, "")
        assert f"in use by process {first.process.pid}" in second.stderr and "--state" in second.stderr
        assert contents(site.state) == before
        assert until(lambda: first.settled(first.post("say 1", "s", "1")), "an answer of the first")["status"] == "done"
        first.kill()
    with Life(site) as third:
        print(f"\nready {third.ready():.2f} s after the start that followed a kill")
        assert third.stop() == 0


@pytest.mark.slow
def test_of_two_started_at_once_one_serves_and_the_folder_is_free_the_moment_it_is_killed(tmp_path: Path) -> None:
    """The taking over of the lock is measured by itself, by a thread that asks for nothing else, and apart from what
    the start of another process takes."""
    site = made(tmp_path)
    rounds = [taken_over(site) for _ in range(5)]
    print(f"\n{'refused':>8} {'holder named':>13} {'lock taken over, ms':>20} {'next one serves, s':>19}")
    for named, lock, start in rounds:
        print(f"{1:>8} {named:>13d} {lock * 1000:>20.2f} {start:>19.2f}")


def taken_over(site: Site) -> tuple[bool, float, float]:
    """Starts two, kills the one that serves, takes its lock, lets go of it, and starts another: whether the one that
    was refused named the other, and the seconds after which the lock was free and the third one served."""
    began = (site.root / "stderr").stat().st_size if (site.root / "stderr").exists() else 0
    with Life(site) as one, Life(site) as other, ThreadPoolExecutor(1) as beside:
        until(lambda: one.process.poll() is not None or other.process.poll() is not None, "one that is refused")
        refused, holder = (one, other) if one.process.poll() is not None else (other, one)
        holder.ready()
        said = (site.root / "stderr").read_text()[began:]
        named = f"in use by process {holder.process.pid}" in said
        # It may be refused in the instant between the taking of the lock and the writing down of who has it.
        assert refused.process.returncode == 1 and (named or "in use by another process" in said), said
        waiting = threading.Event()
        freed = beside.submit(lock_taken, site.state, waiting)
        assert waiting.wait(20)
        killed = time.monotonic()
        os.kill(holder.process.pid, signal.SIGKILL)
        lock = freed.result(20) - killed
    with Life(site) as third:
        return named, lock, third.ready()


def lock_taken(folder: Path, waiting: threading.Event) -> float:
    """When it could be taken, in seconds that never jump; the holder had it when `waiting` was set."""
    while True:
        lock = Lock(folder, Files())
        try:
            lock.take()
        except StateLocked:
            waiting.set()
        else:
            lock.release()
            return time.monotonic()


# ── the end ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_what_a_stopped_runtime_had_not_answered_is_answered_by_the_next_one(tmp_path: Path) -> None:
    """One session is in a model call, one in a tool that waits; another one is done."""
    site = made(tmp_path)
    with Life(site) as life:
        life.ready()
        ids = [life.post(text, text.split()[0], text) for text in ("ponder 1", "gate 2", "say 3")]
        until(lambda: site.effects and life.settled(ids[2]), "all under way")
        ended(life)
    assert {id for (id,) in rows(site.state, "SELECT id FROM inbox WHERE settled IS NULL")} == set(ids[:2])
    script = site.project / "script.yaml"
    script.write_text(script.read_text().replace("delay: 60", "delay: 0"))
    with Life(site) as life:
        life.ready()
        replies = [until(lambda id=id: life.settled(id), f"the answer to {id}")["reply"] for id in ids]
        assert life.stop() == 0
    assert replies[0] == "done 1" and replies[1].startswith("failed 2: unknown: the runtime stopped")
    assert judge(site).faults() == {}


@pytest.mark.slow
def test_a_tool_that_will_not_be_stopped_does_not_hold_the_end_up(tmp_path: Path) -> None:
    site = made(tmp_path)
    with Life(site) as life:
        life.ready()
        id = life.post("linger 1", "s", "1")
        until(lambda: site.effects, "its effect")
        ended(life)
    with Life(site) as life:
        life.ready()
        assert until(lambda: life.settled(id), "the answer")["reply"].startswith("That did not work: unknown")
        assert life.stop() == 0
    assert judge(site).faults() == {}


def ended(life: Life) -> None:
    """In good order, and before anything that it was doing would have: the shortest of that takes fifty seconds."""
    asked = time.monotonic()
    assert life.stop(40) == 0
    print(f"\nended {time.monotonic() - asked:.1f} s after SIGTERM")


def test_a_short_answer_is_finished_before_the_runtime_ends(tmp_path: Path) -> None:
    site = made(tmp_path)
    with Life(site) as life:
        life.ready()
        id = life.post("steps 1", "s", "1")
        until(lambda: site.effects, "the first effect")
        assert life.stop() == 0
    assert rows(site.state, "SELECT id, state FROM inbox") == [(id, "done")]


# ── side by side ─────────────────────────────────────────────────────────────────────────────────


def test_one_session_answers_in_turn_two_side_by_side_and_a_stop_frees_the_next(tmp_path: Path) -> None:
    site = made(tmp_path)
    with Life(site) as life:
        life.ready()
        posts = [("gate 1", "one"), ("note 2", "one"), ("gate 3", "two"), ("note 4", "three")]
        ids: dict[str, str] = {}

        def post(text: str, session: str) -> None:
            ids[text] = life.post(text, session, text)

        post(*posts[0])
        threads = [threading.Thread(target=post, args=one) for one in posts[1:]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # 1 waits at its gate: 2 is behind it in the same session, 3 and 4 are not.
        until(lambda: life.settled(ids["note 4"]), "the answer of the third session")
        until(lambda: {n for _, n in site.effects} == {"1", "3", "4"}, "the two at their gates")
        assert life.ask("GET", f"/api/messages/{ids['note 2']}")[1]["status"] == "queued"
        assert life.ask("POST", "/api/sessions/agent:main:repl:local:one/stop", {})[1]["stopped"] is True
        assert until(lambda: life.settled(ids["gate 1"]), "the stopped one")["error"] == "Stopped."
        assert until(lambda: life.settled(ids["note 2"]), "the one behind it")["reply"] == "done 2"
        assert life.ask("GET", f"/api/messages/{ids['gate 3']}")[1]["status"] == "running"
        (site.project / "open").touch()
        assert until(lambda: life.settled(ids["gate 3"]), "the other session")["reply"] == "done 3"
        assert life.stop() == 0
    assert judge(site).faults() == {}


# ── state that cannot be used ────────────────────────────────────────────────────────────────────


def test_a_database_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    site = made(tmp_path)
    after(site, "say 1")
    with closing(sqlite3.connect(site.state / "runtime.db")) as db:
        (known,) = db.execute("PRAGMA user_version").fetchone()
        db.execute(f"PRAGMA user_version = {known + 1}")
    before = contents(site.state)
    refused = clean(site.run("run"))
    assert refused.returncode == 1
    assert "runtime.db was written by a newer version" in refused.stderr and "--state" in refused.stderr
    left = contents(site.state)
    assert {name: left[name] for name in before if name != "lock"} == {n: before[n] for n in before if n != "lock"}


def test_a_session_of_a_newer_version_is_told_and_left_and_the_others_are_served(tmp_path: Path) -> None:
    site = made(tmp_path)
    after(site, "say 1")
    path = site.transcript("agent:main:repl:local:s")
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":99', 1))
    before = path.read_bytes()
    with Life(site) as life:
        life.ready()
        ids = [life.post(f"say {n}", "s", f"k{n}") for n in (2, 3, 4, 5)]
        told = [until(lambda id=id: life.settled(id), "an end") for id in ids]
        assert [one["status"] for one in told] == ["failed"] * 4
        assert all("newer version" in one["error"] for one in told), told
        other = life.post("say 6", "other", "k6")
        assert until(lambda: life.settled(other), "an answer")["status"] == "done"
        assert life.stop() == 0
    assert path.read_bytes() == before
    assert "Traceback" not in (tmp_path / "stderr").read_text()


def broken_states(root: Path) -> Iterator[tuple[str, Path]]:
    """State folders of which nothing can be made, each with a word that must be in the message."""
    file = root / "file"
    file.write_text("not a folder")
    yield "not a directory", file
    yield "not a directory", file / "below"
    for name in ("runtime.db", "sessions", "last-good", "exec-approvals.json"):
        state = root / f"with-{name}"
        state.mkdir()
        if name in ("sessions", "last-good"):
            (state / name).write_text("a file where a folder belongs")
        else:
            (state / name).mkdir()
        yield name, state
    garbage = root / "garbage"
    garbage.mkdir()
    (garbage / "runtime.db").write_bytes(b"this is no database" * 100)
    yield "runtime.db", garbage


def test_a_state_folder_that_cannot_be_used_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    site = made(tmp_path)
    states = list(broken_states(tmp_path))
    with ThreadPoolExecutor(2) as two:
        endings = two.map(lambda state: clean(site.run("--state", str(state[1]), "run")), states)
    for (word, state), refused in zip(states, endings, strict=True):
        assert refused.returncode == 1, (state, refused.stderr)
        assert word in refused.stderr.lower() and str(state) in refused.stderr, (state, refused.stderr)


def test_a_state_folder_that_may_only_be_read_is_refused(tmp_path: Path) -> None:
    site = made(tmp_path)
    site.state.mkdir(mode=0o555)
    powers = "-dac_override,-dac_read_search"
    as_anybody = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"] if os.geteuid() == 0 else []
    if as_anybody and not shutil.which("setpriv"):
        pytest.skip("nothing here takes from root what root may do")
    refused = clean(
        subprocess.run([*as_anybody, *site.command("run")], capture_output=True, text=True, timeout=30, input="")
    )
    assert refused.returncode == 1
    assert f"{site.state} cannot be used: permission denied" in refused.stderr
    assert contents(site.state) == {}


def test_a_control_socket_that_cannot_be_made_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    site = made(tmp_path)
    (site.state / "control.sock").mkdir(parents=True)
    with Life(site) as life:
        log = tmp_path / "stderr"
        until(lambda: "control.sock cannot be made" in log.read_text(), "the complaint")
        assert life.stop() == 0
    assert "Traceback" not in log.read_text()


# ── projects that cannot be used ─────────────────────────────────────────────────────────────────


def test_a_missing_project_an_invalid_one_and_one_that_ran_before_each_end_as_documented(tmp_path: Path) -> None:
    site = made(tmp_path)
    (missing := made(tmp_path / "other")).project.rename(tmp_path / "away")
    gone = clean(missing.run("run"))
    assert gone.returncode == 2 and str(missing.project) in gone.stderr and "openclaw init" in gone.stderr
    assert not missing.state.exists()

    (site.project / "tools.yaml").write_text(TOOLS.replace("default: deny", "default: maybe"))
    invalid = clean(site.run("run"))
    assert invalid.returncode == 3 and "tools.yaml:11:14: error:" in invalid.stderr, invalid.stderr
    assert not site.state.exists()

    (site.project / "tools.yaml").write_text(TOOLS)
    after(site, "note 1")
    (site.project / "tools.yaml").write_text(TOOLS.replace("default: deny", "default: maybe"))
    kept = next((site.state / "last-good").iterdir())
    kept.rename(kept.with_name(f"{kept.name}.old"))  # as a crash leaves it between two renames
    strict = clean(site.run("run", "--strict"))
    assert strict.returncode == 3 and "tools.yaml:11:14: error:" in strict.stderr
    with Life(site) as life:
        life.ready()
        id = life.post("note 2", "s", "again")
        assert until(lambda: life.settled(id), "an answer of the last good project")["reply"] == "done 2"
        assert life.ask("GET", "/api/status")[1]["on_last_good"] is True
        assert life.stop() == 0
    said = (tmp_path / "stderr").read_text()
    assert "BROKEN" in said and "tools.yaml:11:14" in said


HALF_MADE = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 1")
db.execute("CREATE TABLE half (made)")
db.execute("BEGIN")
db.executemany("INSERT INTO half VALUES (?)", [("x" * 4000,)] * 50)
os.kill(os.getpid(), 9)
"""


def test_a_database_whose_making_was_cut_short_is_taken_over(tmp_path: Path) -> None:
    """The first start is killed before the database has its log: what it left can only be undone by writing."""
    subprocess.run([sys.executable, "-c", HALF_MADE, str(tmp_path / "runtime.db")], timeout=20)
    assert (tmp_path / "runtime.db-journal").exists()

    async def taken_over() -> None:
        store = Store(str(tmp_path), SystemClock())
        await store.open()
        await store.close()

    asyncio.run(taken_over())
    assert not (tmp_path / "runtime.db-journal").exists()
