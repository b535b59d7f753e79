"""Where the control socket is. The kernel takes some 100 bytes of path; a longer one goes through its open folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET = "control.sock"
_LONGEST = 100  # bytes; 104 on some systems, 108 on Linux, the final NUL included


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A spelling of `path` that bind and connect take, valid while this is open."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
