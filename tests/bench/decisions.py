"""How right and how quick decisions about commands are: attacks, everyday commands, edits of them, and time.

Over the evasions and the profiles' own examples in this repository; with --corpora also over the files gtfobins.jsonl,
evasions.jsonl and benign.jsonl of a folder, as `openclaw why run_command --batch` answers them. Nothing is run but bash
without any program, as the measure of what words mean. From the tests folder:

    python -m bench.decisions [--corpora FOLDER] [--edits 5000] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from openclaw.messages import ToolSpec
from openclaw.permissions import profiles
from openclaw.permissions.decide import Attempt, Condition, Decision, Effect, Policy, Rule, decide
from openclaw.permissions.facts import Assumed, Disk
from permissions import bash_oracle, judges, test_against_bash, test_evasions

RUN = ToolSpec("run_command", "", {"properties": {}}, "shell", judged={"command": "command"})
EVERYTHING = tuple(sorted(profiles.names()))
Row: TypeAlias = Mapping[str, Any]


def policy(*more: Rule, workspace: Path, names: Sequence[str] = EVERYTHING) -> Policy:
    allow = Rule(Effect.ALLOW, ("run_command",), Condition(commands=tuple(names)))
    return Policy("bench", (allow, *more), trusted_repositories=(workspace,))


class Bench:
    """One workspace, and a machine whose programs are real and whose sandbox is taken for granted."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.facts = Disk(walls=Assumed().walls)
        self.policy = policy(workspace=workspace)

    def judge(self, command: str, under: Policy | None = None) -> Decision:
        attempt = Attempt(RUN, {"command": command}, "bench", "repl:local", workspace=self.workspace)
        return decide(attempt, under or self.policy, self.facts)

    def allowed(self, commands: Iterable[str]) -> list[str]:
        return [command for command in commands if self.judge(command).effect is Effect.ALLOW]


def line(what: str, found: str, wanted: str, good: bool) -> bool:
    print(f"  {'ok  ' if good else 'FAIL'}  {what:<74} {found:>22}   wanted {wanted}")
    return good


def share(count: int, total: int) -> str:
    return f"{count}/{total} = {100 * count / max(total, 1):.1f} %"


# ── rows of our own ──────────────────────────────────────────────────────────────────────────────


def own(bench: Bench, edits: int, seed: int) -> Iterable[bool]:
    print("rows of this repository")
    attacks = list(dict.fromkeys(command for command, _ in judges.attacks()))
    yield nothing("attacks that run unasked", bench, attacks)
    for name, judge in (("grammar", judges.WITHOUT_GRAMMAR), ("profiles", judges.WITHOUT_PROFILES)):
        through = sum(judge.allows(command, names) for command, names in judges.attacks())
        yield line(f"... with the {name} left out", share(through, len(attacks)), "many", through > 50)
    tests = [entry["tests"] for entry in profiles.read().values()]
    everyday = [command for test in tests for command in test["allow"]]
    count = len(bench.allowed(everyday))
    yield line(
        "examples that profiles admit, run unasked", share(count, len(everyday)), "100 %", count == len(everyday)
    )
    yield nothing(
        "examples that profiles leave out", bench, [command for test in tests for command in test.get("ask", ())]
    )
    yield denied(bench)
    yield nothing("something hung on an allowed command", bench, appended(everyday))
    yield monotone(bench, [*attacks, *everyday], seed)
    if bash_oracle.BASH is not None:
        yield against_bash(edits, seed)
    yield from latency(bench, [*attacks, *everyday])
    yield together("attacks and examples", bench, [*attacks, *everyday] * 4)
    yield together("distinct pipes with paths", bench, pipes(8000))


def nothing(what: str, bench: Bench, commands: Sequence[str]) -> bool:
    through = bench.allowed(commands)
    for command in through[:10]:
        print(f"        {command!r}")
    return line(what, share(len(through), len(commands)), "0", not through)


def appended(commands: Iterable[str]) -> list[str]:
    made = [command + after for command in commands for after in test_evasions.AFTER]
    return [*made, *(before + command for command in commands for before in test_evasions.BEFORE)]


def denied(bench: Bench) -> bool:
    under = policy(Rule(Effect.DENY, ("run_command",), Condition(commands=("rm",))), workspace=bench.workspace)
    texts = [place.format(name) for place in test_evasions.PLACES for name in ("rm -rf x", "/bin/rm x")]
    count = sum(bench.judge(text, under).effect is Effect.DENY for text in texts)
    return line("a denied program denied in every place", share(count, len(texts)), "100 %", count == len(texts))


def monotone(bench: Bench, commands: Sequence[str], seed: int) -> bool:
    """Rules in another order change nothing; one more ask or deny never loosens."""
    chance = random.Random(seed)
    loosened = 0
    for command in commands:
        names = chance.sample(EVERYTHING, 12)
        rules = [Rule(Effect(chance.randrange(3)), ("run_command",), Condition(commands=(name,))) for name in names]
        more = Rule(Effect(chance.choice((1, 2))), ("run_command",), Condition(commands=(chance.choice(EVERYTHING),)))
        before = bench.judge(command, policy(*rules, workspace=bench.workspace)).effect
        shuffled = chance.sample(rules, len(rules))
        loosened += bench.judge(command, policy(*shuffled, workspace=bench.workspace)).effect is not before
        loosened += bench.judge(command, policy(*rules, more, workspace=bench.workspace)).effect < before
    return line(
        "decisions changed by order, or loosened by a prohibition",
        share(loosened, 2 * len(commands)),
        "0",
        not loosened,
    )


def against_bash(edits: int, seed: int) -> bool:
    commands = list(test_against_bash.accepted(edits, seed))
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(commands), test_against_bash.BATCH):
            wrong += test_against_bash.differences(commands[start : start + test_against_bash.BATCH], Path(folder))
    what = f"{edits:,} edits, {len(commands):,} of them understood, read otherwise by bash"
    return line(what, str(len(wrong)), "0", not wrong)


def latency(bench: Bench, commands: Sequence[str]) -> Iterable[bool]:
    for command in commands:
        bench.judge(command)
    times = sorted(min(timed(bench, command) for _ in range(3)) for command in commands)
    p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
    yield line(
        "time of a decision (the best of three), p50 and p99", f"{p50:.2f} and {p99:.2f} ms", "<= 1 ms", p99 <= 1
    )
    big = [
        "a" * 100_000,
        "$(" * 50_000,
        "'" * 100_000,
        "ls; " * 25_000,
        "`" * 100_000,
        "{a,b}" * 20_000,
        "env " * 25_000,
    ]
    worst = max(min(timed(bench, text) for _ in range(3)) for text in big)
    what = "time of a decision about 100 kB (the best of three), the longest"
    yield line(what, f"{worst:.2f} ms", "<= 20 ms", worst <= 20)


def pipes(count: int) -> list[str]:
    """Two programs and a path each, of which no two are the same, so that nothing that is remembered helps."""
    return [f"grep -n word{at} src/mod{at % 97}/file{at}.py | head -n {at % 50 + 1}" for at in range(count)]


def together(what: str, bench: Bench, commands: Sequence[str]) -> bool:
    """`openclaw why --batch` as a whole, in the time of its process: start, reading and writing are in it."""
    lines = "".join(json.dumps({"command": command}) + "\n" for command in commands)
    words = [str(Path(sys.executable).with_name("openclaw")), "why", "run_command", "--batch", "--allow-profiled"]
    whole = min(spent([*words, "--cwd", str(bench.workspace), "--trust-repo"], lines) for _ in range(3))
    floor = min(spent([sys.executable, "-c", "pass"], "") for _ in range(5))
    rate = len(commands) / whole
    told = f"{rate:,.0f} ({whole / floor:,.0f} x `pass`)"
    return line(f"lines a second of why --batch, {len(commands):,} {what}", told, ">= 5,000", rate >= 5000)


def spent(words: Sequence[str], given: str) -> float:
    """CPU seconds of a process and what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, input=given, text=True, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def timed(bench: Bench, command: str) -> float:
    began = time.perf_counter()
    bench.judge(command)
    return 1000 * (time.perf_counter() - began)


# ── corpora ──────────────────────────────────────────────────────────────────────────────────────


def corpora(folder: Path, workspace: Path) -> Iterable[bool]:
    print(f"rows of {folder}, by openclaw why run_command --batch --allow-profiled")
    for name in ("gtfobins", "evasions"):
        rows = read(folder / f"{name}.jsonl")
        for trust in ((), ("--trust-repo",)):
            through = [row for row, effect in answered(rows, workspace, *trust) if effect == "allow"]
            for row in through[:10]:
                print(f"        {row['command']!r}")
            yield line(
                f"{name}{' in a trusted repository' * bool(trust)}", share(len(through), len(rows)), "0", not through
            )
    benign = read(folder / "benign.jsonl")
    trusted = answered(benign, workspace, "--trust-repo")
    untrusted = answered(benign, workspace)
    yield expected("auto", untrusted, at_least=0.95)
    yield expected("auto_trusted_repo", trusted, at_least=0.95)
    yield expected("auto_trusted_repo", untrusted, at_least=0)
    asks = [(row, effect) for row, effect in trusted if row["expect"] == "ask"]
    changing = [row for row, effect in asks if effect == "allow" and row["effect"] == "mutating_or_exec"]
    total = sum(row["effect"] == "mutating_or_exec" for row, _ in asks)
    yield line("benign `ask` that change or run something", share(len(changing), total), "0", not changing)
    for row in (row for row, effect in asks if effect == "allow"):
        print(f"        to review: {row['command']!r}")
    allowed = [row["command"] for row, effect in trusted if effect == "allow"]
    texts = appended(allowed)
    through = [
        row
        for row, effect in answered([{"command": text} for text in texts], workspace, "--trust-repo")
        if effect == "allow"
    ]
    yield line("something hung on an allowed row", share(len(through), len(texts)), "0", not through)


def expected(kind: str, answers: Sequence[tuple[Row, str]], at_least: float) -> bool:
    of_kind = [(row, effect) for row, effect in answers if row["expect"] == kind]
    count = sum(effect == "allow" for _, effect in of_kind)
    if at_least:
        for row, effect in of_kind:
            if effect != "allow":
                print(f"        not allowed: {row['command']!r}")
        good, wanted = count >= at_least * len(of_kind), f">= {100 * at_least:.0f} %"
    else:
        good, wanted = not count, "0"
    where = "" if kind == "auto" else " where it is trusted" if at_least else " where it is not trusted"
    return line(f"benign `{kind}`{where}", share(count, len(of_kind)), wanted, good)


def read(file: Path) -> list[Row]:
    return [json.loads(text) for text in file.read_text("utf-8").splitlines()]


def answered(rows: Sequence[Row], workspace: Path, *more: str) -> list[tuple[Row, str]]:
    keys = [
        {"command": row["command"]} | ({"allow": row["assume_allow"]} if "assume_allow" in row else {}) for row in rows
    ]
    openclaw = Path(sys.executable).with_name("openclaw")
    words = [str(openclaw), "why", "run_command", "--batch", "--allow-profiled", "--cwd", str(workspace), *more]
    ended = subprocess.run(
        words, input="".join(json.dumps(key) + "\n" for key in keys), capture_output=True, text=True, check=True
    )
    answers = [json.loads(text)["decision"] for text in ended.stdout.splitlines()]
    return list(zip(rows, answers, strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpora", type=Path, metavar="FOLDER")
    parser.add_argument("--edits", type=int, default=5000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder).resolve()
        if shutil.which("git"):
            subprocess.run(["git", "init", "-q", folder], check=True)
        good = list(own(Bench(workspace), args.edits, args.seed))
        if args.corpora is not None:
            good += corpora(args.corpora, workspace)
    print(f"{sum(good)} of {len(good)} as wanted")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
