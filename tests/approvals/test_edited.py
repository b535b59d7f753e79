"""An edit of the manifests while a question is open: what takes its ground away withdraws it and says why, anything
else leaves it alone; and what was agreed to at that very moment runs no revoked tool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from doubles.counter import ANA, NADER, Counting
from doubles.house import Program, lived, project, until
from doubles.messages_server import MessagesServer, Reply, text, tool
from openclaw.clock import settle
from openclaw.errors import ApprovalError
from openclaw.lapsing import lapsed
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Settled, ToolCall, ToolResult
from openclaw.permissions.decide import Condition, Effect, Rule
from openclaw.permissions.policy import Policy

POLICIES = """\
tools:
  add: {{python: "sums:add"}}
policies:
  works:
    default: ask
    answer_within: {within}
    rules: [{{allow: list_files}}]
"""


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(key="test-key") as server:
        yield server
    assert server.violations == []


async def waiting(operator: Program) -> dict[str, Any]:
    answer = await operator.say("add two and three")
    assert answer.status_code == 202, answer.text
    [approval] = (await operator.http.get("/api/approvals")).json()["pending"]
    return {"message": answer.json()["id"], **approval}


@pytest.mark.slow
def test_an_edit_of_the_policy_withdraws_its_questions_and_another_edit_does_not(
    tmp_path: Path, model: MessagesServer
) -> None:
    model.say(Reply(tool("add", a=2, b=3)), text("It was not answered."))
    root = project(tmp_path / "project", model.url, files={"tools.yaml": POLICIES.format(within="5m")})

    async def scene() -> None:
        async with lived(root, tmp_path / "state") as (app, operator):
            asked = await waiting(operator)
            (root / "agents/main.md").write_text("You are the second soul.\n")
            (root / "tools.yaml").write_text("# a word about all this\n\n" + POLICIES.format(within="5m"))
            assert (await operator.http.post("/api/reload")).status_code == 200
            assert [one.id for one in app.approvals.pending()] == [asked["id"]]
            (root / "tools.yaml").write_text(POLICIES.format(within="4m"))
            assert (await operator.http.post("/api/reload")).status_code == 200
            assert app.approvals.pending() == []
            late = await operator.http.post(f"/api/approvals/{asked['id']}", json={"decision": "allow-once"})
            assert (late.status_code, late.json()["code"]) == (404, "unknown_approval")
            await until(lambda: not app.sessions.running(), "the end of the turn")
            told = (await operator.http.get(f"/api/messages/{asked['message']}")).json()
            assert told["reply"] == "It was not answered."

    asyncio.run(asyncio.wait_for(scene(), 40))
    results = [block for block in model.requests[-1].body["messages"][-1]["content"] if block["type"] == "tool_result"]
    why = "the policy of agent `main` was changed"
    assert [block["content"] for block in results] == [f"refused: the question was withdrawn: {why}"]


# ── one call, edited at every moment ─────────────────────────────────────────────────────────────

Edit = Callable[[Snapshot], Snapshot]


def without(tool: str) -> Edit:
    """The agent's list is shorter."""

    def edit(snapshot: Snapshot) -> Snapshot:
        agent = snapshot.agents["main"]
        kept = tuple(each for each in agent.tools if each != tool)
        return replace(snapshot, agents={"main": replace(agent, tools=kept)})

    return edit


def undefined(tool: str) -> Edit:
    return lambda snapshot: replace(snapshot, tools={k: v for k, v in snapshot.tools.items() if k != tool})


def gone(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, agents={"other": replace(snapshot.agents["main"], id="other")})


def another_policy(snapshot: Snapshot) -> Snapshot:
    rule = Rule(Effect.ASK, ("pay",), Condition(channel=("http",)))
    return replace(snapshot, policies={"works": Policy("works", (rule,))})


def nobody_to_ask(snapshot: Snapshot) -> Snapshot:
    people = {name: replace(one, owner=False, ids=()) for name, one in snapshot.people.items()}
    return replace(snapshot, people=people)


def soul(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, agents={"main": replace(snapshot.agents["main"], soul="Another one.")})


def put_in_force(counting: Counting, edit: Edit) -> None:
    """As the runtime does it: the swap, and at once what it makes void."""
    counting.current = edit(counting.current)
    counting.approvals.withdraw(lambda approval: lapsed(approval, counting.current))


REVOKING: dict[str, tuple[Edit, str]] = {
    "list": (without("pay"), "the tool `pay` was taken away from agent `main`"),
    "tool": (undefined("pay"), "the tool `pay` was taken away from agent `main`"),
    "agent": (gone, "agent `main` was taken away"),
    "policy": (another_policy, "the policy of agent `main` was changed"),
    "people": (nobody_to_ask, "may not answer for agent `main` any more"),
}


@pytest.mark.parametrize("what", REVOKING)
def test_a_question_whose_ground_is_taken_away_is_withdrawn_and_everybody_hears_why(tmp_path: Path, what: str) -> None:
    counting = Counting(tmp_path)
    edit, why = REVOKING[what]

    async def play() -> ToolResult:
        heard: list[Any] = []
        counting.approvals.listen(NADER.channel, heard.append)
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        put_in_force(counting, edit)
        assert counting.approvals.pending() == []
        with pytest.raises(ApprovalError, match=f"was withdrawn: .*{why}"):
            await counting.approvals.answer(approval.id, "allow-once", NADER)
        result = await calling
        for told in (heard, counting.told):
            [settled] = [event for event in told if isinstance(event, Settled)]
            assert settled.answer == "cancelled" and why in settled.why
        return result

    result = asyncio.run(play())
    assert result.is_error and "the question was withdrawn: " in result.text and why in result.text
    assert counting.tools.ran == []
    last = counting.lines[-1]
    assert last["decision"] == "deny" and why in last["reason"] and last["approval"]["answer"] == "cancelled"


def test_a_question_that_an_edit_does_not_touch_stays_and_is_answered_by_the_same_id(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> ToolResult:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        put_in_force(counting, soul)
        put_in_force(counting, without("web_fetch"))
        assert counting.approvals.pending() == [approval]
        await counting.approvals.answer(approval.id, "allow-once", NADER)
        return await calling

    assert not asyncio.run(play()).is_error
    assert len(counting.tools.ran) == 1


@pytest.mark.parametrize("what", REVOKING)
@pytest.mark.parametrize("answer", ["allow-once", "allow-always"])
def test_an_answer_at_the_moment_of_the_edit_runs_no_call_that_the_edit_takes_away(
    tmp_path: Path, what: str, answer: Any
) -> None:
    """The edit comes after so many steps of the loop: before the answer is taken, while it is written down and spent,
    and while the intent is. Where the call had begun before the edit, it ran as it was agreed to."""

    async def play(counting: Counting, steps: int) -> int:
        async def begin() -> None:
            for _ in range(4):
                await asyncio.sleep(0)

        calls = counting.calls()
        calling = asyncio.ensure_future(calls.perform(ToolCall("toolu_1", "pay", {"to": "ana"}), begin))
        await until(counting.approvals.pending, "the question")
        [approval] = counting.approvals.pending()
        answering = asyncio.ensure_future(counting.approvals.answer(approval.id, answer, NADER))
        for _ in range(steps):
            await asyncio.sleep(0)
        before = len(counting.tools.ran)
        put_in_force(counting, REVOKING[what][0])
        await asyncio.gather(answering, return_exceptions=True)
        result = await calling
        assert len(counting.tools.ran) == before, f"it ran after the edit, at step {steps}: {result.text}"
        assert result.is_error is not bool(before)
        return before

    ran = [asyncio.run(play(Counting(tmp_path), steps)) for steps in range(24)]
    assert ran == sorted(ran) and set(ran) == {0, 1}


def test_an_answer_that_was_given_for_ever_counts_while_whoever_gave_it_may_still_give_it(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> None:
        calling = await counting.asked("pay", to="ana")
        [approval] = counting.approvals.pending()
        await counting.approvals.answer(approval.id, "allow-always", ANA)
        assert not (await calling).is_error
        assert not (await counting.call("pay", to="ana")).is_error
        people = {**counting.current.people, "ana": replace(counting.current.people["ana"], owner=False)}
        put_in_force(counting, lambda snapshot: replace(snapshot, people=people))
        calling = await counting.asked("pay", to="ana")
        [again] = counting.approvals.pending()
        assert str(ANA) not in again.approvers
        await counting.approvals.answer(again.id, "deny", NADER)
        assert (await calling).is_error

    asyncio.run(play())
    assert len(counting.tools.ran) == 2


def test_a_question_that_waits_behind_another_is_put_as_it_is_by_then_or_not_at_all(tmp_path: Path) -> None:
    counting = Counting(tmp_path)

    async def play() -> list[ToolResult]:
        calls = counting.calls()

        async def call(to: str) -> ToolResult:
            return await calls.perform(ToolCall(f"toolu_{to}", "pay", {"to": to}), settle)

        both = [asyncio.ensure_future(call(to)) for to in ("ana", "ben")]
        await until(counting.approvals.pending, "the first question")
        await settle(8)
        put_in_force(counting, without("pay"))
        return await asyncio.gather(*both)

    first, second = asyncio.run(play())
    assert "the question was withdrawn: the tool `pay`" in first.text
    assert second.text == "refused: taken away while this ran: agent `main` no longer has `pay`"
    assert counting.tools.ran == [] and counting.approvals.pending() == []


def test_whoever_asks_may_do_no_more_than_they_may_by_now(tmp_path: Path) -> None:
    counting = Counting(tmp_path, [Rule(Effect.ALLOW, ("pay",), Condition(sender=("nader",)))])

    async def play() -> list[ToolResult]:
        before = await counting.call("pay", to="ana")
        people = {name: one for name, one in counting.current.people.items() if name != "nader"}
        counting.current = replace(counting.current, people=people)
        counting.reachable = False
        return [before, await counting.call("pay", to="ana")]

    before, after = asyncio.run(play())
    assert not before.is_error and after.is_error and "no rule allows this call" in after.text
