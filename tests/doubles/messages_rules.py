"""What the real Messages API refuses, as one pure function: a request in, the first broken rule out.

Its law: strict where the service is known to be strict, so that a runtime which passes here is not
surprised there. Rules were read from its documentation and from recordings of it; error texts resemble
the service's. It does not know sockets, scripts or what is answered.

A request with `compaction` is answered by one block, signed over its words (`seal`): from then on it must come first,
with its beta header, unchanged, and no other of its kind with it.

Signatures: a thinking block is bound to the model that made it, to its own text, and to everything before
it (`system`, `tools`, every earlier message, every earlier block of its own message). `sign` makes such a
signature, and `broken_rule` recomputes it. Blocks of another model are skipped, as the service drops them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_KEYS = frozenset(
    {"model", "messages", "max_tokens", "cache_control", "container", "diagnostics", "inference_geo", "metadata"}
    | {"output_config", "service_tier", "speed", "stop_sequences", "stream", "system", "thinking", "tool_choice"}
    | {"tools"}
)
_COMPACTS = "compact-2026-09-04"
_SAMPLING = ("temperature", "top_p", "top_k")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_PRESERVED = re.compile(r"claude-(?:(?:opus|sonnet|haiku)-5-5|(?:fable|mythos)-5-[12])")
_VERSION = re.compile(r"claude-[a-z]+-(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True)
class Broken:
    """A refusal as the service words it."""

    message: str
    status: int = 400
    type: str = "invalid_request_error"


def broken_rule(headers: Mapping[str, str], body: Any, *, resumable: Sequence[str] = ()) -> Broken | None:
    """The first broken rule. `resumable` are fingerprints of contents that were answered with pause_turn."""
    for message in _broken(headers, body, resumable):
        return message if isinstance(message, Broken) else Broken(message)
    return None


def _broken(headers: Mapping[str, str], body: Any, resumable: Sequence[str]) -> Iterator[str | Broken]:
    yield from _headers(headers)
    if not isinstance(body, dict):
        yield "The request body is not valid JSON"
        return
    yield from _shape(body, compacts=_COMPACTS in headers.get("anthropic-beta", "").split(","))
    yield from _messages(body["messages"])
    yield from _summaries(body, compacts=_COMPACTS in headers.get("anthropic-beta", "").split(","))
    yield from _cache_marks(body)
    yield from _tools(body)
    yield from _thinking(body)
    yield from _ending(body, resumable)
    yield from _bindings(body)


def _headers(headers: Mapping[str, str]) -> Iterator[Broken]:
    if not (headers.get("x-api-key") or headers.get("authorization", "").startswith("Bearer ")):
        yield Broken("x-api-key header is required", 401, "authentication_error")
    if not headers.get("anthropic-version"):
        yield Broken("anthropic-version: header is required")
    if not headers.get("content-type", "").startswith("application/json"):
        yield Broken("content-type: must be application/json")


def _shape(body: dict[str, Any], *, compacts: bool) -> Iterator[str]:
    for key in body:
        if key in _SAMPLING:
            yield f"`{key}` is not supported by this version of the API."
        if key not in _KEYS and not (compacts and key == "compaction"):
            yield f"{key}: Extra inputs are not permitted"
    for key in ("model", "messages", "max_tokens"):
        if key not in body:
            yield f"{key}: Field required"
    if not isinstance(body["model"], str) or not body["model"]:
        yield "model: Input should be a valid string"
    if type(body["max_tokens"]) is not int or body["max_tokens"] < 1:
        yield "max_tokens: Input should be greater than or equal to 1"
    if not isinstance(body["messages"], list) or not body["messages"]:
        yield "messages: at least one message is required"
    if any(not isinstance(stop, str) or not stop.strip() for stop in body.get("stop_sequences", ())):
        yield "stop_sequences: each stop sequence must contain non-whitespace"
    system = body.get("system", "x")
    if not isinstance(system, str) and any(block.get("type") != "text" or not block.get("text") for block in system):
        yield "system: text content blocks must be non-empty"


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


def _messages(messages: list[Any]) -> Iterator[str]:
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or message.keys() != {"role", "content"}:
            extra = next((key for key in message if key not in ("role", "content")), None)
            yield (
                f"messages.{at}.{extra}: Extra inputs are not permitted" if extra else f"messages.{at}: Field required"
            )
        if message["role"] not in ("user", "assistant", "system"):
            yield f"messages.{at}.role: Input should be 'user' or 'assistant'"
        if message["role"] == "system" and at == 0:
            yield "messages.0: the first message may not be a system message"
        last = at == len(messages) - 1
        if not message["content"] and not (last and message["role"] == "assistant"):
            yield f"messages.{at}: all messages must have non-empty content"
        for number, block in enumerate(_blocks(message)):
            yield from _block(f"messages.{at}.content.{number}", block, message["role"])
    yield from _pairs(merged(messages))


def _block(where: str, block: dict[str, Any], role: str) -> Iterator[str]:
    kind = block.get("type")
    if kind is None:
        yield f"{where}.type: Field required"
    if kind == "text" and not str(block.get("text", "")).strip():
        yield f"{where}: text content blocks must contain non-whitespace text"
    if kind == "text" and role == "user" and block.get("citations"):
        yield f"{where}.citations: not permitted on user text"
    if kind == "thinking" and not ("thinking" in block and block.get("signature")):
        yield f"{where}.thinking.signature: Field required"
    if kind in ("thinking", "redacted_thinking", "tool_use") and role != "assistant":
        yield f"{where}: `{kind}` blocks are only permitted in assistant messages"
    if kind == "tool_result" and role != "user":
        yield f"{where}: `tool_result` blocks are only permitted in user messages"
    if kind == "tool_use" and not (isinstance(block.get("input"), dict) and block.get("id") and block.get("name")):
        yield f"{where}.tool_use: Field required"
    if kind == "tool_use" and not _TOOL_NAME.fullmatch(str(block["name"])):
        yield f"{where}.tool_use.name: String should match pattern"
    if kind == "document" and role == "assistant":
        yield f"{where}: document blocks are not permitted in assistant messages"
    if kind == "tool_result":
        yield from _result(where, block)


def _result(where: str, block: dict[str, Any]) -> Iterator[str]:
    extra = block.keys() - {"type", "tool_use_id", "content", "is_error", "cache_control"}
    if extra:
        yield f"{where}.tool_result.{min(extra)}: Extra inputs are not permitted"
    if not isinstance(block.get("content", ""), str):
        for inner in block["content"]:
            if inner.get("type") == "text" and not inner.get("text"):
                yield f"{where}.tool_result.content: text content blocks must be non-empty"


def _pairs(turns: list[tuple[str, list[dict[str, Any]]]]) -> Iterator[str]:
    """Each tool_use is answered in the very next user turn: all of them, no others, once each, results first."""
    owed: list[str] = []
    for at, (role, blocks) in enumerate(turns):
        results = [str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"]
        for id in owed:
            if role != "user" or id not in results:
                yield _dangling(at, id)
        for id in results:
            if id not in owed or results.count(id) > 1:
                yield f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}"
        first = [block.get("type") == "tool_result" for block in blocks]
        if first != sorted(first, reverse=True):
            yield f"messages.{at}: `tool_result` blocks must come first in the content"
        owed = [str(block["id"]) for block in blocks if block.get("type") == "tool_use"]
        kinds = [block.get("type") for block in blocks]
        if owed and "text" in kinds[kinds.index("tool_use") :]:
            yield _dangling(at, owed[0])
    if owed:
        yield _dangling(len(turns), owed[0])


def _dangling(at: int, id: str) -> str:
    return f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}"


# ── summaries by the service ─────────────────────────────────────────────────────────────────────


def seal(content: str) -> str:
    """The signature of a block with these words."""
    return f"seal.{fingerprint(content)}"


def _summaries(body: dict[str, Any], *, compacts: bool) -> Iterator[str]:
    places = [
        (at, number, block)
        for at, message in enumerate(body["messages"])
        for number, block in enumerate(_blocks(message))
        if block.get("type") == "compaction"
    ]
    for at, number, block in places:
        if not compacts:
            yield f"messages.{at}.content.{number}: Input tag 'compaction' does not match any of the expected tags"
        if block.keys() - {"type", "content", "encrypted_content", "signature", "tool_changes", "cache_control"}:
            yield f"messages.{at}.content.{number}.compaction: Extra inputs are not permitted"
        if len(places) > 1:
            yield "messages: more than one `compaction` block; send only the newest one (compaction_block_ambiguous)"
        if (at, number) != (0, 0):
            yield "messages: the `compaction` block must be sent first (compaction_block_misplaced)"
        if not block.get("content") or block.get("signature") != seal(block["content"]):
            yield "messages: the `compaction` block is not as it was returned (compaction_content_mismatch)"
    if "compaction" in body:
        yield from _asked(body)


def _asked(body: dict[str, Any]) -> Iterator[str]:
    wanted = body["compaction"]
    if not isinstance(wanted, dict) or wanted.get("type") != "summarize" or wanted.keys() - {"type", "instructions"}:
        yield "compaction.type: Input should be 'summarize'"
    if len(wanted.get("instructions") or "") > 16_384:
        yield "compaction.instructions: String should have at most 16384 characters"
    if "haiku" in body["model"] or not adapts(body["model"]):
        yield "compaction: not supported on this model"
    for other in ("stop_sequences", "context_management"):
        if body.get(other):
            yield f"compaction: cannot be combined with `{other}`"
    if (body.get("output_config") or {}).get("format") or body.get("tool_choice", {}).get("type") in ("any", "tool"):
        yield "compaction: cannot be combined with a format or a forced tool"
    if not any(block.get("type") != "compaction" for message in body["messages"] for block in _blocks(message)):
        yield "messages: nothing to summarize (compaction_nothing_to_summarize)"


# ── the rest of the body ─────────────────────────────────────────────────────────────────────────


def _cache_marks(body: dict[str, Any]) -> Iterator[str]:
    system = body.get("system")
    blocks = list(system) if isinstance(system, list) else []
    blocks += body.get("tools", [])
    blocks += [block for message in body["messages"] for block in _blocks(message)]
    marked = [block for block in blocks if block.get("cache_control")]
    if any(block.get("type") in ("thinking", "redacted_thinking") for block in marked):
        yield "cache_control cannot be set for thinking blocks"
    marks = [block["cache_control"] for block in marked] + (
        [body["cache_control"]] if body.get("cache_control") else []
    )
    if len(marks) > 4:
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {len(marks)}."
    if any(mark.get("type") != "ephemeral" or mark.get("ttl", "5m") not in ("5m", "1h") for mark in marks):
        yield "cache_control: Input should be {'type': 'ephemeral'}"


def _tools(body: dict[str, Any]) -> Iterator[str]:
    tools = body.get("tools", [])
    names = [tool.get("name") for tool in tools]
    if len(set(names)) != len(names):
        yield "tools: Tool names must be unique."
    for at, tool in enumerate(tools):
        if not _TOOL_NAME.fullmatch(str(tool.get("name", ""))):
            yield f"tools.{at}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        schema = tool.get("input_schema")
        if "type" not in tool and (not isinstance(schema, dict) or schema.get("type") != "object"):
            yield f"tools.{at}.input_schema.type: Input should be 'object'"
        if isinstance(schema, dict) and schema.keys() & {"oneOf", "allOf", "anyOf"}:
            yield f"tools.{at}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
    choice = body.get("tool_choice")
    if choice and not tools:
        yield "tool_choice: may only be specified while providing tools"
    if choice and choice.get("type") in ("any", "tool") and preserves(body["model"]):
        yield "tool_choice: forced tool use is not supported for this model"
    used = any(block.get("type") == "tool_use" for message in body["messages"] for block in _blocks(message))
    if used and not tools:
        yield "tools: the conversation has tool_use blocks, but no tools are given"


def _thinking(body: dict[str, Any]) -> Iterator[str]:
    thinking, model = body.get("thinking") or {}, body["model"]
    kind = thinking.get("type")
    if thinking and kind not in ("adaptive", "enabled", "disabled", "between_tools"):
        yield "thinking.type: Input should be 'adaptive', 'enabled' or 'disabled'"
    if thinking.get("display", "omitted") not in ("summarized", "omitted"):
        yield "thinking.display: Input should be 'summarized' or 'omitted'"
    if kind == "adaptive" and not adapts(model):
        yield "adaptive thinking is not supported on this model"
    off = kind == "disabled" and "haiku" not in model
    if preserves(model) and (kind == "enabled" or off):
        yield f'"thinking.type.{kind}" is not supported for this model.'
    if kind == "enabled" and not 1024 <= thinking.get("budget_tokens", 0) < body["max_tokens"]:
        yield "thinking.enabled.budget_tokens: must be at least 1024 and less than max_tokens"
    effort = (body.get("output_config") or {}).get("effort")
    if effort is not None and (effort not in _EFFORTS or not adapts(model)):
        yield "output_config.effort: effort level not supported"


def _ending(body: dict[str, Any], resumable: Sequence[str]) -> Iterator[str]:
    """A final assistant message is a prefill, which today's models refuse, unless it resumes a paused turn."""
    role, blocks = merged(body["messages"])[-1]
    if role != "assistant" or fingerprint(blocks) in resumable or "compaction" in body:
        return
    if adapts(body["model"]):
        yield "This model does not support assistant message prefill. The conversation must end with a user message."
    if blocks and blocks[-1].get("type") in ("thinking", "redacted_thinking"):
        yield "messages: the final block in an assistant message cannot be `thinking`."
    if blocks and str(blocks[-1].get("text", "")).endswith((" ", "\n", "\t")):
        yield "messages: final assistant content cannot end with trailing whitespace"


# ── bound thinking ───────────────────────────────────────────────────────────────────────────────


def sign(body: dict[str, Any], before: Sequence[Mapping[str, Any]], text: str) -> str:
    """The signature of a thinking block that answers `body`, after the blocks `before` of the same answer."""
    turns = merged([*body["messages"], {"role": "assistant", "content": list(before)}])
    return f"{body['model']}.{_digest(body, turns, text)}"


def _bindings(body: dict[str, Any]) -> Iterator[str]:
    if not preserves(body["model"]):
        return
    turns = merged(body["messages"])
    for at, (role, blocks) in enumerate(turns):
        for number, block in enumerate(blocks):
            if block.get("type") != "thinking":
                continue
            model, _, digest = str(block["signature"]).rpartition(".")
            prefix = [*turns[:at], (role, blocks[:number])]
            if model == body["model"] and digest != _digest(body, prefix, block["thinking"]):
                yield (
                    f"messages.{at}.content.{number}: Invalid `signature` in `thinking` block. The block is bound to a "
                    "different conversation. Remove the block, or set "
                    '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block".'
                )


def _digest(body: dict[str, Any], turns: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], text: str) -> str:
    system = body.get("system") or ""
    said = system if isinstance(system, str) else "".join(block["text"] for block in system)
    turns = [(role, _bare(blocks)) for role, blocks in turns if blocks]
    return fingerprint([said, _bare(body.get("tools", [])), turns, text])


def _bare(blocks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in block.items() if key != "cache_control"} for block in blocks]


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def fingerprint(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]


def merged(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Turns: neighbouring messages of one role are one."""
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    for message in messages:
        if turns and turns[-1][0] == message["role"]:
            turns[-1] = (message["role"], [*turns[-1][1], *_blocks(message)])
        else:
            turns.append((message["role"], _blocks(message)))
    return turns


def preserves(model: str) -> bool:
    """Thinking of this model is bound to its prefix."""
    return bool(_PRESERVED.match(model))


def adapts(model: str) -> bool:
    """Takes adaptive thinking and effort: 4.6 and later."""
    version = _VERSION.match(model)
    return not model.startswith("claude-3") and (not version or (int(version[1]), int(version[2] or 0)) >= (4, 6))


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
