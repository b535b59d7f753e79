"""Real processes: killed while they write, and two of them on one folder."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from openclaw.clock import SystemClock
from openclaw.errors import StateLocked
from openclaw.stores.files import Store

HAMMER = Path(__file__).with_name("hammer.py")


@contextlib.contextmanager
def hammer(folder, run="0"):
    process = subprocess.Popen(
        [sys.executable, str(HAMMER), str(folder), run], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def acknowledged(process, *, lines=0, seconds=0.0):
    """Lets it run, kills it, and returns what it had said is on disk: {word: [ids in order]}."""
    assert process.stdout.readline() == "open\n", process.stderr.read()
    first = [process.stdout.readline() for _ in range(lines)]
    time.sleep(seconds)  # a moment to be killed in, not a wait for something
    os.kill(process.pid, signal.SIGKILL)
    said = defaultdict(list)
    for line in [*first, *process.stdout]:
        if line.endswith("\n"):
            word, id = line.split()
            said[word].append(id)
    return said


def of_lane(ids, lane):
    return [id for id in ids if id.split("-")[1] == lane]


async def check(folder, said):
    store = Store(str(folder), SystemClock())
    await store.open()
    due = [out.reply.text for out in await store.outbox.due("test")]
    for lane in "abc":
        entries = [entry.id for entry in await store.journal.load(f"s:{lane}")]
        told = of_lane(said["appended"], lane)
        # At most one entry per life of the process was written and not told; none told was lost, doubled or moved.
        assert [id for id in entries if id in set(told)] == told
        assert len(entries) == len(set(entries))
        assert set(of_lane(said["settled"], lane)) <= set(due)
        settled = set(due)
        queued = []
        while (head := await store.inbox.next(f"s:{lane}")) is not None:
            queued.append(head.message.id)
            await store.inbox.settle(head.id, "done", None)
        assert queued == sorted(queued, key=lambda id: [int(part) for part in re.findall(r"\d+", id)])
        assert set(of_lane(said["accepted"], lane)) <= set(queued) | settled
    assert len(due) == len(set(due))
    await store.close()


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path):
    said = defaultdict(list)
    for run in range(4):
        with hammer(tmp_path / "state", str(run)) as process:
            for word, ids in acknowledged(process, lines=60 + 7 * run).items():
                said[word] += ids
    assert min(len(said[word]) for word in ("accepted", "appended", "settled")) > 10
    asyncio.run(check(tmp_path / "state", said))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_in_many_kills(tmp_path):
    said = defaultdict(list)
    for run in range(60):
        with hammer(tmp_path / "state", str(run)) as process:
            for word, ids in acknowledged(process, seconds=0.01 * (run % 30)).items():
                said[word] += ids
    asyncio.run(check(tmp_path / "state", said))


def test_a_second_process_is_told_who_holds_the_folder_and_may_take_it_after_a_kill(tmp_path):
    async def opened():
        store = Store(str(tmp_path), SystemClock())
        await store.open()
        await store.close()

    with hammer(tmp_path) as process:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(StateLocked, match=f"process {process.pid}.*--state") as raised:
            asyncio.run(opened())
        assert raised.value.pid == process.pid
    asyncio.run(opened())


def test_of_many_processes_that_start_at_once_one_holds_the_folder(tmp_path):
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(hammer(tmp_path, str(number))) for number in range(4)]
        first = [process.stdout.readline() for process in processes]
        assert first.count("open\n") == 1
        assert first.count("") == 3
        losers = [process for process, line in zip(processes, first, strict=True) if not line]
        assert all("StateLocked" in process.stderr.read() for process in losers)
