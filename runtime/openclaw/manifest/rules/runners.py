"""Rules about permissions for programs that run others, where nobody would notice: build tools and package runners
with `**`, and templates that hand a shell or an interpreter what the model writes.

Bare shells, interpreters and wrappers are errors of the patterns themselves. Told here are warnings; `unsafe: true`
says that it is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Final, TypeAlias

from openclaw.manifest.diagnostic import Diagnostic, see, warning
from openclaw.manifest.nodes import MapNode, Scalar
from openclaw.manifest.policies import RuleNode, all_rules
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.rules.idle import refused
from openclaw.permissions import patterns, profiles, programs
from openclaw.permissions.policy import Effect
from openclaw.permissions.template import Placeholder, Shape, Template

_Word: TypeAlias = Sequence["str | Placeholder"]

_RUN: Final = frozenset({"run", "exec", "dlx", "x", "tool", "run-script", "shell", "develop"})
"""Subcommands after which a launcher runs what it is told."""

_CODE: Final[Mapping[str, re.Pattern[str]]] = {
    **dict.fromkeys(programs.SHELLS, re.compile(r"-[a-zA-Z]*c|--command|-Command|-EncodedCommand")),
    **dict.fromkeys(("python", "pypy", "ipython"), re.compile(r"-[a-zA-Z]*c|-m")),
    **dict.fromkeys(("node", "nodejs", "bun", "deno"), re.compile(r"-e|-p|-pe|--eval|--print|eval")),
    **dict.fromkeys(("perl", "ruby", "lua", "luajit", "Rscript", "groovy", "julia", "elixir"), re.compile(r"-\w*[eE]")),
    "php": re.compile(r"-r"),
}
"""After these words an interpreter takes code."""

_TASKS: Final = frozenset({
    "make", "gmake", "npm", "pnpm", "yarn", "uv", "cargo", "go", "just", "task", "rake", "mvn", "gradle", "bazel",
    "mix", "dotnet", "bundle", "sbt", "lein",
})  # fmt: skip
"""Launchers whose first operand is often the name of a task."""

_SCRIPTED: Final = frozenset({"awk", "gawk", "mawk", "nawk", "sed"})  # their first operand is a program
_WRAPPED: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        ("env", "nohup", "setsid", "nice", "sudo", "doas", "watch", "time", "eval", "command", "exec", "xargs", "npx",
         "uvx", "stdbuf", "busybox", "strace", "unshare", "source", "."),
        0,
    ),
    "timeout": 1,
    "ssh": 1,
    "chroot": 1,
}  # fmt: skip
"""Wrappers, and how many operands stand before the program that they run."""


def launchers_are_held(project: Project) -> Iterator[Diagnostic]:
    for rule in all_rules(project):
        if rule.effect != "allow" or rule.node.value("unsafe") is True:
            continue
        for entry in rule.node.texts("commands"):
            words = str(entry.value).split()
            if patterns.check_pattern(str(entry.value), unsafe=False, effect=Effect.ALLOW) is not None:
                continue
            if _launches_anything(words):
                yield _anything(entry, words)
            elif patterns.never_carries(str(entry.value)):
                yield _never(entry, words)


def _launches_anything(words: Sequence[str]) -> bool:
    wide = words[-1] == "**" or (words[-1] == "*" and words[0] in _TASKS)
    if len(words) < 2 or not wide or programs.kind(words[0]) != "launcher":
        return False
    return profiles.profile(words[0]) is None and all(word in _RUN for word in words[1:-1])


def _anything(entry: Scalar, words: Sequence[str]) -> Diagnostic:
    begun = " ".join(words[:-1])
    example = f"name what it may run, for example `{begun} test`" if words[0] in _TASKS else "name the whole command"
    return warning(
        "rule-interpreter",
        entry.span,
        f"`{begun}` runs what it is told, so `{words[-1]}` lets the model run anything with it",
        f"{example}, or say `unsafe: true`",
    )


def _never(entry: Scalar, words: Sequence[str]) -> Diagnostic:
    return warning(
        "rule-interpreter",
        entry.span,
        f"`{words[0]}` can run anything, so an entry with `*` never decides: a rule must spell out its arguments",
        "name the whole command, describe it as a tool of its own, or say `unsafe: true`",
    )


def programs_are_found(project: Project) -> Iterator[Diagnostic]:
    """An allow trusts no program that is sought from the current folder, whatever its arguments."""
    for rule in all_rules(project):
        for entry in rule.node.texts("commands") if rule.effect == "allow" else ():
            program = next(iter(str(entry.value).split()), "")
            if "/" in program and not program.startswith("/") and not refused(rule):
                yield warning(
                    "rule-contradiction",
                    entry.span,
                    f"`{program}` is sought from the current folder, where anything may lie, so it never decides",
                    "write an absolute path, or describe the command as a tool of its own",
                )


# ── templates ────────────────────────────────────────────────────────────────────────────────────


def templates_run_what_they_name(project: Project) -> Iterator[Diagnostic]:
    """An allow of a tool whose command line is the model's to write, in part."""
    for rule in all_rules(project):
        if rule.effect != "allow" or not rule.sound or rule.node.value("unsafe") is True:
            continue
        for named in rule.tools:
            yield from _of(project, rule, named)


def _of(project: Project, rule: RuleNode, named: Scalar) -> Iterator[Diagnostic]:
    for name in _meant(project, str(named.value)):
        template = project.templates[name]
        if not isinstance(template, Template):
            continue
        tool = project.all("tool")[name]
        for shape in template.shapes:
            hole = _free(tool, rule, shape)
            if hole is not None:
                yield _written(tool, named, shape, hole)
                break


def _meant(project: Project, named: str) -> list[str]:
    if named in project.templates:
        return [named]
    return [name for name in project.templates if fnmatchcase(name, named)] if any(c in named for c in "*?[") else []


def _free(tool: Definition, rule: RuleNode, shape: Shape) -> Placeholder | None:
    """The placeholder that a program takes for code or for a program, if nothing holds it to known values."""
    inputs = {declared.name: declared for declared in tool.entries("input")}
    conditions = rule.node.get("input")
    for hole in _run(shape):
        declared = inputs.get(hole.name)
        held = declared is None or any(key in declared.node.entries for key in ("enum", "pattern"))
        typed = declared is not None and declared.value("type") in ("integer", "number", "boolean")
        judged = isinstance(conditions, MapNode) and hole.name in conditions.entries
        if not (held or typed or judged):
            return hole
    return None


def _run(shape: Shape) -> Iterator[Placeholder]:
    """The placeholders of a step that are run."""
    program = "".join(part for part in shape.words[0] if isinstance(part, str))
    name, words = programs.plain_name(program), shape.words[1:]
    code = _CODE.get(name)
    if code is not None:
        for before, word in pairwise(words):
            if code.fullmatch(_text(before)):
                yield from _holes(word)
                return
    if code is not None or name in _SCRIPTED or name in _WRAPPED:
        yield from _leading(_operand(words, _WRAPPED.get(name, 0)))


def _operand(words: Sequence[_Word], index: int) -> _Word:
    """The operand that is run, where it can be told: after a flag nobody knows whose value a word is."""
    for before, word in zip(("", *map(_text, words)), words, strict=False):
        text = _text(word)
        if text.startswith("-"):
            continue
        if before.startswith("-") and before != "--":
            return ("",)
        if index == 0:
            return word
        index -= 1
    return ("",)


def _text(word: _Word) -> str:
    return word[0] if isinstance(word[0], str) else ""


def _holes(word: _Word) -> Iterator[Placeholder]:
    return (part for part in word if isinstance(part, Placeholder))


def _leading(word: _Word) -> Iterator[Placeholder]:
    """A word that begins with what the model writes: it names the program, or is it."""
    if isinstance(word[0], Placeholder):
        yield word[0]


def _written(tool: Definition, named: Scalar, shape: Shape, hole: Placeholder) -> Diagnostic:
    program = "".join(part for part in shape.words[0] if isinstance(part, str))
    return warning(
        "rule-interpreter",
        named.span,
        f"`{tool.name}` hands `{program}` whatever the model writes as `{hole.name}`, so it may run anything unasked",
        f"ask before it runs, hold `{hole.name}` to known values with `enum` or `pattern`, or say `unsafe: true`",
        [see(tool.node.key("shell"), "the command")],
    )
