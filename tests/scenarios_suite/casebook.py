"""A project that fits the scenarios of the tests around, compiled in memory, and its cases judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from openclaw.manifest.build import compile_open
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.project import Project
from openclaw.scenarios import check, document, results
from openclaw.scenarios.document import Outcome, Scenario
from openclaw.scenarios.world import World

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FILE = "tests/scenarios/cases.yaml"
FILES = {
    "agents/main.yaml": "name: M\ndescription: d\ndefault: true\ntools: [run_command, write_file]\npolicy: careful\n",
    "agents/researcher.yaml": "name: R\ndescription: d\nprefix: /research\ntools: [read_file]\npolicy: careful\n",
    "agents/ops.yaml": "name: O\ndescription: d\ntools: [restart_service]\npolicy: ops\n",
    "tools.yaml": """\
tools:
  restart_service:
    description: Restarts a unit
    shell: systemctl restart {unit}
    input: {unit: {type: string, description: Which}}
policies:
  floor:
    rules:
      - {deny: run_command, id: no-root, commands: [sudo, su, doas, rm], reason: a person does this by hand}
  careful:
    rules:
      - {allow: run_command, id: looks, commands: [ls, cat]}
      - {allow: write_file, id: notes, paths: ["notes/**"]}
      - {deny: write_file, id: hers, paths: ["notes/own/**"], except: {from: ana}}
      - {allow: read_file, until: 2026-06-01}
  ops:
    approvers: [ana, "group:oncall"]
    rules:
      - {ask: restart_service, id: careful-restart}
      - {deny: restart_service, id: not-from-afar, channel: telegram}
      - {deny: restart_service, id: not-at-night, heartbeat: nightly}
""",
    "channels.yaml": """\
channels:
  repl: {kind: repl}
  discord: {kind: discord, token: "${DISCORD_BOT_TOKEN}"}
  telegram:
    kind: telegram
    token: ${TELEGRAM_BOT_TOKEN}
    allow: [12345, 77]
    agent: researcher
    agents: [researcher]
people:
  ana: {ids: ["discord:678", "telegram:12345"], owner: true}
  bo: {ids: ["discord:679"], groups: [oncall]}
rooms:
  ops: {id: "discord:998877", agent: ops}
""",
    "heartbeats.yaml": """\
defaults: {timezone: Europe/London, agent: main}
heartbeats:
  morning-check: {cron: "30 7 * * 1-5", prompt: Hello}
  nightly: {cron: ["0 2 * * *", "30 1 * * *"], prompt: Hello, agent: ops}
  off: {cron: "@daily", prompt: Hello, enabled: false}
  office: {cron: "0 * * * *", prompt: Hello, active_hours: 08:00-10:00}
""",
}


def world(files: Mapping[str, str] = FILES) -> World:
    folder = Folder.of({name: text.encode() for name, text in files.items()})
    compiled, _ = compile_open(folder, environment=None, importer=None, today=NOW)
    assert compiled.snapshot is not None, compiled.diagnostics
    return World(folder, compiled.snapshot, Path("/project"), Path("/state"), NOW)


WORLD = world()


def scenario(text: str) -> Scenario:
    read = document.read(FILE, text.encode())
    assert isinstance(read, Scenario), read
    return read


def judged(text: str, world: World = WORLD) -> list[Outcome]:
    found = scenario(text)
    return [results.outcome(case, found, world) for case in found.cases]


def judge(text: str) -> Outcome:
    """Of the only case."""
    (outcome,) = judged(text)
    return outcome


def failing(text: str) -> str:
    """What the only case says of its only failure, first the text it points at."""
    (failure,) = judge(text).failures
    span = failure.span
    assert span.line == span.end_line == 1
    rows = [f"{name} {line}" for name in ("given", "expected", "got", "why") for line in getattr(failure, name)]
    return "\n".join([f"at {text[span.column - 1 : span.end_column - 1]}", *rows])


def mistakes(text: str, files: Mapping[str, str] = FILES) -> list[str]:
    """What is wrong with a scenario file of the project, one line each."""
    project = _project(tuple(files.items()))
    folder = Folder.of({**project.folder.files, FILE: text.encode()})
    return [told(each) for each in check.check(replace(project, folder=folder), check.own(folder)).diagnostics]


@cache
def _project(files: tuple[tuple[str, str], ...]) -> Project:
    folder = Folder.of({name: content.encode() for name, content in files})
    return compile_open(folder, environment=None, importer=None, today=NOW)[1]


def told(each: Diagnostic) -> str:
    return f"{each.line}:{each.column} [{each.code}] {each.message}" + (f" | {each.help}" if each.help else "")
