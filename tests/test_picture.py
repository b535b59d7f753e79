"""The README's picture is what the running command shows."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from doubles.reader import TOP


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed; on Debian: apt install tmux")
def test_the_picture_of_a_session_is_up_to_date() -> None:
    script = TOP / "scripts" / "record_picture.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nrun scripts/record_picture.py"
