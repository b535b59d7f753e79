"""A message whose agent was taken away, or came back: which way it goes, if any."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from openclaw import commands
from openclaw.clock import ManualClock, settle
from openclaw.doorbells.local import Doorbell
from openclaw.errors import AgentGone
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import (
    Accepted,
    Address,
    AssistantEntry,
    Entry,
    Finished,
    Intent,
    Message,
    Progress,
    Refused,
    Reply,
    Retrying,
    Route,
    Text,
    TextDelta,
    Usage,
    UserEntry,
)
from openclaw.ports import Beside, Queued, Watcher
from openclaw.router import route, route_instead
from openclaw.sessions import Sessions
from openclaw.sessions.rerouting import Rerouting
from openclaw.sessions.words import notice
from openclaw.stores.volatile import Store
from openclaw.transcript import Transcript
from spine.test_router import SNAPSHOT

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GONE = "gone"
SIDE = replace(SNAPSHOT.default_agent, id=GONE, default=False, prefix="/gone")
BEFORE = replace(SNAPSHOT, agents={**SNAPSHOT.agents, GONE: SIDE})
CALL = {"type": "tool_use", "id": "c1", "name": "add", "input": {}}


def asked(text: str = "/gone hello", by: str = "repl:local", **more: Any) -> Queued:
    """As it was taken in while the agent was there."""
    message = replace(Message("m", Address.parse(by), (Text(text),), NOW), **more)
    taken = route(message, BEFORE)
    assert isinstance(taken, Route) and taken.agent == GONE
    return Queued("m", message, taken, 1)


def way(queued: Queued, *entries: Entry, snapshot: Snapshot = SNAPSHOT) -> Route | str | None:
    rerouting = Rerouting(
        snapshot.agents.__contains__,
        lambda message: route(message, snapshot),
        lambda queued: route_instead(queued.message, queued.route, snapshot),
    )
    return rerouting.way(queued, Transcript(entries)) if rerouting.concerns(queued) else None


def said() -> UserEntry:
    return UserEntry("u", NOW, ({"type": "text", "text": "hello"},), "m")


def answer(*content: Any) -> AssistantEntry:
    reason = "tool_use" if CALL in content else "end_turn"
    return AssistantEntry("a", NOW, content or ({"type": "text", "text": "hi"},), "m", reason, Usage(), "s")


def test_it_goes_to_whoever_answers_its_sender_now_without_the_prefix_of_the_one_that_is_gone() -> None:
    default = SNAPSHOT.default_agent.id
    expected = Route(default, f"agent:{default}:repl:local", "hello", instead=GONE)
    assert way(asked()) == expected
    named = asked("hello", agent=GONE, session="work")
    assert way(named) == replace(expected, session=f"agent:{default}:repl:local:work")
    assert notice([replace(asked(), route=expected)]) == f"(gone is no longer here; {default} answers this.)\n\n"
    assert notice([asked()]) == ""


def test_a_prefix_that_another_agent_has_now_names_that_one() -> None:
    other = replace(SIDE, id="other")
    snapshot = replace(SNAPSHOT, agents={**SNAPSHOT.agents, "other": other})
    assert way(asked(), snapshot=snapshot) == Route("other", "agent:other:repl:local", "hello", instead=GONE)


def test_whoever_may_not_ask_those_that_are_left_is_told_so() -> None:
    found = way(asked(agents=(GONE,)))
    assert isinstance(found, str) and found.startswith("gone is no longer here, and nobody else answers this here: ")
    assert isinstance(route(asked(agents=(GONE,)).message, SNAPSHOT), Refused)


@pytest.mark.parametrize("entries", [(), (said(),), (said(), answer(CALL))])
def test_what_was_begun_and_has_done_nothing_begins_elsewhere(entries: tuple[Entry, ...]) -> None:
    assert isinstance(way(replace(asked(), attempts=2), *entries), Route)


def test_what_may_have_had_its_effect_is_not_begun_again_and_what_was_answered_is_only_told() -> None:
    begun = way(asked(), said(), answer(CALL), Intent("i", NOW, "c1", "add", {}))
    assert isinstance(begun, str) and "may have had its effect" in begun
    assert way(asked(), said(), answer()) is None


def test_commands_are_about_the_session_they_were_given_in_and_go_nowhere() -> None:
    assert way(asked("/new", agent=GONE)) is None
    assert way(asked("/compact", agent=GONE)) == "gone is no longer here, so there is nothing left to do this with."


def test_it_goes_back_to_its_own_agent_unless_another_has_begun_or_its_sender_chose_another() -> None:
    queued = asked()
    moved = replace(queued, route=Route("main", "agent:main:repl:local", "hello", instead=GONE))
    assert way(moved) is None
    assert way(moved, snapshot=BEFORE) == queued.route
    assert way(moved, said(), snapshot=BEFORE) is None
    others = replace(BEFORE, agents={**BEFORE.agents, GONE: replace(SIDE, prefix=None)})
    assert way(moved, snapshot=others) is None


def test_runs_of_heartbeats_and_what_was_told_elsewhere_stay_where_they_are() -> None:
    for more in ({"heartbeat": "beat"}, {"told": True}):
        queued = asked()
        assert way(replace(queued, message=replace(queued.message, **more))) is None


def test_an_agent_that_goes_between_queue_and_turn_takes_no_message_with_it() -> None:
    """The edit comes after it was decided who answers, and before the turn has its lease."""
    clock, doorbell, now = ManualClock(NOW), Doorbell(), [BEFORE]
    store = Store("memory", clock)

    class Answerer:
        async def __call__(self, queued: Queued, transcript: Transcript, tell: Watcher, beside: Beside) -> Reply:
            if queued.route.agent == GONE:
                now[0] = SNAPSHOT
                raise AgentGone("there is no agent gone any more")
            route = queued.route
            return Reply(queued.message.sender, f"you said {route.text}", route.session, route.agent, queued.id)

        async def abandon(self, queued: Queued, transcript: Transcript) -> None:
            raise AssertionError("nothing was begun")

        async def count(self, session: str, agent: str, transcript: Transcript) -> None:
            pass  # nothing is ever used

    async def at_once(line: commands.Line, message: Message) -> str:
        return line.name

    async def scene() -> None:
        sessions = Sessions(store, doorbell, lambda: now[0], Answerer(), at_once, clock)
        await store.open()
        await sessions.open()
        serving, heard = asyncio.create_task(doorbell.serve(sessions.wake, 8)), list[Progress]()
        taken = await sessions.post(asked().message, heard.append)
        assert isinstance(taken, Accepted) and taken.agent == GONE
        await settle(200)
        serving.cancel()
        default, found = SNAPSHOT.default_agent.id, await store.inbox.find(taken.id)
        said = f"(gone is no longer here; {default} answers this.)\n\nyou said hello"
        assert found is not None and found.state == "done" and found.route.instead == GONE
        assert [outgoing.reply.text for outgoing in await store.outbox.due("repl")] == [said]
        assert heard[0] == Retrying("its agent was taken away", 0.0)
        assert heard[1] == TextDelta(said.removesuffix("you said hello")) and isinstance(heard[-1], Finished)

    asyncio.run(asyncio.wait_for(scene(), 50))
