"""One question to the real service; runs only where a key is in the environment."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from openclaw.clock import SystemClock
from openclaw.ports import Completed, Request
from openclaw.providers.anthropic import Provider, credentials


@pytest.mark.slow
@pytest.mark.skipif(credentials(os.environ) is None, reason="no Anthropic credentials in the environment")
def test_the_real_service_answers_and_takes_its_own_thinking_back() -> None:
    async def scene() -> Completed:
        provider = Provider({}, SystemClock())
        await provider.open()
        messages: list[dict[str, Any]] = [
            {"role": "user", "content": [{"type": "text", "text": "What is 17 times 23? Just the number."}]}
        ]
        try:
            done = await _ask(provider, messages)
            more = {"role": "user", "content": [{"type": "text", "text": "Now add 9."}]}
            return await _ask(provider, [*messages, {"role": "assistant", "content": list(done.content)}, more])
        finally:
            await provider.close()

    done = asyncio.run(asyncio.wait_for(scene(), 120))
    assert done.stop_reason == "end_turn"
    assert "400" in "".join(block.get("text", "") for block in done.content)
    assert done.usage.context > 0


async def _ask(provider: Provider, messages: list[dict[str, Any]]) -> Completed:
    request = Request("claude-haiku-5-5", "Be brief.", (), messages, 2000, effort="low")
    *_, done = [event async for event in provider.stream(request)]
    assert isinstance(done, Completed)
    return done
