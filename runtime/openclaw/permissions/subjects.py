"""What a call would touch, made out once: its command line, its paths, its hosts.

Its law: what cannot be made out clearly is a `Stop`, never a guess. Knows no rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclaw.errors import ToolError
from openclaw.permissions import conditions, grammar, paths
from openclaw.permissions.facts import Facts, Program
from openclaw.permissions.policy import Attempt, Effect, Refusal
from openclaw.permissions.template import Template
from openclaw.words import CommandLine, Judged, Step

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHELLS = ("bash", "sh")


@dataclass(frozen=True, slots=True)
class Stop:
    """A finding that needs no rule."""

    effect: Effect
    reason: str


@dataclass(frozen=True, slots=True)
class PathSubject:
    """A path the call names. `real` is where it leads; spellings are relative to the workspace where they can be."""

    text: str
    real: Path
    spellings: tuple[str, ...]  # where it leads first, then as written


@dataclass(frozen=True, slots=True)
class Subjects:
    cwd: Path
    command: CommandLine | None = None
    refusal: Refusal | None = None
    text: str = ""  # of the command, where there is one
    template: bool = False
    paths: tuple[PathSubject, ...] = ()
    hosts: tuple[str, ...] = ()
    stops: tuple[Stop, ...] = ()


def of(attempt: Attempt, facts: Facts) -> Subjects:
    """Everything the rules will look at."""
    workspace = facts.resolve(".", attempt.workspace)
    if workspace is None:
        return Subjects(attempt.workspace, stops=(Stop(Effect.DENY, "the workspace cannot be found on the disk"),))
    judged = frozenset(attempt.tool.judged.values())
    named, stops = _paths(attempt, workspace, facts) if "path" in judged else ([], [])
    hosts = []
    for name in _judged(attempt, "url") if "url" in judged else ():
        for value in _values(attempt.input, name):
            host = conditions.host_of(value)
            if host is None:
                stops.append(Stop(Effect.DENY, f"`{name}` is not an http or https address that may be fetched"))
            else:
                hosts.append(host)
    command, refusal, text = _command(attempt, stops)
    template = isinstance(attempt.tool.options.get("template"), Template)
    cwd = next((p.real for p in named), workspace) if text and not template else workspace
    return Subjects(cwd, command, refusal, text, template, tuple(named), tuple(hosts), tuple(stops))


def _judged(attempt: Attempt, kind: Judged) -> list[str]:
    return [name for name, judged in attempt.tool.judged.items() if judged == kind]


def _values(input: Mapping[str, Any], name: str) -> Iterable[Any]:
    value = input.get(name)
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _command(attempt: Attempt, stops: list[Stop]) -> tuple[CommandLine | None, Refusal | None, str]:
    """The literal command, or the refusal, with its text; both None for a tool that runs none."""
    template = attempt.tool.options.get("template")
    if isinstance(template, Template):
        try:
            return template.expand(attempt.input), None, template.text
        except ToolError as problem:
            stops.append(Stop(Effect.DENY, str(problem)))
            return None, None, template.text
    for name in _judged(attempt, "command"):
        text = attempt.input.get(name)
        if not isinstance(text, str) or not text.strip() or "\0" in text:
            stops.append(Stop(Effect.DENY, f"`{name}` is not a command"))
            return None, Refusal("empty", "there is no command"), text if isinstance(text, str) else ""
        parsed = grammar.parse(text)
        return (None, parsed, text) if isinstance(parsed, Refusal) else (parsed, None, text)
    return None, None, ""


# ── paths ────────────────────────────────────────────────────────────────────────────────────────


def _paths(attempt: Attempt, workspace: Path, facts: Facts) -> tuple[list[PathSubject], list[Stop]]:
    found: list[PathSubject] = []
    stops: list[Stop] = []
    for name in _judged(attempt, "path"):
        default = attempt.tool.input_schema.get("properties", {}).get(name, {}).get("default")
        values = list(_values(attempt.input, name)) or ([] if default is None else [default])
        for value in values:
            subject = path_subject(value, workspace, workspace, facts)
            if isinstance(subject, Stop):
                stops.append(subject)
                continue
            found.append(subject)
            stops.extend(_place(subject, workspace, attempt))
    if not found and not stops and "command" not in attempt.tool.judged.values():
        found.append(PathSubject(".", workspace, (".",)))  # a path left out means the workspace
    return found, stops


def path_subject(value: Any, workspace: Path, cwd: Path, facts: Facts) -> PathSubject | Stop:
    if not isinstance(value, str) or not value or _CONTROL.search(value):
        return Stop(Effect.DENY, "a path is empty or contains control characters")
    real = facts.resolve(value, cwd)
    if real is None:
        return Stop(Effect.DENY, f"`{value}` cannot be followed to its end")
    written = _lexical(Path(cwd, value))
    if written == real:
        return PathSubject(value, real, (_relative(real, workspace),))
    spellings = dict.fromkeys((_relative(real, workspace), _relative(written, workspace)))
    return PathSubject(value, real, tuple(spellings))


def _lexical(path: Path) -> Path:
    if ".." not in path.parts:
        return path
    kept: list[str] = []
    for part in path.parts:
        if part == "..":
            del kept[max(len(kept) - 1, 1) :]
        else:
            kept.append(part)
    return Path(*kept)


def _relative(path: Path, workspace: Path) -> str:
    if not paths.within(path, workspace):
        return str(path)
    return "/".join(path.parts[len(workspace.parts) :]) or "."


def _place(subject: PathSubject, workspace: Path, attempt: Attempt) -> Iterable[Stop]:
    """Where tools may not go at all, and where they may not go unasked."""
    if not paths.within(subject.real, workspace):
        yield Stop(Effect.DENY, f"`{subject.text}` lies outside the workspace")
        return
    guard = guarded(subject, workspace, attempt)
    if guard is not None:
        effect = Effect.DENY if attempt.tool.writes else Effect.ASK
        yield Stop(effect, f"`{subject.text}` is protected ({guard})")


def guarded(subject: PathSubject, workspace: Path, attempt: Attempt) -> str | None:
    """What protects a path, judged where it leads and as it is written."""
    guard = paths.protected(subject.real, workspace, attempt.protected)
    if guard is not None or len(subject.spellings) == 1:  # it is written as it leads
        return guard
    return paths.protected(Path(workspace, subject.spellings[-1]), workspace, attempt.protected)


# ── programs ─────────────────────────────────────────────────────────────────────────────────────


def resolved(step: Step, facts: Facts) -> tuple[Step, Program | None]:
    """The step with the file that will run; unchanged where it is not installed."""
    program = facts.find_program(step.argv[0])
    if program is None:
        return step, None
    return Step(step.argv, step.after, step.stdout, step.stderr, program.path), program


def through_shell(text: str, facts: Facts) -> CommandLine | None:
    """A text outside the grammar as the one thing that could run it: a shell, shown to the person as such."""
    for name in _SHELLS:
        program = facts.find_program(name)
        if program is not None and program.trusted:
            return CommandLine((Step((name, "-c", text), program=program.path),))
    return None
