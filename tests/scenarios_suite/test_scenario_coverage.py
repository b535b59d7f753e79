"""What no case has put to use is told by name and place; what was used is not."""

from __future__ import annotations

from functools import reduce

from casebook import WORLD, judged

from openclaw.scenarios import coverage
from openclaw.scenarios.document import Used

CASES = """\
given: {now: "2026-03-28T12:00:00Z", from: ana}
routes:
  - {text: /research x, expect: {agent: researcher}}
  - {text: x, room: ops, expect: {agent: main}}              # a case that fails has used its way, too
decisions:
  - {agent: main, command: ls; sudo ls, expect: deny}
schedules:
  - {heartbeat: "off", expect: {fires: []}}
"""


def covered(text: str) -> coverage.Coverage:
    return coverage.of(WORLD.snapshot, reduce(Used.__or__, (each.used for each in judged(text)), Used()))


def test_what_was_used_is_counted_and_the_rest_is_listed() -> None:
    found = covered(CASES)
    assert coverage.summary(found) == (
        "coverage: 2 of 3 agents, 1 of 1 prefix, 1 of 3 channels, 1 of 1 room, 1 of 4 heartbeats, 1 of 8 rules"
    )
    assert coverage.unused(found) == [
        "no case led to agent main",
        "no case led to channels repl, telegram",
        "no case led to heartbeats morning-check, nightly, office",
        "never decided: tools.yaml:12:10 allow careful/looks",
        "never decided: tools.yaml:13:10 allow careful/notes",
        "never decided: tools.yaml:14:10 deny careful/hers",
        "never decided: tools.yaml:15:10 allow careful/tools.yaml:15 (read_file)",
        "never decided: tools.yaml:19:10 ask ops/careful-restart",
        "never decided: tools.yaml:20:10 deny ops/not-from-afar",
        "never decided: tools.yaml:21:10 deny ops/not-at-night",
    ]


def test_a_rule_that_only_matched_has_decided_nothing() -> None:
    """`ls` alone is allowed by it; beside `sudo` the outcome is another rule's."""
    alone = covered("decisions: [{agent: main, command: ls, expect: allow}]")
    beside = covered("decisions: [{agent: main, command: ls; sudo ls, expect: deny}]")
    used = [[rule.id for rule, used in found.rules if used] for found in (alone, beside)]
    assert used == [["looks"], ["no-root"]]
