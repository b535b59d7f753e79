"""The view of heartbeats: outcomes told apart without colour, the week before and after, and what a person does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from page_stage import PHONE, WIDE, Theatre
from playwright.async_api import Page, expect

from doubles.beats import beat, ran
from doubles.desk import Desk
from openclaw.words import time_json

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text("utf-8")
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)  # a Friday; the browser's clock and zone are set to it
USAGE = {"input_tokens": 1200, "output_tokens": 80, "cache_read_tokens": 0, "cache_write_tokens": 0}
SENT = [{"to": "telegram:1", "state": "sent", "tries": 2, "ended": "2026-11-27T07:30:09.000Z"}]


def at(days: float = 0, hours: float = 0) -> str:
    return time_json(NOON + timedelta(days=days, hours=hours))


def furnished() -> Desk:
    desk = Desk()
    answered = ran(
        "morning", at(hours=-4.5), reply="Good morning!", model="claude-haiku-5-5", cost_usd=0.00123, usage=USAGE,
        at=time_json(NOON - timedelta(hours=4.5, seconds=-7)), deliveries=SENT,
    )  # fmt: skip
    desk.runs = [
        ran("watch", at(hours=-0.1), "running", seconds=None, ended=None),
        answered,
        *(ran("probe", at(hours=-hour), "quiet", check="exit 0") for hour in range(6, 11)),
        ran("morning", at(days=-1), "failed", why="the model did not answer"),
        ran("morning", at(days=-2), "missed", why="nothing ran then", count=3),
        ran("watch", at(days=-2), "skipped", why="the run before it had not ended"),
        ran("morning", at(days=-3), "silent"),
        ran("morning", at(days=-9), "parked", why="it ended the runtime three times"),
    ]
    desk.soon = [{"heartbeat": "morning", "at": at(days=day)} for day in (1, 2, 3)]
    reminder = {"origin": "reminder", "cron": [], "once": at(hours=3), "says": True, "prompt": "Take the bread out"}
    desk.beats = {
        "morning": beat("morning", last_run=answered, deliver=["telegram:1"], next=at(days=1)),
        "probe": beat("probe", stopped="it failed five times in a row", failures=5, next=None, check="ping"),
        "asleep": beat("asleep", enabled=False, next=None),
        "reminder.1": beat("reminder.1", next=at(hours=3), **reminder),
    }
    desk.status = lambda: {"ready": True, "demo": False, "version": "1"}  # type: ignore[method-assign]
    return desk


async def enter(page: Page, base: str, token: str = "operator-secret") -> None:
    await page.clock.set_fixed_time(NOON)
    await page.goto(f"{base}/#token={token}")
    await page.wait_for_selector("#shell:not([hidden]) #view > *")
    await page.evaluate("location.hash = '#/heartbeats'")
    await page.wait_for_selector(".week")


ZONE: dict[str, Any] = {"timezone_id": "Europe/London", "locale": "en-GB"}


def test_the_week_tells_what_was_what_was_not_and_what_comes(theatre: Theatre) -> None:
    async def scene(page: Page, base: str) -> None:
        await enter(page, base)
        days = await page.locator(".week li").all_inner_texts()
        told = [" ".join(day.split()) for day in days]
        assert told == [
            "Tue 24 – 12:00 morning silent",
            "Wed 25 ! 12:00 morning ×3 missed » 12:00 watch skipped",
            "Thu 26 ✕ 12:00 morning failed",
            "Fri 27 – 02:00–06:00 probe ×5 quiet ✓ 07:30 morning answered … 11:54 watch running",
            "Sat 28 12:00 morning planned",
            "Sun 29 12:00 morning planned",
            "Mon 30 12:00 morning planned",
        ]
        await page.get_by_role("button", name="Earlier").click()
        await expect(page.locator(".week button.bad")).to_have_text("✕ 12:00 morning parked")
        await expect(page.get_by_role("button", name="Earlier")).to_be_focused()
        await page.get_by_role("button", name="Later").click()
        await expect(page.locator(".week .today")).to_contain_text("27")

    theatre.before(furnished(), scene, **ZONE)


def test_a_run_shows_when_it_was_due_and_when_it_began_what_it_took_and_where_it_went(theatre: Theatre) -> None:
    async def scene(page: Page, base: str) -> None:
        await enter(page, base)
        await page.get_by_role("button", name="07:30 morning answered").click()
        dialog = page.get_by_role("dialog", name="morning")
        facts = " ".join((await dialog.locator(".facts").inner_text()).split())
        assert facts == (
            "Outcome ✓ answered Scheduled Fri 27 Nov, 07:30 Began Fri 27 Nov, 07:30, 7 s later Took 1.5 s Cost $0.0012 "
            "Model claude-haiku-5-5, 1,200 + 80 tokens "
            "Goes to telegram:1: delivered Fri 27 Nov, 07:30 after 2 tries"
        )
        await expect(dialog.get_by_label("Reply")).to_have_text("Good morning!")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="probe ×5 quiet").click()
        several = page.get_by_role("dialog", name="probe")
        await expect(several.locator("details")).to_have_count(5)
        await several.locator("summary").first.click()
        await expect(several.locator("details[open]")).to_contain_text("exit 0")
        await page.keyboard.press("Escape")
        await page.locator(".heartbeat", has_text="morning").get_by_role("button", name="History").click()
        await expect(page.get_by_role("dialog", name="morning").locator("details")).to_have_count(5)

    theatre.before(furnished(), scene, **ZONE)


def test_the_list_says_how_each_stands_and_the_operator_acts(theatre: Theatre) -> None:
    desk = furnished()

    async def scene(page: Page, base: str) -> None:
        await enter(page, base)
        cards = page.locator(".heartbeat")
        states = [await cards.nth(number).locator("header .tag").inner_text() for number in range(4)]
        assert states == ["on", "stopped", "off", "on"]
        probe = cards.filter(has_text="ping")
        await expect(probe).to_contain_text("it failed five times in a row")
        await probe.get_by_role("button", name="Resume").click()
        await expect(probe.locator("header .tag")).to_have_text("on")
        await probe.get_by_role("button", name="Pause").click()
        await expect(probe).to_contain_text("by http:operator")
        assert desk.beats["probe"]["paused"] is not None
        reminder = cards.filter(has_text="Take the bread out")
        await reminder.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        assert "reminder.1" in desk.beats
        await reminder.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(reminder).to_have_count(0)
        assert "reminder.1" not in desk.beats
        assert await cards.get_by_role("button", name="Delete").count() == 0

    theatre.before(desk, scene, **ZONE)


def test_who_may_only_read_is_offered_nothing_to_change(theatre: Theatre) -> None:
    async def scene(page: Page, base: str) -> None:
        await enter(page, base, "watcher-secret")
        await expect(page.locator(".heartbeat")).to_have_count(4)
        names = await page.locator(".heartbeat button").all_inner_texts()
        assert names == ["History"] * 4

    theatre.before(furnished(), scene, **ZONE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_left_out_of_the_week(theatre: Theatre, scheme: str) -> None:
    async def examined(page: Page, what: str) -> None:
        await page.evaluate(AXE)
        found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(one["id"], [node["html"][:150] for node in one["nodes"]]) for one in found["violations"]] == [], what

    async def scene(page: Page, base: str) -> None:
        await enter(page, base)
        for size in (WIDE, PHONE):
            await page.set_viewport_size(size)
            await examined(page, f"{size['width']} wide")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            for name in ("07:30 morning answered", "probe ×5 quiet"):
                await page.get_by_role("button", name=name).click()
                await examined(page, name)
                await page.keyboard.press("Escape")

    theatre.before(furnished(), scene, **ZONE, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
