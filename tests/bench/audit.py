"""What the audit and the striking out of secrets cost: for one line, for one tool call, and to verify.

Prints own CPU in microseconds. `turn` is a tool call through the real decision, with the audit and beside it without
(its notes thrown away), as a ratio. From the tests folder:

    python -m bench.audit [--calls 2000]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets as random_secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doubles.counter import PAY, Counting
from openclaw import audit
from openclaw.clock import SystemClock
from openclaw.permissions.decide import Effect, Rule
from openclaw.secrecy import Secrets
from openclaw.stores._audit import Trail
from openclaw.stores.files import Store

LINE = {"at": "2026-11-23T12:00:00.000Z", "type": "decided", "session": "agent:main:repl:local", "agent": "main",
        "sender": "repl:local", "call": "toolu_0123456789", "tool": "run_command", "decision": "allow",
        "reason": "allowed by careful/read-only", "rules": ["tools.yaml:48 careful/read-only allow"],
        "digest": "0" * 64, "argv": [["ls", "-l"], ["|", "wc", "-l"]], "cwd": "/home/me/workspace"}  # fmt: skip


def each(what: str, times: int, work: Callable[[], object]) -> None:
    begun = time.process_time()
    for _ in range(times):
        work()
    print(f"{what:<44} {(time.process_time() - begun) / times * 1e6:9.1f} us", flush=True)


def lines(folder: Path, times: int) -> None:
    trail = Trail(folder)
    each("a line: sealed and appended", times, lambda: trail.append([LINE]))
    each("a line, of ten at once", times // 10, lambda: trail.append([LINE] * 10))
    trail.close()
    begun = time.process_time()
    verdict = audit.verify(folder)
    spent = time.process_time() - begun
    assert not verdict.broken
    print(f"{'a line: verified':<44} {spent / verdict.lines * 1e6:9.1f} us, {verdict.lines:,} of them")


def masking(times: int) -> None:
    known = Secrets()
    known.hold("bench", [random_secrets.token_urlsafe(32) for _ in range(10)])
    words = "".join(random.choice("abc def.:/0123456789\n") for _ in range(16_000))
    each("ten secrets sought in 16,000 characters", times // 10, lambda: known.mask(words))
    each("ten secrets sought in one audit line", times, lambda: known.mask_all(LINE))


class Nothing:
    def note(self, record: Any) -> None: ...


async def calls(folder: Path, times: int) -> None:
    store = Store(str(folder), SystemClock())
    await store.open()
    figures = []
    for noted in (Nothing(), store.audit, Nothing(), store.audit):
        counting = Counting(folder, [Rule(Effect.ALLOW, (PAY.name,))])
        counting.store.audit = noted  # type: ignore[assignment]
        begun = time.process_time()
        for _ in range(times):
            await counting.call("pay", to="ana")
        await store.journal.list()  # behind every line
        figures.append((time.process_time() - begun) / times * 1e6)
    await store.close()
    without, with_it = min(figures[::2]), min(figures[1::2])
    print(f"{'a decided call, notes thrown away':<44} {without:9.1f} us")
    print(f"{'a decided call, two lines written':<44} {with_it:9.1f} us   ratio {with_it / without:4.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="what the audit costs")
    parser.add_argument("--calls", type=int, default=2000)
    times = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        lines(Path(folder, "lines"), times)
        masking(times)
        asyncio.run(calls(Path(folder, "state"), times))


if __name__ == "__main__":
    main()
