"""Profiles: the data is well-formed, and each program's dangerous arguments are outside of it."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.permissions import profiles, programs

KEYS = {
    "flags": str,
    "values": dict,
    "long": list,
    "long_values": dict,
    "words": dict,
    "operands": list,
    "drops_first": list,
    "numbers": bool,
    "dashes": bool,
    "anything": bool,
    "never": str,
    "asks": str,
    "subcommands": list,
}


def vet(command: str) -> tuple[str, ...] | str:
    argv = shlex.split(command)
    found = profiles.profile(argv[0])
    assert found is not None
    return found.vet(argv)


def kind_is_known(kind: object) -> bool:
    if not isinstance(kind, str):
        return False
    if kind.startswith("="):
        re.compile(kind[1:])
        return True
    return kind in ("text", "path", "number")


@pytest.mark.parametrize("name", sorted(profiles.read()))
def test_the_data_is_well_formed(name: str) -> None:
    entry = profiles.read()[name]
    assert isinstance(name, str)
    assert set(entry) <= set(KEYS), f"unknown keys in {name}"
    assert all(isinstance(value, KEYS[key]) for key, value in entry.items())
    for key in ("values", "long_values"):
        assert all(isinstance(flag, str) and kind_is_known(kind) for flag, kind in entry.get(key, {}).items())
    assert all(len(flag.rstrip("?")) == 1 for flag in entry.get("values", {}))
    assert not set(entry.get("flags", "")) & {flag[0] for flag in entry.get("values", {})}, "with a value or without"
    assert not set(entry.get("long", [])) & {flag.rstrip("?") for flag in entry.get("long_values", {})}
    assert all(isinstance(flag, str) and re.fullmatch(r"[a-z0-9][a-z0-9-]*", flag) for flag in entry.get("long", []))
    for kinds in entry.get("words", {}).values():
        assert all(kind_is_known(kind) for kind in kinds)
    operands = entry.get("operands", [])
    assert all(kind_is_known(kind.removesuffix("...")) for kind in operands)
    assert not any(kind.endswith("...") for kind in operands[:-1])
    assert entry.get("anything") or entry.get("asks") or "operands" in entry
    assert " " not in entry.get("flags", "")


def test_no_profile_is_of_a_program_that_runs_others() -> None:
    assert {name for name in profiles.names() if programs.kind(name)} == {"find", "git"}


@pytest.mark.parametrize("name", sorted(profiles.names() - {"git"}))
def test_unknown_flags_and_abbreviations_are_outside(name: str) -> None:
    found = profiles.profile(name)
    assert found is not None
    if found.anything:
        assert found.vet((name, "--whatever", "-x", "/etc/passwd")) == ()
        return
    assert isinstance(found.vet((name, "--nosuchflag")), str)
    assert isinstance(found.vet((name, "--nosuchflag=/etc/passwd")), str)
    for flag in found.long:
        assert found.vet((name, f"--{flag}")) == ()
        assert isinstance(found.vet((name, f"--{flag}=x")), str)
    for flag in (*found.long, *found.long_values):
        short = flag[:-1]
        if short and short not in found.long and short not in found.long_values:
            assert isinstance(found.vet((name, f"--{short}=5")), str)


@pytest.mark.parametrize("name", sorted(profiles.names() - {"git"}))
def test_every_path_comes_back_to_be_judged(name: str) -> None:
    found = profiles.profile(name)
    assert found is not None
    for index, kind in enumerate(found.operands):
        if kind == "path":
            argv = (name, *["x"] * index, "/etc/shadow")
            vetted = found.vet(argv)
            assert not isinstance(vetted, str) and "/etc/shadow" in vetted
    for flag, kind in found.values.items():
        if kind == "path":
            assert "/etc/shadow" in found.vet((name, f"-{flag}/etc/shadow"))
            assert "/etc/shadow" in found.vet((name, f"-{flag}", "/etc/shadow"))
    for flag, kind in found.long_values.items():
        if kind == "path":
            assert "/etc/shadow" in found.vet((name, f"--{flag}=/etc/shadow"))
            assert "/etc/shadow" in found.vet((name, f"--{flag}", "/etc/shadow"))
    for word, kinds in found.words.items():
        if kinds == ("path",):
            assert "/etc/shadow" in found.vet((name, word, "/etc/shadow"))


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


@pytest.mark.parametrize(
    "command",
    [
        "ls -L", "ls --dereference", "cat --squeeze", "head --lin=5 a", "head -5c a",
        "tail -f a", "tail -F a", "tail --follow a", "tail --pid=1 a", "tail --retry a",
        "wc --files0-from=list", "sort -o out a", "sort -oout a", "sort -ro out a", "sort --output=out a",
        "sort --compress-program=sh a", "sort --compress-prog=sh a", "sort -T /tmp a", "sort --files0-from=list",
        "sort --random-source=a b", "uniq a b", "shuf -o out a", "shuf --output=out a", "shuf --random-source=a b",
        "date -s now", "date --set=now", "date -f list", "date --file=list", "date 01010000", "date x",
        "hostname evil", "hostname -F name", "hostname -b", "hostname -f",
        "file -m magic a", "file -C", "file -f list", "file -z a", "file -L a", "file -S a",
        "tree -o out", "tree --fromfile", "tree -R", "tree -H .", "tree -l", "tree -Po a b", "tree -aPo a b",
        "du -X list", "du --exclude-from=list", "du --files0-from=list", "du -L", "df --sync",
        "grep -R x .", "grep --dereference-recursive x", "grep --exclude-from=list x", "grep --fil=list x", "grep -e",
        "rg --pre sh x", "rg --pre=sh x", "rg --hostname-bin=sh x", "rg -z x", "rg --search-zip x", "rg -L x",
        "rg --ignore-file=a x", "rg --follow x",
        "find . -exec id ;", "find . -execdir id ;", "find . -ok id ;", "find . -okdir id ;", "find . -delete",
        "find . -fprint f", "find . -fprint0 f", "find . -fprintf f x", "find . -fls f", "find -L .", "find . -follow",
        "find -files0-from list", "find -- . -delete", "find . -name", "find -D exec .", "find . -maxdepth x",
        "diff --from-file=a b", "diff --to-file=a b", "diff -l a b", "diff -X list a b", "diff a b c",
        "ps auxe", "ps e", "ps -o pid,environ", "ps eww", "pgrep -F file", "who /etc/x", "last -f file",
        "od --trad", "hexdump -f format a", "xxd a b", "xxd -r a", "xxd -ps /etc/shadow", "xxd -s /etc/shadow",
        "strings @list", "strings -T x a", "base64 a b", "comm a b c", "cmp a b c d e", "join a b c",
        "jq -f prog a", "jq --rawfile a b .", "jq --slurpfile a b .", "jq -L dir .", "jq env", "jq '$ENV.PATH'",
        "jq 'import \"a\" as b; .'", "jq 'include \"a\"; .'", "jq '.a | env.PATH'", "jq --from-file prog",
        "printf -v x y", "test -v x", "test -nt x", "test a -ef /etc/shadow", "sleep infinity", "sleep 5000",
        "seq a --x",
        "whereis -B /x -f ls", "lsblk --sysroot /x", "lscpu -s /x", "realpath --relative-to", "stat --cached",
        "git status", "git --version", "column -o x", "fold --wid=5", "cal --x", "free -z", "id --us",
    ],
)  # fmt: skip
def test_what_writes_runs_follows_or_waits_is_outside(command: str) -> None:
    assert isinstance(vet(command), str)


def test_a_value_after_an_operand_is_judged_as_a_path_too() -> None:
    # Where arguments are not reordered, `-e` and its value would be two more files.
    assert "/etc/shadow" in vet("grep x -e /etc/shadow")


@given(st.sampled_from(sorted(profiles.names())), st.lists(st.text(max_size=8), max_size=5))
def test_vetting_never_raises_and_never_loses_an_operand(name: str, arguments: list[str]) -> None:
    found = profiles.profile(name)
    assert found is not None
    vetted = found.vet((name, *arguments))
    if not isinstance(vetted, str) and set(found.operands) == {"path"}:
        plain = [a for a in arguments if not a.startswith("-") and a not in found.words]
        assert len(vetted) >= len(plain) - len([a for a in arguments if a.startswith("-")])


def test_names_are_exact() -> None:
    assert profiles.profile("LS") is None
    assert profiles.profile("/bin/ls") is None
    assert profiles.profile("ls ") is None
    assert profiles.profile("bash") is None
