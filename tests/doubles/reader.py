"""Somebody who reads the documentation: its blocks, and a desk at which they try what it says.

A block is fenced; the words after its language say what it is. The desk is a folder, and a shell in which `openclaw`
is this one. Nothing of this machine's own settings is seen by it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from doubles import warm

TOP = Path(__file__).resolve().parent.parent.parent
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", *sorted((TOP / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([^\s`]*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLAIN = re.compile(r"""(?:[\w ./:=-]|'[^']*'|"[^"$`\\]*")*""")  # nothing in it is for a shell


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    info: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            name = str(page.relative_to(TOP))
            found.append(Block(name, line, match[1], tuple(match[2].split()), match[3]))
    return found


def commands(block: Block) -> list[str]:
    """The lines that begin with `$ `, each with those that a backslash joins to it."""
    joined = block.text.replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]


@dataclass(frozen=True)
class Desk:
    folder: Path
    environment: dict[str, str]

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A line of a shell, which is spared where the line is one plain command of ours."""
        if command.startswith("openclaw ") and PLAIN.fullmatch(command):
            start = [sys.executable, "-m", *shlex.split(command)]
            return warm.run(
                start, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, text=True, timeout=50
            )
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
        )


def desk(tmp_path: Path) -> Desk:
    """An empty folder."""
    programs = tmp_path / "programs"
    programs.mkdir()
    shim = programs / "openclaw"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m openclaw "$@"\n')
    shim.chmod(0o755)
    names = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENCLAW_"))}
    environment = {
        **names,
        "HOME": str(tmp_path),
        "OPENCLAW_STATE": str(tmp_path / "state"),
        "PATH": f"{programs}:{names['PATH']}",
    }
    (tmp_path / "project").mkdir()
    return Desk(tmp_path / "project", environment)
