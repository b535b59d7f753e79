"""What a search compares: the words of a text and of a question, in every script. Pure; knows no disk and no index.

Texts and questions are brought to one form: no case, no accents, none of the marks that writers leave out or add
at will (Arabic and Hebrew vowels, the stretching of Arabic letters, the colour of an emoji). Scripts that are written
without spaces, Hangul, whose particles join the word, and emoji are taken sign by sign; a question's neighbouring
signs must stand together. That finds words of one and of two signs, which an index of trigrams does not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_EMOJI = "\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_SIGN = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    f"\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff{_EMOJI}]"
)
_ASCII_WORD = re.compile("[A-Za-z0-9]+")
# Accents; vowels and other marks of Hebrew and Arabic, and what stretches a letter; what joins and colours emoji.
_MARKS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u06df-\u06e8\u06ea-\u06ed\u200c\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]"
)
# Letters that no normal form takes apart, as those write them who have no key for them.
_SPELT = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ħ": "h"})
_PARTS = re.compile(r"[\"“”„]([^\"“”„]+)[\"“”„]|(\S+)")
_SIGNS = f"({_SIGN.pattern}+)"
_SAY_NOTHING = (
    "a about am an and any are as at be been but by can could did do does for from had has have he her him his how i "
    "if in is it its ll m me my of on or our please re s say says she should so t tell than that the their them then "
    "there these they this to us ve was we were what when where which who whom whose why will with would you your"
)
_STOP = frozenset(_SAY_NOTHING.split())
_MOST_TERMS = 64


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. A term is a word, or several that stand together, with spaces between them."""

    words: tuple[str, ...] = ()  # any of these
    prefixes: tuple[str, ...] = ()  # or a word that begins like one of these
    phrases: tuple[str, ...] = ()  # and every one of these, where there are some

    def __bool__(self) -> bool:
        return bool(self.words or self.prefixes or self.phrases)

    @property
    def terms(self) -> tuple[str, ...]:
        return (*self.phrases, *self.words, *self.prefixes)


def comparable(text: str) -> str:
    """The text as an index gets it: words alone, without accents, signs without spaces set apart."""
    return _apart(" ".join(_split(_plain(text))))


def query(text: str) -> Query:
    """What a person or a model asked for: words, `"words that stand together"` and `beginnings*`."""
    loose: list[str] = []
    phrases: list[str] = []
    prefixes: list[str] = []
    for quoted, bare in _PARTS.findall(text[:4000]):
        if quoted:
            phrases += filter(None, [comparable(quoted).casefold()])
        elif bare.endswith("*") and len(begun := _split(_plain(bare.casefold()))) == 1 and not _SIGN.search(begun[0]):
            prefixes.append(begun[0])
        else:
            loose.append(bare)
    words = terms(" ".join(loose), alone=not (phrases or prefixes))
    return Query(words, tuple(dict.fromkeys(prefixes))[:_MOST_TERMS], tuple(dict.fromkeys(phrases))[:_MOST_TERMS])


def terms(text: str, *, alone: bool = True) -> tuple[str, ...]:
    """The words of a question without those that say nothing, unless it has no others and stands alone."""
    words = list(dict.fromkeys(word.casefold() for word in _split(_plain(text[:4000]))))
    telling = [word for word in words if word not in _STOP] or (words if alone else [])
    return tuple(dict.fromkeys(term for word in telling for term in _pairs(word)))[:_MOST_TERMS]


def words(text: str) -> list[str]:
    """Runs of letters, digits and the marks that belong to them, and emoji."""
    if text.isascii():
        return _ASCII_WORD.findall(text)
    return "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in text).split()


def excerpt(text: str, found: Sequence[str], longest: int = 400) -> str:
    """The whole of a short text; of a long one the part around the first word that was searched for."""
    if len(text) <= longest:
        return text
    folded = text.casefold()
    starts = (word.replace(" ", "") if _SIGN.match(word) else word.split(" ")[0] for word in found)
    hits = (folded.find(start[:5]) for start in starts)
    at = min((hit for hit in hits if hit >= 0), default=0)
    start = max(0, min(at - longest // 4, len(text) - longest))
    piece = " ".join(text[start : start + longest].split())
    return f"{'...' if start else ''}{piece}{'...' if start + longest < len(text) else ''}"


def _plain(text: str) -> str:
    """One form for equal characters, in one case, and blanks for what belongs to no word. The marks that are vowels in
    other scripts stay. (What is ASCII stays as it is: an index knows what to do with it.)"""
    if text.isascii():
        return text
    parted = unicodedata.normalize("NFKD", text.encode("utf-8", "replace").decode())
    return unicodedata.normalize("NFC", parted.translate(_FORMS))


def _split(text: str) -> list[str]:
    """The words of a plain text, emoji among them."""
    return _ASCII_WORD.findall(text) if text.isascii() else text.split()


def _form(char: str) -> str:
    """What a character of a text that is taken apart becomes."""
    kept = _MARKS.sub("", unicodedata.normalize("NFKD", char.casefold())).translate(_SPELT)
    return "".join(one if _belongs(one) else " " for one in kept)


def _belongs(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] in "LNM" or (category == "So" and _SIGN.match(char) is not None)


def _set_apart(char: str) -> str:
    return f" {char} " if _SIGN.match(char) else char


class _Table(dict[int, str]):
    """For `str.translate`: each character is looked at once."""

    def __init__(self, of: Callable[[str], str]) -> None:
        self._of = of

    def __missing__(self, code: int) -> str:
        self[code] = made = self._of(chr(code))
        return made


_FORMS = _Table(_form)
_APART = _Table(_set_apart)


def _apart(text: str) -> str:
    return text if text.isascii() else text.translate(_APART)


def _pairs(word: str) -> list[str]:
    """A word; where it holds signs written without spaces, each two neighbours as a phrase."""
    if word.isascii():
        return [word]
    found: list[str] = []
    for part in filter(None, re.split(_SIGNS, word)):
        if not _SIGN.match(part):
            found.append(part)
        else:
            found += [f"{a} {b}" for a, b in pairwise(part)] or [part]
    return found
