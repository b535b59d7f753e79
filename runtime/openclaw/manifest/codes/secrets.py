"""Placeholders, the environment, and what must not be written down."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code

CODES: Final[dict[str, Code]] = {
    "placeholder": Code(
        "Placeholders are written ${NAME}, ${NAME:-default} or ${file:PATH}.",
    ),
    "placeholder-place": Code(
        "Names, descriptions, prompts, policies, commands and lists of tools take no placeholders.",
    ),
    "variable-unset": Code(
        "The environment variable has no value, neither in the environment nor in .env.",
    ),
    "secret-file": Code(
        "The file named by ${file:PATH} cannot be read.",
    ),
    "secret-literal": Code(
        "A secret stands in the file; manifests are shared, so it belongs in the environment.",
    ),
    "env-file": Code(
        "Lines of .env are NAME=value.",
    ),
    "env-ignored": Code(
        ".env gives values for placeholders and the model's key; it never configures the runtime.",
    ),
}
