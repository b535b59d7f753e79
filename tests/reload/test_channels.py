"""An edit of channels while people use them: what is new is tried before what runs gives way, what leaves answers what
it took in, and what an edit is not about keeps its connections, its place and its open questions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from doubles.discord_server import BOT, NADER, OPS, DiscordServer
from doubles.house import AGENT, SUMS, Hasty, Program, project, until
from doubles.house import TOKEN as OPERATOR
from doubles.messages_server import MessagesServer, Reply, tool
from doubles.telegram_house import ANA, BEN, answered, quiet
from doubles.telegram_people import BOT_ID
from doubles.telegram_server import TOKEN, TelegramServer
from openclaw import adapters
from openclaw.app import App
from openclaw.attempts import Attempt
from openclaw.clock import Clock
from openclaw.parts import Kinds, Parts
from openclaw.project import Options
from reload.r_hands import free_port

HTTP = f"http: {{kind: http, port: 0, token: {OPERATOR}}}"
SIDE = AGENT.replace("default: true\n", "").replace("Main", "Side").replace("main.md", "side.md")
ASKS = """\
tools:
  add: {python: "sums:add"}
policies:
  works:
    default: ask
    rules: [{allow: list_files}]
    approvers: [ana]
"""


def telegram(server: TelegramServer, token: str = "", more: str = "") -> str:
    return f'telegram: {{kind: telegram, token: "{token or server.token}", api_base: "{server.url}"{more}}}'


def discord(server: DiscordServer, token: str = "", more: str = "") -> str:
    return f'discord: {{kind: discord, token: "{token or server.token}", api_base: "{server.api}"{more}}}'


def manifest(*channels: str) -> str:
    """Ana is known on every channel that there is."""
    ids = {"telegram": "telegram:7", "discord": f"discord:{NADER}", "http": "http:operator/ana"}
    known = ", ".join(f'"{id}"' for key, id in ids.items() if any(one.startswith(f"{key}:") for one in channels))
    lines = "".join(f"  {channel}\n" for channel in channels)
    return f"channels:\n{lines}people:\n  ana: {{ids: [{known}], owner: true}}\n"


class Living:
    """A running runtime, its project, and the hand that edits it. Nothing but that hand looks at the disk."""

    def __init__(self, app: App, root: Path, operator: Program) -> None:
        self.app, self.root, self.operator = app, root, operator

    async def channels(self, *channels: str) -> Attempt:
        return await self.edit("channels.yaml", manifest(*channels))

    async def edit(self, name: str, text: str) -> Attempt:
        (self.root / name).write_text(text, "utf-8")
        return await self.app.reload.attempt("edit")

    def state(self, key: str) -> str | None:
        return self.app.roll.states.get(key)


@asynccontextmanager
async def living(
    tmp_path: Path,
    model: MessagesServer,
    *channels: str,
    clock: Clock | None = None,
    kind: Kinds = adapters.kind,
    files: Mapping[str, str] | None = None,
) -> AsyncIterator[Living]:
    standard = {"channels.yaml": manifest(HTTP, *channels), **(files or {})}
    root = project(tmp_path / "project", model.url, files=standard)
    parts = Parts(kind, without=frozenset({"watch", "retry"}))
    app = App(Options(root, tmp_path / "state"), clock=clock, parts=parts)
    async with app.opened():
        [address] = await app.addresses()
        running = asyncio.create_task(app.run())
        try:
            async with Program(address) as operator:
                await until(lambda: set(app.roll.states.values()) == {"running"}, "every channel")
                async with asyncio.timeout(100):
                    yield Living(app, root, operator)
        finally:
            app.stopping.set()
            await running


@pytest.fixture
def model() -> Iterator[MessagesServer]:
    def echo(body: dict[str, Any]) -> Reply:
        block = body["messages"][-1]["content"][-1]
        said = block.get("text") or block["content"]
        return Reply({"type": "text", "text": f"You said: {said if isinstance(said, str) else said[0]['text']}"})

    with MessagesServer(otherwise=echo) as server:
        yield server
    assert server.violations == []


@pytest.fixture
def bot() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server


@pytest.fixture
def guild() -> Iterator[DiscordServer]:
    with DiscordServer() as server:
        yield server


def slowly(model: MessagesServer, text: str, times: int = 1) -> threading.Event:
    """The next answer of the model, or as many, ends when what is returned is set."""
    go_on = threading.Event()
    model.say(*[Reply({"type": "text", "text": text}, until=go_on)] * times)
    return go_on


async def polled(bot: TelegramServer) -> None:
    await until(lambda: bot.called("getUpdates"), "the first poll")


def test_a_token_that_is_refused_or_cannot_be_tried_changes_nothing(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = f"{BOT_ID}:WrongTokenOfTheSameBot000000000000"

    async def main() -> None:
        async with living(tmp_path, model, telegram(bot)) as live:
            await polled(bot)
            before = live.app.supervisor.current
            polls = len(bot.called("getUpdates"))
            attempt = await live.channels(HTTP, telegram(bot, wrong))
            assert attempt.outcome == "failed" and "Telegram refused the bot's token" in attempt.error
            assert live.app.supervisor.current is before and live.state("telegram") == "running"
            bot.fail("getMe", 502)
            bot.token = f"{BOT_ID}:AnotherTokenOfTheSameBot"
            attempt = await live.channels(HTTP, telegram(bot))
            assert attempt.outcome == "failed" and "Telegram does not answer" in attempt.error
            bot.token = TOKEN
            bot.say("are you there?", by=ANA)
            assert await answered(bot, ANA) == ["You said: are you there?"]
            assert len(bot.called("getMe", 200)) == 1, "the bot that runs was never started anew"
            assert len(bot.called("getUpdates", 409)) == 0 < polls, "and never polled against itself"

    asyncio.run(main())
    assert TOKEN not in caplog.text and wrong not in caplog.text


def test_the_same_bot_with_another_token_goes_on_where_it_was(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, telegram(bot)) as live:
            bot.say("one", by=ANA)
            await answered(bot, ANA)
            await quiet(bot)
            go_on = slowly(model, "Slow and steady.")
            bot.say("two", by=ANA)
            await until(lambda: len(model.requests) == 2, "the turn")
            await quiet(bot)
            bot.token = f"{BOT_ID}:AnotherTokenOfTheSameBot"
            assert (await live.channels(HTTP, telegram(bot))).outcome == "applied"
            bot.say("three", by=ANA)
            go_on.set()
            assert await answered(bot, ANA, 3) == ["You said: one", "Slow and steady.", "You said: three"]
            await quiet(bot)
            assert live.state("telegram") == "running" and not live.app.intake.retiring.leaving()
        assert len(model.requests) == 3, "nothing was taken twice"

    asyncio.run(main())


def test_another_bot_answers_what_it_hears_and_the_old_one_what_it_heard(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer
) -> None:
    async def main(other: TelegramServer) -> None:
        async with living(tmp_path, model, telegram(bot)) as live:
            bot.say("one", by=ANA, id=5)
            await answered(bot, ANA)
            go_on = slowly(model, "Slow and steady.")
            bot.say("two", by=ANA, id=6)
            await until(lambda: len(model.requests) == 2, "the turn")
            await quiet(bot)
            assert (await live.channels(HTTP, telegram(other))).outcome == "applied"
            assert live.app.intake.retiring.leaving() == ["telegram"]
            other.say("three", by=BEN, id=5)
            await until(lambda: other.texts(BEN), "a word to the stranger")
            polls = len(bot.called("getUpdates"))
            bot.say("too late", by=ANA, id=7)
            go_on.set()
            assert (await answered(bot, ANA, 2))[1] == "Slow and steady."
            other.say("four", by=ANA, id=6)
            assert await answered(other, ANA) == ["You said: four"]
            await until(lambda: not live.app.intake.retiring.leaving(), "the end of the old one")
            assert (await live.channels(HTTP, telegram(bot))).outcome == "applied"
            assert (await answered(bot, ANA, 3))[2] == "You said: too late"
            await quiet(bot)
            assert len(bot.called("getUpdates")) > polls
        assert (bot.texts(ANA), other.texts(ANA)) == (
            ["You said: one", "Slow and steady.", "You said: too late"],
            ["You said: four"],
        )
        assert len(model.requests) == 4, "each bot knows what it took in itself, though their numbers are the same"

    with TelegramServer(token=f"{BOT_ID + 1}:AAEdoubleTokenOfTheBotApi00000000000") as other:
        asyncio.run(main(other))


def test_channels_that_are_taken_away_take_nothing_more_in_and_answer_what_they_took(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer, guild: DiscordServer
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, telegram(bot), discord(guild)) as live:
            private = guild.direct(NADER)
            await until(lambda: guild.sessions, "a session")
            go_on = threading.Event()
            for _ in range(2):
                model.say(Reply({"type": "text", "text": "Slow and steady."}, until=go_on))
            bot.say("one", by=ANA)
            guild.say(f"<@{BOT}> one", channel=OPS)
            await until(lambda: len(model.requests) == 2, "both turns")
            await quiet(bot)
            assert (await live.channels(HTTP)).outcome == "applied"
            assert (live.state("telegram"), live.state("discord")) == (None, None)
            await until(lambda: not guild._sockets, "the end of the connection")
            bot.say("two", by=ANA)
            guild.say("two", channel=private)
            go_on.set()
            assert await answered(bot, ANA) == ["Slow and steady."]
            await until(lambda: guild.sent(OPS)[-1:] and guild.sent(OPS)[-1]["content"] == "Slow and steady.", "it")
            await until(lambda: not live.app.intake.retiring.leaving(), "their end")
            assert (await live.operator.say("here?", sender="ana")).json()["reply"] == "You said: here?"
            assert len(bot.waiting) == 1, "what came later is not confirmed"
            assert guild.sent(private) == []
            assert (await live.channels(HTTP, telegram(bot), discord(guild))).outcome == "applied"
            assert (await answered(bot, ANA, 2))[1] == "You said: two"
        assert [one["content"] for one in guild.sent(OPS)] == ["Slow and steady."]

    asyncio.run(main())


@pytest.mark.slow
def test_a_kind_that_cannot_be_had_takes_no_other_channel_with_it(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer
) -> None:
    def kind(folder: str, name: str) -> Any:
        if (folder, name) == ("channels", "discord"):
            raise ImportError("no module named discord")
        return adapters.kind(folder, name)

    async def main() -> None:
        async with living(tmp_path, model, telegram(bot), kind=kind) as live:
            await polled(bot)
            before, other = live.app.supervisor.current, 'discord: {kind: discord, token: "MTA.double.secret"}'
            attempt = await live.channels(HTTP, telegram(bot, more=", groups: all"), other)
            assert (attempt.outcome, live.state("discord")) == ("failed", None)
            assert "channel discord cannot be made: its kind `discord` fails: ImportError: no module" in attempt.error
            assert live.app.supervisor.current is before and live.state("telegram") == "running"
            assert (await live.operator.say("here?")).json()["reply"] == "You said: here?"
            assert (await live.channels(HTTP, telegram(bot))).outcome == "unchanged"
            assert (await live.edit("agents/main.md", "You are the second soul.\n")).outcome == "applied"
            assert len(bot.called("getMe")) == 1, "nothing is asked of a service where something else cannot be had"
        (live.root / "channels.yaml").write_text(manifest(HTTP, telegram(bot), other), "utf-8")
        app = App(live.app.options, parts=live.app.parts)
        async with app.opened():
            [address] = await app.addresses()
            running = asyncio.create_task(app.run())
            async with Program(address) as operator:
                assert (await operator.say("here?")).json()["reply"] == "You said: here?"
                assert app.roll.states["discord"].startswith("failed: channel discord cannot be made")
            app.stopping.set()
            await running

    asyncio.run(main())


@pytest.mark.slow
def test_edits_of_other_things_leave_connections_places_and_questions_as_they_are(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer, guild: DiscordServer
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, telegram(bot), discord(guild), files={"tools.yaml": ASKS}) as live:
            (live.root / "agents/side.md").write_text("You are beside.\n", "utf-8")
            await polled(bot)
            await until(lambda: guild.sessions, "a session")
            model.say(Reply(tool("add", a=2, b=3)))
            bot.say("add two and three", by=ANA)
            await until(lambda: any(one.get("reply_markup") for one in bot.sent(ANA)), "the card")
            counts = len(bot.called("getMe")), guild.connections, len(guild.made("GET", "/users/@me"))
            for number in range(20):
                limited = HTTP.replace("}", f", limits: {{requests_per_minute: {number + 100}}}}}")
                name, text = [
                    ("agents/main.md", f"You are soul {number}.\n"),
                    ("sums.py", SUMS.replace("two numbers", f"two numbers, {number}")),
                    ("agents/side.yaml", SIDE.replace("Talks", f"Talks {number}")),
                    ("channels.yaml", manifest(limited, telegram(bot), discord(guild))),
                ][number % 4]
                attempt = await live.edit(name, text)
                assert attempt.outcome == "applied", attempt
            assert (len(bot.called("getMe")), guild.connections, len(guild.made("GET", "/users/@me"))) == counts
            asked = next(one["message_id"] for one in bot.sent(ANA) if one.get("reply_markup"))
            bot.press(ANA, ANA, asked, "Allow once")
            await until(lambda: "You said: 5" in bot.texts(ANA), "the answer")
            bot.say("still there?", by=ANA)
            guild.say("still there?", channel=guild.direct(NADER))
            await until(lambda: "You said: still there?" in bot.texts(ANA), "its answer")
            await until(lambda: guild.sent(guild.direct(NADER)), "and the other")
            await quiet(bot)
            offsets = [one.given["offset"] for one in bot.called("getUpdates") if "offset" in one.given]
            assert offsets == sorted(offsets) and len(bot.called("getUpdates", 409)) == 0

    asyncio.run(main())


@pytest.mark.parametrize("late", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["at once", "later"])
def test_a_question_that_was_put_on_a_channel_is_withdrawn_with_it_and_its_card_says_so(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer, guild: DiscordServer, late: bool
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, telegram(bot), discord(guild), files={"tools.yaml": ASKS}) as live:
            private = guild.direct(NADER)
            await polled(bot)
            await until(lambda: guild.sessions, "a session")
            model.say(Reply(tool("add", a=2, b=3)))
            bot.say("add two and three", by=ANA)
            await until(lambda: any(one.get("reply_markup") for one in bot.sent(ANA)), "the card on Telegram")
            if late:
                bot.fail("editMessageText", 502)  # which is tried again a second later
            assert (await live.channels(HTTP, discord(guild))).outcome == "applied"
            await until(lambda: "You said:" in bot.texts(ANA)[-1], "the answer")
            await until(lambda: "withdrawn" in bot.sent(ANA)[0]["text"], "the end of the card")
            assert "reply_markup" not in bot.sent(ANA)[0]
            assert "was taken away" in str(model.requests[-1].body["messages"][-1])
            model.say(Reply(tool("add", a=2, b=4)))
            guild.say("add two and four", channel=private)
            await until(lambda: any(one["components"] for one in guild.sent(private)), "the card on Discord")
            if late:
                guild.limit("PATCH", f"/channels/{private}/messages/{guild.sent(private)[0]['id']}", 1.5)
            assert (await live.channels(HTTP)).outcome == "applied"
            await until(lambda: "You said:" in guild.sent(private)[-1]["content"], "the answer")
            await until(lambda: "Not asked any more" in guild.sent(private)[0]["content"], "the end of that card")
            assert not guild.sent(private)[0]["components"]

    asyncio.run(main())


def test_a_bot_of_discord_is_tried_before_the_one_that_runs_gives_way(
    tmp_path: Path, model: MessagesServer, guild: DiscordServer
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, discord(guild)) as live:
            private = guild.direct(NADER)
            await until(lambda: guild.sessions, "a session")
            attempt = await live.channels(HTTP, discord(guild, "MTA.double.wrong"))
            assert attempt.outcome == "failed" and "Discord refuses the bot's token" in attempt.error
            guild.message_content = False
            attempt = await live.channels(HTTP, discord(guild, more=", groups: all, message_content: true"))
            assert attempt.outcome == "failed" and "Message Content Intent" in attempt.error
            guild.fail("GET", "/users/@me", 503)
            attempt = await live.channels(HTTP, discord(guild, "MTA.double.another"))
            assert attempt.outcome == "failed" and "Discord answers 503" in attempt.error
            assert (guild.sessions, live.state("discord")) == (1, "running")
            guild.say("are you there?", channel=private)
            await until(lambda: guild.sent(private), "the answer")
            guild.message_content, guild.token = True, "MTA.double.another"
            attempt = await live.channels(HTTP, discord(guild, more=", groups: all, message_content: true"))
            assert attempt.outcome == "applied", attempt.error
            await until(lambda: guild.sessions == 2, "the new session")
            guild.say("and now?", channel=private)
            await until(lambda: len(guild.sent(private)) == 2, "the answer")
            assert guild.connections == 2
        assert [one["content"] for one in guild.sent(private)] == ["You said: are you there?", "You said: and now?"]

    asyncio.run(main())


def test_nobody_is_let_in_at_a_new_port_while_a_service_is_asked(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, telegram(bot)) as live:
            await polled(bot)
            bot.hold("getMe")
            port, asked = free_port(), len(bot.called("getMe"))
            moved = HTTP.replace("port: 0", f"port: {port}")
            asking = asyncio.create_task(live.channels(moved, telegram(bot, more=", groups: all")))
            await until(lambda: len(bot.called("getMe")) > asked, "the question at the service")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            bot.release("getMe")
            assert (await asking).outcome == "applied"
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()

    asyncio.run(main())


@pytest.mark.parametrize("while_it", ["asks a service that says nothing", "waits for the last turn of what left"])
def test_a_stop_ends_it_in_good_order(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer, guild: DiscordServer, while_it: str
) -> None:
    async def main() -> None:
        asking: asyncio.Task[Attempt] | None = None
        asks = while_it.startswith("asks")
        go_on = slowly(model, "Never said.", 10)  # a clock that hastes may give it up and ask again
        async with living(tmp_path, model, telegram(bot), discord(guild), clock=None if asks else Hasty()) as live:
            await polled(bot)
            await until(lambda: guild.sessions, "a session")
            if asks:
                bot.hold("getMe")
                asking = asyncio.create_task(live.channels(HTTP, telegram(bot, more=", groups: all"), discord(guild)))
                await until(lambda: len(bot.called("getMe")) == 2, "the question at the service")
            else:
                bot.say("one", by=ANA)
                await until(lambda: model.requests, "the turn")
                assert (await live.channels(HTTP)).outcome == "applied"
                assert "telegram" in live.app.intake.retiring.leaving()
            before = live.app.supervisor.current
        go_on.set()
        if asking is not None:
            bot.release("getMe")
            await asyncio.wait({asking})
            assert asking.cancelled() or asking.result().outcome != "applied"
        assert live.app.failure is None and before.leases == 0
        names = {task.get_name().split()[0] for task in asyncio.all_tasks()}
        assert not names & {"channel", "delivery", "retiring"}

    asyncio.run(main())
    assert len(bot.called("sendMessage")) == 0


@pytest.mark.slow
def test_a_service_that_is_away_holds_up_no_edit_but_one_of_its_token(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, telegram(bot), clock=Hasty()) as live:
            await polled(bot)
            bot.cut()
            attempt = await live.channels(HTTP, telegram(bot, more=", groups: all"))
            assert attempt.outcome == "applied" and "it goes on trying" in caplog.text
            bot.mend()
            bot.say("there again?", by=ANA)
            assert await answered(bot, ANA) == ["You said: there again?"]
            bot.hold("getMe")
            attempt = await live.channels(HTTP, telegram(bot, f"{BOT_ID + 1}:AAEdoubleTokenOfTheBotApi0000000"))
            assert attempt.outcome == "failed" and "did not answer within 10 s" in attempt.error
            bot.release("getMe")
            bot.say("and now?", by=ANA)
            assert (await answered(bot, ANA, 2))[1] == "You said: and now?"

    asyncio.run(main())


def test_what_is_asked_for_after_its_channel_left_is_refused_rather_than_waited_for(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer
) -> None:
    go_on = threading.Event()

    async def main() -> None:
        async with living(tmp_path, model, telegram(bot), files={"tools.yaml": ASKS}) as live:
            await polled(bot)
            model.say(Reply({"type": "text", "text": "Let me see."}, tool("add", a=2, b=3), until=go_on))
            bot.say("add two and three", by=ANA)
            await until(lambda: model.requests, "the turn")
            assert (await live.channels(HTTP, telegram(bot, more=", enabled: false"))).outcome == "applied"
            assert str(live.state("telegram")).startswith("off")
            go_on.set()
            assert "nobody who may agree is reachable" in (await answered(bot, ANA))[-1]

    asyncio.run(main())


def test_a_question_stays_on_its_card_when_its_bot_is_described_anew(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer, guild: DiscordServer
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, telegram(bot), discord(guild), files={"tools.yaml": ASKS}) as live:
            await polled(bot)
            await until(lambda: guild.sessions, "a session")
            model.say(Reply(tool("add", a=2, b=3)))
            bot.say("add two and three", by=ANA)
            await until(lambda: any(one.get("reply_markup") for one in bot.sent(ANA)), "the card on Telegram")
            model.say(Reply(tool("add", a=2, b=4)))
            guild.say(f"<@{BOT}> add two and four", channel=OPS)
            await until(lambda: any(one["components"] for one in guild.sent(OPS)), "the card on Discord")
            more = ", groups: all"
            both = telegram(bot, more=more), discord(guild, more=f"{more}, message_content: true")
            assert (await live.channels(HTTP, *both)).outcome == "applied"
            await until(lambda: guild.sessions == 2, "the new session")
            await until(lambda: len(bot.called("getMe")) == 3, "the new bot")
            assert len(live.app.approvals.pending()) == 2
            asked = next(one["message_id"] for one in bot.sent(ANA) if one.get("reply_markup"))
            card = next(one["id"] for one in guild.sent(OPS) if one["components"])
            bot.press(ANA, ANA, asked, "Allow once")
            guild.press(card, "Allow once", by=NADER)
            await until(lambda: "You said: 5" in bot.texts(ANA), "the answer on Telegram")
            await until(lambda: "You said: 6" in [one["content"] for one in guild.sent(OPS)], "that on Discord")
        assert (len(bot.sent(ANA)), len(guild.sent(OPS))) == (2, 2), "a card and an answer each, and no more"

    asyncio.run(main())


@pytest.mark.slow
def test_what_a_channel_could_not_deliver_before_it_left_waits_until_it_comes_back(
    tmp_path: Path, model: MessagesServer, bot: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with living(tmp_path, model, telegram(bot), clock=Hasty()) as live:
            await polled(bot)
            bot.fail("sendMessage", 502, times=10_000)
            bot.say("hello", by=ANA)
            await until(lambda: bot.called("sendMessage", 502), "the first try")
            shorter = AGENT + "limits: {turn: 1s}\n"
            assert (await live.edit("agents/main.yaml", shorter)).outcome == "applied"
            assert (await live.channels(HTTP)).outcome == "applied"
            await until(lambda: not live.app.intake.retiring.leaving(), "its end")
            assert bot.texts(ANA) == [] and "channel telegram ended with replies undelivered" in caplog.text
            tries = len(bot.called("sendMessage"))
            bot._failures.clear()
            await live.app.clock.sleep(120)
            assert len(bot.called("sendMessage")) == tries, "nobody delivers what belongs to no channel"
            assert (await live.channels(HTTP, telegram(bot))).outcome == "applied"
            [text] = await answered(bot, ANA)
            assert "You said: hello" in text

    asyncio.run(main())
