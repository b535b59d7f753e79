"""What a request in OpenAI's form asks for: which agent, on whose behalf, and which words reach it. Pure.

Law: what cannot be honoured and would change the answer is refused by name; what only tunes a model is ignored. Every
line of a conversation that a program sends along carries whose it is, so that no line can pass for another's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openclaw.control.bodies import is_text
from openclaw.control.problems import Unserved
from openclaw.ports import Problem

NAME = "openclaw"  # the model that is the default agent; `openclaw/<agent>` is another
_INSTRUCTING = ("system", "developer")
_ROLES = (*_INSTRUCTING, "user", "assistant")
_REFUSED: Mapping[str, str] = {
    "tools": "the agent brings its own tools",
    "functions": "the agent brings its own tools",
    "audio": "an answer is text",
    "logprobs": "there are none",
    "top_logprobs": "there are none",
    "prediction": "an answer is not edited",
    "web_search_options": "the agent brings its own tools",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """`agent` None: whoever answers `user` here. `text` is what reaches the agent."""

    model: str
    agent: str | None
    user: str | None
    text: str
    stream: bool
    usage: bool  # whether a stream tells what was used


def wrong(detail: str, param: str | None, status: int = 400, code: str = "bad_field") -> Unserved:
    return Unserved(Problem(status, code, detail), param=param)


def read(body: Mapping[str, Any], agents: Sequence[str], default: str | None) -> Asked:
    """`agents` are those that answer here, and `default` the one of them that does where none is named; raises what is
    wrong with the request."""
    _refuse(body)
    model, user = _text(body, "model"), _text(body, "user")
    if not model:
        raise wrong("`model` is missing; GET /v1/models lists what there is", "model")
    turns = _turns(body.get("messages"))
    # Whoever is named may have chosen somebody, or begin with a prefix: the model itself need not answer here.
    agent = None if user and model == NAME else agent_of(model, agents, default)
    options = body.get("stream_options") or {}
    usage = isinstance(options, Mapping) and options.get("include_usage") is True
    stream = _truth(body, "stream")
    if user:
        return Asked(model, agent, user, _last(turns), stream, usage)
    return Asked(model, agent or default, None, _whole(turns), stream, usage)


def agent_of(model: str, agents: Sequence[str], default: str | None) -> str | None:
    """The agent that a model's name means; None for the default one."""
    if model == NAME and default is not None:
        return None
    agent = model.removeprefix(f"{NAME}/")
    if agent not in agents:
        known = ", ".join(names(agents, default))
        hint = f"there are: {known}" if known else "no agent answers here"
        raise wrong(f"there is no model `{model}` here; {hint}", "model", 404, "model_not_found")
    return agent


def names(agents: Sequence[str], default: str | None) -> list[str]:
    """The models there are, where these agents answer."""
    return [*([NAME] if default is not None else []), *(f"{NAME}/{agent}" for agent in agents)]


def _refuse(body: Mapping[str, Any]) -> None:
    for name, why in _REFUSED.items():
        if body.get(name):
            raise wrong(f"`{name}` is not supported: {why}", name, code="unsupported")
    count = body.get("n")
    if count not in (None, 1):
        raise wrong("`n` is not supported: there is one answer", "n", code="unsupported")
    form = body.get("response_format")
    if form is not None and not (isinstance(form, Mapping) and form.get("type") == "text"):
        raise wrong("`response_format` is not supported: an answer is text", "response_format", code="unsupported")
    if body.get("modalities") not in (None, ["text"]):
        raise wrong("`modalities` is not supported: an answer is text", "modalities", code="unsupported")


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, str) and is_text(value)):
        raise wrong(f"`{name}` must be text", name)
    return value


def _truth(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool | None):
        raise wrong(f"`{name}` must be true or false", name)
    return bool(value)


# ── the conversation ─────────────────────────────────────────────────────────────────────────────


def _turns(messages: Any) -> list[tuple[str, str]]:
    """Role and text of each message."""
    if not isinstance(messages, list) or not messages:
        raise wrong("`messages` must be a list with at least one message", "messages")
    turns = [_turn(message, f"messages[{index}]") for index, message in enumerate(messages)]
    if not any(role == "user" and text.strip() for role, text in turns):
        raise wrong("`messages` has no text of a user", "messages", code="empty")
    return turns


def _turn(message: Any, where: str) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        raise wrong(f"`{where}` must be an object", where)
    role = message.get("role")
    if role not in _ROLES:
        raise wrong(f"`{where}.role` must be one of: {', '.join(_ROLES)}", f"{where}.role")
    if message.get("tool_calls"):
        raise wrong(f"`{where}.tool_calls` is not supported: the agent brings its own tools", where, code="unsupported")
    return role, _content(message.get("content"), f"{where}.content", role)


def _content(content: Any, where: str, role: str) -> str:
    match content:
        case None if role == "assistant":
            return ""
        case str() if is_text(content):
            return content
        case list():
            return "\n".join(_part(part, f"{where}[{index}]") for index, part in enumerate(content))
    raise wrong(f"`{where}` must be text, or a list of text parts", where)


def _part(part: Any, where: str) -> str:
    match part:
        case {"type": "text", "text": str(text)} if is_text(text):
            return text
        case {"type": str(kind)} if kind != "text" and is_text(kind):
            raise wrong(f"`{where}` is a part of type {kind[:40]}; only text is taken here", where, code="unsupported")
    raise wrong(f"`{where}` must be a part with `type` text and its `text`", where)


def _last(turns: Sequence[tuple[str, str]]) -> str:
    return next(text for role, text in reversed(turns) if role == "user")


def _whole(turns: Sequence[tuple[str, str]]) -> str:
    """The conversation as one text that no command is read from."""
    if len(turns) == 1:
        text = turns[0][1]
        return f" {text}" if text.startswith("/") else text
    told = [_marked(role, text) for role, text in turns if role in _INSTRUCTING]
    said = [_marked(role, text) for role, text in turns if role not in _INSTRUCTING]
    rules = ["Instructions of the program through which you are asked:", *told, ""] if told else []
    return "\n".join([*rules, "The conversation so far:", *said, "", "Answer its last message."])


def _marked(role: str, text: str) -> str:
    who = "program" if role in _INSTRUCTING else role
    return "\n".join(f"{who}| {line}" for line in text.splitlines() or [""])
