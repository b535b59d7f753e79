"""Finds out whether the model SDK would find a credential, without importing the SDK (a second of work).

Its law: it names what would be used, in the SDK's own order, and never reads or returns a secret. It
does not know whether the credential is good; only the service can say that. The order is borrowed from
anthropic 2.12, lib/credentials/_chain.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

HOW = "set ANTHROPIC_API_KEY in the environment or in the project's .env (ANTHROPIC_AUTH_TOKEN and profiles work too)"


def credentials(environment: Mapping[str, str]) -> str | None:
    """Names the ambient credential the default service would be called with; None where there is none.

    `ANTHROPIC_API_KEY` and the like name the variable, `profile work` one on disk.
    """
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE"):
        if environment.get(name):
            return name
    return _federation(environment) or _profile(environment)


def _federation(environment: Mapping[str, str]) -> str | None:
    token = environment.get("ANTHROPIC_IDENTITY_TOKEN_FILE") or environment.get("ANTHROPIC_IDENTITY_TOKEN")
    if environment.get("ANTHROPIC_FEDERATION_RULE_ID") and environment.get("ANTHROPIC_ORGANIZATION_ID") and token:
        return "ANTHROPIC_FEDERATION_RULE_ID"
    return None


def _profile(environment: Mapping[str, str]) -> str | None:
    folder = _config_folder(environment)
    if folder is None:
        return None
    try:
        name = (folder / "active_config").read_text(encoding="utf-8").strip() or "default"
    except (OSError, ValueError):
        name = "default"
    if name.startswith(".") or "/" in name or "\0" in name:
        return None
    try:
        return f"profile {name}" if (folder / "configs" / f"{name}.json").is_file() else None
    except OSError:
        return None


def _config_folder(environment: Mapping[str, str]) -> Path | None:
    if named := environment.get("ANTHROPIC_CONFIG_DIR"):
        return Path(named)
    home = environment.get("HOME")
    return Path(home) / ".config" / "anthropic" if home else None
