"""A file that somebody writes piece by piece is applied once it is whole, and never before."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from doubles.house import AGENT, Hasty, lived, project, until
from openclaw.attempts import Attempt

NOBODY = "http://127.0.0.1:9"  # a model that is never asked
WRITER = """\
import os, sys
path, pieces = sys.argv[1], 7
sys.stdin.readline()
for number in range(40):
    text = ("description: Talks " + "very " * 40 + str(number) + ".\\n" + sys.argv[2]).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    for piece in range(pieces):
        os.write(descriptor, text[len(text) * piece // pieces : len(text) * (piece + 1) // pieces])
        if number % 20 == 19 and piece == 3:
            print("half", flush=True)
            sys.stdin.readline()
    os.close(descriptor)
    print("whole", number, flush=True)
    if number == 19:
        sys.stdin.readline()
"""


def test_what_is_written_in_pieces_is_applied_whole_and_half_of_it_is_refused(tmp_path: Path) -> None:
    """Any beginning of the manifest lacks a key that must be there, so what was applied must have been whole."""
    root = project(tmp_path / "project", NOBODY)
    rest = "".join(line for line in AGENT.splitlines(True) if not line.startswith("description:"))
    command = [sys.executable, "-c", WRITER, str(root / "agents/main.yaml"), rest]

    async def scene(writer: subprocess.Popen[str]) -> None:
        assert writer.stdin is not None and writer.stdout is not None
        lines, go_on = writer.stdout, writer.stdin

        async def told(words: str) -> None:
            while (await asyncio.to_thread(lines.readline)).strip() != words:
                pass

        async with lived(root, tmp_path / "state", clock=Hasty()) as (app, _):
            applied: list[str] = []

            def hear(attempt: Attempt) -> None:
                if attempt.outcome == "applied":
                    applied.append(app.supervisor.current.snapshot.agents["main"].description)

            app.reload.hear(hear)
            go_on.write("\n")  # a start on half a project is another matter
            go_on.flush()
            for last in (19, 39):
                await told("half")
                await until(lambda: app.reload.attempts and app.reload.attempts[-1].outcome == "refused", "the refusal")
                go_on.write("\n")
                go_on.flush()
                await told(f"whole {last}")
                await until(lambda last=last: applied and applied[-1].endswith(f" {last}."), "the whole")  # type: ignore[misc]
                if last == 19:
                    go_on.write("\n")
                    go_on.flush()
            assert all(said.startswith("Talks very ") and said.endswith(".") for said in applied)
            assert not app.reload.differs

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        try:
            asyncio.run(asyncio.wait_for(scene(writer), 100))
        finally:
            writer.kill()
