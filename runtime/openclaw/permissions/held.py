"""What a command needs of the sandbox before it may run unasked, and what the sandbox is told to hold it to.

Its law: without asking runs only what would do no harm if a judgement above were wrong, as far as this machine can
see to it. Vetted commands read, so they need no walls, unless they read what only walls can hide. Whatever was not
vetted, and git, which runs what its repository names, needs all of them. Knows no rules' words and no mechanism.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from openclaw.permissions import paths, patterns, profiles
from openclaw.permissions.facts import Facts, Walls
from openclaw.permissions.policy import Attempt, Effect, Policy, Rule
from openclaw.permissions.template import Template
from openclaw.words import CommandLine, Confinement, Step

# They tell of the machine, of which there is nothing to see from inside.
_LOOK_AROUND = frozenset(
    {"df", "free", "last", "lsblk", "lscpu", "pgrep", "ps", "uptime", "users", "vmstat", "w", "who"}
)  # fmt: skip
_MOST_SHOWN = 64
# Subcommands of git that write its configuration: always, or with one of these words.
_CONFIGURES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("init", "submodule", "worktree", "sparse-checkout"), frozenset()),
    "remote": frozenset({"add", "remove", "rm", "rename", "set-url", "set-head", "set-branches"}),
    "checkout": frozenset({"-b", "-B", "-t", "--track"}),
    "switch": frozenset({"-c", "-C", "-t", "--create", "--force-create", "--track"}),
    "push": frozenset({"-u", "--set-upstream"}),
    "pull": frozenset({"--set-upstream"}),
    "fetch": frozenset({"--set-upstream"}),
}
# Subcommands that put files into the working tree, among which are some that programs obey.
_CHECKS_OUT = frozenset(
    {
        "am", "apply", "checkout", "cherry-pick", "clone", "merge", "mv", "pull", "rebase", "reset", "restore",
        "revert", "rm", "stash", "submodule", "switch",
    }
)  # fmt: skip
_LISTS = re.compile(r"-[arvl]+|--(all|remotes|list|verbose|get.*|show-.*|name-only|null|global|system|local)|list|get")
_HARMLESS = frozenset({"--no-pager", "-P", "--no-optional-locks", "--literal-pathspecs"})  # before the subcommand
_WORD = re.compile(r"[^\s'\"()<>|;&$`]+")


def objection(
    step: Step,
    attempt: Attempt,
    policy: Policy,
    facts: Facts,
    *,
    vetted: bool,
    confined: bool,
    network: bool,
    below: bool,
) -> str | None:
    """Why this step may not run unasked on this machine; None where it may.

    `vetted`: its profile holds it. `confined`: so do its paths. `below`: it reads all that lies in its folders.
    """
    name = step.argv[0]
    if policy.sandbox == "off":
        switched = "and the policy has switched the sandbox off"
        if _is_git(step):
            return f"git runs programs that the repository names, {switched}"
        reads = vetted and confined and below
        return f"`{name}` would read what is protected in the workspace too, {switched}" if reads else None
    walls = facts.walls()  # which have to be tried out first: not for a policy that wants none
    if _is_git(step):
        return _needing(walls.whole, "git runs programs that the repository names", attempt, facts)
    if policy.sandbox == "required" and not walls.works:
        return "the policy requires a sandbox, and none works here; `openclaw doctor` says why"
    if vetted and confined and not below:
        return None
    if vetted and confined:
        return _needing(walls.masks, f"`{name}` would read what is protected in the workspace too", attempt, facts)
    held = walls.masks and (walls.network or network)
    return _needing(held, f"`{name}` is not held to reading by a vetted profile", attempt, facts)


def _needing(given: bool, why: str, attempt: Attempt, facts: Facts) -> str | None:
    """What is missing where something needs masks, and perhaps more of the walls."""
    missed = _lacking(facts.walls()) if not given else facts.unsearched(*_place(attempt, facts))
    return f"{why}, and {missed}" if missed else None


def _place(attempt: Attempt, facts: Facts) -> tuple[Path, tuple[Path, ...]]:
    """The workspace, and what is hidden of it whatever it is called."""
    roots = tuple(found for root in attempt.protected if (found := facts.resolve(".", root)) is not None)
    return facts.resolve(".", attempt.workspace) or attempt.workspace, roots


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
    rules: Sequence[Rule],
    vetted: Collection[Step],
    below: bool,
) -> Confinement:
    """What holds the command while it runs. `asked`: it runs only if a person agrees, and then may write. `rules`:
    those that speak of it. `vetted`: the steps that their profiles hold; `below`: one reads all in its folders."""
    workspace, hidden = _place(attempt, facts)
    allowing = [rule for rule in rules if rule.effect is Effect.ALLOW]
    if asked:
        named = _named(_words(command), attempt, facts, cwd, workspace)
    else:
        named = _authored(command, attempt, allowing, facts, cwd, workspace)
    return Confinement(
        mechanism="none" if policy.sandbox == "off" else facts.walls().mechanism,
        workspace=workspace,
        writable=asked or attempt.tool.options.get("writes") is True or any(rule.writes for rule in allowing),
        network=any(rule.network for rule in rules if rule.effect is not Effect.DENY),
        hidden=hidden,
        shown=tuple(islice(dict.fromkeys(named), _MOST_SHOWN)),
        repository=any(map(_is_git, command.steps)),
        around=tuple(step for step in vetted if step.argv[0] in _LOOK_AROUND) if policy.sandbox == "auto" else (),
        opened=_opened(command, vetted) if asked else (),
        settings=asked and _only_git(command, vetted) and any(map(_checks_out, command.steps)),
        lenient=asked or (not below and all(step in vetted and not _is_git(step) for step in command.steps)),
    )


def _opened(command: CommandLine, vetted: Collection[Step]) -> tuple[str, ...]:
    """What of the repository git has to change for what a person is asked about, where nothing else could use it."""
    if not _only_git(command, vetted):
        return ()
    return tuple(dict.fromkeys(name for step in command.steps if _is_git(step) for name in _configured(step.argv)))


def _only_git(command: CommandLine, vetted: Collection[Step]) -> bool:
    """Whether whatever else runs beside git is held by its profile."""
    return all(_is_git(step) or step in vetted for step in command.steps)


def _configured(argv: Sequence[str]) -> tuple[str, ...]:
    word, rest = _subcommand(argv)
    if word in ("config", "branch"):
        changes = bool(rest) and not any(map(_LISTS.fullmatch, rest)) and (word == "branch" or len(rest) > 1)
        return ("config", "config.worktree") if changes else ()
    options = _CONFIGURES.get(word)
    if options is None or (options and not options.intersection(rest)):
        return ()
    return ("config", "config.worktree", *(("modules",) if word == "submodule" else ()))


def _checks_out(step: Step) -> bool:
    return _is_git(step) and _subcommand(step.argv)[0] in _CHECKS_OUT


def _subcommand(argv: Sequence[str]) -> tuple[str, list[str]]:
    """What git is to do, and with what; "" where it is not git by its bare name, or is told more than where to do it,
    such as what else to run."""
    words = iter(argv[1:] if argv[0] == "git" else ())
    for word in words:
        if word == "-C":
            next(words, None)
        elif not word.startswith("-"):
            return word, [*words]
        elif word not in _HARMLESS:
            break
    return "", []


def _authored(
    command: CommandLine, attempt: Attempt, allowing: Sequence[Rule], facts: Facts, cwd: Path, workspace: Path
) -> Iterator[Path]:
    """The paths that stand in the manifest as they are, so that its author, a person, has named them. Where a link in
    the workspace leads was named by nobody: it may have come with a repository."""
    for word in _literals(command, attempt, allowing):
        path = facts.resolve(word, cwd) if _may_be_path(word) else None
        if path is None:
            continue
        lexical = Path(os.path.normpath(cwd / word))
        outside = word.startswith("/") and ".." not in word and not paths.within(lexical, workspace)
        guarded = path == lexical and paths.protected(path, workspace, attempt.protected) is not None
        if guarded or (outside and not paths.within(path, workspace)):
            yield path


def _literals(command: CommandLine, attempt: Attempt, allowing: Sequence[Rule]) -> Iterator[str]:
    template = attempt.tool.options.get("template")
    if isinstance(template, Template):
        for shape in template.shapes:
            yield from (word[0] for word in shape.words[1:] if len(word) == 1 and isinstance(word[0], str))
        return
    for step in command.steps:
        for entry in (entry for rule in allowing for entry in patterns.naming(rule.when.commands or (), step.argv[0])):
            yield from (word for word, said in zip(step.argv[1:], entry.split()[1:], strict=False) if word == said)


def _named(words: Iterable[str], attempt: Attempt, facts: Facts, cwd: Path, workspace: Path) -> Iterator[Path]:
    """What is named outside the workspace, or among what is protected: whoever agrees to it has read that."""
    for word in dict.fromkeys(words):
        for text in (word, word.partition("=")[2]) if "=" in word else (word,):
            path = facts.resolve(text, cwd) if _may_be_path(text) else None
            if path is None:
                continue
            if not paths.within(path, workspace) or paths.protected(path, workspace, attempt.protected) is not None:
                yield path


def _may_be_path(text: str) -> bool:
    return bool(text) and text[0] != "-" and "\0" not in text and len(text) < 4096 and "://" not in text


def _words(command: CommandLine) -> Iterable[str]:
    for step in command.steps:
        yield from step.argv[1:]
        if len(step.argv) == 3 and step.argv[1] == "-c":
            yield from _WORD.findall(step.argv[2])
