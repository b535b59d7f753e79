"""Show an agent as it is in force: each value and where it comes from, its tools, its policy, its routes.

A value may stand in the agent's own manifest, in a _defaults.yaml above it, in models.yaml or heartbeats.yaml, or be
built in. Of each tool it says what a call comes to, as far as that can be said without the call, and by which rules.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from openclaw.errors import UsageError

if TYPE_CHECKING:
    from openclaw.manifest.origins import Stated
    from openclaw.manifest.project import Project
    from openclaw.manifest.snapshot import Agent
    from openclaw.permissions.policy import Origin, Rule

BUILT_IN = "built in"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="the agent's id, for example main")
    parser.add_argument("--no-import", action="store_true", help="import no Python tool")
    parser.add_argument("--json", action="store_true", help="answer as JSON")


def run(args: argparse.Namespace) -> int:
    from openclaw.cli import _columns
    from openclaw.cli._compiled import opened
    from openclaw.cli._listing import as_json

    side, project = opened(args.project, imports=not args.no_import)
    agent = side.snapshot.agents.get(args.agent)
    if agent is None:
        raise UsageError(f"there is no agent `{args.agent}`; there are: {', '.join(side.snapshot.agents)}")
    sheet = _Sheet(agent, side, project)
    if args.json:
        as_json(sheet.as_object())
    else:
        print("\n".join(sheet.lines(_columns.width())))
    return 0


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Everything about one agent."""

    agent: Agent
    side: Stated
    project: Project

    def values(self) -> Iterator[tuple[str, str, Origin | None, str]]:
        """Key, value, where it stands, and how it came to the agent."""
        from openclaw.plan.fields import values

        written = self.side.written.get(("agent", self.agent.id), {})
        stated = values("agent", self.agent.id, self.side)
        order = [each.name for each in fields(self.agent)]
        found: dict[str, Any] = {name: "none" for name in order if getattr(self.agent, name) is None}
        found |= stated
        for key in sorted(found, key=lambda key: order.index(key.partition(".")[0])):
            value = found[key]
            shown = ", ".join(value) or "none" if isinstance(value, tuple) else str(value)
            said = written[key].origin if key in written else self._elsewhere(key)
            yield key, shown, said, self._how(said)

    def _elsewhere(self, key: str) -> Origin | None:
        from openclaw.manifest.origins import inherited
        from openclaw.permissions.policy import Origin

        if key == "soul" and (beside := self.souls()):
            return Origin(beside[0][0], 1, 1)
        return inherited(key, self.project)

    def _how(self, at: Origin | None) -> str:
        if at is None:
            return BUILT_IN
        beside = [file for file, _ in self.souls()]
        return "own" if at.file in (self.file, *beside) else "inherited"

    @property
    def file(self) -> str:
        return self.project.all("agent")[self.agent.id].key.file

    def tools(self) -> Iterator[tuple[str, str, list[Rule]]]:
        """Each tool, what a call of it comes to, and the rules that speak of it."""
        from openclaw.permissions.compare import Side, speaking

        policy = self.side.snapshot.policies[self.agent.policy]
        for name in self.agent.tools:
            rules = speaking(Side(policy, self.side.snapshot.tools[name]))
            yield name, _decision(policy, name, rules), rules

    def souls(self) -> Sequence[tuple[str, int]]:
        from openclaw.manifest.origins import souls

        return souls(self.project, self.agent.id)

    def routes(self) -> Iterator[tuple[str, str, str]]:
        """Ways that lead to it: what, who, and whether it is the one that usually answers there."""
        from openclaw.plan.ways import ways

        if self.agent.prefix:
            yield f"prefix {self.agent.prefix}", "whoever may write to it at all", "always"
        for way in ways(self.side.snapshot):
            if self.agent.id in way.agents and not way.off:
                yield way.title, ", ".join(way.who) or "nobody", "usually" if way.usual == self.agent.id else "by name"

    # ── told ─────────────────────────────────────────────────────────────────────────────────────

    def lines(self, columns: int) -> Iterator[str]:
        from openclaw.cli._columns import laid
        from openclaw.plan.rules import place, rule_words

        yield from laid(("agent", self.agent.id, self.file), self._value_rows(), columns)
        yield from ("", "soul")
        souls = [(f"{size:,} bytes", file) for file, size in self.souls()] or [("", "the built-in one")]
        yield from _in(laid(("", ""), souls, columns - 2))
        yield from ("", f"tools, under policy {self.agent.policy}")
        tools = [(name, decision, "; ".join(map(place, rules))) for name, decision, rules in self.tools()]
        yield from _in(laid(("", "", ""), tools, columns - 2) if tools else ["none"])
        yield from ("", f"policy {self.agent.policy}")
        yield from _in(laid(("", ""), [*self._policy_rows()], columns - 2))
        rules = [(rule_words(rule), place(rule)) for rule in self.side.snapshot.policies[self.agent.policy].rules]
        yield from _in(laid(("", ""), rules, columns - 2) if rules else ["no rule"])
        yield from ("", "routes")
        yield from _in(laid(("", "", ""), [*self.routes()], columns - 2))

    def _value_rows(self) -> list[tuple[str, str, str]]:
        found = self.values()
        return [(key, value, how if at is None else f"{at.file}:{at.line}") for key, value, at, how in found]

    def _policy_rows(self) -> Iterator[tuple[str, str]]:
        from openclaw.durations import spelt
        from openclaw.manifest.people import approvers_of
        from openclaw.plan.access import named

        policy = self.side.snapshot.policies[self.agent.policy]
        yield "what no rule names", "is denied" if policy.default.name == "DENY" else "asks"
        yield "who answers", ", ".join(named(approvers_of(self.agent.id, self.side.snapshot), self.side.snapshot))
        yield "no answer within", f"{spelt(policy.answer_within)} is a no"
        yield "sandbox", policy.sandbox
        if policy.trusted_repositories:
            yield "trusted repositories", ", ".join(map(str, policy.trusted_repositories))

    def as_object(self) -> dict[str, Any]:
        policy = self.side.snapshot.policies[self.agent.policy]
        return {
            "agent": self.agent.id,
            "file": self.file,
            "values": {key: {"value": value, "how": how, **_place(at)} for key, value, at, how in self.values()},
            "soul": [{"file": file, "bytes": size} for file, size in self.souls()],
            "tools": [
                {"name": name, "decision": decision, "rules": [*map(_rule, rules)]}
                for name, decision, rules in self.tools()
            ],
            "policy": {
                "name": policy.name,
                **dict(self._policy_rows()),
                "rules": [_rule(rule) for rule in policy.rules],
            },
            "routes": [{"way": way, "who": who, "answers": how} for way, who, how in self.routes()],
        }


def _decision(policy: Any, tool: str, rules: Sequence[Rule]) -> str:
    from openclaw.permissions.decide import Effect, standing

    if any(rule.effect is Effect.DENY and rule.when.commands is not None for rule in rules):
        return "depends on the call"
    match standing(policy, tool):
        case Effect.ALLOW:
            return "runs unasked"
        case Effect.ASK:
            return "asks"
        case Effect.DENY:
            return "is denied"
        case _:
            return "depends on the call"


def _rule(rule: Rule) -> dict[str, Any]:
    from openclaw.plan.rules import effect_of, rule_words

    return {"effect": effect_of(rule), "policy": rule.policy, "id": rule.id, "words": rule_words(rule),
            **_place(rule.origin)}  # fmt: skip


def _place(at: Origin | None) -> dict[str, Any]:
    return {"file": at.file if at else None, "line": at.line if at else None, "column": at.column if at else None}


def _in(lines: Sequence[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
