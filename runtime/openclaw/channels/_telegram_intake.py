"""Updates, from Telegram's queue to the channel: asked for again and again, or sent to our webhook.

The law: take, then confirm. An update is confirmed when the channel has it on disk; its number is kept before the
next ones are asked for, and one that comes again is passed over. Numbers are compared, never ordered: after a week
of silence the service begins at any number it likes. Knows no message.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

from telegram import Update

from openclaw.channels import _telegram_client as client
from openclaw.channels._telegram_reading import WANTED, Groups, Heard, Me, Meaning, Passed, Pressed, read
from openclaw.clock import Clock
from openclaw.errors import StorageFailed
from openclaw.ports import Notes, Operations, Pulse

log = logging.getLogger(__name__)

KEPT = 1_000  # numbers of updates that were taken
LOOK = 60.0  # seconds between two looks at the webhook
TOGETHER = 0.5  # seconds that the slowest chat gets before the next poll
IDLE = 1.0  # seconds to wait where the service answers a long poll at once, and with nothing
MOST_CHATS = 10_000
Take: TypeAlias = Callable[[Sequence[Meaning]], Awaitable[None]]
Got = TypeVar("Got")


class Stopping(Exception):
    """The runtime takes nothing more: what is not taken stays with the service, unconfirmed."""


class Intake:
    def __init__(
        self, key: str, options: Mapping[str, Any], line: client.Line, clock: Clock, pulse: Pulse, notes: Notes
    ) -> None:
        self._key = key
        self._groups: Groups = options.get("groups") or "mention"
        self._webhook: Mapping[str, Any] = options.get("webhook") or {}
        self._line = line
        self._clock = clock
        self._pulse = pulse
        self._notes = notes
        self.me: Me | None = None
        self._seen: dict[int, None] = {}  # in the order they came
        self._doors: dict[int, asyncio.Lock] = {}
        self._failures = 0
        self._begun: dict[asyncio.Task[None], list[int]] = {}  # what is being taken in, and the numbers of it

    async def open(self) -> None:
        kept = await self._notes.get("updates")
        if isinstance(kept, list):
            self._seen = dict.fromkeys(number for number in kept if type(number) is int)

    async def run(self, take: Take, operations: Operations, ready: Callable[[], Awaitable[None]]) -> None:
        """Takes updates until cancelled. Raises InvalidToken. `ready` is awaited when the service answers."""
        self._take = take
        found = await self._insist(self._line.bot.get_me)
        self.me = Me(found.id, found.username or "")
        await ready()
        if self._webhook:
            await self._hooked(operations, ready)
        else:
            await self._insist(self._line.bot.delete_webhook)
            await self._polling(ready)

    # ── polling ──────────────────────────────────────────────────────────────────────────────────

    async def _polling(self, ready: Callable[[], Awaitable[None]]) -> None:
        offset: int | None = None
        try:
            while True:
                asked = self._clock.monotonic()
                updates = await self._insist(partial(self._poll, offset))
                await ready()
                self._begin(updates)
                await self._settle()
                offset = self._next(updates)
                if not updates and not self._begun and self._clock.monotonic() - asked < IDLE:
                    await self._clock.sleep(IDLE)
        finally:
            await _ended(self._begun)

    def _next(self, updates: Sequence[Update]) -> int | None:
        """What the next poll confirms: all before the first update that is still being taken in. Where nothing is,
        and nothing came, there is nothing to confirm, and no number that a later one must exceed."""
        if self._begun:
            return min(min(numbers) for numbers in self._begun.values())
        return max(update.update_id for update in updates) + 1 if updates else None

    def _begin(self, updates: Sequence[Update]) -> None:
        """Takes in what is new, chat by chat side by side, each in its order."""
        begun = {number for numbers in self._begun.values() for number in numbers}
        chats: dict[int, list[tuple[int, Meaning]]] = {}
        for number, update in sorted({update.update_id: update for update in updates}.items()):
            if number not in self._seen and number not in begun:
                meaning = self._meaning(update)
                chats.setdefault(_chat(meaning), []).append((number, meaning))
        for chat, group in chats.items():
            self._begun[asyncio.create_task(self._one_chat(chat, group))] = [number for number, _ in group]

    async def _settle(self) -> None:
        """Waits for all that was begun, but not long: others need not wait for one that fetches a file."""
        if not self._begun:
            return
        timer: asyncio.Future[None] = asyncio.ensure_future(self._clock.sleep(TOGETHER))
        whole: asyncio.Future[Any] = asyncio.ensure_future(asyncio.wait([*self._begun]))
        try:
            await asyncio.wait([timer, whole], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _ended([timer, whole])
        done = {task: self._begun.pop(task) for task in [*self._begun] if task.done()}
        await self._keep([n for task, numbers in done.items() if task.exception() is None for n in numbers])
        for task in done:
            if isinstance(task.exception(), Stopping):
                await asyncio.Event().wait()  # until this is cancelled; nothing more is confirmed
            task.result()

    async def _poll(self, offset: int | None) -> Sequence[Update]:
        # After trouble the first answer tells that it is over; beside a chat that takes long others are waiting.
        timeout = 0 if self._failures or self._begun else client.POLL
        return await self._line.bot.get_updates(offset=offset, timeout=timeout, allowed_updates=WANTED)

    async def _insist(self, act: Callable[[], Awaitable[Got]]) -> Got:
        """Tries until the service answers, with longer and longer pauses. Raises InvalidToken."""
        while True:
            try:
                answer = await act()
            except client.InvalidToken:
                raise
            except client.TelegramError as error:
                self._failures += 1
                await self._clock.sleep(self._troubled(error))
                continue
            if self._failures:
                log.warning("channel %s: Telegram answers again", self._key)
                self._pulse.reconnects += 1
            self._failures = 0
            self._pulse.beat(self._clock.monotonic())
            return answer

    def _troubled(self, error: client.TelegramError) -> float:
        """Says what is wrong, once, and how long to wait."""
        match error:
            case client.Conflict():
                trouble = "another program takes this bot's updates; end it, or give it a bot of its own"
            case _:
                trouble = f"Telegram does not answer: {self._line.words(error)}".rstrip(": ")
        if not self._pulse.trouble:
            log.warning("channel %s: %s", self._key, trouble)
        self._pulse.trouble = trouble
        wait = client.wait_of(error) if isinstance(error, client.RetryAfter) else 0.0
        return max(wait, client.backoff(self._failures))

    # ── webhook ──────────────────────────────────────────────────────────────────────────────────

    async def _hooked(self, operations: Operations, ready: Callable[[], Awaitable[None]]) -> None:
        stop = operations.receive(self._key, self._letter)
        try:
            await self._insist(self._set)
            while True:
                await self._clock.sleep(LOOK)
                await self._insist(self._look)
                await ready()
        finally:
            stop()

    async def _set(self) -> bool:
        return await self._line.bot.set_webhook(
            self._address, allowed_updates=WANTED, secret_token=str(self._webhook["secret"])
        )

    @property
    def _address(self) -> str:
        return f"{str(self._webhook['url']).rstrip('/')}/channels/{self._key}"

    async def _look(self) -> None:
        """Whether the service still calls us, and reaches us. Raises NetworkError where it does not."""
        found = await self._line.bot.get_webhook_info()
        if found.url != self._address:
            log.warning("channel %s: its webhook was taken away; it is set again", self._key)
            await self._set()
        elif found.pending_update_count and found.last_error_message:
            raise client.NetworkError(f"it cannot call {self._address}: {found.last_error_message}")

    async def _letter(self, headers: Mapping[str, str], body: bytes) -> int:
        """One call of the webhook; what is answered with 200 is on disk."""
        said = headers.get("x-telegram-bot-api-secret-token", "")
        if not hmac.compare_digest(_digest(said), _digest(str(self._webhook["secret"]))):
            log.warning("channel %s: a call of its webhook without the secret was refused", self._key)
            return 401
        update = client.update(body, self._line.bot)
        if update is None:
            return 400
        self._pulse.beat(self._clock.monotonic())
        if update.update_id not in self._seen:
            meaning = self._meaning(update)
            try:
                await self._one_chat(_chat(meaning), [(update.update_id, meaning)])
            except Stopping:
                return 503
            await self._keep([update.update_id])
        return 200

    # ── both ─────────────────────────────────────────────────────────────────────────────────────

    async def _one_chat(self, chat: int, updates: Sequence[tuple[int, Meaning]]) -> None:
        """Hands over the updates of one chat, after those that came before. Raises Stopping or StorageFailed."""
        if len(self._doors) > MOST_CHATS:
            self._doors = {place: door for place, door in self._doors.items() if door.locked()}
        async with self._doors.setdefault(chat, asyncio.Lock()):
            try:
                await self._take([meaning for number, meaning in updates if number not in self._seen])
                self._seen.update((number, None) for number, _ in updates)
            except (Stopping, StorageFailed):
                raise
            except Exception:  # it would come again and again, and nothing after it
                log.exception("channel %s: updates %s were passed over", self._key, [number for number, _ in updates])

    def _meaning(self, update: Update) -> Meaning:
        assert self.me is not None, "updates come after the bot is known"
        try:
            return read(update, self.me, self._groups)
        except Exception:  # whatever a malformed field does to the library
            log.warning("channel %s: update %d cannot be read", self._key, update.update_id)
            return Passed("unreadable")

    async def _keep(self, numbers: Sequence[int]) -> None:
        if not numbers:
            return
        self._seen.update(dict.fromkeys(numbers))
        while len(self._seen) > KEPT:
            del self._seen[next(iter(self._seen))]
        await self._notes.put("updates", list(self._seen))


async def _ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    ending = [*tasks]
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


def _chat(meaning: Meaning) -> int:
    match meaning:
        case Heard(spot=spot):
            return spot.chat
        case Pressed(chat=chat):
            return chat or 0
    return 0


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
