"""The objects of Discord's API, whole enough for a strict client: users, guilds, channels, messages, errors.

Plain functions that make the JSON a client reads; ids are text everywhere, as the service writes them. They know
nothing of connections. `refusal` says which rule of the service a message breaks, as the service would say it.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]

EPOCH = 1_420_070_400_000  # milliseconds: where snowflakes begin
BOT, NADER, ANA = "700000000000000001", "700000000000000002", "700000000000000003"
ROLE = "700000000000000011"  # the bot's own, which has its name
GUILD, GENERAL, OPS, TALK = "710000000000000001", "720000000000000001", "720000000000000002", "730000000000000001"
MEMBER, DEFAULT, REPLY, SLASH = 7, 0, 19, 20  # message types: somebody joined, and those that people write
LONGEST = 2000
_NAME = re.compile(r"[-_'a-z0-9]{1,32}")
_counter = itertools.count(1)


def snowflake() -> str:
    """Unique, rising, and telling the time it was made at."""
    return str(((int(time.time() * 1000) - EPOCH) << 22) | (next(_counter) & 0x3FFFFF))


def moment(id: str) -> str:
    return datetime.fromtimestamp(((int(id) >> 22) + EPOCH) / 1000, UTC).isoformat()


def user(id: str, name: str = "", *, bot: bool = False) -> Json:
    known = {BOT: "openclaw", NADER: "nader", ANA: "ana"}
    return {
        "id": id,
        "username": name or known.get(id, f"user{id}"),
        "discriminator": "0",
        "global_name": (name or known.get(id, "")).title() or None,
        "avatar": None,
        "bot": bot or id == BOT,
        "flags": 0,
        "public_flags": 0,
    }


def member(id: str) -> Json:
    joined = "2024-01-01T00:00:00+00:00"
    return {"roles": [], "joined_at": joined, "deaf": False, "mute": False, "flags": 0, "nick": None, "avatar": None}


def whole_member(who: Json) -> Json:
    return {**member(who["id"]), "user": who, "permissions": "2147483647"}


def application(id: str, owner: str, message_content: bool) -> Json:
    return {
        "id": id,
        "name": "openclaw",
        "icon": None,
        "description": "",
        "bot_public": False,
        "bot_require_code_grant": False,
        "verify_key": "00" * 32,
        "owner": user(owner),
        "team": None,
        "flags": 1 << 19 if message_content else 0,
    }


def text_channel(id: str, name: str, position: int) -> Json:
    plain = {"topic": None, "nsfw": False, "parent_id": None, "rate_limit_per_user": 0, "permission_overwrites": []}
    return {
        "id": id,
        "type": 0,
        "name": name,
        "position": position,
        "guild_id": GUILD,
        "last_message_id": None,
        **plain,
    }


def thread(id: str, name: str, parent: str) -> Json:
    return {
        "id": id,
        "type": 11,
        "name": name,
        "guild_id": GUILD,
        "parent_id": parent,
        "owner_id": NADER,
        "last_message_id": None,
        "message_count": 0,
        "member_count": 1,
        "total_message_sent": 0,
        "rate_limit_per_user": 0,
        "flags": 0,
        "thread_metadata": {
            "archived": False,
            "auto_archive_duration": 1440,
            "archive_timestamp": "2026-01-01T00:00:00+00:00",
            "locked": False,
        },
    }


def private_channel(id: str, who: Json) -> Json:
    return {"id": id, "type": 1, "last_message_id": None, "flags": 0, "recipients": [who]}


def guild(channels: Sequence[Json], people: Sequence[Json]) -> Json:
    everyone = {
        "id": GUILD,
        "name": "@everyone",
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": 0,
        "permissions": "2147483647",
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }
    own = {**everyone, "id": ROLE, "name": "openclaw", "managed": True, "position": 1, "tags": {"bot_id": BOT}}
    return {
        "id": GUILD,
        "name": "Garden",
        "icon": None,
        "owner_id": NADER,
        "unavailable": False,
        "member_count": len(people),
        "large": False,
        "joined_at": "2026-01-01T00:00:00+00:00",
        "roles": [everyone, own],
        "emojis": [],
        "stickers": [],
        "features": [],
        "channels": [one for one in channels if one["type"] == 0],
        "threads": [one for one in channels if one["type"] == 11],
        "members": [whole_member(one) for one in people],
        "presences": [],
        "voice_states": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
        "preferred_locale": "en-GB",
        "premium_tier": 0,
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw_level": 0,
        "afk_timeout": 300,
        "afk_channel_id": None,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "rules_channel_id": None,
        "public_updates_channel_id": None,
    }


def message(channel: str, who: Json, content: str, **more: Any) -> Json:
    id = snowflake()
    return {
        "id": id,
        "channel_id": channel,
        "author": who,
        "content": content,
        "timestamp": moment(id),
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "components": [],
        "pinned": False,
        "type": DEFAULT,
        "flags": 0,
        **more,
    }


def attachment(root: str, channel: str, name: str, size: int, media_type: str | None) -> Json:
    id = snowflake()
    url = f"{root}/attachments/{channel}/{id}/{quote(name, safe='')}"
    found = {"id": id, "filename": name, "size": size, "url": url, "proxy_url": url}
    return found | ({"content_type": media_type} if media_type else {})


def bare(content: Json) -> Json:
    """A message as it reaches a bot that may not read what people say to each other."""
    return {**content, "content": "", "embeds": [], "attachments": [], "components": []}


# ── what the service refuses ─────────────────────────────────────────────────────────────────────


def invalid(field: str, code: str, words: str) -> Json:
    error: Json = {"_errors": [{"code": code, "message": words}]}
    for part in reversed(field.split(".")):
        error = {part: error}
    return {"code": 50035, "message": "Invalid Form Body", "errors": error}


def length(text: str) -> int:
    """In UTF-16 units: the stricter of the two ways that characters are counted in."""
    return len(text.encode("utf-16-le")) // 2


def refusal(said: Mapping[str, Any], files: int) -> Json | None:
    """Why a message with these fields cannot be sent; None where it can."""
    content = said.get("content") or ""
    if length(content) > LONGEST:
        return invalid("content", "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length.")
    if len(str(said.get("nonce") or "")) > 25:
        return invalid("nonce", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    if wrong := _components(said.get("components") or ()):
        return wrong
    if not content.strip() and not files and not said.get("components") and not said.get("embeds"):
        return {"code": 50006, "message": "Cannot send an empty message"}
    return None


def _components(rows: Sequence[Mapping[str, Any]]) -> Json | None:
    seen: set[str] = set()
    if len(rows) > 5:
        return invalid("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    for r, row in enumerate(rows):
        buttons = row.get("components", ())
        if row.get("type") != 1 or not 0 < len(buttons) <= 5:
            return invalid(f"components.{r}", "BASE_TYPE_BAD_LENGTH", "Must be a row of 1 to 5 buttons.")
        for b, button in enumerate(buttons):
            place, name = f"components.{r}.components.{b}", str(button.get("custom_id") or "")
            if not 0 < len(name) <= 100 or not 0 < len(str(button.get("label") or "")) <= 80:
                return invalid(f"{place}.custom_id", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
            if name in seen:
                return invalid(f"{place}.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id duplicated")
            seen.add(name)
    return None


def wrong_command(commands: Sequence[Mapping[str, Any]]) -> Json | None:
    """The first rule that a table of slash commands breaks."""
    names = [command["name"] for command in commands]
    for n, command in enumerate(commands):
        for place, one in [
            (f"{n}", command),
            *((f"{n}.options.{m}", o) for m, o in enumerate(command.get("options") or ())),
        ]:
            if not _NAME.fullmatch(one["name"]):
                return invalid(f"{place}.name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
            if not 0 < len(one["description"]) <= 100:
                return invalid(f"{place}.description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    if len(set(names)) < len(names) or len(names) > 100:
        return invalid("name", "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
    return None
