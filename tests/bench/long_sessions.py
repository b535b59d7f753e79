"""What a turn costs in a session that is warm: the same at 10, 1,000 and 10,000 entries.

Prints own CPU per turn of the whole runtime in milliseconds, with a model in the process that reads nothing but
the last message; then what every client of the service pays for the same history, its JSON; and what is paid once:
the first turn after a start, and rendering the messages anew after a summary or an edit of the agent. From the tests
folder:

    python -m bench.long_sessions [--turns 60]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

from bench._house import Crowd, alive
from bench.turns import cpu
from doubles import house
from openclaw.answering import speak
from openclaw.app import App
from openclaw.clock import SystemClock
from openclaw.messages import AssistantEntry, Entry, Usage, UserEntry
from openclaw.names import fresh
from openclaw.stores.files import Store

LENGTHS = (10, 1_000, 10_000)
FILES = {
    "channels.yaml": "channels:\n  repl: {kind: repl}\n",
    "models.yaml": "default: played\nmodels:\n  played: {kind: scripted, script: script.yaml}\n",
    "script.yaml": "rules: [{say: xyzzy, reply: nothing}]\notherwise: so it is\n",
    "agents/main.yaml": house.AGENT.replace("model: smart", "model: played") + "compaction: {at_tokens: 100000000}\n",
}


def key(length: int) -> str:
    return f"agent:main:repl:local:long{length}"


def history(length: int, setup: str) -> list[Entry]:
    """Of about 300 bytes each."""
    now, entries = SystemClock().now(), list[Entry]()
    for n in range(length // 2):
        said = ({"type": "text", "text": f"question {n} " * 10},)
        entries.append(UserEntry(fresh(), now, said, f"old{n}"))
        words = ({"type": "text", "text": "so it is " * 12},)
        entries.append(AssistantEntry(fresh(), now, words, "played", "end_turn", Usage(), setup))
    return entries


async def write_histories(state: Path, setup: str) -> None:
    store = Store(str(state), SystemClock())
    await store.open()
    for length in LENGTHS:
        await store.journal.append(key(length), history(length, setup))
    await store.close()


async def measure(root: Path, state: Path, times: int) -> None:
    async with alive(root, state) as (app, _):
        generation = app.supervisor.current
        setup = speak(generation.snapshot.agents["main"], generation)[0].setup
    await write_histories(state, setup)
    async with alive(root, state) as (app, crowd):
        for length in LENGTHS:
            await of(app, crowd, length, setup, times)


async def of(app: App, crowd: Crowd, length: int, setup: str, times: int) -> None:
    session = f"long{length}"
    first = await spent(crowd, session)
    turn = min([await cpu(lambda: crowd.say("and now?", session), times) for _ in range(3)])
    transcript = await app.sessions.transcript(key(length))
    begun = time.process_time()
    text = json.dumps(list(transcript.messages(setup)), ensure_ascii=False)
    encoded = time.process_time() - begun
    begun = time.process_time()
    transcript.messages("another")
    rendered = time.process_time() - begun
    print(
        f"{length:6,} entries   turn {turn:6.2f} ms   JSON of {len(text) / 1024:7,.0f} kB {encoded * 1000:6.2f} ms   "
        f"once: first turn {first:7.1f} ms, rendered anew {rendered * 1000:6.1f} ms",
        flush=True,
    )


async def spent(crowd: Crowd, session: str) -> float:
    begun = time.process_time()
    await crowd.say("hello", session)
    return (time.process_time() - begun) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description="own CPU of a turn in long sessions")
    parser.add_argument("--turns", type=int, default=60)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = house.project(Path(folder, "project"), "", files=FILES)
        asyncio.run(measure(root, Path(folder, "state"), args.turns))


if __name__ == "__main__":
    main()
