"""Names that lead to nothing."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code
from openclaw.manifest.codes.sound import AGENT, agent, channels, heartbeat, rules

_MODELS: Final = {"models.yaml": "models:\n  cheap: {id: claude-haiku-5-5}\n"}
_PEOPLE: Final = """\
channels:
  web: {kind: http}
people:
  anna: {ids: ["web:42"], groups: [oncall]}
"""
_ROOMS: Final = """\
channels:
  discord: {kind: discord, token: stand-in}
rooms:
  ops: {id: "discord:998877"}
"""

CODES: Final[dict[str, Code]] = {
    "unknown-tool": Code(
        "No tool of this name is built in or described in tools.yaml.",
        bad={"agents/main.yaml": AGENT.replace("read_file", "reed_file")},
        good={"agents/main.yaml": AGENT},
    ),
    "unknown-policy": Code(
        "No policy of this name is described.",
        bad={"agents/main.yaml": AGENT.replace("careful", "carefull")},
        good={"agents/main.yaml": AGENT},
    ),
    "unknown-model": Code(
        "The model is neither an alias in models.yaml nor an id this build knows.",
        bad={**agent("model: cheep\n"), **_MODELS},
        good={**agent("model: cheap\n"), **_MODELS},
    ),
    "unknown-channel": Code(
        "No channel of this name is described in channels.yaml.",
        bad=channels(_PEOPLE.replace("web:42", "wbe:42")),
        good=channels(_PEOPLE),
    ),
    "unknown-agent": Code(
        "No agent has this id.",
        bad=heartbeat("agent: mian"),
        good=heartbeat("agent: main"),
    ),
    "unknown-person": Code(
        "No person of this name is described in channels.yaml.",
        bad={**channels(_PEOPLE), **heartbeat("deliver: ana")},
        good={**channels(_PEOPLE), **heartbeat("deliver: anna")},
    ),
    "unknown-room": Code(
        "No room of this name is described in channels.yaml.",
        bad={**channels(_ROOMS), **heartbeat("deliver: opps")},
        good={**channels(_ROOMS), **heartbeat("deliver: ops")},
    ),
    "unknown-heartbeat": Code(
        "No heartbeat of this name is described in heartbeats.yaml.",
        bad={
            **heartbeat(""),
            **rules("{ask: web_fetch, heartbeat: mourning}"),
        },
        good={
            **heartbeat(""),
            **rules("{ask: web_fetch, heartbeat: morning}"),
        },
    ),
    "unknown-group": Code(
        "No person belongs to this group.",
        bad={**channels(_PEOPLE), **rules("{allow: web_fetch, hosts: [example.org], from: group:oncal}")},
        good={**channels(_PEOPLE), **rules("{allow: web_fetch, hosts: [example.org], from: group:oncall}")},
    ),
    "missing-file": Code(
        "A file that a manifest names is not there.",
        bad=agent("soul: jarvis.md\n"),
        good={**agent("soul: jarvis.md\n"), "agents/jarvis.md": "You are brief.\n"},
    ),
    "address": Code(
        "An address is the channel's key, a colon and the channel's own id: telegram:12345.",
        bad=channels(_PEOPLE.replace("web:42", "42")),
        good=channels(_PEOPLE),
    ),
}
