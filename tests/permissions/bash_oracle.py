"""What bash makes of command lines: the arguments of every program it would have started, and nothing started.

All builtins are off, PATH leads nowhere, and whatever is not found is taken for a program that ended with a given
status; the trace of the shell tells each program's arguments after every expansion. Lines that name a program by a path
are not given to it, since that is the one thing it would really start.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from openclaw.messages import CommandLine

Argv: TypeAlias = tuple[str, ...]
BASH = shutil.which("bash")
_PROLOGUE = """PATH=/nowhere
command_not_found_handle() {{ [[ {status} == 0 ]]; }}
PS4='+ '
exec 9>trace 2>/dev/null
BASH_XTRACEFD=9
enable -n $(compgen -b)
"""
_QUOTED = re.compile(r"\$'((?:[^'\\]|\\.)*)'|'([^']*)'|\\(.)|([^'\\])", re.S)


def programs(lines: Sequence[str], folder: Path, *, status: int) -> list[Counter[Argv]]:
    """For each line the programs that bash would start where all of them end with `status`."""
    assert BASH is not None
    script = "".join(f"[[ line{index} ]]\n{line}\n" for index, line in enumerate(lines))
    (folder / "script").write_text(_PROLOGUE.format(status=status) + script, encoding="utf-8")
    subprocess.run(
        [BASH, "--noprofile", "--norc", "-x", "script"],
        cwd=folder,
        env={"LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    return list(_traced((folder / "trace").read_text("utf-8", "surrogateescape"), len(lines)))


def _traced(trace: str, count: int) -> Iterator[Counter[Argv]]:
    found = [Counter[Argv]() for _ in range(count)]
    at = -1
    for line in trace.splitlines():
        marker = re.fullmatch(r"\++ \[\[ -n line(\d+) \]\]", line)
        if marker is not None:
            at = int(marker[1])
        elif at >= 0 and line.startswith("+") and not re.match(r"\++ \[\[ \d == ", line):
            found[at][tuple(_words(re.sub(r"^\++ ", "", line)))] += 1
    yield from found


def _words(line: str) -> Iterator[str]:
    """The arguments of a traced command, which bash has quoted so that it could read them again."""
    word: str | None = None
    for match in _QUOTED.finditer(line):
        special, single, escaped, plain = match.groups()
        if plain == " ":
            if word is not None:
                yield word
            word = None
            continue
        piece = single if single is not None else escaped if escaped is not None else plain
        if special is not None:
            piece = special.encode("latin-1", "backslashreplace").decode("unicode_escape")
        word = (word or "") + piece
    if word is not None:
        yield word


def expected(command: CommandLine, *, status: int) -> Counter[Argv]:
    """The programs of an understood command that are started where all of them end with `status`."""
    found: Counter[Argv] = Counter()
    running = True
    for step in command.steps:
        match step.after:
            case "&&":
                running = status == 0
            case "||":
                running = status != 0
            case ";":
                running = True
            case "|":
                pass  # as the programs before it in the same pipe
        if running:
            found[step.argv] += 1
    return found
