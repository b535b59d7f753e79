"""Corrected expectations into their files: each file exchanged whole or not at all, and only if it is as it was read.

What a file may become is update.py's; this touches the disk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclaw.errors import OpenClawError
from openclaw.manifest.nodes import descend, plain
from openclaw.manifest.source import decode
from openclaw.scenarios import edits, update
from openclaw.scenarios.document import Correction, Scenario
from openclaw.scenarios.results import Result
from openclaw.scenarios.words import short

_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Change:
    """One value that was rewritten, or could not be; `place` is file:line:column."""

    place: str
    what: str
    before: str
    after: str
    made: bool


def write(root: Path, scenario: Scenario, content: bytes, results: Iterable[Result]) -> Iterator[Change]:
    """Rewrites one file, whose bytes were `content`, for those of the results that can be corrected."""
    corrections = [each for result in results for each in result.outcome.corrections]
    if not corrections:
        return
    source, _ = decode(scenario.file, content)
    rewritten = update.rewrite(scenario.file, source.text, corrections)
    if rewritten.made:
        path = Path(os.path.realpath(root / scenario.file))
        _exchange(path, content, (_MARK if content.startswith(_MARK) else b"") + rewritten.text.encode())
    for each in corrections:
        yield _change(scenario, each, made=each in rewritten.made)


def _change(scenario: Scenario, correction: Correction, *, made: bool) -> Change:
    node = descend(scenario.root, correction.path)
    place = f"{scenario.file}:{node.span.line}:{node.span.column}"
    what = str(next(step for step in reversed(correction.path) if isinstance(step, str)))
    return Change(place, what, _shown(plain(node)), _shown(correction.value), made)


def _shown(value: Any) -> str:
    return short(edits.flow(value))


def _exchange(path: Path, old: bytes, new: bytes) -> None:
    """In one step, with the rights it had. Raises OpenClawError where it may not be written, or changed meanwhile."""
    try:
        before = path.stat()
        if not before.st_mode & 0o222 or not os.access(path, os.W_OK):
            raise OpenClawError(f"{path} may not be written; nothing was written to it")
        if path.read_bytes() != old:
            raise OpenClawError(f"{path} was changed while its cases ran; nothing was written to it")
        descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(new)
                file.flush()
                os.fsync(file.fileno())
            with suppress(OSError):
                os.chown(beside, before.st_uid, before.st_gid)
            Path(beside).chmod(before.st_mode & 0o7777)
            Path(beside).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(beside).unlink()
            raise
    except OSError as problem:
        raise OpenClawError(f"{path} cannot be written: {(problem.strerror or str(problem)).lower()}") from problem
