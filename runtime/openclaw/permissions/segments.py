"""One program of a command line: may it run with these arguments, unasked?

Allowed is what a rule names and what then proves harmless: vetted by its profile with every path inside
the workspace, or, without a profile, spelt out token by token in the rule. Prohibitions are found elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from openclaw.permissions import held, paths, profiles, programs, scan, subjects
from openclaw.permissions.facts import Facts, Program
from openclaw.permissions.policy import Attempt, Effect, Policy, Rule
from openclaw.permissions.rules import permits_step
from openclaw.permissions.subjects import PathSubject, Stop, Subjects
from openclaw.words import Step

_NEED_WORDS = frozenset({"shell", "interpreter", "wrapper"})


@dataclass(frozen=True, slots=True)
class Examined:
    """A step with what is known of it before any rule is asked: its program, and the paths it would open."""

    step: Step
    program: Program | None
    vetted: tuple[str, ...] | str | None  # None: no profile; text: why it is not vetted
    operands: tuple[PathSubject, ...] = ()
    stray: str | None = None  # what is wrong with one of its paths
    below: bool = False  # it reads all that lies in its folders
    trusted: bool = False  # what its repository says is what a trusted one says


def examine(
    step: Step, subject: Subjects, workspace: Path, attempt: Attempt, facts: Facts, roots: tuple[Path, ...] = ()
) -> Examined:
    """`roots`: of the repositories that the policy trusts."""
    step, program = subjects.resolved(step, facts)
    known = profiles.profile(step.argv[0])
    if known is None:
        return Examined(step, program, None)
    trusted = known.repository and facts.trusts(subject.cwd, roots)
    vetted = known.vet(step.argv, repository=trusted)
    if isinstance(vetted, str):
        return Examined(step, program, vetted)
    operands: list[PathSubject] = []
    stray = None
    for text in vetted:
        operand = subjects.path_subject(text, workspace, subject.cwd, facts)
        if isinstance(operand, Stop):
            stray = stray or operand.reason
            continue
        operands.append(operand)
        stray = stray or _stray(operand, workspace, attempt)
    return Examined(step, program, vetted, tuple(operands), stray, known.reads_below(step.argv), trusted)


def reads(examined: Examined) -> tuple[tuple[Path, ...], bool] | None:
    """What a step opens, where that leads, and whether it reads all below; None where nobody knows."""
    if not isinstance(examined.vetted, tuple) or len(examined.operands) != len(examined.vetted):
        return None
    return tuple(operand.real for operand in examined.operands), examined.below


def _stray(operand: PathSubject, workspace: Path, attempt: Attempt) -> str | None:
    if not paths.within(operand.real, workspace):
        return f"`{operand.text}` lies outside the workspace"
    guard = subjects.guarded(operand, workspace, attempt)
    return None if guard is None else f"`{operand.text}` is protected ({guard})"


def permit(
    examined: Examined, allows: Sequence[Rule], attempt: Attempt, subject: Subjects, policy: Policy, facts: Facts
) -> tuple[Effect, str, list[Rule]]:
    """The outcome of the allow rules for one step: effect, reason, and the rules that named it."""
    unlisted = max(Effect.ASK, policy.default)
    argv = examined.step.argv
    entries = [(rule, permits_step(rule, attempt, subject, argv)) for rule in allows]
    named = [(rule, entry) for rule, entry in entries if entry is not None]
    if not named:
        return unlisted, f"no rule allows `{argv[0]}`" + ("" if len(argv) == 1 else " with these arguments"), []
    matched = [rule for rule, _ in named]
    asking = None if examined.trusted else _asks(argv)
    if asking is not None:
        return Effect.ASK, asking, matched
    untrusted = _untrusted(examined, subject)
    if untrusted is not None:
        return unlisted, untrusted, matched
    reasons = [_doubt(examined, rule, entry) for rule, entry in named]
    doubt = None if None in reasons else reasons[0]
    if doubt is None:
        doubt = _unheld(examined, matched, attempt, policy, facts)
    if doubt is not None:
        return unlisted, doubt, matched
    return Effect.ALLOW, "allowed" if examined.program is not None else "allowed; not-installed", matched


def in_template(
    examined: Examined, whole: Sequence[Rule], attempt: Attempt, subject: Subjects, policy: Policy, facts: Facts
) -> tuple[Effect, str, list[Rule]]:
    """One step of a shell template: allowed as written where a rule allows the tool, if its program is trusted."""
    unlisted = max(Effect.ASK, policy.default)
    if not whole:
        return unlisted, "no rule allows this call", []
    doubt = _untrusted(examined, subject) or _unheld(examined, whole, attempt, policy, facts)
    if doubt is not None:
        return unlisted, doubt, list(whole)
    return Effect.ALLOW, "allowed" if examined.program is not None else "allowed; not-installed", list(whole)


def _unheld(examined: Examined, matched: Sequence[Rule], attempt: Attempt, policy: Policy, facts: Facts) -> str | None:
    """What the sandbox of this machine would have to give, and does not."""
    return held.objection(
        examined.step,
        attempt,
        policy,
        facts,
        vetted=isinstance(examined.vetted, tuple),
        confined=examined.stray is None,
        network=any(rule.network for rule in matched),
        below=examined.below,
    )


def _asks(argv: Sequence[str]) -> str | None:
    """The standing objection against a program, wherever in the arguments it would be started."""
    for found in scan.of_argv(argv):
        known = profiles.profile(found[0].rsplit("/", 1)[-1])
        if known is not None and known.objection is not None:
            return known.objection
    return None


def _untrusted(examined: Examined, subject: Subjects) -> str | None:
    name = examined.step.argv[0]
    program = examined.program
    if "/" in name and not name.startswith("/"):
        return f"`{name}` is sought from the current folder; name a program of the system, or an absolute path"
    if program is not None and not program.trusted:
        return f"`{program.path}` could be exchanged by somebody else"
    if program is not None and paths.within(_place(program.path), subject.cwd):
        return f"`{program.path}` lies in the workspace"
    return None


_place = lru_cache(maxsize=256)(Path)  # the same few programs in every command


def _doubt(examined: Examined, rule: Rule, entry: str) -> str | None:
    """Why a rule that names the step does not carry it after all; None where it does."""
    exact = entry.split() == list(examined.step.argv)
    if isinstance(examined.vetted, str) and not (rule.unsafe and exact and len(examined.step.argv) > 1):
        return examined.vetted
    if examined.vetted is None and not rule.unsafe and _boundless(entry, exact):
        return f"`{examined.step.argv[0]}` can run anything, so a rule must spell its arguments out"
    return examined.stray


def _boundless(entry: str, exact: bool) -> bool:
    program = entry.split()[0]
    kind = programs.kind(program)
    return kind is not None and (len(entry.split()) == 1 or (kind in _NEED_WORDS and not exact and "*" in entry))
