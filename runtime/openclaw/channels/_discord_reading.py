"""What a message on Discord means for us: heard, or passed over and why. Pure: library objects in, values out.

Law: every kind of event has a decision here, in `DECISIONS`; what has none is passed over. Only people are heard,
never bots, webhooks or the service itself; in a server only what is meant for the bot. What a message answers or
passes on is a quotation: no command, no prefix, no approval.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from openclaw.channels._discord_library import discord
from openclaw.messages import Quote

Groups: TypeAlias = Literal["mention", "all", "off"]

DECISIONS: Mapping[str, str] = {
    "message": "heard, where a person wrote it and it is meant for the bot",
    "interaction": "a button or a slash command, checked against who used it",
    "raw_message_edit": "passed over: what was said first counts, and an edit approves nothing",
    "raw_message_delete": "passed over: what was taken in is answered",
    "raw_bulk_message_delete": "passed over, likewise",
    "raw_reaction_add": "passed over: a reaction is no answer and no approval",
    "raw_reaction_remove": "passed over, likewise",
    "connect": "a new session begins: what is heard waits",
    "guild_available": "a server is known; after the last one what was missed is fetched",
    "guild_join": "likewise",
    "ready": "no further server comes: what was missed is fetched at the latest now",
    "resumed": "an old session goes on: the service sends what was missed",
    "disconnect": "the connection is lost",
    "socket_raw_receive": "a sign of life",
}

_PEOPLE = (discord.MessageType.default, discord.MessageType.reply)
_PIECES = re.compile(r"<@!?(\d+)>")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something was said. `channel` is where an answer is written; `chat` is None in private, and `topic` the
    thread where it is one."""

    channel: int
    chat: str | None = None
    topic: str | None = None

    @property
    def private(self) -> bool:
        return self.chat is None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file on the service. `size` in bytes, as the service tells it."""

    url: str
    name: str
    media_type: str
    size: int

    @property
    def image(self) -> bool:
        return self.media_type.startswith("image/")


@dataclass(frozen=True, slots=True)
class Heard:
    """A person said something that is meant for us. `spot` is None where the library does not know the channel."""

    id: int
    channel: int
    spot: Spot | None
    sender: int
    name: str
    at: datetime
    text: str
    quotes: tuple[Quote, ...] = ()
    files: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Passed:
    """Nothing for us, and why."""

    why: str


def read(message: discord.Message, me: int, groups: Groups) -> Heard | Passed:
    if why := _nobody(message) or ("" if is_private(message) else _unmeant(message, me, groups)):
        return Passed(why)
    return Heard(
        id=message.id,
        channel=message.channel.id,
        spot=spot(message.channel),
        sender=message.author.id,
        name=message.author.display_name,
        at=message.created_at,
        text="\n".join(part for part in (_words(message, me), *_beside(message)) if part),
        quotes=tuple(_quotes(message)),
        files=tuple(_attachments(message)),
    )


def is_private(message: discord.Message) -> bool:
    return message.guild is None and getattr(message.channel, "guild_id", None) is None


def spot(channel: Any) -> Spot | None:
    """None where only the channel's id is known, and in a server it may be a thread."""
    if isinstance(channel, discord.Thread):
        return Spot(channel.id, str(channel.parent_id), str(channel.id))
    if isinstance(channel, discord.PartialMessageable):
        return Spot(channel.id) if channel.guild_id is None else None
    if isinstance(channel, discord.abc.GuildChannel):
        return Spot(channel.id, str(channel.id))
    return Spot(channel.id)


def _nobody(message: discord.Message) -> str:
    """Why a message has no person as its sender."""
    if message.webhook_id is not None:
        return "a webhook"
    if message.author.bot or message.author.system:
        return "a bot"
    return "" if message.type in _PEOPLE else "a notice of the service"


def _unmeant(message: discord.Message, me: int, groups: Groups) -> str:
    """Why a message in a server is not for us."""
    if groups == "off":
        return "servers are off"
    if groups == "all" or any(one.id == me for one in message.mentions):
        return ""
    if not (message.content or message.attachments or message.stickers or message.poll):
        return "no mention, and its words are hidden"  # by the service, from a bot without the intent
    answered = _answered(message)
    if answered is not None and answered.author.id == me:
        return ""
    return "" if _of_role(message.role_mentions, me) else "no mention"


def _of_role(roles: Sequence[discord.Role], me: int) -> bool:
    """The bot's own role has the bot's name, and people pick the one for the other."""
    return any(role.tags is not None and role.tags.bot_id == me for role in roles)


def _answered(message: discord.Message) -> discord.Message | None:
    resolved = message.reference.resolved if message.reference is not None else None
    return resolved if isinstance(resolved, discord.Message) else None


def _words(message: discord.Message, me: int) -> str:
    """What was typed, the mention that only called the bot taken out and other people called by their names."""
    names = {one.id: one.display_name for one in message.mentions}
    roles = "|".join(str(role.id) for role in message.role_mentions if _of_role([role], me))
    text = re.sub(rf"<@&(?:{roles})>", f"<@{me}>", message.content) if roles else message.content
    text = re.sub(rf"^\s*(?:<@!?{me}>[\s,:]*)+", "", text)
    text = re.sub(rf"\s*<@!?{me}>\s*$", "", text)
    return _PIECES.sub(lambda found: f"@{names.get(int(found[1]), found[1])}", text).strip()


def _beside(message: discord.Message) -> Iterator[str]:
    """What is no text, as words."""
    for sticker in message.stickers:
        yield f"[sticker: {sticker.name}]"
    if message.poll is not None:
        yield f"[poll: {message.poll.question}]"


def _quotes(message: discord.Message) -> Iterator[Quote]:
    answered = _answered(message)
    if answered is not None and answered.content.strip():
        yield Quote(answered.content, answered.author.display_name)
    for snapshot in message.message_snapshots:
        if snapshot.content.strip():
            yield Quote(snapshot.content, forwarded=True)


def _attachments(message: discord.Message) -> Iterator[Attachment]:
    carried = (one for snapshot in message.message_snapshots for one in snapshot.attachments)
    for found in (*message.attachments, *carried):
        kind = (found.content_type or "application/octet-stream").partition(";")[0].strip().lower()
        yield Attachment(found.url, found.filename, kind, found.size)
