"""The other views of the web page, and the page as a whole: widths, themes, screen readers, lost runtimes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import axe_playwright_python
import pytest
from page_stage import AGENTS, PHONE, VIEWS, WIDE, Cable, Stage, Theatre, opened
from playwright.async_api import expect

from doubles.house import TOKEN, Process, project, until
from doubles.messages_server import MessagesServer, Reply, text, tool
from openclaw.messages import Address

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text("utf-8")


def remembers(words: str, name: str) -> Reply:
    return Reply(tool("save_memory", text=words, name=name))


async def furnish(stage: Stage) -> None:
    """A conversation with Markdown, a call and an open question; a memory; an edit that was refused."""
    rich = "## Report\n\nIt is *done*. See [the docs](https://example.org).\n\n- one\n  - two\n\n> quoted\n\n"
    rich += "| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\nprint(1)\n```\n\n---\n\nEnd."
    stage.model.say(remembers("my cat is Zorblax", "cat"), text(rich))
    stage.model.say(Reply(tool("write_file", path="a.txt", content="x")), text("Later."))
    await stage.enter()
    await stage.ask("remember the cat")
    exchange = await stage.say("write")
    await exchange.locator(".approval").wait_for()
    (stage.root / "agents/scout.yaml").write_text("name: [broken", "utf-8")
    assert stage.app is not None
    await until(lambda: stage.app and stage.app.desk.reloads(), "the edit")


# ── views ────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_shows_its_calls_and_is_reset_only_after_a_question(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(Reply(tool("add", a=1, b=2)), text("Three."))
        await stage.enter()
        await stage.ask("add up")
        await stage.show("sessions")
        await stage.page.fill("input[type=search]", "nobody")
        await expect(stage.page.locator(".empty")).to_contain_text("No session fits")
        await stage.page.fill("input[type=search]", "operator")
        await stage.page.locator("a.item").click()
        await expect(stage.page.locator("main .stack > header")).to_contain_text("agent:main:http:operator")
        await expect(stage.page.locator("main .stack > header .soft")).to_contain_text("1 message · 1 call")
        await expect(stage.page.locator("details.tool .tool-note")).to_contain_text("s")
        await expect(stage.page.locator(".bubble")).to_have_text("add up")
        await stage.page.get_by_role("button", name="Reset").click()
        await stage.page.locator("dialog").get_by_role("button", name="Cancel").click()
        await expect(stage.page.locator(".bubble")).to_be_visible()
        await stage.page.get_by_role("button", name="Reset").click()
        await stage.page.locator("dialog").get_by_role("button", name="Reset").click()
        await stage.page.fill("input[type=search]", "")
        await expect(stage.page.locator(".empty")).to_contain_text("No conversation yet")

    theatre.play(tmp_path, scene)


def test_memories_are_searched_read_and_deleted(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(remembers("my cat is Zorblax", "cat"), text("Noted."))
        stage.model.say(remembers("the shop opens at nine", "shop"), text("Noted."))
        await stage.enter()
        await stage.ask("cat")
        await stage.ask("shop")
        await stage.show("memory")
        await expect(stage.page.locator("details.memory")).to_have_count(2)
        await stage.page.fill("input[type=search]", "zorblax")
        await expect(stage.page.locator("details.memory")).to_have_count(1)
        await stage.page.locator("details.memory summary").click()
        await expect(stage.page.locator("details.memory .plain")).to_have_text("my cat is Zorblax")
        await stage.page.get_by_role("button", name="Delete").click()
        await stage.page.locator("dialog").get_by_role("button", name="Delete").click()
        await expect(stage.page.locator(".empty")).to_contain_text("Nothing that was remembered fits")
        await stage.page.fill("input[type=search]", "")
        await expect(stage.page.locator("details.memory")).to_have_count(1)

    theatre.play(tmp_path, scene)


def test_heartbeats_show_their_next_run_and_run_by_hand(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(text("Good morning to you."))
        await stage.enter()
        await stage.show("heartbeats")
        morning = stage.page.locator(".heartbeat", has_text="morning")
        await expect(morning).to_contain_text("30 7 * * * Europe/London")
        await expect(morning).to_contain_text(re.compile(r"in \d+ (h|min|s)"))
        await expect(stage.page.locator(".week .planned", has_text="morning").first).to_be_visible()
        await expect(stage.page.locator(".heartbeat", has_text="asleep")).to_contain_text("off")
        await morning.get_by_role("button", name="Run now").click()
        await expect(stage.page.locator(".toast")).to_contain_text("morning runs now")
        ran = stage.page.locator(".week .today button.fire.good", has_text="morning")
        await ran.click()
        told = stage.page.get_by_role("dialog", name="morning")
        await expect(told).to_contain_text("by hand")
        await expect(told.get_by_label("Reply")).to_have_text("Good morning to you.")
        await told.get_by_role("button", name="Close").click()
        await morning.get_by_role("button", name="Pause").click()
        await expect(morning).to_contain_text("paused")
        await morning.get_by_role("button", name="Resume").click()
        await expect(morning.get_by_role("button", name="Pause")).to_be_visible()
        await stage.page.evaluate("location.hash = '#/sessions/cron%3Amorning'")
        await expect(stage.page.locator(".bubble")).to_contain_text("Good morning")

    theatre.play(tmp_path, scene)


def test_a_broken_edit_is_told_with_its_place_and_cure_and_a_good_one_with_its_changes(
    theatre: Theatre, tmp_path: Path
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.enter(view="status")
        agent = stage.root / "agents/scout.yaml"
        agent.write_text(AGENTS["agents/scout.yaml"].replace("policy: works", "policy: wroks"), "utf-8")
        told = stage.page.locator(".diagnostic.error")
        await expect(told).to_contain_text("agents/scout.yaml:6:9")
        await expect(told).to_contain_text("works")
        await expect(stage.page.locator(".banner.inline")).to_contain_text("The files on disk are not what")
        agent.write_text(AGENTS["agents/scout.yaml"].replace("Finds things out", "Finds all things"), "utf-8")
        await expect(stage.page.locator(".changes").first).to_contain_text("scout")
        await expect(stage.page.locator(".banner.inline")).to_be_hidden()
        await stage.page.get_by_role("button", name="Reload").click()
        await expect(stage.page.locator(".toast")).to_contain_text("Nothing to apply")

    theatre.play(tmp_path, scene)


def test_status_shows_channels_and_usage_and_lets_a_stranger_in(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(text("Hello."))
        assert stage.app is not None
        await stage.app.pairings.knock(Address("telegram", "77"), "Ana <b>")
        await stage.enter()
        await stage.ask("hello")
        await stage.show("status")
        await expect(stage.page.locator('[data-part="channels"]')).to_contain_text("serving")
        await expect(stage.page.locator(".usage tbody tr")).to_contain_text("claude-sonnet-5-5")
        row = stage.page.locator('[data-part="pairings"] .item')
        await expect(row).to_contain_text("Ana <b>")
        await row.get_by_role("button", name="Let in").click()
        await expect(row).to_contain_text("let in")
        await expect(row.get_by_role("button", name="Remove")).to_be_visible()

    theatre.play(tmp_path, scene)


# ── the page as a whole ──────────────────────────────────────────────────────────────────────────


def test_nothing_is_wider_than_a_phone(theatre: Theatre, tmp_path: Path) -> None:
    table = "|".join("abcdefghijklmnop") + "\n" + "|".join("-" * 16)
    wide = "\n\n".join(["x" * 400, table, "```\n" + "y" * 400 + "\n```"])

    async def scene(stage: Stage) -> None:
        await furnish(stage)
        for view in VIEWS:
            await stage.show(view)
            assert await stage.overflow() <= 0, view
        await stage.page.evaluate("location.hash = '#/sessions/agent%3Amain%3Ahttp%3Aoperator'")
        await stage.page.locator(".bubble").first.wait_for()
        assert await stage.overflow() <= 0
        await stage.show("chat")
        await stage.page.locator(".approval").get_by_role("button", name="Deny").click()
        await stage.answered(stage.page.locator(".exchange").last)
        stage.model.say(text(wide))
        await stage.ask("something " + "wide" * 100)
        assert await stage.overflow() <= 0

    theatre.play(tmp_path, scene, size=PHONE)


def test_the_theme_follows_the_system_until_one_is_chosen(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        ground = "getComputedStyle(document.body).backgroundColor"
        await stage.enter()
        dark = await stage.page.evaluate(ground)
        await stage.page.emulate_media(color_scheme="light")
        light = await stage.page.evaluate(ground)
        assert dark != light
        switch = stage.page.get_by_role("button", name="Theme")
        await switch.click()
        await switch.click()
        await expect(switch).to_have_accessible_name("Theme: dark")
        assert await stage.page.evaluate(ground) == dark
        await stage.page.reload()
        await stage.page.wait_for_selector("#message")
        assert await stage.page.evaluate(ground) == dark
        await stage.page.get_by_role("button", name="Theme").click()
        assert await stage.page.evaluate(ground) == light

    theatre.play(tmp_path, scene, color_scheme="dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_has_a_serious_fault_for_those_who_do_not_see_or_do_not_use_a_mouse(
    theatre: Theatre, tmp_path: Path, scheme: str
) -> None:
    async def examined(stage: Stage, what: str) -> None:
        await stage.page.evaluate(AXE)
        await stage.page.evaluate("Promise.allSettled(document.getAnimations().map((one) => one.finished))")
        found = await stage.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        grave = [
            (one["id"], one["impact"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]
        ]
        assert grave == [], what

    async def scene(stage: Stage) -> None:
        await stage.page.goto(stage.base)
        await stage.page.wait_for_selector("#token")
        await examined(stage, "the door")
        await furnish(stage)
        for size in (WIDE, PHONE):
            await stage.page.set_viewport_size(size)
            for view in VIEWS:
                await stage.show(view)
                await stage.page.locator("main details").evaluate_all(
                    "all => all.forEach((one) => { one.open = true })"
                )
                await examined(stage, f"{view}, {size['width']} wide")
        await stage.page.evaluate("location.hash = '#/sessions/agent%3Amain%3Ahttp%3Aoperator'")
        await stage.page.locator(".bubble").first.wait_for()
        await examined(stage, "a session")
        await stage.page.locator("#main").focus()
        await stage.page.keyboard.press("?")
        await examined(stage, "a dialog")

    theatre.play(tmp_path, scene, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")


def test_what_was_always_allowed_is_listed_and_revoked(theatre: Theatre, tmp_path: Path) -> None:
    agent = AGENTS["agents/main.yaml"].replace("[add,", "[run_command,")
    tools = "policies:\n  works: {default: ask}\n"

    async def scene(stage: Stage) -> None:
        stage.model.say(Reply(tool("run_command", command="ls")), text("Listed."))
        await stage.enter()
        exchange = await stage.say("list")
        await exchange.get_by_role("button", name="Always allow").click()
        assert "Listed." in await stage.answered(exchange)
        await stage.show("approvals")
        kept = stage.page.locator(".item", has_text="run_command")
        await expect(kept).to_contain_text("allowed by repl:local")
        await kept.get_by_role("button", name="Revoke").focus()
        async with stage.page.expect_response("**/api/approvals"):
            await stage.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await stage.page.evaluate("new Promise((done) => setTimeout(done, 100))")
        await expect(kept.get_by_role("button", name="Revoke")).to_be_focused()
        await kept.get_by_role("button", name="Revoke").click()
        await stage.page.locator("dialog").get_by_role("button", name="Revoke").click()
        await expect(kept).to_have_count(0)

    theatre.play(tmp_path, scene, {"agents/main.yaml": agent, "tools.yaml": tools})


def test_a_question_can_be_answered_where_the_clock_is_wrong(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(Reply(tool("write_file", path="late.txt", content="x")), text("Written."))
        await stage.page.clock.set_fixed_time(datetime.now(UTC) + timedelta(days=1))
        await stage.enter()
        exchange = await stage.say("write it")
        await expect(exchange.locator(".left")).to_contain_text(re.compile(r"[1-9].* left"))
        await stage.show("approvals")
        await stage.page.locator("main .approval").get_by_role("button", name="Allow once").click()
        await stage.show("chat")
        assert "Written." in await stage.answered(exchange)
        await expect(exchange.locator(".approval")).to_contain_text("Allowed once")

    theatre.play(tmp_path, scene)


def test_an_address_that_was_typed_wrong_leads_to_a_page_that_says_so(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.expects("404")
        await stage.enter()
        await stage.page.evaluate("location.hash = '#/sessions/%'")
        await expect(stage.page.locator("#main")).to_contain_text("All sessions")
        await stage.page.reload()
        await expect(stage.page.locator("#main")).to_contain_text("All sessions")

    theatre.play(tmp_path, scene)


# ── what goes away ───────────────────────────────────────────────────────────────────────────────


def test_a_token_that_is_withdrawn_leads_back_to_the_door(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.expects("401")
        stage.model.say(Reply({"type": "text", "text": "on and on " * 200}, pace=0.1))
        await stage.enter("guest-token-0123456789")
        exchange = await stage.say("hello")
        await expect(exchange.locator(".prose")).to_contain_text("on and on")
        channels = stage.root / "channels.yaml"
        text = channels.read_text("utf-8")
        channels.write_text("\n".join(line for line in text.splitlines() if "guest" not in line) + "\n", "utf-8")
        await expect(stage.page.locator("#why")).to_contain_text("not taken")
        assert await stage.page.evaluate("sessionStorage.getItem('token')") is None
        assert await stage.page.locator(".prose").count() == 0

    theatre.play(tmp_path, scene)


def test_a_line_that_breaks_goes_on_where_it_was(theatre: Theatre, tmp_path: Path) -> None:
    words = "".join(f"word{number} " for number in range(80))

    async def scene(stage: Stage) -> None:
        cable = Cable(stage.base)
        stage.base = cable.base
        stage.expects("ERR_", f"foreign: {cable.base}")
        went_on = []
        stage.page.on("request", lambda one: went_on.append(one.headers.get("last-event-id")))
        stage.model.say(Reply({"type": "text", "text": words}, pace=0.08))
        async with cable.laid():
            await stage.enter()
            exchange = await stage.say("count")
            await expect(exchange.locator(".prose")).to_contain_text("word3")
            cable.cut()
            await expect(stage.page.locator("#banner")).to_contain_text("cannot be reached")
            await expect(exchange.locator(".state")).to_contain_text("the line broke")
            cable.mend()
            assert (await stage.answered(exchange)).strip() == words.strip()
            await expect(stage.page.locator("#banner")).to_be_hidden()
            await stage.page.goto("about:blank")
        assert any(went_on), "it did not say where it was"
        assert len(stage.model.requests) == 1

    theatre.play(tmp_path, scene)


def test_a_restart_in_the_middle_of_an_answer_is_told_and_the_answer_still_comes(
    theatre: Theatre, tmp_path: Path
) -> None:
    async def scene() -> None:
        with MessagesServer(key="test-key") as model:
            port = {"channels.yaml": AGENTS["channels.yaml"]}
            root, state = project(tmp_path / "project", model.url, files={**AGENTS, **port}), tmp_path / "state"
            with Process(root, state) as first:
                base = await first.address()
                fixed = AGENTS["channels.yaml"].replace("port: 0", f"port: {base.rpartition(':')[2]}")
                async with opened(theatre.browser, base, root, state, model) as stage:
                    stage.expects("ERR_", "503")
                    model.say(Reply({"type": "text", "text": "This is cut off " * 50}, pace=0.1))
                    await stage.enter()
                    exchange = await stage.say("tell me")
                    await expect(exchange.locator(".prose")).to_contain_text("This is cut off")
                    first.process.kill()
                    first.process.wait()
                    await expect(stage.page.locator("#banner")).to_contain_text("cannot be reached")
                    (root / "channels.yaml").write_text(fixed, "utf-8")
                    model.say(text("This is the whole answer."))
                    with Process(root, state):
                        whole = exchange.locator(".prose", has_text="This is the whole answer.")
                        await whole.wait_for(timeout=30_000)
                        await stage.answered(exchange)
                        await expect(stage.page.locator("#banner")).to_be_hidden()
                        await expect(stage.page.locator(".exchange")).to_have_count(1)
                        assert TOKEN not in stage.page.url

    theatre.run(scene())
