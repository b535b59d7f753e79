"""A message posted twice, as after an answer that never arrived; a session put aside while it is written to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from openclaw.clock import settle
from openclaw.messages import Accepted, Address, Finished, Message, Progress, Text
from spine.test_sessions import serving

MESSAGE = Message("m", Address("repl", "local"), (Text("slow"),), datetime(2026, 11, 23, tzinfo=UTC))


def test_who_posts_again_and_listens_hears_the_end_once() -> None:
    async def scene() -> None:
        async with serving() as room:
            gate = room.echo.gates["slow"] = asyncio.Event()
            first = await room.sessions.post(MESSAGE)
            await settle()
            heard: list[Progress] = []
            again = await room.sessions.post(MESSAGE, heard.append)
            assert isinstance(first, Accepted) and isinstance(again, Accepted)
            assert (first.new, again.new, again.id) == (True, False, first.id)
            room.sessions.watch(again.id, heard.append)
            gate.set()
            await settle()
            assert [type(event) for event in heard] == [Finished]
            assert room.echo.log == ["begin slow", "end slow"]

    asyncio.run(asyncio.wait_for(scene(), 50))


def test_a_session_that_is_put_aside_takes_the_rest_of_its_turn_with_it() -> None:
    async def scene() -> None:
        async with serving() as room:
            room.echo.gates["slow"] = asyncio.Event()
            taken = await room.sessions.post(MESSAGE)
            assert isinstance(taken, Accepted)
            await settle()
            assert await room.sessions.reset(taken.session) is not None
            await settle()
            settled = await room.store.inbox.find(taken.id)
            assert settled is not None and settled.reply is not None and settled.reply.text == "Stopped."
            assert room.echo.abandoned == ["slow"]
            assert await room.store.journal.load(taken.session) == []

    asyncio.run(asyncio.wait_for(scene(), 50))
