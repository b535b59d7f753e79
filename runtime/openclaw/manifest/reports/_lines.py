"""The lines of a project's files as a report may show them: every secret replaced, column for column.

Knows which files are shown at all: .env and what is no text are not. Says nothing of how a line is printed.
"""

from __future__ import annotations

from openclaw.manifest import document, hidden
from openclaw.manifest.folder import Folder, kind_of
from openclaw.manifest.source import Source, decode


def lines(folder: Folder, file: str) -> list[str]:
    """Empty where the file is not there or must not be shown."""
    content = folder.files.get(file)
    if content is None or len(content) > document.MOST_BYTES or file == ".env":
        return []
    source, unreadable = decode(file, content)
    if unreadable and not source.text:
        return []
    shown = _blotted(file, content, source)
    return [shown.line(number) for number in range(1, len(shown.starts) + 1)]


def _blotted(file: str, content: bytes, source: Source) -> Source:
    chars = list(source.text)
    # Read again only where a value could be secret by its place.
    for start, end in hidden.stretches(kind_of(file), source.text, lambda: document.read(file, content).root):
        chars[start:end] = ["*" if char not in "\r\n" else char for char in chars[start:end]]
    return Source(file, "".join(chars))
