"""Messages, routes, replies and transcript entries as JSON values and back, exactly. Pure.

Law: `x_from(x_json(x)) == x`. The shapes are versioned where they are kept: rows by the schema version of
runtime.db, lines by the version in the first line of their file. Reading is strict: a value of the wrong
shape raises ValueError, KeyError or TypeError, and the store calls it damage. Knows no disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import jiter

from openclaw.messages import (
    Account,
    Address,
    AssistantEntry,
    Block,
    Compaction,
    Draft,
    Entry,
    File,
    Image,
    Intent,
    Message,
    Part,
    Quote,
    Reply,
    Result,
    Route,
    Text,
    Told,
    Undone,
    Usage,
    UserEntry,
)

Json = Mapping[str, Any]


def dumps(value: Any) -> bytes:
    """One line of UTF-8 that people can read; where a lone surrogate has no UTF-8, one in ASCII escapes."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def loads(line: bytes) -> Any:
    """As `json.loads`, which is asked where the faster reader refuses: lone surrogates, very deep nesting. Raises
    ValueError or RecursionError."""
    try:
        return jiter.from_json(line, cache_mode="keys")
    except ValueError:
        return json.loads(line)


def time_text(at: datetime) -> str:
    """Fixed width and UTC, so that text order is time order."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_from(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is UTC:  # as all times here are written
        return at
    if at.tzinfo is None:
        raise ValueError(f"`{text}` has no offset")
    return at.astimezone(UTC)


def column(key: str) -> str:
    """As JSON writes it, without the quotes: plain for plain text, and SQLite can store every key,
    also one with a lone surrogate."""
    return json.dumps(key)[1:-1]


def column_from(column: str) -> str:
    return str(json.loads(f'"{column}"'))


# ── messages, routes, replies ────────────────────────────────────────────────────────────────────


def message_json(message: Message) -> Json:
    return {
        "id": message.id,
        "sender": _address_json(message.sender),
        "parts": [_part_json(part) for part in message.parts],
        "at": time_text(message.at),
        "name": message.name,
        "chat": message.chat,
        "topic": message.topic,
        "agent": message.agent,
        "session": message.session,
        "heartbeat": message.heartbeat,
        "agents": None if message.agents is None else list(message.agents),
        "fetched": message.fetched,
        "can_ask": message.can_ask,
        "deliver": [_address_json(address) for address in message.deliver],
        "told": message.told,
        "untrusted": message.untrusted,
        "bot": message.bot,
    }


def message_from(value: Json) -> Message:
    return Message(
        id=value["id"],
        sender=_address_from(value["sender"]),
        parts=tuple(_part_from(part) for part in value["parts"]),
        at=time_from(value["at"]),
        name=value["name"],
        chat=value["chat"],
        topic=value["topic"],
        agent=value["agent"],
        session=value["session"],
        heartbeat=value["heartbeat"],
        agents=None if value["agents"] is None else tuple(value["agents"]),
        fetched=value["fetched"],
        can_ask=value.get("can_ask", True),  # rows of earlier versions do not say
        deliver=tuple(_address_from(address) for address in value.get("deliver", ())),
        told=value.get("told", False),
        untrusted=value.get("untrusted", ""),
        bot=value.get("bot", ""),
    )


def _part_json(part: Part) -> Json:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(path, media_type):
            return {"type": "image", "path": path, "media_type": media_type}
        case File(path, name, size, media_type):
            return {"type": "file", "path": path, "name": name, "size": size, "media_type": media_type}
        case Quote(text, author, forwarded):
            return {"type": "quote", "text": text, "author": author, "forwarded": forwarded}


def _part_from(value: Json) -> Part:
    match value["type"]:
        case "text":
            return Text(value["text"])
        case "image":
            return Image(value["path"], value["media_type"])
        case "file":
            return File(value["path"], value["name"], value["size"], value["media_type"])
        case "quote":
            return Quote(value["text"], value["author"], value["forwarded"])
    raise ValueError(f"`{value['type']}` is no kind of part")


def _address_json(address: Address) -> Json:
    return {"channel": address.channel, "id": address.id}


def _address_from(value: Json) -> Address:
    return Address(value["channel"], value["id"])


def route_json(route: Route) -> Json:
    return {"agent": route.agent, "session": route.session, "text": route.text, "instead": route.instead}


def route_from(value: Json) -> Route:
    return Route(value["agent"], value["session"], value["text"], value.get("instead", ""))


def reply_json(reply: Reply) -> Json:
    return {
        "to": _address_json(reply.to),
        "text": reply.text,
        "session": reply.session,
        "agent": reply.agent,
        "answers": reply.answers,
        "chat": reply.chat,
        "topic": reply.topic,
        "failed": reply.failed,
        "fault": reply.fault,
        "repeated": reply.repeated,
        "told": None if reply.told is None else route_json(reply.told),
        "account": None if reply.account is None else _account_json(reply.account),
        "untrusted": reply.untrusted,
        "bot": reply.bot,
    }


def reply_from(value: Json) -> Reply:
    told, account = value.get("told"), value.get("account")  # rows of earlier versions lack these
    return Reply(
        to=_address_from(value["to"]),
        text=value["text"],
        session=value["session"],
        agent=value["agent"],
        answers=value["answers"],
        chat=value["chat"],
        topic=value["topic"],
        failed=value["failed"],
        fault=value["fault"],
        repeated=value["repeated"],
        told=None if told is None else route_from(told),
        account=None if account is None else _account_from(account),
        untrusted=value.get("untrusted", ""),
        bot=value.get("bot", ""),
    )


def _account_json(account: Account) -> Json:
    return {
        "model": account.model,
        "usage": _usage_json(account.usage),
        "cost": account.cost,
        "seconds": account.seconds,
        "check": account.check,
        "woken": account.woken,
    }


def _account_from(value: Json) -> Account:
    usage = _usage_from(value["usage"])
    return Account(value["model"], usage, value["cost"], value["seconds"], value["check"], value["woken"])


# ── transcript entries ───────────────────────────────────────────────────────────────────────────


def entry_json(entry: Entry) -> Json:
    return {"id": entry.id, "at": time_text(entry.at), **_entry_shape(entry)}


def _entry_shape(entry: Entry) -> Json:
    match entry:
        case UserEntry():
            said = {"type": "message", "role": "user", "content": list(entry.content), "message": entry.message}
            joined = {"joined": list(entry.joined)} if entry.joined else {}
            return {**said, **joined, **_untrusted(entry)}
        case AssistantEntry():
            return {
                "type": "message",
                "role": "assistant",
                "content": list(entry.content),
                "model": entry.model,
                "stop_reason": entry.stop_reason,
                "usage": _usage_json(entry.usage),
                "setup": entry.setup,
            }
        case Intent():
            return {"type": "intent", "call": entry.call, "tool": entry.tool, "input": dict(entry.input)}
        case Result():
            shape = {"type": "result", "call": entry.call, "content": entry.content, "is_error": entry.is_error}
            return {**shape, **_untrusted(entry)}
        case Compaction():
            usage = _usage_json(entry.usage)
            shape = {"type": "compaction", "summary": entry.summary, "keep_from": entry.keep_from, "usage": usage}
            if entry.trimmed:
                shape["trimmed"] = True
            if entry.message:
                shape["message"] = entry.message
            return shape if entry.block is None else {**shape, "block": entry.block, "beside": entry.beside}
        case Draft():
            of = {"length": entry.length, "digest": entry.digest, "setup": entry.setup}
            return {"type": "draft", "summary": entry.summary, **of, "usage": _usage_json(entry.usage)}
        case Undone():
            asked = {"message": entry.message} if entry.message else {}
            return {"type": "undone", "compaction": entry.compaction, **asked}
        case Told():
            return {"type": "told", "by": entry.by, "text": entry.text, "message": entry.message, **_untrusted(entry)}


def _untrusted(entry: UserEntry | Result | Told) -> Json:
    """Only where there is something to say; lines of earlier versions say nothing."""
    return {"untrusted": entry.untrusted} if entry.untrusted else {}


def entry_from(value: Json) -> Entry:
    """One line of a transcript. `value` comes from a file that people may edit, so its shape is checked."""
    # Looked up rather than matched: a long session is thousands of these, and somebody waits for it.
    id, at = value["id"], datetime.fromisoformat(value["at"])
    if type(id) is not str:
        raise TypeError("`id` is not text")
    if at.tzinfo is not UTC:
        at = time_from(value["at"])
    kind = value["type"]
    read = _ROLES.get(value["role"]) if kind == "message" else _READERS.get(kind)
    if read is None:
        raise ValueError(f"`{kind}` is no kind of entry")
    return read(id, at, value)


def _setters(kind: type[Entry]) -> Sequence[Callable[[Entry, object], None]]:
    """Of the fields of a new entry, in their order: by its own `__init__` a frozen value is made half as fast."""
    return [vars(kind)[field.name].__set__ for field in fields(kind)]


_new = object.__new__
_said_id, _said_at, _said_content, _said_message, _said_untrusted, _said_joined = _setters(UserEntry)
_words_id, _words_at, _words_content, _words_model, _words_stop, _words_usage, _words_setup = _setters(AssistantEntry)
_begun_id, _begun_at, _begun_call, _begun_tool, _begun_input = _setters(Intent)
_came_id, _came_at, _came_call, _came_content, _came_error, _came_untrusted = _setters(Result)


def _user(id: str, at: datetime, value: Json) -> Entry:
    message, joined = value["message"], value.get("joined")
    if type(message) is not str:
        raise TypeError("`message` is not text")
    entry = _new(UserEntry)
    _said_id(entry, id)
    _said_at(entry, at)
    _said_content(entry, _blocks(value["content"]))
    _said_message(entry, message)
    _said_untrusted(entry, _strangers(value))
    _said_joined(entry, tuple(map(str, joined)) if joined else ())
    return entry


def _assistant(id: str, at: datetime, value: Json) -> Entry:
    model, stop, setup = value["model"], value["stop_reason"], value["setup"]
    if not (type(model) is type(stop) is type(setup) is str):
        raise TypeError("one of `model`, `stop_reason` and `setup` is not text")
    entry = _new(AssistantEntry)
    _words_id(entry, id)
    _words_at(entry, at)
    _words_content(entry, _blocks(value["content"]))
    _words_model(entry, model)
    _words_stop(entry, stop)
    _words_usage(entry, _usage_from(value["usage"]))
    _words_setup(entry, setup)
    return entry


def _intent(id: str, at: datetime, value: Json) -> Entry:
    call, tool = value["call"], value["tool"]
    if not (type(call) is type(tool) is str):
        raise TypeError("one of `call` and `tool` is not text")
    entry = _new(Intent)
    _begun_id(entry, id)
    _begun_at(entry, at)
    _begun_call(entry, call)
    _begun_tool(entry, tool)
    _begun_input(entry, dict(value["input"]))
    return entry


def _result(id: str, at: datetime, value: Json) -> Entry:
    call, content = value["call"], value["content"]
    if not (type(call) is type(content) is str):
        raise TypeError("one of `call` and `content` is not text")
    entry = _new(Result)
    _came_id(entry, id)
    _came_at(entry, at)
    _came_call(entry, call)
    _came_content(entry, content)
    _came_error(entry, bool(value["is_error"]))
    _came_untrusted(entry, _strangers(value))
    return entry


def _compaction(id: str, at: datetime, value: Json) -> Entry:
    keep_from = None if value["keep_from"] is None else _text(value, "keep_from")
    summary, usage, block = _text(value, "summary"), _usage_from(value["usage"]), value.get("block")
    trimmed, message = value.get("trimmed") is True, _asked_by(value)
    if block is None:
        return Compaction(id, at, summary, keep_from, usage, trimmed=trimmed, message=message)
    made, beside = _blocks([block])[0], _text(value, "beside")
    return Compaction(id, at, summary, keep_from, usage, made, beside, trimmed, message)


def _asked_by(value: Json) -> str:
    """Lines of earlier versions do not say."""
    return _text(value, "message") if "message" in value else ""


def _draft(id: str, at: datetime, value: Json) -> Entry:
    length = value["length"]
    if type(length) is not int or length < 0:
        raise ValueError("`length` is no number of characters")
    summary, digest, setup = (_text(value, name) for name in ("summary", "digest", "setup"))
    return Draft(id, at, summary, length, digest, _usage_from(value["usage"]), setup)


def _undone(id: str, at: datetime, value: Json) -> Entry:
    return Undone(id, at, _text(value, "compaction"), _asked_by(value))


def _told(id: str, at: datetime, value: Json) -> Entry:
    by, text, message = _text(value, "by"), _text(value, "text"), _text(value, "message")
    return Told(id, at, by, text, message, _strangers(value))


_ROLES: Mapping[object, Callable[[str, datetime, Json], Entry]] = {"user": _user, "assistant": _assistant}
_READERS: Mapping[object, Callable[[str, datetime, Json], Entry]] = {
    "intent": _intent,
    "result": _result,
    "compaction": _compaction,
    "draft": _draft,
    "undone": _undone,
    "told": _told,
}


def _strangers(value: Json) -> str:
    found = value.get("untrusted", "")
    return found if type(found) is str else str(found)


def _text(value: Json, key: str) -> str:
    text = value[key]
    if type(text) is not str:
        raise TypeError(f"`{key}` is not text")
    return text


def _blocks(content: object) -> tuple[Block, ...]:
    if type(content) is not list:
        raise TypeError("`content` is not a list of blocks")
    for block in content:
        if type(block) is not dict:
            raise TypeError("`content` is not a list of blocks")
        if block.get("type") == "tool_use" and not (type(block.get("id")) is type(block.get("name")) is str):
            raise TypeError("a call of a tool has no `id` or no `name`")
    return tuple(content)


def _usage_json(usage: Usage) -> Json:
    return {
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        **({"searches": usage.searches} if usage.searches else {}),
    }


def _usage_from(value: Json) -> Usage:
    searches = value.get("searches", 0)
    return Usage(value["input"], value["output"], value["cache_read"], value["cache_write"], searches)
