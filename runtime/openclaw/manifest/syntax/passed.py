"""Mistakes that a parser lets pass: tags, and collections where a key belongs."""

from __future__ import annotations

import re

from openclaw.manifest.diagnostic import Diagnostic, Span, error
from openclaw.manifest.nodes import MapNode, Node
from openclaw.manifest.source import Source
from openclaw.manifest.syntax.failure import KEY, LONGEST, quoted

_TEMPLATE = re.compile(r"\{\{.*?\}\}")
_HOLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def tag(written: str, full: str, text: str | None, key: str | None, span: Span, flow: bool = False) -> Diagnostic:
    """A tag: usually a `!prefix` that wanted quotes, or another tool's `!env`."""
    quote = '"' if flow else ""  # inside brackets the braces of a placeholder are YAML's
    if "python" in full or "python" in written:
        return error("yaml-tag", span, "Python tags are not allowed in manifests", "remove the tag")
    if text is not None and not text:
        whose = f"so `{key}` has no value" if key else "so there is no value"
        shown = f"{key}: " if key else ""
        return error("yaml-tag", span, f"`{written}` is read as a YAML tag, {whose}", f'quote it: `{shown}"{written}"`')
    if text and written.lower() in ("!env", "!env_var", "!envvar", "!secret", "!vault", "!var"):
        return error(
            "yaml-tag",
            span,
            f"unknown tag `{written}`",
            f"this runtime reads environment variables as `{quote}${{{text.split()[0]}}}{quote}`",
        )
    if text and written.lower() in ("!include", "!file"):
        return error(
            "yaml-tag",
            span,
            f"unknown tag `{written}`",
            f"this runtime reads files as `{quote}${{file:{text.split()[0]}}}{quote}`",
        )
    return error("yaml-tag", span, f"unknown tag `{written}`", "remove the tag, or quote the whole value if it is text")


def complex_key(source: Source, outer: int, key: Node, flow: bool) -> Diagnostic:
    """A collection where a key belongs: nearly always an unquoted `{{ template }}`."""
    if flow and isinstance(key, MapNode) and source.text.startswith("{{", outer):
        return template(source, outer)
    what = "a mapping" if isinstance(key, MapNode) else "a list"
    return error("yaml-key", key.span, f"a key is text, and this is {what}", "quote it if text is meant")


def template(source: Source, start: int) -> Diagnostic:
    line, column = source.place(start)
    text = source.line(line)[:LONGEST]
    key = KEY.match(text[: column - 1])
    shown = f"{key.group(1)}: " if key else ""
    value = text[column - 1 :]
    before, how = text[: column - 1], "quote it"
    if before.count("{") > before.count("}") and (whole := _TEMPLATE.match(value)):
        value, shown = whole.group(), ""  # what follows belongs to the mapping around it
    if before.rstrip().endswith("shell:"):
        # The program itself cannot be a placeholder: one stands before it for the reader's own.
        value = "echo " + _HOLE.sub(r"{\1}", value)
        how = "quote it, and name the program first"
    return error(
        "yaml-bracket",
        source.span(start, start + 2),
        "`{{` is read as a YAML mapping, not as a template",
        f"{how}: `{shown}{quoted(value)}`",
    )
