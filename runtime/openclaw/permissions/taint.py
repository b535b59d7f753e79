"""Whose words a call has brought: those of strangers, where it can have read what they sent or wrote.

Its law: in doubt it has. What strangers sent lies in `incoming/`, what their pages said in outputs that were put
aside; what was said in other conversations lies in the state folder. A vetted command is known by what it reads, and
whatever searches a folder reads all below it; any other command may have read all that there is, and whatever a
network that nothing keeps it off has to say.
Looks at the disk only for whether there is any such material. Knows no transcript.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from openclaw.names import INCOMING
from openclaw.output import SPILL
from openclaw.permissions import paths, profiles
from openclaw.permissions.conditions import host_of
from openclaw.permissions.policy import Attempt, Decision
from openclaw.words import CommandLine

_KEPT = frozenset({INCOMING, SPILL[0]})
# Programs that look at a folder: what they tell of what lies below it only with these flags, or always.
_LOOKS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("stat", "test", "df", "realpath", "readlink", "basename", "dirname"), ()),
    "ls": ("R", "--recursive"),
    "du": ("a", "--all"),
}
_WALKS = frozenset({"find", "tree"})
_LEAKY = frozenset({"none", "landlock"})  # mechanisms that keep a program off no network, or only off some of it


def strangers(attempt: Attempt, decision: Decision) -> str:
    """Whose words the result of this call holds; "" where they are nobody's but the person's own."""
    spec = attempt.tool
    if spec.untrusted:
        urls = (attempt.input.get(name) for name, kind in spec.judged.items() if kind == "url")
        return " ".join([spec.name, *(host for host in map(host_of, urls) if host)])
    if decision.command is None:
        return f"{spec.name} of kept material" if _by_call(attempt, decision) else ""
    found = (
        ("kept material", _by_command(attempt, decision)),
        ("what came over a network", _by_network(decision.command, decision)),
    )
    brought = " and ".join(what for what, came in found if came)
    return f"{spec.name} of {brought}" if brought else ""


def _by_call(attempt: Attempt, decision: Decision) -> bool:
    named = [Path(path) for path in decision.details.get("paths", ())]
    if any(_is_kept(path, attempt) for path in [*named, *_spelt(attempt, attempt.input.values())]):
        return True
    one_level = attempt.tool.kind == "files" and not attempt.input.get("pattern")
    return not one_level and any(_is_above(path, attempt) for path in named)


def _by_command(attempt: Attempt, decision: Decision) -> bool:
    """`reads` of the decision: for each step what it opens, and whether it reads below; None where nobody knows."""
    command, details = decision.command, decision.details
    assert command is not None
    cwd = Path(details.get("cwd", attempt.workspace))
    reads = _reads(command, decision)
    return _is_kept(cwd, attempt) or any(
        _by_step(step.argv, read, cwd, attempt, template=bool(details.get("template")))
        for step, read in zip(command.steps, reads, strict=True)
    )


def _by_network(command: CommandLine, decision: Decision) -> bool:
    """Programs that their profiles hold read files and nothing else; git runs what a repository names."""
    confinement = command.confinement
    if confinement is None:
        return False
    # Whoever wrote a template knows what it reads; a network that a rule opens to it is there to be used.
    leaky = confinement.mechanism in _LEAKY and not decision.details.get("template")
    return (confinement.network or leaky) and any(
        read is None or _follows_a_repository(step.argv[0])
        for step, read in zip(command.steps, _reads(command, decision), strict=True)
    )


def _reads(command: CommandLine, decision: Decision) -> Sequence[tuple[tuple[Path, ...], bool] | None]:
    return decision.details.get("reads") or [None] * len(command.steps)


def _by_step(
    argv: tuple[str, ...], read: tuple[tuple[Path, ...], bool] | None, cwd: Path, attempt: Attempt, *, template: bool
) -> bool:
    if read is None:
        # Whoever wrote a template knows what it reads, and says `untrusted` where strangers wrote that.
        named = [*_spelt(attempt, argv[1:], cwd), *([] if template else [_real(attempt.workspace)])]
        return any(_is_kept(path, attempt) or _is_above(path, attempt) for path in named)
    opened, below = read
    if any(_is_kept(path, attempt) for path in opened):
        return True
    flags = _LOOKS.get(argv[0])
    if flags is not None and not any(_has(word, flags) for word in argv[1:]):
        return False
    # Without a folder among them, what searches folders searches the one it runs in.
    below = below or flags is not None or argv[0] in _WALKS or _follows_a_repository(argv[0])
    searched = [*opened, *([cwd] if below and not any(map(os.path.isdir, opened)) else [])]
    return any(_is_above(path, attempt) for path in searched)


def _has(word: str, flags: tuple[str, ...]) -> bool:
    return word in flags or (word[:1] == "-" and word[1:2] != "-" and any(flag in word for flag in flags))


def _follows_a_repository(program: str) -> bool:
    known = profiles.profile(program)
    return known is not None and known.repository


# ── where it lies ────────────────────────────────────────────────────────────────────────────────


def _is_kept(path: Path, attempt: Attempt) -> bool:
    """Whether this is strangers' material, by where it lies; also where there is nothing yet."""
    workspace = _real(attempt.workspace)
    if _within(path, workspace):
        return bool(_KEPT & {part.casefold() for part in path.parts[len(workspace.parts) :]})
    guarded = any(_within(path, _real(root)) for root in attempt.protected)
    return guarded or bool(_KEPT & {part.casefold() for part in path.parts})


def _is_above(path: Path, attempt: Attempt) -> bool:
    """Whether strangers' material lies below this folder."""
    workspace = _real(attempt.workspace)
    if any(_within(workspace / name, path) and _is_any(workspace / name) for name in _KEPT):
        return True
    return not _within(path, workspace) and any(_within(_real(root), path) for root in attempt.protected)


def _is_any(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _within(path: Path, root: Path) -> bool:
    """Also in letters of another case, which some disks take for the same."""
    return paths.within(Path(str(path).casefold()), Path(str(root).casefold()))


def _spelt(attempt: Attempt, values: Iterable[Any], cwd: Path | None = None) -> Iterator[Path]:
    """What may be a path in these texts, alone or after `=` or a flag's letter, where it leads."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _spelt(attempt, value, cwd)
        elif isinstance(value, str) and value and len(value) < 4096 and "\0" not in value and "\n" not in value:
            for text in {value, value.partition("=")[2], value[2:] if value[0] == "-" else ""} - {""}:
                yield _real(Path(cwd or attempt.workspace, text))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
