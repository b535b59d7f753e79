"""R1 to R14: what people, their editors and their machines do to files while the real command runs.

Each scene holds a slow turn's stream open around what it does: the same process and the same connection at the end,
and the turn ended under the soul it began with. What is in force is read from what the model's double was told. A
table of all outcomes is printed at the end (`-s` shows it).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles.house import AGENT, until
from doubles.messages_server import MessagesServer, tool
from reload.r_hands import VIM, git, replaced, touching, vim, write
from reload.r_house import FIRST, SIDE, STRICTER, TOOLS, House, Scene, Table, double, play, soul, untouched

slow = pytest.mark.slow
PAUSE = 1.4  # seconds: a file that stays cut for longer is taken for what somebody wants


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One process for all scenes that leave it as they found it."""
    with double() as server, House(tmp_path_factory.mktemp("shared"), server) as house:
        yield house


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with double() as server:
        yield server
    assert server.violations == []


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
        late = 0  # the machine was too slow for a writer's pause
        for path, text in ((file, f"{soul('second')}\n"), (tools, more)):
            begun = time.monotonic()
            with path.open("w") as opened:
                await asyncio.sleep(0.3)
                opened.write(text[:9])
                opened.flush()
                await asyncio.sleep(0.3)
                late += time.monotonic() - begun > PAUSE
                await on.after(lambda opened=opened, text=text: (opened.write(text[9:]), opened.flush()))  # type: ignore[misc]
            assert await on.told() == soul("second")
        applied = [attempt["changes"] for attempt in await on.attempts() if attempt["outcome"] == "applied"]
        assert len(applied) == 2 or late, applied
        return "only whole files were applied"

    play(table, shared, "R3", "truncate, 300 ms, a bit, 300 ms, the rest", "refused or waited for, then live", scene)


@slow
def test_r4_a_file_that_is_emptied_and_filled_again_a_second_later_changes_nothing_between(
    table: Table, shared: House
) -> None:
    async def scene(on: Scene) -> str:
        late = 0  # the machine was too slow for a writer's pause
        for name, text in (
            ("agents/main.yaml", AGENT),
            ("agents/main.md", f"{soul('second')}\n"),
            ("tools.yaml", TOOLS),
        ):
            file, before = on.root / name, await on.told()
            whole = file.read_text()
            begun = time.monotonic()
            os.truncate(file, 0)
            await asyncio.sleep(1)
            told = await on.told()
            if time.monotonic() - begun > PAUSE:
                late += 1
            else:
                assert told == before
            assert (await on.called("read_file", path="a.key"))[0]
            if text != whole:
                await on.after(write(file, text))
            else:
                file.write_text(whole)
                assert (await on.post()).json()["outcome"] in ("unchanged", "applied")
        assert (await on.told(), (await on.post()).json()["outcome"]) == (soul("second"), "unchanged")
        assert sum(attempt["outcome"] == "applied" for attempt in await on.attempts()) <= 3 + late
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

    async def scene(on: Scene) -> str:
        assert await on.told() == FIRST
        await on.after(lambda: version(2, "second"))
        assert await on.told() == soul("second")
        await on.after(lambda: version(3, "third"))
        assert await on.told() == soul("third")
        assert (await on.outcomes()).count("applied") == 2
        return "live twice"

    untouched(house)
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

    async def scene(on: Scene) -> str:
        for branch in ("second", "first", "second"):
            await on.after(lambda branch=branch: git(on.root, "checkout", "-q", branch))  # type: ignore[misc]
            await on.settled()
            assert {await on.told(prefix=f"/a{n}") for n in (0, 25, 49)} == {soul(branch)}
        found = await on.outcomes()
        assert 3 <= len(found) < 50 and set(found) == {"applied"}  # git may be held up in between
        return f"{len(found)} reloads for 3 checkouts"

    untouched(house)
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
