"""What an answer is bound to: everything that was judged, as components that can be compared one by one.

Its law: two bindings are equal only if running now would do what the person was shown. Programs and
scripts count by content, folders by identity, secrets only as hashes. Looks at the disk; asks nobody.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from openclaw.permissions import programs
from openclaw.permissions.policy import Attempt, Decision
from openclaw.permissions.template import Template
from openclaw.words import CommandLine, Step

_LARGEST_SCRIPT = 16 * 2**20  # bytes; a larger file is bound by its size and times
_MOST_LED = 1000  # arguments of one call that are followed

_CHANGED = {
    "agent": "it was given to another agent",
    "session": "it was given in another session",
    "tool": "the tool is another one now",
    "input": "the arguments are others now",
    "command": "the command is another one now",
    "paths": "a path leads somewhere else now",
    "programs": "a program was exchanged",
    "scripts": "a script was changed",
    "cwd": "the folder is another one now",
    "environment": "the environment is another one now",
    "policy": "the policy was changed",
    "walls": "what holds it while it runs is something else now",
}


@dataclass(frozen=True, slots=True)
class Binding:
    """`parts` by name, each in a form that compares; `digest` covers all of them."""

    parts: Mapping[str, str]
    digest: str

    def difference(self, other: Binding) -> str | None:
        """In words, the first thing that is not as it was."""
        if self.digest == other.digest:
            return None
        return next(words for name, words in _CHANGED.items() if self.parts.get(name) != other.parts.get(name))


def bind(attempt: Attempt, decision: Decision, session: str) -> Binding:
    steps = decision.command.steps if decision.command is not None else ()
    cwd = str(decision.details.get("cwd", attempt.workspace))
    parts = {
        "agent": attempt.agent,
        "session": session,
        "tool": _canonical([attempt.tool.name, attempt.tool.kind, _made_of(attempt)]),
        "input": _canonical(attempt.input),
        "command": _canonical(vectors(decision.command)),
        "paths": _canonical([decision.details.get("paths", ()), *_led_to(steps, cwd)]),
        "programs": _canonical([_program(step) for step in steps]),
        "scripts": _canonical(list(_scripts(steps, cwd))),
        "cwd": _canonical([cwd, _identity(cwd)]),
        "environment": _hash(attempt.tool.options.get("env", {})),
        "policy": str(decision.details.get("policy", "")),
        "walls": repr(decision.command.confinement if decision.command is not None else None),
    }
    return Binding(parts, _hash(parts))


def standing(attempt: Attempt, decision: Decision) -> str:
    """What a remembered answer is bound to: agent, tool, exact input, exact argv, folder, and where all that is named
    leads; not the programs' content."""
    cwd = str(decision.details.get("cwd", attempt.workspace))
    named = [attempt.agent, attempt.tool.name, attempt.tool.kind, _made_of(attempt), attempt.input]
    steps = decision.command.steps if decision.command is not None else ()
    return _hash([*named, vectors(decision.command), decision.details.get("paths", ()), cwd, *_led_to(steps, cwd)])


def vectors(command: CommandLine | None) -> list[list[Any]]:
    """The steps as plain lists: wiring, program, argv."""
    steps = command.steps if command is not None else ()
    return [[step.after, step.stdout, step.stderr, step.program, list(step.argv)] for step in steps]


def _made_of(attempt: Attempt) -> str:
    """What stands behind the tool's name in the manifests, as a hash: it may hold secrets."""
    template = attempt.tool.options.get("template")
    if isinstance(template, Template):
        return template.text
    return _hash({key: repr(value) for key, value in attempt.tool.options.items() if key in ("reference", "with")})


def _program(step: Step) -> list[Any]:
    if not step.program:
        return [step.argv[0], None]
    return [step.program, _identity(step.program), _content(step.program)]


def _scripts(steps: Iterable[Step], cwd: str) -> Iterable[list[Any]]:
    """Files that a shell, an interpreter or a wrapper is told to run."""
    for step in steps:
        if programs.kind(step.argv[0]) is None:
            continue
        for argument in step.argv[1:]:
            place = Path(cwd, argument) if "\0" not in argument and len(argument) < 4096 else None
            if place is not None and os.path.isfile(place):  # noqa: PTH113 - False, not an error, for odd names
                real = os.path.realpath(place)
                yield [argument, real, _content(real)]


def _led_to(steps: Iterable[Step], cwd: str) -> Iterable[list[str]]:
    """Where links lead what the arguments may name, alone or after `=`; nothing where no link is in the way."""
    words = {part for step in steps for word in step.argv[1:] for part in (word, word.partition("=")[2])}
    named = sorted(word for word in words if word and len(word) < 4096 and "\0" not in word)
    for word in named[:_MOST_LED]:
        path = os.path.join(cwd, word)  # noqa: PTH118 - `..` must stay for the links before it
        real = os.path.realpath(path)
        if real != os.path.normpath(path):
            yield [word, real]


def _identity(path: str) -> list[int] | None:
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(status.st_mode):
        return [status.st_dev, status.st_ino]
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]


def _content(path: str) -> str | None:
    try:
        status = Path(path).stat()
        return _file_hash(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    except OSError:
        return None


@lru_cache(maxsize=256)
def _file_hash(path: str, *status: int) -> str:
    """By content, read once for each state of the file that `stat` can tell apart."""
    if status[2] > _LARGEST_SCRIPT:
        return f"large:{status}"
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _hash(value: Any) -> str:
    return hashlib.sha256(_canonical(value).encode("utf-8", "surrogatepass")).hexdigest()
