"""Rules about what one rule lists: an entry that another entry of the same rule covers adds nothing.

Told is only what is proven, and as a warning. Rules behind one another are told in `idle`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from openclaw.manifest import policies
from openclaw.manifest.diagnostic import Diagnostic, see, warning
from openclaw.manifest.nodes import Scalar
from openclaw.manifest.policies import RuleNode, all_rules
from openclaw.manifest.project import Project
from openclaw.manifest.rules.idle import WHAT, Named, refused
from openclaw.permissions.covers import covers
from openclaw.permissions.policy import Rule

_Entry: TypeAlias = tuple[Scalar, Rule]
_MOST: Final = 50_000  # comparisons: beyond them only what is written twice is told


def entries_add_something(project: Project) -> Iterator[Diagnostic]:
    named, left = Named(project), _MOST
    for node in all_rules(project):
        if not node.sound or refused(node):
            continue
        for entries in _lists(node, named):
            yield from _twice(entries)
            once = list({stated.value: (stated, rule) for stated, rule in reversed(entries)}.values())[::-1]
            left -= len(once) ** 2
            yield from _covered(once) if left > 0 else ()


def _lists(node: RuleNode, named: Named) -> Iterator[list[_Entry]]:
    """Each list of the rule: its entries, and the rule as it would be with that one alone."""
    rule = replace(policies.rule(node), tools=named.of(policies.rule(node).tools))
    alone = ((tool, replace(rule, tools=named.of([str(tool.value)]))) for tool in node.tools)
    yield [(tool, each) for tool, each in alone if each.tools]
    for key in WHAT:
        found: list[_Entry] = []
        for stated in node.node.texts(key):
            given: Any = {key: (str(stated.value),)}
            found.append((stated, replace(rule, when=replace(rule.when, **given))))
        yield found


def _twice(entries: Sequence[_Entry]) -> Iterator[Diagnostic]:
    first: dict[Any, Scalar] = {}
    for stated, _ in entries:
        if stated.value in first:
            at = first[stated.value].span
            yield warning(
                "rule-shadowed",
                stated.span,
                f"`{stated.value}` stands in this rule twice",
                "remove one of them",
                [see(at, "it stands here already")],
            )
        first.setdefault(stated.value, stated)


def _covered(entries: Sequence[_Entry]) -> Iterator[Diagnostic]:
    for index, (stated, narrow) in enumerate(entries):
        for other, (written, wide) in enumerate(entries):
            # Of two that say the same, only the second is told.
            if other != index and covers(wide, narrow) and (other < index or not covers(narrow, wide)):
                yield warning(
                    "rule-shadowed",
                    stated.span,
                    f"`{stated.value}` adds nothing: `{written.value}` in the same rule covers all that it says",
                    "remove one of them",
                    [see(written.span, f"`{written.value}` covers it")],
                )
                break
