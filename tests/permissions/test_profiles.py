"""Profiles: the data is well-formed, says by tests of its own what it lets through, and leaves the dangerous out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import strategies as st

from openclaw.messages import ToolSpec
from openclaw.permissions import paths, profiles, programs
from openclaw.permissions.decide import Attempt, Condition, Effect, Policy, Rule, decide
from openclaw.permissions.facts import Assumed
from permissions.laws import tried

VETTED = Path(profiles.__file__).with_name("vetted")
SCHEMA = json.loads((VETTED / "profile.schema.json").read_text())
READ = profiles.read()
RUN = ToolSpec("run_command", "", {"properties": {}}, "shell", judged={"command": "command"})
WORKSPACE = Path("/ws")


def written(file: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return content


def vet(command: str) -> tuple[str, ...] | str:
    argv = shlex.split(command)
    found = profiles.profile(argv[0])
    assert found is not None
    return found.vet(argv)


def lets_through(name: str, command: str) -> bool:
    """Whether a profile vets a command, every path of it inside and unprotected, in a repository that is trusted."""
    found = profiles.profile(name)
    assert found is not None
    vetted = found.vet(shlex.split(command), repository=True)
    if isinstance(vetted, str):
        return False
    return all(inside(Assumed().resolve(path, WORKSPACE)) for path in vetted)


def inside(path: Path | None) -> bool:
    return path is not None and paths.within(path, WORKSPACE) and paths.protected(path, WORKSPACE, []) is None


def single(of: profiles.Profile) -> Iterator[profiles.Profile]:
    """A profile and those of its subcommands."""
    yield of
    for inner in of.subcommands.values():
        yield from single(inner)


PROGRAMS = [found for name in sorted(profiles.names()) if (found := profiles.profile(name)) is not None]
EVERY = [each for found in PROGRAMS for each in single(found)]
PLAIN = [each for each in EVERY if not each.repository]


def test_a_profile_that_is_read_alone_is_the_same_as_among_all() -> None:
    assert profiles.names() == frozenset(READ)
    for name, entry in READ.items():
        assert profiles.profile(name) == profiles._compiled(name, entry)
    assert [profiles.profile(name) for name in ("", ".whole", "rm", "ls:")] == [None] * 4


@pytest.mark.parametrize("file", sorted(VETTED.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_data_keeps_to_its_schema(file: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(written(file))] == []


@pytest.mark.parametrize(
    "entry",
    [
        {"operands": [], "tests": {"allow": ["x"], "ask": ["x y"]}, "writes": True},
        {"operands": ["file"], "tests": {"allow": ["x"], "ask": ["x y"]}},
        {"operands": []},
        {"operands": [], "tests": {"allow": ["x"], "ask": []}},
        {"operands": [], "tests": {"ask": ["x"]}},
        {"tests": {"allow": ["x"], "ask": ["x y"]}},
        {"operands": [], "flags": "a b", "tests": {"allow": ["x"], "ask": ["x y"]}},
        {"operands": [], "values": {"ab": "text"}, "tests": {"allow": ["x"], "ask": ["x y"]}},
    ],
)
def test_the_schema_finds_mistakes(entry: Mapping[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid({"x": entry})


def test_the_data_can_be_read_without_the_fast_loader() -> None:
    git = VETTED / "git.yaml"
    assert yaml.load(git.read_bytes(), Loader=yaml.SafeLoader) == written(git)


def test_no_program_is_written_twice() -> None:
    names = [name for file in VETTED.glob("*.yaml") for name in written(file) if not name.startswith(".")]
    assert sorted(names) == sorted(profiles.names())


def test_there_are_at_least_eighty_programs() -> None:
    assert len(profiles.names()) >= 80


def test_no_flag_is_told_in_two_ways() -> None:
    for found in EVERY:
        assert not found.flags & set(found.values), f"{found.name}: with a value or without"
        assert not found.long & set(found.long_values), found.name
        given = found.flags | found.long | set(found.values) | set(found.long_values)
        assert found.drops_first | found.requires | (found.descends - {"*"}) <= given, found.name
        kinds = [*found.values.values(), *found.long_values.values(), *found.operands, *sum(found.words.values(), ())]
        assert all(re.compile(kind[1:]) for kind in kinds if kind.startswith("=")), found.name


def test_every_entry_keeps_what_its_own_tests_say() -> None:
    tests = {name: entry["tests"] for name, entry in READ.items()}
    allow = [command for name in tests for command in tests[name]["allow"] if not lets_through(name, command)]
    ask = [command for name in tests for command in tests[name].get("ask", []) if lets_through(name, command)]
    assert (allow, ask) == ([], [])


def test_a_program_with_a_repository_is_vetted_only_where_it_is_trusted() -> None:
    git = profiles.profile("git")
    assert git is not None and git.repository
    for command in READ["git"]["tests"]["allow"]:
        assert isinstance(git.vet(shlex.split(command)), str)
        assert not isinstance(git.vet(shlex.split(command), repository=True), str)
    assert [found.name for found in PROGRAMS if found.repository] == ["git"]


@pytest.mark.parametrize(
    ("command", "below"),
    [
        ("grep -rn x .", True), ("grep x a", False), ("grep --recursive x", True), ("grep -d recurse x .", True),
        ("rg x", True), ("diff -r a b", True), ("diff a b", True), ("cat a", False), ("find . -name x", False),
        ("ls -R", False), ("md5sum a", False), ("md5sum -c a", True), ("sha256sum --check a", True),
        ("cksum -bc a", True), ("git log -p", False), ("ps aux", False),
    ],
)  # fmt: skip
def test_reading_whole_folders_is_known(command: str, below: bool) -> None:
    argv = shlex.split(command)
    found = profiles.profile(argv[0])
    assert found is not None and found.reads_below(argv) is below


def test_no_profile_is_of_a_program_that_runs_others() -> None:
    """Save for three, whose entries leave out all by which they would."""
    assert {name for name in profiles.names() if programs.kind(name)} == {"find", "git", "sed"}


@pytest.mark.parametrize("letter", sorted({found.name[0] for found in PLAIN}))
def test_unknown_flags_and_abbreviations_are_outside(letter: str) -> None:
    for found in PLAIN:
        if found.name.startswith(letter):
            no_unknown_flag(found)


def no_unknown_flag(found: profiles.Profile) -> None:
    name = found.name
    if found.anything:
        assert found.vet((name, "--whatever", "-x", "/etc/passwd")) == ()
        return
    assert isinstance(found.vet((name, "--nosuchflag")), str)
    assert isinstance(found.vet((name, "--nosuchflag=/etc/passwd")), str)
    for flag in found.long:
        if found.operands or not found.requires:
            assert found.vet((name, f"--{flag}")) == ()
        assert isinstance(found.vet((name, f"--{flag}=x")), str) or flag in found.long_values
    for flag in (*found.long, *found.long_values):
        short = flag[:-1]
        if short and short not in found.long and short not in found.long_values:
            assert isinstance(found.vet((name, f"--{short}=5")), str)


FIRST = {"sed": "1p", "git config": "user.name"}


@pytest.mark.parametrize("letter", sorted({found.name[0] for found in PLAIN}))
def test_every_path_comes_back_to_be_judged(letter: str) -> None:
    for found in PLAIN:
        if found.name.startswith(letter):
            every_path_comes_back(found)


def every_path_comes_back(found: profiles.Profile) -> None:
    name = found.name
    given = [f"-{flag}" if len(flag) == 1 else f"--{flag}" for flag in sorted(found.requires)[:1]]
    for index, kind in enumerate(found.operands):
        if kind in ("path", "object"):
            argv = (name, *given, *[FIRST.get(name, "x")] * index, "/etc/shadow")
            vetted = found.vet(argv)
            assert not isinstance(vetted, str) and "/etc/shadow" in vetted
    for flag, kind in found.values.items():
        if kind in ("path", "object"):
            assert "/etc/shadow" in found.vet((name, f"-{flag}/etc/shadow"))
            if f"-{flag}" not in found.optional:
                assert "/etc/shadow" in found.vet((name, f"-{flag}", "/etc/shadow"))
    for flag, kind in found.long_values.items():
        if kind in ("path", "object"):
            assert "/etc/shadow" in found.vet((name, f"--{flag}=/etc/shadow"))
            if f"--{flag}" not in found.optional:
                assert "/etc/shadow" in found.vet((name, f"--{flag}", "/etc/shadow"))
    for word, kinds in found.words.items():
        if kinds == ("path",):
            assert "/etc/shadow" in found.vet((name, word, "/etc/shadow"))


@pytest.mark.parametrize("text", ["HEAD:.env", ":0:.env", "a:b:.env"])
def test_the_path_in_an_object_is_judged_too(text: str) -> None:
    git = profiles.profile("git")
    assert git is not None
    assert ".env" in git.vet(("git", "show", text), repository=True)


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("ls -la --color=auto src tests", ("src", "tests")),
        ("cat -n a -", ("a",)),
        ("cat -- -n", ("-n",)),
        ("head -5 a", ("a",)),
        ("head -n5 a", ("a",)),
        ("head -n 5 a", ("a",)),
        ("tail -n +5 a", ("a",)),
        ("grep -rn --include=*.py 'import os' src", ("src",)),
        ("grep -e x -e y a b", ("a", "b")),
        ("grep -f patterns a", ("patterns", "a")),
        ("grep --context 3 x a", ("a",)),
        ("rg --files src", ("src",)),
        ("find . -name '*.py' -not -path '*/x/*' -print0", (".",)),
        ("find src tests -type f -maxdepth 2 -newer a", ("a", "src", "tests")),
        ("sort -t, -k2,2nr a", ("a",)),
        ("uniq -c a", ("a",)),
        ("cut -d : -f 1,3", ()),
        ("tr a-z A-Z", ()),
        ("date +%F", ()),
        ("date -u -d @0 +%s", ()),
        ("du -sh -d 2 src", ("src",)),
        ("df -h .", (".",)),
        ("ps aux", ()),
        ("ps -ef", ()),
        ("id -un", ()),
        ("hostname", ()),
        ("printf '%s\\n' x", ()),
        ("stat -c '%a %n' a", ("a",)),
        ("file -b a", ("a",)),
        ("tree -L 2 -P '*.py' src", ("src",)),
        ("comm -12 a -", ("a",)),
        ("diff -ru a b", ("a", "b")),
        ("cmp a b 10 20", ("a", "b")),
        ("md5sum -c sums", ("sums",)),
        ("jq -r '.items[0].env' a", ("a",)),
        ("jq --arg a b '.x == $a' f", ("f",)),
        ("seq 10 -2 1", ()),
        ("sleep 5", ()),
        ("test -f a", ("a",)),
        ("xxd -l 32 a", ("a",)),
        ("ls --help", ()),
        ("which -a ls", ()),
    ],
)
def test_everyday_arguments_are_vetted(command: str, paths: tuple[str, ...]) -> None:
    assert vet(command) == paths


def test_a_lone_subcommand_in_a_rule_covers_what_its_profile_vets() -> None:
    def effect(entry: str, command: str) -> Effect:
        policy = Policy("p", (Rule(Effect.ALLOW, ("run_command",), Condition(commands=(entry,))),))
        attempt = Attempt(RUN, {"command": command}, "main", "repl:local", workspace=WORKSPACE)
        return decide(attempt, policy, Assumed()).effect

    assert effect("git", "git log") is Effect.ASK  # no repository is trusted here
    assert effect("ls", "ls -la src") is Effect.ALLOW
    assert effect("ls", "ls -la /etc") is Effect.ASK


def test_a_value_after_an_operand_is_judged_as_a_path_too() -> None:
    # Where arguments are not reordered, `-e` and its value would be two more files.
    assert "/etc/shadow" in vet("grep x -e /etc/shadow")


@tried(st.sampled_from(sorted(profiles.names())), st.lists(st.text(max_size=8), max_size=5))
def test_vetting_never_raises_and_never_loses_an_operand(name: str, arguments: list[str]) -> None:
    found = profiles.profile(name)
    assert found is not None
    vetted = found.vet((name, *arguments))
    if not isinstance(vetted, str) and set(found.operands) == {"path"}:
        plain = [a for a in arguments if not a.startswith("-") and a not in found.words]
        assert len(vetted) >= len(plain) - len([a for a in arguments if a.startswith("-")])


def test_a_line_is_judged_whole_and_blanks_in_arguments_are_none_between_them() -> None:
    ps = profiles.profile("ps")
    assert ps is not None
    assert ps.vet(("ps", "-p", "5")) == () == ps.vet(("ps",))
    for arguments in (("-p 5",), ("-p", "5", ""), ("",), ("", "-p", "5"), ("aux\n",), ("aux ",)):
        assert isinstance(ps.vet(("ps", *arguments)), str), arguments


def test_names_are_exact() -> None:
    assert profiles.profile("LS") is None
    assert profiles.profile("/bin/ls") is None
    assert profiles.profile("ls ") is None
    assert profiles.profile("bash") is None
    assert profiles.profile(".limits") is None
