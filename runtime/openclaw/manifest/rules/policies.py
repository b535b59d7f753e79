"""Rules about policies: what they include, whom they name, and rules that decide nothing or too much."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import PurePosixPath

from openclaw.manifest import policies
from openclaw.manifest.builtins import FLOOR
from openclaw.manifest.diagnostic import MOST_TOLD, Diagnostic, error, see, warning
from openclaw.manifest.nodes import Scalar
from openclaw.manifest.policies import RuleNode, all_rules, rule_nodes
from openclaw.manifest.project import Project
from openclaw.manifest.rules.idle import Named
from openclaw.near import meant
from openclaw.permissions.policy import Condition
from openclaw.permissions.template import Shape, Template
from openclaw.words import Address

_COMMANDS = "run_command"
# They do nothing but write; of others it cannot be told.
_WRITERS = frozenset({"chmod", "cp", "install", "ln", "mkdir", "mv", "rm", "rmdir", "tee", "touch", "truncate"})
_INTO = frozenset({"cp", "install", "ln", "mv"})  # they write what is named last
_WRITABLE = re.compile(r"(?:-t|--target-directory=)?/(?:dev|tmp)(?:/|$)")  # the sandbox gives each command its own


def includes_exist(project: Project) -> Iterator[Diagnostic]:
    for policy in project.all("policy").values():
        for include in policy.texts("include"):
            if include.value == FLOOR:
                yield error("policy-floor", include.span, f"`{FLOOR}` joins every policy by itself", "remove it here")
            else:
                yield from project.refer("policy", include)


def includes_end(project: Project) -> Iterator[Diagnostic]:
    told: set[frozenset[str]] = set()
    for circle in islice(_circles(project), MOST_TOLD):
        if frozenset(circle) not in told:
            told.add(frozenset(circle))
            first, second = circle[:2]
            includes = project.all("policy")[first].texts("include")
            yield error(
                "policy-include",
                next(include.span for include in includes if include.value == second),
                f"circular `include`: {' → '.join(circle)}",
                "remove one of these includes",
            )


def _circles(project: Project) -> Iterator[list[str]]:
    """Ways from a policy back to itself, at least one of each knot of policies; every include is followed once."""
    known = project.all("policy")
    seen: set[str] = set()
    for start in known:
        if start in seen:
            continue
        way, ahead, inside = [start], [_included(project, start)], {start: 0}
        while ahead:
            each = next(ahead[-1], None)
            if each is None:
                ahead.pop()
                done = way.pop()
                del inside[done]
                seen.add(done)
            elif each in inside:
                yield [*way[inside[each] :], each]
            elif each in known and each not in seen:
                inside[each] = len(way)
                way.append(each)
                ahead.append(_included(project, each))


def _included(project: Project, name: str) -> Iterator[str]:
    return iter([str(include.value) for include in project.all("policy")[name].texts("include")])


def includes_are_bounded(project: Project) -> Iterator[Diagnostic]:
    known = project.all("policy")
    if known and not project.policies:
        yield error(
            "policy-include",
            next(iter(known.values())).key,
            f"with what they include, the policies hold more than {policies.MOST_JOINED:,} rules and includes",
            f"include less, or write what every policy shares into `{FLOOR}` once",
        )


def floor_only_restricts(project: Project) -> Iterator[Diagnostic]:
    floor = project.all("policy").get(FLOOR)
    for rule in rule_nodes(project, floor) if floor else ():
        if rule.effect == "allow":
            yield error(
                "policy-floor",
                rule.node.node.key("allow"),
                f"`{FLOOR}` joins every policy, so it holds only ask and deny rules",
                "move this rule to the policies that want it",
            )


def approvers_exist(project: Project) -> Iterator[Diagnostic]:
    for policy in project.all("policy").values():
        for approver in policy.texts("approvers"):
            yield from refer_person(project, approver)


def repositories_are_whole_paths(project: Project) -> Iterator[Diagnostic]:
    for policy in project.all("policy").values():
        for named in policy.texts("trusted_repositories"):
            path = PurePosixPath(str(named.value))
            if (
                "\0" in str(path)
                or ".." in path.parts
                or not (path.is_absolute() or path.parts[:1] == ("~",))
                or len(path.parts) < 2
            ):
                yield error(
                    "policy-repository",
                    named.span,
                    f"`{named.value}` is not the whole path of a repository's root folder",
                    "write the absolute path, or one that begins with `~/`",
                )


def network_is_for_commands(project: Project) -> Iterator[Diagnostic]:
    for rule in all_rules(project):
        key = rule.node.node.entries.get("network")
        if key is not None and rule.sound and rule.effect == "deny":
            yield error(
                "rule-network",
                rule.node.node.key("network"),
                "what is denied does not run, so it needs no network",
                "remove `network`; without it no command has a network",
            )


def what_writes_may_write(project: Project) -> Iterator[Diagnostic]:
    """A template that is allowed without asking and would fail every time: what it runs does nothing but write."""
    for policy in project.all("policy").values():
        nodes = [node for node in rule_nodes(project, policy) if node.effect == "allow" and node.sound]
        for node in nodes if policy.value("sandbox") != "off" else ():
            yield from (_cannot(project, tool) for tool in node.tools if _needs_writing(project, node, tool))


def _needs_writing(project: Project, node: RuleNode, named: Scalar) -> bool:
    tool, template = project.all("tool").get(str(named.value)), project.templates.get(str(named.value))
    if tool is None or not isinstance(template, Template) or True in (tool.value("writes"), node.node.value("writes")):
        return False
    return any(map(_writes_where_it_may_not, template.shapes))


def _writes_where_it_may_not(shape: Shape) -> bool:
    """In doubt not: what it is given may have its place elsewhere."""
    program, *words = [word[0] if word and isinstance(word[0], str) else "" for word in shape.words]
    name = PurePosixPath(program).name if program.startswith("/") else program
    operands = [word for word in words if not word.startswith("-")]
    flagged = any(word.startswith(("-t", "--t")) for word in words)
    targets = operands[-1:] if name in _INTO and not flagged else words
    return name in _WRITERS and bool(operands) and not any(map(_WRITABLE.match, targets))


def _cannot(project: Project, named: Scalar) -> Diagnostic:
    tool = project.all("tool")[str(named.value)]
    return warning(
        "writes-nothing",
        named.span,
        f"`{named.value}` writes, and what runs unasked may write nothing in the workspace, so it will fail",
        "add `writes: true` to the tool or to this rule, or ask before it runs",
        [see(tool.key, "the tool")],
    )


def refer_person(project: Project, named: Scalar) -> Iterator[Diagnostic]:
    """People, `group:NAME` and addresses, as `from` and `approvers` take them."""
    name = str(named.value)
    if name.startswith("group:"):
        yield from project.refer("group", named, name.removeprefix("group:"))
    elif ":" in name:
        yield from refer_channel(project, named)
    else:
        yield from project.refer("person", named)


def refer_channel(project: Project, address: Scalar) -> Iterator[Diagnostic]:
    try:
        channel = Address.parse(str(address.value)).channel
    except ValueError:
        yield error(
            "address",
            address.span,
            f"`{address.value}` is not an address: the channel's key, a colon, and the channel's own id",
            "for example `telegram:12345`",
        )
        return
    yield from project.refer("channel", address, channel)


# ── which tools ──────────────────────────────────────────────────────────────────────────────────


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def rules_name_tools(project: Project) -> Iterator[Diagnostic]:
    names = project.names("tool")
    for rule in all_rules(project):
        for tool in rule.tools:
            if not _is_glob(tool.value):
                yield from project.refer("tool", tool)
            elif "tool" not in project.unreadable and not any(fnmatchcase(name, tool.value) for name in names):
                yield warning(
                    "rule-matches-nothing",
                    tool.span,
                    f"rule `{tool.value}` matches none of the {len(names)} tools{meant(tool.value, names)}",
                    f"there are: {', '.join(names)}",
                )


def allows_are_narrow(project: Project) -> Iterator[Diagnostic]:
    for rule in all_rules(project):
        if rule.effect != "allow" or not rule.sound:
            continue
        for tool in rule.tools:
            if tool.value.strip("*?") == "":
                yield error(
                    "rule-too-wide",
                    tool.span,
                    f"`{tool.value}` would let every tool run without asking, `{_COMMANDS}` too",
                    "list the tools that may",
                )
            elif fnmatchcase(_COMMANDS, tool.value) and "commands" not in rule.node.node.entries:
                yield error(
                    "rule-too-wide",
                    tool.span,
                    f"`allow: {tool.value}` without `commands` would let every command run without asking",
                    "add `commands: [ls, cat]`: the programs that may run, each within its profile",
                )


def allows_have_a_point(project: Project) -> Iterator[Diagnostic]:
    """An ask or deny without conditions decides every call of its tools: an allow beside it never does."""
    named = Named(project)
    for policy in project.all("policy").values():
        nodes = [node for node in rule_nodes(project, policy) if node.sound]
        stricter = [(node, tool) for node in nodes if node.effect != "allow" and _always(node) for tool in node.tools]
        by_tool: dict[str, set[int]] = {}
        for index, (_, tool) in enumerate(stricter):
            for name in named.of([str(tool.value)]):
                by_tool.setdefault(name, set()).add(index)
        for tool in (tool for node in nodes if node.effect == "allow" for tool in node.tools):
            covering = [by_tool.get(name, set()) for name in named.of([str(tool.value)])]
            found = set.intersection(*covering) if covering else set()
            if found:
                yield _pointless(tool, *stricter[min(found)])


def _always(node: RuleNode) -> bool:
    built = policies.rule(node)
    return built.when == Condition() and built.unless is None


def _pointless(tool: Scalar, other: RuleNode, match: Scalar) -> Diagnostic:
    return error(
        "rule-pointless",
        tool.span,
        f"`allow: {tool.value}` never decides: `{other.effect}: {match.value}` on line {match.span.line} "
        "has no conditions, and the stricter rule wins",
        "give that rule conditions or an `except`, or remove one of the two",
        [see(match.span, f"`{other.effect}` without conditions")],
    )
