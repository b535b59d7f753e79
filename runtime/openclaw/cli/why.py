"""Tells whether a call would be allowed, asked about or denied, and by which rules.

Decides exactly as the runtime does and runs nothing. With --batch it reads one JSON object a line from stdin,
{"command": ...} or {"input": ...}, each with "allow": [NAME, ...] if it likes, and answers each with one line.
Without --agent: the default agent. --allow and --allow-profiled need no project: they judge under a policy that
allows the named programs (or every known one) within their profiles, and asks about everything else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclaw.cli import spoken
from openclaw.errors import ProjectInvalid, UsageError
from openclaw.messages import Address, ToolSpec, quote_line
from openclaw.permissions import decide as permissions
from openclaw.permissions import profiles
from openclaw.permissions.decide import Attempt, Condition, Decision, Effect, Policy, Refusal, Rule
from openclaw.permissions.facts import BUBBLEWRAP, Disk

if TYPE_CHECKING:
    from openclaw.manifest.snapshot import Agent, Snapshot

DENIED = 5


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
    if args.batch:
        return _batch(bench, args.exit_code)
    decision = bench.judge(_input(bench, args))
    if args.json:
        print(json.dumps(permissions.decision_json(decision), indent=2))
    else:
        print("\n".join(_told(bench, decision)))
    return DENIED if args.exit_code and decision.effect is not Effect.ALLOW else 0


@dataclass(frozen=True, slots=True)
class _Bench:
    """Everything about a call but its arguments."""

    attempt: Attempt
    policy: Policy
    facts: Disk
    trusted: tuple[Path, ...] = ()
    offered: bool = True

    def judge(self, input: Mapping[str, Any], policy: Policy | None = None) -> Decision:
        input, wrong = _as_run(self.attempt.tool, input)
        if wrong is not None:
            return _refused("invalid_input", wrong)
        return permissions.decide(replace(self.attempt, input=input), policy or self.policy, self.facts)


def _refused(code: str, message: str) -> Decision:
    return Decision(Effect.DENY, message, refusal=Refusal(code, message))


def _as_run(tool: ToolSpec, input: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    """The arguments as the runtime would complete them, and what it would say of them before any rule is asked."""
    if len(input) == 1 and isinstance(input.get(_command_input(tool) or ""), str):
        return input, None  # nothing but a command, which the judgement reads itself
    from openclaw.calls import completed, input_problem

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
    for line in sys.stdin.buffer:
        decision = _line(bench, line)
        strict |= decision.effect is not Effect.ALLOW
        sys.stdout.write(json.dumps(permissions.decision_json(decision), separators=(", ", ": ")) + "\n")
        sys.stdout.flush()
    return DENIED if exit_code and strict else 0


def _line(bench: _Bench, line: bytes) -> Decision:
    """The decision for one line; a line that cannot be read is denied, and says so."""
    try:
        row = json.loads(line)
        if not isinstance(row, dict) or ("command" in row) == ("input" in row):
            return _refused("bad_line", 'a line is a JSON object with either "command" or "input"')
        tool = bench.attempt.tool
        input = _of_command(tool, row["command"]) if "command" in row else row["input"]
        if not isinstance(input, dict):
            return _refused("bad_line", '"input" is a JSON object')
        return bench.judge(input, _allowing(tuple(map(str, row["allow"])), bench.trusted) if "allow" in row else None)
    except Exception as error:  # one bad line must not cost the others their answers
        return _refused("bad_line", str(error) or type(error).__name__)


# ── under which policy, for whom ─────────────────────────────────────────────────────────────────


@lru_cache(maxsize=256)
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
    workspace = Path(args.cwd).expanduser().absolute() if args.cwd else None
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

    snapshot = _snapshot(args.project)
    agent = _agent(snapshot, args.agent)
    tool = snapshot.tools.get(args.tool)
    if tool is None:
        raise UsageError(f"there is no tool `{args.tool}`; there are: {', '.join(sorted(snapshot.tools))}")
    who = people.sender(_sender(snapshot, args.sender), snapshot)
    workspace = workspace or _workspace(agent, args.state)
    attempt = _attempt(tool, agent.id, str(who.address), workspace, (args.project, args.state), args.tainted)
    attempt = replace(attempt, person=who.person, groups=who.groups)
    policy, trusted = snapshot.policies[agent.policy], _trusted(args, workspace)
    policy = replace(policy, trusted_repositories=(*policy.trusted_repositories, *trusted))
    return _Bench(attempt, policy, _disk(args), trusted, args.tool in agent.tools)


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
        raise UsageError(f"there is no agent `{id}`; there are: {', '.join(snapshot.agents)}")
    return snapshot.agents[id]


def _sender(snapshot: Snapshot, who: str | None) -> Address:
    person = snapshot.people.get(who or "")
    if person is not None and person.ids:
        return person.ids[0]
    try:
        return Address.parse(who or "repl:local")
    except ValueError as error:
        raise UsageError(f"--from: {error}, or the name of a person") from error


def _workspace(agent: Agent, state: Path) -> Path:
    match agent.workspace:
        case "shared":
            return state / "workspace"
        case "own":
            return state / "workspaces" / agent.id
        case path:
            return Path(path).expanduser()


# ── in words ─────────────────────────────────────────────────────────────────────────────────────


def _told(bench: _Bench, decision: Decision) -> list[str]:
    lines = [f"{decision.effect.name.lower()}: {quote_line(decision.reason)}"]
    if not bench.offered:
        lines.append(f"  (agent {bench.attempt.agent} does not have the tool {bench.attempt.tool.name} at all)")
    if decision.refusal is not None and decision.refusal.code != "invalid_input":
        lines.append(f"  not understood at character {decision.refusal.column} [{decision.refusal.code}]")
    for segment in decision.segments:
        argv = " ".join(quote_line(argument) if argument else "''" for argument in segment.argv)
        lines.append(f"  {segment.decision.name.lower():5}  {argv}")
        lines.append(f"         {quote_line(segment.reason)}")
    for rule in decision.rules:
        place = f"{rule.origin.file}:{rule.origin.line}:{rule.origin.column}" if rule.origin.file else "(ad hoc)"
        reason = f": {quote_line(rule.reason)}" if rule.reason else ""
        lines.append(f"  rule   {place}  {rule.effect.name.lower()}  {permissions.label(rule)}{reason}")
    if not decision.rules:
        lines.append(f"  rule   none matched; policy {bench.policy.name}, default {bench.policy.default.name.lower()}")
    return lines
