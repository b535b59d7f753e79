"""Why a file is not YAML, in the words of the person who wrote it.

A parser says where it gave up; the mistake is often elsewhere. Each function below recognises one kind
of mistake from the text around that place and says so, or passes; the first that speaks is heard. Both
loaders end here, so nothing is taken from a parser's message but the kind of failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from openclaw.manifest.diagnostic import Diagnostic, Span, error, see
from openclaw.manifest.nodes import MapNode, Node
from openclaw.manifest.source import Source

_KEY = re.compile(r"[ ]*(?:- +)*([^\s:#'\"\[\]{},][^:#]*?) *:(?=[ \t]|$)")
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})(?: .*)?$", re.MULTILINE)
_CRON = re.compile(r"(?:[*?][^\s#]*)(?:[ \t]+[-*/,0-9A-Za-z?#]+){1,5}")


@dataclass(frozen=True, slots=True)
class Seen:
    """The last value that was read whole: where, and its opening character ("" for plain text)."""

    start: int
    end: int
    style: str


@dataclass(frozen=True, slots=True)
class _Failure:
    """Where the parser gave up (`at`), where what it was reading began (`since`), and its words, lower case."""

    source: Source
    at: int
    since: int
    words: str
    last: Seen | None

    @property
    def char(self) -> str:
        return self.source.text[self.at : self.at + 1]

    @property
    def line(self) -> int:
        return self.source.place(self.at)[0]

    def line_text(self, at: int) -> str:
        return self.source.line(self.source.place(at)[0])

    def before(self, at: int) -> str:
        """The text left of a place on its line."""
        line, column = self.source.place(at)
        return self.source.line(line)[: column - 1]

    def rest(self, at: int) -> str:
        """The text from a place to the end of its line."""
        line, column = self.source.place(at)
        return self.source.line(line)[column - 1 :]

    def to_end(self, at: int) -> Span:
        return self.source.span(at, at + len(re.sub(r"\s+(#.*)?$", "", self.rest(at))))


def explain(source: Source, failure: Exception, last: Seen | None) -> Diagnostic:
    problem: Any = getattr(failure, "problem_mark", None)
    context: Any = getattr(failure, "context_mark", None)
    words = f"{getattr(failure, 'context', '')} {getattr(failure, 'problem', failure)}".lower()
    size = len(source.text)
    at = min(problem.index if problem else size, size)
    stop = _Failure(source, at, min(context.index, size) if context else at, words, last)
    return next(said for look in _LOOKS if (said := look(stop)) is not None)


# ── one function, one kind of mistake ────────────────────────────────────────────────────────────


def _merge_conflict(stop: _Failure) -> Diagnostic | None:
    marks = list(_CONFLICT.finditer(stop.source.text))
    if not any(mark.group(1) == "<<<<<<<" for mark in marks):
        return None
    lines = ", ".join(str(stop.source.place(mark.start())[0]) for mark in marks[:12])
    first = next(mark for mark in marks if mark.group(1) == "<<<<<<<")
    span = stop.source.span(first.start(), first.end())
    return error(
        "yaml-conflict",
        span,
        "unresolved merge conflict",
        f"resolve the conflict ({len(marks)} markers: lines {lines})",
    )


def _tab(stop: _Failure) -> Diagnostic | None:
    for at in (stop.at, stop.since):
        line, _ = stop.source.place(at)
        text = stop.source.line(line)
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


def _template_braces(stop: _Failure) -> Diagnostic | None:
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
        return _template(stop.source, last.start)
    return error(
        "yaml-bracket",
        stop.source.span(last.start, last.end),
        f"a value that starts with `{last.style}` is a YAML {what}, and text follows it",
        f"quote the whole value: {_quoted(stop.rest(last.start))}",
    )


def _text_after_quote(stop: _Failure) -> Diagnostic | None:
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
        f"quote the whole value: `{key}{_quoted(whole)}`",
    )


def _unclosed_quote(stop: _Failure) -> Diagnostic | None:
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


def _escape(stop: _Failure) -> Diagnostic | None:
    text = stop.source.text
    if text[stop.since : stop.since + 1] != '"' or "scalar" not in stop.words:
        return None
    slash = stop.at if stop.char == "\\" else text.rfind("\\", stop.since, stop.at)
    if slash < 0:
        return None
    closing = re.compile(r'"(?:[^"\\]|\\.)*"').match(text, stop.since)
    value = closing.group()[1:-1] if closing else text[stop.since + 1 : slash + 2]
    quoted = "'" + value.replace("'", "''") + "'"
    key = stop.before(stop.since).lstrip()
    return error(
        "yaml-escape",
        stop.source.span(slash, slash + 2),
        f"`{text[slash : slash + 2]}` is not an escape YAML knows in double quotes",
        f"use single quotes: `{key}{quoted}`",
    )


def _star(stop: _Failure) -> Diagnostic | None:
    if "scanning an alias" not in stop.words or stop.source.text[stop.since : stop.since + 1] != "*":
        return None
    rest = re.split(r"\s+#|,\s|[\]}]", stop.rest(stop.since))[0].rstrip().rstrip(",")
    key = stop.before(stop.since).lstrip()
    looks = "; this looks like a cron expression" if _CRON.fullmatch(rest) else ""
    span = stop.source.span(stop.since, stop.since + max(1, len(rest)))
    shown = key if key.endswith(": ") and "[" not in key else ""
    return error(
        "yaml-alias", span, f"a value that starts with `*` is a YAML alias{looks}", f'quote it: `{shown}"{rest}"`'
    )


def _ampersand(stop: _Failure) -> Diagnostic | None:
    if "scanning an anchor" not in stop.words:
        return None
    return error(
        "yaml-character",
        stop.to_end(stop.since),
        "a value that starts with `&` is a YAML anchor",
        f"quote it: {_quoted(stop.rest(stop.since))}",
    )


def _reserved_start(stop: _Failure) -> Diagnostic | None:
    if "cannot start any token" not in stop.words or stop.char not in "@`%":
        return None
    return error(
        "yaml-character",
        stop.to_end(stop.at),
        f"a value cannot start with `{stop.char}` unless it is quoted",
        f"quote it: {_quoted(stop.rest(stop.at))}",
    )


def _question_mark(stop: _Failure) -> Diagnostic | None:
    if "mapping keys are not allowed" not in stop.words:
        return None
    return error(
        "yaml-character",
        stop.to_end(stop.at),
        "a value that starts with `? ` is a YAML key",
        f"quote it: {_quoted(stop.rest(stop.at))}",
    )


def _block_header(stop: _Failure) -> Diagnostic | None:
    if "block scalar" not in stop.words:
        return None
    sign = stop.source.text[stop.since : stop.since + 1]
    return error(
        "yaml-block",
        stop.to_end(stop.since),
        f"`{sign}` starts a block of text, which begins on the next line",
        f"quote the value: {_quoted(stop.rest(stop.since))}; or move the text to the next line, indented",
    )


def _bracket(stop: _Failure) -> Diagnostic | None:
    if "flow" not in stop.words:
        return None
    opening = stop.source.text[stop.since : stop.since + 1]
    if opening not in ("[", "{"):
        return None
    closing = "]" if opening == "[" else "}"
    if stop.char and stop.char in "]}" and stop.char != closing:
        return error(
            "yaml-bracket",
            stop.source.span(stop.at, stop.at + 1),
            f"`{stop.char}` cannot close a `{opening}`",
            f"write `{closing}` here",
            [see(stop.source.span(stop.since, stop.since + 1), "opened here")],
        )
    if stop.source.place(stop.since)[0] == stop.line and closing in stop.rest(stop.at):
        return error(
            "yaml-bracket",
            stop.source.span(stop.at, stop.at + 1),
            "a comma is missing before this",
            f"separate what stands in `{opening}{closing}` with commas",
        )
    after = _before_next_key(stop)
    return error(
        "yaml-bracket",
        stop.source.span(stop.since, stop.since + 1),
        f"this `{opening}` is never closed",
        f"add `{closing}` after `{after}`" if after else f"add the closing `{closing}`",
    )


def _before_next_key(stop: _Failure) -> str:
    """The last word that can belong to an unclosed bracket: what stands on its own line."""
    line = re.sub(r"\s+#.*$", "", stop.rest(stop.since)).rstrip(" ,")
    return line.lstrip("[{ ").split(", ")[-1].strip()


def _flow_value(stop: _Failure) -> Diagnostic | None:
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


def _list_on_key_line(stop: _Failure) -> Diagnostic | None:
    if "sequence entries are not allowed" not in stop.words:
        return None
    return error(
        "yaml-indent",
        stop.source.span(stop.at, stop.at + 1),
        "a list cannot start on the line of its key",
        "put each `- item` on a line of its own below the key, or write `[item, item]`; quote it if text is meant",
    )


def _no_space_after_colon(stop: _Failure) -> Diagnostic | None:
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
                f"write `{found.group(1)}: {rest.rstrip()}`",
            )
    return None


def _colon_in_text(stop: _Failure) -> Diagnostic | None:
    if "mapping values are not allowed" not in stop.words:
        return None
    key = _KEY.match(stop.before(stop.at)) or _KEY.match(stop.line_text(stop.at))
    if key is None or key.end() > len(stop.before(stop.at)):
        return None
    value = stop.line_text(stop.at)[key.end() :].strip()
    return error(
        "yaml-colon",
        stop.source.span(stop.at, stop.at + 1),
        "a `: ` inside an unquoted value starts a nested mapping",
        f"quote the whole value: `{key.group(1)}: {_quoted(value)}`, or use a block: `{key.group(1)}: |`",
    )


def _block_text_dedented(stop: _Failure) -> Diagnostic | None:
    last = stop.last
    if last is None or last.style not in ("|", ">") or "could not find expected ':'" not in stop.words:
        return None
    key = _KEY.match(stop.before(last.start))
    whose = f" of `{key.group(1)}`" if key else ""
    return error(
        "yaml-block",
        stop.to_end(stop.since),
        f"text outside the block; the block{whose} ended above because this line is not indented",
        "indent this line by 2 spaces",
    )


def _not_a_key(stop: _Failure) -> Diagnostic | None:
    if "could not find expected ':'" not in stop.words:
        return None
    word = stop.rest(stop.since).split(" ")[0].rstrip()
    return error(
        "yaml-colon",
        stop.to_end(stop.since),
        "this line is neither `key: value` nor part of the value above",
        f"write `{word}: ...`, or indent the line if it continues the value above",
    )


def _plain_text_line(stop: _Failure) -> Diagnostic | None:
    """`name planner` above a real key: the two lines were read as one long text."""
    last = stop.last
    if "mapping values are not allowed" not in stop.words or last is None or last.style != "":
        return None
    line, column = stop.source.place(last.start)
    if line == stop.line:
        return None
    if stop.before(last.start).strip(" -"):
        return _too_deep(stop, line)
    word = stop.rest(last.start).split(" ")[0].rstrip()
    return error(
        "yaml-colon",
        stop.to_end(last.start),
        f"no colon after `{word}`, so this line is not `key: value`",
        f"write `{word}: {stop.rest(last.start)[len(word) :].strip()}`",
    )


def _too_deep(stop: _Failure, above: int) -> Diagnostic:
    text = stop.line_text(stop.at)
    indent = len(text) - len(text.lstrip(" "))
    start = stop.source.starts[stop.line - 1] + indent
    line = stop.source.line(above)
    wanted = len(line) - len(line.lstrip(" -"))
    key = _KEY.match(line)
    return error(
        "yaml-indent",
        stop.to_end(start),
        f"this line is indented {_spaces(indent)}, deeper than line {above}, which has a value already",
        f"align it with `{key.group(1)}` on line {above} ({_spaces(wanted)})" if key else None,
    )


def _indentation(stop: _Failure) -> Diagnostic | None:
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


def _levels(stop: _Failure, indent: int) -> list[tuple[int, str, int, bool]]:
    """Indentations above the place, from the nearest line outwards: column offset, key, line, is it a list item."""
    found: dict[int, tuple[int, str, int, bool]] = {}
    least: int | None = None
    for number in range(stop.line - 1, max(0, stop.line - 400), -1):
        text = stop.source.line(number)
        key = _KEY.match(text)
        item = text.lstrip(" ").startswith("- ")
        if not text.strip() or text.lstrip().startswith("#") or not (key or item):
            continue
        level = len(text) - len(text.lstrip(" "))
        if least is None or level < least:
            least = level
            found.setdefault(level, (level, key.group(1) if key else text.strip(), number, item))
    # The innermost deeper level is the one the line was probably meant for.
    return sorted(found.values(), key=lambda each: -each[0]) if indent else list(found.values())


def _directive(stop: _Failure) -> Diagnostic | None:
    if stop.source.text[stop.since : stop.since + 1] != "%" and not stop.source.text.startswith("%"):
        return None
    at = stop.since if stop.source.text[stop.since : stop.since + 1] == "%" else 0
    return error(
        "yaml-character",
        stop.to_end(at),
        "a line that starts with `%` is a YAML directive; manifests have none",
        "remove the line, or quote it if it is text",
    )


def _after_document(stop: _Failure) -> Diagnostic | None:
    if "document start" not in stop.words:
        return None
    first = next((n for n in range(1, stop.line) if _KEY.match(stop.source.line(n))), 0)
    text = stop.source.line(first)
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


def _tag_words(stop: _Failure) -> Diagnostic | None:
    if "tag" not in stop.words or stop.source.text[stop.since : stop.since + 1] != "!":
        return None
    written = re.compile(r"\S+").match(stop.source.text, stop.since)
    word = written.group() if written else "!"
    key = _KEY.match(stop.before(stop.since))
    return tag(
        word,
        word,
        stop.rest(stop.since)[len(word) :].strip(),
        key.group(1) if key else None,
        stop.source.span(stop.since, stop.since + len(word)),
    )


def _anything(stop: _Failure) -> Diagnostic:
    at = stop.at
    while at > 0 and at >= len(stop.source.text.rstrip()):
        at -= 1
    return error(
        "yaml",
        stop.to_end(at),
        "this cannot be read as YAML from here on",
        "check quotes, colons and indentation here and on the line above",
    )


_LOOKS: Final[tuple[Callable[[_Failure], Diagnostic | None], ...]] = (
    _merge_conflict,
    _tab,
    _unclosed_quote,
    _escape,
    _star,
    _ampersand,
    _reserved_start,
    _question_mark,
    _block_header,
    _tag_words,
    _directive,
    _bracket,
    _template_braces,
    _text_after_quote,
    _flow_value,
    _list_on_key_line,
    _no_space_after_colon,
    _colon_in_text,
    _block_text_dedented,
    _plain_text_line,
    _not_a_key,
    _after_document,
    _indentation,
    _anything,
)


# ── mistakes that the parser lets pass ───────────────────────────────────────────────────────────


def tag(written: str, full: str, text: str | None, key: str | None, span: Span) -> Diagnostic:
    """A tag: usually a `!prefix` that wanted quotes, or another tool's `!env`."""
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
            f"this runtime reads environment variables as `${{{text.split()[0]}}}`",
        )
    if text and written.lower() in ("!include", "!file"):
        return error(
            "yaml-tag", span, f"unknown tag `{written}`", f"this runtime reads files as `${{file:{text.split()[0]}}}`"
        )
    return error("yaml-tag", span, f"unknown tag `{written}`", "remove the tag, or quote the whole value if it is text")


def complex_key(source: Source, outer: int, key: Node, flow: bool) -> Diagnostic:
    """A collection where a key belongs: nearly always an unquoted `{{ template }}`."""
    if flow and isinstance(key, MapNode) and source.text.startswith("{{", outer):
        return _template(source, outer)
    what = "a mapping" if isinstance(key, MapNode) else "a list"
    return error("yaml-key", key.span, f"a key is text, and this is {what}", "quote it if text is meant")


def _template(source: Source, start: int) -> Diagnostic:
    line, column = source.place(start)
    text = source.line(line)
    key = _KEY.match(text[: column - 1])
    shown = f"{key.group(1)}: " if key else ""
    value = text[column - 1 :]
    return error(
        "yaml-bracket",
        source.span(start, start + 2),
        "`{{` is read as a YAML mapping, not as a template",
        f"quote it: `{shown}{_quoted(value)}`",
    )


def _quoted(text: str) -> str:
    """A value, quoted so that YAML takes it as it is."""
    bare = re.sub(r"\s+#.*$", "", text).strip()
    if '"' not in bare and "\\" not in bare:
        return f'"{bare}"'
    if "'" not in bare:
        return f"'{bare}'"
    inner = bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"" else bare
    return "'" + inner.replace("'", "''") + "'"


def _spaces(count: int) -> str:
    return f"{count} space" if count == 1 else f"{count} spaces"
