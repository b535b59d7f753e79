"""What a tool says, cut to what a model should read; the whole of it kept in a file the agent can read.

`cut` is pure. `fit` also writes the whole text to `.openclaw/outputs/<call>.txt` in the workspace,
and is blocking: call it in a thread. Knows no tool.
"""

from __future__ import annotations

import hashlib
import os

from openclaw.beneath import folder, replace
from openclaw.errors import ToolError
from openclaw.messages import Call
from openclaw.names import file_name

LIMIT = 16_000  # characters
KEPT = 200  # outputs in one workspace; the oldest go first
SPILL = (".openclaw", "outputs")


def cut(text: str, limit: int = LIMIT, note: str = "") -> tuple[str, bool]:
    """The text, or its head and tail around a line that says how much is missing, and whether it was cut.

    The head gets five eighths. Cuts fall on line ends where one is near. `note` ends the marker line.
    """
    if len(text) <= limit:
        return text, False
    head = _to_line_end(text[: limit * 5 // 8])
    tail = _from_line_start(text[len(text) - (limit - limit * 5 // 8) :])
    missing = len(text) - len(head) - len(tail)
    lines = text.count("\n", len(head), len(text) - len(tail))
    marker = f"[... {missing:,} characters, {lines:,} lines left out{f'; {note}' if note else ''} ...]"
    return f"{head.rstrip()}\n{marker}\n{tail}", True


def _to_line_end(head: str) -> str:
    end = head.rfind("\n") + 1
    return head[:end] if end > len(head) * 3 // 4 else head


def _from_line_start(tail: str) -> str:
    start = tail.find("\n") + 1
    return tail[start:] if 0 < start < len(tail) // 4 else tail


def spill_path(call_id: str, text: str = "") -> str:
    """Where the whole output of a call is kept, relative to the workspace."""
    name = file_name(call_id) if call_id else hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
    return "/".join((*SPILL, f"{name}.txt"))


def fit(text: str, call: Call, limit: int = LIMIT) -> str:
    """`text` as a tool result: short as it is, long with its middle left out and the whole in a file.

    Half surrogates, which no service takes, become `?`. A workspace that cannot be written to costs
    the file, not the result.
    """
    text = text.encode("utf-8", "replace").decode()
    if len(text) <= limit:
        return text
    path = spill_path(call.id, text)
    try:
        _spill(text, call, path)
    except (OSError, ToolError) as error:
        return cut(text, limit, f"the whole could not be kept: {_words(error)}")[0]
    return cut(text, limit, f"the whole is in {path}")[0]


def _spill(text: str, call: Call, path: str) -> None:
    with folder(call.workspace, SPILL, make=True) as at:
        replace(at, path.rpartition("/")[2], text.encode(), path)
        _prune(at)


def _prune(at: int) -> None:
    """Keeps the newest `KEPT` outputs: a workspace lives for years."""
    with os.scandir(at) as entries:
        found = [(entry.stat(follow_symlinks=False).st_mtime_ns, entry.name) for entry in entries]
    for _, name in sorted(found)[:-KEPT]:
        try:
            os.unlink(name, dir_fd=at)
        except OSError:
            pass


def _words(error: Exception) -> str:
    return (error.strerror or "i/o error") if isinstance(error, OSError) else str(error)
