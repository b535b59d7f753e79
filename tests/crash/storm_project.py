"""The project that a storm serves: a channel for every mode of queueing, phones, and tools that leave traces."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from crash.harness import TRACES, Site, made
from doubles.telegram_server import TOKEN as BOT

MODES = ("queue", "collect", "interrupt", "steer")
TOKEN = "operator-of-the-storm-0123456789"
PHONES = (7, 8)
TOLD = 9  # whom the heartbeat is for
LEFT = 6  # messages of one person that may wait before they hold their tongue

AGENT = """\
name: Desk
description: {description}
model: scripted
default: true
soul: main.md
tools: [note, bump, hold, stamp, tick]
policy: works
"""
TOOLS = """\
tools:
  note: {{python: "traces:note"}}
  hold: {{python: "traces:hold", description: "{description}"}}
  stamp: {{python: "traces:stamp"}}
  tick: {{python: "traces:tick"}}
  bump:
    description: Makes the file of this number one byte longer
    shell: truncate --size=+1 -- count-{{n}}
    input: {{n: {{type: string, description: The number}}}}
policies:
  works:
    default: deny
    sandbox: off                   # what is tried is the runtime, and `bump` writes
    rules:
      - allow: [note, bump, hold, tick]
      - ask: stamp
"""
CHANNELS = """\
channels:
  repl: {{kind: repl}}
  telegram: {{kind: telegram, token: "{bot}", api_base: "{url}", allow: [7, 8, 9], queue: {phones}}}
"""
HTTP = """\
  {mode}: {{kind: http, port: {port}, token: {token}, queue: {mode}, queue_limit: {left},
    limits: {{requests_per_minute: 100000}}}}
"""
BEATS = """\
heartbeats:
  beat: {cron: "* * * * *", prompt: tick, agent: main, deliver: "telegram:9", timezone: UTC}
"""
SCRIPT = """\
pace: 0.012
rules:
  - {say: '^say (?P<n>\\S+)$', reply: "done {n}, in a few words that take their time"}
  - {say: '^note (?P<n>\\S+)$', calls: [{note: &n {n: "{n}"}}], reply: &d "done {n}", failed: &f "failed {n}"}
  - {say: '^bump (?P<n>\\S+)$', delay: 0.02, calls: [{bump: *n}], reply: *d, failed: *f}
  - {say: '^both (?P<n>\\S+)$', calls: [[{note: *n}, {bump: *n}]], reply: *d, failed: *f}
  - {say: '^steps (?P<n>\\S+)$', calls: [{note: *n}, {bump: *n}], reply: *d, failed: *f}
  - {say: '^hold (?P<n>\\S+)$', calls: [{hold: *n}, {bump: *n}], reply: *d, failed: *f}
  - {say: '^stamp (?P<n>\\S+)$', calls: [{stamp: *n}], reply: *d, failed: *f}
  - {say: '^tick', calls: [{tick: {}}], reply: "ticked {result}", failed: "did not tick"}
otherwise: what?
"""
SLOWER = '''

@openclaw.tool
def hold(n: str, call: openclaw.Call) -> str:
    """Writes the number down and takes its time, so that somebody may say something meanwhile.

    Args:
        n: The number.
    """
    trace(call, n)
    time.sleep(0.4)
    return "noted"


@openclaw.tool
def stamp(n: str, call: openclaw.Call) -> str:
    """Writes the number down, where a person agrees.

    Args:
        n: The number.
    """
    trace(call, n)
    return "noted"


@openclaw.tool
def tick(call: openclaw.Call) -> str:
    """Writes down that it is time."""
    at = str(time.time_ns())
    trace(call, f"tick-{at}")
    return at
'''


def site(root: Path, telegram: str, ports: Sequence[int], runner: Sequence[str] = ("-m", "openclaw")) -> Site:
    return made(
        root,
        runner=runner,
        files={
            "agents/main.yaml": AGENT.format(description="Leaves traces"),
            "agents/main.md": "You leave traces.\n",
            "tools.yaml": TOOLS.format(description="Takes its time"),
            "channels.yaml": channels(telegram, ports),
            "heartbeats.yaml": BEATS,
            "script.yaml": SCRIPT,
            "traces.py": TRACES + SLOWER,
        },
    )


def channels(telegram: str, ports: Sequence[int], phones: str = "queue") -> str:
    """`phones`: the mode of the phones' channel."""
    text = CHANNELS.format(bot=BOT, url=telegram, phones=phones)
    for mode, port in zip(MODES, ports, strict=True):
        text += HTTP.format(mode=mode, port=port, token=TOKEN, left=LEFT)
    return text


def free_ports(count: int) -> list[int]:
    """The same over all starts: a client that comes back knocks at the same door."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
