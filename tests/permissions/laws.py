"""Laws of hypothesis, tried twice: over a few examples always, over many in the slow suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

FEW, MANY = 10, 600


def tried(*strategies: SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[[int], None]]:
    """As `given`; pytest gives the number of examples."""

    def over(law: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
        def test(examples: int) -> None:
            settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])(
                given(*strategies)(law)
            )()

        test.__name__, test.__doc__ = law.__name__, law.__doc__
        return test

    return over
