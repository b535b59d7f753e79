"""Profiles: what each read-only program may be given without asking. The data is in the folder `vetted`.

Its law: an argument that is not listed is not vetted. Flags are exact, abbreviations are unknown, every
argument is a listed flag, a flag's value or an operand of a known kind; what a program would open comes
back as a path for others to judge. A program that runs what a repository's configuration names is vetted
only for a repository that somebody trusts. Knows no rules, no disk, no workspace and no trust.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeAlias

Kind: TypeAlias = str
"""text, path, number, object (of a repository: `REV`, a path, or `REV:path`), or `=REGEX` for the whole argument."""

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?[A-Za-z]{0,3}")
_EVERYWHERE = frozenset({"--help", "--version"})
_ENTRY = re.compile(r'^"?([^\s#:"]+)"?:', re.MULTILINE)
_STAGED = re.compile(r":[0-3]:")
_REPOSITORY = "runs programs that the repository's own configuration names, and nobody said that this one is trusted"


@dataclass(frozen=True, slots=True)
class Profile:
    """One program. Values that may be left out are in `optional`; see vetted/README.md for the meaning of each key."""

    name: str
    flags: frozenset[str]
    values: Mapping[str, Kind]
    long: frozenset[str]
    long_values: Mapping[str, Kind]
    optional: frozenset[str]
    words: Mapping[str, tuple[Kind, ...]]
    operands: tuple[Kind, ...]
    repeats: bool
    drops_first: frozenset[str]
    numbers: bool
    dashes: bool
    flags_first: bool
    anything: bool
    never: re.Pattern[str] | None
    line: re.Pattern[str] | None
    requires: frozenset[str]
    descends: frozenset[str]
    probes: bool
    repository: bool
    alone: bool
    subcommands: Mapping[str, Profile]

    @property
    def objection(self) -> str | None:
        """What stands against the program wherever it is started, until its repository is one that somebody trusts."""
        return f"{self.name} {_REPOSITORY}" if self.repository else None

    def vet(self, argv: Sequence[str], *, repository: bool = False) -> tuple[str, ...] | str:
        """The paths these arguments make the program read; or, as text, why they are not vetted.

        `repository`: the repository of the current folder is one that somebody trusts.
        """
        if self.objection is not None and not repository:
            return self.objection
        if self.anything:
            return ()
        if self.never is not None:
            for argument in argv[1:]:
                if self.never.search(argument):
                    return f"`{argument}` is not in the profile of {self.name}"
        if self.line is not None:
            return self._as_a_line(argv[1:])
        inner, rest = self._inner(argv)
        if inner is not None:
            return inner.vet(rest)
        if self.repository and list(argv[1:]) == ["--version"]:
            return ()
        if self.subcommands and not self.alone:
            return f"{self.name} is vetted only with the subcommands {', '.join(sorted(self.subcommands))}"
        return _Reading(self, argv).result()

    def _as_a_line(self, arguments: Sequence[str]) -> tuple[str, ...] | str:
        """Judged whole, where what one argument means depends on all others."""
        assert self.line is not None
        joined = " ".join(arguments)
        if all(argument and " " not in argument for argument in arguments) and self.line.fullmatch(joined):
            return ()
        return f"`{joined}` is not in the profile of {self.name}"

    def reads_below(self, argv: Sequence[str]) -> bool:
        """Whether vetted arguments make the program read more than they name, what is protected too: every file
        below its folders, or whatever a list names."""
        inner, rest = self._inner(argv)
        if inner is not None:
            return inner.reads_below(rest)
        if "*" in self.descends:
            return True
        if not self.descends:
            return False
        reading = _Reading(self, argv)
        reading.result()
        return bool(self.descends & reading.given)

    def _inner(self, argv: Sequence[str]) -> tuple[Profile | None, Sequence[str]]:
        """The subcommand's own profile and its arguments."""
        rest = argv[1:]
        if self.repository and rest and rest[0] == "--no-pager":
            rest = rest[1:]
        return (self.subcommands.get(rest[0]) if rest else None), rest


@dataclass(slots=True)
class _Reading:
    """One walk over the arguments of one program."""

    profile: Profile
    argv: Sequence[str]
    at: int = 1
    paths: list[str] = field(default_factory=list)
    operands: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)

    def result(self) -> tuple[str, ...] | str:
        literal = False
        while self.at < len(self.argv):
            argument = self.argv[self.at]
            self.at += 1
            if literal or (argument not in self.profile.words and (argument == "-" or argument[:1] != "-")):
                self.operands.append(argument)
                literal = literal or self.profile.flags_first
            elif argument == "--" and self.profile.dashes:
                literal = True
            elif not self._flag(argument):
                return f"`{argument}` is not in the profile of {self.profile.name}"
        return self._operands()

    def _flag(self, argument: str) -> bool:
        profile = self.profile
        if argument in profile.words:
            return all(self._next(kind) for kind in profile.words[argument])
        if argument in _EVERYWHERE and profile.probes:
            return True
        if argument.startswith("--"):
            return self._long(argument)
        if profile.numbers and argument[1:].isdigit() and argument.isascii():
            return True
        return self._cluster(argument[1:])

    def _long(self, argument: str) -> bool:
        name, equals, value = argument[2:].partition("=")
        self.given.add(name)
        kind = self.profile.long_values.get(name)
        if kind is None:
            return not equals and name in self.profile.long
        if equals:
            return self._value(kind, value)
        return f"--{name}" in self.profile.optional or self._next(kind)

    def _cluster(self, letters: str) -> bool:
        """`-lah`, `-n5`, `-n 5`: flags side by side, of which the last may take a value."""
        for index, letter in enumerate(letters):
            self.given.add(letter)
            kind = self.profile.values.get(letter)
            if kind is None:
                if letter not in self.profile.flags:
                    return False
                continue
            attached = letters[index + 1 :]
            if attached:
                return self._value(kind, attached)
            return f"-{letter}" in self.profile.optional or self._next(kind)
        return True

    def _next(self, kind: Kind) -> bool:
        """The value of a flag that stands in the next argument."""
        if self.at >= len(self.argv):
            return False
        value = self.argv[self.at]
        self.at += 1
        if self.operands and not self.profile.words:
            # A C library that does not reorder arguments takes this for one more operand.
            self.paths.append(value)
        return self._value(kind, value)

    def _value(self, kind: Kind, value: str) -> bool:
        if kind == "text":
            return True
        if kind == "path":
            if value != "-":
                self.paths.append(value)
            return True
        if kind == "object":
            return self._object(value)
        if kind == "number":
            return _NUMBER.fullmatch(value) is not None
        return re.fullmatch(kind[1:], value) is not None

    def _object(self, value: str) -> bool:
        """A revision or a path: both are judged as paths, and so is whatever follows a colon."""
        if value[:1] == ":" and _STAGED.match(value) is None:
            return False  # the many meanings of a leading colon
        self.paths.append(value)
        self.paths.extend(value[index + 1 :] for index, char in enumerate(value) if char == ":" and value[index + 1 :])
        return True

    def _operands(self) -> tuple[str, ...] | str:
        profile = self.profile
        missing = profile.requires and not profile.requires & self.given
        if missing and (self.operands or not profile.operands):
            return f"{profile.name} is vetted only with one of {', '.join(sorted(profile.requires))}"
        kinds = profile.operands
        if kinds and profile.drops_first & self.given:
            kinds = kinds[1:]
        for index, operand in enumerate(self.operands):
            if index < len(kinds):
                kind = kinds[index]
            elif kinds and profile.repeats:
                kind = kinds[-1]
            else:
                return f"{profile.name} is vetted for fewer arguments: `{operand}`"
            if not self._value(kind, operand):
                return f"`{operand}` is not in the profile of {profile.name}"
        return tuple(self.paths)


def profile(name: str) -> Profile | None:
    """The profile of a program by its bare name; None for one that has none."""
    return _profile(name) if name in _written() else None


def names() -> frozenset[str]:
    return frozenset(_written())


@cache  # only for names that are written down
def _profile(name: str) -> Profile:
    return _compiled(name, _written()[name].entry(name))


@dataclass(frozen=True, slots=True, eq=False)
class _File:
    """One file, cut into its entries: a policy that names three programs waits for no other profile to be read."""

    text: str
    entries: Mapping[str, str]

    def entry(self, name: str) -> Mapping[str, Any]:
        written = self._loaded(name)
        return _whole(written, {shared: self._loaded(shared) for shared in _likes(written)})

    def _loaded(self, name: str) -> Mapping[str, Any]:
        import yaml

        try:
            loaded: Mapping[str, Mapping[str, Any]] = yaml.load(self.entries[name], Loader=_loader())
        except yaml.YAMLError:  # it repeats by an alias what stands in another entry
            loaded = yaml.load(self.text, Loader=_loader())
        return loaded[name]


@lru_cache(maxsize=1)
def _written() -> Mapping[str, _File]:
    """By program the file that describes it."""
    files = [_cut(path.read_text("utf-8")) for path in _paths()]
    return {name: file for file in files for name in file.entries if not name.startswith(".")}


def _cut(text: str) -> _File:
    starts = [(found[1], found.start()) for found in _ENTRY.finditer(text)]
    ends = [start for _, start in starts[1:]] + [len(text)]
    return _File(text, {name: text[start:end] for (name, start), end in zip(starts, ends, strict=True)})


def _likes(entry: Mapping[str, Any]) -> Iterator[str]:
    """What an entry shares, its subcommands' included."""
    yield from entry.get("like", ())
    for inner in entry.get("subcommands", {}).values():
        yield from _likes(inner)


def read() -> Mapping[str, Mapping[str, Any]]:
    """The data as written, by program; what several entries share (`like`) is put into each."""
    import yaml

    entries: dict[str, Mapping[str, Any]] = {}
    for file in _paths():
        written: Mapping[str, Mapping[str, Any]] = yaml.load(file.read_bytes(), Loader=_loader())
        shared = {name: entry for name, entry in written.items() if name.startswith(".")}
        entries |= {name: _whole(entry, shared) for name, entry in written.items() if name not in shared}
    return entries


def _paths() -> list[Path]:
    return sorted(Path(__file__).with_name("vetted").glob("*.yaml"))


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _whole(entry: Mapping[str, Any], shared: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    whole = dict(entry)
    for name in whole.pop("like", ()):
        for key, more in shared[name].items():
            whole[key] = _joined(whole.get(key), more)
    if "subcommands" in whole:
        whole["subcommands"] = {name: _whole(inner, shared) for name, inner in whole["subcommands"].items()}
    return whole


def _joined(own: Any, more: Any) -> Any:
    if own is None:
        return more
    return {**more, **own} if isinstance(own, dict) else own + more


def _compiled(name: str, entry: Mapping[str, Any]) -> Profile:
    values: Mapping[str, Kind] = entry.get("values", {})
    long_values: Mapping[str, Kind] = entry.get("long_values", {})
    optional = {f"-{key[:-1]}" for key in values if key.endswith("?")}
    optional |= {f"--{key[:-1]}" for key in long_values if key.endswith("?")}
    operands: Sequence[Kind] = entry.get("operands", [])
    repeats = bool(operands) and operands[-1].endswith("...")
    return Profile(
        name=name,
        flags=frozenset(entry.get("flags", "")),
        values={key.rstrip("?"): kind for key, kind in values.items()},
        long=frozenset(entry.get("long", [])),
        long_values={key.rstrip("?"): kind for key, kind in long_values.items()},
        optional=frozenset(optional),
        words={key: tuple(kinds) for key, kinds in entry.get("words", {}).items()},
        operands=tuple(kind.removesuffix("...") for kind in operands),
        repeats=repeats,
        drops_first=frozenset(entry.get("drops_first", [])),
        numbers=entry.get("numbers", False),
        dashes=entry.get("dashes", "words" not in entry),
        flags_first=entry.get("flags_first", False),
        anything=entry.get("anything", False),
        never=re.compile(entry["never"]) if "never" in entry else None,
        line=re.compile(entry["line"], re.X) if "line" in entry else None,
        requires=frozenset(entry.get("requires", [])),
        descends=frozenset(entry.get("descends", [])),
        probes=entry.get("probes", True),
        repository=entry.get("repository", False),
        alone=entry.get("alone", False),
        subcommands={key: _compiled(f"{name} {key}", inner) for key, inner in entry.get("subcommands", {}).items()},
    )
