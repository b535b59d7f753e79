"""The parts of the decision put together by hand, so that one can be left out and the attacks be seen to get through.

`WHOLE` reads by the strict grammar and vets by profiles and paths, as the product does (a test holds it to that). The
others lack one part each: they are what the attack suite must be able to tell from the real thing.
"""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from openclaw.permissions import grammar, paths, profiles
from openclaw.permissions.facts import Assumed
from openclaw.permissions.policy import Refusal

Argv: TypeAlias = tuple[str, ...]
WORKSPACE = Path("/ws")
EVASIONS = Path(__file__).parent.parent / "evasions"


@dataclass(frozen=True, slots=True)
class Judge:
    read: Callable[[str], Sequence[Argv] | None]
    vets: Callable[[Argv], bool]

    def allows(self, command: str, allowed: Collection[str]) -> bool:
        steps = self.read(command)
        return bool(steps) and all(bool(argv) and argv[0] in allowed and self.vets(argv) for argv in steps or ())


def strictly(command: str) -> Sequence[Argv] | None:
    parsed = grammar.parse(command)
    return None if isinstance(parsed, Refusal) else [step.argv for step in parsed.steps]


def loosely(command: str) -> Sequence[Argv] | None:
    """What many assistants did: split where operators stand, and take each part for its words."""
    reader = shlex.shlex(command, posix=True, punctuation_chars=";|&")
    reader.whitespace_split = True
    steps: list[Argv] = [()]
    try:
        for word in reader:
            if word and not word.strip(";|&"):
                steps.append(())
            else:
                steps[-1] = (*steps[-1], word)
    except ValueError:
        return None
    return [argv for argv in steps if argv]


def within_profile(argv: Argv) -> bool:
    known = profiles.profile(argv[0])
    vetted = known.vet(argv, repository=True) if known is not None else "no profile"
    if isinstance(vetted, str):
        return False
    return all(_inside(Assumed().resolve(path, WORKSPACE)) for path in vetted)


def _inside(path: Path | None) -> bool:
    return path is not None and paths.within(path, WORKSPACE) and paths.protected(path, WORKSPACE, []) is None


WHOLE = Judge(strictly, within_profile)
WITHOUT_GRAMMAR = replace(WHOLE, read=loosely)
WITHOUT_PROFILES = replace(WHOLE, vets=lambda argv: True)


@lru_cache(maxsize=4)
def _read(name: str) -> Any:
    return yaml.load((EVASIONS / name).read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def advisories() -> list[dict[str, Any]]:
    """The rows of published advisories that are about commands."""
    rows: list[dict[str, Any]] = _read("advisories.yaml")
    return rows


def name(row: dict[str, Any]) -> str:
    return f"{row['row']:02}-{row['id']}-{row['product'].replace(' ', '-')}"


def families(larger: int | None = None) -> dict[str, list[str]]:
    """Of the larger set at most so many of each family, always the same ones; all where nothing is said."""
    found: dict[str, list[str]] = {name: list(commands) for name, commands in _read("families.yaml").items()}
    for name, commands in _read("larger.yaml").items():
        few = commands if larger is None else random.Random(name).sample(commands, min(larger, len(commands)))
        found[name] = [*found.get(name, ()), *few]
    return found


def unmasked() -> list[str]:
    """What reads more than it names."""
    rows: list[str] = _read("unmasked.yaml")
    return rows


def attacks(larger: int | None = None) -> Iterator[tuple[str, frozenset[str]]]:
    """Every command of both, with the programs that are allowed meanwhile."""
    for row in advisories():
        yield from ((command, frozenset(row["allow"])) for command in row["commands"])
    for commands in families(larger).values():
        yield from ((command, profiles.names()) for command in commands)
