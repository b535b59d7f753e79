"""The lines of a project's files as a report may show them: every secret replaced, column for column.

Knows which files are shown at all: .env and what is no text are not. Says nothing of how a line is printed.
"""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.manifest import document, placeholders
from openclaw.manifest.folder import Folder, kind_of
from openclaw.manifest.source import Source, decode
from openclaw.secrecy import SHAPES


def lines(folder: Folder, file: str) -> list[str]:
    """Empty where the file is not there or must not be shown."""
    content = folder.files.get(file)
    if content is None or len(content) > document.MOST_BYTES or file == ".env":
        return []
    source, unreadable = decode(file, content)
    if unreadable and not source.text:
        return []
    hidden = _blotted(file, content, source)
    return [hidden.line(number) for number in range(1, len(hidden.starts) + 1)]


def _blotted(file: str, content: bytes, source: Source) -> Source:
    chars = list(source.text)
    for start, end in _spots(file, content, source):
        chars[start:end] = ["*" if char not in "\r\n" else char for char in chars[start:end]]
    return Source(file, "".join(chars))


def _spots(file: str, content: bytes, source: Source) -> Iterator[tuple[int, int]]:
    """Stretches that are not shown; of what is no manifest, those that look like a secret by themselves."""
    if kind := kind_of(file):
        # Read again only where a value could be secret by its place.
        placed = kind == "tools" or placeholders.secret_keys(kind)
        root = document.read(file, content).root if placed else None
        yield from placeholders.secret_spots(kind, root, source.text)
    else:
        for pattern, _ in SHAPES:
            yield from (found.span() for found in pattern.finditer(source.text))
