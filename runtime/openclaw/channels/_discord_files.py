"""Files that come with messages on Discord, fetched into the workspace and named to the model.

Law: more than the cap is not fetched, whatever size the service tells; one that cannot be had is told in the
message, and never keeps the message from being taken in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from openclaw.channels._discord_reading import Attachment
from openclaw.channels._incoming import LARGEST, put, safe_name
from openclaw.messages import File, Image, Part, Text, quote_line

log = logging.getLogger(__name__)

WITHIN = 60.0  # seconds for one file
PIECE = 1 << 16


class _TooLarge(Exception):
    pass


async def fetch(
    session: Callable[[], Any], folder: Path, origin: str, message: int, files: Sequence[Attachment]
) -> list[Part]:
    """Each file as a part, in order; a text for one that could not be had. `session`: the connection to fetch by."""
    return [await _one(session, folder, safe_name(origin, str(message), n, f.name), f) for n, f in enumerate(files)]


async def _one(session: Callable[[], Any], folder: Path, name: str, found: Attachment) -> Part:
    try:
        content = await _content(session(), found)
        path = await put(folder, name, content)
    except _TooLarge:
        return missing(found, f"it is larger than {LARGEST >> 20} MB")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        log.warning("a file of a message could not be fetched: %s", type(error).__name__)
        return missing(found, _why(error))
    if found.image:
        return Image(str(path), found.media_type)
    return File(str(path), found.name, len(content), found.media_type)


async def _content(session: Any, found: Attachment) -> bytes:
    if found.size > LARGEST:
        raise _TooLarge
    content = bytearray()
    async with asyncio.timeout(WITHIN), session.get(found.url) as response:
        response.raise_for_status()
        async for piece in response.content.iter_chunked(PIECE):
            content += piece
            if len(content) > LARGEST:
                raise _TooLarge
    return bytes(content)


def missing(found: Attachment, why: str) -> Text:
    return Text(f"[the file {quote_line(found.name)} was not fetched: {why}]")


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"Discord answered {error.status}"
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, OSError) and not isinstance(error, aiohttp.ClientError):
        return error.strerror or type(error).__name__
    return "Discord could not be reached"
