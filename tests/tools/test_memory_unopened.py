"""An index of memories that cannot be made: the runtime starts, and questions say what is wrong until it is mended."""

from __future__ import annotations

import asyncio
from pathlib import Path

from openclaw.clock import SystemClock
from openclaw.messages import Call, ToolResult
from openclaw.ports import Place
from openclaw.tools.memory import Tools


def test_where_the_index_cannot_be_made_questions_say_so_and_are_answered_once_it_can(tmp_path: Path) -> None:
    (index := tmp_path / "search.db").mkdir()

    async def scene() -> list[ToolResult]:
        tools = Tools({}, Place(project=str(tmp_path), state=str(tmp_path)), SystemClock())
        await tools.open()
        call = Call("main", "agent:main:repl:local", "repl:local", tmp_path, "call1", memory="")
        try:
            refused = await tools.run("memory_search", {"query": "cat"}, call)
            index.rmdir()
            saved = await tools.run("save_memory", {"text": "the cat is Zorblax"}, call)
            return [refused, saved, await tools.run("memory_search", {"query": "cat"}, call)]
        finally:
            await tools.close()

    refused, saved, found = asyncio.run(scene())
    assert refused.is_error and "the memory could not be used" in refused.text
    assert not saved.is_error and "Zorblax" in found.text
