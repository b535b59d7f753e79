"""Checks of heartbeats: what is judged before they run is what is judged when they do, and cures cure."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from openclaw.inputs import input_problem
from openclaw.manifest import conform
from openclaw.manifest.build import Compiled, compile
from openclaw.manifest.builtins import BUILTINS
from openclaw.manifest.folder import Folder
from openclaw.messages import ToolSpec

AGENT = "name: Jarvis\ndescription: Helps\ntools: []\npolicy: careful\n"
TOOLS = """
tools:
  probe:
    description: Tries an address
    shell: curl -- {url}
    input: {url: {type: string}}
  size:
    description: Measures
    shell: du -- {folders...}
    input: {folders: {type: array, items: {type: path}}}
policies:
  careful:
    rules:
      - {allow: read_file, heartbeat: watch, paths: ["notes/**"]}
"""


def compiled(check: Mapping[str, Any], more: str = "") -> Compiled:
    beat = {"cron": "*/5 * * * *", "prompt": "x", "check": check}
    files = {
        "agents/main.yaml": AGENT,
        "tools.yaml": TOOLS + more,
        "heartbeats.yaml": json.dumps({"heartbeats": {"watch": beat, "other": {"cron": "@daily", "prompt": "x"}}}),
    }
    folder = Folder.of({name: text.encode() for name, text in files.items()})
    return compile(folder, environment={}, importer=None, today=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "check",
    [
        {"tool": "probe", "input": {"url": "https://example.org"}},
        {"tool": "size", "input": {"folders": ["notes", "a b/#c"]}},
        {"tool": "list_files"},
        {"tool": "read_file", "input": {"path": "yes"}},
        {"tool": "web_fetch", "input": {"url": "https://Example.org:8443/x"}},
        {"tool": "web_search", "input": {"query": "weather"}},
        {"tool": "run_command", "input": {"command": "ls -la | wc -l && df -h"}},
        {"tool": "run_command", "input": {"command": "python3 probe.py"}},
        {"tool": "run_command", "input": {"command": "/opt/probe --all"}},
    ],
    ids=lambda check: str(check["tool"]),
)
def test_the_rule_that_is_offered_makes_the_check_run(check: dict[str, Any]) -> None:
    (said,) = compiled(check).diagnostics
    assert (said.code, said.severity) == ("check-policy", "error")
    assert said.help is not None
    offered = re.fullmatch(r"add to the rules of policy `careful`: `(- \{.*\})`", said.help)
    assert offered, said.help
    after = compiled(check, f"      {offered[1]}\n")
    assert [(each.code, each.message) for each in after.diagnostics] == []
    assert after.snapshot is not None


def test_a_rule_for_one_heartbeat_lets_no_other_check_unasked() -> None:
    assert compiled({"tool": "read_file", "input": {"path": "notes/a"}}).diagnostics == ()
    (said,) = compiled({"tool": "read_file", "input": {"path": "other/a"}}).diagnostics
    assert said.code == "check-policy"


def test_a_program_that_may_be_missing_here_is_judged_by_its_profile() -> None:
    allow = "      - {allow: run_command, commands: [grep, sort]}\n"
    assert compiled({"tool": "run_command", "input": {"command": "grep -r x notes | sort"}}, allow).diagnostics == ()
    (said,) = compiled({"tool": "run_command", "input": {"command": "sort -o x notes"}}, allow).diagnostics
    assert said.code == "check-policy"


SCHEMAS: list[dict[str, Any]] = [
    *(dict(spec.input_schema) for spec in BUILTINS.values()),
    {
        "type": "object",
        "properties": {
            "a": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "array", "items": {"type": "integer"}}]},
            "b": {"type": ["integer", "null"], "minimum": 0, "maximum": 5},
            "c": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": False},
            "d": {"type": "array", "maxItems": 2, "minItems": 1, "items": {"enum": ["x", 1, True]}},
            "e": {"type": "object", "additionalProperties": {"type": "boolean"}},
            "f": {"type": "string", "pattern": "^(?:[a-z]+)$", "minLength": 2},
        },
        "required": ["a"],
        "additionalProperties": False,
    },
]
VALUES = [
    None,
    True,
    0,
    1,
    5,
    6,
    -1,
    2.0,
    2.5,
    "",
    "x",
    "abc",
    "ABCD",
    "abc\n",
    [],
    ["x"],
    ["x", 1],
    ["x", 1, 2],
    [1, 2],
]
VALUES += [{}, {"x": True}, {"x": 1}]


def test_an_input_is_refused_before_exactly_where_it_would_be_refused_when_it_runs() -> None:
    chance = random.Random(3)
    for number, schema in enumerate(SCHEMAS):
        tool = ToolSpec(f"t{number}", "", schema, "none")
        for _ in range(300):
            names = [*schema["properties"], "other"]
            given = {name: chance.choice(VALUES) for name in chance.sample(names, chance.randrange(len(names) + 1))}
            before = next(conform.misfits(schema, given), None) is not None
            assert before == (input_problem(tool, given) is not None), (schema, given)
