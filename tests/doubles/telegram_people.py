"""The other side of the Bot API's double: people, their chats, and what they do there.

`People` makes the updates; the server that inherits it queues and hands them out. A chat that nobody ever
named is unknown to the service. Ids are numbers: a private chat has its person's id, a group a negative one.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from doubles.telegram_rules import LARGEST_FILE, bad, noted

BOT_ID, BOT_NAME = 4242, "openclaw_bot"
Update = dict[str, Any]


@dataclass(slots=True)
class Chat:
    """`blocked`: the person wants no more of the bot. `moved`: the supergroup that this group became."""

    id: int
    type: str = "private"
    title: str = ""
    forum: bool = False
    blocked: bool = False
    moved: int | None = None
    topics: set[int] = field(default_factory=set)
    messages: dict[int, Update] = field(default_factory=dict)

    @property
    def described(self) -> Update:
        names = {"first_name": f"Person {self.id}"} if self.type == "private" else {"title": self.title or "A group"}
        return {"id": self.id, "type": self.type, **names, **({"is_forum": True} if self.forum else {})}


class People:
    def __init__(self, first_update: int, bot: int = BOT_ID) -> None:
        self.bot = bot
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, tuple[str, bytes, int]] = {}  # id -> path, content, the size that is told
        self.queries: dict[str, bool] = {}  # callback queries, and whether they were answered
        self.allowed: frozenset[str] | None = None
        self._lock = threading.RLock()
        self._updates: list[Update] = []
        self._next_update = first_update
        self._numbers = itertools.count(1)

    def woken(self) -> None:
        """There is a new update."""

    # ── chats and people ─────────────────────────────────────────────────────────────────────────

    def chat(self, id: int, *, forum: bool | None = None) -> Chat:
        with self._lock:
            kind = "private" if id > 0 else "supergroup" if id <= -1_000_000_000_000 else "group"
            found = self.chats.setdefault(id, Chat(id, kind))
            if forum is not None:
                found.forum = forum
            return found

    @staticmethod
    def user(id: int, *, name: str = "", bot: bool = False) -> Update:
        return {"id": id, "is_bot": bot, "first_name": name or f"Person {id}", "username": f"person_{id}"}

    def me(self) -> Update:
        return {"id": self.bot, "is_bot": True, "first_name": "OpenClaw", "username": BOT_NAME}

    # ── updates ──────────────────────────────────────────────────────────────────────────────────

    def queue(self, update: Mapping[str, Any], id: int | None = None) -> int:
        """Any update at all, malformed ones too; its id, the next one unless given."""
        with self._lock:
            number = self._next_update if id is None else id
            if id is None:
                self._next_update += 1
            if self.allowed is None or not update or next(iter(update)) in self.allowed:
                self._updates.append({"update_id": number, **update})
        self.woken()
        return number

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is done within comes in one batch."""
        with self._lock:
            yield

    def restart_ids(self, at: int) -> None:
        """After a week without updates the service numbers from any number it likes."""
        self._next_update = at

    @property
    def waiting(self) -> list[int]:
        """The ids of updates that nobody has confirmed."""
        with self._lock:
            return [update["update_id"] for update in self._updates]

    # ── messages ─────────────────────────────────────────────────────────────────────────────────

    def keep(self, chat: Chat, body: Mapping[str, Any]) -> Update:
        """A message as the service stores it, with its number and date."""
        with self._lock:
            number = next(self._numbers)
            message = {"message_id": number, "date": int(time.time()), "chat": chat.described, **body}
            if chat.forum and "message_thread_id" in body:
                message["is_topic_message"] = True
                chat.topics.add(body["message_thread_id"])
            chat.messages[number] = message
            return message

    def post(
        self, by: int, body: Mapping[str, Any], *, chat: int | None = None, topic: int | None = None,
        reply_to: int | None = None, bot: bool = False, id: int | None = None,
    ) -> Update:  # fmt: skip
        """A message of any content from somebody; the message, queued as an update."""
        place = self.chat(by if chat is None else chat)
        whole: Update = {"from": self.user(by, bot=bot), **body}
        if topic is not None:
            whole["message_thread_id"] = topic
        if reply_to is not None:
            whole["reply_to_message"] = place.messages[reply_to]
        message = self.keep(place, whole)
        self.queue({"message": message}, id)
        return message

    def say(self, text: str, by: int, **more: Any) -> Update:
        """A text message; `chat`, `topic`, `reply_to`, `bot` and further fields of the message may be given."""
        places = {name: more.pop(name) for name in ("chat", "topic", "reply_to", "bot", "id") if name in more}
        entities = noted(text)
        return self.post(by, {"text": text, **({"entities": entities} if entities else {}), **more}, **places)

    def forward(self, text: str, by: int, origin: int, **more: Any) -> Update:
        told = {"type": "user", "date": int(time.time()), "sender_user": self.user(origin)}
        return self.say(text, by, forward_origin=told, **more)

    def edit(self, chat: int, message: int, **changed: Any) -> Update:
        old = self.chats[chat].messages[message]
        new = {**old, **changed, "edit_date": int(time.time())}
        self.chats[chat].messages[message] = new
        self.queue({"edited_message": new})
        return new

    def file(self, content: bytes, path: str, size: int | None = None) -> Update:
        """A file on the service; `size` is what it claims, where that is not the truth."""
        with self._lock:
            id = f"file-{len(self.files)}"
            told = len(content) if size is None else size
            self.files[id] = (path, content, told)
        return {"file_id": id, "file_unique_id": f"unique-{id}", "file_size": told}

    def document(self, by: int, name: str | None, content: bytes, *, size: int | None = None, **more: Any) -> Update:
        places = {key: more.pop(key) for key in ("chat", "topic", "reply_to") if key in more}
        told = self.file(content, f"documents/file_{len(self.files)}.bin", size)
        named = {"file_name": name} if name is not None else {}
        document = {**told, **named, "mime_type": more.pop("mime_type", "application/octet-stream")}
        return self.post(by, {"document": document, **more}, **places)

    def photo(self, by: int, content: bytes, **more: Any) -> Update:
        places = {key: more.pop(key) for key in ("chat", "topic", "reply_to") if key in more}
        small = {**self.file(b"small", "photos/small.jpg"), "width": 90, "height": 90}
        large = {**self.file(content, f"photos/file_{len(self.files)}.jpg"), "width": 800, "height": 800}
        return self.post(by, {"photo": [small, large], **more}, **places)

    def voice(self, by: int, **more: Any) -> Update:
        return self.post(by, {"voice": {**self.file(b"OggS", "voice/file_0.oga"), "duration": 3}}, **more)

    def channel_post(self, text: str, channel: int = -1_009_999_999_999) -> Update:
        place = self.chat(channel)
        place.type = "channel"
        message = self.keep(place, {"sender_chat": place.described, "text": text})
        self.queue({"channel_post": message})
        return message

    def membership(self, by: int, status: str, chat: int | None = None) -> int:
        """The bot was added, removed, blocked ..."""
        place = self.chat(by if chat is None else chat)
        place.blocked = status in ("kicked", "left")
        was = {"user": self.me(), "status": "member"}
        change = {"chat": place.described, "from": self.user(by), "date": int(time.time()), "old_chat_member": was}
        new = {"user": self.me(), "status": status, **({"until_date": 0} if status == "kicked" else {})}
        return self.queue({"my_chat_member": {**change, "new_chat_member": new}})

    def migrate(self, chat: int, to: int, by: int) -> None:
        """A group becomes a supergroup with another id."""
        old, new = self.chat(chat), self.chat(to)
        self.post(by, {"migrate_to_chat_id": to}, chat=chat)
        self.post(by, {"migrate_from_chat_id": chat}, chat=to)
        old.moved, new.title = to, old.title

    # ── buttons ──────────────────────────────────────────────────────────────────────────────────

    def buttons(self, chat: int, message: int) -> Sequence[Update]:
        markup = self.chats[chat].messages[message].get("reply_markup") or {}
        return [button for row in markup.get("inline_keyboard", []) for button in row]

    def press(
        self, by: int, chat: int, message: int, label: str = "", *, data: str | None = None,
        elsewhere: int | None = None,
    ) -> str:  # fmt: skip
        """Somebody presses a button of a message; the id of the query. `data` instead of a label is a forgery, and
        with `elsewhere` the press claims to come from another chat."""
        if data is None:
            [data] = [button["callback_data"] for button in self.buttons(chat, message) if label in button["text"]]
        place = self.chats[chat if elsewhere is None else elsewhere]
        shown = {**self.chats[chat].messages[message], "chat": place.described}
        with self._lock:
            id = f"query-{len(self.queries)}"
            self.queries[id] = False
        query = {"id": id, "from": self.user(by), "message": shown, "chat_instance": "instance", "data": data}
        self.queue({"callback_query": query})
        return id

    def find_file(self, id: str) -> tuple[str, bytes, int]:
        if id not in self.files:
            raise bad("invalid file_id")
        if self.files[id][2] > LARGEST_FILE:
            raise bad("file is too big")
        return self.files[id]
