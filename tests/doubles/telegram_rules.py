"""What the Bot API refuses, as plain functions from values to a refusal. Knows no socket and no state.

Every rule raises `Refusal`, whose words are the service's. Lengths are UTF-16 code units, as the service counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
LONGEST_DATA = 64  # bytes of callback_data
MOST_ENTITIES = 100  # what is beyond is dropped in silence
LARGEST_FILE = 20 * 1024 * 1024

ENTITIES = frozenset(
    {"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold", "italic", "underline"}
    | {"strikethrough", "spoiler", "blockquote", "expandable_blockquote", "code", "pre", "text_link", "text_mention"}
    | {"custom_emoji", "date_time"}
)
_JSON = frozenset(
    {"entities", "caption_entities", "reply_markup", "reply_parameters", "allowed_updates", "commands", "scope"}
    | {"link_preview_options"}
)
_WHOLE = frozenset({"message_id", "offset", "limit", "timeout", "message_thread_id", "draft_id"})
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


@dataclass(slots=True)
class Refusal(Exception):
    """The service's no. `parameters` are those of the answer, for example retry_after."""

    status: int
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = {"ok": False, "error_code": self.status, "description": self.description}
        return {**found, "parameters": dict(self.parameters)} if self.parameters else found


def bad(what: str) -> Refusal:
    return Refusal(400, f"Bad Request: {what}")


def units(text: str) -> int:
    """The length of a text as the service counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


# ── what a request holds ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Upload:
    name: str
    content: bytes


def fields(content_type: str, body: bytes) -> tuple[dict[str, Any], dict[str, Upload]]:
    """The parameters of a call, typed as the service types them, and the files that came with it."""
    if content_type.startswith("multipart/form-data"):
        plain, files = _multipart(content_type.partition("boundary=")[2].strip('"').encode(), body)
    elif content_type.startswith("application/json"):
        return dict(json.loads(body)), {}
    else:
        plain, files = dict(parse_qsl(body.decode(), keep_blank_values=True)), {}
    return {name: _typed(name, value) for name, value in plain.items()}, files


def _typed(name: str, value: str) -> Any:
    try:
        if name in _JSON:
            return json.loads(value)
        if name in _WHOLE or (name == "chat_id" and not value.startswith("@")):
            return int(value)
    except ValueError:
        raise bad(f'can\'t parse "{name}"') from None
    return value


def _multipart(boundary: bytes, body: bytes) -> tuple[dict[str, str], dict[str, Upload]]:
    plain: dict[str, str] = {}
    files: dict[str, Upload] = {}
    for piece in body.split(b"--" + boundary)[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
        names = dict(re.findall(r'(\bname|filename)="([^"]*)"', head.decode()))
        if "filename" in names:
            files[names["name"]] = Upload(names["filename"], content)
        else:
            plain[names["name"]] = content.decode()
    return plain, files


# ── texts, entities, keyboards ───────────────────────────────────────────────────────────────────


def words(given: Mapping[str, Any], name: str = "text", longest: int = LONGEST_TEXT) -> tuple[str, list[Any]]:
    """The text and the entities that are kept of what a client sent."""
    if given.get("parse_mode"):
        raise bad("this double parses no text; send entities")
    text = str(given.get(name, "")).strip()
    entities = given.get("entities" if name == "text" else "caption_entities") or []
    if name == "text" and not text:
        raise bad("message text is empty")
    if units(text) > longest:
        raise bad("message is too long" if name == "text" else "message caption is too long")
    for entity in entities:
        _entity(text, str(given.get(name, "")), entity)
    return text, list(entities)[:MOST_ENTITIES]


def _entity(text: str, raw: str, entity: Any) -> None:
    if not isinstance(entity, dict) or entity.get("type") not in ENTITIES:
        raise bad(f"can't parse entities: unsupported type {entity!r:.80}")
    start, length = entity.get("offset"), entity.get("length")
    if not (isinstance(start, int) and isinstance(length, int) and start >= 0 and length > 0):
        raise bad("can't parse entities: offset and length must be whole numbers")
    if start + length > units(raw):
        raise bad(f"can't parse entities: entity at {start} of {length} ends outside the text of {units(raw)}")
    code = raw.encode("utf-16-le", "surrogatepass")
    for at in (start, start + length):
        if 0xDC <= (code[2 * at + 1] if 2 * at < len(code) else 0) <= 0xDF:
            raise bad(f"can't parse entities: {at} is in the middle of a character")
    if entity["type"] == "text_link" and not entity.get("url"):
        raise bad("can't parse entities: a link without a URL")


def keyboard(markup: Any) -> dict[str, Any] | None:
    """An inline keyboard that the service takes, or None."""
    if not markup:
        return None
    rows = markup.get("inline_keyboard")
    if not isinstance(rows, list):
        raise bad("object expected as reply markup")
    for button in (button for row in rows for button in row):
        if not button.get("text"):
            raise bad("inline keyboard button text must be non-empty")
        held = button.get("callback_data")
        if held is None and not button.get("url"):
            raise bad("text buttons are unallowed in the inline keyboard")
        if held is not None and not 1 <= len(held.encode()) <= LONGEST_DATA:
            raise bad("BUTTON_DATA_INVALID")
    return {"inline_keyboard": rows} if any(rows) else None


def commands(listed: Any) -> list[dict[str, str]]:
    if not isinstance(listed, list) or len(listed) > 100:
        raise bad("BOT_COMMANDS_TOO_MUCH")
    for command in listed:
        if not _COMMAND.fullmatch(str(command.get("command"))):
            raise bad("BOT_COMMAND_INVALID")
        if not 1 <= len(str(command.get("description", ""))) <= 256:
            raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
    return list(listed)


def secret(token: Any) -> str:
    if token and not _SECRET.fullmatch(token):
        raise bad("secret token contains unallowed characters")
    return token or ""


def noted(text: str) -> Sequence[dict[str, Any]]:
    """The entities that the service finds by itself in what a person wrote: commands and mentions."""
    found = []
    for match in re.finditer(r"(?:(?<=\s)|^)(/[A-Za-z0-9_]{1,32}(?:@\w+)?|@[A-Za-z]\w{3,31})", text):
        kind = "bot_command" if match[0].startswith("/") else "mention"
        found.append({"type": kind, "offset": units(text[: match.start()]), "length": units(match[0])})
    return found
