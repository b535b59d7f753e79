"""Discord: a bot over the gateway, in private chats, servers and threads.

Law: a message is taken in before its channel's position moves, and what a crash, a stop or an outage left out is
fetched after the next welcome. Only a token that is refused, or an intent that is missing, ends the channel; a
network that is away is waited for. It receives when the gateway sends or acknowledges, and a connection on which
nothing comes is left for a new one. Ids are Discord's numbers; names count for nothing.

A thread is a topic of the channel it belongs to. Options: token, groups, message_content, api_base; from the app
`notes`. What a message means is read in `_discord_reading.py`, and every event is decided on there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

import aiohttp

from openclaw.channels._cards import Cards, patience
from openclaw.channels._discord_asking import Asking
from openclaw.channels._discord_client import OFFICIAL, Client
from openclaw.channels._discord_commands import line
from openclaw.channels._discord_intake import Intake, Room, Spawn, message
from openclaw.channels._discord_library import discord
from openclaw.channels._discord_missed import Missed
from openclaw.channels._discord_places import Places
from openclaw.channels._discord_reading import DECISIONS, Groups, spot
from openclaw.channels._discord_replies import Replies
from openclaw.channels._discord_slash import Slash
from openclaw.channels._discord_writing import Slip, Writer
from openclaw.channels._own import Own
from openclaw.clock import Clock
from openclaw.errors import CredentialsError, OpenClawError, StorageFailed
from openclaw.messages import Reply, Text
from openclaw.ports import ChannelOptions, Notes, Operations, Post, Pulse

log = logging.getLogger(__name__)

SILENCE = 60.0  # seconds without a frame, after which the connection is left; the gateway is asked every 41
PATIENCE = 150.0  # seconds without a frame, after which the channel counts as silent
LOOK = 5.0  # seconds between looks at that
TABLE = 60.0  # seconds between looks at whether the slash commands changed
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds before the first, second, ... try to connect again
AGAIN = 0.2  # seconds after which it is told again to end
LEAVING = 1.0  # seconds that a goodbye may take
REFUSED, INTENTS = 4004, 4014  # close codes of the gateway
HOPELESS = (4010, 4011, 4012, 4013)  # likewise: what only another version of this could mend
CURE = "switch on Message Content Intent in the developer portal (Bot), or remove `message_content: true`"


class Channel:
    keeps = True

    def __init__(self, options: ChannelOptions, clock: Clock) -> None:
        settings = options.options
        self._key, self._clock = options.key, clock
        self._token = str(settings["token"])
        self.account = self._token.partition(".")[0]  # the bot's number, as the service writes it there
        self._base = str(settings.get("api_base") or OFFICIAL)
        self._groups: Groups = settings.get("groups") or "mention"
        self._content = settings.get("message_content") is True
        self._notes: Notes = Own(settings["notes"], self.account)
        self.pulse = Pulse(patience=PATIENCE)
        self._client: Client | None = None
        self._deaf = False  # it is ending, and takes nothing more in
        self._tried = 0  # connections that failed since the last one that served
        self._catching: asyncio.Task[None] | None = None
        self._unknown: set[int] | None = None  # servers of the welcome of which nothing is known yet
        self._writer = Writer(lambda: self._client)
        self._places, self._cards = Places(self._notes, clock), Cards(self._notes, clock)
        self._replies = Replies(self._writer, self._places, clock)
        self._intake = Intake(self._key, self._groups, self._places, self._writer, self._replies, clock)
        self._missed = Missed(self._groups, self._places, self._intake, clock)
        self._asking = Asking(self._key, self._cards, self._places, self._writer, clock)
        self._slash = Slash(self._key, self._intake, self._replies, self._writer, self._notes)

    async def open(self) -> None:
        """Reads what an earlier run left; the network is for `run`."""
        await self._places.open()
        await self._cards.open()

    async def probe(self) -> str:
        client = Client(self._base, self._clock, lambda event, args: None, message_content=self._content)
        try:
            await client.login(self._token)
            if self._content and self._groups == "all" and not _may_read(client):
                raise self._unread()
        except discord.LoginFailure as error:
            raise self._refused() from error
        except OpenClawError:
            raise
        except Exception as error:  # whatever the library raises for a network that is away, or a server that errs
            return _words(error)
        finally:
            with contextlib.suppress(Exception):
                await client.leave(LEAVING)
        return ""

    async def run(self, post: Post, operations: Operations) -> None:
        """Raises CredentialsError where the token is refused, OpenClawError where an intent is missing."""
        stop = None
        try:
            async with asyncio.TaskGroup() as tasks:
                spawn = _spawning(tasks)
                self._intake.join(Room(post, operations, lambda: self._client, spawn))
                stop = self._asking.listen(operations, spawn)
                for work in (self._places.run(), self._watch_silence(), self._watch_table(operations)):
                    tasks.create_task(work)
                try:
                    await self._serve()
                except asyncio.CancelledError:
                    await self._asking.close(patience(operations))
                    raise
        except ExceptionGroup as failed:
            raise _first(failed) from None
        finally:
            if stop is not None:
                stop()
            if not self._deaf:
                await self._let_go()
            await self._places.flush()

    async def send(self, reply: Reply) -> None:
        await self._replies.send(reply)

    async def close(self) -> None:
        await self._let_go()

    # ── the connection ───────────────────────────────────────────────────────────────────────────

    async def _serve(self) -> None:
        """One connection after the other, until one cannot be had for good."""
        while True:
            try:
                await self._connect()
            except discord.LoginFailure as error:
                raise self._refused() from error
            except discord.ConnectionClosed as error:
                if error.code == INTENTS:
                    self._do_without(error)
                    continue
                self._closed(error)
            except Exception as error:  # whatever the library raises for a network that is away, or a server that errs
                self._trouble(error)
            except BaseException:  # it is to end; replies may still be sent until it is closed
                await self._hang_up()
                raise
            await self._let_go()
            pause = PAUSES[min(self._tried, len(PAUSES) - 1)]
            self._tried += 1
            await self._clock.sleep(pause)
            self.pulse.reconnects += 1

    async def _connect(self) -> None:
        client = self._client = Client(self._base, self._clock, self._hear, message_content=self._content)
        serving = asyncio.ensure_future(client.serve(self._token))
        try:
            await asyncio.wait({serving})
        finally:
            await _ended(serving)
        serving.result()
        raise OSError("the connection ended")

    async def _hang_up(self) -> None:
        """Nothing is heard any more."""
        if (client := self._client) is not None:
            self._deaf = True
            with contextlib.suppress(Exception):
                await client.hang_up(LEAVING)

    async def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                await client.leave(LEAVING)

    def _refused(self) -> OpenClawError:
        return CredentialsError(
            f"channel {self._key}: Discord refuses the bot's token; make a new one in the developer portal "
            "(Bot, Reset Token) and put it where `token` in channels.yaml points"
        )

    def _do_without(self, error: Exception) -> None:
        """The message content intent is not switched on. Mentions and private messages need no intent."""
        if not self._content:
            raise OpenClawError(f"channel {self._key}: Discord refuses the intents the bot asks for") from error
        if self._groups == "all":
            raise self._unread() from error
        log.warning("channel %s goes on without the message content intent; %s", self._key, CURE)
        self._content = False

    def _unread(self) -> OpenClawError:
        return OpenClawError(f"channel {self._key}: Discord does not let the bot read what does not mention it; {CURE}")

    def _closed(self, error: discord.ConnectionClosed) -> None:
        if error.code == REFUSED:
            raise self._refused() from error
        if error.code in HOPELESS:
            raise OpenClawError(f"channel {self._key}: the gateway ends with code {error.code}") from error
        self._trouble(error)

    def _trouble(self, error: Exception) -> None:
        """Told by kind: the words of a network's error may carry addresses and more."""
        words = _words(error)
        self.pulse.trouble = words
        log.log(logging.WARNING if self._tried == 0 else logging.INFO, "channel %s: %s", self._key, words)

    async def _watch_silence(self) -> None:
        """A connection that is open and dead is left; the session goes on over a new one."""
        while True:
            await self._clock.sleep(LOOK)
            client, last = self._client, self.pulse.last
            silent = last is not None and self._clock.monotonic() - last > SILENCE
            if client is not None and silent and client.ws is not None and client.ws.open:
                log.warning("channel %s: nothing came for %g s; connecting anew", self._key, SILENCE)
                self.pulse.trouble = "the connection was dead"
                await client.give_up_connection()

    async def _watch_table(self, operations: Operations) -> None:
        while True:
            await self._clock.sleep(TABLE)
            if self._client is not None and self._unknown is None and self._client.user is not None:
                await self._slash.register(self._client, operations)

    # ── events ───────────────────────────────────────────────────────────────────────────────────

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        client = self._client
        if client is None or self._deaf or event not in DECISIONS:
            return
        match event:
            case "socket_raw_receive":
                self.pulse.beat(self._clock.monotonic())
            case "message":
                assert client.user is not None, "there is a session"
                self._intake.hear(args[0], client.user.id)
            case "interaction":
                self._interaction(args[0])
            case "connect":
                self._intake.hold()
                if self._catching is not None:
                    self._catching.cancel()
                self._unknown = {guild.id for guild in client.guilds}
                self._welcome(client)
            case "guild_available" | "guild_join" if self._unknown is not None:
                self._unknown.discard(args[0].id)
                self._welcome(client)
            case "ready" if self._unknown is not None:
                self._unknown.clear()
                self._welcome(client)
            case "resumed":
                self._tried = 0
                self.pulse.reconnects += 1
            case "disconnect":
                self.pulse.trouble = "the connection was lost"

    def _welcome(self, client: Client) -> None:
        """Begins the work of a session once every server that was named is known: threads and channels are then."""
        if self._unknown is None or self._unknown:
            return
        self._unknown = None
        self._tried = 0
        room = self._intake.room
        self._catching = room.spawn(self._missed.catch_up(client))
        room.spawn(self._slash.register(client, room.operations))

    def _interaction(self, used: discord.Interaction) -> None:
        slip = Slip(used.id, used.application_id, used.token)
        chosen: Any = used.data or {}
        room = self._intake.room
        if used.type is discord.InteractionType.component:
            by = (used.user.id, used.user.display_name)
            at = (used.channel_id, used.message.id if used.message else None)
            room.spawn(self._asking.pressed(slip, str(chosen.get("custom_id", "")), by, at, room.operations))
        elif used.type is discord.InteractionType.application_command:
            where = spot(used.channel) if used.channel is not None else None
            if where is None or (self._groups == "off" and not where.private):
                room.spawn(self._slash.refuse(slip, "I am not at work here; write to me in private."))
                return
            words, name = (Text(line(chosen)),), used.user.display_name
            said = message(self._key, str(used.id), used.user.id, name, where, self._clock.now(), words)
            room.spawn(self._slash.use(slip, chosen, said, where))


def _words(error: Exception) -> str:
    if isinstance(error, discord.HTTPException):
        return f"Discord answers {error.status}"
    if isinstance(error, OSError | aiohttp.ClientError):
        return f"Discord cannot be reached ({type(error).__name__})"
    return f"the connection ended ({type(error).__name__})"


def _may_read(client: Client) -> bool:
    """Whether the service says that the bot may read what does not mention it."""
    flags = client.application_flags
    return flags.gateway_message_content or flags.gateway_message_content_limited


def _spawning(tasks: asyncio.TaskGroup) -> Spawn:
    """Starts work that must not end the channel, but for a disk that refuses to write; None once the channel ends."""

    async def guarded(work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StorageFailed:
            raise
        except Exception:
            log.exception("something on Discord failed")

    def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        whole = guarded(work)
        try:
            task = tasks.create_task(whole)
        except RuntimeError:  # the group is ending and takes nothing more
            whole.close()
            work.close()
            return None
        task.add_done_callback(lambda _: work.close())  # one that is cancelled before it began
        return task

    return spawn


async def _ended(serving: asyncio.Future[None]) -> None:
    """Ends it for certain: the library waits in a way that loses a cancellation which comes at the wrong moment."""
    while not serving.done():
        serving.cancel()
        await asyncio.wait({serving}, timeout=AGAIN)
    if not serving.cancelled():
        serving.exception()  # told by whoever waited for it, or not wanted any more


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The reason that a group ended for; an error of ours counts before any other."""
    found: list[BaseException] = []
    for one in failed.exceptions:
        found.append(_first(one) if isinstance(one, BaseExceptionGroup) else one)
    return next((one for one in found if isinstance(one, OpenClawError)), found[0])
