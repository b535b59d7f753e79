"""One real browser for the tests of the page, closed when they are done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from page_stage import CHROMIUM, Theatre, chromium


@pytest.fixture(scope="session")
def theatre() -> Iterator[Theatre]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    with asyncio.Runner() as runner:
        browser = chromium()
        yield Theatre(runner, runner.run(browser.__aenter__()))
        runner.run(browser.__aexit__(None, None, None))
