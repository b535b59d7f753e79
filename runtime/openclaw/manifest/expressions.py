"""How long a regular expression of a project may take: told before any text is held against it.

An expression is read as an automaton of the characters that it names, one place for each. Where a loop can go the
same way round by two ways over the same text, the time doubles with every character of a text that does not match: such
an expression is refused. For others the ways that a text leaves open are counted. Whatever is not looked at (what a
group found before, assertions, flags of a part) leaves more open, never less. Knows no manifests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

_MANY: Final = 10  # what may come so often counts as a loop
_COPIED: Final = 64  # what comes exactly so often is read that many times
_LONGEST: Final = 10_000  # characters
_MOST_PLACES: Final = 5_000
_MOST_PAIRS: Final = 200_000
_MOST_STEPS: Final = 1_000_000  # some tenths of a second
_LETTER, _DIGIT, _SPACE, _OTHER = (1 << bit for bit in range(256, 260))  # characters beyond the first 256
_ALL: Final = (1 << 260) - 1
_NEWLINE: Final = 1 << 10

_EXPLODES: Final = "may take for ever with a text that does not match: what it repeats can be divided in several ways"
_PART: Final = "let one repetition do, `a+` for `(a+)+`, or put between them what they do not match: `(a+,)+`"
_LARGE: Final = "repeats too much to be sure that it comes to an end"


@lru_cache(maxsize=1024)
def objection(pattern: str) -> tuple[str, str] | None:
    """What is wrong with an expression, and the remedy; None for a sound one."""
    if len(pattern) > _LONGEST:  # to compile a megabyte takes ten seconds
        return _LARGE, "write a shorter one"
    try:
        re.compile(pattern)
        return (_EXPLODES, _PART) if _Automaton(pattern).explodes() else None
    except _TooLarge:
        return _LARGE, "write a shorter one"
    except (re.error, RecursionError, OverflowError) as problem:
        return f"is no regular expression: {problem}", "correct it; single quotes keep backslashes"


def endless(schema: Any, value: Any) -> bool:
    """Whether an expression of the schema may take too long with a text of the value."""
    texts = [text for text in _texts(value) if text]
    return any(_lasts(pattern, text) for pattern in dict.fromkeys(patterns(schema)) for text in texts)


def sound(schema: Any) -> bool:
    """Whether every expression of a schema may stand; one that may not has a diagnostic of its own."""
    return all(objection(pattern) is None for pattern in patterns(schema))


def patterns(schema: Any) -> Iterator[str]:
    for key, value in schema.items() if isinstance(schema, Mapping) else ():
        if key == "pattern" and isinstance(value, str):
            yield value
        yield from patterns(value)
    for value in schema if isinstance(schema, list | tuple) else ():
        yield from patterns(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    listed = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for each in listed:
        yield from _texts(each)


def _lasts(pattern: str, text: str) -> bool:
    if objection(pattern) is not None:
        return True
    automaton = _read(pattern)
    ways: dict[int, int] = {}
    steps = 0
    for char in text:
        bit = _bit(ord(char))
        ways = automaton.after(ways, bit)
        steps += 1 + sum(ways.values())
        if steps > _MOST_STEPS:
            return True
    return False


@lru_cache(maxsize=64)
def _read(pattern: str) -> _Automaton:
    return _Automaton(pattern)


class _TooLarge(Exception):
    pass


@dataclass(slots=True)
class _Part:
    """A piece of an expression: whether it matches nothing at all, and the places where it begins and ends."""

    empty: bool = True
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)


class _Automaton:
    def __init__(self, pattern: str) -> None:
        self._sets: list[int] = []
        self._next: list[dict[int, int]] = []  # to which places, by how many ways
        self._loops: list[range] = []  # the outermost
        self._depth = 0
        parsed = re._parser.parse(pattern)  # type: ignore[attr-defined]
        self._start = self._sequence(parsed, parsed.state.flags).first

    def after(self, ways: Mapping[int, int], bit: int) -> dict[int, int]:
        """By how many ways each place is reached with one character more; a match may begin at any."""
        found: dict[int, int] = {}
        for place in self._start:
            if self._sets[place] & bit:
                found[place] = found.get(place, 0) + 1
        for place, count in ways.items():
            for other, times in self._next[place].items():
                if self._sets[other] & bit:
                    found[other] = found.get(other, 0) + count * times
        return found

    def explodes(self) -> bool:
        return any(self._ambiguous(loop) for loop in self._loops)

    def _ambiguous(self, loop: range) -> bool:
        """Whether two ways through the loop part and meet again over the same text."""
        inner = {at: [other for other in self._next[at] if other in loop and self._sets[other]] for at in loop}
        if any(self._next[at][other] > 1 for at, others in inner.items() for other in others):
            return True
        todo = [pair for others in inner.values() for pair in self._pairs(others, others) if pair[0] < pair[1]]
        seen = set(todo)
        tried = 0
        while todo:
            one, two = todo.pop()
            for pair in self._pairs(inner[one], inner[two]):
                tried += 1
                if pair[0] == pair[1]:
                    return True
                if pair not in seen:
                    seen.add(pair)
                    todo.append(pair)
            if tried + len(seen) > _MOST_PAIRS:
                raise _TooLarge
        return False

    def _pairs(self, ones: Sequence[int], twos: Sequence[int]) -> Iterator[tuple[int, int]]:
        if len(ones) * len(twos) > _MOST_PAIRS:
            raise _TooLarge
        for one in ones:
            for two in twos:
                if self._sets[one] & self._sets[two]:
                    yield (one, two) if one <= two else (two, one)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def _sequence(self, items: Iterable[Any], flags: int) -> _Part:
        return self._joined(self._item(str(op), value, flags) for op, value in items)

    def _joined(self, parts: Iterable[_Part]) -> _Part:
        whole = _Part()
        for part in parts:
            self._link(whole.last, part.first)
            whole.first += part.first if whole.empty else []
            whole.last = [*(whole.last if part.empty else []), *part.last]
            whole.empty = whole.empty and part.empty
        return whole

    def _link(self, last: Iterable[int], first: Sequence[int], times: int = 1) -> None:
        for place in last:
            for other in first:
                self._next[place][other] = self._next[place].get(other, 0) + times

    def _place(self, characters: int) -> _Part:
        if len(self._sets) >= _MOST_PLACES:
            raise _TooLarge
        self._sets.append(characters)
        self._next.append({})
        return _Part(False, [len(self._sets) - 1], [len(self._sets) - 1])

    def _item(self, op: str, value: Any, flags: int) -> _Part:
        match op:
            case "AT":
                return _Part()
            case "SUBPATTERN":
                return self._sequence(value[3], flags | value[1])
            case "ATOMIC_GROUP":
                return self._sequence(value, flags)
            case "BRANCH":
                return self._either([self._sequence(branch, flags) for branch in value[1]])
            case "GROUPREF_EXISTS":
                return self._either([self._sequence(branch or (), flags) for branch in value[1:]])
            case "ASSERT" | "ASSERT_NOT":
                return _Part(True, self._sequence(value[1], flags).first, [])
            case "GROUPREF":
                return self._again(0, 1 << 30, lambda: self._place(_ALL))
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                low, high = value[2].getwidth()
                return self._again(
                    value[0], int(value[1]), lambda: self._sequence(value[2], flags), fixed=low == high > 0
                )
        return self._place(_characters(op, value, flags))

    def _either(self, parts: Sequence[_Part]) -> _Part:
        first = [place for part in parts for place in part.first]
        return _Part(any(part.empty for part in parts), first, [place for part in parts for place in part.last])

    def _again(self, least: int, most: int, read: Callable[[], _Part], *, fixed: bool = False) -> _Part:
        if most >= _MANY and not (fixed and least == most <= _COPIED):
            return self._loop(least, read)
        whole, before = _Part(least == 0), list[int]()
        for count in range(1, most + 1):
            part = read()
            self._link(before, part.first)
            before = [*(before if part.empty else []), *part.last]
            whole.first += part.first if count == 1 or part.empty else []
            whole.last += part.last if count >= least or part.empty else []
            whole.empty = whole.empty or part.empty
        return whole

    def _loop(self, least: int, read: Callable[[], _Part]) -> _Part:
        begun = len(self._sets)
        self._depth += 1
        part = read()
        self._depth -= 1
        # Where it must come so often and may be nothing, each of the times may be the one that is nothing.
        self._link(part.last, part.first, 2 if part.empty and least > 1 else 1)
        if not self._depth:
            self._loops.append(range(begun, len(self._sets)))
        return _Part(part.empty or least == 0, part.first, part.last)


# ── characters ───────────────────────────────────────────────────────────────────────────────────


def _bit(code: int) -> int:
    if code < 256:
        return 1 << code
    char = chr(code)
    return _DIGIT if char.isdigit() else _LETTER if char.isalnum() else _SPACE if char.isspace() else _OTHER


def _of(pattern: str, beyond: int) -> int:
    return sum(1 << code for code in range(256) if re.match(pattern, chr(code))) | beyond


_CATEGORIES: Final[Mapping[str, int]] = {
    "CATEGORY_DIGIT": _of(r"\d", _DIGIT),
    "CATEGORY_SPACE": _of(r"\s", _SPACE),
    "CATEGORY_WORD": _of(r"\w", _DIGIT | _LETTER),
}


def _characters(op: str, value: Any, flags: int) -> int:
    """A set of characters, never a smaller one than the expression's."""
    if op == "ANY":
        return _ALL if flags & re.DOTALL else _ALL & ~_NEWLINE
    if op == "NOT_LITERAL":
        return _ALL & ~_cased(1 << value, flags) if value < 256 else _ALL
    if op == "IN":
        return _within(value, flags)
    return _cased(_bit(value), flags) if op == "LITERAL" else _ALL


def _within(items: Sequence[Any], flags: int) -> int:
    negated = str(items[0][0]) == "NEGATE"
    found = 0
    for op, value in items[1:] if negated else items:
        found |= _one(str(op), value, negated)
    found = _cased(found, flags)
    return _ALL & ~found if negated else found


def _one(op: str, value: Any, negated: bool) -> int:
    """What an item of a set adds; of one that is negated, only what is surely in it."""
    if op == "CATEGORY":
        known = _CATEGORIES.get(str(value).replace("_NOT_", "_"), _ALL)
        return _ALL & ~known if "_NOT_" in str(value) else known
    low, high = value if op == "RANGE" else (value, value)
    near = sum(1 << code for code in range(low, min(high, 255) + 1))
    if high < 256 or negated:
        return near
    return near | _bit(high) if low == high else near | _LETTER | _DIGIT | _SPACE | _OTHER


def _cased(found: int, flags: int) -> int:
    if not flags & re.IGNORECASE:
        return found
    letters = sum(1 << ord(char.swapcase()) for char in map(chr, range(128)) if found & 1 << ord(char))
    return found | letters
