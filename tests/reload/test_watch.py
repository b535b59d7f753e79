"""What the watch hears of a project's folders: every way to save, once it is quiet, wherever the project lies, and no
noise; and that it goes on whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doubles.house import Hasty, Leaping, lived, project, until
from openclaw.app import App
from openclaw.cli._running import differs
from openclaw.clock import ManualClock, SystemClock
from openclaw.errors import StorageFailed
from openclaw.lastgood import last_good
from openclaw.project import Options
from openclaw.reading import contents_of, look, read
from openclaw.watch import AGAIN, CHECK, QUIET, Matters, Watch, events, matters

NOBODY = "http://127.0.0.1:9"  # a model that is never asked
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


class Looks:
    """How often somebody was told to look, and what stood in the file then."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.seen: list[str] = []

    async def look(self) -> None:
        self.seen.append(self.file.read_text() if self.file.exists() else "gone")

    async def until(self, there: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 30
        while not there():
            assert time.monotonic() < end, f"{what}: {self.seen[-5:]}"
            await asyncio.sleep(0.01)


class Unquiet(SystemClock):
    """A clock whose time passes by sleeps alone, and each of them lasts until something new was heard."""

    def __init__(self) -> None:
        self.time = 0.0
        self.stir: Callable[[], object] = lambda: None
        self.watch = Watch(list, self)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        if seconds == CHECK:  # there is always something to hear before
            await asyncio.Event().wait()
        self.time += seconds
        self.stir()
        await asyncio.wait_for(self.watch._stirred.wait(), 30)


def watched(root: Path, scene: Callable[[Looks], Awaitable[None]]) -> list[str]:
    """Runs the scene once the watch is armed and has looked for the first time."""

    def folders() -> Iterable[Path]:
        return [root, *(Path(path) for path, _, _ in os.walk(root / "agents"))]

    async def whole() -> list[str]:
        looks = Looks(root / "agents" / "main.md")
        watching = asyncio.create_task(Watch(folders, SystemClock()).run(looks.look))
        try:
            await looks.until(lambda: bool(looks.seen), "the first look")
            await asyncio.wait_for(scene(looks), 100)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return looks.seen

    return asyncio.run(whole())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Below names that a watcher may be tempted to leave out."""
    root = tmp_path / "node_modules" / ".git" / "project"
    (root / "agents").mkdir(parents=True)
    (root / "agents" / "main.md").write_text("0")
    return root


def test_a_burst_is_one_look_and_what_is_saved_during_a_look_is_seen_by_the_next(root: Path) -> None:
    """Time stands still but for one quiet after the other: however long a burst takes, nobody looks before."""
    clock, looks = ManualClock(NOW), Looks(root / "agents" / "main.md")

    async def look() -> None:
        await looks.look()
        if looks.seen[-1] == "last":
            looks.file.write_text("later")

    async def passed() -> None:
        """Until there is another look."""
        known = len(looks.seen)
        async with asyncio.timeout(60):
            while len(looks.seen) == known:
                await asyncio.sleep(0.01)
                await clock.advance(QUIET)

    async def scene() -> None:
        await passed()
        for number in range(50):
            (root / "agents" / f"a{number}.md").write_text("x")
            await asyncio.sleep(0.001)
        looks.file.write_text("last")
        assert looks.seen == ["0"]
        await passed()
        while looks.seen[-1] != "later":
            await passed()
        assert looks.seen[:2] == ["0", "last"] and set(looks.seen[2:]) <= {"later"}

    asyncio.run(over(Watch(lambda: [root, root / "agents"], clock), look, scene))


def test_a_folder_that_is_never_quiet_is_looked_at_all_the_same_and_not_all_the_time(root: Path) -> None:
    clock, times, enough = Unquiet(), [0.0], asyncio.Event()
    clock.stir = lambda: (root / "agents" / "busy.md").write_text(str(clock.time))
    clock.watch = Watch(lambda: [root, root / "agents"], clock)

    async def look() -> None:
        times.append(clock.time)
        clock.stir()
        if len(times) == 3:
            enough.set()

    async def scene() -> None:
        watching = asyncio.create_task(clock.watch.run(look))
        await enough.wait()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scene(), 100))
    assert [round(later - earlier) for earlier, later in itertools.pairwise(times)] == [2, 2]


def test_folders_that_are_replaced_removed_and_made_again_are_watched_again(root: Path) -> None:
    async def scene(looks: Looks) -> None:
        fresh = root / "fresh"
        fresh.mkdir()
        (fresh / "main.md").write_text("swapped")
        (root / "agents").rename(root / "old")
        fresh.rename(root / "agents")
        await looks.until(lambda: looks.seen[-1] == "swapped", "the swap")
        shutil.rmtree(root / "agents")
        await looks.until(lambda: looks.seen[-1] == "gone", "the removal")
        (root / "agents" / "deep").mkdir(parents=True)
        looks.file.write_text("again")
        await looks.until(lambda: looks.seen[-1] == "again", "the new folder")
        looks.file.write_text("edited")
        await looks.until(lambda: looks.seen[-1] == "edited", "an edit in the new folder")

    watched(root, scene)


def test_a_link_that_is_pointed_elsewhere_is_seen_each_time(root: Path) -> None:
    """As mounted configuration changes: `..data` is swapped, and the names beside it are links through it."""
    looks = root / "agents" / "main.md"
    looks.unlink()
    for version in ("v1", "v2", "v3"):
        (root / "agents" / f"..{version}").mkdir()
        (root / "agents" / f"..{version}" / "main.md").write_text(version)
    (root / "agents" / "..data").symlink_to("..v1")
    looks.symlink_to("..data/main.md")

    async def scene(looks: Looks) -> None:
        for version in ("v2", "v3"):
            (root / "agents" / "..tmp").symlink_to(f"..{version}")
            (root / "agents" / "..tmp").replace(root / "agents" / "..data")
            await looks.until(lambda wanted=version: looks.seen[-1] == wanted, version)  # type: ignore[misc]

    watched(root, scene)


def test_the_whole_project_may_go_and_come_back(root: Path) -> None:
    async def scene(looks: Looks) -> None:
        aside = root.with_name("aside")
        root.rename(aside)
        await looks.until(lambda: looks.seen[-1] == "gone", "the project is gone")
        aside.rename(root)
        await looks.until(lambda: looks.seen[-1] == "0", "the project is back")
        looks.file.write_text("edited")
        await looks.until(lambda: looks.seen[-1] == "edited", "an edit after it")

    watched(root, scene)


# ── what is noise ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name",
    [
        ".main.yaml.swp", "main.yaml~", "#main.yaml#", "main.yaml.bak", "main.tmp", "4913", ".git", ".hidden.md",
        "node_modules", "__pycache__", "run.log", "desk.db-journal", "photo.png",
    ],
)  # fmt: skip
def test_what_editors_and_programs_put_down_is_noise(root: Path, name: str) -> None:
    (root / name).write_text("x")
    assert not matters(str(root / name), ())
    assert matters(str(root / name), {name}) is not name.startswith(".#")


@pytest.mark.parametrize(
    "name", [".env", "..data", "tools.yaml", "tools.yml", "NEW.YAML", "soul.md", "sums.py", "x.so"]
)
def test_what_may_be_read_counts_though_it_is_there_no_more(root: Path, name: str) -> None:
    assert matters(str(root / name), ())


def test_folders_and_links_count_and_a_lock_that_is_a_link_does_not(root: Path) -> None:
    (root / "team").mkdir()
    (root / ".current").symlink_to("v1")
    (root / "current").symlink_to("v1")
    (root / ".#main.md").symlink_to("ada@desk.4711")
    assert [matters(str(root / name), ()) for name in ("team", ".current", "current", ".#main.md")] == [True] * 3 + [
        False
    ]


def test_of_noise_nothing_is_heard(root: Path) -> None:
    async def scene() -> None:
        heard = events([root], False, lambda path: matters(path, ()))
        waiting = asyncio.ensure_future(anext(aiter(heard)))
        await asyncio.sleep(0)
        for number in range(20):
            (root / ".main.md.swp").write_text(str(number))
            (root / "run.log").write_text(str(number))
            (root / ".main.md.swp").unlink()
        (root / "tools.yaml").write_text("x")
        changes = await asyncio.wait_for(waiting, 30)
        assert {path for _, path in changes} == {str(root / "tools.yaml")}  # type: ignore[attr-defined]
        await heard.aclose()  # type: ignore[attr-defined]

    asyncio.run(scene())


# ── whatever happens ─────────────────────────────────────────────────────────────────────────────


class Told:
    """Tells of events as the system does, after so many times of something being amiss."""

    def __init__(self, amiss: Exception, times: int) -> None:
        self.amiss = amiss
        self.times = times
        self.asked: list[bool] = []

    async def __call__(self, folders: Collection[Path], polling: bool, matters: Matters) -> AsyncIterator[object]:
        self.asked.append(polling)
        if not polling and len([each for each in self.asked if not each]) <= self.times:
            raise self.amiss
        async for each in events(folders, polling, matters):
            yield each


async def over(watch: Watch, look: Callable[[], Awaitable[None]], scene: Callable[[], Awaitable[None]]) -> None:
    watching = asyncio.create_task(watch.run(look))
    try:
        await asyncio.wait_for(scene(), 60)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "openclaw.watch"]


@pytest.mark.parametrize(
    "amiss",
    [
        OSError(28, "OS file watch limit reached"),
        pytest.param(TypeError("nobody thought of it"), marks=pytest.mark.slow),
    ],
)
def test_where_the_system_tells_nothing_it_is_said_once_and_folders_are_polled_until_it_does(
    root: Path, caplog: pytest.LogCaptureFixture, amiss: Exception
) -> None:
    looks, told, clock = Looks(root / "agents" / "main.md"), Told(amiss, 2), Leaping()

    async def scene() -> None:
        await looks.until(lambda: bool(looks.seen), "the first look")
        looks.file.write_text("edited")
        await looks.until(lambda: looks.seen[-1] == "edited", "an edit while it is polled")
        clock.ahead += AGAIN
        await looks.until(lambda: told.asked.count(False) == 2, "the system being asked again")
        clock.ahead += AGAIN
        await looks.until(lambda: told.asked.count(False) == 3, "its being asked once more")
        await looks.until(lambda: len(warnings(caplog)) == 2, "its being said")
        looks.file.write_text("told")
        await looks.until(lambda: looks.seen[-1] == "told", "an edit that the system tells of")

    with caplog.at_level(logging.WARNING):
        asyncio.run(over(Watch(lambda: [root, root / "agents"], clock, events=told), looks.look, scene))
    first, second = warnings(caplog)
    assert str(amiss) in first and f"{CHECK:g} s" in first and f"{AGAIN:g} s" in first and "inotify" in first
    assert second == "the system tells of changes in the project's folders again"
    assert told.asked[:2] == [False, True] and told.asked[-1] is False


def test_where_nothing_at_all_tells_there_are_looks_all_the_same(root: Path) -> None:
    looks = Looks(root / "agents" / "main.md")

    async def nothing(folders: Collection[Path], polling: bool, matters: Matters) -> AsyncIterator[object]:
        if folders:
            raise OSError(24, "Too many open files")
        yield folders

    async def scene() -> None:
        for text in ("one", "two"):
            looks.file.write_text(text)
            await looks.until(lambda text=text: looks.seen[-1:] == [text], text)  # type: ignore[misc]

    asyncio.run(over(Watch(lambda: [root], Hasty(), events=nothing), looks.look, scene))


def test_a_folder_that_goes_while_it_is_being_watched_is_no_failure(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    looks, told = Looks(root / "agents" / "main.md"), Told(FileNotFoundError("No path was found."), 2)

    async def scene() -> None:
        await looks.until(lambda: len(told.asked) == 3, "the third time")
        looks.file.write_text("edited")
        await looks.until(lambda: looks.seen[-1] == "edited", "an edit")

    asyncio.run(over(Watch(lambda: [root, root / "agents"], Hasty(), events=told), looks.look, scene))
    assert told.asked == [False] * 3 and warnings(caplog) == []


def test_a_file_whose_name_is_no_text_ends_no_watch_and_is_nothing_to_speak_of(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    looks, told = Looks(root / "agents" / "main.md"), Told(OSError(), 0)

    async def scene() -> None:
        await looks.until(lambda: bool(looks.seen), "the first look")
        Path(os.fsdecode(os.fsencode(root / "agents") + b"/caf\xe9.txt")).write_text("menu")
        await looks.until(lambda: len(told.asked) > 1, "its being watched again")
        looks.file.write_text("edited")
        await looks.until(lambda: looks.seen[-1] == "edited", "an edit after it")

    asyncio.run(over(Watch(lambda: [root, root / "agents"], Hasty(), events=told), looks.look, scene))
    assert True not in told.asked and warnings(caplog) == []


def test_a_folder_that_may_not_be_read_keeps_no_other_from_being_watched(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    looks, told = Looks(root / "agents" / "main.md"), Told(OSError(), 0)
    (root / "agents" / "closed").mkdir(mode=0)
    if os.access(root / "agents" / "closed", os.R_OK):
        pytest.skip("whoever runs this may read everything")

    async def scene() -> None:
        await looks.until(lambda: bool(looks.seen), "the first look")
        looks.file.write_text("edited")
        await looks.until(lambda: looks.seen[-1] == "edited", "an edit beside it")
        (root / "agents" / "closed").chmod(0o700)
        await looks.until(lambda: len(told.asked) == 2, "its being watched")

    folders = [root, root / "agents", root / "agents" / "closed"]
    asyncio.run(over(Watch(lambda: folders, Hasty(), events=told), looks.look, scene))
    assert told.asked == [False] * 2 and warnings(caplog) == []


@pytest.mark.parametrize("name", ["fast.so", "old.pyc"])
def test_a_look_finds_what_a_reading_found_also_beside_compiled_modules(tmp_path: Path, name: str) -> None:
    """Else nothing that was edited would be an edit, again and again."""
    root = project(tmp_path / "project", "http://127.0.0.1:9", files={"scripts/extra.py": "x = 1\n"})
    (root / name).write_text("__import__ __path__")
    found = read(root, SystemClock().now())
    assert contents_of(look(root, found.folder.more)) == found.contents and name in found.contents


@pytest.mark.parametrize("name", ["a\0b", "old\udcff"])
def test_a_folder_whose_name_none_can_have_or_is_no_text_keeps_no_other_from_being_watched(
    root: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A manifest may name the one; the other may lie in the project."""
    looks = Looks(root / "agents" / "main.md")
    with contextlib.suppress(ValueError):
        (root / "agents" / name).mkdir()

    async def scene() -> None:
        await looks.until(lambda: bool(looks.seen), "the first look")
        looks.file.write_text("edited")
        await looks.until(lambda: looks.seen[-1] == "edited", "an edit beside it")

    folders = [root, root / "agents", root / "agents" / name]
    asyncio.run(over(Watch(lambda: folders, Hasty(), events=events), looks.look, scene))
    assert warnings(caplog) == []


def test_a_project_whose_own_path_is_no_text_is_looked_at_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agents = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")) / "agents"
    agents.mkdir(parents=True)
    looks = Looks(agents / "main.md")
    looks.file.write_text("first")

    async def scene() -> None:
        await looks.until(lambda: bool(looks.seen), "the first look")
        looks.file.write_text("edited")
        await looks.until(lambda: looks.seen[-1] == "edited", "an edit")

    asyncio.run(over(Watch(lambda: [agents.parent, agents], Hasty(), events=events), looks.look, scene))
    assert warnings(caplog) == []


def test_a_look_that_fails_is_told_with_its_traceback_and_the_watch_goes_on(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    looks, broken = Looks(root / "agents" / "main.md"), {"broken"}

    async def look() -> None:
        await looks.look()
        if looks.seen[-1] in broken:
            raise KeyError("a thing nobody thought of")

    async def scene() -> None:
        await looks.until(lambda: bool(looks.seen), "the first look")
        looks.file.write_text("broken")
        await looks.until(lambda: looks.seen.count("broken") > 2, "another look without an edit")
        looks.file.write_text("mended")
        await looks.until(lambda: looks.seen[-1] == "mended", "the next edit")

    asyncio.run(over(Watch(lambda: [root, root / "agents"], Hasty()), look, scene))
    told = [each for each in caplog.records if each.name == "openclaw.watch"]
    assert len(told) >= 2 and all(each.exc_info and each.exc_info[0] is KeyError for each in told)


def test_what_goes_wrong_beside_a_look_does_not_end_the_watch_either(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    looks, amiss = Looks(root / "agents" / "main.md"), [True]

    def folders() -> list[Path]:
        if amiss:
            raise ValueError(amiss.pop())
        return [root, root / "agents"]

    async def scene() -> None:
        await looks.until(lambda: bool(looks.seen), "the first look")

    asyncio.run(over(Watch(folders, Hasty()), looks.look, scene))
    assert warnings(caplog) == ["watching the project failed; it begins again"]


def test_a_disk_that_refuses_to_write_ends_the_watch(root: Path) -> None:
    async def look() -> None:
        raise StorageFailed("nothing can be written")

    async def scene() -> None:
        await asyncio.wait_for(Watch(lambda: [root], Hasty()).run(look), 30)

    with pytest.raises(StorageFailed):
        asyncio.run(scene())


# ── in a runtime ─────────────────────────────────────────────────────────────────────────────────


def watches() -> int:
    """How many folders the system watches for this process."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if "inotify" in str(descriptor.readlink()):
                count += Path("/proc/self/fdinfo", descriptor.name).read_text().count("inotify wd:")
    return count


def test_what_is_installed_in_a_project_costs_no_watches(tmp_path: Path) -> None:
    root = project(tmp_path / "project", NOBODY)
    for number in range(300):
        (root / f".venv/lib/python3.11/site-packages/p{number}").mkdir(parents=True)
        (root / f"node_modules/p{number}/lib").mkdir(parents=True)
    before = watches()

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, _):
            wanted = [folder for folder in app.reload.folders() if folder.is_dir()]
            await until(lambda: watches() > before, "the watch")
            assert watches() - before == len(wanted) == 2  # the project's folder, and agents/

    asyncio.run(scene())


def test_what_is_saved_between_reading_the_project_and_watching_it_is_applied(tmp_path: Path) -> None:
    root = project(tmp_path / "project", NOBODY)

    async def scene() -> None:
        app = App(Options(root, tmp_path / "state"))
        async with app.opened():
            (root / "agents/main.md").write_text("You are saved early.\n")
            running = asyncio.create_task(app.run())
            await until(lambda: app.reload.attempts, "the attempt")
            app.stopping.set()
            await running
        [attempt] = app.reload.attempts
        assert (attempt.trigger, attempt.outcome) == ("edit", "applied")

    asyncio.run(scene())


def test_a_project_that_is_given_by_a_link_is_what_the_link_leads_to(tmp_path: Path) -> None:
    """Each release with its own code, and of one at a time. What is protected and kept is that of the one in force."""
    first, second = (project(tmp_path / "releases" / name, NOBODY) for name in ("1", "2"))
    (second / "agents/main.md").write_text("You are the second soul.\n")
    (second / "sums.py").write_text((second / "sums.py").read_text().replace("str(a + b)", "__file__"))
    link, state = tmp_path / "current", tmp_path / "state"
    link.symlink_to("releases/1")

    def swap(to: str) -> None:
        (tmp_path / "next").symlink_to(to)
        (tmp_path / "next").replace(link)

    async def scene() -> None:
        async with lived(link, state) as (app, operator):
            assert (await operator.http.get("/api/status")).json()["project"] == str(first)
            assert tmp_path in app.reload.folders() and app.house.protected == (first, link, state)
            swap("releases/2")
            await until(lambda: app.reload.attempts, "the attempt")
            [attempt] = app.reload.attempts
            assert (attempt.trigger, attempt.outcome) == ("edit", "applied")
            assert attempt.changes == ("agent main changed", "tool add changed")
            function = app.supervisor.current.snapshot.tools["add"].options["function"]
            assert function(1, 2) == str(second / "sums.py")
            assert (await operator.http.get("/api/status")).json()["project"] == str(second)
            assert app.house.protected == (second, link, state)
            assert (last_good(state, second) / "agents/main.md").read_text() == "You are the second soul.\n"
            (second / "agents/main.md").write_text("You are the third soul.\n")
            await until(lambda: len(app.reload.attempts) == 2, "an edit of where it leads")
            swap("releases/1")
            await operator.http.post("/api/reload")  # whoever asks has it at once
            assert app.supervisor.current.snapshot.agents["main"].soul == "You are the first soul."

    asyncio.run(scene())


def test_an_edit_of_what_a_link_leads_to_is_applied_wherever_it_is(tmp_path: Path) -> None:
    """A soul behind two links, and a tool's module: the folders of what they lead to lie outside the project."""
    root = project(tmp_path / "project", NOBODY)
    for folder in ("far", "farther", "code"):
        (tmp_path / folder).mkdir()
    (tmp_path / "farther/.soul.txt").write_text("You are one.\n")
    (tmp_path / "far/soul").symlink_to("../farther/.soul.txt")
    (root / "agents/main.md").unlink()
    (root / "agents/main.md").symlink_to("../../far/soul")
    shutil.move(root / "sums.py", tmp_path / "code/sums.py")
    (root / "sums.py").symlink_to(tmp_path / "code/sums.py")

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, _):

            async def after(edit: Callable[[], object]) -> tuple[str, tuple[str, ...]]:
                known = len(app.reload.attempts)
                edit()
                await until(lambda: len(app.reload.attempts) > known, "the attempt")
                return app.reload.attempts[-1].outcome, app.reload.attempts[-1].changes

            code, same = (tmp_path / "code/sums.py").read_text(), tmp_path / "farther/same.txt"
            assert await after(lambda: (tmp_path / "farther/.soul.txt").write_text("You are two.\n")) == (
                "applied",
                ("agent main changed",),
            )
            assert await after(lambda: (tmp_path / "code/sums.py").write_text(code.replace("a + b", "a - b"))) == (
                "applied",
                ("tool add changed",),
            )
            same.write_text("You are two.\n")  # the link leads elsewhere, and nothing else is different
            (tmp_path / "far/next").symlink_to("../farther/same.txt")
            (tmp_path / "far/next").replace(tmp_path / "far/soul")
            await until(lambda: "same.txt" in app.reload.names(), "the link being followed")
            assert await after(lambda: same.write_text("You are three.\n")) == ("applied", ("agent main changed",))

    asyncio.run(scene())


def test_a_project_whose_own_path_is_no_text_says_how_it_is_doing(tmp_path: Path) -> None:
    root = project(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")), NOBODY)

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (_, program):
            answer = await program.http.get("/api/status")
            assert (answer.status_code, answer.json()["project"]) == (200, f"{tmp_path}/caf\ufffd")
            assert "another version" in await asyncio.to_thread(differs, tmp_path / "state", root, "0")

    asyncio.run(scene())
