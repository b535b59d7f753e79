"""The manifests that a simulated runtime is given, compiled once: some that differ, and one that is broken."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path

from openclaw.manifest.folder import Folder
from openclaw.reading import Loaded, Reading, read
from simulation.virtual_loop import MORNING

TOOLS = '''\
import openclaw


@openclaw.tool
def bump(n: str) -> str:
    """Has an effect."""
    return n


@openclaw.tool
def look(n: str) -> str:
    """Has none."""
    return n
'''
CHANNELS = """\
channels:
  queued: {{kind: telegram, token: "1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", allow: [7, 8], queue: {0}}}
  piled: {{kind: telegram, token: "2:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", allow: [7, 8], queue: {1}}}
  pushed: {{kind: telegram, token: "3:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", allow: [7, 8], queue: {2}, queue_limit: 4}}
  joined: {{kind: http, port: 5001, queue: {3}, queue_limit: 5}}
  told: {{kind: http, port: 5002, agent: careful}}
  hushed: {{kind: http, port: 5003, agent: quiet}}
"""
AGENT = """\
name: {name}
description: Talks
soul: {soul}
policy: works
memory: off
tools: [bump, look]
interrupted: {interrupted}
{more}
"""
FILES = {
    "sums.py": TOOLS,
    "tools.yaml": """\
tools:
  bump: {python: "sums:bump", timeout: 20s}
  look: {python: "sums:look", timeout: 20s, repeat: safe}
policies:
  works:
    default: deny
    rules: [{allow: [bump, look]}]
""",
    "models.yaml": """\
default: smart
models:
  smart: {kind: scripted, id: smart, fallback: [spare]}
  alone: {kind: scripted, id: alone}
  spare: {kind: scripted, id: spare}
""",
    "heartbeats.yaml": """\
heartbeats:
  beat: {cron: "*/3 * * * *", agent: main, prompt: "Look around.", deliver: "queued:7", missed: once}
""",
}
LIMIT = "limits: {turn: 4m}"
MODES = ("queue", "collect", "interrupt", "steer")


def _files(variant: int) -> dict[str, str]:
    souls = "You talk." if variant != 1 else "You talk in another way."
    turned = MODES if variant != 2 else ("steer", "interrupt", "queue", "collect")
    policies = ("resume", "notify", "drop") if variant != 2 else ("resume", "resume", "notify")
    channels = CHANNELS.format(*turned)
    if variant == 1:
        channels = channels.replace("queue_limit: 5", "queue_limit: 3")
    if variant == 3:
        channels = "channels: {queued: {kind: carrier-pigeon}}\n"
    agents = {
        "main": AGENT.format(name="Main", soul="soul.md", interrupted=policies[0], more=f"default: true\n{LIMIT}"),
        "careful": AGENT.format(name="Careful", soul="soul.md", interrupted=policies[1], more=LIMIT),
        "quiet": AGENT.format(name="Quiet", soul="soul.md", interrupted=policies[2], more=f"model: alone\n{LIMIT}"),
    }
    written = {f"agents/{name}.yaml": text for name, text in agents.items()}
    return {**FILES, **written, "agents/soul.md": souls, "channels.yaml": channels}


BROKEN = 3


@cache
def readings() -> tuple[Path, tuple[Reading, ...]]:
    """Where they were read, and what each of them means."""
    root = Path(tempfile.mkdtemp(prefix="openclaw-simulation-")) / "project"
    atexit.register(shutil.rmtree, root.parent, ignore_errors=True)
    found = []
    for variant in (3, 2, 1, 0):
        for name, text in _files(variant).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        found.append(read(root, MORNING))
    return root, tuple(reversed(found))


class Shelf:
    """What is on disk as a project at the moment: `variant` is what an editor changes, `good` what was applied last."""

    def __init__(self) -> None:
        self.root, self._readings = readings()
        self.variant = self.good = 0

    def read(
        self,
        root: Path,
        now: datetime,
        imports_from: Path | None = None,
        *,
        env_from: Path | None = None,
        folder: Folder | None = None,
        loaded: Loaded | None = None,
    ) -> Reading:
        return self._readings[self.variant if imports_from is None else self.good]
