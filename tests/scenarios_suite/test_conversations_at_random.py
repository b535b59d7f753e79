"""Whatever the steps are, in whatever order: a conversation ends in an outcome, and in the same one each time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenarios_suite.talking import HEAD, played

TOP = Path(__file__).resolve().parents[2]
CALLS = st.sampled_from(
    [
        {"restart_service": {"unit": "web"}},
        {"rotate": {}},
        {"word_count": {"text": "a b"}},
        {"read_file": {"path": "notes/a"}},
        {"write_file": {"path": "notes/a", "content": "x"}},
        {"write_file": {"path": "b.key", "content": "x"}},
        {"save_memory": {"text": "The cat is called Zorblax."}},
        {"memory_search": {"query": "cat"}},
        {"remind_me": {"text": "Tea!", "in": "10m"}},
        {"read_file": {}},
    ]
)
MODELS = st.one_of(
    st.sampled_from(["Hello.", "NO_REPLY", {"fault": "overloaded"}, {"fault": "rejected"}]),
    st.lists(CALLS, min_size=1, max_size=3).map(lambda calls: {"calls": calls}),
)
STEPS = st.one_of(
    st.sampled_from(["hello", "/new", "/stop", "/status", "/compact", "/notifying hello", "/agent notifying"]).map(
        lambda text: {"user": text}
    ),
    st.just({"user": {"text": "hello", "from": "ana", "channel": "discord", "room": "ops"}}),
    MODELS.map(lambda model: {"model": model}),
    MODELS.map(lambda model: {"model": model}),
    st.tuples(
        st.sampled_from(["ana", "bob", "repl:local"]), st.sampled_from(["allow-once", "allow-always", "deny"])
    ).map(lambda answer: {"approve": {"by": answer[0], "decision": answer[1]}}),
    st.just({"heartbeat": "morning"}),
    st.sampled_from(["30s", "6m", "1d"]).map(lambda time: {"advance": time}),
    st.sampled_from([True, {"crash": True}, {"down": "2h"}, {"crash": True, "down": "1m"}]).map(
        lambda how: {"restart": how}
    ),
    st.sampled_from(
        [
            {"agents/ops.md": "You are new."},
            {"agents/ops.yaml": "name: x"},
            {"heartbeats.yaml": None},
            {"policies.yaml": "policies: {careful: {default: deny, rules: [{allow: read_file}]}}"},
        ]
    ).map(lambda files: {"reload": files}),
)
EXPECTED = st.sampled_from(
    [{"reply": {"matches": "."}}, {"ask": "restart_service"}, {"silent": True}, {"calls": []}, {"refused": "approval"}]
).map(lambda expect: {"expect": expect})
SOUND = "a runtime without errors of its own"


LAST: dict[str, object] = {"expect": {"calls": []}}


def talk(steps: Sequence[object]) -> str:
    """A step a line."""
    tools = json.dumps({"restart_service": "restarted", "rotate": "rotated", "word_count": ["1", "2"]})
    return "\n".join([f"tools: {tools}", "steps:", *(f"  - {json.dumps(step)}" for step in [*steps, LAST])])


def failed(steps: Sequence[object]) -> int | None:
    """The number of the first step that is not as it should be; what the runtime itself did wrong is told at once."""
    failures = played(talk(steps)).failures
    assert [failure for failure in failures if SOUND in failure.expected] == []
    before = HEAD.count("\n") + 3
    return min(failure.span.line for failure in failures) - before if failures else None


ALONE = """
import sys

sys.path.insert(0, "tests")
from scenarios_suite.talking import passed

WORLD = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork")
heard = []
sys.addaudithook(lambda event, args: heard.append(event) if event.startswith(WORLD) else None)
assert passed('''
tools: {restart_service: restarted}
steps:
  - user: {text: restart web, from: ana, channel: discord}
  - model: {calls: [{restart_service: {unit: web}}, {save_memory: {text: It was restarted.}}]}
  - expect: {ask: restart_service}
  - restart: {crash: true}
  - expect: {ask: restart_service}
''')
assert heard == [], heard
"""


@pytest.mark.slow
def test_no_conversation_opens_a_socket_or_starts_a_program() -> None:
    subprocess.run([sys.executable, "-c", ALONE], cwd=TOP, check=True, timeout=100)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(STEPS, STEPS, EXPECTED), min_size=4, max_size=14))
def test_any_steps_end_in_an_outcome(drawn: list[object]) -> None:
    """A step that cannot be is left out, and the others are played again, so that long conversations come of it."""
    steps: list[object] = [{"user": "hello"}, *drawn]
    while (number := failed(steps)) is not None and number < len(steps):
        del steps[number]
    assert len(steps) <= 15
