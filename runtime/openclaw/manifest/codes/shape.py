"""Keys and values that the schemas do not take."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes.code import Code

CODES: Final[dict[str, Code]] = {
    "unknown-key": Code(
        "The key has no meaning in this place.",
    ),
    "missing-key": Code(
        "A required key is missing.",
    ),
    "exclusive-keys": Code(
        "Of some keys exactly one may be given.",
    ),
    "empty-value": Code(
        "The key is there and has no value.",
    ),
    "wrong-type": Code(
        "The value is of another type than the key takes.",
    ),
    "wrong-value": Code(
        "The value is of the right type and outside what the key takes.",
    ),
}
