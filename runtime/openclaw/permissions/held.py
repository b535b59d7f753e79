"""What a command needs of the sandbox before it may run unasked, and what the sandbox is told to hold it to.

Its law: without asking runs only what would do no harm if a judgement above were wrong, as far as this machine can
see to it. Vetted commands read, so they need no walls, unless they read what only walls can hide. Whatever was not
vetted, and git, which runs what its repository names, needs all of them. Knows no rules' words and no mechanism.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from openclaw.messages import CommandLine, Confinement, Step
from openclaw.permissions import paths, profiles
from openclaw.permissions.facts import Facts, Walls
from openclaw.permissions.policy import Attempt, Policy

# They tell of the machine, of which there is nothing to see from inside.
_LOOK_AROUND = frozenset(
    {"df", "free", "last", "lsblk", "lscpu", "pgrep", "ps", "uptime", "users", "vmstat", "w", "who"}
)  # fmt: skip
_MOST_SHOWN = 64
_WORD = re.compile(r"[^\s'\"()<>|;&$`]+")


def objection(
    step: Step, policy: Policy, walls: Walls, *, vetted: bool, confined: bool, network: bool, below: bool
) -> str | None:
    """Why this step may not run unasked on this machine; None where it may.

    `vetted`: its profile holds it. `confined`: so do its paths. `below`: it reads all that lies in its folders.
    """
    name = step.argv[0]
    if _is_git(step):
        return _for_git(policy, walls)
    if policy.sandbox == "off":
        return None
    if policy.sandbox == "required" and not walls.works:
        return "the policy requires a sandbox, and none works here; `openclaw doctor` says why"
    if vetted and confined:
        if below and not walls.masks:
            return f"`{name}` would read what is protected in the workspace too, and {_lacking(walls)}"
        return None
    if not walls.masks or not (walls.network or network):
        return f"`{name}` is not held to reading by a vetted profile, and {_lacking(walls)}"
    return None


def _for_git(policy: Policy, walls: Walls) -> str | None:
    if policy.sandbox == "off":
        return "git runs programs that the repository names, and the policy has switched the sandbox off"
    return None if walls.whole else f"git runs programs that the repository names, and {_lacking(walls)}"


def _lacking(walls: Walls) -> str:
    if not walls.works:
        return "no sandbox works here"
    able = ((walls.masks, "hide single files"), (walls.network, "cut off every network"))
    missing = " or ".join(words for has, words in able if not has)
    return f"the sandbox here ({walls.mechanism}) cannot {missing}"


def _is_git(step: Step) -> bool:
    known = profiles.profile(step.argv[0].rsplit("/", 1)[-1])
    return known is not None and known.repository


def confinement(
    command: CommandLine,
    attempt: Attempt,
    policy: Policy,
    facts: Facts,
    *,
    cwd: Path,
    asked: bool,
    network: bool,
    vetted: Iterable[Step],
) -> Confinement:
    """What holds the command while it runs. `asked`: it runs only if a person agrees, and then may write."""
    walls = facts.walls()
    return Confinement(
        mechanism="none" if policy.sandbox == "off" else walls.mechanism,
        workspace=facts.resolve(".", attempt.workspace) or attempt.workspace,
        writable=asked,
        network=network,
        hidden=tuple(found for root in attempt.protected if (found := facts.resolve(".", root)) is not None),
        shown=_shown(command, attempt, facts, cwd) if asked else (),
        repository=any(map(_is_git, command.steps)),
        around=tuple(step for step in vetted if step.argv[0] in _LOOK_AROUND) if policy.sandbox == "auto" else (),
    )


def _shown(command: CommandLine, attempt: Attempt, facts: Facts, cwd: Path) -> tuple[Path, ...]:
    """What a command names outside the workspace, or among what is protected: whoever agrees to it has read that."""
    workspace = facts.resolve(".", attempt.workspace) or attempt.workspace
    found: dict[Path, None] = {}
    for word in dict.fromkeys(_words(command)):
        for text in {word, word.partition("=")[2]}:
            path = facts.resolve(text, cwd) if _may_be_path(text) else None
            if path is None or len(found) >= _MOST_SHOWN:
                continue
            guarded = paths.protected(path, workspace, attempt.protected) is not None
            if guarded or not paths.within(path, workspace):
                found[path] = None
    return tuple(found)


def _may_be_path(text: str) -> bool:
    return bool(text) and text[0] != "-" and "\0" not in text and len(text) < 4096 and "://" not in text


def _words(command: CommandLine) -> Iterable[str]:
    for step in command.steps:
        yield from step.argv[1:]
        if len(step.argv) == 3 and step.argv[1] == "-c":
            yield from _WORD.findall(step.argv[2])
