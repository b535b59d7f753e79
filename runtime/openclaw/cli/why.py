"""Tell whether a call would be allowed, asked about or denied, and by which rules.

Decides exactly as the runtime does and runs nothing; whether whoever it is for (--from) is heard at all is told
beside it. With --batch it reads one JSON object a line from stdin,
{"command": ...} or {"input": ...}, each with "allow": [NAME, ...] if it likes, and answers each with one line.
Without --agent: the default agent. --allow and --allow-profiled need no project: they judge under a policy that
allows the named programs (or every known one) within their profiles, and asks about everything else.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from openclaw.cli import place, spoken
from openclaw.cli._listing import note
from openclaw.errors import ProjectInvalid, UsageError
from openclaw.messages import Address, Refused, ToolSpec, quote_line
from openclaw.permissions import decide as permissions
from openclaw.permissions import profiles
from openclaw.permissions.decide import Attempt, Condition, Decision, Effect, Policy, Refusal, Rule
from openclaw.permissions.facts import BUBBLEWRAP, Disk

if TYPE_CHECKING:
    from openclaw.manifest.snapshot import Agent, Snapshot

DENIED = 5
_AT_ONCE = 2**20  # bytes
_MOST_BROUGHT = 256


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tool", metavar="TOOL", help="the tool that would be called, for example run_command")
    parser.add_argument("--agent", metavar="A", help="the agent that would call it (default: the default agent)")
    parser.add_argument("--from", dest="sender", metavar="WHO", help="for whom: person or address (default repl:local)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--input", type=spoken, metavar="JSON", help="the arguments of the call")
    what.add_argument("--command", type=spoken, metavar="TEXT", help="the command line, for tools that take one")
    what.add_argument("--batch", action="store_true", help="judge one JSON object a line from stdin")
    parser.add_argument("--cwd", metavar="DIR", help="the folder that counts as the workspace")
    policy = parser.add_mutually_exclusive_group()
    policy.add_argument("--allow", nargs="+", metavar="NAME", help="judge under a policy that allows these programs")
    policy.add_argument("--allow-profiled", action="store_true", help="the same, with every program that has a profile")
    parser.add_argument(
        "--sandbox",
        choices=("assume", "real"),
        help="assume a sandbox that works (default with --batch), or try out what works here (default otherwise)",
    )
    parser.add_argument("--trust-repo", action="store_true", help="trust the repository of the workspace")
    parser.add_argument(
        "--tainted", action="store_true", help="as in a conversation that strangers' material has entered"
    )
    parser.add_argument("--exit-code", action="store_true", help=f"end with {DENIED} unless everything is allowed")
    parser.add_argument("--json", action="store_true", help="answer as JSON")


def run(args: argparse.Namespace) -> int:
    bench = _bench(args)
    if bench.unheard is not None:
        note(f"nothing that {bench.attempt.sender} says would be taken: {bench.unheard.reason}")
    if args.batch:
        return _batch(bench, args.exit_code)
    input = _input(bench, args)
    decision = bench.judge(input)
    if args.json:
        print(json.dumps(bench.told(decision), indent=2))
    else:
        print("\n".join(_told(bench, input, decision)))
    return DENIED if args.exit_code and decision.effect is not Effect.ALLOW else 0


@dataclass(frozen=True, slots=True)
class _Bench:
    """Everything about a call but its arguments."""

    attempt: Attempt
    policy: Policy
    facts: Disk
    trusted: tuple[Path, ...] = ()
    offered: bool = True
    askable: bool = True
    unheard: Refused | None = None  # why nothing that whoever it is for says is taken

    def told(self, decision: Decision) -> dict[str, Any]:
        unheard = {"heard": False, "refused": self.unheard.code} if self.unheard is not None else {}
        return {**permissions.decision_json(decision), **unheard}

    def judge(self, input: Mapping[str, Any]) -> Decision:
        input, wrong = _as_run(self.attempt.tool, input)
        if wrong is not None:
            return _refused("invalid_input", wrong)
        return self.final(permissions.decide(replace(self.attempt, input=input), self.policy, self.facts))

    def final(self, decision: Decision) -> Decision:
        """What asks is denied where nobody who may agree could be asked."""
        return decision if self.askable or decision.effect is not Effect.ASK else permissions.unasked(decision)


def _refused(code: str, message: str) -> Decision:
    return Decision(Effect.DENY, message, refusal=Refusal(code, message, 0))


def _as_run(tool: ToolSpec, input: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    """The arguments as the runtime would complete them, and what it would say of them before any rule is asked."""
    if len(input) == 1 and isinstance(input.get(_command_input(tool) or ""), str):
        return input, None  # nothing but a command, which the judgement reads itself
    from openclaw.inputs import completed, input_problem

    given = completed(tool, input)
    return given, input_problem(tool, given)


def _command_input(tool: ToolSpec) -> str | None:
    return next((name for name, judged in tool.judged.items() if judged == "command"), None)


def _input(bench: _Bench, args: argparse.Namespace) -> Mapping[str, Any]:
    if args.command is not None:
        return _of_command(bench.attempt.tool, args.command)
    if args.input is None:
        return _nothing(bench.attempt.tool)
    try:
        input = json.loads(args.input)
    except ValueError as error:
        raise UsageError(f"--input is not JSON: {error}") from error
    if not isinstance(input, dict):
        raise UsageError('--input is a JSON object, for example \'{"path": "notes.txt"}\'')
    return input


def _nothing(tool: ToolSpec) -> Mapping[str, Any]:
    """A call without arguments, for tools that have none that must be there."""
    _, wrong = _as_run(tool, {})
    if wrong:
        how = "--command TEXT" if _command_input(tool) else "--input JSON"
        raise UsageError(f"say what `{tool.name}` would be called with, by {how}: {wrong}")
    return {}


def _of_command(tool: ToolSpec, command: Any) -> Mapping[str, Any]:
    name = _command_input(tool)
    if name is None:
        raise UsageError(f"`{tool.name}` takes no command; give its arguments with --input")
    return {name: command}


# ── batch ────────────────────────────────────────────────────────────────────────────────────────


def _batch(bench: _Bench, exit_code: bool) -> int:
    strict = False
    lines = _Lines(bench)
    gc.freeze()  # what is loaded by now stays
    gc.set_threshold(20_000)
    for together in _arrived(cast(BufferedReader, sys.stdin.buffer)):
        decisions = lines.judge(together)
        strict |= any(decision.effect is not Effect.ALLOW for decision in decisions)
        sys.stdout.write("".join([f"{json.dumps(bench.told(decision))}\n" for decision in decisions]))
        sys.stdout.flush()
    return DENIED if exit_code and strict else 0


def _arrived(stream: BufferedReader) -> Iterator[list[bytes]]:
    """The lines that are there to be read, together: whoever writes one and waits is answered before the next."""
    begun: list[bytes] = []
    while piece := stream.read1(_AT_ONCE):
        lines, ended, rest = piece.rpartition(b"\n")
        if ended:
            yield b"".join([*begun, lines]).split(b"\n")
            begun = []
        begun.append(rest)
    if last := b"".join(begun):
        yield [last]


def _row(line: bytes) -> Mapping[str, Any]:
    """Raises UsageError, in words for whoever wrote the line."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"the line is not UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise UsageError(f"the line is not JSON at character {error.pos + 1}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError("the line holds a number too long or a nesting too deep to be read") from error
    if not isinstance(row, dict) or ("command" in row) == ("input" in row):
        raise UsageError('a line is a JSON object with either "command" or "input"')
    if not isinstance(row.get("input", {}), dict):
        raise UsageError('"input" is a JSON object')
    allow = row.get("allow", [])
    if not isinstance(allow, list) or not all(isinstance(name, str) for name in allow):
        raise UsageError('"allow" is a list of names of programs, for example ["ls", "git"]')
    return row


class _Lines:
    """Judges lines; the rules that can speak of them are sought out once for each policy that they bring.

    What the disk says is remembered among lines that arrived together, and no longer."""

    def __init__(self, bench: _Bench) -> None:
        self._bench = bench
        self._own = permissions.Docket.of(bench.attempt, bench.policy)
        self._command = _command_input(bench.attempt.tool)
        self._brought: dict[tuple[str, ...], permissions.Docket] = {}

    def judge(self, lines: Sequence[bytes]) -> list[Decision]:
        facts = self._bench.facts.still()
        return [self._line(line, facts) for line in lines]

    def _line(self, line: bytes, facts: Disk) -> Decision:
        """The decision for one line; a line that cannot be read is denied, and says so."""
        try:
            row = _row(line)
            docket = self._allowing(tuple(row["allow"])) if "allow" in row else self._own
            attempt = self._bench.attempt
            if self._command is not None and isinstance(command := row.get("command"), str):
                return self._bench.final(docket.judge(replace(attempt, input={self._command: command}), facts))
            input = _of_command(attempt.tool, row["command"]) if "command" in row else row["input"]
            input, wrong = _as_run(attempt.tool, input)
            if wrong is not None:
                return _refused("invalid_input", wrong)
            return self._bench.final(docket.judge(replace(attempt, input=input), facts))
        except UsageError as error:
            return _refused("bad_line", str(error))
        except Exception as error:  # one bad line must not cost the others their answers
            return _refused("bad_line", f"the line cannot be judged ({type(error).__name__})")

    def _allowing(self, names: tuple[str, ...]) -> permissions.Docket:
        if names not in self._brought:
            if len(self._brought) >= _MOST_BROUGHT:
                self._brought.clear()
            policy = _allowing(names, self._bench.trusted)
            self._brought[names] = permissions.Docket.of(self._bench.attempt, policy)
        return self._brought[names]


# ── under which policy, for whom ─────────────────────────────────────────────────────────────────


def _allowing(names: tuple[str, ...], trusted: tuple[Path, ...]) -> Policy:
    """These programs within their profiles, and nothing else; one without a profile is asked about."""
    known = tuple(name for name in names if profiles.profile(name) is not None)
    rule = Rule(Effect.ALLOW, ("*",), Condition(commands=known), id="allow", policy="--allow")
    return Policy("--allow", (rule,), trusted_repositories=trusted)


def _disk(args: argparse.Namespace) -> Disk:
    if (args.sandbox or ("assume" if args.batch else "real")) == "assume":
        return Disk(walls=lambda: BUBBLEWRAP)
    from openclaw.tools._sandbox import shared

    return Disk(walls=shared().walls, unsearched=shared().unsearched)


def _trusted(args: argparse.Namespace, workspace: Path) -> tuple[Path, ...]:
    """With --trust-repo, the root of the repository that the workspace lies in; the workspace where it is none."""
    if not args.trust_repo:
        return ()
    here = workspace.resolve()
    return (next((place for place in (here, *here.parents) if (place / ".git").exists()), here),)


def _bench(args: argparse.Namespace) -> _Bench:
    workspace = place(args.cwd, "--cwd") if args.cwd is not None else None
    if workspace is not None and not workspace.is_dir():
        raise UsageError(f"--cwd: {workspace} is not a folder")
    if args.allow or args.allow_profiled:
        names = tuple(args.allow) if args.allow else tuple(sorted(profiles.names()))
        return _alone(args, names, workspace or Path.cwd())
    return _in_project(args, workspace)


def _alone(args: argparse.Namespace, names: Sequence[str], workspace: Path) -> _Bench:
    from openclaw.manifest.builtins import BUILTINS

    tool = BUILTINS.get(args.tool)
    if tool is None or _command_input(tool) is None:
        raise UsageError("--allow judges commands; the tool is run_command")
    attempt = _attempt(tool, "none", args.sender or "repl:local", workspace, (args.state,), args.tainted)
    trusted = _trusted(args, workspace)
    return _Bench(attempt, _allowing(tuple(names), trusted), _disk(args), trusted)


def _attempt(
    tool: ToolSpec, agent: str, sender: str, workspace: Path, protected: tuple[Path, ...], tainted: bool
) -> Attempt:
    return Attempt(
        tool=tool,
        input={},
        agent=agent,
        sender=sender,
        channel=sender.partition(":")[0],
        workspace=workspace,
        protected=protected,
        now=datetime.now(UTC).isoformat(),
        untrusted="strangers' material" if tainted else "",
    )


def _in_project(args: argparse.Namespace, workspace: Path | None) -> _Bench:
    from openclaw.manifest import people
    from openclaw.manifest.snapshot import workspace_of

    snapshot = _snapshot(args.project)
    agent = _agent(snapshot, args.agent)
    tool = snapshot.tools.get(args.tool)
    if tool is None:
        raise UsageError(f"there is no tool `{args.tool}`; {_meant(args.tool, snapshot.tools)}")
    who = people.sender(_sender(snapshot, args.sender), snapshot)
    workspace = workspace or workspace_of(agent, args.state)
    attempt = _attempt(tool, agent.id, str(who.address), workspace, (args.project, args.state), args.tainted)
    attempt = replace(attempt, person=who.person, groups=who.groups)
    policy, trusted = snapshot.policies[agent.policy], _trusted(args, workspace)
    policy = replace(policy, trusted_repositories=(*policy.trusted_repositories, *trusted))
    askable = people.askable(who.address, people.approvers_of(agent.id, snapshot), snapshot)
    unheard = _unheard(who.address, agent, snapshot) if args.sender else None
    return _Bench(attempt, policy, _disk(args), trusted, args.tool in agent.tools, askable, unheard)


def _unheard(sender: Address, agent: Agent, snapshot: Snapshot) -> Refused | None:
    from openclaw.scenarios.world import refused

    return refused(sender, agent.id, snapshot, datetime.now(UTC))


def _snapshot(project: Path) -> Snapshot:
    from openclaw.adapters import importer
    from openclaw.manifest.build import compile
    from openclaw.manifest.folder import Folder
    from openclaw.manifest.reports import brief

    if not project.is_dir():
        raise UsageError(f"{project} is not a folder; name the project's folder with -C")
    compiled = compile(Folder.read(project), environment=None, importer=importer(project), today=datetime.now(UTC))
    if compiled.snapshot is None:
        print(brief(compiled.diagnostics), file=sys.stderr)
        raise ProjectInvalid(f"{project} has errors; nothing was judged", compiled.diagnostics)
    return compiled.snapshot


def _agent(snapshot: Snapshot, id: str | None) -> Agent:
    if id is None:
        return snapshot.default_agent
    if id not in snapshot.agents:
        raise UsageError(f"there is no agent `{id}`; {_meant(id, snapshot.agents)}")
    return snapshot.agents[id]


def _meant(name: str, known: Iterable[str]) -> str:
    from openclaw.near import near

    close = near(name, known)
    return f"did you mean `{close}`?" if close else f"there are: {', '.join(sorted(known))}"


def _sender(snapshot: Snapshot, who: str | None) -> Address:
    person = snapshot.people.get(who or "")
    if person is not None and person.ids:
        return min(person.ids, key=lambda id: id.channel in snapshot.channels and snapshot.channels[id.channel].off)
    try:
        return Address.parse(who or "repl:local")
    except ValueError as error:
        raise UsageError(f"--from: {error}, or the name of a person") from error


# ── in words ─────────────────────────────────────────────────────────────────────────────────────


def _told(bench: _Bench, input: Mapping[str, Any], decision: Decision) -> Iterator[str]:
    yield f"{decision.effect.name.lower()}: {quote_line(decision.reason)}"
    if not bench.offered:
        yield f"  (agent {bench.attempt.agent} does not have the tool {bench.attempt.tool.name} at all)"
    if decision.refusal is not None and decision.refusal.column:
        yield f"  not understood at character {decision.refusal.column} [{decision.refusal.code}]"
        yield from _excerpt(str(input.get(_command_input(bench.attempt.tool) or "", "")), decision.refusal)
    for segment in decision.segments:
        argv = " ".join(quote_line(argument) if argument else "''" for argument in segment.argv)
        yield f"  {segment.decision.name.lower():5}  {argv}"
        yield f"         {quote_line(segment.reason)}"
        if len(decision.segments) > 1:
            yield from (f"         {_rule(rule)}" for rule in segment.rules)
    yield from (f"  rule   {_rule(rule)}" for rule in decision.rules)
    if not decision.rules:
        yield f"  rule   none matched; policy {bench.policy.name}, default {bench.policy.default.name.lower()}"


def _rule(rule: Rule) -> str:
    reason = f": {quote_line(rule.reason)}" if rule.reason else ""
    where = permissions.place(rule) or "(ad hoc)"
    return f"{where}  {rule.effect.name.lower()}  {permissions.label(rule)}{reason}"


def _excerpt(command: str, refusal: Refusal) -> Iterator[str]:
    """The line of the command with a mark under the character that is refused."""
    from openclaw.manifest.diagnostic import Diagnostic
    from openclaw.manifest.reports.text import excerpt

    before = command[: refusal.column - 1]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    text = command.split("\n")[line - 1]
    at = Diagnostic(
        refusal.code, "error", "", line=line, column=column, end_line=line, end_column=column + 1, message=""
    )
    return excerpt(at, text, color=False)
