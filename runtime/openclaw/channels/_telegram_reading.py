"""What an update means: something heard, a button pressed, a group that moved, or nothing for us. Pure.

The law: every kind of update has a decision, and what is not named is passed over. Who speaks is the number of a
person; bots, channels and anonymous administrators are nobody. Words of others, passed on or answered, are quoted
and never read as the person's own. Knows no network and no runtime.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from openclaw.messages import Quote

if TYPE_CHECKING:
    from telegram import Chat, Message, MessageEntity, MessageOrigin, Update, User

Groups: TypeAlias = Literal["mention", "all", "off"]
WANTED = ("message", "edited_message", "callback_query", "my_chat_member")
"""The kinds of updates that are asked for; the service may still deliver others that were queued before."""
UNMENTIONED = "no mention"
EDITED = "[edit of an earlier message, which now reads:]"


@dataclass(frozen=True, slots=True)
class Me:
    id: int
    name: str  # without the @


@dataclass(frozen=True, slots=True)
class Spot:
    """A chat and its topic. `private` chats have their person's number."""

    chat: int
    private: bool
    topic: int | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file on the service. `size` in bytes, None where it is not told."""

    id: str
    name: str
    media_type: str
    size: int | None
    image: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A person said something that is meant for us. `id` is unique for ever, also for an edit; `digest` is of the
    words, so that an edit that changed none of them is told from one that did. `meant` is False for a picture without a
    mention that may belong to an album with one."""

    id: str
    spot: Spot
    message: int
    sender: int
    name: str
    at: datetime
    text: str
    quotes: tuple[Quote, ...] = ()
    files: tuple[Attachment, ...] = ()
    album: str = ""
    digest: str = ""
    edited: bool = False
    since: datetime | None = None  # of an edit: when the message was written
    meant: bool = True


@dataclass(frozen=True, slots=True)
class Pressed:
    """Somebody pressed a button of one of our messages. Nothing in it is trusted but who pressed."""

    query: str
    presser: int
    name: str
    chat: int | None
    message: int | None
    data: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A group became another one, with another number."""

    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Passed:
    """Nothing for us; `why` is what is counted."""

    why: str


Meaning: TypeAlias = Heard | Pressed | Moved | Passed


def read(update: Update, me: Me, groups: Groups) -> Meaning:
    if update.message is not None:
        return _message(update.message, me, groups)
    if update.edited_message is not None:
        found = _message(update.edited_message, me, groups)
        return _as_edit(found, update.edited_message) if isinstance(found, Heard) else found
    if (query := update.callback_query) is not None:
        place, presser = query.message, query.from_user
        chat, message = (place.chat.id, place.message_id) if place is not None else (None, None)
        return Pressed(query.id, presser.id, presser.full_name, chat, message, query.data or "")
    if (change := update.my_chat_member) is not None:
        return Passed(f"membership: {change.new_chat_member.status}")
    return Passed(_kind(update))


def _kind(update: Update) -> str:
    """The name of what an update carries; those that could not be read carry nothing."""
    return next((name for name in update.to_dict() if name != "update_id"), "unreadable")


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


def _message(message: Message, me: Me, groups: Groups) -> Meaning:
    if message.migrate_to_chat_id is not None:
        return Moved(message.chat.id, message.migrate_to_chat_id)
    if message.chat.type not in ("private", "group", "supergroup"):
        return Passed("channel")
    private = message.chat.type == "private"
    why = _nobody(message) or ("" if private else _unmeant(message, me, groups))
    if why and not (why == UNMENTIONED and message.media_group_id):
        return Passed(why)
    spot = Spot(message.chat.id, private, message.message_thread_id if message.is_topic_message else None)
    heard = replace(_heard(message, spot, me), meant=not why)
    return heard if heard.text or heard.quotes or heard.files else Passed("service message")


def _nobody(message: Message) -> str:
    """Why a message has no person as its sender."""
    if message.from_user is None or message.sender_chat is not None:
        return "not a person"
    return "bot" if message.from_user.is_bot else ""


def _unmeant(message: Message, me: Me, groups: Groups) -> str:
    """Why a message in a group is not for us."""
    if groups == "off":
        return "groups are off"
    command = next((to for to in _addressed(message) if to), "")
    if command and command != me.name.lower():
        return "command for another bot"
    if groups == "all" or command or _mentions(message, me) or _replies(message, me):
        return ""
    return UNMENTIONED


def _addressed(message: Message) -> Iterator[str]:
    """Which bot a command at the start names."""
    for entity, text in _marked(message):
        if entity.type == "bot_command" and entity.offset == 0:
            yield text.partition("@")[2].lower()


def _mentions(message: Message, me: Me) -> bool:
    return any(_is_mention(entity, text, me) for entity, text in _marked(message))


def _is_mention(entity: MessageEntity, text: str, me: Me) -> bool:
    if entity.type == "text_mention":
        return entity.user is not None and entity.user.id == me.id
    return entity.type == "mention" and text.lower() == f"@{me.name.lower()}"


def _replies(message: Message, me: Me) -> bool:
    """Whether it answers a message of ours. In a topic everything answers the message that opened it."""
    answered = message.reply_to_message
    if answered is None or answered.from_user is None or answered.forum_topic_created is not None:
        return False
    return answered.from_user.id == me.id


def _heard(message: Message, spot: Spot, me: Me) -> Heard:
    sender = message.from_user
    assert sender is not None, "nobody was passed over before"
    words = _words(message, me, spot.private)
    quotes = tuple(_answered(message, me))
    origin = message.forward_origin
    if origin is not None or message.via_bot is not None:
        author = _origin(origin) if origin is not None else _full_name(message.via_bot)
        quotes += (Quote(words, author, forwarded=True),) if words else ()
        words = ""
    text = "\n".join(part for part in (words, *_unsupported(message)) if part)
    return Heard(
        f"{me.id}:{spot.chat}:{message.message_id}",  # each bot counts a person's messages from one
        spot,
        message.message_id,
        sender.id,
        sender.full_name,
        message.date,
        text,
        quotes,
        tuple(_files(message)),
        message.media_group_id or "",
        _digest("\0".join([text, *(quote.text for quote in quotes if quote.forwarded)])),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _as_edit(heard: Heard, message: Message) -> Heard:
    """An edit is a message of its own, and never a command: what was said before has been answered."""
    when = message.edit_date or heard.at
    id = f"{heard.id}:edit:{int(when.timestamp())}:{heard.digest}"
    return replace(heard, id=id, text=f"{EDITED}\n{heard.text}", at=when, edited=True, since=heard.at)


def joined(first: Heard, other: Heard) -> Heard:
    """Two parts of one album."""
    text = "\n".join(part for part in (first.text, other.text) if part)
    return replace(first, text=text, quotes=first.quotes + other.quotes, files=first.files + other.files)


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _marked(message: Message) -> list[tuple[MessageEntity, str]]:
    found = message.parse_entities() if message.text is not None else message.parse_caption_entities()
    return list(found.items())


def _words(message: Message, me: Me, private: bool) -> str:
    """Text or caption, without our name on a command and, in groups, without the mentions of us."""
    raw = (message.text if message.text is not None else message.caption) or ""
    code = raw.encode("utf-16-le", "surrogatepass")
    for entity, text in sorted(_marked(message), key=lambda found: -found[0].offset):
        start, end = 2 * entity.offset, 2 * (entity.offset + entity.length)
        if entity.type == "bot_command" and entity.offset == 0 and text.lower().endswith(f"@{me.name.lower()}"):
            code = code[:start] + text.partition("@")[0].encode("utf-16-le") + code[end:]
        elif not private and _is_mention(entity, text, me):
            code = code[:start].removesuffix(" ".encode("utf-16-le")) + code[end:]
    text = code.decode("utf-16-le", "surrogatepass")
    return text.strip() if text != raw else raw


def _answered(message: Message, me: Me) -> Iterator[Quote]:
    """What the message answers: the part of it that was picked out, else all of it."""
    answered, picked = message.reply_to_message, message.quote
    if answered is not None and answered.forum_topic_created is None:
        text = picked.text if picked is not None else answered.text or answered.caption or _contents(answered)
        author = answered.from_user
        name = "the assistant" if author is not None and author.id == me.id else _full_name(author)
        yield Quote(text, name)
    elif message.external_reply is not None and picked is not None:
        yield Quote(picked.text, _origin(message.external_reply.origin))


def _contents(message: Message) -> str:
    """A message without words, in words."""
    named = [f"[{file.name}]" for file in _files(message)]
    return " ".join([*named, *_unsupported(message)]) or "[a message without text]"


def _full_name(user: User | None) -> str:
    return user.full_name if user is not None else ""


def _origin(origin: MessageOrigin) -> str:
    found: User | Chat | str | None = None
    for name in ("sender_user", "sender_user_name", "sender_chat", "chat"):
        found = found or getattr(origin, name, None)
    return found if isinstance(found, str) else (getattr(found, "full_name", None) or getattr(found, "title", "") or "")


# ── what comes along ─────────────────────────────────────────────────────────────────────────────

_UNSUPPORTED = {
    "voice": "a voice message",
    "audio": "an audio file",
    "video": "a video",
    "video_note": "a video message",
    "sticker": "a sticker",
    "location": "a location",
    "venue": "a place",
    "contact": "a contact",
    "poll": "a poll",
    "dice": "a die",
    "game": "a game",
    "story": "a story",
    "paid_media": "paid media",
    "invoice": "an invoice",
    "checklist": "a checklist",
}


def _unsupported(message: Message) -> list[str]:
    """What came along and cannot be looked at, in words: the model can tell the person."""
    found = []
    for field, words in _UNSUPPORTED.items():
        if getattr(message, field, None) and not (field == "location" and message.venue):
            emoji = getattr(getattr(message, field), "emoji", None) if field == "sticker" else None
            found.append(f"[{words}{f' {emoji}' if emoji else ''} came along; it cannot be looked at here]")
    return found


def _files(message: Message) -> Iterator[Attachment]:
    if message.photo:
        largest = max(message.photo, key=lambda photo: photo.width * photo.height)
        yield Attachment(largest.file_id, "photo.jpg", "image/jpeg", largest.file_size, image=True)
    document = message.animation or message.document  # an animation carries itself as a document too
    if document is not None:
        kind = document.mime_type or "application/octet-stream"
        name = document.file_name or ("animation.mp4" if message.animation else "document")
        yield Attachment(document.file_id, name, kind, document.file_size, image=_is_image(kind))


def _is_image(media_type: str) -> bool:
    """What models can look at."""
    return media_type in ("image/jpeg", "image/png", "image/gif", "image/webp")
