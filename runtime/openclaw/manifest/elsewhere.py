"""What other tools call our keys, and what to say of those that have no equal here. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from openclaw.near import fold

ELSEWHERE: Final[dict[str, tuple[str, ...]]] = {
    "systemprompt": ("soul", "instructions"),
    "systemmessage": ("soul", "instructions"),
    "system": ("soul", "instructions"),
    "persona": ("soul",),
    "soulfile": ("soul",),
    "soulpath": ("soul",),
    "instruction": ("instructions",),
    "title": ("name",),
    "displayname": ("name",),
    "about": ("description",),
    "summary": ("description",),
    "allowedtools": ("tools",),
    "toolsets": ("tools",),
    "skills": ("tools",),
    "disallowedtools": ("policy",),
    "llm": ("model",),
    "modelname": ("model",),
    "permissions": ("policy", "policies"),
    "permission": ("policy",),
    "rules": ("policy",),
    "command": ("shell", "commands", "prefix"),
    "cmd": ("shell", "commands"),
    "run": ("shell",),
    "exec": ("shell",),
    "callable": ("python",),
    "function": ("python",),
    "entrypoint": ("python",),
    "args": ("input", "with"),
    "arguments": ("input",),
    "parameters": ("input",),
    "params": ("input",),
    "inputschema": ("input",),
    "inputs": ("input",),
    "environment": ("env",),
    "schedule": ("cron",),
    "interval": ("cron",),
    "every": ("cron",),
    "message": ("prompt",),
    "text": ("prompt",),
    "to": ("deliver",),
    "notify": ("deliver",),
    "onfailure": ("notify",),
    "alert": ("notify",),
    "budget": ("max_cost_usd", "usd_per_day"),
    "maxcost": ("max_cost_usd", "usd_per_day"),
    "maxcostusd": ("usd_per_day",),
    "costlimit": ("max_cost_usd", "usd_per_day"),
    "dailybudget": ("usd_per_day",),
    "costperday": ("usd_per_day",),
    "probe": ("check",),
    "condition": ("check",),
    "delay": ("jitter",),
    "hours": ("active_hours",),
    "channel": ("deliver",),
    "tz": ("timezone",),
    "type": ("kind",),
    "maxiterations": ("iterations",),
    "maxturns": ("iterations",),
    "maxtokens": ("output_tokens",),
    "maxoutputtokens": ("output_tokens",),
    "apikey": ("api_key",),
    "baseurl": ("base_url",),
    "url": ("base_url",),
    "model": ("id",),
    "extends": ("include",),
    "includes": ("include",),
    "enable": ("enabled",),
    "disabled": ("enabled",),
    "approver": ("approvers",),
    "required": ("optional",),
    "unless": ("except",),
    "forbid": ("deny",),
    "block": ("deny",),
    "confirm": ("ask",),
    "permit": ("allow",),
}
"""Keys of other tools, folded, and what they are called here, the likeliest first."""

_SOUL: Final = "who an agent is stands in `soul`, a text beside the manifest, or in `instructions`"
_SERVERS: Final = "servers of tools are not known here; describe each tool in tools.yaml, with `shell` or `python`"
_SCHEDULES: Final = "when an agent acts by itself is said in heartbeats.yaml: `cron`, `prompt` and `agent`"
_COMMANDS: Final = "a command is a tool in tools.yaml (`shell: ...`), and `tools` names it here"
_DENIED: Final = "what an agent may do is said by the rules of a policy in tools.yaml, and `policy` names it here"
_NO_KIND: Final = "a tool has no kind: that it has `shell` or `python` says what it is"
_NO_VERSION: Final = "manifests have no version and no kind: the name of the file says what it is"
_ALLOWED: Final = "what may run is said by the rules of a policy, below `policies:`"
_AGENT: Final[dict[str, str]] = {
    **dict.fromkeys(("role", "goal", "backstory", "systemprompt", "system", "persona"), _SOUL),
    **dict.fromkeys(("mcpservers", "mcp", "mcpserver", "plugins", "extensions"), _SERVERS),
    **dict.fromkeys(("cron", "schedule", "every", "interval", "heartbeat", "heartbeats", "triggers"), _SCHEDULES),
    **dict.fromkeys(("cmd", "command", "commands", "shell", "run", "exec", "entrypoint"), _COMMANDS),
    **dict.fromkeys(("permissions", "permission", "disallowedtools", "rules", "allow", "deny", "ask"), _DENIED),
    **dict.fromkeys(
        ("provider", "apikey", "baseurl"), "that belongs to a model in models.yaml, and `model` names it here"
    ),
    **dict.fromkeys(
        ("temperature", "topp", "topk", "seed"),
        "how a model draws its words is not set; `effort` says how hard it thinks",
    ),
    **dict.fromkeys(("subagents", "handoffs", "agents"), "an agent names no others; each is a file below agents/"),
    "hooks": "a hook is described at an http channel in channels.yaml, and names its agent there",
    "allowedtools": "the tools an agent has are those in `tools`",
    "channels": "a channel is described in channels.yaml, and names its agent there",
    "id": "an agent's id is the name of its file",
}
_TOOL: Final[dict[str, str]] = {
    **dict.fromkeys(("kind", "type"), _NO_KIND),
    **dict.fromkeys(("mcp", "mcpserver", "mcpservers", "server", "url", "http"), _SERVERS),
    **dict.fromkeys(("permissions", "permission", "policy", "allow", "ask", "deny"), _ALLOWED),
    "name": "a tool's name is its key: `a_name: {description: ..., shell: ...}`",
    "cwd": "a tool runs in the workspace of its agent",
    "workdir": "a tool runs in the workspace of its agent",
}
SENTENCES: Final[dict[str, dict[str, str]]] = {
    "agent": _AGENT,
    "defaults": _AGENT,
    "shell tool": _TOOL,
    "python tool": _TOOL,
}
"""What to say of keys of other tools that have no equal in a mapping of this title."""


def elsewhere(name: str, title: str, top: bool) -> str | None:
    """What stands for another tool's key here, as a sentence; `top` where it is a key of the file itself."""
    if top and fold(name) in ("version", "apiversion", "kind", "schemaversion", "specversion", "metadata", "spec"):
        return _NO_VERSION
    return SENTENCES.get(title, {}).get(fold(name))


def same_key(name: str, candidates: Iterable[str]) -> str | None:
    """The key that is this one in another spelling, or by another tool's name."""
    known = {fold(candidate): candidate for candidate in candidates}
    found = known.get(fold(name))
    return found or next((ours for ours in ELSEWHERE.get(fold(name), ()) if ours in known.values()), None)
