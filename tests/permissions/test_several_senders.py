"""A turn that answers several people: what one of them may not is not done."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from doubles.counter import ANA, NADER, Counting
from openclaw.manifest.people import Sender
from openclaw.messages import ToolCall
from openclaw.permissions.policy import Condition, Effect, Rule

PAYS = Rule(Effect.ALLOW, ("pay",), Condition(sender=("nader",)))


async def _begin() -> None: ...


@pytest.mark.parametrize(
    ("rules", "alone", "together"),
    [
        ((PAYS,), True, False),  # nobody allows ana, and nobody can be asked
        ((Rule(Effect.ALLOW, ("pay",)),), True, True),
        ((Rule(Effect.ALLOW, ("pay",)), Rule(Effect.DENY, ("pay",), Condition(sender=("ana",)))), True, False),
    ],
)
def test_the_strictest_decision_over_all_who_are_answered_holds(
    tmp_path: Path, rules: tuple[Rule, ...], alone: bool, together: bool
) -> None:
    async def scene(others: tuple[Sender, ...]) -> bool:
        counting = Counting(tmp_path, rules, sender=NADER)
        counting.reachable = False
        await counting.calls(others=others).perform(ToolCall("c", "pay", {"to": "bob"}), _begin)
        return bool(counting.tools.ran)

    assert asyncio.run(scene(())) is alone
    assert asyncio.run(scene((Sender(ANA, "ana"),))) is together
