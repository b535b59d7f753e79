"""The project's .env: values for placeholders and the model's key, and nothing that configures the runtime.

A file that comes with a project must not be able to redirect requests or the state folder, so such
names are ignored, with a warning.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from openclaw.manifest.diagnostic import Diagnostic, Span, error, warning

if TYPE_CHECKING:
    from dotenv.parser import Binding

    from openclaw.manifest.folder import Folder

_CONFIGURES = re.compile(r"OPENCLAW_.*|.*_BASE_URL|(?:.*_)?PROXY", re.IGNORECASE)


def variables(folder: Folder) -> dict[str, str]:
    return {
        binding.key: binding.value
        for binding in _bindings(folder)
        if binding.key and binding.value is not None and not binding.error and not _CONFIGURES.fullmatch(binding.key)
    }


def check(folder: Folder) -> Iterator[Diagnostic]:
    if ".env" in folder.files and _text(folder) is None:
        yield error("encoding", Span(".env"), ".env is not UTF-8 text", "save the file as UTF-8")
    for binding in _bindings(folder):
        leading = binding.original.string[: len(binding.original.string) - len(binding.original.string.lstrip())]
        line = binding.original.line + leading.count("\n")
        if binding.error:
            # The line may hold half a secret: it is never shown.
            yield error(
                "env-file",
                Span(".env", line, 1, line, 2),
                "this line is not NAME=value",
                "write NAME=value, in quotes if it holds spaces",
            )
        elif binding.key and _CONFIGURES.fullmatch(binding.key):
            yield warning(
                "env-ignored",
                Span(".env", line, 1, line, 1 + len(binding.key)),
                f"`{binding.key}` is ignored here: .env does not configure the runtime",
                "set it in the real environment, or say it in a manifest",
            )


def _text(folder: Folder) -> str | None:
    try:
        return folder.files.get(".env", b"").decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _bindings(folder: Folder) -> list[Binding]:
    text = _text(folder)
    if not text:
        return []
    from dotenv.parser import parse_stream

    return list(parse_stream(io.StringIO(text)))
