"""Telegram with everything behind it: the whole runtime, the real client, the doubles of both services."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from doubles.house import TOKEN as OPERATOR
from doubles.house import Hasty, Process, Program, lived, noted, project, until
from doubles.messages_server import MessagesServer, Reply, tool
from doubles.telegram_house import ANA, BEN, GROUP, answered, quiet
from doubles.telegram_people import BOT_NAME, Update
from doubles.telegram_server import TOKEN, TelegramServer
from openclaw.app import App

CHANNELS = """\
channels:
  http: {{kind: http, port: 0, token: {operator}}}
  telegram: {{kind: telegram, token: "{token}", api_base: "{api}"{more}}}
people:
  ana: {{ids: ["telegram:7", "http:operator/ana"], owner: true}}
rooms:
  den: {{id: "telegram:-50"}}
"""
ASKS = """\
tools:
  add: {python: "sums:add"}
policies:
  works:
    default: ask
    rules: [{allow: [list_files, save_memory, memory_search]}]
    approvers: [ana]
"""
BEGIN = 45.0  # seconds that a new process gets for its first steps
Scene = Callable[[App, Program, TelegramServer], Awaitable[None]]


def echo(body: dict[str, Any]) -> Reply:
    """Answers a question with its words; a tool's result with what it was."""
    blocks = body["messages"][-1]["content"]
    last = blocks[-1]
    if last["type"] == "tool_result":
        content = last["content"]
        return Reply({"type": "text", "text": f"It is {content if isinstance(content, str) else content[0]['text']}"})
    return Reply({"type": "text", "text": f"You said: {last['text']}"})


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    with MessagesServer(otherwise=echo) as server:
        yield server
    assert server.violations == []


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server


def place(tmp_path: Path, model: MessagesServer, telegram: TelegramServer, more: str = "", **files: str) -> Path:
    text = CHANNELS.format(operator=OPERATOR, token=TOKEN, api=telegram.url, more=more)
    return project(tmp_path / "project", model.url, files={"channels.yaml": text, **files})


def run(tmp_path: Path, root: Path, telegram: TelegramServer, scene: Scene, **options: Any) -> None:
    async def whole() -> None:
        async with lived(root, tmp_path / "state", **options) as (app, operator):
            await until(lambda: telegram.called("getUpdates"), "the first poll")
            await asyncio.wait_for(scene(app, operator, telegram), 100)

    asyncio.run(whole())


async def card(telegram: TelegramServer, chat: int) -> Update:
    found: Update = await until(
        lambda: next((m for m in telegram.sent(chat) if m.get("reply_markup")), None), "a card", BEGIN
    )
    return found


def test_a_message_is_answered_and_a_stranger_is_let_in_by_code(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        telegram.say("hello", by=ANA)
        assert await answered(telegram, ANA) == ["You said: hello"]
        telegram.say("let me in", by=BEN)
        [told] = await answered(telegram, BEN)
        [waiting] = app.desk.pairings()[0]
        assert waiting.code in told and waiting.name == "Person 8"
        await app.desk.pair(waiting.code)
        telegram.say("thanks", by=BEN)
        telegram.say(f"@{BOT_NAME} here too?", by=BEN, chat=GROUP)
        assert (await answered(telegram, BEN, 2))[1] == "You said: thanks"
        await quiet(telegram)
        assert telegram.sent(GROUP) == [], "a code admits to no group"

    run(tmp_path, place(tmp_path, model, telegram), telegram, scene)


def test_one_person_has_one_session_and_one_memory_on_telegram_and_over_http(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    def speaks(body: dict[str, Any]) -> Reply:
        said = [block.get("text", "") for turn in body["messages"] for block in turn["content"] if "text" in block]
        last = body["messages"][-1]["content"][-1]
        if last.get("text") == "What's my name?":
            return Reply({"type": "text", "text": "Nader" if any("My name is Nader" in text for text in said) else "?"})
        return Reply({"type": "text", "text": "Noted."})

    model._otherwise = speaks

    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        telegram.say("My name is Nader", by=ANA)
        assert await answered(telegram, ANA) == ["Noted."]
        answer = (await operator.say("What's my name?", sender="ana")).json()
        assert answer["reply"] == "Nader" and answer["session"] == "agent:main:person:ana"

    run(tmp_path, place(tmp_path, model, telegram), telegram, scene)


def test_an_approval_is_answered_by_the_right_person_and_refused_to_the_wrong_one(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        model.say(Reply(tool("add", a=2, b=3)))
        telegram.say(f"@{BOT_NAME} add two and three", by=ANA, chat=GROUP)
        asked = (await card(telegram, GROUP))["message_id"]
        wrong = telegram.press(BEN, GROUP, asked, "Allow once")
        await until(lambda: wrong in telegram.alerts, "the alert")
        assert telegram.alerts[wrong] == ("This is not yours to answer.", True)
        right = telegram.press(ANA, GROUP, asked, "Allow once")
        await until(lambda: "It is 5" in telegram.texts(GROUP), "the answer")
        assert telegram.alerts[right] == ("Allowed once.", False)
        await until(lambda: "add: allowed once by Person 7" in telegram.texts(GROUP)[0], "the outcome on the card")

    run(tmp_path, place(tmp_path, model, telegram, **{"tools.yaml": ASKS}), telegram, scene)


@pytest.mark.slow
def test_a_network_that_is_away_for_a_minute_loses_nothing(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        telegram.say("before", by=ANA)
        await answered(telegram, ANA)
        telegram.cut()
        telegram.say("meanwhile", by=ANA)
        await app.clock.sleep(60)
        assert app.roll.condition("telegram") in ("connecting", "silent")  # minutes may have passed on a busy machine
        assert "does not answer" in app.roll.told()["telegram"]["trouble"]
        clock.walk()
        telegram.mend()
        assert (await answered(telegram, ANA, 2))[1] == "You said: meanwhile"
        await until(lambda: app.roll.condition("telegram") == "receiving", "the poll after it")

    clock = Hasty()
    run(tmp_path, place(tmp_path, model, telegram), telegram, scene, clock=clock)


def test_a_token_that_is_revoked_ends_this_channel_alone(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        telegram.revoke()
        await until(lambda: "refused the bot's token" in str(app.desk.status()["channels"]["telegram"]), "its end")
        answer = (await operator.say("are you there?")).json()
        assert answer["reply"] == "You said: are you there?"

    run(tmp_path, place(tmp_path, model, telegram), telegram, scene)
    assert TOKEN not in caplog.text and "refused the bot's token" in caplog.text


def test_an_image_reaches_the_workspace_and_the_model_hears_of_it(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        telegram.photo(ANA, b"jpeg", caption="what is this?")
        await answered(telegram, ANA)
        said = str(model.requests[-1].body["messages"][-1]["content"])
        [kept] = [path for path in (tmp_path / "state").rglob("*photo.jpg") if path.is_file()]
        assert kept.read_bytes() == b"jpeg" and str(kept) in said and "what is this?" in said

    run(tmp_path, place(tmp_path, model, telegram), telegram, scene)


def test_it_ends_soon_after_a_stop(tmp_path: Path, model: MessagesServer, telegram: TelegramServer) -> None:
    root = place(tmp_path, model, telegram)

    async def whole() -> None:
        living = lived(root, tmp_path / "state")
        await living.__aenter__()
        await until(lambda: telegram.called("getUpdates"), "the poll")
        await asyncio.wait_for(living.__aexit__(None, None, None), 15)

    asyncio.run(whole())


def test_an_edit_of_the_channel_takes_effect_without_two_that_poll(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    root = place(tmp_path, model, telegram)

    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        telegram.say("nobody asked you", by=ANA, chat=GROUP)
        await quiet(telegram)
        manifest = root / "channels.yaml"
        manifest.write_text(
            manifest.read_text("utf-8").replace("kind: telegram", "kind: telegram, groups: all"), "utf-8"
        )
        polls = len(telegram.called("getMe"))
        await until(lambda: len(telegram.called("getMe")) > polls, "the new channel", 20)
        telegram.say("and now?", by=ANA, chat=GROUP)
        await until(lambda: telegram.texts(GROUP) == ["You said: and now?"], "the answer, whole")
        assert telegram.called("getUpdates", 409) == []

    run(tmp_path, root, telegram, scene)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_thousand_messages_of_two_hundred_people_are_each_answered_once_and_in_order(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    people, each = range(1000, 1200), 5
    allowed = f", allow: [{', '.join(map(str, people))}]"

    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        for number in range(each):
            for one in people:
                telegram.say(f"{number} of {one}", by=one)

        def done() -> bool:
            return all(len(telegram.sent(one)) >= each for one in people)

        await until(done, "every answer", 150)
        await quiet(telegram)
        for one in people:
            assert telegram.texts(one) == [f"You said: {number} of {one}" for number in range(each)]
        by_sender: dict[str, list[str]] = defaultdict(list)
        for request in model.requests:
            said = request.body["messages"][-1]["content"][-1]["text"]
            by_sender[said.split()[-1]].append(said)
        assert all(said == sorted(said) and len(said) == each for said in by_sender.values())

    root = place(tmp_path, model, telegram, allowed)

    async def whole() -> None:
        async with lived(root, tmp_path / "state") as (app, operator):
            await until(lambda: telegram.called("getUpdates"), "the first poll")
            await asyncio.wait_for(scene(app, operator, telegram), 160)

    asyncio.run(whole())


# ── over a crash ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("when", ["before it is confirmed", "while it is answered"])
def test_a_message_is_answered_once_after_a_crash(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer, when: str
) -> None:
    root = place(tmp_path, model, telegram)
    here = {"type": "text", "text": "Here I am."}
    model._otherwise = Reply(here)
    model.say(Reply(here, delay=60))  # of the process that is killed meanwhile

    async def whole() -> None:
        with Process(root, tmp_path / "state") as runtime:
            await until(lambda: telegram.called("getUpdates"), f"the poll: {runtime.log}", BEGIN)
            if when == "before it is confirmed":
                telegram.hold("getUpdates")
            telegram.say("are you there?", by=ANA)
            await until(lambda: model.requests, "the model's request", BEGIN)
            if when == "while it is answered":
                await quiet(telegram)
            runtime.process.send_signal(signal.SIGKILL)
            runtime.process.wait(10)
        confirmed = not telegram.waiting
        assert confirmed == (when == "while it is answered")
        assert telegram.sent(ANA) == []
        if when == "before it is confirmed":
            telegram.release("getUpdates")
        with Process(root, tmp_path / "state") as runtime:
            await until(lambda: telegram.sent(ANA), f"the answer: {runtime.log}", BEGIN)
            assert telegram.texts(ANA) == ["Here I am."]
            telegram.say("and now?", by=ANA)
            assert await answered(telegram, ANA, 2) == ["Here I am."] * 2
            assert TOKEN not in runtime.log

    asyncio.run(whole())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_approval_asked_before_a_crash_is_answered_after_it(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer
) -> None:
    root = place(tmp_path, model, telegram, **{"tools.yaml": ASKS})
    model.say(Reply(tool("add", a=2, b=3)))

    async def whole() -> None:
        with Process(root, tmp_path / "state") as runtime:
            await until(lambda: telegram.called("getUpdates"), f"the poll: {runtime.log}", BEGIN)
            telegram.say("add two and three", by=ANA)
            asked = (await card(telegram, ANA))["message_id"]
            await until(lambda: noted(tmp_path / "state", "telegram", "cards"), "the card on disk")
            await quiet(telegram)
            runtime.process.send_signal(signal.SIGKILL)
            runtime.process.wait(10)
        with Process(root, tmp_path / "state") as runtime:
            polls = len(telegram.called("getUpdates"))
            await until(lambda: len(telegram.called("getUpdates")) > polls, f"the poll: {runtime.log}", BEGIN)
            query = telegram.press(ANA, ANA, asked, "Allow once")
            await until(lambda: query in telegram.alerts, f"an answer to the press: {runtime.log}")
            assert telegram.alerts[query] == ("Allowed once.", False)
            await until(lambda: "It is 5" in telegram.texts(ANA), f"the answer: {runtime.log}", BEGIN)
            cards = [text for text in telegram.texts(ANA) if text.startswith(("add:", "main asks"))]
            assert len(cards) == 1, "the card that stood there served on"

    asyncio.run(whole())


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(3))
def test_whatever_fails_on_the_way_each_message_is_answered_and_a_second_answer_is_marked(
    tmp_path: Path, model: MessagesServer, telegram: TelegramServer, seed: int
) -> None:
    chance, people, each = random.Random(seed), range(1000, 1006), 12

    def trouble() -> None:
        match chance.randrange(8):
            case 0:
                telegram.fail("getUpdates", chance.choice([0, 500, 502, 409]))
            case 1:
                telegram.fail("sendMessage", chance.choice([0, 500, 502]), after=chance.randrange(3))
            case 2:
                telegram.flood(chance.choice(people), chance.randrange(1, 20))
            case 3:
                telegram.cut()
            case _:
                telegram.mend()

    async def scene(app: App, operator: Program, telegram: TelegramServer) -> None:
        for number in range(each):
            for one in people:
                telegram.say(f"{number} of {one}", by=one)
                trouble()
                await asyncio.sleep(0.02)
        telegram.mend()

        def answers(one: int) -> list[str]:
            return [text.rpartition("You said: ")[2] for text in telegram.texts(one)]

        await until(
            lambda: all(set(answers(one)) >= {f"{n} of {one}" for n in range(each)} for one in people), "all", 90
        )
        await quiet(telegram)
        for one in people:
            first = list(dict.fromkeys(answers(one)))
            assert first == [f"{number} of {one}" for number in range(each)], "in their order"
            plain = [text for text in telegram.texts(one) if text.startswith("You said: ")]
            assert len(plain) == len(set(plain)), "what came twice is marked"
        said = [request.body["messages"][-1]["content"][-1]["text"] for request in model.requests]
        assert len(said) == len(set(said)) == each * len(people), "each was put to the model once"

    allowed = f", allow: [{', '.join(map(str, people))}]"
    root = place(tmp_path, model, telegram, allowed)

    async def whole() -> None:
        async with lived(root, tmp_path / "state", clock=Hasty()) as (app, operator):
            await until(lambda: telegram.called("getUpdates"), "the first poll")
            await asyncio.wait_for(scene(app, operator, telegram), 150)

    asyncio.run(whole())
