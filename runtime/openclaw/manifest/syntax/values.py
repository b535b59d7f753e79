"""Mistakes inside a value: quotes, escapes, brackets, and characters that mean something at its start."""

from __future__ import annotations

import re

from openclaw.manifest.diagnostic import Diagnostic, error, see
from openclaw.manifest.source import Source
from openclaw.manifest.syntax.failure import KEY, Failure, quoted, without_comment
from openclaw.manifest.syntax.passed import template

_CLOSING = {"[": "]", "{": "}"}
_CRON = re.compile(r"(?:[*?][^\s#]*)(?:[ \t]+[-*/,0-9A-Za-z?#]+){1,5}")


def template_braces(stop: Failure) -> Diagnostic | None:
    """`shell: {program} -h`, `prefix: [a] b`: the value was read as a collection, and text follows it."""
    last = stop.last
    if (
        last is None
        or last.style not in ("{", "[")
        or last.end > stop.at
        or stop.source.text[last.end : stop.at].strip(" ")
    ):
        return None
    if stop.char in "]}":
        return error(
            "yaml-bracket",
            stop.source.span(stop.at, stop.at + 1),
            f"this `{stop.char}` closes nothing",
            "remove it, or add the opening bracket before it",
        )
    what = "mapping" if last.style == "{" else "list"
    if stop.source.text.startswith("{{", last.start):
        return template(stop.source, last.start)
    return error(
        "yaml-bracket",
        stop.source.span(last.start, last.end),
        f"a value that starts with `{last.style}` is a YAML {what}, and text follows it",
        f"quote the whole value: {quoted(stop.rest(last.start))}",
    )


def text_after_quote(stop: Failure) -> Diagnostic | None:
    last = stop.last
    if last is None or last.style not in ("'", '"') or last.end > stop.at:
        return None
    if stop.source.text[last.end : stop.at].strip(" "):
        return None
    if "\n" in stop.source.text[last.start : last.end] or "\r" in stop.source.text[last.start : last.end]:
        return _never_closed(stop.source, last.start)
    if stop.char in "\r\n" or not stop.char:
        return None
    value = stop.before(last.start)
    whole = stop.rest(last.start).split(" #")[0].rstrip()
    key = f"{value.strip()} " if value.strip() else ""
    if whole.count(last.style) == 2 or whole[0] == whole[-1]:
        whole = whole.replace(last.style, "") if whole.count(last.style) == 2 else whole[1:-1]
    return error(
        "yaml-quote",
        stop.to_end(stop.at),
        "text after the closing quote of a value",
        f"quote the whole value: `{key}{quoted(whole)}`",
    )


def unclosed_quote(stop: Failure) -> Diagnostic | None:
    quote = stop.source.text[stop.since : stop.since + 1]
    if quote not in ("'", '"') or "scalar" not in stop.words:
        return None
    if "end of stream" in stop.words or "document" in stop.words:
        return _never_closed(stop.source, stop.since)
    return None


def _never_closed(source: Source, start: int) -> Diagnostic:
    quote = source.text[start]
    line, _ = source.place(start)
    name = "single" if quote == "'" else "double"
    return error(
        "yaml-quote",
        source.span(start, start + 1),
        f"this {name} quote is never closed",
        f"add the closing `{quote}` on line {line}",
    )


def escape(stop: Failure) -> Diagnostic | None:
    text = stop.source.text
    if text[stop.since : stop.since + 1] != '"' or "scalar" not in stop.words:
        return None
    slash = stop.at if stop.char == "\\" else text.rfind("\\", stop.since, stop.at)
    if slash < 0:
        return None
    closing = re.compile(r'"(?:[^"\\]|\\.)*"').match(text, stop.since)
    value = closing.group()[1:-1] if closing else text[stop.since + 1 : slash + 2]
    quoted = "'" + value.replace("'", "''") + "'"
    key = re.search(r"[^\s{\[,]+: +$", stop.before(stop.since))
    return error(
        "yaml-escape",
        stop.source.span(slash, slash + 2),
        f"`{text[slash : slash + 2]}` is not an escape YAML knows in double quotes",
        f"use single quotes: `{key.group() if key else ''}{quoted}`",
    )


def star(stop: Failure) -> Diagnostic | None:
    if "scanning an alias" not in stop.words or stop.source.text[stop.since : stop.since + 1] != "*":
        return None
    rest = re.split(r",\s|[\]}]", without_comment(stop.rest(stop.since)))[0].rstrip().rstrip(",")
    key = stop.before(stop.since).lstrip()
    looks = "; this looks like a cron expression" if _CRON.fullmatch(rest) else ""
    span = stop.source.span(stop.since, stop.since + max(1, len(rest)))
    shown = key if key.endswith(": ") and "[" not in key else ""
    return error(
        "yaml-alias", span, f"a value that starts with `*` is a YAML alias{looks}", f'quote it: `{shown}"{rest}"`'
    )


def ampersand(stop: Failure) -> Diagnostic | None:
    if "scanning an anchor" not in stop.words:
        return None
    return error(
        "yaml-character",
        stop.to_end(stop.since),
        "a value that starts with `&` is a YAML anchor",
        f"quote it: {quoted(stop.rest(stop.since))}",
    )


def reserved_start(stop: Failure) -> Diagnostic | None:
    if "cannot start any token" not in stop.words or stop.char not in "@`%":
        return None
    return error(
        "yaml-character",
        stop.to_end(stop.at),
        f"a value cannot start with `{stop.char}` unless it is quoted",
        f"quote it: {quoted(stop.rest(stop.at))}",
    )


def question_mark(stop: Failure) -> Diagnostic | None:
    if "mapping keys are not allowed" not in stop.words:
        return None
    return error(
        "yaml-character",
        stop.to_end(stop.at),
        "a value that starts with `? ` is a YAML key",
        f"quote it: {quoted(stop.rest(stop.at))}",
    )


def block_header(stop: Failure) -> Diagnostic | None:
    if "block scalar" not in stop.words:
        return None
    sign = stop.source.text[stop.since : stop.since + 1]
    return error(
        "yaml-block",
        stop.to_end(stop.since),
        f"`{sign}` starts a block of text, which begins on the next line",
        f"quote the value: {quoted(stop.rest(stop.since))}; or move the text to the next line, indented",
    )


def placeholder(stop: Failure) -> Diagnostic | None:
    """`{token: ${TOKEN}}`: inside brackets the braces of a placeholder are YAML's."""
    start = stop.at - 1
    if stop.opened is None or not stop.source.text.startswith("${", max(start, 0)):
        return None
    written = re.match(r"\$\{[^}\s]*\}?", stop.rest(start))
    word = written.group() if written else "${"
    return error(
        "yaml-character",
        stop.source.span(start, start + len(word)),
        "inside `{ }` and `[ ]` a placeholder must be quoted",
        f'quote it: "{word}"',
    )


def wrong_bracket(stop: Failure) -> Diagnostic | None:
    if stop.opened is None or "flow" not in stop.words or not stop.char or stop.char not in "]}":
        return None
    opening = stop.source.text[stop.opened]
    if stop.char == _CLOSING[opening]:
        return None
    return error(
        "yaml-bracket",
        stop.source.span(stop.at, stop.at + 1),
        f"`{stop.char}` cannot close a `{opening}`",
        f"write `{_CLOSING[opening]}` here",
        [see(stop.source.span(stop.opened, stop.opened + 1), "opened here")],
    )


def missing_comma(stop: Failure) -> Diagnostic | None:
    if stop.opened is None or "flow" not in stop.words or not stop.char or not _closes_later(stop, stop.opened):
        return None
    return error(
        "yaml-bracket",
        stop.source.span(stop.at, stop.at + 1),
        "a comma is missing before this",
        f"separate what stands in `{stop.source.text[stop.opened]}...` with commas",
    )


def _closes_later(stop: Failure, opened: int) -> bool:
    """Whether the bracket is closed before the next key that stands no deeper than its own line."""
    first = stop.source.place(opened)[0]
    closing = _CLOSING[stop.source.text[opened]]
    line = stop.text_of(first)
    indent = len(line) - len(line.lstrip(" "))
    if closing in stop.rest(stop.at):
        return first == stop.line or not _is_key(stop.text_of(stop.line), indent)
    for number in range(stop.line + 1, min(stop.line + 1000, len(stop.source.starts) + 1)):
        text = stop.text_of(number)
        if _is_key(stop.text_of(stop.line), indent) or _is_key(text, indent):
            return False
        if closing in text:
            return True
    return False


def _is_key(text: str, indent: int) -> bool:
    return KEY.match(text) is not None and len(text) - len(text.lstrip(" ")) <= indent


def open_bracket(stop: Failure) -> Diagnostic | None:
    if stop.opened is None or not ("flow" in stop.words or stop.at >= len(stop.source.text.rstrip())):
        return None
    closing = _CLOSING[stop.source.text[stop.opened]]
    after = _last_on_line(stop, stop.opened)
    return error(
        "yaml-bracket",
        stop.source.span(stop.opened, stop.opened + 1),
        f"this `{stop.source.text[stop.opened]}` is never closed",
        f"add `{closing}` after `{after}`" if after else f"add the closing `{closing}`",
    )


def _last_on_line(stop: Failure, opened: int) -> str:
    """The last word that surely belongs to an unclosed bracket: what stands on its own line."""
    line = without_comment(stop.rest(opened)).rstrip(" ,")
    return line.lstrip("[{ ").split(", ")[-1].strip()


def flow_value(stop: Failure) -> Diagnostic | None:
    if "node content" not in stop.words and "flow node" not in stop.words:
        return None
    if stop.char and stop.char in "]},":
        return error(
            "yaml-bracket",
            stop.source.span(stop.at, stop.at + 1),
            f"`{stop.char}` stands where a value is expected",
            "remove it, or quote it if text is meant",
        )
    return None
