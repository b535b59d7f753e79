"""Being here puts tests/ on the import path, so that every test may say `from doubles.desk import Desk`."""

import gc
from collections.abc import Iterator

import pytest

from doubles import warm


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected stays until the end: looking through it for garbage, again and again, finds none."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_sessionfinish() -> None:
    warm.close()
