"""Small answers leave at once: the loop does so only on sockets that say which protocol they speak."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from contract.faces import FACES, Http


def test_connections_of_the_http_channel_do_not_wait_for_more_to_send(tmp_path: Path) -> None:
    async def main() -> None:
        async with FACES["http"](tmp_path) as face:
            assert isinstance(face, Http) and face.made._listener is not None
            listener = face.made._listener
            assert listener.proto == socket.IPPROTO_TCP  # inherited by every connection it accepts

    asyncio.run(main())
