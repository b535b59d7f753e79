"""A terminal for the scripts that record sessions: tmux's own server, in which one command runs as somebody sees it.

Its law: what is recorded stood on the screen. Only what differs from one run to the next is made the same (`same`).
It knows no page and no picture.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROMPT = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
_STYLE = re.compile(r"\x1b\[[\d;]*m")


class Screen:
    def __init__(self, folder: Path, command: list[str], width: int, height: int, *, colour: bool = False) -> None:
        self._base = ["tmux", "-S", str(folder / "tmux"), "-f", os.devnull]
        left_out = ("ANTHROPIC_", "OPENCLAW_", "TMUX", "COLUMNS", "LINES", "NO_COLOR", "TELEGRAM_", "DISCORD_")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        self._environment |= {"LC_ALL": "C.UTF-8", "TERM": "xterm", "HOME": str(folder)}
        if not colour:
            self._environment["NO_COLOR"] = "1"
        self._tmux("new-session", "-d", "-s", "s", "-x", str(width), "-y", str(height), shlex.join(command))

    def _tmux(self, *words: str) -> str:
        done = subprocess.run([*self._base, *words], check=True, capture_output=True, text=True, env=self._environment)
        return done.stdout

    def type(self, words: str) -> None:
        self._tmux("send-keys", "-t", "s", "-l", words)
        self.press("Enter")

    def press(self, key: str) -> None:
        self._tmux("send-keys", "-t", "s", key)

    def clear(self) -> None:
        self.press("C-l")

    def shows(self, *, styled: bool = False) -> str:
        """The lines; `styled` leaves the terminal's own codes for colours in."""
        options = ["-e"] if styled else []
        lines = self._tmux("capture-pane", "-p", *options, "-t", "s").splitlines()
        return "\n".join(line.rstrip() for line in lines).strip("\n")

    def until(self, there: Callable[[str], bool], what: str, seconds: float = 60) -> str:
        """What is shown once it is there and stands still."""
        end, before = time.monotonic() + seconds, ""
        while True:
            now = self.shows()
            if there(now) and now == before:
                return now
            if time.monotonic() > end:
                raise SystemExit(f"{what} did not come; the screen shows:\n{now}")
            before = now
            time.sleep(0.3)

    def close(self) -> None:
        """When it returns the command has ended as well, and writes no more into a folder that is about to go."""
        runs = Path("/proc", self._tmux("display-message", "-p", "-t", "s", "#{pane_pid}").strip(), "exe")
        self._tmux("kill-server")
        end = time.monotonic() + 10
        while os.path.lexists(runs) and time.monotonic() < end:
            time.sleep(0.05)


def prompts(text: str) -> bool:
    """Whether somebody is asked for the next message."""
    return text.splitlines()[-1:] == [PROMPT]


def same(text: str) -> list[str]:
    """Lines in which durations are the same in every run, without what is said of the machine."""
    text = re.sub(r"\b\d+(?:\.\d+)? ms\b", "40 ms", text)
    text = re.sub(r"\b\d+\.\d+ ?s\b", "0.1 s", text)
    return [line for line in text.splitlines() if not plain(line).startswith("note: running as root")]


def plain(text: str) -> str:
    """Without the terminal's codes."""
    return _STYLE.sub("", text)


def differs(kept: str, record: Callable[[], str], times: int = 3) -> int:
    """An exit code: 1, and how, where what was kept is not what is recorded now.

    A busy machine may draw the screen once more, or have something to say of how long it takes: one recording that is
    the same is enough.
    """
    for _ in range(times):
        now = record()
        if now == kept:
            return 0
    print("\n".join(difflib.unified_diff(kept.splitlines(), now.splitlines(), "kept", "recorded", lineterm="")))
    return 1
