"""A runtime that ends while the SDK of its model is still being imported does not wait for it."""

from __future__ import annotations

import subprocess
import sys

SCENE = """\
import asyncio, sys, threading

from openclaw.clock import SystemClock
from openclaw.providers.anthropic import Provider

reached = threading.Event()


class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "anthropic":
            reached.set()
            threading.Event().wait()


async def scene():
    sys.meta_path.insert(0, Slow())
    provider = Provider({"api_key": "key"}, SystemClock())
    await provider.open()
    while not reached.is_set():
        await asyncio.sleep(0.01)
    await provider.close()


asyncio.run(scene())
print("over")
"""


def test_the_end_does_not_wait_for_an_import_of_the_sdk() -> None:
    done = subprocess.run([sys.executable, "-c", SCENE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr
