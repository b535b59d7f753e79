"""What a tool says, cut to what a model should read; the whole of it kept in a file the agent can read.

`cut` is pure. `fit` and `result` also write the whole text to `.openclaw/outputs/<call>.txt` in the
workspace, and are blocking: call them in a thread. Knows no tool.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from openclaw.beneath import folder, replace
from openclaw.errors import ToolError
from openclaw.messages import Call, ToolResult
from openclaw.names import file_name
from openclaw.secrecy import SECRETS, masked

NOTHING = "(no output)"  # what stands for the output of a tool that said nothing
LIMIT = 16_000  # characters
LARGEST = 10 << 20  # bytes: what read_file reads, and so what is kept of one output
KEPT = 200  # outputs in one workspace; the oldest go first
KEPT_BYTES = 100 << 20  # of all of them together
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


def fit(text: str, call: Call) -> str:
    """`text` as a tool result: short as it is, long with its middle left out and the whole in a file.

    Secrets are struck out before anything is cut, which would leave halves of them; the file has them. Half
    surrogates, which no service takes, become `?`; NUL, which makes a file binary, `\\0`. A workspace that cannot be
    written to costs the file, not the result.
    """
    content = masked(text, call.secrets).encode("utf-8", "replace").replace(b"\0", b"\\0")
    text = content.decode()
    if len(text) <= LIMIT:
        return text
    path = spill_path(call.id, text)
    try:
        _spill(content[:LARGEST], call, path)
    except (OSError, ToolError) as error:
        return cut(SECRETS.mask(text), LIMIT, f"the whole could not be kept: {_words(error)}")[0]
    kept = "the whole is" if len(content) <= LARGEST else f"the first {LARGEST >> 20} MiB of {len(content):,} bytes are"
    return cut(SECRETS.mask(text), LIMIT, f"{kept} in {path}")[0]


def result(text: str, call: Call, *, is_error: bool = False, untrusted: str = "") -> ToolResult:
    """What a tool said as its result; blocking like `fit`."""
    return ToolResult(fit(text, call), is_error, untrusted, text if len(text) > LIMIT else None)


def _spill(content: bytes, call: Call, path: str) -> None:
    with folder(call.workspace, SPILL, make=True) as at:
        replace(at, path.rpartition("/")[2], content, path)
        with suppress(OSError):  # another session of the workspace makes room as well
            _prune(at)


def _prune(at: int) -> None:
    """Keeps the newest outputs, `KEPT` of them and `KEPT_BYTES` at most: a workspace lives for years."""
    found = []
    with os.scandir(at) as entries:
        for entry in entries:
            state = entry.stat(follow_symlinks=False)
            found.append((state.st_mtime_ns, entry.name, state.st_size))
    room = KEPT_BYTES
    for number, (_, name, size) in enumerate(sorted(found, reverse=True)):
        room -= size
        if number >= KEPT or room < 0:
            with suppress(OSError):
                os.unlink(name, dir_fd=at)


def _words(error: Exception) -> str:
    return (error.strerror or "i/o error") if isinstance(error, OSError) else str(error)
