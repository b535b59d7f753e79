"""How a running runtime's state of a project differs from what is on disk, in one line: asked in passing.

Law: it takes two seconds at most and no library, and where nobody listens, or answers in another way, nothing is said.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from openclaw.words import printable

SOCKET: Final = "control.sock"  # as in openclaw.control, which brings asyncio along
_LONGEST: Final = 100  # bytes of a path that the kernel takes
PATIENCE: Final = 2.0  # seconds, for all of it: a runtime that is busy answers late, and where none is, nobody waits
_MOST: Final = 1 << 20  # bytes of an answer
_REQUEST: Final = b"GET /api/status HTTP/1.1\r\nHost: runtime\r\nAccept: application/json\r\nConnection: close\r\n\r\n"


def differs(state: Path, project: Path, digest: str | None, patience: float = PATIENCE) -> str:
    """Empty where no runtime runs this project, or as it is on disk. `digest`: of what is on disk, where that is valid
    and was read as the runtime reads it."""
    status = _status(state, patience)
    if status.get("project") != printable(str(project)):
        return ""
    words, last = status.get("differs"), status.get("last_success")
    if isinstance(words, str) and words:
        return f"running: {words}{f'; applied last: {last}' if isinstance(last, str) else ''}"
    found = status.get("snapshot")
    running = found.get("digest") if isinstance(found, Mapping) else None
    if digest is None or not isinstance(running, str) or digest.startswith(running):
        return ""
    return f"running: another version of this project (process {status.get('pid')}), which has not seen this one yet"


def _status(state: Path, patience: float) -> Mapping[str, Any]:
    try:
        with _reachable(state / SOCKET) as name, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
            found = json.loads(_answer(asked, name, time.monotonic() + patience))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    from openclaw.control_socket import reachable

    with reachable(path) as name:
        yield name


def _answer(asked: socket.socket, name: str, end: float) -> bytes:
    """The body of a good answer. Raises OSError or ValueError for any other, and when time is over."""
    asked.settimeout(max(end - time.monotonic(), 0.001))
    asked.connect(name)
    asked.sendall(_REQUEST)
    got = b""
    while not _whole(got):
        asked.settimeout(max(end - time.monotonic(), 0.001))
        more = asked.recv(1 << 16)
        got += more
        if not more or len(got) > _MOST or time.monotonic() > end:
            raise ValueError("no whole answer")
    head, _, body = got.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] != [b"200"]:
        raise ValueError("another answer")
    return body


def _whole(got: bytes) -> bool:
    head, ended, body = got.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(ended) and len(body) >= int(lengths[0] if lengths else b"?")
