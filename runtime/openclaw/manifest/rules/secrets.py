"""Rules about secrets that stand where no schema says there is one: fixed arguments and environments of tools,
comments, souls. Values are told by the name of their key, or by the shape of a known kind of token; none is repeated.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from openclaw.manifest.diagnostic import Diagnostic, warning
from openclaw.manifest.folder import kind_of
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar, UnknownType
from openclaw.manifest.placeholders import MOVE, REPLACE, is_shown, looks, secret_keys
from openclaw.manifest.project import Project
from openclaw.manifest.source import Source
from openclaw.secrecy import TELLING, Secrets

_SHORTEST: Final = 6  # characters; and a shorter one than this is a stand-in
_LONG: Final = 16  # from here on the schemas' own keys are told where they are filled in
_STAND_IN: Final = (
    r"(?i)none|null|off|true|false|dummy.*|test.*|example.*|change.?me.*|your[-_ ].*|stand-?in.*|placeholder.*|secret"
    r"|token|password|[x*.<>-]+|<.*>"
)
_PASS: Final = r"(?i).*(?:passw|passphrase|pwd)"  # keys whose value may be words
_NAME: Final = r"[a-z]+(?:[_-][a-z]+)+"  # of a thing, not the thing itself
_RANDOM: Final = r"(?=.*[0-9])(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+][A-Za-z0-9+/]{30,}=*"  # a path is no such
_ADDRESS: Final = r"://([^/\s:@]*):([^/\s:@${}%<>]{6,})@"  # with a name and a password
_HOLE: Final = r"\$\{[^}]*\}"
_USUAL: Final = r"(?i)postgres|mypassword|passw(?:or)?d.*|rootroot|adminadmin"  # of a trial


def tools_hold_no_secrets(project: Project) -> Iterator[Diagnostic]:
    for tool in project.all("tool").values():
        for key in ("with", "env"):
            yield from _below(tool.get(key), "")


def _below(node: Node | None, key: str) -> Iterator[Diagnostic]:
    match node:
        case Scalar() if TELLING.fullmatch(key) and _is_secret(node, key):
            yield warning("secret-literal", node.span, f"the value of `{key}` stands here in plain text", MOVE)
        case Scalar(value=str() | UnknownType(), secret=False) if _holds_password(node.text):
            yield warning(
                "secret-literal",
                node.span,
                "the password of an address stands here in plain text",
                "move it to an environment variable and write `${NAME}` in its place",
            )
        case ListNode(items):
            for item in items:
                yield from _below(item, key)
        case MapNode(entries):
            for name, entry in entries.items():
                yield from _below(entry.value, name)
        case _:
            return


def _is_secret(node: Scalar, key: str) -> bool:
    value = node.value
    if not isinstance(value, str) or node.filled or node.secret:  # the last: told where it was filled in
        return False
    plain = any(sign in value for sign in " \t\n{") or ("/" in value and not re.fullmatch(_RANDOM, value))
    named = TELLING.fullmatch(value) or (re.fullmatch(_NAME, value) and not re.fullmatch(_PASS, key))
    return len(value) >= _SHORTEST and not (plain or named or is_shown(value) or re.fullmatch(_STAND_IN, value))


def _holds_password(text: str) -> bool:
    """The default of a placeholder is for a trial."""
    found = re.search(_ADDRESS, re.sub(_HOLE, "${}", text)) if "://" in text else None
    if found is None or found[1] == found[2]:
        return False
    return not (re.fullmatch(_STAND_IN, found[2]) or re.fullmatch(_USUAL, found[2]) or is_shown(found[2]))


def short_secrets_are_secrets_too(project: Project) -> Iterator[Diagnostic]:
    """Under a key that is secret by its schema a short value may be a stand-in; not one of letters and figures."""
    for file, root in project.roots.items():
        yield from _short(root, kind_of(file) or "", "")


def _short(node: Node, kind: str, key: str) -> Iterator[Diagnostic]:
    match node:
        case Scalar(value=str() as value) if key in secret_keys(kind) and not node.filled:
            mixed = re.search(r"[0-9]", value) and re.search(r"[A-Za-z]", value)
            if _SHORTEST <= len(value) < _LONG and mixed and not re.fullmatch(_STAND_IN, value):
                yield warning("secret-literal", node.span, "a secret stands here in plain text", MOVE)
        case ListNode(items):
            for item in items:
                yield from _short(item, kind, key)
        case MapNode(entries):
            for name, entry in entries.items():
                yield from _short(entry.value, kind, name)
        case _:
            return


def comments_hold_no_secrets(project: Project) -> Iterator[Diagnostic]:
    for file, root in project.roots.items():
        source = project.sources[file]
        told: list[tuple[int, int]] = []
        for start, end, what in _shapes(source.text):
            told = told or sorted([*_values(root), (-1, -1)])
            if told[bisect_right(told, (start, len(source.text))) - 1][1] <= start:
                yield warning(
                    "secret-literal",
                    source.span(start, end),
                    f"this comment holds what looks like {what}",
                    "delete it, and have it replaced: whoever has the file has it",
                )


def souls_hold_no_secrets(project: Project) -> Iterator[Diagnostic]:
    read = {**project.folder.more, **project.folder.files}
    for file, content in sorted(read.items()):
        if content is None or not file.endswith(".md"):
            continue
        source = Source(file, content.decode("utf-8-sig", "replace"))
        for start, end, what in _shapes(source.text):
            yield warning(
                "secret-literal",
                source.span(start, end),
                f"this looks like {what}, and the model is told it",
                REPLACE,
            )


def _shapes(text: str) -> Iterator[tuple[int, int, str]]:
    if Secrets().mask(text) == text:  # looks for them all at once, and there are seldom any
        return
    yield from looks(text)


def _values(node: Node) -> Iterator[tuple[int, int]]:
    match node:
        case Scalar():
            yield node.start, node.end
        case ListNode(items):
            for item in items:
                yield from _values(item)
        case MapNode(entries):
            for entry in entries.values():
                yield entry.key.start, entry.key.end
                yield from _values(entry.value)
