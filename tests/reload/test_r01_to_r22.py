"""R1 to R22: what people, their editors and their machines do to files while the real command runs.

Each scene holds a slow turn's stream open around what it does: the same process and the same connection at the end,
and the turn ended under the soul it began with. What is in force is read from what the model's double was told. A
table of all outcomes is printed at the end (`-s` shows it).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from doubles import warm
from doubles.house import AGENT, Program, until
from doubles.messages_server import MessagesServer, tool
from reload.r_house import (
    FIRST,
    LOOKS,
    SIDE,
    TOOLS,
    VIM,
    Cold,
    House,
    Scene,
    Table,
    double,
    free_port,
    git,
    replaced,
    touching,
    vim,
    write,
)

PRELOADED = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
STRICTER = TOOLS.replace("rules:\n", "rules:\n      - {id: no-sums, deny: add, input: {a: {maximum: 9}}}\n")
Play = Callable[[Scene], Awaitable[str]]
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    found = Table()
    yield found
    print(f"\n{found}")


@pytest.fixture(scope="module")
def shared_model() -> Iterator[MessagesServer]:
    with double() as server:
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, shared_model: MessagesServer) -> Iterator[House]:
    """One process for all scenes that leave it as they found it."""
    with House(tmp_path_factory.mktemp("shared"), shared_model) as house:
        yield house


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with double() as server:
        yield server
    assert server.violations == []


def soul(number: str) -> str:
    return f"You are the {number} soul."


def play(table: Table, house: House, r: str, what: str, expected: str, scene: Play, *, held: bool = True) -> None:
    """One scene; what it gives is what was seen."""

    async def whole() -> None:
        async with Program(await house.process.address()) as operator:
            house.tidy()
            answer = await operator.http.post("/api/reload")
            assert answer.status_code == 200, answer.text
            on = Scene(house, operator, answer.json()["number"])
            if held:
                async with on.held():
                    seen = await scene(on)
            else:
                seen = await scene(on)
            table.show(r, what, expected, seen, await on.attempts(), on.ms)

    asyncio.run(asyncio.wait_for(whole(), 120))
    assert house.model.violations == []


# ── ways to save ─────────────────────────────────────────────────────────────────────────────────


@slow
@pytest.mark.skipif(VIM is None, reason="vim is not installed; on Debian: apt install vim")
def test_r1_vim_saves_in_each_of_its_ways(table: Table, shared: House) -> None:
    async def scene(on: Scene) -> str:
        file, before = on.root / "agents/main.md", "first"
        for number, copy in (("second", "no"), ("third", "yes"), ("fourth", "auto")):
            script = f"%s/{before}/{number}/"
            await on.after(vim(file, script, "backup", "writebackup", f"backupcopy={copy}"))
            assert await on.told() == soul(number)
            before = number
        assert await on.outcomes() == ["applied"] * 3
        return "live, one attempt a save"

    play(table, shared, "R1", "vim: backupcopy no, yes, auto", "live each time", scene)


def test_r2_an_atomic_replace_is_live_and_saving_the_same_again_is_nothing(table: Table, shared: House) -> None:
    async def scene(on: Scene) -> str:
        file = on.root / "agents/main.md"
        assert await on.told() == FIRST
        await on.after(replaced(file, f"{soul('second')}\n"))
        assert await on.told() == soul("second")
        os.utime(file)
        replaced(file, f"{soul('second')}\n")()
        await on.after(replaced(file, f"{soul('third')}\n"))
        assert (await on.told(), await on.outcomes()) == (soul("third"), ["applied"] * 2)
        return "live; the same again is nothing"

    play(table, shared, "R2", "atomic replace; the same again", "live, then nothing", scene)


@slow
def test_r3_a_file_that_is_cut_and_finished_after_a_pause_is_never_in_force_half_done(
    table: Table, shared: House
) -> None:
    async def scene(on: Scene) -> str:
        file, tools = on.root / "agents/main.md", on.root / "tools.yaml"
        more = TOOLS.replace("add, read_file]", "add, read_file, memory_list]")
        for path, text in ((file, f"{soul('second')}\n"), (tools, more)):
            with path.open("w") as opened:
                await asyncio.sleep(0.3)
                opened.write(text[:9])
                opened.flush()
                await asyncio.sleep(0.3)
                await on.after(lambda opened=opened, text=text: (opened.write(text[9:]), opened.flush()))  # type: ignore[misc]
            assert await on.told() == soul("second")
        changes = [change for attempt in await on.attempts() for change in attempt["changes"]]
        assert changes == ["agent main changed", "policy works changed"] or len(await on.attempts()) > 2
        applied = [attempt["changes"] for attempt in await on.attempts() if attempt["outcome"] == "applied"]
        assert len(applied) == 2, applied
        return "only whole files were applied"

    play(table, shared, "R3", "truncate, 300 ms, a bit, 300 ms, the rest", "refused or waited for, then live", scene)


@slow
def test_r4_a_file_that_is_emptied_and_filled_again_a_second_later_changes_nothing_between(
    table: Table, shared: House
) -> None:
    async def scene(on: Scene) -> str:
        for name, text in (
            ("agents/main.yaml", AGENT),
            ("agents/main.md", f"{soul('second')}\n"),
            ("tools.yaml", TOOLS),
        ):
            file, before = on.root / name, await on.told()
            whole = file.read_text()
            os.truncate(file, 0)
            await asyncio.sleep(1)
            assert await on.told() == before
            assert (await on.called("read_file", path="a.key"))[0]
            if text != whole:
                await on.after(write(file, text))
            else:
                file.write_text(whole)
                assert (await on.post()).json()["outcome"] in ("unchanged", "applied")
        assert (await on.told(), (await on.post()).json()["outcome"]) == (soul("second"), "unchanged")
        assert sum(attempt["outcome"] == "applied" for attempt in await on.attempts()) <= 3
        return "what was in force stayed until it was filled"

    play(table, shared, "R4", "emptied, filled after 1 s", "the old one between", scene)


def test_r5_half_a_manifest_takes_no_prohibition_away(table: Table, shared: House) -> None:
    """The first half of what was in force, and the first half of something new."""

    async def scene(on: Scene) -> str:
        file = on.root / "tools.yaml"
        refused, why = await on.called("read_file", path="a.key")
        assert refused and "never-key" in why
        newer = TOOLS.replace("works:\n", "works:\n    sandbox: auto\n")
        attempt = await on.after(write(file, TOOLS.partition("      - {id: never-key")[0]), "refused")
        assert "cut-off" in [problem["code"] for problem in attempt["diagnostics"]]
        refused, why = await on.called("read_file", path="a.key")
        assert refused and "never-key" in why
        pauses = 0.0
        for _ in range(5):
            write(file, newer.partition("      - {id: never-key")[0])()
            begun = time.monotonic()
            await asyncio.sleep(0.4)
            refused, why = await on.called("read_file", path="a.key")
            file.write_text(newer)
            pauses = time.monotonic() - begun
            if pauses < 1:  # or the machine was too slow for a writer's pause
                assert refused and "never-key" in why
                break
            await on.post()
            file.write_text(TOOLS)
            await on.post()
        assert (await on.post()).json()["outcome"] in ("applied", "unchanged")
        assert (await on.called("read_file", path="a.key"))[0]
        return "denied all the time"

    play(table, shared, "R5", "half of tools.yaml: deny cut off", "refused; the deny holds", scene)


# ── folders ──────────────────────────────────────────────────────────────────────────────────────


@slow
def test_r6_a_swapped_link_as_kubernetes_does_it_is_live_twice(
    tmp_path: Path, table: Table, model: MessagesServer
) -> None:
    house = House(tmp_path, model)
    agents = house.root / "agents"

    def version(number: int, word: str) -> None:
        """What a ConfigMap's volume does: a new folder, a link to it beside the old one's, and over it."""
        folder = agents / f"..v{number}"
        folder.mkdir()
        for name in ("main.yaml", "side.yaml", "side.md"):
            shutil.copy(agents / name, folder / name)
        (folder / "main.md").write_text(f"{soul(word)}\n")
        (agents / "..data_tmp").symlink_to(folder.name)
        (agents / "..data_tmp").replace(agents / "..data")
        shutil.rmtree(agents / f"..v{number - 1}", ignore_errors=True)

    version(1, "first")
    for name in ("main.yaml", "main.md", "side.yaml", "side.md"):
        (agents / name).unlink()
        (agents / name).symlink_to(f"..data/{name}")
    house.given = {}

    async def scene(on: Scene) -> str:
        assert await on.told() == FIRST
        await on.after(lambda: version(2, "second"))
        assert await on.told() == soul("second")
        await on.after(lambda: version(3, "third"))
        assert await on.told() == soul("third")
        assert (await on.outcomes()).count("applied") == 2
        return "live twice"

    house.tidy = lambda: None  # type: ignore[method-assign]
    with house:
        play(table, house, "R6", "..data link swapped, twice", "live twice", scene)


@slow
def test_r7_the_folder_of_agents_may_go_and_come_back(table: Table, shared: House) -> None:
    async def scene(on: Scene) -> str:
        agents, aside = on.root / "agents", on.root.parent / "aside"
        shutil.copytree(agents, aside)
        attempt = await on.after(lambda: shutil.rmtree(agents), "refused")
        assert any(problem["severity"] == "error" for problem in attempt["diagnostics"])
        assert await on.told() == FIRST
        (aside / "main.md").write_text(f"{soul('second')}\n")
        await on.after(lambda: aside.rename(agents))
        assert await on.told() == soul("second")
        await on.after(write(agents / "main.md", f"{soul('third')}\n"))
        assert await on.told() == soul("third")
        return "refused, then live, and live again"

    play(table, shared, "R7", "agents/ removed, recreated, edited", "the old one, then live", scene)


@slow
def test_r8_a_new_nested_folder_with_a_manifest_comes_in_one_go(table: Table, shared: House) -> None:
    async def scene(on: Scene) -> str:
        aside, team = on.root.parent / "team", on.root / "agents/team"
        (aside / "deep").mkdir(parents=True)
        (aside / "deep/newcomer.yaml").write_text(SIDE.replace("Side", "New").replace("/side", "/new_one"))
        (aside / "deep/newcomer.md").write_text("You are nested.\n")
        await on.after(lambda: aside.rename(team))
        assert await on.told(prefix="/new_one") == "You are nested."
        await on.after(write(team / "deep/newcomer.md", "You are nested deeper.\n"))
        assert await on.told(prefix="/new_one") == "You are nested deeper."
        assert await on.outcomes() == ["applied"] * 2
        return "live, and its later edits"

    play(table, shared, "R8", "agents/team/deep in one move", "live, and watched", scene)


@slow
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_r9_a_checkout_of_fifty_files_is_one_reload(tmp_path: Path, table: Table, model: MessagesServer) -> None:
    house = House(tmp_path, model)
    git(house.root, "init", "-q")
    for branch, word in (("first", "first"), ("second", "second")):
        git(house.root, "checkout", "-q", "-B", branch)
        for n in range(50):
            manifest = SIDE.replace("Side", f"Number {n}").replace("/side", f"/a{n}")
            (house.root / f"agents/a{n}.yaml").write_text(manifest)
            (house.root / f"agents/a{n}.md").write_text(f"{soul(word)}\n")
        git(house.root, "add", "-A")
        git(house.root, "commit", "-q", "-m", branch)
    git(house.root, "checkout", "-q", "first")
    house.given = {}

    async def scene(on: Scene) -> str:
        for branch in ("second", "first", "second"):
            await on.after(lambda branch=branch: git(on.root, "checkout", "-q", branch))  # type: ignore[misc]
            await on.settled()
            assert {await on.told(prefix=f"/a{n}") for n in (0, 25, 49)} == {soul(branch)}
        found = await on.outcomes()
        assert 3 <= len(found) <= 6 and set(found) == {"applied"}  # git may be held up in between
        return f"{len(found)} reloads for 3 checkouts"

    house.tidy = lambda: None  # type: ignore[method-assign]
    with house:
        play(table, house, "R9", "git checkout, 50 files, 3 times", "one reload each", scene)


@slow
def test_r10_a_file_touched_every_20_ms_neither_starves_an_edit_nor_makes_a_storm(table: Table, shared: House) -> None:
    async def scene(on: Scene) -> str:
        noise = (on.root / "noise.log", on.root / "agents/.noise", on.root / "agents/side.md")
        with touching(*noise) as process:
            await until(noise[0].exists, "the noise")
            await asyncio.sleep(1)
            await on.after(write(on.root / "agents/main.md", f"{soul('second')}\n"))
            assert await on.told() == soul("second")
            await asyncio.sleep(1)
            await on.after(write(on.root / "agents/main.md", f"{soul('third')}\n"))
            assert process.poll() is None
        assert await on.told() == soul("third")
        assert await on.outcomes() == ["applied"] * 2
        return "two edits, two attempts, while it went on"

    play(table, shared, "R10", "noise each 20 ms, edits between", "no storm, no starvation", scene)


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────


def broken(on: Scene) -> None:
    """Two files with mistakes, and one without."""
    (on.root / "agents/main.md").write_text(f"{soul('second')}\n")
    (on.root / "agents/side.yaml").write_text(SIDE.replace("policy:", "polciy:"))
    (on.root / "tools.yaml").write_text(TOOLS.replace("default: deny", "default: dney"))


@slow
def test_r11_one_broken_file_among_others_and_nothing_is_applied_and_all_is_told(table: Table, shared: House) -> None:
    async def scene(on: Scene) -> str:
        attempt = await on.after(lambda: broken(on), "refused")
        answer = await on.post()
        assert answer.status_code == 422
        attempt = answer.json()["attempt"]
        places = {f"{d['file']}:{d['line']}" for d in attempt["diagnostics"] if d["severity"] == "error"}
        assert {"agents/side.yaml:5", "tools.yaml:5"} <= places
        assert (await on.told(), (await on.called("read_file", path="a.key"))[0]) == (FIRST, True)
        return "nothing applied, both mistakes told"

    play(table, shared, "R11", "tools.yaml and an agent broken, a soul new", "nothing, all told", scene)


@slow
def test_r12_mending_only_what_was_broken_applies_the_whole(table: Table, shared: House) -> None:
    async def scene(on: Scene) -> str:
        await on.after(lambda: broken(on), "refused")
        on.ms.clear()
        known = max(attempt["number"] for attempt in await on.attempts())
        (on.root / "agents/side.yaml").write_text(SIDE)
        await on.after(write(on.root / "tools.yaml", TOOLS))
        assert await on.told() == soul("second")
        assert [a["outcome"] for a in await on.attempts() if a["number"] > known][-1] == "applied"
        return "live, with the soul of before"

    play(table, shared, "R12", "the two mended", "live at once", scene)


# ── what is under way ────────────────────────────────────────────────────────────────────────────


@slow
def test_r13_a_slow_turn_ends_under_what_it_began_with(table: Table, shared: House) -> None:
    async def scene(on: Scene) -> str:
        async with on.slow(tool("add", a=1, b=2)) as turn:
            await on.after(write(on.root / "agents/main.md", f"{soul('second')}\n"))
            await on.after(write(on.root / "sums.py", (on.root / "sums.py").read_text().replace("a + b", "a - b")))
            assert await on.told() == soul("second")
        souls = [str(body["system"][0]["text"]).splitlines()[0] for body in turn.requests]
        assert (souls, turn.rest["tool_result"]["text"]) == ([FIRST, FIRST], "3")
        assert await on.told(f"holder-{turn.word}") == soul("second")
        return "old soul and code to its end, then the new"

    play(table, shared, "R13", "soul and code edited during a slow turn", "the turn keeps its own", scene)


def test_r14_a_deny_that_comes_during_a_turn_holds_for_its_next_call(table: Table, shared: House) -> None:
    async def scene(on: Scene) -> str:
        async with on.slow(tool("add", a=1, b=2)) as turn:
            await on.after(write(on.root / "tools.yaml", STRICTER))
        assert turn.rest["tool_result"]["is_error"] and "refused" in turn.rest["tool_result"]["text"]
        assert (await on.called("add", a=1, b=2))[0]
        return "refused in the old turn and the new"

    play(table, shared, "R14", "deny added during a turn", "the next call is refused", scene)


# ── ports, heartbeats, starts ────────────────────────────────────────────────────────────────────


@slow
def test_r15_another_port_the_same_port_elsewhere_and_a_port_that_is_taken(
    tmp_path: Path, table: Table, model: MessagesServer
) -> None:
    first, second = free_port(), free_port()

    def channels(port: int, host: str = "127.0.0.1") -> str:
        return LOOKS.replace("port: 0", f"host: {host}, port: {port}")

    house = House(tmp_path, model, files={"channels.yaml": channels(first)})

    async def scene(on: Scene) -> str:
        file = on.root / "channels.yaml"
        async with on.slow() as stream, Program(f"http://127.0.0.1:{second}") as moved:
            file.write_text(channels(second))
            await until_serves(moved)
            assert (await moved.say("hello")).json()["reply"] == "hello"
            await stream.end()  # which the old port still carries
            here = Scene(on.house, moved, on.begun)
            with Taken() as taken:
                attempt = await here.after(write(file, channels(taken)), "failed")
                assert str(taken) in attempt["error"]
                assert (await moved.say("still there?")).json()["reply"] == "still there?"
            file.write_text(channels(second, "127.0.0.2"))
        async with Program(f"http://127.0.0.2:{second}") as elsewhere:
            await until_serves(elsewhere)
            last = Scene(on.house, elsewhere, on.begun)
            assert await last.told() == FIRST
            assert (await elsewhere.http.get("/api/status")).json()["pid"] == on.house.pid
            file.write_text(channels(first))
            async with Program(f"http://127.0.0.1:{first}") as back:
                await until_serves(back)
        return "moved, kept, moved, back; the old stream ended in peace"

    with house:
        play(
            table,
            house,
            "R15",
            "port: another, taken, same on another host",
            "new before old, or kept",
            scene,
            held=False,
        )


async def until_serves(program: Program) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            if (await program.http.get("/healthz")).is_success:
                return
        except httpx2.TransportError:
            pass
        assert time.monotonic() < end, f"{program.http.base_url} serves nobody"
        await asyncio.sleep(0.02)


class Taken:
    """A port that somebody else listens on."""

    def __enter__(self) -> int:
        import socket

        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._socket.close()


BEAT = 'heartbeats:\n  beat: {{cron: "* * * * *", prompt: "beat of {n}", agent: main, timezone: UTC}}\n'


@slow
def test_r16_a_heartbeat_due_in_the_second_of_a_reload_fires_once(
    tmp_path: Path, table: Table, model: MessagesServer
) -> None:
    """Its prompt is edited again and again over the turn of the minute. Where `faketime` is installed the process's
    clock begins a few seconds before one."""
    house = House(tmp_path, model, files={"heartbeats.yaml": BEAT.format(n=0)})
    if PRELOADED:
        ahead = (48 - time.time()) % 60
        house = House(
            tmp_path, model, files={"heartbeats.yaml": BEAT.format(n=0)}, start=Cold,
            LD_PRELOAD=str(PRELOADED), FAKETIME=f"+{ahead:.0f}s", FAKETIME_DONT_FAKE_MONOTONIC="1",
        )  # fmt: skip

    async def scene(on: Scene) -> str:
        file, n, fired = on.root / "heartbeats.yaml", 0, list[dict[str, Any]]()
        end = time.monotonic() + 90
        while not fired:
            assert time.monotonic() < end, "no minute came"
            n += 1
            file.write_text(BEAT.format(n=n))
            assert (await on.post()).json()["outcome"] in ("applied", "unchanged")
            fired = on.asked("beat of ")
        for _ in range(10):
            n += 1
            await on.after(write(file, BEAT.format(n=n)))
        runs = (await on.operator.http.get("/api/heartbeats/history?heartbeat=beat")).json()["runs"]
        instants = [run["scheduled"] for run in runs]
        assert len(instants) == len(set(instants)) == len(on.asked("beat of ")), runs
        return f"{len(instants)} fire, {n} reloads"

    with house:
        play(table, house, "R16", "a heartbeat's edits over its minute", "fires once", scene)


@slow
@pytest.mark.xfail(strict=True, reason="the prohibitions of a broken edit are not laid over the last good yet")
def test_r17_a_restart_on_a_broken_file_runs_what_was_applied_last(
    tmp_path: Path, table: Table, model: MessagesServer
) -> None:
    worse = STRICTER + "nonsense: true\n"
    with House(tmp_path, model) as house:
        asyncio.run(house.process.address())
        house.process.process.terminate()
        assert house.process.process.wait(15) == 0
        (house.root / "tools.yaml").write_text(worse)
        strict = warm.run([*house.command, "run", "--strict"], cwd=tmp_path, env=house.plain, timeout=60)
        assert strict.returncode == 3 and b"tools.yaml" in strict.stderr
        house.again()
        house.tidy = lambda: None  # type: ignore[method-assign]

        async def scene() -> None:
            async with Program(await house.process.address()) as operator:
                on = Scene(house, operator, 0)
                ready = (await operator.http.get("/readyz")).json()
                assert ready["last_good"] is True and "tools.yaml" in str(ready) + house.process.log
                assert "BROKEN" in house.process.log
                assert (await operator.http.get("/api/status")).json()["last_good"]
                assert await on.told() == FIRST
                assert (await on.called("read_file", path="a.key"))[0]
                refused, why = await on.called("add", a=1, b=2)
                assert refused and "no-sums" in why  # what the broken edit forbids holds already
                seen = "last good, loudly; its denies hold, and those of the edit"
                table.show("R17", "restart on a broken tools.yaml", "last good, loudly; --strict: exit 3", seen,
                      await on.attempts(), on.ms)  # fmt: skip

        asyncio.run(asyncio.wait_for(scene(), 60))


@slow
def test_r18_many_reloads_leave_nothing_behind(tmp_path: Path, table: Table, model: MessagesServer) -> None:
    """Short; `reload_storm` has a thousand."""

    async def scene(on: Scene) -> str:
        file = on.root / "agents/main.yaml"

        async def rounds(number: int) -> dict[str, int]:
            for n in range(number):
                (on.root / "agents/main.md").write_text(f"{soul(str(n))}\n")
                file.write_text(AGENT if n % 2 else AGENT + "nonsense: true\n")
                answer = await on.post()
                assert answer.status_code == (200 if n % 2 else 422)
            return on.house.figures()

        before, after = await rounds(60), await rounds(140)
        for name in ("fds", "threads", "sockets"):
            assert after[name] <= before[name] + 1, (before, after)
        assert after["kB"] - before["kB"] < 8192, (before, after)
        return f"{before} -> {after}"

    with House(tmp_path, model) as house:
        play(table, house, "R18", "200 reloads, half invalid", "flat", scene)


@slow
def test_r19_a_project_below_node_modules_is_watched_and_what_is_below_it_is_not(
    tmp_path: Path, table: Table, model: MessagesServer
) -> None:
    house = House(tmp_path, model, root="node_modules/.venv/project")
    for n in range(300):
        (house.root / f".venv/lib/package{n}").mkdir(parents=True)
        (house.root / f"node_modules/package{n}").mkdir(parents=True)
    house.tidy = lambda: None  # type: ignore[method-assign]

    async def scene(on: Scene) -> str:
        await on.after(write(on.root / "agents/main.md", f"{soul('second')}\n"))
        assert await on.told() == soul("second")
        watches = on.house.watches()
        assert 2 <= watches <= 8
        return f"live; {watches} watches"

    with house:
        play(table, house, "R19", "root in node_modules/.venv, 600 folders in it", "live, few watches", scene)


@slow
def test_r20_where_files_are_polled_the_last_of_two_quick_saves_wins(
    tmp_path: Path, table: Table, model: MessagesServer
) -> None:
    async def scene(on: Scene) -> str:
        file = on.root / "agents/main.md"
        for n in range(3):
            file.write_text(f"{soul(f'early {n}')}\n")
            await asyncio.sleep(0.45)
            file.write_text(f"{soul(f'later {n}')}\n")
            saved = time.monotonic()
            while await on.told() != soul(f"later {n}"):
                assert time.monotonic() < saved + 30
            on.ms.append((time.monotonic() - saved) * 1000)
        return "the last one"

    with House(tmp_path, model, WATCHFILES_FORCE_POLLING="1") as house:
        play(table, house, "R20", "polling, two saves 450 ms apart, 3 times", "the last one wins", scene)


WAITS = '''\

def _wait() -> None:
    """Reading is over, watching has not begun: until somebody says so."""
    import pathlib
    import time

    here = pathlib.Path(__file__).parent
    (here / ".loading").touch()
    while not (here / ".go-on").exists():
        time.sleep(0.01)


_wait()
'''


@slow
def test_r21_an_edit_between_reading_and_watching_is_not_missed(
    tmp_path: Path, table: Table, model: MessagesServer
) -> None:
    house = House(tmp_path, model)
    module = house.root / "sums.py"
    module.write_text(module.read_text() + WAITS)

    async def scene() -> None:
        await until((house.root / ".loading").exists, "the load")
        (house.root / "agents/main.yaml").write_text(AGENT.replace("soul: main.md", "soul: other.md"))
        (house.root / "agents/other.md").write_text(f"{soul('second')}\n")
        (house.root / ".go-on").touch()
        async with Program(await house.process.address()) as operator:
            on = Scene(house, operator, 0)
            await on.until(lambda found: [a for a in found if a["outcome"] == "applied"], "the edit")
            assert await on.told() == soul("second")
            table.show("R21", "edited while the start imports a module", "live", "live without another save",
                  await on.attempts(), on.ms)  # fmt: skip

    with house:
        asyncio.run(asyncio.wait_for(scene(), 60))


@slow
def test_r22_after_a_bad_first_start_it_comes_up_when_it_is_mended(
    tmp_path: Path, table: Table, model: MessagesServer
) -> None:
    """With a last good one it serves that at once and takes up the mended files itself. Where nothing was ever
    applied it says what is wrong and ends with 3: whoever starts it again finds it well."""
    house = House(tmp_path, model)
    whole = (house.root / "agents/main.yaml").read_text()
    (house.root / "agents/main.yaml").write_text("name: [\n")
    with house:
        assert house.process.process.wait(30) == 3
        assert "agents/main.yaml" in house.process.log
        (house.root / "agents/main.yaml").write_text(whole)
        house.again()
        asyncio.run(house.process.address())
        (house.root / "agents/main.yaml").write_text("name: [\n")
        house.again()
        house.tidy = lambda: None  # type: ignore[method-assign]

        async def scene() -> None:
            async with Program(await house.process.address()) as operator:
                on, pid = Scene(house, operator, 0), house.pid
                assert (await operator.http.get("/readyz")).json()["last_good"] is True
                async with on.slow():
                    (house.root / "agents/main.md").write_text(f"{soul('second')}\n")
                    await on.after(write(house.root / "agents/main.yaml", whole))
                    assert await on.told() == soul("second")
                assert (await operator.http.get("/readyz")).json()["last_good"] is False
                assert (await operator.http.get("/api/status")).json()["pid"] == pid == house.pid
                table.show("R22", "bad first start, mended", "comes up", "exit 3; with last good: same process, live",
                      await on.attempts(), on.ms)  # fmt: skip

        asyncio.run(asyncio.wait_for(scene(), 60))
