"""People on Telegram: a bot that takes their messages in and answers them.

The law: an update is confirmed only when what it says is on disk, so that a crash loses none; one that comes again
is told by its number, which is kept, because the service may number anew. What is told about a turn while it runs
may be lost, its reply is not. A refused token ends the channel; everything else is tried again. What is noted of one
bot is nothing to another.

Options: `token`, `groups`, `webhook` (`url`, `secret`), `api_base`, and from the app `notes`. Who may write, what a
stranger is told and where files are kept the runtime decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
from collections import Counter, OrderedDict
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from openclaw import logbook
from openclaw.channels import _telegram_client as client
from openclaw.channels import _telegram_words as words
from openclaw.channels._cards import patience
from openclaw.channels._own import Own
from openclaw.channels._telegram_cards import Questions
from openclaw.channels._telegram_files import fetched, missing
from openclaw.channels._telegram_intake import Intake, Stopping
from openclaw.channels._telegram_outlet import Outlet
from openclaw.channels._telegram_reading import UNMENTIONED, Heard, Meaning, Moved, Pressed, Spot, joined
from openclaw.channels._telegram_sending import Begun, Sending, Shown
from openclaw.channels._telegram_showing import Showing
from openclaw.clock import Clock
from openclaw.errors import CredentialsError, DeliveryError, OpenClawError, StorageFailed
from openclaw.messages import Accepted, Address, Answered, Message, Part, Refused, Reply, Text
from openclaw.ports import ChannelOptions, Operations, Post, Pulse

log = logging.getLogger(__name__)

PATIENCE = 3.0 * client.POLL
PREVIEW = timedelta(seconds=10)  # within which the service finds a link's preview, which is an edit to it
NO_ROOM = "could not be kept, for there is no room; it may be sent again"
REMEMBERED = 2_000  # turns on show, and messages whose words are compared with an edit
LEAVING = 0.5  # seconds that calls under way get at the end
_TOKEN = re.compile(r"[0-9]+:[A-Za-z0-9_-]+")
_COMMAND = re.compile(r"/[a-z0-9_]{1,32}")
_MOST_COMMANDS, _LONGEST_HELP = 100, 256


class Channel:
    keeps = True

    def __init__(self, options: ChannelOptions, clock: Clock) -> None:
        self._key = options.key
        self.account = str(options.options["token"]).partition(":")[0]
        self._options = options.options
        self._notes = Own(self._options["notes"], self.account)
        self._clock = clock
        self.pulse = Pulse(PATIENCE)
        self.passed: Counter[str] = Counter()  # updates that were not for us, by what they were
        self._begun = clock.now()
        self._opening = asyncio.Lock()
        self._line: client.Line | None = None
        self._views: OrderedDict[str, Showing] = OrderedDict()  # by inbox id
        self._words: OrderedDict[str, str] = OrderedDict()  # digests of what was said, by message
        self._tasks: set[asyncio.Task[None]] = set()
        self._drafts = 0
        self._published: tuple[tuple[str, str], ...] = ()

    # ── its life ─────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        async with self._opening:  # a reply may be on its way before the channel runs
            if self._line is None:
                self._line = await self._opened()

    async def probe(self) -> str:
        self._check()
        line = self._new_line()
        try:
            await line.bot.get_me()
        except client.InvalidToken:
            raise self._no_bot() from None
        except client.TelegramError as error:
            return f"Telegram does not answer: {line.words(error)}".rstrip(": ")
        finally:
            await line.close()
        return ""

    async def _opened(self) -> client.Line:
        self._check()
        notes, line = self._notes, self._new_line()
        self._outlet = Outlet(self._key, line, self._clock, notes)
        self._sending = Sending(self._outlet)
        self._questions = Questions(self._key, line, self._outlet, notes, self._clock, self._spawn)
        self._intake = Intake(self._key, self._options, line, self._clock, self.pulse, notes)
        self._shown = Shown(notes)
        try:
            for part in (self._outlet, self._questions, self._intake, self._shown):
                await part.open()
        except BaseException:
            await line.close()
            raise
        return line

    def _new_line(self) -> client.Line:
        return client.line(str(self._options["token"]), str(self._options.get("api_base") or client.API))

    def _check(self) -> None:
        """Raises OpenClawError for what no service need be asked about."""
        if not _TOKEN.fullmatch(str(self._options["token"])):
            raise CredentialsError(
                f"channel {self._key}: its token is none of a bot; @BotFather gives a number, a colon and letters"
            )
        webhook = self._options.get("webhook") or {}
        if webhook and not webhook.get("secret"):
            raise OpenClawError(
                f"channel {self._key} cannot start: a webhook without a secret would believe anybody; give it "
                "`secret`, 16 random characters or more"
            )

    def _no_bot(self) -> CredentialsError:
        return CredentialsError(
            f"channel {self._key}: Telegram refused the bot's token; get a valid one from @BotFather and give it "
            "in channels.yaml or the environment"
        )

    async def run(self, post: Post, operations: Operations) -> None:
        await self.open()
        self._post, self._operations = post, operations
        try:
            async with asyncio.TaskGroup() as self._beside:
                await self._work(operations)
        except BaseExceptionGroup as failed:  # whatever ended it, the rest was ended for it
            raise failed.exceptions[0] from None

    async def _work(self, operations: Operations) -> None:
        stop = self._questions.listen(operations)
        try:
            await self._intake.run(self._take, operations, self._publish)
        except client.InvalidToken:
            raise self._no_bot() from None
        finally:
            await self._questions.close(patience(operations))
            stop()
            await self._leave()

    async def _leave(self) -> None:
        """Calls under way may end, so that nobody has to wonder whether they arrived; nothing new begins."""
        for view in self._views.values():
            view.over()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._outlet.idle(), LEAVING)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        if self._line is not None:
            await self._line.close()
            self._line = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Begins a task that ends with the channel, and ends it where the disk refuses to write. None where it is
        ending already."""
        whole = self._guarded(work)
        try:
            task = self._beside.create_task(whole)
        except RuntimeError:  # the group takes nothing more
            whole.close()
            work.close()
            return None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StorageFailed:
            raise
        except Exception:
            log.exception("channel %s: something beside the messages failed", self._key)

    # ── taking in ────────────────────────────────────────────────────────────────────────────────

    async def _take(self, meanings: Sequence[Meaning]) -> None:
        """What one chat's updates say, in order. On disk, or refused, when this returns; raises Stopping where the
        runtime takes nothing more."""
        for meaning in _albums(meanings):
            match meaning:
                case Heard(meant=True):
                    await self._hear(meaning)
                case Heard():
                    self._pass_over(UNMENTIONED)
                case Pressed():
                    self._spawn(self._questions.press(meaning))
                case Moved(old=old, new=new):
                    await self._outlet.move(old, new)
                case _:
                    self._pass_over(meaning.why)

    def _pass_over(self, why: str) -> None:
        self.passed[why] += 1
        logbook.debug(log, "message passed over", "something was passed over: %s", why, channel=self._key, why=why)

    async def _hear(self, heard: Heard) -> None:
        if not self._says_something_new(heard):
            self._pass_over("edit without other words")
            return
        message = await self._message(self._greeted(heard))
        view = self._view(heard)
        answer = await self._post(message, view.watch)
        match answer:
            case Accepted():
                await self._accepted(answer, view)
            case Answered(text=text):
                self._spawn(self._outlet.tell(heard.spot, words.monospaced(text)))
            case Refused(code="stopping"):
                raise Stopping
            case Refused():
                await self._refused(answer, heard, message)

    def _says_something_new(self, heard: Heard) -> bool:
        """An edit that changed no word, such as a link's preview that was found, says nothing."""
        said = f"{heard.spot.chat}:{heard.message}"
        before = self._words.get(said)
        self._words[said] = heard.digest
        while len(self._words) > REMEMBERED:
            self._words.popitem(last=False)
        if heard.since is None or before is not None:
            return before != heard.digest or not heard.edited
        return heard.since >= self._begun or heard.at - heard.since >= PREVIEW  # an earlier run may have heard it

    def _greeted(self, heard: Heard) -> Heard:
        """`/start` is what everybody's first press on Telegram says: they are told what there is."""
        names = [name for name, _ in self._operations.commands(self._key)]
        if heard.text.split(maxsplit=1)[:1] == ["/start"] and "/start" not in names:
            return replace(heard, text="/help")
        return heard

    async def _message(self, heard: Heard) -> Message:
        """With its files fetched, if whoever sent them may write here."""
        assert self._line is not None, "the channel is open"
        said = (Text(heard.text),) if heard.text else ()
        if not heard.files:
            return self._made(heard, (*said, *heard.quotes))
        named = tuple(Text(f"[the file {file.name}]") for file in heard.files)
        unfetched = self._made(heard, (*said, *heard.quotes, *named))
        folder = await self._operations.folder(unfetched)
        if isinstance(folder, Refused) and folder.code == "full":
            return self._made(heard, (*said, *heard.quotes, *(missing(file, NO_ROOM) for file in heard.files)))
        if isinstance(folder, Refused):
            return unfetched
        files = await fetched(self._line, self._clock, self._key, heard, folder)
        return self._made(heard, (*said, *heard.quotes, *files))

    def _made(self, heard: Heard, parts: tuple[Part, ...]) -> Message:
        return Message(
            heard.id,
            Address(self._key, str(heard.sender)),
            parts,
            heard.at,
            name=heard.name,
            chat=None if heard.spot.private else str(heard.spot.chat),
            topic=None if heard.spot.private or heard.spot.topic is None else str(heard.spot.topic),
        )

    def _view(self, heard: Heard) -> Showing:
        self._drafts += 1
        return Showing(self._outlet, self._clock, heard.spot, self._drafts, heard.message)

    async def _accepted(self, accepted: Accepted, view: Showing) -> None:
        if not accepted.new:  # it came again: an earlier run took it in, and may not have answered yet
            found = await self._operations.find(accepted.id)
            if found is None or found.state not in ("queued", "running"):
                return
            self._operations.watch(accepted.id, view.watch)
        self._views[accepted.id] = view
        while len(self._views) > REMEMBERED:
            self._views.popitem(last=False)
        view.put_up = partial(self._shown.add, accepted.id)
        view.task = self._spawn(view.run())

    async def _refused(self, refused: Refused, heard: Heard, message: Message) -> None:
        """Strangers are told how to be let in, once and in private; groups hear nothing of it."""
        told: str | None = refused.reason
        if refused.code == "sender":
            told = await self._operations.knock(message.sender, message.name) if heard.spot.private else None
        if told:
            self._spawn(self._outlet.tell(heard.spot, words.plain(told)))

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    async def send(self, reply: Reply) -> None:
        await self.open()
        view = self._views.get(reply.answers or "")
        spot = view.spot if view is not None else _spot(reply)
        if view is not None:
            await view.end()
        answered = view.answers if view is not None else None
        await self._sending.send(reply, spot, Begun(self._shown.of(reply.answers), answered))
        self._views.pop(reply.answers or "", None)
        await self._shown.drop(reply.answers)

    # ── commands ─────────────────────────────────────────────────────────────────────────────────

    async def _publish(self) -> None:
        """Names the commands to the service, so that it offers them; only when they changed."""
        assert self._line is not None, "the channel is open"
        listed = tuple(_listed(self._operations.commands(self._key)))
        if listed == self._published:
            return
        digest = hashlib.sha256(repr((self._intake.me, listed)).encode()).hexdigest()
        notes = self._notes
        if await notes.get("commands") != digest:
            try:
                await self._line.bot.set_my_commands(listed)
            except client.TelegramError as error:
                if isinstance(error, client.InvalidToken):
                    raise
                log.warning("channel %s: its commands are not listed: %s", self._key, self._line.words(error))
                return
            await notes.put("commands", digest)
        self._published = listed


def _listed(commands: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that Telegram can list; the others work all the same. Nobody leaves a terminal here."""
    named = [(name[1:], (help or name)[:_LONGEST_HELP]) for name, help in commands if _COMMAND.fullmatch(name)]
    return [one for one in named if one[0] != "quit"][:_MOST_COMMANDS]


def _albums(meanings: Sequence[Meaning]) -> list[Meaning]:
    """Pictures that were sent together come one by one; those that stand together are one message."""
    found: list[Meaning] = []
    for meaning in meanings:
        last = found[-1] if found else None
        if (
            isinstance(meaning, Heard)
            and isinstance(last, Heard)
            and meaning.album
            and (meaning.album, meaning.sender, meaning.edited) == (last.album, last.sender, False)
        ):
            found[-1] = joined(last, meaning)
        else:
            found.append(meaning)
    return found


def _spot(reply: Reply) -> Spot:
    """Where a reply goes: the group, or whoever it is for. A room is named by its number alone."""
    try:
        chat = int(reply.chat if reply.chat is not None else reply.to.id)
        return Spot(chat, chat > 0, int(reply.topic) if reply.topic is not None else None)
    except ValueError:
        raise DeliveryError(f"{reply.to} is no chat of Telegram: its id is not a number", final=True) from None
