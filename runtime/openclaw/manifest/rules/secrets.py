"""Rules about secrets that stand where no schema says there is one: fixed arguments and environments of tools,
comments, souls. Values are told by the name of their key, or by the shape of a known kind of token; none is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from openclaw.manifest.diagnostic import Diagnostic, warning
from openclaw.manifest.folder import kind_of
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar
from openclaw.manifest.placeholders import secret_keys
from openclaw.manifest.project import Project
from openclaw.manifest.source import Source
from openclaw.secrecy import SHAPES, TELLING, Secrets

_SHORTEST: Final = 6  # characters; and a shorter one than this is a stand-in
_LONG: Final = 16  # from here on the schemas' own keys are told where they are filled in
_STAND_IN: Final = re.compile(
    r"none|null|off|true|false|dummy.*|test.*|example.*|change.?me.*|your[-_ ].*|stand-?in.*|placeholder.*|secret|token"
    r"|password|[x*.<>-]+|<.*>",
    re.IGNORECASE,
)
_CURE: Final = "move it to an environment variable and write `${NAME}` here"


def tools_hold_no_secrets(project: Project) -> Iterator[Diagnostic]:
    for tool in project.all("tool").values():
        for key in ("with", "env"):
            yield from _below(tool.get(key), "")


def _below(node: Node | None, key: str) -> Iterator[Diagnostic]:
    match node:
        case Scalar() if TELLING.fullmatch(key) and _is_secret(node):
            yield warning("secret-literal", node.span, f"the value of `{key}` stands here in plain text", _CURE)
        case ListNode(items):
            for item in items:
                yield from _below(item, key)
        case MapNode(entries):
            for name, entry in entries.items():
                yield from _below(entry.value, name)
        case _:
            return


def _is_secret(node: Scalar) -> bool:
    value = node.value
    if not isinstance(value, str) or node.filled or node.secret:  # the last: told where it was filled in
        return False
    plain = any(sign in value for sign in "/ \t\n{")  # a path, an address or a sentence
    return len(value) >= _SHORTEST and not plain and not _STAND_IN.fullmatch(value)


def short_secrets_are_secrets_too(project: Project) -> Iterator[Diagnostic]:
    """Under a key that is secret by its schema a short value may be a stand-in; not one of letters and figures."""
    for file, root in project.roots.items():
        yield from _short(root, kind_of(file) or "", "")


def _short(node: Node, kind: str, key: str) -> Iterator[Diagnostic]:
    match node:
        case Scalar(value=str() as value) if key in secret_keys(kind) and not node.filled:
            mixed = re.search(r"[0-9]", value) and re.search(r"[A-Za-z]", value)
            if _SHORTEST <= len(value) < _LONG and mixed and not _STAND_IN.fullmatch(value):
                yield warning("secret-literal", node.span, "a secret stands here in plain text", _CURE)
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
            told = told or [*_values(root), (-1, -1)]
            if not any(first <= start < last for first, last in told):
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
                "delete it here, and have it replaced; a tool gets it by `env` or `with`",
            )


def _shapes(text: str) -> Iterator[tuple[int, int, str]]:
    if Secrets().mask(text) == text:  # looks for them all at once, and there are seldom any
        return
    for pattern, what in SHAPES:
        yield from ((*found.span(), what) for found in pattern.finditer(text))


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
