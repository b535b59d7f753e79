"""Being here puts tests/ on the import path, so that every test may say `from doubles.desk import Desk`."""

import gc
import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from doubles import warm

# How long an example takes says more about the machine than about the code.
settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """For `-n auto`: two more than cores, since fast tests wait for each other's processes and sockets half of their
    time. The slow ones do not, and get what they would have."""
    return (os.cpu_count() or 1) + 2 if config.option.markexpr == "not slow" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected stays until the end: looking through it for garbage, again and again, finds none.

    And what pytest makes of the tests is kept for the next run, also where the environment forbids it: it is most of
    what collecting costs."""
    gc.disable()
    forbidden, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode = forbidden
        gc.freeze()
        gc.enable()


def pytest_sessionfinish() -> None:
    warm.close()
