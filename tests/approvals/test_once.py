"""From the question to the effect: an answer lets exactly one call run, whoever presses what, how often, from where."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doubles.counter import ANA, NADER, Counting
from openclaw.approvals import SPENT
from openclaw.clock import settle
from openclaw.errors import ApprovalError
from openclaw.manifest.people import TERMINAL, owners
from openclaw.messages import Address, Answer, Approval, Asked, ToolResult
from openclaw.permissions.decide import Condition, Effect, Rule


async def clicked(counting: Counting, approval: Approval, *clicks: tuple[Answer, Address]) -> list[Any]:
    answers: list[Awaitable[None]] = [counting.approvals.answer(approval.id, answer, by) for answer, by in clicks]
    return await asyncio.gather(*answers, return_exceptions=True)


@pytest.mark.parametrize("trials", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_replay_a_double_click_and_two_channels_at_once_run_a_call_once_in_a_thousand_trials(
    tmp_path: Path, trials: int
) -> None:
    counting = Counting(tmp_path)
    yes: tuple[Answer, Address] = ("allow-once", NADER)
    presses: list[list[tuple[Answer, Address]]] = [
        [yes, yes], [yes, ("allow-once", ANA)], [("allow-once", ANA), yes, yes], [yes, ("deny", ANA)]
    ]  # fmt: skip

    async def trial(number: int) -> None:
        calling = await counting.asked("pay", to=f"account {number}")
        [approval] = counting.approvals.pending()
        outcomes = await clicked(counting, approval, *presses[number % len(presses)])
        assert outcomes.count(None) == 1
        result = await calling
        assert not result.is_error
        counting.clock.jump(100)
        again = await clicked(counting, approval, yes, ("allow-once", ANA))
        assert [type(outcome) for outcome in again] == [ApprovalError] * 2

    async def play() -> None:
        for number in range(trials):
            await trial(number)

    asyncio.run(play())
    assert [input["to"] for _, input, _ in counting.tools.ran] == [f"account {n}" for n in range(trials)]


def test_a_second_call_with_the_same_arguments_asks_anew(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> None:
        for _ in range(2):
            calling = await counting.asked("pay", to="ana")
            [approval] = counting.approvals.pending()
            await counting.approvals.answer(approval.id, "allow-once", NADER)
            assert not (await calling).is_error
        assert len(counting.tools.ran) == 2
        assert len([event for event in counting.told if isinstance(event, Asked)]) == 2

    asyncio.run(play())


def test_a_used_answer_stands_on_disk_until_it_would_have_expired(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def use(to: str) -> str:
        calling = await counting.asked("pay", to=to)
        [approval] = counting.approvals.pending()
        await counting.approvals.answer(approval.id, "allow-once", NADER)
        await calling
        return approval.id

    async def play() -> None:
        first = await use("ana")
        assert set((await counting.store.marks.get(SPENT))[0]) == {first}
        await counting.clock.advance(301)
        second = await use("nader")
        assert set((await counting.store.marks.get(SPENT))[0]) == {second}

    asyncio.run(play())


def test_an_answer_that_stands_on_disk_as_used_lets_nothing_run(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> ToolResult:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        await counting.store.marks.put(SPENT, {approval.id: approval.expires.isoformat()}, 0)
        await counting.approvals.answer(approval.id, "allow-once", NADER)
        return await calling

    result = asyncio.run(play())
    assert result.is_error and "was used before" in result.text
    assert counting.tools.ran == []


def test_a_policy_that_changed_between_question_and_answer_stops_the_call(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> ToolResult:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        counting.edit(Rule(Effect.ASK, ("pay",), Condition(channel=("http",))))
        await counting.approvals.answer(approval.id, "allow-once", NADER)
        return await calling

    asyncio.run(play())
    assert counting.tools.ran == []


def test_a_policy_that_denies_by_now_is_obeyed_whatever_was_answered(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> ToolResult:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        counting.edit(Rule(Effect.DENY, ("pay",), id="closed"))
        await counting.approvals.answer(approval.id, "allow-once", NADER)
        return await calling

    assert "denied by closed" in asyncio.run(play()).text
    assert counting.tools.ran == []


@pytest.mark.parametrize(
    "by", [Address("cron", "morning"), Address("http", "shop/1"), Address("hook", "git"), Address("telegram", "nader")]
)
def test_heartbeats_programs_hooks_and_names_answer_nothing(tmp_path: Path, by: Address) -> None:
    counting = Counting(tmp_path)

    async def play() -> None:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        assert approval.approvers == owners(counting.snapshot) == (str(NADER), str(ANA), str(TERMINAL))
        with pytest.raises(ApprovalError, match="may not answer"):
            await counting.approvals.answer(approval.id, "allow-once", by)
        await counting.clock.advance(300)
        assert "nobody answered in time" in (await calling).text

    asyncio.run(play())
    assert counting.tools.ran == []


def test_where_nobody_who_may_agree_is_reachable_the_answer_is_no(tmp_path: Path) -> None:
    counting = Counting(tmp_path)
    counting.reachable = False
    result = asyncio.run(counting.call("pay", to="ana"))
    assert result.is_error and "nobody who may agree is reachable" in result.text


def test_a_refused_call_is_refused_again_without_a_question_until_the_conversation_is_put_aside(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> None:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        await counting.approvals.answer(approval.id, "deny", NADER)
        await calling
        for _ in range(3):
            assert "the person said no" in (await counting.call("pay", to="ana")).text
        counting.approvals.forget("s")
        calling = await counting.asked("pay", to="ana")
        await settle()
        assert len(counting.approvals.pending()) == 1
        counting.approvals.forget("s")
        assert "withdrawn" in (await calling).text

    asyncio.run(play())
    assert counting.tools.ran == []


def test_a_person_sees_which_strangers_were_heard_before_they_answer(tmp_path: Path) -> None:
    fetch = Rule(Effect.ALLOW, ("web_fetch",))
    counting = Counting(tmp_path, [fetch])

    async def play() -> None:
        await counting.call("web_fetch", url="https://evil.example/page")
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        assert "in this conversation: web_fetch evil.example" in approval.reason
        counting.approvals.cancel(reason="enough")
        await calling

    asyncio.run(play())


def test_an_approval_given_here_runs_nothing_for_another_agent_or_session(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> None:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        await counting.approvals.answer(approval.id, "allow-once", NADER)
        elsewhere = asyncio.ensure_future(counting.call("pay", session="other", to="ana"))
        await settle()
        assert [open.session for open in counting.approvals.pending()] == ["other"]
        assert counting.approvals.pending()[0].digest != approval.digest
        assert not (await calling).is_error
        counting.approvals.cancel(reason="enough")
        assert (await elsewhere).is_error

    asyncio.run(play())
    assert len(counting.tools.ran) == 1


def test_what_is_altered_about_a_question_does_not_reach_its_answer(tmp_path: Path) -> None:
    """A card carries an id and nothing else: whatever is forged beside it changes nothing."""
    counting = Counting(tmp_path)

    async def play() -> None:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        forged = replace(approval, approvers=("http:1",), offers=("allow-always",))
        with pytest.raises(ApprovalError, match="may not answer"):
            await counting.approvals.answer(forged.id, "allow-once", Address("http", "1"))
        counting.approvals.cancel(reason="enough")
        await calling

    asyncio.run(play())
