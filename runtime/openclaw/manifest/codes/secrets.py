"""Placeholders, the environment, and what must not be written down."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code
from openclaw.manifest.codes.sound import channels, heartbeat

_TOKEN: Final = "channels:\n  web:\n    kind: http\n    token: ${WEB_TOKEN}\n"
_IN_A_FILE: Final = _TOKEN.replace("WEB_TOKEN", "file:web-token")

CODES: Final[dict[str, Code]] = {
    "placeholder": Code(
        "Placeholders are written ${NAME}, ${NAME:-default} or ${file:PATH}.",
        bad=channels("channels:\n  web:\n    kind: http\n    token: ${WEB_TOKEN\n"),
        good=channels("channels:\n  web:\n    kind: http\n    token: ${WEB_TOKEN:-}\n"),
    ),
    "placeholder-place": Code(
        "Names, descriptions, prompts, policies, commands and lists of tools take no placeholders.",
        bad=heartbeat('cron: "0 8 * * *"\nprompt: What is new on ${SITE}?'),
        good=heartbeat('cron: "0 8 * * *"\nprompt: What is new on our site?'),
    ),
    "variable-unset": Code(
        "The environment variable has no value, neither in the environment nor in .env.",
        bad=channels(_TOKEN),
        good={
            **channels(_TOKEN),
            ".env": "WEB_TOKEN=stands-in-for-a-long-random-one\n",
        },
    ),
    "secret-file": Code(
        "The file named by ${file:PATH} cannot be read.",
        bad=channels(_IN_A_FILE),
        good={
            **channels(_IN_A_FILE),
            "web-token": "stands-in-for-a-long-random-one\n",
        },
    ),
    "secret-literal": Code(
        "A secret stands in the file; manifests are shared, so it belongs in the environment.",
        bad=channels("channels:\n  web:\n    kind: http\n    token: stands-in-for-a-long-random-one\n"),
        good=channels("channels:\n  web:\n    kind: http\n    token: ${WEB_TOKEN:-}\n"),
    ),
    "env-file": Code(
        "Lines of .env are NAME=value.",
        bad={".env": "WEB_TOKEN stands-in\n"},
        good={".env": "WEB_TOKEN=stands-in\n"},
    ),
    "env-ignored": Code(
        ".env gives values for placeholders and the model's key; it never configures the runtime.",
        bad={".env": "OPENCLAW_STATE=/tmp/elsewhere\n"},
        good={".env": "ANTHROPIC_API_KEY=stands-in\n"},
    ),
}
