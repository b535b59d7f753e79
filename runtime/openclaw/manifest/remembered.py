"""Each manifest as it was read the last time, so that an edit of one file does not read all others again.

Pure but for what it remembers, and bounded: what it gives depends on nothing but a file's name, kind and bytes, and on
the keys that are required of it. Its law: what placeholders stand in is filled in anew each time, for that depends on
more. Trees are never changed, so compilations may share them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from openclaw.manifest import document, placeholders, schema
from openclaw.manifest.document import Document
from openclaw.manifest.placeholders import Filled
from openclaw.manifest.schema import Checked

MOST_BYTES: Final = 1 << 20  # of text that is remembered; trees take some sixty times as much
LONGEST: Final = 1 << 16  # of one file


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """`filled` and `checked` are None where there is no tree."""

    document: Document
    filled: Filled | None = None
    checked: Checked | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """A manifest as it was read the last time."""

    content: bytes
    required: tuple[str, ...]
    read: Read


class Remembered:
    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._known: dict[tuple[str, str], _Known] = {}
        self._bytes = 0

    def read(
        self,
        kind: str,
        file: str,
        content: bytes,
        required: tuple[str, ...],
        variables: Mapping[str, str] | None,
        read_file: Callable[[str], bytes | None],
    ) -> Read:
        """A manifest read, filled in and checked alone; see `placeholders.fill` and `schema.check`."""
        known = self._known.get((kind, file))
        same = known is not None and known.content == content
        if known is not None and same and known.required == required and not _has_holes(content):
            return known.read
        read = known.read.document if known is not None and same else document.read(file, content)
        if read.root is None:
            return self._note(kind, file, content, required, Read(read))
        filled = placeholders.fill(kind, read.root, read.source, variables, read_file)
        checked = schema.check(kind, filled.root, read.source, required)
        return self._note(kind, file, content, required, Read(read, filled, checked))

    def _note(self, kind: str, file: str, content: bytes, required: tuple[str, ...], read: Read) -> Read:
        before = self._known.pop((kind, file), None)
        self._bytes -= len(before.content) if before else 0
        if len(content) <= LONGEST:
            if self._bytes + len(content) > self._most:
                self._known, self._bytes = {}, 0
            kept = Read(read.document) if _has_holes(content) else read  # what variables came to is not kept
            self._known[kind, file] = _Known(content, required, kept)
            self._bytes += len(content)
        return read


def _has_holes(content: bytes) -> bool:
    """Whether a value of it may hold `${`, perhaps written with escapes."""
    return b"${" in content or b"\\" in content


REMEMBERED: Final = Remembered()
