"""What is told of an attempt costs little however much there is, holds no secret, and is true; and judging ends."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doubles.house import AGENT, TOOLS, lived, project
from openclaw.attempts import REMEMBERED, Attempt
from openclaw.clock import ManualClock
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.plan.lost import judged
from openclaw.reading import read
from openclaw.reload import Reload

NOBODY = "http://127.0.0.1:9"  # a model that is never asked
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_of_thousands_of_errors_a_hundred_are_remembered_and_all_are_counted() -> None:
    found = [
        Diagnostic("rule", "error" if n % 2 else "warning", "tools.yaml", n + 1, 1, n + 1, 2, f"no. {n}")
        for n in range(5000)
    ]
    attempt = Attempt(1, "edit", NOON, 0.1, "refused", diagnostics=tuple(found))
    kept = attempt.remembered()
    assert len(kept.diagnostics) == REMEMBERED and {each.severity for each in kept.diagnostics} == {"error"}
    assert kept.words == attempt.words and "2,500 errors, the first at tools.yaml:2:1" in kept.words
    assert kept.differs == attempt.differs
    assert len(attempt.as_json()["diagnostics"]) == 5000
    assert (len(kept.as_json()["diagnostics"]), kept.as_json()["left_out"]) == (REMEMBERED, 2400)
    few = replace(attempt, diagnostics=attempt.diagnostics[:3])
    assert few.remembered() is few


def test_status_tells_the_last_attempt_without_its_diagnostics(tmp_path: Path) -> None:
    root = project(tmp_path / "project", NOBODY)

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, operator):
            (root / "tools.yaml").write_text(TOOLS + "".join(f"unknown_{n}: 1\n" for n in range(300)))
            answer = await operator.http.post("/api/reload")
            assert len(answer.json()["attempt"]["diagnostics"]) >= 300
            status = (await operator.http.get("/api/status")).json()
            assert (
                "diagnostics" not in status["last_reload"] and "errors, the first at" in status["last_reload"]["words"]
            )
            [*_, last] = (await operator.http.get("/api/reload")).json()["attempts"]
            assert len(last["diagnostics"]) == REMEMBERED and last["left_out"] >= 200
            assert len(app.reload.attempts[-1].diagnostics) == REMEMBERED

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_a_secret_of_the_environment_that_came_into_a_wrong_place_is_told_to_nobody(tmp_path: Path) -> None:
    secret = "brand-new-secret-0000111122223333"
    root = project(tmp_path / "project", NOBODY, files={".env": "OTHER=1\n"})

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (_, operator):
            (root / ".env").write_text(f"NEW_TOKEN={secret}\n")
            (root / "agents/main.yaml").write_text(AGENT.replace("policy: works", f"policy: {secret}"))
            answer = await operator.http.post("/api/reload")
            assert answer.status_code == 422 and "no policy" in answer.text
            listed, status = await operator.http.get("/api/reload"), await operator.http.get("/api/status")
            assert secret not in answer.text + listed.text + status.text

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_judging_ends_soon_after_nobody_waits_for_it_any_more(tmp_path: Path) -> None:
    root = project(tmp_path, NOBODY)
    old = read(root, NOON).compiled.snapshot
    (root / "tools.yaml").write_text(TOOLS.replace("default: deny", "default: ask"))
    new = read(root, NOON).compiled.snapshot
    assert old is not None and new is not None
    asked: list[int] = []

    def over() -> bool:
        asked.append(1)
        return len(asked) == 2

    with pytest.raises(TimeoutError):
        judged(old, new, NOON, over=over)
    assert len(asked) == 2 and judged(old, new, NOON).widened


class Small:
    """A project on disk, and a reload whose snapshots come into force when they may."""

    def __init__(self, tmp_path: Path, *, last_good: bool = False) -> None:
        self.root, self.clock = project(tmp_path / "project", NOBODY), ManualClock(NOON)
        reading = read(self.root, NOON)
        assert reading.compiled.snapshot is not None
        self.snapshot, self.may, self.begun = reading.compiled.snapshot, asyncio.Event(), asyncio.Event()
        self.amiss: Exception | None = None  # that is raised after the swap
        self.reload = Reload(self.root, tmp_path / "state", self.clock, lambda: self.snapshot, self._apply)
        self.reload.begin(reading, last_good=last_good)

    async def _apply(self, snapshot: Snapshot, _: Folder) -> None:
        self.begun.set()
        await self.may.wait()
        self.snapshot = snapshot
        if self.amiss is not None:
            raise self.amiss

    def edit(self) -> None:
        (self.root / "agents/main.md").write_text("You are another.\n")


def test_a_request_beside_a_save_is_one_attempt(tmp_path: Path) -> None:
    async def scene() -> None:
        small = Small(tmp_path)
        small.edit()
        looking = asyncio.create_task(small.reload.attempt("request"))
        await small.begun.wait()
        (small.root / "agents/main.md").write_text("You are yet another.\n")
        seen = asyncio.create_task(small.reload.look())
        for _ in range(3):
            await asyncio.to_thread(lambda: None)
        asking = asyncio.create_task(small.reload.attempt("SIGHUP"))
        small.may.set()
        await asyncio.gather(looking, asking, seen)
        assert [each.outcome for each in small.reload.attempts] == ["applied", "applied"]
        await small.reload.close()

    asyncio.run(asyncio.wait_for(scene(), 60))


@pytest.mark.parametrize(("trigger", "level"), [("SIGHUP", "WARNING"), ("request", "WARNING"), ("edit", "INFO")])
def test_whoever_asked_finds_a_line_in_the_log_also_where_nothing_changed(
    trigger: str, level: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def scene() -> None:
        small = Small(tmp_path)
        assert (await small.reload.attempt(trigger)).outcome == "unchanged"
        await small.reload.close()

    asyncio.run(asyncio.wait_for(scene(), 60))
    [line] = [record for record in caplog.records if record.getMessage().startswith("reload 1 unchanged")]
    assert line.levelname == level


def test_what_failed_behind_the_swap_is_told_as_in_force_and_asks_for_a_restart_at_once(tmp_path: Path) -> None:
    async def scene() -> None:
        small = Small(tmp_path)
        small.amiss = KeyError("a thing nobody thought of")
        small.may.set()
        small.edit()
        attempt = await small.reload.attempt("edit")
        assert (attempt.outcome, attempt.in_force) == ("failed", True)
        assert attempt.restart and attempt.restart[0] in attempt.words
        assert small.reload.differs.startswith("the files on disk are in force, but not all that follows: reload 1")
        await small.reload.close()

    asyncio.run(asyncio.wait_for(scene(), 60))


def test_what_a_start_on_a_broken_project_finds_is_no_edit(tmp_path: Path) -> None:
    async def scene() -> None:
        small = Small(tmp_path, last_good=True)
        (small.root / "agents/main.yaml").write_text("unknown: 1\n")
        await small.reload.look()
        (small.root / "agents/main.yaml").write_text("unknown: 2\n")
        await small.reload.look()
        assert [(each.trigger, each.outcome) for each in small.reload.attempts] == [
            ("start", "refused"),
            ("edit", "refused"),
        ]
        await small.reload.close()

    asyncio.run(asyncio.wait_for(scene(), 60))
