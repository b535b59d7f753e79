"""A small project in memory, and edits of it: what a plan makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

from openclaw.manifest.build import compile_open
from openclaw.manifest.folder import Folder
from openclaw.manifest.origins import Stated, stated
from openclaw.plan.changes import Change
from openclaw.plan.whole import plan

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAIN = """\
name: Main
description: Answers
default: true
tools: [run_command, read_file, write_file, web_fetch, refund, measure]
policy: careful
workspace: own
memory: agent
"""
OPS = """\
name: Ops
description: Looks after machines
prefix: /ops
tools: [run_command, read_file]
policy: strict
"""
TOOLS = """\
tools:
  refund:
    description: Pays back
    shell: pay --back -- {amount}
    input: {amount: {type: integer}}
  measure:
    description: Measures
    shell: du -k -- {path}
    input: {path: {type: path}}
policies:
  floor:
    rules:
      - {id: no-root, deny: run_command, commands: [sudo, su]}
  common:
    rules:
      - {allow: read_file}
  careful:
    default: ask
    approvers: [ana]
    rules:
      - {id: look, allow: run_command, commands: [ls, cat]}
      - {allow: write_file, paths: ["notes/**"]}
      - {id: drafts, deny: write_file, paths: ["**/*.draft"], except: {from: ana}}
      - {id: small, allow: refund, input: {amount: {maximum: 50}}}
      - {id: pages, allow: web_fetch, hosts: [docs.example], until: 2026-06-01}
      - {id: sizes, allow: measure}
      - {id: team, allow: run_command, commands: [uptime], from: "group:team"}
      - {id: git, allow: run_command, commands: ["git status"]}
  strict:
    default: deny
    rules:
      - {id: ask-first, ask: run_command, commands: [systemctl]}
"""
CHANNELS = """\
channels:
  telegram: {kind: telegram, token: "${BOT_TOKEN}", allow: [1, 2], agents: [main], strangers: ignore}
  http:
    kind: http
    tokens:
      shop: {secret: "${SHOP_TOKEN}", agents: [main], scopes: [chat]}
people:
  ana: {ids: ["telegram:1"], owner: true, groups: [team]}
  bob: {ids: ["telegram:2"]}
rooms:
  ops: {id: "telegram:-7", agent: main, agents: [main]}
"""
HEARTBEATS = """\
defaults: {timezone: Europe/London, agent: main}
heartbeats:
  morning: {cron: "30 7 * * 1-5", prompt: Good morning}
"""
PROJECT = {
    "agents/main.yaml": MAIN,
    "agents/main.md": "You are Main.\n",
    "agents/ops.yaml": OPS,
    "tools.yaml": TOOLS,
    "channels.yaml": CHANNELS,
    "heartbeats.yaml": HEARTBEATS,
}


def compiled(files: Mapping[str, str]) -> Stated:
    folder = Folder.of({name: text.encode() for name, text in files.items()})
    found, project = compile_open(folder, environment=None, importer=None, today=NOW)
    assert found.snapshot is not None, [f"{d.file}:{d.line}: {d.message}" for d in found.diagnostics]
    return stated(found.snapshot, project)


def edited(*edits: tuple[str, str, str]) -> dict[str, str]:
    """The project with pieces of its files replaced; each piece must be there, once."""
    files = dict(PROJECT)
    for file, was, now in edits:
        text = files.get(file, "")
        assert was == "" or text.count(was) == 1, f"{was!r} stands {text.count(was)} times in {file}"
        files[file] = text.replace(was, now) if was else text + now
    return files


@cache
def _as_it_is() -> Stated:
    return compiled(PROJECT)


def planned(*edits: tuple[str, str, str]) -> tuple[Change, ...]:
    return plan(_as_it_is(), compiled(edited(*edits)), NOW)
