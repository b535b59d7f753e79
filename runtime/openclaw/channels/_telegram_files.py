"""Files that come with a message: from Telegram into the folder that the runtime names.

The law: a file that cannot be had, or not in good time, is told in its place, so that nobody waits for an answer about
it. What the service says of a file is checked before anything is read. Knows no model.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from openclaw.channels import _telegram_client as client
from openclaw.channels._incoming import LARGEST, put, safe_name
from openclaw.channels._telegram_reading import Attachment, Heard
from openclaw.clock import Clock
from openclaw.errors import ToolError
from openclaw.messages import File, Image, Part, Text, quote_line

log = logging.getLogger(__name__)

WITHIN = 30.0  # seconds for all files of one message; beside it no more than a hundred updates of others are seen
TOGETHER = client.SIDE_BY_SIDE // 2  # files of one message at a time; replies need connections too
TRIES = 2


async def fetched(line: client.Line, clock: Clock, key: str, heard: Heard, folder: Path) -> tuple[Part, ...]:
    """All files of a message, or for each that could not be had the words that say so."""
    names = [safe_name(key, heard.id, number, file.name) for number, file in enumerate(heard.files, 1)]
    free = asyncio.Semaphore(TOGETHER)

    async def one(file: Attachment, name: str) -> Part:
        async with free:
            return await _one(line, file, folder, name)

    fetching = [asyncio.create_task(one(*pair)) for pair in zip(heard.files, names, strict=True)]
    whole: asyncio.Future[Any] = asyncio.gather(*fetching)
    timer = asyncio.ensure_future(clock.sleep(WITHIN))
    try:
        await asyncio.wait([whole, timer], return_when=asyncio.FIRST_COMPLETED)
        late = [not task.done() for task in fetching]
    finally:
        for task in (timer, whole, *fetching):
            task.cancel()
        await asyncio.gather(timer, whole, *fetching, return_exceptions=True)
    given_up = f"did not come within {WITHIN:g} s; it may be sent again"
    found = zip(heard.files, fetching, late, strict=True)
    return tuple([missing(file, given_up) if lost else task.result() for file, task, lost in found])


async def _one(line: client.Line, file: Attachment, folder: Path, name: str) -> Part:
    if file.size is not None and file.size > LARGEST:
        return missing(file, f"has {_megabytes(file.size)}, and Telegram gives bots at most {_megabytes(LARGEST)}")
    try:
        content = await _downloaded(line, file)
        path = str(await put(folder, name, content))
    except client.BadRequest as error:
        return missing(file, f"could not be fetched: {line.words(error)}")
    except (client.TelegramError, ToolError, OSError) as error:
        log.warning("the file %s could not be kept: %s", name, line.words(error))
        return missing(file, "could not be fetched; it may be sent again")
    return Image(path, file.media_type) if file.image else File(path, file.name, len(content), file.media_type)


async def _downloaded(line: client.Line, file: Attachment) -> bytes:
    """The content. Raises TelegramError or ToolError."""
    for _ in range(TRIES - 1):
        try:
            return await _download(line, file)
        except client.TelegramError as error:
            if not client.is_away(error):
                raise
    return await _download(line, file)


async def _download(line: client.Line, file: Attachment) -> bytes:
    found = await line.bot.get_file(file.id)
    if (found.file_size or 0) > LARGEST:
        raise ToolError(f"it has {_megabytes(found.file_size or 0)}")
    if not str(found.file_path).startswith(line.bot.base_file_url):
        # The library would read a file of this machine, if the service named one.
        raise ToolError("the service named a file that is not its own")
    content = bytes(await found.download_as_bytearray())
    if len(content) > LARGEST:
        raise ToolError(f"it has {_megabytes(len(content))}")
    return content


def missing(file: Attachment, why: str) -> Text:
    return Text(f"[the file {quote_line(file.name)} {why}]")


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB"
