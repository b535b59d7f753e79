"""Cases about decisions: a call as an agent would make it, judged by its policy as the runtime judges it.

The machine is an assumed one, so that a case comes out alike everywhere: every program is installed, no path is a
link, the sandbox works. A call that the tool would not take is no decision, and fails whatever is expected. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from openclaw.manifest import people
from openclaw.manifest.snapshot import Agent, Snapshot, workspace_of
from openclaw.permissions import decide as permissions
from openclaw.permissions.decide import Attempt, Decision, Effect, Rule
from openclaw.permissions.facts import Assumed
from openclaw.scenarios.document import Correction, DecisionCase, Failure, Outcome, Scenario, Used
from openclaw.scenarios.words import call, listed
from openclaw.scenarios.world import Impossible, Standing, World, standing
from openclaw.words import Address, ToolSpec, quote_line

SECTION = "decisions"
MOST_SHOWN = 5  # failures of one case
FACTS = Assumed()


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One call by one agent, and what came of it: `problem` where it could not even be judged."""

    agent: Agent
    call: str
    decision: Decision | None
    approvers: tuple[str, ...] = ()  # as they are named
    problem: str = ""

    @property
    def deciding(self) -> tuple[Rule, ...]:
        """The rules without which it would have come out otherwise."""
        if self.decision is None:
            return ()
        return tuple(rule for rule in self.decision.rules if rule.effect is self.decision.effect)


def outcome(case: DecisionCase, scenario: Scenario, world: World) -> Outcome:
    name = title(case)
    try:
        found = list(_judged(case, scenario, world))
    except Impossible as why:
        return Outcome(SECTION, name, case.span, (Failure(case.span, (), (f"nothing: {why}",)),))
    failures = [failure for each in found if (failure := _failure(case, each, world.snapshot)) is not None]
    rules = {rule.origin for each in found for rule in each.deciding}
    used = Used(rules=frozenset((origin.file, origin.line, origin.column) for origin in rules))
    corrections = tuple(_corrections(case, found, world.snapshot)) if failures else ()
    return Outcome(SECTION, name, case.span, tuple(failures), corrections, used)


# ── judging ──────────────────────────────────────────────────────────────────────────────────────


def _judged(case: DecisionCase, scenario: Scenario, world: World) -> Iterator[Judged]:
    tool = world.snapshot.tools.get(case.tool)
    if tool is None:
        raise Impossible(f"there is no tool `{case.tool}`")
    agents = _agents(case, scenario, world.snapshot)
    here = _standing(case, scenario, world.snapshot)
    now = (case.now or scenario.given.now or world.now).isoformat()
    tainted = scenario.given.tainted if case.tainted is None else case.tainted
    for agent in agents:
        for arguments in case.calls:
            found = _judge(world, agent, tool, arguments, here, case.heartbeat, now, tainted)
            yield found if case.rule or "*" in (case.agents or ()) else _refused_without(found, tool)


def _refused_without(found: Judged, tool: ToolSpec) -> Judged:
    """An agent calls only tools that it has. Of a rule, and of all agents, the policy itself is asked: for such as may
    get the tool one day."""
    if found.decision is None or tool.name in found.agent.tools:
        return found
    return replace(found, decision=Decision(Effect.DENY, _lacking(found.agent, tool.name)))


def _lacking(agent: Agent, tool: str) -> str:
    return f"agent {agent.id} does not have the tool {tool} at all"


def _judge(
    world: World,
    agent: Agent,
    tool: ToolSpec,
    arguments: str | Mapping[str, Any],
    here: Standing,
    heartbeat: str | None,
    now: str,
    tainted: bool,
) -> Judged:
    shown = call(tool.name, arguments)
    given, problem = _given(tool, arguments)
    if problem:
        return Judged(agent, shown, None, problem=problem)
    who = people.sender(here.sender, world.snapshot)
    attempt = Attempt(
        tool=tool,
        input=given,
        agent=agent.id,
        sender=str(who.address),
        person=who.person,
        groups=who.groups,
        channel=who.address.channel,
        room=here.room,
        heartbeat=heartbeat,
        workspace=workspace_of(agent, world.state),
        protected=(world.project, world.state),
        now=now,
        untrusted="strangers' material" if tainted else "",
    )
    policy = world.snapshot.policies[agent.policy]
    decision = permissions.decide(attempt, policy, FACTS)
    if decision.effect is Effect.ASK and not _askable(here, agent, world.snapshot):
        decision = permissions.unasked(decision)
    return Judged(agent, shown, decision, policy.approvers or _owners(world.snapshot))


def _askable(here: Standing, agent: Agent, snapshot: Snapshot) -> bool:
    return people.askable(here.sender, people.approvers_of(agent.id, snapshot), snapshot)


def _given(tool: ToolSpec, arguments: str | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The arguments as the runtime would complete them, and what it would say of them before any rule is asked."""
    if isinstance(arguments, str):
        name = next((name for name, judged in tool.judged.items() if judged == "command"), None)
        if name is None:
            return {}, f"`{tool.name}` takes no command; give its arguments as `input`"
        return {name: arguments}, ""
    from openclaw.inputs import completed, input_problem

    given = completed(tool, arguments)
    return given, input_problem(tool, given) or ""


def _agents(case: DecisionCase, scenario: Scenario, snapshot: Snapshot) -> list[Agent]:
    """Each agent that is meant. Of all, those without the tool count only where it is to be denied."""
    names = case.agents or ((scenario.given.agent,) if scenario.given.agent else (_usual(case, snapshot),))
    if "*" in names:
        every = [agent for agent in snapshot.agents.values() if case.expect == "deny" or case.tool in agent.tools]
        if not every:
            raise Impossible(f"no agent has the tool `{case.tool}`")
        return every
    missing = next((name for name in names if name not in snapshot.agents), None)
    if missing is not None:
        raise Impossible(f"there is no agent `{missing}`; there are: {', '.join(snapshot.agents)}")
    return [snapshot.agents[name] for name in names]


def _usual(case: DecisionCase, snapshot: Snapshot) -> str:
    heartbeat = snapshot.heartbeats.get(case.heartbeat or "")
    return heartbeat.agent if heartbeat else snapshot.default_agent.id


def _standing(case: DecisionCase, scenario: Scenario, snapshot: Snapshot) -> Standing:
    if case.heartbeat is None:
        return standing(case.place, scenario.given, snapshot)
    if case.heartbeat not in snapshot.heartbeats:
        raise Impossible(f"there is no heartbeat `{case.heartbeat}`")
    return Standing(Address("cron", case.heartbeat))


# ── comparing ────────────────────────────────────────────────────────────────────────────────────


def _failure(case: DecisionCase, found: Judged, snapshot: Snapshot) -> Failure | None:
    span = _broken(case, found, snapshot)
    if span is None:
        return None
    expected = case.expect + (f", by rule {case.rule}" if case.rule else "")
    expected += f", asking {listed(case.approvers)}" if case.approvers else ""
    return Failure(
        case.at(*span),
        (expected,),
        (_got(found, asked=case.approvers is not None),),
        (f"{found.call}, by agent {found.agent.id}",),
        tuple(_why(found, case)),
    )


def _broken(case: DecisionCase, found: Judged, snapshot: Snapshot) -> tuple[str, ...] | None:
    """Which key of the case does not hold; None where all do."""
    if found.decision is None:
        return ("input",) if "input" in case.node.entries else ("tool",)
    if found.decision.effect.name.lower() != case.expect:
        return ("expect",)
    if case.expect != "deny" and case.tool not in found.agent.tools:
        return ("agent",)
    if case.rule is not None and case.rule not in _names(found):
        return ("rule",)
    if case.approvers is not None and _addresses(case.approvers, snapshot) != _addresses(found.approvers, snapshot):
        return ("approvers",)
    return None


def _names(found: Judged) -> list[str]:
    """What the rules that decided may be called: by their ids, also with their policy's name before it."""
    named = [rule for rule in found.deciding if rule.id]
    return [str(rule.id) for rule in named] + [permissions.label(rule) for rule in named]


def _addresses(names: tuple[str, ...], snapshot: Snapshot) -> frozenset[str]:
    return frozenset(people.addresses(names, snapshot))


def _owners(snapshot: Snapshot) -> tuple[str, ...]:
    """The owners by name, and the terminal where it is none of theirs."""
    owners = tuple(person.name for person in snapshot.people.values() if person.owner)
    own = _addresses(owners, snapshot)
    return owners + (() if str(people.TERMINAL) in own else (str(people.TERMINAL),))


def _corrections(case: DecisionCase, found: list[Judged], snapshot: Snapshot) -> Iterator[Correction]:
    """None where the calls come out differently, or what is recorded has nothing to be replaced by."""
    effects = {each.decision.effect if each.decision else None for each in found}
    effect = effects.pop()
    with_tool = all(case.tool in each.agent.tools for each in found)
    if effects or effect is None or (effect is not Effect.DENY and not with_tool):
        return
    if case.approvers is not None and effect is not Effect.ASK:
        return
    rule = next((name for name in _names(found[0]) if all(name in _names(each) for each in found)), None)
    if case.rule is not None and rule is None:
        return
    if effect.name.lower() != case.expect:
        yield Correction((*case.path, "expect"), effect.name.lower())
    if case.rule is not None and not all(case.rule in _names(each) for each in found):
        yield Correction((*case.path, "rule"), rule)
    asked = {_addresses(each.approvers, snapshot) for each in found}
    if case.approvers is not None and len(asked) == 1 and _addresses(case.approvers, snapshot) not in asked:
        yield Correction((*case.path, "approvers"), list(found[0].approvers))


# ── in words ─────────────────────────────────────────────────────────────────────────────────────


def title(case: DecisionCase) -> str:
    first = call(case.tool, case.calls[0])
    more = f" and {len(case.calls) - 1} more" if len(case.calls) > 1 else ""
    return f"{first}{more}{_by(case)}"


def _by(case: DecisionCase) -> str:
    if case.agents is None:
        return ""
    return " by every agent" if "*" in case.agents else f" by {listed(case.agents)}"


def _got(found: Judged, *, asked: bool) -> str:
    if found.decision is None:
        return f"no call: {quote_line(found.problem)}"
    effect = found.decision.effect
    whom = f", asking {listed(found.approvers)}" if asked and effect is Effect.ASK else ""
    return f"{effect.name.lower()}{whom}: {quote_line(found.decision.reason)}"


def _why(found: Judged, case: DecisionCase) -> Iterator[str]:
    decision = found.decision
    if decision is None:
        return
    if decision.reason == (lacking := _lacking(found.agent, case.tool)):
        return
    if case.tool not in found.agent.tools:
        yield lacking
    for segment in decision.segments if len(decision.segments) > 1 else ():
        argv = " ".join(quote_line(argument) if argument else "''" for argument in segment.argv)
        yield f"{segment.decision.name.lower():5} {argv}: {quote_line(segment.reason)}"
    for rule in decision.rules:
        reason = f": {quote_line(rule.reason)}" if rule.reason else ""
        place = f"{rule.origin.file}:{rule.origin.line}:{rule.origin.column}"
        yield f"rule  {place} {rule.effect.name.lower()} {permissions.label(rule)}{reason}"
    if not decision.rules:
        yield f"no rule matches; the default of policy {found.agent.policy} holds"
