"""What is understood means to bash what it means here: random edits of allowed commands, argument for argument."""

from __future__ import annotations

import random
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw.messages import CommandLine
from openclaw.permissions import grammar, profiles
from openclaw.permissions.policy import Refusal
from permissions import bash_oracle

needs_bash = pytest.mark.skipif(bash_oracle.BASH is None, reason="bash is not installed")
PIECES = [*" \t'\"\\;|&<>()$`~#=!*?[]{}^%@+,:.-_/\r\n", "&&", "||", "2>&1", " >/dev/null", "é", "\u00a0", "1", "a",
          " X=1 ", "''", '""', "\\ ", "$'", "{a,b}", "~/", "\x7f", " ;", "; "]  # fmt: skip
BATCH = 2000


def seeds() -> list[str]:
    commands = [command for entry in profiles.read().values() for command in entry["tests"]["allow"]]
    joined = [
        f"{one} | {other} && {one}; {other} 2>/dev/null || {one}"
        for one, other in zip(commands, commands[7:], strict=False)
    ]
    return [*commands, *joined[::3]]


def mutated(command: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(command) + 1)
        match chance.randrange(4):
            case 0:
                command = command[:place] + chance.choice(PIECES) + command[place:]
            case 1:
                command = command[:place] + command[place + 1 :]
            case 2:
                command = command[:place] + chance.choice(PIECES) + command[place + 1 :]
            case _:
                other = chance.randrange(len(command) + 1)
                command = command[: max(place, other)] + command[min(place, other) :]
    return command[:400]


def accepted(count: int, seed: int) -> Iterator[tuple[str, CommandLine]]:
    """Of so many mutations those that are understood; one that names a program by a path would really be started."""
    chance = random.Random(seed)
    found = seeds()
    for _ in range(count):
        text = mutated(chance.choice(found), chance)
        command = grammar.parse(text)
        if isinstance(command, Refusal) or any("/" in step.argv[0] for step in command.steps):
            continue
        yield text, command


def differences(commands: list[tuple[str, CommandLine]], folder: Path) -> list[str]:
    texts = [text for text, _ in commands]
    wrong = []
    for status in (0, 1):
        made = bash_oracle.programs(texts, folder, status=status)
        wrong += [
            f"{text!r}: bash {dict(theirs)}, here {dict(ours)}"
            for (text, command), theirs in zip(commands, made, strict=True)
            if theirs != (ours := bash_oracle.expected(command, status=status))
        ]
    return wrong


@needs_bash
def test_edited_commands_mean_to_bash_what_they_mean_here(tmp_path: Path) -> None:
    commands = list(accepted(250, seed=1))
    assert len(commands) > 60
    assert differences(commands, tmp_path) == []


@needs_bash
@pytest.mark.slow
def test_a_hundred_thousand_edits_mean_to_bash_what_they_mean_here(tmp_path: Path) -> None:
    commands = list(accepted(100_000, seed=2))
    assert len(commands) > 10_000
    for start in range(0, len(commands), BATCH):
        assert differences(commands[start : start + BATCH], tmp_path) == []


@needs_bash
def test_the_oracle_sees_differences(tmp_path: Path) -> None:
    """What a careless reader would take for plain words."""
    careless = ["echo a*b $HOME", "echo {a,b}", "echo a\\ b", "X=1 echo a", "echo $'a'", "ls # b"]
    (tmp_path / "axb").touch()
    commands = []
    for text in careless:
        words = tuple(shlex.split(text.replace("\\", "")))
        commands.append((text, CommandLine((grammar.Step(words, ""),))))
    assert len(differences(commands, tmp_path)) == 2 * len(careless)


def test_what_is_understood_reads_to_shlex_as_it_reads_here() -> None:
    """A second opinion where there is no bash; an operator in quotes is the one thing shlex cannot tell."""
    for text, command in accepted(400, seed=3):
        joined = [word for step in command.steps for word in step.argv]
        if any(set(word) & set(";|&<>") for word in joined):
            continue
        reader = shlex.shlex(text, posix=True, punctuation_chars=";|&<>")
        reader.whitespace_split, reader.commenters = True, ""
        words = [word for word in reader if not word or word.strip(";|&<>")]
        plain = text.replace("2>&1", "").replace("2>/dev/null", "").replace(">/dev/null", "")
        if plain == text:
            assert words == joined, text
