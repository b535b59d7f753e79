"""All cases of a suite, judged one after the other in the order of their files, and what that comes to.

Knows which room judges which sort of case, and nothing of how results are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import reduce
from pathlib import Path
from traceback import extract_tb

from openclaw.manifest.build import Compiled
from openclaw.reading import Reading
from openclaw.scenarios import coverage, decisions, routes, schedules
from openclaw.scenarios.coverage import Coverage
from openclaw.scenarios.document import (
    Case,
    Conversation,
    DecisionCase,
    Failure,
    Outcome,
    RouteCase,
    Scenario,
    ScheduleCase,
    Used,
)
from openclaw.scenarios.suite import Suite
from openclaw.scenarios.world import World

Chosen = Callable[[Scenario, Case], bool]


@dataclass(frozen=True, slots=True)
class Result:
    file: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """`left_out` counts the cases that were not chosen, `unjudged` those that were, and whose turn did not come."""

    results: tuple[Result, ...]
    left_out: int
    coverage: Coverage
    unjudged: int = 0

    @property
    def failed(self) -> int:
        return sum(not each.outcome.passed for each in self.results)


def judged(
    suite: Suite, world: World, chosen: Chosen, begins: Callable[[Scenario, Case], None] = lambda scenario, case: None
) -> Iterator[Result]:
    """`begins` is told of each case before it is judged: a conversation may take a while."""
    for scenario in suite.scenarios:
        for case in scenario.cases:
            if chosen(scenario, case):
                begins(scenario, case)
                yield Result(scenario.file, _outcome(case, scenario, world))


def _outcome(case: Case, scenario: Scenario, world: World) -> Outcome:
    """A mistake of ours in one case costs no other its result."""
    try:
        return outcome(case, scenario, world)
    except Exception as error:
        last = extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {error}"
        section, _, name = title(case).partition(": ")
        why = ("this is a bug in openclaw, not your mistake",)
        return Outcome(section, name, case.span, (Failure(case.span, ("the case to be judged",), (what,), (), why),))


def collected(results: Iterable[Result], suite: Suite, world: World, chosen: Chosen) -> Results:
    kept = tuple(results)
    used = reduce(Used.__or__, (each.outcome.used for each in kept), Used())
    asked = [chosen(scenario, case) for scenario in suite.scenarios for case in scenario.cases]
    return Results(kept, asked.count(False), coverage.of(world.snapshot, used), asked.count(True) - len(kept))


def outcome(case: Case, scenario: Scenario, world: World) -> Outcome:
    match case:
        case RouteCase():
            return routes.outcome(case, scenario, world)
        case DecisionCase():
            return decisions.outcome(case, scenario, world)
        case ScheduleCase():
            return schedules.outcome(case, scenario, world)
        case Conversation():
            from openclaw.scenarios.conversations import run_conversation  # a whole runtime, and needed only now

            reading = Reading(world.folder, Compiled(world.snapshot, ()))
            return run_conversation(reading, case)
    raise AssertionError(f"no room judges {type(case).__name__}")


def title(case: Case) -> str:
    """What a case is called: its section, and what it is about."""
    match case:
        case RouteCase():
            return f"{routes.SECTION}: {routes.title(case)}"
        case DecisionCase():
            return f"{decisions.SECTION}: {decisions.title(case)}"
        case ScheduleCase():
            return f"{schedules.SECTION}: {schedules.title(case)}"
        case Conversation():
            return f"conversations: {case.name}"
    raise AssertionError(f"no room judges {type(case).__name__}")


def matching(pattern: str | None) -> Chosen:
    """Cases whose file, line or title holds the pattern, or fits it where it has `*`, `?` or `[`; whatever the case."""
    if pattern is None:
        return lambda scenario, case: True
    sought = pattern.lower()
    glob = sought if any(sign in sought for sign in "*?[") else f"*{sought}*"

    def chosen(scenario: Scenario, case: Case) -> bool:
        line = f"{scenario.file}:{case.span.line} {title(case)}".lower()
        return sought in line or fnmatchcase(line, glob)

    return chosen
