"""Files that come with messages: a safe name for each, and their content put into the workspace whole.

Law: the name is made of the channel's own ids, so that a message delivered twice leaves one file; nothing a sender
calls a file leads out of the folder or hides in it. Larger than the cap is not fetched.
"""

from __future__ import annotations

import asyncio
import os
import re
import unicodedata
from pathlib import Path

LARGEST = 20 << 20  # bytes; also the most that Telegram hands to bots
_ID = re.compile(r"[^A-Za-z0-9]")  # what ids are spelt with otherwise, so that no two come to one name
_LONGEST = 120  # bytes kept of what the sender called it; a name on disk has at most 255


def safe_name(channel: str, message: str, number: int, name: str) -> str:
    """`telegram-555-77-0-report.pdf`: where it came from, then the sender's own name for it as far as it is harmless.

    `message` and `number` tell attachments apart. Letters and digits of every script stay.
    """
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in unicodedata.normalize("NFC", name))
    stem, dot, suffix = re.sub(r"-{2,}|\.{2,}", "-", kept).strip("-._").rpartition(".")
    stem = stem.rstrip("-")
    short = f"{_cut(stem, _LONGEST)}{dot}{_cut(suffix, 24)}" if stem else _cut(suffix, _LONGEST)
    origin = [_ID.sub(lambda found: f"_{ord(found[0]):x}_", part) for part in (channel, *message.split(":"))]
    return f"{'-'.join(origin)}-{number}-{short or 'file'}"


async def put(folder: Path, name: str, content: bytes) -> Path:
    """Writes the file whole, for this user alone, and gives its path. Raises OSError, with nothing left of it."""
    return await asyncio.to_thread(_put, folder, name, content)


def _cut(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")


def _put(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The folder is the agent's to change: what it may have put in its place is not followed.
    into = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fresh, flags = f".{name}.part", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        file = os.fdopen(os.open(fresh, flags, 0o600, dir_fd=into), "wb")
        try:
            with file:
                file.write(content)
            os.replace(fresh, name, src_dir_fd=into, dst_dir_fd=into)  # pathlib knows no dir_fd
        except OSError:
            os.unlink(fresh, dir_fd=into)
            raise
    finally:
        os.close(into)
    return folder / name
