"""Scenario files: what is expected of a project. Told by `openclaw test` and `openclaw validate`."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code

_FILE: Final = "tests/scenarios/one.yaml"

CODES: Final[dict[str, Code]] = {
    "scenario-nothing": Code(
        "A case of a scenario asserts something; one that cannot fail protects nothing.",
        bad={_FILE: "routes:\n  - {text: hello, expect: {}}\n"},
        good={_FILE: "routes:\n  - {text: hello, expect: {agent: main}}\n"},
    ),
    "scenario-now": Code(
        "A schedule is judged at a time that is given, so that it holds tomorrow, too.",
        bad={
            "heartbeats.yaml": 'heartbeats:\n  noon: {cron: "0 12 * * *", prompt: Hello, agent: main}\n',
            _FILE: 'schedules:\n  - {heartbeat: noon, expect: {fires: ["2026-03-28T12:00:00+00:00"]}}\n',
        },
        good={
            "heartbeats.yaml": 'heartbeats:\n  noon: {cron: "0 12 * * *", prompt: Hello, agent: main}\n',
            _FILE: 'given: {now: "2026-03-28T09:00:00Z"}\n'
            'schedules:\n  - {heartbeat: noon, expect: {fires: ["2026-03-28T12:00:00+00:00"]}}\n',
        },
    ),
    "unknown-rule": Code(
        "A decision is expected of a rule that there is: some policy has one of this id.",
        bad={_FILE: "decisions:\n  - {command: sudo ls, expect: deny, rule: no-rot}\n"},
        good={_FILE: "decisions:\n  - {command: sudo ls, expect: ask}\n"},
    ),
    "scenario-expect": Code(
        "What a case expects can all come true at once.",
        bad={_FILE: "routes:\n  - {text: hello, expect: {refused: sender, agent: main}}\n"},
        good={_FILE: "routes:\n  - {text: hello, expect: {agent: main}}\n"},
    ),
}
