"""Did you mean ...? The nearest name, judged as a person mistypes: case, dashes and underscores aside.

Knows the names other tools use for our keys. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

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
    "budget": ("max_cost_usd",),
    "maxcost": ("max_cost_usd",),
    "costlimit": ("max_cost_usd",),
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


def fold(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "").replace(" ", "")


def near(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant, or None."""
    known = {fold(candidate): candidate for candidate in candidates}
    folded = fold(name)[:200]
    if folded in known:
        return known[folded]
    from difflib import get_close_matches  # takes time, and is rarely needed

    close = get_close_matches(folded, known, n=1, cutoff=0.6)
    return known[close[0]] if close else None


def same_key(name: str, candidates: Iterable[str]) -> str | None:
    """The key that is this one in another spelling, or by another tool's name."""
    known = {fold(candidate): candidate for candidate in candidates}
    found = known.get(fold(name))
    return found or next((ours for ours in ELSEWHERE.get(fold(name), ()) if ours in known.values()), None)


def meant(name: str, candidates: Iterable[str]) -> str:
    """`; did you mean ...?`, or nothing."""
    close = near(name, candidates)
    return f"; did you mean `{close}`?" if close else ""
