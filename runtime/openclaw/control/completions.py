"""What goes over the line in OpenAI's form, as JSON Schema. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from openclaw.control.notation import COUNT, OPEN, TEXT, YES, Schema, any_, list_, object_, ref

_REASON: Final[Schema] = {"enum": ["stop", "length"]}
_PART: Final[Schema] = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": TEXT},
    "required": ["type", "text"],
}

COMPLETIONS: Final[Mapping[str, Schema]] = {
    "ChatMessage": {
        "type": "object",
        "properties": {
            "role": {"enum": ["system", "developer", "user", "assistant"]},
            "content": {"anyOf": [TEXT, list_(_PART), {"type": "null"}]},
            "name": TEXT,
        },
        "required": ["role"],
    },
    "ChatRequest": {
        "type": "object",
        "description": "Other members, such as `temperature` and `max_tokens`, are accepted and ignored. `tools`, "
        "`functions`, `n` above 1, another `response_format` than text, `logprobs`, `audio` are refused.",
        "properties": {
            "model": {**TEXT, "description": "`openclaw/<agent>`, the agent's id alone, or `openclaw`: the default."},
            "messages": {**list_(ref("ChatMessage")), "minItems": 1},
            "stream": any_(YES),
            "stream_options": any_({"type": "object", "properties": {"include_usage": YES}}),
            "user": any_({**TEXT, "description": "The sender whose session the last message of the user enters."}),
        },
        "required": ["model", "messages"],
    },
    "OpenAIUsage": object_(
        prompt_tokens=COUNT,
        completion_tokens=COUNT,
        total_tokens=COUNT,
        prompt_tokens_details=object_(cached_tokens=COUNT),
    ),
    "Completion": object_(
        id=TEXT,
        object={"const": "chat.completion"},
        created=COUNT,
        model=TEXT,
        choices=list_(
            object_(
                index={"const": 0},
                message=object_(role={"const": "assistant"}, content=TEXT, refusal={"type": "null"}),
                logprobs={"type": "null"},
                finish_reason=_REASON,
            )
        ),
        usage=ref("OpenAIUsage"),
    ),
    "Chunks": {
        "type": "object",
        "description": "Each server-sent event.",
        "properties": {
            "data": {**TEXT, "description": "A chunk of the completion, or an object with `error`; last `[DONE]`."}
        },
    },
    "Model": object_(id=TEXT, object={"const": "model"}, created=COUNT, owned_by=TEXT),
    "Models": object_(object={"const": "list"}, data=list_(ref("Model"))),
    "OpenAIError": object_(
        error={
            **OPEN,
            "properties": {"message": TEXT, "type": TEXT, "param": any_(TEXT), "code": TEXT},
            "required": ["message", "type", "param", "code"],
        }
    ),
}
