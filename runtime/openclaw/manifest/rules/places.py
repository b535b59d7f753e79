"""Rules about whom and which places conditions speak of: two at once, or none that `except` leaves. Nobody asks from
there, so such a rule never decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from openclaw.manifest import policies
from openclaw.manifest.diagnostic import Diagnostic, Related, Span, see, warning
from openclaw.manifest.policies import RuleNode, all_rules
from openclaw.manifest.project import Project
from openclaw.permissions.covers import covers

_CALL = ("commands", "paths", "hosts", "input")  # what says something of the call itself


def places_agree(project: Project) -> Iterator[Diagnostic]:
    """`from`, `channel` and `room` name the same place."""
    for rule in all_rules(project):
        channels = {str(each.value) for each in rule.node.texts("channel")}
        if not rule.sound or not channels or "*" in channels:
            continue
        for key in ("from", "room"):
            named = rule.node.texts(key)
            found = [_channel_of(project, key, str(each.value)) for each in named]
            if named and all(each is not None and each not in channels for each in found):
                yield _elsewhere(rule, str(named[0].value), str(found[0]), named[0].span)


def _channel_of(project: Project, key: str, name: str) -> str | None:
    """The channel that an address or a room lies in; None where that is not one, or not known."""
    if key == "room":
        room = project.all("room").get(name)
        name = str(room.value("id", "")) if room is not None else ""
    elif name.startswith("group:"):
        return None
    channel, colon, _ = name.partition(":")
    return channel if colon else None


def _elsewhere(rule: RuleNode, name: str, channel: str, span: Span) -> Diagnostic:
    related: list[Related] = [see(rule.node.node.key("channel"), "the channels of this rule")]
    return warning(
        "rule-contradiction",
        span,
        f"`{name}` is on channel `{channel}`, which is none of this rule's, so it never decides",
        f"add `{channel}` to `channel`, or remove one of the two",
        related,
    )


def exceptions_leave_something(project: Project) -> Iterator[Diagnostic]:
    """Whoever and wherever the rule speaks of, `except` does not speak of all of it."""
    for node in all_rules(project):
        rule = policies.rule(node) if node.sound else None
        if rule is None or rule.unless is None or any(getattr(rule.unless, key) is not None for key in _CALL):
            continue
        whole = replace(rule, unless=None, until=None, reason=None)
        if covers(replace(whole, when=rule.unless), whole):
            yield warning(
                "rule-contradiction",
                node.node.node.key("except"),
                "`except` takes out all that the rule speaks of, so this rule never decides",
                "narrow `except`, or remove the rule",
                [see(node.node.node.key(node.effect), "the rule")],
            )
