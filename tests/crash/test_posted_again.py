"""The same message posted twice, as after an answer that never arrived: one turn, and each event heard once."""

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

    asyncio.run(asyncio.wait_for(scene(), 10))
