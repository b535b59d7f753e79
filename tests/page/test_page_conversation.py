"""A conversation on the web page: signing in, streaming, tools, approvals, what survives a broken line."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest
from page_stage import AGENTS, Stage, Theatre
from playwright.async_api import Error, Route, expect

from doubles.house import TOKEN, until
from doubles.messages_server import HttpError, Reply, text, tool
from openclaw.messages import Address

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


# ── the door ─────────────────────────────────────────────────────────────────────────────────────


def test_the_link_signs_in_and_the_token_leaves_the_address_at_once(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.enter()
        assert TOKEN not in stage.page.url and "token" not in stage.page.url
        assert await stage.page.evaluate("history.length") <= 2
        assert await stage.page.evaluate("Object.values({...localStorage}).join()") == ""
        await stage.page.reload()
        await stage.page.wait_for_selector("#message")
        assert TOKEN not in await stage.page.content()

    theatre.play(tmp_path, scene)


def test_without_a_token_a_form_says_how_to_get_one_and_takes_it(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.expects("401")
        await stage.page.goto(stage.base)
        await expect(stage.page.locator(".door")).to_contain_text("openclaw token")
        await stage.page.fill("#token", "a wrong one")
        await stage.page.keyboard.press("Enter")
        await expect(stage.page.locator("#why")).to_contain_text("not taken")
        await stage.page.fill("#token", TOKEN)
        await stage.page.keyboard.press("Enter")
        await stage.page.wait_for_selector("#message")
        await stage.page.get_by_role("button", name="Sign out").click()
        await stage.page.wait_for_selector("#token")
        assert await stage.page.evaluate("sessionStorage.getItem('token')") is None

    theatre.play(tmp_path, scene)


def test_a_token_sees_only_what_it_may_use(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.expects("403", "404")
        await stage.enter("reader-token-0123456789")
        assert await stage.page.locator(".nav a > span:nth-of-type(1)").all_inner_texts() == [
            "Heartbeats", "Memory", "Status",
        ]  # fmt: skip
        assert await stage.page.get_by_role("button", name="Run now").count() == 0
        await stage.page.get_by_role("button", name="Sign out").click()
        stage.model.say(text("Welcome, guest."))
        await stage.enter("guest-token-0123456789")
        assert await stage.page.locator(".nav a > span:nth-of-type(1)").all_inner_texts() == ["Chat", "Sessions"]
        assert "Welcome, guest." in await stage.ask("hello")

    theatre.play(tmp_path, scene)


def test_a_token_in_letters_of_any_script_signs_in_and_one_that_no_header_carries_is_refused(
    theatre: Theatre, tmp_path: Path
) -> None:
    secret = "ключ-é-鍵-0123456789"
    channels = AGENTS["channels.yaml"].replace("guest-token-0123456789", secret)

    async def scene(stage: Stage) -> None:
        stage.model.say(text("Welcome."))
        await stage.page.goto(stage.base)
        await stage.page.fill("#token", secret)
        await stage.page.keyboard.press("Enter")
        assert "Welcome." in await stage.ask("hello")
        await stage.page.goto(f"{stage.base}/#token=two%0Alines")
        await expect(stage.page.locator("#why")).to_contain_text("no line breaks")
        await expect(stage.page.locator("#banner")).to_be_hidden()

    theatre.play(tmp_path, scene, {"channels.yaml": channels})


def test_signing_out_ends_what_is_heard_and_leaves_nothing_to_the_next_person(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        page = stage.page
        stage.model.say(Reply({"type": "text", "text": "a secret of the operator " * 60}, pace=0.1))
        await stage.enter()
        exchange = await stage.say("a private question")
        await expect(exchange.locator(".prose")).to_contain_text("a secret")
        await page.fill("#message", "half a private thought")
        assert "private question" in await page.evaluate("JSON.stringify(sessionStorage)")
        async with page.expect_event("requestfailed", lambda one: one.url.endswith("/api/messages")):
            await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_selector("#token")
        assert await page.evaluate("sessionStorage.length") == 0
        await page.fill("#token", "guest-token-0123456789")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".welcome")
        assert await page.locator("#message").input_value() == ""
        assert await page.locator(".exchange").count() == 0
        assert "secret" not in await page.locator("#announcer").inner_text()

    theatre.play(tmp_path, scene)


# ── streaming ────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_is_seen_while_it_is_written(theatre: Theatre, tmp_path: Path) -> None:
    words = "One two three four five six seven eight nine ten. " * 4
    go_on = threading.Event()

    async def scene(stage: Stage) -> None:
        stage.model.say(Reply({"type": "text", "text": words}, pace=0.01, until=go_on))
        await stage.enter()
        exchange = await stage.say("count")
        await expect(exchange.locator(".prose")).to_contain_text("One two three")
        assert "busy" in str(await exchange.get_attribute("class"))
        go_on.set()
        assert (await stage.answered(exchange)).strip() == words.strip()
        assert "Jarvis: One two" in await stage.page.locator("#announcer").inner_text()

    theatre.play(tmp_path, scene)


def test_an_attempt_that_failed_leaves_nothing_of_its_text(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        half = Reply({"type": "text", "text": "This attempt is void and breaks off"}, fault="cut", after=3)
        stage.model.say(half, text("The second one counts."))
        await stage.enter()
        answer = await stage.ask("go")
        assert answer.strip() == "The second one counts."

    theatre.play(tmp_path, scene)


def test_an_error_is_told_and_the_conversation_goes_on(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(HttpError(400, "invalid_request_error", "that cannot be"), text("Better."))
        await stage.enter()
        exchange = await stage.say("break")
        await expect(exchange.locator(".failure")).to_be_visible()
        assert "Better." in await stage.ask("again")

    theatre.play(tmp_path, scene)


def test_stop_ends_the_answer(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(Reply({"type": "text", "text": "on and on " * 500}, pace=0.05))
        await stage.enter()
        stop = stage.page.get_by_role("button", name="Stop the answer")
        await expect(stop).to_be_hidden()
        exchange = await stage.say("talk")
        await expect(exchange.locator(".prose")).to_contain_text("on and on")
        await stop.click()
        await stage.answered(exchange)
        await expect(stop).to_be_hidden()

    theatre.play(tmp_path, scene)


def test_a_long_answer_is_appended_and_what_is_complete_is_never_drawn_again(theatre: Theatre, tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {number} has **some** words and `code`. " * 8 for number in range(250)]

    async def scene(stage: Stage) -> None:
        stage.model.say(Reply({"type": "text", "text": "\n\n".join(paragraphs)}, piece=200, pace=0.002))
        await stage.enter()
        exchange = await stage.say("write")
        await exchange.locator(".prose > p:nth-of-type(3)").wait_for()
        await exchange.locator(".prose > p").first.evaluate("one => { one.mine = true }")
        added = await exchange.evaluate_handle(
            """one => { const seen = {nodes: 0};
                 new MutationObserver((all) => { for (const each of all) seen.nodes += each.addedNodes.length })
                   .observe(one, {childList: true, subtree: true}); return seen }"""
        )
        await stage.answered(exchange)
        assert await exchange.locator(".prose > p").first.evaluate("one => one.mine")
        assert await exchange.locator(".prose > p").count() == len(paragraphs)
        drawn = await added.evaluate("seen => seen.nodes")
        assert drawn < 40 * len(paragraphs), "most of the answer was drawn again and again"

    theatre.play(tmp_path, scene)


def test_the_view_follows_the_answer_only_while_the_reader_is_at_the_bottom(theatre: Theatre, tmp_path: Path) -> None:
    long = "\n\n".join(f"Line {number}" for number in range(120))

    async def scene(stage: Stage) -> None:
        stage.model.say(text(long), Reply({"type": "text", "text": long}, pace=0.01, piece=20))
        await stage.enter()
        await stage.ask("first")
        scroller = stage.page.locator(".scroller")
        place = "document.querySelector('.scroller')"
        at_bottom = f"{place}.scrollHeight - {place}.scrollTop - {place}.clientHeight < 50"
        await stage.becomes(at_bottom)
        exchange = await stage.say("second")
        await expect(exchange.locator(".prose")).to_contain_text("Line 9")
        await scroller.evaluate("one => { one.scrollTop = 0 }")
        await stage.answered(exchange)
        assert await scroller.evaluate("one => one.scrollTop") == 0
        await stage.page.get_by_role("button", name="Latest").click()
        await stage.becomes(at_bottom)

    theatre.play(tmp_path, scene)


# ── tools and approvals ──────────────────────────────────────────────────────────────────────────


def test_a_call_is_one_line_that_opens_to_its_input_and_result(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(Reply(tool("add", a=40, b=2)), text("It is 42."))
        await stage.enter()
        exchange = await stage.say("add them")
        assert "It is 42." in await stage.answered(exchange)
        chip = exchange.locator("details.tool.good")
        await expect(chip).to_have_count(1)
        await chip.locator("summary").click()
        await expect(chip.locator("pre").nth(0)).to_contain_text('"a": 40')
        await expect(chip.locator("pre").nth(1)).to_have_text("42")
        await stage.page.reload()
        await expect(stage.page.locator("details.tool.good")).to_have_count(1)

    theatre.play(tmp_path, scene)


def asks(path: str) -> Reply:
    return Reply(tool("write_file", path=path, content="from the page\n"))


def test_an_approval_given_in_the_conversation_lets_the_call_run(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(asks("yes.txt"), text("Written."))
        await stage.enter()
        exchange = await stage.say("write it")
        card = exchange.locator(".approval")
        await expect(card.locator(".argv")).to_contain_text("yes.txt")
        await expect(card.locator(".left")).to_contain_text(":")
        await expect(stage.page.locator('.nav a[data-view="approvals"] .badge')).to_contain_text("1")
        assert not (stage.state / "workspace/yes.txt").exists()
        await card.get_by_role("button", name="Allow once").click()
        assert "Written." in await stage.answered(exchange)
        assert (stage.state / "workspace/yes.txt").read_text() == "from the page\n"
        await expect(card).to_contain_text("Allowed once")
        await expect(stage.page.locator('.nav a[data-view="approvals"] .badge')).to_be_hidden()

    theatre.play(tmp_path, scene)


def test_an_approval_denied_in_the_inbox_keeps_the_call_from_running(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(asks("no.txt"), text("Then not."))
        await stage.enter()
        exchange = await stage.say("write it")
        await exchange.locator(".approval").wait_for()
        await stage.show("approvals")
        await stage.page.locator("main .approval").get_by_role("button", name="Deny").click()
        await stage.show("chat")
        assert "Then not." in await stage.answered(exchange)
        await expect(exchange.locator(".approval")).to_contain_text("Denied")
        assert not (stage.state / "workspace/no.txt").exists()

    theatre.play(tmp_path, scene)


def test_whoever_may_not_answer_a_question_sees_it_without_buttons(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(asks("guest.txt"), text("Written for a guest."))
        await stage.enter("guest-token-0123456789")
        exchange = await stage.say("write it")
        await expect(exchange.locator(".approval")).to_contain_text("Somebody who may answer this is asked")
        assert await exchange.locator(".approval button").count() == 0
        assert stage.app is not None
        [approval] = stage.app.desk.approvals()
        await stage.app.desk.answer(approval.id, "allow-once", Address("repl", "local"))
        assert "Written for a guest." in await stage.answered(exchange)
        await expect(exchange.locator(".approval")).to_contain_text("Allowed once")

    theatre.play(tmp_path, scene)


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def test_a_conversation_needs_no_mouse(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(text("Heard you."), asks("keys.txt"), text("Done by keys."))
        await stage.enter()
        keys = stage.page.keyboard
        await expect(stage.page.locator("#message")).to_be_focused()
        await keys.type("first line")
        await keys.press("Shift+Enter")
        await keys.type("second line")
        await keys.press("Enter")
        await expect(stage.page.locator(".bubble")).to_have_text("first line\nsecond line")
        await expect(stage.page.locator(".prose")).to_have_text("Heard you.")
        await keys.type("write")
        await keys.press("Enter")
        allow = stage.page.get_by_role("button", name="Allow once")
        await allow.wait_for()
        for _ in range(30):
            await keys.press("Shift+Tab")
            if await allow.evaluate("one => one === document.activeElement"):
                break
        assert await allow.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
        await keys.press("Enter")
        await expect(stage.page.locator(".prose").last).to_have_text("Done by keys.")
        await stage.page.locator("#main").focus()
        await keys.press("?")
        await expect(stage.page.locator("dialog")).to_contain_text("go to Sessions")
        await keys.press("Escape")
        await keys.press("g")
        await keys.press("s")
        await expect(stage.page.locator("#title")).to_have_text("Sessions")

    theatre.play(tmp_path, scene)


def test_commands_are_completed_and_a_new_conversation_is_empty(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(text("Noted."))
        await stage.enter()
        await stage.ask("something old")
        await stage.page.locator("#message").press_sequentially("/h")
        await expect(stage.page.locator("#completions [aria-selected=true]")).to_contain_text("/help")
        await stage.page.keyboard.press("Tab")
        await expect(stage.page.locator("#message")).to_have_value("/help ")
        await stage.page.keyboard.press("Enter")
        await expect(stage.page.locator(".answer .plain")).to_contain_text("/new")
        await stage.page.get_by_role("button", name="New conversation").click()
        await expect(stage.page.locator(".welcome")).to_contain_text("Jarvis")
        await stage.page.reload()
        await stage.page.wait_for_selector(".welcome")

    theatre.play(tmp_path, scene)


def test_another_agent_is_picked_and_answers_in_a_session_of_its_own(theatre: Theatre, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.model.say(text("I am the usual one."), text("I am Scout."))
        await stage.enter()
        await stage.ask("who?")
        await stage.page.select_option(".picker", "scout")
        await stage.page.wait_for_selector(".welcome")
        exchange = await stage.say("and who?")
        assert "I am Scout." in await stage.answered(exchange)
        await expect(exchange.locator(".who-name")).to_have_text("Scout")
        await stage.page.select_option(".picker", "main")
        await expect(stage.page.locator(".answer")).to_have_text("I am the usual one.")

    theatre.play(tmp_path, scene)


@pytest.mark.parametrize("channel", ["agent: scout, agents: [main, scout]", "agents: [scout]"])
def test_who_is_shown_as_chosen_is_who_answers(theatre: Theatre, tmp_path: Path, channel: str) -> None:
    here = {"channels.yaml": f"channels:\n  http: {{kind: http, port: 0, token: {TOKEN}, {channel}}}\n"}

    async def scene(stage: Stage) -> None:
        stage.model.say(text("Here I am."))
        await stage.enter()
        exchange = await stage.say("who?")
        assert "Here I am." in await stage.answered(exchange)
        await expect(exchange.locator(".who-name")).to_have_text("Scout")

    theatre.play(tmp_path, scene, here)


def test_a_draft_and_an_answer_on_its_way_outlive_a_reload_of_the_page(theatre: Theatre, tmp_path: Path) -> None:
    words = "slow and steady " * 30

    async def scene(stage: Stage) -> None:
        stage.model.say(Reply({"type": "text", "text": words}, pace=0.02))
        await stage.enter()
        exchange = await stage.say("tell me")
        await expect(exchange.locator(".prose")).to_contain_text("slow and steady")
        await stage.page.fill("#message", "half a thought")
        await stage.page.reload()
        await expect(stage.page.locator("#message")).to_have_value("half a thought")
        exchange = stage.page.locator(".exchange")
        await expect(exchange).to_have_count(1)
        assert (await stage.answered(exchange)).strip() == words.strip()

    theatre.play(tmp_path, scene)


def test_an_exchange_is_shown_once_to_whoever_was_elsewhere_while_it_was_written(
    theatre: Theatre, tmp_path: Path
) -> None:
    slow = Reply({"type": "text", "text": "slow and steady " * 6}, pace=0.05)

    async def scene(stage: Stage) -> None:
        page = stage.page
        exchanges = page.locator(".exchange")
        stage.model.say(slow, slow)
        await stage.enter()
        await expect((await stage.say("first")).locator(".prose")).to_contain_text("slow")
        await page.select_option(".picker", "scout")
        await page.wait_for_selector(".welcome")
        await written(stage, 1)
        await page.select_option(".picker", "main")
        await expect(exchanges).to_have_count(1)
        await expect(page.locator(".exchange.busy")).to_have_count(0)
        await expect((await stage.say("second")).locator(".prose")).to_contain_text("slow")
        await page.goto("about:blank")
        await written(stage, 2)
        await page.goto(stage.base)
        await expect(page.locator(".bubble")).to_have_text(["first", "second"])
        await expect(exchanges).to_have_count(2)
        await stage.becomes("sessionStorage.getItem('running') === '[]'")

    theatre.play(tmp_path, scene)


async def written(stage: Stage, answers: int) -> None:
    """Until the runtime has written so many whole answers into the session."""
    assert stage.app is not None
    transcripts = stage.state / "sessions"
    await until(
        lambda: (
            sum(path.read_text("utf-8").count("slow and steady") for path in transcripts.rglob("*.jsonl")) >= answers
        ),
        "the whole answer",
    )


def test_an_answer_on_its_way_is_waited_for_while_the_runtime_is_too_busy_to_tell(
    theatre: Theatre, tmp_path: Path
) -> None:
    words = "slow and steady " * 30
    go_on = threading.Event()
    refused: list[str] = []

    async def refuse_twice(route: Route) -> None:
        refused.append(route.request.url)
        if len(refused) > 2:
            await route.continue_()
            return
        problem = '{"code": "crowded", "detail": "too many", "status": 503}'
        await route.fulfill(status=503, content_type="application/problem+json", body=problem)

    async def scene(stage: Stage) -> None:
        stage.expects("503")
        stage.model.say(Reply({"type": "text", "text": words}, pace=0.02, until=go_on))
        await stage.enter()
        await expect((await stage.say("tell me")).locator(".prose")).to_contain_text("slow")
        await stage.page.route("**/api/messages/*/events", refuse_twice)
        await stage.page.reload()
        exchange = stage.page.locator(".exchange")
        await expect(exchange.locator(".prose")).to_contain_text("slow")
        await until(lambda: len(refused) > 2, "the third try")
        go_on.set()
        assert (await stage.answered(exchange)).strip() == words.strip()

    theatre.play(tmp_path, scene)


@pytest.mark.parametrize("arrives", [False, True])
def test_a_message_whose_acceptance_was_not_heard_outlives_a_reload_and_counts_once(
    theatre: Theatre, tmp_path: Path, arrives: bool
) -> None:
    async def lost(route: Route) -> None:
        with contextlib.suppress(Error):  # one that is under way when the line is mended goes its own way
            if arrives:
                await route.fetch()
            await route.abort()

    async def scene(stage: Stage) -> None:
        page = stage.page
        stage.expects("ERR_")
        stage.model.say(text("Heard you."))
        await stage.enter()
        await page.route("**/api/messages", lost)
        exchange = await stage.say("a long thought")
        await expect(exchange.locator(".state")).to_contain_text("the line broke")
        assert len(stage.model.requests) == arrives
        await page.reload()
        await page.wait_for_selector(".exchange")
        await page.unroute("**/api/messages", lost)
        await stage.becomes("sessionStorage.getItem('running') === '[]'")
        await expect(page.locator(".answer")).to_have_text("Heard you.")
        await expect(page.locator(".bubble")).to_have_text("a long thought")
        assert len(stage.model.requests) == 1

    theatre.play(tmp_path, scene)
