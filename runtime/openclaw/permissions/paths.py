"""Paths: inside the workspace or not, protected or not, and the globs of rules.

Containment is by component, never by the beginning of a text. Protection holds for files that do not
exist yet and for every spelling of their case. Works on paths already resolved; touches no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path, PurePath


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FILES = _words("""
    .gitattributes .gitmodules .gitconfig .git-credentials .netrc _netrc .npmrc .yarnrc .yarnrc.yml .pypirc
    .pgpass .my.cnf .htpasswd .bashrc .bash_profile .bash_login .bash_logout .bash_aliases .bash_history
    .profile .zshrc .zshenv .zprofile .zlogin .zlogout .zsh_history .kshrc .cshrc .tcshrc .login .inputrc .vimrc
    .exrc .nanorc .emacs .screenrc .tmux.conf .wgetrc .curlrc .gdbinit .lldbinit .envrc .mcp.json
    authorized_keys known_hosts credentials credentials.json secrets.json secrets.yaml secrets.yml
    service-account.json exec-approvals.json control.sock http-token .vault-token .boto .s3cfg rclone.conf
    .viminfo .lesshst .jq .magic .magic.mgc .ripgreprc
    .python_history .psql_history .mysql_history .node_repl_history
    wallet.dat
""")
_PREFIXES = (".env", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519")
_SUFFIXES = (".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk", ".asc.key", ".gpg")
_FOLDERS = _words("""
    .ssh .gnupg .aws .azure .gcloud .kube .docker .password-store .mozilla .vscode .idea .cursor .claude .codex
    .gemini .continue .config .git .terraform.d .mini-openclaw .husky
""")
_PAIRS = frozenset(
    {
        ("node_modules", ".bin"),
        (".venv", "bin"),
        ("venv", "bin"),
        (".github", "workflows"),
    }
)


def within(path: PurePath, root: PurePath) -> bool:
    """Whether `path` is `root` or below it, component by component."""
    above = root.parts
    return path.parts[: len(above)] == above


def protected(path: Path, workspace: Path, roots: Iterable[Path]) -> str | None:
    """Why nobody may touch this path unasked: the name of what protects it, or None."""
    folded = _folded(path)
    inside = _folded_root(workspace)
    for root in roots:
        guard = _folded_root(root)
        if folded[: len(guard)] != guard:
            continue
        # The workspace may lie in the state folder; then the folder around it is guarded, not the workspace.
        if not (inside[: len(guard)] == guard and folded[: len(inside)] == inside):
            return str(root)
    parts = folded[len(inside) :] if folded[: len(inside)] == inside else folded
    return _sensitive(parts)


def _folded(path: PurePath) -> tuple[str, ...]:
    return tuple([part.casefold() for part in path.parts])


_folded_root = lru_cache(maxsize=64)(_folded)  # the same few for every path of every call


def _sensitive(parts: tuple[str, ...]) -> str | None:
    for part in parts:
        if part in _FOLDERS or part in _FILES:
            return part
        if part.startswith(_PREFIXES) or part.endswith(_SUFFIXES):
            return part
    for pair in pairwise(parts):
        if pair in _PAIRS:
            return "/".join(pair)
    return None


def matches(glob: str, relative: str, *, fold: bool = False) -> bool:
    """Whether a gitignore-like glob covers a path relative to the workspace (`.` is the workspace itself).

    `*` and `?` stay within a component, `**` crosses them; a glob without a slash matches at any depth,
    and one that names a folder covers everything below it.
    """
    return _compiled(glob, fold).fullmatch(relative) is not None


@lru_cache(maxsize=2048)
def _compiled(glob: str, fold: bool) -> re.Pattern[str]:
    flags = re.S | (re.I if fold else 0)
    if glob in ("**", "*", ".", "./", "/"):
        return re.compile(".*" if glob != "*" else r"(?!\.$).*", flags)
    anchored = "/" in glob.rstrip("/")
    body = "".join(_translated(glob.strip("/").removeprefix("./")))
    return re.compile(("" if anchored else "(?:.*/)?") + body + ("" if glob.endswith("**") else "(?:/.*)?"), flags)


def _translated(glob: str) -> Iterable[str]:
    at = 0
    while at < len(glob):
        if glob.startswith("**/", at):
            yield "(?:.*/)?"
            at += 3
        elif glob.startswith("**", at):
            yield ".+"
            at += 2
        elif glob[at] == "*":
            yield "[^/]*"
            at += 1
        elif glob[at] == "?":
            yield "[^/]"
            at += 1
        elif glob[at] == "[" and "]" in glob[at + 2 :]:
            close = glob.index("]", at + 2)
            inner = glob[at + 1 : close].replace("\\", "\\\\").replace("[", "\\[")
            yield f"[^{inner[1:]}/]" if inner[0] in "!^" else f"(?!/)[{inner}]"
            at = close + 1
        else:
            yield re.escape(glob[at])
            at += 1
