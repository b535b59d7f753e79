"""R15 to R22: ports, heartbeats, starts on what is broken, and where the project lies; each on a process of its own.

Each scene holds a slow turn's stream open around what it does: the same process and the same connection at the end,
and the turn ended under the soul it began with. What is in force is read from what the model's double was told. A
table of all outcomes is printed at the end (`-s` shows it).
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from doubles import warm
from doubles.house import AGENT, Program, until
from doubles.messages_server import MessagesServer
from reload.r_hands import free_port, write
from reload.r_house import FIRST, LOOKS, STRICTER, Cold, House, Scene, Table, double, play, soul, untouched

PRELOADED = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
slow = pytest.mark.slow
POOLED = 8  # threads and connections that are made as they are needed, and kept


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with double() as server:
        yield server
    assert server.violations == []


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
    end = time.monotonic() + 60
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
        end = time.monotonic() + 120
        while not fired:
            assert time.monotonic() < end, "no minute came"
            n += 1
            file.write_text(BEAT.format(n=n))
            assert (await on.post()).json()["outcome"] in ("applied", "unchanged")
            fired = on.asked("beat of ")
        async with on.held():  # not all the time: a minute may be longer than a model is waited for
            for _ in range(10):
                n += 1
                await on.after(write(file, BEAT.format(n=n)))
        runs = (await on.operator.http.get("/api/heartbeats/history?heartbeat=beat")).json()["runs"]
        instants = [run["scheduled"] for run in runs]
        assert len(instants) == len(set(instants)) == len(on.asked("beat of ")), runs
        return f"{len(instants)} fire, {n} reloads"

    with house:
        play(table, house, "R16", "a heartbeat's edits over its minute", "fires once", scene, held=False)


@slow
def test_r17_a_restart_on_a_broken_file_runs_what_was_applied_last(
    tmp_path: Path, table: Table, model: MessagesServer
) -> None:
    worse = STRICTER + "nonsense: true\n"
    with House(tmp_path, model) as house:
        asyncio.run(house.process.address())
        house.process.process.terminate()
        assert house.process.process.wait(60) == 0
        (house.root / "tools.yaml").write_text(worse)
        strict = warm.run([*house.command, "run", "--strict"], cwd=tmp_path, env=house.plain, timeout=60)
        assert strict.returncode == 3 and b"tools.yaml" in strict.stderr
        house.again()
        untouched(house)

        async def scene() -> None:
            async with Program(await house.process.address()) as operator:
                on = Scene(house, operator, 0)
                ready = (await operator.http.get("/readyz")).json()
                assert ready["on_last_good"] is True and "tools.yaml" in str(ready) + house.process.log
                assert "BROKEN" in house.process.log
                assert (await operator.http.get("/api/status")).json()["on_last_good"]
                assert await on.told() == FIRST
                assert (await on.called("read_file", path="a.key"))[0]
                refused, why = await on.called("add", a=1, b=2)
                assert refused and "no-sums" in why  # what the broken edit forbids holds already
                seen = "last good, loudly; its denies hold, and those of the edit"
                table.show("R17", "restart on a broken tools.yaml", "last good, loudly; --strict: exit 3", seen,
                      await on.attempts(), on.ms)  # fmt: skip

        asyncio.run(asyncio.wait_for(scene(), 150))


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
            assert after[name] <= before[name] + POOLED, (before, after)
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
    untouched(house)

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
                assert time.monotonic() < saved + 60
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
            while await on.told() != soul("second"):  # noqa: ASYNC110 - the start itself may have read it, once more
                await asyncio.sleep(0.1)
            table.show("R21", "edited while the start imports a module", "live", "live without another save",
                  await on.attempts(), on.ms)  # fmt: skip

    with house:
        asyncio.run(asyncio.wait_for(scene(), 150))


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
        assert house.process.process.wait(90) == 3
        assert "agents/main.yaml" in house.process.log
        (house.root / "agents/main.yaml").write_text(whole)
        house.again()
        asyncio.run(house.process.address())
        (house.root / "agents/main.yaml").write_text("name: [\n")
        house.again()
        untouched(house)

        async def scene() -> None:
            async with Program(await house.process.address()) as operator:
                on, pid = Scene(house, operator, 0), house.pid
                assert (await operator.http.get("/readyz")).json()["on_last_good"] is True
                async with on.slow():
                    (house.root / "agents/main.md").write_text(f"{soul('second')}\n")
                    await on.after(write(house.root / "agents/main.yaml", whole))
                    assert await on.told() == soul("second")
                assert (await operator.http.get("/readyz")).json()["on_last_good"] is False
                assert (await operator.http.get("/api/status")).json()["pid"] == pid == house.pid
                table.show("R22", "bad first start, mended", "comes up", "exit 3; with last good: same process, live",
                      await on.attempts(), on.ms)  # fmt: skip

        asyncio.run(asyncio.wait_for(scene(), 150))
