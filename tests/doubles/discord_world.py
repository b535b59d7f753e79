"""What stands in the double of Discord: channels, messages, files, presses; and what people do with them.

It knows nothing of connections: `dispatch` is how an event leaves it, and the gateway says what becomes of it.
`Refused` is an answer of the service that is an error.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from doubles import discord_shapes as shapes
from doubles.discord_shapes import ANA, BOT, GENERAL, GUILD, NADER, OPS, TALK, Json

MESSAGE_CONTENT = 1 << 15  # the intent to read what people say to each other
EPHEMERAL, THINKING = 64, 128  # flags of a message


class Refused(Exception):
    def __init__(self, status: int, body: Json) -> None:
        super().__init__(body)
        self.status, self.body = status, body


@dataclass(slots=True)
class Interaction:
    """One press or command. `answers` are the callbacks' bodies, `original` the message they are about."""

    id: str
    token: str
    channel: str
    by: str
    at: float
    original: Json | None = None
    answers: list[Json] = field(default_factory=list)
    follow_ups: list[Json] = field(default_factory=list)
    edits: list[Json] = field(default_factory=list)


class World:
    """There is one guild. `messages` is what stands in each channel now, `url` where the double is reached."""

    url: str

    def __init__(self, people: Sequence[str], message_content: bool) -> None:
        self.message_content = message_content
        self.application = "740000000000000001"
        self.messages: dict[str, list[Json]] = {}
        self.commands: list[Json] = []
        self.interactions: dict[str, Interaction] = {}
        self.closed_doors: set[str] = set()  # people who take no private messages from the bot
        self._people = [shapes.user(id) for id in (BOT, *people)]
        self._channels: dict[str, Json] = {
            GENERAL: shapes.text_channel(GENERAL, "general", 0),
            OPS: shapes.text_channel(OPS, "ops", 1),
            TALK: shapes.thread(TALK, "talk", GENERAL),
        }
        self._files: dict[str, tuple[bytes, str]] = {}
        self._lock = threading.RLock()

    def dispatch(self, name: str, told: Json) -> None:
        """An event for every session, now or when it resumes."""
        raise NotImplementedError

    # ── what people do ───────────────────────────────────────────────────────────────────────────

    def direct(self, who: str) -> str:
        """The private channel between the bot and this person."""
        with self._lock:
            for id, channel in self._channels.items():
                if channel["type"] == 1 and channel["recipients"][0]["id"] == who:
                    return id
            id = shapes.snowflake()
            self._channels[id] = shapes.private_channel(id, shapes.user(who))
            return id

    def open_thread(self, name: str, parent: str = GENERAL) -> str:
        """A thread that no event has told of."""
        with self._lock:
            id = shapes.snowflake()
            self._channels[id] = shapes.thread(id, name, parent)
            return id

    def say(
        self,
        text: str,
        *,
        channel: str = GENERAL,
        by: str = NADER,
        reply_to: str | None = None,
        forwards: str | None = None,
        files: Sequence[tuple[str, bytes, str | None]] = (),
        claimed: int | None = None,
        missed: bool = False,
        **more: Any,
    ) -> str:
        """Somebody writes; the message's id. `<@BOT>` in the text is a mention. `claimed`: the size that is told of
        the files. `missed`: it stands in the channel, and no event tells of it. `more` are fields of the message."""
        with self._lock:
            author = more.pop("author", None) or shapes.user(by)
            found = shapes.message(channel, author, text, **more)
            found["mentions"] = [
                shapes.user(id) for id in (BOT, NADER, ANA) if f"<@{id}>" in text or f"<@!{id}>" in text
            ]
            found["attachments"] = [self._uploaded(channel, *file, claimed) for file in files]
            if reply_to is not None:
                self._refer(found, channel, reply_to)
            if forwards is not None:
                self._forward(found, channel, forwards)
            self.messages.setdefault(channel, []).append(found)
        if not missed:
            self.dispatch("MESSAGE_CREATE", self._located(found))
        id: str = found["id"]
        return id

    def _refer(self, found: Json, channel: str, to: str) -> None:
        original = self._find(channel, to)
        found["type"] = shapes.REPLY
        found["message_reference"] = {"type": 0, "message_id": to, "channel_id": channel}
        found["referenced_message"] = original
        if original is not None and original["author"]["id"] == BOT:
            found["mentions"].append(shapes.user(BOT))

    def _forward(self, found: Json, channel: str, text: str) -> None:
        copied = {"type": 0, "content": text, "embeds": [], "attachments": [], "timestamp": found["timestamp"]}
        found["message_reference"] = {"type": 1, "message_id": shapes.snowflake(), "channel_id": channel}
        found["message_snapshots"] = [{"message": {**copied, "edited_timestamp": None, "flags": 0, "components": []}}]

    def _uploaded(self, channel: str, name: str, content: bytes, kind: str | None, claimed: int | None = None) -> Json:
        size = len(content) if claimed is None else claimed
        found = shapes.attachment(self.url, channel, name, size, kind)
        self._files[found["id"]] = (content, kind or "application/octet-stream")
        return found

    def edit(self, channel: str, id: str, text: str) -> None:
        """Somebody changes a message of theirs."""
        with self._lock:
            found = self._find(channel, id)
            assert found is not None, f"no message {id} in {channel}"
            found.update(content=text, edited_timestamp=shapes.moment(shapes.snowflake()))
        self.dispatch("MESSAGE_UPDATE", self._located(found))

    def press(self, id: str, button: str, *, by: str = NADER, channel: str | None = None) -> str:
        """Somebody presses the button with this label, or this custom id; the interaction's id. `channel` where the
        press claims to come from another one."""
        with self._lock:
            found = next(m for place in self.messages.values() for m in place if m["id"] == id)
            buttons = [b for row in found["components"] for b in row["components"]]
            name = next((b["custom_id"] for b in buttons if button in (b["label"], b["custom_id"])), button)
        pressed = {"custom_id": name, "component_type": 2}
        return self._interact(3, pressed, by, channel or found["channel_id"], message=found)

    def command(self, name: str, options: Mapping[str, Any] | None = None, *, by: str = NADER, channel: str) -> str:
        """Somebody uses a slash command; the interaction's id."""
        given = [{"name": key, "type": 3, "value": value} for key, value in (options or {}).items()]
        chosen = {"id": shapes.snowflake(), "name": name, "type": 1, "options": given}
        return self._interact(2, chosen, by, channel)

    def _interact(self, kind: int, chosen: Json, by: str, channel: str, message: Json | None = None) -> str:
        id, token = shapes.snowflake(), f"interaction-{shapes.snowflake()}"
        place = self._channels[channel]
        told: Json = {
            "id": id,
            "application_id": self.application,
            "type": kind,
            "token": token,
            "version": 1,
            "data": chosen,
            "channel_id": channel,
            "channel": place,
            "entitlements": [],
            "attachment_size_limit": 10 << 20,
            "locale": "en-GB",
            "authorizing_integration_owners": {},
            "app_permissions": "2147483647",
        }
        who = shapes.user(by)
        if place["type"] == 1:
            told |= {"user": who, "context": 1}
        else:
            told |= {"member": shapes.whole_member(who), "guild_id": GUILD, "context": 0, "guild_locale": "en-GB"}
            told["guild"] = {"id": GUILD, "locale": "en-GB", "features": []}
        if message is not None:
            told["message"] = message
        self.interactions[id] = Interaction(id, token, channel, by, time.monotonic(), original=message)
        self.dispatch("INTERACTION_CREATE", told)
        return id

    # ── what stands there ────────────────────────────────────────────────────────────────────────

    def sent(self, channel: str) -> list[Json]:
        """The bot's messages in a channel, as they stand now."""
        with self._lock:
            return [dict(one) for one in self.messages.get(channel, ()) if one["author"]["id"] == BOT]

    def _channel(self, id: str) -> Json:
        if id not in self._channels:
            raise Refused(404, {"code": 10003, "message": "Unknown Channel"})
        return self._channels[id]

    def _find(self, channel: str, id: str) -> Json | None:
        return next((one for one in self.messages.get(channel, ()) if one["id"] == id), None)

    def _known(self, channel: str, id: str) -> Json:
        found = self._find(channel, id)
        if found is None:
            raise Refused(404, {"code": 10008, "message": "Unknown Message"})
        return found

    def _history(self, channel: str, query: Mapping[str, str]) -> list[Json]:
        """Newest first; with `after`, those that follow it at once."""
        self._channel(channel)
        limit = int(query.get("limit", 50))
        if not 1 <= limit <= 100:
            raise Refused(400, shapes.invalid("limit", "NUMBER_TYPE_MAX", "int value should be 1 to 100."))
        with self._lock:
            found = sorted(self.messages.get(channel, ()), key=lambda one: int(one["id"]))
        if "after" in query:
            return [self._told_of(one) for one in found if int(one["id"]) > int(query["after"])][:limit][::-1]
        if "before" in query:
            found = [one for one in found if int(one["id"]) < int(query["before"])]
        return [self._told_of(one) for one in found[-limit:]][::-1]

    def _told_of(self, one: Json) -> Json:
        granted = MESSAGE_CONTENT if self.message_content else 0
        seen = self._seen(granted, "MESSAGE_CREATE", self._located(one))
        return {name: value for name, value in seen.items() if name not in ("guild_id", "member")}

    def _located(self, found: Json) -> Json:
        place = self._channels[found["channel_id"]]
        if place["type"] == 1:
            return found
        return {**found, "guild_id": GUILD, "member": shapes.member(found["author"]["id"])}

    def _seen(self, intents: int, name: str, told: Json) -> Json:
        """As a client with these intents sees it: what is neither private, its own nor a mention has no content."""
        if not name.startswith("MESSAGE_") or intents & MESSAGE_CONTENT or "guild_id" not in told:
            return told
        mine = told["author"]["id"] == BOT or any(one["id"] == BOT for one in told["mentions"])
        return told if mine else shapes.bare(told)

    # ── messages of the bot ──────────────────────────────────────────────────────────────────────

    def _composed(self, channel: str, body: Json, files: Mapping[str, bytes]) -> Json:
        kept = {name: body[name] for name in ("nonce", "components", "flags", "embeds") if body.get(name) is not None}
        found = shapes.message(channel, shapes.user(BOT), body.get("content") or "", **kept)
        found["attachments"] = [self._uploaded(channel, name, content, None) for name, content in files.items()]
        if reference := body.get("message_reference"):
            where = {"type": 0, "channel_id": channel, "message_id": str(reference["message_id"])}
            found |= {"type": shapes.REPLY, "message_reference": where}
        return found

    def _change(self, found: Json, body: Json, files: Mapping[str, bytes]) -> None:
        changed = {**found, **{name: body[name] for name in ("content", "components", "embeds") if name in body}}
        if broken := shapes.refusal(changed, len(files) or len(found["attachments"])):
            raise Refused(400, broken)
        with self._lock:
            found.update(changed, edited_timestamp=shapes.moment(shapes.snowflake()))
            if files or "attachments" in body:
                place = found["channel_id"]
                found["attachments"] = [self._uploaded(place, name, content, None) for name, content in files.items()]

    def _commands(self, table: Any) -> list[Json]:
        if table is not None:
            if broken := shapes.wrong_command(table):
                raise Refused(400, broken)
            fixed = {"application_id": self.application, "version": "1", "default_member_permissions": None}
            self.commands = [{**one, **fixed, "id": shapes.snowflake(), "type": one.get("type", 1)} for one in table]
        return self.commands
