"""Schedules, channels, people and models."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code
from openclaw.manifest.codes.sound import agent, channels, heartbeat, rules

_PEOPLE: Final = """\
channels:
  web: {kind: http}
people:
  anna: {ids: ["web:42"]}
"""
_BOT: Final = """\
channels:
  telegram:
    kind: telegram
    token: stand-in
    webhook: {url: "https://bot.example.org", secret: "${HOOK_SECRET:-stand-in-0123456789}"}
"""
_HOME: Final = {"models.yaml": "models:\n  home:\n    id: qwen3\n    base_url: http://localhost:11434\n"}
_PRICED: Final = {"models.yaml": _HOME["models.yaml"] + "    price: {input: 3, output: 15}\n"}
_COSTS: Final = "max_cost_usd: 0.5"
_CHECK: Final = """\
cron: "0 * * * *"
prompt: What is wrong?
check:
  tool: read_file
  input: {path: state.txt}
"""
_SPACE: Final = "check: {tool: run_command, input: {command: df -h}}"
_PLAYED: Final = {"models.yaml": "models:\n  played: {kind: scripted, script: played.yaml}\n"}

CODES: Final[dict[str, Code]] = {
    "cron": Code(
        "A schedule has five fields (minute hour day month weekday) or is a name such as @daily.",
        bad=heartbeat('cron: "0 8 * *"\nprompt: What is new?'),
        good=heartbeat(""),
    ),
    "cron-often": Code(
        "The schedule fires very often, and every time asks the model.",
        bad=heartbeat('cron: "* * * * *"\nprompt: What is new?'),
        good=heartbeat('cron: "0 * * * *"\nprompt: What is new?'),
    ),
    "cron-both-days": Code(
        "With day and weekday both given, either is enough.",
        bad=heartbeat('cron: "0 8 1 * 1"\nprompt: What is new?'),
        good=heartbeat('cron: "0 8 * * 1"\nprompt: What is new?'),
    ),
    "timezone": Code(
        "A time zone is an IANA name such as Europe/London.",
        bad=heartbeat("timezone: Europe/Londn"),
        good=heartbeat("timezone: Europe/London"),
    ),
    "active-hours": Code(
        "Some time of a heartbeat's schedule lies in its active hours.",
        bad=heartbeat('cron: "0 2 * * *"\nprompt: What is new?\nactive_hours: 08:00-22:00'),
        good=heartbeat("active_hours: 08:00-22:00"),
    ),
    "jitter": Code(
        "A heartbeat is late on purpose by less than the time between two of its runs.",
        bad=heartbeat('cron: "0 * * * *"\nprompt: What is new?\njitter: 90m'),
        good=heartbeat('cron: "0 * * * *"\nprompt: What is new?\njitter: 10m'),
    ),
    "max-cost": Code(
        "What a run or a day costs can be limited only as far as the prices of the model are known, "
        "those of its searches too.",
        bad={**agent("model: home\n"), **_HOME, **heartbeat(_COSTS)},
        good={
            **agent("model: home\n"),
            **_PRICED,
            **heartbeat(_COSTS),
        },
    ),
    "check-wake": Code(
        "`after`, `repeat` and `recovered` of a check speak of what lasts, so not of changes.",
        bad=heartbeat(_CHECK + "  wake: change\n  after: 2"),
        good=heartbeat(_CHECK + "  wake: failure\n  after: 2"),
    ),
    "check-policy": Code(
        "Nobody is asked about the call of a check, so the policy must allow it.",
        bad=heartbeat(_SPACE),
        good={
            **heartbeat(_SPACE),
            **rules("{allow: run_command, commands: [df -h], heartbeat: morning}"),
        },
    ),
    "channel-twice": Code(
        "Two channels cannot share a port or the terminal.",
        bad=channels("channels:\n  web: {kind: http, port: 8080}\n  api: {kind: http, port: 8080}\n"),
        good=channels("channels:\n  web: {kind: http, port: 8080}\n  api: {kind: http, port: 8081}\n"),
    ),
    "channel-webhook": Code(
        "A Telegram webhook comes in by the HTTP channel, so there must be one.",
        bad=channels(_BOT),
        good=channels(_BOT + "  web: {kind: http}\n"),
    ),
    "channel-intent": Code(
        "Discord shows all messages of a server only to bots with the message content intent.",
        bad=channels("channels:\n  discord: {kind: discord, token: stand-in, groups: all}\n"),
        good=channels("channels:\n  discord: {kind: discord, token: stand-in, groups: all, message_content: true}\n"),
    ),
    "channel-open": Code(
        "A server that other machines can reach needs a token of at least 32 characters.",
        bad=channels("channels:\n  web: {kind: http, host: 0.0.0.0}\n"),
        good=channels("channels:\n  web: {kind: http, host: 127.0.0.1}\n"),
    ),
    "fallback": Code(
        "Models stand in for each other along a way that has an end.",
        bad={"models.yaml": "models:\n  smart: {id: claude-sonnet-5-5, fallback: [smart]}\n"},
        good={"models.yaml": "models:\n  smart: {id: claude-sonnet-5-5, fallback: [claude-haiku-5-5]}\n"},
    ),
    "script": Code(
        "The script of a `scripted` model cannot be followed.",
        bad={**_PLAYED, "played.yaml": "rules:\n  - {say: hello, replay: hi}\n"},
        good={**_PLAYED, "played.yaml": "rules:\n  - {say: hello, reply: hi}\n"},
    ),
    "person-twice": Code(
        "An id belongs to one person.",
        bad=channels(_PEOPLE + '  ben: {ids: ["web:42"]}\n'),
        good=channels(_PEOPLE + '  ben: {ids: ["web:43"]}\n'),
    ),
    "channel-off": Code(
        "Somebody to whom something is sent is reached on a channel that is not switched off.",
        bad={
            **channels("channels:\n  web: {kind: http, enabled: false}\npeople:\n  ana: {ids: [web:1]}\n"),
            **heartbeat("deliver: ana"),
        },
        good={
            **channels("channels:\n  web: {kind: http}\npeople:\n  ana: {ids: [web:1]}\n"),
            **heartbeat("deliver: ana"),
        },
    ),
    "token-name": Code(
        "The tokens of a channel are not called what the channel itself is called: `operator` or `hook`.",
        bad=channels("channels:\n  web: {kind: http, tokens: {operator: {secret: '${TOKEN:-none}'}}}\n"),
        good=channels("channels:\n  web: {kind: http, tokens: {shop: {secret: '${TOKEN:-none}'}}}\n"),
    ),
}
