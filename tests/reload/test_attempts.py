"""Whatever happens in an attempt, it ends as one: with its number, its outcome, and words that are true. What failed is
tried again; what ends the whole runtime goes on up."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from doubles.house import CHANNELS, Hasty, Program, lived, project, until
from openclaw import adapters
from openclaw.app import App
from openclaw.attempts import Attempt
from openclaw.clock import ManualClock, settle
from openclaw.errors import CredentialsError, OpenClawError, StorageFailed
from openclaw.lastgood import last_good
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.parts import Parts
from openclaw.project import Options
from openclaw.reading import Reading, read
from openclaw.reload import AGAIN, KEPT, LONG, Reload

NOBODY = "http://127.0.0.1:9"  # a model that is never asked


class Bench:
    """A project on disk, and a reload whose neighbours do as they are told."""

    def __init__(self, tmp_path: Path) -> None:
        self.root, self.state = project(tmp_path / "project", NOBODY), tmp_path / "state"
        self.clock = ManualClock(datetime(2026, 5, 4, 12, tzinfo=UTC))
        self.applied = 0
        self.amiss: BaseException | None = None  # that applying raises
        self.late = False  # and only after the swap
        self.unreadable: Exception | None = None  # that reading raises
        self.going_on: asyncio.Event | None = None  # that applying waits for
        self.endless: threading.Event | None = None  # that reading waits for
        self.read = 0
        self.ended: list[BaseException] = []
        reading = read(self.root, self.clock.now())
        assert reading.compiled.snapshot is not None
        self.snapshot = reading.compiled.snapshot
        self.reload = Reload(self.root, self.state, self.clock, lambda: self.snapshot, self._apply, self._read)
        self.reload.broken = self.ended.append
        self.reload.begin(reading)

    async def _apply(self, snapshot: Snapshot, _: Folder) -> None:
        if self.going_on is not None:
            await self.going_on.wait()
        if self.amiss is not None and not self.late:
            raise self.amiss
        self.snapshot, self.applied = snapshot, self.applied + 1
        if self.amiss is not None:
            raise self.amiss

    def _read(self, root: Path, now: datetime, imports_from: Path | None = None, **more: Any) -> Reading:
        if self.unreadable is not None:
            raise self.unreadable
        if self.endless is not None:
            self.endless.wait(20)
        self.read += 1
        return read(root, now, imports_from, **more)

    def edit(self, words: str) -> None:
        (self.root / "agents/main.md").write_text(f"You are {words}.\n")

    def spoil(self) -> None:
        (self.root / "agents/main.yaml").write_text("name: [\n")

    async def failed(self) -> list[Attempt]:
        """After an edit that fails, with the task that tries again under way."""
        self.edit("never")
        await self.reload.look()
        await settle()
        return [*self.reload.attempts]

    async def after(self, seconds: float) -> list[Attempt]:
        known = [*self.reload.attempts]
        await self.clock.advance(seconds)
        await until(lambda: [*self.reload.attempts] != known, "another attempt")
        await settle()
        return [*self.reload.attempts]


async def quiet() -> None:
    """Until no attempt that was begun goes on, whoever began it."""
    while begun := [task for task in asyncio.all_tasks() if task.get_name().startswith("reload (")]:
        await asyncio.gather(*begun)


def on(bench: Bench, scene: Callable[[Bench], Awaitable[None]]) -> None:
    async def whole() -> None:
        again = asyncio.create_task(bench.reload.retry())
        try:
            await asyncio.wait_for(scene(bench), 60)
        finally:
            again.cancel()
            await asyncio.gather(again, return_exceptions=True)
            await bench.reload.close()

    asyncio.run(whole())


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


def test_a_fault_in_applying_is_a_failed_attempt_with_a_reference_and_the_next_edit_is_seen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(bench: Bench) -> None:
        bench.amiss = KeyError("a thing nobody thought of")
        [attempt] = await bench.failed()
        assert (attempt.number, attempt.trigger, attempt.outcome, attempt.in_force) == (1, "edit", "failed", False)
        assert "KeyError" in attempt.error and "nothing changed" in attempt.words
        reference = attempt.error.partition("(reference ")[2].partition(")")[0]
        [record] = [each for each in caplog.records if each.exc_info]
        assert reference and reference in record.getMessage() and record.exc_info[1] is bench.amiss  # type: ignore[index]
        bench.amiss = None
        bench.edit("well")
        await bench.reload.look()
        assert [(each.number, each.outcome) for each in bench.reload.attempts] == [(1, "failed"), (2, "applied")]

    on(Bench(tmp_path), scene)


def test_what_fails_after_the_swap_is_not_told_as_if_nothing_had_changed(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.amiss, bench.late = ImportError("no such channel"), True
        [attempt] = await bench.failed()
        assert (attempt.outcome, attempt.in_force, attempt.changes) == ("failed", True, ("agent main changed",))
        assert "in force" in attempt.words and "nothing changed" not in attempt.words
        bench.amiss = None
        await bench.clock.advance(1000)
        await quiet()
        assert len(bench.reload.attempts) == 1  # the same once more would find nothing to do
        again = await bench.reload.attempt("request")
        assert (again.outcome, again.in_force) == ("needs_restart", True) and "reload 1" in again.restart[0]
        assert "waits for a restart" in bench.reload.differs

    on(Bench(tmp_path), scene)


def test_what_failed_after_the_swap_is_taken_back_by_taking_the_edit_back(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        soul = bench.root / "agents/main.md"
        before, was = soul.read_text(), bench.snapshot.agents["main"].soul
        bench.amiss, bench.late = ImportError("no such channel"), True
        await bench.failed()
        assert bench.snapshot.agents["main"].soul != was
        bench.amiss = None
        soul.write_text(before)
        await bench.reload.look()
        assert bench.snapshot.agents["main"].soul == was
        assert bench.reload.attempts[-1].changes == ("agent main changed",)

    on(Bench(tmp_path), scene)


def test_what_cannot_be_read_at_all_fails_once_for_each_content_and_is_read_when_it_can_be(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.unreadable = RecursionError("too deep")
        [attempt] = await bench.failed()
        assert attempt.outcome == "failed" and "RecursionError" in attempt.error
        await bench.reload.look()
        await bench.reload.look()
        assert len(bench.reload.attempts) == 1
        bench.unreadable = None
        bench.edit("read")
        await bench.reload.look()
        assert [each.outcome for each in bench.reload.attempts] == ["failed", "applied"]

    on(Bench(tmp_path), scene)


def test_what_was_applied_and_cannot_be_kept_is_in_force_and_says_so(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.state.mkdir()
        (bench.state / "last-good").write_text("in the way")
        bench.edit("kept nowhere")
        attempt = await bench.reload.attempt("request")
        assert (attempt.outcome, attempt.in_force) == ("applied", True)
        assert "last-good" in attempt.error and attempt.error in attempt.words and attempt.differs == ""

    on(Bench(tmp_path), scene)


def test_a_disk_that_breaks_ends_more_than_the_attempt_whoever_asked(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.amiss = StorageFailed("nothing can be written")
        bench.edit("lost")
        with pytest.raises(StorageFailed):
            await bench.reload.attempt("request")
        asked = asyncio.create_task(bench.reload.attempt("SIGHUP"))
        await asyncio.sleep(0)
        asked.cancel()  # nobody is there any more to hear of it
        await asyncio.gather(asked, return_exceptions=True)
        await until(lambda: len(bench.ended) == 2, "the second end")
        assert not bench.reload.attempts

    on(Bench(tmp_path), scene)


# ── one after another, to the end ────────────────────────────────────────────────────────────────


def test_an_attempt_goes_on_to_its_end_though_whoever_asked_is_gone(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.going_on = asyncio.Event()
        bench.edit("wanted")
        asked = asyncio.create_task(bench.reload.attempt("request"))
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        bench.going_on.set()
        await until(lambda: bench.reload.attempts, "the attempt")
        assert [(each.number, each.outcome) for each in bench.reload.attempts] == [(1, "applied")]

    on(Bench(tmp_path), scene)


def test_attempts_at_the_same_time_follow_one_another_and_apply_once(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.edit("one")
        found = await asyncio.gather(*(bench.reload.attempt("request") for _ in range(4)))
        assert [each.number for each in found] == [1, 2, 3, 4]
        assert [each.outcome for each in found] == ["applied", "unchanged", "unchanged", "unchanged"]
        assert bench.applied == 1

    on(Bench(tmp_path), scene)


def test_an_attempt_that_takes_long_is_told_while_it_does(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.endless = threading.Event()
        bench.edit("read late")
        asked = asyncio.create_task(bench.reload.attempt("request"))
        await settle()
        assert bench.reload.differs == ""
        await bench.clock.advance(LONG)
        assert bench.reload.differs == (
            "the files on disk may not be what runs: reload 1 began at 2026-05-04 12:00:00 UTC and goes on"
        )
        bench.endless.set()
        assert (await asked).outcome == "applied" and bench.reload.differs == ""

    on(Bench(tmp_path), scene)


def test_what_reads_on_and_on_holds_up_no_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.endless = threading.Event()

    async def scene(bench: Bench) -> None:
        asked = asyncio.create_task(bench.reload.attempt("request"))
        await settle()
        asked.cancel()

    on(bench, scene)
    assert bench.read == 0
    bench.endless.set()


def test_whoever_hears_of_attempts_and_breaks_harms_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Attempt] = []

    def broken(_: Attempt) -> None:
        raise ValueError("deaf")

    async def scene(bench: Bench) -> None:
        bench.reload.hear(broken)
        stop = bench.reload.hear(heard.append)
        await bench.reload.attempt("request")
        stop()
        stop()
        await bench.reload.attempt("request")
        assert [each.number for each in heard] == [1] and len(bench.reload.attempts) == 2

    on(Bench(tmp_path), scene)
    assert "hears of reload 1 failed" in caplog.text


# ── once more ────────────────────────────────────────────────────────────────────────────────────


def test_what_failed_is_tried_again_after_5_15_and_60_seconds_until_it_does_not(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.amiss = OpenClawError("port 80 is taken")
        await bench.failed()
        for number, seconds in enumerate((*AGAIN, AGAIN[-1]), 2):
            await bench.clock.advance(seconds - 1)
            assert bench.reload.attempts[-1].number == number - 1
            found = await bench.after(1)
            assert (found[-1].number, found[-1].trigger, found[-1].outcome) == (number, "retry", "failed")
        assert [each.number for each in found] == [1, 5]  # those that only said the same again make room
        bench.amiss = None
        found = await bench.after(AGAIN[-1])
        assert [(each.trigger, each.outcome) for each in found[-2:]] == [("retry", "failed"), ("retry", "applied")]
        await bench.clock.advance(1000)
        assert len(bench.reload.attempts) == len(found)
        assert bench.reload.counts.as_json()["failed"] == 5

    on(Bench(tmp_path), scene)


def test_another_edit_begins_anew_and_a_refused_one_is_not_tried_again(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.amiss = OpenClawError("port 80 is taken")
        await bench.failed()
        await bench.after(5)
        await bench.clock.advance(10)
        bench.edit("another")
        await bench.reload.look()
        await bench.clock.advance(5)  # the 15 seconds that were begun before it are over, and count no more
        assert [each.trigger for each in bench.reload.attempts] == ["edit", "retry", "edit"]
        assert (await bench.after(5))[-1].trigger == "retry"
        bench.spoil()
        await bench.reload.attempt("edit")
        assert bench.reload.attempts[-1].outcome == "refused"
        known = len(bench.reload.attempts)
        await bench.clock.advance(1000)
        await quiet()
        assert len(bench.reload.attempts) == known and not bench.applied

    on(Bench(tmp_path), scene)


def test_a_token_that_is_refused_is_not_tried_again(tmp_path: Path) -> None:
    async def scene(bench: Bench) -> None:
        bench.amiss = CredentialsError("the bot's token is refused")
        await bench.failed()
        await bench.clock.advance(1000)
        await quiet()
        assert [each.outcome for each in bench.reload.attempts] == ["failed"]
        bench.amiss = None
        assert (await bench.reload.attempt("request")).outcome == "applied"

    on(Bench(tmp_path), scene)


def test_a_failure_that_lasts_is_logged_once_and_pushes_nothing_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    async def scene(bench: Bench) -> None:
        bench.reload.hear(lambda attempt: heard.append(attempt.outcome))
        bench.edit("first")
        await bench.reload.look()
        bench.amiss = OSError("a fault that lasts")
        await bench.failed()
        for seconds in (*AGAIN, *[AGAIN[-1]] * (KEPT // 10)):
            await bench.after(seconds)
        assert [each.outcome for each in bench.reload.attempts] == ["applied", "failed", "failed"]
        errors = {each.error for each in bench.reload.attempts if each.error}
        assert len(errors) == 1  # one reference for one fault

    on(Bench(tmp_path), scene)
    assert heard == ["applied", "failed"]
    assert len([each for each in caplog.records if each.exc_info]) == 1
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 2  # the fault, and the attempt


# ── in a whole runtime ───────────────────────────────────────────────────────────────────────────


def test_a_port_that_becomes_free_is_taken_without_anybody_asking(tmp_path: Path) -> None:
    root = project(tmp_path / "project", NOBODY)

    async def scene(app: App, operator: Program) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            (root / "channels.yaml").write_text(CHANNELS.replace("port: 0", f"port: {port}"))
            await until(lambda: app.reload.attempts, "the attempt")
            refused = await operator.http.post("/api/reload")
            body = refused.json()
            assert (refused.status_code, body["code"]) == (503, "reload_failed")
            assert "nothing changed" in body["detail"] and str(port) in body["attempt"]["error"]
        await until(lambda: app.reload.attempts[-1].outcome == "applied", "the attempt that succeeds")
        assert app.reload.attempts[-1].trigger == "retry"
        async with Program(f"http://127.0.0.1:{port}") as moved:
            assert (await moved.http.get("/readyz")).json()["status"] == "ready"

    lives(root, tmp_path / "state", scene)


def test_a_key_that_comes_while_the_demo_model_answers_needs_a_restart_and_all_else_is_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    models = "default: smart\nmodels:\n  smart: {id: claude-sonnet-5-5}\n"
    root = project(tmp_path / "project", NOBODY, files={"models.yaml": models})

    async def scene(app: App, operator: Program) -> None:
        (root / ".env").write_text("ANTHROPIC_API_KEY=sk-ant-a-key-for-nobody\n")
        (root / "agents/main.md").write_text("You are another.\n")
        answer = await operator.http.post("/api/reload")
        attempt = answer.json()
        assert (answer.status_code, attempt["outcome"], attempt["in_force"]) == (200, "needs_restart", True)
        assert "started again" in attempt["restart"][0] and "agent main changed" in attempt["words"]
        assert app.supervisor.current.snapshot.agents["main"].soul.strip() == "You are another."
        again = (await operator.http.post("/api/reload")).json()
        assert (again["outcome"], again["changes"]) == ("needs_restart", [])
        status = (await operator.http.get("/api/status")).json()
        assert "waits for a restart" in status["differs"]
        (root / ".env").unlink()
        assert (await operator.http.post("/api/reload")).json()["outcome"] == "applied"
        assert (await operator.http.get("/api/status")).json()["differs"] == ""

    async def whole() -> None:
        parts = Parts(adapters.kind, without=frozenset({"watch"}))  # which might look before it is asked to
        app = App(Options(root, tmp_path / "state", demo_if_no_key=True), parts=parts)
        async with app.opened():
            [address] = await app.addresses()
            running = asyncio.create_task(app.run())
            try:
                async with Program(address) as operator:
                    await asyncio.wait_for(scene(app, operator), 60)
            finally:
                app.stopping.set()
                await running

    asyncio.run(whole())


def lives(root: Path, state: Path, scene: Callable[[App, Program], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with lived(root, state, clock=Hasty()) as (app, operator):
            await asyncio.wait_for(scene(app, operator), 60)
        assert last_good(state, root.resolve()).exists()

    asyncio.run(whole())
