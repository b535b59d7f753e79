"""A JSON document of its own that people may edit: pretty-printed, replaced atomically. Synchronous.

Law: its version is a digest of the bytes on disk, so an edit by hand counts as a change like any other. A
file that cannot be read as JSON is reported with the place of the mistake and never overwritten.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from openclaw.errors import StateError
from openclaw.stores._files import Files, read


class Document:
    def __init__(self, path: Path, files: Files) -> None:
        self._path = path
        self._files = files

    def get(self) -> tuple[Any, int]:
        content = self._read()
        return (None, 0) if content is None else (self._parsed(content), _version(content))

    def put(self, document: Any, version: int) -> bool:
        _, found = self.get()
        if found != version:
            return False
        self._files.replace(self._path, _written(document))
        return True

    def _read(self) -> bytes | None:
        try:
            return read(self._path.read_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise StateError(f"{self._path} cannot be read ({why}); mend it, or move it aside") from error

    def _parsed(self, content: bytes) -> Any:
        try:
            return json.loads(content.decode("utf-8-sig"))
        except json.JSONDecodeError as error:
            where, why = f"{error.lineno}:{error.colno}", error.msg.lower()
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            where, why = str(line), "not utf-8"
        except RecursionError:
            where, why = "1", "nested too deep"
        raise StateError(f"{self._path}:{where}: not JSON ({why}); mend it, or move it aside to start empty")


def _written(document: Any) -> bytes:
    try:
        return f"{json.dumps(document, ensure_ascii=False, indent=2)}\n".encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8
        return f"{json.dumps(document, indent=2)}\n".encode()


def _version(content: bytes) -> int:
    """Never 0, which stands for a missing file."""
    return int.from_bytes(hashlib.sha256(content).digest()[:7]) + 1
