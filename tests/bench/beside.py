"""The figures that stand beside those of other runtimes in docs/peers.md, of the real command over its HTTP.

CPU is user and system of the command and of what it started, the figure to trust on a machine that others use; the
model is another process, which answers at once. From the tests folder:

    python -m bench.beside [--turns 30]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench._house import of
from bench._model import served
from bench.start import ready, settled
from doubles import house

TICK = os.sysconf("SC_CLK_TCK")
POLICY = "policies: {works: {default: deny, rules: [{allow: run_command, commands: [echo]}]}}\n"
AGENT = "name: Main\ndescription: Talks\ndefault: true\nmodel: smart\ntools: [run_command]\npolicy: works\n"


def command(*words: str, times: int = 7) -> None:
    walls, before = [], resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(times):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "openclaw", *words], check=True, capture_output=True, timeout=60)
        walls.append(time.perf_counter() - begun)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{words[0]:<22} wall {statistics.median(walls):5.2f} s   CPU {spent / times:5.2f} s", flush=True)


def cpu(pid: int) -> float:
    """Seconds of a process and of its children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICK


@contextmanager
def running(root: Path, state: Path) -> Iterator[int]:
    """The process, once it is ready. It starts cold, as a user's does."""
    words = [sys.executable, "-m", "openclaw", "-C", str(root), "--state", str(state), "run"]
    begun = time.perf_counter()
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not ready(state / "control.sock"):
            assert process.poll() is None, "it did not start"
            time.sleep(0.005)
        print(f"{'run, to ready':<22} wall {time.perf_counter() - begun:5.2f} s   CPU {cpu(process.pid):5.2f} s")
        print(f"{'resident when idle':<22} {settled(Path(f'/proc/{process.pid}/status')):5.0f} MB", flush=True)
        try:
            yield process.pid
        finally:
            process.terminate()


async def turns(pid: int, address: str, many: int) -> None:
    async with house.Program(address) as program:
        for what, words in (("plain turn", "hello there"), ("a turn that runs echo", "please use a command")):
            await spent(program, pid, words, 3)
            print(told(what, *await spent(program, pid, words, many)), flush=True)
        done = 4 * many + 9
        for length in (100, 400, 1000):
            while done < length - 2 * many:
                await program.say("hello there")
                done += 2
            print(told(f"plain, {length} messages", *await spent(program, pid, "hello there", many)), flush=True)
            done += 2 * many
    print(f"{'resident then':<22} {of(Path(f'/proc/{pid}/status')):5.0f} MB")


async def spent(program: house.Program, pid: int, words: str, many: int) -> tuple[float, float]:
    """Milliseconds of a turn by the clock, the median, and of CPU."""
    walls, before = [], cpu(pid)
    for _ in range(many):
        begun = time.perf_counter()
        answer = await program.say(words)
        assert answer.status_code == 200, answer.text
        walls.append(time.perf_counter() - begun)
    return statistics.median(walls) * 1000, (cpu(pid) - before) / many * 1000


def free() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def told(what: str, wall: float, own: float) -> str:
    return f"{what:<22} wall {wall:5.1f} ms  CPU {own:5.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description="figures beside those of other runtimes")
    parser.add_argument("--turns", type=int, default=30)
    many = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as folder, served(deltas=20) as url:
        port = free()
        channels = f"channels:\n  http: {{kind: http, port: {port}, token: {house.TOKEN}}}\n"
        files = {"agents/main.yaml": AGENT, "tools.yaml": POLICY, "channels.yaml": channels}
        root = house.project(Path(folder, "project"), url, files=files)
        command("--version")
        command("--help")
        command("validate", str(root))
        with running(root, Path(folder, "state")) as pid:
            asyncio.run(turns(pid, f"http://127.0.0.1:{port}", many))


if __name__ == "__main__":
    main()
