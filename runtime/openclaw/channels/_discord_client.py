"""One connection to Discord: discord.py's client, made to talk to the server it is told and to survive bad events.

Law: it ends with an exception, never by itself trying for ever: whoever runs it decides when to try again, because
the library's own pauses grow to a quarter of an hour. It resumes by itself what can be resumed. Everything that
arrives goes to one `hear`, synchronously and in order; what an event means is not known here. Nothing is set on the
library's classes, so that two channels may use different servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import aiohttp
import yarl

from openclaw.channels._discord_library import AsyncWebhookAdapter, DiscordWebSocket, HTTPClient, Route, discord
from openclaw.clock import Clock

log = logging.getLogger(__name__)

OFFICIAL = "https://discord.com/api"
VERSION = "/v10"
PATIENCE = 5.0  # seconds that a request waits for a rate limit; longer ones are told to whoever sends
HURRY, WITHIN = 6, 30.0  # connections in so many seconds: the server lets nobody stay
GUILDS = 2.0  # seconds after a server of the welcome in which the next one comes, or none does
SILENCE = 75.0  # seconds without anything received, after which the library itself gives a connection up

Hear = Callable[[str, tuple[Any, ...]], None]


class Http(HTTPClient):
    """The REST client, for any server. `base` is what stands before the version."""

    def __init__(self, loop: asyncio.AbstractEventLoop, base: str) -> None:
        super().__init__(loop)
        self._base = base.rstrip("/") + VERSION
        self._connected: deque[float] = deque(maxlen=HURRY)
        # The constructor takes nothing below 30 s, to keep programs from knocking again and again. Here a reply
        # that is told to wait does wait its time, but beside the others instead of in front of them.
        self.max_ratelimit_timeout = PATIENCE

    def place(self, route: Route) -> Route:
        route.url = self._base + route.url.removeprefix(Route.BASE)
        return route

    async def request(self, route: Route, **more: Any) -> Any:
        return await super().request(self.place(route), **more)

    async def ws_connect(self, url: str, *, compress: int = 0) -> Any:
        now = asyncio.get_running_loop().time()
        if len(self._connected) == HURRY and now - self._connected[0] < WITHIN:
            raise ConnectionError("the gateway ends every connection at once")
        self._connected.append(now)
        return await super().ws_connect(await self._gateway(url), compress=compress)

    async def _gateway(self, url: str) -> str:
        """Another server's gateway is where that server says; a session is resumed where its welcome said."""
        asked, official = yarl.URL(url), DiscordWebSocket.DEFAULT_GATEWAY
        if asked.host != official.host or self._base == OFFICIAL + VERSION:
            return url
        found = await self.request(Route("GET", "/gateway"))
        return str(yarl.URL(found["url"]).with_query(asked.query))


class Interactions(AsyncWebhookAdapter):
    """Answers to buttons and commands; they need no token but the interaction's own."""

    def __init__(self, http: Http) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._http = http

    async def request(self, route: Route, session: Any, **more: Any) -> Any:
        return await super().request(self._http.place(route), session, **more)


class Client(discord.Client):
    def __init__(self, base: str, clock: Clock, hear: Hear, *, message_content: bool) -> None:
        self._base = base
        self._clock = clock
        self._hear = hear
        super().__init__(
            intents=intents(message_content=message_content),
            allowed_mentions=discord.AllowedMentions.none(),
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            guild_ready_timeout=GUILDS,
            heartbeat_timeout=SILENCE,
            enable_debug_events=True,  # each received frame is a sign of life
        )
        self.interactions = Interactions(self.rest)

    def _get_state(self, **options: Any) -> Any:
        """Called by the constructor once it made its own REST client, which nothing has used yet."""
        self.http = self.rest = Http(self.loop, self._base)
        state = super()._get_state(**options)
        state.parsers = {name: _guarded(name, parse) for name, parse in state.parsers.items()}
        return state

    async def serve(self, token: str) -> None:
        """Until the connection is lost for good; raises what ended it."""
        await self.start(token, reconnect=False)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        if not initial:
            await self._clock.sleep(5.0)  # what the service asks for between two logins

    def dispatch(self, event: str, /, *args: Any, **more: Any) -> None:
        try:
            self._hear(event, args)
        except Exception:
            log.exception("the event %s was dropped", event)

    async def give_up_connection(self) -> None:
        """Leaves a connection on which nothing comes any more; the session is resumed on a new one."""
        if self.ws is not None and self.ws.open:
            with contextlib.suppress(OSError, RuntimeError, aiohttp.ClientError):  # it is dead, after all
                await self.ws.close(code=4000)

    async def hang_up(self, within: float) -> None:
        """Ends the connection on which events come; requests can still be made."""
        if self.ws is not None and self.ws.open:
            with contextlib.suppress(OSError, RuntimeError, aiohttp.ClientError, TimeoutError):
                async with asyncio.timeout(within):
                    await self.ws.close(code=1000)

    async def leave(self, within: float) -> None:
        """Ends the connection; a network that is gone holds it up no longer than `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self.close()
        except TimeoutError:
            pass
        finally:
            await self.http.close()

    def read_message(self, channel: Any, row: Any) -> discord.Message:
        """A message as the service tells it, said in this channel."""
        return self._connection.create_message(channel=channel, data=row)

    @property
    def session(self) -> Any:
        return self.http._HTTPClient__session  # type: ignore[attr-defined]


def intents(*, message_content: bool) -> discord.Intents:
    """The least that brings what is written to the bot, and where: no members, no presences, no typing."""
    return discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=message_content)


def _guarded(name: str, parse: Callable[[Any], None]) -> Callable[[Any], None]:
    """An event that is not as it should be is dropped; without this it would end the connection."""

    def parsed(told: Any) -> None:
        try:
            parse(told)
        except Exception as error:
            log.warning("a malformed event %s was dropped: %s: %s", name, type(error).__name__, error)

    return parsed
