"""Tests of doubles.listening: a connection that was left open would fail the test that collects it, here this one."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from doubles.listening import listening

PLENTY = 32 << 20  # more bytes than sockets hold for whoever does not read them


@pytest.mark.parametrize("rounds", range(7))
def test_nothing_is_left_of_who_comes_as_it_ends(rounds: int) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome")
        await reader.read()

    async def scene() -> None:
        async with listening(greet) as port:
            client = socket.create_connection(("127.0.0.1", port))
            for _ in range(rounds):  # of the loop: not seen yet, accepted, met, greeted
                await asyncio.sleep(0)
        client.close()

    asyncio.run(asyncio.wait_for(scene(), 20))
    gc.collect()


def test_who_does_not_read_is_cut_off_and_a_serving_that_fails_keeps_nobody() -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(1) == b"?":
            raise EOFError
        writer.write(bytes(PLENTY))
        await writer.drain()

    async def scene() -> None:
        with socket.socket() as deaf:
            async with listening(pour) as port:
                deaf.connect(("127.0.0.1", port))
                deaf.send(b"!")
                asking, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"?")
                assert await asking.read() == b""
                writer.close()
            deaf.settimeout(10)
            got = 0
            while piece := receive(deaf):
                got += len(piece)
            assert 0 < got < PLENTY

    asyncio.run(asyncio.wait_for(scene(), 60))
    gc.collect()


def receive(client: socket.socket) -> bytes:
    try:
        return client.recv(1 << 20)
    except ConnectionResetError:
        return b""
