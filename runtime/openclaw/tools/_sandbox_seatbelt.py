"""The profile for macOS's `sandbox-exec`. UNTESTED on a Mac: its text is tested, what it does there is not.

The law: denied by default. Reading is allowed of the system and the workspace, writing of the workspace where a
person agreed; what is protected is denied after all that, by pattern, so that it holds for what does not exist yet.
Text in, text out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from openclaw.words import Confinement

PROGRAM = "/usr/bin/sandbox-exec"
_SYSTEM = ("/usr", "/bin", "/sbin", "/System", "/Library", "/opt", "/private/etc", "/private/var/db/timezone", "/dev")
_NEVER = (
    r"\.git/(hooks|config)", r"\.gitattributes", r"\.gitmodules", r"\.gitconfig", r"\.env[^/]*", r"\.ssh", r"\.aws",
    r"\.gnupg", r"\.kube", r"\.docker", r"\.netrc", r"\.npmrc", r"\.vscode", r"\.idea", r"\.husky", r"\.claude",
    r"\.cursor", r"\.codex", r"\.gemini", r"\.mcp\.json", r"\.bashrc", r"\.bash_profile", r"\.profile", r"\.zshrc",
    r"\.zshenv", r"id_(rsa|dsa|ecdsa|ed25519)[^/]*", r"[^/]*\.(pem|key|p12|pfx|jks|kdbx)",
)  # fmt: skip


def profile(confinement: Confinement, tmp: Path) -> str:
    """`tmp`: a private folder for temporary files."""
    return "\n".join(_lines(confinement, tmp)) + "\n"


def argv(confinement: Confinement, tmp: Path, program: str, argv: Iterable[str]) -> list[str]:
    return [PROGRAM, "-p", profile(confinement, tmp), program, *list(argv)[1:]]


def _lines(confinement: Confinement, tmp: Path) -> Iterator[str]:
    yield "(version 1)"
    yield "(deny default)"
    yield "(allow process-exec process-fork)"
    yield "(allow signal (target same-sandbox))"
    yield "(allow sysctl-read)"
    yield "(allow file-read-metadata)"
    readable = [*map(Path, _SYSTEM), confinement.workspace, tmp, *confinement.shown]
    yield f"(allow file-read* {' '.join(map(_subpath, readable))})"
    written = [tmp, *([confinement.workspace] if confinement.writable else [])]
    yield f'(allow file-write* {" ".join(map(_subpath, written))} (literal "/dev/null"))'
    if confinement.network:
        yield "(allow network* system-socket)"
    # The last rule that matches wins, so what is denied stands last.
    within = re.escape(str(confinement.workspace))
    for name in _NEVER:
        yield f'(deny file-write* (regex #"^{within}/(.*/)?{name}(/.*)?$"))'
    for path in confinement.hidden:
        yield f"(deny file-read* file-write* {_subpath(path)})"


def _subpath(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'(subpath "{text}")'
