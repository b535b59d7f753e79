"""What no output may show of a manifest's text: its stretches for excerpts, and their words for messages.

Law: a secret is told by its place, which is below a key that is named as secrets are, also where that key is misspelt
or another tool's, or by its shape. Where the file cannot be parsed its text alone says so; rather too much is hidden
than too little. Costs nothing where nothing is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, Final

from openclaw import bundle
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar
from openclaw.manifest.placeholders import Path, secret_keys
from openclaw.secrecy import SHAPES, SHORTEST, STRUCK, Forms, Secrets, apart, shaped
from openclaw.words import quote_line

_LONGEST: Final = 8192  # characters of a secret that is also sought word by word, and of a line that is looked into
_MOST: Final = 1000  # secrets of one file; whoever has more wants to keep this busy
_MOST_COMPARED: Final = 200  # secrets of a project that messages are searched for in every form
_NAMES: Final = re.compile(
    r".*(?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|credentials?|bearer|authorization|cookie"
    r"|(?:api|access|private|auth|signing|secret|encryption)[_-]?key)",
    re.IGNORECASE,
)
_KEY: Final = re.compile(r"(?<![\w.-])[\"']?([A-Za-z_][\w.-]{0,80})[\"']?(?:[ \t]*|[ \t]*\r?\n[ \t]*)([:=])")
_HOLDERS: Final = ("tokens", "hooks")  # of mappings that hold a secret each
_HOLE: Final = re.compile(r"\$\{(?:file:[^}\s]*\}|[A-Za-z_]\w*(?:\}|:-|(?=[\s,\"']|\Z)))|\}")
_ADDRESS: Final = re.compile(r"(?<=://)\S{1,300}@")  # a name and a password
_HEADER: Final = re.compile(r"[|>][-+0-9]*[ \t]*(?:#[^\r\n]*)?\Z")
_DESCRIBED: Final = re.compile(r"\{\s*(?:type|description|default|choices|optional|any)\b")  # an input of that name
_VARIABLE: Final = re.compile(r"!\w+[ \t]+[A-Z][A-Z0-9_]*(?=[\s,}]|\Z)")  # another tool's placeholder
_QUOTED: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'", re.DOTALL)
_NEXT: Final = re.compile(r",\s*[\"']?[A-Za-z_][\w.-]*[\"']?\s*:(?=\s)|[}\]][\s,}\]]*\Z")  # the end of a flow value
_COMMENT: Final = re.compile(r"[ \t]#(?=\s|\Z)")
_A_KEY: Final = re.compile(r"[ \t]*(?:- +)?[\"']?([\w.-]+)[\"']?[ \t]*:(?=\s|\Z)")
_WORDS: Final = re.compile(r"[\s:\"'`]+")
_SIGNS: Final = re.compile(r"[\s:;,.\"'`#&*!|>@%={}\[\]()<$?+~^\\/-]+")
_QUOTES: Final = re.compile(r"`[^`]*`?|\"[^\"]*\"?")
_SHAPES_ONLY: Final = Secrets()  # which holds none itself


# ── where secrets stand ──────────────────────────────────────────────────────────────────────────


def stretches(kind: str | None, text: str, root: Callable[[], Node | None] = lambda: None) -> list[tuple[int, int]]:
    """What no excerpt may show. `root` is asked for only where there is a key whose value may be secret."""
    found = [*shaped(text), *(each.span() for each in _ADDRESS.finditer(text))]
    found += (each.span() for each in SHAPES[-1][0].finditer(text))  # the head of a key, whatever follows
    placed = list(_placed(kind, text))
    short = kind == "channels" and any(word in text for word in _HOLDERS)
    tree = root() if placed or short else None
    if tree is not None:
        placed += [*_scalars(kind, tree, ()), *(_bare(tree) if short else ())]
    elif short:
        placed += _placed(kind, text, _HOLDERS)
    return apart([*found, *(part for span in placed for part in _literal(text, *span))])


@cache
def _vocabulary(kind: str | None) -> frozenset[str]:
    """The keys that the schema of this kind knows, and its fixed values: none of them is a secret."""
    found: set[str] = set()
    todo: list[Any] = [bundle.schema(kind)] if kind else []
    while todo:
        each = todo.pop()
        if isinstance(each, dict):
            found |= each.get("properties", {}).keys() if isinstance(each.get("properties"), dict) else set()
            words = each.get("enum")
            found |= {word for word in words if isinstance(word, str)} if isinstance(words, list) else set()
            todo += each.values()
        elif isinstance(each, list):
            todo += each
    return frozenset(found)


@lru_cache(4096)
def _is_telling(kind: str | None, key: str) -> bool:
    if _NAMES.fullmatch(key) or (kind and key in secret_keys(kind)):
        return True
    if key[:1].lower() not in "tspa" or not 4 <= len(key) <= 9 or key in _vocabulary(kind):
        return False
    return _misspelt().fullmatch(key) is not None


@cache
def _misspelt() -> re.Pattern[str]:
    """One letter is wrong, missing, too many, or has changed places with the next."""
    ways = {
        way
        for word in ("token", "secret", "password", "api_key")
        for at in range(len(word))
        for way in (
            f"{word[:at]}.?{word[at + 1 :]}", f"{word[:at]}.{word[at:]}",
            f"{word[:at]}{word[at + 1 : at + 2]}{word[at]}{word[at + 2 :]}",
        )
    }  # fmt: skip
    return re.compile("|".join(sorted(ways)), re.IGNORECASE)


def _placed(kind: str | None, text: str, also: Collection[str] = ()) -> Iterator[tuple[int, int]]:
    done = 0
    for count, key in enumerate(_keys(kind, text, also)):
        if count >= _MOST:
            yield key.end(), len(text)
            return
        for start, end in _written(text, key) if key.start() >= done else ():
            yield start, end
            done = max(done, end)


def _keys(kind: str | None, text: str, also: Collection[str]) -> Iterator[re.Match[str]]:
    for found in _KEY.finditer(text):
        if found[1] in also or _is_telling(kind, found[1]):
            before = text[max(0, found.start() - 100) : found.start()].rstrip(" \t")
            if found[2] == "=" or found[0][0] in "\"'" or before[-1:] in ("", "\n", "\r", *"{,[(?-#&'\""):
                yield found


def _written(text: str, key: re.Match[str]) -> Iterator[tuple[int, int]]:
    """The value of a key as far as the text alone shows it."""
    line = text.rfind("\n", 0, key.start()) + 1
    start, end = key.end(), _end(text, key.end())
    if end - line > _LONGEST:
        yield start, end
        return
    head = text[line : key.start()]
    indent = len(head) - len(head.lstrip(" \t"))
    start += len(text[start:end]) - len(text[start:end].lstrip(" \t"))
    rest = text[start:end]
    bare = re.sub(r"^(?:[&!]\S*[ \t]+)+", "", rest)
    if not rest or rest.startswith("# ") or _HEADER.match(bare):
        yield from _below(text, end, indent, every=bool(rest) and not rest.startswith("#"))
    elif not _DESCRIBED.match(rest) and not _VARIABLE.match(rest):
        yield from _inline(text, start, end, indent, "{" in head)


def _inline(text: str, start: int, end: int, indent: int, in_flow: bool) -> Iterator[tuple[int, int]]:
    opening = re.compile(r"(?:[&!]\S*[ \t]+)*([\"'{\[]?)").match(text, start)
    at = opening.start(1) if opening else start
    sign = text[at : at + 1]
    more = list(_below(text, end, indent, every=True))
    if sign and sign in "\"'":
        closed = _QUOTED.match(text, at, more[-1][1] if more else end)
        if closed and re.match(r"[ \t]*(?:[,}\]#]|\r?\n|\Z)", text[closed.end() : closed.end() + 200]):
            yield start, closed.end()
            return
        yield start, end
        yield from more
        return
    stop = _NEXT.search(text, start, end) if in_flow and sign not in ("[", "{") else None
    comment = _COMMENT.search(text, start, end)
    yield start, min([end, *(found.start() for found in (stop, comment) if found)])
    if not in_flow:
        yield from _below(text, end, indent, every=sign in ("[", "{") and bool(sign))


def _below(text: str, end: int, indent: int, every: bool) -> Iterator[tuple[int, int]]:
    """The lines set in deeper than this, up to the first that is not; of a mapping the values, where not `every`."""
    while end < len(text):
        start = end + (2 if text.startswith("\r\n", end) else 1)
        end = _end(text, start)
        line = text[start:end]
        if line.strip() and len(line) - len(line.lstrip(" \t")) <= indent:
            return
        key = None if every else _A_KEY.match(line)
        if key and key[1] in _vocabulary("tools"):  # what is described there is an input
            return
        if not line.lstrip().startswith("#"):
            yield start + (key.end() if key else len(line) - len(line.lstrip())), end


def _end(text: str, start: int) -> int:
    """Where the line ends, without its break."""
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return end - 1 if text[max(start, end - 1) : end] == "\r" else end


def _literal(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A value without the placeholders in it: their names are no secrets."""
    if "${" not in text[start:end]:
        yield start, end
        return
    at = start
    for hole in (*_HOLE.finditer(text, start, end), None):
        last = hole.start() if hole else end
        if text[at:last].strip("\"'"):
            yield at, last
        at = hole.end() if hole else end


def _scalars(kind: str | None, node: Node, path: Path, hidden: bool = False) -> Iterator[tuple[int, int]]:
    """All that stands below a telling key in what could be parsed; an input of a tool is only named like one."""
    match node:
        case Scalar():
            if hidden:
                yield node.start, node.end
        case ListNode(items):
            for index, item in enumerate(items):
                yield from _scalars(kind, item, (*path, index), hidden)
        case MapNode(entries):
            named = kind == "tools" and len(path) == 3 and path[2] == "input"
            for name, entry in entries.items():
                if hidden:
                    yield entry.key.start, entry.key.end
                yield from _scalars(kind, entry.value, (*path, name), hidden or (not named and _is_telling(kind, name)))


def _bare(node: Node, key: str = "") -> Iterator[tuple[int, int]]:
    """What stands where a mapping with a secret in it belongs: it may be that secret."""
    for name, entry in node.entries.items() if isinstance(node, MapNode) else ():
        if key in _HOLDERS and isinstance(entry.value, Scalar):
            yield entry.value.start, entry.value.end
        yield from _bare(entry.value, name)


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


def masked(
    diagnostics: Iterable[Diagnostic],
    secrets: Iterable[str],
    texts: Mapping[str, tuple[str | None, str, Node | None]],
) -> list[Diagnostic]:
    """The last net: whatever a message was made of, no secret leaves in it. `texts`: the kind, the text and the tree
    of each file, of which those are looked through in which something is told."""
    found = list(diagnostics)
    if not found:
        return found
    secrets = frozenset(secret for secret in secrets if len(secret) >= SHORTEST)
    told = "\n".join(part for each in found for part in _parts(each)).casefold()
    pieces = _likely(_pieces(_quotable(found, texts), secrets), told)
    if len(secrets) > _MOST_COMPARED or len(pieces) > 5 * _MOST_COMPARED:  # then nothing of anybody's is quoted
        found = [_struck(each, lambda text: _QUOTES.sub(f"`{STRUCK}`", text)) for each in found]
        secrets, pieces = frozenset(), []
    forms = Forms.of({*secrets, *(piece for piece in pieces if piece.casefold() in told)})
    return [_struck(each, lambda text: _strike(text, forms, pieces)) for each in found]


def _parts(each: Diagnostic) -> Iterator[str]:
    yield from (each.message, each.help or "", *(other.message for other in each.related))


def _struck(each: Diagnostic, strike: Callable[[str], str]) -> Diagnostic:
    related = tuple(replace(other, message=strike(other.message)) for other in each.related)
    return replace(each, message=strike(each.message), help=each.help and strike(each.help), related=related)


def _strike(text: str, forms: Forms, cut: list[str]) -> str:
    for word in cut if "..." in text else ():
        text = _without_start(text, word)
    return _ADDRESS.sub(f"{STRUCK}@", _SHAPES_ONLY.mask(forms.strike(text)))


def _without_start(text: str, word: str) -> str:
    """A message is cut where it is too long, and so may be a secret in it."""
    end = text.find("...")
    while end >= 0:
        start = text.rfind(word[:SHORTEST], 0, end)
        if start >= 0 and word.startswith(text[start:end]):
            text, end = f"{text[:start]}{STRUCK}{text[end:]}", start + len(STRUCK)
        end = text.find("...", end + 3)
    return text


def _quotable(found: Iterable[Diagnostic], texts: Mapping[str, tuple[str | None, str, Node | None]]) -> Iterator[str]:
    """What the files that something is told of hold of secrets: messages quote their text."""
    for file in {each.file for each in found}:
        if file in texts:
            kind, text, root = texts[file]
            known = _vocabulary(kind)
            for start, end in stretches(kind, text, lambda root=root: root):  # type: ignore[misc]
                if text[start:end] not in known:
                    yield text[start:end]


def _pieces(quotable: Iterable[str], secrets: Iterable[str]) -> Iterator[str]:
    for secret in (*quotable, *secrets):
        yield from (secret, secret.strip(), secret.strip().strip("\"'"), quote_line(secret[:_LONGEST].strip()))
        if len(secret) <= _LONGEST:
            words = _WORDS.split(secret)
            yield from (*words, *map(quote_line, words))
            bare = _SIGNS.sub("", secret, 1) if _SIGNS.match(secret) else secret
            # A word between dashes may be one of a message's own.
            yield from (bare, *(part for part in _SIGNS.split(bare) if not (part.isalpha() and part.islower())))


def _likely(pieces: Iterable[str], told: str) -> list[str]:
    """Those of which the messages hold at least the beginning."""
    begun = {told[at : at + SHORTEST] for at in range(len(told))}
    return list({piece for piece in pieces if len(piece) >= SHORTEST and piece[:SHORTEST].casefold() in begun})
