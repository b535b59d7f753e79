"""Whether the steps of conversations mean something: patterns that can be looked for, calls of one tool each, edits of
files that a conversation can have. One function, one kind of mistake; the file has the right shape already."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from openclaw.manifest.diagnostic import Diagnostic, error, see
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar

_ANYTHING: Final = ("", "~ \n", "q7")  # what no expression but an empty one has in common
EDITED: Final = (".yaml", ".md")  # how the files end that a step may edit


def check(step: MapNode) -> Iterator[Diagnostic]:
    """Of one step."""
    for rule in _RULES:
        yield from rule(step)


def editable(path: str) -> bool:
    """Whether a step may edit this file of the project."""
    return path.endswith(EDITED) and not path.startswith("/") and ".." not in path.split("/")


def _patterns_compile(step: MapNode) -> Iterator[Diagnostic]:
    expect = step.get("expect")
    for key in ("reply", "told"):
        wanted = expect.get(key) if isinstance(expect, MapNode) else None
        pattern = wanted.get("matches") if isinstance(wanted, MapNode) else None
        if isinstance(pattern, Scalar):
            try:
                found = re.compile(str(pattern.value))
            except (re.error, OverflowError, RecursionError) as problem:
                yield error("wrong-value", pattern.span, f"`matches` is no regular expression: {problem}")
                continue
            if "(?" not in found.pattern and all(map(found.search, _ANYTHING)):
                yield error("scenario-nothing", pattern.span, "every text matches this", "write what must stand in it")


def _calls_are_of_one_tool(step: MapNode) -> Iterator[Diagnostic]:
    for key in ("model", "expect"):
        for call in _items(step.get(key), "calls"):
            if isinstance(call, MapNode) and len(call.entries) > 1:
                second = list(call.entries)[1]
                help = "write each as an item of its own: [{one: {}}, {other: {}}]"
                yield error("wrong-value", call.key(second), "one item is one call, and this is a second one", help)


def _answers_or_fails(step: MapNode) -> Iterator[Diagnostic]:
    model = step.get("model")
    if isinstance(model, MapNode) and "fault" in model.entries and len(model.entries) > 1:
        other = next(name for name in model.entries if name != "fault")
        yield error(
            "exclusive-keys",
            model.key(other),
            f"a model that fails gives no `{other}`",
            f"remove `{other}`, or `fault`",
            [see(model.key("fault"), "`fault` is given here")],
        )


def _edits_manifests(step: MapNode) -> Iterator[Diagnostic]:
    files = step.get("reload")
    for path, entry in files.entries.items() if isinstance(files, MapNode) else ():
        if not editable(path):
            yield error(
                "wrong-value",
                entry.key.span,
                f"`{path}` cannot be edited by a step",
                "name a manifest or a soul by its path in the project, such as agents/main.yaml",
            )


def _items(node: Node | None, key: str) -> tuple[Node, ...]:
    held = node.get(key) if isinstance(node, MapNode) else None
    return held.items if isinstance(held, ListNode) else ()


_RULES: Final[tuple[Callable[[MapNode], Iterator[Diagnostic]], ...]] = (
    _patterns_compile,
    _calls_are_of_one_tool,
    _answers_or_fails,
    _edits_manifests,
)
