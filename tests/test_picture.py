"""The README's picture is what the running command shows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _terminal import Screen

from doubles.reader import TOP

TMUX = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed; on Debian: apt install tmux")

LINGERS = """
import signal, sys, time
signal.signal(signal.SIGHUP, lambda *_: (time.sleep(0.5), open("ended", "w").close(), sys.exit()))
print("ready", flush=True)
signal.pause()
"""


@TMUX
def test_a_terminal_is_closed_when_its_command_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    screen = Screen(tmp_path, [sys.executable, "-c", LINGERS], 64, 20)
    try:
        screen.until(lambda text: "ready" in text, "the command")
    finally:
        screen.close()
    assert (tmp_path / "ended").exists()


@pytest.mark.slow
@TMUX
def test_the_picture_of_a_session_is_up_to_date() -> None:
    script = TOP / "scripts" / "record_picture.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nrun scripts/record_picture.py"
