"""What is thrown at a folder to kill, to stall or to fill whoever reads it ends in diagnostics, in bounded time and
memory. Each case is a real process under limits of the kernel; three times the two seconds that are promised on a
quiet machine, since this one may be slow."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw.manifest.build import compile
from openclaw.manifest.diagnostic import MOST_TOLD
from openclaw.manifest.folder import Folder

SECONDS = 15  # of a processor; one that nobody else uses takes 1 to 3 for most, and up to 6
MEGABYTES = 300
AGENT = b"name: Jarvis\ndescription: Helps\ntools: [read_file]\npolicy: careful\n"
POLICIES = b"policies:\n  careful:\n    rules:\n      - allow: [read_file]\n"


def many(form: str, count: int) -> bytes:
    return "".join(form.replace("%", str(number)) for number in range(count)).encode()


CHANNELS = b"channels:\n  ear: {kind: http, port: 8080}\n"


def tool(more: str, shell: str = "ls {n}") -> bytes:
    return f"tools:\n  a: {{description: x, shell: '{shell}', {more}}}\n".encode() + POLICIES


def beat(cron: str) -> bytes:
    return f"heartbeats:\n  h: {{cron: '{cron}', prompt: go}}\n".encode()


def rule(commands: str) -> bytes:
    return f"      - {{ask: run_command, commands: {commands}}}\n".encode()


def joined(count: int, ways: Callable[[int], list[int]]) -> bytes:
    lines = (f"  q{at}: {{include: [{', '.join(f'q{n}' for n in ways(at))}]}}\n" for at in range(count))
    return POLICIES + "".join(lines).encode()


BYTES: dict[str, tuple[str, bytes]] = {
    "nul": ("agents/main.yaml", AGENT + b"model: a\0b\n"),
    "bad utf-8": ("agents/main.yaml", AGENT + b'instructions: "\xff\xfe"\n'),
    "utf-16": ("agents/main.yaml", AGENT.decode().encode("utf-16")),
    "odd tags": ("agents/main.yaml", AGENT + b"instructions: !!timestamp foo\nmodel: !!int abc\n"),
    "keys that are no text": ("agents/main.yaml", AGENT + b"1: x\n? [a]\n: b\nnull: c\ntrue: d\n"),
    "five thousand digits": ("agents/main.yaml", AGENT + b"limits: {iterations: " + b"9" * 5000 + b"}\n"),
    "no finite number": ("agents/main.yaml", AGENT + b"limits: {iterations: 1e999}\n"),
    "levels of mappings": ("tools.yaml", b"".join(b" " * deep + b"a:\n" for deep in range(1400))),
    "fifty thousand brackets": ("tools.yaml", b"a: " + b"[" * 50_000 + b"]" * 50_000),
    "fifty thousand braces": ("tools.yaml", b"{a: " * 50_000),
    "fifty thousand dashes": ("tools.yaml", b"- " * 50_000 + b"x\n"),
    "a million brackets": ("tools.yaml", b"[" * 1_000_000),
    "a megabyte of spaces": ("tools.yaml", b" " * 1_048_000),
    "a megabyte of escapes": ("tools.yaml", b'a: "' + b"\\x" * 400_000),
    "a megabyte of colons": ("tools.yaml", b"a: " * 340_000),
    "a key of half a megabyte": ("tools.yaml", b"tools:\n  " + b"k" * 500_000 + b": {}\n"),
    "a bomb of aliases": (
        "tools.yaml",
        b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b"*a%d," % (n - 1) * 10) for n in range(1, 60)),
    ),
    "what contains itself": ("tools.yaml", b"tools: &t\n  <<: *t\n"),
    "sixty thousand wrong values": ("tools.yaml", b"tools: {" + many("k%: 1,", 60_000) + b"}\n"),
    "empty tools": ("tools.yaml", b"tools:\n" + many("  t%: {}\n", 19_000)),
    "forty thousand empty tools": ("tools.yaml", b"tools:\n" + many("  t%: {}\n", 40_000)),
    "misspelt tools": ("tools.yaml", b"tools:\n" + many("  a%: {descrption: x, shel: ls}\n", 7_500) + POLICIES),
    "keys given twice": ("tools.yaml", b"tools:\n" + b"  a: {}\n" * 60_000),
    "names that are none": ("tools.yaml", b"tools:\n" + many("  A %: {description: x, shell: ls}\n", 7_500)),
    "tags": ("tools.yaml", b"tools:\n" + many("  t%: !x {}\n", 40_000)),
    "aliases to nothing": ("tools.yaml", b"tools:\n" + many("  t%: &a% {}\n", 9_000) + many("  u%: *b%\n", 9_000)),
    "keys in comments beside as many values": (
        "tools.yaml",
        tool(f"input: {{n: {{enum: [{','.join(map(str, range(25_000)))}]}}}}")
        + b"".join(b"# AKIAQ3EGR7XK4TZ%05d\n" % at for at in range(10_000)),
    ),
    "unset variables": (
        "channels.yaml",
        b"channels:\n" + many('  c%: {kind: telegram, enabled: true, token: "${TOKEN_%}"}\n', 5_000),
    ),
    "conflicts": ("tools.yaml", b"<<<<<<< a\n=======\n>>>>>>> b\n" * 30_000),
    "a pattern that never ends": (
        "tools.yaml",
        b"tools:\n  a: {description: x, shell: 'ls {n}', input: {n: {type: string, pattern: '(a+)+$', default: '"
        + b"a" * 40
        + b"b'}}}\n"
        + POLICIES,
    ),
    "rules": ("tools.yaml", POLICIES + many("      - allow: [read_file]\n", 20_000)),
    "rules that are read whole": ("tools.yaml", POLICIES + many("      - deny: [t%]\n", 8_000)),
    "rules of commands": ("tools.yaml", POLICIES + many("      - {ask: run_command, commands: [ls a%]}\n", 6_000)),
    "heartbeats": ("heartbeats.yaml", b"heartbeats:\n" + many("  h%: {cron: '0 9 30 2 *', prompt: go}\n", 8_000)),
    "people": (
        "channels.yaml",
        CHANNELS + b"people:\n" + many("  p%: {ids: [" + ",".join(f"ear:{n}-%" for n in range(10)) + "]}\n", 4_000),
    ),
    "channels": ("channels.yaml", b"channels:\n" + many("  c%: {kind: http, port: 8080}\n", 8_000)),
    "a pattern of a megabyte": ("tools.yaml", tool("input: {n: {type: string, pattern: '" + "(a+)+" * 200_000 + "'}}")),
    "brackets in a pattern": ("tools.yaml", tool("input: {n: {type: string, pattern: '" + "(" * 1_000_000 + "'}}")),
    "a schedule of a megabyte": ("heartbeats.yaml", beat("1," * 500_000 + "1 * * * *")),
    "a schedule of many fields": ("heartbeats.yaml", beat("1 " * 500_000)),
    "a template of a megabyte": ("tools.yaml", tool("input: {n: {type: string}}", "ls " + "a {n} " * 170_000)),
    "placeholders without an input": ("tools.yaml", tool("input: {n: {type: string}}", "ls " + "{m} " * 250_000)),
    "braces in a template": ("tools.yaml", tool("input: {n: {type: string}}", "{n" * 500_000)),
    "a command of a megabyte": ("tools.yaml", POLICIES + rule("['" + "ls a " * 200_000 + "']")),
    "stars in a command": ("tools.yaml", POLICIES + rule("['ls " + "** " * 300_000 + "']")),
    "commands": ("tools.yaml", POLICIES + rule("[" + many("ls a%,", 50_000).decode() + "]")),
    "policies that join each other": ("tools.yaml", joined(100, lambda at: [n for n in range(100) if n != at])),
    "policies in a row": ("tools.yaml", joined(4_000, lambda at: [at + 1] if at < 3_999 else [])),
    "policies in a ring": ("tools.yaml", joined(4_000, lambda at: [(at + 1) % 4_000])),
    "policies that fan out": ("tools.yaml", joined(300, lambda at: list(range(at + 1, min(at + 60, 300))))),
    "unknown tools": ("agents/main.yaml", AGENT.replace(b"[read_file]", b"[" + many("nothing_%,", 20_000) + b"]")),
    "unset variables in one value": ("channels.yaml", CHANNELS.replace(b"8080", b"'" + b"${A}" * 200_000 + b"'")),
}  # fmt: skip
SOUND = {  # only long, and no mistake
    "a schedule of a megabyte", "a command of a megabyte", "commands", "rules of commands",
}  # fmt: skip


def fifo(root: Path) -> None:
    os.mkfifo(root / "agents/x.yaml")
    os.mkfifo(root / "channels.yaml")


def loops(root: Path) -> None:
    (root / "agents/a.yaml").symlink_to("b.yaml")
    (root / "agents/b.yaml").symlink_to("a.yaml")
    (root / "agents/self").symlink_to(".")


def huge(root: Path) -> None:
    with (root / "tools.yaml").open("wb") as file:
        file.write(b" ")
        file.truncate(1 << 30)


def device(root: Path) -> None:
    (root / "tools.yaml").unlink()
    (root / "tools.yaml").symlink_to("/dev/zero")


def not_a_name(root: Path) -> None:
    (root / os.fsdecode(b"agents/\xff.yaml")).write_bytes(AGENT)


def system(root: Path) -> None:
    (root / "agents/lib").symlink_to("/usr/lib")


PLACES: dict[str, Callable[[Path], None]] = {
    "pipes": fifo, "links in a circle": loops, "a gigabyte": huge, "a device": device,
    "a name of no text": not_a_name, "the system's libraries": system,
}  # fmt: skip


def project(root: Path, file: str = "tools.yaml", content: bytes = POLICIES) -> Path:
    for name, each in {"agents/main.yaml": AGENT, "tools.yaml": POLICIES, file: content}.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(each)
    return root


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_DATA, (MEGABYTES << 20, MEGABYTES << 20))


def validated(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "openclaw", "--state", str(root / "state"), "validate", "--no-import", str(root)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", preexec_fn=limited, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("case", BYTES)
def test_hostile_bytes_end_in_diagnostics_within_the_limits(case: str, tmp_path: Path) -> None:
    ended = validated(project(tmp_path, *BYTES[case]))
    assert ended.returncode == (0 if case in SOUND else 1), ended.stderr + ended.stdout[:500]
    assert "Traceback" not in ended.stderr
    assert ": error: " in ended.stdout or ended.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("case", PLACES)
def test_a_hostile_folder_ends_in_diagnostics_within_the_limits(case: str, tmp_path: Path) -> None:
    PLACES[case](project(tmp_path))
    ended = validated(tmp_path)
    assert "Traceback" not in ended.stderr
    if case != "the system's libraries":  # which hold manifests of nobody knows what, or none
        assert ended.returncode == 1
        assert ": error: " in ended.stdout


def compiled(files: dict[str, bytes]) -> list[tuple[str, str]]:
    result = compile(Folder.of(files), environment={}, importer=None, today=datetime(2026, 11, 23, tzinfo=UTC))
    return [(said.file, said.code) for said in result.diagnostics]


def test_of_one_file_the_first_thousand_mistakes_are_told_and_that_there_are_more() -> None:
    tools = b"tools:\n" + many("  t%: {description: A, shel: ls}\n", 1200) + POLICIES
    told = compiled({"agents/main.yaml": AGENT, "tools.yaml": tools})
    assert told == [("tools.yaml", "unknown-key")] * MOST_TOLD + [("tools.yaml", "too-many")]


def test_a_thousand_mistakes_are_no_reason_to_say_there_are_more() -> None:
    tools = b"tools:\n" + many("  t%: {description: A, shel: ls}\n", MOST_TOLD - 1) + POLICIES
    told = compiled({"agents/main.yaml": AGENT, "tools.yaml": tools})
    assert told == [("tools.yaml", "unknown-key")] * (MOST_TOLD - 1)


def test_names_that_lead_to_nothing_are_counted_beyond_the_thousandth() -> None:
    agent = AGENT.replace(b"[read_file]", b"[" + many("nothing_%,", 1500) + b"]")
    told = compiled({"agents/main.yaml": agent, "tools.yaml": POLICIES})
    assert told == [("agents/main.yaml", "unknown-tool")] * MOST_TOLD + [("agents/main.yaml", "too-many")]


def test_after_mistakes_in_many_files_the_others_are_left_and_draw_nothing_after_them() -> None:
    files = {f"agents/a{number:03}.yaml": many("key_%: 1\n", 50) for number in range(100)}
    told = compiled({**files, "tools.yaml": POLICIES})
    assert told[-1][1] == "too-many"
    assert {code for _, code in told} <= {"unknown-key", "missing-key", "too-many"}
    assert len({file for file, _ in told}) < 60
