"""Answers in the form of OpenAI's chat completions: whole, in chunks, and errors. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response

from openclaw.control import words
from openclaw.control.feed import Told
from openclaw.control.problems import headers, plain
from openclaw.messages import Usage
from openclaw.ports import Problem

_TYPES = {401: "authentication_error", 402: "insufficient_quota", 403: "permission_error", 429: "rate_limit_error"}


class Visible:
    """The text of a turn as a reader of plain text gets it: what is void cannot be taken back, so a line parts it
    from what follows, as it parts what was said before a tool ran."""

    def __init__(self) -> None:
        self._piece = ""  # since the last parting
        self._parted = False

    def add(self, told: Sequence[Told]) -> str:
        new = ""
        for one in told:
            if one.name == "waiting":
                continue
            text = str(one.content.get("text", "")) if one.name == "text" else ""
            if one.name != "text" or one.content.get("restart"):
                self._parted, self._piece = self._parted or bool(self._piece), ""
            elif text:
                new += ("\n\n" if self._parted else "") + text
                self._parted, self._piece = False, self._piece + text
        return new

    def rest(self, reply: str) -> str:
        """What of the reply was not said yet."""
        said, whole = self._piece.strip(), reply.strip()
        if whole.startswith(said):
            return whole[len(said) :] if said else ("\n\n" if self._parted else "") + whole
        return f"\n\n{whole}"


class Said:
    """Answers in OpenAI's form."""

    def __init__(self, model: str, id: str, at: int) -> None:
        self._model = model
        self._id = f"chatcmpl-{id}"
        self._at = at

    def whole(self, text: str, reason: str, usage: Usage) -> words.Json:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": _usage(usage)}

    def begin(self) -> list[str]:
        return [self.chunk({"role": "assistant", "content": ""})]

    def chunk(self, delta: words.Json, reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def end(self, reason: str, usage: Usage | None) -> list[str]:
        last = [self.chunk({}, reason)]
        if usage is not None:
            last.append(_event({**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(usage)}))
        return [*last, "data: [DONE]\n\n"]

    def _head(self, kind: str) -> words.Json:
        return {"id": self._id, "object": kind, "created": self._at, "model": self._model}


def error(found: Problem, more: Mapping[str, Any], again: float) -> Response:
    """A problem as OpenAI's clients read it. One that would only cost another turn says not to try again."""
    told = {**headers(found, again), **({"x-should-retry": "false"} if more.get("final") else {})}
    return JSONResponse({"error": _error(found, more.get("param"))}, found.status, told)


def _error(found: Problem, param: Any = None) -> words.Json:
    kind = _TYPES.get(found.status, "server_error" if found.status >= 500 else "invalid_request_error")
    detail = found.detail or HTTPStatus(found.status).phrase
    return {"message": plain(detail), "type": kind, "param": param, "code": found.code}


def error_chunk(found: Problem) -> str:
    return _event({"error": _error(found)})


def _event(content: words.Json) -> str:
    return f"data: {words.line(content)}\n\n"


def _usage(usage: Usage) -> words.Json:
    prompt = usage.input + usage.cache_read + usage.cache_write
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
    }
