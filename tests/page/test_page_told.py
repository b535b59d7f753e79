"""What a heartbeat told the person, on the web page: in its place between what was said, under its own name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from page_stage import Stage, Theatre
from playwright.async_api import expect

from doubles.messages_server import text
from openclaw.messages import Told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

KEY = "agent:main:http:operator"


def test_what_a_heartbeat_told_stands_under_its_name_and_can_be_answered(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        assert stage.app is not None
        told = Told("t1", datetime.now(UTC), "heartbeat morning", "The backup **failed**.", "m1")
        await stage.app.store.journal.append(KEY, [told])
        await stage.enter()
        exchange = stage.page.locator(".exchange")
        await expect(exchange.locator(".who-name")).to_have_text("heartbeat morning")
        await expect(exchange.locator(".answer strong")).to_have_text("failed")
        assert await exchange.locator(".you").count() == 0
        stage.model.say(text("The disk was full."))
        assert await stage.ask("why?") == "The disk was full."
        sent = stage.model.requests[-1].body["messages"]
        assert len(sent) == 1 and "heartbeat morning told them this" in sent[0]["content"][0]["text"]
        await stage.page.evaluate(f"location.hash = '#/sessions/{KEY.replace(':', '%3A')}'")
        await expect(stage.page.locator(".who-name")).to_have_text(["heartbeat morning", "Jarvis"])
        await expect(stage.page.locator(".bubble")).to_have_text(["why?"])

    theatre.play(tmp_path, scene)
