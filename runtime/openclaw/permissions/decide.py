"""One question, one answer: may this agent make this call for this person?

Its law: DENY over ASK over ALLOW, over every rule that matches and every part of the call; order and
specificity play no part, and no rule at all is the policy's default. ALLOW is only for what is wholly
understood; anything that goes wrong on the way ends stricter, never looser. A function of values: the
machine is asked through `Facts`, and nothing is run, written or remembered here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from openclaw.permissions import conditions, grammar, held, rules, scan, segments, subjects
from openclaw.permissions.facts import Facts
from openclaw.permissions.policy import (
    Attempt,
    Condition,
    Decision,
    Effect,
    Origin,
    Policy,
    Refusal,
    Rule,
    Segment,
    policy_digest,
)
from openclaw.permissions.segments import Examined
from openclaw.permissions.subjects import Stop, Subjects
from openclaw.permissions.template import Template
from openclaw.words import CommandLine, Step

__all__ = [
    "Attempt",
    "Condition",
    "Decision",
    "Docket",
    "Effect",
    "Origin",
    "Policy",
    "Refusal",
    "Rule",
    "Segment",
    "decide",
    "decision_json",
    "hidden",
    "label",
    "place",
    "standing",
]


def decide(attempt: Attempt, policy: Policy, facts: Facts) -> Decision:
    """The strictest of everything that applies. Never raises."""
    try:
        return _Judgement(attempt, policy, facts, Docket.of(attempt, policy)).decision()
    except Exception as problem:
        return _unmade(policy, problem)


@dataclass(frozen=True, slots=True)
class Docket:
    """The rules that speak of a call whatever its arguments are, for many calls that differ in nothing else."""

    policy: Policy
    allows: tuple[Rule, ...]
    forbidding: tuple[Rule, ...]

    @classmethod
    def of(cls, attempt: Attempt, policy: Policy) -> Docket:
        template = isinstance(attempt.tool.options.get("template"), Template)
        applying = [rule for rule in policy.rules if rules.applies(rule, attempt, template=template)]
        allows = [rule for rule in applying if rule.effect is Effect.ALLOW]
        return cls(policy, tuple(allows), tuple(rule for rule in applying if rule.effect is not Effect.ALLOW))

    def judge(self, attempt: Attempt, facts: Facts) -> Decision:
        """As `decide`, but that nothing can run by it: what would hold a command is not worked out."""
        try:
            return _Judgement(attempt, self.policy, facts, self, runs=False).decision()
        except Exception as problem:
            return _unmade(self.policy, problem)


def _unmade(policy: Policy, problem: Exception) -> Decision:
    denies = any(rule.effect is Effect.DENY for rule in policy.rules)
    effect = max(Effect.DENY if denies else Effect.ASK, policy.default)
    return Decision(effect, f"the decision could not be made ({type(problem).__name__}), so nothing is allowed")


def hidden(policy: Policy, tool_name: str) -> bool:
    """Whether the policy denies the tool whatever the call: then the model is not shown it."""
    return any(
        rule.effect is Effect.DENY
        and rule.unless is None
        and rule.when == Condition()
        and conditions.names_tool(rule, tool_name)
        for rule in policy.rules
    )


def standing(policy: Policy, tool_name: str) -> Effect | None:
    """What the policy says of a tool whatever the call, for whomever, at any time; None where it depends on them."""
    if hidden(policy, tool_name):
        return Effect.DENY
    naming = [rule for rule in policy.rules if conditions.names_tool(rule, tool_name)]
    if any(rule.when != Condition() or rule.unless is not None or rule.until is not None for rule in naming):
        return None
    return max((rule.effect for rule in naming), default=policy.default)


def label(rule: Rule) -> str:
    """How a rule is called before people: its id, else its place."""
    name = rule.id or (f"{rule.origin.file}:{rule.origin.line}" if rule.origin.file else rule.effect.name.lower())
    return f"{rule.policy}/{name}" if rule.policy else name


def place(rule: Rule) -> str:
    """Where a rule stands, as editors and terminals take it for a link; "" for one that no file holds."""
    return f"{rule.origin.file}:{rule.origin.line}:{rule.origin.column}" if rule.origin.file else ""


def unasked(decision: Decision) -> Decision:
    """What becomes of a call that somebody would have to agree to, where none of those who may can be asked."""
    return replace(decision, effect=Effect.DENY, reason=f"{decision.reason}; nobody who may agree is reachable")


def decision_json(decision: Decision) -> dict[str, Any]:
    """What `openclaw why --json` prints."""
    refusal = decision.refusal
    return {
        "decision": decision.effect.name.lower(),
        "reason": decision.reason,
        "rules": [_rule_json(rule) for rule in decision.rules],
        "segments": [
            {
                "argv": list(segment.argv),
                "decision": segment.decision.name.lower(),
                "reason": segment.reason,
                "rules": [_rule_json(rule) for rule in segment.rules],
            }
            for segment in decision.segments
        ],
        "refusal": None
        if refusal is None
        else {"code": refusal.code, "message": refusal.message, "column": refusal.column or None},
    }


def _rule_json(rule: Rule) -> dict[str, Any]:
    return {
        "file": rule.origin.file,
        "line": rule.origin.line,
        "column": rule.origin.column,
        "effect": rule.effect.name.lower(),
        "policy": rule.policy,
        "id": rule.id,
    }


@dataclass(slots=True)
class _Judgement:
    """One call under judgement: what was found so far, and by which rules."""

    attempt: Attempt
    policy: Policy
    facts: Facts
    docket: Docket
    runs: bool = True
    found: list[Stop] = field(default_factory=list)
    matched: list[Rule] = field(default_factory=list)
    outcomes: tuple[Segment, ...] = ()
    granted: list[tuple[bool, bool, bool]] = field(default_factory=list)  # by step: held by a profile, writes, network
    vetted: tuple[Step, ...] = ()  # steps that their profiles hold
    reads: tuple[tuple[tuple[Path, ...], bool] | None, ...] = ()  # by step: what it opens, and whether it reads below

    def decision(self) -> Decision:
        subject = subjects.of(self.attempt, self.facts)
        self.found.extend(subject.stops)
        allows, forbidding = self.docket.allows, self.docket.forbidding
        command = subject.command
        if subject.refusal is not None:
            command = self._refused(subject, forbidding)
        elif command is not None:
            command = self._steps(subject, command, allows, forbidding)
        else:
            self._call(subject, allows, forbidding)
        worst = max(self.found, key=lambda stop: stop.effect)
        if worst.effect is Effect.ALLOW and (mixed := self._mixed()):
            worst = Stop(max(Effect.ASK, self.policy.default), mixed)
            self.found.append(worst)
        if command is not None and self.runs:
            command = self._held(command, subject, worst.effect)
        return Decision(
            worst.effect,
            worst.reason,
            _strictest_first(self.matched),
            self.outcomes,
            subject.refusal,
            command,
            {
                "cwd": str(subject.cwd),
                "paths": tuple(str(path.real) for path in subject.paths),
                "template": subject.template,
                "reads": self.reads,
                "policy": policy_digest(self.policy),
            },
        )

    def _mixed(self) -> str | None:
        """One line is held as one: what a rule gives to one of its programs must not reach the others."""
        for index, words in ((1, "write in the workspace"), (2, "use the network")):
            given = [each[index] for each in self.granted]
            if any(given) and not all(has or each[0] for has, each in zip(given, self.granted, strict=True)):
                return f"one program of this line may {words} and another may not; call them one by one"
        return None

    def _held(self, command: CommandLine, subject: Subjects, effect: Effect) -> CommandLine:
        """The command with what will hold it while it runs."""
        confinement = held.confinement(
            command,
            self.attempt,
            self.policy,
            self.facts,
            cwd=subject.cwd,
            asked=effect is not Effect.ALLOW,
            rules=self.matched,
            vetted=self.vetted,
            below=any(each is None or each[1] for each in self.reads),
        )
        return CommandLine(command.steps, confinement)

    def _call(self, subject: Subjects, allows: Sequence[Rule], forbidding: Sequence[Rule]) -> None:
        """A call without a command: every rule looks at the whole of it."""
        held = self._forbid(subject, forbidding, ())
        permitting = [rule for rule in allows if rules.permits_call(rule, self.attempt, subject)]
        self.matched.extend(permitting)
        if permitting:
            self.found.append(Stop(Effect.ALLOW, f"allowed by {label(permitting[0])}"))
        elif not held:
            effect = max(Effect.ASK, self.policy.default)
            self.found.append(Stop(effect, f"no rule allows this call of `{self.attempt.tool.name}`"))

    def _forbid(self, subject: Subjects, forbidding: Sequence[Rule], examined: Sequence[Examined]) -> bool:
        """Ask and deny rules about the call as a whole; says whether any of them held."""
        operands = [operand for each in examined for operand in each.operands]
        held = [rule for rule in forbidding if rules.forbids_call(rule, self.attempt, subject, operands)]
        for rule in held:
            self._hold(rule)
        return bool(held)

    def _hold(self, rule: Rule) -> Stop:
        verb = "denied" if rule.effect is Effect.DENY else "to be asked"
        stop = Stop(rule.effect, f"{verb} by {label(rule)}" + (f": {rule.reason}" if rule.reason else ""))
        self.matched.append(rule)
        self.found.append(stop)
        return stop

    # ── commands ─────────────────────────────────────────────────────────────────────────────────

    def _steps(
        self, subject: Subjects, command: CommandLine, allows: Sequence[Rule], forbidding: Sequence[Rule]
    ) -> CommandLine:
        """A command that is understood: each program by itself, and all must be allowed."""
        workspace = self.facts.resolve(".", self.attempt.workspace) or self.attempt.workspace
        roots = self.policy.trusted_repositories
        examined = [
            segments.examine(step, subject, workspace, self.attempt, self.facts, roots) for step in command.steps
        ]
        self.vetted = tuple(each.step for each in examined if isinstance(each.vetted, tuple) and each.stray is None)
        self.reads = tuple(map(segments.reads, examined))
        held = self._forbid(subject, forbidding, examined)
        whole = [rule for rule in allows if rules.permits_call(rule, self.attempt, subject)] if subject.template else []
        self.outcomes = tuple(self._step(each, subject, allows, forbidding, whole, held) for each in examined)
        return CommandLine(tuple(each.step for each in examined))

    def _step(
        self,
        examined: Examined,
        subject: Subjects,
        allows: Sequence[Rule],
        forbidding: Sequence[Rule],
        whole: Sequence[Rule],
        held: bool,
    ) -> Segment:
        """One program's outcome. The policy's default speaks only where no rule does, about it or the whole call."""
        argv = examined.step.argv
        if subject.template:
            effect, reason, named = segments.in_template(
                examined, whole, self.attempt, subject, self.policy, self.facts
            )
        else:
            effect, reason, named = segments.permit(examined, allows, self.attempt, subject, self.policy, self.facts)
        self.matched.extend(named)
        held_by_profile = isinstance(examined.vetted, tuple) and examined.stray is None
        writes, network = any(rule.writes for rule in named), any(rule.network for rule in named)
        self.granted.append((held_by_profile, writes, network))
        if effect is Effect.ALLOW:
            reason = f"{reason} by {label(named[0])}" if reason == "allowed" else reason
        invocations = _invocations(examined) if forbidding else []
        against = [rule for rule in forbidding if rules.forbids_step(rule, self.attempt, subject, invocations, argv)]
        stops = [self._hold(rule) for rule in against]
        if named or not (stops or held):
            stops.append(Stop(effect, reason))
        worst = max(stops, key=lambda stop: stop.effect, default=Stop(Effect.ASK, reason))
        self.found.append(worst)
        program = examined.program.path if examined.program else None
        return Segment(argv, worst.effect, worst.reason, program, _strictest_first([*named, *against]))

    def _refused(self, subject: Subjects, forbidding: Sequence[Rule]) -> CommandLine | None:
        """A command outside the grammar: never allowed, and denied wherever a deny rule can see into it."""
        refusal = subject.refusal
        assert refusal is not None
        held = self._forbid(subject, forbidding, ())
        effect = Effect.ASK if held else max(Effect.ASK, self.policy.default)
        if refusal.code in grammar.TOO_BIG:
            effect = Effect.DENY
        self.found.append(Stop(effect, f"not understood as a plain command: {refusal.message}"))
        found = scan.of_text(subject.text)
        command = subjects.through_shell(subject.text, self.facts)
        shells = [step.argv for step in command.steps] if command is not None else []
        for rule in forbidding:
            if rules.forbids_step(rule, self.attempt, subject, [*found.invocations, *shells], None):
                self._hold(rule)
        if not found.complete and any(rule.effect is Effect.DENY for rule in forbidding):
            self.found.append(Stop(Effect.DENY, "too long to be searched for what is denied"))
        return command


def _strictest_first(matched: Sequence[Rule]) -> tuple[Rule, ...]:
    """Each once."""
    told = {id(rule): rule for rule in matched}
    return tuple(sorted(told.values(), key=lambda rule: -rule.effect))


def _invocations(examined: Examined) -> list[scan.Invocation]:
    """Everything a step would start, under the name it is called by and under that of the file behind it."""
    argv = examined.step.argv
    found = list(scan.of_argv(argv))
    if examined.program is not None:
        found.append((examined.program.path, *argv[1:]))
    return found
