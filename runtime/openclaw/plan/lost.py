"""What of two snapshots is looser or stricter, for whoever has put one in the other's place: words, and quickly. Pure.

Its law: no prohibition goes untold. `lost` looks at rules alone and costs next to nothing, however many agents there
are; `judged` tries calls, says what an edit comes to, and may take a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from openclaw.manifest.origins import Stated
from openclaw.manifest.snapshot import Agent, Snapshot
from openclaw.permissions.policy import Condition, Effect, Origin, Policy, Rule
from openclaw.plan.changes import Change
from openclaw.plan.judging import judgements, never
from openclaw.plan.names import named
from openclaw.plan.reach import standings
from openclaw.plan.rules import place, rule_words
from openclaw.plan.unasked import unasked

_NOWHERE = Origin("", 0, 0)
_LISTS = ("commands", "paths", "hosts", "sender", "channel", "room", "heartbeat")
MOST: Final = 50  # sentences on decisions
NAMED: Final = 5  # policies and agents that are named in one sentence


@dataclass(frozen=True, slots=True)
class Judged:
    """A sentence each."""

    widened: tuple[str, ...] = ()
    tightened: tuple[str, ...] = ()


# ── rules ────────────────────────────────────────────────────────────────────────────────────────


def lost(old: Snapshot, new: Snapshot) -> tuple[str, ...]:
    """Each ask and deny rule, each default and whose configuration git may not follow, where that holds no more, or
    less widely, in a policy that is in use:
    `policy works: deny read_file, paths [**/*.key] (works/never-key, tools.yaml:9) removed`."""
    where: dict[str, list[str]] = {}
    for name, policy in new.policies.items():
        if name in old.policies and old.policies[name] != policy:
            for words in dict.fromkeys(_lost(old.policies[name], policy)):
                where.setdefault(words, []).append(name)
    told = [f"{_policies(names)}: {words}" for words, names in where.items()]
    moved = (f"{title}: {words}" for title, before, after in _moved(old, new) for words in _lost(before, after))
    return (*told, *dict.fromkeys(moved))


def _policies(names: Sequence[str]) -> str:
    return f"{'policy' if len(names) == 1 else 'policies'} {_list(names)}"


def _moved(old: Snapshot, new: Snapshot) -> Iterator[tuple[str, Policy, Policy]]:
    """Of agents that were given another policy."""
    for id, agent in new.agents.items():
        before = old.agents.get(id)
        if before is not None and before.policy != agent.policy:
            title = f"agent {id}, policy {before.policy} -> {agent.policy}"
            yield title, old.policies[before.policy], new.policies[agent.policy]


def _lost(old: Policy, new: Policy) -> Iterator[str]:
    kept = {_bare(rule) for rule in new.rules if _hashable(rule)}
    held = [rule for rule in new.rules if rule.effect is not Effect.ALLOW]
    for rule in old.rules:
        if rule.effect is Effect.ALLOW or (_hashable(rule) and _bare(rule) in kept):
            continue
        if not any(covers(other, rule) for other in held):
            yield f"{_written(rule)} {_instead(rule, new)}"
    if old.default is Effect.DENY and new.default is not Effect.DENY:
        yield "default deny became ask"
    yield from (f"git may follow the configuration of {root} unasked" for root in trusting(old, new))


def trusting(old: Policy, new: Policy) -> Iterator[str]:
    """The repositories whose own configuration git may follow from now on."""
    known = old.trusted_repositories
    yield from (str(root) for root in new.trusted_repositories if root not in known)


def _hashable(rule: Rule) -> bool:
    return rule.when.input is None and (rule.unless is None or rule.unless.input is None)


def _bare(rule: Rule) -> Rule:
    """Wherever it stands, whatever it is called and why."""
    return replace(rule, origin=_NOWHERE, id=None, reason=None, policy="")


def covers(new: Rule, old: Rule) -> bool:
    """Whether what one rule forbids the other forbids, at least as strictly, as far as can be read off."""
    return (
        new.effect >= old.effect
        and set(old.tools) <= set(new.tools)
        and (new.unless is None or new.unless == old.unless)
        and _wider(new.when, old.when)
    )


def _wider(new: Condition, old: Condition) -> bool:
    for name in _LISTS:
        entries, before = getattr(new, name), getattr(old, name)
        if entries is not None and (before is None or not set(before) <= set(entries)):
            return False
    return (new.input is None or new.input == old.input) and (new.tainted is None or new.tainted == old.tainted)


def _written(rule: Rule) -> str:
    where = place(rule)
    return f"{rule_words(rule)} ({where})" if where else rule_words(rule)


def _instead(rule: Rule, policy: Policy) -> str:
    same = [one for one in policy.rules if rule.id is not None and (one.policy, one.id) == (rule.policy, rule.id)]
    return f"became {rule_words(same[0])}" if same else "removed"


def _list(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


# ── decisions ────────────────────────────────────────────────────────────────────────────────────


def judged(
    old: Snapshot,
    new: Snapshot,
    now: datetime,
    stirred: frozenset[str] = frozenset(),
    over: Callable[[], bool] = never,
) -> Judged:
    """What becomes of decisions, of who reaches whom, and of what runs unasked, as `openclaw plan` tells it.
    `stirred`: Python tools whose code is another one. `now` is aware. Raises
    TimeoutError soon after it is `over`: a thread that nobody waits for would keep the process from ending."""
    if not stirred and not any(named(_permitting(old), _permitting(new))):
        return Judged()
    before, after = Stated(old), Stated(new)
    found = [*judgements(old, new, now, over=over), *standings(before, after), *unasked(before, after)]
    return Judged(*(_most([change for change in found if change.widens is wider]) for wider in (True, False)))


def _most(changes: Sequence[Change]) -> tuple[str, ...]:
    """With many policies of one make there are many alike, and each has been told as a rule already."""
    more = [f"and {len(changes) - MOST:,} more like these"] if len(changes) > MOST else []
    return (*map(_sentence, changes[:MOST]), *more)


def _permitting(snapshot: Snapshot) -> Snapshot:
    """Without what an agent is told, which permits nothing."""
    return replace(snapshot, agents={id: _mute(agent) for id, agent in snapshot.agents.items()})


def _mute(agent: Agent) -> Agent:
    return replace(agent, name="", description="", soul="", instructions="")


def _sentence(change: Change) -> str:
    """`run_command (main): no longer denies commands [su] (works/no-root, tools.yaml:9), for example ...`"""
    whom = f" ({_list(change.agents)})" if change.agents else ""
    perhaps = "perhaps: " if change.what.startswith("may") else ""
    instance = f", for example {change.example}" if change.example else ""
    return f"{perhaps}{change.name}{whom}: {change.words}{instance}"


__all__ = ["Judged", "covers", "judged", "lost", "trusting"]
