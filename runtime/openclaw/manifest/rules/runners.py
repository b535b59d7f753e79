"""Rules about permissions for programs that run others, where nobody would notice: build tools and package runners
with `**`, and templates that hand a shell or an interpreter what the model writes.

Bare shells, interpreters and wrappers are errors of the patterns themselves. Told here are warnings; `unsafe: true`
says that it is meant.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
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

_CODE: Final[Mapping[str, str]] = {
    **dict.fromkeys(programs.SHELLS, r"-[a-zA-Z]*c|--command|-Command|-EncodedCommand"),
    **dict.fromkeys(("python", "pypy", "ipython"), r"-[a-zA-Z]*c|-m"),
    **dict.fromkeys(("node", "nodejs", "bun", "deno"), r"-e|-p|-pe|--eval|--print|eval"),
    **dict.fromkeys(("perl", "ruby", "lua", "luajit", "Rscript", "groovy", "julia", "elixir"), r"-\w*[eE]"),
    "php": r"-r",
}
"""After these words an interpreter takes code."""

_TASKS: Final = frozenset({
    "make", "gmake", "npm", "pnpm", "yarn", "uv", "cargo", "go", "just", "task", "rake", "mvn", "gradle", "bazel",
    "mix", "dotnet", "bundle", "sbt", "lein",
})  # fmt: skip
"""Launchers whose first operand is often the name of a task."""

_CODE_OF: Final[Mapping[str, str]] = {
    "git": r"-c|--config-env|--exec-path|--upload-pack|--receive-pack",
    "tar": r"--to-command|--checkpoint-action|-I|--use-compress-program|--rsh-command|--rmt-command",
    "rsync": r"-e|--rsh|--rsync-path",
    **dict.fromkeys(("vim", "vi", "nvim", "view"), r"-c|--cmd|\+"),
    **dict.fromkeys(("find", "fd", "fdfind"), r"-exec|-execdir|-ok|-okdir|-x|-X|--exec|--exec-batch"),
    **dict.fromkeys(("psql", "mysql", "mariadb"), r"-c|--command|-e|--execute"),
}
"""After these words programs that mostly do their own work run what they are given."""

_SCRIPTED: Final = frozenset({"awk", "gawk", "mawk", "nawk", "sed"})  # their first operand is a program
_SCRIPT: Final = r"-e|--expression|-f|--file"
_VALUED: Final = frozenset({"-I", "-u", "-k", "-s", "-i", "-l"})  # options of wrappers with a value that is no number
_TAKING: Final = frozenset({"-F", "-v", "-l"})  # their options with a value
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
        for index, shape in enumerate(template.shapes):
            hole = _free(tool, rule, handed(template, index))
            if hole is not None:
                yield _written(tool, named, shape, hole)
                break


def _meant(project: Project, named: str) -> list[str]:
    if named in project.templates:
        return [named]
    return [name for name in project.templates if fnmatchcase(name, named)] if any(c in named for c in "*?[") else []


def _free(tool: Definition, rule: RuleNode, holes: Sequence[Placeholder]) -> Placeholder | None:
    """The placeholder that a program takes for code or for a program, if nothing holds it to known values."""
    inputs = {declared.name: declared for declared in tool.entries("input")}
    conditions = rule.node.get("input")
    for hole in holes:
        declared = inputs.get(hole.name)
        held = declared is None or any(key in declared.node.entries for key in ("enum", "pattern"))
        typed = declared is not None and declared.value("type") in ("integer", "number", "boolean")
        judged = isinstance(conditions, MapNode) and hole.name in conditions.entries
        if not (held or typed or judged):
            return hole
    return None


def handed(template: Template, index: int) -> list[Placeholder]:
    """The placeholders that a step of a template runs: in its words, or written into it."""
    shape = template.shapes[index]
    piped = _piped(template.shapes[index - 1], shape) if shape.after == "|" else ()
    return [*_run(shape.words), *piped]


def _run(words: Sequence[_Word]) -> Iterator[Placeholder]:
    """The placeholders of a command that are run."""
    name, rest = programs.plain_name(_program(words)), words[1:]
    if name in _CODE_OF:
        yield from _flagged(_options(rest, ("-c", "-C")) if name == "git" else rest, _CODE_OF[name]) or ()
    elif name == "sqlite3":
        yield from (hole for word in rest[1:] for hole in _holes(word))
    elif name in _SCRIPTED:
        yield from _scripted(rest)
    elif name in ("docker", "podman", "nerdctl", "kubectl"):
        if rest and _text(rest[0]) in ("run", "exec"):
            yield from _wrapped(rest[1:], 1)
    elif name in _WRAPPED:
        yield from _wrapped(rest, _WRAPPED[name], remote=name == "ssh")
    elif programs.kind(name) in ("shell", "interpreter"):
        yield from _interpreted(rest, _CODE.get(name, "(?!)"))
    elif name in _TASKS:
        yield from _task(name, rest)


def _program(words: Sequence[_Word]) -> str:
    return "".join(part for part in words[0] if isinstance(part, str)) if words else ""


def _interpreted(words: Sequence[_Word], code: str) -> Iterator[Placeholder]:
    """What follows the flag for code, or is part of it; else the script. What follows a script is its own."""
    if (found := _flagged(_options(words), code)) is not None:
        yield from found
        return
    script = next((word for word in words if not _text(word).startswith("-")), ("",))
    yield from _leading(script)


def _options(words: Sequence[_Word], taking: Collection[str] | None = None) -> Sequence[_Word]:
    """What stands before the first operand; where nobody says which options take a value, any may."""
    before = ""
    for index, word in enumerate(words):
        value = before in taking if taking is not None else before.startswith("-")
        if not _text(word).startswith("-") and not value:
            return words[:index]
        before = _text(word)
    return words


def _flagged(words: Sequence[_Word], code: str) -> list[Placeholder] | None:
    """The placeholders in what such a flag is given, apart or joined to it; None where there is no such flag."""
    for index, word in enumerate(words):
        text = _text(word)
        if re.fullmatch(code, text.removesuffix("=")) and len(word) == 1:
            given = [each for each in words[index + 1 :] if _text(each) != "--"]
            return list(_holes(given[0])) if given else []
        if len(word) > 1 and re.fullmatch(code, text.removesuffix("=")):
            return list(_holes(word))
    return None


def _scripted(words: Sequence[_Word]) -> Iterator[Placeholder]:
    given = _flagged(words, _SCRIPT)
    if given is not None:
        yield from given
        return
    before = ""
    for word in words:
        text = _text(word)
        if not text.startswith("-") and before not in _TAKING:
            yield from _holes(word)
            return
        before = text


def _wrapped(words: Sequence[_Word], skipped: int, *, remote: bool = False) -> Iterator[Placeholder]:
    """What stands where the program does, or what that program runs. A number after a flag is the flag's."""
    before = ""
    for index, word in enumerate(words):
        text, last = _text(word), before
        before = text
        valued = last in _VALUED or (last.startswith("-") and re.fullmatch(r"\d+[smhd]?", text))
        if text.startswith("-") or "=" in text or valued:
            continue
        if skipped:
            skipped -= 1
        elif remote:
            yield from (hole for each in words[index:] for hole in _holes(each))
            return
        else:
            yield from _leading(word) if isinstance(word[0], Placeholder) else _run(words[index:])
            return


def _task(name: str, words: Sequence[_Word]) -> Iterator[Placeholder]:
    """What names the task, or the program after `run`."""
    operands = [word for word in words if not _text(word).startswith("-")]
    begun = len(operands)
    while operands and _text(operands[0]) in _RUN and name not in ("cargo", "go"):
        operands = operands[1:]
    if operands and (len(operands) < begun or name in ("make", "gmake", "just", "task", "rake")):
        yield from _leading(operands[0])


def _piped(before: Shape, shape: Shape) -> Iterator[Placeholder]:
    """What is written into a program that runs what it reads."""
    name = programs.plain_name(_program(shape.words))
    reads = programs.kind(name) in ("shell", "interpreter") and name not in _SCRIPTED and name != "bc"
    flags = [_text(word) for word in shape.words[1:]]
    code = _CODE.get(name)
    if reads and all(text.startswith("-") for text in flags) and not any(code and re.fullmatch(code, t) for t in flags):
        yield from (hole for word in before.words for hole in _holes(word))


def _text(word: _Word) -> str:
    return word[0] if isinstance(word[0], str) else ""


def _holes(word: _Word) -> Iterator[Placeholder]:
    return (part for part in word if isinstance(part, Placeholder))


def _leading(word: _Word) -> Iterator[Placeholder]:
    """A word that begins with what the model writes: it names the program, or is it."""
    if isinstance(word[0], Placeholder):
        yield word[0]


def _written(tool: Definition, named: Scalar, shape: Shape, hole: Placeholder) -> Diagnostic:
    program = _program(shape.words)
    return warning(
        "rule-interpreter",
        named.span,
        f"`{tool.name}` hands `{program}` whatever the model writes as `{hole.name}`, so it may run anything unasked",
        f"ask before it runs, hold `{hole.name}` to known values with `enum` or `pattern`, or say `unsafe: true`",
        [see(tool.node.key("shell"), "the command")],
    )
