"""Mistakes of lines: indentation, keys without a colon or a space, leftovers of a merge, directives."""

from __future__ import annotations

import re

from openclaw.manifest.diagnostic import Diagnostic, error
from openclaw.manifest.syntax.failure import KEY, Failure, quoted
from openclaw.manifest.syntax.passed import tag

_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})(?: [^\r\n]*)?\r?$", re.MULTILINE)


def merge_conflict(stop: Failure) -> Diagnostic | None:
    marks = list(_CONFLICT.finditer(stop.source.text))
    if not any(mark.group(1) == "<<<<<<<" for mark in marks):
        return None
    lines = ", ".join(str(stop.source.place(mark.start())[0]) for mark in marks[:12])
    first = next(mark for mark in marks if mark.group(1) == "<<<<<<<")
    span = stop.to_end(first.start())
    return error(
        "yaml-conflict",
        span,
        "unresolved merge conflict",
        f"resolve the conflict ({len(marks)} markers: lines {lines})",
    )


def tab(stop: Failure) -> Diagnostic | None:
    for at in (stop.at, stop.since):
        line, _ = stop.source.place(at)
        text = stop.text_of(line)
        blank = text[: len(text) - len(text.lstrip())]
        tab = blank.find("\t")
        if tab < 0 and stop.source.text[at : at + 1] == "\t":
            tab = len(stop.before(at))
        if tab >= 0 and ("tab" in stop.words or "cannot start any token" in stop.words or at == stop.at):
            start = stop.source.starts[line - 1] + tab
            return error(
                "yaml-tab",
                stop.source.span(start, start + 1),
                "tab character used for indentation; YAML allows only spaces",
                "replace the tab with 2 spaces",
            )
    return None


def list_on_key_line(stop: Failure) -> Diagnostic | None:
    if "sequence entries are not allowed" not in stop.words:
        return None
    return error(
        "yaml-indent",
        stop.source.span(stop.at, stop.at + 1),
        "a list cannot start on the line of its key",
        "put each `- item` on a line of its own below the key, or write `[item, item]`; quote it if text is meant",
    )


def no_space_after_colon(stop: Failure) -> Diagnostic | None:
    """`name:planner`: read as text, so the next line's colon surprises the parser."""
    starts = [stop.since]
    if stop.last and stop.last.style == "" and stop.source.place(stop.last.start)[0] < stop.line:
        starts.insert(0, stop.last.start)
    for start in starts:
        found = re.compile(r"([A-Za-z_][\w-]*):([^\s:/][^\s]*)").match(stop.source.text, start)
        if found and not stop.before(start).strip(" -"):
            rest = stop.rest(start)[len(found.group(1)) + 1 :]
            span = stop.source.span(found.start(), found.end())
            return error(
                "yaml-colon",
                span,
                f"`{found.group()}` has no space after the colon, so it is not a key",
                f"write `{found.group(1)}: {_uncommented(rest)}`",
            )
    return None


def colon_in_text(stop: Failure) -> Diagnostic | None:
    if "mapping values are not allowed" not in stop.words:
        return None
    key = KEY.match(stop.before(stop.at)) or KEY.match(stop.line_text(stop.at))
    if key is None or key.end() > len(stop.before(stop.at)):
        return None
    value = _uncommented(stop.line_text(stop.at)[key.end() :])
    return error(
        "yaml-colon",
        stop.source.span(stop.at, stop.at + 1),
        "a `: ` inside an unquoted value starts a nested mapping",
        f"quote the whole value: `{key.group(1)}: {quoted(value)}`, or use a block: `{key.group(1)}: |`",
    )


def _uncommented(text: str) -> str:
    """Plain text without the comment behind it."""
    return re.split(r"\s#", text, maxsplit=1)[0].strip()


def block_text_dedented(stop: Failure) -> Diagnostic | None:
    last = stop.last
    if last is None or last.style not in ("|", ">") or "could not find expected ':'" not in stop.words:
        return None
    key = KEY.match(stop.before(last.start))
    whose = f" of `{key.group(1)}`" if key else ""
    return error(
        "yaml-block",
        stop.to_end(stop.since),
        f"text outside the block; the block{whose} ended above because this line is not indented",
        "indent this line by 2 spaces",
    )


def not_a_key(stop: Failure) -> Diagnostic | None:
    if "could not find expected ':'" not in stop.words:
        return None
    word = stop.rest(stop.since).split(" ")[0].rstrip()
    return error(
        "yaml-colon",
        stop.to_end(stop.since),
        "this line is neither `key: value` nor part of the value above",
        f"write `{word}: ...`, or indent the line if it continues the value above",
    )


def plain_text_line(stop: Failure) -> Diagnostic | None:
    """`name planner` above a real key: the two lines were read as one long text."""
    last = stop.last
    if "mapping values are not allowed" not in stop.words or last is None or last.style != "":
        return None
    line, _ = stop.source.place(last.start)
    if line == stop.line:
        return None
    if stop.before(last.start).strip(" -"):
        return _too_deep(stop, line)
    word = stop.rest(last.start).split(" ")[0].rstrip()
    return error(
        "yaml-colon",
        stop.to_end(last.start),
        f"no colon after `{word}`, so this line is not `key: value`",
        f"write `{word}: {_uncommented(stop.rest(last.start)[len(word) :])}`",
    )


def _too_deep(stop: Failure, above: int) -> Diagnostic:
    text = stop.line_text(stop.at)
    indent = len(text) - len(text.lstrip(" "))
    start = stop.source.starts[stop.line - 1] + indent
    line = stop.text_of(above)
    wanted = len(line) - len(line.lstrip(" -"))
    key = KEY.match(line)
    return error(
        "yaml-indent",
        stop.to_end(start),
        f"this line is indented {_spaces(indent)}, deeper than line {above}, which has a value already",
        f"align it with `{key.group(1)}` on line {above} ({_spaces(wanted)})" if key else None,
    )


def indentation(stop: Failure) -> Diagnostic | None:
    """A line that starts in a column no open mapping or list starts in."""
    indent = len(stop.before(stop.at))
    if stop.before(stop.at).strip(" ") or not stop.char or stop.char in "\r\n":
        return None
    dash = stop.char == "-" and stop.source.text[stop.at + 1 : stop.at + 2] in (" ", "\n", "\r")
    levels = _levels(stop, indent)
    if any(level == indent for level, _, _, _ in levels):
        what = "a list item among keys" if dash else "a key among list items"
        return error(
            "yaml-indent",
            stop.to_end(stop.at),
            f"{what}: one value is a list or a mapping, not both",
            "indent the line below its key, or remove the `- `" if dash else "indent the key below its item",
        )
    parent = next((key for level, key, _, _ in levels if level < indent), "")
    inner = next(((level, key, line) for level, key, line, _ in levels if level > indent), None)
    if inner is None:
        return error(
            "yaml-indent",
            stop.to_end(stop.at),
            f"this line is indented {_spaces(indent)}, and nothing above it is",
            "move it to column 1",
        )
    outer = next((level for level, _, _, _ in levels if level < indent), 0)
    above = (
        f"the keys of `{parent}` above are indented {inner[0]}"
        if parent
        else f"the lines above are indented {inner[0]}"
    )
    rest = f" and top-level keys {outer}" if outer == 0 else f" and the keys around it {outer}"
    return error(
        "yaml-indent",
        stop.to_end(stop.at),
        f"this line is indented {_spaces(indent)}; {above}{rest}",
        f"align it with `{inner[1]}` on line {inner[2]}, or move it to column {outer + 1}",
    )


def _levels(stop: Failure, indent: int) -> list[tuple[int, str, int, bool]]:
    """Indentations above the place, from the nearest line outwards: column offset, key, line, is it a list item."""
    found: dict[int, tuple[int, str, int, bool]] = {}
    least: int | None = None
    for number in range(stop.line - 1, max(0, stop.line - 400), -1):
        text = stop.text_of(number)
        key = KEY.match(text)
        item = text.lstrip(" ").startswith("- ")
        if not text.strip() or text.lstrip().startswith("#") or not (key or item):
            continue
        level = len(text) - len(text.lstrip(" "))
        if least is None or level < least:
            least = level
            found.setdefault(level, (level, key.group(1) if key else text.strip(), number, item))
    # The innermost deeper level is the one the line was probably meant for.
    return sorted(found.values(), key=lambda each: -each[0]) if indent else list(found.values())


def directive(stop: Failure) -> Diagnostic | None:
    if stop.source.text[stop.since : stop.since + 1] != "%" and not stop.source.text.startswith("%"):
        return None
    at = stop.since if stop.source.text[stop.since : stop.since + 1] == "%" else 0
    return error(
        "yaml-character",
        stop.to_end(at),
        "a line that starts with `%` is a YAML directive; manifests have none",
        "remove the line, or quote it if it is text",
    )


def after_document(stop: Failure) -> Diagnostic | None:
    if "document start" not in stop.words:
        return None
    first = next((n for n in range(1, stop.line) if KEY.match(stop.text_of(n))), 0)
    text = stop.text_of(first)
    if first and text.startswith(" ") and not stop.before(stop.at):
        indent = len(text) - len(text.lstrip(" "))
        return error(
            "yaml-indent",
            stop.to_end(stop.at),
            f"this line is not indented; the keys above it are indented {indent}",
            "move the keys above to column 1, as this one is",
        )
    return error(
        "yaml-documents",
        stop.to_end(stop.at),
        "the manifest ended above, and text follows",
        "remove the `...` line, or what follows it",
    )


def tag_words(stop: Failure) -> Diagnostic | None:
    if "tag" not in stop.words or stop.source.text[stop.since : stop.since + 1] != "!":
        return None
    written = re.compile(r"\S+").match(stop.source.text, stop.since)
    word = written.group() if written else "!"
    key = KEY.match(stop.before(stop.since))
    return tag(
        word,
        word,
        stop.rest(stop.since)[len(word) :].strip(),
        key.group(1) if key else None,
        stop.source.span(stop.since, stop.since + len(word)),
    )


def anything(stop: Failure) -> Diagnostic:
    at = stop.at
    while at > 0 and at >= len(stop.source.text.rstrip()):
        at -= 1
    return error(
        "yaml",
        stop.to_end(at),
        "this cannot be read as YAML from here on",
        "check quotes, colons and indentation here and on the line above",
    )


def _spaces(count: int) -> str:
    return f"{count} space" if count == 1 else f"{count} spaces"
