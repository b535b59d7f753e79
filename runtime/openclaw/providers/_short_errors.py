"""Cuts the body of an error short, of which the SDK would read whatever comes before it tells of the failure.

Its law: no server fills our memory with an error. It does not know what the body says. It imports the HTTP library,
so it is imported only where that is wanted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

MOST = 64 << 10  # bytes; what is told of an error are a few hundred characters


class Short(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        if left == 0:
            return
        async for chunk in self._stream:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return

    async def aclose(self) -> None:
        await self._stream.aclose()


async def cut_short(response: httpx2.Response) -> None:
    """To be called with every response before its body is read. It is asked for as it is; one that was packed all the
    same is not read, since a little of it may hold very much."""
    if response.status_code != 200 and isinstance(response.stream, httpx2.AsyncByteStream):
        packed = response.headers.pop("content-encoding", None)
        response.stream = Short(response.stream, 0 if packed else MOST)
