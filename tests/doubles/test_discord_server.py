"""The double speaks what the real client library understands, and refuses what the service would refuse."""

from __future__ import annotations

import asyncio
import io
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from doubles.discord_server import GENERAL, GUILD, NADER, TALK, DiscordServer
from doubles.house import until

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of `audioop`, which the library imports for voice
    import discord
    from discord.http import HTTPClient, Route
    from discord.webhook.async_ import AsyncWebhookAdapter, async_context


class Nearby(HTTPClient):
    """The library's client of the REST API, talking to the double."""

    server: DiscordServer

    async def request(self, route: Route, **more: Any) -> Any:
        route.url = self.server.url + "/api/v10" + route.url.removeprefix(Route.BASE)
        return await super().request(route, **more)

    async def ws_connect(self, url: str, **more: Any) -> Any:
        return await super().ws_connect(url.replace("wss://gateway.discord.gg/", self.server.gateway), **more)


class NearbyInteractions(AsyncWebhookAdapter):
    def __init__(self, server: DiscordServer) -> None:
        super().__init__()
        self._server = server

    async def request(self, route: Route, session: Any, **more: Any) -> Any:
        route.url = self._server.url + "/api/v10" + route.url.removeprefix(Route.BASE)
        return await super().request(route, session, **more)


class Client(discord.Client):
    def __init__(self, server: DiscordServer, **options: Any) -> None:
        self.server = server
        self.events: list[tuple[str, tuple[Any, ...]]] = []
        intents = options.pop("intents", discord.Intents.all())
        super().__init__(intents=intents, guild_ready_timeout=0.1, chunk_guilds_at_startup=False, **options)

    def _get_state(self, **options: Any) -> Any:
        self.http = Nearby(self.loop, max_ratelimit_timeout=30)
        self.http.server = self.server
        return super()._get_state(**options)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        pass

    def dispatch(self, event: str, /, *args: Any, **more: Any) -> None:
        self.events.append((event, args))
        super().dispatch(event, *args, **more)

    def seen(self, event: str) -> list[Any]:
        return [args[0] if args else True for name, args in self.events if name == event]


@asynccontextmanager
async def connected(server: DiscordServer, **options: Any) -> AsyncIterator[Client]:
    async with Client(server, **options) as client:
        async_context.set(NearbyInteractions(server))
        task = asyncio.create_task(client.start(server.token))
        try:
            await until(lambda: client.seen("ready") or task.done(), "READY")
            yield client
        finally:
            await client.close()
            await asyncio.gather(task, return_exceptions=True)


def run(scenario: Callable[[DiscordServer], Any], **options: Any) -> None:
    with DiscordServer(**options) as server:
        asyncio.run(asyncio.wait_for(scenario(server), 60))


def test_a_client_logs_in_reads_and_answers() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with connected(server) as client:
            assert [guild.id for guild in client.guilds] == [int(GUILD)]
            private = server.direct(NADER)
            server.say("hello", channel=private)
            [message] = await until(lambda: client.seen("message"), "the message")
            assert (message.content, message.guild, message.author.id) == ("hello", None, int(NADER))
            async with message.channel.typing():
                sent = await message.channel.send("hi", reference=message)
            await sent.edit(content="hi there")
            assert [one["content"] for one in server.sent(private)] == ["hi there"]
            assert await until(lambda: server.heartbeats > 1, "heartbeats")

    run(scenario)


def test_threads_mentions_replies_and_forwards_arrive_whole() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with connected(server) as client:
            assert client.user is not None
            server.say(f"<@{client.user.id}> look", channel=TALK, files=[("a.txt", b"words", "text/plain")])
            await until(lambda: client.seen("message"), "the message")
            first = client.seen("message")[0]
            assert isinstance(first.channel, discord.Thread) and first.channel.parent_id == int(GENERAL)
            assert client.user in first.mentions
            assert await first.attachments[0].read() == b"words"
            mine = await first.channel.send("mine", file=discord.File(io.BytesIO(b"out"), "out.md"))
            server.say("an answer", channel=TALK, reply_to=str(mine.id))
            server.say("", channel=TALK, forwards="told elsewhere")
            *_, answer, forwarded = await until(
                lambda: len(client.seen("message")) == 4 and client.seen("message"), "all four messages"
            )
            assert answer.reference.resolved.author == client.user
            assert forwarded.message_snapshots[0].content == "told elsewhere"

    run(scenario)


def test_what_the_service_refuses_is_refused() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with connected(server) as client:
            channel = client.get_partial_messageable(int(GENERAL))
            for text, code in [("x" * 2001, 50035), ("", 50006), ("😀" * 1001, 50035)]:
                with pytest.raises(discord.HTTPException) as refused:
                    await channel.send(text)
                assert (refused.value.status, refused.value.code) == (400, code)
            server.closed_doors.add(NADER)
            with pytest.raises(discord.Forbidden) as forbidden:
                await (await client.fetch_user(int(NADER))).send("psst")
            assert forbidden.value.code == 50007
            with pytest.raises(discord.NotFound):
                await client.get_partial_messageable(1).send("x")

    run(scenario)


def test_the_same_nonce_makes_one_message() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with connected(server) as client:
            channel = client.get_partial_messageable(int(GENERAL))
            first, second = [await channel.send("once", nonce="n1") for _ in range(2)]
            assert first.id == second.id and len(server.sent(GENERAL)) == 1

    run(scenario)


def test_history_is_read_in_pages_after_a_message() -> None:
    async def scenario(server: DiscordServer) -> None:
        ids = [server.say(f"{n}", missed=True) for n in range(130)]
        async with connected(server) as client:
            channel = client.get_partial_messageable(int(GENERAL))
            after = discord.Object(int(ids[9]))
            found = [m.content async for m in channel.history(after=after, limit=None, oldest_first=True)]
            assert found == [str(n) for n in range(10, 130)]
            assert len(server.made("GET", f"/channels/{GENERAL}/messages")) == 2

    run(scenario)


def test_a_dropped_connection_is_resumed_with_what_was_missed() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with connected(server) as client:
            server.drop()
            server.say("in between")
            await until(lambda: client.seen("resumed"), "RESUMED")
            assert [m.content for m in client.seen("message")] == ["in between"]
            server.reconnect()
            await until(lambda: len(client.seen("resumed")) == 2, "RESUMED after op 7")
            server.invalidate(True)
            await until(lambda: len(client.seen("resumed")) == 3, "RESUMED after op 9")
            server.invalidate(False)
            await until(lambda: len(client.seen("ready")) == 2, "READY again")
            assert len(server.identified) == 2

    run(scenario)


def test_a_zombie_connection_is_left_by_the_client() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with connected(server, heartbeat_timeout=0.4) as client:
            server.zombie()
            server.say("unheard")
            await until(lambda: client.seen("message"), "what the dead connection kept")
            assert client.seen("resumed") and [m.content for m in client.seen("message")] == ["unheard"]

    run(scenario, heartbeat=0.1)


def test_a_wrong_token_and_intents_that_are_not_granted_end_the_client() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with Client(server) as client:
            with pytest.raises(discord.LoginFailure):
                await client.start("wrong")
        async with Client(server) as client:
            with pytest.raises(discord.PrivilegedIntentsRequired):
                await client.start(server.token)

    run(scenario, message_content=False)


def test_without_the_intent_only_what_is_for_the_bot_has_content() -> None:
    async def scenario(server: DiscordServer) -> None:
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True)
        async with connected(server, intents=intents) as client:
            assert client.user is not None
            server.say("among us")
            server.say(f"<@{client.user.id}> for you")
            server.say("in private", channel=server.direct(NADER))
            await until(lambda: len(client.seen("message")) == 3, "three messages")
            assert [m.content for m in client.seen("message")] == ["", f"<@{client.user.id}> for you", "in private"]

    run(scenario, message_content=False)


def test_limits_are_waited_for_and_errors_come_through() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with connected(server) as client:
            channel = client.get_partial_messageable(int(GENERAL))
            path = f"/channels/{GENERAL}/messages"
            server.limit("POST", path, 0.05)
            await channel.send("after a while")
            assert len(server.made("POST", path)) == 2
            server.limit("POST", path, 40)
            with pytest.raises(discord.RateLimited):
                await channel.send("too long")
            server.fail("POST", path, 403, code=50001)
            with pytest.raises(discord.Forbidden):
                await channel.send("no")
            server.fail("POST", path, 503)
            with pytest.raises(discord.DiscordServerError):
                await channel.send("no")

    run(scenario)


def test_buttons_are_pressed_and_answered_once() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with connected(server) as client:
            view = discord.ui.View(timeout=None)
            view.add_item(discord.ui.Button(label="Yes", custom_id="y"))
            card = await client.get_partial_messageable(int(GENERAL)).send("Well?", view=view)
            press = server.press(str(card.id), "Yes")
            [interaction] = await until(lambda: client.seen("interaction"), "the press")
            assert interaction.data["custom_id"] == "y" and interaction.user.id == int(NADER)
            await interaction.response.edit_message(content="Yes.", view=None)
            assert server.sent(GENERAL)[0]["content"] == "Yes."
            await interaction.followup.send("noted", ephemeral=True)
            one = server.interactions[press]
            assert [a["type"] for a in one.answers] == [7] and one.follow_ups[0]["content"] == "noted"
            again = discord.Interaction(data=_raw(interaction, one), state=client._connection)
            with pytest.raises(discord.HTTPException) as refused:
                await again.response.send_message("twice")
            assert refused.value.code == 40060

    run(scenario)


def _raw(interaction: discord.Interaction, one: Any) -> Any:
    return {
        "id": one.id,
        "type": 3,
        "token": one.token,
        "version": 1,
        "application_id": str(interaction.application_id),
        "attachment_size_limit": 1,
    }


def test_slash_commands_are_kept_used_and_answered() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with connected(server) as client:
            table = [{"name": "agent", "description": "choose one", "options": []}]
            assert client.application_id is not None
            await client.http.bulk_upsert_global_commands(client.application_id, table)
            assert [c["name"] for c in server.commands] == ["agent"]
            with pytest.raises(discord.HTTPException):
                await client.http.bulk_upsert_global_commands(
                    client.application_id, [{"name": "A B", "description": "x"}]
                )
            id = server.command("agent", {"argument": "scout"}, channel=GENERAL)
            [interaction] = await until(lambda: client.seen("interaction"), "the command")
            await interaction.response.defer(ephemeral=True)
            await interaction.edit_original_response(content="done")
            one = server.interactions[id]
            assert [a["type"] for a in one.answers] == [5] and one.original["content"] == "done"
            assert server.sent(GENERAL) == []

    run(scenario)


def test_an_outage_refuses_everything_and_ends() -> None:
    async def scenario(server: DiscordServer) -> None:
        async with connected(server) as client:
            server.outage(True)
            with pytest.raises(OSError):
                await client.get_partial_messageable(int(GENERAL)).send("nobody")
            server.say("meanwhile")
            server.outage(False)
            await until(lambda: client.seen("resumed"), "RESUMED")
            assert [m.content for m in client.seen("message")] == ["meanwhile"]

    run(scenario)
