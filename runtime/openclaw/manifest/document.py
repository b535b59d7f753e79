"""Bytes to a tree of positioned values: strict YAML, and never an exception.

Reads the event stream in one pass, so that depth, size, tags and aliases are judged before anything is
built: the C loader would end the process on deep nesting. Scalars follow the YAML 1.2 core rules
(scalars.py); syntax errors are put in words by syntax.py. Knows nothing of what a manifest means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import yaml

from openclaw.manifest import scalars
from openclaw.manifest.diagnostic import MOST_TOLD, Diagnostic, Span, error, see
from openclaw.manifest.nodes import Entry, ListNode, MapNode, Node, Scalar, Unknown
from openclaw.manifest.opened import Open
from openclaw.manifest.source import Source, decode
from openclaw.near import near

MOST_BYTES: Final = 1 << 20
MOST_LEVELS: Final = 100
MOST_VALUES: Final = 100_000  # with aliases expanded
MOST_WRITTEN: Final = 60_000  # keys and values that stand in the file

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]*)+")
_PLAIN_TAGS = {"tag:yaml.org,2002:map": MapNode, "tag:yaml.org,2002:seq": ListNode}


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """`root` is None where nothing could be read; a document with diagnostics is broken but may have a root."""

    source: Source
    root: Node | None
    diagnostics: tuple[Diagnostic, ...] = ()


def read(file: str, content: bytes) -> Document:
    """Never raises, whatever the bytes."""
    if len(content) > MOST_BYTES:
        said = error("file-size", Span(file), f"the file has {len(content):,} bytes; the limit is {MOST_BYTES:,}")
        return Document(Source(file, ""), None, (said,))
    source, unreadable = decode(file, content)
    if unreadable:
        return Document(source, None, (unreadable,))
    builder = _Builder(source)
    try:
        for event in yaml.parse(source.text, Loader=_Loader):
            builder.take(event)
    except _Stop as stop:
        builder.said.append(stop.diagnostic)
        return Document(source, None, tuple(builder.said))
    except (yaml.YAMLError, ValueError, RecursionError) as failure:
        from openclaw.manifest import syntax  # much text, and needed only now

        builder.said.append(syntax.explain(source, failure, builder.last, builder.opened))
        return Document(source, None, tuple(builder.said))
    return _whole(source, builder)


def _whole(source: Source, builder: _Builder) -> Document:
    root = builder.root
    if root is None or (isinstance(root, Scalar) and root.value is None and not builder.said):
        nothing = error("empty", Span(source.file), "the file holds no manifest", "fill it in, or delete the file")
        return Document(source, None, (*builder.said, nothing))
    return Document(source, root, tuple(builder.said))


class _Stop(Exception):
    """Reading ends here; what was built so far is not used."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


_Sized: TypeAlias = tuple[Node, int]


class _Builder:
    """Takes events in order and builds the tree. Mistakes that leave the rest readable are collected in `said`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Node | None = None
        self.said: list[Diagnostic] = []
        self.last: tuple[int, int, str] | None = None  # the last value read whole: where, its opening character
        self._open: list[Open] = []
        self._anchors: dict[str, _Sized | None] = {}
        self._places: dict[str, Span] = {}
        self._documents = 0
        self._written = 0

    def take(self, event: Any) -> None:
        self._written += 1
        if self._written > MOST_WRITTEN or len(self.said) >= MOST_TOLD:
            self._stop(event)
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._start(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end(event)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self._document(event)

    def _stop(self, event: Any) -> None:
        here = self.source.span(event.start_mark.index, event.end_mark.index)
        if len(self.said) >= MOST_TOLD:
            raise _Stop(error("too-many", here, "the file is read no further after so many mistakes"))
        many = f"the file holds more than {MOST_WRITTEN:,} keys and values"
        raise _Stop(error("file-size", here, many, "split it, or take out what is no manifest"))

    @property
    def opened(self) -> int | None:
        """Where the innermost bracket that is still open stands."""
        flow = (each.start for each in reversed(self._open) if each.event.flow_style)
        return next((start for start in flow if self.source.text[start] in "[{"), None)  # `[a: b]` opens one only

    def _document(self, event: Any) -> None:
        self._documents += 1
        self._anchors.clear()
        if self._documents == 2:
            span = self.source.span(event.start_mark.index, event.end_mark.index)
            raise _Stop(
                error(
                    "yaml-documents",
                    span,
                    "a second document starts here; a manifest is one",
                    "remove this `---`, or move what follows to a file of its own",
                )
            )

    # ── scalars ──────────────────────────────────────────────────────────────────────────────────

    def _scalar(self, event: Any) -> None:
        start, end = self._inner_start(event), event.end_mark.index
        plain = event.style is None or event.style == ""
        style = "" if plain else event.style
        self.last = (start, end, style)
        span = self._scalar_span(start, end, style)
        typed = self.source.text[start:end] if plain else event.value
        value: Any = event.value
        if event.tag is not None:
            value = self._tagged(event)
        elif plain:
            value = self._plain(event.value, span)
        self._put(Scalar(value, typed, style, span, start, end), 1, event.anchor, event)

    def _plain(self, text: str, span: Span) -> Any:
        try:
            return scalars.resolve(text)
        except scalars.TooLarge as large:
            self.said.append(
                error("yaml-number", span, str(large), "write a smaller number, or quote it to keep it as text")
            )
            return Unknown

    def _scalar_span(self, start: int, end: int, style: str) -> Span:
        # Of a block of text the header is the token: its body may run over pages.
        if style in ("|", ">"):
            head = re.compile(r"[|>][-+0-9]*").match(self.source.text, start)
            end = head.end() if head else start + 1
        return self.source.span(start, end)

    def _tagged(self, event: Any) -> Any:
        value = scalars.explicit(event.tag, event.value)
        if value is not scalars.NO_TAG:
            return value
        self._refuse_tag(event, event.value)
        return Unknown

    def _refuse_tag(self, event: Any, text: str | None) -> None:
        start = self._tag_start(event)
        written = re.compile(r"\S+").match(self.source.text, start)
        tag = written.group().rstrip(",]}") if written else "!"
        key = self._open[-1].key.text if self._open and self._open[-1].key else None
        span = self.source.span(start, start + len(tag))
        from openclaw.manifest.syntax import passed

        flow = bool(self._open and self._open[-1].event.flow_style)
        self.said.append(passed.tag(tag, event.tag, text, key, span, flow))

    def _tag_start(self, event: Any) -> int:
        start: int = event.start_mark.index
        found = self.source.text.find("!", start, start + 1000)
        return found if event.anchor and found >= 0 else start

    def _inner_start(self, event: Any) -> int:
        """Where the value itself starts, behind its anchor and tag."""
        start: int = event.start_mark.index
        if event.anchor is None and event.tag is None:
            return start
        head = _PROPERTIES.match(self.source.text, start)
        return min(head.end(), event.end_mark.index) if head else start

    # ── collections ──────────────────────────────────────────────────────────────────────────────

    def _start(self, event: Any) -> None:
        start = self._inner_start(event)
        if len(self._open) >= MOST_LEVELS:
            deep = self.source.span(*self._outermost(start))
            raise _Stop(error("yaml-depth", deep, f"nested deeper than {MOST_LEVELS} levels", "flatten this value"))
        refused = event.tag is not None and event.tag not in _PLAIN_TAGS
        if refused:
            self._refuse_tag(event, None)
        if event.anchor is not None:
            self._anchors[event.anchor] = None  # open: an alias to it would contain itself
            self._places[event.anchor] = self.source.span(event.start_mark.index, event.start_mark.index + 1)
        self._open.append(Open(event, start, event.anchor, refused=refused))

    def _outermost(self, start: int) -> tuple[int, int]:
        """The value, on the innermost mapping's way in, that all the nesting hangs from."""
        for opened in self._open:
            if not opened.is_map:
                return opened.start, opened.start + 1
        return start, start + 1

    def _end(self, event: Any) -> None:
        done = self._open.pop()
        end: int = event.end_mark.index
        if done.event.flow_style:
            self.last = (done.start, end, self.source.text[done.start])
        span = self._collection_span(done, end)
        node: Node = MapNode(done.whole, span) if done.is_map else ListNode(tuple(done.items), span)
        if done.refused:
            node = Scalar(Unknown, "", "", span, done.start, end)
        if done.shared and done.size > MOST_VALUES and self._open:
            self._too_many(span)
        self._put(node, done.size, done.anchor, done.event, done.shared)

    def _too_many(self, span: Span) -> None:
        raise _Stop(
            error(
                "yaml-alias-size",
                span,
                f"aliases expand this file to more than {MOST_VALUES:,} values",
                "write out what is needed instead of repeating aliases",
            )
        )

    def _collection_span(self, done: Open, end: int) -> Span:
        if done.event.flow_style:
            return self.source.span(done.start, end)
        # Of a block collection the first key, or the first dash, is the token.
        if done.is_map and done.entries:
            return next(iter(done.entries.values())).key.span
        return self.source.span(done.start, done.start + 1)

    # ── aliases ──────────────────────────────────────────────────────────────────────────────────

    def _alias(self, event: Any) -> None:
        span = self.source.span(event.start_mark.index, event.end_mark.index)
        if event.anchor not in self._anchors:
            self.said.append(self._undefined(event.anchor, span))
            unknown = Scalar(Unknown, f"*{event.anchor}", "", span, event.start_mark.index, event.end_mark.index)
            self._put(unknown, 1, None, event)
            return
        target = self._anchors[event.anchor]
        if target is None:
            raise _Stop(
                error(
                    "yaml-alias-size",
                    span,
                    f"`*{event.anchor}` stands inside what it repeats",
                    "move the anchor to a value that does not contain the alias",
                )
            )
        node, size = target
        self._put(node, size, None, event, True)

    def _undefined(self, name: str, span: Span) -> Diagnostic:
        few = len(self.said) * len(self._anchors) < 10_000  # comparing takes time
        close = near(name, self._anchors) if few else None
        if close:
            place = self._places[close]
            return error(
                "yaml-alias",
                span,
                f"no anchor `{name}` in this file; did you mean `{close}` (line {place.line})?",
                f'write `*{close}`, or quote the text: "*{name}"',
                [see(place, f"`&{close}` is here")],
            )
        return error(
            "yaml-alias",
            span,
            f"no anchor `{name}` in this file: unquoted, `*{name}` repeats what `&{name}` marked",
            f'if text is meant, quote it: "*{name}"',
        )

    # ── putting values where they belong ─────────────────────────────────────────────────────────

    def _put(self, node: Node, size: int, anchor: str | None, event: Any, shared: bool = False) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
            self._places[anchor] = self.source.span(event.start_mark.index, event.start_mark.index + 1 + len(anchor))
        if not self._open:
            self.root = node
            return
        into = self._open[-1]
        into.size += size
        into.shared = into.shared or shared
        if shared and into.size > MOST_VALUES and len(self._open) == 1:
            self._too_many(self.source.span(event.start_mark.index, event.end_mark.index))
        if not into.is_map:
            into.items.append(node)
        elif into.key is None and not into.skip_value:
            self._key(into, node, event, shared)
        else:
            self._value(into, node)

    def _key(self, into: Open, node: Node, event: Any, aliased: bool) -> None:
        into.skip_value = True
        if not isinstance(node, Scalar):
            from openclaw.manifest.syntax import passed

            self.said.append(passed.complex_key(self.source, into.start, node, bool(into.event.flow_style)))
            into.refused = bool(into.event.flow_style)
        elif node.value is Unknown:
            return
        elif not isinstance(node.value, str):
            self.said.append(
                error(
                    "yaml-key",
                    node.span,
                    f"a key is text; `{node.text}` is {scalars.kind(node.value)}",
                    f'quote it: "{node.text}":' if node.text else "write a key before the colon",
                )
            )
        else:
            into.skip_value = False
            # An alias as a key keeps its own place in the file.
            place = self.source.span(event.start_mark.index, event.end_mark.index)
            into.key = replace(node, span=place) if aliased else node

    def _value(self, into: Open, node: Node) -> None:
        key, into.key = into.key, None
        skipped, into.skip_value = into.skip_value, False
        if skipped or key is None:
            return
        if key.value == "<<" and key.style == "":
            self._merge_value(into, key, node)
            return
        name = str(key.value)
        first = into.entries.get(name)
        if first is not None:
            self.said.append(
                error(
                    "yaml-duplicate",
                    key.span,
                    f"key `{name}` is given twice; first on line {first.key.span.line}",
                    "delete one of them",
                    [see(first.key.span, "first given here")],
                )
            )
            return
        into.entries[name] = Entry(key, node)

    def _merge_value(self, into: Open, key: Scalar, node: Node) -> None:
        if into.merged:
            self.said.append(
                error("yaml-duplicate", key.span, "key `<<` is given twice", "merge a list instead: `<<: [*a, *b]`")
            )
            return
        for each in node.items if isinstance(node, ListNode) else (node,):
            if isinstance(each, MapNode):
                into.merged.append(each)
            elif not (isinstance(each, Scalar) and each.value is Unknown):
                self.said.append(
                    error(
                        "yaml-merge",
                        each.span,
                        "`<<` merges mappings, and this is none",
                        "give it an alias to a mapping: `<<: *name`",
                    )
                )
