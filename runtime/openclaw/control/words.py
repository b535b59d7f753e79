"""The runtime's values as the JSON that programs and `--json` see. Pure; these shapes are public."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from openclaw.messages import (
    Approval,
    Asked,
    AssistantEntry,
    Compaction,
    Draft,
    Entry,
    Intent,
    Progress,
    Result,
    Retrying,
    Settled,
    TextDelta,
    Told,
    ToolFinished,
    ToolStarted,
    Undone,
    Usage,
    UserEntry,
    Waiting,
)
from openclaw.ports import Outgoing, Pairing, Queued, SessionSummary
from openclaw.words import time_json

Json = dict[str, Any]


# What some readers of streams take for the end of a line, and what is no text alone.
_ODD = re.compile("[\x85\u2028\u2029\ud800-\udfff]")


def line(content: Json) -> str:
    """JSON in one line, by whatever a reader means by a line."""
    written = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return _ODD.sub(lambda odd: f"\\u{ord(odd[0]):04x}", written)


def session_json(session: SessionSummary) -> Json:
    return {
        "key": session.key,
        "entries": session.entries,
        "size": session.size,
        "updated": time_json(session.updated),
    }


def queued_json(queued: Queued, state: str) -> Json:
    """A message that was taken in and has not come to its end."""
    message, route = queued.message, queued.route
    return {
        "id": queued.id,
        "state": state,
        "session": route.session,
        "agent": route.agent,
        "sender": str(message.sender),
        "text": message.text,
        "attempts": queued.attempts,
        "since": time_json(message.at),
    }


def reply_json(outgoing: Outgoing, state: Literal["undelivered", "dead"]) -> Json:
    """A reply that waits for a channel that does not run, or was given up."""
    reply = outgoing.reply
    return {
        "id": outgoing.id,
        "state": state,
        "session": reply.session,
        "agent": reply.agent,
        "to": str(reply.place),
        "text": reply.text,
        "attempts": outgoing.tries,
        "since": time_json(outgoing.since),
    }


def approval_json(approval: Approval) -> Json:
    return {
        "id": approval.id,
        "session": approval.session,
        "agent": approval.agent,
        "tool": approval.tool,
        "sender": approval.sender,
        "lines": list(approval.lines),
        "cwd": approval.cwd,
        "reason": approval.reason,
        "rules": list(approval.rules),
        "approvers": list(approval.approvers),
        "offers": list(approval.offers),
        "created": time_json(approval.created),
        "expires": time_json(approval.expires),
    }


def pairing_json(pairing: Pairing) -> Json:
    """The code is in it as long as they wait, and when it ends."""
    found = {"sender": str(pairing.sender), "name": pairing.name, "at": time_json(pairing.at)}
    if pairing.code:
        found["code"] = pairing.code
    if pairing.expires is not None:
        found["expires"] = time_json(pairing.expires)
    return found


def entry_json(entry: Entry) -> Json:
    start: Json = {"id": entry.id, "at": time_json(entry.at)}
    match entry:
        case UserEntry():
            return {
                **start,
                "type": "message",
                "role": "user",
                "message": entry.message,
                "content": list(entry.content),
            }
        case AssistantEntry():
            return {
                **start,
                "type": "message",
                "role": "assistant",
                "content": list(entry.content),
                "model": entry.model,
                "stop_reason": entry.stop_reason,
                "usage": entry.usage.as_json(),
            }
        case Intent():
            return {**start, "type": "intent", "call": entry.call, "tool": entry.tool, "input": dict(entry.input)}
        case Result():
            return {**start, "type": "result", "call": entry.call, "content": entry.content, "is_error": entry.is_error}
        case Compaction():
            return {**start, "type": "compaction", "summary": entry.summary, "keep_from": entry.keep_from}
        case Draft():
            return {**start, "type": "draft", "summary": entry.summary, "usage": entry.usage.as_json()}
        case Undone():
            return {**start, "type": "undone", "compaction": entry.compaction}
        case Told():
            return {**start, "type": "told", "by": entry.by, "text": entry.text, "message": entry.message}


def turn_usage(entries: Sequence[Entry], message: str) -> Usage:
    """What the turn that answered `message` used, as far as the transcript still holds it."""
    usage = Usage()
    for entry in reversed(entries):
        if isinstance(entry, UserEntry):
            if entry.message == message:
                return usage
            if message not in entry.joined:
                usage = Usage()  # a later turn's
        elif isinstance(entry, AssistantEntry):
            usage += entry.usage
    return Usage()


def failed_code(fault: str) -> str:
    """Of a message that could not be answered, by the fault of its reply."""
    return "over_budget" if fault == "budget" else "turn_failed"


def event(progress: Progress) -> tuple[str, Json] | None:
    """An event's name and data; None for what is not told. `restart` voids the text that was sent before."""
    match progress:
        case TextDelta(text=text):
            return "text", {"text": text}
        case Retrying(reason=reason, seconds=seconds):
            return "text", {"text": "", "restart": True, "reason": reason, "seconds": seconds}
        case Waiting(seconds=seconds, what=what, doing=doing):
            return "waiting", {"seconds": seconds, "model": what, **({"doing": doing} if doing else {})}
        case ToolStarted(call=call, line=line):
            return "tool_call", {"call": call.id, "tool": call.name, "input": _plain(call.input), "line": line}
        case ToolFinished(call=call, result=result, seconds=seconds):
            return "tool_result", {
                "call": call.id,
                "tool": call.name,
                "text": result.text,
                "is_error": result.is_error,
                "seconds": round(seconds, 3),
            }
        case Asked(approval=approval):
            return "approval", {"approval": approval_json(approval), "status": "waiting"}
        case Settled(approval=approval_id, answer=answer, why=why):
            told = {"approval": {"id": approval_id}, "status": "settled", "answer": answer}
            return "approval", {**told, "reason": why} if why else told
        case _:
            return None


def _plain(input: Mapping[str, Any]) -> Json:
    return dict(input)
