"""How rubbish is collected by a command that reads much, keeps it until it is done, and then ends: hardly at all."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def rarely() -> Iterator[None]:
    """Looking for rubbish in what is kept would be a sixth of a validation, most of it when the process ends."""
    usual = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*usual)
