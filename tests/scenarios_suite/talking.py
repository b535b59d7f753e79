"""A small project, and conversations played in it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from textwrap import dedent, indent

from openclaw import adapters
from openclaw.manifest.build import compile
from openclaw.manifest.folder import Folder
from openclaw.reading import Reading
from openclaw.scenarios.conversations import NOW, run_conversation
from openclaw.scenarios.document import Outcome, Scenario, read

HEAD = "given: {channel: repl}\nconversations:\n  talk:\n"
INDENT = "    "
AGENT = "name: {name}\ndescription: {name}\nprefix: /{id}\nmodel: smart\npolicy: careful\n"
FILES = {
    "agents/ops.yaml": AGENT.format(name="Ops", id="ops")
    + "default: true\ntools: [restart_service, rotate, word_count, web_fetch, read_file, write_file, save_memory, "
    "memory_search, memory_list, remind_me]\n",
    "agents/ops.md": "You are ops.\n",
    "agents/notifying.yaml": AGENT.format(name="Notifying", id="notifying")
    + "soul: ops.md\ninterrupted: notify\nlimits: {turn: 2m}\ntools: []\n",
    "tools.yaml": """\
tools:
  restart_service:
    description: Restarts a service
    shell: systemctl restart {unit}
    input: {unit: {type: string, description: Which}}
  rotate: {description: Rotates the logs, shell: logrotate -f}
  word_count: {python: "desk:word_count"}
""",
    "policies.yaml": """\
policies:
  careful:
    default: ask
    answer_within: 5m
    approvers: [ana]
    rules:
      - allow: [read_file, word_count, web_fetch, memory_search, memory_list, remind_me]
      - allow: save_memory
      - {ask: save_memory, tainted: true}
      - {allow: write_file, paths: ["notes/**"]}
      - {id: never, deny: write_file, paths: ["**/*.key"]}
""",
    "desk.py": '''\
import openclaw


@openclaw.tool
def word_count(text: str) -> str:
    """Counts words"""
    raise AssertionError("this is never called")
''',
    "channels.yaml": """\
channels:
  discord: {kind: discord, token: "${DISCORD_BOT_TOKEN}"}
  repl: {kind: repl}
  quiet: {kind: discord, token: "${OTHER_BOT_TOKEN}", enabled: false}
people:
  ana: {ids: ["discord:7"], owner: true}
  bob: {ids: ["discord:8", "quiet:8"]}
rooms:
  ops: {id: "discord:998877", agent: ops, agents: [ops]}
""",
    "heartbeats.yaml": """\
heartbeats:
  morning: {cron: "30 7 * * *", agent: ops, prompt: Good morning, deliver: ana}
""",
    "models.yaml": """\
default: smart
models:
  smart: {id: claude-sonnet-5-5, fallback: [cheap]}
  cheap: {id: claude-haiku-5-5}
""",
}


@cache
def project() -> Reading:
    """Compiled once, with nobody looking at the environment."""
    root = Path(tempfile.mkdtemp(prefix="openclaw-talking-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, "utf-8")
    folder = Folder.read(root)
    compiled = compile(folder, environment=None, importer=adapters.importer(root), today=NOW)
    assert compiled.snapshot is not None, compiled.diagnostics
    return Reading(folder, compiled)


def played(talk: str) -> Outcome:
    """What comes of a conversation, written as below its name."""
    [outcome] = all_played(HEAD + indent(dedent(talk).strip("\n"), INDENT), project())
    return outcome


def all_played(text: str, project: Reading) -> list[Outcome]:
    """What comes of the conversations of a file."""
    found = read("talk.yaml", text.encode())
    assert isinstance(found, Scenario), found
    return [run_conversation(project, each) for each in found.conversations]


def passed(talk: str) -> bool:
    outcome = played(talk)
    assert outcome.failures == ()
    return outcome.passed


def told(talk: str) -> list[tuple[int, int, str, str]]:
    """Of each failure its line and column, counted in the talk as it is written here, and its words."""
    before = HEAD.count("\n")
    return [
        (each.span.line - before, each.span.column - len(INDENT), "\n".join(each.expected), "\n".join(each.got))
        for each in played(talk).failures
    ]
