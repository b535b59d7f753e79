"""Rules about the conditions of a policy's rules: commands, paths, hosts, inputs, people, places, times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase

from openclaw.manifest import expressions, policies
from openclaw.manifest.builtins import BUILTINS
from openclaw.manifest.diagnostic import Diagnostic, error, see, warning
from openclaw.manifest.nodes import MapNode, Node, Scalar
from openclaw.manifest.policies import RuleNode, all_rules
from openclaw.manifest.project import Project
from openclaw.manifest.rules.policies import refer_person
from openclaw.near import meant
from openclaw.permissions import patterns
from openclaw.signature import Derived

_WHAT = ("commands", "paths", "hosts", "input")
_HOST = r"(?i)(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\]"


def one_what(project: Project) -> Iterator[Diagnostic]:
    for rule in all_rules(project):
        for stated in rule.conditions():
            given = [key for key in stated.node.entries if key in _WHAT]
            if len(given) > 1:
                yield error(
                    "exclusive-keys",
                    stated.node.key(given[1]),
                    f"`{given[0]}` (line {stated.node.key(given[0]).line}) and `{given[1]}` "
                    "cannot both be given in one rule",
                    "write two rules",
                    [see(stated.node.key(given[0]), f"`{given[0]}` is given here")],
                )


def patterns_are_sound(project: Project) -> Iterator[Diagnostic]:
    for rule in all_rules(project):
        for stated in rule.conditions():
            unsafe = rule.node.value("unsafe") is True or rule.effect != "allow"
            for entry in stated.texts("commands"):
                yield from _command(rule, entry, unsafe)
            for path in stated.texts("paths"):
                yield from _path(path)


def _command(rule: RuleNode, entry: Scalar, unsafe: bool) -> Iterator[Diagnostic]:
    refusal = patterns.check_pattern(str(entry.value), unsafe=unsafe, effect=policies.EFFECTS[rule.effect])
    if refusal is None:
        return
    cure = (
        "name the tokens, or say `unsafe: true`"
        if refusal.code == "unsafe"
        else "an entry is a program and its tokens; `*` is one token, a final `**` any further ones"
    )
    yield error("rule-pattern", entry.span, f"cannot use `{entry.value}`: {refusal.message}", cure)


def _path(path: Scalar) -> Iterator[Diagnostic]:
    text = str(path.value)
    if "\0" in text:
        yield error("rule-pattern", path.span, "this path holds a NUL, which no name can", "write the name without it")
    elif text.count("[") != text.count("]"):
        yield error(
            "rule-pattern",
            path.span,
            f"cannot read `{text}`: `[` is never closed",
            "close it, or write the name itself",
        )
    elif text == "~" or text.startswith("~/"):
        yield error(
            "rule-pattern",
            path.span,
            f"`{text}` begins with `~`, which no path that is judged does",
            "write the path from the workspace on, for example `notes/**`",
        )
    elif text.startswith(("./", "../")) or "/../" in text or text.endswith("/.."):
        yield error(
            "rule-pattern",
            path.span,
            f"`{text}` holds `.` or `..`, which no path that is judged does",
            "write the path from the workspace on, for example `notes/**`",
        )


def hosts_are_names(project: Project) -> Iterator[Diagnostic]:
    for rule in all_rules(project):
        for stated in rule.conditions():
            for host in stated.texts("hosts"):
                if not re.fullmatch(_HOST, str(host.value)):
                    name = re.sub(r"^[a-z]+://|[/:].*$", "", str(host.value))
                    yield error(
                        "rule-pattern",
                        host.span,
                        f"`{host.value}` is not a host name; `*.` may stand before one",
                        f'write "{name}"' if re.fullmatch(_HOST, name) else "for example docs.python.org",
                    )


def inputs_exist(project: Project) -> Iterator[Diagnostic]:
    for rule in all_rules(project):
        asked = [stated for stated in rule.conditions() if "input" in stated.node.entries]
        known = _inputs(project, rule) if asked else None
        for stated in asked:
            conditions = stated.get("input")
            for name, entry in (
                conditions.entries.items() if isinstance(conditions, MapNode) and known is not None else ()
            ):
                if known is not None and name not in known:
                    yield error(
                        "rule-condition",
                        entry.key.span,
                        f"none of the rule's tools has an input `{name}`{meant(name, known)}",
                        f"there are: {', '.join(sorted(known))}" if known else "they take none; remove the condition",
                    )
            yield from _expressions(conditions)


def _expressions(conditions: Node | None) -> Iterator[Diagnostic]:
    for entry in conditions.entries.values() if isinstance(conditions, MapNode) else ():
        pattern = entry.value.get("pattern") if isinstance(entry.value, MapNode) else None
        if isinstance(pattern, Scalar) and isinstance(pattern.value, str):
            objection = expressions.objection(pattern.value)
            if objection is not None:
                yield error("rule-pattern", pattern.span, f"`pattern` {objection[0]}", objection[1])


def _inputs(project: Project, rule: RuleNode) -> set[str] | None:
    """The inputs of the tools a rule names; None where they are not all known."""
    named = [name for name in project.names("tool") if any(fnmatchcase(name, str(tool.value)) for tool in rule.tools)]
    inputs = [_inputs_of(project, name) for name in named]
    if not inputs or None in inputs:
        return None
    return {name for each in inputs for name in each or ()}


def _inputs_of(project: Project, name: str) -> set[str] | None:
    tool = project.all("tool").get(name)
    if tool is None:
        return set(BUILTINS[name].input_schema["properties"])
    derived = project.derived.get(name)
    if not tool.sound or "tool" in project.unreadable:
        return None
    if "input" in tool.node.entries or "shell" in tool.node.entries:
        return {declared.name for declared in tool.entries("input")}
    return set(derived.input_schema.get("properties", {})) if isinstance(derived, Derived) else None


def people_exist(project: Project) -> Iterator[Diagnostic]:
    for rule in all_rules(project):
        for stated in rule.conditions():
            for named in stated.texts("from"):
                yield from refer_person(project, named)


def places_exist(project: Project) -> Iterator[Diagnostic]:
    for rule in all_rules(project):
        for stated in rule.conditions():
            for kind in ("channel", "room", "heartbeat"):
                for named in stated.texts(kind):
                    if named.value != "*":
                        yield from project.refer(kind, named)


def until_is_a_time(project: Project) -> Iterator[Diagnostic]:
    for rule in all_rules(project):
        until = rule.node.text("until")
        if until is None:
            continue
        try:
            moment = datetime.fromisoformat(until.value)
        except ValueError:
            yield error(
                "rule-until",
                until.span,
                f"`{until.value}` is not a valid date or time",
                "write 2027-01-31, or 2027-01-31T18:00:00Z",
            )
            continue
        ends = moment if moment.tzinfo else moment.replace(tzinfo=project.now.tzinfo)
        if ends < project.now and (len(until.value) > 10 or ends.date() < project.now.date()):
            yield warning(
                "rule-until",
                until.span,
                f"this rule ended: `{until.value}` is past",
                "remove the rule, or give it a later date",
            )
