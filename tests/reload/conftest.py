"""What the tests of reloads share: the table of outcomes, printed once at the end of the run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reload.r_house import Table


@pytest.fixture(scope="session")
def table() -> Iterator[Table]:
    found = Table()
    yield found
    print(f"\n{found}")
