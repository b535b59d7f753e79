"""What is said on Telegram, as texts and entities: Markdown in, pieces out that the service takes. Pure.

The law: nothing of a text is lost, whatever it holds. Formatting is given as entities, so that no text can fail
to be parsed; where Markdown cannot be converted the text goes out as it is. Lengths are UTF-16 code units, as the
service counts them. Knows no chat and sends nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from openclaw.channels._split import split, utf16
from openclaw.messages import Approval, quote_line

if TYPE_CHECKING:
    from telegram import MessageEntity
    from telegramify_markdown.entity import MessageEntity as Entity

log = logging.getLogger(__name__)

LONGEST = 4096
ROOM = 4000  # of a piece of a reply: a mark may come before it
MOST_ENTITIES = 100  # further ones are dropped by the service in silence
MOST_PIECES = 10  # of one reply: nobody reads more in a chat, and the service slows a chat down that gets more
_CARD_HEAD = 600  # what a card may say beside the call and what it is about
_ROUNDS = 20  # of looking for HTML; each makes what the one before hid visible
_TAG = re.compile(r"<[A-Za-z/!?]")
_LOOKS = frozenset(
    {"bold", "italic", "underline", "strikethrough", "spoiler", "blockquote", "expandable_blockquote", "code", "pre"}
)


class Piece(NamedTuple):
    """One message's text and how it looks."""

    text: str
    entities: tuple[MessageEntity, ...] = ()


units = utf16


# ── Markdown ─────────────────────────────────────────────────────────────────────────────────────


def pieces(markdown: str) -> list[Piece]:
    """A text in Markdown as messages. Code that is cut stays code in each of them."""
    try:
        text, entities = _converted(markdown)
    except Exception:  # a converter's fault costs the formatting and nothing else
        log.exception("a text could not be formatted for Telegram; it goes out as it is")
        return plain(markdown)
    return [_piece(*part) for part in _split(text, entities, ROOM)] or plain(markdown)


def plain(text: str) -> list[Piece]:
    """A text as it is; fences that are cut are closed and opened again."""
    return [Piece(part) for part in split(_sane(text), ROOM, utf16)]


def marked(piece: Piece, mark: str) -> Piece:
    """The piece with a line before it."""
    shift = units(mark) + 1
    moved = (_entity(e.type, e.offset + shift, e.length, url=e.url, language=e.language) for e in piece.entities)
    return Piece(f"{mark}\n{piece.text}", tuple(moved))


def monospaced(text: str) -> list[Piece]:
    """What a command answers: tables keep their columns, a sentence looks like one."""
    if "\n" not in text:
        return plain(text)
    return [Piece(piece.text, (_entity("pre", 0, units(piece.text)),)) for piece in plain(text)]


def _converted(markdown: str) -> tuple[str, list[Entity]]:
    from telegramify_markdown.converter import convert

    return convert(_visible_html(_sane(markdown)), latex_escape=False, config=_looks())


def _sane(text: str) -> str:
    """Lone surrogates cannot be sent, and the service drops NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _visible_html(markdown: str) -> str:
    """HTML is shown as it was written: a converter drops it, and `List<String>` would lose its half."""
    for _ in range(_ROUNDS):
        if not _TAG.search(markdown) or not (starts := sorted(set(_html(markdown)))):
            return markdown
        source = markdown.encode()
        bounds = [0, *starts, len(source)]
        markdown = b"\\".join(source[start:end] for start, end in pairwise(bounds)).decode()
    raise ValueError("HTML within HTML without an end")


def _html(markdown: str) -> Iterator[int]:
    """Where HTML begins, in bytes of UTF-8."""
    import pyromark
    from telegramify_markdown.converter import STANDARD_OPTIONS

    source = markdown.encode()
    for payload, span in pyromark.events_with_range(markdown, options=STANDARD_OPTIONS):
        if isinstance(payload, dict) and ("InlineHtml" in payload or payload.get("Start") == "HtmlBlock"):
            yield source.index(b"<", span["start"])


@cache
def _looks() -> Any:
    from telegramify_markdown.config import RenderConfig

    looks = RenderConfig.isolated()
    symbols = looks.markdown_symbol
    symbols.heading_level_1 = symbols.heading_level_2 = symbols.heading_level_3 = symbols.heading_level_4 = ""
    symbols.unordered_list_item = "\N{BULLET}"
    return looks


def _split(text: str, entities: list[Entity], longest: int) -> Iterator[tuple[str, list[Entity]]]:
    """Parts within the length and the number of entities that one message may have."""
    from telegramify_markdown.entity import split_entities

    for part, within in split_entities(text, entities, longest):
        if len(within) <= MOST_ENTITIES or longest < MOST_ENTITIES:
            yield part, within
        else:
            yield from _split(part, within, max(units(part) // 2, 1))


def _piece(text: str, entities: Sequence[Entity]) -> Piece:
    return Piece(text, tuple(found for entity in entities if (found := _taken(entity)) is not None))


def _taken(entity: Entity) -> MessageEntity | None:
    """How it looks and where links to the web lead. Nothing else: a model must not call people by `tg://` links."""
    if entity.type == "text_link" and (entity.url or "").startswith(("https://", "http://", "mailto:")):
        return _entity("text_link", entity.offset, entity.length, url=entity.url)
    if entity.type in _LOOKS:
        return _entity(entity.type, entity.offset, entity.length, language=entity.language)
    return None


def _entity(type: str, offset: int, length: int, **more: Any) -> MessageEntity:
    from telegram import MessageEntity

    return MessageEntity(type, offset, length, **more)


# ── while a turn runs ────────────────────────────────────────────────────────────────────────────


def frame(text: str, doing: str) -> Piece:
    """What is there of an unfinished answer, as one message: its end, where it is long, and what goes on."""
    shown = pieces(text[-ROOM:])[-1] if text.strip() else Piece("")
    line = f"\N{HOURGLASS WITH FLOWING SAND} {quote_line(doing)[:200]}" if doing else ""
    if not line:
        return shown
    if not shown.text:
        return Piece(line, (_entity("italic", 0, units(line)),))
    whole = f"{shown.text.rstrip()}\n\n{line}"
    return Piece(whole, shown.entities) if units(whole) <= LONGEST and _fit(shown) else shown


def _fit(piece: Piece) -> bool:
    """Whether no entity reaches into the space at the end, which is taken away."""
    end = units(piece.text.rstrip())
    return all(entity.offset + entity.length <= end for entity in piece.entities)


# ── approvals ────────────────────────────────────────────────────────────────────────────────────


def card(approval: Approval, outcome: str = "") -> list[Piece]:
    """The question, whole: what runs is shown escaped and never shortened. The last piece carries the buttons."""
    asks = f"{approval.agent} asks to run {approval.tool}" if not outcome else f"{approval.tool}: {outcome}"
    about = [f"for {approval.sender}", f"in {approval.cwd}", *([approval.reason] if approval.reason else [])]
    head, call = f"{asks}\n{'; '.join(about)}", "\n".join(approval.lines) or "(no arguments)"
    begun = f"{head}\n\n"
    if units(call) + sum(map(units, about)) + _CARD_HEAD <= LONGEST:  # the same whatever the outcome
        return [Piece(begun + call, (_entity("pre", units(begun), units(call)),))]
    rest = f"{asks}: the call is above, whole."
    return [*plain(head), *[_code(part.text) for part in plain(call)], Piece(rest)]


def _code(text: str) -> Piece:
    return Piece(text, (_entity("pre", 0, units(text)),))
