"""How files are changed by those who change them: editors, git, whoever writes beside and renames, and noise."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path


def write(path: Path, text: str) -> Callable[[], object]:
    return lambda: path.write_text(text, "utf-8")


def replaced(path: Path, text: str) -> Callable[[], object]:
    """Beside it, and over it in one step."""

    def act() -> None:
        fresh = path.with_name(f".{path.name}.tmp")
        fresh.write_text(text, "utf-8")
        fresh.replace(path)

    return act


VIM = shutil.which("vim")


def vim(path: Path, script: str, *options: str) -> Callable[[], object]:
    """Edits and saves as somebody at vim does; `options` are such as `backupcopy=no`."""
    assert VIM
    given = [word for option in options for word in ("-c", f"set {option}")]
    command = [VIM, "-es", "-u", "NONE", "-i", "NONE", "-N", *given, "-c", script, "-c", "wq", str(path)]
    return lambda: subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL)


def git(root: Path, *words: str) -> None:
    name = ("-c", "user.name=N", "-c", "user.email=n@example.org", "-c", "init.defaultBranch=first")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *name, *words], cwd=root, check=True, capture_output=True, env=environment, timeout=60)


@contextlib.contextmanager
def touching(*paths: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that touches each of these every 20 ms."""
    touch = "[open(p, 'ab').close() or os.utime(p) for p in sys.argv[1:]]"
    script = f"import os, sys, time\nwhile True:\n    {touch}\n    time.sleep(0.02)"
    with subprocess.Popen([sys.executable, "-S", "-c", script, *map(str, paths)]) as process:
        try:
            yield process
        finally:
            process.kill()


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as taken:
        taken.bind((host, 0))
        port: int = taken.getsockname()[1]
        return port
