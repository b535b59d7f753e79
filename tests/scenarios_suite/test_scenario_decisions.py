"""Decisions of scenarios: what the policies of the project say of calls, by whom and from where they are made."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from casebook import failing, judge, judged, world

from doubles import warm

DECISIONS = """\
given: {now: "2026-05-01T12:00:00Z", from: bo}
decisions:
  - {agent: "*", command: ["rm -rf x", "ls; sudo ls"], expect: deny, rule: no-root}      # a list means each
  - {agent: "*", command: ["rm -rf x", "ls; sudo ls"], expect: deny, rule: floor/no-root}
  - {agent: main, command: ls, expect: allow, rule: looks}
  - {agent: main, command: [ls -la, cat x], expect: allow}
  - {agent: [main], tool: run_command, input: [{command: ls}, {command: cat x}], expect: allow}
  - {command: make, expect: ask}                                             # of the default agent
  - {agent: ops, tool: restart_service, input: {unit: web}, expect: ask, rule: careful-restart, approvers: [ana, bo]}
  - {agent: ops, tool: restart_service, input: {unit: web}, expect: ask, approvers: ["group:oncall", ana]}
  - {agent: ops, tool: restart_service, input: {unit: web}, from: "telegram:77", expect: deny, rule: not-from-afar}
  - {agent: ops, tool: restart_service, input: {unit: web}, room: ops, from: ana, expect: ask}
  - {tool: restart_service, input: {unit: web}, heartbeat: nightly, expect: deny, rule: not-at-night}
  - {agent: main, tool: write_file, input: {path: notes/a.md, content: x}, expect: allow}
  - {agent: main, tool: write_file, input: {path: notes/own/a.md, content: x}, expect: deny, rule: hers}
  - {agent: main, tool: write_file, input: {path: notes/own/a.md, content: x}, from: ana, expect: allow}
  - {agent: researcher, tool: read_file, input: {path: a.md}, expect: allow}
  - {agent: researcher, command: ls, expect: deny}                           # it has no such tool
  - {agent: researcher, tool: read_file, input: {path: a.md}, now: "2026-07-01T12:00:00Z", expect: ask}
  - {agent: main, command: ls, expect: ask, approvers: [ana, "repl:local"], tainted: true}
"""


def test_every_kind_of_decision_can_be_expected() -> None:
    outcomes = judged(DECISIONS)
    failed = [(outcome.span.line, outcome.failures) for outcome in outcomes[:-1] if not outcome.passed]
    assert failed == []


def test_each_rule_that_decided_is_noted_and_none_that_only_matched() -> None:
    (denied,) = judge("decisions: [{agent: main, command: 'ls; sudo ls', expect: deny}]").used.rules
    assert denied[0] == "tools.yaml" and denied[1] == 9
    (allowed,) = judge("decisions: [{agent: main, command: 'ls', expect: deny}]").used.rules
    assert allowed[1] == 12


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            "{agent: main, command: ls; make, expect: allow, rule: looks}",
            'at allow\ngiven run_command "ls; make", by agent main\nexpected allow, by rule looks\n'
            "got ask: no rule allows `make`\nwhy allow ls: allowed by careful/looks\n"
            "why ask   make: no rule allows `make`\n"
            "why rule  tools.yaml:12:10 allow careful/looks",
        ),
        (
            "{agent: main, command: sudo ls, expect: ask}",
            'at ask\ngiven run_command "sudo ls", by agent main\nexpected ask\n'
            "got deny: denied by floor/no-root: a person does this by hand\n"
            "why rule  tools.yaml:9:10 deny floor/no-root: a person does this by hand",
        ),
        (
            "{agent: main, command: ls, expect: allow, rule: no-root}",
            'at no-root\ngiven run_command "ls", by agent main\nexpected allow, by rule no-root\n'
            "got allow: allowed by careful/looks\nwhy rule  tools.yaml:12:10 allow careful/looks",
        ),
        (
            "{agent: ops, tool: restart_service, input: {unit: web}, expect: ask, approvers: [ana]}",
            'at [ana]\ngiven restart_service {"unit": "web"}, by agent ops\nexpected ask, asking ana\n'
            "got ask, asking ana and group:oncall: to be asked by ops/careful-restart\n"
            "why rule  tools.yaml:19:10 ask ops/careful-restart",
        ),
        (
            "{agent: researcher, command: ls, expect: allow}",
            'at allow\ngiven run_command "ls", by agent researcher\nexpected allow\n'
            "got deny: agent researcher does not have the tool run_command at all",
        ),
        (
            "{agent: main, tool: write_file, input: {path: a, content: x, mode: 7}, expect: ask}",
            'at {path: a, content: x, mode: 7}\n'
            'given write_file {"path": "a", "content": "x", "mode": 7}, by agent main\nexpected ask\n'
            "got no call: arguments: Additional properties are not allowed ('mode' was unexpected)",
        ),
        (
            "{agent: main, tool: write_file, command: ls, expect: deny}",
            'at write_file\ngiven write_file "ls", by agent main\nexpected deny\n'
            "got no call: `write_file` takes no command; give its arguments as `input`",
        ),
        (
            "{agent: '*', tool: save_memory, input: {text: x}, expect: ask}",
            "at {agent: '*', tool: save_memory, input: {text: x}, expect: ask}\n"
            "got nothing: no agent has the tool `save_memory`",
        ),
        (
            "{command: ls, channel: telegram, from: bo, expect: ask}",
            "at {command: ls, channel: telegram, from: bo, expect: ask}\n"
            "got nothing: bo has no id on telegram; add one to `people` in channels.yaml",
        ),
    ],
)  # fmt: skip
def test_what_failed_is_told_with_the_rules_that_decided(case: str, said: str) -> None:
    assert failing(f"decisions: [ {case} ]") == said


def test_of_all_agents_those_that_have_the_tool_are_meant_where_something_may_run() -> None:
    assert judge(
        "decisions: [{agent: '*', tool: read_file, input: {path: a}, now: '2026-05-01T12:00:00Z', expect: allow}]"
    ).passed
    outcome = judge("decisions: [{agent: '*', command: ls, expect: deny}]")
    assert [failure.given[0].rpartition(" ")[2] for failure in outcome.failures] == ["main", "ops", "researcher"]


@pytest.mark.slow
def test_commands_come_out_as_openclaw_why_has_them(tmp_path: Path) -> None:
    """Of programs that are installed, in a workspace that is there."""
    commands = [
        "ls -la",
        "cat a | sort",
        "ls; sudo ls",
        "rm x",
        "find . -delete",
        "ls > x",
        "grep -r x .",
        "$(ls)",
        "cat /etc/shadow",
    ]
    project = Path(__file__).parent.parent.parent
    rows = "".join(json.dumps({"command": command}) + "\n" for command in commands)
    (tmp_path / "workspace").mkdir()
    options = ["--state", str(tmp_path), "-C", str(project), "why", "run_command", "--batch"]
    done = warm.run([sys.executable, "-m", "openclaw", *options], input=rows, text=True, timeout=60, cwd=tmp_path)
    told = [json.loads(line)["decision"] for line in done.stdout.splitlines()]
    assert set(told) == {"allow", "ask", "deny"}
    files = {
        name: (project / name).read_text() for name in ("agents/main.yaml", "agents/researcher.yaml", "tools.yaml")
    }
    files |= {name: (project / name).read_text() for name in ("agents/main.md", "agents/researcher.md", "models.yaml")}
    cases = [f"  - {{agent: main, command: {json.dumps(c)}, expect: {e}}}" for c, e in zip(commands, told, strict=True)]
    outcomes = judged("decisions:\n" + "\n".join(cases), world(files))
    assert [outcome.failures for outcome in outcomes if not outcome.passed] == []
