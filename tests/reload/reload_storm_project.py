"""What a storm of reloads is about: a project of which every version carries its number everywhere, and is whole.

All its manifests are links into one folder, `..data`, and that is itself a link: one rename takes every file from one
version to the next, so that a mixture can only be made by who reads. The model's words tell which version it was told.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doubles.house import TOKEN
from doubles.messages_server import Reply, tool

CHANNELS = f"channels:\n  http: {{kind: http, port: 0, token: {TOKEN}, limits: {{requests_per_minute: 1000000}}}}\n"
MODELS = """\
default: smart
models:
  smart: {{id: claude-sonnet-5-5, base_url: "{url}", api_key: test-key, capabilities: [thinking, cache_control]}}
"""
AGENT = """\
name: Main
description: Talks
soul: main.md
instructions: This is instruction {n}.
default: true
model: smart
tools: [read_file, mark, count]
policy: works
"""
TOOLS = """\
tools:
  mark: {{python: "marks:mark", description: "This is description {n}."}}
  count: {{python: "marks:count"}}
policies:
  works:
    default: deny
    rules:
      - allow: [mark, count, read_file]
      - {{id: never-key, deny: read_file, paths: ["**/*.key"], reason: this is policy {n}}}
"""
MARKS = '''\
import asyncio
import gc

import openclaw


@openclaw.tool
def mark() -> str:
    """Tells which version of this file runs."""
    return "this is code {n}"


@openclaw.tool
async def count() -> str:
    """Tells how many tasks there are."""
    gc.collect()
    return f"tasks {{len(asyncio.all_tasks())}}"
'''
FILES = ("agents/main.yaml", "agents/main.md", "tools.yaml", "marks.py")
BREAKS = ("key", "syntax", "half", "empty", "policy", "soul", "code", "import", "agent")
SHRUNK = ("half", "empty", "agent")
SAID = re.compile(r"\bm-\d+-\d+\b")
_MARKS = {
    name: re.compile(rf"this is {name} (\d+)", re.I)
    for name in ("soul", "instruction", "description", "code", "policy")
}


def version(n: int, fault: str = "") -> dict[str, str]:
    """All files of one version; `fault` names what is wrong with it."""
    files = {
        "agents/main.yaml": AGENT.format(n=n),
        "agents/main.md": f"This is soul {n}.\n",
        "tools.yaml": TOOLS.format(n=n),
        "marks.py": MARKS.format(n=n),
    }
    match fault:
        case "key":
            files["tools.yaml"] += "polciies: {}\n"
        case "syntax":
            files["agents/main.yaml"] += "limits: [\n"
        case "half":
            files["tools.yaml"] = files["tools.yaml"].partition("policies:")[0]
        case "empty":
            files["tools.yaml"] = ""
        case "policy":
            files["agents/main.yaml"] = files["agents/main.yaml"].replace("policy: works", "policy: wroks")
        case "soul":
            files["agents/main.yaml"] = files["agents/main.yaml"].replace("main.md", "mian.md")
        case "code":
            files["marks.py"] = files["marks.py"].replace("return", "retrun", 1)
        case "import":
            files["marks.py"] = f"import nothing_of_this_name\n{files['marks.py']}"
        case "agent":
            files["agents/main.yaml"] = ""
    return files


class Versions:
    """The folder on disk and which version it holds."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        (root / "agents").mkdir(parents=True)
        (root / "channels.yaml").write_text(CHANNELS)
        (root / "models.yaml").write_text(MODELS.format(url=url))
        self.put(0, version(0))
        for name in FILES:
            (root / name).symlink_to(f"{'../' * name.count('/')}..data/{name}")

    def put(self, n: int, files: Mapping[str, str]) -> None:
        """Beside the one before, and in its place by one rename."""
        folder = self.root / f"..v{n}"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")
        (self.root / "..next").symlink_to(folder.name)
        (self.root / "..next").replace(self.root / "..data")
        shutil.rmtree(self.root / f"..v{n - 1}", ignore_errors=True)


# ── the model ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of the model: whose message it is about, and the numbers it carries. `told` are those of its soul,
    its instructions and its tool's description, `code` and `policy` those of results of this turn."""

    word: str
    told: tuple[int, ...]
    code: tuple[int, ...]
    policy: tuple[int, ...]


def asked(body: Mapping[str, Any]) -> Asked:
    system = "\n".join(block["text"] for block in body["system"])
    tools = "\n".join(str(each.get("description")) for each in body.get("tools", ()))
    word, since = _since_the_person(body["messages"])
    places = ((system, "soul"), (system, "instruction"), (tools, "description"))
    told = tuple([*numbers(text, name), -1][0] for text, name in places)
    return Asked(word, told, tuple(numbers(since, "code")), tuple(numbers(since, "policy")))


def numbers(text: str, name: str) -> list[int]:
    return [int(found) for found in _MARKS[name].findall(text)]


def _since_the_person(messages: list[dict[str, Any]]) -> tuple[str, str]:
    """The word of the last message that somebody wrote, and what tools told since."""
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] != "user":
            continue
        texts = "\n".join(block["text"] for block in message["content"] if block["type"] == "text")
        results += [str(block["content"]) for block in message["content"] if block["type"] == "tool_result"]
        if found := SAID.findall(texts):
            return found[-1], "\n".join(results)
        if "count" in texts:
            return "count", "\n".join(results)
    return "", "\n".join(results)


def answered(body: Mapping[str, Any], chance: random.Random) -> Reply:
    """Slowly: every third message has both tools called first."""
    said, results = asked(body), body["messages"][-1]["content"]
    called = any(block["type"] == "tool_result" for block in results)
    if said.word == "count":
        counted = str(results[-1].get("content"))
        return Reply({"type": "text", "text": counted} if called else tool("count"))
    pause = chance.uniform(0.2, 0.6)
    if not called and int(said.word.rpartition("-")[2] or 0) % 3 == 0:
        return Reply(tool("mark"), tool("read_file", path="a.key"), delay=pause)
    return Reply({"type": "text", "text": f"re {said.word}"}, delay=pause, pace=0.05, piece=4)
